"""Cases into KurrentDB: checked first, then appended in the order in which things happened."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from kurrentdbclient import KurrentDBClient, NewEvent, RecordedEvent, StreamState
from kurrentdbclient.exceptions import NotFoundError, WrongCurrentVersionError

from procutils.cases import Case
from procutils.records import StoreError, event_id, to_record

#: Bytes and events that one append holds at most: servers refuse appends above 1 MiB.
APPEND_BYTES, APPEND_EVENTS = 900_000, 500


def append_cases(
    client: KurrentDBClient,
    cases: Collection[Case],
    progress: Callable[[Any], Iterable[Any]] = iter,
    batch: int = 1,
) -> int:
    """Append what is not stored yet, in the order in which things happened.

    cases: a list, in any order; or anything else that gives the cases as often as it is asked, in
        the order of their first events, so that they need not all be in memory.
    progress: wraps what is to be appended, event by event, as ``tqdm`` does; it has a length.
    batch: so many events may change places in the log, so that those of one stream go together,
        which is faster; within a stream they never do. 1: every event at its place.
    Returns the number of events written: 0 if all were there. An interrupted call is completed by
    the next. Raises StoreError if a stream already holds something else, ValueError for cases that
    cannot be stored; both before anything is written.
    """
    if isinstance(cases, list):
        cases = sorted((case for case in cases if case.events), key=_start)
    before = client.get_commit_position(filter_exclude=())
    due = _Due(client, cases)
    events = iter(progress(due))
    while group := _grouped(events, batch):
        for case, first, count in group:
            _append(client, case, first, count, before)
    return len(due)


def _start(case: Case) -> datetime:
    """When the case began. Raises ValueError for a time that cannot be stored, nor compared."""
    event_id(case.id, 0, case.events[0])
    return case.events[0].at


class _Due:
    """What is not stored yet, as (case, revision), by time over all cases.

    Raises StoreError or ValueError, on making it, for a case that cannot be stored.
    """

    def __init__(self, client: KurrentDBClient, cases: Iterable[Case]) -> None:
        self._cases = cases
        self._stored: dict[str, int] = {}  # of streams that exist
        self._events = 0
        ids: set[str] = set()
        start = datetime.min.replace(tzinfo=UTC)
        for case in cases:
            if case.id in ids:
                raise ValueError(f"two cases have the same id, {case.id}: each is to be a stream")
            ids.add(case.id)
            for revision, event in enumerate(case.events):
                event_id(case.id, revision, event)  # raises if it cannot be stored
            if case.events[0].at < start:
                raise ValueError(f"{case.id} begins before the case that was given before it")
            start = case.events[0].at
            if stored := _stored(client, case):
                self._stored[case.id] = stored
            self._events += max(len(case.events) - stored, 0)

    def __len__(self) -> int:
        return self._events

    def __iter__(self) -> Iterator[tuple[Case, int]]:
        """Merges the cases: only those that overlap in time are in memory at once."""
        open_cases: list[tuple[datetime, str, int, Case]] = []
        for case in self._cases:
            while open_cases and open_cases[0][0] < case.events[0].at:
                yield self._next(open_cases)
            stored = self._stored.get(case.id, 0)
            if stored < len(case.events):
                at = max(event.at for event in case.events[: stored + 1])
                heapq.heappush(open_cases, (at, case.id, stored, case))
        while open_cases:
            yield self._next(open_cases)

    @staticmethod
    def _next(open_cases: list[tuple[datetime, str, int, Case]]) -> tuple[Case, int]:
        at, stream, revision, case = open_cases[0]
        following = revision + 1
        if following < len(case.events):  # the order within a case wins over its clocks
            at = max(at, case.events[following].at)
            heapq.heapreplace(open_cases, (at, stream, following, case))
        else:
            heapq.heappop(open_cases)
        return case, revision


def _grouped(events: Iterator[tuple[Case, int]], batch: int) -> list[tuple[Case, int, int]]:
    """The next ``batch`` events as (case, first revision, how many), a case once."""
    found: dict[str, tuple[Case, int, int]] = {}
    for case, revision in islice(events, batch):
        _, first, count = found.get(case.id, (case, revision, 0))
        found[case.id] = (case, first, count + 1)
    return list(found.values())


def _stored(client: KurrentDBClient, case: Case) -> int:
    """How many events of the case its stream holds already; they must be the same."""
    try:
        with client.read_stream(case.id) as records:
            return max((_same(case, record) for record in records), default=-1) + 1
    except NotFoundError:
        return 0


def _same(case: Case, record: RecordedEvent) -> int:
    """The record's revision, if the case says the same there, or is shorter."""
    revision = record.stream_position
    shorter = revision >= len(case.events)
    if not shorter and record.id != event_id(case.id, revision, case.events[revision]):
        raise StoreError(_conflict(case, revision, f"a {record.type}"))
    return revision


def _append(client: KurrentDBClient, case: Case, first: int, count: int, before: int) -> None:
    """Append ``count`` events of the case from revision ``first`` on, in as few calls as may be."""
    events: list[NewEvent] = []
    size = 0
    for revision in range(first, first + count):
        record = to_record(case, revision)
        bytes_ = len(record.data) + len(record.metadata) + 4 * len(record.type)
        if events and (size + bytes_ > APPEND_BYTES or len(events) == APPEND_EVENTS):
            _append_at_once(client, case, revision - len(events), events, before)
            events, size = [], 0
        events.append(record)
        size += bytes_
    _append_at_once(client, case, first + count - len(events), events, before)


def _append_at_once(
    client: KurrentDBClient, case: Case, first: int, events: list[NewEvent], before: int
) -> None:
    version = first - 1 if first else StreamState.NO_STREAM
    try:
        if len(events) == 1:
            position = client.append_event(case.id, current_version=version, event=events[0])
        else:
            position = client.append_events(case.id, current_version=version, events=events)
    except WrongCurrentVersionError as error:
        raise StoreError(_conflict(case, first, str(error))) from error
    if position <= before:  # known by its id, though the stream does not show it
        raise StoreError(_conflict(case, first, "these events, deleted"))


def _conflict(case: Case, revision: int, found: str) -> str:
    event = case.events[revision]
    return (
        f"stream {case.id} cannot take the {event.type} of {event.at} as its event {revision}; it "
        f"has: {found}. It was written by something else, or with other parameters: use another "
        "database or category, or begin the run anew (--fresh)"
    )
