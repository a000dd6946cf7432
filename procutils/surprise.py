"""How strange a case is, part by part, against what is usual for that part in normal cases.

An amount is hard to guess and an approval level is not: a nat of surprise means little in the one
and much in the other. So each part of each event type of each process is measured by its own
normal cases: what share of them was as strange. Beyond the strangest of them the share falls by e
with each further nat, as it would if the model's probabilities were right.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import log
from typing import Protocol

from procutils.cases import Case, EventScore

#: category → event type → part → how strange normal cases made it, rising (nats).
Values = dict[str, dict[str, dict[str, list[float]]]]


class Scorer(Protocol):
    """Anything that gives events a probability: the language model, a baseline, a true grammar.

    One that reads fields also has an ``encoding``, which says how.
    """

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]: ...
    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]: ...


class Usual:
    """The memory of how strange each part of normal cases is to one scorer."""

    def __init__(self, values: Values) -> None:
        self.values = values

    @classmethod
    def learn(cls, cases: Iterable[Case], scores: Iterable[Sequence[EventScore]]) -> Usual:
        """From normal cases that the scorer was not trained on, and their scores."""
        values: Values = {}
        for case, of_case in zip(cases, scores, strict=True):
            types = values.setdefault(case.category, {})
            for score in of_case:
                parts = types.setdefault(score.type, {})
                for part, nats in strangeness(score).items():
                    parts.setdefault(part, []).append(nats)
        for types in values.values():
            for parts in types.values():
                for found in parts.values():
                    found.sort()
        return cls(values)

    def parts(self, category: str, score: EventScore) -> dict[str, float]:
        """For each part of an event −log (nats) of the share of normal ones that are as strange.

        A part never seen before is as strange as the scorer says.
        """
        known = self.values.get(category, {}).get(score.type, {})
        return {
            part: rarity(known.get(part, ()), nats) for part, nats in strangeness(score).items()
        }

    def event(self, category: str, score: EventScore) -> float:
        """The rarity (nats) of the strangest part of an event."""
        return max(self.parts(category, score).values())

    def case(self, category: str, scores: Iterable[EventScore]) -> float:
        """The rarity (nats) of the strangest part of a case: one number that ranks cases."""
        return max(self.event(category, score) for score in scores)


def strangeness(score: EventScore) -> dict[str, float]:
    """How strange the scorer finds each part (nats): −log of its tail, or of its probability
    where the scorer gives no tails."""
    return {part: -log_p for part, log_p in (score.parts | score.tails).items()}


def rarity(normal: Sequence[float], nats: float) -> float:
    """−log (nats) of the share of ``normal`` (rising), itself counted, that is at least as strange.

    Beyond the strangest of them each further nat counts in full; with none, ``nats`` as it is.
    """
    if not normal:
        return nats
    as_strange = len(normal) - bisect_left(normal, nats)
    beyond = max(nats - normal[-1], 0.0)
    return log((len(normal) + 1) / (as_strange + 1)) + beyond
