"""The words of labels, delays, numbers and dates."""

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_data import MONDAY, anything, moments

from procutils.words import (
    DELAY_WORDS,
    delay_word,
    is_number,
    label,
    magnitude,
    parse_date,
    to_float,
    words,
)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("PaymentPendingApproval", "payment pending approval"),
        ("AccountKYCStarted", "account kyc started"),
        ("W_Nabellen offertes-SCHEDULE", "w nabellen offertes schedule"),
        ("margin_check", "margin check"),
        (" Prüfung\n gestartet ", "prüfung gestartet"),
        ("支付完成", "支付完成"),
        ("--", "nothing"),
        ("half a \ud83d smile", "half a ? smile"),
    ],
)
def test_labels_become_plain_words(label: str, expected: str):
    assert words(label) == expected


@given(st.text(st.characters(exclude_categories=())))
def test_words_are_one_line_and_never_empty(label: str):
    said = words(label)
    assert said == " ".join(said.split()) != ""
    assert not set(said) & set("_-/")
    said.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (99_999, "99K"),
        (99_999.99999999, "99K"),
        (100_000, "100K"),
        (0.29, "0.29"),
        (-0.0123, "-0.012"),
        (14_000, "14K"),
        (1_250_000.0, "1.2M"),
        (7, "7"),
        (0.0, "0"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (10**400, "1e+400"),
    ],
)
def test_magnitudes(value: float, expected: str):
    assert magnitude(value) == expected


def exactly(said: str) -> Decimal:
    power = {"K": 3, "M": 6, "B": 9, "T": 12}.get(said[-1])
    return Decimal(said[:-1]).scaleb(power) if power else Decimal(said)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers()


@given(numbers)
def test_a_magnitude_never_rounds_up_across_a_limit(value: float):
    said = abs(exactly(magnitude(value)))
    assert said <= abs(Decimal(str(value)))
    assert said >= abs(Decimal(str(value))) * Decimal("0.9")


@given(numbers, numbers)
def test_magnitudes_keep_the_order(a: float, b: float):
    low, high = sorted((a, b))
    assert exactly(magnitude(low)) <= exactly(magnitude(high))


@given(moments, moments, moments)
def test_delay_words_are_monotone(start: datetime, a: datetime, b: datetime):
    early, late = sorted((a, b))
    ranks = [DELAY_WORDS.index(delay_word(start, end)) for end in (early, late)]
    assert ranks == sorted(ranks)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=60)))
def test_delay_words_are_monotone_close_by_too(start: datetime, delay: timedelta):
    test_delay_words_are_monotone.hypothesis.inner_test(start, start + delay / 2, start + delay)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (-1, "before"), (0, "instantly"), (0.01, "seconds"), (0.05, "minute"), (0.4, "minutes"),
        (2, "hour"), (3, "hours"), (14.9, "hours"), (24, "day"), (48, "two"), (4 * 24, "four"),
        (5 * 24, "five"), (7 * 24, "five"), (8 * 24, "week"), (30 * 24, "weeks"),
        (90 * 24, "months"),
    ],
)  # fmt: skip
def test_delays_from_a_monday_morning(hours: float, expected: str):
    assert delay_word(MONDAY, MONDAY + timedelta(hours=hours)) == expected


def test_nights_and_weekends_are_no_business_days():
    evening = MONDAY.replace(hour=20)
    friday, saturday = MONDAY + timedelta(days=4), MONDAY + timedelta(days=5)
    assert delay_word(evening, evening + timedelta(hours=11)) == "overnight"
    assert delay_word(friday, friday + timedelta(days=3)) == "day"
    assert delay_word(saturday, saturday + timedelta(days=2)) == "weekend"


@given(moments, moments)
def test_the_time_zone_that_a_time_is_told_in_does_not_matter(start: datetime, end: datetime):
    assert delay_word(start, end) == delay_word(start.astimezone(UTC), end.astimezone(UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-31", datetime(2025, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2025-01-31T10:00:00+02:00", datetime(2025, 1, 31, 8, tzinfo=UTC)),
        ("2025-01-31 10:00", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("9999-12-31", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:00:00-05:00", None),
        ("2025-13-01", None),
        ("2025", None),
        (20250131, None),
    ],
)
def test_dates(text: Any, expected: datetime | None):
    assert parse_date(text) == expected


@given(anything)
def test_only_what_counts_or_measures_is_a_number(value: Any):
    assert is_number(value) == (type(value) in (int, float))
    assert not is_number(value) or isinstance(to_float(value), float)


@given(st.integers(-(2**53), 2**53))
def test_a_number_is_recognised_however_it_is_written(value: int):
    assert label(value) == label(float(value)) == str(value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "True"),
        (0.5, "0.5"),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (None, "None"),
        ("1", "1"),
    ],
)
def test_other_values_are_recognised_by_their_text(value: Any, expected: str):
    assert label(value) == expected


def test_numbers_too_large_for_a_float_are_infinite():
    assert to_float(10**400) == math.inf and to_float(-(10**400)) == -math.inf
