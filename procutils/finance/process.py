"""A process: four jobs done by one declaration.

It simulates cases, says whether and why a case is not one of its own, gives the true distribution
of the next event, and knows its own map.
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from procutils.cases import END, Case, Event, EventScore
from procutils.finance.grammar import History, Step, Violation, Weight, When, pick
from procutils.finance.schema import misfit

#: The probability that a score gives to what cannot happen.
IMPOSSIBLE = 1e-12


class Process:
    """A kind of case, declared by its steps; the first one starts it.

    category: the first part of the stream names. key: the field that holds the rest.
    constant: fields that keep their first value for the whole case.
    """

    def __init__(
        self, category: str, key: str, steps: Sequence[Step], constant: Sequence[str] = ()
    ) -> None:
        self.category, self.key = category, key
        self.constant = (key, *constant)
        self.steps = {step.type: step for step in steps}
        self.first = steps[0].type
        self._then = {step.type: {_name(k): w for k, w in step.then.items()} for step in steps}
        self._then[None] = {self.first: 1.0}

    @property
    def types(self) -> tuple[str, ...]:
        """Its event types in declaration order."""
        return tuple(self.steps)

    def simulate(
        self, rng: random.Random, start: datetime, key: str, subject: str | None = None
    ) -> Case:
        """Draw one case that starts at ``start`` (UTC); every choice comes from ``rng``.

        subject: the id of the case that this one is about; it becomes the correlation id.
        """
        history, events = History(key, start, subject), []
        metadata = {"$correlationId": subject} if subject else {}
        while (kind := pick(rng, self._distribution(history))) != END:
            fact, at = self.steps[kind].emit(history, rng)
            events.append(Event(kind, dict(vars(fact)), at, dict(metadata)))
            history.add(events[-1])
        return Case(f"{self.category}-{key}", events)

    def accepts(self, case: Case, given: int = 0) -> Violation | None:
        """None if this process could have produced ``case``, else the first thing that is wrong.

        given: so many of its events are taken as they are, right or wrong; the rest is judged.
        """
        history = History(case.id.partition("-")[2])
        for event in case.events[:given]:
            history.add(event)
        wrong = self._follow(history, case.events, given)
        return wrong or self._judge_order(history, len(case.events), END)

    def next_events(self, events: Sequence[Event]) -> dict[str, float]:
        """The true distribution of the next type, END included; {} if ``events`` are not valid."""
        history = self._start(events)
        return {} if self._follow(history, events) else self._distribution(history)

    def longest_wait(self, events: Sequence[Event], rng: random.Random, draws: int) -> timedelta:
        """The longest that valid ``events`` wait in so many draws of each event that may follow.

        Zero if only the end of the case may.
        """
        history = self._start(events)
        self._follow(history, events)
        following = [self.steps[kind] for kind in self._distribution(history) if kind != END]
        times = [step.emit(history, rng)[1] for step in following for _ in range(draws)]
        return max(times, default=history.now) - history.now

    def predictions(self, case: Case) -> list[dict[str, float]]:
        """``next_events`` of every prefix of ``case``: one more than it has events."""
        history, found = self._start(case.events), []
        for position, event in enumerate(case.events):
            found.append(self._distribution(history))
            if self._judge(history, position, event):
                return found + [{}] * (len(case.events) - position)
            history.add(event)
        return [*found, self._distribution(history)]

    def score(self, case: Case) -> list[EventScore]:
        """The log-probability of each type, END last; what is impossible gets IMPOSSIBLE.

        Their negative mean over many cases is the entropy of the process: no model does better.
        """
        outcomes = (*case.types, END)
        return [
            EventScore(kind, {"type": math.log(max(p.get(kind, 0.0), IMPOSSIBLE))})
            for kind, p in zip(outcomes, self.predictions(case), strict=True)
        ]

    @cached_property
    def _edges(self) -> dict[tuple[str, str], float]:
        start, passed = datetime(2025, 1, 6, 8, tzinfo=UTC), Counter()
        for index in range(500):
            rng = random.Random(f"{self.category}/{index}")
            case = self.simulate(rng, start, str(index))
            passed.update(zip(case.types, (*case.types[1:], END), strict=True))
        left = Counter()
        for (source, _), times in passed.items():
            left[source] += times
        return {
            (source, target): passed[source, target] / left[source]
            for source in self.steps
            for target in self._then[source]
            if (source, target) in passed
        }

    def edges(self) -> dict[tuple[str, str], float]:
        """The process map: (type, next type or END) → its share of what follows that type.

        The shares are those of 500 simulated cases, always the same ones.
        """
        return dict(self._edges)

    def _start(self, events: Sequence[Event]) -> History:
        return History(str(events[0].data.get(self.key)) if events else "")

    def _follow(
        self, history: History, events: Sequence[Event], given: int = 0
    ) -> Violation | None:
        """Add ``events[given:]`` to the history, up to the first that does not belong there."""
        for position, event in enumerate(events[given:], given):
            if violation := self._judge(history, position, event):
                return violation
            history.add(event)
        return None

    def _distribution(self, history: History) -> dict[str, float]:
        weights = {kind: _weigh(w, history) for kind, w in self._then[history.last].items()}
        total = sum(weights.values())
        return {kind: weight / total for kind, weight in weights.items() if weight > 0}

    def _judge(self, history: History, position: int, event: Event) -> Violation | None:
        """The order first, then the shape of the event, then what its fields, actor, time say."""
        if violation := self._judge_order(history, position, event.type):
            return violation
        step, data = self.steps[event.type], event.data

        def breaks(field: str, rule: str, tier: str, value: Any) -> Violation:
            return Violation(position, event.type, rule, tier, field, value)

        if wrong := misfit(step.event, data):
            return breaks(*wrong, "payload", data.get(wrong[0]))
        fact = step.event(**data)
        known = history.first | {self.key: history.key}
        for name in self.constant:
            if name in data and data[name] != known.get(name, data[name]):
                return breaks(name, f"it stays {known[name]!r}", "payload", data[name])
        if history.now is not None and event.at <= history.now:
            return breaks("timestamp", "it is later than the event before", "time", str(event.at))
        for check in step.checks:
            if not check.holds(history, fact, event.at):
                value = str(event.at) if check.field == "timestamp" else data[check.field]
                return breaks(check.field, check.rule, check.tier, value)
        return None

    def _judge_order(self, history: History, position: int, kind: str) -> Violation | None:
        options, last = self._then[history.last], history.last or "the start"
        if kind not in options:
            rule = f"after {last} comes {' or '.join(options)}"
            return Violation(position, kind, rule, "structure")
        if _weigh(option := options[kind], history) > 0:
            return None
        return Violation(position, kind, f"after {last} it comes only {option.rule}", option.tier)


def _name(kind: type | str) -> str:
    return kind if isinstance(kind, str) else kind.__name__


def _weigh(option: Weight | When, history: History) -> float:
    if isinstance(option, When):
        return _weigh(option.weight, history) if option.condition(history) else 0.0
    return option(history) if callable(option) else option
