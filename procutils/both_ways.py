"""Counts read forwards and backwards, for a log that holds its anomalies already.

A model learns the steps of an anomaly by heart if it is fitted on it. So each case is judged by all
the *others*: its own counts are taken out, and put back. And a step is judged from both sides:
after some events anything may come, so that a step left out is no surprise; but before the event
that came then, something else always stood.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from math import log
from typing import Self

from procutils.attribute_baselines import FieldKey, recurring_texts
from procutils.backoff import witten_bell
from procutils.baselines import some
from procutils.cases import END, START, Case
from procutils.logs_rows import CASE_PREFIX
from procutils.words import label

#: A value that was never seen counts for so many events.
UNSEEN_COUNT = 0.5
#: Steps are put together by this norm: between their sum, which lets long cases look strange, and
#: the strangest alone.
NORM = 4
#: An attribute may surprise by so many times its entropy: where hundreds of people do a step, many
#: of them do it seldom, and a long case meets some of those. Chosen on three real logs, whose
#: anomalies are no test of it any more. The price: among a dozen usual values and more, a wrong one
#: is not strange.
USUAL = 4

Context = tuple[str, ...]


class BothWays:
    """How strange a case is to the other cases of a log, by its steps and by its attributes.

    A step from one event type to the next surprises by the mean of −log p(next | before) and
    −log p(before | next), less what steps from there, and to there, surprise on average (their
    entropies); likewise an attribute of an event, given the type, less USUAL times its entropy. Of
    attributes only texts that recur count, and none of those that are said of the whole case. The
    norm of the surprises of all steps is added to the sum of those of the attributes.
    """

    def __init__(self, order: int = 2) -> None:
        """order: of the n-grams in both directions: 2 looks at neighbours alone."""
        if order < 1:
            raise ValueError(f"order is {order}; an n-gram has an order of at least 1")
        self.order = order
        self._ways = (_Steps(order), _Steps(order))
        self._values: dict[FieldKey, Counter[str]] = {}
        self._entropies: dict[FieldKey, float] = {}
        self._ids: frozenset[str] = frozenset()

    def fit(self, cases: Iterable[Case]) -> Self:
        """Count; a second call starts afresh. Raises ValueError if there are no cases."""
        cases = some(cases)
        self._ways = (_Steps(self.order), _Steps(self.order))
        recurring = recurring_texts(cases)
        values: defaultdict[FieldKey, Counter[str]] = defaultdict(Counter)
        for case in cases:
            for steps, types in zip(self._ways, _both(case), strict=True):
                steps.add(types, 1)
            for key, value in _attributes(case):
                if key in recurring:
                    values[key][value] += 1
        self._values = dict(values)
        self._entropies = {key: _entropy(counts) for key, counts in values.items()}
        self._ids = frozenset(case.id for case in cases)
        return self

    def case_scores(self, cases: Iterable[Case]) -> list[float]:
        """How strange each case is (nats); one that was fitted on is judged by the others."""
        known: dict[tuple[bool, Context], float] = {}
        scores = []
        for case in cases:
            itself = case.id in self._ids
            key = itself, (case.category, *case.types)
            if key not in known:
                known[key] = self._steps(case, itself)
            scores.append(known[key] + self._attributes(case, itself))
        return scores

    @property
    def parameters(self) -> int:
        """How many counts the model keeps."""
        return sum(map(len, (*self._ways, *self._values.values())))

    def _steps(self, case: Case, itself: bool) -> float:
        forward, backward = (
            steps.surprises(types, itself)
            for steps, types in zip(self._ways, _both(case), strict=True)
        )
        each = zip(forward, reversed(backward), strict=True)
        return sum(max((a + b) / 2, 0.0) ** NORM for a, b in each) ** (1 / NORM)

    def _attributes(self, case: Case, itself: bool) -> float:
        total = 0.0
        for key, value in _attributes(case):
            if key in self._values:
                counts = self._values[key]
                seen = max(counts[value] - itself, 0) + UNSEEN_COUNT
                among = counts.total() - itself + UNSEEN_COUNT * (len(counts) + 1)
                total += max(-log(seen / among) - USUAL * self._entropies[key], 0.0)
        return total


class _Steps:
    """Back-off counts of what follows what, from which a case can be taken out again."""

    def __init__(self, order: int) -> None:
        self._order = order
        self._counts: defaultdict[Context, Counter[str]] = defaultdict(Counter)

    def __len__(self) -> int:
        return sum(map(len, self._counts.values()))

    def add(self, types: Context, count: int) -> None:
        """Count a case ``count`` times more; -1 takes it out."""
        for i in range(2, len(types)):
            for context in self._contexts(types, i):
                self._counts[context][types[i]] += count
                if not self._counts[context][types[i]]:
                    del self._counts[context][types[i]]

    def surprises(self, types: Context, itself: bool) -> list[float]:
        """By how much each step surprises more than steps there do (nats); ``itself``: whether
        the case was counted."""
        self.add(types, -itself)
        found = []
        for i in range(2, len(types)):
            tables = [t for c in self._contexts(types, i) if (t := self._counts.get(c))]
            base = 1 / (len(self._counts.get(types[:1], ())) + 1)
            expected = _entropy(tables[-1]) if tables else 0.0
            found.append(-log(witten_bell(tables, types[i], base)) - expected)
        self.add(types, itself)
        return found

    def _contexts(self, types: Context, i: int) -> Iterator[Context]:
        """The category, and with it ever more of the types before ``i``."""
        for length in range(min(self._order, i)):
            yield (types[0], *types[i - length : i])


def _both(case: Case) -> tuple[Context, Context]:
    """The category, then the types from START to END; and from END to START."""
    types = (START, *case.types, END)
    return (case.category, *types), (case.category, *types[::-1])


def _attributes(case: Case) -> Iterator[tuple[FieldKey, str]]:
    for event in case.events:
        for name, value in event.data.items():
            if not name.startswith(CASE_PREFIX):
                yield (event.type, name), label(value)


def _entropy(counts: Counter[str]) -> float:
    total = counts.total()
    return -sum(n / total * log(n / total) for n in counts.values())
