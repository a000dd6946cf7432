"""The words in which a process is declared.

A process is a list of steps, one per event type. A step says how its event is made (``emit``),
what may follow it with which weight (``then``), and what must hold for its fields, actors and times
(``checks``). All of them see the :class:`History` of the case, and the history holds nothing but
the events so far: the distribution of the next event given a prefix is therefore exact.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from procutils.cases import Event
from procutils.finance.events import EVENT_TYPES

#: What one must look at to see that something is wrong.
TIERS = ("structure", "memory", "payload", "actor", "time", "silence")

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

    rule: the condition in words, completing "after X it comes only …". tier: what one must look
    at to see it broken.
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
    field, value: the field that is wrong and what it holds ("timestamp" for the time of the
        event); None if the event should not have come at all.
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
        return f"{where}{what}, against a rule ({self.tier}): {self.rule}"


def pick(rng: random.Random, weights: dict[Any, float]) -> Any:
    """One key of ``weights``, with probability in proportion to its weight."""
    return rng.choices(list(weights), list(weights.values()))[0]
