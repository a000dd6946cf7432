"""What follows from alerts: reviews and thresholds, evidence, suggestions, the compliance view."""

import json
from collections import Counter
from copy import copy
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from random import Random

import pytest
from kurrentdbclient import KurrentDBClient
from scipy.stats import betabinom
from watchdog_setup import ALPHA, MODEL, append, detector, firm, running, traffic, until

from procutils.alerts import CONFIRMED, DETECTED, DISMISSED, OVERDUE, existing, read_alerts
from procutils.cases import END, Case, Event
from procutils.compliance import BYPASSED, MISSED, SKIPPED, alert_table, violations
from procutils.deadlines import deadline, learn_whole_lives, turns
from procutils.encoded_baselines import EncodedNGram
from procutils.feedback import Thresholds, confirm, dismiss, stream_of
from procutils.finance.anomalies import inject
from procutils.following import Rescored
from procutils.investigation import Investigator
from procutils.plots import violations_by_week
from procutils.store import append_cases, commit_position
from procutils.suggestions import Step, Trigger, suggest
from procutils.watchdog import Watchdog
from procutils.words import delay_word


def watch(client: KurrentDBClient, **more) -> Watchdog:
    dog = Watchdog(client, detector(), MODEL, **{"clock": "log", **more})
    dog.run(until_caught_up=True)
    return dog


def alerts(client: KurrentDBClient, type_: str) -> list:
    return [alert for alert in read_alerts(client) if alert.type == type_]


# Reviews


def test_dismissing_raises_the_threshold_and_says_why(client):
    append_cases(client, traffic(30))
    watch(client)
    alert = max(alerts(client, DETECTED), key=lambda a: a.data["surprise"])
    category = alert.stream.partition("-")[0]
    other = next(name for name in detector().ranks if name != category)
    changed = dismiss(client, detector(), alert, "ann", "only a test")
    assert changed["before"] == detector().threshold(category) <= changed["after"]
    (record,) = existing(client, stream_of(MODEL))
    (decision,) = alerts(client, DISMISSED)
    metadata = json.loads(record.metadata)
    assert metadata["$causationId"] == str(decision.id)
    assert decision.metadata["$causationId"] == str(alert.id)
    assert (changed["alert"], changed["by"]) == (str(alert.id), "ann")
    known = Thresholds(client, MODEL, detector())
    now, later = known.at(record.commit_position), known.at(record.commit_position + 1)
    assert (now.threshold(category), later.threshold(category)) == (
        changed["before"],
        changed["after"],
    )
    assert later.threshold(other) == detector().threshold(other)
    assert later.p_value(category, alert.data["surprise"]) > alert.data["p_value"]


def test_a_dismissal_counts_for_what_comes_after_it_and_a_replay_knows(client):
    payments = [case for case in firm()[750:] if case.category == "payment"]
    rng = Random(3)
    twice = [found.case for case in payments if (found := inject(case, "repeated", rng))]
    append_cases(client, twice[:8])
    watch(client)
    for alert in alerts(client, DETECTED):
        changed = dismiss(client, detector(), alert, "ann")
    assert changed["after"] > detector().threshold("payment")
    append_cases(client, twice[8:16])
    watch(client)
    written = {alert.id for alert in alerts(client, DETECTED)}
    rehearsed = Watchdog(client, detector(), MODEL).replay(commit_position(client))
    assert {alert.id for alert in rehearsed if alert.type == DETECTED} == written
    without = Watchdog(client, detector(), "other").replay(commit_position(client))
    assert len([a for a in without if a.type == DETECTED]) > len(written)


