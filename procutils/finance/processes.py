"""The five processes of the firm, and many cases of them under way at the same time."""

from __future__ import annotations

import hashlib
import random
from datetime import UTC, datetime

from procutils.cases import Case
from procutils.finance.account import ACCOUNT
from procutils.finance.calendar import after_work
from procutils.finance.compliance import COMPLIANCE
from procutils.finance.payment import PAYMENT
from procutils.finance.process import Process
from procutils.finance.risk import RISK
from procutils.finance.trade import TRADE

PROCESSES: dict[str, Process] = {
    process.category: process for process in (TRADE, PAYMENT, RISK, COMPLIANCE, ACCOUNT)
}
#: What a compliance check can be about, and how far back it looks, in cases.
SUBJECTS, LOOKBACK = (TRADE.category, PAYMENT.category, ACCOUNT.category), 40


def simulate(
    seed: int,
    cases: int,
    start: datetime = datetime(2025, 1, 6, tzinfo=UTC),
    weights: dict[str, float] | None = None,
    rate: float = 12.0,
) -> list[Case]:
    """A firm at work: cases of all processes that overlap in time, ordered by their first event.

    cases: how many to draw. weights: category → how often, relative to the others; equal if None.
    rate: new cases per business hour, on average, from ``start`` (UTC) on. The result depends on
    the arguments alone, and a case does not depend on how many are drawn after it.

    Raises ValueError for an unknown category, or a rate that is not positive.
    """
    weights = dict.fromkeys(PROCESSES, 1.0) if weights is None else weights
    if unknown := weights.keys() - PROCESSES.keys():
        raise ValueError(f"unknown process {min(unknown)!r}: choose among {', '.join(PROCESSES)}")
    if rate <= 0:
        raise ValueError(f"rate is {rate}: give a positive number of cases per business hour")
    arrivals, now, drawn = random.Random(f"{seed}/arrivals"), start, []
    for index in range(cases):
        now = after_work(now, max(1, round(arrivals.expovariate(rate / 3_600))))
        category = arrivals.choices(list(weights), list(weights.values()))[0]
        about = [case.id for case in drawn[-LOOKBACK:] if case.category in SUBJECTS]
        subject = arrivals.choice(about) if category == COMPLIANCE.category and about else None
        key = hashlib.sha256(f"{seed}/{index}".encode()).hexdigest()[:10]
        rng = random.Random(f"{seed}/{index}")
        drawn.append(PROCESSES[category].simulate(rng, now, key, subject))
    return drawn
