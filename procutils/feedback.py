"""What people say about alerts, as events; and what follows from it for the next ones.

A dismissed alert was about something normal. Its strangeness joins those of the calibration cases.
What lies above the threshold never lowers it, so the promised share of false alarms still holds.
The change is an event with its reason in the stream ``watchdog_{model}_thresholds``, and counts for
what comes after it in the log: what was alerted at some position, and why, can be told for ever.
"""

from __future__ import annotations

import json
from bisect import insort
from copy import copy
from dataclasses import dataclass
from math import isfinite
from typing import Any

from kurrentdbclient import KurrentDBClient

from procutils.alerts import (
    CONFIRMED,
    DETECTED,
    DISMISSED,
    OVERDUE,
    Alert,
    AlertStreams,
    append_once,
    existing,
    identity,
    new_event,
)
from procutils.deadlines import silence_detector
from procutils.detector import Detector

CHANGED = "ThresholdChanged"


@dataclass(frozen=True)
class Change:
    """A calibration value that was added.

    of: "case" or "silence". surprise: nats. after: the commit position of the change.
    """

    of: str
    category: str
    surprise: float
    after: int


class Thresholds:
    """The detector as it was at each position of the log, with all changes before that."""

    def __init__(self, client: KurrentDBClient, model: str, detector: Detector) -> None:
        self._client, self._model, self._detector = client, model, detector

    def at(self, position: int) -> Detector:
        """The detector for an event at a commit position.

        The changes are read afresh: this is asked only when an alert is about to be raised, and as
        thresholds never fall, what lies below the first one needs no question.
        """
        return adjusted(self._detector, self.changes(), position)

    def changes(self) -> list[Change]:
        """All changes so far, oldest first."""
        found = []
        for record in existing(self._client, stream_of(self._model)):
            said = json.loads(record.data)
            position = record.commit_position
            found.append(Change(said["of"], said["category"], said["surprise"], position))
        return found


def stream_of(model: str) -> str:
    """The stream of a model's changes of threshold."""
    return f"watchdog_{model}_thresholds"


def adjusted(detector: Detector, changes: list[Change], position: int) -> Detector:
    """A detector with the changes before a commit position; its own, if there are none."""
    changes = [change for change in changes if change.after < position]
    if not changes:
        return detector
    other = copy(detector)
    other.ranks = {category: list(ranks) for category, ranks in detector.ranks.items()}
    other.silences = {category: list(ranks) for category, ranks in detector.silences.items()}
    for change in changes:
        ranks = other.ranks if change.of == "case" else other.silences
        insort(ranks.setdefault(change.category, []), change.surprise)
    return other


def confirm(client: KurrentDBClient, alert: Alert, by: str, note: str = "") -> None:
    """A reviewer agrees with an alert. Raises ValueError if it was dismissed before."""
    _review(client, alert, CONFIRMED, by, note)


def dismiss(
    client: KurrentDBClient, detector: Detector, alert: Alert, by: str, note: str = ""
) -> dict[str, Any]:
    """A reviewer says that what an alert is about was normal; the threshold changes accordingly.

    detector: that of the model which raised it. Returns what the change of threshold says:
    ``before`` and ``after`` in nats. Repeated, it changes nothing more. Raises ValueError if the
    alert was confirmed before.
    """
    decision = _review(client, alert, DISMISSED, by, note)
    model, category = alert.data["model"], alert.stream.partition("-")[0]
    of = "silence" if alert.type == OVERDUE else "case"
    change = identity(str(decision.id), CHANGED)
    stream = stream_of(model)
    for record in existing(client, stream):
        if record.id == change:
            return json.loads(record.data)
    known = Thresholds(client, model, detector)
    before = known.at(_END)
    added = Change(of, category, alert.data["surprise"], 0)
    after = adjusted(before, [added], _END)
    data = {
        "model": model,
        "category": category,
        "of": of,
        "surprise": alert.data["surprise"],
        "before": _threshold(before, of, category),
        "after": _threshold(after, of, category),
        "calibration_cases": len((after.ranks if of == "case" else after.silences)[category]),
        "alert": str(alert.id),
        "stream": alert.stream,
        "position": alert.position,
        "by": by,
        "note": note,
    }
    metadata = {"$causationId": str(decision.id), "$correlationId": _correlation(alert)}
    append_once(client, stream, new_event(CHANGED, change, data, metadata))
    return data


#: Later than every commit position.
_END = 2**63 - 1


def _review(client: KurrentDBClient, alert: Alert, decision: str, by: str, note: str) -> Alert:
    if alert.type not in (DETECTED, OVERDUE):
        raise ValueError(f"{alert.type} is nothing to review: choose a {DETECTED} or {OVERDUE}")
    data = {
        "model": alert.data["model"],
        "stream": alert.stream,
        "position": alert.position,
        "alert": str(alert.id),
        "by": by,
        "note": note,
    }
    metadata = {"$causationId": str(alert.id), "$correlationId": _correlation(alert)}
    said = Alert(decision, alert.stream, identity(str(alert.id), "review"), data, metadata)
    streams = AlertStreams(client)
    if not streams.write(said):
        there = next((a for a in streams.of(alert.stream) if a.id == said.id), said)
        if there.type != decision:
            raise ValueError(
                f"the {alert.type} of {alert.stream} at event {alert.position} was decided by "
                f"{there.data['by']} already: {there.type}"
            )
    return said


def _correlation(alert: Alert) -> str:
    return alert.metadata.get("$correlationId", alert.stream)


def _threshold(detector: Detector, of: str, category: str) -> float | None:
    """Nats; None where nothing could be strange enough."""
    known = detector if of == "case" else silence_detector(detector)
    limit = known.threshold(category)
    return limit if isfinite(limit) else None
