"""Several scorers as one: probabilities stay probabilities, and what fits best is found."""

from math import exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procutils.baselines import NGram
from procutils.cases import EventScore
from procutils.encoded_baselines import EncodedNGram
from procutils.evaluation import nll_per_event
from procutils.finance.processes import simulate
from procutils.mixture import EVEN, Mixture, Pool, best_shares

FIRM = simulate(seed=5, cases=160)
TRAIN, CALIBRATION, TEST = FIRM[:80], FIRM[80:120], FIRM[120:]


@pytest.fixture(scope="module")
def both() -> tuple[NGram, EncodedNGram]:
    return NGram(2).fit(TRAIN), EncodedNGram(3).fit(TRAIN)


def surprise(scorer, cases) -> float:
    return nll_per_event(scorer.score_cases(cases), resamples=1)["nll_per_event"]


def test_on_what_it_was_fitted_to_it_is_no_worse_than_either(both):
    mixed = Mixture.fit(*both, CALIBRATION)
    assert surprise(mixed, CALIBRATION) <= min(surprise(m, CALIBRATION) for m in both) + 1e-6


def test_it_lies_between_the_two_everywhere(both):
    mixed = Mixture(*both)
    for scores in zip(*(m.score_cases(TEST) for m in (*both, mixed)), strict=True):
        for first, second, ours in zip(*scores, strict=True):
            low, high = sorted((first.parts["type"], second.parts["type"]))
            assert low - 1e-9 <= ours.parts["type"] <= high + 1e-9


def test_a_part_that_one_has_stays_as_it_is(both):
    mixed = Mixture(*both)
    encoded = both[1].score_cases(TEST)
    for ours, theirs in zip(mixed.score_cases(TEST), encoded, strict=True):
        for mine, its in zip(ours, theirs, strict=True):
            assert mine.parts.keys() == its.parts.keys()
            assert all(mine.parts[p] == its.parts[p] for p in its.parts if p != "type")


def test_next_events_are_mixed_as_scores_are(both):
    mixed, prefix = Mixture(*both, {"type": 0.3}), TEST[0]
    expected = dict(mixed.next_events(prefix, 100))
    for type_, p in expected.items():
        each = [dict(model.next_events(prefix, 1_000)).get(type_, 0.0) for model in both]
        assert p == pytest.approx(0.3 * each[0] + 0.7 * each[1])


def test_a_part_without_a_weight_counts_both_alike(both):
    found = Mixture(*both).mixed(
        EventScore("A", {"type": log(0.2)}), EventScore("A", {"type": log(0.6)})
    )
    assert exp(found.parts["type"]) == pytest.approx(EVEN * 0.2 + (1 - EVEN) * 0.6)


def test_a_pool_is_as_strange_as_they_find_on_average():
    ours = EventScore("A", {"type": log(0.2), "delay": log(0.3)}, tails={"type": log(0.4)})
    theirs = EventScore("A", {"type": log(0.1), "amount": log(0.5)})
    found = Pool().mixed(ours, theirs)
    assert exp(found.parts["type"]) == pytest.approx((0.4 * 0.1) ** 0.5)
    assert {part: exp(found.parts[part]) for part in ("delay", "amount")} == pytest.approx(
        {"delay": 0.3, "amount": 0.5}
    )
    third = EventScore("A", {"type": log(0.8)})
    found = Pool().mixed(ours, theirs, third)
    assert exp(found.parts["type"]) == pytest.approx((0.4 * 0.1 * 0.8) ** (1 / 3))


def test_a_pool_of_one_with_itself_is_that_one(both):
    alone = both[1].score_cases(TEST)
    assert [
        [event.parts == pytest.approx(it.parts) for event, it in zip(*pair, strict=True)]
        for pair in zip(Pool(both[1], both[1]).score_cases(TEST), alone, strict=True)
    ] == [[True] * len(of_case) for of_case in alone]


def best_weight(pairs: list[tuple[float, float]]) -> float:
    return best_shares(np.transpose(pairs))[0]


@given(st.lists(st.floats(-20, -0.1), min_size=1, max_size=20), st.floats(0.5, 5))
def test_the_better_one_gets_the_weight(better, by):
    assert best_weight([(p, p - by) for p in better]) > 0.99
    assert best_weight([(p - by, p) for p in better]) < 0.01


def test_what_each_knows_alone_is_shared():
    assert best_weight([(log(0.9), log(0.1)), (log(0.1), log(0.9))]) == pytest.approx(0.5, abs=0.01)
