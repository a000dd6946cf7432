"""How the events of a risk alert come about, and what is known of it meanwhile."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from procutils.finance.calendar import at_work, soon
from procutils.finance.events import (
    RiskAlertAcknowledged,
    RiskAlertCreated,
    RiskAlertResolved,
    RiskLimitBreached,
    RiskMitigationCompleted,
    RiskMitigationStarted,
)
from procutils.finance.firm import ACCOUNTS, RISK_OFFICERS, another, log_uniform
from procutils.finance.grammar import History, pick

#: How soon after its creation an alert must be acknowledged.
ACKNOWLEDGE_WITHIN = {
    "critical": timedelta(minutes=15),
    "high": timedelta(hours=1),
    "medium": timedelta(hours=4),
    "low": timedelta(hours=24),
}
DESCRIPTIONS = {
    "var_limit": "value at risk above its limit",
    "position_limit": "position above its limit",
    "loss_limit": "daily loss above its limit",
    "concentration": "too much in one name",
}
NOTES = ["looking into it", "known position", "desk informed", "hedge under way"]


def severity_of(percentage: float) -> str:
    """The severity that a breach by so many percent of the limit has."""
    for severity, least in (("critical", 50), ("high", 25), ("medium", 10)):
        if percentage >= least:
            return severity
    return "low"


def severity(h: History) -> str:
    return h.the(RiskAlertCreated).severity


def acknowledged_by(h: History) -> list[str]:
    return [ack.acknowledged_by for ack in h.all(RiskAlertAcknowledged)]


def result(h: History) -> str | None:
    """How the latest mitigation ended; None without one."""
    done = h.all(RiskMitigationCompleted)
    return done[-1].result if done else None


def breached(h: History, rng: random.Random) -> tuple[RiskLimitBreached, datetime]:
    limit = round(log_uniform(rng, 100_000, 10_000_000), -3)
    value = round(limit * (1 + log_uniform(rng, 0.03, 1.2)), 2)
    event = RiskLimitBreached(
        alert_id=h.key,
        account_id=rng.choice(ACCOUNTS),
        limit_type=rng.choice(list(DESCRIPTIONS)),
        current_value=value,
        limit_value=limit,
        breach_percentage=percentage(value, limit),
    )
    return event, h.now


def percentage(value: float, limit: float) -> float:
    return round(100 * (value / limit - 1), 1)


def created(h: History, rng: random.Random) -> tuple[RiskAlertCreated, datetime]:
    breach = h.the(RiskLimitBreached)
    event = RiskAlertCreated(
        alert_id=h.key,
        severity=severity_of(breach.breach_percentage),
        alert_type=breach.limit_type,
        description=DESCRIPTIONS[breach.limit_type],
        assigned_to=rng.choice(RISK_OFFICERS) if rng.random() < 0.7 else None,
    )
    return event, soon(rng, h.now, median=5, most=60)


def acknowledged(h: History, rng: random.Random) -> tuple[RiskAlertAcknowledged, datetime]:
    first = not h.count(RiskAlertAcknowledged)
    owner = h.the(RiskAlertCreated).assigned_to
    if first:
        within = ACKNOWLEDGE_WITHIN[severity(h)].total_seconds()
        officer = owner or rng.choice(RISK_OFFICERS)
    else:
        within = 8 * 3_600
        officer = another(rng, RISK_OFFICERS, *acknowledged_by(h))
    event = RiskAlertAcknowledged(
        alert_id=h.key,
        acknowledged_by=officer,
        notes=rng.choice(NOTES) if rng.random() < 0.5 else None,
    )
    return event, soon(rng, h.now, median=within / 4, least=20, most=within)


def mitigation_started(h: History, rng: random.Random) -> tuple[RiskMitigationStarted, datetime]:
    urgent = severity(h) in ("high", "critical")
    actions = {"reduce_position": 0.4, "add_hedge": 0.3, "increase_margin": 0.25}
    action = pick(rng, actions | ({"trading_halt": 0.25} if severity(h) == "critical" else {}))
    reduces = action in ("reduce_position", "add_hedge")
    event = RiskMitigationStarted(
        alert_id=h.key,
        mitigation_id=f"mitigation-{h.key}-{h.count(RiskMitigationStarted) + 1}",
        action_type=action,
        target_reduction=float(rng.randrange(10, 55, 5)) if reduces else None,
    )
    return event, at_work(rng, h.now, median=600 if urgent else 5_400, least=30)


def mitigation_completed(
    h: History, rng: random.Random
) -> tuple[RiskMitigationCompleted, datetime]:
    breach = h.the(RiskLimitBreached)
    outcome = pick(rng, {"successful": 0.65, "partial": 0.2, "failed": 0.15})
    if outcome == "successful":
        value = breach.limit_value * rng.uniform(0.6, 0.98)
    elif outcome == "partial":
        share = rng.uniform(0.2, 0.8)
        value = breach.limit_value + share * (breach.current_value - breach.limit_value)
    else:
        value = breach.current_value * rng.uniform(1.01, 1.15)
    event = RiskMitigationCompleted(
        alert_id=h.key,
        mitigation_id=h.the(RiskMitigationStarted).mitigation_id,
        result=outcome,
        new_risk_value=round(value, 2),
    )
    return event, at_work(rng, h.now, median=2 * 3_600, least=300)


def resolved(h: History, rng: random.Random) -> tuple[RiskAlertResolved, datetime]:
    if result(h) in ("successful", "partial"):
        resolution = "mitigated"
    elif result(h) == "failed":
        resolution = "accepted"
    elif not h.count(RiskAlertAcknowledged):
        resolution = "false_positive"
    else:
        resolution = pick(rng, {"accepted": 0.7, "false_positive": 0.3})
    event = RiskAlertResolved(
        alert_id=h.key,
        resolution=resolution,
        resolved_by=rng.choice(acknowledged_by(h) or RISK_OFFICERS),
    )
    return event, at_work(rng, h.now, median=3_600, least=60)
