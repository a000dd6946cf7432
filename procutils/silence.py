"""What did not come: how improbable it is that a running case has been silent for so long."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta

from procutils.cases import Case

Seen = tuple[Case, datetime]
"""A running case, and the moment at which it is looked at."""


def young(case: Case, rng: random.Random) -> Seen:
    """A normal case as it was at a random moment of its life: it is legitimately waiting.

    Uniform from its first event on to just before its last. Raises ValueError for a case without
    such a moment: one whose events all came within the same second.
    """
    life = int((case.events[-1].at - case.events[0].at).total_seconds())
    if life < 1:
        raise ValueError(f"{case.id} was over within a second: it never waited")
    now = case.events[0].at + timedelta(seconds=rng.randrange(life))
    return Case(case.id, [event for event in case.events if event.at <= now]), now


def waiting(cases: Iterable[Case], seed: int) -> list[Seen]:
    """``young`` for each case that ever waited; the moments depend on the seed and the case id."""
    return [
        young(case, random.Random(f"{seed}/{case.id}"))
        for case in cases
        if case.events[-1].at - case.events[0].at >= timedelta(seconds=1)
    ]
