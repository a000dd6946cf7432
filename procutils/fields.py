"""How one data field becomes words, and which fields are worth writing: learned from training cases."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from scipy.stats import chi2_contingency

from procutils.cases import END, Case, Event

#: A delay is one word, so that it costs one token: the first whose bound (in seconds) is not exceeded …
DELAYS = {
    "instantly": 5,
    "seconds": 60,
    "minute": 5 * 60,
    "minutes": 30 * 60,
    "hour": 2 * 3600,
    "hours": 12 * 3600,
}
#: … and, when the date has changed and half a day has passed, business days.
BUSINESS_DAYS = {0: "weekend", 1: "day", 2: "two", 3: "three", 4: "four", 5: "five"}
LONGER = {10: "week", 30: "weeks"}


#: A text or number with at most this many different values is a category.
MAX_CATEGORIES = 12
#: A field is written if some dependence on it is this unlikely to be chance (after Bonferroni).
SIGNIFICANCE = 0.01


def words(name: str) -> str:
    """``PaymentPendingApproval`` → ``payment pending approval``; any label → lower-case words.

    Plain words cost fewer tokens than CamelCase, and are what the base model has read.
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\s\-/]+", " ", name)
    return " ".join(spaced.lower().split()) or "nothing"


def delay_word(start: datetime, end: datetime) -> str:
    """The time from ``start`` to ``end`` as one word; negative times are ``before``."""
    seconds = (end - start).total_seconds()
    if seconds < 0:
        return "before"
    for word, bound in DELAYS.items():
        if seconds <= bound and (bound < 12 * 3600 or start.date() == end.date()):
            return word
    if seconds <= 12 * 3600:
        return "overnight"
    days = int(np.busday_count(start.date(), end.date()))
    if days in BUSINESS_DAYS:
        return BUSINESS_DAYS[days]
    return next((word for bound, word in LONGER.items() if days <= bound), "months")


def magnitude(value: float) -> str:
    """A number to two significant digits, cut and not rounded, so that a limit stays a limit.

    99,999 → ``99K``, 100,000 → ``100K``, −0.0123 → ``-0.012``.
    """
    if value == 0 or not np.isfinite(value):
        return "0" if value == 0 else str(value)
    exponent = int(np.floor(np.log10(abs(value)) + 1e-12))
    step = 10.0 ** (exponent - 1)
    cut = np.trunc(round(value / step, 6)) * step
    for suffix, size in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(cut) >= size:
            return f"{cut / size:.3g}{suffix}"
    return f"{cut:.3g}"


@dataclass(frozen=True)
class Field:
    """How one data field of one event type is written.

    kind: ``category`` (its value in words), ``number`` (two significant digits), ``date`` (how far from the
        event), or ``actor`` (``same`` if an earlier comparable field of the case holds that value).
    like: for an actor, the ``type.field`` names whose values it is compared with.
    """

    name: str
    kind: str
    like: tuple[str, ...] = ()

    def text(self, event: Event, seen: dict[str, Any]) -> str:
        """The value of this field in ``event`` as words; ``seen``: the fields of the case so far."""
        value = event.data.get(self.name)
        if value is None:
            return "none"
        if self.kind == "actor":
            earlier = [seen[name] for name in self.like if name in seen]
            return ("same" if value in earlier else "other") if earlier else "someone"
        if self.kind == "number":
            return magnitude(value) if isinstance(value, int | float) else words(str(value))
        if self.kind == "date":
            due = parse_date(value)
            return delay_word(event.at, due) if due else words(str(value))
        return words(", ".join(map(str, value)) if isinstance(value, list) else str(value))


def parse_date(value: Any) -> datetime | None:
    """An ISO 8601 date or time as the end of that moment in UTC; None if it is neither."""
    if not isinstance(value, str) or not re.match(r"\d{4}-\d\d-\d\d", value):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if len(value) == len("2025-01-31"):
        moment += timedelta(hours=23, minutes=59, seconds=59)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True)
class _Seen:
    """One occurrence of an event type in the training cases."""

    case: int
    event: Event
    delay: str
    following: tuple[str, str]  # the next type and the next delay
    before: dict[str, Any]  # type.field → value, over the earlier events of the case


def meaningful_fields(cases: Sequence[Case]) -> dict[str, list[Field]]:
    """The fields worth writing, per event type, in the order in which the data holds them.

    Left out are constants, copies of an earlier field of the case, identifiers that are compared with nothing, and
    whatever tells nothing about the rest: a field stays if Pearson's chi-square test finds it to depend on the next
    type, the delay before or after it, or a category of the same case. Fields that name an actor stay
    if there is someone earlier in the case to compare with.
    """
    occurrences = _occurrences(cases)
    candidates: dict[tuple[str, str], tuple[Field, list[_Seen]]] = {}
    pools = _pools(occurrences)
    for type_, seen in occurrences.items():
        for name in dict.fromkeys(name for one in seen for name in one.event.data):
            if item := _kind(type_, name, seen, pools):
                candidates[type_, name] = (item, seen)
    kept = {key for key, (item, _) in candidates.items() if item.kind == "actor"}
    kept |= _dependent({key: c for key, c in candidates.items() if key not in kept})
    fields: dict[str, list[Field]] = defaultdict(list)
    for key, (item, _) in candidates.items():
        if key in kept:
            fields[key[0]].append(item)
    return dict(sorted(fields.items()))


