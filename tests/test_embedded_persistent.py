"""Persistent subscriptions of the embedded server: who gets what, when, and how often."""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import grpc
import pytest
from kurrentdbclient import KurrentDBClient, NewEvent, RecordedEvent, StreamState
from kurrentdbclient.exceptions import (
    AlreadyExistsError,
    KurrentDBClientError,
    MaximumSubscriptionsReachedError,
    NotFoundError,
)
from kurrentdbclient.protos.v1 import persistent_pb2, persistent_pb2_grpc

from procutils.embedded import EmbeddedKurrentDB, group

ANY = StreamState.ANY
ROOT = Path(__file__).resolve().parents[1]
#: Longer than anything here takes: a subscription that stays silent fails instead of hanging.
PATIENCE = 20.0
#: A client that hands its answers on at once.
PROMPT = {"max_ack_batch_size": 1, "max_ack_delay": 0.01, "stopping_grace": 0.02}
PARKED = "$persistentsubscription-{}::{}-parked"


def append(client: KurrentDBClient, stream: str, count: int = 1, type: str = "A", **more) -> int:
    batch = [NewEvent(type=type, data=b"{}", **more) for _ in range(count)]
    return client.append_to_stream(stream, current_version=ANY, events=batch)


def read(client: KurrentDBClient, name: str, stream: str | None = None, **more):
    options = {"timeout": PATIENCE, **PROMPT, **more}
    if stream is None:
        return client.read_subscription_to_all(name, **options)
    return client.read_subscription_to_stream(name, stream, **options)


def take(subscription, count: int, action: str | None = "ack") -> list[RecordedEvent]:
    """The next events, each acked, or nacked with the action; unanswered with None."""
    taken = []
    for event in itertools.islice(subscription, count):
        if action == "ack":
            subscription.ack(event)
        elif action is not None:
            subscription.nack(event, action)
        taken.append(event)
    return taken


def in_flight(client: KurrentDBClient, stream: str = "a-1") -> int:
    """How many events of the group ``g`` are with a consumer, and not answered."""
    return client.get_subscription_info("g", stream).total_in_flight_messages


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.01)


def revisions(events: list[RecordedEvent]) -> list[int]:
    return [event.stream_position for event in events]


def parked(client: KurrentDBClient, stream: str, name: str) -> list[RecordedEvent]:
    return list(client.get_stream(PARKED.format(stream, name), resolve_links=True))


class Reader(threading.Thread):
    """A consumer in a thread: it acks all it gets, except what ``refuse`` gives an action for."""

    def __init__(self, client: KurrentDBClient, name: str, stream: str, **more) -> None:
        super().__init__()
        self.seen: list[RecordedEvent] = []
        self.subscription = read(client, name, stream, **more)
        self.start()

    def run(self) -> None:
        for event in self.subscription:
            self.seen.append(event)
            self.subscription.ack(event)

    def __enter__(self) -> "Reader":
        return self

    def __exit__(self, *exception: object) -> None:
        self.subscription.stop()
        self.join()


def test_a_stream_is_delivered_from_its_start_and_as_it_grows(client: KurrentDBClient):
    append(client, "a-1", 3)
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1") as subscription:
        assert subscription.subscription_id == "a-1::g"
        assert revisions(take(subscription, 3)) == [0, 1, 2]
        append(client, "b-1")
        append(client, "a-1", 2)
        live = take(subscription, 2)
    assert revisions(live) == [3, 4]
    assert [event.retry_count for event in live] == [0, 0]


def test_what_was_acked_is_not_delivered_again(client: KurrentDBClient):
    append(client, "a-1", 5)
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1") as subscription:
        take(subscription, 3)
        until(lambda: in_flight(client) == 2)
    with read(client, "g", "a-1") as subscription:
        assert revisions(take(subscription, 2)) == [3, 4]


@pytest.mark.parametrize(
    ("where", "expected"), [({}, 0), ({"stream_position": 2}, 2), ({"from_end": True}, 4)]
)
def test_where_a_stream_subscription_starts(client: KurrentDBClient, where: dict, expected: int):
    append(client, "a-1", 4)
    client.create_subscription_to_stream("g", "a-1", **where)
    append(client, "a-1")
    with read(client, "g", "a-1") as subscription:
        assert revisions(take(subscription, 1)) == [expected]


