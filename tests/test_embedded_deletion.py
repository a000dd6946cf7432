"""Soft deletion, tombstones and stream metadata of the embedded server."""

import time
from types import SimpleNamespace

import grpc
import pytest
from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import (
    KurrentDBClientError,
    NotFoundError,
    StreamIsDeletedError,
    WrongCurrentVersionError,
)
from kurrentdbclient.protos.v1 import streams_pb2, streams_pb2_grpc

from procutils.embedded import EmbeddedKurrentDB, reading, transaction

ANY, EXISTS, NO_STREAM = StreamState.ANY, StreamState.EXISTS, StreamState.NO_STREAM
LAST = 2**63 - 1


def append(client: KurrentDBClient, count: int = 1, expected: int | StreamState = ANY) -> None:
    batch = [NewEvent(type="A", data=b"{}") for _ in range(count)]
    client.append_to_stream("a-1", current_version=expected, events=batch)


def revisions(client: KurrentDBClient, **options: object) -> list[int]:
    return [event.stream_position for event in client.get_stream("a-1", **options)]


@pytest.mark.parametrize("expected", [2, ANY, EXISTS])
def test_a_deleted_stream_reads_as_not_found(client: KurrentDBClient, expected):
    append(client, 3)
    client.delete_stream("a-1", current_version=expected)
    with pytest.raises(NotFoundError):
        client.get_stream("a-1")
    assert client.get_current_version("a-1") is NO_STREAM
    assert client.get_stream_metadata("a-1") == ({"$tb": LAST}, 0)
    client.delete_stream("a-1", current_version=ANY)  # deleting again changes nothing
    with pytest.raises(StreamIsDeletedError):
        client.delete_stream("a-1", current_version=EXISTS)


@pytest.mark.parametrize("expected", [NO_STREAM, ANY, 2])
def test_a_deleted_stream_goes_on_counting(client: KurrentDBClient, expected):
    append(client, 3)
    client.delete_stream("a-1", current_version=2)
    append(client, 2, expected)
    assert revisions(client) == [3, 4]
    assert revisions(client, backwards=True) == [4, 3]
    assert revisions(client, stream_position=0) == [3, 4]
    assert client.get_stream_metadata("a-1") == ({"$tb": 3}, 1)


def test_what_may_not_be_appended_to_a_deleted_stream(client: KurrentDBClient):
    append(client, 3)
    client.delete_stream("a-1", current_version=2)
    with pytest.raises(WrongCurrentVersionError):
        append(client, 1, expected=1)
    with pytest.raises(StreamIsDeletedError):
        append(client, 1, expected=EXISTS)


def test_deletion_keeps_to_the_expected_version(client: KurrentDBClient):
    for expected in (0, ANY, NO_STREAM, EXISTS):
        with pytest.raises(NotFoundError):
            client.delete_stream("a-1", current_version=expected)
    append(client, 3)
    for delete in (client.delete_stream, client.tombstone_stream):
        with pytest.raises(WrongCurrentVersionError) as refusal:
            delete("a-1", current_version=1)
        assert refusal.value.actual_version == 2
    assert revisions(client) == [0, 1, 2]


@pytest.mark.parametrize("expected", [2, ANY, EXISTS])
def test_a_tombstoned_stream_is_closed_for_ever(client: KurrentDBClient, expected):
    append(client, 3)
    client.tombstone_stream("a-1", current_version=expected)
    with pytest.raises(StreamIsDeletedError):
        client.get_stream("a-1")
    with pytest.raises(StreamIsDeletedError):
        client.get_current_version("a-1")
    for count in (1, 2):
        for again in (2, ANY, EXISTS, NO_STREAM):
            with pytest.raises(StreamIsDeletedError):
                append(client, count, expected=again)
    for close in (client.delete_stream, client.tombstone_stream):
        with pytest.raises(StreamIsDeletedError):
            close("a-1", current_version=ANY)
    (tombstone,) = client.read_all(filter_include=[r"\$streamDeleted"])
    assert (tombstone.stream_name, tombstone.stream_position) == ("a-1", LAST)


def test_a_stream_that_never_was_may_be_tombstoned(client: KurrentDBClient):
    with pytest.raises(NotFoundError):
        client.tombstone_stream("a-1", current_version=EXISTS)
    client.tombstone_stream("a-1", current_version=ANY)
    with pytest.raises(StreamIsDeletedError):
        append(client, 1, expected=NO_STREAM)


