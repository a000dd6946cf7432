"""Figure of a split by time: what is learned, and what of a case that crosses the cut is not."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from procutils.cases import Case
from procutils.examples import Split
from procutils.plots.style import BLUE, GREEN, GREY, ORANGE, figures, styled

_LOOKS = {"train": (BLUE, "o"), "calibration": (ORANGE, "s"), "test": (GREEN, "^")}


@styled
def time_split(parts: Split, cases: Iterable[Case], near: timedelta) -> Figure:
    """Left: every case as a line from its first to its last event. Right: events around the cut.

    cases: the whole cases that ``parts`` were made of. near: how much time on each side of the cut.
    """
    ordered = sorted(cases, key=lambda case: (case.events[0].at, case.id))
    part_of = {case.id: name for name, members in parts for case in members}
    titles = ["Three parts of the log", "Around the first cut"]
    fig, (left, right) = figures(titles, height=4.8)
    window = parts.cut - near, parts.cut + near
    close = [c for c in ordered if c.events[0].at < window[1] and c.events[-1].at > window[0]]
    for axes, shown, size in ((left, ordered, 0.0), (right, close, 4.5)):
        for row, case in enumerate(shown):
            _draw(axes, row, case, part_of[case.id], parts, size)
        locator = AutoDateLocator(minticks=3, maxticks=9)
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes.axvline(parts.cut, color="black", lw=1)
        axes.set(xlabel="time (UTC)")
        axes.margins(y=0.01)
        axes.invert_yaxis()
    left.axvline(parts.test[0].events[0].at, color="black", lw=1)
    left.set_ylabel("case, by first event")
    right.set(xlim=window, yticks=[])
    right.annotate(" cut", (parts.cut, 0.99), xycoords=("data", "axes fraction"), va="top")
    for name, members in parts:
        colour, marker = _LOOKS[name]
        label = f"{name}, {len(members)} cases"
        left.plot([], [], color=colour, marker=marker, ms=5, label=label)
    left.plot([], [], color=GREY, ls=":", marker="x", ms=5, label="not learned")
    fig.legend(loc="outside lower center", ncols=4)
    return fig


def _draw(axes: Axes, row: int, case: Case, part: str, parts: Split, size: float) -> None:
    """One case; what of it lies beyond the cut, if it is a training case, as a dotted line."""
    colour, marker = _LOOKS[part]
    times = [event.at for event in case.events]
    known = [at for at in times if part != "train" or at <= parts.cut]
    if rest := times[len(known) :]:
        beyond = [known[-1], *rest]
        axes.plot(beyond, [row] * len(beyond), color=GREY, ls=":", lw=1, zorder=1)
        axes.plot(rest, [row] * len(rest), "x", color=GREY, ms=size, zorder=2)
    axes.plot(
        known, [row] * len(known), color=colour, lw=1.2, marker=marker, ms=size, mec="white",
        mew=0.4, zorder=3,
    )  # fmt: skip
