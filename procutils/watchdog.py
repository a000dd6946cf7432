"""The watchdog: follows the log as it grows, judges each event, writes what it finds as events.

It survives being killed at any moment, and neither loses nor doubles an alert by it:

- What it finds follows from the log alone, and has the id of what it is about. Found again, it is
  found written (:mod:`procutils.alerts`).
- How far it has come is an event of its own, written after the alerts of everything up to there
  (:mod:`procutils.checkpoints`). What lies between that and a crash is judged again.
- What it remembers of a case can be forgotten at any time, and is rebuilt from the case's stream.

One worker follows everything. Several share a persistent subscription, and each case stays with
one of them; a record counts as handled only when its alerts are written. A worker that takes over
a case rebuilds it, and judges what it finds there as well.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from kurrentdbclient import KurrentDBClient, RecordedEvent
from kurrentdbclient.exceptions import WrongCurrentVersionError

from procutils.alerts import Alert, AlertStreams, Rehearsal
from procutils.checkpoints import Checkpoint, Checkpoints
from procutils.detector import Detector
from procutils.findings import Model
from procutils.following import Cases
from procutils.judge import Judge
from procutils.overdue import Clock
from procutils.sources import AWAY, Source, all_cases, history, shared_cases
from procutils.suggestions import Trigger

log = logging.getLogger("procutils.watchdog")

#: A checkpoint is written after so many records, or so many seconds after the first of them.
EVERY, AFTER_S = 100, 0.25
#: Seconds between two attempts to reach a database that is away, growing up to the second.
AGAIN_S, LONGEST_S = 0.5, 10.0


@dataclass
class Watched:
    """What a watchdog has done so far. latencies: seconds from a record's arrival in this process
    until it was judged and its alerts were written, the latest ``KEPT`` of them."""

    KEPT = 10_000
    records: int = 0
    alerts: Counter[str] = field(default_factory=Counter)
    interruptions: int = 0
    latencies: list[float] = field(default_factory=list)

    def took(self, seconds: float) -> None:
        self.records += 1
        self.latencies.append(seconds)
        if len(self.latencies) > 2 * self.KEPT:
            del self.latencies[: -self.KEPT]


class Counted(AlertStreams):
    """The alerts in the database; those written by this process are counted and logged."""

    def __init__(self, client: KurrentDBClient, watched: Watched) -> None:
        super().__init__(client)
        self._watched = watched

    def write(self, alert: Alert) -> bool:
        new = super().write(alert)
        if new:
            self._watched.alerts[alert.type] += 1
            log.warning("%s", alert)
        return new


class Watchdog:
    """``Watchdog(client, detector, "model7").run()`` follows the database until it is stopped."""

    def __init__(
        self,
        client: KurrentDBClient,
        detector: Detector,
        model: str,
        data_position: int | None = None,
        *,
        start: int | None = None,
        clock: Clock = "wall",
        cases: int = 200,
        triggers: Sequence[Trigger] = (),
    ) -> None:
        """model: names the detector in all that is written; see :class:`procutils.findings.Model`.

        start: commit position after which events are judged, if there is no checkpoint yet; None
            for all. What came before only tells how a case began.
        clock: "wall": a step is overdue when the time of this machine, and of recording, says so.
            "log": when the events' own times do, as in history or a simulation.
        cases: so many running cases are remembered; with the language model each takes some MB.
        """
        self.client = client
        self.model = Model(detector, model, data_position)
        self.watched = Watched()
        self._start, self._clock, self._cases = start, clock, cases
        self._triggers = triggers

    def run(
        self,
        stop: threading.Event | None = None,
        *,
        until_caught_up: bool = False,
        group: str | None = None,
        worker: str | None = None,
    ) -> Watched:
        """Follow the log until ``stop`` is set. A database that goes away is waited for.

        until_caught_up: stop when everything that was there at the beginning is judged (not with a
            group). group, worker: the persistent subscription to share with others, and the name of
            this worker in it, of which its deadlines are kept; it must be one worker's at a time.
        Raises ValueError if only one of group and worker is given.
        """
        if (group is None) != (worker is None):
            raise ValueError("a group needs the name of this worker in it, and the other way round")
        stop = stop or threading.Event()
        wait = AGAIN_S
        while not stop.is_set():
            handled = self.watched.records
            try:
                self._follow(stop, until_caught_up, group, worker)
                break
            except AWAY as error:
                log.error("the database is away (%s); trying again", type(error).__name__)
            except WrongCurrentVersionError:
                log.error("another watchdog wrote this one's checkpoint; going on from there")
            self.watched.interruptions += 1
            wait = AGAIN_S if self.watched.records > handled else min(2 * wait, LONGEST_S)
            stop.wait(wait)
        return self.watched

    def replay(self, as_of: int, start: int | None = None) -> list[Alert]:
        """What this model would have alerted between two commit positions; nothing is written.

        Steps are overdue by the events' own times. Thresholds count as they were at each event.
        """
        sink = Rehearsal()
        judge = self._judge(sink, Checkpoint(start=start), alone=True, clock="log")
        with history(self.client, start, as_of) as records:
            for record in records:
                judge.handle(record)
        return sink.alerts

    def _judge(self, sink, checkpoint: Checkpoint, alone: bool, clock: Clock) -> Judge:
        triggers = self._triggers if not isinstance(sink, Rehearsal) else ()
        cases = Cases(self._cases)
        return Judge(self.client, self.model, sink, checkpoint, cases, clock, triggers, alone)

    def _follow(
        self, stop: threading.Event, until_caught_up: bool, group: str | None, worker: str | None
    ) -> None:
        stream = f"watchdog_{self.model.id}" + (f"_{group}_{worker}" if group else "")
        checkpoints = Checkpoints(self.client, stream)
        checkpoint = checkpoints.latest()
        if checkpoint.position is None:
            checkpoint.start = checkpoint.position = self._start
        sink = Counted(self.client, self.watched)
        judge = self._judge(sink, checkpoint, alone=group is None, clock=self._clock)
        if group is None:
            source = all_cases(self.client, checkpoint.position)
        else:
            source = shared_cases(self.client, group, checkpoint.start)
        log.info("model %s watches from position %s", self.model.id, checkpoint.position)
        with source:
            _Loop(source, judge, checkpoints, checkpoint, self.watched).run(stop, until_caught_up)


class _Loop:
    """Records from a source, judged; then a checkpoint; then they are done."""

    def __init__(
        self,
        source: Source,
        judge: Judge,
        checkpoints: Checkpoints,
        checkpoint: Checkpoint,
        watched: Watched,
    ) -> None:
        self._source, self._judge, self._watched = source, judge, watched
        self._checkpoints, self._checkpoint = checkpoints, checkpoint
        self._pending: list[RecordedEvent] = []
        self._due = 0.0  # when a checkpoint is to be written, as time.monotonic says it

    def run(self, stop: threading.Event, until_caught_up: bool) -> None:
        while not stop.is_set():
            waits = self._due - time.monotonic() if self._pending else AFTER_S
            record = self._source.get(waits)
            if record is None:
                if self._judge.clock == "wall":
                    self._judge.pass_time(datetime.now(UTC))
                self._commit()
            elif record.is_caught_up:
                if until_caught_up:
                    break
            elif record.is_checkpoint:
                self._checkpoint.position = record.commit_position
            else:
                self._handle(record)
        self._commit()

    def _handle(self, record: RecordedEvent) -> None:
        began = time.perf_counter()
        pulled = self._judge.handle(record)
        self._watched.took(time.perf_counter() - began)
        self._checkpoint.position = record.commit_position
        if not self._pending:
            self._due = time.monotonic() + AFTER_S
        self._pending.append(record)
        if pulled or len(self._pending) >= EVERY or time.monotonic() >= self._due:
            self._commit()

    def _commit(self) -> None:
        if self._pending or self._checkpoint.deadlines.changed:
            self._checkpoints.write(self._checkpoint)
            self._source.done(self._pending)
            self._pending = []
