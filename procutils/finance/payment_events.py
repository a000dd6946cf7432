"""How the events of a payment come about, and what is known of it meanwhile."""

from __future__ import annotations

import random
from datetime import datetime

from procutils.finance.calendar import at_work, soon
from procutils.finance.events import (
    PaymentApproved,
    PaymentCompleted,
    PaymentExecuted,
    PaymentFailed,
    PaymentInitiated,
    PaymentPendingApproval,
    PaymentRejected,
    PaymentValidated,
)
from procutils.finance.firm import (
    ACCOUNTS,
    APPROVERS,
    BENEFICIARIES,
    SCREENERS,
    another,
    log_uniform,
)
from procutils.finance.grammar import History, pick

SINGLE_LIMIT, DUAL_LIMIT = 10_000, 100_000  # from here on one, and two, must approve
LEAST_APPROVAL_SECONDS = 120  # nobody reads a payment faster
FEES = {"swift": 25.0, "fedwire": 15.0, "ach": 1.0, "internal": 0.0}
FAILURE_CODES = {
    "insufficient_funds": "F-201",
    "invalid_account": "F-202",
    "network_error": "F-203",
}


def required(h: History) -> int:
    """How many people must approve this amount."""
    amount = h.the(PaymentInitiated).amount
    return (amount >= SINGLE_LIMIT) + (amount >= DUAL_LIMIT)


def approvers(h: History) -> list[str]:
    return [approval.approver_id for approval in h.all(PaymentApproved)]


def network(h: History) -> str:
    """The network that carries this kind of payment."""
    payment = h.the(PaymentInitiated)
    if payment.payment_type == "wire":
        return "fedwire" if payment.currency == "USD" else "swift"
    return payment.payment_type


def initiated(h: History, rng: random.Random) -> tuple[PaymentInitiated, datetime]:
    amount = log_uniform(rng, 500, 1_500_000)
    if rng.random() < 0.12:  # people like to stay just below a limit
        amount = rng.choice([SINGLE_LIMIT, DUAL_LIMIT]) * rng.uniform(0.95, 0.9999)
    event = PaymentInitiated(
        payment_id=h.key,
        account_id=rng.choice(ACCOUNTS),
        amount=round(amount, 2),
        currency=pick(rng, {"USD": 0.7, "EUR": 0.2, "GBP": 0.1}),
        payment_type=pick(rng, {"wire": 0.5, "ach": 0.3, "internal": 0.2}),
        beneficiary_id=rng.choice(BENEFICIARIES),
    )
    return event, h.now


def validated(h: History, rng: random.Random) -> tuple[PaymentValidated, datetime]:
    checks = ["balance_check", "sanctions_check", "limit_check"]
    event = PaymentValidated(payment_id=h.key, validation_checks=checks)
    return event, soon(rng, h.now, median=15, most=300)


def pending(h: History, rng: random.Random) -> tuple[PaymentPendingApproval, datetime]:
    event = PaymentPendingApproval(
        payment_id=h.key,
        amount=h.the(PaymentInitiated).amount,
        approval_level="single" if required(h) == 1 else "dual",
        required_approvers=required(h),
        current_approvals=len(approvers(h)),
    )
    return event, soon(rng, h.now, median=20, most=300)


def decision_time(h: History, rng: random.Random) -> datetime:
    return at_work(rng, h.now, median=2 * 3_600, least=LEAST_APPROVAL_SECONDS, most=8 * 3_600)


def approved(h: History, rng: random.Random) -> tuple[PaymentApproved, datetime]:
    event = PaymentApproved(
        payment_id=h.key,
        approver_id=another(rng, APPROVERS, *approvers(h)),
        approval_level=len(approvers(h)) + 1,
    )
    return event, decision_time(h, rng)


def rejected(h: History, rng: random.Random) -> tuple[PaymentRejected, datetime]:
    asked = h.count(PaymentPendingApproval) > 0
    event = PaymentRejected(
        payment_id=h.key,
        rejector_id=another(rng, APPROVERS if asked else SCREENERS, *approvers(h)),
        rejection_reason=pick(
            rng,
            {"missing_documents": 0.5, "suspected_duplicate": 0.3, "limit_exceeded": 0.2}
            if asked
            else {"sanctions_match": 0.5, "limit_exceeded": 0.3, "suspected_duplicate": 0.2},
        ),
    )
    if asked:
        return event, decision_time(h, rng)
    return event, at_work(rng, h.now, median=1_200, least=30)


def executed(h: History, rng: random.Random) -> tuple[PaymentExecuted, datetime]:
    retry = h.count(PaymentExecuted)
    event = PaymentExecuted(
        payment_id=h.key,
        execution_ref=f"execution-{h.key}-{retry + 1}",
        network=network(h),
        status=pick(rng, {"sent": 0.7, "pending": 0.18, "failed": 0.12}),
    )
    return event, soon(rng, h.now, median=600 if retry else 90, most=3_600)


def completed(h: History, rng: random.Random) -> tuple[PaymentCompleted, datetime]:
    event = PaymentCompleted(
        payment_id=h.key,
        completion_ref=f"completion-{h.key}",
        final_amount=h.the(PaymentInitiated).amount,
        fees=FEES[network(h)],
    )
    return event, settlement_time(h, rng)


def settlement_time(h: History, rng: random.Random) -> datetime:
    """Internal payments take seconds, wires an hour or two, ACH a business day."""
    carrier = network(h)
    if carrier == "internal":
        return soon(rng, h.now, median=20, most=300)
    median = 9 * 3_600 if carrier == "ach" else 3_600
    return at_work(rng, h.now, median=median, least=60)


def failed(h: History, rng: random.Random) -> tuple[PaymentFailed, datetime]:
    refused = h.the(PaymentExecuted).status == "failed"
    reason = pick(
        rng,
        {"network_error": 0.7, "invalid_account": 0.2, "insufficient_funds": 0.1}
        if refused
        else {"insufficient_funds": 0.5, "invalid_account": 0.4, "network_error": 0.1},
    )
    event = PaymentFailed(
        payment_id=h.key, failure_reason=reason, failure_code=FAILURE_CODES[reason]
    )
    return event, settlement_time(h, rng)
