"""Every occurrence of every event type in the training cases, with what came before and after."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from procutils.cases import END, Case, Event
from procutils.words import delay_word
from procutils.written import Key, Memory


@dataclass(frozen=True)
class Occurrence:
    """One event of a training case.

    case: its number. memory: of the case before the event. previous, next: the event types around
    it, "" before the first and END after the last. delay, next_delay: in words. later: all types
    that come later in the case.
    """

    case: int
    event: Event
    memory: Memory
    previous: str
    next: str
    delay: str
    next_delay: str
    later: frozenset[str]

    def value(self, name: str) -> Any:
        """A field of the event; None if it has none of this name."""
        return self.event.data.get(name)


def occurrences(cases: Sequence[Case]) -> dict[str, list[Occurrence]]:
    """By event type, in the order of the cases."""
    found: dict[str, list[Occurrence]] = defaultdict(list)
    for number, case in enumerate(cases):
        delays = ["", *(delay_word(a.at, b.at) for a, b in pairwise(case.events)), ""]
        types = ("", *case.types, END)
        later = _later(case.types)
        memory = Memory()
        for i, event in enumerate(case.events):
            found[event.type].append(
                Occurrence(
                    number,
                    event,
                    memory.until_now(),
                    types[i],
                    types[i + 2],
                    delays[i],
                    delays[i + 1],
                    later[i],
                )
            )
            memory.add(event)
    return found


def said_before(seen: Sequence[Occurrence]) -> list[Key]:
    """The fields that were said before one of these occurrences of one event type, sorted."""
    last = {one.case: one for one in seen}  # what was said before the others, too
    return sorted(set().union(*(one.memory.keys() for one in last.values())))


def _later(types: Sequence[str]) -> list[frozenset[str]]:
    """For each event the types that come after it; the same set where nothing changes."""
    later = [frozenset[str]()]
    for type_ in reversed(types[1:]):
        later.append(later[-1] if type_ in later[-1] else later[-1] | {type_})
    return later[::-1]
