"""The watchdog on a real socket: what it writes, what it survives, what it leaves alone."""

import json
import os
import threading
import time
from collections import Counter, defaultdict
from dataclasses import replace
from uuid import UUID

import pytest
from kurrentdbclient import KurrentDBClient, NewEvent, RecordedEvent, StreamState
from watchdog_setup import MODEL, append, detector, firm, in_order, running, traffic, until

from procutils.alerts import (
    DETECTED,
    OVERDUE,
    RESOLVED,
    UNREADABLE,
    AlertStreams,
    existing,
    read_alerts,
)
from procutils.cases import Case
from procutils.checkpoints import WHOLE, Checkpoint, Checkpoints
from procutils.deadlines import Deadline, Deadlines
from procutils.embedded import EmbeddedKurrentDB
from procutils.judge import Judge
from procutils.sources import AWAY
from procutils.store import append_cases, categories, commit_position
from procutils.watchdog import Watchdog

ANY = StreamState.ANY
#: How long the database goes away; half a minute with WATCHDOG_OUTAGE=30.
OUTAGE_S = float(os.environ.get("WATCHDOG_OUTAGE", "0.5"))


def watchdog(client: KurrentDBClient, **more) -> Watchdog:
    return Watchdog(client, detector(), MODEL, 17, **{"clock": "log", **more})


def watch(client: KurrentDBClient, **more) -> Watchdog:
    """A watchdog that has judged everything there is."""
    dog = watchdog(client, **more)
    dog.run(until_caught_up=True)
    return dog


def ids(alerts) -> Counter:
    return Counter((alert.type, alert.id) for alert in alerts)


def anomalous(kind: str) -> Case:
    """A case whose alert is about this kind of anomaly."""
    known = detector()
    return next(
        case
        for case in traffic(100)
        if known.check(case, known.scorer.score_cases([case])[0][:-1]).kind == kind
    )


def put(client: KurrentDBClient, stream: str, type_: str, data: bytes | dict) -> NewEvent:
    content = data if isinstance(data, bytes) else json.dumps(data).encode()
    event = NewEvent(type=type_, data=content)
    client.append_event(stream, current_version=ANY, event=event)
    return event


# What is written


def test_a_case_is_flagged_live_where_it_is_flagged_as_a_whole(client):
    cases = traffic(60)
    append_cases(client, cases)
    watch(client)
    found = {
        alert.stream: alert.position for alert in read_alerts(client) if alert.type == DETECTED
    }
    known = detector()
    for case in cases:
        scores = known.scorer.score_cases([case])[0]
        strange = [known.usual.event(case.category, s) for s in scores]
        limit = known.threshold(case.category)
        over = [i for i, nats in enumerate(strange[:-1]) if nats > limit]
        assert found.get(case.id) == (over[0] if over else None)
        if case.id in found:
            assert known.surprise(case, scores) > limit
    assert len(found) >= 10


def test_an_alert_says_what_a_person_needs(client):
    case = anomalous("skipped step")
    append_cases(client, [*firm()[600:700], case])
    watch(client)
    (record,) = [r for r in existing(client, f"anomaly-{case.id}") if r.type == DETECTED]
    said, metadata = json.loads(record.data), json.loads(record.metadata)
    cause = client.get_stream(case.id)[said["position"]]
    assert metadata["$causationId"] == said["event_id"] == str(cause.id)
    assert metadata["$correlationId"] == json.loads(cause.metadata)["$correlationId"]
    assert (said["model"], said["data_position"], said["stream"]) == (MODEL, 17, case.id)
    assert (said["event_type"], said["commit_position"]) == (cause.type, cause.commit_position)
    assert said["kind"] == "skipped step" and said["part"] == "type"
    assert 0 <= said["begins"] <= said["position"]
    assert 0 < said["p_value"] <= said["alpha"]
    assert said["surprise"] > said["threshold"]
    assert all(0 <= e["probability"] <= 1 for e in said["expected"])
    assert cause.type in said["explanation"] and said["action"]
    seen = said["evidence"]["case"]
    assert [e["type"] for e in seen] == list(case.types[: said["position"] + 1])
    similar = said["evidence"]["similar"]
    assert similar["cases"] > 0 and sum(similar["then"].values()) <= similar["cases"]


