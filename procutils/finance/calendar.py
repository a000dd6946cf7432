"""Business days, business hours, and how long things take.

The firm works from 08:00 to 18:00 UTC on the business days of the US securities markets.
Times are whole seconds.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar

import numpy as np
from pandas.tseries.holiday import (
    AbstractHolidayCalendar,
    GoodFriday,
    Holiday,
    USLaborDay,
    USMartinLutherKingJr,
    USMemorialDay,
    USPresidentsDay,
    USThanksgivingDay,
    nearest_workday,
    sunday_to_monday,
)

OPENING, CLOSING = time(8, tzinfo=UTC), time(18, tzinfo=UTC)


class MarketHolidays(AbstractHolidayCalendar):
    """The regular full-day holidays of the New York exchanges (NYSE Rule 7.2)."""

    rules: ClassVar[list[Holiday]] = [
        Holiday("New Year's Day", month=1, day=1, observance=sunday_to_monday),
        USMartinLutherKingJr,
        USPresidentsDay,
        GoodFriday,
        USMemorialDay,
        Holiday("Juneteenth", month=6, day=19, start_date="2022-06-19", observance=nearest_workday),
        Holiday("Independence Day", month=7, day=4, observance=nearest_workday),
        USLaborDay,
        USThanksgivingDay,
        Holiday("Christmas Day", month=12, day=25, observance=nearest_workday),
    ]


_HOLIDAYS = MarketHolidays().holidays("2000-01-01", "2099-12-31").to_numpy("datetime64[D]")
_BUSINESS = np.busdaycalendar(holidays=_HOLIDAYS)


def is_business_day(day: date) -> bool:
    return bool(np.is_busday(day, busdaycal=_BUSINESS))


def add_business_days(day: date, days: int) -> date:
    """The business day ``days`` after ``day``; counting starts at the next one if it is none."""
    return np.busday_offset(day, days, roll="forward", busdaycal=_BUSINESS).item()


def opening(day: date) -> datetime:
    return datetime.combine(day, OPENING)


def closing(day: date) -> datetime:
    return datetime.combine(day, CLOSING)


def after_work(start: datetime, seconds: float) -> datetime:
    """The moment at which ``seconds`` of business hours have passed since ``start`` (UTC)."""
    day = start.date()
    if not is_business_day(day) or start >= closing(day):
        day = add_business_days(day + timedelta(days=1), 0)
        start = opening(day)
    moment = max(start, opening(day)) + timedelta(seconds=round(seconds))
    while moment > closing(day):
        rest = moment - closing(day)
        day = add_business_days(day, 1)
        moment = opening(day) + rest
    return moment


def duration(rng: random.Random, median: float, least: float = 1, most: float = np.inf) -> int:
    """A log-normal number of seconds between ``least`` and ``most``, never below 1."""
    seconds = median * rng.lognormvariate(0, 0.7)
    if seconds > most:  # uniform below it, so that no heap arises at the limit
        seconds = rng.uniform(least, most)
    return max(1, round(max(seconds, least)))


def soon(rng: random.Random, now: datetime, **span: float) -> datetime:
    """A machine is done after ``duration(rng, **span)``, around the clock."""
    return now + timedelta(seconds=duration(rng, **span))


def at_work(rng: random.Random, now: datetime, **span: float) -> datetime:
    """Somebody is done after ``duration(rng, **span)`` of business hours."""
    return after_work(now, duration(rng, **span))


def on_day(rng: random.Random, day: date) -> datetime:
    """Some moment in the business hours of ``day``."""
    hours = (closing(day) - opening(day)).total_seconds()
    return opening(day) + timedelta(seconds=rng.randrange(int(hours)))