def test_a_review_is_made_once(client):
    append_cases(client, traffic(20))
    watch(client)
    first, second, *_ = alerts(client, DETECTED)
    confirm(client, first, "ann")
    confirm(client, first, "ben")
    with pytest.raises(ValueError, match=r"was decided by ann already: AnomalyConfirmed"):
        dismiss(client, detector(), first, "ben")
    assert dismiss(client, detector(), second, "ann") == dismiss(client, detector(), second, "cy")
    with pytest.raises(ValueError, match="decided by ann"):
        confirm(client, second, "cy")
    assert len(alerts(client, CONFIRMED)) == len(alerts(client, DISMISSED)) == 1
    assert len(existing(client, stream_of(MODEL))) == 1
    with pytest.raises(ValueError, match="nothing to review"):
        confirm(client, alerts(client, CONFIRMED)[0], "ann")


def test_a_dismissed_silence_makes_deadlines_later(client):
    append_cases(client, traffic(40))
    watch(client)
    alert = max(alerts(client, OVERDUE), key=lambda a: a.data["surprise"])
    changed = dismiss(client, detector(), alert, "ann")
    assert changed["of"] == "silence" and changed["before"] < changed["after"]
    append_cases(client, traffic(40, first=850))
    dog = watch(client)
    known = Thresholds(client, MODEL, detector()).at(commit_position(client) + 1)
    category = alert.stream.partition("-")[0]
    later = [a for a in alerts(client, OVERDUE) if a.data["commit_position"] > alert_end(client)]
    assert all(
        a.data["surprise"] > changed["after"] for a in later if a.stream.startswith(category)
    )
    assert dog.watched.records and known.ranks == detector().ranks


def alert_end(client: KurrentDBClient) -> int:
    return existing(client, stream_of(MODEL))[-1].commit_position


# Deadlines


def test_turns_are_where_the_word_for_a_delay_changes():
    start = firm()[3].events[0].at
    moments = turns(start)
    assert moments == sorted(moments)
    for moment in moments:
        before = delay_word(start, moment - timedelta(seconds=1))
        assert delay_word(start, moment) != before
    words = {delay_word(start, start + timedelta(seconds=s)) for s in range(0, 70 * 86_400, 1_800)}
    assert {delay_word(start, moment) for moment in moments} | {"instantly"} >= words


def test_a_deadline_is_the_first_moment_that_is_too_silent():
    known = detector()
    checked = 0
    for case in firm()[750:800]:
        running_case = Case(case.id, case.events[:1])
        following = Rescored(known.scorer, running_case)
        last = running_case.events[-1].at
        due = deadline(known, case.category, following, last)
        for moment in turns(last):
            silent = known.check_silence(running_case, moment).is_anomaly
            assert silent == (due is not None and moment >= due)
            checked += silent
    assert checked > 0


def test_no_more_normal_cases_are_ever_overdue_than_promised():
    known = copy(detector())
    learn_whole_lives(known, firm()[300:750])
    fresh = firm()[750:]
    for category in known.silences:
        late, of_category = 0, [case for case in fresh if case.category == category]
        for case in of_category:
            following = Rescored(known.scorer, Case(case.id, []))
            for event, after in pairwise(case.events):
                following.add(event)
                due = deadline(known, category, following, event.at)
                if due is not None and after.at > due:
                    late += 1
                    break
        n = len(known.silences[category])
        k = int(ALPHA * (n + 1))
        assert late <= betabinom(len(of_category), k, n + 1 - k).ppf(0.9999)


def test_of_whole_lives_only_the_strangest_silences_are_computed(reading):
    def strangest(case: Case) -> float:
        before = [(Case(case.id, case.events[:n]), e.at) for n, e in enumerate(case.events) if n]
        seen = [
            (short, at - timedelta(seconds=1))
            for short, at in before
            if at - short.events[-1].at > timedelta(seconds=1)
        ]
        return max((-log_p for log_p in reading.scorer.silences(seen)), default=0.0)

    known, asked = copy(reading), []
    known.scorer = copy(reading.scorer)
    known.scorer.silences = lambda seen: asked.extend(seen) or reading.scorer.silences(seen)
    cases = [case for case in firm()[300:750] if case.category in ("payment", "risk")]
    learn_whole_lives(known, cases)
    assert len(asked) < sum(len(case.events) - 1 for case in cases) / 2
    for category, stored in known.silences.items():
        exact = sorted(strangest(case) for case in cases if case.category == category)
        decide = int(ALPHA * (len(exact) + 1))
        assert stored[-decide:] == pytest.approx(exact[-decide:])
        assert all(bound >= value - 1e-9 for bound, value in zip(stored, exact, strict=True))


