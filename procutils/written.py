"""How one data field is written: its value, or how it relates to what the case said before."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from math import isclose
from typing import Any

from procutils.cases import Event
from procutils.words import delay_word, is_number, magnitude, parse_date, words

#: What the ranges between limits are called, by how many there are.
RANGES = {
    2: ("small", "large"),
    3: ("small", "middle", "large"),
    4: ("tiny", "small", "large", "huge"),
    5: ("tiny", "small", "middle", "large", "huge"),
}
#: Sums and products count as equal within this (absolute): cents, and what floats lose.
CENT = 0.01

Key = str
"""A field of a case: ``EventType.field``."""


@dataclass
class Memory:
    """What a case has said so far.

    latest: the latest value of each field. totals: the sum of each numeric field.
    """

    latest: dict[Key, Any] = field(default_factory=dict)
    totals: dict[Key, float] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        for name, value in event.data.items():
            key = f"{event.type}.{name}"
            self.latest[key] = value
            if is_number(value):
                self.totals[key] = self.totals.get(key, 0) + value

    def value(self, key: Key, event: Event) -> Any:
        """The value of a field when ``event`` has just come; None if nothing held it yet."""
        type_, _, name = key.rpartition(".")
        return event.data.get(name) if type_ == event.type else self.latest.get(key)

    def total(self, key: Key, event: Event) -> float:
        """The sum of a field when ``event`` has just come."""
        type_, _, name = key.rpartition(".")
        now = event.data.get(name) if type_ == event.type else None
        return self.totals.get(key, 0) + (now if is_number(now) else 0)


@dataclass(frozen=True)
class Field:
    """How one data field of one event type is written.

    kind: ``category`` (its value in words), ``number`` (the range between learned limits that it
        falls into), ``date`` (how far from the event), ``actor`` (which earlier actor it is, or
        another), ``due`` (the event against the date in an earlier field: early, due or late), or
        a relation, written as ``same``, ``more``, ``less`` or ``other`` than expected: ``copy`` of
        an earlier field, ``map`` (the value that goes with that of another field), ``total`` of one
        over the case, ``rest`` (a field less the total of another), ``product`` of two.
    like: the fields of the case, as ``type.field``, that it is compared with.
    mapping: for ``map``, the pairs: the other's value as text, and the one that goes with it.
    limits: for numbers, rising; a value that equals a limit is above it.
    usual: what it always said in training. It is then written only where it says something else:
        what always holds is not worth a token, and what breaks it should stand out.
    """

    name: str
    kind: str
    like: tuple[Key, ...] = ()
    limits: tuple[float, ...] = ()
    mapping: tuple[tuple[str, Any], ...] = ()
    usual: str | None = None

    def written(self, event: Event, memory: Memory) -> str:
        """What stands in the text of the case: nothing for the usual, else :meth:`text`."""
        text = self.text(event, memory)
        if self.usual is None:
            return text
        return "" if text in (self.usual, "") else f"{words(self.name)} {text}"

    def text(self, event: Event, memory: Memory) -> str:
        """This field in words: one line; empty only where there is nothing to compare with.

        memory: of the case before ``event``.
        """
        if self.kind == "due":
            date = parse_date(memory.latest.get(self.like[0]))
            days = (event.at.date() - date.date()).days if date else None
            return "" if days is None else "late" if days > 0 else "early" if days < 0 else "due"
        value = event.data.get(self.name)
        if value is None:
            return "none"
        if self.kind in RELATIONS:
            return self._compared(value, self.expected(event, memory))
        if self.kind == "actor":
            earlier = {key: memory.latest[key] for key in self.like if key in memory.latest}
            met = [key for key, who in earlier.items() if who == value]
            someone = "other" if earlier else "someone"
            return words(met[-1].rpartition(".")[2]) if met else someone
        if self.kind == "date" and (due := parse_date(value)):
            return delay_word(event.at, due)
        if isinstance(value, list):
            return words(", ".join(map(str, value)))
        if not is_number(value):
            return words(str(value))
        if self.kind == "number" and self.limits:
            return RANGES[len(self.limits) + 1][bisect_right(self.limits, value)]
        return magnitude(value)

    def expected(self, event: Event, memory: Memory) -> Any:
        """What a related field should hold; None if this cannot be told, or for other kinds."""
        if self.kind not in RELATIONS:
            return None
        first = memory.value(self.like[0], event)
        if self.kind == "copy":
            return first
        if self.kind == "map":
            return dict(self.mapping).get(str(first))
        if self.kind == "total":
            return memory.total(self.like[0], event)
        if not is_number(first):
            return None
        if self.kind == "rest":
            return first - memory.total(self.like[1], event)
        second = memory.value(self.like[1], event)
        return first * second if is_number(second) else None

    def _compared(self, value: Any, expected: Any) -> str:
        if expected is None:
            return ""
        if value == expected:
            return "same"
        if self.kind == "map" or not (is_number(value) and is_number(expected)):
            return "other"
        if isclose(value, expected, rel_tol=1e-9, abs_tol=CENT):
            return "same"
        return "more" if value > expected else "less"


RELATIONS = ("copy", "map", "total", "rest", "product")