def test_links_into_a_deleted_stream_lead_nowhere(client: KurrentDBClient):
    append(client, 2)
    client.append_event("a-2", current_version=ANY, event=NewEvent(type="A", data=b"{}"))
    client.delete_stream("a-1", current_version=1)
    assert [e.stream_name for e in client.get_stream("$ce-a", resolve_links=True)] == ["a-2"]
    assert len(client.get_stream("$ce-a")) == 3
    append(client)
    resolved = client.get_stream("$ce-a", resolve_links=True)
    assert [(e.stream_name, e.stream_position) for e in resolved] == [("a-2", 0), ("a-1", 2)]


def test_metadata_is_versioned_and_kept_apart(client: KurrentDBClient):
    assert client.get_stream_metadata("a-1") == ({}, NO_STREAM)
    client.set_stream_metadata("a-1", metadata={"owner": "me"}, current_version=NO_STREAM)
    client.set_stream_metadata("a-1", metadata={"owner": "you"}, current_version=0)
    assert client.get_stream_metadata("a-1") == ({"owner": "you"}, 1)
    assert [event.stream_position for event in client.get_stream("$$a-1")] == [1]  # the newest
    with pytest.raises(WrongCurrentVersionError):
        client.set_stream_metadata("a-1", metadata={}, current_version=0)
    assert client.get_current_version("a-1") is NO_STREAM
    append(client, 1, expected=NO_STREAM)
    assert revisions(client) == [0]


def test_truncation_and_count_limit_what_is_read(client: KurrentDBClient):
    append(client, 10)
    client.set_stream_metadata("a-1", metadata={"$tb": 4})
    assert revisions(client) == [4, 5, 6, 7, 8, 9]
    assert revisions(client, backwards=True, stream_position=5) == [5, 4]
    client.set_stream_metadata("a-1", metadata={"$maxCount": 3})
    assert revisions(client) == [7, 8, 9]
    append(client)
    assert revisions(client) == [8, 9, 10]
    client.set_stream_metadata("a-1", metadata={})
    assert revisions(client) == list(range(11))  # nothing was removed, only hidden


def test_age_limits_what_is_read(client: KurrentDBClient, monkeypatch):
    ahead = 0
    clock = SimpleNamespace(time_ns=lambda: time.time_ns() + ahead * 10**9)
    for module in (reading, transaction):
        monkeypatch.setattr(module, "time", clock)
    client.set_stream_metadata("a-1", metadata={"$maxAge": 60})
    append(client, 2)
    assert revisions(client) == [0, 1]
    ahead = 61
    append(client)
    assert revisions(client) == [2]
    assert [e.stream_position for e in client.get_stream("$ce-a", resolve_links=True)] == [2]
    client.set_stream_metadata("a-1", metadata={"$maxAge": LAST})
    assert revisions(client) == [0, 1, 2]
    assert len(client.get_stream("$ce-a", resolve_links=True)) == 3


def test_metadata_that_cannot_be_honoured_is_refused(client: KurrentDBClient):
    for bad in ({"$maxCount": "many"}, {"$tb": -1}, ["a list"]):
        with pytest.raises(KurrentDBClientError, match="a-1"):
            client.set_stream_metadata("a-1", metadata=bad)
    assert client.get_stream_metadata("a-1") == ({}, NO_STREAM)


def test_other_clients_learn_the_reason_from_trailers(
    server: EmbeddedKurrentDB, client: KurrentDBClient
):
    append(client, 3)
    request = streams_pb2.DeleteReq()
    request.options.stream_identifier.stream_name = b"a-1"
    request.options.revision = 1
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = streams_pb2_grpc.StreamsStub(channel)
        with pytest.raises(grpc.RpcError) as wrong:
            stub.Delete(request)
        client.tombstone_stream("a-1", current_version=2)
        with pytest.raises(grpc.RpcError) as gone:
            stub.Delete(request)
    assert wrong.value.code() == gone.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert wrong.value.details() == (
        "Delete failed due to WrongExpectedVersion. "
        "Stream: a-1, Expected version: 1, Actual version: 2"
    )
    trailers = dict(wrong.value.trailing_metadata())
    assert trailers["exception"] == "wrong-expected-version"
    assert (trailers["stream-name"], trailers["actual-version"]) == ("a-1", "2")
    assert gone.value.details() == "Event stream 'a-1' is deleted."
    assert dict(gone.value.trailing_metadata())["exception"] == "stream-deleted"
