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


#: Rows of logits worked on at once on a CPU: as many as stay in its cache.
ROWS = 16
#: Log-probabilities (nats) below this are summed as such, which takes longer.
FAR = -60.0

#: A token that nobody had to guess.
CERTAIN = TokenScore(0.0, 0.0, True)


def token_scores(logits: torch.Tensor, targets: torch.Tensor) -> list[TokenScore]:
    """The score of each target.

    logits: [targets, vocabulary], of any precision; targets: [targets].
    """
    size = ROWS if logits.device.type == "cpu" else max(len(logits), 1)
    some = zip(logits.split(size), targets.split(size), strict=True)
    found = [_columns(rows.float(), of_rows) for rows, of_rows in some]
    columns = [torch.cat(column).tolist() for column in zip(*found, strict=True)]
    return [TokenScore(*values) for values in zip(*columns, strict=True)]


def _columns(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The three values of each target, from float32 logits."""
    likeliest, of_target = logits.amax(1), logits.gather(1, targets[:, None])
    weights = (logits - likeliest[:, None]).exp_()
    total = weights.sum(1).log()
    log_p = of_target[:, 0] - likeliest - total
    tail = weights.mul_(logits <= of_target).sum(1).log() - total
    if (far := log_p < FAR).any():  # where a weight is too small for a float
        rest = logits[far].masked_fill(logits[far] > of_target[far], -torch.inf)
        tail[far] = rest.logsumexp(1) - likeliest[far] - total[far]
    return log_p, tail.clamp(max=0.0).maximum(log_p), of_target[:, 0] >= likeliest


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
