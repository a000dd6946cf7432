"""Counting over whole events: proper distributions, and the strange part found."""

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import exp, isclose, log

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from procutils.attribute_baselines import LikelihoodGraph, recurring_texts
from procutils.backoff import UNSEEN, BackOff, witten_bell
from procutils.cases import END, Case, Event
from procutils.encoded_baselines import EncodedNGram
from procutils.finance.anomalies import inject
from procutils.finance.processes import simulate

START = datetime(2025, 1, 6, 9, tzinfo=UTC)
words = st.sampled_from(["red", "blue", "green", "white"])


def case(*events: tuple[str, int, dict], key: str = "1") -> Case:
    """Each event: its type, the seconds since the one before it, its data."""
    at, made = START, []
    for type_, seconds, data in events:
        at += timedelta(seconds=seconds)
        made.append(Event(type_, data, at))
    return Case(f"payment-{key}", made)


@pytest.fixture(scope="module")
def firm() -> list[Case]:
    return simulate(7, 400, rate=1.0)


def test_witten_bell_by_hand():
    parent = (1 + 3 * 0.1) / (4 + 3)
    assert isclose(witten_bell([Counter("abca"), Counter("b")], "b", 0.1), (1 + parent) / 2)
    assert witten_bell([], "b", 0.1) == 0.1


@given(
    st.lists(st.tuples(words, words, words), max_size=20),
    st.tuples(words | st.just("new"), words | st.just("new")),
)
def test_a_back_off_is_a_distribution_in_every_context(seen, asked):
    counts = BackOff()
    for a, b, value in seen:
        counts.add([(), (a,), (a, b)], value)
    contexts = [(), asked[:1], asked]
    distribution = counts.distribution(contexts)
    assert set(distribution) == {*(value for _, _, value in seen), UNSEEN}
    assert isclose(sum(distribution.values()), 1)
    assert min(distribution.values()) > 0
    for value, p in distribution.items():
        assert isclose(counts.probability(contexts, value), p)
    entropy = -sum(p * log(p) for p in distribution.values())
    assert isclose(counts.entropy(contexts), entropy, abs_tol=1e-12)
    assert counts.probability(contexts, "never") == distribution[UNSEEN]


def test_entropy_follows_the_counts():
    counts = BackOff()
    counts.add([()], "a")
    before = counts.entropy([()])
    counts.add([()], "b")
    assert counts.entropy([()]) > before


@given(st.lists(st.lists(st.tuples(words, words), max_size=4), min_size=1, max_size=6), words)
def test_types_and_fields_of_the_likelihood_graph_sum_to_one(variants, first):
    train = [
        case(*((type_, 60, {"by": by}) for type_, by in variant), key=str(i))
        for i, variant in enumerate([*variants, [("red", "blue")], [("red", "blue")]])
    ]
    model = LikelihoodGraph().fit(train)
    prefix = case((first, 0, {"by": "blue"}))
    distribution = model.distribution(prefix)
    assert isclose(sum(distribution.values()), 1)
    for type_, p in distribution.items():
        scored = model.score(
            prefix if type_ == END else case((first, 0, {"by": "blue"}), (type_, 60, {}))
        )
        assert isclose(exp(scored[1].parts["type"]), p)
    if (type_ := "red", "by") in recurring_texts(train):
        held = {e.data["by"] for c in train for e in c.events if e.type == type_}
        total = sum(
            exp(model.score(case((type_, 0, {"by": by})))[0].parts["by"]) for by in {*held, "never"}
        )
        assert isclose(total, 1)


@given(st.lists(st.lists(st.sampled_from("ABC"), max_size=5), min_size=1, max_size=6))
def test_delays_of_the_encoded_n_gram_sum_to_one(variants):
    took = {"A": 30, "B": 200, "C": 1000}  # three different words
    train = [
        case(*((type_, took[type_], {}) for type_ in variant), key=str(i))
        for i, variant in enumerate([*variants, ["A", "A"]])
    ]
    model = EncodedNGram(3).fit(train)
    seen = {took[type_] for variant in [*variants, "AA"] for type_ in variant[1:]}
    for prefix in ("A", "C"):
        parts = [
            model.score(case((prefix, 0, {}), ("A", seconds, {})))[1].parts
            for seconds in {*seen, 2}
        ]
        assert isclose(sum(exp(part["delay"]) for part in parts), 1)
    assert isclose(sum(model.distribution(train[0]).values()), 1)


