"""What a demonstration of the watchdog needs: traffic that keeps coming, a process to be killed."""

from __future__ import annotations

import atexit
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Self, TypeVar

import matplotlib.pyplot as plt
from IPython.display import display
from kurrentdbclient import KurrentDBClient, StreamState
from matplotlib.figure import Figure

from procutils.cases import Case, Event
from procutils.checkpoints import Checkpoints
from procutils.detector import Detector
from procutils.records import to_event, truncation
from procutils.runs import Run
from procutils.sources import CASES
from procutils.store import append_cases
from procutils.watching import model_id

Item = TypeVar("Item")

#: What begins the last part of the names of its streams, and those streams, with their metadata.
TAG = "live"
NAMES = rf"^(\$\$)?[^$-]+-{TAG}.*"
#: The folder of the model that watches, in that of its run.
WATCHING = "watchdog"
#: What it logs when it has begun, and the seconds that it may take to.
READY = "watches from"
PATIENCE_S = 300.0


def prepare(run: Run, detector: Detector, position: int) -> Path:
    """Put a detector beside the run's model into a folder of its own, which is returned.

    position: where in the log it is to begin. It is written there, so that each time another model
    watches, with a checkpoint, alerts and thresholds of its own.
    """
    folder = run.path / WATCHING
    shutil.copytree(run.model, folder, dirs_exist_ok=True)
    detector.save(folder)
    (folder / "WATCHES.md").write_text(f"Watches from position {position} on.\n", "utf-8")
    return folder


class Traffic:
    """Cases that are appended event by event, in the order of time, by a thread of its own."""

    def __init__(self, client: KurrentDBClient, cases: Sequence[Case], per_second: float) -> None:
        self._client, self._cases, self._pause = client, list(cases), 1 / per_second
        self._thread: threading.Thread | None = None
        self.appended = 0

    def send(self, events: int) -> None:
        """Begin to append the next so many events; what was to be sent before must be done."""
        self.wait()
        arguments = (self._client, self._cases, lambda due: self._slowly(due, events))
        self._thread = threading.Thread(target=append_cases, args=arguments, daemon=True)
        self._thread.start()

    @property
    def coming(self) -> bool:
        """Whether there is more of it on the way."""
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> None:
        """Until all that was to be sent is appended."""
        if self._thread is not None:
            self._thread.join()

    def _slowly(self, due: Iterable[Item], events: int) -> Iterator[Item]:
        for number, event in enumerate(due):
            if number == events:
                return  # the rest is found not to be stored yet, next time
            yield event
            self.appended += 1
            time.sleep(self._pause)


class Process:
    """A watchdog of its own process, which can be killed and started again."""

    def __init__(self, model: str, command: Sequence[str], log: Path) -> None:
        """model: the id of what judges there. log: the file that it is to log to."""
        self._model, self._command, self._log = model, command, log
        self._process: subprocess.Popen | None = None
        self._told = 0

    @classmethod
    def watch(cls, model: Path, data: Path, after: int) -> Self:
        """``python -m procutils watch`` by the clock of the log.

        model: its folder. data: that of the embedded store. after: commit position to begin.
        """
        command = [
            *(sys.executable, "-m", "procutils", "watch", "--model", str(model)),
            *("--data", str(data), "--from", str(after), "--clock", "log"),
        ]
        return cls(model_id(model), command, model.with_suffix(".log"))

    def start(self) -> float:
        """Start it; the seconds until it watches. Raises RuntimeError, with its words, if not."""
        began = time.monotonic()
        self._told = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        atexit.register(self._process.kill)  # it must not outlive whoever started it
        while not any(READY in line for line in self.said()):
            if self._process.poll() is not None or time.monotonic() > began + PATIENCE_S:
                self._process.kill()
                raise RuntimeError(f"the watchdog did not begin: {' '.join(self.said())}")
            time.sleep(0.1)
        return time.monotonic() - began

    def kill(self) -> int:
        """SIGKILL, which no process can refuse or prepare for; the exit status, -9."""
        return self._ended(signal.SIGKILL)

    def stop(self) -> int:
        """SIGTERM: finish what is at hand, and stop; the exit status, 0."""
        return self._ended(signal.SIGTERM)

    def said(self) -> list[str]:
        """What it has logged since it was started."""
        with self._log.open("rb") as log:
            log.seek(self._told)
            return log.read().decode("utf-8", "replace").splitlines()

    def judged(self, client: KurrentDBClient) -> int:
        """The commit position up to which everything is judged, 0 for nothing yet."""
        return Checkpoints(client, f"watchdog_{self._model}").latest().position or 0

    def _ended(self, how: signal.Signals) -> int:
        self._process.send_signal(how)
        status = self._process.wait(timeout=60)
        atexit.unregister(self._process.kill)
        return status


def follow(
    traffic: Traffic,
    watchdog: Process,
    client: KurrentDBClient,
    show: Callable[[int], None],
    every: float = 2.0,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Call ``show(position judged)`` every so many seconds until all that was sent is judged, and
    once then; or until ``enough`` says so. Raises TimeoutError if judging does not go on."""
    judged, moved = -1, time.monotonic()
    while True:
        coming = traffic.coming  # asked first: what comes after that is before the end
        end = client.get_commit_position(filter_include=[CASES], filter_by_stream_name=True)
        reached = watchdog.judged(client)
        if reached > judged:
            judged, moved = reached, time.monotonic()
        done = not coming and judged >= end
        show(judged)
        if done or enough():
            return
        if time.monotonic() > moved + PATIENCE_S:
            raise TimeoutError(f"nothing judged after position {judged}: see {watchdog.said()[-1]}")
        time.sleep(every)


def live_cases(client: KurrentDBClient, after: int) -> list[Case]:
    """The cases of traffic that came after a commit position, in the order of their first events;
    those whose streams are deleted are left out."""
    found: dict[str, list[Event]] = {}
    with client.read_all(
        commit_position=after, filter_include=[NAMES], filter_by_stream_name=True
    ) as records:
        for record in records:
            if (cut := truncation(record)) is not None:
                found.pop(cut[0], None)
            elif not record.is_system_event:
                found.setdefault(record.stream_name, []).append(to_event(record))
    return [Case(stream, events) for stream, events in found.items()]


def clear(client: KurrentDBClient, after: int) -> int:
    """Delete the streams of all traffic that came after a commit position, so that nobody learns
    from them; how many. What was found in them stays."""
    cases = live_cases(client, after)
    for case in cases:
        client.delete_stream(case.id, current_version=StreamState.ANY)
    return len(cases)


class Screen:
    """A figure in a notebook that is replaced by the next one."""

    def __init__(self) -> None:
        self._shown = None

    def show(self, figure: Figure) -> None:
        """Show a figure instead of the one before; it is closed."""
        if self._shown is None:
            self._shown = display(figure, display_id=True)
        else:
            self._shown.update(figure)
        plt.close(figure)
