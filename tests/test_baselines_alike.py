"""What all baselines have in common: one face, and nothing that depends on luck."""

import time
from datetime import UTC, datetime, timedelta
from math import exp, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procutils.attribute_baselines import LikelihoodGraph
from procutils.baselines import Bigram, NGram, PrefixTree
from procutils.case_baselines import IsolationForest
from procutils.cases import END, Case, Event
from procutils.encoded_baselines import EncodedNGram
from procutils.finance.processes import simulate
from procutils.temporal_baselines import TemporalProfile

NEXT = [Bigram, PrefixTree, NGram, LikelihoodGraph, EncodedNGram]
EVENTS = [*NEXT, TemporalProfile]
ALL = [*EVENTS, IsolationForest]

values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["2025-01-31", "2025-01-31T10:00:00+00:00", "user-7"]),
    st.lists(st.text(max_size=3), max_size=2),
)
events = st.builds(
    Event,
    st.sampled_from("ABC"),
    st.dictionaries(st.sampled_from(["amount", "by", "delay", "type"]), values, max_size=3),
    st.integers(0, 10**6).map(lambda s: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=s)),
)
anything = st.builds(
    Case, st.sampled_from(["payment-1", "payment-2", "trade-1"]), st.lists(events, max_size=5)
)


@pytest.fixture(scope="module")
def firm() -> list[Case]:
    return simulate(7, 400, rate=1.0)


@pytest.fixture(scope="module")
def fitted(firm):
    return {model: model().fit(firm[:200]) for model in ALL}


@pytest.mark.parametrize("model", ALL)
def test_without_cases_there_is_nothing_to_learn(model):
    with pytest.raises(ValueError, match="no cases"):
        model().fit([])


@pytest.mark.parametrize("model", EVENTS)
def test_one_score_per_event_and_one_for_the_end(model, firm, fitted):
    for case, scores in zip(firm, fitted[model].score_cases(firm), strict=True):
        assert [score.type for score in scores] == [*case.types, END]
        assert all(max(score.parts.values()) <= 0 for score in scores)
        assert all("type" in score.parts for score in scores)


@pytest.mark.parametrize("model", ALL)
def test_fitting_twice_is_fitting_once(model, firm, fitted):
    again = model().fit(firm[200:]).fit(firm[:200])
    assert again.parameters == fitted[model].parameters > 0
    assert again.case_scores(firm) == fitted[model].case_scores(firm)


@pytest.mark.parametrize("model", ALL)
def test_scores_do_not_depend_on_the_batch(model, firm, fitted):
    whole = fitted[model].case_scores(firm)
    assert fitted[model].case_scores(reversed(firm)) == whole[::-1]
    assert [fitted[model].case_scores([case])[0] for case in firm[:20]] == whole[:20]
    assert fitted[model].case_scores([]) == []
    if model in EVENTS:
        scores = fitted[model].score_cases(firm)
        assert fitted[model].score_cases(reversed(firm)) == scores[::-1]
        assert [fitted[model].score(case) for case in firm[:20]] == scores[:20]


@pytest.mark.parametrize("model", NEXT)
def test_next_events_continue_what_is_scored(model, firm, fitted):
    for case in firm[200:220]:
        for position, score in enumerate(fitted[model].score(case)):
            likely = dict(fitted[model].next_events(Case(case.id, case.events[:position]), 99))
            if score.type in likely:
                assert exp(-score.surprisal) == pytest.approx(likely[score.type])


@pytest.mark.parametrize("model", ALL)
@settings(max_examples=30)
@given(st.lists(anything, min_size=1, max_size=6), st.lists(anything, max_size=4))
def test_whatever_comes_gets_a_finite_score(model, train, test):
    fitted = IsolationForest(trees=3) if model is IsolationForest else model()
    fitted.fit(train)
    assert all(map(isfinite, fitted.case_scores(test)))
    if model in EVENTS:
        scores = fitted.score_cases(test)
        assert all(isfinite(p) for case in scores for one in case for p in one.parts.values())


@pytest.mark.parametrize("model", ALL)
def test_a_process_never_seen_has_scores(model, firm):
    payments = [case for case in firm if case.category == "payment"]
    trades = [case for case in firm if case.category == "trade"]
    fitted = model().fit(payments)
    assert all(map(isfinite, fitted.case_scores(trades)))


@pytest.mark.parametrize("model", ALL)
def test_a_thousand_cases_take_less_than_two_seconds(model, firm, fitted):
    many = (firm * 3)[:1000]
    start = time.thread_time()
    fitted[model].case_scores(many)
    assert time.thread_time() - start < 2
    if model in EVENTS:
        start = time.thread_time()
        fitted[model].score_cases(many)
        assert time.thread_time() - start < 2
