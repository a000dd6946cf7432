"""The detector: its promise about false alarms, and what it says about an anomaly."""

from collections import Counter
from dataclasses import replace
from functools import cache
from itertools import islice
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from procutils.baselines import NGram
from procutils.cases import END, Case
from procutils.detector import ACTIONS, CALIBRATION, Detector, case_surprise
from procutils.finance.anomalies import PROTOTYPE_KINDS, Injection, inject
from procutils.finance.processes import PROCESSES, simulate

ALPHA = 0.05
KIND = {"foreign": "foreign event", "skipped": "skipped step", "swapped": "swapped steps"}


class Grammar:
    """The processes themselves as a scorer: what a perfect model would say."""

    def score_cases(self, cases):
        return [PROCESSES[case.category].score(case) for case in cases]

    def next_events(self, prefix, k):
        return Counter(PROCESSES[prefix.category].next_events(prefix.events)).most_common(k)


FIRM = simulate(seed=11, cases=3_000, rate=1.0)
TRAIN, CALIBRATION_CASES, FRESH = FIRM[:800], FIRM[800:1_800], FIRM[1_800:]


@cache
def detector(name: str) -> Detector:
    scorer = Grammar() if name == "grammar" else NGram(3).fit(TRAIN)
    return Detector.calibrate(scorer, CALIBRATION_CASES, ALPHA)


@cache
def injections(kind: str) -> list[Injection]:
    rng = Random(kind)
    return list(islice(filter(None, (inject(case, kind, rng) for case in FRESH)), 150))


def of_ranks(surprises: list[float], alpha: float) -> Detector:
    """A detector that saw normal payments with these surprises."""
    return Detector(Grammar(), {"payment": sorted(surprises)}, {"payment": []}, alpha)


# The promise


@pytest.mark.parametrize("name", ["grammar", "ngram"])
@pytest.mark.parametrize("category", PROCESSES)
@pytest.mark.parametrize("alpha", [0.02, 0.05, 0.2])
def test_no_more_normal_cases_are_flagged_than_promised(name, category, alpha):
    known = detector(name)
    fresh = [case for case in FRESH if case.category == category]
    p_values = known.p_values(fresh, known.scorer.score_cases(fresh))
    flagged = sum(p <= alpha for p in p_values)
    # With n calibration cases, of which the k most surprising lie above the threshold, the share
    # that is flagged follows Beta(k, n + 1 − k): so much does the luck of calibration allow.
    n = len(known.normal[category])
    k = int(alpha * (n + 1))
    assert flagged <= betabinom(len(fresh), k, n + 1 - k).ppf(0.9999)


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 7.0]), min_size=1, max_size=80),
    st.sampled_from([0.01, 0.02, 0.05, 0.1, 0.25, 1 / 3, 0.5, 0.9]),
    st.sampled_from([-1.0, 0.0, 0.25, 0.5, 1.0, 1.5, 1.75, 2.0, 7.0, 8.0]),
)
def test_threshold_and_p_value_say_the_same(surprises, alpha, surprise):
    known = of_ranks(surprises, alpha)
    above = surprise > known.threshold("payment")
    assert above == (known.p_value("payment", surprise) <= alpha)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60), st.sampled_from([0.05, 0.1, 0.4]))
def test_the_promise_holds_exactly_over_every_choice_of_the_fresh_case(surprises, alpha):
    """Exchangeability, spelt out: each case in turn is the fresh one, the others calibrate."""
    flagged = 0
    for i, fresh in enumerate(surprises):
        known = of_ranks(surprises[:i] + surprises[i + 1 :], alpha)
        flagged += known.p_value("payment", fresh) <= alpha
    assert flagged / len(surprises) <= alpha


def test_equal_surprises_count_as_at_least_as_surprising():
    known = of_ranks([1.0] * 60 + [2.0] * 39, alpha=0.05)
    assert known.p_value("payment", 2.0) == 0.4
    assert known.p_value("payment", 2.1) == 0.01
    assert known.threshold("payment") == 2.0  # of the ties, none is flagged


def test_the_least_number_of_cases_flags_only_what_was_never_as_surprising():
    known = of_ranks([float(i) for i in range(49)], alpha=0.02)
    assert known.threshold("payment") == 48.0
    assert known.p_value("payment", 48.5) == 0.02


# Calibration


