"""The 38 event types of the five processes.

A field with a closed vocabulary says so in its type, so that these declarations are all there is to
know about the shape of an event. The time of an event is not a field: it is ``Event.at``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, dataclass_transform

#: Every event type by name, in the order of the processes.
EVENT_TYPES: dict[str, type] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
def event(cls: type) -> type:
    """Make ``cls`` an immutable dataclass with keyword fields, and register it."""
    cls = dataclass(frozen=True, kw_only=True)(cls)
    EVENT_TYPES[cls.__name__] = cls
    return cls


Side = Literal["buy", "sell"]
Venue = Literal["NYSE", "NASDAQ", "dark_pool"]


@event
class OrderSubmitted:
    order_id: str
    account_id: str
    symbol: str
    side: Side
    order_type: Literal["market", "limit", "stop"]
    quantity: float
    price: float | None  # None for a market order


@event
class OrderValidated:
    order_id: str
    account_id: str
    validation_checks: list[Literal["margin_check", "position_limit", "trading_allowed"]]
    margin_available: float


@event
class OrderRejected:
    order_id: str
    account_id: str
    rejection_reason: Literal["insufficient_margin", "position_limit_exceeded", "symbol_halted"]
    rejection_code: str


@event
class OrderRouted:
    order_id: str
    venue: Venue
    routed_quantity: float
    routing_strategy: Literal["smart", "direct", "algo"]


@event
class OrderPartiallyFilled:
    order_id: str
    fill_id: str
    filled_quantity: float  # of this fill
    remaining_quantity: float
    fill_price: float
    venue: Venue


@event
class OrderFilled:
    order_id: str
    fill_id: str
    total_quantity: float  # of all fills, the last one included
    average_price: float
    total_fills: int
    venue: Venue


@event
class OrderCancelled:
    order_id: str
    cancelled_quantity: float
    filled_quantity: float  # what was filled before the cancellation
    cancel_reason: Literal["user_requested", "timeout", "market_close"]


@event
class TradeBooked:
    trade_id: str
    order_id: str
    account_id: str
    symbol: str
    side: Side
    quantity: float
    price: float
    trade_date: str  # ISO 8601 date
    settlement_date: str  # ISO 8601 date


@event
class TradeSettled:
    trade_id: str
    settlement_id: str
    settlement_status: Literal["settled", "failed", "partial", "late"]
    settled_quantity: float  # of this attempt
    settlement_amount: float


@event
class TradeConfirmed:
    trade_id: str
    confirmation_id: str
    sent_to: Literal["email", "api", "swift"]
    confirmed: bool


@event
class PaymentInitiated:
    payment_id: str
    account_id: str
    amount: float
    currency: Literal["USD", "EUR", "GBP"]
    payment_type: Literal["wire", "ach", "internal"]
    beneficiary_id: str


@event
class PaymentValidated:
    payment_id: str
    validation_checks: list[Literal["balance_check", "sanctions_check", "limit_check"]]


@event
class PaymentPendingApproval:
    payment_id: str
    amount: float
    approval_level: Literal["single", "dual"]
    required_approvers: int
    current_approvals: int


@event
class PaymentApproved:
    payment_id: str
    approver_id: str
    approval_level: int  # 1 for the first approval, 2 for the second


@event
class PaymentRejected:
    payment_id: str
    rejector_id: str
    rejection_reason: Literal[
        "sanctions_match", "limit_exceeded", "missing_documents", "suspected_duplicate"
    ]


@event
class PaymentExecuted:
    payment_id: str
    execution_ref: str
    network: Literal["swift", "fedwire", "ach", "internal"]
    status: Literal["sent", "pending", "failed"]


@event
class PaymentCompleted:
    payment_id: str
    completion_ref: str
    final_amount: float
    fees: float


@event
class PaymentFailed:
    payment_id: str
    failure_reason: Literal["insufficient_funds", "invalid_account", "network_error"]
    failure_code: str


Severity = Literal["low", "medium", "high", "critical"]


@event
class RiskLimitBreached:
    alert_id: str
    account_id: str
    limit_type: Literal["var_limit", "position_limit", "loss_limit", "concentration"]
    current_value: float
    limit_value: float
    breach_percentage: float  # by how much the value exceeds the limit


@event
class RiskAlertCreated:
    alert_id: str
    severity: Severity
    alert_type: Literal["var_limit", "position_limit", "loss_limit", "concentration"]
    description: str
    assigned_to: str | None


@event
class RiskAlertAcknowledged:
    alert_id: str
    acknowledged_by: str
    notes: str | None


@event
class RiskMitigationStarted:
    alert_id: str
    mitigation_id: str
    action_type: Literal["reduce_position", "add_hedge", "increase_margin", "trading_halt"]
    target_reduction: float | None  # percent; None where the action reduces nothing


@event
class RiskMitigationCompleted:
    alert_id: str
    mitigation_id: str
    result: Literal["successful", "partial", "failed"]
    new_risk_value: float


@event
class RiskAlertResolved:
    alert_id: str
    resolution: Literal["mitigated", "accepted", "false_positive"]
    resolved_by: str


@event
class ComplianceCheckTriggered:
    check_id: str
    trigger_type: Literal["trade", "payment", "account_change", "periodic"]
    entity_type: Literal["trade", "payment", "account", "counterparty"]
    entity_id: str


@event
class ComplianceCheckPassed:
    check_id: str
    checks_performed: list[Literal["aml", "sanctions", "pep", "kyc"]]


@event
class ComplianceFlagRaised:
    check_id: str
    flag_id: str
    flag_type: Literal["sanctions_hit", "unusual_activity", "pep_match", "threshold_breach"]
    severity: Severity
    details: str
    raised_by: str


@event
class ComplianceReviewAssigned:
    flag_id: str
    reviewer_id: str
    priority: Literal["low", "medium", "high", "urgent"]
    due_date: str  # ISO 8601 date


@event
class ComplianceReviewCompleted:
    flag_id: str
    reviewer_id: str
    decision: Literal["clear", "escalate", "sar_filed", "block"]
    rationale: str


@event
class ComplianceEscalated:
    flag_id: str
    escalated_to: Literal["senior_compliance", "legal", "regulator"]
    escalation_reason: str


@event
class ComplianceCaseClosed:
    flag_id: str
    outcome: Literal["no_action", "warning", "restriction", "termination", "sar"]
    closed_by: str


AccountType = Literal["trading", "custody", "margin"]
DocumentType = Literal["passport", "utility_bill", "incorporation_cert", "ownership_chart"]
AccountStatus = Literal["active", "suspended", "restricted", "closed"]


@event
class AccountApplicationSubmitted:
    application_id: str
    applicant_type: Literal["individual", "corporate", "institutional"]
    account_type: AccountType


@event
class AccountKYCStarted:
    application_id: str
    kyc_id: str
    documents_required: list[DocumentType]


@event
class AccountDocumentReceived:
    application_id: str
    document_type: DocumentType
    document_status: Literal["received", "verified", "rejected"]


@event
class AccountKYCCompleted:
    application_id: str
    kyc_status: Literal["approved", "rejected", "pending_info"]
    risk_rating: Literal["low", "medium", "high"]


@event
class AccountOpened:
    account_id: str
    application_id: str
    account_type: AccountType
    initial_status: Literal["active", "restricted"]


@event
class AccountFunded:
    account_id: str
    funding_amount: float
    funding_source: Literal["wire", "ach", "transfer"]


@event
class AccountStatusChanged:
    account_id: str
    old_status: AccountStatus
    new_status: AccountStatus
    reason: str
