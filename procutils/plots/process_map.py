"""The process map: which event follows which, drawn left to right."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path

from procutils.cases import START
from procutils.plots.layout import (
    BOX,
    DOT,
    GAP,
    LOOP,
    MARGIN,
    Edge,
    Layout,
    is_box,
    layered,
    with_ends_apart,
    with_start,
)
from procutils.plots.style import (
    BLACK,
    BLUE,
    GREY,
    VERMILLION,
    canvas,
    columns,
    short_names,
    styled,
    tint,
)

_BACK = 0.16  # inches: edges that go back keep this far off the middle of their boxes


@styled
def process_map(edges: Mapping[Edge, float], title: str = "Process map") -> Figure:
    """Draw a process from its transitions.

    edges: probability that ``to`` follows ``from``. END is drawn as a ring beside every node that
        may be the last; nodes that nothing leads to are marked as starts, unless the edges hold
        ``(start)`` themselves.
    """
    if not edges:
        raise ValueError("no edges; a process map needs at least one")
    edges = with_ends_apart(with_start(edges))
    layout = layered(edges)
    nodes = [node for path in layout.paths.values() for node in (path[0], path[-1])]
    names = short_names({node for node in nodes if is_box(node)})
    right = max(layout.x[node] + layout.extents[node][0] / 2 for node in layout.x)
    top = max(layout.y[node] + layout.extents[node][1] for node in layout.y) + 0.08
    bottom = min(layout.y[node] - layout.extents[node][2] for node in layout.y) - 0.45
    fig, axes = canvas(title, max(right + MARGIN, 7.5), top - bottom)
    axes.set_ylim(bottom, top)
    for edge, probability in edges.items():
        _draw_edge(axes, layout, edge, probability)
    for node in dict.fromkeys(nodes):
        _draw_node(axes, layout, node, names.get(node, ""))
    axes.text(
        0.15,
        bottom + 0.12,
        "● start   ◎ end   blue: the most probable path   line width: probability"
        + ("   dashed: again, or back" if any(map(layout.goes_back, edges)) else ""),
        size=8,
        color=GREY,
    )
    return fig


def _draw_node(axes: Axes, layout: Layout, node: str, name: str) -> None:
    x, y = layout.x[node], layout.y[node]
    if not is_box(node):
        radius = DOT[0] / 2
        if node == START:
            axes.add_patch(Circle((x, y), radius * 0.8, color=BLACK, zorder=4))
        else:
            axes.add_patch(Circle((x, y), radius, fc="white", ec=BLACK, lw=1.2, zorder=4))
            axes.add_patch(Circle((x, y), radius * 0.55, color=BLACK, zorder=4))
        return
    on_spine = node in layout.spine
    width, above, below = BOX
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - below),
            width,
            above + below,
            boxstyle="round,pad=0,rounding_size=0.09",
            fc=tint(BLUE, 0.16) if on_spine else "white",
            ec=BLUE if on_spine else GREY,
            lw=1.8 if on_spine else 1.0,
            zorder=3,
        )
    )
    lines = name.split("\n")
    size = 9.0 * min(1.0, 10.5 / max(map(columns, lines)), 4 / len(lines))
    axes.text(x, y, name, ha="center", va="center", size=size, zorder=5, linespacing=1.05)


def _draw_edge(axes: Axes, layout: Layout, edge: Edge, probability: float) -> None:
    path, back = layout.paths[edge], layout.goes_back(edge)
    on_spine = all(node in layout.spine for node in path) and not back
    vertices, label_at = _loop(layout, *path) if len(path) == 1 else _curve(layout, path, back)
    colour = VERMILLION if back else BLUE if on_spine else GREY
    width = 0.7 + 2.6 * probability
    if edge in layout.back:
        vertices.reverse()
    axes.add_patch(
        FancyArrowPatch(
            path=Path(vertices, [Path.MOVETO, *[Path.CURVE4] * (len(vertices) - 1)]),
            arrowstyle=f"-|>,head_length={3 + 0.8 * width},head_width={1.6 + 0.5 * width}",
            lw=width,
            ls=(0, (3, 1.5)) if back else "-",
            color=colour,
            capstyle="butt",
            joinstyle="miter",
            shrinkA=0,
            shrinkB=0,
            zorder=2,
        )
    )
    if probability < 0.995:
        axes.text(
            *label_at,
            f"{probability:.0%}" if probability >= 0.01 else "< 1%",
            size=7.5,
            color="#444444" if colour == GREY else colour,
            ha="center",
            va="center",
            zorder=6,
            bbox={"fc": "white", "ec": "none", "pad": 0.4, "alpha": 0.85},
        )


def _loop(layout: Layout, node: str) -> tuple[list, tuple[float, float]]:
    x, side = layout.x[node], layout.loop_side(node)
    edge = layout.y[node] + side * BOX[1]
    out = edge + side * 1.25 * LOOP
    vertices = [(x + 0.18, edge), (x + 0.36, out), (x - 0.36, out), (x - 0.18, edge)]
    return vertices, (x, edge + side * 0.94 * LOOP)


def _curve(layout: Layout, path: list[str], back: bool) -> tuple[list, tuple[float, float]]:
    """Cubic pieces that leave and arrive level, straight where they pass a layer."""
    rises = layout.y[path[1]] > layout.y[path[0]] + 0.05
    port = (_BACK if rises else -_BACK) if back else 0.0
    points = []
    for node in path:
        x, y = layout.x[node], layout.y[node]
        column = next(nodes for nodes in layout.layers if node in nodes)
        bend = node not in (path[0], path[-1])
        half = max(layout.extents[n][0] for n in (column if bend else [node])) / 2
        height = y if bend else y + port
        points += [(x - half, height)] * (node != path[0])
        points += [(x + half, height)] * (node != path[-1])
    vertices = [points[0]]
    for (x0, y0), (x1, y1) in pairwise(points):
        middle = (x0 + x1) / 2
        vertices += [(middle, y0), (middle, y1), (x1, y1)]
    (x0, y0), (x1, y1) = points[:2]
    if abs(y1 - y0) < 0.05:  # a level line is too short to carry its label: beside it
        return vertices, ((x0 + min(x1, x0 + GAP[0])) / 2, y0 + (-0.1 if back else 0.1))
    t = 0.28 if back else 0.66  # apart from the label of an edge the other way
    label_x = x0 + (x1 - x0) * (1.5 * t * (1 - t) + t**3)
    return vertices, (label_x, y0 + (y1 - y0) * (3 * t**2 - 2 * t**3))
