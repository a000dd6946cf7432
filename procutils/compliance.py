"""What was not done as it should have been, read off the alerts: per process and week."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

import pandas as pd

from procutils.alerts import CONFIRMED, DETECTED, DISMISSED, OVERDUE, RESOLVED, Alert

#: What the name of a step holds that somebody must agree to; your own words may differ.
APPROVALS = r"(?i)approv|authori[sz]|sign.?off|review"

SKIPPED, BYPASSED, MISSED = "skipped steps", "bypassed approvals", "missed deadlines"
VIOLATIONS = (SKIPPED, BYPASSED, MISSED)

COLUMNS = [
    *("stream", "process", "type", "kind", "position", "at", "status"),
    *("missing", "p_value", "model", "id"),
]
_STATUS = {RESOLVED: "resolved", CONFIRMED: "confirmed", DISMISSED: "dismissed"}


def alert_table(alerts: Iterable[Alert]) -> pd.DataFrame:
    """One row per alert: stream, process, type, kind, position, at (UTC), status, missing, p_value.

    status: ``open``, ``resolved`` (what was overdue has come), ``confirmed`` or ``dismissed``; a
    review counts for more than a resolution. at: when the strange event came, or was due.
    """
    alerts = list(alerts)
    status: dict[str, str] = {}
    for alert in alerts:
        if alert.type in _STATUS:
            about = alert.data["alert"]
            if alert.type != RESOLVED or about not in status:
                status[about] = _STATUS[alert.type]
    rows = [
        {
            "stream": alert.stream,
            "process": alert.stream.partition("-")[0],
            "type": alert.type,
            "kind": alert.data["kind"],
            "position": alert.position,
            "at": datetime.fromisoformat(alert.data.get("due") or alert.data["at"]),
            "status": status.get(str(alert.id), "open"),
            "missing": tuple(alert.data["missing"]),
            "p_value": alert.data["p_value"],
            "model": alert.data["model"],
            "id": str(alert.id),
        }
        for alert in alerts
        if alert.type in (DETECTED, OVERDUE)
    ]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.assign(at=pd.to_datetime(table["at"], utc=True))


def violations(alerts: Iterable[Alert], approvals: str = APPROVALS) -> pd.DataFrame:
    """The violations of each process and week that had any: an integer column for each kind.

    Index: process, and the Monday of the week (UTC). A step that is missing counts as skipped, as
    a bypassed approval if its name matches the pattern ``approvals``; an overdue one, or one that
    came too late, as a missed deadline, whether it came in the end or not. What was dismissed does
    not count, and what several models found counts once.
    """
    table = alert_table(alerts)
    table = table[table["status"] != "dismissed"]
    table = table.assign(violation=[_violation(row, approvals) for row in table.itertuples()])
    table = table.dropna(subset="violation")
    table = table.drop_duplicates(["stream", "position", "violation"])
    days = pd.to_timedelta(table["at"].dt.day_of_week, unit="D")
    table = table.assign(week=(table["at"] - days).dt.date)
    counts = pd.crosstab([table["process"], table["week"]], table["violation"])
    return counts.reindex(columns=list(VIOLATIONS), fill_value=0).rename_axis(columns=None)


def _violation(row, approvals: str) -> str | None:
    if row.type == OVERDUE or row.kind == "too late":
        return MISSED
    if not row.missing:
        return None
    return BYPASSED if any(re.search(approvals, type_) for type_ in row.missing) else SKIPPED
