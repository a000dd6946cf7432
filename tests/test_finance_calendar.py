"""Business days, business hours, durations."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from procutils.finance.calendar import (
    add_business_days,
    after_work,
    closing,
    duration,
    is_business_day,
    opening,
)

moments = st.datetimes(datetime(2001, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))


def test_the_holidays_of_2026_and_their_observed_days():
    closed = [
        date(2026, 1, 1),
        date(2026, 1, 19),
        date(2026, 2, 16),
        date(2026, 4, 3),
        date(2026, 5, 25),
        date(2026, 6, 19),
        date(2026, 7, 3),  # the fourth is a Saturday
        date(2026, 9, 7),
        date(2026, 11, 26),
        date(2026, 12, 25),
    ]
    year = [date(2026, 1, 1) + timedelta(days=n) for n in range(365)]
    assert [d for d in year if d.weekday() < 5 and not is_business_day(d)] == closed
    assert is_business_day(date(2021, 12, 31)), "New Year on a Saturday is not moved to Friday"


def test_settlement_skips_weekends_and_holidays():
    assert add_business_days(date(2025, 1, 6), 2) == date(2025, 1, 8)
    assert add_business_days(date(2025, 1, 9), 2) == date(2025, 1, 13)  # over a weekend
    assert add_business_days(date(2025, 4, 16), 2) == date(2025, 4, 21)  # over Good Friday
    assert add_business_days(date(2025, 7, 3), 2) == date(2025, 7, 8)  # over Independence Day


@given(moments, st.integers(0, 200_000), st.integers(0, 200_000))
def test_work_goes_on_where_it_stopped(start, first, second):
    start = start.replace(microsecond=0)
    at = after_work(start, first)
    assert at >= start
    assert is_business_day(at.date()) and opening(at.date()) <= at <= closing(at.date())
    assert after_work(at, second) == after_work(start, first + second)


@given(st.integers(), st.floats(1, 1e5), st.integers(1, 500), st.integers(501, 10**6))
def test_a_duration_keeps_to_its_limits(seed, median, least, most):
    assert least <= duration(random.Random(seed), median, least, most) <= most
