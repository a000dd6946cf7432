"""What the tests of the watchdog share: a detector that counts, traffic, and a process of its own.

    python tests/watchdog_setup.py URI DETECTOR [GROUP WORKER]

runs a watchdog with a pickled detector until SIGTERM.
"""

from __future__ import annotations

import pickle
import random
import signal
import sys
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from functools import cache
from itertools import pairwise
from math import log
from pathlib import Path

from kurrentdbclient import KurrentDBClient, StreamState

from procutils.baselines import NGram
from procutils.cases import END, Case
from procutils.detector import Detector
from procutils.records import to_record

MODEL = "counting"
ALPHA = 0.05
KINDS = ("foreign", "skipped", "swapped", "repeated")


class TimedNGram(NGram):
    """An n-gram that also counts how long each type takes to come after another."""

    def fit(self, cases):
        cases = list(cases)
        self.delays = defaultdict(list)
        for case in cases:
            for before, event in pairwise(case.events):
                self.delays[before.type, event.type].append((event.at - before.at).total_seconds())
        self._next = {}
        return super().fit(cases)

    def distribution(self, prefix):
        """Remembered, as the same few are asked for again and again."""
        key = (prefix.category, prefix.types[-self.order :], len(prefix.events) < self.order)
        if key not in self._next:
            self._next[key] = super().distribution(prefix)
        return self._next[key]

    def silences(self, seen):
        found = []
        for case, now in seen:
            waited = (now - case.events[-1].at).total_seconds()
            still = 0.0
            for type_, p in self.distribution(case).items():
                known = self.delays.get((case.types[-1], type_), [])
                longer = (sum(delay >= waited for delay in known) + 0.5) / (len(known) + 1)
                still += p if type_ == END else p * longer
            found.append(log(min(still, 1.0)))
        return found


@cache
def firm() -> list[Case]:
    from procutils.finance.processes import simulate

    return simulate(7, 1_200, rate=1.0)


@cache
def detector() -> Detector:
    """A detector that looks at types and at silences, and takes milliseconds."""
    scorer = TimedNGram(3).fit(firm()[:300])
    found = Detector.calibrate(scorer, firm()[300:750], ALPHA)
    found.learn_silences(firm()[300:750])
    return found


def traffic(cases: int, first: int = 750, every: int = 4) -> list[Case]:
    """Cases of which each so many-th is anomalous."""
    from procutils.finance.anomalies import inject

    rng = random.Random(1)
    found = []
    for number, case in enumerate(firm()[first : first + cases]):
        kind = KINDS[number // every % len(KINDS)]
        injection = inject(case, kind, rng) if number % every == 0 else None
        found.append(injection.case if injection else case)
    return found


def in_order(cases: list[Case]) -> list[tuple[Case, int]]:
    """Each event of the cases as (case, index), by time over all cases."""
    events = [
        (max(event.at for event in case.events[: n + 1]), case.id, n, case)
        for case in cases
        for n, event in enumerate(case.events)
    ]
    return [(case, n) for _, _, n, case in sorted(events, key=lambda event: event[:3])]


def append(client: KurrentDBClient, case: Case, n: int) -> int:
    """Append one event of a case; again is harmless."""
    version = n - 1 if n else StreamState.NO_STREAM
    return client.append_event(case.id, current_version=version, event=to_record(case, n))


@contextmanager
def running(*watchdogs, **options):
    """The watchdogs at work, each in a thread of its own; ``worker`` is numbered in a group."""
    stop = threading.Event()
    threads = [
        threading.Thread(
            target=watchdog.run,
            args=(stop,),
            kwargs={**options, "worker": str(number)} if options else {},
            daemon=True,
        )
        for number, watchdog in enumerate(watchdogs)
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=20)
    assert not any(thread.is_alive() for thread in threads)


def until(condition, patience: float = 20.0) -> None:
    """Wait for a condition. Raises AssertionError if it does not come to pass."""
    end = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def main(uri: str, path: str, group: str | None = None, worker: str | None = None) -> None:
    from procutils.watchdog import Watchdog

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    found = pickle.loads(Path(path).read_bytes())
    with KurrentDBClient(uri) as client:
        print("watches from where it was", flush=True)
        Watchdog(client, found, MODEL, clock="log").run(stop, group=group, worker=worker)


if __name__ == "__main__":
    # Under its own name, so that the classes in the pickle are found.
    sys.path.insert(0, str(Path(__file__).parent))
    import watchdog_setup

    watchdog_setup.main(*sys.argv[1:])
