"""The firm's help desk as another system hands it over: a CSV log, where none is given."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

COLUMNS = ("case id", "activity", "timestamp", "resource", "case:priority")

Step = tuple[str, float, str]
"""An activity, about how many minutes pass until the next, and who did it."""


def write_tickets(file: Path, tickets: int = 500, seed: int = 7) -> Path:
    """Write the log of so many tickets, one after the other by their start; returns ``file``.

    Urgent ones bring an engineer, others are answered, once or twice, sometimes after a question of
    the customer; most customers confirm, the others are reminded.
    """
    rng, opened = Random(seed), datetime(2024, 1, 1, 8, tzinfo=UTC)
    with file.open("w", newline="", encoding="utf-8") as text:
        log = csv.writer(text)
        log.writerow(COLUMNS)
        for number in range(tickets):
            opened += timedelta(hours=rng.expovariate(1 / 3))
            urgent, at = rng.random() < 0.3, opened
            for activity, minutes, who in _steps(rng, urgent):
                log.writerow(
                    [number, activity, at.isoformat(), who, "urgent" if urgent else "normal"]
                )
                at += timedelta(minutes=minutes * rng.uniform(0.5, 2))
    return file


def _steps(rng: Random, urgent: bool) -> Iterator[Step]:
    clerk = f"clerk {rng.randint(1, 6)}"
    yield "Ticket opened", 5, "portal"
    yield "Ticket assigned", 60, "dispatcher"
    if urgent:
        yield "Engineer called", 20, clerk
        yield "Fault repaired", 300, f"engineer {rng.randint(1, 2)}"
    else:
        yield "Answer sent", 1500, clerk
        if rng.random() < 0.25:
            yield "Answer sent", 1500, clerk
        if rng.random() < 0.25:
            yield "Question from customer", 200, "portal"
            yield "Answer sent", 1500, clerk
    yield (
        ("Customer confirmed", 30, "portal")
        if rng.random() < 0.7
        else ("Reminder sent", 9, "portal")
    )
    yield "Ticket closed", 0, clerk
