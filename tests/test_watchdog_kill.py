"""The watchdog and the database are killed at random moments: no alert is lost, none is doubled."""

import os
import pickle
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from kurrentdbclient import KurrentDBClient
from watchdog_setup import MODEL, append, detector, in_order, traffic, until

from procutils.alerts import DETECTED, OVERDUE, read_alerts
from procutils.checkpoints import Checkpoints
from procutils.embedded import EmbeddedKurrentDB
from procutils.sources import AWAY
from procutils.watchdog import Watchdog

ROOT = Path(__file__).resolve().parents[1]


class Process:
    """A program that can be killed and started again."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = [sys.executable, *arguments]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._arguments,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self._process.stdout.readline()  # it says when it is ready

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def terminate(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(timeout=20)
        self._process.stdout.close()
        return code


def write(uri: str, events: list, pause: float) -> None:
    """Append the events one by one, and each as often as it takes while the database is killed."""
    with KurrentDBClient(uri) as client:
        for case, n in events:
            while True:
                try:
                    append(client, case, n)
                    break
                except AWAY:
                    time.sleep(0.1)
            time.sleep(pause)


def undisturbed(path: Path, events: list) -> Counter:
    """The alerts, by event id, of a watchdog that nobody kills."""
    with EmbeddedKurrentDB(path) as server, KurrentDBClient(server.uri) as client:
        for case, n in events:
            append(client, case, n)
        Watchdog(client, detector(), MODEL, clock="log").run(until_caught_up=True)
        return Counter((alert.type, alert.id) for alert in read_alerts(client))


def disturbed(path: Path, events: list, kills: int, both: int, seed: int) -> Counter:
    """The alerts of a watchdog that is killed so often while the events arrive; in ``both`` of the
    times the database is, too."""
    rng = random.Random(seed)
    with_database = set(rng.sample(range(kills), both))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"kurrentdb://127.0.0.1:{port}?Tls=false"
    (path / "detector").write_bytes(pickle.dumps(detector()))
    data = str(path / "disturbed")
    database = Process("-m", "procutils", "kurrentdb", "--port", str(port), "--data", data)
    watchdog = Process("tests/watchdog_setup.py", uri, str(path / "detector"))
    # The watchdog is dead for about as long as it lives: the events last for all the kills.
    pause = 2.2 * kills / len(events)
    writer = threading.Thread(target=write, args=(uri, events, pause))
    writer.start()
    try:
        for number in range(kills):
            time.sleep(rng.uniform(0.0, 1.6))
            watchdog.kill()
            if number in with_database:
                database.kill()
                database.start()
            watchdog.start()
        writer.join()
        with KurrentDBClient(uri) as client:
            last = max(
                record.commit_position
                for case, _ in events[-1:]
                for record in client.get_stream(case.id)
            )
            state = Checkpoints(client, f"watchdog_{MODEL}")
            until(lambda: (state.latest().position or 0) >= last, patience=300)
            assert watchdog.terminate() == 0
            return Counter((alert.type, alert.id) for alert in read_alerts(client))
    finally:
        watchdog.kill()
        database.kill()


def check(path: Path, cases: int, count: int, kills: int, both: int, seed: int) -> None:
    events = in_order(traffic(cases))[:count]
    assert len(events) == count
    expected = undisturbed(path / "undisturbed", events)
    assert {type_ for type_, _ in expected} >= {DETECTED, OVERDUE}
    assert set(expected.values()) == {1}
    found = disturbed(path, events, kills, both, seed)
    assert found == expected


def test_killed_five_times_nothing_is_lost_or_doubled(tmp_path):
    check(tmp_path, cases=70, count=300, kills=5, both=1, seed=1)


@pytest.mark.skipif(
    "WATCHDOG_KILLS" not in os.environ, reason="takes ten minutes: set WATCHDOG_KILLS=100"
)
@pytest.mark.timeout(3600)
def test_killed_a_hundred_times_nothing_is_lost_or_doubled(tmp_path):
    kills = int(os.environ["WATCHDOG_KILLS"])
    check(tmp_path, cases=400, count=2_000, kills=kills, both=kills // 5, seed=2)