def test_alerts_are_no_process_and_not_judged(client):
    append_cases(client, traffic(30))
    watch(client)
    first = ids(read_alerts(client))
    watch(client)
    assert ids(read_alerts(client)) == first
    assert "anomaly" not in categories(client)
    assert not any(category.startswith("watchdog") for category in categories(client))


def test_what_came_before_the_start_is_not_alerted(client):
    cases = traffic(60)
    append_cases(client, cases[:30])
    start = commit_position(client)
    append_cases(client, cases[30:])
    watch(client, start=start)
    alerts = read_alerts(client)
    assert alerts
    at = [alert.data["commit_position"] for alert in alerts if alert.type != RESOLVED]
    assert min(at) > start


# Again, elsewhere, or in parts: the same


def test_in_parts_and_with_a_small_memory_it_finds_the_same(client, tmp_path):
    events = in_order(traffic(40))
    with EmbeddedKurrentDB(tmp_path / "other") as other, KurrentDBClient(other.uri) as whole:
        for case, n in events:
            append(whole, case, n)
        watch(whole)
        expected = ids(read_alerts(whole))
    for begin in range(0, len(events), 40):
        for case, n in events[begin : begin + 40]:
            append(client, case, n)
        watch(client, cases=2)
    assert ids(read_alerts(client)) == expected
    assert {OVERDUE, RESOLVED, DETECTED} == {type_ for type_, _ in expected}


def test_without_its_checkpoint_it_writes_nothing_twice(client):
    append_cases(client, traffic(40))
    watch(client)
    expected = ids(read_alerts(client))
    client.delete_stream(f"watchdog_{MODEL}", current_version=ANY)
    dog = watch(client)
    assert dog.watched.records > 0 and not dog.watched.alerts
    assert ids(read_alerts(client)) == expected


def test_a_replay_finds_the_same_and_writes_nothing(client):
    append_cases(client, traffic(40))
    before = commit_position(client)
    rehearsed = watchdog(client).replay(before)
    assert commit_position(client) == before
    watch(client)
    written = read_alerts(client)
    assert ids(rehearsed) == ids(written)
    assert {a.id: a.data for a in rehearsed} == {a.id: a.data for a in written}
    middle = before // 2
    partly = watchdog(client).replay(middle)
    assert ids(partly) <= ids(written)
    assert 0 < len(partly) < len(written)


def test_two_workers_share_the_load_and_find_the_same(client, tmp_path, monkeypatch):
    cases, handle, workers_of = traffic(40), Judge.handle, defaultdict(set)

    def noting(judge: Judge, record: RecordedEvent) -> bool:
        workers_of[record.stream_name].add(threading.get_ident())
        return handle(judge, record)

    with EmbeddedKurrentDB(tmp_path / "other") as other, KurrentDBClient(other.uri) as alone:
        append_cases(alone, cases)
        watch(alone)
        expected = {a.id for a in read_alerts(alone) if a.type == DETECTED}
    dogs = [watchdog(client), watchdog(client)]
    with running(*dogs, group="dogs"):
        until(lambda: client.list_subscriptions())
        until(lambda: len(client.get_subscription_info("dogs").connections) == 2)
        monkeypatch.setattr(Judge, "handle", noting)
        events = append_cases(client, cases)
        until(lambda: sum(dog.watched.records for dog in dogs) >= events)
    found = read_alerts(client)
    assert {a.id for a in found if a.type == DETECTED} == expected
    assert set(ids(found).values()) == {1}
    assert all(dog.watched.records > events / 5 for dog in dogs)
    assert workers_of.keys() == {case.id for case in cases}
    assert {len(workers) for workers in workers_of.values()} == {1}, "a case on two workers"


def test_a_worker_that_takes_over_rebuilds_its_cases(client):
    case = anomalous("skipped step")
    append_cases(client, [replace(case, events=case.events[:1])])
    with running(first := watchdog(client), group="g"):
        until(lambda: first.watched.records == 1)
    append_cases(client, [case])
    with running(second := watchdog(client), group="g"):
        until(lambda: second.watched.alerts[DETECTED] == 1)
    expected = {a.id for a in watchdog(client).replay(commit_position(client))}
    assert {a.id for a in read_alerts(client) if a.type == DETECTED} <= expected


