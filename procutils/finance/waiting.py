"""How long a running case may wait for its next event: what silence means.

A stream does not say when a case is over. A case that may have ended is never late; one that must
go on is, as soon as it has waited longer than the process ever lets it wait.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from procutils.cases import END, Case
from procutils.finance.grammar import Violation
from procutils.finance.processes import PROCESSES

DRAWS = 300  # of each event that may come next, to learn how long it may take
MARGIN = 3  # times the longest of them: about one honest wait in 8,000 is longer


def longest_wait(case: Case) -> timedelta | None:
    """How long after its last event a case is certainly late; None if it may have ended.

    Three times the longest of 300 draws of each event that may follow this very history, so that
    weekends, due dates and severities count. The draws depend on the case alone.

    Raises ValueError if the events are not valid.
    """
    process = PROCESSES[case.category]
    after = process.next_events(case.events)
    if not after:
        raise ValueError(f"{case.id} is not valid up to here, so nothing is known of its next step")
    if END in after:
        return None
    rng = random.Random(f"{case.id}/{len(case.events)}")
    return MARGIN * process.longest_wait(case.events, rng, DRAWS)


def is_overdue(case: Case, now: datetime) -> Violation | None:
    """What is wrong with a running case in which nothing has come by ``now``; None if nothing is.

    Raises ValueError as ``longest_wait`` does.
    """
    wait = longest_wait(case)
    if wait is None or now - case.events[-1].at <= wait:
        return None
    last = case.types[-1]
    rule = f"after {last} comes something within {wait}"
    return Violation(len(case.events), END, rule, "silence", "timestamp", str(now))
