"""What a person would look up before acting on an alert, looked up: evidence from the database.

Three questions, each answered by reading only, and only what was there when the event came, so
that the answer can be found again: what has happened in the case, how did cases go on that began
like it, and, for an event of another process, which case has been waiting for it?
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import takewhile
from math import exp
from typing import Any

from kurrentdbclient import KurrentDBClient, RecordedEvent

from procutils.alerts import GONE
from procutils.cases import Case, Event
from procutils.detector import Detector
from procutils.records import StoreError, to_event

#: So many of the latest records of a process are looked at, the newest first.
RECENT = 1_000
#: So many events of a case, and so many other cases, are shown.
SHOWN, NAMED = 20, 3
#: A value that more cases share than this names something else than a case.
MOST_SHARING = 3
#: So many running cases, at most, are asked whether they were waiting for the event.
MOST_ASKED = 20
#: From this probability on a case counts as waiting for an event, for the reason that it was.
WAITING, WAITED = 0.05, "it was waiting for such an event"


@dataclass(frozen=True)
class Candidate:
    """A case that an event may belong to. because: what says so. probability: of this type of event
    as the next one of that case, as it was when the event came."""

    stream: str
    because: str
    probability: float


class Investigator:
    """Read-only questions to the database, all as of one commit position."""

    def __init__(self, client: KurrentDBClient, detector: Detector, as_of: int) -> None:
        self._client, self._detector, self._as_of = client, detector, as_of
        self._read: dict[str, dict[str, list[RecordedEvent]]] = {}

    def evidence(self, case: Case, event: Event | None) -> dict[str, Any]:
        """Everything that was found out about a case up to and including its strange ``event``,
        None if it is strange that nothing came. Plain values, to be stored in the alert."""
        found: dict[str, Any] = {
            "case": [
                {"type": e.type, "at": e.at.isoformat(), "commit_position": e.position}
                for e in case.events[-SHOWN:]
            ],
            "similar": self.similar(case, len(case.events) - (event is not None)),
        }
        if event is not None and (candidates := self.belongs_to(case, event)):
            found["belongs_to"] = [asdict(candidate) for candidate in candidates]
        return found

    def similar(self, case: Case, length: int) -> dict[str, Any]:
        """Recent cases of the process that began with the same ``length`` types: how many, some of
        their names, and what came next in them."""
        start = case.types[:length]
        following: Counter[str] = Counter()
        alike = []
        for stream, records in self._recent(case.category).items():
            types = tuple(record.type for record in records)
            if stream != case.id and types[:length] == start:
                alike.append(stream)
                following.update(types[length : length + 1])
        return {
            "cases": len(alike),
            "then": dict(following.most_common()),
            "such_as": alike[:NAMED],
        }

    def belongs_to(self, case: Case, event: Event) -> list[Candidate]:
        """The cases that an event seems to belong to rather than to the one it came in, by its
        correlation id, else by an id in its data, else by what running cases were waiting for."""
        owners = [c for c in self._detector.normal.owners(event.type) if c != case.category]
        found = (
            list(self._correlated(case, event, owners))
            or list(self._named(event, owners))
            or list(self._sharing(event, owners))
        )
        because = dict(reversed(found)) or dict.fromkeys(self._open(owners), WAITED)
        known = [other for other in map(self._case, because) if other is not None]
        asked = [
            Candidate(other.id, because[other.id], p)
            for other, p in zip(known, self._next(known, event.type), strict=True)
            if p >= WAITING or because[other.id] != WAITED
        ]
        return sorted(asked, key=lambda found: (-found.probability, found.stream))[:NAMED]

    def _correlated(self, case: Case, event: Event, owners: list[str]) -> Iterator[tuple[str, str]]:
        """Streams that the event's correlation id names, or that share it."""
        correlation = event.metadata.get("$correlationId")
        if not isinstance(correlation, str) or correlation in (case.id, ""):
            return
        if correlation in {e.metadata.get("$correlationId") for e in case.events[:-1]}:
            return  # of something that this case is a part of
        streams = [correlation] if self._case(correlation) else []
        streams += [record.stream_name for record in self._stream(f"$bc-{correlation}")]
        for stream in streams:
            if stream.partition("-")[0] in owners:
                yield stream, "its correlation id"

    def _named(self, event: Event, owners: list[str]) -> Iterator[tuple[str, str]]:
        """Streams that a value in the event's data names."""
        for name, value in event.data.items():
            if isinstance(value, str | int) and not isinstance(value, bool):
                names = [str(value), *(f"{owner}-{value}" for owner in owners)]
                for stream in names:
                    if stream.partition("-")[0] in owners and self._case(stream):
                        yield stream, f"{name} = {value}"

    def _sharing(self, event: Event, owners: list[str]) -> Iterator[tuple[str, str]]:
        """Recent cases that hold a value of the event which few others hold."""
        texts = _texts(event)
        holders: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for owner in owners:
            for other in self._cases(owner):
                for text in texts & set().union(*map(_texts, other.events)):
                    holders[text].append(other.id)
        for (name, value), streams in sorted(holders.items()):
            if len(streams) <= MOST_SHARING:
                yield from ((stream, f"{name} = {value}") for stream in streams)

    def _open(self, owners: list[str]) -> Iterator[str]:
        """The streams of some recent cases, which may have been waiting for such an event."""
        for owner in owners:
            yield from (other.id for other in self._cases(owner)[:MOST_ASKED])

    def _next(self, cases: list[Case], type_: str) -> list[float]:
        """Of each case the probability of this type of event as its next one.

        All in one question, about this type alone: a model that is asked case by case for
        everything that may come takes seconds.
        """
        longer = [
            Case(case.id, [*case.events, Event(type_, {}, case.events[-1].at)]) for case in cases
        ]
        scores = self._detector.scorer.score_cases(longer) if longer else []
        return [exp(score[-2].parts["type"]) for score in scores]

    def _case(self, stream: str) -> Case | None:
        """The case in a stream as it was; None if there is none."""
        if stream.startswith("$") or "-" not in stream:
            return None
        events = _events(self._stream(stream))
        return Case(stream, events) if events else None

    def _stream(self, name: str) -> list[RecordedEvent]:
        try:
            with self._client.read_stream(name, resolve_links=True) as records:
                return list(takewhile(lambda r: r.commit_position <= self._as_of, records))
        except GONE:
            return []

    def _cases(self, category: str) -> list[Case]:
        """The recent cases of a category, newest first."""
        recent = ((name, _events(records)) for name, records in self._recent(category).items())
        return [Case(name, events) for name, events in recent if events]

    def _recent(self, category: str) -> dict[str, list[RecordedEvent]]:
        """Of each case whose first event is among the latest records of a category its records, the
        newest case first; as they were just before the event came."""
        if category not in self._read:
            records: defaultdict[str, list[RecordedEvent]] = defaultdict(list)
            with self._client.read_all(
                commit_position=self._as_of,
                backwards=True,
                filter_include=[f"{category}-"],
                filter_by_stream_name=True,
                filter_by_prefix=True,
                limit=RECENT,
            ) as found:
                for record in found:
                    if not record.is_system_event:
                        records[record.stream_name].append(record)
            self._read[category] = {
                stream: of_stream[::-1]
                for stream, of_stream in records.items()
                if of_stream[-1].stream_position == 0
            }
        return self._read[category]


def _texts(event: Event) -> set[tuple[str, str]]:
    return {(name, value) for name, value in event.data.items() if isinstance(value, str)}


def readable(records: Iterable[RecordedEvent]) -> Iterator[tuple[RecordedEvent, Event]]:
    """Records with their events; those that cannot be read are left out."""
    for record in records:
        try:
            yield record, to_event(record)
        except StoreError:
            continue  # reported where it came; here it says nothing


def _events(records: Iterable[RecordedEvent]) -> list[Event]:
    return [event for _, event in readable(records)]
