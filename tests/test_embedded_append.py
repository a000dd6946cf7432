"""Appends to the embedded server: expected versions, idempotency, batches, refusals."""

import json
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import (
    BadRequestError,
    InternalError,
    KurrentDBClientError,
    MaximumAppendSizeExceededError,
    WrongCurrentVersionError,
)
from kurrentdbclient.protos.v1 import shared_pb2, streams_pb2, streams_pb2_grpc

from procutils.embedded import EmbeddedKurrentDB
from procutils.embedded.log import Log
from procutils.embedded.schema import StoreFailed
from procutils.embedded.transaction import NewRecord

ANY, EXISTS, NO_STREAM = StreamState.ANY, StreamState.EXISTS, StreamState.NO_STREAM


@pytest.fixture
def stub(server: EmbeddedKurrentDB) -> Iterator[streams_pb2_grpc.StreamsStub]:
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield streams_pb2_grpc.StreamsStub(channel)


def events(count: int, type: str = "PaymentInitiated") -> list[NewEvent]:
    return [NewEvent(type=type, data=json.dumps({"n": n}).encode()) for n in range(count)]


def ids(client: KurrentDBClient, stream: str) -> list[uuid.UUID]:
    return [event.id for event in client.get_stream(stream)]


def test_what_was_appended_is_read_back_unchanged(client: KurrentDBClient):
    text = NewEvent(type="A", data=b'{"a": 1}', metadata=b'{"$correlationId": "c"}')
    raw = NewEvent(type="B", data=b"\x00\xff", content_type="application/octet-stream")
    position = client.append_to_stream("s-1", current_version=NO_STREAM, events=[text, raw])
    first, second = client.get_stream("s-1")
    assert (first.type, first.data, first.metadata, first.id) == (
        "A",
        text.data,
        text.metadata,
        text.id,
    )
    assert (first.content_type, second.content_type) == ("application/json", raw.content_type)
    assert (second.data, second.stream_name, second.commit_position) == (raw.data, "s-1", position)
    assert [first.stream_position, second.stream_position] == [0, 1]
    assert first.commit_position < second.commit_position == second.prepare_position
    assert first.recorded_at is not None


def test_commit_positions_grow_and_never_start_at_zero(client: KurrentDBClient):
    positions = [
        client.append_event(f"s-{n % 3}", current_version=ANY, event=events(1)[0]) for n in range(9)
    ]
    assert positions == sorted(set(positions))
    everything = list(client.read_all(filter_exclude=()))
    assert everything[0].type == "$metadata"
    assert everything[0].commit_position > 0


# One event goes by Append, several by BatchAppend: both take the same rules.
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize(
    ("before", "expected", "actual"),
    [
        (0, NO_STREAM, None),
        (0, ANY, None),
        (0, EXISTS, NO_STREAM),
        (0, 0, NO_STREAM),
        (2, NO_STREAM, 1),
        (2, ANY, None),
        (2, EXISTS, None),
        (2, 0, 1),
        (2, 1, None),
        (2, 2, 1),
    ],
)
def test_expected_versions(client: KurrentDBClient, count, before, expected, actual):
    """actual: the version that the refusal names; None where the append is accepted."""
    if before:
        client.append_to_stream("s-1", current_version=NO_STREAM, events=events(before))
    if actual is None:
        client.append_to_stream("s-1", current_version=expected, events=events(count))
        assert client.get_current_version("s-1") == before + count - 1
        return
    end = client.get_commit_position(filter_exclude=())
    with pytest.raises(WrongCurrentVersionError) as refusal:
        client.append_to_stream("s-1", current_version=expected, events=events(count))
    assert refusal.value.actual_version == actual
    assert refusal.value.expected_version == expected
    assert client.get_commit_position(filter_exclude=()) == end


def test_exists_accepts_a_stream_that_has_only_metadata(client: KurrentDBClient):
    client.set_stream_metadata("s-1", metadata={"owner": "me"})
    client.append_to_stream("s-1", current_version=EXISTS, events=events(1))
    assert client.get_current_version("s-1") == 0


