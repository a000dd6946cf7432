"""What readers of event logs have in common: rows, what was odd about them, and their errors."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

#: The names that the XES standard gives to the three things that every log must have.
CASE, ACTIVITY, TIME = "case:concept:name", "concept:name", "time:timestamp"
LIFECYCLE = "lifecycle:transition"

#: What attributes of the case, not of the event, begin with. They stand at its first event.
CASE_PREFIX = "case:"


class LogError(RuntimeError):
    """The file cannot be read as an event log, or not be written."""


class LogQuestion(LogError):
    """The file can be read in more than one way, or in none yet: a parameter has to say which."""


class Row(NamedTuple):
    """One event as the file has it. Empty texts stand for what is missing.

    line: where it is in the file, from 1. time: as written. data: attributes, those of the case
        with CASE_PREFIX before their names: text, int, float or bool, none of them empty.
    """

    line: int
    case: str
    activity: str
    time: str
    data: dict[str, Any]


@dataclass
class Oddities:
    """What was odd about a log and what was done about it: how often, and at which line first."""

    found: dict[str, list[int]] = field(default_factory=dict)

    def add(self, what: str, line: int) -> None:
        """Count one. what: a clause that follows a number, as in "12 × rows without a case"."""
        seen = self.found.setdefault(what, [0, line])
        seen[0] += 1
        seen[1] = min(seen[1], line)

    def count(self, what: str) -> int:
        return self.found.get(what, [0])[0]

    def sentences(self) -> list[str]:
        return [
            f"{count:,} × {what} (first at line {line:,})"
            for what, (count, line) in self.found.items()
        ]


@contextmanager
def opened(file: Path) -> Iterator[BinaryIO]:
    """The file's content, unpacked if it is gzipped, whatever its name.

    Raises LogError, for as long as it is open, if it cannot be read or is damaged.
    """
    try:
        with file.open("rb") as raw:
            packed = raw.read(4)
            raw.seek(0)
            if packed == b"PK\x03\x04":
                raise LogError(f"{file} is a zip archive or a workbook: give the CSV or XES in it")
            if packed[:2] == b"\x1f\x8b":
                with gzip.open(raw) as unpacked:
                    yield unpacked
            else:
                yield raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise LogError(f"{file} is damaged, its gzip data ends or fails early: {error}") from error
    except OSError as error:
        raise LogError(f"{file} cannot be read: {error.strerror or error}") from error
