"""What is the same in all that the watchdog finds: who judged, with what data, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kurrentdbclient import RecordedEvent

from procutils.alerts import UNREADABLE, Alert, identity
from procutils.cases import END, Event
from procutils.detector import Detector, Verdict

#: The kinds of diagnosis that say that something has not come.
ABSENT = ("skipped step", "premature end", "overdue")


@dataclass(frozen=True)
class Model:
    """Who judges.

    id: letters, digits, ``_`` and ``.``; what is written names it. data_position: the commit
    position of the data that the model was made from, None if that is not known.
    """

    detector: Detector
    id: str
    data_position: int | None = None

    def __post_init__(self) -> None:
        if not self.id.replace("_", "").replace(".", "").isalnum():
            raise ValueError(
                f"{self.id!r} cannot name a model in streams: use letters, digits, _ and ."
            )

    def about(self, stream: str, position: int, verdict: Verdict) -> dict[str, Any]:
        """What every alert says. position: the revision in the stream."""
        missing: Sequence[str] = ()
        if verdict.repair is not None and verdict.repair.what == "insert":
            missing = verdict.repair.types
        elif verdict.kind in ABSENT:  # no repair was found: what was the likeliest
            missing = [type_ for type_, _ in verdict.expected if type_ != END][:1]
        return {
            "model": self.id,
            "data_position": self.data_position,
            "stream": stream,
            "position": position,
            "kind": verdict.kind,
            "part": verdict.part,
            "p_value": verdict.p_value,
            "alpha": self.detector.alpha,
            "expected": [
                {"type": "end of the case" if type_ == END else type_, "probability": round(p, 6)}
                for type_, p in verdict.expected
            ],
            "missing": list(missing),
            "explanation": verdict.explanation,
            "action": verdict.action,
            "repair": str(verdict.repair) if verdict.repair else None,
            "similar_normal_cases": verdict.similar,
        }

    def unreadable(self, record: RecordedEvent, reason: str, *about: str) -> Alert:
        """An event that cannot be judged; about: what else the report stands for, all the same."""
        key = about or (record.stream_name, str(record.id))
        data = {
            "model": self.id,
            "stream": record.stream_name,
            "position": record.stream_position,
            "event_id": str(record.id),
            "event_type": record.type,
            "commit_position": record.commit_position,
            "reason": reason,
        }
        metadata = {"$causationId": str(record.id), "$correlationId": record.stream_name}
        id_ = identity(self.id, *key, UNREADABLE)
        return Alert(UNREADABLE, about[0] if about else record.stream_name, id_, data, metadata)


def caused_by(record: RecordedEvent, event: Event) -> dict[str, Any]:
    """The metadata of an alert that follows from an event: its correlation id goes on."""
    correlation = event.metadata.get("$correlationId", record.stream_name)
    return {"$causationId": str(record.id), "$correlationId": correlation}
