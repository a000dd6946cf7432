"""Appends to several streams at once: protocol version 2 of the embedded server."""

import asyncio
import json
import uuid

import grpc
import pytest
from kurrentdbclient import (
    AsyncKurrentDBClient,
    KurrentDBClient,
    NewEvent,
    NewEvents,
    NewRecord,
    StreamState,
    StreamStateCheck,
)
from kurrentdbclient.exceptions import (
    ConsistencyChecksFailedError,
    KurrentDBClientError,
    MultiAppendToSameStreamError,
    NotFoundError,
    RecordMaxSizeExceededError,
    StreamTombstonedError,
    TransactionMaxSizeExceededError,
    WrongCurrentVersionError,
)
from kurrentdbclient.protos.v2.streams import streams_pb2, streams_pb2_grpc

from procutils.embedded import EmbeddedKurrentDB

ANY, EXISTS, NO_STREAM = StreamState.ANY, StreamState.EXISTS, StreamState.NO_STREAM


def events(count: int = 1, **more) -> list[NewEvent]:
    return [NewEvent(type="A", data=b"{}", **more) for _ in range(count)]


def write(stream: str, version: object = NO_STREAM, own: list[NewEvent] | None = None) -> NewEvents:
    return NewEvents(stream_name=stream, events=own or events(2), current_version=version)


def record(stream: str, **more) -> NewRecord:
    return NewRecord(stream_name=stream, type="A", data=b"{}", **more)


def revisions(client: KurrentDBClient, stream: str) -> list[int]:
    return [event.stream_position for event in client.get_stream(stream)]


def test_all_streams_are_written_in_order(client: KurrentDBClient):
    metadata = json.dumps({"$correlationId": "c", "who": "me"}).encode()
    first = NewEvent(type="Made", data=b"\x00", content_type="application/octet-stream")
    second = NewEvent(type="Paid", data=b'{"n": 1}', metadata=metadata)
    position = client.multi_append_to_stream(
        [write("a-1", own=[first]), write("b-1", own=[second])]
    )
    (one,), (two,) = client.get_stream("a-1"), client.get_stream("b-1")
    assert (one.id, one.type, one.data, one.content_type) == (
        first.id,
        "Made",
        b"\x00",
        "application/octet-stream",
    )
    assert json.loads(two.metadata) == json.loads(metadata)
    assert one.commit_position < two.commit_position == position
    assert [event.id for event in client.get_stream("$bc-c", resolve_links=True)] == [second.id]


def test_one_conflict_and_nothing_is_written(client: KurrentDBClient):
    client.multi_append_to_stream([write("a-1")])
    with pytest.raises(WrongCurrentVersionError) as refusal:
        client.multi_append_to_stream([write("b-1"), write("a-1", 5)])
    error = refusal.value
    assert (error.stream_name, error.expected_version, error.actual_version) == ("a-1", 5, 1)
    with pytest.raises(NotFoundError):
        client.get_stream("b-1")
    client.multi_append_to_stream([write("b-1", ANY), write("a-1", 1), write("c-1", NO_STREAM)])
    assert revisions(client, "a-1") == [0, 1, 2, 3]


def test_written_again_it_is_written_once(client: KurrentDBClient):
    both = [write("a-1"), write("b-1")]
    position = client.multi_append_to_stream(both)
    client.append_to_stream("a-1", current_version=1, events=events())
    assert client.multi_append_to_stream(both) == position
    assert (revisions(client, "a-1"), revisions(client, "b-1")) == ([0, 1, 2], [0, 1])
    with pytest.raises(WrongCurrentVersionError):  # a part of it is old
        client.multi_append_to_stream([both[0], write("c-1")])


