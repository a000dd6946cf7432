"""Cases of a process that a model was never trained on, judged by what it knows of the others."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import mean

from procutils.cases import Case
from procutils.surprise import Scorer


def unsupported(scorer: Scorer, cases: Iterable[Case]) -> list[float]:
    """Per case, how little what came before speaks for what comes: mean over its events, in nats.

    For each event type log p(type | nothing) − log p(type | the case so far), with the prompt alone
    for nothing: the negative pointwise mutual information. A model fine-tuned on other processes
    finds their events probable anywhere, and those of a new process nowhere; what is familiar
    and what is not stands on both sides, and cancels. Source: Holtzman et al., "Surface form
    competition", EMNLP 2021, there for answers to questions. The end of a case is left out.
    """
    cases = list(cases)
    alone: dict[tuple[str, str], Case] = {}
    for case in cases:
        for event in case.events:
            alone.setdefault((case.category, event.type), Case(case.id, [event]))
    scored = zip(alone, scorer.score_cases(alone.values()), strict=True)
    prior = {key: first.surprisal for key, (first, *_) in scored}
    return [
        mean(
            score.surprisal - prior[case.category, event.type]
            for event, score in zip(case.events, scores, strict=False)
        )
        for case, scores in zip(cases, scorer.score_cases(cases), strict=True)
    ]
