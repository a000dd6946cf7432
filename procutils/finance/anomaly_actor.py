"""Anomalies of the actor: the step is right, but not this person may take it.

Each kind yields changes in random order, some of which may not have the effect; the proof decides.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from procutils.cases import Case
from procutils.finance.changes import Change, latest, places, shuffled
from procutils.finance.events import (
    ComplianceCaseClosed,
    ComplianceFlagRaised,
    ComplianceReviewAssigned,
    ComplianceReviewCompleted,
    PaymentApproved,
    PaymentRejected,
    RiskAlertAcknowledged,
    RiskAlertCreated,
    RiskAlertResolved,
)
from procutils.finance.firm import COMPLIANCE_OFFICERS, RISK_OFFICERS


def same_approver(case: Case, rng: random.Random) -> Iterator[Change]:
    """The second approval of a payment is by whoever gave the first."""
    first, *others = sorted(places(case, rng, PaymentApproved)) or [None]
    for position in others:
        yield _by(case, position, "approver_id", case.events[first].data["approver_id"])


def approver_rejects(case: Case, rng: random.Random) -> Iterator[Change]:
    """A payment is rejected by somebody who had approved it."""
    approved = places(case, rng, PaymentApproved)
    for position in places(case, rng, PaymentRejected) if approved else []:
        yield _by(case, position, "rejector_id", case.events[approved[0]].data["approver_id"])


def raiser_reviews(case: Case, rng: random.Random) -> Iterator[Change]:
    """A flag is reviewed by whoever raised it."""
    for position in places(case, rng, ComplianceReviewAssigned):
        raiser = latest(case, ComplianceFlagRaised, position).data["raised_by"]
        yield _by(case, position, "reviewer_id", raiser)


def other_reviewer(case: Case, rng: random.Random) -> Iterator[Change]:
    """A review is completed by somebody else than it was assigned to."""
    for position in places(case, rng, ComplianceReviewCompleted):
        assigned = case.events[position].data["reviewer_id"]
        for officer in _strangers(case, COMPLIANCE_OFFICERS, rng):
            yield _by(case, position, "reviewer_id", officer, right=assigned)


def reviewer_closes(case: Case, rng: random.Random) -> Iterator[Change]:
    """A compliance case is closed by whoever reviewed it."""
    for position in places(case, rng, ComplianceCaseClosed):
        reviewer = latest(case, ComplianceReviewCompleted, position).data["reviewer_id"]
        yield _by(case, position, "closed_by", reviewer)


def owner_passed_over(case: Case, rng: random.Random) -> Iterator[Change]:
    """An alert is acknowledged by somebody else than its owner, who then goes on with it."""
    for position in places(case, rng, RiskAlertAcknowledged):
        owner = latest(case, RiskAlertCreated, position).data["assigned_to"]
        for officer in _strangers(case, RISK_OFFICERS, rng):
            yield _by(case, position, "acknowledged_by", officer, right=owner)


def stranger_resolves(case: Case, rng: random.Random) -> Iterator[Change]:
    """An alert is resolved by somebody who never acknowledged it."""
    knowing = {e.data.get("acknowledged_by") for e in case.events} - {None}
    for position in places(case, rng, RiskAlertResolved):
        for officer in _strangers(case, RISK_OFFICERS, rng):
            right = min(knowing) if len(knowing) == 1 else None
            yield _by(case, position, "resolved_by", officer, right)


def _by(case: Case, position: int, name: str, person: str, right: str | None = None) -> Change:
    """Somebody else takes this step, and all later ones of whoever took it; right: who should."""
    event = case.events[position]
    instead = {event.data[name]: person}

    def substituted(data: dict[str, Any]) -> dict[str, Any]:
        return {
            key: instead.get(value, value) if isinstance(value, str) else value
            for key, value in data.items()
        }

    changed = [replace(e, data=substituted(e.data)) for e in case.events[position:]]
    return Change([*case.events[:position], *changed], position, {name: right}, position + 1)


def _strangers(case: Case, people: Sequence[str], rng: random.Random) -> list[str]:
    """Those of ``people`` who do not occur in the case, in random order."""
    known = {v for event in case.events for v in event.data.values() if isinstance(v, str)}
    return shuffled((person for person in people if person not in known), rng)


ACTOR = (
    same_approver,
    approver_rejects,
    raiser_reviews,
    other_reviewer,
    reviewer_closes,
    owner_passed_over,
    stranger_resolves,
)
