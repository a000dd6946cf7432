"""``python -m procutils watch``, ``replay`` and ``suggest``: the watchdog outside a notebook."""

from __future__ import annotations

import argparse
import hashlib
import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

# What a command needs is imported by its function: `--help` should not wait for PyTorch.


def add_commands(commands) -> None:
    """Add the three commands to those of ``python -m procutils``."""
    watch = _command(
        commands,
        "watch",
        _watch,
        "follow KurrentDB, and write an alert for whatever is too strange",
        "Follow KurrentDB until SIGINT or SIGTERM, and write alerts into streams anomaly-STREAM. "
        "Killed at any moment, it goes on with the same command, and neither loses nor doubles an "
        "alert. The exit status is 0 if it was stopped, or had nothing to say with --once; 3 if "
        "--once raised alerts; 1 if it could not work, 2 for wrong options.",
    )
    _add_start(watch)
    watch.add_argument(
        "--clock",
        choices=("wall", "log"),
        default="wall",
        help="steps are overdue by this machine's time (wall), or by the events' own (log)",
    )
    watch.add_argument("--group", help="share the work: the name of a persistent subscription")
    watch.add_argument("--worker", help="the name of this worker in the group")
    watch.add_argument("--once", action="store_true", help="judge what is there, then stop")
    watch.add_argument("--cases", type=int, default=200, help="running cases to remember (200)")

    replay = _command(
        commands,
        "replay",
        _replay,
        "show what a model would have alerted, and write nothing",
        "Show what a model would have alerted up to a position of the log. Nothing is written.",
    )
    _add_start(replay)
    replay.add_argument("--as-of", type=int, metavar="POSITION", help="stop here (the end)")

    suggest = _command(
        commands,
        "suggest",
        _suggest,
        "show the likely next steps of a running case",
        "Show the likely next steps of a case, when each is due, and its data where that is sure.",
    )
    suggest.add_argument("stream", metavar="STREAM")
    suggest.add_argument("-k", type=int, default=3, help="how many (3)")


def _command(commands, name: str, call: Callable, help_: str, description: str):
    command = commands.add_parser(name, help=help_, description=description)
    command.add_argument(
        "--model", type=Path, help="folder of a calibrated model (runs/quick/model)"
    )
    command.add_argument(
        "--data",
        type=Path,
        help="folder of the embedded store (kurrentdb beside the model); where the environment has "
        "KURRENTDB_URI, that server is used",
    )
    command.set_defaults(command=lambda arguments: _guarded(call, arguments))
    return command


def _add_start(command) -> None:
    command.add_argument(
        "--from",
        dest="start",
        type=int,
        metavar="POSITION",
        help="judge what comes after this commit position, 0 for all (the end of the data that the "
        "model was made from); a checkpoint, if there is one, counts instead",
    )


def _guarded(call: Callable, arguments: argparse.Namespace) -> int:
    from kurrentdbclient.exceptions import KurrentDBClientError

    from procutils.embedded import StoreInUse, StoreUnreadable
    from procutils.runs import runs_folder
    from procutils.store import StoreError, connect, redact

    path = arguments.model or runs_folder() / "quick" / "model"
    if getattr(arguments, "group", None) and not arguments.worker:
        print("--group needs --worker, a name that no other worker has", file=sys.stderr)
        return 2
    try:
        model = load_model(path)
        with connect(arguments.data or path.parent / "kurrentdb") as database:
            return call(model, database, arguments)
    except (FileNotFoundError, LookupError, ValueError) as error:
        print(error, file=sys.stderr)
    except (StoreError, StoreInUse, StoreUnreadable, OSError) as error:
        print(error, file=sys.stderr)
    except KurrentDBClientError as error:
        print(f"KurrentDB: {redact(repr(error))}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return 130
    return 1


def load_model(path: Path):
    """The model in a folder: its id is a digest of its files, its data position that of its run.

    Raises FileNotFoundError, naming the notebook to run first, if there is none.
    """
    from procutils.detector import Detector
    from procutils.findings import Model
    from procutils.runs import Run

    detector = Detector.load(path)
    position = Run(path.parent).metrics.get("data", {}).get("commit_position")
    return Model(detector, model_id(path), position)


def model_id(path: Path) -> str:
    """What the model in a folder is called: a digest of its files."""
    digest = hashlib.sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file()):
        digest.update(f"{file.relative_to(path)} ".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]


def _watch(model, database, arguments: argparse.Namespace) -> int:
    from procutils.watchdog import Watchdog

    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))
    log = logging.getLogger("procutils.watchdog")
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    log.info("%s", database)
    watchdog = Watchdog(
        database.client,
        model.detector,
        model.id,
        model.data_position,
        start=_start(model, arguments),
        clock=arguments.clock,
        cases=arguments.cases,
    )
    watched = watchdog.run(
        stop, until_caught_up=arguments.once, group=arguments.group, worker=arguments.worker
    )
    alerts = ", ".join(f"{count:,} {type_}" for type_, count in sorted(watched.alerts.items()))
    log.info("stopped after %s events: %s", f"{watched.records:,}", alerts or "nothing to report")
    return 3 if arguments.once and watched.alerts else 0


def _replay(model, database, arguments: argparse.Namespace) -> int:
    from procutils.store import commit_position
    from procutils.watchdog import Watchdog

    as_of = arguments.as_of or commit_position(database.client)
    watchdog = Watchdog(database.client, model.detector, model.id, model.data_position)
    alerts = watchdog.replay(as_of, _start(model, arguments))
    for alert in alerts:
        print(f"{alert.type:<16} {alert}")
    print(f"{len(alerts):,} alerts up to position {as_of:,}; nothing was written.")
    return 0


def _suggest(model, database, arguments: argparse.Namespace) -> int:
    from kurrentdbclient.exceptions import NotFoundError

    from procutils.cases import Case
    from procutils.records import to_event
    from procutils.suggestions import suggest

    try:
        events = [to_event(record) for record in database.client.get_stream(arguments.stream)]
    except NotFoundError:
        raise LookupError(f"there is no stream {arguments.stream} in {database}") from None
    for step in suggest(model.detector, Case(arguments.stream, events), arguments.k):
        due = f"  by {step.by:%Y-%m-%d %H:%M}" if step.by else ""
        latest = f", at the latest {step.latest:%Y-%m-%d %H:%M}" if step.latest else ""
        print(f"{step.probability:6.1%}  {step.type}{due}{latest}")
        for name, value in step.data.items():
            print(f"          {name} = {value!r}")
    return 0


def _start(model, arguments: argparse.Namespace) -> int | None:
    """The commit position after which to judge; None for all."""
    if arguments.start is not None:
        return arguments.start or None
    return model.data_position
