"""The detector: its promise about false alarms, for whole cases and for silent ones."""

import math
import random
from collections import Counter
from datetime import timedelta
from functools import cache
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from procutils.baselines import NGram
from procutils.cases import END, Case
from procutils.detector import CALIBRATION, EVERY, Detector
from procutils.diagnosis import ACTIONS
from procutils.encoded_baselines import EncodedNGram
from procutils.finance.anomalies import PROTOTYPE_KINDS, inject
from procutils.finance.processes import PROCESSES, simulate
from procutils.normal import Normal
from procutils.silence import waiting, young
from procutils.surprise import Usual
from procutils.temporal_baselines import WaitingTimes

ALPHA = 0.05


class Grammar:
    """The processes themselves as a scorer: what a perfect model would say of event types."""

    def score_cases(self, cases):
        return [PROCESSES[case.category].score(case) for case in cases]

    def next_events(self, prefix, k):
        return Counter(PROCESSES[prefix.category].next_events(prefix.events)).most_common(k)


class Waits:
    """How long it took after each event type until anything came; what came, by counting."""

    def __init__(self, cases):
        self.silences = WaitingTimes().fit(cases).silences
        self.next_events = NGram(3).fit(cases).next_events


@cache
def firm() -> list[Case]:
    return simulate(seed=11, cases=3_000, rate=1.0)


@cache
def scorer(name: str):
    """One that sees types, the same by counting, one that also reads delays and fields."""
    train = firm()[:800]
    return {
        "grammar": Grammar,
        "ngram": lambda: NGram(3).fit(train),
        "encoded": lambda: EncodedNGram(4).fit(train),
    }[name]()


@cache
def detector(name: str) -> Detector:
    known = Detector.calibrate(scorer(name), firm()[800:1_800], ALPHA)
    if name == "encoded":
        known.learn_silences(firm()[800:1_800])
    return known


@cache
def many() -> dict[str, tuple[list[Case], list[Case]]]:
    """Per process, normal cases to calibrate with, enough for 0.1 %, and fresh ones."""
    cases = simulate(seed=29, cases=12_000, rate=1.0)
    by_process = {name: [case for case in cases if case.category == name] for name in PROCESSES}
    return {name: (found[:1_500], found[1_500:2_300]) for name, found in by_process.items()}


def of_ranks(surprises: list[float], alpha: float) -> Detector:
    """A detector that saw normal payments with these surprises."""
    ranks = {"payment": sorted(surprises)}
    return Detector(Grammar(), Usual({}), ranks, {}, Normal(), alpha)


def most_flagged(fresh: int, calibrated: int, alpha: float) -> float:
    """More are flagged once in 100,000 times, if the promise holds.

    With n calibration cases, of which the k most surprising lie above the threshold, the share
    that is flagged follows Beta(k, n + 1 − k): so much does the luck of calibration allow.
    """
    k = int(alpha * (calibrated + 1))
    return betabinom(fresh, k, calibrated + 1 - k).ppf(1 - 1e-5)


# The promise


@pytest.mark.parametrize("category", PROCESSES)
@pytest.mark.parametrize("name", ["grammar", "ngram", "encoded"])
def test_no_more_normal_cases_are_flagged_than_promised(name, category):
    calibration, fresh = many()[category]
    known = Detector.calibrate(scorer(name), calibration, 0.001)
    p_values = known.p_values(fresh, known.scorer.score_cases(fresh))
    calibrated = len(known.ranks[category])
    assert calibrated >= 999 and len(fresh) > 700
    for alpha in (0.001, 0.01, 0.05):
        flagged = sum(p <= alpha for p in p_values)
        assert flagged <= most_flagged(len(fresh), calibrated, alpha), alpha


def test_the_promise_is_not_kept_by_flagging_nothing():
    fresh, known = firm()[1_800:2_800], detector("encoded")
    p_values = known.p_values(fresh, known.scorer.score_cases(fresh))
    assert sum(p <= 0.05 for p in p_values) > 0.02 * len(fresh)


@pytest.mark.parametrize("category", PROCESSES)
def test_no_more_waiting_cases_are_flagged_than_promised(category):
    calibration, fresh = many()[category]
    known = Detector(Waits(firm()[:800]), Usual({}), {}, {}, Normal.of(fresh), 0.001)
    known.learn_silences(calibration)
    calibrated = len(known.silences[category])
    assert calibrated >= 999
    for alpha in (0.001, 0.01, 0.05):
        known.alpha = alpha
        seen = waiting(fresh[:300] if alpha > 0.001 else fresh, seed=1)
        flagged = sum(known.check_silence(*one).is_anomaly for one in seen)
        assert flagged <= most_flagged(len(seen), calibrated, alpha), alpha


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


def test_what_is_usual_and_what_is_too_much_are_learned_from_different_cases():
    known, cases = detector("encoded"), firm()[800:1_800]
    for category, ranks in known.ranks.items():
        of_category = [case for case in cases if case.category == category]
        usual = known.usual.values[category][END]["type"]
        assert len(usual) == len(of_category[::EVERY])
        assert len(ranks) + len(usual) == len(of_category)
        assert ranks == sorted(ranks)
    judged = [case for case in cases if case.category == "risk"][1]
    scores = known.scorer.score_cases([judged])[0]
    assert known.surprise(judged, scores) in known.ranks["risk"]


