"""The graded table: entrants, ranks per process, tiers, silence; and its figures."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import inf, log

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procutils import plots
from procutils.baselines import Bigram, NGram
from procutils.benchmark import (
    against_best,
    against_normal,
    auroc,
    by_tier,
    recall_at,
    when_rare,
)
from procutils.case_baselines import IsolationForest
from procutils.cases import Case, Event
from procutils.detector import Detector
from procutils.encoded_baselines import EncodedNGram
from procutils.entrants import Entrant, by_process, entered, rarities
from procutils.evaluation import ranking
from procutils.finance.anomalies import graded
from procutils.finance.processes import simulate
from procutils.silence import waiting
from procutils.surprise import rarity
from procutils.temporal_baselines import WaitingTimes

FIRM = simulate(seed=3, cases=900, rate=1.0)
TRAIN, CALIBRATION, TEST = FIRM[:300], FIRM[300:600], FIRM[600:]
INJECTED = graded(TEST, 10, seed=3)
COMPLETE = [injection for injection in INJECTED if injection.seen_at is None]
CASES = [*TEST, *(injection.case for injection in COMPLETE)]
TIERS = [None] * len(TEST) + [injection.tier for injection in COMPLETE]
MONDAY = datetime(2025, 3, 3, 9, tzinfo=UTC)


# Entrants


def test_an_entrant_that_scores_events_stands_where_the_detector_puts_it():
    entrant = entered(lambda: NGram(3).fit(TRAIN), CALIBRATION, CASES, 0.05)
    detector = Detector.calibrate(NGram(3).fit(TRAIN), CALIBRATION, 0.05)
    p_values = detector.p_values(CASES, detector.scorer.score_cases(CASES))
    least = {name: 1 / (len(known) + 1) for name, known in detector.ranks.items()}
    for case, p, value in zip(CASES, p_values, entrant.values, strict=True):
        if p > least[case.category]:
            assert value == pytest.approx(-log(p))
        else:
            assert value >= -log(p) - 1e-12  # beyond all normal ones: ranked further by how far
    assert entrant.cost["parameters"] == entrant.model.parameters == detector.scorer.parameters
    assert entrant.fit_seconds > 0 and entrant.event_microseconds > 0


def test_an_entrant_that_looks_at_whole_cases_stands_among_those_of_its_process():
    forest = IsolationForest(trees=20).fit(TRAIN)
    entrant = entered(lambda: forest, CALIBRATION, CASES, 0.05)
    known = by_process(CALIBRATION, forest.case_scores(CALIBRATION))
    assert entrant.values == rarities(known, CASES, forest.case_scores(CASES))
    assert {len(values) for values in known.values()} <= set(range(1, len(CALIBRATION)))
    assert all(values == sorted(values) for values in known.values())


def test_cases_of_a_process_without_normal_ones_stand_nowhere():
    with pytest.raises(ValueError, match="no normal cases of job, only of payment"):
        rarities({"payment": [1.0]}, [Case("job-1", TEST[0].events)], [2.0])


def test_asked_together_they_cost_what_they_cost_alone():
    found = Entrant.together([1.0, 0.0], [Entrant([], 3, 0.5, 2.0), Entrant([], 4, 0.25, 5.0)])
    assert found == Entrant([1.0, 0.0], 7, 0.75, 7.0)


@given(st.lists(st.integers(0, 9), max_size=30), st.integers(-3, 12), st.integers(-3, 12))
def test_rarity_rises_with_strangeness(normal, a, b):
    known = sorted(map(float, normal))
    if a <= b:
        assert rarity(known, a) <= rarity(known, b)
    assert rarity([], a) == a


# Tiers


def test_each_tier_is_ranked_against_all_normal_cases():
    entrant = entered(lambda: Bigram().fit(TRAIN), CALIBRATION, CASES, 0.05)
    found = by_tier(TIERS, entrant.values)
    assert [*found] == ["structure", "memory", "payload", "actor", "time"]
    labels, values = against_normal(TIERS, entrant.values, "memory")
    assert (len(labels), sum(labels)) == (len(TEST) + 10, 10)
    assert values[: len(TEST)] == entrant.values[: len(TEST)]
    assert found["memory"] == ranking(labels, values)
    assert found["structure"]["auroc"] > 0.95 > found["actor"]["auroc"]


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=150),
    st.lists(st.integers(0, 7), min_size=1, max_size=20),
    st.sampled_from([0.01, 0.05, 0.1, 0.5, 1.0]),
)
def test_recall_at_a_rate_and_auroc_are_those_of_the_ranking(normal, anomalous, fpr):
    labels = [0] * len(normal) + [1] * len(anomalous)
    found = ranking(labels, [*normal, *anomalous], fpr=fpr, resamples=1)
    (key,) = (k for k in found if k.startswith("recall_at") and not k.endswith("_ci"))
    assert recall_at(labels, [*normal, *anomalous], fpr) == pytest.approx(found[key])
    assert auroc(labels, [*normal, *anomalous]) == pytest.approx(found["auroc"])


def test_the_best_rival_is_the_one_that_finds_most_and_a_copy_of_it_does_not_lie_above():
    fitted = {"bigram": Bigram(), "encoded": EncodedNGram(3)}
    rivals = {
        name: entered(lambda m=model: m.fit(TRAIN), CALIBRATION, CASES, 0.05).values
        for name, model in fitted.items()
    }
    found = against_best(TIERS, rivals["encoded"], rivals)
    assert [*found] == ["structure", "memory", "payload", "actor", "time"]
    for tier, apart in found.items():
        labels, _ = against_normal(TIERS, rivals["bigram"], tier)
        recalls = {
            name: recall_at(labels, against_normal(TIERS, values, tier)[1])
            for name, values in rivals.items()
        }
        assert recalls[apart["against"]] == max(recalls.values())
        if apart["against"] == "encoded":
            assert apart["auroc"] == {"difference": 0.0, "difference_ci": [0.0, 0.0]}
        low, high = apart["recall"]["difference_ci"]
        assert low <= apart["recall"]["difference"] <= high <= 1
    assert found["actor"]["against"] == "encoded"


def test_the_rarer_the_anomalies_the_more_alerts_are_false():
    labels = [0] * 50 + [1] * 50
    by = {"time": ranking(labels, np.linspace(0, 1, 100))}
    found = when_rare(by, caught=0.8, false_rate=0.02)
    assert [*found["time"]] == ["1.000"] * 4
    assert [*found["alerts per 1,000"]] == ["21", "28", "59", "98"]
    assert [*found["of these right"]] == ["4%", "29%", "68%", "82%"]


# Silence


def running(*hours: float) -> Case:
    """A case of one event after the other."""
    times = [MONDAY + timedelta(hours=h) for h in hours]
    return Case("payment-1", [Event(t, {}, at) for t, at in zip("ABC", times, strict=False)])


def test_waiting_times_are_the_share_of_waits_as_long():
    waits = WaitingTimes().fit([running(0, 1, 2), running(0, 3, 9), running(0, 5)])
    assert waits.parameters == 8
    looks = [(running(0), MONDAY + timedelta(hours=h)) for h in (0, 1, 2, 4, 50, 500)]
    found = waits.silences(looks)
    assert found[:4] == pytest.approx([0.0, 0.0, log(3 / 4), log(2 / 4)])
    assert found[4] == pytest.approx(log(1 / 4) - log(10))  # ten times the longest
    assert all(before > after for before, after in pairwise(found[2:]))


def test_the_end_of_a_case_waits_forever_and_unknown_types_have_no_opinion():
    waits = WaitingTimes().fit([running(0, 1, 2), running(0, 3)])
    (after_b,) = waits.silences([(running(0, 1), MONDAY + timedelta(days=900))])
    assert after_b == pytest.approx(log(2 / 3))  # one of two cases ended there
    stranger = Case("loan-1", running(0).events)
    assert waits.silences([(stranger, MONDAY + timedelta(days=900))]) == [0.0]


@pytest.mark.parametrize("model", [WaitingTimes(), EncodedNGram(3)], ids=lambda m: type(m).__name__)
def test_silence_is_less_probable_the_longer_it_lasts(model):
    model.fit(TRAIN)
    for case, _ in waiting(TEST[:20], seed=1):
        last = case.events[-1].at
        longer = [last + timedelta(hours=h) for h in (0, 1, 5, 30, 200, 2_000)]
        found = model.silences([(case, now) for now in longer])
        assert found == sorted(found, reverse=True)
        assert -inf < found[-1] <= found[0] <= 0


@pytest.mark.parametrize("model", [WaitingTimes(), EncodedNGram(3)], ids=lambda m: type(m).__name__)
def test_cases_that_stopped_stand_out_from_those_that_are_young(model):
    model.fit(TRAIN)
    young = waiting(TEST, seed=1)
    silent = [(i.case, i.seen_at) for i in INJECTED if i.seen_at is not None]
    log_p = model.silences([*young, *silent])
    labels = [0] * len(young) + [1] * len(silent)
    assert ranking(labels, [-p for p in log_p], resamples=1)["auroc"] > 0.95


# Figures


@pytest.fixture
def agg():
    before = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


def texts(fig) -> set[str]:
    fig.canvas.draw()
    return {text.get_text().replace("\n", " ") for text in fig.findobj(mpl.text.Text)}


def test_every_part_of_a_case_is_a_box_and_the_strange_ones_stand_out(agg):
    parts = [{"type": 0.1, "amount": 2.0}, {"type": 5.0, "approver_id": 3.2}, {"type": 0.0}]
    fig = plots.case_parts(running(0, 1), parts, threshold=4.0)
    (axes,) = fig.axes
    assert len(axes.patches) == 5
    assert {"▶ type", "5.0", "amount", "approver id", "3.2", "end of case"} <= texts(fig)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["A", "B", "end of case"]
    with pytest.raises(ValueError, match="3 entries are needed; there are 2"):
        plots.case_parts(running(0, 1), parts[:2], threshold=4.0)


def test_of_a_long_case_what_lies_around_the_strangest_event_is_drawn(agg):
    case = Case("payment-1", [Event("A", {}, MONDAY)] * 300)
    parts = [{"type": 0.1}] * 301
    parts[200] = {"type": 9.0}
    fig = plots.case_parts(case, parts, threshold=4.0)
    assert fig.get_figheight() < 30
    assert len(fig.axes[0].patches) == 40
    assert "▶ type" in texts(fig)
    assert any("events 181 to 220 of 300" in text for text in texts(fig))


def test_usual_parts_counts_the_normal_ones_that_are_as_surprising(agg):
    fig = plots.usual_parts({"amount": ([1.0, 2.0, 5.0], 2.0), "approval_level": ([0.1], 3.0)})
    assert {"amount", "approval level"} <= texts(fig)
    assert {"2 of 3 normal ones as surprising", "0 of 1 normal ones as surprising"} <= texts(fig)
    dots = [drawn.get_offsets()[:, 0].tolist() for drawn in fig.axes[0].collections]
    assert dots == [[1.0, 2.0, 5.0], [0.1]]


def test_methods_by_tier_draws_every_value_in_its_row(agg):
    results = {
        "structure": {"language_model": (0.9, [0.8, 1.0]), "n_gram": (1.0, [0.9, 1.0])},
        "actor": {"language_model": (0.7, [0.6, 0.8]), "n_gram": (0.0, [0.0, 0.1])},
    }
    fig = plots.methods_by_tier(results, "language_model", title="Recall", label="recall")
    assert {"structure", "actor", "language model", "n gram", "Recall"} <= texts(fig)
    for axes, found in zip(fig.axes, results.values(), strict=True):
        points = [line.get_xydata()[0] for line in axes.lines if line.get_marker() in ("o", "s")]
        assert np.allclose(points, [(value, row) for row, (value, _) in enumerate(found.values())])
