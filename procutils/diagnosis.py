"""What a person needs to act on an alert: where, what, which kind, how it would be right again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from math import exp
from statistics import median_low
from typing import Any, Protocol

from procutils.cases import END, Case, Event, EventScore
from procutils.surprise import Usual
from procutils.words import DELAY_WORDS, delay_word

#: An event at least this probable counts as one that should have come.
LIKELY = 0.05
#: So many steps, at most, are thought to be missing in one place.
MOST_MISSING = 2
#: A field with at most this many different normal values is mended by trying them all.
MOST_VALUES = 12

#: What to do, for each kind of anomaly.
ACTIONS = {
    "foreign event": (
        "Find the {owner} case that {came} belongs to, and check what routes events to {stream}."
    ),
    "unknown event": "{came} never occurred in normal cases: a new release, or a wrong name?",
    "swapped steps": (
        "Check the clocks and the order of delivery: {came} was recorded before {expected}."
    ),
    "repeated step": "Check whether a retry sent {came} twice, or the step really ran again.",
    "late event": "The case should have ended before {came}: find out who still works on it.",
    "skipped step": "Ask why {expected} is missing before {came}: not done, or not recorded?",
    "premature end": "Find out who holds this case: {expected} should come next.",
    "wrong field": "Check {field} of {came} against its source: it should be {right}.",
    "wrong actor": "Ask who was responsible for {came}, and undo it if it was not {field}.",
    "too early": "Check how {came} could come so soon: was it automatic, or only recorded?",
    "too late": "Find out what held up {came}, and whom the delay concerns.",
    "overdue": "Find out who holds this case: {expected} should have come by now.",
}


class Scorer(Protocol):
    """What a diagnosis asks a model: to try what would have been normal."""

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]: ...
    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]: ...


@dataclass(frozen=True)
class Repair:
    """The smallest change that makes a case normal again.

    what: ``insert``, ``remove``, ``swap`` (with the next event), ``set`` a field, or ``move`` in
        time. position: of the event, or where to insert. types: those to insert. field, value: for
        ``set``; the value is None where another is needed but nothing says which.
    """

    what: str
    position: int
    types: tuple[str, ...] = ()
    field: str | None = None
    value: Any = None

    def __str__(self) -> str:
        if self.what == "insert":
            return f"insert {' and '.join(self.types)} before event {self.position + 1}"
        if self.what == "swap":
            return f"swap events {self.position + 1} and {self.position + 2}"
        if self.what == "set":
            return f"set {self.field} of event {self.position + 1} to {self.value or 'another'}"
        return f"{self.what} event {self.position + 1}"


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a case.

    position: index of the first event too strange by itself; len(case.events) for the end of the
        case, or for what has not come; None if nothing is wrong.
    kind: a key of ACTIONS, or "normal".
    expected: the likeliest event types at that position, with their probabilities.
    part: which part of the event is strange: ``type``, ``delay`` or a field's name.
    repair: None if none was found. similar: normal calibration cases that began with the same
        types up to ``position``.
    """

    position: int | None
    kind: str
    expected: list[tuple[str, float]]
    explanation: str
    action: str
    part: str | None = None
    repair: Repair | None = None
    similar: int = 0


NOTHING_WRONG = Diagnosis(None, "normal", [], "", "None.")


@dataclass(frozen=True)
class Normal:
    """What normal cases look like, as far as a diagnosis needs it; plain lists, to be stored.

    types: category → its event types. courses: category → the event types of each case in order.
    delays: category → event type → the delay words before it, as numbers in DELAY_WORDS.
    values: category → event type → field → its values, if they are few; None is one.
    """

    types: dict[str, list[str]] = field(default_factory=dict)
    courses: dict[str, list[list[str]]] = field(default_factory=dict)
    delays: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    values: dict[str, dict[str, dict[str, list[Any]]]] = field(default_factory=dict)

    @classmethod
    def of(cls, cases: Sequence[Case]) -> Normal:
        """From the calibration cases."""
        normal = cls()
        for case in cases:
            normal.courses.setdefault(case.category, []).append(list(case.types))
            delays = normal.delays.setdefault(case.category, {})
            for before, event in pairwise(case.events):
                word = delay_word(before.at, event.at)
                delays.setdefault(event.type, []).append(DELAY_WORDS.index(word))
            fields = normal.values.setdefault(case.category, {})
            for event in case.events:
                for name, value in event.data.items():
                    known = fields.setdefault(event.type, {}).setdefault(name, [])
                    if value not in known and len(known) <= MOST_VALUES:
                        known.append(value)
        for category, courses in normal.courses.items():
            normal.types[category] = sorted({type_ for types in courses for type_ in types})
        return normal

    def owners(self, type_: str) -> list[str]:
        """The categories whose normal cases hold this event type."""
        return [category for category, held in self.types.items() if type_ in held]

    def similar(self, case: Case, length: int) -> int:
        """How many normal cases began with the same ``length`` types."""
        start = list(case.types[:length])
        return sum(types[:length] == start for types in self.courses.get(case.category, ()))

    def usual_delay(self, category: str, type_: str) -> int | None:
        """The median delay before an event type, as a number in DELAY_WORDS; None if unknown."""
        known = self.delays.get(category, {}).get(type_)
        return median_low(known) if known else None


