"""Event logs into KurrentDB: a CSV or XES file becomes a category, a case of it a stream.

What a log says of an event is kept under its own name in the event's data: resource, lifecycle,
amounts. What it says of a case stands in the data of the case's first event, its name after
``case:``, as in the CSV files of process mining.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kurrentdbclient import KurrentDBClient
from kurrentdbclient.exceptions import KurrentDBClientError

from procutils.logs_csv import Columns, read_csv
from procutils.logs_rows import LogError, LogQuestion, Oddities, opened
from procutils.logs_stage import Progress, StagedLog
from procutils.logs_times import Times
from procutils.logs_xes import read_xes
from procutils.store import ALERTS, StoreError, append_cases

__all__ = [
    "Columns",
    "LogError",
    "LogQuestion",
    "Report",
    "import_log",
    "open_log",
]

#: Events that may change places in the database's log, so that those of a case go together.
BATCH = 50_000

#: Cases below which nothing can be split into training, calibration and test.
FEW = 3


@dataclass(frozen=True)
class Report:
    """What a log holds, how it was read, what was odd about it and what was done about that."""

    file: Path
    category: str
    how: str
    cases: int
    events: int
    activities: int
    span: str
    notes: list[str]

    def __str__(self) -> str:
        lines = [
            f"{self.file}: {self.how}",
            f"{self.cases:,} cases, {self.events:,} events, {self.activities:,} activities, "
            f"{self.span}",
            *(f"- {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def _quiet(items: Iterable[Any], what: str) -> Iterable[Any]:
    return items


@contextmanager
def open_log(
    file: Path,
    category: str,
    columns: Columns | None = None,
    time_format: str | None = None,
    timezone: str = "UTC",
    lifecycle: bool = False,
    progress: Progress = _quiet,
) -> Iterator[tuple[StagedLog, Report]]:
    """All of a file, checked: its cases as they would be stored, and the report on them.

    category: what the streams' names begin with. columns: for CSV. time_format: ``dmy``, ``mdy``
    or ``ymd`` where dates of digits leave a choice, or a pattern as of ``strptime``. timezone: of
    times that name none. lifecycle: make the transition part of the activity (``A+COMPLETE``).
    Raises LogQuestion, naming the parameter to give, where the file leaves a choice; LogError for
    what cannot be read at all; ValueError for a category that cannot be one.
    """
    _check_category(category)
    oddities = Oddities()
    times = Times(time_format, timezone)
    with opened(file) as content:
        start = content.read(1000).lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")
    if not start:
        raise LogError(f"{file} is empty")
    if start.startswith(b"<"):
        if columns not in (None, Columns()):
            raise LogQuestion(f"{file} is XES, which has no columns: give none of their parameters")
        how, rows = "XES", read_xes(file, oddities)
    else:
        how, rows = read_csv(file, columns or Columns(), oddities)
    with StagedLog(category, times, oddities) as log:
        try:
            log.add(progress(rows, "reading"), lifecycle)
            order = log.settle(progress)
        except sqlite3.Error as error:
            raise LogError(
                f"no room to sort {file}: {error}. Let TMPDIR name a folder that has some"
            ) from error
        except LogError as error:
            raise type(error)(
                str(error) if str(file) in str(error) else f"{file}: {error}"
            ) from error
        yield log, _report(file, category, how, log, times, order, oddities)


def import_log(client: KurrentDBClient, log: StagedLog, progress: Progress = _quiet) -> int:
    """Append the events of an open log that are not stored yet; how many that were.

    A second import writes nothing. Raises StoreError, before anything is written, if a stream of
    the same name holds something else; also if the server gives up, and says what was written.
    """
    taken = 0

    def counted(due: Sized) -> Iterator[Any]:
        nonlocal taken
        for event in progress(due, "appending"):
            taken += 1
            yield event

    try:
        return append_cases(client, log, counted, BATCH)
    except (KurrentDBClientError, StoreError) as error:
        said = str(error) if isinstance(error, StoreError) else f"KurrentDB: {error!r}"
        raise StoreError(
            f"{said}. {_written_at_most(taken, log)}" if taken else f"{said}. Nothing was written"
        ) from error


def _written_at_most(taken: int, log: StagedLog) -> str:
    return (
        f"Of the {log.events:,} events, at most {taken:,} more than before were written; the same "
        "command goes on from there, and writes nothing twice"
    )


def _check_category(category: str) -> None:
    if not category or category.startswith("$") or "-" in category or category == ALERTS:
        mended = category.lstrip("$").replace("-", "_") or "orders"
        raise ValueError(
            f"{category!r} cannot be a category: it ends at the first '-' of a stream's name, '$' "
            f"begins the server's own, and {ALERTS!r} is for alerts. Take another, such as "
            f"{mended if mended != ALERTS else 'orders'!r}"
        )


def _report(
    file: Path,
    category: str,
    how: str,
    log: StagedLog,
    times: Times,
    order: str | None,
    oddities: Oddities,
) -> Report:
    notes = oddities.sentences()
    if order:
        notes.append(f"dates of digits were read as {order}")
    if times.without_zone:
        notes.append(
            f"{times.without_zone:,} × time without a zone: taken for {times.zone} (--timezone)"
        )
    if how == "XES" and (mended := log.kinds.mended()):
        notes.append(f"declared as text, stored as numbers, which they are: {', '.join(mended)}")
    notes += log.notes()
    if log.cases < FEW:
        notes.append(
            f"{log.cases} case{'s' * (log.cases > 1)}: enough to look at, too few to train or "
            f"evaluate a model on, which takes {FEW} at the very least and hundreds to be of use"
        )
    return Report(
        file,
        category,
        how,
        log.cases,
        log.events,
        len(log.activities),
        f"{log.first:%Y-%m-%d} to {log.last:%Y-%m-%d}",
        notes,
    )
