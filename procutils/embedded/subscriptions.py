"""Catch-up subscriptions: what is there, then "caught up", then what comes.

A subscriber sleeps until something is appended. It keeps nothing but its place in the log: the
pages are read when the client takes them.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator

from google.protobuf.timestamp_pb2 import Timestamp
from kurrentdbclient.protos.v1 import streams_pb2

from .filters import Everything, Filter
from .log import Log
from .messages import read_event
from .reading import StreamNotFound, last_revision, read_all, read_stream

ReadResp = streams_pb2.ReadResp


def confirmation() -> ReadResp:
    return ReadResp(
        confirmation=ReadResp.SubscriptionConfirmation(subscription_id=str(uuid.uuid4()))
    )


def subscribe_to_all(
    log: Log,
    after: int,
    wanted: Filter,
    interval: int,
    *,
    resolve: bool,
    structured: bool,
    active: Callable[[], bool],
) -> Iterator[ReadResp]:
    """The log after a position. interval: records considered between two checkpoints, which only
    a filtered subscription gets."""
    yield confirmation()
    position, considered, live = after, 0, False
    filtered = not isinstance(wanted, Everything)
    while active():
        end = log.position
        while position < end:
            # A window ends where a checkpoint is due.
            stop = min(end, position + interval - considered) if filtered else end
            for window in read_all(log, position + 1, stop, wanted, resolve=resolve):
                for found in window.found:
                    yield read_event(found, structured)
                considered += window.end - position
                position = window.end
            if filtered and considered >= interval:
                yield _checkpoint(position)
                considered = 0
        if not live:
            live = True
            if filtered:
                yield _checkpoint(position)
            yield ReadResp(
                caught_up=ReadResp.CaughtUp(
                    timestamp=_now(),
                    position=ReadResp.Position(commit_position=position, prepare_position=position),
                )
            )
        log.wait_beyond(position, active)


def subscribe_to_stream(
    log: Log,
    name: str,
    after: int,
    *,
    resolve: bool,
    structured: bool,
    active: Callable[[], bool],
) -> Iterator[ReadResp]:
    """The stream after a revision; it need not exist yet. Raises StreamDeleted."""
    yield confirmation()
    revision, live = after, False
    while active():
        seen = log.position
        if last_revision(log, name) > revision:
            try:
                for window in read_stream(log, name, revision + 1, resolve=resolve):
                    for found in window.found:
                        yield read_event(found, structured)
                    revision = window.end
            except StreamNotFound:
                pass  # soft-deleted: silent until it is written again
        if not live:
            live = True
            yield ReadResp(caught_up=ReadResp.CaughtUp(timestamp=_now(), stream_revision=revision))
        log.wait_beyond(seen, active)


def _checkpoint(position: int) -> ReadResp:
    return ReadResp(
        checkpoint=ReadResp.Checkpoint(
            commit_position=position, prepare_position=position, timestamp=_now()
        )
    )


def _now() -> Timestamp:
    return Timestamp(seconds=int(time.time()), nanos=time.time_ns() % 1_000_000_000)