def test_all_with_a_filter_from_a_position_that_is_included(client: KurrentDBClient):
    append(client, "a-1", type="Made")
    position = append(client, "b-1", type="Paid")
    append(client, "a-2", type="Made")
    last = append(client, "a-2", type="Paid")
    client.create_subscription_to_all("paid", commit_position=position, filter_include=["Paid"])
    client.create_subscription_to_all(
        "a", filter_include=["a-.*"], filter_by_stream_name=True, commit_position=position
    )
    with read(client, "paid") as subscription:
        assert subscription.subscription_id == "$all::paid"
        assert [e.commit_position for e in take(subscription, 2)] == [position, last]
    with read(client, "a") as subscription:
        assert [event.type for event in take(subscription, 2)] == ["Made", "Paid"]
    info = client.get_subscription_info("paid")
    assert info.start_from == f"C:{position}/P:{position}"


def test_a_category_is_delivered_with_its_links_resolved(client: KurrentDBClient):
    append(client, "a-1", type="Made")
    client.create_subscription_to_stream("g", "$ce-a", resolve_links=True)
    with read(client, "g", "$ce-a") as subscription:
        append(client, "a-2", type="Paid")
        seen = take(subscription, 2)
        assert [(event.type, event.stream_name) for event in seen] == [
            ("Made", "a-1"),
            ("Paid", "a-2"),
        ]
        assert [event.link.stream_name for event in seen] == ["$ce-a", "$ce-a"]
        until(lambda: in_flight(client, "$ce-a") == 0)
    with read(client, "g", "$ce-a") as subscription:
        append(client, "a-3", type="Last")
        assert [event.type for event in take(subscription, 1)] == ["Last"]


def test_links_that_lead_nowhere_are_passed_over(client: KurrentDBClient):
    append(client, "a-1")
    append(client, "a-2")
    client.delete_stream("a-1", current_version=0)
    client.create_subscription_to_stream("g", "$ce-a", resolve_links=True)
    with read(client, "g", "$ce-a") as subscription:
        assert [event.stream_name for event in take(subscription, 1)] == ["a-2"]


def test_retry_counts_up_and_parks_after_the_last(client: KurrentDBClient):
    append(client, "a-1", 2)
    client.create_subscription_to_stream("g", "a-1", max_retry_count=2)
    with read(client, "g", "a-1", event_buffer_size=1) as subscription:
        seen = []
        for event in itertools.islice(subscription, 4):
            seen.append((event.stream_position, event.retry_count))
            if event.stream_position == 0:
                subscription.nack(event, "retry")
            else:
                subscription.ack(event)
    assert seen == [(0, 0), (0, 1), (0, 2), (1, 0)]
    until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 1)
    (event,) = parked(client, "a-1", "g")
    assert (event.stream_name, event.stream_position) == ("a-1", 0)
    assert "Retries: 2" in json.loads(event.link.metadata)["reason"]


def test_skip_is_done_with_an_event(client: KurrentDBClient):
    append(client, "a-1", 2)
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1") as subscription:
        take(subscription, 1, "skip")
        until(lambda: in_flight(client) == 1)
    with read(client, "g", "a-1") as subscription:
        assert revisions(take(subscription, 1)) == [1]
    assert client.get_subscription_info("g", "a-1").parked_message_count == 0


def test_stop_ends_the_consumer_and_leaves_the_event_to_the_next(client: KurrentDBClient):
    append(client, "a-1", 2)
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1", event_buffer_size=1) as subscription:
        take(subscription, 1, "stop")
        assert list(subscription) == []
    with read(client, "g", "a-1") as subscription:
        assert [(e.stream_position, e.retry_count) for e in take(subscription, 1)] == [(0, 0)]


def test_parked_events_are_links_and_come_again_when_replayed(client: KurrentDBClient):
    append(client, "a-1", 3)
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1") as subscription:
        take(subscription, 2, "park")
        take(subscription, 1)
        until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 2)
        links = list(client.get_stream(PARKED.format("a-1", "g")))
        assert [(link.type, link.data) for link in links] == [("$>", b"0@a-1"), ("$>", b"1@a-1")]
        client.replay_parked_events("g", "a-1")
        again = take(subscription, 2)
        assert [(e.stream_name, e.stream_position) for e in again] == [("a-1", 0), ("a-1", 1)]
        until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 0)
        client.replay_parked_events("g", "a-1")  # nothing is parked now
        append(client, "a-1")
        assert revisions(take(subscription, 1)) == [3]