def test_without_silences_there_is_no_deadline(client):
    known = detector()
    other = type(known)(known.scorer, known.usual, known.ranks, {}, known.normal, ALPHA)
    append_cases(client, traffic(20))
    Watchdog(client, other, MODEL, clock="log").run(until_caught_up=True)
    assert alerts(client, DETECTED) and not alerts(client, OVERDUE)


def test_by_the_wall_clock_what_was_recorded_late_was_overdue(client):
    """Events of long ago that are all recorded now: each came after its deadline."""
    case = max(firm()[750:800], key=lambda case: len(case.events))
    for n in range(len(case.events)):
        append(client, case, n)
    dog = Watchdog(client, detector(), MODEL)
    with running(dog):
        until(lambda: dog.watched.records == len(case.events))
        until(lambda: dog.watched.alerts[OVERDUE] > 0)
    late = alerts(client, OVERDUE)
    assert len(late) > 1
    again = Watchdog(client, detector(), "again")
    again.run(until_caught_up=True)
    by_us = {a.position for a in late if a.data["model"] == MODEL}
    assert by_us >= {a.position for a in alerts(client, OVERDUE) if a.data["model"] == "again"}


# Evidence


def misrouted(client: KurrentDBClient, metadata: dict) -> tuple[Case, Case, dict]:
    """An event of one case lands in the stream of another: (where it belongs, where it went)."""
    payment = next(c for c in firm()[750:] if c.category == "payment" and len(c.events) > 4)
    trade = next(c for c in firm()[760:] if c.category == "trade" and len(c.events) > 4)
    at = max(payment.events[1].at, trade.events[2].at) + timedelta(seconds=9)
    stray = replace(payment.events[2], at=at, metadata=metadata)
    append_cases(client, [c for c in firm()[600:640] if c.category in ("payment", "account")])
    append_cases(client, [replace(payment, events=payment.events[:2])])
    append_cases(client, [replace(trade, events=[*trade.events[:3], stray])])
    watch(client)
    (alert,) = [a for a in alerts(client, DETECTED) if a.stream == trade.id]
    return payment, trade, alert.data


def test_a_misrouted_event_names_the_case_it_belongs_to_by_its_id(client):
    payment, _, said = misrouted(client, {})
    assert said["kind"] == "foreign event"
    first, *_ = said["evidence"]["belongs_to"]
    assert first["stream"] == payment.id
    assert first["because"].startswith("payment_id = ")
    assert first["probability"] > 0.1


def test_a_misrouted_event_names_the_case_it_belongs_to_by_correlation(client):
    payment = next(c for c in firm()[750:] if c.category == "payment" and len(c.events) > 4)
    _, _, said = misrouted(client, {"$correlationId": payment.id})
    first, *_ = said["evidence"]["belongs_to"]
    assert (first["stream"], first["because"]) == (payment.id, "its correlation id")


def test_without_any_id_it_names_cases_that_were_waiting(client):
    payment = next(c for c in firm()[750:] if c.category == "payment" and len(c.events) > 4)
    append_cases(client, [replace(payment, events=payment.events[:2])])
    stray = Event(payment.types[2], {}, payment.events[2].at)
    trade = Case("trade-x", [stray])
    append_cases(client, [firm()[600]])  # as of this one, which is later
    (candidate,) = Investigator(client, detector(), commit_position(client)).belongs_to(
        trade, stray
    )
    assert candidate.stream == payment.id and candidate.probability > 0.05


