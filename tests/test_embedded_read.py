"""Reads from the embedded server: directions, limits, positions, filters, links, indices."""

import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import KurrentDBClientError, NotFoundError

from procutils.embedded import EmbeddedKurrentDB
from procutils.embedded.filters import Everything, make_filter
from procutils.embedded.log import Log
from procutils.embedded.reading import flatten, read_all
from procutils.embedded.transaction import NewRecord

ANY, NO_STREAM = StreamState.ANY, StreamState.NO_STREAM


@pytest.fixture
def client(tmp_path: Path) -> Iterator[KurrentDBClient]:
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        yield client


def event(type: str = "A", metadata: bytes = b"") -> NewEvent:
    return NewEvent(type=type, data=b"{}", metadata=metadata)


def revisions(events) -> list[int]:
    return [event.stream_position for event in events]


def test_a_stream_is_read_in_both_directions_from_anywhere(client: KurrentDBClient):
    client.append_to_stream("s-1", current_version=ANY, events=[event() for _ in range(5)])

    def read(**options: object) -> list[int]:
        return revisions(client.get_stream("s-1", **options))

    assert read() == [0, 1, 2, 3, 4]
    assert read(limit=2) == [0, 1]
    assert read(stream_position=3) == [3, 4]
    assert read(stream_position=9) == []
    assert read(backwards=True) == [4, 3, 2, 1, 0]
    assert read(backwards=True, limit=1) == [4]
    assert read(backwards=True, stream_position=2) == [2, 1, 0]
    assert read(backwards=True, stream_position=9) == [4, 3, 2, 1, 0]
    assert client.get_current_version("s-1") == 4


def test_an_unknown_stream_is_not_found(client: KurrentDBClient):
    with pytest.raises(NotFoundError):
        client.get_stream("s-1")
    assert client.get_current_version("s-1") is NO_STREAM


def test_a_read_of_many_pages_returns_each_event_once(client: KurrentDBClient):
    for start in range(0, 2500, 500):
        batch = [event() for _ in range(500)]
        client.append_to_stream(
            "s-1", current_version=start - 1 if start else NO_STREAM, events=batch
        )
    assert revisions(client.get_stream("s-1")) == list(range(2500))
    assert revisions(client.get_stream("s-1", backwards=True)) == list(range(2499, -1, -1))
    assert revisions(client.read_all()) == list(range(2500))
    assert revisions(client.read_all(backwards=True, limit=1700)) == list(range(2499, 799, -1))


def test_large_events_end_a_page_early(client: KurrentDBClient):
    """A page holds a few megabytes, whatever the events weigh."""
    for number in range(12):
        large = NewEvent(type="Large", data=bytes([number]) * 900_000)
        client.append_event("s-1", current_version=ANY, event=large)
    assert [e.data[0] for e in client.get_stream("s-1")] == list(range(12))
    assert [e.data[0] for e in client.read_all(backwards=True)] == list(range(11, -1, -1))


def test_a_position_is_included_forwards_and_excluded_backwards(client: KurrentDBClient):
    positions = [client.append_event("s-1", current_version=ANY, event=event()) for _ in range(4)]

    def read(**options: object) -> list[int]:
        return revisions(client.read_all(**options))

    assert read() == [0, 1, 2, 3]
    assert read(commit_position=positions[1]) == [1, 2, 3]
    assert read(commit_position=positions[1], limit=1) == [1]
    assert read(commit_position=positions[2], backwards=True) == [1, 0]
    assert read(commit_position=positions[2], backwards=True, limit=1) == [1]
    assert read(backwards=True, limit=2) == [3, 2]
    assert read(commit_position=positions[3] + 1000) == []
    assert client.get_commit_position() == positions[3]
    assert client.get_commit_position(filter_exclude=[".*"]) == 0


def test_filters_by_type_and_by_stream(client: KurrentDBClient):
    for stream, type in [("a-1", "Made"), ("a-2", "Paid"), ("b-1", "Made"), ("ab-1", "Unpaid")]:
        client.append_event(stream, current_version=ANY, event=event(type))

    def read(**options: object) -> list[str]:
        return [e.stream_name for e in client.read_all(**options)]

    assert read() == ["a-1", "a-2", "b-1", "ab-1"]
    assert read(filter_include=["Made"]) == ["a-1", "b-1"]
    assert read(filter_include=["(Made|Paid)"]) == ["a-1", "a-2", "b-1"]
    assert read(filter_include=["Ma"]) == []  # the client anchors its patterns
    assert read(filter_include=["Ma"], filter_by_prefix=True) == ["a-1", "b-1"]
    assert read(filter_exclude=[r"\$.+", ".*aid"]) == ["a-1", "b-1"]
    by_stream = {"filter_by_stream_name": True}
    assert read(filter_include=["a-.*"], **by_stream) == ["a-1", "a-2"]
    assert read(filter_include=["(a|b)-.*"], **by_stream) == ["a-1", "a-2", "b-1"]
    assert read(filter_include=["ab", "b"], filter_by_prefix=True, **by_stream) == ["b-1", "ab-1"]
    assert read(filter_exclude=[r"\$.+", "a-.*"], **by_stream) == ["b-1", "ab-1"]
    assert read(filter_include=["a-.*"], backwards=True, limit=1, **by_stream) == ["a-2"]