@pytest.mark.parametrize("batch", [slice(0, 1), slice(0, 4), slice(2, 3), slice(1, 4)])
@pytest.mark.parametrize("how", ["exact", "any", "exists"])
def test_a_repeated_append_writes_nothing_and_answers_the_first_position(
    client: KurrentDBClient, batch: slice, how: str
):
    written = events(4)
    positions = [client.append_event("s-1", current_version=ANY, event=event) for event in written]
    client.append_to_stream("s-1", current_version=3, events=events(2))
    exact = NO_STREAM if batch.start == 0 else batch.start - 1
    expected = {"exact": exact, "any": ANY, "exists": EXISTS}[how]
    again = client.append_to_stream("s-1", current_version=expected, events=written[batch])
    assert again == positions[batch.stop - 1]
    assert client.get_current_version("s-1") == 5


@pytest.mark.parametrize("expected", [NO_STREAM, 0, ANY, EXISTS])
def test_old_and_new_events_together_are_a_wrong_version(client: KurrentDBClient, expected):
    old, new = events(3), events(1)
    client.append_to_stream("s-1", current_version=NO_STREAM, events=old)
    start = 1 if expected == 0 else 0
    with pytest.raises(WrongCurrentVersionError):
        client.append_to_stream("s-1", current_version=expected, events=old[start:] + new)
    with pytest.raises(WrongCurrentVersionError):  # not consecutive
        client.append_to_stream("s-1", current_version=expected, events=[old[start], old[0]])
    assert ids(client, "s-1") == [event.id for event in old]


def test_an_id_is_only_known_in_its_own_stream(client: KurrentDBClient):
    batch = events(2)
    client.append_to_stream("s-1", current_version=ANY, events=batch)
    client.append_to_stream("s-2", current_version=ANY, events=batch)
    assert ids(client, "s-1") == ids(client, "s-2")
    assert client.get_current_version("s-2") == 1


def test_a_new_event_before_known_ones_is_a_new_write(client: KurrentDBClient):
    old = events(1)
    client.append_to_stream("s-1", current_version=ANY, events=old)
    client.append_to_stream("s-1", current_version=ANY, events=events(1) + old)
    assert client.get_current_version("s-1") == 2


def test_a_batch_is_written_whole_or_not_at_all(client: KurrentDBClient):
    bad = NewEvent(type="", data=b"{}")
    with pytest.raises(BadRequestError, match="no type"):
        client.append_to_stream("s-1", current_version=ANY, events=[*events(2), bad])
    assert client.get_current_version("s-1") is NO_STREAM
    assert list(client.read_all()) == []


