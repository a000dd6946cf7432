"""Changes of a case that could make it normal again, and the case as it would be then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from procutils.cases import Case, Event
from procutils.encoding import Encoding
from procutils.normal import Normal
from procutils.words import label
from procutils.written import RELATIONS, Field, Memory

#: Stands for a value of which only this is known: another one is needed.
ANOTHER = "(another)"

T = TypeVar("T")


@dataclass(frozen=True)
class Repair:
    """A change of a case.

    what: ``insert`` events, ``remove`` them, ``replace`` one by another, ``swap`` one with the
        next, ``set`` a field of one, or ``move`` one in time.
    position: of the (first) event, or where to insert. types: what to insert, to remove, or to put
        in place. field, value: for ``set``; the value may be ANOTHER.
    """

    what: str
    position: int
    types: tuple[str, ...] = ()
    field: str | None = None
    value: Any = None

    def applied(self, items: Sequence[T], new: Sequence[T]) -> list[T]:
        """The events of a case, or their types, in the order after the repair; ``new``: those that
        it brings."""
        before, after = [*items[: self.position]], [*items[self.position :]]
        match self.what:
            case "insert":
                return [*before, *new, *after]
            case "replace":
                return [*before, *new, *after[1:]]
            case "remove":
                return before + after[len(self.types) :]
            case "swap":
                return before + after[1::-1] + after[2:]
        return before + after

    def __str__(self) -> str:
        place, names = f"event {self.position + 1}", " and ".join(self.types)
        match self.what:
            case "insert":
                return f"insert {names} as {place}"
            case "replace":
                return f"replace {place} by {names}"
            case "remove":
                return f"remove {names} from {place} on"
            case "swap":
                return f"swap {place} with the next"
            case "set":
                value = "another value" if self.value == ANOTHER else repr(self.value)
                return f"set {self.field} of {place} to {value}"
        return f"{self.what} {place} in time"


def repaired(case: Case, repair: Repair, normal: Normal, encoding: Encoding | None) -> Case:
    """The case as the repair (but not ``move``, which names no time) would leave it.

    New events say what is most common, and what follows from the rest of the case; they come
    evenly spaced between their neighbours. Those swapped take each other's time.
    """
    new = [] if repair.what == "remove" else _new_events(case, repair, normal, encoding)
    events = repair.applied(case.events, new)
    at = repair.position
    if repair.what == "swap":
        for i in (at, at + 1):
            events[i] = replace(events[i], at=case.events[i].at)
    if repair.what == "set":
        events[at] = replace(events[at], data=events[at].data | {repair.field: repair.value})
    return Case(case.id, events)


def right_value(
    item: Field, event: Event, memory: Memory, normal: Normal, category: str
) -> Any | None:
    """What a field that is related to others should hold; None if that cannot be told."""
    value = item.expected(event, memory) if item.kind in RELATIONS else None
    if item.kind == "map" and value is not None:  # as text: find what it is the text of
        known = normal.choices(category, event.type, item.name)
        return next((found for found in known if label(found) == value), value)
    return float(f"{value:.12g}") if isinstance(value, float) else value


def _new_events(
    case: Case, repair: Repair, normal: Normal, encoding: Encoding | None
) -> list[Event]:
    around = case.events[max(repair.position - 1, 0) : repair.position + 1]
    if repair.what == "replace":
        around = around[-1:]
    start, wait = around[0].at, around[-1].at - around[0].at
    memory = Memory()
    for event in case.events[: repair.position]:
        memory.add(event)
    events = []
    for i, type_ in enumerate(repair.types):
        at = start + wait * (i + 1) / (len(repair.types) + 1)
        event = Event(type_, normal.example(case.category, type_), at)
        for item in encoding.fields.get(type_, ()) if encoding else ():
            right = right_value(item, event, memory, normal, case.category)
            if right is not None:
                event.data[item.name] = right
        memory.add(event)
        events.append(event)
    return events
