"""Figures of a benchmark: how detectors separate normal from anomalous cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from procutils.evaluation import precision_at_prevalence
from procutils.plots.style import (
    BLUE,
    GREY,
    LINES,
    MARKERS,
    ORANGE,
    PALETTE,
    VERMILLION,
    cycle,
    figure,
    figures,
    styled,
    tint,
)

Curve = tuple[Sequence[float], Sequence[float]]


@styled
def surprisal_histogram(
    normal: Sequence[float],
    anomalous: Sequence[float],
    thresholds: Mapping[str, float] | None = None,
    *,
    title: str = "Surprisal of normal and anomalous cases",
    label: str = "surprisal of the most surprising event (nats)",
    bins: int = 40,
) -> Figure:
    """Two overlaid histograms on a logarithmic count axis, and thresholds as named lines."""
    fig, axes = figure(title, label, "cases (logarithmic)", height=4.0)
    edges = np.histogram_bin_edges(np.concatenate([normal, anomalous]), bins)
    for values, name, colour, hatch in (
        (normal, "normal", BLUE, ""),
        (anomalous, "anomalous", VERMILLION, "////"),
    ):
        axes.hist(
            values, edges, histtype="stepfilled", fc=(*tint(colour, 0.55), 0.55), ec=colour,
            lw=1.4, hatch=hatch, label=f"{name} ({len(values):,})",
        )  # fmt: skip
    for i, (name, threshold) in enumerate((thresholds or {}).items()):
        axes.axvline(
            threshold, color="black", lw=1.5, ls=cycle(LINES[1:], i),
            label=f"{name}: {threshold:.2f}",
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_ylim(bottom=0.6)
    axes.set_xlim(edges[0], edges[-1])
    axes.legend(loc="upper right")
    return fig


@styled
def roc_pr(
    roc: Mapping[str, Curve],
    precision_recall: Mapping[str, Curve],
    rules: Mapping[str, tuple[float, float, float]] | None = None,
    *,
    max_fpr: float = 1.0,
) -> Figure:
    """ROC and precision-recall curves side by side, and yes-or-no rules as single points.

    roc: name → (false-positive rates, recalls); precision_recall: name → (recalls, precisions).
    rules: name → (false-positive rate, recall, precision).
    max_fpr: where the ROC chart ends; small values show what counts in practice.
    """
    fig, (left, right) = figures(
        ["ROC: alarms on normal cases", "Precision and recall"], height=4.6
    )
    for i, name in enumerate(roc):
        look = {"color": cycle(PALETTE, i), "ls": cycle(LINES, i), "lw": 2}
        left.plot(*roc[name], label=name, **look)
        # Between two thresholds there is no precision in between: steps, not slopes.
        right.step(*precision_recall[name], where="pre", **look)
    for i, (name, (fpr, recall, precision)) in enumerate((rules or {}).items(), start=len(roc)):
        look = {"color": cycle(PALETTE, i), "marker": cycle(MARKERS, i), "ms": 9, "ls": "none"}
        left.plot(fpr, recall, label=f"{name} (rule)", clip_on=False, **look)
        right.plot(recall, precision, clip_on=False, **look)
    left.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
    left.set(xlabel="false-positive rate", ylabel="recall", xlim=(0, max_fpr), ylim=(0, 1.01))
    right.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.01))
    fig.legend(loc="outside lower center", ncols=3, handlelength=3.2)
    return fig


@styled
def confusion_grid(counts: Mapping[str, Mapping[str, float]]) -> Figure:
    """One confusion matrix per detector, with counts and the share of each row.

    counts: name → what ``evaluation.detection`` returns.
    """
    fig, grid = figures(
        list(counts), height=3.1, width=max(4.0, 2.9 * len(counts)), sharex=True, sharey=True
    )
    for axes, (name, found) in zip(grid, counts.items(), strict=True):
        cells = np.array(
            [
                [found["true_negatives"], found["false_positives"]],
                [found["false_negatives"], found["true_positives"]],
            ],
            dtype=float,
        )
        shares = cells / np.maximum(cells.sum(axis=1, keepdims=True), 1)
        for row in range(2):
            for column in range(2):
                right = row == column
                share = shares[row, column]
                colour = BLUE if right else VERMILLION
                axes.fill_between(
                    [column - 0.5, column + 0.5], row - 0.5, row + 0.5, ec="white", lw=3,
                    fc=tint(colour, 0.06 + 0.6 * share), hatch=None if right else "//",
                )  # fmt: skip
                axes.text(
                    column, row, f"{cells[row, column]:,.0f}", ha="center", va="bottom", size=15,
                    weight="bold",
                )  # fmt: skip
                axes.text(
                    column, row + 0.06, f"{share:.1%}", ha="center", va="top", size=9.5,
                    color="#222222",
                )  # fmt: skip
        axes.set(xlim=(-0.5, 1.5), ylim=(1.5, -0.5), aspect="equal")
        axes.set_title(name, size=10.5)
        axes.set_xticks([0, 1], ["passed", "flagged"])
        axes.set_yticks([0, 1], ["normal", "anomalous"])
        axes.tick_params(length=0)
        axes.grid(False)
        axes.spines[:].set_visible(False)
    grid[0].set_ylabel("the case is")
    fig.supxlabel("the detector says (hatched: wrong)", size=10, color="#333333")
    return fig


@styled
def precision_vs_prevalence(
    rates: Mapping[str, tuple[float, float]],
    title: str = "Precision depends on how rare anomalies are",
) -> Figure:
    """The share of right alerts against the share of anomalous cases, on a logarithmic axis.

    rates: name → (recall, false-positive rate) of a detector.
    """
    fig, axes = figure(
        title, "share of cases that are anomalous (logarithmic)", "precision", height=4.6
    )
    prevalences = np.geomspace(0.0005, 0.5, 61)
    for i, (name, (recall, fpr)) in enumerate(rates.items()):
        axes.plot(
            prevalences,
            [precision_at_prevalence(recall, fpr, float(p)) for p in prevalences],
            color=cycle(PALETTE, i), ls=cycle(LINES, i), marker=cycle(MARKERS, i), markevery=10,
            lw=2, label=f"{name} (recall {recall:.1%}, false alarms {fpr:.1%})",
        )  # fmt: skip
    axes.axvline(0.01, color=ORANGE, lw=5, alpha=0.25)
    axes.text(0.0105, 1.03, "1 in 100", size=8.5, color="#7A5200")
    axes.set_xscale("log")
    axes.set(ylim=(0, 1.08), xlim=(prevalences[0], prevalences[-1]))
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    axes.set_xticks([0.001, 0.01, 0.1, 0.5], ["0.1 %", "1 %", "10 %", "50 %"])
    axes.minorticks_off()
    fig.legend(loc="outside lower center", ncols=2, handlelength=3.5)
    return fig
