"""The five processes: what they simulate, they accept, and they do so the same way every time."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import random
import subprocess
import sys
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procutils.cases import END, Case
from procutils.finance.calendar import add_business_days, is_business_day
from procutils.finance.events import EVENT_TYPES
from procutils.finance.process import IMPOSSIBLE
from procutils.finance.processes import PROCESSES, simulate
from procutils.finance.schema import misfit, shape

categories = st.sampled_from(sorted(PROCESSES))
moments = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def draw(category: str, seed: int, start: datetime = datetime(2025, 1, 6, 9, tzinfo=UTC)) -> Case:
    return PROCESSES[category].simulate(random.Random(seed), start, "0123456789")


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return simulate(seed=7, cases=2_000)


def events_of(cases: list[Case], kind: str) -> list:
    return [event for case in cases for event in case.events if event.type == kind]


# Shape ----------------------------------------------------------------------------------------


def test_there_are_38_event_types_and_the_time_is_no_field():
    assert len(EVENT_TYPES) == 38
    assert sorted(t for p in PROCESSES.values() for t in p.types) == sorted(EVENT_TYPES)
    assert not any("timestamp" in shape(kind) for kind in EVENT_TYPES.values())


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount": "many"}, "amount"),
        ({"amount": True}, "amount"),
        ({"amount": float("nan")}, "amount"),
        ({"currency": "JPY"}, "currency"),
        ({"surprise": 1}, "surprise"),
        ({"amount": None}, "amount"),
    ],
)
def test_data_of_the_wrong_shape_is_named(change, field):
    data = draw("payment", 1).events[0].data
    kind = EVENT_TYPES["PaymentInitiated"]
    assert misfit(kind, data) is None
    assert misfit(kind, json.loads(json.dumps(data))) is None
    assert misfit(kind, data | change)[0] == field
    del data["amount"]
    assert misfit(kind, data) == ("amount", "a required field is present")


# What is simulated ----------------------------------------------------------------------------


def test_every_event_type_occurs(cases):
    assert {event.type for case in cases for event in case.events} == set(EVENT_TYPES)


def test_every_process_comes_about_equally_often(cases):
    counts = Counter(case.category for case in cases)
    assert all(abs(counts[name] - 400) < 80 for name in PROCESSES)


def test_weights_choose_the_processes():
    assert {c.category for c in simulate(1, 50, weights={"risk": 1, "trade": 3})} == {
        "risk",
        "trade",
    }
    with pytest.raises(ValueError, match="unknown process 'loan'"):
        simulate(1, 5, weights={"loan": 1})
    with pytest.raises(ValueError, match="rate is 0"):
        simulate(1, 5, rate=0)


def test_most_cases_take_few_ways_and_a_few_take_many(cases):
    for name in PROCESSES:
        mine = [case.types for case in cases if case.category == name]
        counts = [count for _, count in Counter(mine).most_common()]
        assert len(counts) >= 10
        assert sum(counts[:5]) / len(mine) > 0.4
        assert counts[len(counts) // 2] / len(mine) < 0.03


@given(categories, st.integers(), moments)
@settings(max_examples=300, deadline=None)
def test_what_is_simulated_is_accepted(category, seed, start):
    case = draw(category, seed, start.replace(microsecond=0))
    assert PROCESSES[category].accepts(case) is None
    assert len(case.events) <= 20


@given(categories, st.integers())
@settings(max_examples=200, deadline=None)
def test_next_events_is_a_distribution_that_allows_what_came(category, seed):
    process, case = PROCESSES[category], draw(category, seed)
    predictions = process.predictions(case)
    assert len(predictions) == len(case.events) + 1
    for position, (kind, p) in enumerate(zip((*case.types, END), predictions, strict=True)):
        assert sum(p.values()) == pytest.approx(1)
        assert p[kind] > 0 and min(p.values()) > 0
        assert process.next_events(case.events[:position]) == p


@given(categories, st.integers())
@settings(max_examples=100, deadline=None)
def test_a_case_that_stops_is_accepted_only_where_it_may_end(category, seed):
    process, case = PROCESSES[category], draw(category, seed)
    for length in range(len(case.events)):
        stopped = Case(case.id, case.events[:length])
        violation, p = process.accepts(stopped), process.next_events(stopped.events)
        assert (violation is None) == (END in p)
        if violation is not None:
            assert (violation.position, violation.type) == (length, END) and violation.is_order


def test_nothing_follows_a_violation():
    process, case = PROCESSES["payment"], draw("payment", 3)
    broken = Case(case.id, [case.events[1], case.events[0], *case.events[2:]])
    assert process.next_events(broken.events) == {}
    scores = process.score(broken)
    assert [score.type for score in scores] == [*broken.types, END]
    assert all(score.surprisal > 27 for score in scores) and IMPOSSIBLE == 1e-12
    assert "event 1, PaymentValidated" in str(process.accepts(broken))


def test_a_case_keeps_its_id():
    case = draw("trade", 3)
    violation = PROCESSES["trade"].accepts(Case("trade-other", case.events))
    assert (violation.field, violation.tier) == ("order_id", "payload")


def test_the_map_holds_what_is_declared():
    for process in PROCESSES.values():
        edges = process.edges()
        assert {source for source, _ in edges} == set(process.types)
        for source in process.types:
            shares = [share for (tail, _), share in edges.items() if tail == source]
            assert sum(shares) == pytest.approx(1)


# Determinism ----------------------------------------------------------------------------------

LOG = """
import hashlib, json
from procutils.finance.processes import simulate
log = [[c.id, [[e.type, e.data, e.at.isoformat(), e.metadata] for e in c.events]]
       for c in simulate(11, 200)]
