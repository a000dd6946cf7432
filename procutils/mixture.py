"""Two scorers as one: their probabilities, part by part, mixed by what fits normal cases best."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import exp, log

import numpy as np

from procutils.cases import Case, EventScore
from procutils.surprise import Scorer, strangeness

Scores = Iterable[Sequence[EventScore]]

#: The share of the first scorer in a part that no case told anything of.
EVEN = 0.5


class _Two:
    """Two scorers whose scores are put together, event by event.

    A part that only one of the two has is left as it is.
    """

    def __init__(self, first: Scorer, second: Scorer, weights: Mapping[str, float] = {}) -> None:
        """weights: part → the share of ``first``; EVEN for parts not named."""
        self.first, self.second, self.weights = first, second, dict(weights)

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]:
        """One entry per event of each case, and one for END."""
        cases = list(cases)
        return self.of(self.first.score_cases(cases), self.second.score_cases(cases))

    def of(self, ours: Scores, theirs: Scores) -> list[list[EventScore]]:
        """The same from the scores of both, where they are there already."""
        both = zip(ours, theirs, strict=True)
        return [[self.mixed(*pair) for pair in zip(*of_case, strict=True)] for of_case in both]

    def mixed(self, ours: EventScore, theirs: EventScore) -> EventScore:
        """The scores of one event by both, as one; what a part's tail was is not known any more."""
        first, second = self._read(ours), self._read(theirs)
        parts = first | second
        for part in first.keys() & second.keys():
            w = self.weights.get(part, EVEN)
            parts[part] = self._joined(w, first[part], second[part])
        return EventScore(ours.type, parts, ours.greedy)

    def _read(self, score: EventScore) -> dict[str, float]:
        """What counts of an event, by part (nats, ≤ 0)."""
        raise NotImplementedError

    def _joined(self, w: float, first: float, second: float) -> float:
        """What both gave to a part, as one (nats, ≤ 0)."""
        raise NotImplementedError


class Mixture(_Two):
    """p = w p₁ + (1 − w) p₂ for every part of every event, with a weight w for each part.

    A convex mixture of two models is never worse than the better one by more than −log of its
    weight, and better where they err in different places (Jelinek & Mercer 1980).
    """

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

    def _joined(self, w: float, first: float, second: float) -> float:
        return log(max(w * exp(first) + (1 - w) * exp(second), 1e-300))

    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]:
        """The k most probable next types with their probabilities."""
        w = self.weights.get("type", EVEN)
        mixed: defaultdict[str, float] = defaultdict(float)
        for share, scorer in ((w, self.first), (1 - w, self.second)):
            for type_, p in scorer.next_events(prefix, 1_000):
                mixed[type_] += share * p
        return sorted(mixed.items(), key=lambda item: (-item[1], item[0]))[:k]


class Pool(_Two):
    """Strangeness w s₁ + (1 − w) s₂ (nats) for every part of every event.

    A logarithmic opinion pool (Genest & Zidek 1986, "Combining probability distributions"): a part
    is as strange as both find it on average, so neither alone can call it normal, as it can in a
    mixture. What comes out need not sum to one: it ranks events, and predicts none.
    """

    def _read(self, score: EventScore) -> dict[str, float]:
        return {part: -nats for part, nats in strangeness(score).items()}

    def _joined(self, w: float, first: float, second: float) -> float:
        return w * first + (1 - w) * second


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
