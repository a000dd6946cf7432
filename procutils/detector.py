"""Surprise → verdict: calibrated p-values, for whole cases and for those that have gone silent.

A case is as strange as its strangest part (:mod:`procutils.surprise`). How strange is too strange
is not chosen by hand but read off normal cases of the same process (split conformal prediction;
Vovk, Gammerman & Shafer, "Algorithmic Learning in a Random World", 2005, chapter 4; for anomalies
Laxhammar & Falkman 2010): for a normal case, exchangeable with those, P(p ≤ alpha) ≤ alpha,
whatever the model, and however the parts were put together, as long as that was done on others.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from math import ceil, inf
from pathlib import Path
from typing import Protocol, Self

from procutils.cases import Case, EventScore
from procutils.diagnosis import NOTHING_WRONG, Diagnosis, diagnose, diagnose_silence
from procutils.normal import Normal
from procutils.silence import Seen, waiting
from procutils.surprise import Scorer, Usual

CALIBRATION = "calibration.json"
#: Of the calibration cases every third tells what is usual for each part, the others the verdict.
EVERY = 3


class SilenceScorer(Scorer, Protocol):
    """A scorer that also says how long a case may wait, such as the language model."""

    def silences(self, seen: Iterable[Seen]) -> list[float]: ...


@dataclass(frozen=True)
class Verdict(Diagnosis):
    """What the detector says of one case: the diagnosis (kind "normal" if nothing is wrong), and

    is_anomaly: whether it is flagged. p_value: a normal case of this process is at least as
        strange with no more probability.
    """

    is_anomaly: bool = False
    p_value: float = 1.0


class Detector:
    """A scorer with the memory of how strange normal cases are to it."""

    def __init__(
        self,
        scorer: Scorer,
        usual: Usual,
        ranks: Mapping[str, list[float]],
        silences: Mapping[str, list[float]],
        normal: Normal,
        alpha: float,
    ) -> None:
        """usual: per part. ranks, silences: per category, rising, how strange normal cases were
        as a whole, and while they waited (nats); silences may be empty. normal: what normal cases
        look like."""
        self.scorer, self.usual, self.normal, self.alpha = scorer, usual, normal, alpha
        self.ranks, self.silences = ranks, silences

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
        ``cases``, if they are there already. Raises ValueError where too few cases of a
        process are left for the verdict: with fewer than 1/alpha − 1 nothing could ever be flagged.
        """
        if not 0 < alpha < 1:
            raise ValueError(f"alpha is {alpha}: give the share of false alarms, such as 0.02")
        scores = scorer.score_cases(cases) if scores is None else scores
        usual, ranks = Usual({}), {}
        for category in sorted({case.category for case in cases}):
            pairs = [
                pair for pair in zip(cases, scores, strict=True) if pair[0].category == category
            ]
            usual.values |= Usual.learn(*zip(*pairs[::EVERY], strict=True)).values
            judged = [s for i, (_, s) in enumerate(pairs) if i % EVERY]
            if too_few(len(judged), alpha):
                raise ValueError(
                    f"{category} has {len(pairs)} calibration cases, {len(judged)} of them for the "
                    f"verdict, but alpha = {alpha} needs {ceil(1 / alpha - 1)} for it: calibrate "
                    "with more cases, or raise alpha"
                )
            ranks[category] = sorted(usual.case(category, of_case) for of_case in judged)
        return cls(scorer, usual, ranks, {}, Normal.of(cases), alpha)

    def learn_silences(self, cases: Iterable[Case], seed: int = 0) -> None:
        """Learn how normal cases wait, each looked at once, at a random moment of its life.

        cases: normal ones that the scorer was not trained on; the scorer must be a SilenceScorer.
        Raises ValueError where a process has so few of them that nothing could ever be overdue.
        """
        seen = waiting(cases, seed)
        for category, count in sorted(Counter(case.category for case, _ in seen).items()):
            if too_few(count, self.alpha):
                raise ValueError(
                    f"{category} has {count} cases to learn waiting from, but alpha = {self.alpha} "
                    f"needs {ceil(1 / self.alpha - 1)}: give more (silence_cases), or raise alpha"
                )
        found: dict[str, list[float]] = {}
        for (case, _), log_p in zip(seen, self.scorer.silences(seen), strict=True):
            found.setdefault(case.category, []).append(-log_p)
        self.silences = {category: sorted(nats) for category, nats in sorted(found.items())}

    def save(self, path: str | Path) -> None:
        """Write what is normal into the folder of the model."""
        stored = {
            "alpha": self.alpha,
            "usual": self.usual.values,
            "ranks": self.ranks,
            "silences": self.silences,
            "normal": asdict(self.normal),
        }
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
            usual, normal = Usual(stored["usual"]), Normal(**stored["normal"])
            known = {name: stored[name] for name in ("ranks", "silences", "alpha")}
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ValueError(
                f"{file} is no calibration ({error}): run 05_anomaly_benchmark again"
            ) from error
        if scorer is None:
            from procutils.predictor import Predictor  # PyTorch: seconds that counting can spare

            scorer = Predictor.load(path)
        return cls(scorer, usual=usual, normal=normal, **known)

    def surprise(self, case: Case, scores: Sequence[EventScore]) -> float:
        """How strange a whole case is (nats), as ``p_value`` and ``threshold`` count it."""
        self._ranks(case.category)
        return self.usual.case(case.category, scores)

    def p_value(self, category: str, surprise: float) -> float:
        """Conformal p-value: the rank of this surprise among the normal ones, itself counted.

        Equal surprises count as at least as surprising, so ties never raise more false alarms.
        """
        return _p_value(self._ranks(category), surprise)

    def threshold(self, category: str) -> float:
        """The surprise (nats) above which a case of this category is flagged, as p ≤ alpha."""
        return _threshold(self._ranks(category), self.alpha)

    def p_values(
        self, cases: Sequence[Case], scores: Sequence[Sequence[EventScore]]
    ) -> list[float]:
        """One p-value per case, from scores that are there already."""
        return [
            self.p_value(case.category, self.surprise(case, of_case))
            for case, of_case in zip(cases, scores, strict=True)
        ]

    def check(self, case: Case, scores: Sequence[EventScore] | None = None) -> Verdict:
        """Judge a whole case: is it an anomaly, where, of which kind, and what to do about it.

        Raises ValueError for a category without calibration.
        """
        limit = self.threshold(case.category)  # before the model is asked
        scores = self.scorer.score_cases([case])[0] if scores is None else scores
        p_value = self.p_value(case.category, self.surprise(case, scores))
        if p_value > self.alpha:
            text = f"{p_value:.0%} of normal {case.category} cases are as surprising as this one."
            return Verdict(**vars(NOTHING_WRONG) | {"explanation": text}, p_value=p_value)
        found = diagnose(self.scorer, self.usual, self.normal, limit, case, scores, p_value)
        return Verdict(**vars(found), is_anomaly=True, p_value=p_value)

    def check_silence(self, case: Case, now: datetime) -> Verdict:
        """Judge a running case in which nothing has come by ``now``: is the next step overdue?

        Raises ValueError for a category without calibrated silences.
        """
        if case.category not in self.silences:
            raise ValueError(
                f"no calibrated silences for {case.category!r}: call learn_silences first"
            )
        (log_p,) = self.scorer.silences([(case, now)])
        p_value = _p_value(self.silences[case.category], -log_p)
        if p_value > self.alpha:
            text = f"{p_value:.0%} of normal {case.category} cases wait as strangely as this one."
            return Verdict(**vars(NOTHING_WRONG) | {"explanation": text}, p_value=p_value)
        found = diagnose_silence(self.scorer, self.normal, case, now, p_value)
        return Verdict(**vars(found), is_anomaly=True, p_value=p_value)

    def _ranks(self, category: str) -> list[float]:
        if category not in self.ranks:
            raise ValueError(
                f"no calibration for {category!r}, only for {', '.join(self.ranks)}: "
                "calibrate with cases of it"
            )
        return self.ranks[category]


def too_few(normal: int, alpha: float) -> bool:
    """Whether no p-value of a rank among so many normal ones can be as small as ``alpha``."""
    return 1 / (normal + 1) > alpha


def _p_value(normal: Sequence[float], surprise: float) -> float:
    return (1 + len(normal) - bisect_left(normal, surprise)) / (len(normal) + 1)


def _threshold(normal: Sequence[float], alpha: float) -> float:
    flagged = sum(rank / (len(normal) + 1) <= alpha for rank in range(1, len(normal) + 1))
    return normal[len(normal) - flagged] if flagged else inf
