"""One case explained: what came, how surprising it was, and what was expected instead."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from procutils.cases import END, Case, EventScore
from procutils.plots.style import (
    BLUE,
    HATCHES,
    ORANGE,
    PALE,
    PURPLE,
    SKY,
    VERMILLION,
    figure,
    styled,
    tint,
)


@styled
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
        "",
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
        likely = [(type_, p) for type_, p in list(guesses)[:2] if p >= 0.01]
        text = ",  ".join(f"{_name(type_)} {p:.0%}" for type_, p in likely) or "nothing known"
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
    rows = [_name(score.type) for score in scores]
    rows = [("▶ " if i == worst else "") + name for i, name in enumerate(rows)]
    axes.set_yticks(range(len(rows)), rows, size=9)
    axes.set(ylim=(len(rows) - 0.5, -1.2), xlim=(0, 2.15 * far))
    axes.set_xticks([tick for tick in axes.get_xticks() if tick <= far])
    axes.set_xlabel("surprisal (nats)", loc="left")
    axes.grid(axis="y", visible=False)
    axes.spines["bottom"].set_bounds(0, far)
    axes.spines["bottom"].set_color(PALE)
    if any(parts["time"]) or any(parts["fields"]):
        fig.legend(loc="outside lower right", ncols=3)
    return fig


def _name(type_: str) -> str:
    return "end of case" if type_ == END else type_
