"""``make bench``: measure, print a table, and write every number to ``runs/bench.json``."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from time import perf_counter

from datasets import disable_progress_bar
from transformers import logging as transformers_logging

from procutils.hardware import Hardware
from procutils.provenance import provenance
from procutils.runs import runs_folder, write_json

from . import kurrentdb, latency, memory, scoring, training, watching
from .settings import Settings
from .table import shown

SECTIONS = {
    "training": training.measure,
    "scoring": scoring.measure,
    "latency": latency.measure,
    "watchdog": watching.measure,
    "kurrentdb": kurrentdb.measure,
    "memory": memory.measure,
}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="make bench ARGS=…", description="Measure speed and memory.")
    top.add_argument(
        "--only", metavar="A,B", help=f"measure these and no others, of {', '.join(SECTIONS)}"
    )
    top.add_argument(
        "--whole",
        action="store_true",
        help="train the prototype's recipe to its end too, instead of extrapolating: an hour or "
        "more on a CPU",
    )
    top.add_argument(
        "--log-events",
        type=int,
        default=Settings.log_events,
        metavar="N",
        help=f"size of the generated event log ({Settings.log_events:,}); try 1000000",
    )
    return top


def main(argv: list[str] | None = None) -> int:
    """Measure; the exit status: 0 done, 2 bad usage."""
    top = parser()
    arguments = top.parse_args(argv)
    chosen = arguments.only.split(",") if arguments.only else list(SECTIONS)
    if unknown := set(chosen) - SECTIONS.keys():
        top.error(f"nothing is called {min(unknown)!r}: choose among {', '.join(SECTIONS)}")
    if arguments.log_events < kurrentdb.ROUNDS * memory.LENGTH:
        top.error(f"--log-events is at least {kurrentdb.ROUNDS * memory.LENGTH}")
    settings = Settings(whole=arguments.whole, log_events=arguments.log_events)
    transformers_logging.disable_progress_bar()
    transformers_logging.set_verbosity_error()
    disable_progress_bar()
    logging.getLogger("procutils.watchdog").setLevel(logging.ERROR)  # alerts are only counted
    print(f"{Hardware.find()}, base model {settings.base_model}", flush=True)
    begun, started, sections = perf_counter(), datetime.now(UTC), {}
    for name in chosen:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        sections[name] = SECTIONS[name](settings)
        print("\n" + shown(sections[name]), flush=True)
    content = {
        "started": started.isoformat(timespec="seconds"),
        "seconds": perf_counter() - begun,
        "hardware": str(Hardware.find()),
        **provenance(),
        "settings": asdict(settings),
        "sections": {name: section.content() for name, section in sections.items()},
    }
    file = runs_folder() / "bench.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, content)
    print(f"\n{content['seconds'] / 60:.1f} minutes; every number is in {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
