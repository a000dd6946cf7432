"""The store, over a real socket: the embedded server, or the one behind KURRENTDB_URI."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kurrentdbclient import NewEvent, StreamState

from procutils import records
from procutils.cases import Case, Event
from procutils.records import event_id
from procutils.store import (
    StoreError,
    append_cases,
    categories,
    commit_position,
    connect,
    read_cases,
    redact,
)

MONDAY = datetime(2026, 1, 5, 9, tzinfo=UTC)


@pytest.fixture
def category() -> str:
    """A category that no other test has, also where the database is shared."""
    return f"test{uuid4().hex}"


def case_of(stream: str, *minutes: float) -> Case:
    """A case with an event at each of these minutes after Monday, nine o'clock."""
    events = [
        Event(f"Step{n}Taken", {"n": n, "by": "Zoë"}, MONDAY + timedelta(minutes=minute))
        for n, minute in enumerate(minutes)
    ]
    return Case(stream, events)


def plain(cases: list[Case]) -> dict[str, list[tuple]]:
    """What must survive the database: all but positions and the metadata that it adds."""
    return {c.id: [(e.type, e.data, e.at) for e in c.events] for c in cases}


def test_cases_come_back_as_they_went_in(kurrentdb, category):
    cases = [case_of(f"{category}-1", 0, 10, 20), case_of(f"{category}-2", 5, 7)]
    assert append_cases(kurrentdb.client, cases) == 5
    found = read_cases(kurrentdb.client, category)
    assert plain(found) == plain(cases)
    assert [case.id for case in found] == [f"{category}-1", f"{category}-2"]
    positions = [event.position for case in found for event in case.events]
    assert len(set(positions)) == 5 and all(
        p <= commit_position(kurrentdb.client) for p in positions
    )


def test_the_log_interleaves_the_cases_by_time(kurrentdb, category):
    append_cases(
        kurrentdb.client, [case_of(f"{category}-1", 0, 10, 20), case_of(f"{category}-2", 5, 15)]
    )
    with kurrentdb.client.read_all(
        filter_include=[f"{category}-.+"], filter_by_stream_name=True
    ) as log:
        assert [record.stream_name[-1] for record in log] == ["1", "2", "1", "2", "1"]


def test_the_order_within_a_case_wins_over_its_clock(kurrentdb, category):
    cases = [case_of(f"{category}-1", 0, 30, 10), case_of(f"{category}-2", 20)]
    append_cases(kurrentdb.client, cases)
    assert plain(read_cases(kurrentdb.client, category)) == plain(cases)


def test_seeding_twice_writes_nothing(kurrentdb, category):
    cases = [case_of(f"{category}-{n}", n, n + 10) for n in range(5)]
    assert append_cases(kurrentdb.client, cases) == 10
    before = commit_position(kurrentdb.client)
    assert append_cases(kurrentdb.client, cases) == 0
    if kurrentdb.kind == "embedded":  # elsewhere others may write
        assert commit_position(kurrentdb.client) == before
    assert plain(read_cases(kurrentdb.client, category)) == plain(cases)


def test_an_interrupted_seeding_is_completed(kurrentdb, category):
    cases = [case_of(f"{category}-{n}", n, n + 10, n + 20) for n in range(4)]

    def interrupted(due):
        for n, item in enumerate(due):
            if n == 7:
                raise KeyboardInterrupt
            yield item

    with pytest.raises(KeyboardInterrupt):
        append_cases(kurrentdb.client, cases, progress=interrupted)
    assert sum(len(case.events) for case in read_cases(kurrentdb.client, category)) == 7
    assert append_cases(kurrentdb.client, cases) == 12 - 7
    assert plain(read_cases(kurrentdb.client, category)) == plain(cases)


def test_a_longer_case_is_continued_and_a_shorter_one_left(kurrentdb, category):
    case = case_of(f"{category}-1", 0, 1, 2, 3)
    begun = replace(case, events=case.events[:2])
    assert append_cases(kurrentdb.client, [begun]) == 2
    assert append_cases(kurrentdb.client, [case]) == 2
    assert append_cases(kurrentdb.client, [begun]) == 0
    assert plain(read_cases(kurrentdb.client, category)) == plain([case])


@pytest.mark.parametrize("change", [{"type": "OtherStep"}, {"data": {"n": 9}}, {"at": MONDAY}])
def test_a_different_case_under_the_same_name_is_refused(kurrentdb, category, change):
    case = case_of(f"{category}-1", 0, 1, 2)
    append_cases(kurrentdb.client, [case])
    other = replace(case, events=[case.events[0], replace(case.events[1], **change)])
    with pytest.raises(StoreError, match=f"{category}-1 .* event 1;"):
        append_cases(kurrentdb.client, [case_of(f"{category}-2", 0), other])
    assert plain(read_cases(kurrentdb.client, category)) == plain([case])  # nothing of the call


