"""Catch-up subscriptions of the embedded server: catching up, live, checkpoints, waking."""

import itertools
import threading
import time
from statistics import median

import grpc
import pytest
from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import KurrentDBClientError, StreamIsDeletedError
from kurrentdbclient.protos.v1 import streams_pb2, streams_pb2_grpc

from procutils.embedded import EmbeddedKurrentDB

ANY = StreamState.ANY
#: Longer than anything here takes: a subscription that stays silent fails instead of hanging.
PATIENCE = 20.0


def append(client: KurrentDBClient, stream: str, count: int = 1, type: str = "A") -> int:
    batch = [NewEvent(type=type, data=b"{}") for _ in range(count)]
    return client.append_to_stream(stream, current_version=ANY, events=batch)


def take(subscription, count: int) -> list:
    return list(itertools.islice(subscription, count))


def kind(event) -> str:
    return "checkpoint" if event.is_checkpoint else "caught up" if event.is_caught_up else "event"


def test_all_is_caught_up_with_and_then_live(client: KurrentDBClient):
    append(client, "a-1", 3)
    with client.subscribe_to_all(include_caught_up=True, timeout=PATIENCE) as subscription:
        caught = take(subscription, 4)
        assert [kind(event) for event in caught] == ["event"] * 3 + ["caught up"]
        assert caught[3].commit_position >= caught[2].commit_position
        assert caught[3].recorded_at is not None
        position = append(client, "b-1", 2)
        live = take(subscription, 2)
        assert [event.stream_name for event in live] == ["b-1", "b-1"]
        assert live[1].commit_position == position
        assert subscription.subscription_id


def test_a_position_is_excluded_and_the_end_is_after_everything(client: KurrentDBClient):
    positions = [append(client, "a-1") for _ in range(3)]
    after = client.subscribe_to_all(commit_position=positions[0], timeout=PATIENCE)
    beginning = client.subscribe_to_all(commit_position=0, timeout=PATIENCE)
    with after, beginning, client.subscribe_to_all(from_end=True, timeout=PATIENCE) as end:
        assert [event.commit_position for event in take(after, 2)] == positions[1:]
        assert [event.commit_position for event in take(beginning, 3)] == positions
        position = append(client, "a-1")
        assert take(end, 1)[0].commit_position == position


def test_filtered_subscriptions_get_only_what_they_asked_for(client: KurrentDBClient):
    for stream, type in [("a-1", "Made"), ("b-1", "Made"), ("a-2", "Paid")]:
        append(client, stream, type=type)
    by_type = client.subscribe_to_all(filter_include=["Paid"], timeout=PATIENCE)
    by_stream = client.subscribe_to_all(
        filter_include=["a-.*"], filter_by_stream_name=True, timeout=PATIENCE
    )
    index = client.subscribe_to_index("ce-a", timeout=PATIENCE)
    with by_type, by_stream, index:
        append(client, "b-2", type="Paid")
        append(client, "a-3", type="Made")
        assert [event.stream_name for event in take(by_type, 2)] == ["a-2", "b-2"]
        assert [event.stream_name for event in take(by_stream, 3)] == ["a-1", "a-2", "a-3"]
        assert [event.stream_name for event in take(index, 3)] == ["a-1", "a-2", "a-3"]


