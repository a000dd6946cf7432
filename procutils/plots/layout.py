"""A layered layout of a directed graph, left to right.

After Sugiyama, Tagawa & Toda, "Methods for visual understanding of hierarchical system structures",
1981: turn the edges that go back, give every node a layer, order the layers so that few edges
cross, then place. The most probable path stays on one straight line, the spine.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from procutils.cases import END, START

# All lengths are inches. Extents are (width, above the middle, below the middle).
BOX = (0.88, 0.27, 0.27)
DOT = (0.23, 0.115, 0.115)
LOOP = 0.30  # how far a loop stands out of its box
GAP = (0.46, 0.19)  # between layers, and between the nodes of a layer
MARGIN = 0.25
_BEND = (0.0, 0.05, 0.05)  # what an edge needs where it passes a layer

Edge = tuple[str, str]


@dataclass
class Layout:
    """Nodes by layer, top to bottom; bends are nodes too. ``paths`` lead each edge through them."""

    weights: Mapping[Edge, float]
    layers: list[list[str]]
    spine: set[str]
    paths: dict[Edge, list[str]]
    extents: dict[str, tuple[float, float, float]]
    back: set[Edge]
    x: dict[str, float] = field(default_factory=dict)
    y: dict[str, float] = field(default_factory=dict)

    def goes_back(self, edge: Edge) -> bool:
        return edge in self.back or edge[0] == edge[1]

    def middle(self, nodes: list[str]) -> int | None:
        """Index of the node of a layer that lies on the spine."""
        return next((i for i, node in enumerate(nodes) if node in self.spine), None)

    def loop_side(self, node: str) -> int:
        """1 if a loop goes on top of the node, -1 if below: away from the spine."""
        nodes = next(nodes for nodes in self.layers if node in nodes)
        middle = self.middle(nodes)
        return -1 if middle is not None and nodes.index(node) > middle else 1


def with_start(edges: Mapping[Edge, float]) -> dict[Edge, float]:
    """Lead from START to the nodes that nothing else leads to, unless START is there already."""
    if any(START in edge for edge in edges):
        return dict(edges)
    reached = {b for a, b in edges if a != b}
    roots = [a for a in dict.fromkeys(a for a, _ in edges) if a not in reached]
    roots = roots or [next(iter(edges))[0]]
    return {**{(START, root): 1 / len(roots) for root in roots}, **edges}


def with_ends_apart(edges: Mapping[Edge, float]) -> dict[Edge, float]:
    """One END per node that leads to it: rings beside the nodes, no long lines to a far corner."""
    return {(a, f"{END} {a}" if b == END else b): p for (a, b), p in edges.items()}


def is_box(node: str) -> bool:
    """False for START and for the ENDs."""
    return node != START and not node.startswith(END)


def layered(edges: Mapping[Edge, float]) -> Layout:
    """Place the nodes of ``edges``; the probabilities decide the spine and what counts as back."""
    back = _edges_that_go_back(edges)
    forward = {(b, a) if (a, b) in back else (a, b) for a, b in edges if a != b}
    rank = _longest_paths(forward)
    layers: list[list[str]] = [[] for _ in range(max(rank.values()) + 1)]
    for node, layer in rank.items():
        layers[layer].append(node)
    paths: dict[Edge, list[str]] = {}
    for a, b in edges:
        first, last = (b, a) if (a, b) in back else (a, b)
        bends = [f"({a} to {b} at {i})" for i in range(rank[first] + 1, rank[last])]
        for i, bend in enumerate(bends):
            layers[rank[first] + 1 + i].append(bend)
        paths[a, b] = [first, *bends, last] if first != last else [a]
    extents = {node: _BEND for layer in layers for node in layer}
    extents |= {node: BOX if is_box(node) else DOT for node in rank}
    layout = Layout(edges, layers, _spine(edges, back, paths), paths, extents, back)
    _order(layout)
    for node in (a for a, b in edges if a == b):
        width, above, below = BOX
        up = layout.loop_side(node) > 0
        extents[node] = (width, above + LOOP, below) if up else (width, above, below + LOOP)
    _place(layout)
    return layout


def _edges_that_go_back(edges: Mapping[Edge, float]) -> set[Edge]:
    """Depth first, the probable way first: what leads to a node still open closes a cycle."""
    followers: defaultdict[str, list[str]] = defaultdict(list)
    for a, b in sorted(edges, key=lambda edge: -edges[edge]):
        followers[a].append(b)
    back, open_, done = set(), set(), set()

    def visit(node: str) -> None:
        open_.add(node)
        for follower in followers[node]:
            if follower in open_ and follower != node:
                back.add((node, follower))
            elif follower not in done and follower != node:
                visit(follower)
        open_.remove(node)
        done.add(node)

    for node in (START, *dict.fromkeys(a for a, _ in edges)):
        if node not in done:
            visit(node)
    return back


def _longest_paths(forward: set[Edge]) -> dict[str, int]:
    """Layer of each node: one more than its last predecessor's."""
    before: defaultdict[str, list[str]] = defaultdict(list)
    for a, b in sorted(forward):
        before[b].append(a)
    rank: dict[str, int] = {}

    def visit(node: str) -> int:
        if node not in rank:
            rank[node] = max((visit(a) + 1 for a in before[node]), default=0)
        return rank[node]

    for edge in sorted(forward):
        for node in edge:
            visit(node)
    return rank


def _spine(edges: Mapping[Edge, float], back: set[Edge], paths: dict[Edge, list[str]]) -> set[str]:
    """The nodes and bends on the way that takes the most probable edge each time."""
    spine, node = {START}, START
    while True:
        ways = {e: p for e, p in edges.items() if e[0] == node != e[1] and e not in back}
        if not ways:
            return spine
        best = max(ways, key=ways.__getitem__)
        spine.update(paths[best])
        node = best[1]


