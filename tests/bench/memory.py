"""Memory: what a process needs at most to import a generated log, and to read its cases back.

As a program, ``python -m bench.memory WHAT FILE FOLDER`` is that process: it does one thing
and prints what it needed.
"""

from __future__ import annotations

import csv
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState

from procutils.embedded import EmbeddedKurrentDB
from procutils.logs import import_log, open_log
from procutils.runs import ROOT
from procutils.store import read_cases

from .table import Row, Section

if TYPE_CHECKING:  # it brings torch, whose memory is not to be measured here
    from .settings import Settings

#: Events of each case of a generated log, and its category in the database.
LENGTH, CATEGORY = 20, "log"
COLUMNS = (
    *("case:concept:name", "concept:name", "time:timestamp", "org:resource", "org:role"),
    *("amount", "document", "case:type", "case:sum"),
)


def write_log(file: Path, events: int, seed: int) -> None:
    """A CSV log of cases of LENGTH events each, one after the other by their start."""
    rng, start = random.Random(seed), datetime(2025, 1, 6, tzinfo=UTC)
    with file.open("w", newline="", encoding="utf-8") as text:
        log = csv.writer(text)
        log.writerow(COLUMNS)
        for number in range(events):
            case, step = divmod(number, LENGTH)
            if step == 0:
                start = at = start + timedelta(seconds=rng.expovariate(1 / 600))
                kind, total = f"type {rng.randrange(5)}", rng.randrange(1_000_000)
            row = [f"case {case}", f"Activity {step} of the process", at.isoformat()]
            row += [f"User {rng.randrange(300)}", f"Role {step % 7}", rng.randrange(100_000) / 100]
            row += [f"document-{case}-{step}", kind, total]
            log.writerow(row)
            at += timedelta(seconds=rng.expovariate(1 / 30_000))


def measure(settings: Settings) -> Section:
    """Peak memory of a process for each, the embedded server that it runs included."""
    with tempfile.TemporaryDirectory() as scratch:
        file, peaks = Path(scratch) / "log.csv", {}
        write_log(file, settings.log_events, settings.seed)
        for what in TASKS:
            folder = Path(scratch) / ("bare" if what.startswith("bare") else "ours")
            peaks[what] = child(what, file, folder)["peak_mib"]
    rows = [
        Row(
            f"{what}, {settings.log_events:,} events",
            "MiB",
            peaks[what],
            peaks[f"bare {what}"],
            peaks[what] / peaks[f"bare {what}"],
        )
        for what in ("import", "read")
    ]
    return Section(
        "Memory",
        "procutils.logs: a CSV log checked, sorted and appended; store.read_cases: all its cases",
        "bare kurrentdbclient: the rows appended case by case as they stand; all records as a list",
        "times as much",
        rows,
        ["peak memory of one process each, with Python, libraries and the embedded server in it"],
        {"peak_mib": peaks},
    )


def child(what: str, file: Path, folder: Path) -> dict[str, float]:
    """What a process of its own printed that did one of TASKS: ``events`` and ``peak_mib``."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.memory", what, str(file), str(folder)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def _import(client: KurrentDBClient, file: Path) -> int:
    with open_log(file, CATEGORY) as (log, _):
        return import_log(client, log)


def _read(client: KurrentDBClient, file: Path) -> int:
    return sum(len(case.events) for case in read_cases(client, CATEGORY))


def _import_bare(client: KurrentDBClient, file: Path) -> int:
    count = 0
    for stream, events in _cases(file):
        client.append_events(stream, current_version=StreamState.NO_STREAM, events=events)
        count += len(events)
    return count


def _cases(file: Path) -> Iterator[tuple[str, list[NewEvent]]]:
    """The rows of each case as they stand, one case after the other."""
    with file.open(newline="", encoding="utf-8") as text:
        for case, rows in groupby(csv.DictReader(text), lambda row: row["case:concept:name"]):
            yield (
                f"{CATEGORY}-{case}",
                [
                    NewEvent(row["concept:name"], json.dumps(row).encode(), id=uuid4())
                    for row in rows
                ],
            )


def _read_bare(client: KurrentDBClient, file: Path) -> int:
    return len(bare_records(client, CATEGORY))


def bare_records(client: KurrentDBClient, category: str) -> list:
    """All records of a category, by one call of the client."""
    with client.read_all(
        filter_include=[f"{category}-"], filter_by_stream_name=True, filter_by_prefix=True
    ) as records:
        return list(records)


TASKS: dict[str, Callable[[KurrentDBClient, Path], int]] = {
    "import": _import,
    "bare import": _import_bare,
    "read": _read,
    "bare read": _read_bare,
}


def _peak_mib() -> float:
    """The most memory that this process ever had."""
    status = Path("/proc/self/status")
    if status.exists():  # the other measure counts the parent too, if that was larger
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 1024


def main(what: str, file: str, folder: str) -> None:
    """Do one of TASKS, and print the peak."""
    with EmbeddedKurrentDB(Path(folder)) as server, KurrentDBClient(server.uri) as client:
        events = TASKS[what](client, Path(file))
    print(json.dumps({"events": events, "peak_mib": _peak_mib()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
