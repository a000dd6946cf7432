"""Accounts: documents, know your customer (KYC), opening, funding, and what becomes of them."""

from __future__ import annotations

from procutils.cases import END
from procutils.finance import account_events as make
from procutils.finance.account_events import applicant, kyc, missing, rejected_documents, status
from procutils.finance.events import (
    AccountApplicationSubmitted,
    AccountDocumentReceived,
    AccountFunded,
    AccountKYCCompleted,
    AccountKYCStarted,
    AccountOpened,
    AccountStatusChanged,
)
from procutils.finance.grammar import History, Step, When, payload
from procutils.finance.process import Process

MOST_FUNDINGS = 2
MOST_STATUS_CHANGES = 2


def may_change(h: History) -> bool:
    return status(h) != "closed" and h.count(AccountStatusChanged) < MOST_STATUS_CHANGES


def may_fund(h: History) -> bool:
    return status(h) in ("active", "restricted") and h.count(AccountFunded) < MOST_FUNDINGS


def wants_documents(h: History) -> bool:
    return bool(missing(h)) and rejected_documents(h) < make.MOST_REJECTED_DOCUMENTS


def funding(active: float, restricted: float) -> When:
    return When(
        may_fund,
        f"if the account is active or restricted, and up to {MOST_FUNDINGS} times",
        lambda h: {"active": active, "restricted": restricted}[status(h)],
    )


def changing(active: float, other: float) -> When:
    return When(
        may_change,
        f"if the account is not closed, and up to {MOST_STATUS_CHANGES} times",
        lambda h: active if status(h) == "active" else other,
    )


ACCOUNT = Process(
    "account",
    key="application_id",
    constant=("account_id", "account_type"),
    steps=[
        Step(AccountApplicationSubmitted, make.applied, {AccountKYCStarted: 1.0}),
        Step(
            AccountKYCStarted,
            make.kyc_started,
            {AccountDocumentReceived: 0.95, AccountKYCCompleted: 0.05},
            (
                payload(
                    "documents_required",
                    "they are those for this type of applicant",
                    lambda h, e, at: e.documents_required in make.DOCUMENTS[applicant(h)],
                ),
            ),
        ),
        Step(
            AccountDocumentReceived,
            make.document_received,
            {
                AccountDocumentReceived: When(
                    wants_documents,
                    "while documents are missing and fewer than "
                    f"{make.MOST_REJECTED_DOCUMENTS} were rejected",
                    0.94,
                ),
                AccountKYCCompleted: lambda h: 0.06 if wants_documents(h) else 1.0,
            },
            (
                payload(
                    "document_type",
                    "it is one that was asked for",
                    lambda h, e, at: (
                        e.document_type
                        in (missing(h) or h.the(AccountKYCStarted).documents_required)
                    ),
                ),
            ),
        ),
        Step(
            AccountKYCCompleted,
            make.kyc_completed,
            {
                AccountOpened: When(
                    lambda h: kyc(h).kyc_status == "approved", "if approved", tier="payload"
                ),
                AccountDocumentReceived: When(
                    lambda h: kyc(h).kyc_status == "pending_info",
                    "if information is pending",
                    0.8,
                    "payload",
                ),
                END: When(
                    lambda h: kyc(h).kyc_status != "approved",
                    "if not approved",
                    lambda h: 1.0 if kyc(h).kyc_status == "rejected" else 0.2,
                    "payload",
                ),
            },
            (
                payload(
                    "kyc_status",
                    "without all documents an application is rejected",
                    lambda h, e, at: not missing(h) or e.kyc_status == "rejected",
                ),
                payload(
                    "kyc_status",
                    "information is asked for once",
                    lambda h, e, at: (
                        e.kyc_status != "pending_info" or not h.count(AccountKYCCompleted)
                    ),
                ),
            ),
        ),
        Step(
            AccountOpened,
            make.opened,
            {AccountFunded: funding(0.82, 0.45), AccountStatusChanged: changing(0.06, 0.45)}
            | {END: 0.1},
            (
                payload(
                    "initial_status",
                    "an account of high risk starts restricted, any other active",
                    lambda h, e, at: e.initial_status == make.initial_status(h),
                ),
            ),
        ),
        Step(
            AccountFunded,
            make.funded,
            {AccountFunded: funding(0.12, 0.08), AccountStatusChanged: changing(0.13, 0.4)}
            | {END: 0.72},
            (payload("funding_amount", "it is positive", lambda h, e, at: e.funding_amount > 0),),
        ),
        Step(
            AccountStatusChanged,
            make.status_changed,
            {AccountFunded: funding(0.15, 0.1), AccountStatusChanged: changing(0.1, 0.55)}
            | {END: 0.6},
            (
                payload(
                    "old_status",
                    "it is the status that the account had",
                    lambda h, e, at: e.old_status == status(h),
                ),
                payload(
                    "new_status",
                    "it can be reached from the old one",
                    lambda h, e, at: e.new_status in make.NEXT_STATUS.get(e.old_status, {}),
                ),
            ),
        ),
    ],
)
