"""The counting models: exact on small examples, proper distributions on any."""

from datetime import UTC, datetime, timedelta
from math import exp, isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procutils.baselines import (
    FLOOR,
    UNSEEN,
    Bigram,
    NGram,
    PrefixTree,
    argmax_rule,
    flag_everything,
    unseen_rule,
)
from procutils.cases import END, Case, Event

START = datetime(2024, 1, 1, tzinfo=UTC)


def make_case(types: str, category: str = "payment") -> Case:
    """One event per letter."""
    events = [Event(t, {}, START + timedelta(minutes=i)) for i, t in enumerate(types)]
    return Case(f"{category}-1", events)


def cases(*variants: str, category: str = "payment") -> list[Case]:
    return [make_case(types, category) for types in variants]


TRAIN = cases("ABC", "ABC", "ABD", "AD")
logs = st.lists(st.text("ABCDE", max_size=6), min_size=1, max_size=8)


@pytest.mark.parametrize("model", [Bigram(), PrefixTree(), NGram(3)])
def test_one_score_per_event_and_one_for_the_end(model):
    scores = model.fit(TRAIN).score(make_case("ABC"))
    assert [score.type for score in scores] == ["A", "B", "C", END]
    assert all(set(score.parts) == {"type"} and score.surprisal >= 0 for score in scores)
    assert model.score_cases([make_case("ABC")]) == [scores]


def test_a_bigram_gives_relative_frequencies_and_the_floor():
    model = Bigram().fit(TRAIN)
    assert dict(model.next_events(make_case("XA"), 5)) == {"B": 0.75, "D": 0.25}
    assert [score.parts["type"] for score in model.score(make_case("ADB"))] == [
        0.0,
        log(0.25),
        log(FLOOR),  # D → B was never seen
        log(FLOOR),  # nor did a case end after B
    ]


def test_a_prefix_tree_remembers_the_whole_prefix():
    model = PrefixTree().fit(cases("ABC", "DBE"))
    assert model.next_events(make_case("AB"), 5) == [("C", 1.0)]
    assert model.next_events(make_case("DB"), 5) == [("E", 1.0)]
    assert model.next_events(make_case("B"), 5) == []
    assert dict(Bigram().fit(cases("ABC", "DBE")).next_events(make_case("AB"), 5)) == {
        "C": 0.5,
        "E": 0.5,
    }


def test_witten_bell_by_hand():
    model = NGram(2).fit(cases("AB", "AC"))
    uniform = 1 / 5  # A, B, C, END, UNSEEN
    unigram_b = (1 + 4 * uniform) / (6 + 4)  # 6 tokens of 4 types: A A B C END END
    bigram_b = (1 + 2 * unigram_b) / (2 + 2)
    assert isclose(dict(model.next_events(make_case("A"), 9))["B"], bigram_b)
    assert isclose(model.score(make_case("AB"))[1].parts["type"], log(bigram_b))


@given(logs, st.text("ABCDEX", max_size=6), st.integers(1, 5), st.sampled_from(["payment", "new"]))
def test_an_ngram_is_a_distribution_wherever_it_is_asked(variants, prefix, order, category):
    model = NGram(order).fit(cases(*variants))
    distribution = model.distribution(make_case(prefix, category))
    assert set(distribution) == {*"".join(variants), END, UNSEEN}
    assert min(distribution.values()) > 0
    assert isclose(sum(distribution.values()), 1)
    score = model.score(make_case(prefix + "Z", category))[len(prefix)]
    assert isclose(exp(score.parts["type"]), distribution[UNSEEN])


@given(logs, st.text("ABCDE", max_size=6))
def test_scores_and_next_events_agree(variants, types):
    for model in (Bigram(), PrefixTree(), NGram(3)):
        model.fit(cases(*variants))
        for i, score in enumerate(model.score(make_case(types))):
            next_events = dict(model.next_events(make_case(types[:i]), 99))
            expected = next_events.get(score.type, next_events.get(UNSEEN, FLOOR))
            assert isclose(exp(score.parts["type"]), expected)


def test_next_events_come_most_probable_first_and_ties_by_name():
    model = Bigram().fit(cases("AC", "AB", "AD", "AD"))
    assert [type_ for type_, _ in model.next_events(make_case("A"), 3)] == ["D", "B", "C"]
    assert [type_ for type_, _ in model.next_events(make_case("A"), 1)] == ["D"]


def test_the_category_is_context():
    model = NGram(1).fit(cases("AB") + cases("CD", category="trade"))
    of_payment = model.distribution(make_case(""))
    assert of_payment["A"] > 2 * of_payment["C"]
    assert unseen_rule(Bigram().fit(cases("AB")), make_case("AB", "trade"))


def test_fitting_again_starts_afresh():
    model = NGram(3).fit(TRAIN)
    before = model.parameters
    assert model.fit(TRAIN).parameters == before
    assert model.fit(cases("XY")).vocabulary == {"X", "Y", END}


def test_parameters_are_the_counts_kept():
    assert Bigram().fit(TRAIN).parameters == 7  # start A, A B, A D, B C, B D, C end, D end
    assert PrefixTree().fit(cases("AB")).parameters == 3


def test_the_order_is_chosen_on_validation():
    # What follows B depends on the event before it: only order 3 and up can know.
    log_ = cases(*["ABC", "DBE"] * 20)
    assert NGram.choose(log_, log_, [1, 2, 3]).order == 3
    # Where it was chance, a longer memory learned it in vain.
    assert NGram.choose(cases("ABC", "DBE"), cases("ABE", "DBC"), [1, 2, 3]).order == 2
    with pytest.raises(ValueError, match="validation"):
        NGram.choose(log_, [], [1])
    with pytest.raises(ValueError, match="order is 0"):
        NGram(0)


def test_the_argmax_rule_flags_the_smaller_branch():
    model = PrefixTree().fit(TRAIN)
    assert not argmax_rule(model, make_case("ABC"))
    assert argmax_rule(model, make_case("ABD"))  # normal, and flagged all the same
    assert argmax_rule(model, make_case("ACB"))
    assert argmax_rule(model, make_case("AXC"))
    assert not argmax_rule(model, make_case("A"))  # there is no guess about the end


def test_the_unseen_rule_keeps_the_smaller_branch():
    for model in (Bigram().fit(TRAIN), PrefixTree().fit(TRAIN)):
        assert not any(unseen_rule(model, case) for case in TRAIN)
        assert all(unseen_rule(model, case) for case in cases("ACB", "BC", "AXC", "AB"))
    assert flag_everything(make_case("ABC"))
