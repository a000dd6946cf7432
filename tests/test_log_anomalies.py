"""Anomalies in any log: each is there, and nothing but the process gives it away."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from procutils.cases import Case, Event
from procutils.log_anomalies import KINDS, Injector, LogAnomaly

START = datetime(2024, 1, 1, 9, tzinfo=UTC)


def orders(count: int) -> list[Case]:
    rng = random.Random(3)
    cases = []
    for number in range(count):
        at, events = START + timedelta(hours=3 * number), []
        for i, type_ in enumerate(["placed", "checked", "paid", "packed", "sent", "closed"]):
            at += timedelta(minutes=rng.randint(1, 90))
            data = {"by": rng.choice(["Ann", "Bo", "Cy"]), "row": f"row {number}/{i}"}
            events.append(Event(type_, ({"case:amount": number} if not i else {}) | data, at))
        cases.append(Case(f"order-{number}", events))
    return cases


CASES = orders(60)
INJECTOR = Injector(CASES)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_what_was_changed_is_what_the_kind_says(kind, seed):
    case = CASES[seed]
    found = INJECTOR.inject(case, kind, random.Random(seed))
    before, after = Counter(case.types), Counter(found.case.types)
    added, lost = (after - before).total(), (before - after).total()
    expected = {
        "skip": (added == 0, 1 <= lost <= 2),
        "rework": (2 <= added <= 3, lost == 0),
        "early": (added == lost == 0, found.case.types != case.types),
        "late": (added == lost == 0, found.case.types != case.types),
        "insert": (1 <= added <= 2, lost == 0),
        "attribute": (found.case.types == case.types, True),
    }
    assert all(expected[kind])
    assert found.kind == kind
    same = zip(found.case.events, INJECTOR.plain(case).events, strict=False)
    apart = [i for i, (now, was) in enumerate(same) if (now.type, now.data) != (was.type, was.data)]
    assert found.position == (apart[0] if apart else min(after.total(), before.total()))


@pytest.mark.parametrize("kind", KINDS)
def test_no_leaks(kind):
    """Clocks do not go back, values are the log's own, case attributes stay in the first event."""
    for seed, case in enumerate(CASES):
        found = INJECTOR.inject(case, kind, random.Random(seed)).case
        assert all(a.at <= b.at for a, b in pairwise(found.events))
        assert [*found.events[0].data] == ["case:amount", "by"]
        assert found.events[0].data["case:amount"] == case.events[0].data["case:amount"]
        for event in found.events:
            assert event.type in CASES[0].types
            assert event.data["by"] in ("Ann", "Bo", "Cy")
        assert all([*event.data] == ["by"] for event in found.events[1:])


def test_an_attribute_is_never_replaced_by_itself():
    for seed, case in enumerate(CASES):
        found = INJECTOR.inject(case, "attribute", random.Random(seed))
        pairs = zip(found.case.events, case.events, strict=True)
        changed = [now.data["by"] != was.data["by"] for now, was in pairs]
        assert 1 <= sum(changed) <= 3


def test_contaminated_as_much_as_asked_and_the_same_each_time():
    found = INJECTOR.contaminate(CASES, 0.3, random.Random(1))
    kinds = Counter(one.kind for one in found if isinstance(one, LogAnomaly))
    assert kinds == dict.fromkeys(KINDS, 3)
    assert found == INJECTOR.contaminate(CASES, 0.3, random.Random(1))
    normal = [one for one in found if isinstance(one, Case)]
    assert all("row" not in event.data for case in normal for event in case.events)


def test_what_cannot_be_done_is_said():
    short = Case("order-x", [Event("placed", {}, START)])
    assert INJECTOR.inject(short, "skip", random.Random(0)) is None
    assert INJECTOR.inject(short, "attribute", random.Random(0)) is None
    with pytest.raises(ValueError, match="'swap' is no kind"):
        INJECTOR.inject(CASES[0], "swap", random.Random(0))
    with pytest.raises(ValueError, match="only 0 of the 1"):
        Injector([short]).contaminate([short], 1.0, random.Random(0))
