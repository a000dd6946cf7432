"""Figures of the graded benchmark: the parts of a case, what is usual for them, and all methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import PercentFormatter

from procutils.cases import END, Case
from procutils.plots.learning import Value
from procutils.plots.style import (
    BLUE,
    GREY,
    MARKERS,
    PALETTE,
    VERMILLION,
    cycle,
    figure,
    figures,
    styled,
    tint,
)

_CHIP = 1.5  # inches
#: More events than that would make a figure of metres.
MOST_ROWS = 40


@styled
def case_parts(case: Case, parts: Sequence[Mapping[str, float]], threshold: float) -> Figure:
    """One row per event and for the end, one box per part of it; those too strange stand out.

    Of a case with more than MOST_ROWS of them, those around the strangest are drawn.
    parts: name → how strange the part is (nats), as ``Usual.parts`` gives it.
    threshold: above it (nats) an alert is raised.
    """
    if len(parts) != len(case.events) + 1:
        raise ValueError(
            f"{case.id} has {len(case.events)} events, so {len(case.events) + 1} entries are "
            f"needed; there are {len(parts)}"
        )
    names = ["end of case" if type_ == END else type_ for type_ in (*case.types, END)]
    strangest = max(range(len(parts)), key=lambda n: max(parts[n].values()))
    first = max(min(strangest - MOST_ROWS // 2, len(parts) - MOST_ROWS), 0)
    parts, names = parts[first : first + MOST_ROWS], names[first : first + MOST_ROWS]
    widest = max(map(len, parts))
    fig, axes = figure(
        "",
        f"how strange each part is (nats); ▶ above {threshold:.1f}, where alerts begin",
        "",
        height=1.3 + 0.46 * len(parts),
        width=_CHIP * max(widest, 4) + 2.4,
    )
    count = len(case.events)
    shown = f", events {first + 1} to {min(first + len(parts), count)} of {count}"
    axes.set_title(f"{case.id}, part by part{shown if len(parts) <= count else ''}")
    for row, of_event in enumerate(parts):
        for column, (name, nats) in enumerate(of_event.items()):
            strange = nats > threshold
            colour = VERMILLION if strange else BLUE
            share = min(max(nats, 0.0) / threshold, 1.0)
            box = FancyBboxPatch(
                (column + 0.04, row - 0.36), 0.92, 0.72, fc=tint(colour, 0.06 + 0.54 * share),
                boxstyle="round,pad=0,rounding_size=0.08", ec=colour if strange else "none", lw=2,
            )  # fmt: skip
            axes.add_patch(box)
            text = f"{'▶ ' if strange else ''}{name.replace('_', ' ')}"
            look = {"va": "center", "size": 7.5, "weight": "bold" if strange else "normal"}
            axes.text(column + 0.08, row - 0.14, text, ha="left", clip_on=True, **look)
            axes.text(column + 0.92, row + 0.18, f"{nats:.1f}", ha="right", **look)
    axes.set_yticks(range(len(names)), names, size=9)
    axes.set(xlim=(0, widest), ylim=(len(parts) - 0.5, -0.5), xticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return fig


@styled
def usual_parts(
    parts: Mapping[str, tuple[Sequence[float], float]],
    title: str = "The same surprise means little in one part and much in another",
    seed: int = 0,
) -> Figure:
    """One row per part: every normal case a dot, one case under suspicion a cross.

    parts: name → (surprise of normal cases, that of the case), nats as the model gives them.
    """
    fig, axes = figure("", "surprise of the model (nats)", "", height=1.6 + 0.7 * len(parts))
    _headed(fig, title)
    rng = np.random.default_rng(seed)
    far = max(max([*normal, value]) for normal, value in parts.values())
    for row, (normal, value) in enumerate(parts.values()):
        jitter = rng.uniform(-0.26, 0.26, len(normal))
        axes.scatter(normal, row + jitter, s=14, alpha=0.45, color=cycle(PALETTE, row), lw=0)
        axes.plot(value, row, "X", color=VERMILLION, ms=11, mec="white", clip_on=False)
        as_strange = int((np.asarray(normal) >= value).sum())
        axes.text(
            1.07 * far, row, f"{as_strange} of {len(normal)} normal\nones as surprising",
            va="center", size=8.5, color=VERMILLION if as_strange == 0 else GREY,
        )  # fmt: skip
    axes.set_yticks(range(len(parts)), [name.replace("_", " ") for name in parts])
    axes.set(ylim=(len(parts) - 0.4, -0.6), xlim=(-0.02 * far, 1.05 * far))
    axes.grid(axis="y", visible=False)
    return fig


@styled
def methods_by_tier(
    results: Mapping[str, Mapping[str, Value]], first: str, title: str, label: str
) -> Figure:
    """One chart per tier, one row per method: a value with its 95 % interval.

    results: tier → method → (value, [low, high]); the same methods in each, in the order drawn.
    first: the method that the others are read against; a line marks its value.
    """
    methods = list(next(iter(results.values())))
    fig, grid = figures(
        list(results), height=1.5 + 0.34 * len(methods), width=11, sharex=True, sharey=True
    )
    for axes, found in zip(grid, results.values(), strict=True):
        axes.axvline(found[first][0], color=tint(VERMILLION, 0.3), lw=1.2, zorder=1)
        for row, method in enumerate(methods):
            value, interval = found[method]
            colour = VERMILLION if method == first else BLUE
            axes.plot(interval, [row, row], color=tint(colour, 0.5), lw=4, solid_capstyle="butt")
            axes.plot(
                value, row, cycle(MARKERS, int(method != first)), color=colour, ms=6, clip_on=False
            )
        axes.set(xlim=(0, 1.02), xticks=[0, 0.5, 1])
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.grid(axis="y", visible=False)
        axes.tick_params(axis="y", length=0)
    grid[0].set_yticks(range(len(methods)), [name.replace("_", " ") for name in methods])
    grid[0].set_ylim(len(methods) - 0.5, -0.5)
    _headed(fig, title)
    fig.supxlabel(label, size=10, color="#333333")
    return fig


def _headed(fig: Figure, title: str) -> None:
    """A title that begins at the left of the figure, not of its chart."""
    fig.suptitle(title, x=0.01, ha="left", weight="bold", size=12)
