"""Between the protocol's messages and the log's records."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, NoReturn

import grpc
from kurrentdbclient.protos.v1 import shared_pb2, streams_pb2

from .expected import ANY, EXISTS, NO_STREAM, StreamDeleted, WrongExpectedVersion
from .filters import BadFilter
from .reading import Found, Record
from .refusals import Refusal
from .schema import StoreFailed
from .transaction import BadMetadata, NewRecord

JSON, BYTES = "application/json", "application/octet-stream"
ReadResp = streams_pb2.ReadResp

#: One append may be this large, as on KurrentDB servers before 25.1: what is written here can be
#: written everywhere.
MAX_APPEND_BYTES = 2**20


#: What persistent subscriptions to the whole log name as their stream.
ALL = "$all"


class BadRequest(ValueError):
    """A request that no server could carry out."""


class AppendTooLarge(ValueError):
    """More than MAX_APPEND_BYTES in one append."""

    def __init__(self) -> None:
        super().__init__(f"Maximum Append Size of {MAX_APPEND_BYTES} Exceeded.")


#: What a call may end with, and what the client is told by ``refuse``.
REFUSALS = (
    StreamDeleted,
    WrongExpectedVersion,
    BadMetadata,
    BadFilter,
    BadRequest,
    AppendTooLarge,
    StoreFailed,
    Refusal,
)


def refuse(context: grpc.ServicerContext, error: Exception, operation: str = "Append") -> NoReturn:
    """End the call with the status, and the ``exception`` trailer, that clients expect."""
    status, text, trailers = grpc.StatusCode.INVALID_ARGUMENT, str(error), {}
    match error:
        case StreamDeleted():
            status = grpc.StatusCode.FAILED_PRECONDITION
            trailers = {"exception": "stream-deleted", "stream-name": error.stream}
        case WrongExpectedVersion():
            status = grpc.StatusCode.FAILED_PRECONDITION
            text = f"{operation} failed due to {error}"
            trailers = {
                "exception": "wrong-expected-version",
                "stream-name": error.stream,
                "expected-version": str(error.expected),
                "actual-version": str(error.current),
            }
        case AppendTooLarge():
            trailers = {
                "exception": "maximum-append-size-exceeded",
                "maximum-append-size": str(MAX_APPEND_BYTES),
            }
        case StoreFailed():
            status = grpc.StatusCode.INTERNAL
        case Refusal():
            status, trailers = error.status, error.trailers
    context.set_trailing_metadata(tuple((key, _ascii(value)) for key, value in trailers.items()))
    context.abort(status, text)


def _ascii(value: str) -> str:
    return value.encode("ascii", "backslashreplace").decode()


def stream_name(identifier: shared_pb2.StreamIdentifier) -> str:
    try:
        name = identifier.stream_name.decode("utf8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"The stream name {identifier.stream_name!r} is not UTF-8.") from error
    return checked_name(name)


def checked_name(name: str) -> str:
    """Raises BadRequest."""
    if not name or name in (ALL, "$$"):
        raise BadRequest(f"{name!r} is not the name of a stream.")
    return name


def expected_version(options: object, oneof: str) -> int:
    """The expected version that a request's options name. Raises BadRequest if they name none."""
    field = options.WhichOneof(oneof)
    if field is None:
        raise BadRequest("The request names no expected version.")
    named = {"no_stream": NO_STREAM, "any": ANY, "stream_exists": EXISTS}
    return named[field] if field in named else getattr(options, field)


def event_id(message: shared_pb2.UUID) -> bytes:
    if message.WhichOneof("value") == "structured":
        high, low = (
            message.structured.most_significant_bits,
            message.structured.least_significant_bits,
        )
        return high.to_bytes(8, "big", signed=True) + low.to_bytes(8, "big", signed=True)
    try:
        return uuid.UUID(message.string).bytes
    except ValueError as error:
        raise BadRequest(f"The event id {message.string!r} is not a UUID.") from error


def new_record(message: object) -> NewRecord:
    """From a ProposedMessage of Append or BatchAppend. Raises BadRequest."""
    metadata: Mapping[str, str] = message.metadata
    type = metadata.get("type", "")
    if not type:
        raise BadRequest("An event has no type.")
    is_json = metadata.get("content-type", BYTES) == JSON
    return NewRecord(event_id(message.id), type, is_json, message.data, message.custom_metadata)


def read_event(found: Found, structured: bool) -> ReadResp:
    """The answer for one record; with an unresolvable link the event stays unset.

    structured: ids as two integers instead of text.
    """
    response = ReadResp()
    fill_event(response.event, found, structured)
    return response


def fill_event(answer: Any, found: Found, structured: bool) -> None:
    """Fill a ReadEvent of either service that reads."""
    answer.commit_position = found.place.position
    if found.event is not None:
        _fill(answer.event, found.event, structured)
    if found.link is not None:
        _fill(answer.link, found.link, structured)


def _fill(message: Any, record: Record, structured: bool) -> None:
    # Field by field: a third of the time of nested constructors, once per event read.
    if structured:
        message.id.structured.most_significant_bits = _signed(record.id[:8])
        message.id.structured.least_significant_bits = _signed(record.id[8:])
    else:
        message.id.string = str(uuid.UUID(bytes=record.id))
    message.stream_identifier.stream_name = record.stream.encode()
    message.stream_revision = record.revision
    message.prepare_position = message.commit_position = record.position
    metadata = message.metadata
    metadata["type"] = record.type
    metadata["content-type"] = JSON if record.is_json else BYTES
    metadata["created"] = str(record.created)
    message.custom_metadata = record.metadata
    message.data = record.data


def _signed(half: bytes) -> int:
    return int.from_bytes(half, "big", signed=True)
