"""How little what came before speaks for what comes."""

from dataclasses import replace

import pytest

from procutils.baselines import NGram
from procutils.cases import Case
from procutils.finance.events import EVENT_TYPES
from procutils.finance.processes import simulate
from procutils.finance.synonyms import SYNONYMS
from procutils.unfamiliar import mean_surprise, ways_to_judge
from procutils.words import words

FIRM = simulate(seed=5, cases=120)


def unsupported(scorer, cases) -> list[float]:
    return ways_to_judge(scorer, cases)["unsupported"]


def test_who_looks_at_no_history_finds_no_support_in_it():
    assert unsupported(NGram(1).fit(FIRM), FIRM[:20]) == pytest.approx([0.0] * 20)


def test_a_history_that_fits_supports_and_one_that_does_not_speaks_against():
    model, case = NGram(3).fit(FIRM), next(c for c in FIRM if len(c.events) > 4)
    backwards = Case(case.id, [replace(e, at=case.events[0].at) for e in reversed(case.events)])
    normal, odd = unsupported(model, [case, backwards])
    assert normal < min(odd, 0)


def test_how_common_an_event_is_does_not_count():
    model = NGram(2).fit(FIRM)
    some = [case for case in FIRM if len(case.events) == 1] or [
        Case(c.id, c.events[:1]) for c in FIRM
    ]
    assert unsupported(model, some[:10]) == pytest.approx([0.0] * 10)


def test_every_event_type_has_another_name_that_the_firm_never_says():
    assert SYNONYMS.keys() == set(EVENT_TYPES)
    names = [words(name) for name in SYNONYMS.values()]
    assert len(set(names)) == len(names)
    assert not set(names) & {words(name) for name in SYNONYMS}
    assert not [(a, b) for a in names for b in names if a != b and b.startswith(a)]


def test_mean_surprise_is_the_same_either_way():
    model = NGram(3).fit(FIRM)
    assert ways_to_judge(model, FIRM[:9])["mean_surprise"] == mean_surprise(model, FIRM[:9])
