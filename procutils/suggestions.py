"""What to do next in a case: likely steps, when each is due, and what is known of their data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from math import exp
from typing import Any
from uuid import UUID

from procutils.alerts import identity
from procutils.cases import END, Case, Event
from procutils.deadlines import turns
from procutils.detector import Detector
from procutils.following import LiveCase
from procutils.written import RELATIONS

#: A value is filled in if the model gives it at least this probability.
SURE = 0.9


@dataclass(frozen=True)
class Suggestion:
    """A step that may come next, END for the end of the case.

    by, latest: when half, and when 95 of 100 such steps will have come if this is the step; None
    if the model knows nothing of times, or the step may take longer than it has words for.
    data: the values of fields of which the model is sure.
    """

    type: str
    probability: float
    by: datetime | None = None
    latest: datetime | None = None
    data: dict[str, Any] = field(default_factory=dict)


def suggest(detector: Detector, case: Case, k: int = 3) -> list[Suggestion]:
    """The k likeliest next steps of a running case, the likeliest first.

    Raises ValueError for a case without events.
    """
    if not case.events:
        raise ValueError(f"{case.id} has no events yet: give it at least one to go on from")
    found = []
    for type_, probability in detector.scorer.next_events(case, k):
        if type_ == END:
            found.append(Suggestion(type_, probability))
        else:
            by, latest = _due(detector, case, type_)
            data = _data(detector, case, type_)
            found.append(Suggestion(type_, probability, by, latest, data))
    return found


def _due(detector: Detector, case: Case, type_: str) -> tuple[datetime | None, datetime | None]:
    last = case.events[-1].at
    starts = [last, *turns(last)]  # each begins a span of time that has one word
    events = [Event(type_, {}, at) for at in starts]
    scores = _scored(detector, case, events)
    if not all("delay" in score.parts for score in scores):
        return None, None
    shares = [exp(score.parts["delay"]) for score in scores]
    return tuple(_reached(share, starts, shares) for share in (0.5, 0.95))


def _reached(share: float, starts: Sequence[datetime], shares: Sequence[float]) -> datetime | None:
    """The end of the span in which this share of all is reached; the last span has no end."""
    so_far = 0.0
    for of_span, end in zip(shares, [*starts[1:], None], strict=True):
        so_far += of_span / sum(shares)
        if so_far >= share:
            return end
    return None


def _data(detector: Detector, case: Case, type_: str) -> dict[str, Any]:
    """Field by field, in the usual order: the likeliest value, if it is likely enough."""
    event = Event(type_, {}, case.events[-1].at)
    values = detector.normal.values.get(case.category, {}).get(type_, {})
    encoding = getattr(detector.scorer, "encoding", None)
    for name, usual in values.items():
        candidates, certain = list(usual), False
        if encoding is not None:
            with_it = Case(case.id, [*case.events, event])
            item, memory = encoding.field(with_it, len(case.events), name)
            if item is None:
                continue  # the model does not read it
            if item.kind in RELATIONS:
                right = item.expected(event, memory)
                candidates = [] if right is None else [right]
                certain = bool(candidates) and item.usual == "same"  # then it is not even written
        if certain:
            event = _with(event, name, candidates[0])
            continue
        tried = [_with(event, name, value) for value in candidates]
        shares = [exp(s.parts.get(name, -100.0)) for s in _scored(detector, case, tried)]
        if shares and max(shares) >= SURE:
            event = tried[shares.index(max(shares))]
    return event.data


def _with(event: Event, name: str, value: Any) -> Event:
    return replace(event, data={**event.data, name: value})


def _scored(detector: Detector, case: Case, events: Sequence[Event]) -> list:
    """The score of each event, were it the next of the case."""
    cases = [Case(case.id, [*case.events, event]) for event in events]
    return [scores[len(case.events)] for scores in detector.scorer.score_cases(cases)]


@dataclass(frozen=True)
class Step:
    """What a trigger is told: after event ``after`` of a stream, ``type`` should come next.

    id: the same whenever this is found, so that whoever acts on it can tell a repetition.
    """

    id: UUID
    stream: str
    position: int
    type: str
    probability: float
    after: UUID


@dataclass(frozen=True)
class Trigger:
    """Call ``call`` when a next step is at least as probable as ``certainty`` (0 to 1).

    Once per event. Where the watchdog dies between the call and its checkpoint, which it writes at
    once, the call is repeated with the same ``Step.id``. What ``call`` raises stops the watchdog.
    """

    certainty: float
    call: Callable[[Step], None]


def pull(triggers: Sequence[Trigger], case: LiveCase) -> bool:
    """Call those whose certainty the next step of a case reaches; whether there were any."""
    if not triggers:
        return False
    (type_, probability), *_ = case.following.next_events(1)
    due = [t for t in triggers if probability >= t.certainty and type_ != END]
    last = case.records[-1]
    for trigger in due:
        id_ = identity(case.case.id, str(last.id), type_, "trigger")
        position = last.stream_position + 1
        trigger.call(Step(id_, case.case.id, position, type_, probability, last.id))
    return bool(due)
