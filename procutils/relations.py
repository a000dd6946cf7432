"""Arithmetic between the fields of a case that always held in training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from procutils.occurrences import Occurrence
from procutils.words import is_number
from procutils.written import CENT, Field, Key

#: What held fewer times than this may be chance.
LEAST = 10


def relation(type_: str, name: str, seen: Sequence[Occurrence]) -> Field | None:
    """How a field always follows from others, if it does: the simplest explanation that fits.

    A copy of one field, or one to one with it; for numbers also its total over the case, a field
    less the total of another, or a product of two. It must have held every time that it could be
    checked, at least LEAST times and for half of the occurrences, with more than one value.
    """
    values = [one.value(name) for one in seen]
    if len({str(value) for value in values}) < 2:
        return None
    own = f"{type_}.{name}"
    for field in _candidates(name, own, seen, all(map(is_number, values))):
        texts = [field.text(one.event, one.memory) for one in seen]
        checked = [text for text in texts if text]
        enough = 2 * len(checked) >= len(seen) and len(checked) >= LEAST
        if enough and all(text == "same" for text in checked):
            return replace(field, usual="same")
    return None


def _candidates(name: str, own: Key, seen: Sequence[Occurrence], numeric: bool) -> Iterator[Field]:
    """Relations that fit the first few occurrences: the rest is checked by the caller."""
    keys = sorted(
        {key for one in seen for key in _keys(name, one) if key != own},
        key=lambda key: (key.rpartition(".")[2] != name, key),
    )
    for key in keys:
        yield Field(name, "copy", (key,))
    for key in keys:
        if mapping := _mapping(name, key, seen):
            yield Field(name, "map", (key,), mapping=mapping)
    if not numeric:
        return
    now = np.array([one.value(name) for one in seen], dtype=float)
    latest = {key: _column([one.memory.value(key, one.event) for one in seen]) for key in keys}
    latest = {key: column for key, column in latest.items() if not np.isnan(column).all()}
    totals = {
        key: np.array([one.memory.total(key, one.event) for one in seen], dtype=float)
        for key in latest
    }
    totals = {key: column for key, column in sorted(totals.items()) if column.any()}

    def fits(expected: np.ndarray) -> bool:
        known = ~np.isnan(expected)
        return bool(np.isclose(now[known], expected[known], rtol=1e-9, atol=CENT).all())

    for key, column in totals.items():
        if fits(column):
            yield Field(name, "total", (key,))
    for first, column in latest.items():
        for second, total in totals.items():
            if first != second and fits(column - total):
                yield Field(name, "rest", (first, second))
    for first, second in permutations(latest, 2):
        if first < second and fits(latest[first] * latest[second]):
            yield Field(name, "product", (first, second))


def _mapping(name: str, key: Key, seen: Sequence[Occurrence]) -> tuple[tuple[str, Any], ...]:
    """Which value goes with which of another field, if each goes with one and no two with the same;
    empty if not. What was seen but once proves nothing, so all must have been seen twice."""
    pairs = Counter(
        (str(other), one.value(name))
        for one in seen
        if isinstance(one.value(name), Hashable)
        and (other := one.memory.value(key, one.event)) is not None
    )
    others, values = zip(*pairs, strict=True) if pairs else ((), ())
    one_to_one = len({*others}) == len({*map(str, values)}) == len(pairs)
    return (
        tuple(sorted(pairs, key=str)) if one_to_one and min(pairs.values(), default=0) > 1 else ()
    )


def _keys(name: str, one: Occurrence) -> list[Key]:
    """What a field can follow from: earlier events, and the fields before it in its own."""
    own, fields = one.event.type, list(one.event.data)
    before = fields[: fields.index(name)] if name in fields else []
    earlier = [key for key in one.memory.latest if key.rpartition(".")[0] != own]
    return [*earlier, *(f"{own}.{sibling}" for sibling in before)]


def _column(values: Sequence[Any]) -> np.ndarray:
    return np.array([value if is_number(value) else np.nan for value in values], dtype=float)