def test_what_is_parked_again_while_replayed_stays_parked(client: KurrentDBClient):
    append(client, "a-1", 2)
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1") as subscription:
        take(subscription, 2, "park")
        until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 2)
        client.replay_parked_events("g", "a-1")
        take(subscription, 1, "park")
        take(subscription, 1, "ack")
        until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 1)
    assert revisions(parked(client, "a-1", "g")) == [0]


def test_a_replay_stops_where_it_is_told(client: KurrentDBClient, server: EmbeddedKurrentDB):
    append(client, "a-1", 3)
    client.create_subscription_to_stream("g", "a-1")
    request = persistent_pb2.ReplayParkedReq()
    request.options.group_name = "g"
    request.options.stream_identifier.stream_name = b"a-1"
    request.options.stop_at = 2
    with read(client, "g", "a-1") as subscription:
        take(subscription, 3, "park")
        until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 3)
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            persistent_pb2_grpc.PersistentSubscriptionsStub(channel).ReplayParked(request)
        assert revisions(take(subscription, 2)) == [0, 1]
        until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 1)


def test_without_an_answer_in_time_it_is_retried_then_parked(client: KurrentDBClient):
    append(client, "a-1", 1)
    client.create_subscription_to_stream("g", "a-1", message_timeout=0.1, max_retry_count=2)
    with read(client, "g", "a-1") as subscription:
        seen = take(subscription, 3, None)
        assert [(e.stream_position, e.retry_count) for e in seen] == [(0, 0), (0, 1), (0, 2)]
        until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 1)


def test_an_event_acked_late_is_not_delivered_again(client: KurrentDBClient):
    append(client, "a-1", 2)
    client.create_subscription_to_stream("g", "a-1", message_timeout=0.3)
    with read(client, "g", "a-1", event_buffer_size=1) as subscription:
        (late,) = take(subscription, 1, None)
        time.sleep(0.4)  # timed out, and on its way to the same consumer again
        subscription.ack(late)
        seen = take(subscription, 2)
    assert {event.stream_position for event in seen} == {0, 1}
    assert client.get_subscription_info("g", "a-1").parked_message_count == 0


def test_pinned_keeps_a_stream_with_one_consumer(client: KurrentDBClient):
    client.create_subscription_to_stream(
        "g", "$ce-a", resolve_links=True, consumer_strategy="Pinned"
    )
    with Reader(client, "g", "$ce-a") as one, Reader(client, "g", "$ce-a") as two:
        for _ in range(10):
            for number in range(20):
                append(client, f"a-{number}")
        until(lambda: len(one.seen) + len(two.seen) == 200)
    streams = [{event.stream_name for event in reader.seen} for reader in (one, two)]
    assert not streams[0] & streams[1]
    assert len(streams[0]) > 3
    assert len(streams[1]) > 3
    for reader in (one, two):
        for name in {event.stream_name for event in reader.seen}:
            own = [event for event in reader.seen if event.stream_name == name]
            assert revisions(own) == list(range(10))


def test_pinned_streams_of_a_consumer_that_leaves_go_to_the_other(client: KurrentDBClient):
    client.create_subscription_to_stream(
        "g", "$ce-a", resolve_links=True, consumer_strategy="Pinned"
    )
    with Reader(client, "g", "$ce-a") as one:
        with Reader(client, "g", "$ce-a") as two:
            for number in range(20):
                append(client, f"a-{number}")
            until(lambda: len(one.seen) + len(two.seen) == 20)
            until(lambda: in_flight(client, "$ce-a") == 0)
            moved = {event.stream_name for event in two.seen}
        kept = {event.stream_name for event in one.seen}
        one.seen.clear()
        for number in range(20):
            append(client, f"a-{number}")
        until(lambda: len(one.seen) == 20)
    assert {event.stream_name for event in one.seen} == moved | kept


def test_pinned_by_correlation(client: KurrentDBClient):
    client.create_subscription_to_all(
        "g", filter_include=["A"], consumer_strategy="PinnedByCorrelation"
    )
    with Reader(client, "g", None) as one, Reader(client, "g", None) as two:
        for number in range(60):
            metadata = json.dumps({"$correlationId": f"c{number % 12}"}).encode()
            append(client, f"a-{number}", metadata=metadata)
        until(lambda: len(one.seen) + len(two.seen) == 60)
    first, second = ({event.metadata for event in reader.seen} for reader in (one, two))
    assert first
    assert second
    assert not first & second


