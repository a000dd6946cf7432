"""What will come next, target by target: the probabilities of models side by side, measured and
mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sklearn.metrics import accuracy_score, f1_score

from procutils.cases import END, Case
from procutils.evaluation import Metrics, bootstrap_mean
from procutils.mixture import best_shares
from procutils.protocol import Part

#: What a type that a model knows nothing of gets, so that its logarithm exists.
LEAST = 1e-6
#: The calibration error sorts the targets into so many bins, by the probability of the best guess.
BINS = 15


class Forecaster(Protocol):
    """Anything that says what may follow each prefix of a case: a baseline, or the mixture."""

    def distributions(self, cases: Iterable[Case]) -> list[list[dict[str, float]]]: ...


@dataclass(frozen=True)
class Forecast:
    """What one model says of every target of a part.

    types: the columns. p: [targets, types], each row sums to one. truth: the column that came.
    cases: the number of the case that each target is of.
    """

    types: tuple[str, ...]
    p: np.ndarray
    truth: np.ndarray
    cases: np.ndarray

    @classmethod
    def of(cls, model: Forecaster, part: Part, types: Iterable[str]) -> Forecast:
        """types: the columns, usually those of training; END and what comes in ``part`` are added.

        What the model gives to none of them goes to those that it does not know, but no more to
        each than to the least probable that it knows: it never bets on what it never met.
        """
        columns = tuple(sorted({*types, *part.types, END}))
        said = model.distributions(part.cases)
        targets = [*part.targets()]
        p = np.array([[said[i][n].get(type_, 0.0) for type_ in columns] for i, n, _ in targets])
        left = np.maximum(1 - p.sum(1), 0) / np.maximum((p == 0).sum(1), 1)
        unknown = np.minimum(left, np.where(p == 0, np.inf, p).min(1))[:, None]
        p = np.maximum(np.where(p == 0, unknown, p), LEAST)
        place = {type_: column for column, type_ in enumerate(columns)}
        truth = np.array([place[type_] for _, _, type_ in targets])
        return cls(
            columns, p / p.sum(1, keepdims=True), truth, np.array([i for i, _, _ in targets])
        )

    @property
    def likelihoods(self) -> np.ndarray:
        """[targets]: the probability of what came."""
        return self.p[np.arange(len(self.truth)), self.truth]

    @property
    def best(self) -> np.ndarray:
        """[targets]: the most probable column."""
        return self.p.argmax(1)

    def without_end(self) -> Forecast:
        """Of the targets that are no END, given that none comes."""
        end = self.types.index(END)
        kept = self.truth != end
        p = np.delete(self.p[kept], end, axis=1)
        truth = self.truth[kept] - (self.truth[kept] > end)
        types = self.types[:end] + self.types[end + 1 :]
        return Forecast(types, p / p.sum(1, keepdims=True), truth, self.cases[kept])


def measures(forecast: Forecast, seed: int = 0) -> Metrics:
    """How good a forecast is: ``accuracy`` with ``_ci``, ``macro_f1`` and ``weighted_f1`` over the
    types that came, ``log_likelihood`` (nats per target) with ``_ci``, ``calibration_error``.

    The intervals (95 %) draw whole cases. The calibration error is the mean distance, weighted by
    how many targets there are, between the probability of the best guess and how often it is right
    (Guo et al., "On calibration of modern neural networks", ICML 2017).
    """
    truth, best = forecast.truth, forecast.best
    f1 = {"labels": np.unique(truth), "zero_division": 0}
    right, log_p = (best == truth).astype(float), np.log(forecast.likelihoods)
    return {
        "targets": len(truth),
        "accuracy": float(accuracy_score(truth, best)),
        "accuracy_ci": bootstrap_mean(right, forecast.cases, seed=seed),
        "macro_f1": float(f1_score(truth, best, average="macro", **f1)),
        "weighted_f1": float(f1_score(truth, best, average="weighted", **f1)),
        "log_likelihood": float(log_p.mean()),
        "log_likelihood_ci": bootstrap_mean(log_p, forecast.cases, seed=seed),
        "calibration_error": _calibration_error(forecast.p.max(1), right),
    }


def difference(ours: Forecast, theirs: Forecast, seed: int = 0) -> Metrics:
    """``accuracy`` of ours less that of theirs on the same targets, with ``_ci`` over cases."""
    right = [(one.best == one.truth).astype(float) for one in (ours, theirs)]
    apart = right[0] - right[1]
    return {
        "accuracy": float(apart.mean()),
        "accuracy_ci": bootstrap_mean(apart, ours.cases, seed=seed),
    }


def fitted_shares(forecasts: Mapping[str, Forecast]) -> dict[str, float]:
    """The shares that make what came most probable, if each model's probabilities are mixed.

    Fit on targets that no model learned from; see :func:`mixture.best_shares`.
    """
    log_p = np.log([forecast.likelihoods for forecast in forecasts.values()])
    return dict(zip(forecasts, best_shares(log_p).tolist(), strict=True))


def mixed(forecasts: Mapping[str, Forecast], shares: Mapping[str, float]) -> Forecast:
    """The weighted mean of forecasts of the same targets."""
    first = next(iter(forecasts.values()))
    p = sum(share * forecasts[name].p for name, share in shares.items())
    return Forecast(first.types, p, first.truth, first.cases)


class Majority:
    """The commonest of all targets, whatever came before: the floor."""

    def __init__(self) -> None:
        self._shares: dict[str, float] = {}

    def fit(self, part: Part) -> Majority:
        """Count the targets of a part."""
        types = part.types
        self._shares = {type_: types.count(type_) / len(types) for type_ in set(types)}
        return self

    def distributions(self, cases: Iterable[Case]) -> list[list[dict[str, float]]]:
        """The same after every prefix."""
        return [[self._shares] * (len(case.events) + 1) for case in cases]


def _calibration_error(said: np.ndarray, right: np.ndarray) -> float:
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    apart = np.bincount(bins, said, BINS) - np.bincount(bins, right, BINS)
    return float(np.abs(apart).sum() / counts.sum())
