"""How strange each part is against what is usual for it."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procutils.cases import END, Case, Event, EventScore
from procutils.surprise import Usual, rarity, strangeness

NATS = st.lists(st.floats(0, 20), min_size=1, max_size=50).map(sorted)


def case(name: str = "payment-1") -> Case:
    return Case(name, [Event("Paid", {}, datetime(2025, 1, 6, tzinfo=UTC))])


def paid(**log_p: float) -> list[EventScore]:
    return [EventScore("Paid", {"type": 0.0} | log_p), EventScore(END, {"type": -0.1})]


@given(NATS, st.floats(0, 20))
def test_a_rarity_is_minus_the_log_of_a_share_and_beyond_that_counts_nats(normal, nats):
    share = (1 + sum(value >= nats for value in normal)) / (len(normal) + 1)
    beyond = max(0.0, nats - normal[-1])
    assert rarity(normal, nats) == pytest.approx(-math.log(share) + beyond)


@given(NATS, st.floats(0, 20), st.floats(0, 20))
def test_the_stranger_the_rarer(normal, a, b):
    assert (a <= b) <= (rarity(normal, a) <= rarity(normal, b))


def test_without_normal_ones_the_scorer_is_believed():
    assert rarity([], 7.5) == 7.5
    usual = Usual.learn([case()], [paid()])
    assert usual.parts("loan", paid()[0]) == {"type": 0.0}
    assert usual.parts("payment", EventScore("Stolen", {"type": -9.0})) == {"type": 9.0}
    assert usual.parts("payment", paid(who=-4.0)[0])["who"] == 4.0


def test_tails_are_believed_before_probabilities():
    score = EventScore("Paid", {"type": -1.0, "amount": -8.0}, tails={"amount": -0.5})
    assert strangeness(score) == {"type": 1.0, "amount": 0.5}


def test_a_part_that_is_hard_to_guess_does_not_drown_one_that_is_not():
    """An amount surprises by nine nats or so in every case, an approval level by a tenth."""
    normal = [paid(amount=-9 - i / 100, level=-0.1) for i in range(100)]
    usual = Usual.learn([case()] * 100, normal)
    usual_amount = usual.parts("payment", paid(amount=-9.5, level=-0.1)[0])
    odd_level = usual.parts("payment", paid(amount=-9.5, level=-3.0)[0])
    assert max(usual_amount, key=usual_amount.get) == "amount"
    assert max(odd_level, key=odd_level.get) == "level"
    assert odd_level["level"] == pytest.approx(math.log(101) + 2.9)


def test_parts_are_learned_by_process_and_type_whatever_the_order():
    cases = [case(), case("loan-1"), case()]
    scores = [paid(amount=-3.0), paid(amount=-1.0), paid(amount=-2.0)]
    usual = Usual.learn(cases, scores)
    assert usual.values["payment"]["Paid"]["amount"] == [2.0, 3.0]
    assert usual.values["loan"]["Paid"]["amount"] == [1.0]
    assert usual.values["payment"][END]["type"] == [0.1, 0.1]
    assert Usual.learn(cases[::-1], scores[::-1]).values == usual.values
    with pytest.raises(ValueError, match="zip"):
        Usual.learn(cases, scores[:2])


def test_a_case_is_as_strange_as_its_strangest_part():
    usual = Usual.learn([case()] * 9, [paid(amount=-1.0)] * 9)
    scores = paid(amount=-2.0)
    assert usual.event("payment", scores[0]) == pytest.approx(math.log(10) + 1)
    assert usual.event("payment", scores[1]) == 0.0
    assert usual.case("payment", scores) == usual.event("payment", scores[0])
