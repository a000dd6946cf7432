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

from procutils.cases import Case, EventScore
from procutils.detector import Detector, Scorer
from procutils.evaluation import Interval, Metrics, detection, ranking, wilson

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


def ranged(value: float, interval: Interval) -> str:
    """``.950 [.931, .964]``, as tables give it."""
    low, high = interval
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


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


def localisation(
    positions: Sequence[int | None], injected: Sequence[int]
) -> dict[str, float | int]:
    """How well alerts point at the event that was changed.

    positions: where each alert points, None without one. ``hit_at_1``: the share of alerts that
    point at the very event. ``mean_delay_events``: how many events late the others and these are
    on average; alerts that come before the change point at something else and are left out.
    """
    late = [at - true for at, true in zip(positions, injected, strict=True) if at is not None]
    if not late:
        raise ValueError("no alerts; there is nothing to locate")
    delays = [delay for delay in late if delay >= 0]
    return {
        "alerts": len(late),
        "hits": late.count(0),
        "hit_at_1": late.count(0) / len(late),
        "mean_delay_events": sum(delays) / len(delays) if delays else 0.0,
    }
