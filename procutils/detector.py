"""Surprisal → verdict: calibrated p-values, and what a person needs to act on an alert.

A case is as surprising as its most surprising event, its end included. How surprising is too
surprising is not chosen by hand but read off normal cases of the same process (split conformal
prediction; Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World", 2005, chapter 4;
for anomalies Laxhammar & Falkman 2010): for a normal case, exchangeable with those,
P(p ≤ alpha) ≤ alpha, whatever the model.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, inf
from pathlib import Path
from typing import Protocol, Self

from procutils.cases import END, Case, EventScore

CALIBRATION = "calibration.json"
#: An event at least this probable counts as one that should have come.
LIKELY = 0.05

#: What to do, for each kind of anomaly.
ACTIONS = {
    "foreign event": (
        "Find the {owner} case that {came} belongs to, and check what routes events to {stream}."
    ),
    "unknown event": "{came} never occurred in normal cases: a new release, or a wrong name?",
    "swapped steps": (
        "Check the clocks and the order of delivery: {came} was recorded before {expected}."
    ),
    "repeated step": "Check whether a retry sent {came} twice, or the step really ran again.",
    "late event": "The case should have ended before {came}: find out who still works on it.",
    "skipped step": "Ask why {expected} is missing before {came}: not done, or not recorded?",
    "premature end": "Find out who holds this case: {expected} should come next.",
}


class Scorer(Protocol):
    """Anything that gives events a probability: the language model, a baseline, a true grammar."""

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]: ...
    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]: ...


@dataclass(frozen=True)
class Verdict:
    """What the detector says of one case.

    p_value: a normal case of this process is at least as surprising with no more probability.
    position: index of the first event too surprising by itself; len(case.events) for the end of
        the case; None if nothing is wrong.
    kind: a key of ACTIONS, or "normal".
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
        normal: Mapping[str, list[float]],
        types: Mapping[str, list[str]],
        alpha: float,
    ) -> None:
        """normal: case surprises per category, rising; types: event types per category."""
        self.scorer, self.normal, self.types, self.alpha = scorer, normal, types, alpha

    @classmethod
    def calibrate(
        cls,
        scorer: Scorer,
        cases: Sequence[Case],
        alpha: float,
        scores: Sequence[Sequence[EventScore]] | None = None,
    ) -> Self:
        """Learn what is normal from normal cases that the scorer was not trained on.

        alpha: the share of normal cases, per process, that may be flagged. scores: those of
        ``cases``, if they are there already. Raises ValueError where a process has fewer than
        1/alpha − 1 cases: then nothing could ever be flagged.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha is {alpha}: give the share of false alarms, such as 0.02")
        normal: dict[str, list[float]] = {}
        types: dict[str, set[str]] = {}
        scores = scorer.score_cases(cases) if scores is None else scores
        for case, of_case in zip(cases, scores, strict=True):
            normal.setdefault(case.category, []).append(case_surprise(of_case))
            types.setdefault(case.category, set()).update(case.types)
        for category, values in normal.items():
            if 1 / (len(values) + 1) > alpha:
                raise ValueError(
                    f"{category} has {len(values)} calibration cases, but alpha = {alpha} needs "
                    f"{ceil(1 / alpha - 1)}: calibrate with more cases, or raise alpha"
                )
        return cls(
            scorer,
            {category: sorted(values) for category, values in sorted(normal.items())},
            {category: sorted(held) for category, held in sorted(types.items())},
            alpha,
        )

    def save(self, path: str | Path) -> None:
        """Write what is normal into the folder of the model."""
        stored = {"alpha": self.alpha, "normal": self.normal, "types": self.types}
        (Path(path) / CALIBRATION).write_text(json.dumps(stored) + "\n", "utf-8")

    @classmethod
    def load(cls, path: str | Path, scorer: Scorer | None = None) -> Self:
        """The calibration in a folder, with the model there, or with the ``scorer`` it is of.

        Raises FileNotFoundError where it is missing, ValueError where it cannot be read.
        """
        file = Path(path) / CALIBRATION
        if not file.exists():
            raise FileNotFoundError(f"no {CALIBRATION} in {path}: run 05_anomaly_benchmark first")
        try:
            stored = json.loads(file.read_text("utf-8"))
            known = {name: stored[name] for name in ("normal", "types", "alpha")}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file} is no calibration ({error}): run 05_anomaly_benchmark again"
            ) from error
        if scorer is None:
            from procutils.predictor import Predictor  # PyTorch: seconds that counting can spare

            scorer = Predictor.load(path)
        return cls(scorer, **known)

    def p_value(self, category: str, surprise: float) -> float:
        """Conformal p-value: the rank of this surprise among the normal ones, itself counted.

        Equal surprises count as at least as surprising, so ties never raise more false alarms.
        """
        values = self._normal(category)
        return (1 + len(values) - bisect_left(values, surprise)) / (len(values) + 1)

    def threshold(self, category: str) -> float:
        """The surprisal (nats) above which a case of this category is flagged, as p ≤ alpha."""
        values = self._normal(category)
        flagged = sum(rank / (len(values) + 1) <= self.alpha for rank in range(1, len(values) + 1))
        return values[len(values) - flagged] if flagged else inf

    def p_values(
        self, cases: Sequence[Case], scores: Sequence[Sequence[EventScore]]
    ) -> list[float]:
        """One p-value per case, from scores that are there already."""
        return [
            self.p_value(case.category, case_surprise(of_case))
            for case, of_case in zip(cases, scores, strict=True)
        ]

    def check(self, case: Case, scores: Sequence[EventScore] | None = None) -> Verdict:
        """Judge a whole case: is it an anomaly, where, of which kind, and what to do about it.

        Raises ValueError for a category without calibration.
        """
        self._normal(case.category)  # before the model is asked
        scores = self.scorer.score_cases([case])[0] if scores is None else scores
        p_value = self.p_value(case.category, case_surprise(scores))
        if p_value > self.alpha:
            text = f"{p_value:.0%} of normal {case.category} cases are as surprising as this one."
            return Verdict(False, p_value, None, "normal", [], text, "None.")
        limit = self.threshold(case.category)
        position = next(i for i, score in enumerate(scores) if score.surprisal > limit)
        expected = self.scorer.next_events(Case(case.id, case.events[:position]), 3)
        kind = self._kind(case, position, expected)
        came = (*case.types, END)[position]
        missed = next((type_ for type_, _ in expected if type_ not in (came, END)), "the next step")
        action = ACTIONS[kind].format(
            came=came, expected=missed, stream=case.id, owner=" or ".join(self._owners(came))
        )
        return Verdict(
            True,
            p_value,
            position,
            kind,
            expected,
            _explanation(case, position, kind, expected, scores[position], p_value),
            action,
        )

    def _kind(self, case: Case, position: int, expected: Sequence[tuple[str, float]]) -> str:
        """What would explain best that this event came here: a key of ACTIONS."""
        if position == len(case.events):
            return "premature end"
        came = case.types[position]
        if came not in self.types[case.category]:
            return "foreign event" if self._owners(came) else "unknown event"
        if self._mended_by_a_swap(case, position):
            return "swapped steps"
        if position and came == case.types[position - 1]:
            return "repeated step"
        over = [type_ for type_, p in expected if p >= LIKELY] == [END]
        return "late event" if over else "skipped step"

    def _mended_by_a_swap(self, case: Case, position: int) -> bool:
        """Whether nothing is surprising there if the event changes places with a neighbour."""
        places = [i for i in (position, position - 1) if 0 <= i < len(case.events) - 1]
        mended = self.scorer.score_cases([_swapped(case, i) for i in places])
        limit = self.threshold(case.category)
        return any(
            case_surprise(scores[i : i + 3]) <= limit
            for i, scores in zip(places, mended, strict=True)
        )

    def _owners(self, type_: str) -> list[str]:
        """The categories whose normal cases hold this event type."""
        return [category for category, held in self.types.items() if type_ in held]

    def _normal(self, category: str) -> list[float]:
        if category not in self.normal:
            raise ValueError(
                f"no calibration for {category!r}, only for {', '.join(self.normal)}: "
                "calibrate with cases of it"
            )
        return self.normal[category]


def _swapped(case: Case, first: int) -> Case:
    """The case with two neighbours in the other order, each at the time of the other."""
    a, b = case.events[first : first + 2]
    pair = [replace(b, at=a.at), replace(a, at=b.at)]
    return Case(case.id, [*case.events[:first], *pair, *case.events[first + 2 :]])


def _explanation(
    case: Case,
    position: int,
    kind: str,
    expected: Sequence[tuple[str, float]],
    score: EventScore,
    p_value: float,
) -> str:
    after = f"after {case.types[position - 1]}" if position else "as the first event"
    what = "the case ended" if score.type == END else f"{score.type} came"
    likely = ", ".join(
        f"{'the end of the case' if type_ == END else type_} ({p:.0%})"
        for type_, p in expected
        if p >= LIKELY
    )
    return (
        f"{kind.capitalize()}: {after}, {what}, with probability {exp(-score.surprisal):.1g}; "
        f"expected: {likely or 'nothing in particular'}. "
        f"At most {p_value:.1%} of normal {case.category} cases are as surprising."
    )
