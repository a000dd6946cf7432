"""Case → text, one function for training and for scoring.

    payment                                     the prompt: the category of the case
    payment initiated large usd wire            one line per event: its type in plain words,
    payment validated seconds                   how long it took (one word), and the fields that
    payment pending approval seconds dual       carry meaning: a number as the range between limits
    payment approved hours someone 1            that it falls into, an actor as one of those before
    payment approved hour other 2               or another, and what always follows from the rest
    payment executed seconds fedwire sent       only where it does not: ``final amount more``
    payment completed day

What a field looks like in text, and whether it appears at all, is learned from the training cases
by :meth:`Encoding.fit`, and stored with the model. Nothing here knows any domain.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from procutils.cases import Case, Event
from procutils.fields import meaningful_fields
from procutils.words import delay_word, words
from procutils.written import Field, Memory

Part = tuple[str, str]
"""What it is (``type``, ``delay`` or a field's name), and its text; joined, they are the case's."""


@dataclass
class Encoding:
    """What was learned about the events' shape; see the module's text for the format.

    names: event type → its words, no one the beginning of another.
    fields: event type → the fields that are written, in this order.
    categories: the categories of case, each with the event types that its cases held.
    """

    names: dict[str, str] = field(default_factory=dict)
    fields: dict[str, list[Field]] = field(default_factory=dict)
    categories: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def fit(cls, cases: Sequence[Case]) -> Encoding:
        """Learn names and meaningful fields from the training cases; deterministic.

        Raises ValueError if there are none.
        """
        if not cases:
            raise ValueError("no cases to learn an encoding from; read some from KurrentDB first")
        categories: dict[str, set[str]] = {}
        for case in cases:
            categories.setdefault(case.category, set()).update(case.types)
        types = sorted(set().union(*categories.values()))
        return cls(
            names=_distinct_names(types),
            fields=meaningful_fields(cases),
            categories={name: sorted(held) for name, held in sorted(categories.items())},
        )

    def name(self, type_: str) -> str:
        """The words for an event type; one that training never showed still gets its own."""
        return self.names.get(type_) or words(type_)

    def prompt(self, case: Case) -> str:
        """What the model is given before the first event."""
        return words(case.category) + "\n"

    def events(self, case: Case) -> list[list[Part]]:
        """The parts of each event, in the order in which they are written: type, delay, fields."""
        memory = Memory()
        return [self.event(event, memory) for event in case.events]

    def event(self, event: Event, memory: Memory) -> list[Part]:
        """The parts of the next event of a case; ``memory`` is of what came before, and grows."""
        parts = [("type", self.name(event.type))]
        if memory.now is not None:
            parts.append(("delay", " " + delay_word(memory.now, event.at)))
        for item in self.fields.get(event.type, ()):
            if text := item.written(event, memory):
                parts.append((item.part, " " + text))
        last, text = parts[-1]
        parts[-1] = (last, text + "\n")  # how a value ends belongs to it, not to the next type
        memory.add(event)
        return parts

    def field(self, case: Case, position: int, part: str) -> tuple[Field | None, Memory]:
        """How a field of one event of a case is written, and the memory of what came before it."""
        memory = Memory()
        for event in case.events[:position]:
            memory.add(event)
        items = self.fields.get(case.events[position].type, ())
        return next((item for item in items if item.part == part), None), memory

    def text(self, case: Case) -> str:
        """The whole case as the model reads it, without the prompt and the end-of-text token."""
        return "".join(text for parts in self.events(case) for _, text in parts)

    def as_case(self, events: list[Event]) -> Case:
        """Bare events as a case of the category that knows most of their types.

        Raises ValueError if there are no events to tell it from.
        """
        if not events:
            raise ValueError("no events to continue; pass a Case, whose id names the category")
        known = {
            category: sum(event.type in held for event in events)
            for category, held in self.categories.items()
        }
        return Case(f"{max(known, key=known.get)}-unnamed", events)

    def save(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", "utf-8")

    @classmethod
    def load(cls, path: Path) -> Encoding:
        """Read what :meth:`save` wrote. Raises FileNotFoundError or ValueError, naming the file."""
        try:
            stored = json.loads(path.read_text("utf-8"))
            fields = {
                type_: [Field(**{k: _tupled(v) for k, v in f.items()}) for f in listed]
                for type_, listed in stored["fields"].items()
            }
            return cls(stored["names"], fields, stored["categories"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is not an encoding written by this project "
                f"({type(error).__name__}: {error}): build the examples again (notebook 03), "
                "then train again (notebook 04)"
            ) from error


def _distinct_names(types: Iterable[str]) -> dict[str, str]:
    """Words for each type, none the beginning of another, so that each name ends by itself.

    Where plain words would not do, an ending with ``/`` is added, which :func:`words` never gives.
    """
    plain = {type_: words(type_) for type_ in types}
    alike = Counter(plain.values())
    met: Counter[str] = Counter()
    names = {}
    for type_, name in plain.items():
        met[name] += 1
        begins = any(other != name and other.startswith(name) for other in alike)
        number = f"{met[name]}/" if alike[name] > 1 else ""  # labels that differ in spelling only
        names[type_] = f"{name}/{number}" if begins or number else name
    return names


def _tupled(value: Any) -> Any:
    """As it was before JSON made lists of tuples, at any depth."""
    return tuple(map(_tupled, value)) if isinstance(value, list) else value
