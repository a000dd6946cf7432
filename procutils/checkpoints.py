"""How far the watchdog has come, and what it is waiting for: a stream of its own.

A checkpoint is written after the alerts of everything up to it, so it never claims too much. What
lies between it and a crash is judged again, and found written already: alerts have the ids of what
they are about. So nothing is lost and nothing doubled, whenever the process dies.

Each checkpoint says what has changed since the one before, and now and then all of it. Two
watchdogs that write to one stream would confuse it: the expected version is exact, so the second
is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

from kurrentdbclient import KurrentDBClient, RecordedEvent, StreamState
from kurrentdbclient.exceptions import NotFoundError

from procutils.alerts import new_event
from procutils.deadlines import Deadline, Deadlines

REACHED = "PositionReached"
#: Every so many checkpoints one says all that is open, so that no more than these are read.
WHOLE = 50
#: So many are kept: servers may delete the others.
KEPT = 4 * WHOLE


@dataclass
class Checkpoint:
    """position: the commit position up to which all is judged; None for none. start: the position
    after which alerts are raised. now: the time of the log, if that counts."""

    position: int | None = None
    start: int | None = None
    now: datetime | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)


class Checkpoints:
    """The checkpoints of one worker."""

    def __init__(self, client: KurrentDBClient, stream: str) -> None:
        self._client, self._stream = client, stream
        self._version: int | StreamState = StreamState.NO_STREAM
        self._since_whole = 0

    def latest(self) -> Checkpoint:
        """The last checkpoint; an empty one before the first."""
        records = list(self._to_the_last_whole_one())
        self._version = records[0].stream_position if records else StreamState.NO_STREAM
        self._since_whole = len(records)
        if not records:
            return Checkpoint()
        found: dict[str, Deadline] = {}
        for record in reversed(records):
            said = json.loads(record.data)
            for stream, (due, position, since) in said["waiting"].items():
                found[stream] = Deadline(datetime.fromisoformat(due), stream, position, since)
            for stream in said["over"]:
                found.pop(stream, None)
        now = said["now"] and datetime.fromisoformat(said["now"])
        return Checkpoint(said["position"], said["start"], now, Deadlines(found.values()))

    def write(self, checkpoint: Checkpoint) -> None:
        """Append a checkpoint. Raises WrongCurrentVersionError if somebody else has done so."""
        open_ = checkpoint.deadlines.open
        first = self._version is StreamState.NO_STREAM
        whole = first or self._since_whole >= WHOLE
        changed = set(open_) if whole else checkpoint.deadlines.changed
        data: dict[str, Any] = {
            "position": checkpoint.position,
            "start": checkpoint.start,
            "now": checkpoint.now and checkpoint.now.isoformat(),
            "whole": whole,
            "waiting": {
                d.stream: [d.due.isoformat(), d.position, d.since]
                for d in sorted(open_.values())
                if d.stream in changed
            },
            "over": [] if whole else sorted(changed - open_.keys()),
        }
        # An id of its own: it is about this moment alone, and never to be recognised.
        event = new_event(REACHED, uuid4(), data, {})
        self._client.append_event(self._stream, current_version=self._version, event=event)
        self._version = self._begun() if first else self._version + 1
        self._since_whole = 1 if whole else self._since_whole + 1
        checkpoint.deadlines.changed.clear()

    def _begun(self) -> int:
        """Keep only the latest checkpoints; the revision of the first, which is not 0 where a
        stream of that name was deleted before."""
        metadata, version = self._client.get_stream_metadata(self._stream)
        metadata["$maxCount"] = KEPT
        self._client.set_stream_metadata(
            self._stream, metadata=metadata, current_version=version
        )  # fmt: skip
        (last,) = self._client.get_stream(self._stream, backwards=True, limit=1)
        return last.stream_position

    def _to_the_last_whole_one(self) -> Iterator[RecordedEvent]:
        """The latest checkpoints, newest first, down to one that says everything."""
        try:
            with self._client.read_stream(self._stream, backwards=True) as records:
                for record in records:
                    yield record
                    if json.loads(record.data)["whole"]:
                        return
        except NotFoundError:
            return
