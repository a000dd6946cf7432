"""The graded benchmark: every anomaly is one, for the reason it says, and nothing else is wrong."""

from __future__ import annotations

import random
from collections import Counter
from copy import deepcopy
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procutils.cases import Case
from procutils.finance.anomalies import KINDS, PROTOTYPE_KINDS, Injection, graded, inject
from procutils.finance.anomaly_order import passes_for_normal
from procutils.finance.calendar import add_business_days, is_business_day
from procutils.finance.changes import in_hours
from procutils.finance.grammar import TIERS
from procutils.finance.payment_events import DUAL_LIMIT, SINGLE_LIMIT
from procutils.finance.processes import PROCESSES, simulate
from procutils.finance.risk_events import ACKNOWLEDGE_WITHIN
from procutils.finance.waiting import is_overdue, longest_wait
from procutils.silence import young

CASES = simulate(seed=11, cases=1_000, rate=1.0)
PER_TIER = 120
UNTOUCHED = deepcopy(CASES)
INJECTIONS = graded(CASES, PER_TIER, seed=5)

REQUIRED = {
    "structure": {"foreign", "skipped", "swapped", "repeated", "premature_end"},
    "memory": {"done_again", "returned", "step_missing"},
    "payload": {
        "approval_bypassed",
        "wrong_approval_level",
        "under_the_limit_twice",
        "fills_do_not_add_up",
        "booked_unlike_filled",
        "outcome_against_decision",
        "severity_unlike_breach",
    },
    "actor": {"same_approver", "raiser_reviews", "stranger_resolves"},
    "time": {
        "settled_early",
        "settled_late",
        "review_overdue",
        "approved_in_seconds",
        "acknowledged_late",
    },
    "silence": {"overdue", "stopped"},
}


def of(*kinds: str) -> list[Injection]:
    found = [injection for injection in INJECTIONS if injection.kind in kinds]
    assert found
    return found


def of_tiers(*tiers: str) -> list[Injection]:
    return [injection for injection in INJECTIONS if injection.tier in tiers]


def delays(case: Case) -> list[timedelta]:
    return [b.at - a.at for a, b in zip(case.events, case.events[1:], strict=False)]


# The selection


def test_every_kind_has_its_tier_and_occurs():
    for tier, names in REQUIRED.items():
        assert names <= {kind.name for kind in KINDS.values() if kind.tier == tier}
    assert {injection.kind for injection in INJECTIONS} == set(KINDS)
    for kind in KINDS.values():
        assert kind.says.endswith(".") and "\n" not in kind.says