def test_round_robin_takes_turns(client: KurrentDBClient):
    client.create_subscription_to_stream("g", "a-1", consumer_strategy="RoundRobin")
    with Reader(client, "g", "a-1") as one, Reader(client, "g", "a-1") as two:
        for _ in range(20):
            append(client, "a-1")
        until(lambda: len(one.seen) + len(two.seen) == 20)
    assert len(one.seen) == len(two.seen) == 10


def test_dispatch_to_single_prefers_the_first(client: KurrentDBClient):
    client.create_subscription_to_stream("g", "a-1")
    with Reader(client, "g", "a-1") as one, Reader(client, "g", "a-1") as two:
        for _ in range(20):
            append(client, "a-1")
        until(lambda: len(one.seen) + len(two.seen) == 20)
    assert len(one.seen) == 20


def test_a_consumer_that_goes_leaves_its_events_to_the_others(client: KurrentDBClient):
    append(client, "a-1", 10)
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1") as gone:
        take(gone, 2)
        take(gone, 3, None)
        until(lambda: in_flight(client) == 8)
    with read(client, "g", "a-1") as subscription:
        seen = take(subscription, 8)
    assert sorted(revisions(seen)) == list(range(2, 10))
    assert {event.retry_count for event in seen} == {1}  # they had all been sent


def test_a_buffer_bounds_what_is_in_flight(client: KurrentDBClient):
    append(client, "a-1", 50)
    client.create_subscription_to_stream(
        "g", "a-1", history_buffer_size=20, read_batch_size=5, live_buffer_size=20
    )
    with read(client, "g", "a-1", event_buffer_size=7) as subscription:
        take(subscription, 1, None)
        until(lambda: client.get_subscription_info("g", "a-1").total_in_flight_messages == 7)
        info = client.get_subscription_info("g", "a-1")
        assert info.read_buffer_count <= 20
        assert info.connections[0].available_slots == 0
        assert info.connections[0].in_flight_messages == 7


def test_a_category_that_is_stuck_with_one_pinned_consumer_goes_on_with_the_other(
    client: KurrentDBClient,
):
    client.create_subscription_to_stream(
        "g", "$ce-a", resolve_links=True, consumer_strategy="Pinned"
    )
    with (
        read(client, "g", "$ce-a", event_buffer_size=1) as stuck,
        Reader(client, "g", "$ce-a") as two,
    ):
        for number in range(40):
            append(client, f"a-{number}")
        take(stuck, 1, None)
        until(lambda: len(two.seen) > 8)


def test_info_list_update_and_delete(client: KurrentDBClient):
    append(client, "a-1", 3)
    client.create_subscription_to_stream("g", "a-1", message_timeout=7, max_subscriber_count=2)
    client.create_subscription_to_stream("h", "a-1")
    client.create_subscription_to_all("g", from_end=True)
    info = client.get_subscription_info("g", "a-1")
    assert (info.event_source, info.group_name, info.start_from) == ("a-1", "g", "0")
    assert (info.message_timeout, info.max_subscriber_count) == (7, 2)
    assert (info.consumer_strategy, info.last_known_event_position) == ("DispatchToSingle", "2")
    assert client.get_subscription_info("g").start_from == "C:-1/P:-1"
    assert [i.group_name for i in client.list_subscriptions_to_stream("a-1")] == ["g", "h"]
    assert len(client.list_subscriptions()) == 3
    assert client.list_subscriptions_to_stream("b-1") == []
    client.update_subscription_to_stream("g", "a-1", max_retry_count=1)
    info = client.get_subscription_info("g", "a-1")
    assert (info.max_retry_count, info.message_timeout) == (1, 7)
    client.delete_subscription("g", "a-1")
    with pytest.raises(NotFoundError):
        client.get_subscription_info("g", "a-1")
    assert [i.event_source for i in client.list_subscriptions()] == ["a-1", "$all"]


def test_update_and_delete_end_the_consumers_and_keep_what_was_handled(client: KurrentDBClient):
    append(client, "a-1", 4)
    client.create_subscription_to_stream("g", "a-1")
    for change, arguments in (
        (client.update_subscription_to_stream, {"message_timeout": 9}),
        (client.delete_subscription, {}),
    ):
        with read(client, "g", "a-1") as subscription:
            take(subscription, 2)
            time.sleep(0.2)
            change(group_name="g", stream_name="a-1", **arguments)
            with pytest.raises(KurrentDBClientError, match="dropped"):
                take(subscription, 9)
    client.create_subscription_to_stream("g", "a-1")  # a new one of the old name
    with read(client, "g", "a-1") as subscription:
        assert revisions(take(subscription, 4)) == [0, 1, 2, 3]


