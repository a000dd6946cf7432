"""``python -m procutils …``: run the notebooks, KurrentDB, logs in and out, the watchdog."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from procutils.watching import add_commands

# What a command needs is imported by its function: `--help` should not wait for all of them.


def _run(arguments: argparse.Namespace) -> int:
    from procutils.chain import RunInUse, run_chain
    from procutils.parameters import UsageError

    only = arguments.only and [start.strip() for start in arguments.only.split(",")]
    try:
        return run_chain(
            arguments.name or arguments.profile,
            arguments.profile,
            dict(arguments.parameters),
            only,
            arguments.fresh,
        )
    except UsageError as error:
        print(error, file=sys.stderr)
        return 2
    except RunInUse as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        return 130


def _kurrentdb(arguments: argparse.Namespace) -> int:
    from procutils.embedded import StoreInUse, StoreUnreadable, main

    try:
        main(arguments.port, arguments.data)
    except (StoreInUse, StoreUnreadable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _import(arguments: argparse.Namespace) -> int:
    from procutils.embedded import StoreInUse, StoreUnreadable
    from procutils.logs import Columns, LogError, LogQuestion, import_log, open_log
    from procutils.store import StoreError, connect

    given = vars(arguments)
    columns = Columns(**{name: given[name] for name in Columns.__dataclass_fields__})
    try:
        with open_log(
            arguments.file,
            arguments.category,
            columns,
            arguments.time_format,
            arguments.timezone,
            arguments.lifecycle,
            _progress,
        ) as (log, report):
            print(report)
            if arguments.check:
                print("Checked only: nothing was written.")
                return 0
            with connect(_kurrentdb_folder(arguments)) as database:
                written = import_log(database.client, log, _progress)
                print(
                    f"{written:,} events written to {database}, category {report.category}; "
                    f"{report.events - written:,} were there already."
                )
    except (LogError, ValueError) as error:
        print(f"{error}. Nothing was written", file=sys.stderr)
        return 2 if isinstance(error, LogQuestion | ValueError) else 1
    except (StoreError, StoreInUse, StoreUnreadable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; the same command goes on from here.", file=sys.stderr)
        return 130
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from kurrentdbclient.exceptions import KurrentDBClientError

    from procutils.embedded import StoreInUse, StoreUnreadable
    from procutils.logs_export import export_log
    from procutils.logs_rows import LogError
    from procutils.store import StoreError, connect

    try:
        with connect(_kurrentdb_folder(arguments)) as database:
            cases, events, notes = export_log(database.client, arguments.category, arguments.file)
    except (LogError, StoreError, StoreInUse, StoreUnreadable, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    except KurrentDBClientError as error:
        print(f"KurrentDB: {error!r}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; nothing was written.", file=sys.stderr)
        return 130
    print(f"{cases:,} cases, {events:,} events written to {arguments.file}")
    for note in notes:
        print(f"- {note}")
    return 0


def _progress(items: Iterable[Any], what: str) -> Iterable[Any]:
    from tqdm import tqdm

    return tqdm(items, desc=f"{what:<9}", unit="", unit_scale=True, disable=None, leave=False)


def _kurrentdb_folder(arguments: argparse.Namespace) -> Path:
    from procutils.runs import runs_folder

    return arguments.data or runs_folder() / "logs" / "kurrentdb"


def parser() -> argparse.ArgumentParser:
    """The command line: one subcommand per thing to do."""
    top = argparse.ArgumentParser(prog="python -m procutils", description=__doc__.split(":")[0])
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    run = commands.add_parser(
        "run",
        help="execute the notebooks in order into runs/NAME",
        description="Execute the notebooks in order into runs/NAME. An interrupted run goes on "
        "with the same command. The exit status is 0 only if every notebook ran.",
    )
    run.add_argument("--profile", default="quick", help="runs/profiles/PROFILE.yaml (quick)")
    run.add_argument("--name", help="the run's name (the profile's)")
    run.add_argument(
        "-p",
        nargs=2,
        action="append",
        default=[],
        dest="parameters",
        metavar=("KEY", "VALUE"),
        help="set a notebook parameter; may be repeated",
    )
    run.add_argument("--only", metavar="03,04", help="run these notebooks and no others")
    run.add_argument("--fresh", action="store_true", help="empty the run directory first")
    run.set_defaults(command=_run)

    server = commands.add_parser(
        "kurrentdb",
        help="serve an embedded KurrentDB on this machine",
        description="Serve an embedded, KurrentDB-compatible store on the loopback interface.",
    )
    server.add_argument("--port", type=int, default=2113, help="port to listen on (2113)")
    server.add_argument("--data", type=Path, required=True, help="folder of the store")
    server.set_defaults(command=_kurrentdb)

    importing = commands.add_parser(
        "import",
        help="read an event log, CSV or XES, into a category of KurrentDB",
        description="Read an event log (CSV or XES, plain or gzipped) into streams CATEGORY-CASE. "
        "All of the file is checked first; what is stored already is not written again. What was "
        "odd about the log is listed, with what was done about it. Columns and notations are "
        "recognised; where that leaves a choice, the question names the option to give. "
        "The exit status is 0 if all events are stored, 1 if not, 2 if an option is missing.",
    )
    importing.add_argument("file", type=Path, metavar="FILE")
    importing.add_argument("--category", required=True, help="what the streams' names begin with")
    for role in ("case", "activity", "time"):
        importing.add_argument(
            f"--{role}", metavar="COLUMN", help=f"CSV: which column is the {role}"
        )
    importing.add_argument("--delimiter", metavar="SIGN", help="CSV: what divides the columns")
    importing.add_argument("--encoding", help="CSV: such as cp1252 (UTF-8 or UTF-16)")
    importing.add_argument(
        "--time-format",
        metavar="FORMAT",
        help="dmy, mdy or ymd for dates of digits, or a pattern such as '%%d.%%m.%%Y %%H:%%M'",
    )
    importing.add_argument("--timezone", default="UTC", help="of times that name none (UTC)")
    importing.add_argument(
        "--lifecycle",
        action="store_true",
        help="make lifecycle:transition part of the activity, as in A+COMPLETE",
    )
    importing.add_argument("--check", action="store_true", help="only check the file, and report")
    _add_data(importing)
    importing.set_defaults(command=_import)

    exporting = commands.add_parser(
        "export",
        help="write a category of KurrentDB as an event log, CSV or XES",
        description="Write a category as an event log. FILE ends in .csv or .xes, either with .gz.",
    )
    exporting.add_argument("category", metavar="CATEGORY")
    exporting.add_argument("file", type=Path, metavar="FILE")
    _add_data(exporting)
    exporting.set_defaults(command=_export)

    add_commands(commands)
    return top


def _add_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--data",
        type=Path,
        help="folder of the embedded store (runs/logs/kurrentdb); where the environment has "
        "KURRENTDB_URI, that server is used",
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 failed, 2 bad usage."""
    arguments = parser().parse_args(argv)
    return arguments.command(arguments)


if __name__ == "__main__":
    sys.exit(main())
