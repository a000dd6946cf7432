"""Anomalies: cases changed so that the grammar can no longer explain them.

Every kind has a tier (what one must look at to notice it) and is proved: an injection counts only
if the process itself rejects the changed case for a reason of the right sort.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from procutils.cases import Case, Event
from procutils.finance.grammar import Violation
from procutils.finance.processes import PROCESSES

#: Changes the events of a case at one position. Positions that do not work are left to the proof.
Change = Callable[[Case, int, random.Random], list[Event]]


@dataclass(frozen=True)
class Kind:
    """One kind of anomaly.

    tier: one of grammar.TIERS. change: makes the new events.
    proof: whether what the process objects to shows that the change had the effect it should.
    positions: the indices at which a case of so many events can be changed.
    """

    name: str
    tier: str
    change: Change
    positions: Callable[[int], range]
    proof: Callable[[Violation], bool]


@dataclass(frozen=True)
class Injection:
    """An anomalous case.

    case: the changed case, under the id of the original. position: where the change was made: the
    foreign event, the event that follows the gap (the length of the case if none does), the first
    of the swapped two. reason: what the grammar objects to, which may show only later.
    """

    case: Case
    kind: str
    position: int
    reason: Violation


#: Every kind by name.
KINDS: dict[str, Kind] = {}


def kind(
    name: str,
    tier: str,
    positions: Callable[[int], range],
    proof: Callable[[Violation], bool] = lambda violation: violation.is_order,
) -> Callable[[Change], Change]:
    """Register a change under a name. By default the proof is that an event type, or the end of
    the case, had probability zero where it came."""

    def register(change: Change) -> Change:
        KINDS[name] = Kind(name, tier, change, positions, proof)
        return change

    return register


def inject(case: Case, kind: str, rng: random.Random) -> Injection | None:
    """A copy of a valid ``case`` with one anomaly; None if the case has no place for this kind.

    The positions are tried in random order. Raises ValueError for an unknown kind.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of anomaly {kind!r}: choose among {', '.join(KINDS)}")
    anomaly, process = KINDS[kind], PROCESSES[case.category]
    positions = list(anomaly.positions(len(case.events)))
    rng.shuffle(positions)
    for position in positions:
        changed = Case(case.id, anomaly.change(case, position, rng))
        violation = process.accepts(changed)
        if violation is not None and anomaly.proof(violation):
            return Injection(changed, kind, position, violation)
    return None


@kind("foreign", "structure", positions=lambda length: range(length))
def foreign(case: Case, position: int, rng: random.Random) -> list[Event]:
    """One event gives way to one of another process, at the same time."""
    original = case.events[position]
    category = rng.choice([name for name in PROCESSES if name != case.category])
    key = f"{rng.getrandbits(40):010x}"
    other = PROCESSES[category].simulate(rng, original.at, key)
    stranger = replace(rng.choice(other.events), at=original.at, metadata=dict(original.metadata))
    return [*case.events[:position], stranger, *case.events[position + 1 :]]


@kind("skipped", "structure", positions=lambda length: range(1, length - 1))
def skipped(case: Case, position: int, rng: random.Random) -> list[Event]:
    """A step in the middle is left out."""
    return case.events[:position] + case.events[position + 1 :]


@kind("swapped", "structure", positions=lambda length: range(length - 1))
def swapped(case: Case, position: int, rng: random.Random) -> list[Event]:
    """Two neighbours come in the wrong order; each takes the time of the other."""
    first, second = case.events[position : position + 2]
    pair = [replace(second, at=first.at), replace(first, at=second.at)]
    return [*case.events[:position], *pair, *case.events[position + 2 :]]


#: The three kinds of the first benchmark, which is reproduced before going beyond it.
PROTOTYPE_KINDS = ("foreign", "skipped", "swapped")