def test_a_deleted_subscription_takes_its_parked_events_with_it(client: KurrentDBClient):
    append(client, "a-1", 2)
    for round in range(2):
        client.create_subscription_to_stream("g", "a-1")
        with read(client, "g", "a-1") as subscription:
            take(subscription, 1, "park")
            until(lambda: client.get_subscription_info("g", "a-1").parked_message_count == 1)
            client.replay_parked_events("g", "a-1")
            seen = take(subscription, 2, None)
        assert sorted(revisions(seen)) == [0, 1], round
        client.delete_subscription("g", "a-1")
        with pytest.raises(NotFoundError):
            parked(client, "a-1", "g")


def test_refusals(client: KurrentDBClient):
    client.create_subscription_to_stream("g", "a-1", max_subscriber_count=1)
    with pytest.raises(AlreadyExistsError):
        client.create_subscription_to_stream("g", "a-1")
    for call in (
        lambda: client.get_subscription_info("h", "a-1"),
        lambda: client.delete_subscription("g"),
        lambda: client.replay_parked_events("g"),
        lambda: read(client, "g", "a-2"),
        lambda: client.update_subscription_to_all("g"),
    ):
        with pytest.raises(NotFoundError):
            call()
    with (
        read(client, "g", "a-1"),
        pytest.raises(MaximumSubscriptionsReachedError),
    ):
        read(client, "g", "a-1")
    for settings, text in (
        ({"read_batch_size": 20, "history_buffer_size": 20}, "must be smaller"),
        ({"min_checkpoint_count": 20, "max_checkpoint_count": 10}, "is larger"),
        ({"max_retry_count": -1}, "is negative"),
        ({"consumer_strategy": "Nobody"}, "no consumer strategy"),
    ):
        with pytest.raises(KurrentDBClientError, match=text):
            client.create_subscription_to_stream("h", "a-1", **settings)
    with pytest.raises(KurrentDBClientError, match="not a regular expression"):
        client.create_subscription_to_all("h", filter_include=["("])


def test_a_tombstoned_stream_leaves_its_subscription_silent(client: KurrentDBClient):
    append(client, "a-1")
    client.create_subscription_to_stream("g", "a-1")
    with read(client, "g", "a-1") as subscription:
        take(subscription, 1)
        client.tombstone_stream("a-1", current_version=0)
        assert client.get_subscription_info("g", "a-1").status == "Live"


@pytest.mark.parametrize("kill", [True, False], ids=["kill -9", "stop"])
def test_a_restarted_server_goes_on_from_the_checkpoint(tmp_path: Path, kill: bool):
    code = f"from procutils.embedded import main; main(0, {str(tmp_path)!r})"

    def serve() -> tuple[subprocess.Popen, str]:
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        line = process.stdout.readline()
        return process, next(word for word in line.split() if word.startswith("kurrentdb://"))

    process, uri = serve()
    with KurrentDBClient(uri) as client:
        append(client, "a-1", 100)
        for name in ("g", "end"):
            client.create_subscription_to_stream(
                name,
                "a-1",
                from_end=name == "end",
                min_checkpoint_count=1,
                max_checkpoint_count=10,
                checkpoint_after=0.05,
            )
        subscription = read(client, "g", "a-1")
        take(subscription, 5, "park")
        take(subscription, 45)
        until(
            lambda: (
                client.get_subscription_info("g", "a-1").last_checkpointed_event_position == "49"
            )
        )
        process.kill() if kill else process.terminate()
        process.wait()
    process.stdout.close()
    process, uri = serve()
    with KurrentDBClient(uri) as client:
        append(client, "a-1")
        with read(client, "g", "a-1") as subscription:
            assert sorted(revisions(take(subscription, 51))) == list(range(50, 101))
            client.replay_parked_events("g", "a-1")
            assert revisions(take(subscription, 5)) == list(range(5))
        with read(client, "end", "a-1") as subscription:
            assert revisions(take(subscription, 1)) == [100]
        process.kill()
        process.wait()
    process.stdout.close()