def _order(layout: Layout) -> None:
    """Move nodes within their layers, or all bends of an edge at once, while that helps."""
    gaps: list[list[Edge]] = [[] for _ in layout.layers]  # the links into each layer
    column = {node: i for i, nodes in enumerate(layout.layers) for node in nodes}
    for edge in sorted(layout.paths, key=lambda edge: -layout.weights[edge]):
        for a, b in pairwise(layout.paths[edge]):
            gaps[column[b]].append((a, b))

    found: dict[tuple, float] = {}  # most moves leave most layers as they were

    def crossings(links: list[Edge], position: dict[str, int]) -> float:
        """Of the links between two layers, and how far they lead up or down."""
        first, last = np.array([(position[a], position[b]) for a, b in links]).T
        main = np.array([{a, b} <= layout.spine for a, b in links])
        cross = (first[:, None] - first) * (last[:, None] - last) < 0
        crossed = (cross * (1 + 2 * (main[:, None] | main))).sum() / 2
        return float(crossed + 0.1 * abs(first - last).sum())

    def cost() -> float:
        position: dict[str, int] = {}
        middles: list[int] = []
        total = 0.0
        for number, (nodes, links) in enumerate(zip(layout.layers, gaps, strict=True)):
            middle = layout.middle(nodes)
            if middle is None:  # past the end of the spine the most probable link stays level
                middle = nodes.index(links[0][1]) - position[links[0][0]]
            position |= {node: i - middle for i, node in enumerate(nodes)}
            middles.append(middle)
            if number:
                around = number, *middles[-2:], *layout.layers[number - 1], *nodes
                if around not in found:
                    found[around] = crossings(links, position)
                total += found[around]
        # Side tracks go below the main path where nothing else decides.
        return total + 0.001 * sum(place < 0 for place in position.values())

    def try_moves(group: list[str]) -> None:
        """All nodes of ``group`` to the same position in their layers, counted from either end."""
        best, best_cost = [list(nodes) for nodes in layout.layers], cost()
        start = best
        for position in range(-4 if len(group) > 1 else 0, max(map(len, start))):
            layout.layers = [list(nodes) for nodes in start]
            for node in group:
                nodes = layout.layers[column[node]]
                nodes.remove(node)
                nodes.insert(position if position >= 0 else len(nodes) + 1 + position, node)
            if (now := cost()) < best_cost - 1e-9:
                best, best_cost = layout.layers, now
        layout.layers = best

    groups = [path[1:-1] for path in layout.paths.values()]
    groups = [[n for n in group if n not in layout.spine] for group in groups if len(group) > 1]
    for _ in range(4):
        before = layout.layers
        for group in groups + [[node] for node in column if node not in layout.spine]:
            if group:
                try_moves(group)
        if layout.layers == before:
            break
    upright = cost()
    layout.layers = [nodes[::-1] for nodes in layout.layers]
    if cost() > upright:
        layout.layers = [nodes[::-1] for nodes in layout.layers]


def _place(layout: Layout) -> None:
    """Columns from left to right; the spine at height 0, all else near what it is linked to."""
    left = MARGIN
    for nodes in layout.layers:
        width = max(layout.extents[node][0] for node in nodes)
        layout.x |= dict.fromkeys(nodes, left + width / 2)
        left += width + GAP[0]
    before: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
    after: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
    for edge, path in layout.paths.items():
        for a, b in pairwise(path):
            before[b].append((a, layout.weights[edge] + 0.01))
            after[a].append((b, layout.weights[edge] + 0.01))
    layout.y = dict.fromkeys(layout.x, 0.0)
    for sweep in range(9):  # to the right looking left, to the left looking right, in turn
        near, step = (before, 1) if sweep % 2 == 0 else (after, -1)
        for nodes in layout.layers[::step]:
            pulls = [sum(weight for _, weight in near[node]) for node in nodes]
            wishes = [
                sum(layout.y[n] * w for n, w in near[node]) / pull if pull else layout.y[node]
                for node, pull in zip(nodes, pulls, strict=True)
            ]
            layout.y |= dict(zip(nodes, _apart(nodes, wishes, pulls, layout), strict=True))
    for path in layout.paths.values():
        _straighten(layout, path[1:-1])


def _straighten(layout: Layout, bends: list[str]) -> None:
    """Give the bends of one edge the height of the outermost, where there is room for it."""
    height = max((layout.y[bend] for bend in bends), key=abs, default=0.0)
    for bend in bends:
        nodes = next(nodes for nodes in layout.layers if bend in nodes)
        heights = [height if node == bend else layout.y[node] for node in nodes]
        if any(
            upper - lower < layout.extents[a][2] + layout.extents[b][1] + GAP[1] - 1e-9
            for (a, b), (upper, lower) in zip(pairwise(nodes), pairwise(heights), strict=True)
        ):
            return
    layout.y |= dict.fromkeys(bends, height)


def _apart(
    nodes: list[str], wishes: list[float], pulls: list[float], layout: Layout
) -> list[float]:
    """Heights near the wishes, top to bottom, with room between; the spine's node stays at 0."""
    rooms = [layout.extents[a][2] + layout.extents[b][1] + GAP[1] for a, b in pairwise(nodes)]
    heights, middle = list(wishes), layout.middle(nodes)
    fixed = middle if middle is not None else pulls.index(max(pulls))
    if middle is not None:
        heights[fixed] = 0.0
    for i in range(fixed, len(rooms)):
        heights[i + 1] = min(wishes[i + 1], heights[i] - rooms[i])
    for i in range(fixed, 0, -1):
        heights[i - 1] = max(wishes[i - 1], heights[i] + rooms[i - 1])
    return heights
