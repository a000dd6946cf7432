"""Event logs as CSV: one row per event, attributes of the case in columns named ``case:…``."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from procutils.cases import Case
from procutils.logs_rows import (
    ACTIVITY,
    CASE,
    CASE_PREFIX,
    TIME,
    LogError,
    LogQuestion,
    Oddities,
    Row,
    opened,
)
from procutils.logs_values import as_text, flat, written_name

DELIMITERS = ",;\t|"

#: What columns are called besides their names in XES, in lower case and without other signs, the
#: surest names first. Several names of one line in the same file are a question.
NAMES = {
    "case": (
        "caseconceptname",
        "caseid casekey casenumber casename case traceid tracename trace",
        "processinstanceid processinstance instanceid caseidentifier processid",
    ),
    "activity": (
        "conceptname",
        "activity activityname activityid activitykey",
        "event eventname eventtype task taskname action actionname step stepname operation",
    ),
    "time": (
        "timetimestamp",
        "timestamp eventtime eventtimestamp completetimestamp completetime endtimestamp endtime",
        "time datetime date eventdate eventdatetime enddate completiontime occurredat",
        "starttimestamp starttime startdate createdat",
    ),
}


@dataclass(frozen=True)
class Columns:
    """How to read a CSV file; None: to be recognised.

    case, activity, time: names of columns.
    """

    case: str | None = None
    activity: str | None = None
    time: str | None = None
    delimiter: str | None = None
    encoding: str | None = None


def read_csv(file: Path, columns: Columns, oddities: Oddities) -> tuple[str, Iterator[Row]]:
    """How the file is read, in words, and its rows as they stand in it.

    Raises LogQuestion if a column or the delimiter is not recognised; LogError, also while the
    rows are read, if the file is damaged.
    """
    with opened(file) as content:
        start = content.read(1 << 16)
    encoding = columns.encoding or _encoding(start)
    try:
        sample = codecs.getincrementaldecoder(encoding)("replace").decode(start)
    except LookupError:
        raise LogQuestion(f"there is no encoding {encoding!r}: give one such as cp1252") from None
    delimiter = {"\\t": "\t", "tab": "\t"}.get(columns.delimiter or "", columns.delimiter)
    if delimiter is None:
        delimiter = _delimiter(file, sample)
    elif len(delimiter) != 1 or delimiter in '"\r\n':
        raise LogQuestion(f"--delimiter is one sign, or tab, not {delimiter!r}")
    header = next(csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter), [])
    names = _names(header, oddities)
    chosen = {
        role: _column(file, role, names, getattr(columns, role))
        for role in ("case", "activity", "time")
    }
    if len(set(chosen.values())) < 3:
        raise LogQuestion(f"case, activity and time of {file} must be three different columns")
    said = ", ".join(f"{role} {names[index]!r}" for role, index in chosen.items())
    how = f"CSV, {encoding}, columns divided by {delimiter!r}: {said}"
    return how, _rows(file, encoding, delimiter, names, chosen)


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"


def _delimiter(file: Path, sample: str) -> str:
    """The one that gives the most rows as many columns as the header, then the most columns."""
    found = []
    for delimiter in DELIMITERS:
        widths: list[int] = []
        try:
            for row in csv.reader(io.StringIO(sample, newline=""), delimiter=delimiter):
                widths.append(len(row))
        except csv.Error:
            pass  # what can be read of the sample counts
        widths = [width for width in widths if width][:100]
        if widths and widths[0] > 1:
            alike = sum(width == widths[0] for width in widths) / len(widths)
            found.append((alike, widths[0], delimiter))
    if not found:
        raise LogQuestion(
            f"{file} is no event log that is recognised: its first line, "
            f"{sample.partition(chr(10))[0][:80]!r}, has one column. A log needs three, for case, "
            "activity and time; if they are divided by an unusual sign, give --delimiter"
        )
    return max(found)[2]


def _names(header: list[str], oddities: Oddities) -> list[str]:
    """The columns' names, all different and none empty."""
    names: list[str] = []
    for number, name in enumerate(header, start=1):
        if not name:
            oddities.add("column without a name: called by its number", 1)
            name = f"column {number}"
        if name in names:
            oddities.add("column with the name of another: numbered", 1)
            name = next(n for k in range(2, number + 2) if (n := f"{name} {k}") not in names)
        names.append(name)
    return names


