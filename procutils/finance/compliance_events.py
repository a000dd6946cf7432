"""How the events of a compliance check come about, and what is known of it meanwhile."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta

from procutils.finance.calendar import add_business_days, at_work, closing, soon
from procutils.finance.events import (
    ComplianceCaseClosed,
    ComplianceCheckPassed,
    ComplianceCheckTriggered,
    ComplianceEscalated,
    ComplianceFlagRaised,
    ComplianceReviewAssigned,
    ComplianceReviewCompleted,
)
from procutils.finance.firm import COMPLIANCE_OFFICERS, COUNTERPARTIES, another
from procutils.finance.grammar import History, pick

LEVELS = ("senior_compliance", "legal", "regulator")  # escalation climbs in this order
PRIORITIES = {"low": "low", "medium": "medium", "high": "high", "critical": "urgent"}
REVIEW_DAYS = {"low": 10, "medium": 5, "high": 2, "urgent": 1}  # business days
OUTCOMES = {
    "clear": {"no_action": 0.8, "warning": 0.2},
    "sar_filed": {"sar": 1.0},
    "block": {"restriction": 0.6, "termination": 0.4},
}
DETAILS = {
    "sanctions_hit": ["name on a list", "address on a list"],
    "unusual_activity": ["many small amounts", "new destination", "dormant account woke up"],
    "pep_match": ["public office", "relative of an official"],
    "threshold_breach": ["amount above threshold", "volume above threshold"],
}
RATIONALES = {
    "clear": ["no match after all", "activity explained"],
    "escalate": ["needs a second opinion", "beyond my authority"],
    "sar_filed": ["suspicion remains", "pattern of layering"],
    "block": ["true match", "prohibited business"],
}
ESCALATION_REASONS = ["high exposure", "unclear law", "senior decision needed"]


def severity(h: History) -> str:
    return h.the(ComplianceFlagRaised).severity


def is_under_review(h: History) -> bool:
    """Has a review been assigned that is not completed?"""
    started, ended = ComplianceReviewAssigned.__name__, ComplianceReviewCompleted.__name__
    return next((t for t in reversed(h.types) if t in (started, ended)), ended) == started


def may_escalate(h: History) -> bool:
    return h.count(ComplianceEscalated) < len(LEVELS)


def reviewers(h: History) -> list[str]:
    return [assignment.reviewer_id for assignment in h.all(ComplianceReviewAssigned)]


def triggered(h: History, rng: random.Random) -> tuple[ComplianceCheckTriggered, datetime]:
    if h.subject is None:
        trigger, entity, name = "periodic", "counterparty", rng.choice(COUNTERPARTIES)
    else:
        entity, _, name = h.subject.partition("-")
        trigger = entity
        if entity == "account":
            trigger = pick(rng, {"account_change": 0.7, "periodic": 0.3})
    event = ComplianceCheckTriggered(
        check_id=h.key, trigger_type=trigger, entity_type=entity, entity_id=name
    )
    return event, h.now


def passed(h: History, rng: random.Random) -> tuple[ComplianceCheckPassed, datetime]:
    checks = ["aml", "sanctions"]
    if h.the(ComplianceCheckTriggered).entity_type in ("account", "counterparty"):
        checks += ["pep", "kyc"]
    event = ComplianceCheckPassed(check_id=h.key, checks_performed=checks)
    return event, soon(rng, h.now, median=120, most=1_800)


def raised(h: History, rng: random.Random) -> tuple[ComplianceFlagRaised, datetime]:
    kind = pick(
        rng,
        {
            "unusual_activity": 0.4,
            "threshold_breach": 0.3,
            "sanctions_hit": 0.15,
            "pep_match": 0.15,
        },
    )
    grave = kind in ("sanctions_hit", "pep_match")
    event = ComplianceFlagRaised(
        check_id=h.key,
        flag_id=f"flag-{h.key}",
        flag_type=kind,
        severity=pick(
            rng,
            {"medium": 0.2, "high": 0.4, "critical": 0.4}
            if grave
            else {"low": 0.35, "medium": 0.35, "high": 0.2, "critical": 0.1},
        ),
        details=rng.choice(DETAILS[kind]),
        raised_by=rng.choice(COMPLIANCE_OFFICERS),
    )
    return event, at_work(rng, h.now, median=1_800, least=60)


def before_due(h: History, rng: random.Random, median: float) -> datetime:
    """Working time, but no later than the close of the day on which the review is due."""
    at = at_work(rng, h.now, median=median, least=60)
    due = closing(date.fromisoformat(h.the(ComplianceReviewAssigned).due_date))
    if at <= due:
        return at
    return h.now + timedelta(seconds=round((due - h.now).total_seconds() * rng.uniform(0.2, 0.9)))


def assigned(h: History, rng: random.Random) -> tuple[ComplianceReviewAssigned, datetime]:
    if is_under_review(h):
        at = before_due(h, rng, median=4 * 3_600)
    else:
        at = at_work(rng, h.now, median=3_600, least=60)
    raiser = h.the(ComplianceFlagRaised).raised_by
    event = ComplianceReviewAssigned(
        flag_id=h.the(ComplianceFlagRaised).flag_id,
        reviewer_id=another(rng, COMPLIANCE_OFFICERS, raiser, *reviewers(h)),
        priority=PRIORITIES[severity(h)],
        due_date=due_date(h, at),
    )
    return event, at


def due_date(h: History, at: datetime) -> str:
    return add_business_days(at.date(), REVIEW_DAYS[PRIORITIES[severity(h)]]).isoformat()


def reviewed(h: History, rng: random.Random) -> tuple[ComplianceReviewCompleted, datetime]:
    grave = severity(h) in ("high", "critical")
    weights = (
        {"clear": 0.4, "sar_filed": 0.25, "block": 0.15, "escalate": 0.2}
        if grave
        else {"clear": 0.75, "sar_filed": 0.1, "block": 0.05, "escalate": 0.1}
    )
    if not may_refer(h):
        del weights["escalate"]
    decision = pick(rng, weights)
    event = ComplianceReviewCompleted(
        flag_id=h.the(ComplianceFlagRaised).flag_id,
        reviewer_id=reviewers(h)[-1],
        decision=decision,
        rationale=rng.choice(RATIONALES[decision]),
    )
    days = REVIEW_DAYS[PRIORITIES[severity(h)]]
    return event, before_due(h, rng, median=days * 4 * 3_600)


def may_refer(h: History) -> bool:
    """Only the first review may end by referring the case to a higher level."""
    return h.count(ComplianceReviewCompleted) == 0 and may_escalate(h)


def escalated(h: History, rng: random.Random) -> tuple[ComplianceEscalated, datetime]:
    event = ComplianceEscalated(
        flag_id=h.the(ComplianceFlagRaised).flag_id,
        escalated_to=LEVELS[h.count(ComplianceEscalated)],
        escalation_reason=rng.choice(ESCALATION_REASONS),
    )
    if is_under_review(h):
        return event, before_due(h, rng, median=3 * 3_600)
    return event, at_work(rng, h.now, median=1_200, least=60)


def closed(h: History, rng: random.Random) -> tuple[ComplianceCaseClosed, datetime]:
    decision = h.the(ComplianceReviewCompleted).decision
    event = ComplianceCaseClosed(
        flag_id=h.the(ComplianceFlagRaised).flag_id,
        outcome=pick(rng, OUTCOMES[decision]),
        closed_by=another(rng, COMPLIANCE_OFFICERS, reviewers(h)[-1]),
    )
    return event, at_work(rng, h.now, median=3 * 3_600, least=60)
