"""Figures of examples: what a test shares with training, and what it costs to learn a case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from procutils.plots.style import HATCHES, MARKERS, PALETTE, cycle, figure, styled


@styled
def seen_in_training(splits: Mapping[str, Mapping[str, float]]) -> Figure:
    """One bar for each split and way of reading: the share of test prefixes that training holds.

    splits: name of the split → way of reading → share (0 to 1); the ways are those of the first.
    """
    readings = list(next(iter(splits.values()), {}))
    if not readings:
        raise ValueError("no shares; there are no bars to draw")
    _, axes = figure("What a test has in common with training", "", "share seen", height=3.4)
    width = 0.76 / len(splits)
    for i, (name, shares) in enumerate(splits.items()):
        places = np.arange(len(readings)) + (i - (len(splits) - 1) / 2) * width
        bars = axes.bar(
            places, [shares[reading] for reading in readings], 0.94 * width, label=name,
            color=cycle(PALETTE, i), hatch=cycle(HATCHES, i), edgecolor="white",
        )  # fmt: skip
        axes.bar_label(bars, [f"{shares[reading]:.0%}" for reading in readings])
    axes.set_xticks(range(len(readings)), readings)
    axes.set(ylim=(0, 1.1), yticks=[0, 0.5, 1], xlabel="what is read of an event")
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(splits))
    axes.set_title(axes.get_title(loc="left"), pad=28)
    return axes.figure


@styled
def tokens_by_length(lengths: Sequence[int], tokens: Mapping[str, Sequence[int]]) -> Figure:
    """One point per case and format: its tokens over its events, formats side by side.

    lengths: events of each case. tokens: name of the format → tokens of each case.
    """
    _, axes = figure("Tokens to learn one case", "events in the case", "tokens", height=3.8)
    width = 0.5 / max(len(tokens), 1)
    for i, (name, counts) in enumerate(tokens.items()):
        places = np.asarray(lengths) + (i - (len(tokens) - 1) / 2) * width
        look = {"marker": cycle(MARKERS, i), "color": cycle(PALETTE, i), "label": name}
        axes.plot(places, counts, ls="", ms=5, alpha=0.5, **look)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(0, None)
    axes.legend(loc="upper left")
    return axes.figure
