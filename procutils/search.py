"""What is wrong with a strange case: the smallest change after which it is normal, by trying."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from itertools import groupby
from typing import Any

from procutils.cases import END, START, Case, EventScore
from procutils.encoding import Encoding
from procutils.normal import Normal
from procutils.repairs import ANOTHER, Repair, repaired, right_value
from procutils.surprise import Scorer, Usual
from procutils.written import RELATIONS, Field, Memory, part_name

#: So many steps, at most, are thought to be missing in one place.
MOST_MISSING = 3
#: So many ways, at most, are tried to fill a gap with the same number of steps.
MOST_WAYS = 8
#: After how long an event may come, to try: seconds, hours, days.
SPANS = (
    *(timedelta(seconds=n) for n in (2, 30, 180)),
    *(timedelta(hours=n) for n in (0.25, 1.5, 3, 5, 11)),
    *(timedelta(days=n) for n in (*range(1, 15), 21, 60)),
)

Finding = tuple[str, Repair | None]
"""A kind of anomaly, and the repair that shows it to be one; None if none was found."""


@dataclass(frozen=True)
class Search:
    """Looks for the repair of one case, and so for what is wrong with it.

    No repair is named that was not tried. Of the smallest that work it is the likeliest.
    limit: the rarity (nats of ``usual``) up to which a part of an event is normal.
    """

    scorer: Scorer
    usual: Usual
    normal: Normal
    limit: float
    case: Case

    @property
    def encoding(self) -> Encoding | None:
        """How fields are written, if the scorer reads them."""
        return getattr(self.scorer, "encoding", None)

    def of_repetition(self, position: int) -> Repair | None:
        """What to remove, if an event belongs to a block that says once more what the block right
        before it said."""
        for repair in self._repetitions(position, alike=True):
            if self._best([repair]):
                return repair
        return None

    def of_order(self, position: int, expected: Sequence[tuple[str, float]]) -> Finding:
        """An event whose type should not have come, or an end that should not.

        position: of the event, or the length of the case for its end. expected: what should have
        come, with probabilities.
        """
        for candidates in self._candidates(position, expected):
            if repair := self._best([repair for _, repair in candidates]):
                return next(found for found in candidates if found[1] is repair)
        came = (*self.case.types, END)[position]
        if came == END:
            return "premature end", None
        again = came in self.case.types[:position]
        return self._stranger(came) or ("repeated step" if again else "skipped step"), None

    def of_time(self, position: int, part: str) -> Finding:
        """An event that came at a strange time: when would it have been likeliest?

        part: what shows it, the delay or how the event stands to a date.
        """
        event, before = self.case.events[position], self.case.events[position - 1].at
        options = [replace(event, at=before + span) for span in SPANS]
        at, works = self._likeliest(position, part, options)
        kind = "too late" if options[at].at < event.at else "too early"
        return kind, Repair("move", position) if works else None

    def of_field(self, position: int, part: str) -> Finding:
        """A field that holds something strange: what should it hold?"""
        event = self.case.events[position]
        item, memory = None, Memory()
        if self.encoding:
            item, memory = self.encoding.field(self.case, position, part)
        if item is not None and item.kind == "due":
            return self.of_time(position, part)
        kind = "wrong actor" if self._names_actor(event.type, item) else "wrong field"
        name = self.field_name(position, part)
        values, known = self._values(position, name, item, memory)
        values = [value for value in values if value != event.data.get(name)]
        if not values:
            return kind, None
        options = [replace(event, data=event.data | {name: value}) for value in values]
        at, works = self._likeliest(position, part, options)
        value = values[at] if known else ANOTHER
        return kind, Repair("set", position, field=name, value=value) if works else None

    def field_name(self, position: int, part: str) -> str:
        """The field that a part of an event holds; of a type or a delay, its own name."""
        items = self._items((*self.case.types, END)[position])
        return next((item.name for item in items if item.part == part), part)

    def _candidates(
        self, position: int, expected: Sequence[tuple[str, float]]
    ) -> Iterator[list[Finding]]:
        """Repairs of the order with the kind of anomaly that they mend; equally small ones
        together, the smallest first."""
        types, category = self.case.types, self.case.category
        before, came, after = (START, *types, END, END)[position : position + 3]
        if came != END and (stranger := self._stranger(came)):
            yield [(stranger, Repair("remove", position, (came,)))]
            ways = self.normal.between(category, before, after, 1)
            yield [(stranger, Repair("replace", position, way)) for way in ways]
            return
        most = MOST_MISSING if came != END else len(self.case.types) + MOST_MISSING
        ways = self.normal.between(category, before, came, most)
        if came == END:
            yield [("premature end", Repair("insert", position, way)) for way in ways[:MOST_WAYS]]
            return
        fills = [
            [("skipped step", Repair("insert", position, way)) for way in list(of_size)[:MOST_WAYS]]
            for _, of_size in groupby(sorted(ways, key=len), key=len)
        ]
        swaps = [
            ("swapped steps", Repair("swap", i))
            for i in (position, position - 1)
            if 0 <= i < len(types) - 1 and types[i] != types[i + 1]
        ]
        yield swaps + [found for of_size in fills[:1] for found in of_size]
        # To remove what said something new undoes more than to add a step.
        blocks = [("repeated step", repair) for repair in self._repetitions(position)]
        yield [found for found in blocks if len(found[1].types) == 1]
        yield list(self._settings(position - 1))
        yield from fills[1:]
        yield from ([found] for found in blocks if len(found[1].types) > 1)
        if expected and expected[0][0] == END:
            yield [("late event", Repair("remove", position, types[position:]))]

    def _repetitions(self, position: int, alike: bool = False) -> Iterator[Repair]:
        """Removals of blocks of events, with the one at ``position`` in or right after them, whose
        types repeat those of the block right before them, and of the event itself if its type came
        before; the shortest first. alike: only of blocks whose fields repeat, too."""
        types = self.case.types
        said = [self._said(i) for i in range(len(types))] if alike else types
        for size in range(1, len(types) // 2 + 1):
            for start in range(max(size, position - size), position + 1):
                if said[start : start + size] == said[start - size : start]:
                    yield Repair("remove", start, types[start : start + size])
        if not alike and types[position] in types[: max(position - 1, 0)]:
            yield Repair("remove", position, types[position : position + 1])

    def _settings(self, position: int) -> Iterator[Finding]:
        """Other values for the fields of an event, where there are few."""
        if position < 0:
            return
        event = self.case.events[position]
        for item in self._items(event.type):
            kind = "wrong actor" if self._names_actor(event.type, item) else "wrong field"
            for value in self.normal.choices(self.case.category, event.type, item.name):
                if item.usual is None and value != event.data.get(item.name):
                    yield kind, Repair("set", position, field=item.name, value=value)

    def _values(
        self, position: int, name: str, item: Field | None, memory: Memory
    ) -> tuple[list[Any], bool]:
        """What a field could hold, and whether one of these must be the right value itself, not
        just something like it."""
        event, category = self.case.events[position], self.case.category
        if item is not None and item.kind == "number":
            below = item.limits[0] - 1 if item.limits else 0
            return [below, *item.limits], False
        if item is not None and item.kind == "actor":
            named = (who for key in item.like for who in reversed(memory.history(key)))
            return [*named, ANOTHER], True
        right = right_value(item, event, memory, self.normal, category) if item else None
        if right is not None:
            return [right], True
        return self.normal.choices(category, event.type, name), True

    def _likeliest(self, position: int, part: str, options: Sequence[Any]) -> tuple[int, bool]:
        """Which of several events in this place is the likeliest, of those whose ``part`` would be
        normal; and whether there is one, or this is just the likeliest of all."""
        before = self.case.events[:position]
        scored = self.scorer.score_cases(Case(self.case.id, [*before, event]) for event in options)
        found = []
        for i, scores in enumerate(scored):
            score = scores[position]
            rarity = self.usual.parts(self.case.category, score).get(part, 0.0)
            found.append((rarity <= self.limit, score.parts.get(part, 0.0), -i))
        works, _, i = max(found)
        return -i, works

    def _best(self, repairs: Sequence[Repair]) -> Repair | None:
        """The repair that makes the likeliest case of all that make it normal; None if none do."""
        changed = [repaired(self.case, r, self.normal, self.encoding) for r in repairs]
        works = [
            (sum(score.parts["type"] for score in scores), -i)
            for i, scores in enumerate(self.scorer.score_cases(changed))
            if self._is_normal(repairs[i], scores)
        ]
        return repairs[-max(works)[1]] if works else None

    def _is_normal(self, repair: Repair, scores: Sequence[EventScore]) -> bool:
        """Whether from the repair on all types are normal, and so is the field that was set."""
        rarities = [self.usual.parts(self.case.category, score) for score in scores]
        found = [parts["type"] for parts in rarities[repair.position :]]
        if repair.what == "set":
            found.append(rarities[repair.position].get(part_name(repair.field), 0.0))
        return max(found) <= self.limit

    def _said(self, position: int) -> tuple[Any, ...]:
        """The type of an event and, if the scorer reads fields, the values of those that do not
        follow from others."""
        event = self.case.events[position]
        own = [i.name for i in self._items(event.type) if i.kind not in (*RELATIONS, "due")]
        return event.type, *map(event.data.get, own)

    def _items(self, type_: str) -> Sequence[Field]:
        """How the fields of an event type are written; none if the scorer reads none."""
        return self.encoding.fields.get(type_, ()) if self.encoding else ()

    def _stranger(self, came: str) -> str | None:
        """The kind of anomaly that an event type of another process is, or one of none."""
        owners = self.normal.owners(came)
        if self.case.category in owners:
            return None
        return "foreign event" if owners else "unknown event"

    def _names_actor(self, type_: str, item: Field | None) -> bool:
        """Whether a field says who did it: it is compared with actors, or is a copy of one."""
        if item is None or item.kind != "copy":
            return item is not None and item.kind == "actor"
        return not self._actors.isdisjoint((f"{type_}.{item.name}", *item.like))

    @cached_property
    def _actors(self) -> set[str]:
        """The fields, as ``type.field``, that name actors or are compared with one that does."""
        return {
            key
            for type_, items in self.encoding.fields.items()
            for item in items
            if item.kind == "actor"
            for key in (f"{type_}.{item.name}", *item.like)
        }
