"""KurrentDB: what is appended, imported and read per second, beside bare calls of the client."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState

from procutils.cases import Case
from procutils.embedded import EmbeddedKurrentDB
from procutils.finance.processes import simulate
from procutils.logs import import_log, open_log
from procutils.records import to_record
from procutils.store import append_cases, read_cases

from .memory import bare_records, write_log
from .settings import Settings
from .table import Section, more, timed

#: Turns of either side; so many files the generated log is written in.
ROUNDS = 4

Bare = list[tuple[str, list[NewEvent]]]
"""Streams with their events, ready to be appended."""


def measure(settings: Settings) -> Section:
    """Events per second of both, in turns, on one embedded server."""
    appended = simulate(settings.seed, settings.appended_cases, rate=1.0)
    per_file = settings.log_events // ROUNDS
    with (
        tempfile.TemporaryDirectory() as scratch,
        EmbeddedKurrentDB(Path(scratch) / "kurrentdb") as server,
        KurrentDBClient(server.uri) as client,
    ):
        _singly(client, simulate(settings.seed + 1, 10, rate=1.0), "warm")  # and not counted
        single = [0.0, 0.0]
        for turn in range(ROUNDS):
            took = _singly(client, appended[turn::ROUNDS], "bare")
            single = [sum(pair) for pair in zip(single, took, strict=True)]
        log = dict.fromkeys(("check", "append", "bare append", "read", "bare read"), 0.0)
        for turn in range(ROUNDS):
            file = Path(scratch) / f"{turn}.csv"
            write_log(file, per_file, settings.seed + turn)
            for name, took in _log(client, file, turn).items():
                log[name] += took
    events = sum(len(case.events) for case in appended)
    logged = per_file * ROUNDS

    def rate(what: str, mine: float, bare: float):
        return more(what, "events/s", logged / mine, logged / bare)

    return Section(
        f"KurrentDB, the embedded server: {events:,} events appended singly, {logged:,} imported "
        "from a log and read",
        "store.append_cases and read_cases; procutils.logs: checked, sorted and appended so that a "
        "second import writes nothing",
        "bare kurrentdbclient on the same server: append_event, append_events with a case each, "
        "read_all with a filter, the events ready to be sent and the records left as they come",
        "how many times more",
        [
            more("append, one event a call", "events/s", events / single[0], events / single[1]),
            rate(
                "import a log, from file to database",
                log["check"] + log["append"],
                log["bare append"],
            ),
            rate("of this, after the file is checked", log["append"], log["bare append"]),
            rate("read a category", log["read"], log["bare read"]),
        ],
        details={"seconds_singly": single, "seconds_log": log},
    )


def _singly(client: KurrentDBClient, cases: list[Case], prefix: str) -> tuple[float, float]:
    """Seconds to append the cases event by event, and the same under other names by bare calls."""
    ready = _bare(cases, prefix)
    _, mine = timed(append_cases, client, cases)
    _, bare = timed(_append_singly, client, ready)
    return mine, bare


def _log(client: KurrentDBClient, file: Path, turn: int) -> dict[str, float]:
    """Seconds to check, append and read back one log, with the bare calls for the last two."""
    category = f"log{turn}"
    with ExitStack() as opened:
        (log, _), check = timed(opened.enter_context, open_log(file, category))
        _, append = timed(import_log, client, log)
        ready = _bare(list(log), "bare")
    _, bare_append = timed(_append_together, client, ready)
    cases, read = timed(read_cases, client, category)
    records, bare_read = timed(bare_records, client, f"bare{category}")
    assert len(records) == sum(len(case.events) for case in cases), "one side lost events"
    return {
        "check": check,
        "append": append,
        "bare append": bare_append,
        "read": read,
        "bare read": bare_read,
    }


def _bare(cases: list[Case], prefix: str) -> Bare:
    """The same cases under other names, as records."""
    renamed = [replace(case, id=f"{prefix}{case.id}") for case in cases]
    return [(case.id, [to_record(case, i) for i in range(len(case.events))]) for case in renamed]


def _append_singly(client: KurrentDBClient, ready: Bare) -> None:
    for stream, events in ready:
        for revision, event in enumerate(events):
            version = revision - 1 if revision else StreamState.NO_STREAM
            client.append_event(stream, current_version=version, event=event)


def _append_together(client: KurrentDBClient, ready: Bare) -> None:
    for stream, events in ready:
        client.append_events(stream, current_version=StreamState.NO_STREAM, events=events)
