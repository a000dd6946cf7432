"""The watchdog: events followed per second, and how long after an event its alert is there."""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import sleep

import numpy as np
from kurrentdbclient import KurrentDBClient

from procutils.alerts import DETECTED, read_alerts
from procutils.cases import Case
from procutils.checkpoints import Checkpoints
from procutils.deadlines import learn_whole_lives
from procutils.detector import Detector
from procutils.embedded import EmbeddedKurrentDB
from procutils.encoded_baselines import EncodedNGram
from procutils.finance.anomalies import PROTOTYPE_KINDS, inject
from procutils.hardware import Hardware
from procutils.live import Traffic
from procutils.predictor import Predictor
from procutils.runs import runs_folder
from procutils.sources import CASES
from procutils.store import append_cases
from procutils.surprise import Scorer
from procutils.watchdog import Watchdog

from .settings import Settings
from .streams import Streams
from .table import Row, Section, more, timed

#: Of so many cases one is anomalous. Events come at this share of what both can follow.
EVERY, LOAD = 2, 0.5
#: The share of normal cases that may be flagged.
ALPHA = 0.1


def measure(settings: Settings) -> Section:
    """Cases are followed as fast as may be; then the same, coming at half the slower one's rate."""
    streams = Streams.make(settings, settings.calibrated_cases + settings.watched_cases)
    normal = streams.test[: settings.calibrated_cases]
    watched = _traffic(streams.test[settings.calibrated_cases :])
    model, which = _model(settings, streams)
    counting = EncodedNGram(3, streams.encoding).fit(streams.train)
    found, detectors = {}, {}
    for name, scorer in (("model", model), ("counting", counting)):
        detector = detectors[name] = Detector.calibrate(scorer, normal, ALPHA)
        without = _backlog(f"{name}_without", detector, watched)
        learn_whole_lives(detector, normal)
        rate = _backlog(name, detector, watched)
        found[name] = {"per_second": rate, "per_second_without_deadlines": without}
    load = LOAD * min(of["per_second"] for of in found.values())
    for name, detector in detectors.items():
        found[name]["alert_after_s"] = _under_load(name, detector, watched, load)
    ours, floor = found["model"], found["counting"]
    rows = [more("followed", "events/s", ours["per_second"], floor["per_second"])]
    for q in (50, 99):
        mine, least = (1000 * np.percentile(of["alert_after_s"], q) for of in (ours, floor))
        rows.append(Row(f"from append to alert, p{q}", "ms", mine, least, mine / least))
    alone = [of["per_second_without_deadlines"] for of in (ours, floor)]
    rows.append(more("followed, with no deadlines to compute", "events/s", *alone))
    events = sum(len(case.events) for case in watched)
    return Section(
        f"The watchdog on {events:,} events of {len(watched)} cases, one in {EVERY} anomalous",
        f"the whole watchdog with {which}: subscribed, judged, investigated, alerts and "
        "checkpoints written",
        "the floor: the same with a detector that counts (n-gram over what the model reads)",
        "ours by floor",
        rows,
        notes=[
            f"{len(ours['alert_after_s'])} and {len(floor['alert_after_s'])} alerts, timed by the "
            f"server while {load:.1f} events come a second, {LOAD:.0%} of what the slower follows."
        ],
        details=found,
    )


def _model(settings: Settings, streams: Streams) -> tuple[Scorer, str]:
    """The trained model of the quick run; before there is one, the base model, as fast."""
    trained = runs_folder() / "quick" / "model"
    if settings.trained and (trained / "model.json").exists():
        return Predictor.load(trained), "the model of runs/quick"
    base = Predictor.base(settings.base_model, streams.encoding, Hardware.find())
    return base, "the untrained base model"


def _traffic(cases: Sequence[Case]) -> list[Case]:
    rng, found = random.Random(1), []
    for number, case in enumerate(cases):
        kind = PROTOTYPE_KINDS[number // EVERY % len(PROTOTYPE_KINDS)]
        injection = inject(case, kind, rng) if number % EVERY == 0 else None
        found.append(injection.case if injection else case)
    return found


@contextmanager
def _database() -> Iterator[KurrentDBClient]:
    with (
        tempfile.TemporaryDirectory() as scratch,
        EmbeddedKurrentDB(Path(scratch)) as server,
        KurrentDBClient(server.uri) as client,
    ):
        yield client


def _backlog(name: str, detector: Detector, cases: list[Case]) -> float:
    """Events followed per second, when all are there already."""
    with _database() as client:
        events = append_cases(client, cases)
        dog = Watchdog(client, detector, name, clock="log")
        _, seconds = timed(lambda: dog.run(until_caught_up=True))
        return events / seconds


def _under_load(name: str, detector: Detector, cases: list[Case], per_second: float) -> list[float]:
    """Seconds from each strange event to its alert, while so many events come a second."""
    with _database() as client:
        dog, stop = Watchdog(client, detector, name, clock="log"), threading.Event()
        thread = threading.Thread(target=dog.run, args=(stop,))
        thread.start()
        sender = Traffic(client, cases, per_second)
        sender.send(sum(len(case.events) for case in cases))
        sender.wait()
        end = client.get_commit_position(filter_include=[CASES], filter_by_stream_name=True)
        state = Checkpoints(client, f"watchdog_{name}")
        while (state.latest().position or 0) < end:
            if not thread.is_alive():
                raise RuntimeError("the watchdog ended before it had followed everything")
            sleep(0.05)
        stop.set()
        thread.join()
        return [_after(client, alert) for alert in read_alerts(client) if alert.type == DETECTED]


def _after(client: KurrentDBClient, alert) -> float:
    """Seconds from the recording of an event to that of the alert about it."""
    records = [*client.get_stream(f"anomaly-{alert.stream}"), *client.get_stream(alert.stream)]
    times = {str(record.id): record.recorded_at for record in records}
    return (times[str(alert.id)] - times[alert.data["event_id"]]).total_seconds()