def diagnose(
    scorer: Scorer,
    usual: Usual,
    normal: Normal,
    limit: float,
    case: Case,
    scores: Sequence[EventScore],
    p_value: float,
) -> Diagnosis:
    """Explain a case that is stranger than ``limit`` (nats of ``usual``), given its scores."""
    return _Doctor(scorer, usual, normal, limit, case, scores).diagnosis(p_value)


def diagnose_silence(
    scorer: Scorer, normal: Normal, case: Case, now: datetime, p_value: float
) -> Diagnosis:
    """Explain a running case in which nothing has come by ``now``, although something should."""
    position = len(case.events)
    expected = [(t, p) for t, p in scorer.next_events(case, 4) if t != END][:3]
    missing = expected[0][0]
    word = delay_word(case.events[-1].at, now)
    return Diagnosis(
        position,
        "overdue",
        expected,
        f"Overdue: after {case.types[-1]}, nothing has come for {now - case.events[-1].at} "
        f"({word}); expected: {_likely(expected)}. At most {p_value:.1%} of normal "
        f"{case.category} cases wait as strangely.",
        ACTIONS["overdue"].format(expected=missing),
        "delay",
        Repair("insert", position, (missing,)),
        normal.similar(case, position),
    )


@dataclass(frozen=True)
class _Doctor:
    scorer: Scorer
    usual: Usual
    normal: Normal
    limit: float
    case: Case
    scores: Sequence[EventScore]

    def diagnosis(self, p_value: float) -> Diagnosis:
        case, category = self.case, self.case.category
        position = next(
            i for i, s in enumerate(self.scores) if self.usual.event(category, s) > self.limit
        )
        score = self.scores[position]
        strange = self.usual.parts(category, score)
        part = "type" if strange["type"] > self.limit else max(strange, key=strange.__getitem__)
        before = Case(case.id, case.events[:position])
        expected = self.scorer.next_events(before, 3)
        came = score.type
        likely = [type_ for type_, _ in expected if type_ not in (came, END)]
        if part == "type":
            kind, repair = self._structure(position, came, likely, expected)
        elif part == "delay":
            kind, repair = self._timing(position, came), Repair("move", position)
        else:
            kind, repair = self._field(position, part)
        missing = repair.types if repair and repair.types else tuple(likely[:1])
        action = ACTIONS[kind].format(
            came=came,
            expected=" and ".join(missing) or "the next step",
            stream=case.id,
            owner=" or ".join(self.normal.owners(came)),
            field=part,
            right="another" if repair is None or repair.value is None else repair.value,
        )
        said = self._explanation(position, kind, part, expected, score, repair, p_value)
        similar = self.normal.similar(case, position)
        return Diagnosis(position, kind, expected, said, action, part, repair, similar)

    def _structure(
        self, position: int, came: str, likely: list[str], expected: list[tuple[str, float]]
    ) -> tuple[str, Repair | None]:
        """Which change of the order of events would make this one normal, the simplest first."""
        if position == len(self.case.events):
            return "premature end", self._insertion(position, likely) or _insert(position, likely)
        if came not in self.normal.types[self.case.category]:
            kind = "foreign event" if self.normal.owners(came) else "unknown event"
            return kind, self._replacement(position, likely) or Repair("remove", position)
        if (swap := self._swap(position)) is not None:
            return "swapped steps", swap
        again = came in self.case.types[:position]
        if again and self._is_normal(_without(self.case, position), position):
            return "repeated step", Repair("remove", position)
        if [type_ for type_, p in expected if p >= LIKELY] == [END]:
            return "late event", Repair("remove", position)
        if (insertion := self._insertion(position, likely)) is not None:
            return "skipped step", insertion
        if again:
            return "repeated step", Repair("remove", position)
        return "skipped step", _insert(position, likely)

    def _swap(self, position: int) -> Repair | None:
        places = [i for i in (position, position - 1) if 0 <= i < len(self.case.events) - 1]
        for i in places:
            if self._is_normal(_swapped(self.case, i), i, 3):
                return Repair("swap", i)
        return None

    def _insertion(self, position: int, likely: Sequence[str]) -> Repair | None:
        """The fewest steps that, done before, make what came normal."""
        tried: list[tuple[str, ...]] = [(type_,) for type_ in likely]
        for types in tried:
            changed = _with(self.case, position, types)
            if self._is_normal(changed, position, len(types) + 1):
                return Repair("insert", position, types)
            if len(types) < MOST_MISSING:
                so_far = Case(self.case.id, changed.events[: position + len(types)])
                following = self.scorer.next_events(so_far, 2)
                tried += [(*types, type_) for type_, _ in following if type_ != END]
        return None

    def _replacement(self, position: int, likely: Sequence[str]) -> Repair | None:
        """The event that this one may have taken the place of."""
        for type_ in likely:
            changed = _with(_without(self.case, position), position, (type_,))
            if self._is_normal(changed, position):
                return Repair("set", position, (type_,), "type", type_)
        return None

    def _timing(self, position: int, came: str) -> str:
        events = self.case.events
        word = delay_word(events[position - 1].at, events[position].at)
        usual = self.normal.usual_delay(self.case.category, came)
        early = usual is not None and DELAY_WORDS.index(word) < usual
        return "too early" if early else "too late"

    def _field(self, position: int, part: str) -> tuple[str, Repair]:
        """What the event should have said: what relations say, or the least strange usual value."""
        event = self.case.events[position]
        encoding = getattr(self.scorer, "encoding", None)
        item, memory = encoding.field(self.case, position, part) if encoding else (None, None)
        if item is not None and item.kind == "due":
            early = item.text(event, memory) == "early"
            return "too early" if early else "too late", Repair("move", position)
        if item is not None and item.kind == "actor":
            return "wrong actor", Repair("set", position, field=part)
        right = item.expected(event, memory) if item is not None else None
        if right is None:
            right = self._best_value(position, part)
        return "wrong field", Repair("set", position, field=part, value=right)

    def _best_value(self, position: int, part: str) -> Any:
        """Of the usual values the one that the rest of the case makes least strange."""
        event = self.case.events[position]
        known = self.normal.values.get(self.case.category, {}).get(event.type, {}).get(part, [])
        others = [value for value in known if value != event.data.get(part)]
        if not others or len(known) > MOST_VALUES:
            return None
        changed = [
            _put(self.case, position, replace(event, data={**event.data, part: value}))
            for value in others
        ]
        found = [
            sum(s.parts.get(part, 0.0) for s in scores[position : position + 1])
            for scores in self.scorer.score_cases(changed)
        ]
        return others[found.index(max(found))]

    def _is_normal(self, changed: Case, position: int, events: int = 2) -> bool:
        """Whether the types from ``position`` on, so many of them, are no longer strange."""
        (scores,) = self.scorer.score_cases([changed])
        return all(
            self.usual.parts(changed.category, score)["type"] <= self.limit
            for score in scores[position : position + events]
        )

    def _explanation(
        self,
        position: int,
        kind: str,
        part: str,
        expected: Sequence[tuple[str, float]],
        score: EventScore,
        repair: Repair | None,
        p_value: float,
    ) -> str:
        case = self.case
        after = f"after {case.types[position - 1]}" if position else "as the first event"
        what = "the case ended" if score.type == END else f"{score.type} came"
        if part == "type":
            said = f"{what}, with probability {exp(-score.surprisal):.1g}"
            said += f"; expected: {_likely(expected)}"
        elif part == "delay":
            word = delay_word(case.events[position - 1].at, case.events[position].at)
            usual = self.normal.usual_delay(case.category, score.type)
            said = f"{what} with a delay of: {word}"
            said += f"; usual: {DELAY_WORDS[usual]}" if usual is not None else ""
        elif kind in ("too early", "too late"):
            said = f"{what} {kind} for the date in {part}"
        else:
            value = case.events[position].data.get(part)
            said = f"{what} with {part} = {value!r}"
            known = repair is not None and repair.value is not None
            said += f"; expected: {repair.value!r}" if known else "; expected: another"
        share = f"At most {p_value:.1%} of normal {case.category} cases are as surprising."
        return f"{kind.capitalize()}: {after}, {said}. {share}"


