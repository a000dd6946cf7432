"""How one data field is written: its value, or how it relates to what the case said before."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from math import isclose, isfinite, isnan
from operator import itemgetter
from typing import Any

from procutils.cases import Event
from procutils.words import (
    delay_word,
    is_number,
    label,
    magnitude,
    parse_date,
    to_float,
    words,
)

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

    said: of each field every time that it was said: the number of the event, the value, and the sum
        of its numbers so far. events: how many have come. now: when the latest came.
    """

    said: dict[Key, list[tuple[int, Any, float]]] = field(default_factory=dict)
    events: int = 0
    now: datetime | None = None

    def add(self, event: Event) -> None:
        """An event has come."""
        for name, value in event.data.items():
            times = self.said.setdefault(f"{event.type}.{name}", [])
            total = times[-1][2] if times else 0.0
            times.append((self.events, value, total + _number(value)))
        self.events, self.now = self.events + 1, event.at

    def until_now(self) -> Memory:
        """A memory that stays as this one is now, and costs nothing, for both share what was said;
        only this one may grow."""
        return replace(self)

    def keys(self) -> list[Key]:
        """The fields that were said."""
        return [key for key, times in self.said.items() if times[0][0] < self.events]

    def latest(self, key: Key) -> Any:
        """What a field last said; None if nothing."""
        return self._last(key)[0]

    def value(self, key: Key, event: Event) -> Any:
        """What a field says when ``event`` has just come; None if nothing."""
        name = name_in(event.type, key)
        return self.latest(key) if name is None else event.data.get(name)

    def total(self, key: Key, event: Event) -> float:
        """The sum of a field when ``event`` has just come."""
        name = name_in(event.type, key)
        return self._last(key)[1] + (0 if name is None else _number(event.data.get(name)))

    def history(self, key: Key) -> list[Any]:
        """All that a field said, in order; None left out."""
        told = (value for number, value, _ in self.said.get(key, ()) if number < self.events)
        return [value for value in told if value is not None]

    def _last(self, key: Key) -> tuple[Any, float]:
        times = self.said.get(key, [])
        n = bisect_left(times, self.events, key=itemgetter(0))
        return times[n - 1][1:] if n else (None, 0.0)


def part_name(field: str) -> str:
    """What the part of an event that holds a field is called: as the field, or with ``field``
    behind it where the type or the delay of the event is called so already."""
    return f"{field} field" if field in ("type", "delay") else field


def name_in(type_: str, key: Key) -> str | None:
    """The name of a field of this event type; None if it is one of another type."""
    return key[len(type_) + 1 :] if key.startswith(f"{type_}.") else None


def _number(value: Any) -> float:
    return to_float(value) if is_number(value) else 0.0


@dataclass(frozen=True)
class Field:
    """How one data field of one event type is written.

    kind: ``category`` (its value in words), ``number`` (the range between learned limits that it
        falls into), ``date`` (how far from the event), ``actor`` (which earlier actor it is, or
        another, or someone where nobody was named), ``due`` (the event against the date in an
        earlier field: early, due or late), or a relation, written as ``same``, ``more``, ``less``
        or ``other`` than expected: ``copy`` of an earlier field (the first of several that was
        said), ``map`` (the value that goes with that of another field), ``total`` of one over the
        case, ``rest`` (a field less the total of another), ``product`` of two.
    like: the fields of the case, as ``type.field``, that it is compared with.
    mapping: for ``map``, the pairs: the other's value and the one that goes with it, both as text.
    limits: for numbers, rising; a value that equals a limit is above it.
    usual: what it always said in training. It is then written only where it says something else:
        what always holds is not worth a token, and what breaks it should stand out.
    """

    name: str
    kind: str
    like: tuple[Key, ...] = ()
    limits: tuple[float, ...] = ()
    mapping: tuple[tuple[str, str], ...] = ()
    usual: str | None = None

    @property
    def part(self) -> str:
        """What this part of an event is called: see :func:`part_name`."""
        return part_name(self.name)

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
            return self._due(event, memory)
        value = event.data.get(self.name)
        if self.kind in RELATIONS:
            return self.compared(value, self.expected(event, memory))
        if value is None:
            return "none"
        if self.kind == "actor":
            return self._who(value, memory)
        if self.kind == "date" and (due := parse_date(value)):
            return delay_word(event.at, due)
        if isinstance(value, list):
            return words(", ".join(map(str, value)))
        if not is_number(value):
            return words(str(value))
        if self.kind == "number" and self.limits and not isnan(to_float(value)):
            return RANGES[len(self.limits) + 1][bisect_right(self.limits, value)]
        return magnitude(value)

    def expected(self, event: Event, memory: Memory) -> Any:
        """What a related field should hold (``map``: as text); None if this cannot be told."""
        if self.kind == "copy":
            said = (memory.value(key, event) for key in self.like)
            return next((value for value in said if value is not None), None)
        first = memory.value(self.like[0], event)
        if self.kind == "map":
            return None if first is None else self._goes_with.get(label(first))
        if self.kind == "total":
            return memory.total(self.like[0], event)
        if not is_number(first):
            return None
        if self.kind == "rest":
            return to_float(first) - memory.total(self.like[1], event)
        second = memory.value(self.like[1], event)
        return to_float(first) * to_float(second) if is_number(second) else None

    @cached_property
    def _goes_with(self) -> dict[str, str]:
        return dict(self.mapping)

    def compared(self, value: Any, expected: Any) -> str:
        """A value of a related field, against the one that it should have."""
        if expected is None or expected != expected:  # NaN
            return ""
        if value is None:
            return "none"
        if self.kind == "map":
            return "same" if label(value) == label(expected) else "other"
        if not (is_number(value) and is_number(expected)):
            alike = isinstance(value, bool) == isinstance(expected, bool) and value == expected
            return "same" if alike else "other"
        a, b = to_float(value), to_float(expected)
        cents = 0 if self.kind == "copy" else CENT
        close = isfinite(a) and isfinite(b) and isclose(a, b, rel_tol=1e-9, abs_tol=cents)
        if value == expected or close:
            return "same"
        return "more" if value > expected else "less" if value < expected else "other"

    def _who(self, value: Any, memory: Memory) -> str:
        """The field that names the same one: the latest it said, or one it said earlier."""
        said = {key: memory.history(key) for key in self.like}
        latest = [key for key, who in said.items() if who[-1:] == [value]]
        if met := latest or [key for key, who in said.items() if value in who]:
            return ("" if latest else "earlier ") + words(met[-1].rpartition(".")[2])
        return "other" if any(said.values()) else "someone"

    def _due(self, event: Event, memory: Memory) -> str:
        date = parse_date(memory.latest(self.like[0]))
        if date is None:
            return ""
        today, day = event.at.astimezone(UTC).date(), date.date()
        return "late" if today > day else "early" if today < day else "due"


RELATIONS = ("copy", "map", "total", "rest", "product")
