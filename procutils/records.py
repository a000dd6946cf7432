"""An event as KurrentDB keeps it: id, JSON data with the time in it, JSON metadata; and back."""

from __future__ import annotations

import json
import math
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid5

from kurrentdbclient import NewEvent, RecordedEvent

from procutils.cases import Case, Event

#: The root of all event ids: an event's id follows from what it says and where it stands.
EVENT_IDS = UUID("5b0c7a52-3f0e-5d1c-9a35-6a6f7b1f0c11")

#: Version of the shape of the events written here, in the metadata of each.
SCHEMA_VERSION = "1"

#: The data field that an event's time is stored in.
TIMESTAMP = "timestamp"

#: What many events say is held in memory once: of recent texts this many, with fewer characters
#: than this; and of the names of an event's fields this many combinations.
RECENT, SHORT, KINDS = 10_000, 100, 1_000
#: Of objects with more attributes than that Python no longer shares the names.
MOST_SHARED = 29


class StoreError(RuntimeError):
    """The database cannot be reached, or holds something other than it should."""


def event_id(stream: str, revision: int, event: Event) -> UUID:
    """uuid5 of an event's place and content: a retry has the same id, a different event another.

    Raises ValueError for a time without time zone, and for what JSON cannot hold.
    """
    content = [stream, revision, event.type, _data(stream, event)]
    return uuid5(EVENT_IDS, json.dumps(content, sort_keys=True, allow_nan=False))


def to_record(case: Case, revision: int) -> NewEvent:
    """What to append for one event of a case.

    Metadata, where the event brings none of its own: ``$correlationId`` the case, ``$causationId``
    the event before it.
    """
    event = case.events[revision]
    metadata = {"$correlationId": case.id, "schemaVersion": SCHEMA_VERSION}
    if revision:
        cause = event_id(case.id, revision - 1, case.events[revision - 1])
        metadata["$causationId"] = str(cause)
    return NewEvent(
        id=event_id(case.id, revision, event),
        type=event.type,
        data=json.dumps(_data(case.id, event), ensure_ascii=False).encode(),
        metadata=json.dumps({**metadata, **event.metadata}, ensure_ascii=False).encode(),
    )


def _data(stream: str, event: Event) -> dict[str, Any]:
    if event.at.tzinfo is None or TIMESTAMP in event.data:
        raise ValueError(
            f"{event.type} of {stream}: its time belongs in Event.at, with a time zone, not in data"
        )
    return {**event.data, TIMESTAMP: event.at.astimezone(UTC).isoformat()}


def to_event(record: RecordedEvent) -> Event:
    """The event in a record. Raises StoreError, naming stream and revision, if it is no JSON."""
    data = _json(record, record.data)
    at = _time(data.get(TIMESTAMP))
    if at is None:  # no time of its own, or one in another notation, which then stays in the data
        at = record.recorded_at
    else:
        del data[TIMESTAMP]
    metadata = _compact(_json(record, record.metadata))
    return Event(sys.intern(record.type), _compact(data), at, metadata, record.commit_position)


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at


def _json(record: RecordedEvent, content: bytes) -> dict[str, Any]:
    try:
        value = json.loads(content or b"{}")
    except ValueError as error:
        value = error
    if not isinstance(value, dict):
        reason = value if isinstance(value, ValueError) else f"it is a {type(value).__name__}"
        raise StoreError(
            f"event {record.stream_position} of stream {record.stream_name} ({record.type}) is not "
            f"a JSON object: {reason}"
        )
    return value


_kinds: dict[tuple[str, ...], type] = {}  # a class for each combination of names


def _compact(fields: dict[str, Any]) -> dict[str, Any]:
    """An equal dictionary in about half the memory, so that a million events fit.

    Python holds the names of the attributes once for all objects of a class; here, the fields'.
    Of more than MOST_SHARED names it holds none.
    """
    names = tuple(sys.intern(name) for name in fields)
    if names not in _kinds and len(names) <= MOST_SHARED and len(_kinds) < KINDS:
        _kinds[names] = type("Fields", (), {})
    compact = vars(_kinds[names]()) if names in _kinds else {}
    for name, value in zip(names, fields.values(), strict=True):
        short = isinstance(value, str) and len(value) < SHORT
        compact[name] = _shared(value) if short else value
    return compact


@lru_cache(RECENT)
def _shared(text: str) -> str:
    return text


def truncation(record: RecordedEvent) -> tuple[str, float] | None:
    """(stream, first revision that it keeps), where a record deletes or truncates a stream.

    Deleted streams must not be read as cases, yet their events stay in ``$all`` for long.
    """
    if record.type == "$streamDeleted":
        return record.stream_name, math.inf
    if record.stream_name.startswith("$$"):
        return record.stream_name[2:], _json(record, record.data).get("$tb", 0)
    return None
