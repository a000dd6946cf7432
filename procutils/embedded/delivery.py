"""Who gets which event: what one persistent subscription holds between the log and its consumers.

No thread, no clock and no file in here: ``group`` brings them.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count
from queue import SimpleQueue

from .reading import Found
from .settings import Settings
from .transaction import LINK, correlation_of

#: What a message takes in memory beside its data and metadata, roughly, in bytes.
_OVERHEAD = 1000
_numbers = count(1)


@dataclass(slots=True, eq=False)
class Message:
    """An event to be handled once. place: its revision or commit position; of a replayed one the
    revision in the stream of parked messages."""

    found: Found
    place: int
    replayed: bool = False
    retries: int = 0

    @property
    def id(self) -> bytes:
        return self.found.place.id

    @property
    def size(self) -> int:
        records = (record for record in self.found if record is not None)
        return _OVERHEAD + sum(len(record.data) + len(record.metadata) for record in records)


@dataclass(slots=True, eq=False)
class Sent:
    """A message on its way to a consumer. current: False once it is settled or given elsewhere."""

    message: Message
    consumer: Consumer
    deadline: float
    pin: str | None
    current: bool = True


@dataclass(slots=True, eq=False)
class Consumer:
    """One connection. outbox: what its call sends; None or an error ends the call."""

    slots: int
    peer: str = ""
    number: int = field(default_factory=lambda: next(_numbers))
    outbox: SimpleQueue[Sent | Exception | None] = field(default_factory=SimpleQueue)
    in_flight: int = 0
    total: int = 0

    @property
    def free(self) -> bool:
        # A client that reads nothing fills its outbox although its messages time out.
        return self.in_flight < self.slots and self.outbox.qsize() < self.slots


class Delivery:
    """They wait in ``retrying``, ``replayed`` or ``fresh``, are ``sent``, and are settled: acked,
    skipped, or put with a reason into ``parking``, from where ``group`` writes them down."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.consumers: list[Consumer] = []
        self.retrying: deque[Message] = deque()
        self.replayed: deque[Message] = deque()
        self.fresh: deque[Message] = deque()
        self.sent: dict[bytes, Sent] = {}  # in the order of their deadlines
        self.parking: list[tuple[Message, str]] = []
        self.held_bytes = 0
        self.settled = 0  # since somebody set it to 0
        self.total = 0
        self._pinned: dict[str, list[Sent]] = {}

    def add(self, messages: Iterable[Message]) -> None:
        """Take messages just read, in their order. Links that lead nowhere are settled at once."""
        for message in messages:
            if message.found.event is None:
                self.settled += 1
                continue
            self.held_bytes += message.size
            (self.replayed if message.replayed else self.fresh).append(message)

    def disconnect(self, consumer: Consumer) -> None:
        """What the consumer had in flight goes to others. It counts as a retry, but parks nothing:
        that a consumer goes away says little about the message."""
        if consumer in self.consumers:
            self.consumers.remove(consumer)
            for id in [id for id, sent in self.sent.items() if sent.consumer is consumer]:
                message = self._take(id)
                message.retries += 1
                self.retrying.append(message)

    def ack(self, ids: Iterable[bytes]) -> None:
        for id in ids:
            if id in self.sent:
                self._settle(self._take(id))
            else:
                # Its time was over, but it was handled after all: not again, if that can be helped.
                late = next((message for message in self.retrying if message.id == id), None)
                if late is not None:
                    self.retrying.remove(late)
                    self._settle(late)

    def nack(self, ids: Iterable[bytes], action: str, reason: str) -> None:
        """action: as in the protocol: Unknown, Park, Retry, Skip, Stop. After Stop the message
        waits for another consumer; that the one who said so is to go is the caller's part."""
        for id in ids:
            if id not in self.sent:
                continue
            message = self._take(id)
            match action:
                case "Park":
                    self.parking.append((message, reason or "A consumer parked it."))
                case "Skip":
                    self._settle(message)
                case "Stop":
                    self.retrying.append(message)
                case _:
                    self._again(message, reason or "A consumer could not handle it.")

    def expire(self, now: float) -> None:
        """Take back what has been in flight for too long."""
        while self.sent and now >= self.next_deadline:
            message = self._take(next(iter(self.sent)))
            self._again(message, "No consumer answered in time.")

    @property
    def next_deadline(self) -> float:
        return next(iter(self.sent.values())).deadline if self.sent else math.inf

    def hand_out(self, now: float) -> None:
        """Send what can be sent: retries first, then replayed messages, then new ones."""
        timeout = self.settings.message_timeout_ms / 1000 or math.inf
        for waiting in (self.retrying, self.replayed, self.fresh):
            held_back: deque[Message] = deque()
            while waiting and any(consumer.free for consumer in self.consumers):
                message = waiting.popleft()
                pin = self._pin(message)
                consumer = self._choose(pin)
                # Two streams may hold events of one id: they go one after the other.
                if consumer is None or message.id in self.sent:
                    held_back.append(message)
                    continue
                sent = Sent(message, consumer, now + timeout, pin)
                self.sent[message.id] = sent
                if pin is not None:
                    self._pinned.setdefault(pin, []).append(sent)
                consumer.in_flight += 1
                consumer.total += 1
                self.total += 1
                consumer.outbox.put(sent)
            waiting.extendleft(reversed(held_back))

    def parked(self) -> None:
        """What was in ``parking`` has been written down."""
        for message, _ in self.parking:
            self._settle(message)
        self.parking = []

    def first_unsettled(self, *, replayed: bool) -> int | None:
        """The lowest place that is read and not settled, those in ``parking`` left out."""
        waiting = self.replayed if replayed else self.fresh
        places = [message.place for message in self.retrying if message.replayed == replayed]
        places += [
            sent.message.place for sent in self.sent.values() if sent.message.replayed == replayed
        ]
        places += [waiting[0].place] if waiting else []
        return min(places, default=None)

    def _take(self, id: bytes) -> Message:
        sent = self.sent.pop(id)
        sent.current = False
        sent.consumer.in_flight -= 1
        if sent.pin is not None:
            together = self._pinned[sent.pin]
            together.remove(sent)
            if not together:
                del self._pinned[sent.pin]
        return sent.message

    def _settle(self, message: Message) -> None:
        self.settled += 1
        self.held_bytes -= message.size

    def _again(self, message: Message, reason: str) -> None:
        if message.retries < self.settings.max_retry_count:
            message.retries += 1
            self.retrying.append(message)
        else:
            self.parking.append((message, f"{reason} Retries: {message.retries}."))

    def _pin(self, message: Message) -> str | None:
        """What keeps messages with one consumer: the stream of the event, seen through links, or
        its correlation id."""
        strategy = self.settings.strategy
        if not strategy.startswith("Pinned"):
            return None
        event = message.found.event
        if strategy == "PinnedByCorrelation":
            return correlation_of(event.metadata) or event.stream
        if event.type == LINK:
            return event.data.decode("utf8", "replace").partition("@")[2]
        return event.stream

    def _choose(self, pin: str | None) -> Consumer | None:
        """The consumer for a message, None while there is none with room."""
        if pin is not None:
            # Where others of the stream are in flight; else by rendezvous hashing: a consumer that
            # comes or goes moves only the streams that are, or were, its own.
            if pin in self._pinned:
                chosen = self._pinned[pin][0].consumer
            else:
                chosen = max(self.consumers, key=lambda consumer: _weight(consumer, pin))
            return chosen if chosen.free else None
        chosen = next((consumer for consumer in self.consumers if consumer.free), None)
        if chosen is not None and self.settings.strategy == "RoundRobin":
            self.consumers.remove(chosen)
            self.consumers.append(chosen)
        return chosen


def _weight(consumer: Consumer, pin: str) -> bytes:
    return hashlib.blake2b(f"{consumer.number} {pin}".encode(), digest_size=8).digest()
