"""A running case as the watchdog follows it: what has come, how strange it was, what may follow."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from kurrentdbclient import RecordedEvent

from procutils.cases import Case, Event, EventScore
from procutils.detector import Scorer

#: Nats by which a score from the model's memory may differ from that of a whole batch. A live score
#: is taken for so much less strange: rounding must not make an alarm of what calibration has seen.
ROUNDING = 1e-3


class Following(Protocol):
    """A scorer's view of one running case."""

    def add(self, event: Event) -> EventScore: ...
    def end(self) -> EventScore: ...
    def next_events(self, k: int) -> list[tuple[str, float]]: ...
    def silence(self, now: datetime) -> float: ...


class Rescored:
    """Any scorer, made to follow: with each event it reads the whole case again."""

    def __init__(self, scorer: Scorer, case: Case) -> None:
        self._scorer, self._case = scorer, Case(case.id, list(case.events))

    def add(self, event: Event) -> EventScore:
        """The score of the event that has just come."""
        self._case.events.append(event)
        return self._scorer.score_cases([self._case])[0][len(self._case.events) - 1]

    def end(self) -> EventScore:
        """The score of the end of the case, should it have come now."""
        return self._scorer.score_cases([self._case])[0][-1]

    def next_events(self, k: int) -> list[tuple[str, float]]:
        """The k likeliest next types with their probabilities."""
        return self._scorer.next_events(self._case, k)

    def silence(self, now: datetime) -> float:
        """log p(nothing has come by ``now``), in nats."""
        return self._scorer.silences([(self._case, now)])[0]


def follow(scorer: Scorer, case: Case) -> Following:
    """The scorer's view of a case, from its beginning up to now."""
    return scorer.running(case) if _runs(scorer) else Rescored(scorer, case)


def _runs(scorer: Scorer) -> bool:
    """Whether it remembers a case, so that a new event costs its own tokens only."""
    return hasattr(scorer, "running")


@dataclass
class LiveCase:
    """The state of one case; all of it follows from the case's stream.

    records, scores: one per event. next: the revision that comes next; where something could not
    be read, it is not the number of events. flagged: whether an event was too strange already.
    overdue: whether there may be an alert that the next event withdraws.
    """

    case: Case
    records: list[RecordedEvent] = field(default_factory=list)
    scores: list[EventScore] = field(default_factory=list)
    next: int = 0
    flagged: bool = False
    overdue: bool = False
    following: Following | None = None

    def add(self, scorer: Scorer, read: Sequence[tuple[RecordedEvent, Event]]) -> None:
        """The next events of the case have come, each with its record.

        They are read one by one, also where a case is rebuilt: together they would be scored alike
        but for rounding, which now and then decides, and a restart must not change an alert.
        """
        if self.following is None:
            self.following = follow(scorer, self.case)
        events = [event for _, event in read]
        scores = [self.following.add(event) for event in events]
        self.case.events.extend(events)
        self.scores += map(_lenient, scores) if _runs(scorer) else scores
        self.records += [record for record, _ in read]


class Cases:
    """The cases that are remembered: so many, and those that were asked for last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._cases: OrderedDict[str, LiveCase] = OrderedDict()

    def get(self, stream: str) -> LiveCase | None:
        """What is remembered of a case."""
        if stream in self._cases:
            self._cases.move_to_end(stream)
        return self._cases.get(stream)

    def keep(self, case: LiveCase) -> None:
        """Remember a case, and forget the one that has not been asked for the longest."""
        self._cases[case.case.id] = case
        self._cases.move_to_end(case.case.id)
        if len(self._cases) > self._most:
            self._cases.popitem(last=False)

    def forget(self, stream: str | None = None) -> None:
        """Forget one case, or all: they are rebuilt from their streams when they are needed."""
        if stream is None:
            self._cases.clear()
        self._cases.pop(stream, None)

    def __len__(self) -> int:
        return len(self._cases)


def _lenient(score: EventScore) -> EventScore:
    lifted = [
        {part: min(log_p + ROUNDING, 0.0) for part, log_p in parts.items()}
        for parts in (score.parts, score.tails)
    ]
    return replace(score, parts=lifted[0], tails=lifted[1])
