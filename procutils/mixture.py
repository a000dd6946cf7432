"""Several scorers as one: what they say of each part of each event, put together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import exp, log
from statistics import fmean

import numpy as np

from procutils.cases import Case, EventScore
from procutils.surprise import Scorer, strangeness

Scores = Iterable[Sequence[EventScore]]

#: The share of the first scorer in a part that no case told anything of.
EVEN = 0.5


class _Together:
    """Scorers whose scores are put together, event by event.

    A part that only one of them has is left as it is.
    """

    def __init__(self, *scorers: Scorer) -> None:
        self.scorers = scorers

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]:
        """One entry per event of each case, and one for END."""
        cases = list(cases)
        return self.of(*(scorer.score_cases(cases) for scorer in self.scorers))

    def of(self, *scores: Scores) -> list[list[EventScore]]:
        """The same from the scores of each, where they are there already."""
        each_case = zip(*scores, strict=True)
        return [[self.mixed(*event) for event in zip(*case, strict=True)] for case in each_case]

    def mixed(self, *scores: EventScore) -> EventScore:
        """One event's scores as one; what a part's tail was is not known any more."""
        said: defaultdict[str, list[float]] = defaultdict(list)
        for score in scores:
            for part, nats in self._read(score).items():
                said[part].append(nats)
        parts = {part: self._joined(part, n) if n[1:] else n[0] for part, n in said.items()}
        return EventScore(scores[0].type, parts, scores[0].greedy)

    def _read(self, score: EventScore) -> dict[str, float]:
        """What counts of an event, by part (nats, ≤ 0)."""
        raise NotImplementedError

    def _joined(self, part: str, said: Sequence[float]) -> float:
        """What those that have a part gave to it, as one (nats, ≤ 0)."""
        raise NotImplementedError


class Mixture(_Together):
    """p = w p₁ + (1 − w) p₂ for every part of every event, with a weight w for each part.

    A convex mixture of two models is never worse than the better one by more than −log of its
    weight, and better where they err in different places (Jelinek & Mercer 1980).
    """

    def __init__(self, first: Scorer, second: Scorer, weights: Mapping[str, float] = {}) -> None:
        """weights: part → the share of ``first``; EVEN for parts not named."""
        super().__init__(first, second)
        self.weights = dict(weights)

    @classmethod
    def fit(cls, first: Scorer, second: Scorer, cases: Sequence[Case]) -> Mixture:
        """The weights that make ``cases`` most probable; neither scorer was trained on them."""
        found = cls(first, second)
        scores = first.score_cases(cases), second.score_cases(cases)
        pairs: defaultdict[str, list[tuple[float, float]]] = defaultdict(list)
        for ours, theirs in zip(*map(_flat, scores), strict=True):
            for part in ours.parts.keys() & theirs.parts.keys():
                pairs[part].append((ours.parts[part], theirs.parts[part]))
        found.weights = {
            part: float(best_shares(np.transpose(of_part))[0])
            for part, of_part in sorted(pairs.items())
        }
        return found

    def _read(self, score: EventScore) -> dict[str, float]:
        return score.parts

    def _joined(self, part: str, said: Sequence[float]) -> float:
        w, (first, second) = self.weights.get(part, EVEN), said
        return log(max(w * exp(first) + (1 - w) * exp(second), 1e-300))

    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]:
        """The k most probable next types with their probabilities."""
        w = self.weights.get("type", EVEN)
        mixed: defaultdict[str, float] = defaultdict(float)
        for share, scorer in zip((w, 1 - w), self.scorers, strict=True):
            for type_, p in scorer.next_events(prefix, 1_000):
                mixed[type_] += share * p
        return sorted(mixed.items(), key=lambda item: (-item[1], item[0]))[:k]


class Pool(_Together):
    """Every part of every event as strange (nats) as the scorers find it on average.

    A logarithmic opinion pool (Genest & Zidek 1986, "Combining probability distributions") with
    even shares: none alone can call a part normal, as it can in a mixture. What comes out need not
    sum to one: it ranks events, and predicts none.
    """

    def _read(self, score: EventScore) -> dict[str, float]:
        return {part: -nats for part, nats in strangeness(score).items()}

    def _joined(self, part: str, said: Sequence[float]) -> float:
        return fmean(said)


def best_shares(log_p: np.ndarray, steps: int = 200) -> np.ndarray:
    """The shares of models, [models], summing to one, that make what came most probable.

    log_p: [models, targets], what each gave to what came (nats), none of it −inf, on targets that
    none learned from. By expectation maximisation (Jelinek & Mercer 1980): the likelihood is
    concave in the shares, so it finds the best.
    """
    p = np.exp(log_p - log_p.max(0))
    shares = np.full(len(p), 1 / len(p))
    for _ in range(steps):
        owed = shares[:, None] * p
        shares = (owed / owed.sum(0)).mean(1)
    return shares


def _flat(scores: Iterable[Sequence[EventScore]]) -> list[EventScore]:
    return [score for of_case in scores for score in of_case]
