"""Compliance checks: flags are reviewed in time, by somebody else than who raised them."""

from __future__ import annotations

from datetime import datetime

from procutils.cases import END
from procutils.finance import compliance_events as make
from procutils.finance.compliance_events import (
    is_under_review,
    may_escalate,
    reviewers,
    severity,
)
from procutils.finance.events import (
    ComplianceCaseClosed,
    ComplianceCheckPassed,
    ComplianceCheckTriggered,
    ComplianceEscalated,
    ComplianceFlagRaised,
    ComplianceReviewAssigned,
    ComplianceReviewCompleted,
)
from procutils.finance.grammar import History, Step, When, actor, payload, timing
from procutils.finance.process import Process

TRIGGERS = {
    "trade": {"trade"},
    "payment": {"payment"},
    "account": {"account_change", "periodic"},
    "counterparty": {"periodic"},
}


def flagged(h: History) -> float:
    odds = {"payment": 0.45, "trade": 0.35, "account": 0.4, "counterparty": 0.5}
    return odds[h.the(ComplianceCheckTriggered).entity_type]


def decision(h: History) -> str:
    return h.the(ComplianceReviewCompleted).decision


def in_time(h: History, e: ComplianceReviewCompleted, at: datetime) -> bool:
    return at.date().isoformat() <= h.the(ComplianceReviewAssigned).due_date


COMPLIANCE = Process(
    "compliance",
    key="check_id",
    constant=("flag_id",),
    steps=[
        Step(
            ComplianceCheckTriggered,
            make.triggered,
            {ComplianceCheckPassed: lambda h: 1 - flagged(h), ComplianceFlagRaised: flagged},
            (
                payload(
                    "trigger_type",
                    "it fits what the check is about",
                    lambda h, e, at: e.trigger_type in TRIGGERS[e.entity_type],
                ),
            ),
        ),
        Step(ComplianceCheckPassed, make.passed, {END: 1.0}),
        Step(
            ComplianceFlagRaised,
            make.raised,
            {
                ComplianceReviewAssigned: 0.8,
                ComplianceEscalated: When(
                    lambda h: severity(h) == "critical", "if it is critical", 0.2, "payload"
                ),
            },
        ),
        Step(
            ComplianceReviewAssigned,
            make.assigned,
            {
                ComplianceReviewCompleted: 0.78,
                ComplianceEscalated: When(
                    may_escalate,
                    f"up to {len(make.LEVELS)} times",
                    lambda h: 0.06 if severity(h) == "low" else 0.14,
                ),
                ComplianceReviewAssigned: When(
                    lambda h: (
                        h.count(ComplianceReviewAssigned) == 1 + h.count(ComplianceReviewCompleted)
                    ),
                    "once, to somebody else",
                    0.08,
                ),
            },
            (
                actor(
                    "reviewer_id",
                    "whoever raised a flag does not review it",
                    lambda h, e, at: e.reviewer_id != h.the(ComplianceFlagRaised).raised_by,
                ),
                actor(
                    "reviewer_id",
                    "every review goes to somebody new",
                    lambda h, e, at: e.reviewer_id not in reviewers(h),
                ),
                payload(
                    "priority",
                    "it follows the severity of the flag",
                    lambda h, e, at: e.priority == make.PRIORITIES[severity(h)],
                ),
                timing(
                    "due_date",
                    "business days after assignment: urgent 1, high 2, medium 5, low 10",
                    lambda h, e, at: e.due_date == make.due_date(h, at),
                ),
            ),
        ),
        Step(
            ComplianceReviewCompleted,
            make.reviewed,
            {
                ComplianceCaseClosed: When(
                    lambda h: decision(h) != "escalate",
                    "if the decision was not to escalate",
                    tier="payload",
                ),
                ComplianceEscalated: When(
                    lambda h: decision(h) == "escalate",
                    "if the decision was to escalate",
                    tier="payload",
                ),
            },
            (
                actor(
                    "reviewer_id",
                    "it is whom the review was assigned to",
                    lambda h, e, at: e.reviewer_id == reviewers(h)[-1],
                ),
                payload(
                    "decision",
                    "only a first review, and below the highest level, escalates",
                    lambda h, e, at: e.decision != "escalate" or make.may_refer(h),
                ),
                timing("timestamp", "a review is completed by its due date", in_time),
            ),
        ),
        Step(
            ComplianceEscalated,
            make.escalated,
            {
                ComplianceReviewCompleted: When(is_under_review, "if a review is under way", 0.88),
                ComplianceReviewAssigned: When(
                    lambda h: not is_under_review(h), "if no review is under way"
                ),
                ComplianceEscalated: When(
                    lambda h: is_under_review(h) and may_escalate(h),
                    f"if a review is under way, and up to {len(make.LEVELS)} times in all",
                    0.12,
                ),
            },
            (
                payload(
                    "escalated_to",
                    "one level after the other: " + ", ".join(make.LEVELS),
                    lambda h, e, at: e.escalated_to == make.LEVELS[h.count(ComplianceEscalated)],
                ),
            ),
        ),
        Step(
            ComplianceCaseClosed,
            make.closed,
            {END: 1.0},
            (
                payload(
                    "outcome",
                    "it follows the decision",
                    lambda h, e, at: e.outcome in make.OUTCOMES[decision(h)],
                ),
                actor(
                    "closed_by",
                    "whoever reviewed a case does not close it",
                    lambda h, e, at: e.closed_by != reviewers(h)[-1],
                ),
            ),
        ),
    ],
)
