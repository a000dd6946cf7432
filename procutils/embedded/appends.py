"""What an append carries, and what it is answered."""

from __future__ import annotations

from google.protobuf import any_pb2
from kurrentdbclient.protos.google.rpc import code_pb2
from kurrentdbclient.protos.v1 import shared_pb2, status_pb2, streams_pb2

from .expected import ANY, EXISTS, NO_STREAM, StreamDeleted, WrongExpectedVersion
from .log import Written
from .messages import MAX_APPEND_BYTES, AppendTooLarge, new_record
from .transaction import NewRecord


class Batch:
    """The records of one append, as they arrive."""

    def __init__(self) -> None:
        self.records: list[NewRecord] = []
        self._size = 0

    def add(self, message: object) -> None:
        """Raises BadRequest, AppendTooLarge."""
        record = new_record(message)
        self._size += record.size
        if self._size > MAX_APPEND_BYTES:
            raise AppendTooLarge
        self.records.append(record)


def append_success(written: Written) -> streams_pb2.AppendResp:
    success = streams_pb2.AppendResp.Success(
        position=streams_pb2.AppendResp.Position(
            commit_position=written.position, prepare_position=written.position
        )
    )
    if written.revision < 0:
        success.no_stream.SetInParent()
    else:
        success.current_revision = written.revision
    return streams_pb2.AppendResp(success=success)


def append_conflict(error: WrongExpectedVersion) -> streams_pb2.AppendResp:
    """A wrong version is an answer, not an error status."""
    wrong = streams_pb2.AppendResp.WrongExpectedVersion()
    if error.current < 0:
        wrong.current_no_stream.SetInParent()
        wrong.no_stream_20_6_0.SetInParent()
    else:
        wrong.current_revision = wrong.current_revision_20_6_0 = error.current
    match error.expected:
        case _ if error.expected == NO_STREAM:
            wrong.expected_no_stream.SetInParent()
        case _ if error.expected == ANY:
            wrong.expected_any.SetInParent()
            wrong.any_20_6_0.SetInParent()
        case _ if error.expected == EXISTS:
            wrong.expected_stream_exists.SetInParent()
            wrong.stream_exists_20_6_0.SetInParent()
        case exact:
            wrong.expected_revision = wrong.expected_revision_20_6_0 = exact
    return streams_pb2.AppendResp(wrong_expected_version=wrong)


def batch_success(written: Written) -> streams_pb2.BatchAppendResp.Success:
    success = streams_pb2.BatchAppendResp.Success(
        position=shared_pb2.AllStreamPosition(
            commit_position=written.position, prepare_position=written.position
        )
    )
    if written.revision < 0:
        success.no_stream.SetInParent()
    else:
        success.current_revision = written.revision
    return success


def batch_error(error: Exception) -> status_pb2.Status:
    """A status with exactly one detail, of the client's own message classes."""
    code = code_pb2.FAILED_PRECONDITION
    match error:
        case WrongExpectedVersion():
            detail = shared_pb2.WrongExpectedVersion()
            if error.current < 0:
                detail.current_no_stream.SetInParent()
            else:
                detail.current_stream_revision = error.current
            kinds = {
                NO_STREAM: detail.expected_no_stream,
                ANY: detail.expected_any,
                EXISTS: detail.expected_stream_exists,
            }
            if error.expected in kinds:
                kinds[error.expected].SetInParent()
            else:
                detail.expected_stream_position = error.expected
        case StreamDeleted():
            detail = shared_pb2.StreamDeleted(
                stream_identifier=shared_pb2.StreamIdentifier(stream_name=error.stream.encode())
            )
        case AppendTooLarge():
            code = code_pb2.INVALID_ARGUMENT
            detail = shared_pb2.MaximumAppendSizeExceeded(maxAppendSize=MAX_APPEND_BYTES)
        case _:
            code = code_pb2.INVALID_ARGUMENT
            detail = shared_pb2.BadRequest(message=str(error))
    packed = any_pb2.Any()
    packed.Pack(detail)
    return status_pb2.Status(code=code, message=str(error), details=packed)
