"""What a process is: one declaration that simulates, judges, predicts and can be drawn.

A process is a list of steps, one per event type. A step says how its event is made (``emit``),
what may follow it with which weight (``then``), and what must hold for its fields, actors and times
(``checks``). All of them see the :class:`History` of the case, and the history holds nothing but
the events so far: the distribution of the next event given a prefix is therefore exact.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, TypeVar

from procutils.cases import END, Case, Event, EventScore
from procutils.finance.events import EVENT_TYPES
from procutils.finance.schema import misfit

#: What one must look at to see that something is wrong.
TIERS = ("structure", "memory", "payload", "actor", "time", "silence")

#: The probability that a score gives to what cannot happen.
IMPOSSIBLE = 1e-12

Fact = TypeVar("Fact")


class History:
    """The events of one case so far, each as an instance of its dataclass.

    key: the id of the case without its category.
    now: when the latest event happened; before the first, when the case starts.
    types: the event types so far, by name.
    first: the first value that every field had in this case.
    subject: the id of the case that this one is about, if there is one.
    """

    def __init__(self, key: str, now: datetime | None = None, subject: str | None = None) -> None:
        self.key, self.now, self.subject = key, now, subject
        self.types: list[str] = []
        self.first: dict[str, Any] = {}
        self._facts: dict[type, list[Any]] = {}

    def add(self, event: Event) -> None:
        fact = EVENT_TYPES[event.type](**event.data)
        self._facts.setdefault(type(fact), []).append(fact)
        self.first = event.data | self.first
        self.types.append(event.type)
        self.now = event.at

    @property
    def last(self) -> str | None:
        """The latest event type, None before the first event."""
        return self.types[-1] if self.types else None

    def all(self, kind: type[Fact]) -> list[Fact]:
        """The facts of one type, oldest first."""
        return self._facts.get(kind, [])

    def the(self, kind: type[Fact]) -> Fact:
        """The latest fact of a type that has occurred (IndexError if it has not)."""
        return self.all(kind)[-1]

    def count(self, kind: type) -> int:
        return len(self.all(kind))


#: How likely a step is, relative to its alternatives; it may depend on what happened.
Weight = float | Callable[[History], float]


@dataclass(frozen=True)
class When:
    """A step that is possible only under a condition.

    rule: the condition in words, completing "… follows only ". tier: what one must look at to
    see it broken.
    """

    condition: Callable[[History], bool]
    rule: str
    weight: Weight = 1.0
    tier: str = "memory"


@dataclass(frozen=True)
class Check:
    """Something that must hold for an event that arrives.

    field: the field that is wrong if it does not ("timestamp" for the time of the event).
    rule: what must hold, in words. holds: called with the history before the event, the event as
    its dataclass, and its time.
    """

    field: str
    tier: str
    rule: str
    holds: Callable[[History, Any, datetime], bool]


def payload(field: str, rule: str, holds: Callable[[History, Any, datetime], bool]) -> Check:
    return Check(field, "payload", rule, holds)


def actor(field: str, rule: str, holds: Callable[[History, Any, datetime], bool]) -> Check:
    return Check(field, "actor", rule, holds)


def timing(field: str, rule: str, holds: Callable[[History, Any, datetime], bool]) -> Check:
    return Check(field, "time", rule, holds)


@dataclass(frozen=True)
class Step:
    """One event type of a process.

    emit: makes the event and its time, given the history.
    then: what may follow: an event dataclass, or END, and its weight.
    """

    event: type
    emit: Callable[[History, random.Random], tuple[Any, datetime]]
    then: dict[type | str, Weight | When]
    checks: tuple[Check, ...] = ()

    @property
    def type(self) -> str:
        return self.event.__name__


@dataclass(frozen=True)
class Violation:
    """Why a case is not valid: the first event that the process cannot explain.

    position: index of the event; the length of the case if what is wrong is that it ends.
    type: the event type, or END. rule: what should have held. tier: one of TIERS.
    field: the field that is wrong; None if the event should not have come at all.
    """

    position: int
    type: str
    rule: str
    tier: str
    field: str | None = None
    value: Any = None

    @property
    def is_order(self) -> bool:
        """True if this type had probability zero here, whatever its fields."""
        return self.field is None

    def __str__(self) -> str:
        where = f"event {self.position + 1}, {self.type}"
        what = "" if self.is_order else f" with {self.field} = {self.value!r}"
        return f"{where}{what}, breaks a {self.tier} rule: {self.rule}"


class Process:
    """A kind of case, declared by its steps; the first one starts it.

    category: the first part of the stream names. key: the field that holds the rest.
    constant: fields that keep their first value for the whole case.
    """

    def __init__(
        self, category: str, key: str, steps: Sequence[Step], constant: Sequence[str] = ()
    ) -> None:
        self.category, self.key = category, key
        self.constant = (key, *constant)
        self.steps = {step.type: step for step in steps}
        self.first = steps[0].type
        self._then = {step.type: {_name(k): w for k, w in step.then.items()} for step in steps}
        self._then[None] = {self.first: 1.0}

    @property
    def types(self) -> tuple[str, ...]:
        """Its event types in declaration order."""
        return tuple(self.steps)

    def simulate(
        self, rng: random.Random, start: datetime, key: str, subject: str | None = None
    ) -> Case:
        """Draw one case that starts at ``start`` (UTC); every choice comes from ``rng``.

        subject: the id of the case that this one is about; it becomes the correlation id.
        """
        history, events = History(key, start, subject), []
        metadata = {"$correlationId": subject} if subject else {}
        while (kind := _draw(rng, self._distribution(history))) != END:
            fact, at = self.steps[kind].emit(history, rng)
            events.append(Event(kind, dict(vars(fact)), at, dict(metadata)))
            history.add(events[-1])
        return Case(f"{self.category}-{key}", events)

    def accepts(self, case: Case) -> Violation | None:
        """None if this process could have produced ``case``, else the first thing that is wrong."""
        history = History(case.id.partition("-")[2])
        for position, event in enumerate(case.events):
            if violation := self._judge(history, position, event):
                return violation
            history.add(event)
        return self._judge_order(history, len(case.events), END)

    def next_events(self, events: Sequence[Event]) -> dict[str, float]:
        """The true distribution of the next type, END included; {} if ``events`` are not valid."""
        history = self._start(events)
        for position, event in enumerate(events):
            if self._judge(history, position, event):
                return {}
            history.add(event)
        return self._distribution(history)

    def predictions(self, case: Case) -> list[dict[str, float]]:
        """``next_events`` of every prefix of ``case``: one more than it has events."""
        history, found = self._start(case.events), []
        for position, event in enumerate(case.events):
            found.append(self._distribution(history))
            if self._judge(history, position, event):
                return found + [{}] * (len(case.events) - position)
            history.add(event)
        return [*found, self._distribution(history)]

    def score(self, case: Case) -> list[EventScore]:
        """The log-probability of each type, END last; what is impossible gets IMPOSSIBLE.

        Their negative mean over many cases is the entropy of the process: no model does better.
        """
        outcomes = (*case.types, END)
        return [
            EventScore(kind, {"type": math.log(max(p.get(kind, 0.0), IMPOSSIBLE))})
            for kind, p in zip(outcomes, self.predictions(case), strict=True)
        ]

    @cached_property
    def _edges(self) -> dict[tuple[str, str], float]:
        passed: Counter[tuple[str, str]] = Counter()
        for index in range(500):
            rng = random.Random(f"{self.category}/{index}")
            case = self.simulate(rng, datetime.fromisoformat("2025-01-06T08:00:00Z"), str(index))
            passed.update(zip(case.types, (*case.types[1:], END), strict=True))
        left = Counter()
        for (source, _), times in passed.items():
            left[source] += times
        return {
            (source, target): passed[source, target] / left[source]
            for source in self.steps
            for target in self._then[source]
            if (source, target) in passed
        }

    def edges(self) -> dict[tuple[str, str], float]:
        """The process map: (type, next type or END) → its share of what follows that type.

        The shares are those of 500 simulated cases, always the same ones.
        """
        return dict(self._edges)

    def _start(self, events: Sequence[Event]) -> History:
        return History(str(events[0].data.get(self.key)) if events else "")

    def _distribution(self, history: History) -> dict[str, float]:
        weights = {kind: _weigh(w, history) for kind, w in self._then[history.last].items()}
        total = sum(weights.values())
        return {kind: weight / total for kind, weight in weights.items() if weight > 0}

    def _judge(self, history: History, position: int, event: Event) -> Violation | None:
        """The order first, then the shape of the event, then what its fields, actor, time say."""
        if violation := self._judge_order(history, position, event.type):
            return violation
        step, data = self.steps[event.type], event.data

        def breaks(field: str, rule: str, tier: str, value: Any) -> Violation:
            return Violation(position, event.type, rule, tier, field, value)

        if wrong := misfit(step.event, data):
            return breaks(*wrong, "payload", data.get(wrong[0]))
        fact = step.event(**data)
        known = history.first | {self.key: history.key}
        for name in self.constant:
            if name in data and data[name] != known.get(name, data[name]):
                return breaks(name, f"it stays {known[name]!r}", "payload", data[name])
        if history.now is not None and event.at <= history.now:
            return breaks("timestamp", "time moves on", "time", event.at)
        for check in step.checks:
            if not check.holds(history, fact, event.at):
                value = event.at if check.field == "timestamp" else data[check.field]
                return breaks(check.field, check.rule, check.tier, value)
        return None

    def _judge_order(self, history: History, position: int, kind: str) -> Violation | None:
        options, last = self._then[history.last], history.last or "the start"
        if kind not in options:
            rule = f"after {last} comes {' or '.join(options)}"
            return Violation(position, kind, rule, "structure")
        if _weigh(option := options[kind], history) > 0:
            return None
        return Violation(position, kind, f"after {last} it comes only {option.rule}", option.tier)


def _name(kind: type | str) -> str:
    return kind if isinstance(kind, str) else kind.__name__


def _weigh(option: Weight | When, history: History) -> float:
    if isinstance(option, When):
        return _weigh(option.weight, history) if option.condition(history) else 0.0
    return option(history) if callable(option) else option


def _draw(rng: random.Random, distribution: dict[str, float]) -> str:
    return rng.choices(list(distribution), list(distribution.values()))[0]


def pick(rng: random.Random, weights: dict[Any, float]) -> Any:
    """One key of ``weights``, with probability in proportion to its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]
