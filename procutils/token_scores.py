"""What a language model thinks of single tokens, and of the parts of an event made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch

from procutils.cases import END, EventScore


class TokenScore(NamedTuple):
    """One token, given those before it.

    log_p: its log-probability (nats). log_tail: that of all tokens at most as probable as it.
    greedy: whether none was more probable.
    """

    log_p: float
    log_tail: float
    greedy: bool


#: A token that nobody had to guess.
CERTAIN = TokenScore(0.0, 0.0, True)


def token_scores(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The three values of :class:`TokenScore` for each target, each of the shape of ``targets``.

    logits: [..., vocabulary], float32; targets: [...].
    """
    log_p = logits.log_softmax(-1)
    of_target = log_p.gather(-1, targets[..., None])
    tail = torch.where(log_p <= of_target, log_p, -torch.inf).logsumexp(-1)
    of_target = of_target[..., 0]
    return of_target, tail.clamp(max=0.0), of_target >= log_p.amax(-1)


def event_score(type_: str, parts: Iterable[tuple[str, Sequence[TokenScore]]]) -> EventScore:
    """The score of one event, or of END, from the tokens of its parts.

    A part is as probable as all its tokens together. Its tail is that of its strangest token.
    """
    log_p, tails, greedy = {}, {}, False
    for name, tokens in parts:
        part = "type" if name == END else name
        log_p[part] = sum(token.log_p for token in tokens)
        tails[part] = min(token.log_tail for token in tokens)
        if part == "type":
            greedy = all(token.greedy for token in tokens)
    return EventScore(type_, log_p, greedy, tails)
