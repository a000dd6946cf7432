"""What may come next, after every prefix of many cases: they are read together, as prefix trees.

:meth:`Running.next_events` says the same of one prefix, and reads the whole case for it. Here what
prefixes and the names after them begin with is read once for all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import exp
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase

from procutils.cases import END, Case
from procutils.encoding import Encoding
from procutils.running import NEGLIGIBLE
from procutils.shared_prefixes import TREE_TOKENS, Tree
from procutils.tokens import text_ids, tokenise

Ids = tuple[int, ...]
Asked = tuple[Ids, Ids]
"""A prefix, and a name after it."""
Read = Callable[..., Iterator[tuple[Tree, Any]]]
"""``read(sequences, said, most)``: trees of at most ``most`` nodes, with what ``said`` makes of
each and of the logits after its inner nodes, [width, vocabulary]."""

#: How many prefixes are asked about at once: with many names each, more would take much memory.
TOGETHER = 256

#: Of so many tokens at a time the whole vocabulary is looked at.
ROWS = 256


def distributions(
    read: Read, tokenizer: PreTrainedTokenizerBase, encoding: Encoding, cases: Iterable[Case]
) -> list[list[dict[str, float]]]:
    """For each case the probability of every type that the encoding knows, and of END, after each
    prefix, the empty one first: n + 1 entries.

    What is left to 1 went to words that name none. Every case is read whole, however long.
    """
    of_names = map(tuple, text_ids(tokenizer, [*encoding.names.values()]))
    names = dict(zip(encoding.names, of_names, strict=True))
    begun = [_prefixes(case, encoding, tokenizer) for case in cases]
    distinct = sorted({prefix for of_case in begun for prefix in of_case})
    said: dict[Ids, dict[str, float]] = {}
    for start in range(0, len(distinct), TOGETHER):
        said |= _after(read, distinct[start : start + TOGETHER], names, tokenizer.eos_token_id)
    return [[said[prefix] for prefix in of_case] for of_case in begun]


def _prefixes(case: Case, encoding: Encoding, tokenizer: PreTrainedTokenizerBase) -> list[Ids]:
    """The tokens before each event, and before the end."""
    tokens = tokenise(case, encoding, tokenizer)
    starts: dict[int, int] = {}
    for span in tokens.spans:
        starts.setdefault(span.event, span.start)
    return [tuple(tokens.ids[:start]) for start in starts.values()]


def _after(
    read: Read, prefixes: Sequence[Ids], names: dict[str, Ids], end: int
) -> dict[Ids, dict[str, float]]:
    """What may come after each prefix.

    A name whose first token has next to no share of that of all names is not read on: it gets an
    equal part of the token's probability.
    """
    alike = Counter(ids[0] for ids in names.values())
    # Room for the longest prefix, or it were read once more for every few names.
    most = TREE_TOKENS + max(map(len, prefixes))
    first = _first(read, prefixes, [*alike, end], most)
    asked: list[Asked] = []
    for prefix in prefixes:
        least = NEGLIGIBLE * sum(first[prefix][token] for token in alike)
        asked += [(prefix, ids) for ids in names.values() if first[prefix][ids[0]] >= least]
    whole = _whole(read, asked, most)
    return {
        prefix: {
            type_: whole.get((prefix, ids), first[prefix][ids[0]] / alike[ids[0]])
            for type_, ids in names.items()
        }
        | {END: first[prefix][end]}
        for prefix in prefixes
    }


def _first(
    read: Read, prefixes: Sequence[Ids], tokens: list[int], most: int
) -> dict[Ids, dict[int, float]]:
    """How probable each of these tokens is after each prefix."""

    def said(tree: Tree, logits: torch.Tensor) -> list[list[float]]:
        of_rows = (some.float().softmax(1)[:, tokens] for some in logits.split(ROWS))
        return torch.cat([*of_rows]).tolist()

    found = {}
    for tree, p in read([(*prefix, tokens[0]) for prefix in prefixes], said, most):
        before = tree.before
        for index, path in tree.paths.items():
            found[prefixes[index]] = dict(zip(tokens, p[before[path[-1]]], strict=True))
    return found


def _whole(read: Read, asked: Sequence[Asked], most: int) -> dict[Asked, float]:
    """How probable each name is, all its tokens together, after its prefix."""
    found = {}
    for tree, log_p in read([prefix + name for prefix, name in asked], _log_p, most):
        for index, path in tree.paths.items():
            prefix, _ = asked[index]
            found[asked[index]] = exp(log_p[path[-1]] - log_p[path[len(prefix) - 1]])
    return found


def _log_p(tree: Tree, logits: torch.Tensor) -> list[float]:
    """The log-probability (nats) of all tokens of each node, given the first."""
    before = tree.before
    tokens = [tree.tokens[node] for node in before]
    asked = torch.tensor([[*before.values()], tokens], device=logits.device).split(ROWS, 1)
    steps = [
        step
        for rows, ids in asked
        for step in logits[rows].float().log_softmax(1).gather(1, ids[:, None])[:, 0].tolist()
    ]
    found = [0.0] * len(tree.tokens)
    for node, step in zip(before, steps, strict=True):
        found[node] = found[tree.parents[node]] + step
    return found
