"""Boosted trees over all that a running case has said: the strongest rival that reads no text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier

from procutils.backoff import most_probable
from procutils.baselines import NGram, some
from procutils.cases import END, Case
from procutils.prefix_features import PrefixFeatures

#: With fewer prefixes that end with a type, its trees would learn them by heart.
LEAST = 50

#: One setting for all logs, chosen on the validation parts of two.
SETTING = {
    "max_iter": 80,
    "learning_rate": 0.05,
    "max_leaf_nodes": 8,
    "min_samples_leaf": 30,
    "l2_regularization": 5.0,
    "max_features": 0.5,
}


class NextTypeTrees:
    """Gradient-boosted trees for the next type, a model of its own after each type of event.

    Few types follow any one type, so each model has few classes, which makes it fast. It sees
    :class:`PrefixFeatures`. Its probabilities are smoothed with those of an n-gram, the less the
    more it was fitted on, as Witten & Bell do: with n prefixes and k types that followed, the
    n-gram's share is k / (n + k); where n is too small it is alone.
    """

    def __init__(self, order: int = 6, seed: int = 0) -> None:
        """order: of the n-gram."""
        self.ngram, self.seed = NGram(order), seed
        self.features = PrefixFeatures()
        self._models: dict[str, tuple[list[int], HistGradientBoostingClassifier, float]] = {}

    def fit(self, cases: Iterable[Case], running: frozenset[str] = frozenset()) -> Self:
        """Grow the trees; a second call starts afresh.

        running: ids of cases that may go on: their end is not learned. Raises ValueError if there
        are no cases.
        """
        cases = some(cases)
        self.ngram.fit(cases, running)
        self.features = PrefixFeatures.fit(cases)
        rows: defaultdict[str, list[np.ndarray]] = defaultdict(list)
        followed: defaultdict[str, list[str]] = defaultdict(list)
        for case in cases:
            ends = () if case.id in running else (END,)
            known = self.features.rows(case)
            for n, next_type in enumerate((*case.types[1:], *ends)):
                rows[case.types[n]].append(known[n])
                followed[case.types[n]].append(next_type)
        self._models = {
            type_: self._fitted(np.array(rows[type_]), np.array(next_types))
            for type_, next_types in followed.items()
            if len(next_types) >= LEAST and len(set(next_types)) > 1
        }
        return self

    def distributions(self, cases: Iterable[Case]) -> list[list[dict[str, float]]]:
        """For each case what may follow each prefix, the empty one first: n + 1 entries."""
        cases = list(cases)
        found = [[*of_case] for of_case in self.ngram.distributions(cases)]
        rows = [self.features.rows(case) for case in cases]
        places: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for i, case in enumerate(cases):
            for n, type_ in enumerate(case.types):
                places[type_].append((i, n))
        for type_ in self._models.keys() & places.keys():
            columns, model, share = self._models[type_]
            here = np.array([rows[i][n] for i, n in places[type_]])
            classes, grown = model.classes_.tolist(), model.predict_proba(here[:, columns])
            for (i, n), of_trees in zip(places[type_], ((1 - share) * grown).tolist(), strict=True):
                mixed = {type_: share * p for type_, p in found[i][n + 1].items()}
                for type_, p in zip(classes, of_trees, strict=True):
                    mixed[type_] += p
                found[i][n + 1] = mixed
        return found

    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]:
        """The k most probable next types after the whole of ``prefix``; ties go by name."""
        return most_probable(self.distributions([prefix])[0][-1], k)

    def _fitted(
        self, rows: np.ndarray, next_types: np.ndarray
    ) -> tuple[list[int], HistGradientBoostingClassifier, float]:
        """The columns that vary, the trees, and the share of the n-gram."""
        columns = [i for i in range(rows.shape[1]) if _varies(rows[:, i])]
        categorical = np.array(self.features.categorical)[columns]
        model = HistGradientBoostingClassifier(
            **SETTING,
            categorical_features=categorical,
            early_stopping=False,
            random_state=self.seed,
        )
        model.fit(rows[:, columns], next_types)
        followers = len(model.classes_)
        return columns, model, followers / (len(next_types) + followers)


def _varies(column: Sequence[float]) -> bool:
    known = np.asarray(column)[~np.isnan(column)]
    return len(known) > 0 and (len(known) < len(column) or bool((known != known[0]).any()))