def test_correlation_causation_and_schema(kurrentdb, category):
    case = case_of(f"{category}-1", 0, 1)
    about = replace(case.events[1], metadata={"$correlationId": "trade-7", "source": "desk"})
    append_cases(kurrentdb.client, [replace(case, events=[case.events[0], about])])
    first, second = kurrentdb.client.get_stream(case.id)
    assert json.loads(first.metadata) == {"$correlationId": case.id, "schemaVersion": "1"}
    assert json.loads(second.metadata) == {
        "$correlationId": "trade-7",
        "$causationId": str(first.id),
        "schemaVersion": "1",
        "source": "desk",
    }
    assert [first.id, second.id] == [event_id(case.id, n, e) for n, e in enumerate(case.events)]
    (found,) = read_cases(kurrentdb.client, category)
    assert found.events[1].metadata["$causationId"] == str(first.id)


def test_as_of_includes_its_position_and_nothing_after(kurrentdb, category):
    cases = [case_of(f"{category}-1", 0, 10, 20), case_of(f"{category}-2", 5, 15)]
    append_cases(kurrentdb.client, cases)
    events = [e for case in read_cases(kurrentdb.client, category) for e in case.events]
    positions = sorted(event.position for event in events)
    for count, position in enumerate(positions, start=1):
        for as_of, expected in ((position, count), (position - 1, count - 1)):
            found = read_cases(kurrentdb.client, category, as_of=as_of)
            assert sum(len(case.events) for case in found) == expected
            assert all(case.events for case in found)


def test_what_grows_later_is_not_seen_as_of_before(kurrentdb, category):
    case = case_of(f"{category}-1", 0, 10, 20)
    append_cases(kurrentdb.client, [replace(case, events=case.events[:2])])
    then = commit_position(kurrentdb.client)
    before = read_cases(kurrentdb.client, category, as_of=then)
    append_cases(kurrentdb.client, [case, case_of(f"{category}-2", 0)])
    assert read_cases(kurrentdb.client, category, as_of=then) == before
    assert len(read_cases(kurrentdb.client, category)) == 2


@pytest.mark.parametrize("remove", ["delete_stream", "tombstone_stream"])
def test_a_deleted_stream_is_no_case_from_there_on(kurrentdb, category, remove):
    append_cases(kurrentdb.client, [case_of(f"{category}-1", 0, 1), case_of(f"{category}-2", 0)])
    then = commit_position(kurrentdb.client)
    getattr(kurrentdb.client, remove)(f"{category}-1", current_version=1)
    assert [case.id for case in read_cases(kurrentdb.client, category)] == [f"{category}-2"]
    assert len(read_cases(kurrentdb.client, category, as_of=then)) == 2
    getattr(kurrentdb.client, remove)(f"{category}-2", current_version=0)
    assert category not in categories(kurrentdb.client)
    assert category in categories(kurrentdb.client, as_of=then)
    assert read_cases(kurrentdb.client, category) == []


def test_a_deleted_case_is_not_taken_for_written(kurrentdb, category):
    case = case_of(f"{category}-1", 0, 1)
    append_cases(kurrentdb.client, [case])
    kurrentdb.client.delete_stream(case.id, current_version=1)
    with pytest.raises(StoreError, match=f"{case.id} .*deleted"):
        append_cases(kurrentdb.client, [case])


def test_categories_leave_out_alerts_and_the_system(kurrentdb, category):
    other = f"{category}too"
    streams = [f"{category}-1", f"{other}-1", f"anomaly-{category}-1", category]
    append_cases(kurrentdb.client, [case_of(stream, 0) for stream in streams])
    found = categories(kurrentdb.client)
    assert [name for name in found if name.startswith(category)] == [category, other]
    assert not [name for name in found if name.startswith(("$", "anomaly"))]
    assert [case.id for case in read_cases(kurrentdb.client, category)] == [f"{category}-1"]


def test_a_category_is_no_pattern(kurrentdb, category):
    append_cases(kurrentdb.client, [case_of(f"{category}-1", 0)])
    assert read_cases(kurrentdb.client, f"{category[:-1]}.") == []
    assert read_cases(kurrentdb.client, category[:-1]) == []


