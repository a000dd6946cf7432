"""The process map: which event follows which, drawn left to right.

A layered drawing after Sugiyama, Tagawa & Toda, "Methods for visual understanding of hierarchical
system structures", 1981: turn edges that go back, give every node a layer, order the layers so that
few edges cross, then place. The most probable path stays on one straight line.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from procutils.cases import END
from procutils.plots.style import BLACK, BLUE, GREY, VERMILLION, canvas, short_names, tint

START = "(start)"

_BOX = (0.92, 0.56)  # width and height in inches
_DOT = (0.24, 0.24)
_BEND = (0.0, 0.10)  # what an edge needs where it passes a layer
_GAP = (0.52, 0.20)  # between layers, and between nodes of a layer
_MARGIN = 0.3

Edge = tuple[str, str]


@dataclass
class _Layout:
    """Nodes by layer, top to bottom; bends are nodes too. ``paths`` lead each edge through them."""

    layers: list[list[str]]
    spine: set[str]
    paths: dict[Edge, list[str]]
    sizes: dict[str, tuple[float, float]]
    back: set[Edge]
    x: dict[str, float] = field(default_factory=dict)
    y: dict[str, float] = field(default_factory=dict)


def process_map(edges: Mapping[Edge, float], title: str = "Process map") -> Figure:
    """Draw a process from its transitions.

    edges: probability that ``to`` follows ``from``. END is drawn as a ring beside every node that
        may be the last; nodes that nothing leads to are marked as starts, unless the edges hold
        ``(start)`` themselves.
    """
    if not edges:
        raise ValueError("no edges; a process map needs at least one")
    edges = _with_ends_apart(_with_start(edges))
    layout = _layout(edges)
    nodes = [node for path in layout.paths.values() for node in (path[0], path[-1])]
    names = short_names({node for node in nodes if _is_box(node)})
    right = max(layout.x[node] + layout.sizes[node][0] / 2 for node in layout.x)
    top = max(layout.y[node] + layout.sizes[node][1] / 2 for node in layout.y)
    bottom = min(layout.y[node] - layout.sizes[node][1] / 2 for node in layout.y)
    loops = 0.3 if any(a == b for a, b in edges) else 0.0
    fig, axes = canvas(title, right + _MARGIN, top - bottom + 2 * _MARGIN + loops + 0.25)
    axes.set_ylim(bottom - _MARGIN - 0.25, top + _MARGIN + loops)
    for edge, probability in edges.items():
        _draw_edge(axes, layout, edge, probability)
    for node in dict.fromkeys(nodes):
        _draw_node(axes, layout, node, names.get(node, ""))
    axes.text(
        _MARGIN / 2,
        bottom - _MARGIN - 0.1,
        "● start   ◎ end   line width: probability, printed where it is not 100 %"
        + ("   dashed: back to an earlier step" if layout.back or loops else "")
        + "   blue: the most probable path",
        size=8,
        color=GREY,
    )
    return fig


# --- the graph -------------------------------------------------------------------------------


def _with_start(edges: Mapping[Edge, float]) -> dict[Edge, float]:
    if any(START in edge for edge in edges):
        return dict(edges)
    reached = {b for a, b in edges if a != b}
    roots = [a for a in dict.fromkeys(a for a, _ in edges) if a not in reached]
    roots = roots or [next(iter(edges))[0]]
    return {**{(START, root): 1 / len(roots) for root in roots}, **edges}


def _with_ends_apart(edges: Mapping[Edge, float]) -> dict[Edge, float]:
    """One END per node that leads to it: rings beside the nodes, no long lines to a far corner."""
    return {(a, f"{END} {a}" if b == END else b): p for (a, b), p in edges.items()}


def _is_box(node: str) -> bool:
    return node != START and not node.startswith(END)


def _layout(edges: dict[Edge, float]) -> _Layout:
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
    sizes = {node: _BEND for layer in layers for node in layer}
    sizes |= {node: _BOX if _is_box(node) else _DOT for node in rank}
    layout = _Layout(layers, _spine(edges, back, paths), paths, sizes, back)
    _order(layout)
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


def _order(layout: _Layout) -> None:
    """Move single nodes within their layers as long as that crosses fewer edges."""
    links = [link for path in layout.paths.values() for link in pairwise(path)]

    def cost(layer: int) -> tuple[float, float]:
        position = {}
        for nodes in layout.layers[max(layer - 1, 0) : layer + 2]:
            middle = next((i for i, node in enumerate(nodes) if node in layout.spine), 0)
            position |= {node: i - middle for i, node in enumerate(nodes)}
        near = [(a, b) for a, b in links if a in position and b in position]
        crossings = sum(
            (position[a] - position[c]) * (position[b] - position[d]) < 0
            for i, (a, b) in enumerate(near)
            for c, d in near[:i]
            if (a in layout.layers[layer]) == (c in layout.layers[layer])
        )
        length = sum(abs(position[a] - position[b]) for a, b in near)
        # Ends and side tracks go below the main path where nothing else decides.
        return crossings, length + 0.01 * sum(position[n] < 0 for n in layout.layers[layer])

    for _ in range(6):
        for i, nodes in enumerate(layout.layers):
            for node in [n for n in nodes if n not in layout.spine]:
                best, best_cost = nodes.index(node), cost(i)
                for position in range(len(nodes)):
                    nodes.remove(node)
                    nodes.insert(position, node)
                    if (found := cost(i)) < best_cost:
                        best, best_cost = position, found
                nodes.remove(node)
                nodes.insert(best, node)


def _place(layout: _Layout) -> None:
    """Columns from left to right; the spine at height 0, all else near what it is linked to."""
    left = _MARGIN
    for nodes in layout.layers:
        width = max(layout.sizes[node][0] for node in nodes)
        layout.x |= dict.fromkeys(nodes, left + width / 2)
        left += width + _GAP[0]
    near: defaultdict[str, list[str]] = defaultdict(list)
    for path in layout.paths.values():
        for a, b in pairwise(path):
            near[a].append(b)
            near[b].append(a)
    layout.y = dict.fromkeys(layout.x, 0.0)
    for sweep in range(9):
        for nodes in layout.layers[:: 1 if sweep % 2 == 0 else -1]:
            middle = next((i for i, node in enumerate(nodes) if node in layout.spine), 0)
            for direction, side in ((-1, nodes[middle + 1 :]), (1, nodes[:middle][::-1])):
                previous = nodes[middle]
                for node in side:
                    room = (layout.sizes[node][1] + layout.sizes[previous][1]) / 2 + _GAP[1]
                    wish = sum(layout.y[n] for n in near[node]) / len(near[node])
                    layout.y[node] = direction * max(
                        direction * wish, direction * layout.y[previous] + room
                    )
                    previous = node


# --- the drawing -----------------------------------------------------------------------------


def _draw_node(axes: Axes, layout: _Layout, node: str, name: str) -> None:
    x, y = layout.x[node], layout.y[node]
    if not _is_box(node):
        radius = _DOT[0] / 2
        if node == START:
            axes.add_patch(Circle((x, y), radius * 0.8, color=BLACK, zorder=4))
        else:
            axes.add_patch(Circle((x, y), radius, fc="white", ec=BLACK, lw=1.2, zorder=4))
            axes.add_patch(Circle((x, y), radius * 0.55, color=BLACK, zorder=4))
        return
    on_spine = node in layout.spine
    width, height = _BOX
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.09",
            fc=tint(BLUE, 0.16) if on_spine else "white",
            ec=BLUE if on_spine else GREY,
            lw=1.8 if on_spine else 1.0,
            zorder=3,
        )
    )
    longest = max(len(line) for line in name.split("\n"))
    size = min(9.0, 9.0 * 11 / longest)
    axes.text(x, y, name, ha="center", va="center", size=size, zorder=5, linespacing=1.05)


def _draw_edge(axes: Axes, layout: _Layout, edge: Edge, probability: float) -> None:
    path = layout.paths[edge]
    back = edge in layout.back or len(path) == 1
    if len(path) == 1:
        vertices, codes, label_at = _loop(layout, path[0])
    else:
        vertices, codes, label_at = _curve(layout, path)
    on_spine = all(node in layout.spine for node in path) and not back
    colour = VERMILLION if back else BLUE if on_spine else GREY
    width = 0.7 + 2.6 * probability
    if edge in layout.back:
        vertices.reverse()
    axes.add_patch(
        FancyArrowPatch(
            path=Path(vertices, codes),
            arrowstyle=f"-|>,head_length={3 + width},head_width={1.6 + 0.6 * width}",
            lw=width,
            ls=(0, (4, 2)) if back else "-",
            color=colour,
            capstyle="butt",
            joinstyle="miter",
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )
    if probability < 0.995:
        text = f"{100 * probability:.0f} %" if probability >= 0.01 else "< 1 %"
        axes.text(
            *label_at,
            text,
            size=7.5,
            color=colour if colour != GREY else "#444444",
            ha="center",
            va="center",
            zorder=6,
            bbox={"fc": "white", "ec": "none", "pad": 0.6, "alpha": 0.9},
        )


def _loop(layout: _Layout, node: str) -> tuple[list, list, tuple[float, float]]:
    x, top = layout.x[node], layout.y[node] + _BOX[1] / 2
    vertices = [(x + 0.2, top), (x + 0.38, top + 0.42), (x - 0.38, top + 0.42), (x - 0.2, top)]
    return vertices, [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4], (x, top + 0.33)


def _curve(layout: _Layout, path: list[str]) -> tuple[list, list, tuple[float, float]]:
    """Cubic pieces that leave and arrive level, straight where they pass a layer."""
    points = []
    for node in path:
        x, y, half = layout.x[node], layout.y[node], layout.sizes[node][0] / 2
        if node == path[0]:
            points.append((x + half, y))
        elif node == path[-1]:
            points.append((x - half, y))
        else:
            column = max(
                layout.sizes[n][0] for layer in layout.layers if node in layer for n in layer
            )
            points += [(x - column / 2, y), (x + column / 2, y)]
    vertices, codes = [points[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
        codes += [Path.CURVE4] * 3
    (x0, y0), (x1, y1) = points[:2]
    t = 0.55
    height = y0 + (y1 - y0) * (3 * t**2 - 2 * t**3)
    return vertices, codes, (x0 + (x1 - x0) * (1.5 * t * (1 - t) + t**3), height)
