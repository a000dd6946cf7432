"""Cases as they come: what the watchdog has judged of them, and what it found."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

from procutils.alerts import DETECTED, OVERDUE, RESOLVED, Alert
from procutils.cases import Case
from procutils.compliance import alert_table
from procutils.plots.style import BLUE, GREY, ORANGE, VERMILLION, figure, styled, tint

_MARKS = {
    DETECTED: (VERMILLION, "X", "strange event"),
    OVERDUE: (ORANGE, "D", "overdue step"),
    RESOLVED: (ORANGE, "P", "overdue, then came"),
}


@styled
def watched_cases(
    cases: Sequence[Case], judged: int, alerts: Collection[Alert], rows: Sequence[str] | None = None
) -> Figure:
    """One row per case, one dot per event in the database: full once judged; alerts on top.

    cases: as read from the database. judged: commit position up to which all is judged.
    rows: the ids of all cases that are to come, so that the picture does not jump as it grows.
    """
    rows = list(rows or (case.id for case in cases))
    place = {name: row for row, name in enumerate(rows)}
    events = [(place[c.id], e) for c in cases if c.id in place for e in c.events]
    done = [(row, e) for row, e in events if e.position <= judged]
    table = alert_table(alert for alert in alerts if alert.stream in place)
    title = f"{len(done)} of {len(events)} events judged, {len(table)} alerts"
    fig, axes = figure(title, "time in the events (UTC)", "case", height=1.6 + 0.17 * len(rows))
    for case in cases:
        if case.id in place:
            ends = [case.events[0].at, case.events[-1].at]
            axes.plot(ends, [place[case.id]] * 2, color=tint(BLUE, 0.3), lw=1.4, zorder=1)
    for points, fill, label in ((events, "white", "appended"), (done, BLUE, "judged")):
        axes.plot(
            [e.at for _, e in points], [row for row, _ in points], "o", ms=5, mec=BLUE, mfc=fill,
            label=label, zorder=2,
        )  # fmt: skip
    kinds = [
        RESOLVED if row.status == "resolved" else row.type for row in table.itertuples(index=False)
    ]
    for kind, (colour, marker, label) in _MARKS.items():
        found = [row for row, of in zip(table.itertuples(), kinds, strict=True) if of == kind]
        axes.plot(
            [row.at for row in found], [place[row.stream] for row in found], marker, ms=10,
            mec="black", mew=0.6, color=colour, label=label, zorder=3,
        )  # fmt: skip
    axes.set_yticks(range(len(rows)), rows, size=7.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axes.grid(axis="y", color=tint(GREY, 0.15))
    fig.legend(loc="outside lower center", ncols=5, handletextpad=0.3)
    return fig
