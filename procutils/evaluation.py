"""Metrics, each with a 95 % interval, as plain floats fit for metrics.json.

Labels say what is true (1 = anomalous case), flags what a detector said, scores how strongly it
said it (higher = more anomalous). An interval is ``[low, high]``. Proportions get Wilson intervals,
everything else a bootstrap that draws whole cases, since the events of a case depend on each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest
from sklearn.metrics import precision_recall_curve, roc_curve

from procutils.cases import EventScore

Interval = list[float]
Metrics = dict[str, "float | int | Interval"]

RESAMPLES = 1000
_CHUNK = 100  # resamples at a time: bounds the memory to a few arrays of _CHUNK × cases
_PERCENTILES = (2.5, 97.5)


def wilson(k: int, n: int) -> Interval:
    """95 % score interval of a proportion, k of n (Wilson 1927). None of none says nothing."""
    if n == 0 and k == 0:
        return [0.0, 1.0]
    low, high = binomtest(int(k), int(n)).proportion_ci(method="wilson")
    return [float(low), float(high)]


def detection(labels: ArrayLike, flags: ArrayLike) -> Metrics:
    """The confusion counts of yes-or-no flags, and precision, recall, F1 and false-positive rate.

    All four intervals are Wilson's, so that a perfect result keeps an honest interval, where a
    bootstrap gives [1, 1]. F1 is no proportion, but F1 = 2J / (1 + J) grows with
    J = TP / (TP + FP + FN), which is one (the indirect Wilson interval of Lam, Gopal & Qian,
    "Confidence intervals for the F1 score", 2023). Precision and F1 are 0 where nothing is
    flagged, and hold for the share of anomalies in ``labels`` only (``precision_at_prevalence``).
    """
    true, said = _binary("labels", labels), _binary("flags", flags)
    _same_length(labels=true, flags=said)
    tp, fp = int((true & said).sum()), int((~true & said).sum())
    fn, tn = int((true & ~said).sum()), int((~true & ~said).sum())
    return {
        "true_positives": tp,
        "false_positives": fp,
        "false_negatives": fn,
        "true_negatives": tn,
        "precision": _ratio(tp, tp + fp),
        "precision_ci": wilson(tp, tp + fp),
        "recall": _ratio(tp, tp + fn),
        "recall_ci": wilson(tp, tp + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
        "f1_ci": [2 * j / (1 + j) for j in wilson(tp, tp + fp + fn)],
        "false_positive_rate": _ratio(fp, fp + tn),
        "false_positive_rate_ci": wilson(fp, fp + tn),
    }


def precision_at_prevalence(recall: float, fpr: float, prevalence: float) -> float:
    """The share of alerts that are right if ``prevalence`` of all cases are anomalous (Bayes)."""
    hits, false_alarms = recall * prevalence, fpr * (1 - prevalence)
    return hits / (hits + false_alarms) if hits + false_alarms else 0.0


def ranking(
    labels: ArrayLike,
    scores: ArrayLike,
    *,
    fpr: float = 0.01,
    prevalences: Sequence[float] = (0.001, 0.01, 0.05, 0.1),
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metrics:
    """How well scores put anomalous cases first, whatever the threshold.

    ``auroc``; ``recall_at_1pct_fpr`` (or whichever ``fpr``): the most recall that a threshold
    reaches with at most that false-positive rate; ``average_precision`` on the cases as they are,
    and ``average_precision_at_1pct`` (…): with the classes reweighted to that share of anomalies.
    Each with ``_ci``. The bootstrap draws normal and anomalous cases apart, since their numbers are
    chosen, not found. Cases of equal score stand or fall together.
    """
    true, values = _binary("labels", labels), _finite("scores", scores)
    _both_classes(true)
    _same_length(labels=true, scores=values)
    order = np.argsort(-values, kind="stable")
    true, values = true[order], values[order]
    ends = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)  # last case of each score

    def measure(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        # One column per threshold, from the one that flags nothing to the one that flags all.
        hits = np.pad(np.cumsum(weights * true, axis=1)[:, ends], ((0, 0), (1, 0)))
        false_alarms = np.pad(np.cumsum(weights * ~true, axis=1)[:, ends], ((0, 0), (1, 0)))
        tpr, fprs = hits / hits[:, -1:], false_alarms / false_alarms[:, -1:]
        share = true.mean()
        measured = {
            "auroc": np.trapezoid(tpr, fprs, axis=1),
            f"recall_at_{_percent(fpr)}_fpr": np.where(fprs <= fpr, tpr, 0.0).max(axis=1),
            "average_precision": _average_precision(tpr, fprs, share),
        }
        for prevalence in prevalences:
            name = f"average_precision_at_{_percent(prevalence)}"
            measured[name] = _average_precision(tpr, fprs, prevalence)
        return measured

    point = measure(np.ones((1, len(true))))
    drawn = [measure(weights) for weights in _stratified_weights(true, resamples, seed)]
    metrics: Metrics = {}
    for name, value in point.items():
        metrics[name] = float(value[0])
        metrics[f"{name}_ci"] = _interval(np.concatenate([draw[name] for draw in drawn]))
    return metrics


def roc(labels: ArrayLike, scores: ArrayLike) -> tuple[list[float], list[float]]:
    """False-positive rates and recalls over all thresholds, both rising from 0 to 1."""
    true = _binary("labels", labels)
    _both_classes(true)
    fprs, tprs, _ = roc_curve(true, _finite("scores", scores))
    return fprs.tolist(), tprs.tolist()


def precision_recall(labels: ArrayLike, scores: ArrayLike) -> tuple[list[float], list[float]]:
    """Recalls, falling from 1 to 0, and the precision at each of them."""
    true = _binary("labels", labels)
    _both_classes(true)
    precisions, recalls, _ = precision_recall_curve(true, _finite("scores", scores))
    return recalls.tolist(), precisions.tolist()


def paired_bootstrap(
    metric: Callable[[NDArray[np.bool_], NDArray[np.float64]], float],
    labels: ArrayLike,
    a: ArrayLike,
    b: ArrayLike,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metrics:
    """``difference`` = metric(labels, a) − metric(labels, b), and its interval over the same cases.

    a, b: what two detectors say of the same cases, flags or scores; ``metric`` takes either, for
    instance ``sklearn.metrics.roc_auc_score`` or ``f1_score``. Drawing the same cases for both
    takes out what makes a case hard for either.
    """
    true, left, right = _binary("labels", labels), _finite("a", a), _finite("b", b)
    _both_classes(true)
    _same_length(labels=true, a=left, b=right)
    rng = np.random.default_rng(seed)
    normal, anomalous = np.flatnonzero(~true), np.flatnonzero(true)
    differences = np.empty(resamples)
    for i in range(resamples):
        drawn = np.concatenate([rng.choice(part, len(part)) for part in (normal, anomalous)])
        differences[i] = metric(true[drawn], left[drawn]) - metric(true[drawn], right[drawn])
    return {
        "difference": float(metric(true, left) - metric(true, right)),
        "difference_ci": _interval(differences),
    }


def nll_per_event(
    scores: Iterable[Sequence[EventScore]], *, resamples: int = RESAMPLES, seed: int = 0
) -> Metrics:
    """Mean −log p of an event's type in nats, the end of a case counted as one event.

    A case of n events adds n + 1 terms. ``events`` is the number of terms.
    """
    totals, lengths = _surprisals(scores)
    return _mean_per_event("nll_per_event", totals, lengths, resamples, seed)


def regret(
    scores: Iterable[Sequence[EventScore]],
    truth: Iterable[Sequence[EventScore]],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Metrics:
    """What a model loses per event, in nats, against the true distribution on the same cases."""
    totals, lengths = _surprisals(scores)
    floors, true_lengths = _surprisals(truth)
    if not np.array_equal(lengths, true_lengths):
        raise ValueError("scores and truth differ in length; score the same cases with both")
    return _mean_per_event("regret_per_event", totals - floors, lengths, resamples, seed)


def bootstrap_mean(
    values: ArrayLike, cases: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """The interval of the mean of ``values``, drawing whole cases: ``cases`` numbers each value's.

    Raises ValueError if there are none.
    """
    _, numbers = np.unique(np.asarray(cases), return_inverse=True)
    numbers, lengths = np.asarray(numbers), np.bincount(numbers)
    if not len(lengths):
        raise ValueError("no values; there is nothing to average")
    totals = np.bincount(numbers, _finite("values", values))
    return _mean_per_event("mean", totals, lengths, resamples, seed)["mean_ci"]


def _mean_per_event(
    name: str, totals: NDArray[np.float64], lengths: NDArray[np.int64], resamples: int, seed: int
) -> Metrics:
    one_class = np.zeros(len(totals), dtype=bool)
    means = [w @ totals / (w @ lengths) for w in _stratified_weights(one_class, resamples, seed)]
    return {
        name: float(totals.sum() / lengths.sum()),
        f"{name}_ci": _interval(np.concatenate(means)),
        "events": int(lengths.sum()),
    }


def _surprisals(
    scores: Iterable[Sequence[EventScore]],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Per case: the sum of its surprisals, and how many there are."""
    cases = [[score.surprisal for score in case] for case in scores]
    if not cases:
        raise ValueError("no scored cases; there is nothing to average")
    return np.array([sum(case) for case in cases]), np.array([len(case) for case in cases])


