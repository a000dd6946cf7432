"""What a person needs to act on an alert: where, what, which kind, how it would be right again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import exp

from procutils.cases import END, Case, EventScore
from procutils.normal import Normal
from procutils.repairs import ANOTHER, Repair
from procutils.search import Search
from procutils.surprise import Scorer, Usual

#: An event at least this probable counts as one that should have come.
LIKELY = 0.05

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
    "wrong actor": "Ask who was responsible for {came}: {field} should be {right}.",
    "too early": "Check how {came} could come so soon: was it automatic, or only recorded?",
    "too late": "Find out what held up {came}, and whom the delay concerns.",
    "overdue": "Find out who holds this case: {expected} should have come by now.",
}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a case.

    position: index of the first event that is strange given those before it; len(case.events) for
        the end of the case, or for what has not come; None if nothing is wrong.
    kind: a key of ACTIONS, or "normal".
    expected: the likeliest event types at that position, with their probabilities.
    part: which part of the event is strange: ``type``, ``delay`` or a field's name.
    repair: the smallest change found that makes the case normal; None if none was found. For what
        has not come: the likeliest step to come.
    similar: normal calibration cases that began with the same types up to ``position``.
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
    category, search = case.category, Search(scorer, usual, normal, limit, case)
    position = next(i for i, s in enumerate(scores) if usual.event(category, s) > limit)
    strange = usual.parts(category, scores[position])
    part = "type" if strange["type"] > limit else max(strange, key=strange.__getitem__)
    expected = _expected(scorer, normal, case, position)
    again = search.of_repetition(position)
    if again is not None:
        part, kind, repair = "type", "repeated step", again
    elif part == "type":
        kind, repair = search.of_order(position, expected)
    elif part == "delay":
        kind, repair = search.of_time(position, part)
    else:
        kind, repair = search.of_field(position, part)
    if kind in ("swapped steps", "repeated step") and repair is not None:
        position = repair.position  # it may begin before what is strange about it
        expected = _expected(scorer, normal, case, position)
    field = search.field_name(position, part)
    said = _said(case, position, part, field, kind, repair, expected, scores[position])
    said = f"{kind.capitalize()}: {said}. {_share(p_value, case)}"
    action = _action(normal, case, position, kind, field, repair, expected)
    similar = normal.similar(case, position)
    return Diagnosis(position, kind, expected, said, action, part, repair, similar)


def diagnose_silence(
    scorer: Scorer, normal: Normal, case: Case, now: datetime, p_value: float
) -> Diagnosis:
    """Explain a running case in which nothing has come by ``now``, although something should."""
    position, kind = len(case.events), "overdue"
    expected = [(t, p) for t, p in _expected(scorer, normal, case, position) if t != END]
    repair = Repair("insert", position, (expected[0][0],)) if expected else None
    waited = now - case.events[-1].at
    said = f"Overdue: after {case.types[-1]}, nothing has come for {waited}"
    said += f"; expected: {_likely(expected)}. {_share(p_value, case)}"
    action = _action(normal, case, position, kind, "delay", repair, expected)
    similar = normal.similar(case, position)
    return Diagnosis(position, kind, expected, said, action, "delay", repair, similar)


def _expected(scorer: Scorer, normal: Normal, case: Case, position: int) -> list[tuple[str, float]]:
    """The likeliest types at a position, of those that the process has; at most three."""
    known = normal.types(case.category) | {END}
    found = scorer.next_events(Case(case.id, case.events[:position]), 6)
    return [(type_, p) for type_, p in found if type_ in known][:3]


def _said(
    case: Case,
    position: int,
    part: str,
    field: str,
    kind: str,
    repair: Repair | None,
    expected: Sequence[tuple[str, float]],
    score: EventScore,
) -> str:
    """What is strange, as half a sentence."""
    after = f"after {case.types[position - 1]}" if position else "as the first event"
    came = f"{after}, " + ("the case ended" if score.type == END else f"{score.type} came")
    if kind == "swapped steps":
        came += f" before {case.types[position + 1]}"
    if part == "type":
        said = f"{came}, with probability {exp(-score.surprisal):.1g}"
        if repair is not None and repair.what == "set":
            right = f"{repair.field} = {repair.value!r}"
            return f"{said}; it would be normal if {case.types[repair.position]} had {right}"
        return f"{said}; expected: {_likely(expected)}"
    event = case.events[position]
    if kind in ("too early", "too late"):
        waited = event.at - case.events[position - 1].at
        return f"{came} {kind} {'' if part == 'delay' else f'for {part}, '}after {waited}"
    right = ""
    if repair is not None:
        right = "; expected: " + ("another" if repair.value == ANOTHER else repr(repair.value))
    return f"{came} with {field} = {event.data.get(field)!r}{right}"


def _action(
    normal: Normal,
    case: Case,
    position: int,
    kind: str,
    field: str,
    repair: Repair | None,
    expected: Sequence[tuple[str, float]],
) -> str:
    came = (*case.types, END)[position]
    missing = [type_ for type_, _ in expected if type_ not in (came, END)][:1]
    right = "another"
    if repair is not None:
        if repair.what == "insert":
            missing = repair.types
        elif repair.what == "swap":
            missing = case.types[position + 1 : position + 2]
        elif repair.what == "remove" and len(repair.types) > 1:
            came = " and ".join(repair.types)
        elif repair.what == "set":
            came, field = case.types[repair.position], repair.field
            right = "another" if repair.value == ANOTHER else repr(repair.value)
    return ACTIONS[kind].format(
        came=came,
        expected=" and ".join(missing) or "the next step",
        stream=case.id,
        owner=" or ".join(normal.owners(came)),
        field=field,
        right=right,
    )


def _likely(expected: Sequence[tuple[str, float]]) -> str:
    return (
        ", ".join(
            f"{'the end of the case' if type_ == END else type_} ({p:.0%})"
            for type_, p in expected
            if p >= LIKELY
        )
        or "nothing in particular"
    )


def _share(p_value: float, case: Case) -> str:
    return f"At most {p_value:.1%} of normal {case.category} cases are as surprising."