print(hashlib.sha256(json.dumps(log).encode()).hexdigest())
"""


def test_the_same_seed_gives_the_same_bytes_in_any_process():
    digests = set()
    for hash_seed in ("0", "1"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", LOG], env=environment, capture_output=True, text=True, check=True
        )
        digests.add(run.stdout.strip())
    assert len(digests) == 1 and len(digests.pop()) == hashlib.sha256().digest_size * 2


def test_a_case_does_not_depend_on_those_after_it_but_on_the_seed():
    assert simulate(5, 30) == simulate(5, 90)[:30]
    ids = {case.id for case in simulate(5, 90)} & {case.id for case in simulate(6, 90)}
    assert not ids


# What each process must hold --------------------------------------------------------------------


def test_cases_arrive_in_business_hours_and_overlap(cases):
    starts = [case.events[0].at for case in cases]
    assert starts == sorted(starts)
    assert all(is_business_day(at.date()) and 8 <= at.hour <= 18 for at in starts)
    in_flight = [sum(c.events[0].at <= at <= c.events[-1].at for c in cases) for at in starts[500:]]
    assert min(in_flight) > 20


def test_time_moves_on_in_whole_seconds(cases):
    for case in cases:
        times = [event.at for event in case.events]
        assert all(a < b for a, b in itertools.pairwise(times))
        assert all(at.utcoffset() == timedelta(0) and at.microsecond == 0 for at in times)


def test_the_amount_decides_how_many_different_people_approve(cases):
    bands = Counter()
    for case in cases:
        if case.types[-1:] != ("PaymentCompleted",):
            continue
        amount = case.events[0].data["amount"]
        required = 0 if amount < 10_000 else 1 if amount < 100_000 else 2
        people = [e.data["approver_id"] for e in case.events if e.type == "PaymentApproved"]
        assert len(people) == len(set(people)) == required
        bands[required] += 1
    assert min(bands.values()) > 30 and set(bands) == {0, 1, 2}
    amounts = [event.data["amount"] for event in events_of(cases, "PaymentInitiated")]
    assert sum(9_500 <= amount < 10_000 for amount in amounts) > 10


def test_quantities_add_up(cases):
    cancelled_after_a_fill = 0
    for case in cases:
        last = {event.type: event.data for event in case.events}
        if "TradeBooked" not in last:
            continue
        fills = [e.data["filled_quantity"] for e in case.events if e.type == "OrderPartiallyFilled"]
        ordered, booked = last["OrderSubmitted"]["quantity"], last["TradeBooked"]["quantity"]
        if "OrderCancelled" in last:
            cancelled_after_a_fill += 1
            assert booked == sum(fills) == ordered - last["OrderCancelled"]["cancelled_quantity"]
        else:
            assert booked == ordered == last["OrderFilled"]["total_quantity"]
        attempts = [e.data for e in case.events if e.type == "TradeSettled"]
        settled = sum(attempt["settled_quantity"] for attempt in attempts)
        assert settled == booked or attempts[-1]["settlement_status"] == "failed"
    assert cancelled_after_a_fill > 0


def test_settlement_is_two_business_days_after_booking_or_declared_otherwise(cases):
    statuses = Counter()
    for case in cases:
        booked = next((e for e in case.events if e.type == "TradeBooked"), None)
        for settled in [e for e in case.events if e.type == "TradeSettled"]:
            due = date.fromisoformat(booked.data["settlement_date"])
            assert due == add_business_days(booked.at.date(), 2)
            status = settled.data["settlement_status"]
            statuses[status] += 1
            assert settled.at.date() == due or status in ("late", "failed")
    assert set(statuses) == {"settled", "late", "failed", "partial"}
    assert statuses["settled"] > 0.7 * statuses.total()


def test_alerts_are_acknowledged_by_severity(cases):
    limits = {"critical": 15, "high": 60, "medium": 240, "low": 1440}  # minutes
    seen = set()
    for case in cases:
        for created, after in itertools.pairwise(case.events):
            if (created.type, after.type) == ("RiskAlertCreated", "RiskAlertAcknowledged"):
                severity = created.data["severity"]
                assert after.at - created.at <= timedelta(minutes=limits[severity])
                seen.add(severity)
    assert seen == set(limits)


def test_reviews_are_due_by_priority_and_done_by_others(cases):
    days = {"urgent": 1, "high": 2, "medium": 5, "low": 10}
    seen = set()
    for case in cases:
        last = {}
        for event in case.events:
            if event.type == "ComplianceReviewAssigned":
                due = add_business_days(event.at.date(), days[event.data["priority"]])
                assert event.data["due_date"] == due.isoformat()
                raiser = last["ComplianceFlagRaised"].data["raised_by"]
                assert event.data["reviewer_id"] != raiser
                seen.add(event.data["priority"])
            if event.type == "ComplianceReviewCompleted":
                assigned = last["ComplianceReviewAssigned"].data
                assert event.data["reviewer_id"] == assigned["reviewer_id"]
                assert event.at.date().isoformat() <= assigned["due_date"]
            last[event.type] = event
    assert seen == set(days)


def test_a_compliance_check_names_the_case_that_it_is_about(cases):
    by_id = {case.id: case for case in cases}
    about = Counter()
    for case in cases:
        correlations = {event.metadata.get("$correlationId") for event in case.events}
        if case.category != "compliance":
            assert correlations == {None}
            continue
        check = case.events[0]
        if check.data["entity_type"] == "counterparty":
            assert correlations == {None}
            continue
        subject = f"{check.data['entity_type']}-{check.data['entity_id']}"
        assert correlations == {subject}
        assert by_id[subject].events[0].at < check.at
        about[check.data["entity_type"]] += 1
    assert set(about) == {"trade", "payment", "account"}


def test_documents_follow_the_applicant_and_rejected_ones_are_asked_for_again(cases):
    brought, again = Counter(), 0
    for case in cases:
        if case.category != "account":
            continue
        documents = [e.data for e in case.events if e.type == "AccountDocumentReceived"]
        required = next(e.data for e in case.events if e.type == "AccountKYCStarted")
        brought[len(required["documents_required"])] += 1
        assert {d["document_type"] for d in documents} <= set(required["documents_required"])
        again += any(d["document_status"] == "rejected" for d in documents[:-1])
    assert set(brought) == {1, 2, 3, 4} and again > 20
