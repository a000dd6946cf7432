"""Metrics against scikit-learn and by hand; intervals for what they promise."""

import json
from math import isclose, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn import metrics as sk

from procutils import evaluation
from procutils.cases import EventScore

labelled = st.lists(st.tuples(st.booleans(), st.integers(-3, 3)), min_size=2, max_size=40)


def both_kinds(pairs):
    labels, scores = zip(*pairs, strict=True)
    assume(0 < sum(labels) < len(labels))
    return np.array(labels), np.array(scores, dtype=float)


@given(labelled)
def test_ranking_is_scikit_learns(pairs):
    labels, scores = both_kinds(pairs)
    found = evaluation.ranking(labels, scores, fpr=0.2, prevalences=(0.05,), resamples=2)
    assert isclose(found["auroc"], sk.roc_auc_score(labels, scores), abs_tol=1e-12)
    expected = sk.average_precision_score(labels, scores)
    assert isclose(found["average_precision"], expected, abs_tol=1e-12)
    weights = np.where(labels, 0.05 / labels.sum(), 0.95 / (~labels).sum())
    expected = sk.average_precision_score(labels, scores, sample_weight=weights)
    assert isclose(found["average_precision_at_5pct"], expected, abs_tol=1e-12)
    fprs, tprs, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    assert isclose(found["recall_at_20pct_fpr"], tprs[fprs <= 0.2].max(), abs_tol=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_detection_is_scikit_learns(pairs):
    labels, flags = map(list, zip(*pairs, strict=True))
    found = evaluation.detection(labels, flags)
    assert isclose(found["precision"], sk.precision_score(labels, flags, zero_division=0))
    assert isclose(found["recall"], sk.recall_score(labels, flags, zero_division=0))
    assert isclose(found["f1"], sk.f1_score(labels, flags, zero_division=0))
    counts = [
        [found["true_negatives"], found["false_positives"]],
        [found["false_negatives"], found["true_positives"]],
    ]
    assert counts == sk.confusion_matrix(labels, flags, labels=[False, True]).tolist()
    for name in ("precision", "recall", "f1", "false_positive_rate"):
        low, high = found[f"{name}_ci"]
        assert 0 <= low <= high <= 1
        if sum(counts[1]) and sum(flags) and sum(counts[0]):
            assert low - 1e-12 <= found[name] <= high + 1e-12


def test_the_published_benchmark():
    found = evaluation.detection([0] * 50 + [1] * 50, [1] * 35 + [0] * 15 + [1] * 50)
    assert [round(found[name], 3) for name in ("precision", "recall", "f1")] == [0.588, 1.0, 0.741]
    assert [round(bound, 3) for bound in found["recall_ci"]] == [0.929, 1.0]
    assert round(evaluation.precision_at_prevalence(1.0, 35 / 50, 0.01), 3) == 0.014


def test_wilson_by_its_formula():
    k, n, z = 7, 40, 1.959963984540054
    centre = (k + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * sqrt(k * (n - k) / n + z**2 / 4)
    assert np.allclose(evaluation.wilson(k, n), [centre - half, centre + half])
    assert evaluation.wilson(0, 0) == [0.0, 1.0]
    with pytest.raises(ValueError):
        evaluation.wilson(3, 2)


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.floats(0.001, 0.5))
def test_precision_at_the_prevalence_of_the_sample_is_its_precision(recall, fpr, prevalence):
    found = evaluation.precision_at_prevalence(recall, fpr, prevalence)
    assert isclose(found, 1 / (1 + fpr * (1 - prevalence) / (recall * prevalence)))
    assert evaluation.precision_at_prevalence(0, 0, prevalence) == 0


def gaussians(rng, n=300, shift=1.0):
    labels = np.repeat([0, 1], n)
    return labels, rng.normal(size=2 * n) + shift * labels


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says():
    rng, truth, covered = np.random.default_rng(5), 0.7602, 0  # Φ(1/√2)
    for i in range(100):
        labels, scores = gaussians(rng, n=60)
        low, high = evaluation.ranking(labels, scores, resamples=200, seed=i)["auroc_ci"]
        covered += low <= truth <= high
    assert 87 <= covered <= 100


def test_a_seed_gives_the_same_interval_and_it_is_fit_for_json():
    labels, scores = gaussians(np.random.default_rng(1))
    first = evaluation.ranking(labels, scores, seed=3)
    assert first == evaluation.ranking(labels, scores, seed=3)
    assert first != evaluation.ranking(labels, scores, seed=4)
    assert json.loads(json.dumps(first)) == first
    assert {"recall_at_1pct_fpr", "average_precision_at_0_1pct_ci"} <= set(first)
    flags = evaluation.detection(labels, scores > 0)
    assert json.loads(json.dumps(flags)) == flags


def test_perfect_and_useless_scores():
    labels = [0] * 20 + [1] * 20
    perfect = evaluation.ranking(labels, labels)
    assert perfect["auroc"] == perfect["recall_at_1pct_fpr"] == perfect["average_precision"] == 1
    useless = evaluation.ranking(labels, [0] * 40)
    assert useless["auroc"] == 0.5 and useless["recall_at_1pct_fpr"] == 0
    assert useless["average_precision"] == 0.5


def test_curves_are_scikit_learns_and_start_and_end_right():
    labels, scores = gaussians(np.random.default_rng(2))
    fprs, tprs = evaluation.roc(labels, scores)
    assert (fprs[0], tprs[0], fprs[-1], tprs[-1]) == (0, 0, 1, 1)
    assert isclose(sk.auc(fprs, tprs), sk.roc_auc_score(labels, scores))
    recalls, precisions = evaluation.precision_recall(labels, scores)
    assert (recalls[0], recalls[-1], precisions[-1]) == (1, 0, 1)
    assert len(recalls) == len(precisions)


def test_a_paired_difference_is_tighter_than_two_intervals():
    rng = np.random.default_rng(3)
    labels, scores = gaussians(rng)
    better = scores + 0.3 * labels
    found = evaluation.paired_bootstrap(sk.roc_auc_score, labels, better, scores, resamples=300)
    low, high = found["difference_ci"]
    assert 0 < low <= found["difference"] <= high
    apart = evaluation.ranking(labels, scores, resamples=300)["auroc_ci"]
    assert high - low < apart[1] - apart[0]
    same = evaluation.paired_bootstrap(sk.f1_score, labels, scores > 0, scores > 0, resamples=20)
    assert same == {"difference": 0.0, "difference_ci": [0.0, 0.0]}


def scored(*cases):
    return [[EventScore("A", {"type": -nats}) for nats in case] for case in cases]


def test_nll_per_event_weighs_events_not_cases():
    found = evaluation.nll_per_event(scored([1.0, 3.0, 0.0], [0.0]))
    assert (found["nll_per_event"], found["events"]) == (1.0, 4)
    assert found["nll_per_event_ci"] == pytest.approx([0.0, 4 / 3])
    with pytest.raises(ValueError, match="no scored cases"):
        evaluation.nll_per_event([])


def test_regret_is_the_difference_on_the_same_cases():
    rng = np.random.default_rng(4)
    truth = [list(rng.exponential(size=rng.integers(2, 9))) for _ in range(200)]
    model = [[nats + 0.1 for nats in case] for case in truth]
    found = evaluation.regret(scored(*model), scored(*truth))
    assert found["regret_per_event"] == pytest.approx(0.1)
    assert found["regret_per_event_ci"] == pytest.approx([0.1, 0.1])
    with pytest.raises(ValueError, match="same cases"):
        evaluation.regret(scored(*model), scored(*truth[1:]))


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 2], [0, 1], "labels"),
        ([0, 0], [0, 1], "both kinds"),
        ([0, 1], [0, float("nan")], "finite"),
        ([0, 1, 1], [0, 1], "labels: 3, scores: 2"),
    ],
)
def test_what_cannot_be_measured_is_refused(labels, scores, message):
    with pytest.raises(ValueError, match=message):
        evaluation.ranking(labels, scores)
