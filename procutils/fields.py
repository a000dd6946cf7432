"""Which fields are worth writing: learned from training cases, with the reason for each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from procutils.cases import Case
from procutils.dependence import FieldKey, by_case, course, dependences
from procutils.limits import limits
from procutils.occurrences import Occurrence, occurrences, said_before
from procutils.relations import LEAST, Earlier, mostly, relations
from procutils.words import is_number, label, parse_date, to_float
from procutils.written import Field

#: A text or number with at most this many different values is a category.
MAX_CATEGORIES = 12

#: Why a field is left out that no test of independence finds to depend on anything.
UNRELATED = "tells nothing about the rest of the case"


@dataclass(frozen=True)
class Finding:
    """What was found about one field of one event type.

    field: how it is written; None if it is left out. reason: why, in a few words.
    """

    type: str
    name: str
    field: Field | None
    reason: str


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
    drafts: dict[FieldKey, tuple[Field | None, str]] = {}
    for type_, found in sorted(seen.items()):
        earlier = Earlier(found)
        follows = relations(found, earlier)
        for name in dict.fromkeys(name for one in found for name in one.event.data):
            if item := follows.get(name):
                others = (" or " if item.kind == "copy" else " and ").join(item.like)
                drafts[type_, name] = item, f"always {item.kind} of {others}"
            else:
                drafts[type_, name] = _kind(type_, name, found, earlier, actors)
    doubtful = {
        key: item
        for key, (item, _) in drafts.items()
        if item is not None and item.kind in ("category", "number", "date") and item.usual is None
    }
    texts = {
        key: [item.text(one.event, one.memory) for one in seen[key[0]]]
        for key, item in doubtful.items()
        if item.kind != "number"
    }
    # A code often just says once more what another field says in words: only the course counts.
    codes = {key for key in texts if ".".join(key) in actors}
    labels = {
        key: by_case(said, seen[key[0]], len(cases))
        for key, said in texts.items()
        if doubtful[key].kind == "category" and key not in codes
    }
    reasons = dependences(seen, texts, labels, codes)
    telling = [said for key, said in labels.items() if key in reasons]
    questions: dict[str, list[np.ndarray]] = {}
    findings = []
    for key, (item, reason) in drafts.items():
        if key in doubtful and item.kind == "number":
            found = seen[key[0]]
            if key[0] not in questions:
                places = [one.case for one in found]
                others = [said[places] for said in telling]
                questions[key[0]] = [*course(found).values(), *others]
            item, reason = _number(item, found, questions[key[0]])
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
    type_: str,
    name: str,
    seen: Sequence[Occurrence],
    earlier: Earlier,
    actors: dict[str, set[str]],
) -> tuple[Field | None, str]:
    """How a field would be written, or None if it cannot tell anything; and the reason."""
    values = [one.value(name) for one in seen]
    present = [value for value in values if value is not None]
    distinct = {label(value) for value in values}
    if people := actors.get(f"{type_}.{name}"):
        like = tuple(key for key in said_before(seen) if actors.get(key, set()) & people)
        if like:
            return _usual(Field(name, "actor", like), seen, "actor: which one of before, or other")
        if len(distinct) > MAX_CATEGORIES:
            return None, "a name, with nobody before it to compare"
    if all(map(is_number, present)) and len(distinct) > MAX_CATEGORIES:
        if like := mostly(name, seen, earlier):
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
    if not text:
        return None, "nothing to compare with"
    if len(seen) < LEAST:
        return None, f"always the same, but seen {len(seen)} times only"
    return replace(item, usual=text), f"always {text}"


def _is_date(item: Field | None) -> bool:
    return item is not None and item.kind == "date"


def _due(seen: dict[str, list[Occurrence]], dates: set[FieldKey]) -> list[Finding]:
    """For events that come right after one with a date in it: were they before it, or after?"""
    found = []
    for type_, name in sorted(dates):
        for after, following in sorted(seen.items()):
            direct = sum(one.previous == type_ for one in following)
            if direct < max(LEAST, len(following) / 5) or any(
                name in one.event.data for one in following
            ):
                continue
            item = Field(name, "due", (f"{type_}.{name}",))
            item, reason = _usual(item, following, f"before or after {type_}.{name}")
            found.append(Finding(after, name, item, reason))
    return found


def _number(
    item: Field, seen: Sequence[Occurrence], questions: Sequence[np.ndarray]
) -> tuple[Field | None, str]:
    """A number with the limits at which the answer to one of the questions changes."""
    values = [one.value(item.name) for one in seen]
    numbers = np.array([np.nan if value is None else to_float(value) for value in values])
    known = ~np.isnan(numbers)
    found = limits(numbers[known], [answers[known] for answers in questions])
    if found:
        return replace(item, limits=found), f"something changes at {', '.join(map(_plain, found))}"
    return None, "a number without a limit at which anything changes"


def _plain(number: float) -> str:
    return f"{number:,.10g}"
