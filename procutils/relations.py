"""Arithmetic between the fields of a case that always held in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from math import lgamma, log
from typing import Any

import numpy as np

from procutils.occurrences import Occurrence, said_before
from procutils.words import is_number, label, to_float
from procutils.written import CENT, Field, Key, name_in

#: What held fewer times than this may be chance.
LEAST = 10
#: As is what held fewer times in place of another rule.
LEAST_ELSE = 5
#: So may what would hold with this probability if the values were shuffled among the cases.
CHANCE = 0.05
#: Numbers are compared in so many occurrences first, and in all of them if they agree there.
SAMPLE = 60


class Earlier:
    """What events of one type can follow from: the fields said before them in their cases.

    keys: those of other event types, sorted. some: occurrences spread evenly over ``seen``.
    """

    def __init__(self, seen: Sequence[Occurrence]) -> None:
        self.type = seen[0].event.type
        self.keys = [key for key in said_before(seen) if name_in(self.type, key) is None]
        self.some = seen[:: -(-len(seen) // SAMPLE)]
        self._values: dict[Key, list[Any]] = {}
        self._known: set[Key] = set()
        self._numbers: dict[Key, tuple[np.ndarray, np.ndarray]] = {}

    def values(self, key: Key) -> list[Any]:
        """What a field last said, for the sample; None where nothing."""
        if key not in self._values:
            values = [one.memory.value(key, one.event) for one in self.some]
            self._values[key] = values
            if 4 * sum(value is not None for value in values) >= len(values):
                self._known.add(key)
        return self._values[key]

    def known(self, key: Key) -> bool:
        """Whether a field has said something often enough to be copied."""
        self.values(key)
        return key in self._known

    def numbers(self, key: Key) -> tuple[np.ndarray, np.ndarray]:
        """:meth:`values`, NaN where that is no number; and the totals."""
        if key not in self._numbers:
            totals = [one.memory.total(key, one.event) for one in self.some]
            self._numbers[key] = _floats(self.values(key)), np.array(totals)
        return self._numbers[key]


def relations(seen: Sequence[Occurrence], earlier: Earlier) -> dict[str, Field]:
    """How fields of one event type always follow from others: field → the simplest that fits.

    A copy of one field, or one to one with it; for numbers also its total over the case, a field
    less the total of another, or a product of two. It must have held every time that it could be
    checked, at least LEAST times and for half of the occurrences; and the values must vary enough
    that no shuffle of them over the cases is likely to fit as well, all fields tried counted, or
    those of the same name.
    """
    orders = dict.fromkeys(tuple(one.event.data) for one in seen)
    found = {}
    for name in dict.fromkeys(name for order in orders for name in order):
        siblings = {s for order in orders if name in order for s in order[: order.index(name)]}
        keys = [*earlier.keys, *(f"{earlier.type}.{sibling}" for sibling in siblings)]
        keys.sort(key=lambda key: (not key.endswith(f".{name}"), key))
        namesakes = [key for key in keys if key.endswith(f".{name}")]
        ways = _log_shuffles(name, seen)
        if ways < log(max(len(keys), 1) / CHANCE):
            keys = namesakes
        if keys and ways >= log(len(keys) / CHANCE):
            fits = (
                field for field in _candidates(name, keys, seen, earlier) if _holds(field, seen)
            )
            if field := next(fits, None):
                found[name] = replace(_or_another(field, keys, seen), usual="same")
    return found


def _or_another(field: Field, keys: Sequence[Key], seen: Sequence[Occurrence]) -> Field:
    """A copy with the fields that it is a copy of where the first was not said: what was booked is
    what was filled, or what was filled until the order was cancelled."""
    untold = [one for one in seen if not field.text(one.event, one.memory)]
    if field.kind != "copy" or len(untold) < LEAST_ELSE:
        return field
    if _log_shuffles(field.name, untold) < log(len(keys) / CHANCE):
        return field
    earlier = Earlier(untold)
    for key in keys:
        copy = Field(field.name, "copy", (key,))
        if earlier.known(key) and _holds(copy, untold, LEAST_ELSE):
            return _or_another(replace(field, like=(*field.like, key)), keys, seen)
    return field


def mostly(name: str, seen: Sequence[Occurrence], earlier: Earlier) -> Key | None:
    """The earlier field that a number most often equals, if that is in over half of the events."""
    now = _floats([one.value(name) for one in earlier.some])
    shares = {
        key: sum(_alike(one, name, key) for one in seen) / len(seen)
        for key in earlier.keys
        if (now == earlier.numbers(key)[0]).mean() > 1 / 4
    }
    best = max(shares, key=shares.__getitem__, default=None)
    return best if best is not None and shares[best] > 1 / 2 else None


def _alike(one: Occurrence, name: str, key: Key) -> bool:
    before = one.memory.latest(key)
    return is_number(before) and one.value(name) == before


def _log_shuffles(name: str, seen: Sequence[Occurrence]) -> float:
    """Log of the number of ways to spread the values over the cases: what is the same throughout
    a case counts once."""
    values = Counter(text for _, text in {(one.case, label(one.value(name))) for one in seen})
    return lgamma(values.total() + 1) - sum(lgamma(count + 1) for count in values.values())


def _holds(field: Field, seen: Sequence[Occurrence], least: int = LEAST) -> bool:
    checked = 0
    for one in seen:
        text = field.text(one.event, one.memory)
        if text not in ("same", ""):
            return False
        checked += bool(text)
    return checked >= least and 2 * checked >= len(seen)


def _candidates(
    name: str,
    keys: Sequence[Key],
    seen: Sequence[Occurrence],
    earlier: Earlier,
) -> Iterator[Field]:
    """Relations that may hold, the simplest first; the caller checks them in all occurrences."""
    some = [one.value(name) for one in earlier.some]
    known = [key for key in keys if earlier.known(key)]
    for key in known:
        copy = Field(name, "copy", (key,))
        told = zip(some, earlier.values(key), strict=True)
        if all(copy.compared(value, other) in ("same", "") for value, other in told):
            yield copy
    values = [one.value(name) for one in seen]
    present = [value for value in values if value is not None]
    if 2 * len({*map(label, present)}) <= len(present):
        for key in known:
            told = zip(earlier.values(key), some, strict=True)
            if _pairs(told) and (mapping := _mapping(name, key, seen)):
                yield Field(name, "map", (key,), mapping=mapping)
    if not all(map(is_number, values)):
        return
    numbers = _floats(values)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers) or np.ptp(numbers) <= 10 * CENT:
        return  # within the tolerance anything would fit
    now = _floats(some)
    latest = {key: earlier.numbers(key)[0] for key in known}
    latest = {key: column for key, column in latest.items() if not np.isnan(column).all()}
    totals = {key: total for key in sorted(keys) if (total := earlier.numbers(key)[1]).any()}
    every = np.array([*latest.values()]).reshape(-1, len(now))
    sums = np.array([*totals.values()]).reshape(-1, len(now))
    for key, fits in zip(totals, _fits(now, np.add, sums, 0), strict=True):
        if fits:
            yield Field(name, "total", (key,))
    for first, column in latest.items():
        for second, fits in zip(totals, _fits(now, np.subtract, column, sums), strict=True):
            if fits and first != second:
                yield Field(name, "rest", (first, second))
    for first, column in latest.items():
        for second, fits in zip(latest, _fits(now, np.multiply, column, every), strict=True):
            if fits and first < second:
                yield Field(name, "product", (first, second))


def _fits(now: np.ndarray, operation: np.ufunc, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """For each row of ``operation(a, b)`` whether it may be what stands in ``now``."""
    with np.errstate(invalid="ignore", over="ignore"):
        expected = operation(a, b)
        close = np.abs(now - expected) <= CENT + 1e-9 * np.abs(expected)
    known = np.isfinite(now) & np.isfinite(expected)
    return (close | ~known).all(axis=1) & (4 * known.sum(axis=1) >= len(now))


def _mapping(name: str, key: Key, seen: Sequence[Occurrence]) -> tuple[tuple[str, str], ...]:
    """Which value goes with which of another field; empty if they are not one to one. What was
    seen but once proves nothing, so all must have been seen twice."""
    pairs = _pairs((one.memory.value(key, one.event), one.value(name)) for one in seen)
    return tuple(sorted(pairs)) if min(pairs.values(), default=0) > 1 else ()


def _pairs(values: Iterable[tuple[Any, Any]]) -> Counter[tuple[str, str]]:
    """How often which two go together; empty if one goes with several."""
    pairs: Counter[tuple[str, str]] = Counter()
    there: dict[str, str] = {}
    back: dict[str, str] = {}
    for first, second in values:
        if first is None or second is None:
            continue
        pair = a, b = label(first), label(second)
        if there.setdefault(a, b) != b or back.setdefault(b, a) != a:
            return Counter()
        pairs[pair] += 1
    return pairs


def _floats(values: Sequence[Any]) -> np.ndarray:
    """As numbers; NaN for what is none."""
    return np.array([to_float(value) if is_number(value) else np.nan for value in values])