@pytest.mark.parametrize("count", [1, 2])
def test_an_append_above_one_mebibyte_is_refused_by_name(client: KurrentDBClient, count: int):
    large = [NewEvent(type="Large", data=b"x" * (2**20 // count)) for _ in range(count)]
    error = MaximumAppendSizeExceededError if count > 1 else KurrentDBClientError
    with pytest.raises(error, match="1048576"):
        client.append_to_stream("s-1", current_version=ANY, events=large)
    assert client.get_current_version("s-1") is NO_STREAM


@pytest.mark.parametrize("name", ["", "$all"])
def test_a_name_that_cannot_be_a_stream_is_refused(client: KurrentDBClient, name: str):
    with pytest.raises(BadRequestError, match="not the name of a stream"):
        client.append_to_stream(name, current_version=ANY, events=events(2))


def test_one_batch_may_come_in_parts_and_interleaved(stub: streams_pb2_grpc.StreamsStub):
    """Requests of one correlation id make one append, written when its final part is there."""

    def part(key: str, stream: str, count: int, *, final: bool) -> streams_pb2.BatchAppendReq:
        request = streams_pb2.BatchAppendReq(
            correlation_id=shared_pb2.UUID(string=key), is_final=final
        )
        request.options.stream_identifier.stream_name = stream.encode()
        request.options.no_stream.SetInParent()
        for event in events(count):
            request.proposed_messages.add(
                id=shared_pb2.UUID(string=str(event.id)),
                metadata={"type": event.type, "content-type": event.content_type},
                data=event.data,
            )
        return request

    first, second = str(uuid.uuid4()), str(uuid.uuid4())
    parts = [
        part(first, "s-1", 2, final=False),
        part(second, "s-2", 1, final=True),
        part(first, "s-1", 3, final=True),
        part(second, "s-2", 1, final=True),
    ]
    answers = list(stub.BatchAppend(iter(parts)))
    assert [answer.correlation_id.string for answer in answers] == [second, first, second]
    assert [answer.WhichOneof("result") for answer in answers] == ["success", "success", "error"]
    assert [answer.success.current_revision for answer in answers[:2]] == [0, 4]
    assert answers[1].success.position.commit_position > answers[0].success.position.commit_position
    detail = shared_pb2.WrongExpectedVersion()
    assert answers[2].error.details.Unpack(detail)
    assert detail.current_stream_revision == 0
    assert detail.WhichOneof("expected_stream_position_option") == "expected_no_stream"


def test_a_request_without_an_expected_version_is_refused(stub: streams_pb2_grpc.StreamsStub):
    request = streams_pb2.AppendReq()
    request.options.stream_identifier.stream_name = b"s-1"
    with pytest.raises(grpc.RpcError) as refusal:
        stub.Append(iter([request]))
    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "no expected version" in refusal.value.details()


def test_ids_as_two_integers_are_the_same_ids(stub: streams_pb2_grpc.StreamsStub):
    id = uuid.uuid4()
    high, low = (int.from_bytes(half, "big", signed=True) for half in (id.bytes[:8], id.bytes[8:]))
    options, proposed = streams_pb2.AppendReq(), streams_pb2.AppendReq()
    options.options.stream_identifier.stream_name = b"s-1"
    options.options.any.SetInParent()
    proposed.proposed_message.id.structured.most_significant_bits = high
    proposed.proposed_message.id.structured.least_significant_bits = low
    proposed.proposed_message.metadata["type"] = "A"
    answers = [stub.Append(iter([options, proposed])) for _ in range(2)]
    assert answers[0] == answers[1]  # known by its id
    read = streams_pb2.ReadReq()
    read.options.stream.stream_identifier.stream_name = b"s-1"
    read.options.stream.start.SetInParent()
    read.options.count = 9
    (as_integers,) = stub.Read(read)
    assert as_integers.event.event.id == proposed.proposed_message.id
    read.options.uuid_option.string.SetInParent()
    (as_text,) = stub.Read(read)
    assert as_text.event.event.id.string == str(id)


def test_a_failed_write_leaves_nothing_and_names_the_file(tmp_path: Path):
    """SQLite's own limit stands in for a full disk."""
    log = Log(tmp_path / "log.sqlite3")
    record = NewRecord(uuid.uuid4().bytes, "A", True, b"x" * 4000, b"")
    log.append("s-1", -1, [record])
    pages = log._connection.execute("PRAGMA page_count").fetchone()[0]
    log._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    position = log.position
    many = [record._replace(id=uuid.uuid4().bytes) for _ in range(50)]
    with pytest.raises(StoreFailed, match=r"log.sqlite3 failed: database or disk is full"):
        log.append("s-1", 0, many)
    assert log.position == position
    log._connection.execute("PRAGMA max_page_count = 1000000")
    assert log.append("s-1", 0, many).revision == 50
    log.close()


def test_a_damaged_page_met_while_running_is_an_error_that_names_the_file(
    server: EmbeddedKurrentDB, client: KurrentDBClient
):
    client.append_to_stream("s-1", current_version=ANY, events=events(2))
    path = server.data / "log.sqlite3"
    other = sqlite3.connect(path)
    other.execute("DROP TABLE type")
    other.commit()
    other.close()
    with pytest.raises(InternalError, match=r"log.sqlite3 failed: no such table"):
        client.append_event("s-1", current_version=ANY, event=events(1)[0])
    with pytest.raises(InternalError, match=r"log.sqlite3 failed: no such table"):
        client.get_stream("s-1")
