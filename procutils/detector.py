"""Surprisal → verdict: calibrated p-values, and what a person needs to act on an alert.

A case is as surprising as its most surprising event, its end included. How surprising is too
surprising is not chosen by hand but read off normal cases of the same process (split conformal
prediction; Vovk, Gammerman & Shafer 2005, ch. 4; Laxhammar & Falkman 2010 for anomalies): for a normal
case, exchangeable with those, P(p ≤ α) ≤ α, whatever the model.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil, exp, inf
from pathlib import Path
from typing import Protocol, Self

from procutils.cases import END, Case, EventScore
from procutils.predictor import Predictor

CALIBRATION = "calibration.json"
#: An expected event at least this probable counts as one that should have come.
LIKELY = 0.05

ACTIONS = {
    "foreign event": "Find the {foreign} case that {came} belongs to, and check what routes events to {stream}.",
    "swapped steps": "Check the clocks and the order of delivery; {came} was recorded before {expected}.",
    "skipped step": "Ask why {expected} is missing before {came}: not done, or done and not recorded?",
    "repeated step": "Check whether {came} was sent twice by a retry, or the step really ran again.",
    "premature end": "Find out who holds this case; the next step should be {expected}.",
    "unknown event": "{came} never occurred in training: a new release, or a wrong name?",
}


class Scorer(Protocol):
    """Anything that gives events a probability: the fine-tuned model, a baseline, the true grammar."""

    def score(self, case: Case) -> list[EventScore]: ...
    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]: ...
    def next_events(self, events: Case, k: int) -> list[tuple[str, float]]: ...


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one case.

    p_value: how often a normal case of this process is at least as surprising (conformal, ≤ 1).
    position: index of the first event that is too surprising by itself; len(case.events) for its end.
    kind: a key of ACTIONS; "normal" if nothing is wrong.
    expected: the likeliest event types at that position, with their probabilities.
    """

    is_anomaly: bool
    p_value: float
    position: int | None
    kind: str
    expected: list[tuple[str, float]]
    explanation: str
    action: str


def case_surprise(scores: Sequence[EventScore]) -> float:
    """The surprisal (nats) of the most surprising event of a case, its end included."""
    return max(score.surprisal for score in scores)