@pytest.mark.parametrize("data", [b"{not json", b"[1, 2]", b"\xff\xfe"])
def test_malformed_json_is_named_by_stream_and_revision(kurrentdb, category, data):
    stream = f"{category}-1"
    append_cases(kurrentdb.client, [case_of(stream, 0)])
    kurrentdb.client.append_event(stream, current_version=0, event=NewEvent("Broken", data))
    with pytest.raises(StoreError, match=f"event 1 of stream {stream} .*Broken.* JSON object"):
        read_cases(kurrentdb.client, category)


@pytest.mark.parametrize(
    ("data", "rest", "at"),
    [
        ({"timestamp": "2026-01-05T10:00:00Z"}, {}, MONDAY + timedelta(hours=1)),
        ({"timestamp": "2026-01-05T10:00:00"}, {}, MONDAY + timedelta(hours=1)),
        ({"timestamp": 1767607200}, {"timestamp": 1767607200}, None),
        ({"timestamp": "yesterday"}, {"timestamp": "yesterday"}, None),
        ({}, {}, None),
    ],
)
def test_events_of_others_have_the_time_they_say_or_were_recorded(
    kurrentdb, category, data, rest, at
):
    kurrentdb.client.append_event(
        f"{category}-1",
        current_version=StreamState.NO_STREAM,
        event=NewEvent("SomethingHappened", json.dumps(data).encode()),
    )
    ((event,),) = [case.events for case in read_cases(kurrentdb.client, category)]
    assert event.data == rest and event.metadata == {}
    assert event.at == at if at else abs(event.at - datetime.now(UTC)) < timedelta(minutes=5)


def test_events_that_are_read_are_plain_dictionaries_in_less_memory(kurrentdb, category):
    fields = [{"by": f"Zoë {n}", "role": "clerk", "sum": n} for n in range(100)]
    fields += [{f"field {k}": k for k in range(50)}, {"": "", "$a": None, "1 b": [{"c": 1}]}, {}]
    case = Case(f"{category}-1", [Event("Step", data, MONDAY) for data in fields])
    append_cases(kurrentdb.client, [case])
    ((*_, before, last, wide, odd, none),) = [
        found.events for found in read_cases(kurrentdb.client, category)
    ]
    assert [event.data for event in (wide, odd, none)] == fields[-3:]
    assert sys.getsizeof(wide.data) <= sys.getsizeof({**wide.data})
    assert type(last.data) is dict and list(last.data.items()) == list(fields[99].items())
    assert before.data["role"] is last.data["role"]
    for found in (last.data, last.metadata):
        assert sys.getsizeof(found) < 0.7 * sys.getsizeof({**found})
    last.data["sum"], last.data["more"] = 7, True
    del last.data["by"]
    assert last.data == {"role": "clerk", "sum": 7, "more": True}
    assert before.data == fields[98]


def test_more_kinds_of_events_than_are_held_compactly(kurrentdb, category, monkeypatch):
    monkeypatch.setattr(records, "KINDS", 0)
    fields = [{f"only {n}": n, "$b": "é" * n} for n in range(150)]
    case = Case(f"{category}-1", [Event("Step", data, MONDAY) for data in fields])
    append_cases(kurrentdb.client, [case])
    assert plain(read_cases(kurrentdb.client, category)) == plain([case])


def test_unusable_cases_are_refused_before_anything_is_written(kurrentdb, category):
    good = case_of(f"{category}-1", 0)
    naive = Case(f"{category}-2", [Event("Step", {}, datetime(2026, 1, 5))])
    timed = Case(f"{category}-2", [Event("Step", {"timestamp": "now"}, MONDAY)])
    endless = Case(f"{category}-2", [Event("Step", {"n": float("inf")}, MONDAY)])
    for bad, reason in ((naive, "time zone"), (timed, "not in data"), (endless, "JSON")):
        with pytest.raises(ValueError, match=reason):
            append_cases(kurrentdb.client, [good, bad])
    with pytest.raises(ValueError, match="same id"):
        append_cases(kurrentdb.client, [good, good])
    assert read_cases(kurrentdb.client, category) == []


numbers = st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(max_size=8),
    lambda part: (
        st.lists(part, max_size=3) | st.dictionaries(st.text(max_size=4), part, max_size=3)
    ),
    max_leaves=6,
)
events = st.builds(
    Event,
    type=st.from_regex(r"[A-Z][a-z]{0,8}", fullmatch=True),
    data=st.dictionaries(st.text(max_size=6).filter("timestamp".__ne__), json_values, max_size=3),
    at=st.datetimes(
        datetime(1990, 1, 1),
        datetime(2100, 1, 1),
        timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30))]),
    ),
)


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    histories=st.lists(st.lists(events, min_size=1, max_size=4), min_size=1, max_size=3),
    again=st.data(),
)
def test_replaying_any_part_changes_nothing(kurrentdb, histories, again):
    category = f"test{uuid4().hex}"
    cases = [Case(f"{category}-{n}", history) for n, history in enumerate(histories)]
    assert append_cases(kurrentdb.client, cases) == sum(len(case.events) for case in cases)
    found = read_cases(kurrentdb.client, category)
    assert plain(found) == plain(cases)
    case = again.draw(st.sampled_from(found))  # as read, metadata and positions included
    part = replace(case, events=case.events[: again.draw(st.integers(1, len(case.events)))])
    assert append_cases(kurrentdb.client, [part]) == 0
    assert read_cases(kurrentdb.client, category) == found


