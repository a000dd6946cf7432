"""The temporal profile and the isolation forest: what they measure, and what they find."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import exp, isclose

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from procutils.case_baselines import STRANGEST, IsolationForest
from procutils.cases import Case, Event
from procutils.finance.processes import simulate
from procutils.temporal_baselines import LEAST_DEVIATION, TemporalProfile

START = datetime(2025, 1, 6, 9, tzinfo=UTC)


def timed(*events: tuple[str, float], category: str = "payment") -> Case:
    """Each event: its type, and the seconds since the start of the case."""
    return Case(
        f"{category}-1", [Event(type_, {}, START + timedelta(seconds=s)) for type_, s in events]
    )


@pytest.fixture(scope="module")
def firm() -> list[Case]:
    return simulate(7, 400, rate=1.0)


def changed(case: Case, delay: timedelta) -> Case:
    """The same case, with all after its first event later by ``delay``."""
    return Case(case.id, case.events[:1] + [replace(e, at=e.at + delay) for e in case.events[1:]])


@given(st.lists(st.floats(1, 1e6), min_size=2, max_size=8), st.floats(0, 1e7))
def test_the_profile_is_a_z_score(waits, asked):
    model = TemporalProfile().fit([timed(("A", 0), ("B", wait)) for wait in waits])
    rounded = [timedelta(seconds=wait).total_seconds() for wait in waits]
    case = timed(("A", 0), ("B", asked))
    passed = timedelta(seconds=asked).total_seconds()
    z = abs(passed - np.mean(rounded)) / max(np.std(rounded), LEAST_DEVIATION)
    assert isclose(model.case_scores([case])[0], z, rel_tol=1e-6, abs_tol=1e-6)
    first, second, end = model.score(case)
    assert first.parts == end.parts == {"type": 0.0}
    assert isclose(exp(second.parts["delay"]), 2 * norm.sf(z), rel_tol=1e-4, abs_tol=1e-12)


def test_all_earlier_events_count_not_only_the_last():
    train = [timed(("A", 0), ("B", 1000 * i), ("C", 10_000 + i)) for i in range(1, 9)]
    model = TemporalProfile().fit(train)
    # From B to C it takes as long as it may; from A to C it never took twice the time.
    late = timed(("A", 0), ("B", 14_000), ("C", 20_000))
    assert model.score(late)[2].parts["delay"] < -100
    assert max(score.parts.get("delay", 0) for score in model.score(train[3])) <= 0


def test_of_repeated_events_the_latest_counts():
    model = TemporalProfile().fit([timed(("A", 0), ("A", 500), ("B", 500 + i)) for i in range(9)])
    assert model.profile["payment", "A", "B"][0] == 4


def test_pairs_hardly_seen_have_no_opinion():
    model = TemporalProfile().fit([timed(("A", 0), ("B", 60))])
    assert model.parameters == 0
    assert model.case_scores([timed(("A", 0), ("B", 10**6))]) == [0.0]
    model.fit([timed(("A", 0), ("B", 60))] * 2)
    assert model.parameters == 2
    assert model.case_scores([timed(("A", 0), ("B", 600), category="trade")]) == [0.0]


def test_cases_that_wait_too_long_rank_above_normal_ones(firm):
    model = TemporalProfile().fit(firm[:300])
    late = [changed(case, timedelta(days=60)) for case in firm[300:]]
    scores = model.case_scores(firm[300:] + late)
    assert roc_auc_score([0] * 100 + [1] * 100, scores) > 0.95


def test_the_forest_isolates_amounts_out_of_range(firm):
    payments = [case for case in firm if case.category == "payment"]
    cut = len(payments) // 2
    model = IsolationForest().fit(payments[:cut])
    huge = [
        Case(
            case.id,
            [
                replace(e, data={k: v * 1e6 if k == "amount" else v for k, v in e.data.items()})
                for e in case.events
            ],
        )
        for case in payments[cut:]
    ]
    pairs = zip(model.case_scores(payments[cut:]), model.case_scores(huge), strict=True)
    stranger = [changed > original for original, changed in pairs]
    assert np.mean(stranger) > 0.9


def test_the_forest_isolates_cases_of_many_repetitions(firm):
    model = IsolationForest().fit(firm[:300])
    rework = [
        Case(case.id, case.events + [replace(e, at=case.events[-1].at) for e in case.events] * 3)
        for case in firm[300:]
    ]
    scores = model.case_scores(firm[300:] + rework)
    assert roc_auc_score([0] * 100 + [1] * 100, scores) > 0.8


def test_the_forest_depends_on_its_seed_alone(firm):
    first, again, other = (
        IsolationForest(seed=seed).fit(firm[:100]).case_scores(firm[100:120]) for seed in (1, 1, 2)
    )
    assert first == again != other
    assert all(0 < score < 1 for score in first)


def test_an_unknown_process_is_the_strangest():
    model = IsolationForest(trees=3).fit([timed(("A", 0), ("B", 60))] * 3)
    assert model.case_scores([timed(("A", 0), category="trade")]) == [STRANGEST]
