"""Figures of what was learned: loss, likelihood against the floor, calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from procutils.plots.style import (
    BLUE,
    GREY,
    HATCHES,
    LINES,
    MARKERS,
    PALETTE,
    SKY,
    VERMILLION,
    cycle,
    figure,
    styled,
    tint,
)

Value = tuple[float, Sequence[float]]  # a number and its interval, low and high


@styled
def loss_curve(history: Sequence[Mapping[str, float]], title: str = "Training loss") -> Figure:
    """The training loss per step, smoothed, and the evaluation loss where there is one.

    history: as TRL logs it (``trainer.state.log_history``): entries with ``step`` and ``loss``,
        ``step`` and ``eval_loss``, or neither, which are skipped.
    """
    train = [(entry["step"], entry["loss"]) for entry in history if "loss" in entry]
    held_out = [(entry["step"], entry["eval_loss"]) for entry in history if "eval_loss" in entry]
    if not train:
        raise ValueError("no entry holds a loss; was anything trained?")
    fig, axes = figure(title, "optimiser step", "loss (nats per token)", height=3.6)
    steps, losses = np.array(train, dtype=float).T
    window = max(1, len(losses) // 15)
    axes.plot(steps, losses, "-", color=tint(BLUE, 0.35), lw=1.2, label="training, each step")
    if window > 1:
        kernel = np.ones(window) / window
        smooth = np.convolve(losses, kernel, mode="valid")
        middle = np.convolve(steps, kernel, mode="valid")
        axes.plot(middle, smooth, "-", color=BLUE, lw=2.2, label=f"training, mean of {window}")
    if held_out:
        axes.plot(
            *zip(*held_out, strict=True), "--", marker="o", mfc="white", color=VERMILLION, lw=1.6,
            label="held out",
        )  # fmt: skip
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.legend()
    return fig


@styled
def nll_bars(
    rows: Mapping[str, Value],
    floor: float,
    title: str = "How well each model knows the process",
    floor_label: str = "entropy of the process: no model can be better",
) -> Figure:
    """Negative log-likelihood per event of each model, with its interval, above the floor.

    rows: name → (value, [low, high]), drawn in the order given.
    """
    fig, axes = figure(
        title, "negative log-likelihood (nats per event)", "", height=1.6 + 0.5 * len(rows)
    )
    far = max(high for _, (_, high) in rows.values())
    for row, (value, (low, high)) in enumerate(rows.values()):
        axes.barh(
            row, value, height=0.58, color=tint(cycle(PALETTE, row), 0.75), ec="white", lw=0,
            hatch=cycle(HATCHES, row),
        )  # fmt: skip
        axes.plot([low, high], [row, row], color="black", lw=1.4, solid_capstyle="butt")
        axes.plot([low, high], [row, row], "|", color="black", ms=8)
        text = f"{value:.3f}   (+{value - floor:.3f})" if value >= floor else f"{value:.3f}"
        axes.text(high + 0.015 * far, row, text, va="center", size=9)
    axes.axvline(floor, color="black", ls="--", lw=1.4)
    side = "left" if floor < 0.5 * far else "right"
    axes.text(floor, -0.62, f" {floor:.3f}  {floor_label} ", size=8.5, va="center", ha=side)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(ylim=(len(rows) - 0.5, -0.95), xlim=(0, 1.28 * far))
    axes.grid(axis="y", visible=False)
    return fig


@styled
def calibration(
    target: float, observed: Mapping[str, Value], title: str = "False alarms against the promise"
) -> Figure:
    """The share of normal cases flagged, per process, with its interval, beside the target."""
    fig, axes = figure(
        title, "normal cases flagged (95 % interval)", "", height=1.4 + 0.42 * len(observed)
    )
    for row, (value, (low, high)) in enumerate(observed.values()):
        kept = low <= target
        colour = BLUE if kept else VERMILLION
        axes.plot([low, high], [row, row], color=tint(colour, 0.5), lw=5, solid_capstyle="butt")
        axes.plot(value, row, "o" if kept else "X", color=colour, ms=8)
        axes.text(
            1.01, row, f"{value:.1%}" + ("" if kept else "  above"), va="center", size=9,
            transform=axes.get_yaxis_transform(), color=colour,
        )  # fmt: skip
    axes.axvline(target, color="black", ls="--", lw=1.4)
    axes.text(target, -0.75, f" target {target:.1%}", size=9, va="center")
    axes.set_yticks(range(len(observed)), list(observed))
    axes.set(ylim=(len(observed) - 0.5, -1.1))
    axes.set_xlim(0, 1.15 * max(target, *(high for _, (_, high) in observed.values())))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.grid(axis="y", visible=False)
    return fig


@styled
def p_value_uniformity(
    p_values: Mapping[str, Sequence[float]], title: str = "p-values of normal cases"
) -> Figure:
    """Share of normal cases at or below each p-value: on the diagonal if the p-values are right.

    Below it they are too careful, above it too eager. The band holds 95 % of all samples as small
    as the smallest one here (Dvoretzky-Kiefer-Wolfowitz, with Massart's constant, 1990).
    """
    fig, axes = figure(title, "p-value", "share of normal cases at or below", height=4.6, width=6)
    half = np.sqrt(np.log(2 / 0.05) / (2 * min(len(values) for values in p_values.values())))
    line = np.array([0.0, 1.0])
    axes.fill_between(
        line, line - half, line + half, color=tint(SKY, 0.25), lw=0, label="95 % band"
    )
    axes.plot(line, line, color=GREY, lw=1)
    for i, (name, values) in enumerate(p_values.items()):
        x = np.concatenate([[0], np.sort(values), [1]])
        y = np.concatenate([[0], np.arange(1, len(values) + 1) / len(values), [1]])
        axes.step(
            x, y, where="post", color=cycle(PALETTE, i), ls=cycle(LINES, i), lw=1.6, label=name,
            marker=cycle(MARKERS, i), markevery=max(1, len(values) // 6), ms=5,
        )  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    return fig


@styled
def probabilities(
    x: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    title: str,
    x_label: str,
    *,
    limits: Sequence[float] = (),
    logarithmic: bool = False,
) -> Figure:
    """How probabilities change with one number: a curve per name, a dashed line per limit.

    x: the numbers, rising. curves: name → probability at each of them, in [0, 1].
    """
    if wrong := [name for name, values in curves.items() if len(values) != len(x)]:
        raise ValueError(f"{wrong[0]} has {len(curves[wrong[0]])} values for {len(x)} numbers")
    fig, axes = figure(title, x_label, "probability", height=3.6)
    for i, (name, values) in enumerate(curves.items()):
        look = {"color": cycle(PALETTE, i), "ls": cycle(LINES, i), "marker": cycle(MARKERS, i)}
        axes.plot(x, values, mfc="white", lw=1.8, label=name, **look)
    for limit in limits:
        axes.axvline(limit, color=GREY, ls="--", lw=1, zorder=0)
    if logarithmic:
        axes.set_xscale("log")
    axes.set_ylim(-0.03, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.legend()
    return fig


@styled
def few_cases(
    counts: Sequence[int],
    curves: Mapping[str, Sequence[Value]],
    title: str = "How many cases does it take?",
) -> Figure:
    """Negative log-likelihood per event over the number of training cases (a logarithmic axis).

    curves: name → for each count (value, [low, high]).
    """
    fig, axes = figure(title, "training cases", "nats per event")
    for i, (name, values) in enumerate(curves.items()):
        y = np.array([value for value, _ in values])
        low, high = np.array([interval for _, interval in values]).T
        axes.errorbar(
            counts, y, (y - low, high - y), label=name, capsize=3, lw=1.8,
            ls=cycle(LINES, i), marker=cycle(MARKERS, i), color=cycle(PALETTE, i),
        )  # fmt: skip
    axes.set_xscale("log")
    axes.minorticks_off()
    axes.set_xticks(counts, [f"{count:,}" for count in counts])
    axes.set_ylim(bottom=0)
    axes.legend()
    return fig