def test_what_a_session_refuses(client: KurrentDBClient):
    with pytest.raises(MultiAppendToSameStreamError):
        client.multi_append_to_stream([write("a-1", ANY), write("a-1", ANY)])
    with pytest.raises(KurrentDBClientError, match="no requests"):
        client.multi_append_to_stream([])
    large = [NewEvent(type="A", data=b"x" * (2**20 + 1))]
    with pytest.raises(RecordMaxSizeExceededError) as refusal:
        client.multi_append_to_stream([write("a-1", own=large)])
    assert (refusal.value.event_id, refusal.value.max_size) == (large[0].id, 2**20)
    halves = [NewEvent(type="A", data=b"x" * 2**19) for _ in range(33)]
    with pytest.raises(TransactionMaxSizeExceededError):
        client.multi_append_to_stream(
            [write(f"a-{n}", own=halves[n * 11 : n * 11 + 11]) for n in range(3)]
        )
    client.append_to_stream("t-1", current_version=ANY, events=events())
    client.tombstone_stream("t-1", current_version=0)
    with pytest.raises(StreamTombstonedError):
        client.multi_append_to_stream([write("a-1"), write("t-1", ANY)])
    with pytest.raises(NotFoundError):
        client.get_stream("a-1")


def test_records_of_several_streams_interleaved(client: KurrentDBClient):
    records = [record("a-1"), record("b-1"), record("a-1"), record("a-1")]
    result = client.append_records(records)
    written = {each.stream_name: each.stream_position for each in result.stream_positions}
    assert written == {"a-1": 2, "b-1": 0}
    ids = [event.id for event in client.read_all(filter_include=["A"])]
    assert ids == [each.id for each in records]
    assert client.append_records(records) == result  # once
    assert revisions(client, "a-1") == [0, 1, 2]


def test_checks_name_every_stream_that_is_not_as_expected(client: KurrentDBClient):
    client.append_to_stream("a-1", current_version=ANY, events=events(3))
    checks = [
        StreamStateCheck(stream_name="a-1", expected_state=2),
        StreamStateCheck(stream_name="a-1", expected_state=7),
        StreamStateCheck(stream_name="b-1", expected_state=EXISTS),
    ]
    with pytest.raises(ConsistencyChecksFailedError) as refusal:
        client.append_records([record("c-1")], checks=checks)
    failed = [
        (failure.check_index, failure.stream_state_failure.actual_state)
        for failure in refusal.value.failures
    ]
    assert failed == [(1, 2), (2, -1)]
    with pytest.raises(NotFoundError):
        client.get_stream("c-1")
    client.append_records([record("c-1")], checks=checks[:1])
    assert revisions(client, "c-1") == [0]


def test_a_deleted_stream_goes_on_counting(client: KurrentDBClient):
    client.append_to_stream("a-1", current_version=ANY, events=events(2))
    client.delete_stream("a-1", current_version=1)
    client.append_records([record("a-1"), record("b-1"), record("a-1")])
    assert revisions(client, "a-1") == [2, 3]


def test_ids_of_the_server_and_bad_ones(server: EmbeddedKurrentDB):
    request = streams_pb2.AppendRecordsRequest()
    request.records.add(stream="a-1", data=b"1").schema.name = "A"
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        stub = streams_pb2_grpc.StreamsServiceStub(channel)
        stub.AppendRecords(request)
        with KurrentDBClient(server.uri) as client:
            assert isinstance(client.get_stream("a-1")[0].id, uuid.UUID)
        request.records[0].record_id = "none"
        with pytest.raises(grpc.RpcError, match="not a UUID"):
            stub.AppendRecords(request)


def test_the_asyncio_client_works_alike(server: EmbeddedKurrentDB):
    async def use() -> None:
        async with AsyncKurrentDBClient(server.uri) as client:
            await client.multi_append_to_stream([write("a-1"), write("b-1")])
            with pytest.raises(WrongCurrentVersionError):
                await client.multi_append_to_stream([write("a-1")])
            with pytest.raises(ConsistencyChecksFailedError):
                check = StreamStateCheck(stream_name="a-1", expected_state=NO_STREAM)
                await client.append_records([record("a-1")], checks=[check])

    asyncio.run(use())
