"""Anomalies: cases changed so that the grammar can no longer explain them.

Every kind has a tier (what one must look at to notice it) and is proved: an injection counts only
if the process itself rejects the changed case for a reason of the right sort.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from procutils.cases import Case
from procutils.finance.anomaly_actor import ACTOR
from procutils.finance.anomaly_order import MEMORY, STRUCTURE, passes_for_normal
from procutils.finance.anomaly_payload import PAYLOAD
from procutils.finance.anomaly_time import SILENCE, TIME
from procutils.finance.changes import Change
from procutils.finance.grammar import TIERS, Violation
from procutils.finance.processes import PROCESSES
from procutils.finance.waiting import is_overdue


@dataclass(frozen=True)
class Kind:
    """One kind of anomaly.

    tier: one of grammar.TIERS. changes: ways to make it of a case, in random order; those that do
    not work are left to the proof. says: what happens, in one sentence.
    """

    name: str
    tier: str
    changes: Callable[[Case, random.Random], Iterator[Change]]

    @property
    def says(self) -> str:
        return self.changes.__doc__


@dataclass(frozen=True)
class Injection:
    """An anomalous case.

    case: the changed case, under the id of the original. position: the first event that is wrong
        given those before it: the foreign event, the event that follows a gap, the first of the
        swapped two, the second of the repeated two, the event with the wrong field, person or
        time. It is the length of the case where what is wrong is that nothing more comes.
    reason: what the grammar objects to. In the prototype's three kinds it may show only later.
    wrong: the fields of the event at ``position`` that are wrong, the decisive one first
        ("timestamp" for its time) → the right value, None where more than one would be right.
        Empty if the event should not have come at all, or the end.
    original: the case as it was, which is what a repair must give back.
    seen_at: when a silent case is looked at; None for all other tiers, whose cases are complete.
    """

    case: Case
    kind: str
    position: int
    reason: Violation
    wrong: dict[str, Any]
    original: Case
    seen_at: datetime | None = None

    @property
    def tier(self) -> str:
        """What one must look at to notice it: that of its kind."""
        return KINDS[self.kind].tier

    @property
    def diagnosis(self) -> str:
        """The kind of anomaly that a diagnosis should name: what was done to the case.

        A case that is cut short ends too early, whatever was left out. Where the mended field
        belongs to the event before ``position``, it is still a wrong field.
        """
        if self.kind == "step_missing" and self.position == len(self.case.events):
            return "premature end"
        return DIAGNOSES.get(self.kind) or DIAGNOSES[self.tier]

    @property
    def field(self) -> str | None:
        """The field that is wrong; None if the event should not have come at all, or the end."""
        return next(iter(self.wrong), None)

    @property
    def expected(self) -> Any:
        """The one right value of ``field``; None without a field, or if several would be right."""
        return self.wrong.get(self.field)


_BY_TIER = (STRUCTURE, MEMORY, PAYLOAD, ACTOR, TIME, SILENCE)
#: Every kind by name, in the order of the tiers.
KINDS: dict[str, Kind] = {
    changes.__name__: Kind(changes.__name__, tier, changes)
    for tier, kinds in zip(TIERS, _BY_TIER, strict=True)
    for changes in kinds
}
#: What a diagnosis should call each kind, or each kind of a tier: see ``procutils.diagnosis``.
DIAGNOSES = {
    "foreign": "foreign event",
    "skipped": "skipped step",
    "swapped": "swapped steps",
    "repeated": "repeated step",
    "premature_end": "premature end",
    "done_again": "repeated step",
    "returned": "repeated step",
    "step_missing": "skipped step",
    "approval_bypassed": "skipped step",
    "second_approval_missing": "skipped step",
    "payload": "wrong field",
    "actor": "wrong actor",
    "settled_early": "too early",
    "settled_late": "too late",
    "review_overdue": "too late",
    "approved_in_seconds": "too early",
    "acknowledged_late": "too late",
    "silence": "overdue",
}
#: The three kinds of the first benchmark, which is reproduced before going beyond it.
PROTOTYPE_KINDS = ("foreign", "skipped", "swapped")


def inject(case: Case, kind: str, rng: random.Random) -> Injection | None:
    """A copy of a valid ``case`` with one anomaly; None if the case has no place for this kind.

    The places are tried in random order. Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of anomaly {kind!r}: choose among {', '.join(KINDS)}")
    return next(_injections(case, KINDS[kind], rng), None)