def test_checkpoints_come_at_the_interval_while_nothing_matches(client: KurrentDBClient):
    append(client, "a-1", 100)
    records = client.get_commit_position(filter_exclude=())  # links and all
    with client.subscribe_to_all(
        filter_include=["Nothing"],
        window_size=10,
        checkpoint_interval_multiplier=2,
        include_checkpoints=True,
        include_caught_up=True,
        timeout=PATIENCE,
    ) as subscription:
        seen = take(subscription, records // 20 + 2)
        assert [event.commit_position for event in seen[:-2]] == list(range(20, records + 1, 20))
        assert [kind(event) for event in seen[-2:]] == ["checkpoint", "caught up"]
        assert seen[-2].commit_position == records
        append(client, "a-2", 20)
        live = take(subscription, 2)
        assert [kind(event) for event in live] == ["checkpoint"] * 2
        assert records < live[0].commit_position < live[1].commit_position


def test_the_smallest_interval_gives_a_checkpoint_for_each_record(client: KurrentDBClient):
    end = append(client, "plain", 3)
    with client.subscribe_to_all(
        filter_exclude=[".*"],
        window_size=1,
        checkpoint_interval_multiplier=1,
        include_checkpoints=True,
        timeout=PATIENCE,
    ) as subscription:
        positions = [event.commit_position for event in take(subscription, end)]
    assert positions == list(range(1, end + 1))


def test_resuming_from_every_checkpoint_loses_and_repeats_nothing(client: KurrentDBClient):
    for number in range(30):
        append(client, f"a-{number}", type="Odd" if number % 2 else "Even")
    options = {"filter_include": ["Odd"], "include_checkpoints": True, "timeout": PATIENCE}
    with client.subscribe_to_all(**options, window_size=7, include_caught_up=True) as subscription:
        seen = list(itertools.takewhile(lambda event: not event.is_caught_up, subscription))
    odd = [event.commit_position for event in seen if not event.is_checkpoint]
    assert len(odd) == 15
    for checkpoint in (event.commit_position for event in seen if event.is_checkpoint):
        rest = [position for position in odd if position > checkpoint]
        with client.subscribe_to_all(
            filter_include=["Odd"], commit_position=checkpoint, timeout=PATIENCE
        ) as resumed:
            assert [event.commit_position for event in take(resumed, len(rest))] == rest


def test_a_stream_is_followed_from_before_it_exists(client: KurrentDBClient):
    with client.subscribe_to_stream(
        "a-1", include_caught_up=True, timeout=PATIENCE
    ) as subscription:
        assert kind(take(subscription, 1)[0]) == "caught up"
        append(client, "b-1")
        append(client, "a-1", 2)
        assert [event.stream_position for event in take(subscription, 2)] == [0, 1]


def test_a_stream_is_followed_after_a_revision_or_from_its_end(client: KurrentDBClient):
    append(client, "a-1", 4)
    after = client.subscribe_to_stream(
        "a-1", stream_position=1, include_caught_up=True, timeout=PATIENCE
    )
    end = client.subscribe_to_stream("a-1", from_end=True, timeout=PATIENCE)
    with after, end:
        caught = take(after, 3)
        assert [event.stream_position for event in caught] == [2, 3, 3]
        assert kind(caught[2]) == "caught up"
        append(client, "a-1")
        assert take(after, 1)[0].stream_position == 4
        assert take(end, 1)[0].stream_position == 4


def test_links_are_followed_resolved(client: KurrentDBClient):
    append(client, "a-1", type="Made")
    with client.subscribe_to_stream("$ce-a", resolve_links=True, timeout=PATIENCE) as subscription:
        append(client, "a-2", type="Paid")
        assert [event.type for event in take(subscription, 2)] == ["Made", "Paid"]


def test_a_subscription_outlives_soft_deletion_and_ends_at_a_tombstone(client: KurrentDBClient):
    append(client, "a-1", 2)
    with client.subscribe_to_stream("a-1", timeout=PATIENCE) as subscription:
        assert len(take(subscription, 2)) == 2
        client.delete_stream("a-1", current_version=1)
        append(client, "a-1")
        assert take(subscription, 1)[0].stream_position == 2
        client.tombstone_stream("a-1", current_version=2)
        with pytest.raises(StreamIsDeletedError):
            next(subscription)


def test_events_of_many_writers_arrive_once_and_in_log_order(client: KurrentDBClient):
    def write(number: int) -> None:
        for _ in range(25):
            append(client, f"a-{number}")

    writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    with client.subscribe_to_all(timeout=PATIENCE) as subscription:
        for writer in writers:
            writer.start()
        seen = take(subscription, 100)
        for writer in writers:
            writer.join()
    positions = [event.commit_position for event in seen]
    assert positions == sorted(set(positions))
    for number in range(4):
        own = [e.stream_position for e in seen if e.stream_name == f"a-{number}"]
        assert own == list(range(25))


def test_a_sleeping_subscriber_costs_nothing_and_wakes_at_once(client: KurrentDBClient):
    """An idle ticker would show: as processor time while asleep, or as latency after."""
    with client.subscribe_to_all(timeout=PATIENCE) as subscription:
        append(client, "a-1")
        take(subscription, 1)

        def asleep() -> float:
            before = time.process_time()
            time.sleep(2)
            return time.process_time() - before

        def to_wake() -> float:
            append(client, "a-1")
            answered = time.perf_counter()
            take(subscription, 1)
            return time.perf_counter() - answered

        # A ticker would show every time; a busy machine now and then.
        assert any(asleep() < 0.2 for _ in range(3))
        assert any(median(to_wake() for _ in range(20)) < 0.05 for _ in range(3))


def test_subscriptions_that_end_give_their_threads_back(client: KurrentDBClient):
    def workers() -> int:
        return sum(thread.name == "kurrentdb" for thread in threading.enumerate())

    for _ in range(10):
        opened = [client.subscribe_to_all(timeout=PATIENCE) for _ in range(10)]
        for subscription in opened:
            subscription.stop()
        time.sleep(0.3)
    assert workers() < 50  # 100 subscriptions, one after the other ten


def test_stopping_the_server_ends_its_subscriptions(server: EmbeddedKurrentDB):
    with KurrentDBClient(server.uri) as client:
        subscription = client.subscribe_to_all(timeout=PATIENCE)
        threading.Timer(0.3, server.stop).start()
        with pytest.raises(KurrentDBClientError):
            next(subscription)


def test_the_answer_to_a_subscription_starts_with_its_confirmation(server: EmbeddedKurrentDB):
    request = streams_pb2.ReadReq()
    request.options.all.start.SetInParent()
    request.options.subscription.SetInParent()
    request.options.no_filter.SetInParent()
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        answers = streams_pb2_grpc.StreamsStub(channel).Read(request, timeout=PATIENCE)
        kinds = [answer.WhichOneof("content") for answer in itertools.islice(answers, 3)]
        answers.cancel()
    assert kinds == ["confirmation", "event", "caught_up"]  # without a filter no checkpoint
