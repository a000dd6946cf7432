"""Silence in real time: until when the next step of each open case should have come.

A deadline is the first moment at which the detector would find the case's silence too strange
(:meth:`Detector.check_silence`). It follows from the case alone, so it is computed once, when an
event has come, and then only waited for. A case that may well be over has none.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from math import inf

from procutils.cases import Case, EventScore
from procutils.detector import Detector
from procutils.following import Following
from procutils.words import DELAY_WORDS, DELAYS, OVERNIGHT, delay_word

#: Days after which a delay has got its last word.
LONGEST = 60
#: How often a silence is looked at.
LOOK = timedelta(seconds=1)


def turns(start: datetime) -> list[datetime]:
    """When, after ``start``, the time since then gets a longer word: the first moment of each."""
    midnight = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [start + timedelta(seconds=bound) + LOOK for bound in (*DELAYS.values(), OVERNIGHT)]
    moments += [midnight + timedelta(days=day) for day in range(1, LONGEST)]
    found, latest = [], DELAY_WORDS.index(delay_word(start, start))
    for moment in sorted(moments):
        word = DELAY_WORDS.index(delay_word(start, moment))
        if moment > start and word > latest:
            found.append(moment)
            latest = word
    return found


def silence_detector(detector: Detector) -> Detector:
    """The detector whose ``threshold`` and ``p_value`` are about silences, not about cases."""
    other = copy(detector)
    other.ranks = detector.silences
    return other


def learn_whole_lives(detector: Detector, cases: Iterable[Case]) -> None:
    """Learn how normal cases wait when nobody looks away: of each case its strangest silence.

    ``Detector.learn_silences`` looks at each case once, at a random moment, and so may whoever asks
    about it. A watchdog looks all the time, at every wait of the case, and would be wrong more
    often than promised. Learned like this, at most the share alpha of normal cases is ever reported
    overdue. cases: normal ones that the scorer was not trained on.

    Only the strangest decide, so only of these the silence is computed. What is stored of the
    others is what bounds it from above, but lies below the threshold.
    """
    by_category: dict[str, list[Case]] = {}
    for case in cases:
        by_category.setdefault(case.category, []).append(case)
    detector.silences = {
        category: _strangest(detector, of_category)
        for category, of_category in sorted(by_category.items())
    }


def _strangest(detector: Detector, cases: list[Case]) -> list[float]:
    """How strange the strangest silence of each case was (nats), rising; see above."""
    scores = detector.scorer.score_cases(cases)
    lives = [_Life(*pair) for pair in zip(cases, scores, strict=True)]
    decide = max(int(detector.alpha * (len(lives) + 1) + 1e-9), 1)
    heap = [(-life.most, number) for number, life in enumerate(lives)]
    heapify(heap)
    while decide and heap:
        _, number = heappop(heap)
        if lives[number].known:
            decide -= 1  # all others waited less strangely
        else:
            lives[number].ask(detector)
            heappush(heap, (-lives[number].most, number))
    return sorted(life.most for life in lives)


class _Life:
    """The waits of one case, of which some have been computed.

    A silence may still end with the event that came, after as long a delay: so it is at most as
    strange as these two together, which the scores of the case tell without asking again.
    """

    def __init__(self, case: Case, scores: Sequence[EventScore]) -> None:
        self._case, self._strangest = case, 0.0
        self._bounds = sorted(
            (-score.parts["type"] - score.parts.get("delay", -inf), number)
            for number, score in enumerate(scores[1:-1], start=1)
            if case.events[number].at - case.events[number - 1].at > LOOK
        )

    @property
    def most(self) -> float:
        """No silence of the case was stranger (nats)."""
        return max(self._strangest, self._bounds[-1][0] if self._bounds else 0.0)

    @property
    def known(self) -> bool:
        """Whether one was as strange as ``most``."""
        return not self._bounds or self._strangest >= self._bounds[-1][0]

    def ask(self, detector: Detector) -> None:
        """Compute the silence that may be the strangest."""
        _, number = self._bounds.pop()
        events, end = self._case.events[:number], self._case.events[number].at - LOOK
        (log_p,) = detector.scorer.silences([(Case(self._case.id, events), end)])
        self._strangest = max(self._strangest, -log_p)


def deadline(
    detector: Detector, category: str, following: Following, last: datetime
) -> datetime | None:
    """When the next event of a case, whose last came at ``last``, is overdue; None if never.

    None too where the detector has not learned how cases of the category wait.
    """
    if category not in detector.silences:
        return None
    limit = silence_detector(detector).threshold(category)
    if limit == inf or following.end().surprisal <= limit:
        return None  # no silence is stranger than the end of the case
    moments = turns(last)
    # The longer the silence, the less probable: a handful of questions finds the first moment.
    first = bisect_left(moments, True, key=lambda now: -following.silence(now) > limit)
    return moments[first] if first < len(moments) else None


@dataclass(frozen=True, order=True)
class Deadline:
    """due: when. position: the revision of the stream that should have come by then. since: the
    commit position of the last event that did."""

    due: datetime
    stream: str
    position: int
    since: int


class Deadlines:
    """The deadlines of all open cases, and what has changed in them since they were last saved."""

    def __init__(self, deadlines: Iterable[Deadline] = ()) -> None:
        self.open = {deadline.stream: deadline for deadline in deadlines}
        self.changed: set[str] = set()
        self._heap = list(self.open.values())
        heapify(self._heap)

    def set(self, stream: str, deadline: Deadline | None) -> None:
        """The deadline of a case, instead of the one it had; None: it has none any more."""
        if self.open.get(stream) == deadline:
            return
        self.changed.add(stream)
        if deadline is None:
            del self.open[stream]
        else:
            self.open[stream] = deadline
            heappush(self._heap, deadline)

    def passed(self, now: datetime) -> Deadline | None:
        """The earliest that is over, taken away; None if there is none."""
        while self._heap and self._heap[0].due < now:
            deadline = heappop(self._heap)
            if self.open.get(deadline.stream) == deadline:
                self.set(deadline.stream, None)
                return deadline
        return None
