"""Figures of cases: their variants, their overlap in time, and one field of theirs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.ticker import PercentFormatter

from procutils.cases import Case
from procutils.plots.style import (
    BLUE,
    GREY,
    LINES,
    MARKERS,
    PALETTE,
    cycle,
    figure,
    figures,
    short_names,
    styled,
    tint,
)


@styled
def variants(cases: Sequence[Case], top: int = 10) -> Figure:
    """The ``top`` most frequent sequences of event types, and the share of cases with each."""
    if not cases:
        raise ValueError("no cases; there are no variants to draw")
    counts = Counter(case.types for case in cases)
    shown = counts.most_common(top)
    types = list(dict.fromkeys(type_ for variant, _ in shown for type_ in variant))
    names = short_names(types, width=11)
    longest = max(len(variant) for variant, _ in shown)
    step = min(1.0, 9.5 / max(longest, 1))  # inches
    covered = sum(count for _, count in shown) / len(cases)
    title = f"{len(shown)} of {len(counts)} variants cover {covered:.0%} of {len(cases):,} cases"
    if len(categories := {case.category for case in cases}) == 1:
        title = f"{categories.pop()}: {title}"
    fig, (steps, bars) = figures(
        [title, ""],
        width=step * longest + 2.6,
        height=0.62 * len(shown) + 0.9,
        sharey=True,
        gridspec_kw={"width_ratios": [max(step * longest, 1.0), 1.7]},
    )
    for row, (variant, _) in enumerate(shown):
        for column, type_ in enumerate(variant):
            _chevron(steps, column, row, types.index(type_), names[type_], step)
    shares = [count / len(cases) for _, count in shown]
    bars.barh(range(len(shown)), shares, height=0.6, color=tint(BLUE, 0.75))
    for row, (_, count) in enumerate(shown):
        bars.text(shares[row], row, f" {shares[row]:.0%} ({count})", va="center", size=8.5)
    bars.set(xlim=(0, 1.55 * max(shares)), xlabel="share of cases")
    bars.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bars.xaxis.get_major_locator().set_params(nbins=3)
    bars.grid(axis="y", visible=False)
    bars.tick_params(left=False, labelleft=False)
    steps.set(
        xlim=(-0.1, longest + 0.15),
        ylim=(len(shown) - 0.45, -0.55),
        xlabel="position in the case",
        ylabel="variant, by rank",
        xticks=[i + 0.5 for i in range(longest)],
        xticklabels=range(1, longest + 1),
        yticks=range(len(shown)),
        yticklabels=range(1, len(shown) + 1),
    )
    steps.grid(False)
    steps.spines[:].set_visible(False)
    steps.tick_params(length=0)
    return fig


def _chevron(axes: Axes, x: float, y: float, look: int, name: str, step: float) -> None:
    colour, strength = cycle(PALETTE[:7], look), cycle((0.28, 0.6), look // 7)
    tip, half = 0.14, 0.4
    outline = [(x, -half), (x + 0.9, -half), (x + 0.9 + tip, 0), (x + 0.9, half), (x, half)]
    outline = [(px, y + py) for px, py in [*outline, (x + tip, 0)]]
    axes.add_patch(Polygon(outline, closed=True, fc=tint(colour, strength), ec=colour, lw=1))
    longest = max(len(line) for line in name.split("\n"))
    size = min(8.0, 72 * step * 0.78 / (0.6 * longest))
    axes.text(x + 0.54, y, name, ha="center", va="center", size=size, linespacing=0.95)


@styled
def timeline(cases: Sequence[Case], window: tuple[datetime, datetime] | None = None) -> Figure:
    """One row per case that touches the window, one marker per event; weekends are grey.

    window: from, to; the whole of the cases if not given.
    """
    if window is None:
        times = [event.at for case in cases for event in case.events]
        if not times:
            raise ValueError("no events; there is no timeline to draw")
        window = min(times), max(times)
    start, end = window
    rows = [case for case in cases if case.events and case.events[0].at <= end]
    rows = [case for case in rows if case.events[-1].at >= start]
    if not rows:
        raise ValueError(f"no case touches the window from {start} to {end}")
    rows.sort(key=lambda case: case.events[0].at)
    named = len(rows) <= 40
    fig, axes = figure(
        f"{len(rows)} cases in flight",
        f"time ({start.tzname() or 'local'})",
        "case" if named else "case, by first event",
        height=min(1.4 + 0.2 * len(rows), 8.0),
    )
    _shade_weekends(axes, start, end)
    size = 6.0 if named else 3.5
    for i, category in enumerate(sorted({case.category for case in rows})):
        colour, marker, label = cycle(PALETTE, i), cycle(MARKERS, i), category
        for row, case in enumerate(rows):
            if case.category == category:
                times = [event.at for event in case.events]
                axes.plot(times, [row] * len(times), color=tint(colour, 0.55), lw=1.6, zorder=2)
                axes.plot(
                    times, [row] * len(times), marker, color=colour, ms=size, mec="white",
                    mew=0.5, label=label, zorder=3,
                )  # fmt: skip
                label = None
    room = (end - start) / 80
    axes.set(xlim=(start - room, end + room), ylim=(len(rows) - 0.4, -0.6))
    if named:
        axes.set_yticks(range(len(rows)), [case.id for case in rows], size=7.5)
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(axis="y", visible=False)
    fig.legend(loc="outside lower center", ncols=8, handletextpad=0.3, markerscale=1.2)
    return fig


def _shade_weekends(axes: Axes, start: datetime, end: datetime) -> None:
    day = start.replace(hour=0, minute=0, second=0, microsecond=0)
    while day < end:
        if day.weekday() >= 5:
            axes.axvspan(day, day + timedelta(days=1), color="#F3F3F3", lw=0, zorder=0)
        day += timedelta(days=1)


@styled
def field_by_group(
    values: Sequence[float],
    groups: Sequence[str],
    limits: Mapping[str, float] | None = None,
    *,
    title: str = "",
    label: str = "value",
    group_label: str = "",
    log: bool = True,
    seed: int = 0,
) -> Figure:
    """One dot per value, one row per group, and the limits that should part the groups.

    Dots are spread within their row at random, so that they do not hide each other.
    """
    names = list(dict.fromkeys(sorted(groups)))
    fig, axes = figure(title, label, group_label, height=1.5 + 0.62 * len(names))
    jitter = np.random.default_rng(seed).uniform(-0.28, 0.28, len(values))
    for row, name in enumerate(names):
        mine = np.array([group == name for group in groups])
        axes.scatter(
            np.asarray(values)[mine], row + jitter[mine], s=20, alpha=0.6,
            color=cycle(PALETTE, row), marker=cycle(MARKERS, row), lw=0,
        )  # fmt: skip
    for i, (name, limit) in enumerate((limits or {}).items()):
        axes.axvline(limit, color=GREY, lw=1.3, ls=cycle(LINES[1:], i))
        axes.annotate(
            f" {name}", (limit, 1), xycoords=("data", "axes fraction"), va="top", size=8.5,
            color="#444444",
        )  # fmt: skip
    if log:
        axes.set_xscale("log")
    axes.set(ylim=(len(names) - 0.5, -0.9 if limits else -0.5))
    axes.set_yticks(range(len(names)), names)
    axes.grid(axis="y", visible=False)
    return fig
