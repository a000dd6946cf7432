"""One persistent subscription at work: it reads, hands out, and writes down how far it is.

Whatever happens to it is asked of its one thread, which sleeps until there is news: an answer of a
consumer, an append, or the time at which a message or a checkpoint is due.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial

from .actor import Actor
from .delivery import Consumer, Delivery, Message
from .expected import find_stream
from .log import Log
from .messages import ALL
from .parking import parked_link, parked_stream
from .reading import StreamNotFound, Window, read_stream
from .refusals import SubscriptionDropped, TooManyConsumers
from .schema import StoreFailed
from .settings import Settings
from .sources import make_source
from .transaction import METADATA, system_record

#: Nothing more is read while this much waits to be settled, in bytes.
MAX_HELD_BYTES = 16 * 2**20
#: A checkpoint is due when so many records were considered, although none of them was wanted.
MAX_SKIPPED = 10_000


class Group(Actor):
    """source: a stream, or ``$all``; name: of the group of consumers. stored: the last place that
    is handled with all before it: the checkpoint, or what is before the start."""

    def __init__(self, log: Log, source: str, name: str, settings: Settings, stored: int) -> None:
        super().__init__(name)
        self.log, self.source_name, self.name, self.settings = log, source, name, settings
        self.source = make_source(log, source, settings)
        self.parked_stream = parked_stream(source, name)
        self.stored = stored
        self._begin()
        self._thread.start()

    # What other threads ask.

    def connect(self, consumer: Consumer) -> None:
        """Raises TooManyConsumers, SubscriptionDropped."""
        self.ask(partial(self._connect, consumer))

    def disconnect(self, consumer: Consumer) -> None:
        self.tell(partial(self._disconnect, consumer))

    def ack(self, ids: Iterable[bytes]) -> None:
        self.tell(lambda: self.delivery.ack(ids))

    def nack(self, consumer: Consumer, ids: Iterable[bytes], action: str, reason: str) -> None:
        self.tell(partial(self._nack, consumer, ids, action, reason))

    def replay(self, stop_at: int | None) -> None:
        """Hand out again what is parked; if given, only what is below revision ``stop_at`` of the
        parked stream. It is parked no longer when it is settled."""
        self.ask(partial(self._replay, stop_at))

    def stop(self) -> None:
        """Write the checkpoint, and end all consumers with SubscriptionDropped."""
        self.close(self._last)

    def news(self) -> None:
        """Something was appended: called by the writer. Told once until the thread looks."""
        if not self._news_waits:
            self._news_waits = True
            self.tell(_nothing)

    # What the thread does.

    def refusal(self) -> Exception:
        return SubscriptionDropped(self.source_name, self.name)

    def ended(self) -> None:
        for consumer in self.delivery.consumers:
            consumer.outbox.put(self.refusal())

    def work(self) -> float | None:
        try:
            self.delivery.expire(time.monotonic())
            more = self._read()
            self.delivery.hand_out(time.monotonic())
            if self._is_due():
                self._store()
        except StoreFailed as error:
            # As after a crash: what is stored holds, and the consumers may connect again.
            self.log.unlisten(self.news)
            for consumer in self.delivery.consumers:
                consumer.outbox.put(error)
            self._begin()
            return None
        return 0.0 if more else self._idle_time()

    def _begin(self) -> None:
        """Start from what is stored."""
        self.delivery = Delivery(self.settings)
        self._read_to = self.stored
        self._pages: Iterator[Window] | None = None
        self._seen = -1  # the log's position when the source was last read to its end
        self._news_waits = False
        # Revisions of the parked stream: what was read again, what is to be, what was cut off.
        self._replayed_to, self._replay_end, self._cut = -1, -1, 0
        self._stored_at = time.monotonic()
        self._store_now = False

    def _idle_time(self) -> float | None:
        due, delivery = self.delivery.next_deadline, self.delivery
        if delivery.settled >= max(1, self.settings.min_checkpoint_count):
            due = min(due, self._stored_at + self.settings.checkpoint_after_ms / 1000)
        return None if due == math.inf else max(0.001, due - time.monotonic())

    def _connect(self, consumer: Consumer) -> None:
        most, consumers = self.settings.max_subscriber_count, self.delivery.consumers
        if most and len(consumers) >= most:
            raise TooManyConsumers(self.source_name, self.name)
        if not consumers:
            self.log.listen(self.news)
        consumers.append(consumer)

    def _disconnect(self, consumer: Consumer) -> None:
        if consumer in self.delivery.consumers:
            self.delivery.disconnect(consumer)
            consumer.outbox.put(None)
            if not self.delivery.consumers:
                self.log.unlisten(self.news)
                self._store_now = True

    def _nack(self, consumer: Consumer, ids: Iterable[bytes], action: str, reason: str) -> None:
        self.delivery.nack(ids, action, reason)
        if action == "Stop":
            self._disconnect(consumer)

    def _replay(self, stop_at: int | None) -> None:
        with self.log.reading() as connection:
            stream = find_stream(connection, self.parked_stream)
        if stream is not None and not stream.deleted:
            self._replayed_to = max(self._replayed_to, stream.first - 1)
            self._cut = max(self._cut, stream.first)
            end = stream.head if stop_at is None else min(stream.head, stop_at - 1)
            self._replay_end = max(self._replay_end, end)

    def _read(self) -> bool:
        """One page, if there is room for it. True: there may be another at once."""
        delivery, batch = self.delivery, self.settings.read_batch_size
        if not delivery.consumers or delivery.held_bytes >= MAX_HELD_BYTES:
            return False
        if self._replayed_to < self._replay_end and len(delivery.replayed) < batch:
            self._read_parked(batch)
            return True
        if len(delivery.fresh) + batch > self.settings.history_buffer_size:
            return False
        if self._pages is None:
            self._news_waits = False
            position = self.log.position
            if position == self._seen:
                return False
            self._seen, self._pages = position, self.source.pages(self._read_to)
        window = next(self._pages, None)
        if window is None:
            self._pages = None  # and look whether more was appended meanwhile
        else:
            delivery.add(Message(found, self.source.place(found.place)) for found in window.found)
            self._read_to = window.end
        return True

    def _read_parked(self, batch: int) -> None:
        first = self._replayed_to + 1
        try:
            pages = read_stream(self.log, self.parked_stream, first, resolve=True, at_most=batch)
            window = next(pages, None)
        except StreamNotFound:
            window = None  # somebody deleted it
        if window is None:
            self._replayed_to = self._replay_end
            return
        self._replayed_to = min(window.end, self._replay_end)
        self.delivery.add(
            Message(found, found.place.revision, replayed=True)
            for found in window.found
            if found.place.revision <= self._replay_end
        )

    def _checkpoint(self) -> int:
        unsettled = self.delivery.first_unsettled(replayed=False)
        return self._read_to if unsettled is None else unsettled - 1

    def _still_parked(self) -> int:
        """The first revision of the parked stream that is needed still."""
        unsettled = self.delivery.first_unsettled(replayed=True)
        return self._replayed_to + 1 if unsettled is None else unsettled

    def _is_due(self) -> bool:
        delivery, settings = self.delivery, self.settings
        if delivery.parking or self._store_now:
            return True
        if self._cut <= self._replay_end < self._still_parked():
            return True  # a replay is through: nothing of it is parked any more
        if delivery.settled == 0:
            skipped = self.source_name == ALL and self._read_to - self.stored > MAX_SKIPPED
            return skipped and self._checkpoint() - self.stored > MAX_SKIPPED
        waited_ms = (time.monotonic() - self._stored_at) * 1000
        enough = delivery.settled >= settings.min_checkpoint_count
        much = delivery.settled >= settings.max_checkpoint_count
        return much or (enough and waited_ms >= settings.checkpoint_after_ms)

    def _store(self) -> None:
        """The checkpoint, what is parked and what is no longer, in one transaction."""
        checkpoint, cut = self._checkpoint(), self._still_parked()
        parking = self.delivery.parking
        if parking or checkpoint > self.stored or cut > self._cut:
            with self.log.transaction() as transaction:
                if parking:
                    transaction.revive(self.parked_stream)
                    transaction.write(self.parked_stream, [parked_link(*each) for each in parking])
                if cut > self._cut:
                    kept = transaction.metadata(self.parked_stream) | {"$tb": cut}
                    transaction.write(f"$${self.parked_stream}", [system_record(METADATA, kept)])
                transaction.connection.execute(
                    "UPDATE subscription SET checkpoint = ? WHERE source = ? AND name = ?",
                    (checkpoint, self.source_name, self.name),
                )
        self.stored, self._cut = checkpoint, max(cut, self._cut)
        self.delivery.parked()
        self.delivery.settled = 0
        self._stored_at = time.monotonic()
        self._store_now = False

    def _last(self) -> None:
        self.log.unlisten(self.news)
        with suppress(StoreFailed):  # without a checkpoint more is delivered again
            self._store()


def _nothing() -> None:
    """News needs no more than that the thread looks."""
