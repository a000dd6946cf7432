"""What fields depend on is found among many pairs, and noise is not taken for it."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_data import log
from scipy.stats import chi2_contingency

from procutils.dependence import _pearson, by_case, coded, course, dependences
from procutils.occurrences import occurrences


def test_the_course_of_a_case_is_asked_for():
    cases = log(2, ("A", {}), ("B", {}), ("A", {}))[:1] + log(1, ("A", {}))
    answers = course(occurrences(cases)["A"])
    assert {what: answer.tolist() for what, answer in answers.items()} == {
        "the next event": [1, 0, 0],  # B, the end, the end
        "the next delay": [1, 0, 0],
        "the delay before": [0, 1, 0],
        "A, later or not": [1, 0, 0],
        "B, later or not": [1, 0, 0],
    }


def test_the_last_that_a_case_said_counts():
    seen = occurrences(log(1, ("A", {}), ("A", {})) + log(1, ("B", {})) + log(1, ("A", {})))["A"]
    assert by_case(["x", "y", "x"], seen, 3).tolist() == [1, -1, 0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(-1, 4)), max_size=80))
def test_the_statistic_is_pearsons_with_the_rare_together(pairs: list[tuple[int, int]]):
    rows = np.array([row for row, _ in pairs], dtype=int)
    columns = np.array([column for _, column in pairs], dtype=int)
    known = [(row, column) for row, column in pairs if column >= 0]

    def merged(codes: list[int]) -> list[int]:
        return [code if codes.count(code) >= 5 else 99 for code in codes]

    a = coded(merged([row for row, _ in known])) if known else np.array([], int)
    b = coded(merged([column for _, column in known])) if known else np.array([], int)
    found = _pearson(rows, columns)
    if not known or min(a.max(), b.max()) == 0:
        assert found is None
    else:
        table = np.zeros((a.max() + 1, b.max() + 1))
        np.add.at(table, (a, b), 1)
        expected = chi2_contingency(table, correction=False)
        assert found == (pytest.approx(expected.statistic), expected.dof)


def test_who_depends_on_whom_and_who_on_nothing():
    chance = random.Random(1)
    sides = [chance.choice("ab") for _ in range(100)]
    cases = log(100, ("A", {}), ("B", {}))
    seen = occurrences(cases)
    noise = {("A", f"noise {n}"): [chance.choice("xyz") for _ in range(100)] for n in range(30)}
    texts = {("A", "side"): sides, ("B", "other"): [side * 2 for side in sides]} | noise
    labels = {key: by_case(said, seen[key[0]], 100) for key, said in texts.items()}
    found = dependences(seen, texts, labels)
    assert found["A", "side"].startswith("depends on: B.other (p ≤ ")
    assert found["B", "other"].startswith("depends on: A.side (p ≤ ")
    assert len(found) <= 4
    assert dependences(seen, texts, labels, course_only=texts) == {}
    assert dependences({}, {}, {}) == {}
