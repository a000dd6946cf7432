"""Where records come from: a catch-up subscription, or a share of a persistent one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import takewhile
from types import TracebackType

from kurrentdbclient import KurrentDBClient, RecordedEvent
from kurrentdbclient.exceptions import (
    AbortedByServerError,
    AlreadyExistsError,
    CancelledByClientError,
    DeadlineExceededError,
    DiscoveryFailedError,
    GrpcError,
    NodeIsNotLeaderError,
)

from procutils.store import ALERTS

#: What says that the database is away, or has moved, and may come back.
AWAY = (
    GrpcError,
    DeadlineExceededError,
    AbortedByServerError,
    DiscoveryFailedError,
    NodeIsNotLeaderError,
)
#: The streams of cases, and of their metadata: no alerts, nothing of the system. One pattern, and
#: one '-' at least, which the watchdog's own other streams do not have.
CASES = rf"^(\$\$)?(?!{ALERTS}-)[^$-][^-]*-.+"
#: So many records are fetched ahead of their judgement.
AHEAD = 500
#: Seconds that a worker may take over a record before another gets it.
PATIENCE_S = 60.0


class Source:
    """Records that a thread of its own takes from a subscription, so that waiting can end."""

    def __init__(self, subscription, acks: bool) -> None:
        self._subscription, self._acks = subscription, acks
        self._records: queue.Queue[RecordedEvent | BaseException] = queue.Queue(AHEAD)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._take, name="watchdog source", daemon=True)
        self._thread.start()

    def get(self, timeout: float) -> RecordedEvent | None:
        """The next record, or None if none comes within so many seconds.

        Records may also be checkpoints, and say that the subscription has caught up. Raises one of
        AWAY where the database does not answer any more.
        """
        try:
            found = self._records.get(timeout=max(timeout, 0.001))
        except queue.Empty:
            if not self._thread.is_alive():
                raise RuntimeError(
                    "the subscription's thread has died of the error above"
                ) from None
            return None
        if isinstance(found, BaseException):
            raise found
        return found

    def done(self, records: list[RecordedEvent]) -> None:
        """These are judged, and never to come again."""
        if self._acks:
            for record in records:
                self._subscription.ack(record)

    def _take(self) -> None:
        try:
            for record in self._subscription:
                self._put(record)
            raise CancelledByClientError("the subscription ended")
        except AWAY as error:
            self._put(error)

    def _put(self, found: RecordedEvent | BaseException) -> None:
        while not self._stopped.is_set():
            try:
                self._records.put(found, timeout=0.2)
                return
            except queue.Full:
                continue

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self._subscription.stop()
        self._thread.join(timeout=5)


def all_cases(client: KurrentDBClient, after: int | None) -> Source:
    """Every stream of cases, in the order of the log, after a commit position."""
    subscription = client.subscribe_to_all(
        commit_position=after,
        filter_include=[CASES],
        filter_by_stream_name=True,
        filter_exclude=(),
        include_checkpoints=True,
        include_caught_up=True,
    )
    return Source(subscription, acks=False)


def shared_cases(client: KurrentDBClient, group: str, after: int | None) -> Source:
    """A share of the streams of cases, each stream with one worker of the group (Pinned).

    One group over ``$all`` with a filter serves all categories, and needs no projection. The first
    worker makes it, and so decides where it begins.
    """
    with suppress(AlreadyExistsError):  # as it should for all workers but the first
        client.create_subscription_to_all(
            group,
            commit_position=after,
            filter_include=[CASES],
            filter_by_stream_name=True,
            filter_exclude=(),
            consumer_strategy="Pinned",
            message_timeout=PATIENCE_S,
        )
    subscription = client.read_subscription_to_all(group, max_ack_delay=0.05)
    return Source(subscription, acks=True)


@contextmanager
def history(
    client: KurrentDBClient, after: int | None, until: int
) -> Iterator[Iterator[RecordedEvent]]:
    """Every record of cases after one commit position, up to and including another."""
    with client.read_all(
        commit_position=after,
        filter_include=[CASES],
        filter_by_stream_name=True,
        filter_exclude=(),
    ) as records:
        until_then = takewhile(lambda record: record.commit_position <= until, records)
        yield (r for r in until_then if after is None or r.commit_position > after)
