"""Anomalies of payload: what one event says does not fit what others said.

The event types of all these cases follow each other as in normal ones. Each kind yields changes in
random order, some of which may not have the effect; the proof decides.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from procutils.cases import Case
from procutils.finance.changes import (
    Change,
    latest,
    misfits,
    places,
    shuffled,
    vocabulary,
    with_values,
    without,
)
from procutils.finance.events import (
    AccountKYCCompleted,
    AccountOpened,
    ComplianceCaseClosed,
    ComplianceReviewAssigned,
    OrderFilled,
    OrderPartiallyFilled,
    OrderSubmitted,
    PaymentApproved,
    PaymentCompleted,
    PaymentInitiated,
    PaymentPendingApproval,
    RiskAlertCreated,
    RiskAlertResolved,
    RiskLimitBreached,
    RiskMitigationStarted,
    TradeBooked,
)
from procutils.finance.payment_events import DUAL_LIMIT, SINGLE_LIMIT
from procutils.finance.risk_events import severity_of

LEVELS = {"single": 1, "dual": 2}  # approval level → approvers
FACTORS = (0.5, 0.8, 1.25, 2.0)  # wrong quantities, as shares of the right ones
CLOSE = 0.9  # an amount above this share of a limit is just below it


def approval_bypassed(case: Case, rng: random.Random) -> Iterator[Change]:
    """A payment that needs approval is executed without any."""
    if asked := places(case, rng, PaymentPendingApproval):
        approved = [n for n in places(case, rng, PaymentApproved) if n + 1 < len(case.events)]
        for position in shuffled(approved, rng):
            yield from without(case, min(asked), position + 1)


def second_approval_missing(case: Case, rng: random.Random) -> Iterator[Change]:
    """A payment that needs two approvals is executed after one."""
    approved = sorted(places(case, rng, PaymentApproved))
    if len(approved) == 2 and approved[1] + 1 < len(case.events):
        yield from without(case, approved[0] + 1, approved[1] + 1)


def wrong_approval_level(case: Case, rng: random.Random) -> Iterator[Change]:
    """One approval is asked for where the amount needs two, or two where it needs one."""
    for position in places(case, rng, PaymentPendingApproval):
        level = "single" if case.events[position].data["approval_level"] == "dual" else "dual"
        values = {"approval_level": level, "required_approvers": LEVELS[level]}
        yield with_values(case, position, **values)


def amount_understated(case: Case, rng: random.Random) -> Iterator[Change]:
    """One approval is asked for, showing an amount just below the limit instead of the true one."""
    for position in places(case, rng, PaymentPendingApproval):
        if case.events[position].data["required_approvers"] == LEVELS["dual"]:
            yield with_values(
                case,
                position,
                amount=round(DUAL_LIMIT * rng.uniform(CLOSE, 0.9999), 2),
                approval_level="single",
                required_approvers=LEVELS["single"],
            )


def under_the_limit_twice(case: Case, rng: random.Random) -> Iterator[Change]:
    """An amount just below a limit is approved once, but sent twice: a payment that was split."""
    for position in places(case, rng, PaymentCompleted):
        amount = latest(case, PaymentInitiated, position).data["amount"]
        if any(CLOSE * limit <= amount < limit for limit in (SINGLE_LIMIT, DUAL_LIMIT)):
            yield with_values(case, position, final_amount=round(2 * amount, 2))


def fills_do_not_add_up(case: Case, rng: random.Random) -> Iterator[Change]:
    """A fill reports a quantity with which the fills do not add up to the order."""
    for position in places(case, rng, OrderPartiallyFilled, OrderFilled):
        partial = case.types[position] == OrderPartiallyFilled.__name__
        field = "filled_quantity" if partial else "total_quantity"
        quantity = float(round(case.events[position].data[field] * rng.choice(FACTORS)))
        yield with_values(case, position, **{field: quantity})


def booked_unlike_filled(case: Case, rng: random.Random) -> Iterator[Change]:
    """Another quantity is booked than was filled: what was ordered, if that differs."""
    for position in places(case, rng, TradeBooked):
        filled = case.events[position].data["quantity"]
        ordered = latest(case, OrderSubmitted, position).data["quantity"]
        wrong = ordered if ordered != filled else float(round(filled * rng.choice(FACTORS)))
        yield with_values(case, position, quantity=wrong)


def limit_broken(case: Case, rng: random.Random) -> Iterator[Change]:
    """A limit order trades 5 to 15 percent beyond its limit."""
    for position in places(case, rng, OrderPartiallyFilled, OrderFilled):
        order = latest(case, OrderSubmitted, position).data
        if order["order_type"] == "limit":
            partial = case.types[position] == OrderPartiallyFilled.__name__
            worse = rng.uniform(0.05, 0.15) * (1 if order["side"] == "buy" else -1)
            field, price = "fill_price" if partial else "average_price", order["price"]
            # Any price within the limit would be right.
            yield with_values(
                case, position, several=True, **{field: round(price * (1 + worse), 2)}
            )


def severity_unlike_breach(case: Case, rng: random.Random) -> Iterator[Change]:
    """An alert has a severity that no breach within a fifth of its own would have."""
    for position in places(case, rng, RiskAlertCreated):
        breach = latest(case, RiskLimitBreached, position).data["breach_percentage"]
        near = {severity_of(breach * share) for share in (0.8, 1.0, 1.2)}
        for change in misfits(case, position, "severity", rng):
            if change.events[position].data["severity"] not in near:
                yield change


def halted_without_need(case: Case, rng: random.Random) -> Iterator[Change]:
    """Trading is halted although the alert is not critical."""
    for position in places(case, rng, RiskMitigationStarted):
        if case.events[position].data["target_reduction"] is None:
            yield with_values(case, position, action_type="trading_halt")


def resolution_against_result(case: Case, rng: random.Random) -> Iterator[Change]:
    """An alert is resolved in a way that does not fit what was done about it."""
    for position in places(case, rng, RiskAlertResolved):
        yield from misfits(case, position, "resolution", rng)


def outcome_against_decision(case: Case, rng: random.Random) -> Iterator[Change]:
    """A compliance case is closed with an outcome that its review does not allow."""
    for position in places(case, rng, ComplianceCaseClosed):
        yield from misfits(case, position, "outcome", rng)


def priority_unlike_severity(case: Case, rng: random.Random) -> Iterator[Change]:
    """A review gets a priority that the severity of its flag has not."""
    for position in places(case, rng, ComplianceReviewAssigned):
        yield from misfits(case, position, "priority", rng)


def opened_unapproved(case: Case, rng: random.Random) -> Iterator[Change]:
    """An account is opened although the check of its owner ended otherwise than in approval."""
    for position in places(case, rng, AccountOpened):
        if case.types[position - 1] == AccountKYCCompleted.__name__:
            words = vocabulary(case.events[position - 1], "kyc_status")
            for word in shuffled(words, rng):
                events = with_values(case, position - 1, kyc_status=word).events
                yield Change(events, position)


def status_unlike_rating(case: Case, rng: random.Random) -> Iterator[Change]:
    """An account starts with the status that the other risk ratings have."""
    for position in places(case, rng, AccountOpened):
        yield from misfits(case, position, "initial_status", rng)


PAYLOAD = (
    approval_bypassed,
    second_approval_missing,
    wrong_approval_level,
    amount_understated,
    under_the_limit_twice,
    fills_do_not_add_up,
    booked_unlike_filled,
    limit_broken,
    severity_unlike_breach,
    halted_without_need,
    resolution_against_result,
    outcome_against_decision,
    priority_unlike_severity,
    opened_unapproved,
    status_unlike_rating,
)
