"""An event log on its way in: all of it checked, grouped and ordered before anything is stored.

The rows go through a file of SQLite's, so a log may be larger than memory, and in any order.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from procutils.cases import Case, Event
from procutils.logs_rows import CASE_PREFIX, LIFECYCLE, LogError, Oddities, Row
from procutils.logs_times import Times
from procutils.logs_values import Kinds, as_text, compact, stored_name

#: Characters of an event's attributes, as JSON: a server takes appends of up to 1 MiB.
MOST = 200_000

Progress = Callable[[Iterable[Any], str], Iterable[Any]]
"""Wraps what is gone through; the second argument says what is being done."""


class StagedLog:
    """The cases of a log, in the order of their first events, as often as they are asked for.

    A context manager; its file goes with it. Attributes, once ``settle`` was called: cases, events
    (counts), activities (the labels), first and last (times).
    """

    def __init__(self, category: str, times: Times, oddities: Oddities) -> None:
        self._category, self._times, self._oddities = category, times, oddities
        self._folder = tempfile.TemporaryDirectory(prefix="procutils-log-")
        self._db = sqlite3.connect(Path(self._folder.name) / "log.sqlite3")
        self._db.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = FILE;"
            "CREATE TABLE row (of INTEGER, line INTEGER, activity TEXT, time TEXT, data TEXT);"
            "CREATE TABLE ready (start TEXT, stream TEXT, events TEXT)"
        )
        self._streams: list[str] = []
        self._transitions: set[str] = set()
        self._joined = False
        self._varying: set[str] = set()
        self.kinds = Kinds()
        self.cases, self.events, self.activities = 0, 0, set()
        self.first = self.last = datetime.min.replace(tzinfo=UTC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._db.close()
        self._folder.cleanup()

    def add(self, rows: Iterable[Row], lifecycle: bool) -> None:
        """Take the rows in. lifecycle: make the transition part of the activity: ``A+COMPLETE``.

        Raises LogError if no row has a transition, though it was asked for, or no row is of use.
        """
        numbers: dict[str, int] = {}
        self._joined = lifecycle
        usable = (self._usable(row, lifecycle, numbers) for row in rows)
        self._db.executemany(
            "INSERT INTO row VALUES (?, ?, ?, ?, ?)", (row for row in usable if row is not None)
        )
        if not numbers:
            raise LogError("there is no event in it that has a case and an activity")
        if lifecycle and not self._transitions:
            raise LogError(f"no event has {LIFECYCLE}: leave out --lifecycle")
        self._db.execute("CREATE INDEX row_of ON row (of)")
        self._streams = list(numbers)

    def _usable(
        self, row: Row, lifecycle: bool, numbers: dict[str, int]
    ) -> tuple[int, int, str, str | None, str] | None:
        line, case, activity, time, data = row
        if not case.strip():
            self._oddities.add("row without a case: left out", line)
            return None
        if not activity.strip():
            self._oddities.add("event without an activity: left out", line)
            return None
        if transition := as_text(data.get(LIFECYCLE, "")):
            self._transitions.add(transition)
            activity = f"{activity}+{transition}" if lifecycle else activity
        if activity.startswith("$"):  # would be one of the server's own events
            self._oddities.add("activity that begins with $: stored with _ before it", line)
            activity = "_" + activity
        if not time.strip():
            self._oddities.add("event without a time: given that of its neighbour", line)
            time = None
        elif not self._times.see(time):
            such = self._times.unreadable[0]
            what = f"time that is not understood, such as {such!r}: given that of its neighbour"
            self._oddities.add(what, line)
            time = None
        number = numbers.setdefault(case, len(numbers))
        return number, line, activity, time, compact(data)

    def settle(self, progress: Progress) -> str | None:
        """Decide what the log as a whole decides, and order every case.

        Returns the order of day, month and year, None where the times leave no choice. Raises
        LogQuestion where the log leaves a choice, LogError if nothing is left.
        """
        order = self._times.settle()
        untimed = self._db.execute(
            "SELECT of, min(line) FROM row GROUP BY of HAVING count(time) = 0"
        ).fetchall()
        for number, line in untimed:
            self._oddities.add("case none of whose events has a time: left out", line)
            self._db.execute("DELETE FROM row WHERE of = ?", (number,))
        for _, rows in progress(self._grouped(), "checking"):
            self._survey(rows)
        ready = (self._ordered(case, rows) for case, rows in progress(self._grouped(), "ordering"))
        self._db.executemany("INSERT INTO ready VALUES (?, ?, ?)", ready)
        self._db.execute("DROP TABLE row")
        self._db.execute("CREATE INDEX ready_start ON ready (start, stream)")
        return order

    def notes(self) -> list[str]:
        """What else a reader of the report should know about the cases."""
        notes = [
            f"{name} is not the same all over a case: kept at every event"
            for name in sorted(self._varying)
        ]
        if len(self._transitions) > 1 and not self._joined:
            notes.append(
                f"{LIFECYCLE} has the values {', '.join(sorted(self._transitions)[:8])}: kept as "
                "an attribute (--lifecycle makes it part of the activity)"
            )
        return notes

    def __iter__(self) -> Iterator[Case]:
        found = self._db.execute("SELECT stream, events FROM ready ORDER BY start, stream")
        for stream, events in found:
            yield Case(
                stream,
                [Event(t, data, datetime.fromisoformat(at)) for t, at, data in json.loads(events)],
            )

    def __len__(self) -> int:
        return self.cases

    def _grouped(self) -> Iterator[tuple[str, list[tuple]]]:
        found = self._db.execute("SELECT * FROM row ORDER BY of, rowid")
        for number, rows in groupby(found, key=itemgetter(0)):
            yield (
                self._streams[number],
                [(line, type_, time, json.loads(data)) for _, line, type_, time, data in rows],
            )

    def _survey(self, rows: list[tuple]) -> None:
        """Learn of what kind attributes are, and which of the case's are not the same all over."""
        shared: dict[str, Any] = {}
        for _, _, _, data in rows:
            for name, value in data.items():
                self.kinds.see(name, value)
                if name.startswith(CASE_PREFIX) and shared.setdefault(name, value) != value:
                    self._varying.add(name)

    def _ordered(self, case: str, rows: list[tuple]) -> tuple[str, str, str]:
        """A case in the order of its times, ties as in the file, and its attributes in place."""
        times = [self._times.parse(time) if time else None for _, _, time, _ in rows]
        at = next(time for time in times if time)
        timed = []
        met: set[str] = set()
        shared: dict[str, Any] = {}
        for (line, type_, _, data), time in zip(rows, times, strict=True):
            if time and time < at:
                self._oddities.add("event later in the file than one after it: put in order", line)
            at = time or at
            own = {}
            for name, value in data.items():
                converted = self.kinds.convert(name, value)
                if name.startswith(CASE_PREFIX) and name not in self._varying:
                    shared.setdefault(name, converted)
                else:
                    own[stored_name(name)] = converted
            event = (type_, at.astimezone(UTC).isoformat(), own)
            text = compact(event)
            if (size := len(text) + len(compact(shared))) > MOST:
                raise LogError(f"the event at line {line:,} is too large: {size:,} characters")
            if text in met:
                self._oddities.add("event that another repeats in every value: kept", line)
            met.add(text)
            timed.append((at, event))
        timed.sort(key=itemgetter(0))
        events = [event for _, event in timed]
        events[0] = (*events[0][:2], {**shared, **events[0][2]})
        self._count(timed)
        return _sortable(timed[0][0]), f"{self._category}-{case}", compact(events)

    def _count(self, timed: list[tuple[datetime, tuple]]) -> None:
        first, last = timed[0][0], timed[-1][0]
        self.first = min(self.first, first) if self.cases else first
        self.last = max(self.last, last) if self.cases else last
        self.cases += 1
        self.events += len(timed)
        self.activities.update(event[0] for _, event in timed)


def _sortable(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
