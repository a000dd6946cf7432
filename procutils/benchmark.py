"""Detectors side by side: the same cases, the same labels, the same intervals.

A detector says yes or no to every case. One that scores also says how strongly, so that it can be
ranked; its threshold comes from calibration cases, one for each process.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from procutils.cases import Case, EventScore
from procutils.detector import Detector, Scorer
from procutils.evaluation import (
    Interval,
    Metrics,
    detection,
    paired_bootstrap,
    precision_at_prevalence,
    ranking,
    wilson,
)

T = TypeVar("T")

Scores = Sequence[Sequence[EventScore]]


@dataclass(frozen=True)
class Judged:
    """What a detector said of each case, in order.

    margins: by how many nats the case surprises more than its process allows; None for a rule.
    """

    flags: list[bool]
    margins: list[float] | None = None


def by_rule(rule: Callable[[T], bool], cases: Iterable[T]) -> Judged:
    """A yes-or-no rule over cases, or over their scores: true for an anomaly."""
    return Judged([bool(rule(case)) for case in cases])


def by_threshold(detector: Detector, cases: Sequence[Case], scores: Scores) -> Judged:
    """A calibrated detector, given the scores of ``cases``."""
    margins = [
        detector.surprise(case, of_case) - detector.threshold(case.category)
        for case, of_case in zip(cases, scores, strict=True)
    ]
    return Judged([margin > 0 for margin in margins], margins)


def by_scorer(
    scorer: Scorer, calibration: Sequence[Case], cases: Sequence[Case], alpha: float
) -> Judged:
    """A model that scores events: calibrated on one part, applied to another."""
    detector = Detector.calibrate(scorer, calibration, alpha)
    return by_threshold(detector, cases, scorer.score_cases(cases))


def by_tier(
    tiers: Sequence[str | None], values: Sequence[float], seed: int = 0
) -> dict[str, Metrics]:
    """``evaluation.ranking`` of the anomalies of each tier against all normal cases.

    tiers: per case, in the order of ``values``; None for a normal one.
    """
    found = {}
    for tier in dict.fromkeys(tier for tier in tiers if tier is not None):
        labels, of_tier = against_normal(tiers, values, tier)
        found[tier] = ranking(labels, of_tier, seed=seed)
    return found


def aurocs(
    kinds: Sequence[str | None], values: Sequence[float], seed: int = 0
) -> dict[str, tuple[float, Interval]]:
    """AUROC of each kind, and of ``all``, against the normal cases (None), with intervals."""
    anomalous = [kind and "all" for kind in kinds]
    found = by_tier(kinds, values, seed) | by_tier(anomalous, values, seed)
    return {kind: (metrics["auroc"], metrics["auroc_ci"]) for kind, metrics in found.items()}


def against_normal(
    tiers: Sequence[str | None], values: Sequence[float], tier: str
) -> tuple[list[int], list[float]]:
    """Labels (1 = anomalous) and values of the normal cases and those of one tier."""
    kept = [
        (int(t is not None), v) for t, v in zip(tiers, values, strict=True) if t in (None, tier)
    ]
    labels, of_tier = zip(*kept, strict=True)
    return list(labels), list(of_tier)


def against_best(
    tiers: Sequence[str | None],
    ours: Sequence[float],
    rivals: Mapping[str, Sequence[float]],
    seed: int = 0,
) -> dict[str, Metrics]:
    """For each tier the best rival (``against``), and how far ``recall`` and ``auroc`` lie above
    its own, on the same cases, with paired intervals.

    The best has the highest recall at 1 % false positives there: chosen in hindsight, which favours
    it. ours, rivals: what each method says of the cases.
    """
    found: dict[str, Metrics] = {}
    for tier in dict.fromkeys(tier for tier in tiers if tier is not None):
        labels, mine = against_normal(tiers, ours, tier)
        theirs = {name: against_normal(tiers, v, tier)[1] for name, v in rivals.items()}
        recalls = {name: recall_at(labels, values) for name, values in theirs.items()}
        best = max(recalls, key=recalls.__getitem__)
        found[tier] = {"against": best} | {
            name: paired_bootstrap(metric, labels, mine, theirs[best], resamples=500, seed=seed)
            for name, metric in (("recall", recall_at), ("auroc", auroc))
        }
    return found


def auroc(labels: Sequence[int], values: Sequence[float]) -> float:
    """As in ``evaluation.ranking``, in one pass, for ``paired_bootstrap``: (Σ ranks of anomalies −
    m (m + 1) / 2) / (m n), with m anomalies and n normal cases (Mann & Whitney 1947)."""
    true = np.asarray(labels, dtype=bool)
    m, n = true.sum(), (~true).sum()
    return float((rankdata(values)[true].sum() - m * (m + 1) / 2) / (m * n))


def recall_at(labels: Sequence[int], values: Sequence[float], fpr: float = 0.01) -> float:
    """The most recall that a threshold reaches with at most this false-positive rate.

    As in ``evaluation.ranking``, for ``paired_bootstrap``.
    """
    true, found = np.asarray(labels, dtype=bool), np.asarray(values, dtype=float)
    normal = np.sort(found[~true])[::-1]
    allowed = int(fpr * len(normal) + 1e-9)
    return float((found[true] > normal[allowed]).mean()) if allowed < len(normal) else 1.0


def measured(labels: Sequence[int], judged: Judged, seed: int = 0) -> Metrics:
    """``evaluation.detection``, and for a detector that scores ``evaluation.ranking`` as well."""
    ranked = ranking(labels, judged.margins, seed=seed) if judged.margins else {}
    return detection(labels, judged.flags) | ranked


def comparison(metrics: Mapping[str, Mapping[str, Any]], names: Sequence[str]) -> pd.DataFrame:
    """One row per detector, one column per metric, each as ``value [low, high]``; "" where none."""
    return pd.DataFrame(
        {
            name.replace("_", " "): {
                detector: ranged(found[name], found[f"{name}_ci"]) if name in found else ""
                for detector, found in metrics.items()
            }
            for name in names
        }
    )


def when_rare(by_tier: Mapping[str, Metrics], caught: float, false_rate: float) -> pd.DataFrame:
    """From one anomalous case in a thousand to one in ten: each tier's average precision, and what
    an analyst gets at the detector's own threshold.

    by_tier: metrics of ``evaluation.ranking``. caught, false_rate: the shares of the anomalous and
    of the normal cases that are flagged.
    """
    rows = {}
    for share, name in ((0.001, "0_1pct"), (0.01, "1pct"), (0.05, "5pct"), (0.1, "10pct")):
        alerts = 1000 * (caught * share + false_rate * (1 - share))
        right = precision_at_prevalence(caught, false_rate, share)
        rows[f"{share:.1%} anomalous"] = {
            tier: f"{metrics[f'average_precision_at_{name}']:.3f}"
            for tier, metrics in by_tier.items()
        } | {"alerts per 1,000": f"{alerts:.0f}", "of these right": f"{right:.0%}"}
    return pd.DataFrame(rows).T


def ranged(value: float, interval: Interval) -> str:
    """``.950 [.931, .964]``, as tables give it."""
    low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


def as_metrics(found: Mapping[Any, Any]) -> Metrics:
    """(value, interval) as ``name`` and ``name_ci``, at any depth, for ``Run.record``."""
    metrics: Metrics = {}
    for key, below in found.items():
        name = str(key).replace(" ", "_")
        if isinstance(below, Mapping):
            metrics[name] = as_metrics(below)
        else:
            metrics[name], metrics[f"{name}_ci"] = below
    return metrics


def precision_of_draws(
    labels: Sequence[int], flags: Sequence[bool], size: int, draws: int = 400, seed: int = 0
) -> list[float]:
    """The precision on each of many small benchmarks: ``size`` normal and ``size`` anomalous cases.

    Each is drawn from the cases given, without replacement. Draws that flag nothing are left out.
    """
    true, said = np.asarray(labels, dtype=bool), np.asarray(flags, dtype=bool)
    if size > min(true.sum(), (~true).sum()):
        raise ValueError(
            f"{size} cases of each kind cannot be drawn from {(~true).sum()} normal and "
            f"{true.sum()} anomalous ones: ask for fewer, or inject more"
        )
    rng = np.random.default_rng(seed)

    def flagged(part: np.ndarray) -> int:
        return int(rng.choice(part, size, replace=False).sum())

    counts = [(flagged(said[true]), flagged(said[~true])) for _ in range(draws)]
    return [hits / (hits + false) for hits, false in counts if hits + false]


def false_alarms(normal: Sequence[Case], flags: Sequence[bool]) -> dict[str, Metrics]:
    """How many normal cases were flagged, per category and, under ``all``, over all of them."""
    found: dict[str, Metrics] = {}
    for name in [*sorted({case.category for case in normal}), "all"]:
        of_these = [
            flag for case, flag in zip(normal, flags, strict=True) if name in (case.category, "all")
        ]
        flagged, count = sum(of_these), len(of_these)
        found[name] = {
            "normal": count,
            "flagged": flagged,
            "observed_fpr": flagged / count,
            "observed_fpr_ci": wilson(flagged, count),
        }
    return found
