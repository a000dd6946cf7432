"""Which fields are worth writing: learned from training cases, with the reason for each."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency, false_discovery_control

from procutils.cases import Case
from procutils.limits import limits
from procutils.occurrences import Occurrence, occurrences
from procutils.relations import LEAST, relation
from procutils.words import is_number, parse_date
from procutils.written import Field

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
class _Test:
    """A test of independence: the fields that stay if it fails, what they depend on then."""

    keys: tuple[Key, ...]
    about: tuple[str, ...]  # for each of ``keys``
    p: float


def survey(cases: Sequence[Case]) -> list[Finding]:
    """A finding for every field, by event type, in the order in which the data holds them.

    A field is written if it tells something: if a test of independence finds a category to depend
    on which types come later, on the delay before or after it, or on another category of the case;
    if a number has a limit at which one of these changes; if it names an actor, and there is
    someone earlier in the case to compare with. What never varied in training, or always followed
    from other fields, is written only where that is broken. Identifiers, free text and whatever
    tells nothing about the rest are left out.
    """
    seen = occurrences(cases)
    actors = _actors(seen)
    drafts = {
        (type_, name): _kind(type_, name, found, actors)
        for type_, found in sorted(seen.items())
        for name in dict.fromkeys(name for one in found for name in one.event.data)
    }
    doubtful = {
        key: (item, seen[key[0]])
        for key, (item, _) in drafts.items()
        if item is not None and item.kind in ("category", "number", "date") and item.usual is None
    }
    codes = {key for key in doubtful if ".".join(key) in actors}
    labels = _labels(doubtful, codes)
    reasons = _dependences(doubtful, codes, labels)
    telling = {key: of_case for key, of_case in labels.items() if key in reasons}
    findings = []
    for key, (item, reason) in drafts.items():
        if key in doubtful and item.kind == "number":
            item, reason = _number(item, seen[key[0]], telling)
        elif key in doubtful:
            item, reason = (item, reasons[key]) if key in reasons else (None, UNRELATED)
        findings.append(Finding(*key, item, reason))
    return findings + _due(seen, {key for key, (item, _) in drafts.items() if _is_date(item)})


def meaningful_fields(cases: Sequence[Case]) -> dict[str, list[Field]]:
    """The fields that :func:`survey` keeps, per event type; types that keep none are not there."""
    fields: dict[str, list[Field]] = defaultdict(list)
    for found in survey(cases):
        if found.field is not None:
            fields[found.type].append(found.field)
    return dict(fields)


def _actors(seen: dict[str, list[Occurrence]]) -> dict[str, set[str]]:
    """type.field → who it names: texts with a digit, over a fourth of which recur across cases."""
    cases: dict[str, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
    for type_, found in seen.items():
        for one in found:
            for name, value in one.event.data.items():
                if isinstance(value, str) and not parse_date(value) and re.search(r"\d", value):
                    cases[f"{type_}.{name}"][value].add(one.case)
    return {
        key: set(met)
        for key, met in cases.items()
        if 4 * sum(len(found) > 1 for found in met.values()) > len(met)
    }


def _kind(
    type_: str, name: str, seen: list[Occurrence], actors: dict[str, set[str]]
) -> tuple[Field | None, str]:
    """How a field would be written, or None if it cannot tell anything; and the reason."""
    if (item := relation(type_, name, seen)) is not None:
        return item, f"always {item.kind} of {' and '.join(item.like)}"
    values = [one.value(name) for one in seen]
    present = [value for value in values if value is not None]
    distinct = {str(value) for value in values}
    if people := actors.get(f"{type_}.{name}"):
        met = set().union(*(one.memory.latest for one in seen))
        like = tuple(sorted(key for key in met if actors.get(key, set()) & people))
        if like:
            return _usual(Field(name, "actor", like), seen, "actor: which one of before, or other")
        if len(distinct) > MAX_CATEGORIES:
            return None, "a name, with nobody before it to compare"
    if all(map(is_number, present)) and len(distinct) > MAX_CATEGORIES:
        copies = Counter(
            key
            for one in seen
            for key, value in one.memory.latest.items()
            if value is not None and value == one.value(name)
        )
        if copies and 2 * max(copies.values()) > len(seen):
            like = max(sorted(copies), key=copies.__getitem__)
            return Field(name, "copy", (like,)), f"mostly a copy of {like}"
        return Field(name, "number"), ""
    if present and all(parse_date(value) for value in present):
        return _usual(Field(name, "date"), seen, "")
    if len(distinct) <= MAX_CATEGORIES:
        return _usual(Field(name, "category"), seen, "")
    return None, f"identifier or free text: {len(distinct)} values in {len(seen)} events"


def _usual(item: Field, seen: list[Occurrence], reason: str) -> tuple[Field | None, str]:
    """The field, to be left out where it says what it always said."""
    texts = {item.text(one.event, one.memory) for one in seen}
    if len(texts) > 1:
        return item, reason
    (text,) = texts
    if len(seen) < LEAST:
        return None, f"always the same, but seen {len(seen)} times only"
    return replace(item, usual=text), f"always {text}"


def _is_date(item: Field | None) -> bool:
    return item is not None and item.kind == "date"


def _due(seen: dict[str, list[Occurrence]], dates: set[Key]) -> list[Finding]:
    """For events that come right after one with a date in it: were they before it, or after?"""
    found = []
    for type_, name in sorted(dates):
        for after, following in sorted(seen.items()):
            direct = sum(one.previous == type_ for one in following)
            if direct < max(LEAST, len(following) / 5) or name in following[0].event.data:
                continue
            item = Field(name, "due", (f"{type_}.{name}",))
            item, reason = _usual(item, following, f"before or after {type_}.{name}")
            found.append(Finding(after, name, item, reason))
    return found


def _number(
    item: Field, seen: list[Occurrence], labels: dict[Key, dict[int, str]]
) -> tuple[Field | None, str]:
    """A number with the limits at which something changes.

    labels: the categories that tell something, by case.
    """
    known = [one for one in seen if one.value(item.name) == one.value(item.name) is not None]
    questions = [
        *_course(known).values(),
        *([of_case.get(one.case) for one in known] for of_case in labels.values()),
    ]
    found = limits([one.value(item.name) for one in known], questions)
    if found:
        return replace(item, limits=found), f"something changes at {', '.join(map(_plain, found))}"
    return None, "a number without a limit at which anything changes"


def _plain(number: float) -> str:
    return f"{number:,.10g}"


def _course(seen: list[Occurrence]) -> dict[str, list[str]]:
    """What a field may tell about the course of the case: question → an answer per occurrence."""
    course = {
        "the next event": [one.next for one in seen],
        "the next delay": [one.next_delay for one in seen],
        "the delay before": [one.delay for one in seen],
    }
    for type_ in sorted(set().union(*(one.later for one in seen))):
        course[f"{type_}, later or not"] = [str(type_ in one.later) for one in seen]
    return course


def _labels(
    candidates: dict[Key, tuple[Field, list[Occurrence]]], codes: set[Key]
) -> dict[Key, dict[int, str]]:
    """The categories: case number → what it says there."""
    return {
        key: {one.case: item.text(one.event, one.memory) for one in seen}
        for key, (item, seen) in candidates.items()
        if item.kind == "category" and key not in codes
    }


def _dependences(
    candidates: dict[Key, tuple[Field, list[Occurrence]]],
    codes: set[Key],
    labels: dict[Key, dict[int, str]],
) -> dict[Key, str]:
    """The candidates that depend on something in their cases, with what they depend on most.

    codes: candidates that only the course of the case counts for: a code often just says once more
        what another field says in words.
    """
    tests: list[_Test] = []
    for key, (item, seen) in candidates.items():
        if item.kind == "number":
            continue
        texts = [item.text(one.event, one.memory) for one in seen]
        tests += [
            _Test((key,), (what,), _p_value(texts, answers))
            for what, answers in _course(seen).items()
        ]
        for other, of_case in ({} if key in codes else labels).items():
            both = [i for i, one in enumerate(seen) if one.case in of_case]
            if both and other != key:
                target = [of_case[seen[i].case] for i in both]
                names = (".".join(other), ".".join(key))
                p = _p_value([texts[i] for i in both], target)
                tests.append(_Test((key, other), names, p))
    tests = [test for test in tests if test.p < 1]
    adjusted = false_discovery_control([test.p for test in tests]) if tests else []
    reasons: dict[Key, str] = {}
    for p, test in sorted(zip(adjusted, tests, strict=True), key=lambda pair: pair[0]):
        if p < FALSE_DISCOVERIES:
            for key, what in zip(test.keys, test.about, strict=True):
                reasons.setdefault(key, f"depends on: {what} (p ≤ {max(p, 1e-99):.0e})")
    return reasons


def _p_value(texts: Sequence[str], answers: Sequence[Any]) -> float:
    """Pearson's chi-square test of independence; 1.0 where one of the two is constant."""
    rows, row = np.unique(_frequent(texts), return_inverse=True)
    columns, column = np.unique(_frequent(answers), return_inverse=True)
    if min(len(rows), len(columns)) < 2:
        return 1.0
    table = np.zeros((len(rows), len(columns)))
    np.add.at(table, (row, column), 1)
    return float(chi2_contingency(table, correction=False).pvalue)


def _frequent(labels: Sequence[Any], least: int = 5) -> list[str]:
    """Rare labels (fewer than ``least``) together: the tests' approximations need counts."""
    counts = Counter(labels)
    return [str(label) if counts[label] >= least else "(rare)" for label in labels]
