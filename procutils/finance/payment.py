"""Payments: the amount decides who must approve."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from procutils.cases import END
from procutils.finance import payment_events as make
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
from procutils.finance.grammar import History, Step, When, actor, payload, timing
from procutils.finance.payment_events import approvers, network, required
from procutils.finance.process import Process


def execution(h: History) -> str:
    return h.the(PaymentExecuted).status


def is_fully_approved(h: History) -> bool:
    return len(approvers(h)) == required(h)


def takes_time(h: History, e: Any, at: datetime) -> bool:
    """Whoever decides on a request has read it."""
    if not h.count(PaymentPendingApproval):
        return True
    return (at - h.now).total_seconds() >= make.LEAST_APPROVAL_SECONDS


PAYMENT = Process(
    "payment",
    key="payment_id",
    constant=("account_id", "amount", "beneficiary_id"),
    steps=[
        Step(
            PaymentInitiated,
            make.initiated,
            {PaymentValidated: 0.94, PaymentRejected: 0.06},
            (payload("amount", "it is positive", lambda h, e, at: e.amount > 0),),
        ),
        Step(
            PaymentValidated,
            make.validated,
            {
                PaymentPendingApproval: When(
                    lambda h: required(h) > 0,
                    f"if the amount is {make.SINGLE_LIMIT:,} or more",
                    0.95,
                    "payload",
                ),
                PaymentExecuted: When(
                    lambda h: required(h) == 0,
                    f"if the amount is below {make.SINGLE_LIMIT:,}",
                    0.95,
                    "payload",
                ),
                PaymentRejected: 0.05,
            },
        ),
        Step(
            PaymentPendingApproval,
            make.pending,
            {
                PaymentApproved: 0.88,
                PaymentRejected: lambda h: 0.06 if required(h) == 1 else 0.12,
            },
            (
                payload(
                    "required_approvers",
                    f"one from {make.SINGLE_LIMIT:,}, two from {make.DUAL_LIMIT:,}",
                    lambda h, e, at: e.required_approvers == required(h),
                ),
                payload(
                    "approval_level",
                    "it says how many must approve",
                    lambda h, e, at: (e.approval_level == "dual") == (required(h) == 2),
                ),
                payload(
                    "current_approvals",
                    "it counts the approvals so far",
                    lambda h, e, at: e.current_approvals == len(approvers(h)),
                ),
            ),
        ),
        Step(
            PaymentApproved,
            make.approved,
            {
                PaymentExecuted: When(
                    is_fully_approved, "if all who must approve have", tier="payload"
                ),
                PaymentApproved: When(
                    lambda h: not is_fully_approved(h),
                    f"if the amount is {make.DUAL_LIMIT:,} or more, and once",
                    0.7,
                    "payload",
                ),
                PaymentPendingApproval: When(
                    lambda h: not is_fully_approved(h) and h.count(PaymentPendingApproval) == 1,
                    "while another must approve, and once",
                    0.2,
                ),
                PaymentRejected: When(
                    lambda h: not is_fully_approved(h), "while another must approve", 0.1
                ),
            },
            (
                actor(
                    "approver_id",
                    "two different people approve",
                    lambda h, e, at: e.approver_id not in approvers(h),
                ),
                payload(
                    "approval_level",
                    "approvals are counted from 1",
                    lambda h, e, at: e.approval_level == len(approvers(h)) + 1,
                ),
                timing(
                    "timestamp",
                    f"an approval takes {make.LEAST_APPROVAL_SECONDS} seconds or more",
                    takes_time,
                ),
            ),
        ),
        Step(
            PaymentRejected,
            make.rejected,
            {END: 1.0},
            (
                actor(
                    "rejector_id",
                    "whoever approved does not reject",
                    lambda h, e, at: e.rejector_id not in approvers(h),
                ),
                timing(
                    "timestamp",
                    f"a decision takes {make.LEAST_APPROVAL_SECONDS} seconds or more",
                    takes_time,
                ),
            ),
        ),
        Step(
            PaymentExecuted,
            make.executed,
            {
                PaymentCompleted: When(
                    lambda h: execution(h) != "failed",
                    "if the execution has not failed",
                    lambda h: 0.96 if execution(h) == "sent" else 0.85,
                    "payload",
                ),
                PaymentFailed: lambda h: {"sent": 0.04, "pending": 0.15, "failed": 0.5}[
                    execution(h)
                ],
                PaymentExecuted: When(
                    lambda h: execution(h) == "failed" and h.count(PaymentExecuted) == 1,
                    "if the first execution failed",
                    0.5,
                ),
            },
            (
                payload(
                    "network",
                    "it is the network for this type and currency",
                    lambda h, e, at: e.network == network(h),
                ),
            ),
        ),
        Step(
            PaymentCompleted,
            make.completed,
            {END: 1.0},
            (
                payload(
                    "final_amount",
                    "what arrives is what was sent",
                    lambda h, e, at: e.final_amount == h.the(PaymentInitiated).amount,
                ),
                payload(
                    "fees",
                    "they are those of the network",
                    lambda h, e, at: e.fees == make.FEES[network(h)],
                ),
            ),
        ),
        Step(
            PaymentFailed,
            make.failed,
            {END: 1.0},
            (
                payload(
                    "failure_code",
                    "the code is that of the reason",
                    lambda h, e, at: e.failure_code == make.FAILURE_CODES[e.failure_reason],
                ),
            ),
        ),
    ],
)
