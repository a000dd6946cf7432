"""How the events of an account come about, and what is known of it meanwhile."""

from __future__ import annotations

import random
from datetime import datetime

from procutils.finance.calendar import at_work, soon
from procutils.finance.events import (
    AccountApplicationSubmitted,
    AccountDocumentReceived,
    AccountFunded,
    AccountKYCCompleted,
    AccountKYCStarted,
    AccountOpened,
    AccountStatusChanged,
)
from procutils.finance.firm import log_uniform
from procutils.finance.grammar import History, pick

DAY = 10 * 3_600  # seconds of business hours
MOST_REJECTED_DOCUMENTS = 2
#: Which documents an applicant may have to bring: one set of these is asked for.
DOCUMENTS = {
    "individual": [["passport"], ["passport", "utility_bill"]],
    "corporate": [["incorporation_cert", "passport", "utility_bill"]],
    "institutional": [["incorporation_cert", "ownership_chart", "passport", "utility_bill"]],
}
#: The statuses that an account can take, and why it takes them.
NEXT_STATUS = {
    "active": {"suspended": 0.5, "restricted": 0.3, "closed": 0.2},
    "suspended": {"active": 0.7, "closed": 0.3},
    "restricted": {"active": 0.8, "closed": 0.2},
}
REASONS = {
    "active": ["review passed", "documents renewed"],
    "suspended": ["no activity", "documents expired"],
    "restricted": ["rating changed", "margin shortfall"],
    "closed": ["client request", "firm decision"],
}


def applicant(h: History) -> str:
    return h.the(AccountApplicationSubmitted).applicant_type


def missing(h: History) -> list[str]:
    """The required documents that have not been accepted yet."""
    accepted = {
        document.document_type
        for document in h.all(AccountDocumentReceived)
        if document.document_status != "rejected"
    }
    return [d for d in h.the(AccountKYCStarted).documents_required if d not in accepted]


def rejected_documents(h: History) -> int:
    return sum(d.document_status == "rejected" for d in h.all(AccountDocumentReceived))


def status(h: History) -> str:
    """The present status of an account that has been opened."""
    changes = h.all(AccountStatusChanged)
    return changes[-1].new_status if changes else h.the(AccountOpened).initial_status


def kyc(h: History) -> AccountKYCCompleted:
    return h.the(AccountKYCCompleted)


def applied(h: History, rng: random.Random) -> tuple[AccountApplicationSubmitted, datetime]:
    event = AccountApplicationSubmitted(
        application_id=h.key,
        applicant_type=pick(rng, {"individual": 0.6, "corporate": 0.25, "institutional": 0.15}),
        account_type=pick(rng, {"trading": 0.5, "custody": 0.2, "margin": 0.3}),
    )
    return event, h.now


def kyc_started(h: History, rng: random.Random) -> tuple[AccountKYCStarted, datetime]:
    event = AccountKYCStarted(
        application_id=h.key,
        kyc_id=f"kyc-{h.key}",
        documents_required=list(rng.choice(DOCUMENTS[applicant(h)])),
    )
    return event, at_work(rng, h.now, median=3_600, least=60)


def document_received(h: History, rng: random.Random) -> tuple[AccountDocumentReceived, datetime]:
    wanted = missing(h) or h.the(AccountKYCStarted).documents_required
    event = AccountDocumentReceived(
        application_id=h.key,
        document_type=wanted[0],
        document_status=pick(rng, {"verified": 0.68, "received": 0.22, "rejected": 0.1}),
    )
    return event, at_work(rng, h.now, median=DAY / 2, least=60)


def kyc_completed(h: History, rng: random.Random) -> tuple[AccountKYCCompleted, datetime]:
    simple = applicant(h) == "individual"
    rating = pick(
        rng,
        {"low": 0.65, "medium": 0.25, "high": 0.1}
        if simple
        else {"low": 0.3, "medium": 0.4, "high": 0.3},
    )
    weights = {"rejected": 0.25 if rating == "high" else 0.07}
    if not missing(h):
        weights["approved"] = 0.7 if rating == "high" else 0.83
        if not h.count(AccountKYCCompleted):
            weights["pending_info"] = 0.1
    event = AccountKYCCompleted(
        application_id=h.key, kyc_status=pick(rng, weights), risk_rating=rating
    )
    return event, at_work(rng, h.now, median=DAY / 3, least=300)


def opened(h: History, rng: random.Random) -> tuple[AccountOpened, datetime]:
    event = AccountOpened(
        account_id=f"acct-{h.key}",
        application_id=h.key,
        account_type=h.the(AccountApplicationSubmitted).account_type,
        initial_status=initial_status(h),
    )
    return event, soon(rng, h.now, median=300, most=3_600)


def initial_status(h: History) -> str:
    return "restricted" if kyc(h).risk_rating == "high" else "active"


def funded(h: History, rng: random.Random) -> tuple[AccountFunded, datetime]:
    low = 1_000 if applicant(h) == "individual" else 50_000
    event = AccountFunded(
        account_id=f"acct-{h.key}",
        funding_amount=round(log_uniform(rng, low, 100 * low), 2),
        funding_source=pick(rng, {"wire": 0.5, "ach": 0.3, "transfer": 0.2}),
    )
    return event, at_work(rng, h.now, median=2 * DAY, least=600)


def status_changed(h: History, rng: random.Random) -> tuple[AccountStatusChanged, datetime]:
    new = pick(rng, NEXT_STATUS[status(h)])
    event = AccountStatusChanged(
        account_id=f"acct-{h.key}",
        old_status=status(h),
        new_status=new,
        reason=rng.choice(REASONS[new]),
    )
    return event, at_work(rng, h.now, median=8 * DAY, least=3_600)
