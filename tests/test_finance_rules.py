"""Every declared check is broken once, and the violation names its field and its tier."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procutils.cases import Case, Event
from procutils.finance.grammar import TIERS
from procutils.finance.processes import PROCESSES, simulate

DAY = timedelta(days=1)


def other(event: Event, before: list[Event]) -> str:
    return "somebody-else"


def value(kind: str, field: str) -> Callable[[Event, list[Event]], object]:
    """The value that an earlier event of this type has in ``field``."""
    return lambda event, before: next(
        (e.data[field] for e in reversed(before) if e.type == kind), "nobody"
    )


def plus(field: str, amount: float = 1) -> Callable[[Event, list[Event]], object]:
    return lambda event, before: event.data[field] + amount


#: (event type, field, tier) → what to write into the field ("timestamp" is the time itself).
TAMPERED = {
    ("OrderSubmitted", "quantity", "payload"): 0.0,
    ("OrderSubmitted", "price", "payload"): None,
    ("OrderRejected", "rejection_code", "payload"): "R-999",
    ("OrderRouted", "routed_quantity", "payload"): plus("routed_quantity"),
    ("OrderPartiallyFilled", "filled_quantity", "payload"): plus("filled_quantity"),
    ("OrderPartiallyFilled", "fill_price", "payload"): lambda e, b: (
        e.data["fill_price"] * (2 if b[0].data["side"] == "buy" else 0.5)
    ),
    ("OrderPartiallyFilled", "venue", "payload"): lambda e, b: (
        "NYSE" if e.data["venue"] != "NYSE" else "NASDAQ"
    ),
    ("OrderFilled", "total_quantity", "payload"): plus("total_quantity"),
    ("OrderFilled", "total_fills", "payload"): plus("total_fills"),
    ("OrderFilled", "average_price", "payload"): lambda e, b: (
        e.data["average_price"] * (2 if b[0].data["side"] == "buy" else 0.5)
    ),
    ("OrderFilled", "venue", "payload"): lambda e, b: (
        "NYSE" if e.data["venue"] != "NYSE" else "NASDAQ"
    ),
    ("OrderCancelled", "filled_quantity", "payload"): plus("filled_quantity"),
    ("OrderCancelled", "cancelled_quantity", "payload"): plus("cancelled_quantity"),
    ("TradeBooked", "quantity", "payload"): plus("quantity"),
    ("TradeBooked", "price", "payload"): plus("price", 0.01),
    ("TradeBooked", "trade_date", "time"): "2024-12-31",
    ("TradeBooked", "settlement_date", "time"): "2024-12-31",
    ("TradeSettled", "settlement_status", "payload"): "settled",
    ("TradeSettled", "settled_quantity", "payload"): plus("settled_quantity"),
    ("TradeSettled", "settlement_amount", "payload"): plus("settlement_amount"),
    ("TradeSettled", "timestamp", "time"): 2 * DAY,
    ("TradeConfirmed", "confirmed", "payload"): False,
    ("PaymentInitiated", "amount", "payload"): -5.0,
    ("PaymentPendingApproval", "required_approvers", "payload"): plus("required_approvers"),
    ("PaymentPendingApproval", "approval_level", "payload"): lambda e, b: (
        "dual" if e.data["approval_level"] == "single" else "single"
    ),
    ("PaymentPendingApproval", "current_approvals", "payload"): plus("current_approvals"),
    ("PaymentApproved", "approver_id", "actor"): value("PaymentApproved", "approver_id"),
    ("PaymentApproved", "approval_level", "payload"): plus("approval_level"),
    ("PaymentApproved", "timestamp", "time"): timedelta(seconds=-1),
    ("PaymentRejected", "rejector_id", "actor"): value("PaymentApproved", "approver_id"),
    ("PaymentRejected", "timestamp", "time"): timedelta(seconds=-1),
    ("PaymentExecuted", "network", "payload"): lambda e, b: (
        "ach" if e.data["network"] != "ach" else "swift"
    ),
    ("PaymentCompleted", "final_amount", "payload"): plus("final_amount", 0.01),
    ("PaymentCompleted", "fees", "payload"): plus("fees"),
    ("PaymentFailed", "failure_code", "payload"): "F-999",
    ("RiskLimitBreached", "limit_value", "payload"): 0.0,
    ("RiskLimitBreached", "breach_percentage", "payload"): plus("breach_percentage"),
    ("RiskAlertCreated", "severity", "payload"): lambda e, b: (
        "low" if e.data["severity"] != "low" else "high"
    ),
    ("RiskAlertCreated", "alert_type", "payload"): lambda e, b: (
        "var_limit" if e.data["alert_type"] != "var_limit" else "loss_limit"
    ),
    ("RiskAlertAcknowledged", "acknowledged_by", "actor"): [
        other,
        value("RiskAlertAcknowledged", "acknowledged_by"),
    ],
    ("RiskAlertAcknowledged", "timestamp", "time"): DAY,
    ("RiskMitigationStarted", "action_type", "payload"): "trading_halt",
    ("RiskMitigationStarted", "target_reduction", "payload"): lambda e, b: (
        5.0 if e.data["target_reduction"] is None else None
    ),
    ("RiskMitigationCompleted", "mitigation_id", "payload"): other,
    ("RiskMitigationCompleted", "new_risk_value", "payload"): lambda e, b: (
        1e12 if e.data["result"] != "failed" else 0.0
    ),
    ("RiskAlertResolved", "resolution", "payload"): lambda e, b: (
        "mitigated" if e.data["resolution"] != "mitigated" else "accepted"
    ),
    ("RiskAlertResolved", "resolved_by", "actor"): other,
    ("ComplianceCheckTriggered", "trigger_type", "payload"): lambda e, b: (
        "trade" if e.data["trigger_type"] != "trade" else "periodic"
    ),
    ("ComplianceReviewAssigned", "reviewer_id", "actor"): [
        value("ComplianceFlagRaised", "raised_by"),
        value("ComplianceReviewAssigned", "reviewer_id"),
    ],
    ("ComplianceReviewAssigned", "priority", "payload"): lambda e, b: (
        "low" if e.data["priority"] != "low" else "urgent"
    ),
    ("ComplianceReviewAssigned", "due_date", "time"): "2024-12-31",
    ("ComplianceReviewCompleted", "reviewer_id", "actor"): other,
    ("ComplianceReviewCompleted", "decision", "payload"): "escalate",
    ("ComplianceReviewCompleted", "timestamp", "time"): 30 * DAY,
    ("ComplianceEscalated", "escalated_to", "payload"): lambda e, b: (
        "legal" if e.data["escalated_to"] != "legal" else "regulator"
    ),
    ("ComplianceCaseClosed", "outcome", "payload"): lambda e, b: (
        "sar" if e.data["outcome"] != "sar" else "no_action"
    ),
    ("ComplianceCaseClosed", "closed_by", "actor"): value(
        "ComplianceReviewCompleted", "reviewer_id"
    ),
    ("AccountKYCStarted", "documents_required", "payload"): lambda e, b: [],
    ("AccountDocumentReceived", "document_type", "payload"): "ownership_chart",
    ("AccountKYCCompleted", "kyc_status", "payload"): ["approved", "pending_info"],
    ("AccountOpened", "initial_status", "payload"): lambda e, b: (
        "active" if e.data["initial_status"] == "restricted" else "restricted"
    ),
    ("AccountFunded", "funding_amount", "payload"): 0.0,
    ("AccountStatusChanged", "old_status", "payload"): lambda e, b: (
        "suspended" if e.data["old_status"] != "suspended" else "active"
    ),
    ("AccountStatusChanged", "new_status", "payload"): lambda e, b: e.data["old_status"],
}
CHECKS = [
    (step.type, check)
    for process in PROCESSES.values()
    for step in process.steps.values()
    for check in step.checks
]


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return simulate(seed=3, cases=1_500)


def tamper(case: Case, position: int, field: str, change) -> Case:
    event, before = case.events[position], case.events[:position]
    if field == "timestamp":
        # A negative shift means: so long before the least time that a decision takes.
        least = timedelta(seconds=120)
        at = before[-1].at + least + change if change < timedelta(0) else event.at + change
        changed = replace(event, at=at)
    else:
        new = change(event, before) if callable(change) else change
        changed = replace(event, data=event.data | {field: new})
    return Case(case.id, [*before, changed, *case.events[position + 1 :]])


@pytest.mark.parametrize(
    ("kind", "check"), CHECKS, ids=[f"{kind}-{check.field}-{check.rule}" for kind, check in CHECKS]
)
def test_a_broken_rule_is_named(cases, kind, check):
    changes = TAMPERED[kind, check.field, check.tier]
    for change in changes if isinstance(changes, list) else [changes]:
        for case in cases:
            process = PROCESSES[case.category]
            for position in [n for n, name in enumerate(case.types) if name == kind]:
                violation = process.accepts(tamper(case, position, check.field, change))
                found = violation and (violation.position, violation.rule)
                if found == (position, check.rule):
                    assert violation.type == kind
                    assert (violation.field, violation.tier) == (check.field, check.tier)
                    assert not violation.is_order
                    assert check.rule in str(violation) and check.field in str(violation)
                    return
    pytest.fail("no tampered case was rejected for this rule")


@given(st.data())
@settings(max_examples=500, deadline=None)
def test_any_value_in_any_field_is_judged_without_an_error(data):
    category = data.draw(st.sampled_from(sorted(PROCESSES)))
    process, start = PROCESSES[category], datetime(2025, 1, 6, 9, tzinfo=UTC)
    case = process.simulate(Random(data.draw(st.integers())), start, "0123456789")
    position = data.draw(st.integers(0, len(case.events) - 1))
    field = data.draw(st.sampled_from(sorted(case.events[position].data)))
    known = [value for event in case.events for value in event.data.values()]
    change = data.draw(
        st.sampled_from(known) | st.sampled_from([None, 0, -1, 0.0, 1e300, "", "low", True, [], {}])
    )
    changed = tamper(case, position, field, lambda event, before: change)
    violation = process.accepts(changed)
    assert violation is None or violation.tier in TIERS
    scores = process.score(changed)
    assert len(scores) == len(case.events) + 1
    ends_too_early = violation is not None and violation.position == len(case.events)
    explained = violation is None or ends_too_early
    assert bool(process.next_events(changed.events)) == explained


def test_no_tampering_is_left_over():
    assert set(TAMPERED) == {(kind, check.field, check.tier) for kind, check in CHECKS}


def drop(case: Case, kind: str) -> Case:
    return Case(case.id, [event for event in case.events if event.type != kind])


def test_an_approval_that_is_missing_is_a_matter_of_the_amount(cases):
    large = next(c for c in cases if c.types.count("PaymentApproved") == 2)
    second = [n for n, name in enumerate(large.types) if name == "PaymentApproved"][-1]
    once = Case(large.id, large.events[:second] + large.events[second + 1 :])
    violation = PROCESSES["payment"].accepts(once)
    assert (violation.type, violation.tier, violation.is_order) == (
        large.types[second + 1],
        "payload",
        True,
    )
    bypassed = Case(large.id, [*large.events[:2], *large.events[second + 1 :]])
    violation = PROCESSES["payment"].accepts(bypassed)
    assert violation.tier == "payload" and "if the amount is below 10,000" in str(violation)


def test_order_is_told_from_memory(cases):
    payment = next(c for c in cases if c.types[-1] == "PaymentCompleted")
    violation = PROCESSES["payment"].accepts(drop(payment, "PaymentValidated"))
    assert (violation.tier, violation.position) == ("structure", 1)
    empty = PROCESSES["payment"].accepts(Case("payment-1", []))
    assert (empty.tier, empty.position) == ("structure", 0)

    trade = next(c for c in cases if c.types.count("OrderPartiallyFilled") == 3)
    third = trade.types.index("OrderPartiallyFilled") + 2
    fill = trade.events[third]
    rest = fill.data["remaining_quantity"]
    fourth = replace(
        fill,
        data=fill.data | {"filled_quantity": 1.0, "remaining_quantity": rest - 1},
        at=fill.at + timedelta(seconds=1),
    )
    events = [*trade.events[: third + 1], fourth, *trade.events[third + 1 :]]
    violation = PROCESSES["trade"].accepts(Case(trade.id, events))
    assert (violation.tier, violation.position) == ("memory", third + 1)


def test_time_that_stands_still_is_told(cases):
    case = next(c for c in cases if c.category == "risk")
    events = [case.events[0], replace(case.events[1], at=case.events[0].at), *case.events[2:]]
    violation = PROCESSES["risk"].accepts(Case(case.id, events))
    assert (violation.position, violation.field, violation.tier) == (1, "timestamp", "time")


def test_an_id_that_changes_on_the_way_is_told(cases):
    case = next(c for c in cases if "TradeSettled" in c.types)
    at = case.types.index("TradeBooked")
    booked = replace(case.events[at], data=case.events[at].data | {"account_id": "acct-1"})
    violation = PROCESSES["trade"].accepts(
        Case(case.id, [*case.events[:at], booked, *case.events[at + 1 :]])
    )
    assert (violation.field, violation.tier) == ("account_id", "payload")