def with_prototype_kinds(cases: Sequence[Case], seed: int) -> tuple[list[str | None], list[Case]]:
    """The cases (kind None), then each of them changed in each of the prototype's kinds.

    A case that has no place for a kind is left out of it.
    """
    rng = random.Random(seed)
    found: list[tuple[str | None, Case]] = [(None, case) for case in cases]
    for kind in PROTOTYPE_KINDS:
        changed = (inject(case, kind, rng) for case in cases)
        found += [(kind, injection.case) for injection in changed if injection]
    kinds, all_cases = zip(*found, strict=True)
    return list(kinds), list(all_cases)


def graded(cases: Sequence[Case], per_tier: int, seed: int) -> list[Injection]:
    """The anomalies of the graded benchmark: so many of each tier, tier after tier.

    Within a tier the kinds take turns, and within a kind the processes that have it, as long as
    there are cases; no case serves twice in one tier. Here an anomaly of structure must show in
    two neighbouring types. The result depends on the arguments alone.

    Raises ValueError if the cases, valid and of any process, do not give that many.
    """
    order = sorted(cases, key=lambda case: case.id)
    random.Random(f"{seed}/cases").shuffle(order)
    return [injection for tier in TIERS for injection in _of_tier(tier, order, per_tier, seed)]


def _of_tier(tier: str, cases: Sequence[Case], wanted: int, seed: int) -> list[Injection]:
    used: set[str] = set()
    by_process = [[case for case in cases if case.category == name] for name in PROCESSES]
    sources = [
        deque(_made(kind, of_process, seed, used) for of_process in by_process)
        for kind in KINDS.values()
        if kind.tier == tier
    ]
    for number, of_kind in enumerate(sources):
        of_kind.rotate(-number)  # or every kind would begin with the same process
    found: list[Injection] = []
    while len(found) < wanted and any(sources):
        for of_kind in sources:
            while of_kind and len(found) < wanted:
                source = of_kind.popleft()
                if injection := next(source, None):
                    found.append(injection)
                    of_kind.append(source)
                    break
    if len(found) < wanted:
        raise ValueError(
            f"{len(cases)} cases give {len(found)} anomalies of the tier {tier}, not {wanted}: "
            "simulate more of them"
        )
    return found


def _made(kind: Kind, cases: Sequence[Case], seed: int, used: set[str]) -> Iterator[Injection]:
    """One injection per case that has a place for it and is not used yet."""
    for case in cases:
        if case.id not in used:
            rng = random.Random(f"{seed}/{kind.name}/{case.id}")
            proved = _injections(case, kind, rng)
            if injection := next((i for i in proved if i.reason.tier == kind.tier), None):
                used.add(case.id)
                yield injection


def _injections(case: Case, kind: Kind, rng: random.Random) -> Iterator[Injection]:
    """The changes that are proved, each as an injection."""
    for change in kind.changes(case, rng):
        changed = Case(case.id, change.events)
        if reason := _proof(kind, changed, change):
            yield Injection(
                changed, kind.name, change.position, reason, change.wrong, case, change.seen_at
            )


def _proof(kind: Kind, case: Case, change: Change) -> Violation | None:
    """Why the process rejects the changed case; None if it does not, or for another reason."""
    if change.seen_at is not None:
        return is_overdue(case, change.seen_at)
    process = PROCESSES[case.category]
    reason = process.accepts(case)
    if reason is None or kind.name in PROTOTYPE_KINDS:
        return reason if reason and reason.is_order else None
    if (reason.tier, reason.position) != (kind.tier, change.position):
        return None
    if reason.field not in (change.wrong or (None,)):
        return None
    if kind.tier != "structure" and not passes_for_normal(case):
        return None  # neighbouring types alone would tell
    if change.resumes is not None:
        later = process.accepts(case, given=change.resumes)
        if later and not later.is_order:
            return None  # something else has gone wrong by the way
    return reason