# What it must survive


def test_odd_events_are_put_aside_and_do_not_stop_it(client):
    good, case = traffic(8)[0], firm()[751]
    put(client, case.id, case.types[0], b"\xff{not json")
    put(client, case.id, case.types[0], b"[1, 2]")
    put(client, "loan-1", "LoanAskedFor", {"amount": 1})
    put(client, "loan-2", "LoanAskedFor", {"amount": 1})
    put(client, "payment-untimed", "PaymentInitiated", {"amount": 1})
    put(client, "payment-untimed", "PaymentInitiated", {"amount": "x" * 10_000, "payment_id": None})
    put(client, "payment-odd", "\U0001f4b0 ", {"": {"a": [None]}, "timestamp": "not a time"})
    client.append_event("payment-meta", current_version=ANY, event=NewEvent("A", b"{}", b"oh"))
    append_cases(client, [good])
    watch(client)
    aside = [alert for alert in read_alerts(client) if alert.type == UNREADABLE]
    by_stream = Counter(alert.stream for alert in aside)
    assert by_stream[case.id] == 2 and by_stream["payment-meta"] == 1
    assert by_stream["loan"] == 1  # a category once, not each of its events
    assert all(alert.data["reason"] for alert in aside)
    untimed = [a.data["event_type"] for a in aside if "no time" in a.data["reason"]]
    assert "PaymentInitiated" in untimed and len(untimed) == len(set(untimed))
    assert any(alert.stream == good.id for alert in read_alerts(client) if alert.type == DETECTED)
    first = ids(read_alerts(client))
    client.delete_stream(f"watchdog_{MODEL}", current_version=ANY)
    watch(client)
    assert ids(read_alerts(client)) == first


def test_a_time_in_the_future_makes_nothing_overdue(client):
    append_cases(client, firm()[750:760])
    put(client, "payment-late", "PaymentInitiated", {"timestamp": "2999-01-01T00:00:00+00:00"})
    dog = watch(client)
    (aside,) = [a for a in read_alerts(client) if a.type == UNREADABLE]
    assert aside.stream == "payment-late" and "lies after" in aside.data["reason"]
    assert dog.watched.alerts[OVERDUE] <= 2


def test_deleted_and_truncated_streams_do_not_stop_it(client):
    cases = [case for case in traffic(16) if len(case.events) > 3]
    append_cases(client, [replace(case, events=case.events[:2]) for case in cases])
    dog = watchdog(client)
    watch(client)
    client.delete_stream(cases[0].id, current_version=ANY)
    client.tombstone_stream(cases[1].id, current_version=ANY)
    client.set_stream_metadata(cases[2].id, metadata={"$tb": 1})
    for case in cases[2:]:
        for n in range(2, len(case.events)):
            append(client, case, n)
    put(client, cases[0].id, cases[0].types[2], {"timestamp": "2025-06-01T00:00:00+00:00"})
    dog.run(until_caught_up=True)
    assert dog.watched.records >= sum(len(case.events) - 2 for case in cases[2:])


def test_a_stream_deleted_before_it_was_judged_is_reported(client):
    case = traffic(1)[0]
    append_cases(client, [case])
    client.tombstone_stream(case.id, current_version=ANY)
    client.set_stream_metadata("payment-cut", metadata={"$tb": 5})
    watch(client, cases=1)
    assert not [a for a in read_alerts(client) if a.type == OVERDUE]


