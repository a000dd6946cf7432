"""Counting over times alone: how long it usually takes from one event type to a later one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import pairwise
from math import inf, log
from typing import Self

import numpy as np
from scipy.stats import norm

from procutils.baselines import some
from procutils.cases import END, Case, EventScore
from procutils.silence import Seen
from procutils.surprise import rarity

#: A standard deviation below this (seconds) says more about the clock than about the process.
LEAST_DEVIATION = 1.0

Pair = tuple[str, str, str]
"""A category, an event type, and one that comes later in the case."""


class TemporalProfile:
    """The mean and standard deviation of the time between any two event types of a process.

    An event is as strange as the largest |z| of the times since the events before it, neighbours
    or not; of an event type that came repeatedly, the latest counts. Pairs that training showed
    less than twice have no opinion. Source: Stertz, Mangler & Rinderle-Ma, "Temporal conformance
    checking at runtime based on time-infused process models", arXiv 2008.07262, 2020.
    """

    def __init__(self) -> None:
        self.profile: dict[Pair, tuple[float, float]] = {}

    def fit(self, cases: Iterable[Case]) -> Self:
        """Measure every pair; a second call starts afresh. ValueError if there are no cases."""
        times: defaultdict[Pair, list[float]] = defaultdict(list)
        for case in some(cases):
            for passed in _times(case):
                for pair, seconds in passed.items():
                    times[pair].append(seconds)
        self.profile = {
            pair: (float(np.mean(seconds)), max(float(np.std(seconds)), LEAST_DEVIATION))
            for pair, seconds in times.items()
            if len(seconds) > 1
        }
        return self

    def score(self, case: Case) -> list[EventScore]:
        """See :meth:`score_cases`."""
        return self.score_cases([case])[0]

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]:
        """n + 1 entries per case, END last. This model looks at no types: their part is 0.

        ``delay`` is the log of the probability that a normal variable is at least as far from its
        mean as the strangest of the times; it is missing where there is no time to judge.
        """
        cases = list(cases)
        z = [self._z(case) for case in cases]
        far = np.array([value for of_case in z for value in of_case if value is not None])
        tails = iter((log(2) + norm.logsf(far)).tolist())
        return [
            [
                EventScore(type_, {"type": 0.0} | ({} if value is None else {"delay": next(tails)}))
                for type_, value in zip((*case.types, END), of_case, strict=True)
            ]
            for case, of_case in zip(cases, z, strict=True)
        ]

    def case_scores(self, cases: Iterable[Case]) -> list[float]:
        """The largest |z| of each case; 0 where there is nothing to judge."""
        return [max((z for z in self._z(case) if z is not None), default=0.0) for case in cases]

    @property
    def parameters(self) -> int:
        """A mean and a standard deviation for every pair."""
        return 2 * len(self.profile)

    def _z(self, case: Case) -> list[float | None]:
        """The largest |z| of each event, None where no pair is known, as at the start and END."""
        found: list[float | None] = []
        for passed in _times(case):
            known = [(s, *self.profile[pair]) for pair, s in passed.items() if pair in self.profile]
            found.append(max((abs(s - mean) / std for s, mean, std in known), default=None))
        return [*found, None]


def _times(case: Case) -> Iterator[dict[Pair, float]]:
    """For each event: the seconds since the latest event of each type before it."""
    latest: dict[str, datetime] = {}
    for event in case.events:
        yield {
            (case.category, type_, event.type): (event.at - at).total_seconds()
            for type_, at in latest.items()
        }
        latest[event.type] = event.at


class WaitingTimes:
    """How long it took, after each event type of a process, until anything came."""

    def __init__(self) -> None:
        self._waits: dict[tuple[str, str], list[float]] = {}

    def fit(self, cases: Iterable[Case]) -> Self:
        """Note every wait (log seconds), endless after the last event of a finished case; a second
        call starts afresh. ValueError if there are no cases."""
        waits: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        for case in some(cases):
            for event, after in pairwise((*case.events, None)):
                wait = inf if after is None else _log_seconds(event.at, after.at)
                waits[case.category, event.type].append(wait)
        self._waits = {key: sorted(of_type) for key, of_type in waits.items()}
        return self

    def silences(self, seen: Iterable[Seen]) -> list[float]:
        """For each running case log p(nothing has come by the moment): the share of waits at its
        last event type that were as long. Beyond the longest it falls as the wait grows; 0 for a
        type that was never seen."""
        return [
            -rarity(known, _log_seconds(case.events[-1].at, now)) if known else 0.0
            for case, now in seen
            for known in [self._waits.get((case.category, case.types[-1]), [])]
        ]

    @property
    def parameters(self) -> int:
        """Every wait is kept."""
        return sum(map(len, self._waits.values()))


def _log_seconds(start: datetime, end: datetime) -> float:
    return log(max((end - start).total_seconds(), 1.0))
