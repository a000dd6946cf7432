"""Running cases at a moment of their life."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from procutils.cases import Case, Event
from procutils.encoded_baselines import EncodedNGram
from procutils.finance.processes import simulate
from procutils.silence import waiting, young

CASES = simulate(seed=5, cases=300, rate=1.0)


def test_a_young_case_has_begun_and_goes_on():
    rng = random.Random(1)
    for case in CASES:
        running, now = young(case, rng)
        size = len(running.events)
        assert running.id == case.id and running.events == case.events[:size]
        assert 0 < size < len(case.events)
        assert running.events[-1].at <= now < case.events[size].at


def test_moments_are_spread_over_the_whole_life():
    case = max(CASES, key=lambda case: case.events[-1].at - case.events[0].at)
    life, rng = case.events[-1].at - case.events[0].at, random.Random(2)
    shares = [(young(case, rng)[1] - case.events[0].at) / life for _ in range(2_000)]
    assert 0 <= min(shares) < 0.01 and 0.99 < max(shares) < 1
    assert sum(shares) / len(shares) == pytest.approx(0.5, abs=0.03)


def test_the_seed_and_the_case_decide_alone():
    assert waiting(CASES, 1)[::-1] == waiting(CASES[::-1], 1)
    assert waiting(CASES, 1) != waiting(CASES, 2)


def test_a_case_that_was_over_at_once_never_waited():
    case = next(case for case in CASES if len(case.events) > 1)
    at = case.events[0].at
    at_once = Case(case.id, [replace(event, at=at) for event in case.events])
    almost = Case(
        case.id, [*at_once.events, replace(case.events[-1], at=at + timedelta(seconds=1))]
    )
    with pytest.raises(ValueError, match="was over within a second"):
        young(at_once, random.Random(1))
    assert waiting([at_once], 1) == []
    assert waiting([almost], 1) == [(at_once, at)]


def test_silence_grows_less_probable_as_time_passes():
    scorer = EncodedNGram(4).fit(CASES)
    for case, now in waiting(CASES[:25], 3):
        spans = [timedelta(0), *(timedelta(hours=4**n) for n in range(6))]
        found = scorer.silences([(case, now + span) for span in spans])
        assert found == sorted(found, reverse=True)
        assert all(log_p <= 0 for log_p in found)


def test_all_that_was_never_waited_for_is_as_improbable_together_as_one_of_it():
    """Months are part of weeks and more; neither was ever seen after the first event."""
    start = datetime(2026, 1, 5, 9, tzinfo=UTC)
    spans = [timedelta(seconds=20), timedelta(hours=2)] * 30
    cases = [
        Case(f"job-{i}", [Event("Opened", {}, start), Event("Closed", {}, start + span)])
        for i, span in enumerate(spans)
    ]
    scorer = EncodedNGram(2).fit(cases)
    opened = Case("job-x", cases[0].events[:1])
    week, year = scorer.silences((opened, start + timedelta(days=n)) for n in (7, 365))
    assert week == year < scorer.silences([(opened, start + timedelta(minutes=1))])[0]
