"""Anomalies of the clock (time), and of what did not come (silence). All are clear cases.

Each kind yields changes in random order, some of which may not have the effect; the proof decides.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

from procutils.cases import Case
from procutils.finance.calendar import add_business_days
from procutils.finance.changes import TIMESTAMP, Change, delayed, latest, places, shuffled
from procutils.finance.events import (
    ComplianceReviewAssigned,
    ComplianceReviewCompleted,
    PaymentApproved,
    RiskAlertAcknowledged,
    RiskAlertCreated,
    TradeBooked,
    TradeSettled,
)
from procutils.finance.risk_events import ACKNOWLEDGE_WITHIN
from procutils.finance.waiting import longest_wait
from procutils.silence import young

DRAWS = 5  # of a delay, until one fits the business hours of what follows


def settled_early(case: Case, rng: random.Random) -> Iterator[Change]:
    """A trade settles one or two business days before its settlement date."""
    yield from _settled(case, rng, (-2, -1))


def settled_late(case: Case, rng: random.Random) -> Iterator[Change]:
    """A trade settles one to three business days after its date, without a word about it."""
    yield from _settled(case, rng, (1, 2, 3))


def review_overdue(case: Case, rng: random.Random) -> Iterator[Change]:
    """A review is completed one to five business days after it was due."""
    for position in places(case, rng, ComplianceReviewCompleted):
        due = latest(case, ComplianceReviewAssigned, position).data["due_date"]
        yield from _on_days(case, position, due, shuffled(range(1, 6), rng))


def approved_in_seconds(case: Case, rng: random.Random) -> Iterator[Change]:
    """A payment is approved 2 to 50 seconds after it was asked for, or after the other approval."""
    for position in places(case, rng, PaymentApproved):
        asked = case.events[position - 1].at
        yield from delayed(case, position, asked + timedelta(seconds=rng.randint(2, 50)))


def acknowledged_late(case: Case, rng: random.Random) -> Iterator[Change]:
    """An alert is acknowledged after 3 to 8 times as long as its severity allows."""
    for position in places(case, rng, RiskAlertAcknowledged):
        if case.types[position - 1] == RiskAlertCreated.__name__:
            alert = case.events[position - 1]
            allowed = ACKNOWLEDGE_WITHIN[alert.data["severity"]].total_seconds()
            for _ in range(DRAWS):
                wait = timedelta(seconds=round(allowed * rng.uniform(3, 8)))
                yield from delayed(case, position, alert.at + wait)


def overdue(case: Case, rng: random.Random) -> Iterator[Change]:
    """A step has not come after up to twice as long as it ever takes."""
    yield from _silent(case, rng, 1.05, 2.0)


def stopped(case: Case, rng: random.Random) -> Iterator[Change]:
    """A case has stopped: nothing has come for 5 to 20 times as long as it ever takes."""
    yield from _silent(case, rng, 5.0, 20.0)


def _settled(case: Case, rng: random.Random, days: tuple[int, ...]) -> Iterator[Change]:
    for position in places(case, rng, TradeSettled):
        if case.events[position].data["settlement_status"] == "settled":
            due = latest(case, TradeBooked, position).data["settlement_date"]
            for change in _on_days(case, position, due, shuffled(days, rng)):
                yield replace(change, wrong={TIMESTAMP: due})


def _on_days(case: Case, position: int, due: str, days: list[int]) -> Iterator[Change]:
    """The event comes at its time of day, but so many business days after a date."""
    at = case.events[position].at
    for count in days:
        day = add_business_days(date.fromisoformat(due), count)
        yield from delayed(case, position, at + (day - at.date()))


def _silent(case: Case, rng: random.Random, least: float, most: float) -> Iterator[Change]:
    """A running case, looked at after so many times the longest wait that it could have now."""
    for _ in range(DRAWS):
        running, _ = young(case, rng)
        if wait := longest_wait(running):
            silence = timedelta(seconds=round(wait.total_seconds() * rng.uniform(least, most)))
            seen_at = running.events[-1].at + silence
            yield Change(running.events, len(running.events), seen_at=seen_at)


TIME = (settled_early, settled_late, review_overdue, approved_in_seconds, acknowledged_late)
SILENCE = (overdue, stopped)