def _likely(expected: Sequence[tuple[str, float]]) -> str:
    return (
        ", ".join(
            f"{'the end of the case' if type_ == END else type_} ({p:.0%})"
            for type_, p in expected
            if p >= LIKELY
        )
        or "nothing in particular"
    )


def _insert(position: int, likely: Sequence[str]) -> Repair | None:
    return Repair("insert", position, tuple(likely[:1])) if likely else None


def _put(case: Case, position: int, event: Event) -> Case:
    return Case(case.id, [*case.events[:position], event, *case.events[position + 1 :]])


def _without(case: Case, position: int) -> Case:
    return Case(case.id, case.events[:position] + case.events[position + 1 :])


def _with(case: Case, position: int, types: Sequence[str]) -> Case:
    """The case with bare events of these types inserted, at the time of the event before."""
    at = case.events[max(position - 1, 0)].at
    bare = [Event(type_, {}, at) for type_ in types]
    return Case(case.id, [*case.events[:position], *bare, *case.events[position:]])


def _swapped(case: Case, first: int) -> Case:
    """The case with two neighbours in the other order, each at the time of the other."""
    a, b = case.events[first : first + 2]
    pair = [replace(b, at=a.at), replace(a, at=b.at)]
    return Case(case.id, [*case.events[:first], *pair, *case.events[first + 2 :]])
