"""What the fields of a case depend on: tests of independence, as many as there are pairs."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
from scipy.stats import chi2, false_discovery_control

from procutils.occurrences import Occurrence

#: At most this share of the dependences taken for real may be chance (Benjamini & Hochberg 1995).
FALSE_DISCOVERIES = 0.05
#: Rarer labels are put together: the test's approximation needs counts.
LEAST = 5

FieldKey = tuple[str, str]
"""An event type, and the name of a field in its data."""


def coded(labels: Sequence[Hashable]) -> np.ndarray:
    """Labels as codes 0, 1, … (int)."""
    return np.unique([str(label) for label in labels], return_inverse=True)[1]


def course(seen: Sequence[Occurrence]) -> dict[str, np.ndarray]:
    """What a field may tell about the course of the case: question → coded answers."""
    answers = {
        "the next event": coded([one.next for one in seen]),
        "the next delay": coded([one.next_delay for one in seen]),
        "the delay before": coded([one.delay for one in seen]),
    }
    for type_ in sorted(set().union(*(one.later for one in seen))):
        answers[f"{type_}, later or not"] = np.array([int(type_ in one.later) for one in seen])
    return answers


def by_case(texts: Sequence[str], seen: Sequence[Occurrence], cases: int) -> np.ndarray:
    """What a field said last in each case, coded; −1 for the cases where it said nothing."""
    said = np.full(cases, -1, dtype=np.int32)
    said[[one.case for one in seen]] = coded(texts)
    return said


def dependences(
    seen: Mapping[str, Sequence[Occurrence]],
    texts: Mapping[FieldKey, Sequence[str]],
    labels: Mapping[FieldKey, np.ndarray],
    course_only: Collection[FieldKey] = (),
) -> dict[FieldKey, str]:
    """The fields that depend on something in their cases, with what they depend on most.

    seen: the occurrences of each event type. texts: what each field says in them. labels: the
    fields that others may depend on, by case. course_only: fields that are not held against labels.
    """
    about: list[tuple[tuple[FieldKey, str], ...]] = []
    statistics: list[tuple[float, int]] = []
    for type_, found in seen.items():
        cases = [one.case for one in found]
        others = {other: said[cases] for other, said in labels.items()}
        answers = course(found)
        for key, said in texts.items():
            if key[0] != type_:
                continue
            codes = coded(said)
            for what, answer in answers.items():
                if tested := _pearson(codes, answer):
                    about.append(((key, what),))
                    statistics.append(tested)
            for other, answer in others.items() if key not in course_only else ():
                if key != other and (tested := _pearson(codes, answer)):
                    about.append(((key, ".".join(other)), (other, ".".join(key))))
                    statistics.append(tested)
    if not statistics:
        return {}
    adjusted = false_discovery_control(chi2.sf(*np.array(statistics).T))
    reasons: dict[FieldKey, str] = {}
    for test in np.argsort(adjusted, kind="stable"):
        if adjusted[test] < FALSE_DISCOVERIES:
            for key, what in about[test]:
                p = max(adjusted[test], 1e-99)
                reasons.setdefault(key, f"depends on: {what} (p ≤ {p:.0e})")
    return reasons


def _pearson(rows: np.ndarray, columns: np.ndarray) -> tuple[float, int] | None:
    """Pearson's chi-square statistic of independence and its degrees of freedom, from codes.

    Where ``columns`` is −1, nothing is known. None where one of the two is constant.
    """
    known = columns >= 0
    rows, columns = rows[known], columns[known]
    if not len(rows):
        return None
    shape = (rows.max() + 1, columns.max() + 1)
    table = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1])
    table = _rare_together(_rare_together(table.reshape(shape)).T)
    if min(table.shape) < 2:
        return None
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    statistic = ((table - expected) ** 2 / expected).sum()
    return float(statistic), (table.shape[0] - 1) * (table.shape[1] - 1)


def _rare_together(table: np.ndarray) -> np.ndarray:
    """The rows with counts; the rare ones as one, if there are any."""
    sums = table.sum(axis=1)
    if (sums >= LEAST).all():
        return table
    rare = table[sums < LEAST].sum(axis=0, keepdims=True)
    return np.concatenate([table[sums >= LEAST], rare[rare.any(axis=1)]])