def test_tiers_kinds_and_processes_are_drawn_evenly():
    assert Counter(i.tier for i in INJECTIONS) == dict.fromkeys(TIERS, PER_TIER)
    for tier in ("structure", "silence", "time"):
        counts = Counter(i.kind for i in of_tiers(tier)).values()
        assert max(counts) - min(counts) <= 1
    for tier in ("structure", "silence"):
        assert set(Counter(i.case.category for i in of_tiers(tier)).values()) == {PER_TIER // 5}
    for tier in ("memory", "payload"):
        assert {i.case.category for i in of_tiers(tier)} == set(PROCESSES)
    for tier in TIERS:
        ids = [injection.case.id for injection in of_tiers(tier)]
        assert len(set(ids)) == len(ids)


def test_the_seed_and_the_cases_decide_alone():
    few = simulate(seed=2, cases=150)
    same = graded(few, 10, seed=1)
    assert graded(few[::-1], 10, seed=1) == same
    assert graded(few, 10, seed=2) != same


def test_too_few_cases_are_refused():
    with pytest.raises(ValueError, match=r"20 cases give .* anomalies of the tier .*, not 50"):
        graded(CASES[:20], 50, seed=1)


def test_the_originals_are_normal_and_untouched():
    assert CASES == UNTOUCHED
    assert all(injection.original in CASES for injection in INJECTIONS[:: PER_TIER // 10])
    for injection in INJECTIONS:
        assert injection.case.id == injection.original.id
        assert PROCESSES[injection.case.category].accepts(injection.original) is None


# The proof


@given(st.integers(0, len(CASES) - 1), st.sampled_from(sorted(KINDS)), st.integers())
@settings(max_examples=500, deadline=None)
def test_every_injection_is_rejected_for_its_reason(number, kind, seed):
    case = CASES[number]
    injection = inject(case, kind, random.Random(seed))
    if injection is None:
        return
    assert injection == inject(case, kind, random.Random(seed))
    assert case == UNTOUCHED[number] and injection.original is case
    changed, reason, process = injection.case, injection.reason, PROCESSES[case.category]
    if injection.tier == "silence":
        assert is_overdue(changed, injection.seen_at) == reason
    else:
        assert process.accepts(changed) == reason and injection.seen_at is None
    same = injection.position - (kind == "opened_unapproved")  # what was decided is changed there
    assert changed.events[:same] == case.events[:same]
    times = [event.at for event in changed.events]
    assert times == sorted(set(times))
    if kind not in PROTOTYPE_KINDS:
        assert (reason.tier, reason.position) == (injection.tier, injection.position)
        assert reason.field in (injection.wrong or {None}) or reason.tier == "silence"


def test_in_the_benchmark_the_reason_is_of_the_tier_of_the_kind():
    assert all(injection.reason.tier == injection.tier for injection in INJECTIONS)
    for injection in of_tiers("structure", "memory"):
        assert injection.reason.is_order and injection.field is None


def test_two_neighbours_show_structure_and_nothing_else():
    assert not any(passes_for_normal(injection.case) for injection in of_tiers("structure"))
    assert all(
        passes_for_normal(injection.case)
        for injection in of_tiers("memory", "payload", "actor", "time")
    )


def test_what_is_wrong_is_what_differs_from_the_original():
    for injection in of_tiers("payload", "actor"):
        if not injection.wrong:
            assert injection.reason.is_order
            continue
        at, case, original = injection.position, injection.case, injection.original
        now, before = case.events[at].data, original.events[at].data
        assert {name for name in now if now[name] != before[name]} == set(injection.wrong)
        for name, right in injection.wrong.items():
            assert right in (None, before[name])
        assert [event.at for event in case.events] == [event.at for event in original.events]
        assert case.types == original.types
        if injection.tier == "payload":
            assert case.events[at + 1 :] == original.events[at + 1 :]


def test_the_right_value_makes_the_case_normal_again():
    mended = 0
    for injection in of_tiers("payload", "actor"):
        if injection.expected is None or injection.kind == "owner_passed_over":
            continue
        events, at = list(injection.case.events), injection.position
        data = events[at].data | injection.wrong
        assert Case(injection.case.id, events).events[at].data != data
        events[at] = type(events[at])(events[at].type, data, events[at].at, events[at].metadata)
        assert PROCESSES[injection.case.category].accepts(Case(injection.case.id, events)) is None
        mended += 1
    assert mended > PER_TIER / 2


# The tiers


def test_a_repeated_event_is_the_same_again_soon():
    for injection in of("repeated"):
        first, second = injection.case.events[injection.position - 1 : injection.position + 1]
        assert (first.type, first.data) == (second.type, second.data)
        assert timedelta(0) < second.at - first.at < timedelta(minutes=2)
        others = [e for n, e in enumerate(injection.case.events) if n != injection.position]
        assert others == injection.original.events


def test_a_premature_end_leaves_a_beginning_that_normal_cases_continue():
    for injection in of("premature_end"):
        size = len(injection.case.events)
        assert injection.case.events == injection.original.events[:size]
        assert injection.position == size < len(injection.original.events)
        assert PROCESSES[injection.case.category].next_events(injection.case.events)


def test_steps_that_come_again_keep_their_delays():
    for injection in of("done_again", "returned"):
        case, original, at = injection.case, injection.original, injection.position
        extra = len(case.events) - len(original.events)
        assert (extra == 1) == (injection.kind == "done_again")
        assert case.types[at : at + extra] == case.types[at - extra : at]
        assert delays(case)[at - 1 : at - 1 + extra] == delays(case)[at - 1 - extra : at - 1]
        kept = case.events[:at] + case.events[at + extra :]
        assert [e.data for e in kept] == [e.data for e in original.events]


def test_a_payment_that_goes_under_the_limit():
    for injection in of("under_the_limit_twice"):
        completed = injection.case.events[injection.position]
        amount = injection.case.events[0].data["amount"]
        assert any(0.9 * limit <= amount < limit for limit in (SINGLE_LIMIT, DUAL_LIMIT))
        assert completed.data["final_amount"] == pytest.approx(2 * amount)
        assert injection.expected == amount
    for injection in of("approval_bypassed"):
        assert injection.case.types[injection.position] == "PaymentExecuted"
        assert "PaymentApproved" not in injection.case.types
        assert injection.original.events[0].data["amount"] >= SINGLE_LIMIT
    for injection in of("second_approval_missing"):
        assert injection.case.types.count("PaymentApproved") == 1
        assert injection.original.events[0].data["amount"] >= DUAL_LIMIT


def test_a_person_is_replaced_in_all_that_they_go_on_doing():
    for injection in of("raiser_reviews"):
        events, at = injection.case.events, injection.position
        raiser = next(e for e in events if e.type == "ComplianceFlagRaised").data["raised_by"]
        assert events[at].data["reviewer_id"] == raiser
        assert not any(
            injection.original.events[at].data["reviewer_id"] in event.data.values()
            for event in events
        )


def test_only_one_delay_is_wrong_and_clearly_so():
    for injection in of_tiers("time"):
        case, original, at = injection.case, injection.original, injection.position
        now, before = delays(case), delays(original)
        assert [n for n in range(len(now)) if now[n] != before[n]] == [at - 1]
        assert [e.data for e in case.events] == [e.data for e in original.events]
        assert injection.field == "timestamp"
        for changed, event in zip(case.events, original.events, strict=True):
            assert in_hours(changed.at) or not in_hours(event.at)
        process = PROCESSES[case.category]
        assert process.accepts(case, given=at + 1) is None

        event, wait = case.events[at], now[at - 1]
        if injection.kind == "approved_in_seconds":
            assert timedelta(seconds=2) <= wait <= timedelta(seconds=50)
        elif injection.kind == "acknowledged_late":
            assert wait >= 3 * ACKNOWLEDGE_WITHIN[case.events[at - 1].data["severity"]]
        elif injection.kind == "review_overdue":
            assigned = [e for e in case.events[:at] if e.type == "ComplianceReviewAssigned"]
            due = date.fromisoformat(assigned[-1].data["due_date"])
            assert event.at.date() >= add_business_days(due, 1)
        else:
            booked = next(e for e in case.events if e.type == "TradeBooked")
            due = date.fromisoformat(booked.data["settlement_date"])
            assert event.data["settlement_status"] == "settled"
            assert is_business_day(event.at.date()) and injection.expected == due.isoformat()
            early = injection.kind == "settled_early"
            assert event.at.date() < due if early else event.at.date() > due


# Silence


def test_a_silent_case_has_waited_longer_than_the_process_ever_does():
    for injection in of_tiers("silence"):
        case, size = injection.case, len(injection.case.events)
        assert case.events == injection.original.events[:size]
        assert injection.position == size < len(injection.original.events)
        waited = injection.seen_at - case.events[-1].at
        assert waited > longest_wait(case) * (1 if injection.kind == "overdue" else 5)
        assert injection.original.events[size].at < injection.seen_at
        assert "silence" in str(injection.reason)


def test_a_young_case_is_as_it_was_at_that_moment():
    rng = random.Random(1)
    for case in CASES[:300]:
        running, now = young(case, rng)
        size = len(running.events)
        assert running.id == case.id and running.events == case.events[:size]
        assert 0 < size < len(case.events)
        assert running.events[-1].at <= now < case.events[size].at


def test_a_case_that_waits_as_normal_ones_do_is_not_overdue():
    rng = random.Random(2)
    for case in CASES[:250]:
        running, now = young(case, rng)
        assert is_overdue(running, now) is None
        assert is_overdue(running, case.events[len(running.events)].at) is None


def test_a_case_that_may_have_ended_is_never_overdue():
    case = next(case for case in CASES if case.types[-1] == "PaymentCompleted")
    assert longest_wait(case) is None
    assert is_overdue(case, case.events[-1].at + timedelta(days=10_000)) is None
    broken = Case(case.id, case.events[1:])
    with pytest.raises(ValueError, match="is not valid up to here"):
        longest_wait(broken)
