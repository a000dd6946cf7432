"""``python -m procutils …``: run the notebooks, or the embedded KurrentDB."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

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
    return top


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status: 0 done, 1 failed, 2 bad usage."""
    arguments = parser().parse_args(argv)
    return arguments.command(arguments)


if __name__ == "__main__":
    sys.exit(main())