# Suggestions


@pytest.fixture(scope="module")
def reading():
    """A detector whose scorer reads times and fields as well."""
    from procutils.detector import Detector

    scorer = EncodedNGram(3).fit(firm()[:300])
    return Detector.calibrate(scorer, firm()[300:750], ALPHA)


def test_suggestions_say_what_when_and_with_what_data(reading):
    filled = due = 0
    for case in firm()[750:790]:
        for n in range(1, len(case.events)):
            so_far = Case(case.id, case.events[:n])
            found = suggest(reading, so_far, 3)
            assert [s.probability for s in found] == sorted(
                (s.probability for s in found), reverse=True
            )
            came = next((s for s in found if s.type == case.types[n]), None)
            if came is not None and came.data and came.probability > 0.5:
                known = case.events[n].data
                shared = came.data.keys() & known.keys()
                filled += sum(came.data[name] == known[name] for name in shared)
                filled -= 5 * sum(came.data[name] != known[name] for name in shared)
            if came is not None and came.latest is not None:
                due += case.events[n].at <= came.latest
                assert so_far.events[-1].at < came.by <= came.latest
            assert all(s.by is None and not s.data for s in found if s.type == END)
    assert filled > 30 and due > 50


def test_a_scorer_without_times_suggests_types_only():
    case = Case(firm()[750].id, firm()[750].events[:1])
    assert all(s.by is s.latest is None and s.data == {} for s in suggest(detector(), case))
    with pytest.raises(ValueError, match="no events yet"):
        suggest(detector(), Case("payment-1", []))


def test_triggers_are_called_once_per_event_above_their_certainty(client):
    told: list[Step] = []
    append_cases(client, cases := traffic(20))
    trigger = Trigger(0.9, told.append)
    for _ in range(2):  # the second time there is nothing new
        watch(client, triggers=[trigger])
    assert len({step.id for step in told}) == len(told) > 10
    by_id = {case.id: case for case in cases}
    for step in told:
        case = by_id[step.stream]
        so_far = Case(case.id, case.events[: step.position])
        (type_, p), *_ = detector().scorer.next_events(so_far, 1)
        assert (step.type, step.probability) == (type_, p) and p >= 0.9


# The compliance view


def test_violations_are_counted_by_process_and_week(client):
    payment = next(case for case in firm()[750:] if "PaymentApproved" in case.types)
    unapproved = [event for event in payment.events if event.type != "PaymentApproved"]
    cases = [case for case in traffic(40) if case.id != payment.id]
    append_cases(client, [*cases, replace(payment, events=unapproved)])
    watch(client)
    found = read_alerts(client)
    table = violations(found)
    assert list(table.columns) == [SKIPPED, BYPASSED, MISSED]
    assert table.index.names == ["process", "week"]
    assert all(isinstance(week, date) and week.weekday() == 0 for _, week in table.index)
    assert (table.sum() > 0).all()
    late = [a for a in found if a.type == OVERDUE or a.data.get("kind") == "too late"]
    assert table[MISSED].sum() == len(late)
    bypassed = [a for a in found if any("Approv" in t for t in a.data.get("missing", ()))]
    assert bypassed
    dismiss(client, detector(), bypassed[0], "ann")
    fewer = violations(read_alerts(client))
    assert fewer[BYPASSED].sum() == table[BYPASSED].sum() - 1
    status = Counter(alert_table(read_alerts(client))["status"])
    assert status["dismissed"] == 1 and status["resolved"] > 0 and status["open"] > 0
    figure = violations_by_week(table)
    assert len(figure.axes) == table.index.get_level_values("process").nunique()


def test_no_alerts_make_an_empty_table():
    table = violations([])
    assert table.empty and list(table.columns) == [SKIPPED, BYPASSED, MISSED]
    with pytest.raises(ValueError, match="nothing to draw"):
        violations_by_week(table)
