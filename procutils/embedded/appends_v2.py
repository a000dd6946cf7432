"""The StreamsService of protocol version 2: appends to several streams at once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
from google.protobuf import any_pb2, json_format
from google.protobuf.message import Message
from kurrentdbclient.protos.v1 import status_pb2
from kurrentdbclient.protos.v2.streams import errors_pb2, streams_pb2, streams_pb2_grpc

from .expected import ANY, StreamDeleted, WrongExpectedVersion
from .log import Log
from .messages import MAX_APPEND_BYTES, REFUSALS, BadRequest, checked_name, refuse
from .together import Check, ChecksFailed, append_together
from .transaction import NewRecord

#: All records of an append together; a single one may have MAX_APPEND_BYTES.
MAX_TOGETHER_BYTES = 16 * 2**20


class _Refused(Exception):
    """details: what the client tells refusals apart by."""

    def __init__(self, status: grpc.StatusCode, text: str, details: Message) -> None:
        self.status, self.details = status, details
        super().__init__(text)


class StreamsV2(streams_pb2_grpc.StreamsServiceServicer):
    def __init__(self, log: Log) -> None:
        self.log = log

    def AppendSession(
        self, request_iterator: Iterator[streams_pb2.AppendRequest], context: grpc.ServicerContext
    ) -> streams_pb2.AppendSessionResponse:
        """Each request names its stream, once, and the expected revision."""
        with _refusing(context):
            total, runs, checks = _Total(), [], []
            for request in request_iterator:
                stream = checked_name(request.stream)
                if any(stream == name for name, _ in runs):
                    raise _Refused(
                        grpc.StatusCode.ABORTED,
                        f"Stream '{stream}' appears more than once in the append session.",
                        errors_pb2.StreamAlreadyInAppendSessionErrorDetails(stream=stream),
                    )
                runs.append((stream, [total.record(stream, r) for r in request.records]))
                if not request.records:
                    raise BadRequest(f"There are no records for stream '{stream}'.")
                expected = request.expected_revision
                checks.append(
                    Check(stream, expected if request.HasField("expected_revision") else ANY)
                )
            if not runs:
                raise BadRequest("The append session holds no requests.")
            written = append_together(self.log, runs, checks)
            return streams_pb2.AppendSessionResponse(
                output=[
                    streams_pb2.AppendResponse(
                        stream=each.stream, stream_revision=each.revision, position=each.position
                    )
                    for each in written
                ],
                position=max(each.position for each in written),
            )

    def AppendRecords(
        self, request: streams_pb2.AppendRecordsRequest, context: grpc.ServicerContext
    ) -> streams_pb2.AppendRecordsResponse:
        """Each record names its stream; what streams are to be is checked apart."""
        with _refusing(context, one_by_one=False):
            total, runs = _Total(), []
            for each in request.records:
                stream = checked_name(each.stream)
                if not runs or runs[-1][0] != stream:
                    runs.append((stream, []))
                runs[-1][1].append(total.record(stream, each))
            if not runs:
                raise BadRequest("There are no records to append.")
            checks = [
                Check(checked_name(each.stream_state.stream), each.stream_state.expected_state)
                for each in request.checks
            ]
            written = append_together(self.log, runs, checks)
            return streams_pb2.AppendRecordsResponse(
                revisions=[
                    streams_pb2.StreamRevision(stream=each.stream, revision=each.revision)
                    for each in written
                ],
                position=max(each.position for each in written),
            )


class _Total:
    """Makes records, and refuses what is too much."""

    def __init__(self) -> None:
        self.bytes = 0

    def record(self, stream: str, message: streams_pb2.AppendRecord) -> NewRecord:
        if not message.schema.name:
            raise BadRequest(f"A record for stream '{stream}' has no type (schema name).")
        try:
            id = uuid.UUID(message.record_id) if message.record_id else uuid.uuid4()
        except ValueError as error:
            raise BadRequest(f"The record id {message.record_id!r} is not a UUID.") from error
        properties = {
            name: json_format.MessageToDict(value) for name, value in message.properties.items()
        }
        record = NewRecord(
            id.bytes,
            message.schema.name,
            message.schema.format == streams_pb2.SCHEMA_FORMAT_JSON,
            message.data,
            json.dumps(properties).encode() if properties else b"",
        )
        if record.size > MAX_APPEND_BYTES:
            raise _Refused(
                grpc.StatusCode.INVALID_ARGUMENT,
                f"Record {id} of stream '{stream}' has {record.size} bytes; the most is "
                f"{MAX_APPEND_BYTES}.",
                errors_pb2.AppendRecordSizeExceededErrorDetails(
                    stream=stream, record_id=str(id), size=record.size, max_size=MAX_APPEND_BYTES
                ),
            )
        self.bytes += record.size
        if self.bytes > MAX_TOGETHER_BYTES:
            raise _Refused(
                grpc.StatusCode.ABORTED,
                f"The append has {self.bytes} bytes and more; the most is {MAX_TOGETHER_BYTES}.",
                errors_pb2.AppendTransactionSizeExceededErrorDetails(
                    size=self.bytes, max_size=MAX_TOGETHER_BYTES
                ),
            )
        return record


@contextmanager
def _refusing(context: grpc.ServicerContext, *, one_by_one: bool = True) -> Iterator[None]:
    """End the call with what clients of version 2 expect: a status with details in a trailer.

    one_by_one: failed checks are told as the conflict of the first stream.
    """
    try:
        yield
    except (_Refused, ChecksFailed, StreamDeleted, WrongExpectedVersion) as error:
        refused = _explained(error, one_by_one)
    except REFUSALS as error:
        refuse(context, error)
    else:
        return
    status = status_pb2.Status(code=refused.status.value[0], message=str(refused))
    packed = any_pb2.Any()
    packed.Pack(refused.details)
    status.details.CopyFrom(packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(refused.status, str(refused))


def _explained(error: Exception, one_by_one: bool) -> _Refused:
    precondition = grpc.StatusCode.FAILED_PRECONDITION
    match error:
        case StreamDeleted():
            details = errors_pb2.StreamTombstonedErrorDetails(stream=error.stream)
            return _Refused(precondition, str(error), details)
        case WrongExpectedVersion():
            return _conflict(error.stream, error.expected, error.current)
        case ChecksFailed() if one_by_one:
            _, check, actual = error.violations[0]
            return _conflict(check.stream, check.expected, actual)
        case ChecksFailed():
            details = errors_pb2.AppendConsistencyViolationErrorDetails()
            for index, check, actual in error.violations:
                state = errors_pb2.ConsistencyViolation.StreamStateViolation(
                    stream=check.stream, expected_state=check.expected, actual_state=actual
                )
                details.violations.add(check_index=index, stream_state=state)
            return _Refused(precondition, str(error), details)
    return error


def _conflict(stream: str, expected: int, actual: int) -> _Refused:
    return _Refused(
        grpc.StatusCode.FAILED_PRECONDITION,
        f"Append failed due to a revision conflict on stream '{stream}'. Expected revision: "
        f"{expected}. Actual revision: {actual}.",
        errors_pb2.StreamRevisionConflictErrorDetails(
            stream=stream, expected_revision=expected, actual_revision=actual
        ),
    )