def test_a_filter_that_is_no_regular_expression_is_refused(client: KurrentDBClient):
    with pytest.raises(KurrentDBClientError, match="is not a regular expression"):
        list(client.read_all(filter_include=["(a"]))


def test_links_are_written_with_the_append(client: KurrentDBClient):
    correlated = b'{"$correlationId": "order-7"}'
    client.append_to_stream(
        "payment-a-1", current_version=ANY, events=[event("Made"), event("Paid", correlated)]
    )
    client.append_to_stream("plain", current_version=ANY, events=[event("Made")])
    names = {e.stream_name for e in client.read_all(filter_include=[r"\$>"])}
    assert names == {"$ce-payment", "$et-Made", "$et-Paid", "$bc-order-7"}
    (first, second) = client.get_stream("$ce-payment")
    assert (first.type, first.data, second.data) == ("$>", b"0@payment-a-1", b"1@payment-a-1")
    assert [e.data for e in client.get_stream("$et-Made")] == [b"0@payment-a-1", b"0@plain"]


def test_a_resolved_link_carries_both_records(client: KurrentDBClient):
    original = event("Paid")
    position = client.append_event("payment-1", current_version=ANY, event=original)
    (resolved,) = client.get_stream("$ce-payment", resolve_links=True)
    assert (resolved.id, resolved.stream_name, resolved.type) == (original.id, "payment-1", "Paid")
    assert resolved.commit_position == position
    assert (resolved.link.stream_name, resolved.link.type) == ("$ce-payment", "$>")
    assert resolved.link.commit_position > position
    read = client.read_all(filter_include=[r"\$>"], resolve_links=True)
    assert [e.id for e in read] == [original.id] * 2  # by category and by type


def test_a_clients_own_link_resolves_and_a_dangling_one_does_not(client: KurrentDBClient):
    client.append_event("payment-1", current_version=ANY, event=event("Paid"))
    for data in (b"0@payment-1", b"7@payment-1", b"0@nowhere", b"no link"):
        link = NewEvent(type="$>", data=data, content_type="application/octet-stream")
        client.append_event("watched", current_version=ANY, event=link)
    assert [e.type for e in client.get_stream("watched", resolve_links=True)] == ["Paid"]
    assert [e.data for e in client.get_stream("watched")][1:3] == [b"7@payment-1", b"0@nowhere"]


def test_system_records_get_no_links(client: KurrentDBClient):
    client.set_stream_metadata("payment-1", metadata={"a": 1})
    client.append_event("$internal-1", current_version=ANY, event=event("Made"))
    assert list(client.read_all(filter_include=[r"\$>"])) == []


def test_indices_read_events_of_a_category_or_type_from_a_position(client: KurrentDBClient):
    client.append_event("payment-1", current_version=ANY, event=event("Made"))
    client.append_event("trade-1", current_version=ANY, event=event("Made"))
    client.append_event("payment-2", current_version=ANY, event=event("Paid"))
    client.append_event("payments-3", current_version=ANY, event=event("MadeUp"))

    def read(name: str, **options: object) -> list[str]:
        return [e.stream_name for e in client.read_index(name, **options)]

    assert read("ce-payment") == read("$idx-ce-payment") == ["payment-1", "payment-2"]
    assert read("et-Made") == ["payment-1", "trade-1"]
    assert read("ce-nothing") == []
    (_, second) = client.read_index("ce-payment")
    assert second.link is None
    assert read("ce-payment", commit_position=second.commit_position) == ["payment-2"]
    assert read("ce-payment", commit_position=second.commit_position + 1) == []
    assert read("ce-payment", limit=1) == ["payment-1"]
    with pytest.raises(KurrentDBClientError, match="There is no index"):
        list(client.read_index("zz-payment"))


TYPES, STREAMS = ("Made", "Paid", "Unpaid"), ("a-1", "a-2", "b-1", "c")
PATTERNS = ("Made", "aid$", "^U", "a-", "1$", r"^(?!(\$.+$))", ".", "nothing")


@settings(max_examples=60)
@given(
    writes=st.lists(st.tuples(st.sampled_from(STREAMS), st.sampled_from(TYPES)), max_size=40),
    pattern=st.sampled_from(PATTERNS),
    by_stream=st.booleans(),
    backwards=st.booleans(),
    count=st.integers(1, 60),
    bounds=st.tuples(st.integers(1, 200), st.integers(1, 200)),
)
def test_a_filtered_read_is_what_filtering_the_whole_log_gives(
    writes, pattern, by_stream, backwards, count, bounds
):
    with tempfile.TemporaryDirectory() as folder:
        log = Log(Path(folder) / "log.sqlite3")
        for stream, type in writes:
            log.append(stream, -2, [NewRecord(uuid.uuid4().bytes, type, True, b"{}", b"")])
        everything = [
            f.event for w in read_all(log, 1, log.position, Everything()) for f in w.found
        ]
        assert [r.position for r in everything] == list(range(1, log.position + 1))
        low, high = bounds[0], min(bounds[1], log.position)
        wanted = [
            record
            for record in everything
            if low <= record.position <= high
            and re.search(pattern, record.stream if by_stream else record.type)
        ]
        if backwards:
            wanted.reverse()
        windows = read_all(
            log,
            low,
            high,
            make_filter(by_stream=by_stream, regex=pattern),
            backwards=backwards,
            at_most=count,
        )
        assert [found.event for found in flatten(windows, count)] == wanted[:count]
        log.close()
