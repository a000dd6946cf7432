"""A log cut at one moment, so that nothing of the future is learned: protocol W.

Source: Weytjens & Weber, "Pretrained language models for next-activity prediction", arXiv
2606.15868, 2026, after Weytjens & De Weerdt, "Creating unbiased public benchmark datasets with data
leakage prevention for predictive process monitoring", BPM workshops 2021. Everything up to the cut
is learned from, also of cases that go on after it; only what comes after the cut is predicted, the
end of a case included, from prefixes of one event and more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from procutils.cases import END, Case, Event
from procutils.logs_rows import CASE_PREFIX

#: A case of fewer events holds nothing to predict but its end.
LEAST_EVENTS = 3
#: The share of events, by time, that lies before the cut.
LEARNED = 0.8


@dataclass(frozen=True)
class Part:
    """Cases, and which of their events belong to this part as targets.

    cases: each from its first event to the last that this part knows. begins: per case how many
    events come before its first target; at least 1. running: ids of the cases that go on after the
    part, whose end is no target.
    """

    cases: list[Case]
    begins: list[int]
    running: frozenset[str]

    def __len__(self) -> int:
        """How many targets there are."""
        return sum(1 for _ in self.targets())

    def targets(self) -> Iterator[tuple[int, int, str]]:
        """The number of the case, how many of its events come before, and what comes: or END."""
        for number, (case, begin) in enumerate(zip(self.cases, self.begins, strict=True)):
            ends = (END,) if case.id not in self.running else ()
            for position, type_ in enumerate((*case.types[begin:], *ends), begin):
                yield number, position, type_

    @property
    def types(self) -> list[str]:
        """What comes, target by target."""
        return [type_ for _, _, type_ in self.targets()]


@dataclass(frozen=True)
class Protocol:
    """Three parts of a log, one after the other in time.

    fitted: to fit while something is chosen. validation: to choose on; it ends at ``cut``, where
    ``train``, to fit what was chosen, does: fitted and validation together. test: scored once.
    """

    fitted: Part
    validation: Part
    train: Part
    test: Part
    cut: datetime

    @classmethod
    def of(cls, cases: Sequence[Case], share: float = LEARNED) -> Protocol:
        """Cut at the quantile ``share`` of all event times, and what lies before it once more.

        cases: as :func:`kept` leaves them. Raises ValueError if a part would be empty.
        """
        train, test, cut = divided(Part(list(cases), [1] * len(cases), frozenset()), share)
        fitted, validation, _ = divided(train, share)
        for name, part in (("training", fitted), ("validation", validation), ("test", test)):
            if not len(part):
                raise ValueError(
                    f"{len(cases)} cases leave nothing to predict for {name}: take a longer log, "
                    "or a greater maximum duration"
                )
        return cls(fitted, validation, train, test, cut)


def kept(
    cases: Sequence[Case],
    start_month: str = "",
    end_month: str = "",
    max_days: float | None = None,
) -> list[Case]:
    """The cases that a fair evaluation may use, in the order of their first events.

    start_month, end_month: ``2018-12``; only cases that begin no earlier and end no later (UTC);
    "" for no bound. max_days: only cases that last no longer, and none that began within that time
    of the log's end, of which only the short ones would be there; None for no bound. Rows that
    say the same twice count once, then cases of fewer than three events are left out.
    Raises ValueError if nothing is left.
    """
    found = [distinct(case) for case in cases]
    found = [case for case in found if len(case.events) >= LEAST_EVENTS]
    if start_month:
        found = [case for case in found if _month(case.events[0]) >= start_month]
    if end_month:
        found = [case for case in found if _month(case.events[-1]) <= end_month]
    if max_days is not None:
        most = timedelta(days=max_days)
        found = [case for case in found if case.events[-1].at - case.events[0].at <= most]
        latest = max((case.events[-1].at for case in found), default=datetime.max) - most
        found = [case for case in found if case.events[0].at <= latest]
    if not found:
        raise ValueError(
            f"no case of {len(cases)} is left: check start_month = {start_month!r}, "
            f"end_month = {end_month!r} and max_days = {max_days}"
        )
    return sorted(found, key=lambda case: (case.events[0].at, case.id))


def divided(part: Part, share: float) -> tuple[Part, Part, datetime]:
    """What a part knows up to the quantile ``share`` of its event times, the targets after it, and
    that moment."""
    times = np.array([event.at.timestamp() for case in part.cases for event in case.events])
    moment = float(np.quantile(times, share, method="higher"))
    cut = datetime.fromtimestamp(moment, part.cases[0].events[0].at.tzinfo)
    before, begins, after, later, running = [], [], [], [], set()
    for case, begin in zip(part.cases, part.begins, strict=True):
        known = bisect_right([event.at.timestamp() for event in case.events], moment)
        if known:
            before.append(Case(case.id, case.events[:known]))
            begins.append(begin)
        if known < len(case.events):
            running.add(case.id)
            after.append(case)
            later.append(max(known, begin))
    open_before = frozenset(case.id for case in before) & (running | part.running)
    open_after = frozenset(case.id for case in after) & part.running
    return Part(before, begins, open_before), Part(after, later, open_after), cut


def distinct(case: Case) -> Case:
    """The case without events that repeat another in every value but those of the case."""
    met: list[tuple[object, ...]] = []
    events: list[Event] = []
    for event in case.events:
        own = {name: v for name, v in event.data.items() if not name.startswith(CASE_PREFIX)}
        said = event.type, event.at, own
        if said not in met:
            met.append(said)
            events.append(event)
    return case if len(events) == len(case.events) else Case(case.id, events)


def _month(event: Event) -> str:
    return f"{event.at:%Y-%m}"
