"""Who works in the firm, and what it deals with."""

from __future__ import annotations

import math
import random

SYMBOLS = {"AAPL": 190.0, "MSFT": 420.0, "GS": 460.0, "JPM": 200.0, "XOM": 115.0, "KO": 62.0}
ACCOUNTS = [f"acct-{number}" for number in range(1001, 1061)]
BENEFICIARIES = [f"beneficiary-{number}" for number in range(101, 141)]
COUNTERPARTIES = [f"counterparty-{number:02}" for number in range(1, 21)]
APPROVERS = [f"approver-{number:02}" for number in range(1, 13)]
SCREENERS = [f"screener-{number:02}" for number in range(1, 5)]
RISK_OFFICERS = [f"risk-{number:02}" for number in range(1, 9)]
COMPLIANCE_OFFICERS = [f"officer-{number:02}" for number in range(1, 11)]


def another(rng: random.Random, people: list[str], *excluded: str | None) -> str:
    """Somebody of ``people``, but none of ``excluded``: the segregation of duties."""
    return rng.choice([person for person in people if person not in excluded])


def log_uniform(rng: random.Random, low: float, high: float) -> float:
    """A number between ``low`` and ``high``, each order of magnitude equally likely."""
    return math.exp(rng.uniform(math.log(low), math.log(high)))