def _occurrences(cases: Sequence[Case]) -> dict[str, list[_Seen]]:
    found: dict[str, list[_Seen]] = defaultdict(list)
    for number, case in enumerate(cases):
        before: dict[str, Any] = {}
        delays = [
            delay_word(a.at, b.at) for a, b in zip(case.events, case.events[1:], strict=False)
        ]
        for i, event in enumerate(case.events):
            last = i + 1 == len(case.events)
            following = (END, "") if last else (case.events[i + 1].type, delays[i])
            delay = delays[i - 1] if i else ""
            found[event.type].append(_Seen(number, event, delay, following, dict(before)))
            before |= {f"{event.type}.{name}": value for name, value in event.data.items()}
    return found


def _pools(occurrences: dict[str, list[_Seen]]) -> dict[str, set[str]]:
    """type.field → the identifiers that it ever held (texts with a digit in them)."""
    pools: dict[str, set[str]] = defaultdict(set)
    for type_, seen in occurrences.items():
        for one in seen:
            for name, value in one.event.data.items():
                if isinstance(value, str) and not parse_date(value) and re.search(r"\d", value):
                    pools[f"{type_}.{name}"].add(value)
    return pools


def _kind(type_: str, name: str, seen: list[_Seen], pools: dict[str, set[str]]) -> Field | None:
    """How a field would be written; None if it cannot tell anything."""
    values = [one.event.data.get(name) for one in seen]
    present = [value for value in values if value is not None]
    distinct = {str(value) for value in values}
    copied = set.intersection(
        *(
            {key for key, value in one.before.items() if value == now}
            for one, now in zip(seen, values, strict=True)
        )
    )
    identifiers = pools.get(f"{type_}.{name}", set())
    if copied or not present:
        return None
    if len(identifiers) > len(distinct) / 2:
        met = set().union(*(one.before for one in seen))
        like = tuple(sorted(key for key in met if pools.get(key, set()) & identifiers))
        return Field(name, "actor", like) if like else None
    if len(distinct) == 1:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return Field(name, "category" if len(distinct) <= MAX_CATEGORIES else "number")
    if all(parse_date(value) for value in present):
        return Field(name, "date")
    return Field(name, "category") if len(distinct) <= MAX_CATEGORIES else None


def _dependent(
    candidates: dict[tuple[str, str], tuple[Field, list[_Seen]]],
) -> set[tuple[str, str]]:
    """The candidates that depend on the course of the case, or on a category in it."""
    labels = {
        key: _labels(item, [one.event.data.get(item.name) for one in seen], seen)
        for key, (item, seen) in candidates.items()
    }
    by_case = {
        key: {one.case: label for one, label in zip(seen, labels[key], strict=True)}
        for key, (_, seen) in candidates.items()
    }
    categories = {key for key, (item, _) in candidates.items() if item.kind == "category"}
    kept: set[tuple[str, str]] = set()
    for key, (_, seen) in candidates.items():
        own = labels[key]
        course = [
            [one.following[0] for one in seen],
            [one.following[1] for one in seen],
            [one.delay for one in seen],
        ]
        others = [other for other in sorted(categories) if other != key]
        level = SIGNIFICANCE / (len(course) + len(others))
        if any(_p_value(own, target) < level for target in course):
            kept.add(key)
        for other in others:
            pairs = [
                (label, by_case[other][one.case])
                for one, label in zip(seen, own, strict=True)
                if one.case in by_case[other]
            ]
            if pairs and _p_value(*zip(*pairs, strict=True)) < level:
                kept |= {key, other}
    return kept


def _labels(item: Field, values: list[Any], seen: list[_Seen]) -> list[str]:
    """A field's values as few classes: quartiles for numbers, words for the rest."""
    if item.kind != "number":
        return [item.text(one.event, {}) for one in seen]
    numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    edges = np.nanquantile(numbers, [0.2, 0.4, 0.6, 0.8])
    return [str(bin_) for bin_ in np.searchsorted(edges, numbers)]


def _p_value(a: Iterable[str], b: Iterable[str]) -> float:
    """Pearson's chi-square test of independence between two lists of labels; 1.0 where one is constant."""
    a, b = _frequent(list(a)), _frequent(list(b))
    rows, row = np.unique(a, return_inverse=True)
    columns, column = np.unique(b, return_inverse=True)
    if len(rows) < 2 or len(columns) < 2:
        return 1.0
    table = np.zeros((len(rows), len(columns)))
    np.add.at(table, (row, column), 1)
    return float(chi2_contingency(table, correction=False).pvalue)


def _frequent(labels: list[str], least: int = 5) -> list[str]:
    """Rare labels (fewer than ``least``) together: the test's approximation needs counts."""
    counts = Counter(labels)
    return [label if counts[label] >= least else "(rare)" for label in labels]
