"""Risk alerts: the size of the breach decides how fast and how hard to act."""

from __future__ import annotations

from datetime import datetime

from procutils.cases import END
from procutils.finance import risk_events as make
from procutils.finance.events import (
    RiskAlertAcknowledged,
    RiskAlertCreated,
    RiskAlertResolved,
    RiskLimitBreached,
    RiskMitigationCompleted,
    RiskMitigationStarted,
)
from procutils.finance.grammar import History, Step, When, actor, payload, timing
from procutils.finance.process import Process
from procutils.finance.risk_events import acknowledged_by, result, severity

MOST_MITIGATIONS = 3


def by_severity(low: float, medium: float, high: float, critical: float):
    weights = {"low": low, "medium": medium, "high": high, "critical": critical}
    return lambda h: weights[severity(h)]


def may_go_on(h: History) -> bool:
    return h.count(RiskMitigationStarted) < MOST_MITIGATIONS


def by_the_owner(h: History, e: RiskAlertAcknowledged, at: datetime) -> bool:
    owner = h.the(RiskAlertCreated).assigned_to
    return bool(acknowledged_by(h)) or owner is None or e.acknowledged_by == owner


def in_time(h: History, e: RiskAlertAcknowledged, at: datetime) -> bool:
    return bool(acknowledged_by(h)) or at - h.now <= make.ACKNOWLEDGE_WITHIN[severity(h)]


def fits_the_result(h: History, e: RiskMitigationCompleted, at: datetime) -> bool:
    breach = h.the(RiskLimitBreached)
    if e.result == "successful":
        return e.new_risk_value <= breach.limit_value
    if e.result == "partial":
        return breach.limit_value < e.new_risk_value < breach.current_value
    return e.new_risk_value >= breach.current_value


def fits_the_mitigation(h: History, e: RiskAlertResolved, at: datetime) -> bool:
    if result(h) is None:
        return e.resolution != "mitigated" and (
            bool(acknowledged_by(h)) or e.resolution == "false_positive"
        )
    return e.resolution == ("accepted" if result(h) == "failed" else "mitigated")


RISK = Process(
    "risk",
    key="alert_id",
    constant=("account_id",),
    steps=[
        Step(
            RiskLimitBreached,
            make.breached,
            {RiskAlertCreated: 1.0},
            (
                payload("limit_value", "it is positive", lambda h, e, at: e.limit_value > 0),
                payload(
                    "breach_percentage",
                    "it is by how much the value exceeds the limit",
                    lambda h, e, at: (
                        0 < e.breach_percentage == make.percentage(e.current_value, e.limit_value)
                    ),
                ),
            ),
        ),
        Step(
            RiskAlertCreated,
            make.created,
            {
                RiskAlertAcknowledged: 0.9,
                RiskAlertResolved: When(
                    lambda h: severity(h) == "low", "if its severity is low", 0.1, "payload"
                ),
            },
            (
                payload(
                    "severity",
                    "it follows the breach: medium from 10, high from 25, critical from 50 percent",
                    lambda h, e, at: (
                        e.severity == make.severity_of(h.the(RiskLimitBreached).breach_percentage)
                    ),
                ),
                payload(
                    "alert_type",
                    "it is the limit that was breached",
                    lambda h, e, at: e.alert_type == h.the(RiskLimitBreached).limit_type,
                ),
            ),
        ),
        Step(
            RiskAlertAcknowledged,
            make.acknowledged,
            {
                RiskMitigationStarted: by_severity(0.2, 0.5, 0.8, 0.8),
                RiskAlertResolved: When(
                    lambda h: severity(h) != "critical",
                    "if its severity is not critical",
                    by_severity(0.8, 0.5, 0.12, 0),
                    "payload",
                ),
                RiskAlertAcknowledged: When(
                    lambda h: (
                        h.count(RiskAlertAcknowledged) == 1
                        and not h.count(RiskMitigationStarted)
                        and severity(h) in ("high", "critical")
                    ),
                    "once before any mitigation, and if its severity is high or critical",
                    by_severity(0, 0, 0.08, 0.2),
                ),
            },
            (
                actor("acknowledged_by", "the owner of an alert acknowledges it", by_the_owner),
                actor(
                    "acknowledged_by",
                    "nobody acknowledges an alert twice",
                    lambda h, e, at: e.acknowledged_by not in acknowledged_by(h),
                ),
                timing("timestamp", "critical 15 min, high 1 h, medium 4 h, low 24 h", in_time),
            ),
        ),
        Step(
            RiskMitigationStarted,
            make.mitigation_started,
            {RiskMitigationCompleted: 1.0},
            (
                payload(
                    "action_type",
                    "trading is halted in critical cases only",
                    lambda h, e, at: e.action_type != "trading_halt" or severity(h) == "critical",
                ),
                payload(
                    "target_reduction",
                    "it is there if the action reduces the risk position",
                    lambda h, e, at: (
                        (e.target_reduction is not None)
                        == (e.action_type in ("reduce_position", "add_hedge"))
                    ),
                ),
            ),
        ),
        Step(
            RiskMitigationCompleted,
            make.mitigation_completed,
            {
                RiskAlertResolved: lambda h: {"successful": 1.0, "partial": 0.4, "failed": 0.2}[
                    result(h)
                ],
                RiskMitigationStarted: When(
                    lambda h: result(h) != "successful" and may_go_on(h),
                    f"if the last was not successful, and up to {MOST_MITIGATIONS} times in all",
                    lambda h: {"partial": 0.4, "failed": 0.6}[result(h)],
                ),
                RiskAlertAcknowledged: When(
                    lambda h: result(h) != "successful" and may_go_on(h),
                    "to hand over a mitigation that was not successful",
                    0.2,
                ),
            },
            (
                payload(
                    "mitigation_id",
                    "it is the mitigation that was started",
                    lambda h, e, at: e.mitigation_id == h.the(RiskMitigationStarted).mitigation_id,
                ),
                payload("new_risk_value", "it fits the result", fits_the_result),
            ),
        ),
        Step(
            RiskAlertResolved,
            make.resolved,
            {END: 1.0},
            (
                payload("resolution", "it fits what was done", fits_the_mitigation),
                actor(
                    "resolved_by",
                    "whoever acknowledged an alert resolves it",
                    lambda h, e, at: not acknowledged_by(h) or e.resolved_by in acknowledged_by(h),
                ),
            ),
        ),
    ],
)
