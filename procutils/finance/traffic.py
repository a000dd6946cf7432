"""Live traffic: normal cases and anomalous ones, under way at the same time, to be watched."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from procutils.cases import Case, Event
from procutils.finance.anomalies import inject
from procutils.finance.events import PaymentApproved, PaymentExecuted, PaymentPendingApproval
from procutils.finance.processes import PROCESSES, simulate
from procutils.finance.waiting import longest_wait

#: New cases per business hour: two weeks of work for a few cases.
RATE = 0.25
#: A payment asks for a person, whose answer it may need to be executed.
ASKS, APPROVES = PaymentPendingApproval.__name__, PaymentApproved.__name__
EXECUTES = PaymentExecuted.__name__
#: A misrouted event comes so much earlier than the same event in its own stream.
STRAY = timedelta(seconds=30)
WEEK = timedelta(weeks=1)


@dataclass(frozen=True)
class Live:
    """A case of the traffic. wrong: what is wrong with it, None for a normal case."""

    case: Case
    wrong: str | None = None


def live_traffic(seed: int, cases: int, wrong: int, tag: str, start: datetime) -> list[Live]:
    """Cases of all processes from ``start`` on, mostly payments, of which ``wrong`` are anomalous.

    The ways to go wrong, those of ``WRONG``, take turns, as long as there are cases for them. tag:
    begins the last part of every stream name, and of every id in the data, instead of the one that
    simulating gives; all else depends on the other arguments alone. Raises ValueError where so many
    cases have no place for so many anomalies.
    """
    weights = dict.fromkeys(PROCESSES, 1.0) | {"payment": 3.0}
    drawn = _named(simulate(seed, cases, start=start, weights=weights, rate=RATE), tag)
    found = {case.id: Live(case) for case in drawn}
    kinds = deque(WRONG)
    for number in range(wrong):
        normal = [live.case for live in found.values() if live.wrong is None]
        changed = None
        while kinds and changed is None:
            kind = kinds.popleft()
            changed = next(WRONG[kind](normal, random.Random(f"{seed}/{number}")), None)
        if changed is None:
            raise ValueError(f"{cases} cases have no place for {wrong} anomalies: take more cases")
        kinds.append(kind)
        found[changed.id] = Live(changed, kind.replace("_", " "))
    return list(found.values())


def _named(cases: list[Case], tag: str) -> list[Case]:
    """The cases under other names, wherever their data or metadata say the old ones."""
    names = {case.id.partition("-")[2]: f"{tag}-{n:02}" for n, case in enumerate(cases)}

    def renamed(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        head, _, last = value.rpartition("-")
        return f"{head}-{names[last]}" if head and last in names else names.get(value, value)

    def event(of: Event) -> Event:
        data, metadata = ({k: renamed(v) for k, v in d.items()} for d in (of.data, of.metadata))
        return replace(of, data=data, metadata=metadata)

    return [Case(renamed(case.id), [event(e) for e in case.events]) for case in cases]


def _misrouted(cases: list[Case], rng: random.Random) -> Iterator[Case]:
    """An event of another process's case comes, which its own stream gets a moment later."""
    for owner in cases:  # early in the traffic, rather than late
        for before, event in zip(owner.events[:-1], owner.events[1:], strict=True):
            at = event.at - STRAY
            open_ = [
                c
                for c in cases
                if c.category != owner.category and c.events[0].at < at < c.events[-1].at
            ]
            if before.at < at and open_:
                other = rng.choice(open_)
                stray = replace(event, at=at, metadata={"$correlationId": owner.id})
                yield Case(other.id, sorted([*other.events, stray], key=lambda e: e.at))


def _asking(cases: list[Case], rng: random.Random) -> Iterator[tuple[Case, int]]:
    """Payments that ask for an approval, each with how many events it has by then."""
    for case in rng.sample(cases, len(cases)):
        if ASKS in case.types:
            yield case, case.types.index(ASKS) + 1


def _late(cases: list[Case], rng: random.Random) -> Iterator[Case]:
    """A payment is decided on weeks after it should have been."""
    for case, n in _asking(cases, rng):
        wait = longest_wait(Case(case.id, case.events[:n]))
        weeks = (wait // WEEK + 1) * WEEK  # whole ones: the hour and the day of the week stay
        later = [replace(event, at=event.at + weeks) for event in case.events[n:]]
        yield Case(case.id, case.events[:n] + later)


def _stopped(cases: list[Case], rng: random.Random) -> Iterator[Case]:
    """A payment is never decided on."""
    for case, n in _asking(cases, rng):
        yield Case(case.id, case.events[:n])


def _bypassed(cases: list[Case], rng: random.Random) -> Iterator[Case]:
    """A payment is executed although it only asked for its approval."""
    for case, n in _asking(cases, rng):
        left = [event for event in case.events[n:] if event.type not in (ASKS, APPROVES)]
        if EXECUTES in [event.type for event in left]:
            yield Case(case.id, case.events[:n] + left)


def _injected(kind: str, cases: list[Case], rng: random.Random) -> Iterator[Case]:
    for case in rng.sample(cases, len(cases)):
        if (injection := inject(case, kind, rng)) is not None:
            yield injection.case


def _skipped(cases: list[Case], rng: random.Random) -> Iterator[Case]:
    """A step is left out of another process than the payments."""
    yield from _injected("skipped", [case for case in cases if case.category != "payment"], rng)


#: The ways to go wrong: kinds of the benchmark, and some that only live traffic shows.
WRONG: dict[str, Callable[[list[Case], random.Random], Iterator[Case]]] = {
    "same_approver": partial(_injected, "same_approver"),
    "late": _late,
    "approval_bypassed": _bypassed,
    "stopped": _stopped,
    "misrouted": _misrouted,
    "skipped": _skipped,
}
