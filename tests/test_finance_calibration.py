"""``next_events`` is the truth: what it says comes as often as it says."""

from __future__ import annotations

import math
from collections import defaultdict

import pytest

from procutils.cases import END
from procutils.finance.processes import PROCESSES, simulate


@pytest.fixture(scope="module")
def outcomes():
    """(category, event before, what came, the distribution) for every prefix of 6,000 cases.

    The bounds below are statistical: with another seed, one of them may fail by chance.
    """
    found = []
    for case in simulate(seed=7, cases=6_000):
        predictions = PROCESSES[case.category].predictions(case)
        for before, kind, p in zip(
            (None, *case.events), (*case.types, END), predictions, strict=True
        ):
            found.append((case.category, before, kind, p))
    return found


def deviations(groups: dict) -> dict:
    """Group → by how many standard deviations it came more or less often than predicted."""
    return {
        name: (sum(came for came, _ in pairs) - sum(p for _, p in pairs)) / math.sqrt(variance)
        for name, pairs in groups.items()
        if (variance := sum(p * (1 - p) for _, p in pairs)) > 5
    }


def test_what_is_predicted_with_p_comes_with_p(outcomes):
    groups = defaultdict(list)
    for category, _, kind, p in outcomes:
        for option, probability in p.items():
            groups[category, round(probability, 1)].append((option == kind, probability))
    found = deviations(groups)
    assert len(found) > 20
    assert max(map(abs, found.values())) < 4, found


def test_no_field_of_the_last_event_tells_more(outcomes):
    """If emission or branching kept a secret, some field would know better than the grammar."""
    groups = defaultdict(list)
    for _, before, kind, p in outcomes:
        if before is None:
            continue
        for field, value in before.data.items():
            if isinstance(value, str | bool | int):
                for option, probability in p.items():
                    name = (before.type, field, value, option)
                    groups[name].append((option == kind, probability))
    found = deviations(groups)
    assert len(found) > 200
    assert max(map(abs, found.values())) < 5, max(found.items(), key=lambda item: abs(item[1]))


@pytest.mark.parametrize("category", PROCESSES)
def test_the_mean_surprisal_is_the_mean_entropy(outcomes, category):
    surplus, variance = 0.0, 0.0
    for name, _, kind, p in outcomes:
        if name == category:
            entropy = -sum(q * math.log(q) for q in p.values())
            surplus += -math.log(p[kind]) - entropy
            variance += sum(q * math.log(q) ** 2 for q in p.values()) - entropy**2
    assert abs(surplus) < 4 * math.sqrt(variance)


def test_some_branches_depend_on_data(outcomes):
    """The same last type, different distributions: types alone cannot reach the entropy."""
    distributions = defaultdict(set)
    for category, before, _, p in outcomes:
        distributions[category, before and before.type].add(tuple(sorted(p.items())))
    assert len(distributions["payment", "PaymentValidated"]) == 2
    assert len(distributions["risk", "RiskAlertAcknowledged"]) >= 4