def test_stopping_the_server_writes_the_checkpoint(tmp_path: Path):
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        append(client, "a-1", 5)
        client.create_subscription_to_stream("g", "a-1")
        subscription = read(client, "g", "a-1")
        take(subscription, 3)
        until(lambda: in_flight(client) == 2)
        server.stop()
        with pytest.raises(KurrentDBClientError):
            take(subscription, 9)
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        assert client.get_subscription_info("g", "a-1").last_checkpointed_event_position == "2"


def test_a_filter_that_finds_nothing_moves_the_checkpoint_on(
    client: KurrentDBClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(group, "MAX_SKIPPED", 100)
    client.create_subscription_to_all("g", filter_include=["Nothing"])
    with read(client, "g"):
        end = append(client, "a-1", 200)

        def checkpoint() -> int:
            text = client.get_subscription_info("g").last_checkpointed_event_position
            return int(text.partition("/")[0].removeprefix("C:")) if text else 0

        until(lambda: checkpoint() >= end - 100)


def test_a_slow_consumer_does_not_grow_memory(
    client: KurrentDBClient, server: EmbeddedKurrentDB, monkeypatch: pytest.MonkeyPatch
):
    """A client that reads nothing, of 12 MB: what the server holds of it stays bounded, also when
    its messages time out and are parked."""
    monkeypatch.setattr(group, "MAX_HELD_BYTES", 2**20)
    append(client, "a-1", 2)
    client.create_subscription_to_stream("g", "a-1", message_timeout=0.3, max_retry_count=1)
    request = persistent_pb2.ReadReq()
    request.options.stream_identifier.stream_name = b"a-1"
    request.options.group_name = "g"
    request.options.buffer_size = 100_000
    going = threading.Event()

    def requests() -> Iterator[persistent_pb2.ReadReq]:
        yield request
        going.wait(PATIENCE)

    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        answers = persistent_pb2_grpc.PersistentSubscriptionsStub(channel).Read(requests())
        next(answers)
        for _ in range(15):
            batch = [NewEvent(type="A", data=b"x" * 20_000) for _ in range(40)]
            client.append_to_stream("a-1", current_version=ANY, events=batch)
        held = server._groups.find("a-1", "g").delivery
        latest = time.monotonic() + PATIENCE  # a busy machine may take long to begin
        while held.held_bytes <= 2**19 and time.monotonic() < latest:
            time.sleep(0.01)
        largest, end = 0, time.monotonic() + 2.5
        while time.monotonic() < end:
            largest = max(largest, held.held_bytes)
            assert all(each.outbox.qsize() <= 1000 for each in held.consumers)
            time.sleep(0.01)
        answers.cancel()
        going.set()
    # One page more than the bound may have been read: 200 events of 20 kB.
    assert 2**19 < largest < 2**20 + 2 * 2**20 * 2 + 2**20
    assert client.get_subscription_info("g", "a-1").parked_message_count > 0


def test_idle_consumers_cost_nothing_and_wake_at_once(client: KurrentDBClient):
    client.create_subscription_to_all("g", filter_include=["A"])
    with read(client, "g") as subscription:
        append(client, "a-1")
        take(subscription, 1)
        time.sleep(0.3)

        def asleep() -> float:
            before = time.process_time()
            time.sleep(2)
            return time.process_time() - before

        def to_wake() -> float:
            append(client, "a-1")
            answered = time.perf_counter()
            take(subscription, 1)
            return time.perf_counter() - answered

        # A ticker would show every time; a busy machine now and then. The client itself looks for
        # answers to hand on; with PROMPT, a hundred times a second.
        assert any(asleep() < 0.4 for _ in range(3))
        assert any(median(to_wake() for _ in range(20)) < 0.05 for _ in range(3))


def test_many_writers_two_consumers_each_event_once(client: KurrentDBClient):
    client.create_subscription_to_all("g", filter_include=["A"], consumer_strategy="RoundRobin")

    def write(number: int) -> None:
        for _ in range(25):
            append(client, f"a-{number}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    with Reader(client, "g", None) as one, Reader(client, "g", None) as two:
        for writer in writers:
            writer.start()
        until(lambda: len(one.seen) + len(two.seen) >= 100)
        for writer in writers:
            writer.join()
    assert len({event.commit_position for event in one.seen + two.seen}) == 100
    assert len(one.seen) + len(two.seen) == 100