def test_redact():
    shown = redact("kurrentdb+discover://admin:p@ss/w?rd@db.example.org:2113?Tls=true")
    assert shown == "kurrentdb+discover://***@db.example.org:2113?Tls=true"
    assert redact("kurrentdb://127.0.0.1:2113?Tls=false") == "kurrentdb://127.0.0.1:2113?Tls=false"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """Bound, so nobody else gets it, and not listened to."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield probe.getsockname()[1]


@pytest.mark.parametrize(
    "uri",
    [
        "kurrentdb://127.0.0.1:{port}?Tls=false",
        "kurrentdb://admin:s3cr3t@127.0.0.1:{port}?Tls=true",
        "kurrentdb+discover://admin:s3cr3t@127.0.0.1:{port}?Tls=true",
        "http://admin:s3cr3t@127.0.0.1:{port}",
        "kurrentdb://admin:s3@cr3t@127.0.0.1:{port}?Tls=true",
        "kurrentdb://admin:s3cr3t@127.0.0.1:{port}?Unknown=1",
    ],
)
def test_an_unreachable_server_is_named_without_credentials(
    monkeypatch, tmp_path, closed_port, uri
):
    monkeypatch.setenv("KURRENTDB_URI", uri.format(port=closed_port))
    started = time.monotonic()
    with pytest.raises(StoreError) as raised:
        connect(tmp_path / "kurrentdb")
    assert time.monotonic() - started < 12
    message = str(raised.value)
    assert f"127.0.0.1:{closed_port}" in message and "KURRENTDB_URI" in message
    assert "cr3t" not in message
    assert raised.value.__suppress_context__ and raised.value.__cause__ is None
    assert not (tmp_path / "kurrentdb").exists()


def test_a_server_that_never_answers_is_given_up(monkeypatch, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        for scheme in ("kurrentdb", "kurrentdb+discover"):
            monkeypatch.setenv("KURRENTDB_URI", f"{scheme}://127.0.0.1:{port}?Tls=false")
            started = time.monotonic()
            with pytest.raises(StoreError, match="no KurrentDB answers"):
                connect(tmp_path / "kurrentdb")
            assert time.monotonic() - started < 12


@pytest.mark.skipif("KURRENTDB_URI" in os.environ, reason="is about the embedded server")
class TestEmbedded:
    def test_the_log_outlives_the_server(self, tmp_path):
        case = case_of("payment-1", 0, 1)
        with connect(tmp_path) as db:
            append_cases(db.client, [case])
        with connect(tmp_path) as db:
            assert plain(read_cases(db.client, "payment")) == plain([case])
            assert append_cases(db.client, [case]) == 0

    def test_a_second_process_uses_the_server_of_the_first(self, tmp_path):
        case = case_of("payment-1", 0, 1)
        code = (
            "import sys; from procutils.store import *\n"
            "with connect(sys.argv[1]) as db:\n"
            "    print(db.kind, len(read_cases(db.client, 'payment')[0].events))"
        )
        with connect(tmp_path) as db:
            append_cases(db.client, [case])
            other = [sys.executable, "-c", code, str(tmp_path)]
            out = subprocess.run(other, capture_output=True, text=True, check=True, timeout=60)
            assert out.stdout.split() == ["embedded", "2"]
            assert plain(read_cases(db.client, "payment")) == plain([case])  # ours goes on

    def test_an_external_server_is_used_and_shown_as_such(self, kurrentdb, monkeypatch, tmp_path):
        monkeypatch.setenv("KURRENTDB_URI", kurrentdb.uri)
        append_cases(kurrentdb.client, [case_of("payment-1", 0)])
        with connect(tmp_path / "unused") as db:
            assert db.kind == "external" and str(db) == f"external KurrentDB at {kurrentdb.uri}"
            assert categories(db.client) == ["payment"]
        assert not (tmp_path / "unused").exists()
        assert categories(kurrentdb.client) == ["payment"]  # closing ours did not stop the server
