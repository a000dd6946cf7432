"""Violations by process and week."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from procutils.plots.style import BLUE, HATCHES, ORANGE, VERMILLION, figures, styled

_COLOURS = (BLUE, VERMILLION, ORANGE)


@styled
def violations_by_week(table: pd.DataFrame) -> Figure:
    """One panel per process, one bar per week, divided by kind of violation.

    table: as :func:`procutils.compliance.violations` gives it. Raises ValueError if it is empty.
    """
    if table.empty:
        raise ValueError("no violations: nothing to draw")
    processes = sorted(table.index.get_level_values("process").unique())
    weeks = sorted(table.index.get_level_values("week").unique())
    fig, panels = figures(processes, height=1.6 + 0.3 * len(weeks), sharey=True, sharex=True)
    for process, axes in zip(processes, panels, strict=True):
        rows = table.loc[process].reindex(weeks, fill_value=0)
        left = pd.Series(0, index=weeks)
        for kind, colour, hatch in zip(rows.columns, _COLOURS, HATCHES, strict=False):
            axes.barh(
                range(len(weeks)), rows[kind], left=left, height=0.7,
                color=colour, hatch=hatch, ec="white", lw=0, label=kind,
            )  # fmt: skip
            left = left + rows[kind]
        axes.set_yticks(range(len(weeks)), [f"{week:%d %b %Y}" for week in weeks])
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=4))
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("violations")
    panels[0].invert_yaxis()  # shared: the first week is on top in all panels
    panels[0].set_ylabel("week of")
    handles, labels = panels[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return fig
