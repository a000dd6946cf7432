"""Token sequences as prefix trees: what several of them begin with is there once.

What a causal language model says of a token depends on the tokens before it alone, so sequences
that begin alike can share one reading. A tree lies in one row of the model's input, where every
token sees its ancestors and itself, and stands at the position that it has in its sequences: tree
attention, with which Miao et al. (2024), "SpecInfer", arXiv:2305.09781, check guessed tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

import torch
from torch.nn.utils.rnn import pad_sequence

#: How many distinct tokens of cases that begin alike lie in one row. More share more, but cost more
#: each, for every token looks at all of them.
TREE_TOKENS = 256


@dataclass(slots=True)
class Tree:
    """Some sequences as one tree. Each node is a distinct beginning of them; nodes are in preorder.

    tokens: the last token of each node.
    parents: the node one token shorter; -1 for one token alone.
    depths: how many tokens a node has before its last.
    ends: the nodes that begin with node n are n to ends[n] - 1.
    paths: by the index of a sequence, its beginnings, the shortest first.
    """

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    depths: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    paths: dict[int, list[int]] = field(default_factory=dict)

    def add(self, index: int, ids: Sequence[int], known: list[int]) -> list[int]:
        """A sequence that comes after all others in their order, and its path.

        known: the nodes of its beginnings that are there already.
        """
        path = list(known)
        for depth in range(len(path), len(ids)):
            self.parents.append(path[-1] if path else -1)
            path.append(len(self.tokens))
            self.tokens.append(ids[depth])
            self.depths.append(depth)
            self.ends.append(0)
        for node in path:
            self.ends[node] = len(self.tokens)
        self.paths[index] = path
        return path

    @property
    def inner(self) -> list[int]:
        """The nodes that another one goes on from: all that a model has to read."""
        return [node for node, end in enumerate(self.ends) if end > node + 1]

    @property
    def before(self) -> dict[int, int]:
        """By node, the place in ``inner`` of the one before it, if there is one."""
        places = {node: place for place, node in enumerate(self.inner)}
        return {node: places[before] for node, before in enumerate(self.parents) if before >= 0}


class Rows(NamedTuple):
    """The inner nodes of some trees, a tree a row, padded on the right to the widest.

    tokens, depths: [rows, width]. sees: [rows, width, width], whether the node of the second
    dimension may look at that of the third.
    """

    tokens: torch.Tensor
    depths: torch.Tensor
    sees: torch.Tensor


def trees(sequences: Sequence[Sequence[int]], most: int) -> list[Tree]:
    """Every sequence in one of some trees of at most ``most`` nodes, those that begin alike
    together; only a tree of a sequence that is longer by itself may have more.
    """
    found: list[Tree] = []
    before: Sequence[int] = []
    path: list[int] = []
    for index in sorted(range(len(sequences)), key=lambda index: sequences[index]):
        ids = sequences[index]
        path = path[: _shared(before, ids)]
        if not found or len(found[-1].tokens) + len(ids) - len(path) > most:
            found.append(Tree())
            path = []
        path = found[-1].add(index, ids, path)
        before = ids
    return found


def rows(some: Sequence[Tree], device: torch.device | str) -> Rows:
    """Some trees as a model reads them."""

    def padded(values: list[list[int]], padding: int = 0) -> torch.Tensor:
        return pad_sequence(
            [torch.tensor(of, dtype=torch.long) for of in values], True, padding
        ).to(device)

    inner = [tree.inner for tree in some]
    # Padding lies before all nodes, where none looks; it sees itself.
    nodes = padded(inner, -1)
    each = list(zip(some, inner, strict=True))
    ends = padded([[tree.ends[node] for node in of] for tree, of in each])
    seeing = nodes[:, :, None]
    return Rows(
        padded([[tree.tokens[node] for node in of] for tree, of in each]),
        padded([[tree.depths[node] for node in of] for tree, of in each]),
        (nodes[:, None] <= seeing) & (seeing < ends[:, None]),
    )


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
