"""Which fields are worth writing: learned from training cases, with the reason for each."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, false_discovery_control, kruskal

from procutils.cases import END, Case, Event
from procutils.words import Field, delay_word, is_number, parse_date

#: A text or number with at most this many different values is a category.
MAX_CATEGORIES = 12
#: At most this share of the dependences taken for real may be chance (Benjamini & Hochberg 1995).
FALSE_DISCOVERIES = 0.05

#: Why a field is left out that no test of independence finds to depend on anything.
UNRELATED = "tells nothing about the rest of the case"

Key = tuple[str, str]
"""An event type, and the name of a field in its data."""


@dataclass(frozen=True)
class Finding:
    """What was found about one field of one event type.

    field: how it is written; None if it is left out. reason: why, in a few words.
    """

    type: str
    name: str
    field: Field | None
    reason: str


@dataclass(frozen=True)
class _Seen:
    """One occurrence of an event type in the training cases."""

    case: int
    event: Event
    delay: str
    following: tuple[str, str]  # the next type and the next delay
    later: frozenset[str]  # all types that come later in the case
    before: dict[str, Any]  # type.field → value, over the earlier events of the case


@dataclass(frozen=True)
class _Test:
    """A test of independence: the fields that stay if it fails, what they depend on then."""

    keys: tuple[Key, ...]
    about: tuple[str, ...]  # for each of ``keys``
    p: float


def survey(cases: Sequence[Case]) -> list[Finding]:
    """A finding for every field, by event type, in the order in which the data holds them.

    Left out are constants, copies of an earlier field of the case, identifiers, and whatever tells
    nothing about the rest: a field stays if a test of independence finds it to depend on which
    types come later, on the delay before or after it, or on a category of the same case. Fields
    that name an actor stay if there is someone earlier in the case to compare with.
    """
    occurrences = _occurrences(cases)
    actors = _actors(occurrences)
    drafts = {
        (type_, name): _kind(type_, name, seen, actors)
        for type_, seen in sorted(occurrences.items())
        for name in dict.fromkeys(name for one in seen for name in one.event.data)
    }
    doubtful = {
        key: (item, occurrences[key[0]])
        for key, (item, _) in drafts.items()
        if item is not None and item.kind != "actor"
    }
    codes = {key for key in doubtful if ".".join(key) in actors}
    reasons = _dependences(doubtful, codes)
    findings = []
    for key, (item, reason) in drafts.items():
        if key in doubtful:
            item, reason = (item, reasons[key]) if key in reasons else (None, UNRELATED)
        findings.append(Finding(*key, item, reason))
    return findings


def meaningful_fields(cases: Sequence[Case]) -> dict[str, list[Field]]:
    """The fields that :func:`survey` keeps, per event type; types that keep none are not there."""
    fields: dict[str, list[Field]] = defaultdict(list)
    for found in survey(cases):
        if found.field is not None:
            fields[found.type].append(found.field)
    return dict(fields)


def _occurrences(cases: Sequence[Case]) -> dict[str, list[_Seen]]:
    found: dict[str, list[_Seen]] = defaultdict(list)
    for number, case in enumerate(cases):
        before: dict[str, Any] = {}
        delays = ["", *(delay_word(a.at, b.at) for a, b in pairwise(case.events)), ""]
        for i, event in enumerate(case.events):
            following = ((*case.types, END)[i + 1], delays[i + 1])
            later = frozenset(case.types[i + 1 :])
            found[event.type].append(
                _Seen(number, event, delays[i], following, later, dict(before))
            )
            before |= {f"{event.type}.{name}": value for name, value in event.data.items()}
    return found


def _actors(occurrences: dict[str, list[_Seen]]) -> dict[str, set[str]]:
    """type.field → who it names: texts with a digit, over a fourth of which recur across cases."""
    cases: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for type_, seen in occurrences.items():
        for one in seen:
            for name, value in one.event.data.items():
                if isinstance(value, str) and not parse_date(value) and re.search(r"\d", value):
                    cases[f"{type_}.{name}"][value].add(one.case)
    return {
        key: set(met)
        for key, met in cases.items()
        if 4 * sum(len(found) > 1 for found in met.values()) > len(met)
    }


def _kind(
    type_: str, name: str, seen: list[_Seen], actors: dict[str, set[str]]
) -> tuple[Field | None, str]:
    """How a field would be written, or None if it cannot tell anything; and the reason."""
    values = [one.event.data.get(name) for one in seen]
    present = [value for value in values if value is not None]
    distinct = {str(value) for value in values}
    copies = Counter(
        key
        for one, now in zip(seen, values, strict=True)
        for key, value in one.before.items()
        if now is not None and value == now
    )
    if always := sorted(key for key, times in copies.items() if times == len(seen)):
        return None, f"copy of {always[0]}"
    if people := actors.get(f"{type_}.{name}"):
        met = set().union(*(one.before for one in seen))
        like = tuple(sorted(key for key in met if actors.get(key, set()) & people))
        if like:
            return Field(name, "actor", like), "actor: same as before, or another"
        if len(distinct) > MAX_CATEGORIES:
            return None, "a name, with nobody before it to compare"
    if len(distinct) == 1:
        return None, "always the same"
    if all(map(is_number, present)):
        like = tuple(sorted(key for key, times in copies.items() if 2 * times > len(seen)))
        return Field(name, "category" if len(distinct) <= MAX_CATEGORIES else "number", like), ""
    if all(parse_date(value) for value in present):
        return Field(name, "date"), ""
    if len(distinct) <= MAX_CATEGORIES:
        return Field(name, "category"), ""
    return None, f"identifier or free text: {len(distinct)} values in {len(seen)} events"


def _dependences(
    candidates: dict[Key, tuple[Field, list[_Seen]]], codes: set[Key]
) -> dict[Key, str]:
    """The candidates that depend on something in their cases, with what they depend on most.

    codes: candidates that only the course of the case counts for: a code often just says once more
        what another field says in words.
    """
    by_case = {
        key: {one.case: item.text(one.event, one.before) for one in seen}
        for key, (item, seen) in candidates.items()
        if item.kind == "category" and key not in codes
    }
    tests: list[_Test] = []
    for key, (item, seen) in candidates.items():
        course = {
            "the next event": [one.following[0] for one in seen],
            "the next delay": [one.following[1] for one in seen],
            "the delay before": [one.delay for one in seen],
        }
        for type_ in sorted(set().union(*(one.later for one in seen))):
            course[f"{type_}, later or not"] = [type_ in one.later for one in seen]
        tests += [
            _Test((key,), (what,), _p_value(item, seen, target)) for what, target in course.items()
        ]
        for other, labels in ({} if key in codes else by_case).items():
            both = [one for one in seen if one.case in labels]
            if both and other != key:
                target = [labels[one.case] for one in both]
                names = (".".join(other), ".".join(key))
                tests.append(_Test((key, other), names, _p_value(item, both, target)))
    tests = [test for test in tests if test.p < 1]
    adjusted = false_discovery_control([test.p for test in tests]) if tests else []
    reasons: dict[Key, str] = {}
    for p, test in sorted(zip(adjusted, tests, strict=True), key=lambda pair: pair[0]):
        if p < FALSE_DISCOVERIES:
            for key, what in zip(test.keys, test.about, strict=True):
                reasons.setdefault(key, f"depends on: {what} (p ≤ {max(p, 1e-99):.0e})")
    return reasons


def _p_value(item: Field, seen: list[_Seen], target: Sequence[Any]) -> float:
    """The p-value of independence of a field from what else happened; 1.0 where one is constant.

    Kruskal-Wallis for numbers, which needs no classes; Pearson's chi-square for the rest.
    """
    groups = _frequent(target)
    if item.kind == "number":
        pairs = [(one.event.data.get(item.name), g) for one, g in zip(seen, groups, strict=True)]
        pairs = [(value, g) for value, g in pairs if value is not None and value == value]
        # Ranks are all that the test looks at, and they are finite for any number.
        rank = {value: i for i, value in enumerate(sorted({value for value, _ in pairs}))}
        ranks: dict[str, list[int]] = defaultdict(list)
        for value, group in pairs:
            ranks[group].append(rank[value])
        return 1.0 if min(len(rank), len(ranks)) < 2 else float(kruskal(*ranks.values()).pvalue)
    texts = _frequent([item.text(one.event, one.before) for one in seen])
    rows, row = np.unique(texts, return_inverse=True)
    columns, column = np.unique(groups, return_inverse=True)
    if min(len(rows), len(columns)) < 2:
        return 1.0
    table = np.zeros((len(rows), len(columns)))
    np.add.at(table, (row, column), 1)
    return float(chi2_contingency(table, correction=False).pvalue)


def _frequent(labels: Sequence[Any], least: int = 5) -> list[str]:
    """Rare labels (fewer than ``least``) together: the tests' approximations need counts."""
    counts = Counter(labels)
    return [str(label) if counts[label] >= least else "(rare)" for label in labels]
