"""Anomalies of order: two neighbours tell (structure), or only more of the history does (memory).

Each kind yields changes in random order, some of which may not have the effect; the proof decides.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

from procutils.cases import END, Case, Event
from procutils.finance.changes import Change, moved, shuffled
from procutils.finance.processes import PROCESSES

SOON = 120  # seconds
LONGEST_GAP, LONGEST_LOOP = 3, 4  # steps left out, or done again, by one anomaly


def foreign(case: Case, rng: random.Random) -> Iterator[Change]:
    """One event gives way to one of another process, at the same time."""
    for position in shuffled(range(len(case.events)), rng):
        original = case.events[position]
        category = rng.choice([name for name in PROCESSES if name != case.category])
        key = f"{rng.getrandbits(40):010x}"
        other = PROCESSES[category].simulate(rng, original.at, key)
        stranger = replace(
            rng.choice(other.events), at=original.at, metadata=dict(original.metadata)
        )
        yield Change([*case.events[:position], stranger, *case.events[position + 1 :]], position)


def skipped(case: Case, rng: random.Random) -> Iterator[Change]:
    """A step in the middle is left out."""
    for position in shuffled(range(1, len(case.events) - 1), rng):
        yield Change(case.events[:position] + case.events[position + 1 :], position)


def swapped(case: Case, rng: random.Random) -> Iterator[Change]:
    """Two neighbours come in the wrong order; each takes the time of the other."""
    for position in shuffled(range(len(case.events) - 1), rng):
        first, second = case.events[position : position + 2]
        pair = [replace(second, at=first.at), replace(first, at=second.at)]
        events = [*case.events[:position], *pair, *case.events[position + 2 :]]
        yield Change(events, position)


def repeated(case: Case, rng: random.Random) -> Iterator[Change]:
    """An event is recorded twice, within two minutes and before anything else happens."""
    for position in shuffled(range(1, len(case.events) + 1), rng):
        event, rest = case.events[position - 1], case.events[position:]
        gap = int((rest[0].at - event.at).total_seconds()) if rest else SOON
        if gap > 1:
            after = timedelta(seconds=rng.randrange(1, min(gap, SOON)))
            again = replace(event, at=event.at + after)
            yield Change([*case.events[:position], again, *rest], position)


def premature_end(case: Case, rng: random.Random) -> Iterator[Change]:
    """A case counts as closed after an event that cannot be its last."""
    for position in shuffled(range(1, len(case.events)), rng):
        yield Change(case.events[:position], position)


def done_again(case: Case, rng: random.Random) -> Iterator[Change]:
    """A step that has come as often as it may comes once more."""
    for last in shuffled(range(1, len(case.events)), rng):
        yield from _again(case, last, last)


def returned(case: Case, rng: random.Random) -> Iterator[Change]:
    """Several steps that were over are gone through again."""
    size = len(case.events)
    loops = [(n, m) for n in range(1, size) for m in range(n + 1, min(n + LONGEST_LOOP, size))]
    for first, last in shuffled(loops, rng):
        yield from _again(case, first, last)


def step_missing(case: Case, rng: random.Random) -> Iterator[Change]:
    """A step, or the end, comes without an earlier one that it needs."""
    size = len(case.events)
    gaps = [(n, m) for n in range(1, size) for m in range(n + 1, min(n + LONGEST_GAP, size) + 1)]
    for first, end in shuffled(gaps, rng):
        yield Change(case.events[:first] + case.events[end:], first)


def passes_for_normal(case: Case) -> bool:
    """Whether all neighbouring types, start and end included, follow each other in normal cases."""
    process = PROCESSES[case.category]
    edges = process.edges()
    pairs = zip(case.types, (*case.types[1:], END), strict=True)
    return case.types[:1] == (process.first,) and all(pair in edges for pair in pairs)


STRUCTURE = (foreign, skipped, swapped, repeated, premature_end)
MEMORY = (done_again, returned, step_missing)


def _again(case: Case, first: int, last: int) -> Iterator[Change]:
    """The steps from ``first`` to ``last`` come again after ``last``, with the delays they had."""
    block, end = case.events[first : last + 1], case.events[last].at
    by = end - case.events[first - 1].at
    again = moved([_next_attempt(case, event) for event in block], by, end)
    rest = again and moved(case.events[last + 1 :], by, again[-1].at)
    if rest is not None and again:
        events = [*case.events[: last + 1], *again, *rest]
        yield Change(events, last + 1, resumes=last + 1 + len(again))


def _next_attempt(case: Case, event: Event) -> Event:
    """The event as one more attempt: where ids number the attempts, they go on counting."""
    count = case.types.count(event.type)
    return replace(
        event, data={k: _renumbered(v, case.id, count + 1) for k, v in event.data.items()}
    )


def _renumbered(value: Any, case_id: str, number: int) -> Any:
    if not isinstance(value, str):
        return value
    stem, _, attempt = value.rpartition("-")
    counts = attempt.isdigit() and stem.endswith(case_id.partition("-")[2])
    return f"{stem}-{number}" if counts else value
