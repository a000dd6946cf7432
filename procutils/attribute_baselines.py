"""Counting over whole events: their type, their fields and when they came.

Each model here says which contexts a part of an event is predicted from; :class:`PartsModel` counts
and scores. Numbers, dates and delays are binned by what training showed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import isfinite, log
from typing import Any, Self

import numpy as np

from procutils.backoff import BackOff, Contexts, most_probable
from procutils.baselines import some
from procutils.cases import END, START, Case, Event, EventScore
from procutils.words import is_number, parse_date

Reading = tuple[str, Contexts, str]
"""A part of an event: its name, what it is predicted from, and its value as text."""

FieldKey = tuple[str, str]
"""An event type, and the name of a field in its data."""

#: What contexts of types begin with; those of other parts begin with the name of the part.
NEXT_TYPE = "(next type)"


class PartsModel:
    """What models of whole events share: they differ in ``_readings``, and what it must know."""

    def __init__(self) -> None:
        self._counts = BackOff()

    def fit(self, cases: Iterable[Case], running: frozenset[str] = frozenset()) -> Self:
        """Count every part in its contexts; a second call starts afresh.

        running: ids of cases that may go on: their end is not counted. Raises ValueError if there
        are no cases.
        """
        cases = some(cases)
        self._prepare(cases)
        self._counts = BackOff()
        for case in cases:
            readings = self._readings(case)
            for event in readings[:-1] if case.id in running else readings:
                for _, contexts, value in event:
                    self._counts.add(contexts, value)
        return self

    def score(self, case: Case) -> list[EventScore]:
        """Natural-log probability of each part of each event, and of END: n + 1 entries."""
        scores = []
        for type_, event in zip((*case.types, END), self._readings(case), strict=True):
            parts: defaultdict[str, float] = defaultdict(float)
            for name, contexts, value in event:
                parts[name] += log(self._counts.probability(contexts, value))
            scores.append(EventScore(type_, dict(parts)))
        return scores

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]:
        """``score`` for each case, in the same order."""
        return [self.score(case) for case in cases]

    def case_scores(self, cases: Iterable[Case]) -> list[float]:
        """Per case, by how many nats its strangest part surprises more than a part there should.

        What should be expected is the entropy of the part in its context: without it, whatever
        is hard to foretell, such as an amount, would outweigh what is decisive.
        """
        return [
            max(
                -log(self._counts.probability(contexts, value)) - self._counts.entropy(contexts)
                for event in self._readings(case)
                for _, contexts, value in event
            )
            for case in cases
        ]

    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]:
        """The k most probable next types after the whole of ``prefix``; ties go by name."""
        return most_probable(self.distribution(prefix), k)

    def distribution(self, prefix: Case) -> dict[str, float]:
        """Probability of each type that may follow ``prefix``; END and UNSEEN are among them."""
        ((_, contexts, _),) = self._readings(prefix)[-1]
        return self._counts.distribution(contexts)

    def distributions(self, cases: Iterable[Case]) -> list[list[dict[str, float]]]:
        """For each case what may follow each prefix, the empty one first: n + 1 entries."""
        return [
            [self._counts.distribution(event[0][1]) for event in self._readings(case)]
            for case in cases
        ]

    @property
    def parameters(self) -> int:
        """How many counts the model keeps."""
        return len(self._counts)

    def _prepare(self, cases: Sequence[Case]) -> None:
        """Learn what ``_readings`` needs."""
        raise NotImplementedError

    def _readings(self, case: Case) -> list[list[Reading]]:
        """The parts of each event, its type first; last, alone, that the case ends."""
        raise NotImplementedError


class LikelihoodGraph(PartsModel):
    """A graph whose nodes are event types and, below each type, the values of its attributes.

    A path leads from a type through its fields, in the order of the data, and the delay since the
    event before it, to the next type. The likelihood of an edge is its share of what left a node.
    Source: Böhmer & Rinderle-Ma, "Multi-perspective anomaly detection in business process
    execution events", OTM 2016, where the path is activity, resource, weekday, next activity.

    Where this departs from it: any number of fields, actors among them, as they stand; the delay,
    which rules are about, in place of the weekday; an edge depends on the two nodes it joins and
    not on the whole path; and instead of penalties for missing edges, Witten-Bell back-off from
    the last node to the type that it belongs to. Numbers, days until a date, and delays are binned
    at the quantiles of training, by event type; what lies outside its range is a value never seen.
    Fields whose values do not recur from case to case identify something and are no nodes.
    """

    def __init__(self, bins: int = 10) -> None:
        if bins < 1:
            raise ValueError(f"there are {bins} bins; numbers need at least 1")
        super().__init__()
        self.bins = bins
        self._nodes: dict[str, list[str]] = {}
        self._edges: dict[FieldKey, list[float]] = {}

    def _prepare(self, cases: Sequence[Case]) -> None:
        numbers: defaultdict[FieldKey, list[float]] = defaultdict(list)
        fields: defaultdict[str, dict[str, None]] = defaultdict(dict)  # in the order of the data
        for case in cases:
            for before, event in pairwise((None, *case.events)):
                fields[event.type] |= dict.fromkeys(event.data)
                for name, value in _values(before, event):
                    if isinstance(value, float):
                        numbers[event.type, name].append(value)
        self._edges = {
            key: np.unique(
                np.quantile(values, np.linspace(0, 1, self.bins + 1), method="inverted_cdf")
            ).tolist()
            for key, values in numbers.items()
        }
        recurring = recurring_texts(cases)
        self._nodes = {
            type_: [n for n in names if (type_, n) in self._edges or (type_, n) in recurring]
            for type_, names in fields.items()
        }

    def _readings(self, case: Case) -> list[list[Reading]]:
        events, node = [], (case.category, START)
        for before, event in pairwise((None, *case.events)):
            parts = [("type", beginnings(1, NEXT_TYPE, *node), event.type)]
            node = (case.category, event.type)
            values = dict(_values(before, event))
            for name in (*self._nodes.get(event.type, ()), "delay"):
                if name in values:
                    value = self._bin((event.type, name), values[name])
                    parts.append((name, beginnings(3, name, *node), value))
                    node = (case.category, event.type, (name, value))
            events.append(parts)
        return [*events, [("type", beginnings(1, NEXT_TYPE, *node), END)]]

    def _bin(self, key: FieldKey, value: float | str) -> str:
        if isinstance(value, str):
            return value
        edges = self._edges.get(key, [])
        if not edges or value < edges[0]:
            return "below"
        place = bisect_left(edges, value)
        return f"up to {edges[place]}" if place < len(edges) else "above"


def beginnings(least: int, *parts: Hashable) -> list[tuple[Hashable, ...]]:
    """Contexts that grow by one part after the other, from the first ``least`` of them to all."""
    return [parts[:length] for length in range(least, len(parts) + 1)]


def finite(value: Any) -> float | None:
    """A number that can be measured; None for anything else, truth values among them."""
    if not is_number(value):
        return None
    try:
        return float(value) if isfinite(value) else None
    except OverflowError:  # an integer beyond all floats
        return None


def recurring_texts(cases: Sequence[Case]) -> set[FieldKey]:
    """The text fields in which at least half of the events hold what another case holds as well."""
    holders: defaultdict[FieldKey, defaultdict[str, list[int]]]
    holders = defaultdict(lambda: defaultdict(list))
    for number, case in enumerate(cases):
        for event in case.events:
            for name, value in _values(None, event):
                if isinstance(value, str):
                    holders[event.type, name][value].append(number)
    found = set()
    for key, by_value in holders.items():
        shared = sum(len(held) for held in by_value.values() if len(set(held)) > 1)
        if 2 * shared >= sum(map(len, by_value.values())):
            found.add(key)
    return found


def _values(before: Event | None, event: Event) -> Iterator[tuple[str, float | str]]:
    """The delay (seconds), then the fields: a number, a date as seconds from the event, or text."""
    if before is not None:
        yield "delay", (event.at - before.at).total_seconds()
    for name, value in event.data.items():
        if date := parse_date(value):
            yield name, (date - event.at).total_seconds()
        else:
            number = finite(value)
            yield name, str(value) if number is None else number