def _stratified_weights(
    true: NDArray[np.bool_], resamples: int, seed: int
) -> Iterator[NDArray[np.float64]]:
    """How often each case is drawn: blocks of (up to _CHUNK, cases); a class keeps its size."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        weights = np.empty((min(_CHUNK, resamples - start), len(true)))
        for part in (np.flatnonzero(~true), np.flatnonzero(true)):
            if n := len(part):
                weights[:, part] = rng.multinomial(n, np.full(n, 1 / n), size=len(weights))
        yield weights


def _average_precision(
    tpr: NDArray[np.float64], fprs: NDArray[np.float64], prevalence: float
) -> NDArray[np.float64]:
    """Σ ΔR · P over the thresholds, without interpolation, at a given share of anomalies."""
    hits, false_alarms = prevalence * tpr, (1 - prevalence) * fprs
    alerts = hits + false_alarms
    precision = np.divide(hits, alerts, out=np.zeros_like(hits), where=alerts > 0)
    return (np.diff(tpr, axis=1) * precision[:, 1:]).sum(axis=1)


def _interval(draws: NDArray[np.float64]) -> Interval:
    return [float(value) for value in np.percentile(draws, _PERCENTILES)]


def _percent(share: float) -> str:
    """0.01 → ``1pct``, 0.001 → ``0_1pct``: fit for a key."""
    return f"{100 * share:g}pct".replace(".", "_")


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _binary(name: str, values: ArrayLike) -> NDArray[np.bool_]:
    array = np.asarray(values)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must be a flat list of 0 and 1 (or False and True)")
    return array.astype(bool)


def _finite(name: str, values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not np.isfinite(array).all():
        raise ValueError(f"{name} must be a flat list of finite numbers")
    return array


def _same_length(**arrays: NDArray) -> None:
    if len({len(array) for array in arrays.values()}) > 1:
        lengths = ", ".join(f"{name}: {len(array)}" for name, array in arrays.items())
        raise ValueError(f"one entry per case is needed in each, but there are {lengths}")


def _both_classes(true: NDArray[np.bool_]) -> None:
    if true.all() or not true.any():
        raise ValueError(f"{true.sum()} of {len(true)} cases are anomalous; both kinds are needed")