def _column(file: Path, role: str, names: list[str], given: str | None) -> int:
    """Which column has this role."""
    if given is not None:
        if given not in names:
            raise LogQuestion(f"{file} has no column {given!r}; its columns: {', '.join(names)}")
        return names.index(given)
    standard = {"case": CASE, "activity": ACTIVITY, "time": TIME}[role]
    if standard in names:
        return names.index(standard)
    plain = [re.sub(r"[\W_]", "", name.lower()) for name in names]
    for tier in NAMES[role]:
        known = tier.split()
        found = [index for index, name in enumerate(plain) if name in known]
        if len(found) > 1:
            listed = " or ".join(repr(names[index]) for index in found)
            raise LogQuestion(f"which column of {file} is the {role}, {listed}? Give --{role} NAME")
        if found:
            return found[0]
    raise LogQuestion(
        f"{file} has no column that is recognised as the {role}; its columns: "
        f"{', '.join(names)}. Give --{role} NAME"
    )


def _rows(
    file: Path, encoding: str, delimiter: str, names: list[str], chosen: dict[str, int]
) -> Iterator[Row]:
    case, activity, time = chosen.values()
    others = [(i, name) for i, name in enumerate(names) if i not in (case, activity, time)]
    with opened(file) as content:
        text = io.TextIOWrapper(content, encoding, newline="")
        reader = csv.reader(text, delimiter=delimiter, strict=True)
        try:
            next(reader)
            for row in reader:
                if not row:
                    continue
                if len(row) != len(names):
                    raise LogError(
                        f"{file} is damaged at line {reader.line_num:,}: {len(row)} values for "
                        f"{len(names)} columns (a file cut short, or {delimiter!r} in a value "
                        "without quotes)"
                    )
                data = {name: row[i] for i, name in others if row[i] != ""}
                yield Row(reader.line_num, row[case], row[activity], row[time], data)
        except csv.Error as error:
            raise LogError(f"{file} is damaged at line {reader.line_num:,}: {error}") from error
        except UnicodeError as error:
            while content.read(1 << 20):  # raises for gzip data that is damaged: then it is that
                pass
            raise LogQuestion(
                f"{file} is not {encoding} after line {reader.line_num:,} ({error.reason}): give "
                "its encoding, such as --encoding cp1252"
                if isinstance(error, UnicodeDecodeError)
                else f"{file} is not {encoding}: {error}"
            ) from error


def write_csv(cases: Iterable[Case], varying: set[str], file: TextIO) -> Counter[str]:
    """Write cases, one row per event; what was odd, counted.

    cases: gone through twice. varying: names that begin with ``case:`` and yet belong to events.
    """
    own: dict[str, str] = {}
    shared: dict[str, str] = {}
    for case in cases:
        for event in case.events:
            for field, value in event.data.items():
                for name, _ in flat(field, value):
                    is_shared = name.startswith(CASE_PREFIX) and field not in varying
                    (shared if is_shared else own).setdefault(name, written_name(name))
    writer = csv.writer(file)
    writer.writerow([CASE, ACTIVITY, TIME, *own.values(), *shared.values()])
    odd: Counter[str] = Counter()
    for case in cases:
        first = dict(pair for item in case.events[0].data.items() for pair in flat(*item))
        repeated = [_cell(first.get(name), odd) for name in shared]
        name = _cell(case.id.partition("-")[2], odd)
        for event in case.events:
            data = dict(pair for item in event.data.items() for pair in flat(*item))
            cells = [_cell(data.get(column), odd) for column in own]
            type_ = _cell(event.type, odd)
            writer.writerow([name, type_, event.at.isoformat(), *cells, *repeated])
    return odd


def _cell(value: object, odd: Counter[str]) -> str:
    text = "" if value is None else as_text(value)
    if not text.isascii() and (mended := re.sub("[\ud800-\udfff]", "\ufffd", text)) != text:
        odd["texts with half characters, which UTF-8 cannot hold: written as \ufffd"] += 1
        return mended
    return text
