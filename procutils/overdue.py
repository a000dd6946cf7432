"""What has not come: alerts for silent cases, withdrawn when the step comes after all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from kurrentdbclient import KurrentDBClient, RecordedEvent

from procutils.alerts import GONE, OVERDUE, RESOLVED, Alert, Sink, identity
from procutils.cases import Case
from procutils.checkpoints import Checkpoint
from procutils.deadlines import Deadline, deadline, silence_detector
from procutils.feedback import Thresholds
from procutils.findings import Model, caused_by
from procutils.following import Following, LiveCase, follow
from procutils.investigation import Investigator, readable

Clock = Literal["wall", "log"]


@dataclass
class Waiting:
    """Holds the deadlines, and says what is overdue.

    A step is overdue if its deadline had passed when it came, or has passed now; so it makes no
    difference whether anybody was watching at that moment. clock: "wall": an event came when it was
    recorded. "log": time is what the events say, and goes on with them.
    alone: whether all streams come to this worker, in the order of the log.
    """

    client: KurrentDBClient
    model: Model
    sink: Sink
    checkpoint: Checkpoint
    thresholds: Thresholds
    clock: Clock
    alone: bool

    def after(self, case: LiveCase) -> None:
        """Set the deadline of a case to which an event has come."""
        last, events = case.records[-1], case.case.events
        due = deadline(self.model.detector, case.case.category, case.following, events[-1].at)
        self._set(case.case.id, due, last)

    def pass_time(self, now: datetime) -> list[str]:
        """Raise an alert for each step that is overdue by ``now``; the streams it is about."""
        alerted = []
        while (over := self.checkpoint.deadlines.passed(now)) is not None:
            if self._overdue(over):
                alerted.append(over.stream)
        return alerted

    def resolve(self, stream: str, records: Iterable[RecordedEvent]) -> None:
        """Withdraw what was overdue, and has come with these records."""
        by_position = {record.stream_position: record for record in records}
        for alert in self.sink.of(stream):
            ours = alert.type == OVERDUE and alert.data["model"] == self.model.id
            if ours and (came := by_position.get(alert.position)) is not None:
                data = {
                    "model": self.model.id,
                    "stream": stream,
                    "position": alert.position,
                    "alert": str(alert.id),
                    "event_id": str(came.id),
                    "event_type": came.type,
                }
                metadata = {**alert.metadata, "$causationId": str(came.id)}
                id_ = identity(self.model.id, stream, alert.position, RESOLVED)
                self.sink.write(Alert(RESOLVED, stream, id_, data, metadata))

    def _overdue(self, over: Deadline) -> bool:
        """Look at a case whose deadline has passed once more: is it really silent?"""
        try:
            with self.client.read_stream(over.stream) as found:
                records = [r for r in found if r.stream_position <= over.position]
        except GONE:
            return False
        if any(r.stream_position == over.position and self._in_time(r, over.due) for r in records):
            return False
        read = list(readable(r for r in records if r.stream_position < over.position))
        case = Case(over.stream, [event for _, event in read])
        detector = self.thresholds.at(over.since)
        verdict = detector.check_silence(case, over.due)
        if not verdict.is_anomaly:  # the threshold has risen since
            following: Following = follow(detector.scorer, case)
            due = deadline(detector, case.category, following, case.events[-1].at)
            if due is not None and due > over.due:
                self._set(over.stream, due, read[-1][0])
            return False
        (log_p,) = detector.scorer.silences([(case, over.due)])
        record, event = read[-1]
        data = {
            **self.model.about(over.stream, over.position, verdict),
            "due": over.due.isoformat(),
            "event_id": str(record.id),
            "event_type": record.type,
            "commit_position": over.since,
            "at": event.at.isoformat(),
            "surprise": -log_p,
            "threshold": silence_detector(detector).threshold(case.category),
            "evidence": Investigator(self.client, detector, over.since).evidence(case, None),
        }
        id_ = identity(self.model.id, over.stream, over.position, OVERDUE)
        self.sink.write(Alert(OVERDUE, over.stream, id_, data, caused_by(record, event)))
        return True

    def _in_time(self, came: RecordedEvent, due: datetime) -> bool:
        """Whether an event that has come by now was there when its deadline passed."""
        if self.clock == "wall":
            return came.recorded_at <= due
        # Alone, in the order of the log, what has not been handled yet has not come yet.
        return not self.alone and any(event.at <= due for _, event in readable([came]))

    def _set(self, stream: str, due: datetime | None, last: RecordedEvent) -> None:
        position, since = last.stream_position + 1, last.commit_position
        found = None if due is None else Deadline(due, stream, position, since)
        self.checkpoint.deadlines.set(stream, found)
