"""Anomalies for any log, after Nolle et al., that no glance at a label or a clock gives away.

Source: Nolle, Luettgen, Seeliger & Mühlhäuser, "Analyzing business process anomalies using
autoencoders", Machine Learning 107, 2018, and "BINet", Information Systems 103, 2022. Where this
departs from them, it is to leave no trace of the injecting itself: inserted events and changed
attributes take their values from the log, never the one that was there; times are repaired so that
they fit the new order; and an event that is put in brings the attributes of a real one.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

from procutils.cases import Case, Event
from procutils.logs_rows import CASE_PREFIX
from procutils.words import label

#: The bounds of Nolle et al.
MOST_SKIPPED, MOST_INSERTED, MOST_FIELDS, MOST_EVENTS, FARTHEST = 2, 2, 2, 3, 5
REWORKED = (2, 3)
MOST_SHIFTED = 2

#: Tries at a random change before a case counts as one that cannot be changed so.
TRIES = 20


@dataclass(frozen=True)
class LogAnomaly:
    """A changed case. kind: one of KINDS. position: of the first event that is not as it was."""

    case: Case
    kind: str
    position: int


class Injector:
    """Changes cases of one log; what it puts in it takes from that log."""

    def __init__(self, cases: Sequence[Case]) -> None:
        """cases: of one category, to learn the log's events, attributes and delays from."""
        self._delays: defaultdict[str, list[timedelta]] = defaultdict(list)
        values: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._values: dict[str, dict[str, Any]] = {}
        for case in cases:
            for before, event in pairwise(case.events):
                self._delays[event.type].append(event.at - before.at)
            for event in case.events:
                for name, value in event.data.items():
                    if value is not None and not _shared(name):
                        values[name][label(value)] += 1
                        self._values.setdefault(name, {}).setdefault(label(value), value)
        # Only what recurs says something of the process; an identifier is always new.
        self._fields = {
            name: sorted(counts)
            for name, counts in sorted(values.items())
            if 2 * sum(n for n in counts.values() if n > 1) >= counts.total()
        }
        self._events = [event for case in cases for event in self.plain(case).events]
        #: The attributes that may be changed.
        self.changeable = {name for name, found in self._fields.items() if len(found) > 1}

    def plain(self, case: Case) -> Case:
        """The case without attributes that identify an event: one that comes twice, or in two
        cases, would say that something was injected."""
        fields = self._fields.keys()
        events = [
            replace(event, data={n: v for n, v in event.data.items() if n in fields or _shared(n)})
            for event in case.events
        ]
        return Case(case.id, events)

    def inject(self, case: Case, kind: str, rng: random.Random) -> LogAnomaly | None:
        """The plain case with an anomaly of this kind; None where it has no room for one, or where
        the change would not be seen in types and attributes.

        Raises ValueError for an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of anomaly: choose from {', '.join(KINDS)}")
        case = self.plain(case)
        for _ in range(TRIES):
            events = KINDS[kind](self, case.events, rng)
            if events is None:
                return None
            if _said(events) != _said(case.events):
                pairs = zip(_said(events), _said(case.events), strict=False)
                apart = (i for i, (now, was) in enumerate(pairs) if now != was)
                position = next(apart, min(len(events), len(case.events)))
                return LogAnomaly(Case(case.id, _with_case_fields(events, case)), kind, position)
        return None

    def contaminate(
        self, cases: Sequence[Case], share: float, rng: random.Random
    ) -> list[LogAnomaly | Case]:
        """The plain cases in order, ``share`` of them changed, each kind as often as the others.

        Raises ValueError if too few can be changed.
        """
        wanted = round(share * len(cases))
        found: dict[int, LogAnomaly] = {}
        kinds = list(KINDS)
        for number in rng.sample(range(len(cases)), len(cases)):
            if len(found) == wanted:
                break
            kind = kinds[len(found) % len(kinds)]
            if anomaly := self.inject(cases[number], kind, rng):
                found[number] = anomaly
        if len(found) < wanted:
            raise ValueError(
                f"only {len(found)} of the {wanted} anomalies wanted could be injected: the cases "
                "are too short, or no attribute recurs"
            )
        return [found.get(number, self.plain(case)) for number, case in enumerate(cases)]

    def _skip(self, events: list[Event], rng: random.Random) -> list[Event] | None:
        """Up to two neighbouring events are missing; what came later came when it did."""
        if len(events) < 2:
            return None
        size = rng.randint(1, min(MOST_SKIPPED, len(events) - 1))
        start = rng.randrange(len(events) - size + 1)
        return events[:start] + events[start + size :]

    def _rework(self, events: list[Event], rng: random.Random) -> list[Event] | None:
        """Two or three neighbouring events come once more right after; what follows comes later."""
        sizes = [size for size in REWORKED if size <= len(events)]
        if not sizes:
            return None
        size = rng.choice(sizes)
        start = rng.randrange(len(events) - size + 1)
        again = [_own(event) for event in events[start : start + size]]
        return self._put_in(events, start + size, again, rng)

    def _early(self, events: list[Event], rng: random.Random) -> list[Event] | None:
        return self._shifted(events, rng, -1)

    def _late(self, events: list[Event], rng: random.Random) -> list[Event] | None:
        return self._shifted(events, rng, 1)

    def _shifted(
        self, events: list[Event], rng: random.Random, direction: int
    ) -> list[Event] | None:
        """Up to two neighbouring events come up to five places earlier or later: they take the
        times of the places they come to, so that no clock goes back."""
        sizes = [n for n in range(1, MOST_SHIFTED + 1) if n < len(events)]
        if not sizes:
            return None
        size = rng.choice(sizes)
        start = rng.randrange(len(events) - size + 1)
        room = start if direction < 0 else len(events) - size - start
        if not room:
            return events
        goal = start + direction * rng.randint(1, min(FARTHEST, room))
        block, rest = events[start : start + size], events[:start] + events[start + size :]
        order = [*rest[:goal], *block, *rest[goal:]]
        times = [event.at for event in events]
        return [replace(event, at=at) for event, at in zip(order, times, strict=True)]

    def _insert(self, events: list[Event], rng: random.Random) -> list[Event] | None:
        """Up to two events of other cases, with their attributes, at random places."""
        for _ in range(rng.randint(1, MOST_INSERTED)):
            stranger = _own(rng.choice(self._events))
            events = self._put_in(events, rng.randint(1, len(events)), [stranger], rng)
        return events

    def _attribute(self, events: list[Event], rng: random.Random) -> list[Event] | None:
        """Up to two attributes of up to three events hold another value of the log."""
        able = [i for i, event in enumerate(events) if self.changeable & event.data.keys()]
        if not able:
            return None
        changed = list(events)
        for i in rng.sample(able, rng.randint(1, min(MOST_EVENTS, len(able)))):
            names = sorted(self.changeable & events[i].data.keys())
            data = dict(events[i].data)
            for name in rng.sample(names, rng.randint(1, min(MOST_FIELDS, len(names)))):
                others = [text for text in self._fields[name] if text != label(data[name])]
                data[name] = self._values[name][rng.choice(others)]
            changed[i] = replace(events[i], data=data)
        return changed

    def _put_in(
        self, events: list[Event], place: int, new: Sequence[Event], rng: random.Random
    ) -> list[Event]:
        """New events at a place, each as long after the one before as its type takes in the log;
        what follows is put off by as much as they took."""
        before, at = events[:place], events[place - 1].at
        took = []
        for event in new:
            at += rng.choice(self._delays[event.type] or [timedelta(minutes=5)])
            took.append(replace(event, at=at))
        put_off = at - events[place - 1].at
        return [
            *before,
            *took,
            *(replace(event, at=event.at + put_off) for event in events[place:]),
        ]


Change = Callable[[Injector, list[Event], random.Random], list[Event] | None]
KINDS: dict[str, Change] = {
    "skip": Injector._skip,
    "rework": Injector._rework,
    "early": Injector._early,
    "late": Injector._late,
    "insert": Injector._insert,
    "attribute": Injector._attribute,
}


def _shared(name: str) -> bool:
    """Whether it is said of the case, not of the event."""
    return name.startswith(CASE_PREFIX)


def _own(event: Event) -> Event:
    """The event without what its first event says of the case."""
    data = {name: v for name, v in event.data.items() if not _shared(name)}
    return replace(event, data=data)


def _with_case_fields(events: Sequence[Event], case: Case) -> list[Event]:
    """What the log says of the case stands in its first event, whichever that is now."""
    first = case.events[0].data
    shared = {name: value for name, value in first.items() if _shared(name)}
    own = [_own(event) for event in events]
    return [replace(own[0], data=shared | own[0].data), *own[1:]]


def _said(events: Sequence[Event]) -> list[tuple[str, dict[str, Any]]]:
    return [(event.type, _own(event).data) for event in events]
