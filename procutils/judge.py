"""One record after the other: is the event stranger than it may be, and what follows from it?

An event is judged as it comes: by the rarity of its strangest part, against the threshold that a
whole case of its process must exceed. A case is as strange as its strangest event, its end
included, so a case is flagged here only if it is flagged as a whole: what the threshold promises
about normal cases holds while they run, too. The end of a case cannot be seen while more may come;
for that there are deadlines. There is one alert per case and model, about the first strange event:
how a case goes on after one, no model has learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kurrentdbclient import KurrentDBClient, RecordedEvent

from procutils.alerts import DETECTED, GONE, Alert, Sink, identity
from procutils.cases import Case, Event
from procutils.checkpoints import Checkpoint
from procutils.feedback import Thresholds
from procutils.findings import Model, caused_by
from procutils.following import Cases, LiveCase
from procutils.investigation import Investigator
from procutils.overdue import Clock, Waiting
from procutils.records import StoreError, to_event, truncation
from procutils.suggestions import Trigger, pull

#: What odd data may make of reading or scoring an event.
ODD = (StoreError, ValueError, TypeError, LookupError, ArithmeticError)


@dataclass
class Judge:
    """Judges records in the order of each stream, and hands what it finds to ``sink``.

    alone, clock: see :class:`procutils.overdue.Waiting`.
    """

    client: KurrentDBClient
    model: Model
    sink: Sink
    checkpoint: Checkpoint
    cases: Cases
    clock: Clock = "wall"
    triggers: Sequence[Trigger] = ()
    alone: bool = True
    _reported: set[tuple[str, ...]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._thresholds = Thresholds(self.client, self.model.id, self.model.detector)
        self.waiting = Waiting(
            self.client,
            self.model,
            self.sink,
            self.checkpoint,
            self._thresholds,
            self.clock,
            self.alone,
        )

    def handle(self, record: RecordedEvent) -> bool:
        """Judge what a record brings; again is as good as once. Whether a trigger was pulled."""
        if record.is_system_event:
            self._forget_what_is_cut(record)
            return False
        category = record.stream_name.partition("-")[0]
        if category not in self.model.detector.ranks:
            self._report(
                record, f"no calibration for {category!r}; no case of it is judged", category
            )
            return False
        self._pass_time(record)
        case = self.cases.get(record.stream_name)
        if case is not None and record.stream_position < case.next:
            return False  # delivered again
        try:
            return self._step(case, record)
        except GONE:
            self._report(record, "its stream was deleted before it could be judged")
        except ODD as error:
            self._report(record, f"{type(error).__name__}: {error}")
        self.cases.forget(record.stream_name)
        return False

    def _step(self, case: LiveCase | None, record: RecordedEvent) -> bool:
        stream, position = record.stream_name, record.stream_position
        if case is None or case.next != position:
            case = LiveCase(Case(stream, []), overdue=position > 0)
        new = [record]
        if case.next != position:  # forgotten, or never here: all of it again, from its stream
            with self.client.read_stream(stream) as found:
                new = [r for r in found if r.stream_position <= position]
            if not new or new[-1].stream_position != position:
                raise LookupError("its stream was truncated before it could be judged")
        first = len(case.scores)
        case.add(self.model.detector.scorer, self._readable(new))
        case.next = position + 1
        self.cases.keep(case)
        for index in range(first, len(case.scores)):
            self._judge(case, index)
        if case.case.category in self.model.detector.silences:
            if case.overdue:
                self.waiting.resolve(stream, new)
                case.overdue = False
            if case.records:
                self.waiting.after(case)
        return case.records[-1:] == [record] and pull(self.triggers, case)

    def _readable(self, records: Sequence[RecordedEvent]) -> list[tuple[RecordedEvent, Event]]:
        """Records with their events; what cannot be read is reported and left out."""
        read = []
        for record in records:
            try:
                event = to_event(record)
            except StoreError as error:
                self._report(record, str(error))
                continue
            if event.at == record.recorded_at:
                why = f"{record.type} says no time; that of its recording is taken, here as in all"
                self._report(record, why, record.stream_name.partition("-")[0], record.type)
            read.append((record, event))
        return read

    def _judge(self, case: LiveCase, index: int) -> None:
        """Raise an alert if this is the first event of its case that is too strange."""
        if case.flagged:
            return
        category, stream, record = case.case.category, case.case.id, case.records[index]
        detector = self.model.detector
        surprise = detector.usual.event(category, case.scores[index])
        if surprise <= detector.threshold(category):
            return
        detector = self._thresholds.at(record.commit_position)
        if surprise <= detector.threshold(category):
            return
        case.flagged = True
        position = record.stream_position
        id_ = identity(self.model.id, stream, position, DETECTED)
        start = self.checkpoint.start
        if start is not None and record.commit_position <= start:
            return
        if any(alert.id == id_ for alert in self.sink.of(stream)):
            return
        until = Case(stream, case.case.events[: index + 1])
        verdict = detector.check(until, case.scores[: index + 1])
        investigator = Investigator(self.client, detector, record.commit_position)
        data = {
            **self.model.about(stream, position, verdict),
            "event_id": str(record.id),
            "event_type": record.type,
            "commit_position": record.commit_position,
            "at": until.events[-1].at.isoformat(),
            "begins": case.records[min(verdict.position, index)].stream_position,
            "surprise": surprise,
            "threshold": detector.threshold(category),
            "evidence": investigator.evidence(until, until.events[-1]),
        }
        metadata = caused_by(record, until.events[-1])
        self.sink.write(Alert(DETECTED, stream, id_, data, metadata))

    def _pass_time(self, record: RecordedEvent) -> None:
        """It is at least as late as this record says."""
        now = record.recorded_at
        if self.clock == "log":
            try:
                now = to_event(record).at
            except StoreError:
                return
            if now > record.recorded_at:  # one wrong clock must not make everything overdue
                self._report(record, f"its time, {now}, lies after that of its recording")
                return
        now = max(now, self.checkpoint.now or now)
        self.checkpoint.now = now
        self.pass_time(now)

    def pass_time(self, now: datetime) -> None:
        """Raise an alert for each step that is overdue by ``now``."""
        for stream in self.waiting.pass_time(now):
            if (case := self.cases.get(stream)) is not None:
                case.overdue = True

    def _forget_what_is_cut(self, record: RecordedEvent) -> None:
        """A stream was deleted or truncated: what is remembered of it is no longer so."""
        try:
            cut = truncation(record)
        except StoreError:
            return  # metadata in no form that we, or the server, can read
        if cut is not None:
            self.cases.forget(cut[0])
            self.checkpoint.deadlines.set(cut[0], None)

    def _report(self, record: RecordedEvent, reason: str, *about: str) -> None:
        """Say, once, that something cannot be judged, and put it aside where it can be found."""
        if about in self._reported and about:
            return
        self._reported.add(about)
        self.sink.write(self.model.unreadable(record, reason, *about))
