"""What a persistent subscription was told when it was created or updated."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

from .filters import Everything, Filter, make_filter
from .messages import ALL, BadRequest, stream_name
from .refusals import BadSettings
from .schema import LAST_REVISION

#: A tick of the protocol's older fields is 100 ns.
_TICKS_PER_MS = 10_000

#: Where a subscription starts: at a place, that one included, or at the end, as it is then.
START, END = 0, -1

STRATEGIES = ("DispatchToSingle", "RoundRobin", "Pinned", "PinnedByCorrelation")


@dataclass(frozen=True)
class Settings:
    """start: a revision or commit position, or END. Times in milliseconds.

    filter: for ``$all``, {"by_stream": bool, "regex": str, "prefixes": [str]}, None for no filter.
    history_buffer_size bounds what is read ahead, whether old or live: there is one buffer. The
    live_buffer_size and extra_statistics are kept and shown, and change nothing.
    """

    start: int
    resolve_links: bool
    extra_statistics: bool
    max_retry_count: int
    min_checkpoint_count: int
    max_checkpoint_count: int
    max_subscriber_count: int
    live_buffer_size: int
    read_batch_size: int
    history_buffer_size: int
    message_timeout_ms: int
    checkpoint_after_ms: int
    strategy: str
    filter: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "int" and field.name != "start" and value < 0:
                raise BadSettings(f"{field.name} is negative: {value}.")
        for name in ("read_batch_size", "history_buffer_size"):
            if getattr(self, name) == 0:
                raise BadSettings(f"{name} is 0: nothing could be read.")
        if self.read_batch_size >= self.history_buffer_size:
            raise BadSettings(
                f"read_batch_size ({self.read_batch_size}) must be smaller than "
                f"history_buffer_size ({self.history_buffer_size})."
            )
        if self.min_checkpoint_count > self.max_checkpoint_count:
            raise BadSettings(
                f"min_checkpoint_count ({self.min_checkpoint_count}) is larger than "
                f"max_checkpoint_count ({self.max_checkpoint_count})."
            )
        if self.strategy not in STRATEGIES:
            raise BadSettings(
                f"There is no consumer strategy {self.strategy!r}: use {', '.join(STRATEGIES)}."
            )

    @property
    def wanted(self) -> Filter:
        """Raises BadFilter."""
        if self.filter is None:
            return Everything()
        return make_filter(
            by_stream=self.filter["by_stream"],
            regex=self.filter["regex"],
            prefixes=tuple(self.filter["prefixes"]),
        )

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        return cls(**json.loads(text))


def read_settings(options: Any, kept: Settings | None = None) -> tuple[str, Settings]:
    """The source (a stream, or ``$all``) and settings of a CreateReq or UpdateReq.

    kept: on update, what was there; its filter stays. Raises BadRequest, BadFilter, BadSettings.
    """
    told = options.settings
    settings = Settings(
        start=_start(options),
        resolve_links=told.resolve_links,
        extra_statistics=told.extra_statistics,
        max_retry_count=told.max_retry_count,
        min_checkpoint_count=told.min_checkpoint_count,
        max_checkpoint_count=told.max_checkpoint_count,
        max_subscriber_count=told.max_subscriber_count,
        live_buffer_size=told.live_buffer_size,
        read_batch_size=told.read_batch_size,
        history_buffer_size=told.history_buffer_size,
        message_timeout_ms=_milliseconds(told, "message_timeout"),
        checkpoint_after_ms=_milliseconds(told, "checkpoint_after"),
        strategy=_strategy(told),
        filter=kept.filter if kept else _filter(options),
    )
    _ = settings.wanted  # a bad filter is refused now, not when the first event comes
    return source_of(options), settings


def source_of(options: Any) -> str:
    """The stream that a request names, or ``$all``. Raises BadRequest."""
    which = options.WhichOneof("stream_option")
    if which == "all":
        return ALL
    # Clients differ: the one for Node names the stream where it stood before there was ``$all``.
    named = getattr(options, which or "stream_identifier", None)
    if named is None:
        raise BadRequest("The request names neither a stream nor $all.")
    return stream_name(getattr(named, "stream_identifier", named))


def _start(options: Any) -> int:
    match options.WhichOneof("stream_option"):
        case "stream":
            place = options.stream.WhichOneof("revision_option")
            number = options.stream.revision
        case "all":
            place = options.all.WhichOneof("all_option")
            number = options.all.position.commit_position
        case _:
            place, number = "revision", options.settings.revision
    # An unsigned -1 stands for the end, too.
    return {"start": START, "end": END}.get(place, number if number <= LAST_REVISION else END)


def _filter(options: Any) -> dict[str, Any] | None:
    if options.WhichOneof("stream_option") != "all":
        return None
    if options.all.WhichOneof("filter_option") != "filter":
        return None
    told = options.all.filter
    kind = told.WhichOneof("filter")
    if kind is None:
        raise BadRequest("A filter names neither event types nor stream names.")
    expression = getattr(told, kind)
    return {
        "by_stream": kind == "stream_identifier",
        "regex": expression.regex,
        "prefixes": list(expression.prefix),
    }


def _milliseconds(told: Any, name: str) -> int:
    if told.WhichOneof(name) == f"{name}_ticks":
        return getattr(told, f"{name}_ticks") // _TICKS_PER_MS
    return getattr(told, f"{name}_ms")


def _strategy(told: Any) -> str:
    named = getattr(told, "consumer_strategy", "")
    known = dict(enumerate(STRATEGIES))
    return named or known.get(told.named_consumer_strategy, str(told.named_consumer_strategy))