def test_the_likelihood_graph_by_hand():
    train = [
        case(("A", 0, {"by": "x"}), ("B", 60, {}), key="1"),
        case(("A", 0, {"by": "x"}), ("B", 60, {}), key="2"),
        case(("A", 0, {"by": "y"}), ("C", 60, {}), key="3"),
        case(("A", 0, {"by": "y"}), ("C", 60, {}), key="4"),
    ]
    model = LikelihoodGraph().fit(train)
    scores = model.score(train[0])
    assert isclose(exp(scores[0].parts["by"]), 2 / (4 + 1))
    everywhere = 2 / (12 + 1)  # A, B, C and END, B twice of 12, none once
    in_process = (2 + 4 * everywhere) / (12 + 4)
    after_a = (2 + 2 * in_process) / (4 + 2)
    assert isclose(exp(scores[1].parts["type"]), (2 + after_a) / (2 + 1))
    crossed = case(("A", 0, {"by": "x"}), ("C", 60, {}))
    assert model.case_scores([crossed]) > model.case_scores(train[:1])


def test_numbers_are_binned_by_what_training_showed():
    train = [case(("A", 0, {"amount": i}), key=str(i)) for i in range(100)]
    model = LikelihoodGraph(bins=10).fit(train)

    def p(amount):
        return exp(model.score(case(("A", 0, {"amount": amount})))[0].parts["amount"])

    assert p(15) == p(18.5) > p(1000) == p(-1)
    with pytest.raises(ValueError, match="0 bins"):
        LikelihoodGraph(bins=0)


def test_what_identifies_a_case_is_no_node():
    train = [case(("A", 0, {"id": f"a-{i}", "by": f"user-{i % 3}"}), key=str(i)) for i in range(9)]
    assert recurring_texts(train) == {("A", "by")}
    assert set(LikelihoodGraph().fit(train).score(train[0])[0].parts) == {"type", "by"}


def test_field_words_say_what_comes_next():
    log_ = [
        case(
            ("A", 0, {"way": way}),
            ("B", 60, {}),
            ("C" if way == "left" else "D", 60, {}),
            key=str(i),
        )
        for i, way in enumerate(["left", "right"] * 20)
    ]
    direct = [Case(c.id, [c.events[0], c.events[2]]) for c in log_]
    model = EncodedNGram(2).fit(direct)
    by_way = [dict(model.next_events(Case(c.id, c.events[:1]), 1)) for c in direct[:2]]
    assert [max(found) for found in by_way] == ["C", "D"]
    assert by_way[0]["C"] > 0.9
    # One step later only a longer memory could know, and the last event has no words.
    assert (
        max(
            dict(
                EncodedNGram(2).fit(log_).next_events(Case("payment-1", log_[0].events[:2]), 1)
            ).values()
        )
        < 0.6
    )


def test_the_order_is_chosen_on_validation(firm):
    chosen = EncodedNGram.choose(firm[:200], firm[200:], [1, 2, 3])
    assert chosen.order in (2, 3)
    assert chosen.score(firm[0]) == EncodedNGram(chosen.order).fit(firm[:200]).score(firm[0])
    with pytest.raises(ValueError, match="validation"):
        EncodedNGram.choose(firm[:200], [], [1])
    with pytest.raises(ValueError, match="order is 0"):
        EncodedNGram(0)


@pytest.mark.parametrize("model", [LikelihoodGraph(), EncodedNGram(3)])
@pytest.mark.parametrize("kind", ["foreign", "skipped", "swapped"])
def test_wrong_structure_ranks_above_normal_cases(model, kind, firm):
    model.fit(firm[:300])
    rng = random.Random(1)
    wrong = [found.case for c in firm[300:] if (found := inject(c, kind, rng))]
    labels = [0] * 100 + [1] * len(wrong)
    assert roc_auc_score(labels, model.case_scores(firm[300:] + wrong)) > 0.8


@pytest.mark.parametrize("model", [LikelihoodGraph(), EncodedNGram(3)])
def test_an_unusual_delay_shows_in_its_own_part(model, firm):
    model.fit(firm[:300])
    for normal in firm[300:320]:
        late = [normal.events[0]] + [
            replace(event, at=event.at + timedelta(days=400)) for event in normal.events[1:]
        ]
        usual, strange = model.score(normal)[1], model.score(Case(normal.id, late))[1]
        assert strange.parts["delay"] < usual.parts["delay"]
        assert strange.parts["type"] == usual.parts["type"]


def test_an_actor_of_another_department_surprises_the_likelihood_graph():
    payments = simulate(7, 400, rate=1.0, weights={"payment": 1.0})
    model = LikelihoodGraph().fit(payments[:300])
    seen = 0
    for normal in payments[300:]:
        for i, event in enumerate(normal.events):
            if event.type == "PaymentApproved":
                other = replace(event, data=event.data | {"approver_id": "visitor-99"})
                changed = Case(normal.id, [*normal.events[:i], other, *normal.events[i + 1 :]])
                before, after = model.score(normal)[i].parts, model.score(changed)[i].parts
                assert after["approver_id"] < before["approver_id"]
                assert after["type"] == before["type"]
                seen += 1
    assert seen > 10
