"""Event logs out of KurrentDB: any category as CSV or XES, which nothing else makes of it."""

from __future__ import annotations

import gzip
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from kurrentdbclient import KurrentDBClient

from procutils.cases import Case
from procutils.logs_csv import write_csv
from procutils.logs_rows import CASE_PREFIX, LogError
from procutils.logs_xes import write_xes
from procutils.store import read_cases


def export_log(client: KurrentDBClient, category: str, file: Path) -> tuple[int, int, list[str]]:
    """Write a category as :func:`write_log` does: how many cases and events, and what was odd.

    Raises LogError also for a category without cases.
    """
    _writer(file)  # raises before all of the category is read
    cases = read_cases(client, category)
    if not cases:
        raise LogError(f"the database has no cases of a category {category!r}")
    return len(cases), sum(len(case.events) for case in cases), write_log(cases, file)


def write_log(cases: list[Case], file: Path) -> list[str]:
    """Write cases as ``.csv`` or ``.xes``, either with ``.gz``; what was odd, in sentences.

    Times are written in UTC. Parts of nested fields become attributes, ``name/part``; metadata is
    left out. The file appears when it is complete. Raises LogError for another ending and for a
    file that exists or cannot be written.
    """
    write = _writer(file)
    varying = {
        name
        for case in cases
        for event in case.events[1:]
        for name in event.data
        if name.startswith(CASE_PREFIX)
    }
    with _complete(file) as text:
        odd = write(cases, varying, text)
    return [f"{count:,} × {what}" for what, count in odd.items()]


def _writer(file: Path) -> Callable[[list[Case], set[str], TextIO], Counter[str]]:
    suffix = Path(file.name.removesuffix(".gz")).suffix.lower()
    write = {".csv": write_csv, ".xes": write_xes}.get(suffix)
    if write is None:
        raise LogError(f"{file} must end in .csv, .xes, .csv.gz or .xes.gz")
    if file.exists():
        raise LogError(f"{file} exists already: remove it first, or take another name")
    return write


@contextmanager
def _complete(file: Path) -> Iterator[TextIO]:
    """A text file that takes its name once it is complete, gzipped if it ends in ``.gz``."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("wb") as raw:
            if file.suffix == ".gz":  # without name and time in it: equal logs give equal files
                with (
                    gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
                    io.TextIOWrapper(packed, "utf-8", newline="") as text,
                ):
                    yield text
            else:
                with io.TextIOWrapper(raw, "utf-8", newline="") as text:
                    yield text
        draft.replace(file)
    except OSError as error:
        raise LogError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