def test_a_database_that_goes_away_is_waited_for(tmp_path):
    events = in_order(traffic(30))
    server = EmbeddedKurrentDB(tmp_path / "store").start()
    port, uri = server.port, server.uri
    half = len(events) // 2
    with KurrentDBClient(uri) as ours, KurrentDBClient(uri) as client:
        with running(dog := watchdog(ours)):
            for case, n in events[:half]:
                append(client, case, n)
            until(lambda: dog.watched.records >= half)
            server.stop()
            until(lambda: dog.watched.interruptions > 0)
            time.sleep(OUTAGE_S)
            server = EmbeddedKurrentDB(tmp_path / "store", port).start()
            until(lambda: answers(client), patience=60)  # gRPC, too, waits ever longer
            for case, n in events[half:]:
                append(client, case, n)
            ids_of = {case.id for case, _ in events}
            last = max(client.get_stream(name)[-1].commit_position for name in ids_of)
            state = Checkpoints(
                client, f"watchdog_{MODEL}"
            )  # records may be read again: not counted
            until(lambda: (state.latest().position or 0) >= last, patience=60)
        expected = ids(watchdog(client).replay(commit_position(client)))
        assert ids(read_alerts(client)) == expected
    server.stop()


def answers(client: KurrentDBClient) -> bool:
    try:
        return commit_position(client) > 0
    except AWAY:
        return False


def test_two_watchdogs_of_one_model_do_not_confuse_each_other(client):
    with running(watchdog(client), watchdog(client)):
        append_cases(client, cases := traffic(30))
        last = max(client.get_stream(case.id)[-1].commit_position for case in cases)
        state = Checkpoints(client, f"watchdog_{MODEL}")
        until(lambda: (state.latest().position or 0) >= last)
    expected = ids(watchdog(client).replay(commit_position(client)))
    assert ids(read_alerts(client)) == expected


# Checkpoints


def test_a_checkpoint_comes_back_with_all_that_is_open(client):
    from datetime import UTC, datetime, timedelta

    now = datetime(2025, 1, 1, tzinfo=UTC)
    waiting = Deadlines()
    checkpoint = Checkpoint(7, 3, now, waiting)
    writer = Checkpoints(client, "watchdog_x")
    writer.latest()
    expected = {}
    for n in range(3 * WHOLE):
        stream = f"a-{n % 7}"
        due = Deadline(now + timedelta(hours=n), stream, n, 10 * n) if n % 3 else None
        waiting.set(stream, due)
        expected = {**expected, stream: due}
        checkpoint.position = n
        writer.write(checkpoint)
        if n % 7 == 0:
            again = Checkpoints(client, "watchdog_x").latest()
            assert again.deadlines.open == {s: d for s, d in expected.items() if d}
            assert (again.position, again.start, again.now) == (n, 3, now)


# How fast


def test_an_alert_is_there_soon_after_its_event(client):
    case = anomalous("skipped step")
    known = detector()
    limit = known.threshold(case.category)
    scores = known.scorer.score_cases([case])[0]
    strange = next(
        i for i, score in enumerate(scores) if known.usual.event(case.category, score) > limit
    )
    for n in range(strange):
        append(client, case, n)
    with running(dog := watchdog(client)):
        until(lambda: dog.watched.records == strange)
        began = time.perf_counter()
        append(client, case, strange)
        until(lambda: AlertStreams(client).of(case.id))
        took = time.perf_counter() - began
        until(lambda: dog.watched.records == strange + 1)
    assert took < 10.0, f"{took:.3f} s"  # a few hundredths, on a machine that is not busy
    assert len(dog.watched.latencies) == strange + 1


@pytest.mark.parametrize("name", ["", "a-b", "a b", "ü-"])
def test_a_model_needs_a_name_that_makes_no_category(client, name):
    with pytest.raises(ValueError, match="cannot name a model"):
        Watchdog(client, detector(), name)


def test_a_group_needs_a_worker(client):
    with pytest.raises(ValueError, match="name of this worker"):
        watchdog(client).run(group="dogs")


def test_ids_are_the_same_for_ever(client):
    """They are in people's databases: a change would double every alert."""
    from procutils.alerts import identity

    assert identity("m", "payment-1", 3, DETECTED) == UUID("13b95364-559f-54d1-ba15-b326caef61f3")


def test_a_deleted_stream_of_checkpoints_begins_anew_even_with_the_same_words(client):
    for _ in range(2):
        writer = Checkpoints(client, "watchdog_y")
        assert writer.latest().position is None
        writer.write(Checkpoint(position=5))
        writer.write(Checkpoint(position=6))
        assert Checkpoints(client, "watchdog_y").latest().position == 6
        client.delete_stream("watchdog_y", current_version=ANY)
