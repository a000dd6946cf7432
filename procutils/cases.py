"""Event and Case: the one type that flows through everything.

An event store holds streams; a process holds cases. Here a case *is* a stream: its id is the stream
name, its category the text before the first ``-``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: What comes after the last event of a case. A prediction like any other, never stored.
END = "(end)"

#: What the first event of a case follows; never stored either.
START = "(start)"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    type: PascalCase, past tense (``PaymentApproved``).
    data: the business fields, JSON-serialisable, without the time.
    at: when it happened in the business, timezone-aware; not when it was recorded.
    metadata: KurrentDB metadata (``$correlationId``, ``$causationId``, ``schemaVersion``, …).
    position: commit position in the database that it was read from; None until it is stored.
    """

    type: str
    data: dict[str, Any]
    at: datetime
    metadata: dict[str, Any] = field(default_factory=dict)
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One process instance: the events of one stream, oldest first."""

    id: str
    events: list[Event]

    @property
    def category(self) -> str:
        """The kind of process: the stream name up to its first ``-``."""
        return self.id.partition("-")[0]

    @property
    def types(self) -> tuple[str, ...]:
        """The event types in order; the *variant* of the case."""
        return tuple(event.type for event in self.events)


@dataclass(frozen=True, slots=True)
class EventScore:
    """How probable a model found one event of a case, or the end of the case.

    type: the event type, or END.
    parts: natural-log probabilities (nats, ≤ 0) of the event's parts given all that came before:
        ``"type"`` always; ``"delay"`` and one entry per data field if the model looks at them.
    tails: for the same parts the natural-log probability of anything at most as probable as what
        came (≤ 0, never below the entry in ``parts`` by more than rounding): 0 where nothing less
        probable was possible, however many equally probable ways there were. {} if a model gives
        none.
    greedy: whether this type is what the model would have said, taking the likeliest at every step.
    """

    type: str
    parts: dict[str, float]
    greedy: bool = False
    tails: dict[str, float] = field(default_factory=dict)

    @property
    def surprisal(self) -> float:
        """−log p(type | what came before), in nats."""
        return -self.parts["type"]
