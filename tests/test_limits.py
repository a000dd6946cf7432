"""Where numbers begin to matter is found where something changes, and nowhere else."""

import random
from decimal import Decimal
from math import inf, nextafter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from procutils.limits import LEAST, MOST_LIMITS, limits, roundest

finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**12), 10**12).map(
    lambda cents: cents / 100
)


def digits(number: float) -> int:
    return len(Decimal(str(number)).normalize().as_tuple().digits)


@given(st.integers(10, 10**6), st.integers(0, 10**6))
def test_a_planted_limit_is_found(limit: int, seed: int):
    chance = np.random.default_rng(seed)
    values = chance.uniform(0, 2 * limit, 120)
    found = limits(values, [chance.integers(0, 3, 120), (values >= limit).astype(int)])
    below, above = values[values < limit], values[values >= limit]
    assume(min(len(below), len(above)) >= 30)
    assert any(below.max() < at <= above.min() for at in found)


@pytest.mark.parametrize("planted", [(10, 25, 50), (20, 40, 60, 80)])
def test_several_limits_are_found_exactly(planted: tuple[int, ...]):
    values = np.arange(0, 100, 0.25)
    found = limits(values, [np.searchsorted(planted, values, side="right")])
    assert found == planted


def test_there_are_never_more_limits_than_ranges_have_names():
    values = np.arange(400.0)
    found = limits(values, [(values // 20).astype(int)])
    assert len(found) == MOST_LIMITS and list(found) == sorted(found)


@pytest.mark.parametrize(
    ("n", "answers", "questions"), [(20, 2, 1), (40, 12, 3), (100, 3, 10), (200, 40, 2)]
)
def test_noise_has_no_limits(n: int, answers: int, questions: int):
    found = 0
    for seed in range(100):
        chance = np.random.default_rng(seed)
        shares = chance.dirichlet(np.full(answers, 0.5))
        asked = [chance.choice(answers, n, p=shares) for _ in range(questions)]
        found += bool(limits(chance.lognormal(9, 1, n), asked))
    assert found <= 4  # one in a hundred is promised


def test_a_limit_needs_enough_values_on_either_side():
    values = np.arange(60)
    few = (values >= 60 - LEAST + 2).astype(int)
    assert limits(values, [few]) == (60 - LEAST,)  # as near as may be
    assert limits(values[: 2 * LEAST - 1], [(values[: 2 * LEAST - 1] >= LEAST).astype(int)]) == ()


def test_nothing_to_divide_has_no_limits():
    assert limits([], []) == limits([], [np.array([], int)]) == ()
    assert limits([3.0] * 50, [np.arange(50) % 2]) == ()
    assert limits(list(range(50)), []) == limits(list(range(50)), [np.zeros(50, int)]) == ()


def test_infinite_numbers_are_above_or_below_all_others():
    values = [-inf] * 20 + [*range(20)] + [inf] * 20
    assert limits(values, [np.repeat([0, 1, 2], 20)]) == (0.0, inf)


@given(finite, finite)
def test_the_roundest_number_lies_in_the_gap(a: float, b: float):
    low, high = sorted((a, b))
    assume(low < high)
    assert low < roundest(low, high) <= high


@given(st.integers(-999, 999), st.integers(1, 999), st.integers(-3, 6))
def test_no_number_in_the_gap_has_fewer_digits(low: int, gap: int, exponent: int):
    scale = Decimal(1).scaleb(exponent)
    inside = [digits(float(n * scale)) for n in range(low + 1, low + gap + 1)]
    assert digits(roundest(float(low * scale), float((low + gap) * scale))) <= min(inside)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (9_871.2, 10_004.9, 10_000),
        (98_250, 101_000, 100_000),
        (24.9, 25.1, 25),
        (0.25, 0.3, 0.3),
        (3, 500, 500),
        (-5, 7, 0),
        (-105, -95.5, -100),
        (1.0, nextafter(1.0, 2), nextafter(1.0, 2)),
        (0, 5e-324, 5e-324),
        (-inf, 3, 0),
    ],
)
def test_the_roundest_number(low: float, high: float, expected: float):
    assert roundest(low, high) == expected


def test_the_order_of_the_values_does_not_matter():
    chance = random.Random(3)
    values = [chance.uniform(0, 100) for _ in range(80)]
    answers = np.array([int(value > 37) for value in values])
    order = np.argsort(values)[::-1]
    assert limits(values, [answers]) == limits(np.array(values)[order], [answers[order]]) != ()
