"""What normal cases look like, as far as a diagnosis needs it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from procutils.cases import END, START, Case

#: A field with at most this many different values has few.
MOST_VALUES = 12


@dataclass(frozen=True)
class Normal:
    """What normal cases showed, in plain lists, to be stored.

    courses: category → the event types of each case in order. values: category → event type →
    field → its values, the most common first; where there are more than MOST_VALUES, that one.
    """

    courses: dict[str, list[list[str]]] = field(default_factory=dict)
    values: dict[str, dict[str, dict[str, list[Any]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Normal:
        """From the calibration cases."""
        courses: dict[str, list[list[str]]] = {}
        counts: dict[tuple[str, str, str], Counter[str]] = {}
        for case in cases:
            courses.setdefault(case.category, []).append(list(case.types))
            for event in case.events:
                for name, value in event.data.items():
                    counter = counts.setdefault((case.category, event.type, name), Counter())
                    counter[json.dumps(value)] += 1
        values: dict[str, dict[str, dict[str, list[Any]]]] = {}
        for (category, type_, name), counter in counts.items():
            kept = MOST_VALUES if len(counter) <= MOST_VALUES else 1
            found = [json.loads(text) for text, _ in counter.most_common(kept)]
            values.setdefault(category, {}).setdefault(type_, {})[name] = found
        return cls(courses, values)

    def types(self, category: str) -> set[str]:
        """The event types of the cases of a category."""
        return {type_ for course in self.courses.get(category, ()) for type_ in course}

    def owners(self, type_: str) -> list[str]:
        """The categories whose cases hold this event type."""
        return [category for category in self.courses if type_ in self.types(category)]

    def similar(self, case: Case, length: int) -> int:
        """How many cases of the category began with the same ``length`` types."""
        start = list(case.types[:length])
        return sum(course[:length] == start for course in self.courses.get(case.category, ()))

    def example(self, category: str, type_: str) -> dict[str, Any]:
        """The data of an event as it could be: of each field the most common value."""
        fields = self.values.get(category, {}).get(type_, {})
        return {name: values[0] for name, values in fields.items()}

    def choices(self, category: str, type_: str, name: str) -> list[Any]:
        """The values of a field, if it has several but few; else none."""
        found = self.values.get(category, {}).get(type_, {}).get(name, [])
        return found if len(found) > 1 else []

    def between(self, category: str, first: str, last: str, most: int) -> list[tuple[str, ...]]:
        """What came between two types (START and END are two), in up to ``most`` steps, at least
        one: the most common way first."""
        ways: Counter[tuple[str, ...]] = Counter()
        for course in self.courses.get(category, ()):
            types = (START, *course, END)
            for i, type_ in enumerate(types):
                if type_ == first:
                    stops = range(i + 2, min(i + 2 + most, len(types)))
                    ways.update(types[i + 1 : stop] for stop in stops if types[stop] == last)
        return [way for way, _ in ways.most_common()]
