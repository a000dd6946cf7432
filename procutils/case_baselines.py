"""Judging a case as a whole, from a row of numbers about it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from math import copysign, log, log1p
from statistics import median
from typing import Self

import numpy as np
from sklearn.ensemble import IsolationForest as Forest

from procutils.attribute_baselines import FieldKey, finite, recurring_texts
from procutils.baselines import some
from procutils.cases import END, START, Case

#: What a process gets that training never showed: nothing is more easily isolated.
STRANGEST = 1.0


class IsolationForest:
    """How few random cuts set a case apart from the training cases of its process.

    Source: Liu, Ting & Zhou, "Isolation forest", ICDM 2008; a forest for each category. Features
    that seldom vary drown the others, so pairs of types are not counted one by one. A case has:
    how often each type comes; how rare its pairs of neighbouring types are, start and end
    included, at worst and on average (log share in training); the time from start to end and the
    longest and shortest gap (log seconds); for each name of a numeric field the mean and the
    range over the case (log); how many different actors it names, and how often one recurs.
    """

    def __init__(self, trees: int = 200, seed: int = 0) -> None:
        self.trees, self.seed = trees, seed
        self._forests: dict[str, tuple[_Features, Forest]] = {}

    def fit(self, cases: Iterable[Case]) -> Self:
        """Grow the forests; a second call starts afresh. ValueError if there are no cases."""
        by_category: defaultdict[str, list[Case]] = defaultdict(list)
        for case in some(cases):
            by_category[case.category].append(case)
        self._forests = {}
        for category, members in by_category.items():
            features = _Features(members)
            forest = Forest(n_estimators=self.trees, random_state=self.seed)
            self._forests[category] = features, forest.fit(features.rows(members))
        return self

    def case_scores(self, cases: Iterable[Case]) -> list[float]:
        """The anomaly score of the paper, between 0 and 1; STRANGEST for an unknown category."""
        cases = list(cases)
        scores = [STRANGEST] * len(cases)
        for category, (features, forest) in self._forests.items():
            mine = [i for i, case in enumerate(cases) if case.category == category]
            if mine:
                found = -forest.score_samples(features.rows([cases[i] for i in mine]))
                for i, score in zip(mine, found.tolist(), strict=True):
                    scores[i] = score
        return scores

    @property
    def parameters(self) -> int:
        """How many nodes the trees have."""
        forests = (forest for _, forest in self._forests.values())
        return sum(tree.tree_.node_count for forest in forests for tree in forest.estimators_)


class _Features:
    """What the rows of one category hold, learned from its training cases."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.types = sorted({type_ for case in cases for type_ in case.types})
        self.pairs = Counter(pair for case in cases for pair in _pairs(case))
        self.actors = _actors(cases)
        means: defaultdict[str, list[float]] = defaultdict(list)
        for case in cases:
            for name, values in _numbers(case).items():
                means[name].append(sum(values) / len(values))
        #: For a case without such a field: what is usual.
        self.usual = {name: median(values) for name, values in sorted(means.items())}

    def rows(self, cases: Sequence[Case]) -> np.ndarray:
        """Cases × features."""
        return np.array([self._row(case) for case in cases])

    def _row(self, case: Case) -> list[float]:
        often = Counter(case.types)
        row: list[float] = [often[type_] for type_ in self.types]

        shares = [log((self.pairs[pair] + 0.5) / self.pairs.total()) for pair in _pairs(case)]
        row += [min(shares), sum(shares) / len(shares)]

        times = [event.at for event in case.events]
        gaps = [(after - at).total_seconds() for at, after in pairwise(times)] or [0.0]
        row += [_log(sum(gaps)), _log(max(gaps)), _log(min(gaps))]

        numbers = _numbers(case)
        for name, usual in self.usual.items():
            values = numbers.get(name, [usual])
            row += [sum(values) / len(values), max(values) - min(values)]

        named = Counter(
            str(value)
            for event in case.events
            for name, value in event.data.items()
            if (event.type, name) in self.actors
        )
        return [*row, len(named), max(named.values(), default=0)]


def _pairs(case: Case) -> Iterator[tuple[str, str]]:
    return pairwise((START, *case.types, END))


def _actors(cases: Sequence[Case]) -> set[FieldKey]:
    """The fields that name someone: texts with a digit that recur from case to case."""
    numbered = {
        (event.type, name)
        for case in cases
        for event in case.events
        for name, value in event.data.items()
        if isinstance(value, str) and any(map(str.isdigit, value))
    }
    return numbered & recurring_texts(cases)


def _numbers(case: Case) -> dict[str, list[float]]:
    """Field name → the logs of its numbers, in all events of the case."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for event in case.events:
        for name, value in event.data.items():
            if (number := finite(value)) is not None:
                found[name].append(_log(number))
    return found


def _log(value: float) -> float:
    """The log of the distance from zero, with the sign of the value; 0 at 0."""
    return copysign(log1p(abs(value)), value)