def test_too_few_calibration_cases_are_refused_with_the_number_needed():
    payments = [case for case in CALIBRATION_CASES if case.category == "payment"][:48]
    with pytest.raises(ValueError, match=r"payment has 48 calibration cases.*0\.02 needs 49"):
        Detector.calibrate(Grammar(), payments, 0.02)
    assert Detector.calibrate(Grammar(), payments, 0.03).normal.keys() == {"payment"}


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 2])
def test_alpha_is_a_share(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        Detector.calibrate(Grammar(), CALIBRATION_CASES, alpha)


def test_scores_that_are_there_already_give_the_same_calibration():
    again = Detector.calibrate(
        Grammar(), CALIBRATION_CASES, ALPHA, Grammar().score_cases(CALIBRATION_CASES)
    )
    assert again.normal == detector("grammar").normal


def test_a_category_without_calibration_is_named():
    stranger = Case("loan-1", FRESH[0].events)
    with pytest.raises(ValueError, match="no calibration for 'loan', only for account, comp"):
        detector("ngram").check(stranger)
    with pytest.raises(ValueError, match="'loan'"):
        detector("ngram").threshold("loan")


def test_a_calibration_comes_back_as_it_was_saved(tmp_path):
    known = detector("ngram")
    known.save(tmp_path)
    loaded = Detector.load(tmp_path, known.scorer)
    assert (loaded.normal, loaded.types, loaded.alpha) == (known.normal, known.types, ALPHA)
    assert loaded.check(FRESH[0]) == known.check(FRESH[0])


def test_a_missing_calibration_names_the_notebook(tmp_path):
    with pytest.raises(FileNotFoundError, match="run 05_anomaly_benchmark first"):
        Detector.load(tmp_path)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"alpha": 0.02}'])
def test_a_broken_calibration_is_named(tmp_path, content):
    (tmp_path / CALIBRATION).write_text(content)
    with pytest.raises(ValueError, match=rf"{CALIBRATION} is no calibration"):
        Detector.load(tmp_path, Grammar())


# The verdict


def test_a_normal_case_has_nothing_to_explain():
    known = detector("grammar")
    quiet = min(FRESH, key=lambda case: case_surprise(known.scorer.score_cases([case])[0]))
    verdict = known.check(quiet)
    assert (verdict.is_anomaly, verdict.position, verdict.kind) == (False, None, "normal")
    assert verdict.p_value > ALPHA and verdict.expected == []


@pytest.mark.parametrize("kind", PROTOTYPE_KINDS)
@pytest.mark.parametrize(("name", "least"), [("grammar", 0.93), ("ngram", 0.85)])
def test_each_prototype_kind_is_found_placed_and_named(name, least, kind):
    known, wanted = detector(name), injections(kind)
    verdicts = [known.check(injection.case) for injection in wanted]
    found = sum(verdict.is_anomaly for verdict in verdicts)
    placed = sum(v.position == i.position for v, i in zip(verdicts, wanted, strict=True))
    named = sum(verdict.kind == KIND[kind] for verdict in verdicts)
    assert len(wanted) == 150
    assert min(found, placed, named) >= least * len(wanted), (found, placed, named)
    assert {verdict.kind for verdict in verdicts} <= ACTIONS.keys() | {"normal"}


@pytest.mark.parametrize("kind", PROTOTYPE_KINDS)
def test_an_explanation_names_what_came_and_what_was_expected(kind):
    known = detector("grammar")
    for injection in injections(kind)[:50]:
        verdict = known.check(injection.case)
        came = (*injection.case.types, END)[verdict.position]
        assert came == END or f"{came} came" in verdict.explanation
        best, probability = verdict.expected[0]
        assert f"{'the end of the case' if best == END else best} ({probability:.0%})" in (
            verdict.explanation
        )
        assert END not in verdict.explanation + verdict.action
        assert verdict.action and "{" not in verdict.action


def payment_of(*types: str) -> Case:
    """A normal payment of this variant."""
    return next(c for c in FIRM if c.category == "payment" and c.types == types)


PAID = ("PaymentInitiated", "PaymentValidated", "PaymentExecuted", "PaymentCompleted")


def test_a_case_that_stops_ended_too_early():
    paid = payment_of(*PAID)
    verdict = detector("grammar").check(Case(paid.id, paid.events[:3]))
    assert (verdict.kind, verdict.position) == ("premature end", 3)
    assert "the case ended" in verdict.explanation and "PaymentCompleted" in verdict.action


def test_an_event_after_the_end_is_late():
    paid = payment_of(*PAID)
    extra = replace(paid.events[1], at=paid.events[-1].at)
    verdict = detector("ngram").check(Case(paid.id, [*paid.events, extra]))
    assert (verdict.kind, verdict.position) == ("late event", 4)
    assert "the end of the case" in verdict.explanation


def test_a_step_that_came_twice_is_repeated():
    paid = payment_of(*PAID)
    twice = [*paid.events[:2], *paid.events[1:]]
    verdict = detector("ngram").check(Case(paid.id, twice))
    assert (verdict.kind, verdict.position) == ("repeated step", 2)


def test_an_event_type_that_nobody_knows_is_unknown():
    paid = payment_of(*PAID)
    renamed = [*paid.events[:2], replace(paid.events[2], type="PaymentSent"), paid.events[3]]
    verdict = detector("ngram").check(Case(paid.id, renamed))
    assert (verdict.kind, verdict.position) == ("unknown event", 2)


def test_a_foreign_event_is_traced_to_its_process():
    paid, trade = payment_of(*PAID), next(c for c in FRESH if c.category == "trade")
    stranger = replace(trade.events[0], at=paid.events[2].at)
    verdict = detector("ngram").check(Case(paid.id, [*paid.events[:2], stranger, paid.events[3]]))
    assert (verdict.kind, verdict.position) == ("foreign event", 2)
    assert f"the trade case that {stranger.type} belongs to" in verdict.action
    assert paid.id in verdict.action