def test_too_few_calibration_cases_are_refused_with_the_number_needed():
    payments = [case for case in firm() if case.category == "payment"][:73]
    with pytest.raises(ValueError, match=r"payment has 73 .*, 48 of them .*0\.02 needs 49"):
        Detector.calibrate(Grammar(), payments, 0.02)
    assert Detector.calibrate(Grammar(), payments, 0.03).ranks.keys() == {"payment"}


@pytest.mark.parametrize("alpha", [0, 1, -0.1, 2])
def test_alpha_is_a_share(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        Detector.calibrate(Grammar(), firm()[:500], alpha)


def test_scores_that_are_there_already_give_the_same_calibration():
    cases = firm()[800:1_800]
    again = Detector.calibrate(Grammar(), cases, ALPHA, Grammar().score_cases(cases))
    assert again.ranks == detector("grammar").ranks
    assert again.usual.values == detector("grammar").usual.values


def test_a_category_without_calibration_is_named():
    stranger = Case("loan-1", firm()[0].events)
    known = detector("ngram")
    with pytest.raises(ValueError, match="no calibration for 'loan', only for account, comp"):
        known.check(stranger)
    with pytest.raises(ValueError, match="'loan'"):
        known.threshold("loan")
    with pytest.raises(ValueError, match="no calibrated silences for 'loan'"):
        known.check_silence(stranger, stranger.events[-1].at)


def test_a_calibration_comes_back_as_it_was_saved(tmp_path):
    known = detector("encoded")
    known.save(tmp_path)
    loaded = Detector.load(tmp_path, known.scorer)
    assert (loaded.ranks, loaded.silences, loaded.alpha) == (known.ranks, known.silences, ALPHA)
    assert (loaded.usual.values, loaded.normal) == (known.usual.values, known.normal)
    changed = [inject(case, "skipped", random.Random(1)) for case in firm()[1_800:1_850]]
    for case in [injection.case for injection in changed if injection]:
        assert loaded.check(case) == known.check(case)


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
    verdicts = [known.check(case) for case in firm()[1_800:1_900]]
    quiet = max(verdicts, key=lambda verdict: verdict.p_value)
    assert (quiet.is_anomaly, quiet.position, quiet.kind) == (False, None, "normal")
    assert quiet.p_value > ALPHA and quiet.expected == [] and quiet.repair is None
    for verdict in verdicts:
        assert verdict.is_anomaly == (verdict.p_value <= ALPHA) == (verdict.kind in ACTIONS)


@pytest.mark.parametrize("kind", PROTOTYPE_KINDS)
@pytest.mark.parametrize(("name", "least"), [("grammar", 0.9), ("ngram", 0.85), ("encoded", 0.9)])
def test_each_prototype_kind_is_found_placed_and_named(name, least, kind):
    rng, known = random.Random(kind), detector(name)
    made = (inject(case, kind, rng) for case in firm()[1_800:])
    wanted = list(islice(filter(None, made), 100))
    verdicts = [known.check(injection.case) for injection in wanted]
    found = sum(verdict.is_anomaly for verdict in verdicts)
    placed = sum(v.position == i.position for v, i in zip(verdicts, wanted, strict=True))
    named = sum(v.kind == i.diagnosis for v, i in zip(verdicts, wanted, strict=True))
    assert len(wanted) == 100
    assert min(found, placed, named) >= least * len(wanted), (found, placed, named)


def test_scores_that_are_there_already_give_the_same_verdict():
    known, cases = detector("encoded"), firm()[1_800:1_830]
    scores = known.scorer.score_cases(cases)
    for case, of_case in zip(cases, scores, strict=True):
        assert known.check(case, of_case) == known.check(case)


# Silence


def test_a_case_becomes_overdue_as_time_passes_and_stays_so():
    known = detector("encoded")
    starts = (Case(case.id, case.events[:2]) for case in firm()[1_800:])
    validated = ("PaymentInitiated", "PaymentValidated")
    for start in islice((case for case in starts if case.types == validated), 10):
        waits = [timedelta(seconds=1), timedelta(hours=3), timedelta(days=9), timedelta(days=200)]
        verdicts = [known.check_silence(start, start.events[-1].at + wait) for wait in waits]
        p_values = [verdict.p_value for verdict in verdicts]
        assert p_values == sorted(p_values, reverse=True)
        assert not verdicts[0].is_anomaly and verdicts[-1].is_anomaly
        overdue = verdicts[-1]
        assert (overdue.kind, overdue.position, overdue.part) == ("overdue", 2, "delay")
        assert "nothing has come for 200 days" in overdue.explanation
        assert overdue.repair.types[0] in overdue.action
        assert all(type_ != END for type_, _ in overdue.expected)


def test_a_case_that_is_over_may_stay_silent():
    known = detector("encoded")
    for case in firm()[1_800:1_830]:
        ended = known.check_silence(case, case.events[-1].at + timedelta(days=1_000))
        after = dict(known.scorer.next_events(case, 1))
        if after.get(END, 0) > 0.9:
            assert not ended.is_anomaly
            assert 0 <= ended.p_value <= 1 and math.isfinite(ended.p_value)


def test_a_young_case_is_seldom_overdue():
    known, rng = detector("encoded"), random.Random(4)
    cases = [case for case in firm()[1_800:] if case.events[-1].at > case.events[0].at][:100]
    flagged = sum(known.check_silence(*young(case, rng)).is_anomaly for case in cases)
    assert flagged <= most_flagged(len(cases), 150, ALPHA)
