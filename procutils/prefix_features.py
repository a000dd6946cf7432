"""A running case as a row of numbers: what a tree or a regression can be fitted on."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from math import copysign, isfinite, log1p, nan
from typing import Any, Self

import numpy as np

from procutils.baselines import some
from procutils.cases import Case, Event
from procutils.words import is_number, label, parse_date, to_float

#: So many of the latest types are columns of their own.
RECENT = 5
#: So many values of a text field are told apart: the commonest; trees take up to 255.
MOST_VALUES = 200
#: A text field is of use if at least this share of its values came in other cases too.
RECURRING = 0.5

DAY = 24 * 3600.0


class PrefixFeatures:
    """Columns for every prefix of a case, learned from training cases; no name is known before.

    The latest types and how often each type came; how many events, how long since the start, the
    last and the last but one (log seconds), hour and weekday of the last; for each field name what
    it last said (numbers as signed logs, dates as log seconds to the event, texts by number), and
    for text fields of several events also what it said before that, and how many different values.
    Texts that do not recur from case to case identify something, and are left out.
    """

    def __init__(self) -> None:
        self.types: dict[str, int] = {}
        self.texts: dict[str, dict[str, int]] = {}
        self.numbers: list[str] = []
        self.repeated: list[str] = []

    @classmethod
    def fit(cls, cases: Iterable[Case]) -> Self:
        """Learn the columns. Raises ValueError if there are no cases."""
        cases = some(cases)
        self = cls()
        self.types = {t: i for i, t in enumerate(sorted({t for c in cases for t in c.types}))}
        held: dict[str, Counter[str]] = {}
        numbers: set[str] = set()
        often: Counter[str] = Counter()
        for case in cases:
            said: dict[str, set[str]] = {}
            for event in case.events:
                for name, value in event.data.items():
                    if _number(event, value) is not None:
                        numbers.add(name)
                    elif value is not None:
                        said.setdefault(name, set()).add(label(value))
            names = Counter(name for event in case.events for name in event.data)
            often.update(name for name, count in names.items() if count > 1)
            for name, values in said.items():
                held.setdefault(name, Counter()).update(values)
        self.numbers = sorted(numbers - held.keys())
        for name, values in sorted(held.items()):
            shared = sum(count for count in values.values() if count > 1)
            if len(values) > 1 and shared >= RECURRING * values.total():
                kept = [value for value, _ in values.most_common(MOST_VALUES)]
                self.texts[name] = {value: i + 1 for i, value in enumerate(kept)}
        self.repeated = [name for name in self.texts if 2 * often[name] > len(cases)]
        return self

    @property
    def categorical(self) -> list[bool]:
        """Of each column, whether its numbers are only names of values."""
        plain = len(self.types) + 6 + len(self.numbers) + len(self.repeated)
        return [True] * (RECENT + len(self.texts) + len(self.repeated)) + [False] * plain

    def rows(self, case: Case) -> np.ndarray:
        """[events, columns]: row i is of the prefix that ends with event i. NaN: not said."""
        return np.array([*self._rows(case)])

    def matrix(self, cases: Sequence[Case]) -> list[np.ndarray]:
        """``rows`` of each case."""
        return [self.rows(case) for case in cases]

    def _rows(self, case: Case) -> Iterator[list[float]]:
        recent: deque[float] = deque([nan] * RECENT, RECENT)
        counts = [0.0] * len(self.types)
        latest: dict[str, float] = {}
        before: dict[str, float] = {}
        met: dict[str, set[str]] = {name: set() for name in self.repeated}
        first = last = earlier = case.events[0].at
        for number, event in enumerate(case.events):
            earlier, last, at = last, event.at, event.at
            code = self.types.get(event.type)
            recent.append(nan if code is None else float(code))
            if code is not None:
                counts[code] += 1
            for name, value in event.data.items():
                if value is None:
                    continue
                if name in self.texts:
                    text = label(value)
                    before[name] = latest.get(name, nan)
                    latest[name] = float(self.texts[name].get(text, 0))
                    if name in met:
                        met[name].add(text)
                elif (found := _number(event, value)) is not None:
                    latest[name] = found
            start = case.events[max(number - 2, 0)].at
            local = at.astimezone(UTC)
            yield [
                *recent,
                *(latest.get(name, nan) for name in self.texts),
                *(before.get(name, nan) for name in self.repeated),
                *counts,
                float(number),
                _log_seconds(first, at),
                _log_seconds(earlier, at),
                _log_seconds(start, at),
                local.hour + local.minute / 60,
                float(local.weekday()),
                *(latest.get(name, nan) for name in self.numbers),
                *(float(len(met[name])) for name in self.repeated),
            ]


def _number(event: Event, value: Any) -> float | None:
    """A number or a date as one that trees can cut; None for what is neither."""
    if date := parse_date(value):
        return _signed_log((event.at - date).total_seconds())
    if not is_number(value):
        return None
    number = to_float(value)
    return _signed_log(number) if isfinite(number) else nan


def _signed_log(number: float) -> float:
    return copysign(log1p(abs(number)), number)


def _log_seconds(start: datetime, end: datetime) -> float:
    return log1p(max((end - start).total_seconds(), 0.0))