class Detector:
    """A scorer with the memory of how surprising normal cases are."""

    def __init__(
        self,
        scorer: Scorer,
        normal: dict[str, list[float]],
        types: dict[str, list[str]],
        alpha: float,
    ) -> None:
        """normal: sorted case surprises per category; types: event types per category; alpha: see calibrate."""
        self.scorer, self.normal, self.types, self.alpha = scorer, normal, types, alpha

    @classmethod
    def calibrate(cls, scorer: Scorer, cases: Sequence[Case], alpha: float) -> Self:
        """Learn what is normal from normal cases that the scorer was not trained on.

        alpha: the share of normal cases, per process, that may be flagged. Raises ValueError where a process
        has fewer than 1/alpha − 1 cases: then no case could ever be flagged.
        """
        if not 0 < alpha < 1:
            raise ValueError(
                f"alpha is {alpha}; give the accepted share of false alarms, such as 0.02"
            )
        normal: dict[str, list[float]] = {}
        types: dict[str, set[str]] = {}
        for case, scores in zip(cases, scorer.score_cases(cases), strict=True):
            normal.setdefault(case.category, []).append(case_surprise(scores))
            types.setdefault(case.category, set()).update(case.types)
        needed = ceil(1 / alpha - 1)
        for category, values in normal.items():
            if len(values) < needed:
                raise ValueError(
                    f"{category} has {len(values)} calibration cases; alpha = {alpha} needs {needed}. "
                    "Raise calibration_cases or alpha."
                )
        return cls(
            scorer,
            {category: sorted(values) for category, values in sorted(normal.items())},
            {category: sorted(held) for category, held in sorted(types.items())},
            alpha,
        )

    def save(self, path: Path) -> None:
        """Write what is normal into the model's folder."""
        stored = {"alpha": self.alpha, "normal": self.normal, "types": self.types}
        (path / CALIBRATION).write_text(json.dumps(stored) + "\n", "utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The fine-tuned model and its calibration, from the folder ``model`` of a run."""
        file = Path(path) / CALIBRATION
        if not file.exists():
            raise FileNotFoundError(f"no {CALIBRATION} in {path}: run 05_anomaly_benchmark first")
        return cls(Predictor.load(path), **json.loads(file.read_text("utf-8")))

    def threshold(self, category: str) -> float:
        """The surprisal (nats) from which on a case of this category is flagged: p ≤ alpha."""
        values = self._normal(category)
        # p = (1 + number at or above) / (n + 1) ≤ alpha: at most this many normal cases at or above
        above = int(self.alpha * (len(values) + 1) + 1e-9) - 1
        if above < 0:
            return inf
        return values[len(values) - 1 - above] if above < len(values) else -inf

    def p_value(self, category: str, surprise: float) -> float:
        """Conformal p-value: the rank of this surprise among normal cases, itself counted."""
        values = self._normal(category)
        return (1 + len(values) - bisect_left(values, surprise)) / (len(values) + 1)

    def p_values(
        self, cases: Sequence[Case], scores: Sequence[Sequence[EventScore]]
    ) -> list[float]:
        """One p-value per case, from scores that are there already."""
        return [
            self.p_value(case.category, case_surprise(of_case))
            for case, of_case in zip(cases, scores, strict=True)
        ]

    def check(self, case: Case, scores: Sequence[EventScore] | None = None) -> Verdict:
        """Judge a whole case: is it an anomaly, where, of which kind, and what to do about it."""
        scores = self.scorer.score(case) if scores is None else scores
        p_value = self.p_value(case.category, case_surprise(scores))
        if p_value > self.alpha:
            text = (
                f"Nothing unusual: {p_value:.0%} of normal {case.category} cases surprise as much."
            )
            return Verdict(False, p_value, None, "normal", [], text, "None.")
        position = next(
            i
            for i, score in enumerate(scores)
            if self.p_value(case.category, score.surprisal) <= self.alpha
        )
        expected = self.scorer.next_events(Case(case.id, case.events[:position]), 3)
        kind = self._kind(case, position, expected)
        came = (*case.types, END)[position]
        foreign = [name for name, held in self.types.items() if came in held]
        names = {
            "came": came,
            "expected": next((type_ for type_, _ in expected if type_ != came), END),
            "stream": case.id,
            "foreign": " or ".join(foreign) or "other",
        }
        return Verdict(
            True,
            p_value,
            position,
            kind,
            expected,
            self._explanation(case, position, came, kind, expected, scores[position], p_value),
            ACTIONS[kind].format(**names),
        )

    def _kind(self, case: Case, position: int, expected: list[tuple[str, float]]) -> str:
        if position == len(case.events):
            return "premature end"
        came, later = case.types[position], case.types[position + 1 : position + 2]
        if came not in self.types[case.category]:
            elsewhere = any(came in held for held in self.types.values())
            return "foreign event" if elsewhere else "unknown event"
        if any(type_ in later for type_, p in expected if p >= LIKELY and type_ != came):
            return "swapped steps"
        return "repeated step" if came == case.types[position - 1] else "skipped step"

    def _explanation(
        self,
        case: Case,
        position: int,
        came: str,
        kind: str,
        expected: list[tuple[str, float]],
        score: EventScore,
        p_value: float,
    ) -> str:
        after = f"after {case.types[position - 1]}" if position else "as the first event"
        what = "the case ended" if came == END else f"{came} came"
        likely = ", ".join(f"{type_} ({p:.0%})" for type_, p in expected if p >= LIKELY)
        return (
            f"{kind[0].upper()}{kind[1:]}: {after}, {what}, with probability {exp(-score.surprisal):.2g}; "
            f"expected: {likely or 'nothing in particular'}. "
            f"At most {p_value:.1%} of normal {case.category} cases surprise as much."
        )

    def _normal(self, category: str) -> list[float]:
        if category not in self.normal:
            raise ValueError(
                f"no calibration for category {category!r}, only for {sorted(self.normal)}: "
                "calibrate with cases of it"
            )
        return self.normal[category]
