"""Cases of a process that a model was never trained on, judged by what it knows of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import mean

from procutils.cases import Case, EventScore
from procutils.surprise import Scorer


def mean_surprise(scorer: Scorer, cases: Iterable[Case]) -> list[float]:
    """Per case the mean surprise of its event types, the end included, in nats."""
    return [_mean(of_case) for of_case in scorer.score_cases(cases)]


def ways_to_judge(scorer: Scorer, cases: Iterable[Case]) -> dict[str, list[float]]:
    """Per case its ``mean_surprise``, and how far it is ``unsupported``, in nats.

    Unsupported: how little what came before speaks for what comes. For each event type
    log p(type | nothing) − log p(type | the case so far), with the prompt alone for nothing: the
    negative pointwise mutual information, its mean over the events, the end left out. A model
    fine-tuned on other processes finds their events probable anywhere, and those of a new process
    nowhere; what is merely familiar or not stands on both sides, and cancels. Source: Holtzman et
    al., "Surface form competition", EMNLP 2021, there for answers to questions.
    """
    cases = list(cases)
    alone: dict[tuple[str, str], Case] = {}
    for case in cases:
        for event in case.events:
            alone.setdefault((case.category, event.type), Case(case.id, [event]))
    firsts, scores = scorer.score_cases(alone.values()), scorer.score_cases(cases)
    prior = {key: first[0].surprisal for key, first in zip(alone, firsts, strict=True)}

    def gain(case: Case, of_case: Sequence[EventScore]) -> float:
        pairs = zip(case.events, of_case[:-1], strict=True)
        return mean(score.surprisal - prior[case.category, event.type] for event, score in pairs)

    return {
        "mean_surprise": [_mean(of_case) for of_case in scores],
        "unsupported": [gain(*pair) for pair in zip(cases, scores, strict=True)],
    }


def _mean(scores: Iterable[EventScore]) -> float:
    return mean(score.surprisal for score in scores)
