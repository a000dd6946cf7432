"""Ways to change a case: what every kind of anomaly is made of.

A change touches one thing and leaves the rest as it was. Where a delay changes, everything after it
moves by the same time, and nothing that happened in business hours may leave them by that.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, get_args

from procutils.cases import Case, Event
from procutils.finance.calendar import closing, is_business_day, opening
from procutils.finance.events import EVENT_TYPES
from procutils.finance.processes import PROCESSES
from procutils.finance.schema import shape

#: The time of an event, named like a field, as the process names it in a violation.
TIMESTAMP = "timestamp"


@dataclass(frozen=True)
class Change:
    """Something done to the events of a case.

    position: index of the first event that is wrong given those before it; the length of the case
        if what is wrong is that nothing more comes.
    wrong: the fields of that event that are wrong, the decisive one first → the value that would
        be right, None where more than one would be. Empty if no field is.
    resumes: where the original goes on, if the times or persons after the change were adapted to
        it: from there on no field may be wrong.
    seen_at: when the case is looked at, if that decides.
    """

    events: list[Event]
    position: int
    wrong: dict[str, Any] = field(default_factory=dict)
    resumes: int | None = None
    seen_at: datetime | None = None


def places(case: Case, rng: random.Random, *types: type) -> list[int]:
    """The indices of the events of these types, in random order."""
    names = {kind.__name__ for kind in types}
    return shuffled((n for n, name in enumerate(case.types) if name in names), rng)


def shuffled(items: Iterable[Any], rng: random.Random) -> list[Any]:
    items = list(items)
    rng.shuffle(items)
    return items


def latest(case: Case, kind: type, before: int) -> Event:
    """The last event of a type before a position (StopIteration if there is none)."""
    return next(e for e in reversed(case.events[:before]) if e.type == kind.__name__)


def with_values(case: Case, position: int, several: bool = False, **values: Any) -> Change:
    """Other values in some fields of one event. several: more than one value would be right."""
    event = case.events[position]
    changed = replace(event, data=event.data | values)
    right = {name: None if several else event.data[name] for name in values}
    return Change([*case.events[:position], changed, *case.events[position + 1 :]], position, right)


def vocabulary(event: Event, name: str) -> tuple[str, ...]:
    """The words that a field may hold, whatever else happened."""
    return get_args(shape(EVENT_TYPES[event.type])[name])


def misfits(case: Case, position: int, name: str, rng: random.Random) -> Iterator[Change]:
    """Each word of its vocabulary that the process does not allow in one field here."""
    process, event = PROCESSES[case.category], case.events[position]
    changes = [with_values(case, position, **{name: word}) for word in vocabulary(event, name)]
    reasons = [process.accepts(Case(case.id, change.events)) for change in changes]
    wrong = [
        change
        for change, reason in zip(changes, reasons, strict=True)
        if reason and (reason.position, reason.field) == (position, name)
    ]
    unique = len(wrong) == len(changes) - 1
    for change in shuffled(wrong, rng):
        yield change if unique else replace(change, wrong={name: None})


def moved(events: Sequence[Event], by: timedelta, after: datetime) -> list[Event] | None:
    """The events, all of them earlier or later by the same time.

    None if that is impossible: the first would not come after ``after``, or one that happened in
    business hours would happen outside.
    """
    if any(in_hours(event.at) and not in_hours(event.at + by) for event in events):
        return None
    if events and events[0].at + by <= after:
        return None
    return [replace(event, at=event.at + by) for event in events]


def in_hours(moment: datetime) -> bool:
    day = moment.date()
    return is_business_day(day) and opening(day) <= moment <= closing(day)


def delayed(case: Case, position: int, at: datetime) -> Iterator[Change]:
    """The event comes ``at`` another time, everything after it moves along; one change or none."""
    event, before = case.events[position], case.events[:position]
    rest = moved(case.events[position:], at - event.at, before[-1].at)
    if rest is not None:
        yield Change(before + rest, position, {TIMESTAMP: None}, resumes=position + 1)


def without(case: Case, first: int, end: int) -> Iterator[Change]:
    """The events from ``first`` to before ``end`` are left out; the rest keeps its delays.

    ``end`` must be the index of an event. One change or none.
    """
    before = case.events[:first]
    rest = moved(case.events[end:], before[-1].at - case.events[end - 1].at, before[-1].at)
    if rest is not None:
        yield Change(before + rest, first, resumes=first + 1)
