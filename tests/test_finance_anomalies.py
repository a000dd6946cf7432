"""Every injection is an anomaly, in the place where it says, and nothing else has changed."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from procutils.cases import END
from procutils.finance.anomalies import KINDS, PROTOTYPE_KINDS, inject
from procutils.finance.grammar import TIERS
from procutils.finance.processes import PROCESSES, simulate

START = datetime(2025, 1, 6, 9, tzinfo=UTC)


def original(category: str, seed: int):
    return PROCESSES[category].simulate(random.Random(seed), START, "0123456789")


def test_the_kinds_are_registered_with_their_tier():
    assert set(PROTOTYPE_KINDS) <= set(KINDS)
    assert all(kind.tier in TIERS for kind in KINDS.values())
    with pytest.raises(ValueError, match="unknown kind of anomaly 'upside_down'"):
        inject(original("risk", 1), "upside_down", random.Random(1))


@given(st.sampled_from(sorted(PROCESSES)), st.sampled_from(PROTOTYPE_KINDS), st.integers())
@settings(max_examples=400, deadline=None)
def test_an_injection_is_impossible_in_order(category, kind, seed):
    process, case = PROCESSES[category], original(category, seed)
    injection = inject(case, kind, random.Random(seed))
    if injection is None:
        assert kind == "skipped" and len(case.events) <= 3
        return
    changed, reason = injection.case, injection.reason
    assert process.accepts(changed) == reason and reason.is_order
    assert reason.position >= injection.position
    arrived = (*changed.types, END)[reason.position]
    assert arrived == reason.type
    assert arrived not in process.next_events(changed.events[: reason.position])
    assert process.score(changed)[reason.position].surprisal > 27
    assert changed.events[: injection.position] == case.events[: injection.position]
    assert [event.at for event in changed.events] == sorted(e.at for e in changed.events)
    assert inject(case, kind, random.Random(seed)) == injection


@given(st.sampled_from(sorted(PROCESSES)), st.integers())
@settings(max_examples=100, deadline=None)
def test_the_position_is_where_the_change_was_made(category, seed):
    case = original(category, seed)
    foreign = inject(case, "foreign", random.Random(seed))
    at = foreign.position
    assert foreign.case.types[at] not in PROCESSES[category].types
    assert foreign.case.events[at].at == case.events[at].at
    assert foreign.case.events[at + 1 :] == case.events[at + 1 :]

    swapped = inject(case, "swapped", random.Random(seed))
    at = swapped.position
    assert swapped.case.types[at : at + 2] == case.types[at : at + 2][::-1]
    assert swapped.case.events[at + 2 :] == case.events[at + 2 :]

    if skipped := inject(case, "skipped", random.Random(seed)):
        at = skipped.position
        assert 0 < at < len(case.events) - 1
        assert skipped.case.events[at:] == case.events[at + 1 :]


def test_nearly_every_case_has_room_for_every_kind():
    cases = simulate(seed=3, cases=300)
    for kind in PROTOTYPE_KINDS:
        found = [inject(case, kind, random.Random(n)) for n, case in enumerate(cases)]
        assert sum(injection is not None for injection in found) > 230
