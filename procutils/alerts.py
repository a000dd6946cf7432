"""Alerts as events: what the watchdog found in a stream stands in the stream ``anomaly-{stream}``.

    AnomalyDetected      an event came that should not have
    StepOverdue          nothing came although it should have
    AnomalyResolved      … it came after all
    AnomalyConfirmed     a person has looked at an alert, and agrees
    AnomalyDismissed     … or does not
    EventUnreadable      an event that could not be judged, and why; the watchdog goes on without it

The id of each is a uuid5 of what it is about, never of when it was noticed: whoever finds the same
thing again, after a crash or in another process, finds it written already.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid5

from kurrentdbclient import KurrentDBClient, NewEvent, RecordedEvent, StreamState
from kurrentdbclient.exceptions import (
    NotFoundError,
    StreamIsDeletedError,
    StreamTombstonedError,
    WrongCurrentVersionError,
)

from procutils.records import EVENT_IDS, SCHEMA_VERSION
from procutils.store import ALERTS

DETECTED, OVERDUE, RESOLVED = "AnomalyDetected", "StepOverdue", "AnomalyResolved"
CONFIRMED, DISMISSED = "AnomalyConfirmed", "AnomalyDismissed"
UNREADABLE = "EventUnreadable"

#: What a stream that is no longer there answers.
GONE = (NotFoundError, StreamIsDeletedError, StreamTombstonedError)


@dataclass(frozen=True)
class Alert:
    """An event in a stream of alerts. stream: the stream it is about, or the category.

    data: what it says; a person needs no more. metadata: ``$causationId`` names the event that it
    follows from, ``$correlationId`` what that belongs to.
    """

    type: str
    stream: str
    id: UUID
    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def position(self) -> int:
        """The revision in ``stream`` that it is about."""
        return self.data["position"]

    def __str__(self) -> str:
        """One line for a person who reads a log."""
        said = self.data.get("explanation") or self.data.get("reason") or self.type
        return f"{self.stream}, event {self.position}: {said}"

    @classmethod
    def of(cls, record: RecordedEvent) -> Alert:
        """As it was written."""
        stream = record.stream_name.removeprefix(f"{ALERTS}-")
        metadata = json.loads(record.metadata or b"{}")
        return cls(record.type, stream, record.id, json.loads(record.data), metadata)


class Sink(Protocol):
    """Where alerts go, and where those that are there already can be seen."""

    def of(self, stream: str) -> Sequence[Alert]: ...
    def write(self, alert: Alert) -> bool: ...


class AlertStreams:
    """The alerts in the database."""

    def __init__(self, client: KurrentDBClient) -> None:
        self._client = client

    def of(self, stream: str) -> list[Alert]:
        """The alerts about a stream, oldest first."""
        return [Alert.of(record) for record in existing(self._client, f"{ALERTS}-{stream}")]

    def write(self, alert: Alert) -> bool:
        """Append it unless it is there; whether it was new."""
        metadata = {"schemaVersion": SCHEMA_VERSION, **alert.metadata}
        event = new_event(alert.type, alert.id, alert.data, metadata)
        return append_once(self._client, f"{ALERTS}-{alert.stream}", event)


class Rehearsal:
    """Alerts that are only collected, in ``alerts``: nothing is written."""

    def __init__(self) -> None:
        self.alerts: list[Alert] = []

    def of(self, stream: str) -> list[Alert]:
        """Those collected about a stream so far."""
        return [alert for alert in self.alerts if alert.stream == stream]

    def write(self, alert: Alert) -> bool:
        """Keep it unless it is there; whether it was new."""
        new = all(known.id != alert.id for known in self.of(alert.stream))
        if new:
            self.alerts.append(alert)
        return new


def identity(*about: str | int) -> UUID:
    """The event id for what something is about: model, stream, position, kind of alert."""
    return uuid5(EVENT_IDS, json.dumps(about))


def new_event(type_: str, id_: UUID, data: dict[str, Any], metadata: dict[str, Any]) -> NewEvent:
    """An event to append. Raises ValueError for numbers that JSON does not have."""
    return NewEvent(
        id=id_,
        type=type_,
        data=json.dumps(data, ensure_ascii=False, allow_nan=False, default=str).encode(),
        metadata=json.dumps(metadata, ensure_ascii=False, default=str).encode(),
    )


def append_once(client: KurrentDBClient, stream: str, event: NewEvent) -> bool:
    """Append an event unless its id is in the stream; whether it was new.

    The expected version is always exact: servers promise to recognise a repeated id only then, and
    of two that write at once the second sees what the first has done. A tombstoned stream takes
    nothing any more, and so it is written to no more.
    """
    while True:
        try:
            records = existing(client, stream)
            if any(record.id == event.id for record in records):
                return False
            version = records[-1].stream_position if records else StreamState.NO_STREAM
            client.append_event(stream, current_version=version, event=event)
        except WrongCurrentVersionError:
            continue  # somebody else has written meanwhile
        except GONE:
            return False
        return True


def existing(client: KurrentDBClient, stream: str) -> Sequence[RecordedEvent]:
    """The records of a stream, oldest first; none if it does not exist, or not any more."""
    try:
        return client.get_stream(stream)
    except GONE:
        return ()


def read_alerts(client: KurrentDBClient, as_of: int | None = None) -> list[Alert]:
    """All alerts in the order in which they were written, up to and including a position."""
    found = []
    with client.read_all(
        filter_include=[f"{ALERTS}-"], filter_by_stream_name=True, filter_by_prefix=True
    ) as records:
        for record in records:
            if as_of is not None and record.commit_position > as_of:
                break
            if not record.is_system_event:
                found.append(Alert.of(record))
    return found
