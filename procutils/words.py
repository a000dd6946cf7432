"""The words of a value: labels, delays, numbers and dates as a language model reads them best."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from functools import lru_cache
from typing import Any

import numpy as np

#: A delay is one word, so that it costs one token: the first whose bound (seconds) is not exceeded.
DELAYS = {"instantly": 5, "seconds": 60, "minute": 5 * 60, "minutes": 30 * 60, "hour": 2 * 3600}
#: Then ``hours`` until midnight (UTC), ``overnight`` for what is shorter than this (seconds) …
OVERNIGHT = 12 * 3600
#: … and then the business days that have begun between the two dates; after five, up to this many.
BUSINESS_DAYS = {0: "weekend", 1: "day", 2: "two", 3: "three", 4: "four", 5: "five"}
LONGER = {"week": 10, "weeks": 30}

#: All of them, the shorter first.
DELAY_WORDS = (
    "before",
    *DELAYS,
    "hours",
    "overnight",
    *BUSINESS_DAYS.values(),
    *LONGER,
    "months",
)

SUFFIXES = {12: "T", 9: "B", 6: "M", 3: "K"}


@lru_cache(10_000)  # labels recur
def words(name: str) -> str:
    """``PaymentPendingApproval`` → ``payment pending approval``; any label → lower-case words.

    Plain words cost fewer tokens than CamelCase, and are what the base model has read. The result
    is one line, never empty, and holds none of ``_ - /``.
    """
    name = name.encode("utf-8", "replace").decode()  # no half characters: tokenizers refuse them
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\s\-/]+", " ", name)
    return " ".join(spaced.lower().split()) or "nothing"


def delay_word(start: datetime, end: datetime) -> str:
    """The time from ``start`` to ``end`` as one word; negative times are ``before``.

    Dates are those of UTC, as in the store. The later the end, the later the word in the order
    before, instantly … hours, overnight, weekend, day … five, week, weeks, months.
    """
    seconds = (end - start).total_seconds()
    if seconds < 0:
        return "before"
    for word, bound in DELAYS.items():
        if seconds <= bound:
            return word
    first, last = start.astimezone(UTC).date(), end.astimezone(UTC).date()
    if first == last:
        return "hours"
    if seconds <= OVERNIGHT:
        return "overnight"
    days = int(np.busday_count(first, last))
    if days in BUSINESS_DAYS:
        return BUSINESS_DAYS[days]
    return next((word for word, bound in LONGER.items() if days <= bound), "months")


def magnitude(value: float) -> str:
    """A number to two significant digits, cut and not rounded, so that a limit stays a limit.

    99,999 → ``99K``, 100,000 → ``100K``, −0.0123 → ``-0.012``.
    """
    number = Decimal(value) if isinstance(value, int) else Decimal(str(value))
    if not number.is_finite():
        return str(value)
    if number == 0:
        return "0"
    exponent = number.adjusted()
    cut = number.quantize(Decimal(1).scaleb(exponent - 1), ROUND_DOWN).normalize()
    if not -6 <= exponent < 15:
        return f"{cut:e}"
    for power, suffix in SUFFIXES.items():
        if exponent >= power:
            return f"{cut.scaleb(-power):f}{suffix}"
    return f"{cut:f}"


def parse_date(value: Any) -> datetime | None:
    """An ISO 8601 date or time as the end of that moment in UTC; None if it is neither."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        return None
    try:
        moment = datetime.fromisoformat(value)
        if len(value) == len("2025-01-31"):
            moment += timedelta(hours=23, minutes=59, seconds=59)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def is_number(value: Any) -> bool:
    """Whether it counts or measures something; truth values do not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def to_float(number: float) -> float:
    """As a float; infinite if it is an integer that is too large for one."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def label(value: Any) -> str:
    """A value as text by which it is recognised: 1.0 and 1 are the same."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)
