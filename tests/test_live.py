"""Live traffic, a watchdog process that is killed, and the figure that follows it."""

import json
import pickle
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from watchdog_setup import MODEL, detector, firm

from procutils import live
from procutils.alerts import OVERDUE, read_alerts
from procutils.cases import Case
from procutils.finance.processes import PROCESSES
from procutils.finance.traffic import ASKS, STRAY, WRONG, live_traffic
from procutils.plots import watched_cases
from procutils.runs import Run
from procutils.store import append_cases, commit_position, read_cases
from procutils.watchdog import Watchdog
from procutils.watching import model_id

START = datetime(2025, 9, 1, tzinfo=UTC)


def drawn(tag: str = "live1", wrong: int = 6) -> list:
    return live_traffic(7, 30, wrong, tag, START)


def test_traffic_is_the_same_but_for_its_names():
    one, other = drawn("live1"), drawn("live22")
    for mine, theirs in zip(one, other, strict=True):
        assert mine.wrong == theirs.wrong
        assert mine.case.id.replace("live1-", "live22-") == theirs.case.id
        text = json.dumps([[e.type, e.data, e.metadata, str(e.at)] for e in mine.case.events])
        again = json.dumps([[e.type, e.data, e.metadata, str(e.at)] for e in theirs.case.events])
        assert text.replace("live1-", "live22-") == again


def test_names_are_changed_in_the_data_too():
    for one in drawn(wrong=0):
        first = one.case.events[0]
        assert first.data[PROCESSES[one.case.category].key] == one.case.id.partition("-")[2]
        assert "live1-" in first.metadata.get("$correlationId", "live1-")


def test_the_grammar_refuses_what_is_wrong_and_nothing_else():
    found = drawn()
    assert sorted(one.wrong for one in found if one.wrong) == sorted(
        kind.replace("_", " ") for kind in WRONG
    )
    for one in found:
        refused = PROCESSES[one.case.category].accepts(one.case)
        assert bool(refused) == (one.wrong not in (None, "late")), one


def test_a_misrouted_event_comes_a_moment_before_its_own():
    found = {one.case.id: one for one in drawn()}
    (stray_case,) = [one.case for one in found.values() if one.wrong == "misrouted"]
    foreign = [e for e in stray_case.events if e.type not in PROCESSES[stray_case.category].types]
    (stray,) = foreign
    owner = found[stray.metadata["$correlationId"]].case
    assert any(
        own.type == stray.type and own.data == stray.data and own.at - stray.at == STRAY
        for own in owner.events
    )


def test_a_late_approval_comes_whole_weeks_later_and_a_stopped_one_never():
    normal = {one.case.id: one.case for one in drawn(wrong=0)}
    for one in drawn():
        if one.wrong == "late":
            shifts = {
                later.at - event.at
                for later, event in zip(one.case.events, normal[one.case.id].events, strict=True)
            }
            assert timedelta(0) in shifts and len(shifts) == 2
            assert all(shift % timedelta(weeks=1) == timedelta(0) for shift in shifts)
        if one.wrong == "stopped":
            assert one.case.types[-1] == ASKS


def test_too_many_anomalies_are_refused():
    with pytest.raises(ValueError, match="take more cases"):
        live_traffic(7, 2, 3, "live", START)


def test_traffic_is_sent_in_parts_and_cleared_away(client):
    append_cases(client, firm()[:5])
    begin = commit_position(client)
    cases = [one.case for one in drawn()]
    events = sum(len(case.events) for case in cases)
    sender = live.Traffic(client, cases, per_second=5_000)
    sender.send(20)
    sender.wait()
    assert sender.appended == 20 == sum(len(c.events) for c in live.live_cases(client, begin))
    sender.send(events)
    sender.wait()
    assert not sender.coming and sender.appended == events
    there = {case.id: case.types for case in live.live_cases(client, begin)}
    assert there == {case.id: case.types for case in cases}
    assert live.clear(client, begin) == len(cases)
    assert live.live_cases(client, begin) == [] and live.clear(client, begin) == 0
    left = {case.id for name in PROCESSES for case in read_cases(client, name)}
    assert left == {case.id for case in firm()[:5]}


def test_a_folder_is_a_model_of_its_own_each_time(tmp_path):
    run = Run.open(tmp_path)
    run.model.mkdir()
    detector().save(run.model)
    first = model_id(live.prepare(run, detector(), 5))
    second = model_id(live.prepare(run, detector(), 6))
    assert len({first, second, model_id(run.model)}) == 3


def test_a_watchdog_process_is_killed_and_goes_on(server, client, tmp_path):
    """With the counting detector in place of the language model, which takes long to load."""
    begin = commit_position(client)
    uri, stored = server.uri, tmp_path / "detector"
    stored.write_bytes(pickle.dumps(detector()))
    setup = Path(__file__).with_name("watchdog_setup.py")
    command = [sys.executable, str(setup), uri, str(stored)]
    process = live.Process(MODEL, command, tmp_path / "log")
    assert process.start() > 0
    cases = [one.case for one in drawn()]
    sender = live.Traffic(client, cases, per_second=300)
    sender.send(1_000)
    live.follow(sender, process, client, lambda _: None, 0.02, lambda: sender.appended > 60)
    assert process.kill() == -9
    process.start()
    seen = []
    live.follow(sender, process, client, seen.append, 0.1)
    assert process.stop() == 0
    assert seen == sorted(seen)
    found = Counter(alert.id for alert in read_alerts(client))
    dog = Watchdog(client, detector(), MODEL)
    expected = Counter(alert.id for alert in dog.replay(commit_position(client)))
    assert found == expected and found
    screen = live.Screen()
    picture = watched_cases(live.live_cases(client, begin), seen[-1], read_alerts(client))
    assert "alerts" in picture.axes[0].get_title(loc="left")
    assert len(picture.axes[0].get_yticklabels()) == len(cases)
    screen.show(picture)
    assert not plt.fignum_exists(picture.number)
    assert any(alert.type == OVERDUE for alert in read_alerts(client))


def test_a_process_that_cannot_begin_says_why(tmp_path):
    (tmp_path / "model").mkdir()
    process = live.Process.watch(tmp_path / "model", tmp_path, 0)
    with pytest.raises(RuntimeError, match="05_anomaly_benchmark first"):
        process.start()


def test_rows_may_wait_for_cases_that_have_not_come():
    case = Case("trade-y", [replace(e, position=n) for n, e in enumerate(firm()[0].events)])
    picture = watched_cases([case], 0, [], ["trade-x", case.id])
    assert len(picture.axes[0].get_yticklabels()) == 2
    assert picture.axes[0].get_title(loc="left").startswith(f"1 of {len(case.events)} events")
    assert watched_cases([], 0, [], ["trade-x"]).axes[0].get_title(loc="left").startswith("0 of 0")
    plt.close("all")
