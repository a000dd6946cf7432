"""Figures of cases: their variants, their overlap in time, one field, and one case explained."""

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

from procutils.cases import END, Case, EventScore
from procutils.plots.style import (
    BLUE,
    GREY,
    HATCHES,
    LINES,
    MARKERS,
    ORANGE,
    PALE,
    PALETTE,
    PURPLE,
    SKY,
    VERMILLION,
    cycle,
    figure,
    figures,
    short_names,
    tint,
)


def variants(cases: Sequence[Case], top: int = 10) -> Figure:
    """The ``top`` most frequent sequences of event types, and the share of cases with each."""
    if not cases:
        raise ValueError("no cases; there are no variants to draw")
    counts = Counter(case.types for case in cases)
    shown = counts.most_common(top)
    types = list(dict.fromkeys(type_ for variant, _ in shown for type_ in variant))
    names = short_names(types, width=11)
    longest = max(len(variant) for variant, _ in shown)
    step = min(1.0, 10.5 / max(longest, 1))  # inches
    covered = sum(count for _, count in shown) / len(cases)
    title = f"{len(shown)} of {len(counts)} variants cover {covered:.0%} of {len(cases):,} cases"
    fig, (steps, bars) = figures(
        [title, ""],
        width=step * longest + 2.6,
        height=0.62 * len(shown) + 0.9,
        sharey=True,
        gridspec_kw={"width_ratios": [max(step * longest, 1.0), 1.7]},
    )
    for row, (variant, _) in enumerate(shown):
        for column, type_ in enumerate(variant):
            colour = cycle(PALETTE[:7], types.index(type_))
            _chevron(steps, column, row, colour, names[type_], step)
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


def _chevron(axes: Axes, x: float, y: float, colour: str, name: str, step: float) -> None:
    tip, half = 0.14, 0.4
    outline = [(x, -half), (x + 0.9, -half), (x + 0.9 + tip, 0), (x + 0.9, half), (x, half)]
    outline = [(px, y + py) for px, py in [*outline, (x + tip, 0)]]
    axes.add_patch(Polygon(outline, closed=True, fc=tint(colour, 0.28), ec=colour, lw=1))
    longest = max(len(line) for line in name.split("\n"))
    size = min(8.0, 72 * step * 0.78 / (0.6 * longest))
    axes.text(x + 0.54, y, name, ha="center", va="center", size=size, linespacing=0.95)


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
    axes.set(xlim=(start, end), ylim=(len(rows) - 0.4, -0.6))
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


def case_surprisal(
    case: Case,
    scores: Sequence[EventScore],
    expected: Sequence[Sequence[tuple[str, float]]],
    threshold: float | None = None,
) -> Figure:
    """One case from top to bottom: how surprising each event was, and what was expected instead.

    scores, expected: per event and for the end, as ``score`` and ``next_events`` give them; of the
        expected types the first two are printed. Delay and fields count where the scores hold them.
    threshold: the case's surprisal above which an alert is raised, drawn as a line.
    """
    if not len(scores) == len(expected) == len(case.events) + 1:
        raise ValueError(
            f"{case.id} has {len(case.events)} events, so scores and expected need "
            f"{len(case.events) + 1} entries; they have {len(scores)} and {len(expected)}"
        )
    fig, axes = figure(
        f"{case.id}: what came, and what was expected",
        "surprisal (nats)",
        "",
        height=1.2 + 0.42 * len(scores),
        width=10,
    )
    parts = {
        "type": [score.surprisal for score in scores],
        "time": [-score.parts.get("delay", 0.0) for score in scores],
        "fields": [
            -sum(p for part, p in score.parts.items() if part not in ("type", "delay"))
            for score in scores
        ],
    }
    left = np.zeros(len(scores))
    for i, (part, values) in enumerate(parts.items()):
        if any(values):
            axes.barh(
                range(len(scores)), values, left=left, height=0.62, label=part,
                color=(BLUE, SKY, PURPLE)[i], hatch=HATCHES[i], ec="white", lw=0,
            )  # fmt: skip
            left += values
    worst, far = int(left.argmax()), max(left.max(), threshold or 0.0, 1.0)
    for row, guesses in enumerate(expected):
        text = ",  ".join(f"{type_} {_percent(p)}" for type_, p in list(guesses)[:2])
        text = text or "nothing known"
        colour = VERMILLION if row == worst else "#555555"
        axes.text(
            1.02 * far, row, f"{left[row]:5.2f}", va="center", ha="left", size=8.5, color=colour
        )
        axes.text(
            1.16 * far, row, text, va="center", size=8.5, color=colour,
            weight="bold" if row == worst else "normal",
        )  # fmt: skip
        if row == worst:
            axes.axhspan(row - 0.5, row + 0.5, color=tint(ORANGE, 0.18), lw=0, zorder=0)
    axes.text(1.16 * far, -0.85, "expected", size=9, weight="bold", color="#333333")
    if threshold is not None:
        axes.axvline(threshold, color=VERMILLION, ls="--", lw=1.4)
        axes.text(threshold, -0.85, "alert ", ha="right", size=8.5, color=VERMILLION)
    rows = [score.type if score.type != END else "end of case" for score in scores]
    rows = [("▶ " if i == worst else "") + name for i, name in enumerate(rows)]
    axes.set_yticks(range(len(rows)), rows, size=9)
    axes.set(ylim=(len(rows) - 0.5, -1.2), xlim=(0, 2.15 * far))
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= far])
    axes.xaxis.set_label_coords(0.22, -0.6 / (0.42 * len(scores) + 0.5))
    axes.grid(axis="y", visible=False)
    axes.spines["bottom"].set_bounds(0, far)
    axes.spines["bottom"].set_color(PALE)
    if any(parts["time"]) or any(parts["fields"]):
        axes.legend(loc="lower right", ncols=3, title="surprisal of", title_fontsize=9)
    return fig


def _percent(probability: float) -> str:
    return f"{probability:.0%}" if probability >= 0.01 else "< 1%"
