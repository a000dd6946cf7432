"""Event logs as XES, the XML of IEEE 1849-2016: a trace per case, in it an event per event."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO
from xml.parsers import expat
from xml.sax.saxutils import quoteattr

from procutils.cases import Case
from procutils.logs_rows import ACTIVITY, CASE_PREFIX, TIME, LogError, Oddities, Row, opened
from procutils.logs_values import as_text, flat, written_name

CHUNK_BYTES = 1 << 18

_VALUES = {"string", "date", "int", "float", "boolean", "id"}
_NESTS = {"list", "container"}
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2016" xes.features="" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
  <extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
  <extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
  <global scope="trace">
    <string key="concept:name" value=""/>
  </global>
  <global scope="event">
    <string key="concept:name" value=""/>
    <date key="time:timestamp" value="1970-01-01T00:00:00.000+00:00"/>
  </global>
  <classifier name="Activity" keys="concept:name"/>
"""


def read_xes(file: Path, oddities: Oddities) -> Iterator[Row]:
    """The events trace by trace; a trace's attributes are in the row of its first event.

    Entities of the file's own are refused, so a small file cannot grow into a large one, and
    nothing outside the file is read. Attributes of the log itself are not events: they are not
    read. Raises LogError, while the rows are read, if the file is damaged or no XES.
    """
    parser = expat.ParserCreate()
    log = _Log(file, parser, oddities)
    parser.StartElementHandler, parser.EndElementHandler = log.start, log.end
    parser.EntityDeclHandler = log.entity
    try:
        with opened(file) as content:
            while chunk := content.read(CHUNK_BYTES):
                parser.Parse(chunk)
                yield from log.taken()
            parser.Parse(b"", True)
            yield from log.taken()
    except expat.ExpatError as error:
        raise LogError(f"{file} is damaged, or no XML: {error}") from error


class _Log:
    """What is open while the file is read, and the rows that are complete."""

    def __init__(self, file: Path, parser: expat.XMLParserType, oddities: Oddities) -> None:
        self._file, self._parser, self._oddities = file, parser, oddities
        self._rows: list[Row] = []
        self._open: list[str] = []  # elements
        self._skipped = 0  # elements inside one that says nothing about events
        self._keys: list[str] = []  # of nested attributes
        self._traces = 0
        self._cases: set[str] = set()
        self._trace: dict[str, Any] | None = None
        self._event: dict[str, Any] | None = None
        self._line = 0
        self._events: list[tuple[int, dict[str, Any]]] = []

    def taken(self) -> list[Row]:
        rows, self._rows = self._rows, []
        return rows

    def entity(self, name: str, *_: object) -> None:
        raise LogError(f"{self._file} declares an entity, {name!r}: no event log needs that")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if not self._open and tag != "log":
            raise LogError(f"{self._file} is XML, but no XES: it begins with <{tag}>, not <log>")
        self._open.append(tag)
        if self._skipped or tag == "global":
            self._skipped += 1
        elif tag == "trace":
            self._traces += 1
            self._trace, self._events = {}, []
        elif tag == "event":
            self._event, self._line = {}, self._parser.CurrentLineNumber
        elif tag in _VALUES or tag in _NESTS:
            self._keys.append(attributes.get("key") or "unnamed")
            if tag in _VALUES:
                self._attribute(tag, attributes.get("value", ""))

    def end(self, tag: str) -> None:
        tag = self._open.pop()
        if self._skipped:
            self._skipped -= 1
        elif tag == "trace":
            self._complete()
            self._trace = None
        elif tag == "event":
            if self._trace is None:
                self._oddities.add("event outside of any trace: left out", self._line)
            else:
                self._events.append((self._line, self._event))
            self._event = None
        elif tag in _VALUES or tag in _NESTS:
            self._keys.pop()

    def _attribute(self, tag: str, text: str) -> None:
        held = self._trace if self._event is None else self._event
        if held is None or text == "":
            return  # of the log; or empty, which is as good as missing
        name = "/".join(self._keys)
        line = self._parser.CurrentLineNumber
        if len(self._keys) > 1:
            self._oddities.add("attribute within another: stored beside it, as OUTER/INNER", line)
        if name in held:
            self._oddities.add("attribute given twice: the second numbered", line)
            name = next(n for k in range(2, len(held) + 3) if (n := f"{name} {k}") not in held)
        try:
            held[name] = _value(tag, text)
        except ValueError:
            self._oddities.add(f"<{tag}> whose value is none: stored as text", line)
            held[name] = text

    def _complete(self) -> None:
        line = self._parser.CurrentLineNumber
        case = as_text(self._trace.pop(ACTIVITY, ""))
        if not case.strip():
            self._oddities.add("trace without a name: called by its number", line)
            case = f"trace {self._traces}"
        if case in self._cases:
            self._oddities.add("trace with the name of another: taken for the same case", line)
        self._cases.add(case)
        if not self._events:
            self._oddities.add("trace without events: left out", line)
        shared = {CASE_PREFIX + name: value for name, value in self._trace.items()}
        for line, event in self._events:
            activity, time = as_text(event.pop(ACTIVITY, "")), as_text(event.pop(TIME, ""))
            self._rows.append(Row(line, case, activity, time, {**shared, **event}))
            shared = {}


def _value(tag: str, text: str) -> Any:
    if tag == "int":
        return int(text)
    if tag == "float":
        return float(text)
    if tag == "boolean":
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    return text


def write_xes(cases: Iterable[Case], varying: set[str], file: TextIO) -> Counter[str]:
    """Write cases, one trace each; what was odd, counted.

    varying: names that begin with ``case:`` and yet belong to events. Text that is a date with
    time and zone is written as a date.
    """
    odd: Counter[str] = Counter()
    file.write(_HEAD)
    for case in cases:
        file.write("  <trace>\n")
        file.write(_element("    ", ACTIVITY, case.id.partition("-")[2], odd))
        for name, value in _flat(case.events[0].data, varying, shared=True):
            file.write(_element("    ", name.removeprefix(CASE_PREFIX), value, odd))
        for event in case.events:
            file.write("    <event>\n")
            file.write(_element("      ", ACTIVITY, event.type, odd))
            precision = "microseconds" if event.at.microsecond % 1000 else "milliseconds"
            file.write(_element("      ", TIME, event.at.isoformat("T", precision), odd))
            for name, value in _flat(event.data, varying, shared=False):
                file.write(_element("      ", name, value, odd))
            file.write("    </event>\n")
        file.write("  </trace>\n")
    file.write("</log>\n")
    return odd


def _flat(data: dict[str, Any], varying: set[str], shared: bool) -> Iterator[tuple[str, Any]]:
    for field, value in data.items():
        if (field.startswith(CASE_PREFIX) and field not in varying) == shared:
            for name, part in flat(field, value):
                yield written_name(name), part


def _element(indent: str, key: str, value: Any, odd: Counter[str]) -> str:
    if isinstance(value, bool):
        tag = "boolean"
    elif isinstance(value, int | float):
        tag = "int" if isinstance(value, int) else "float"
    else:
        tag = "date" if _DATE.fullmatch(str(value)) else "string"
    return f"{indent}<{tag} key={_quoted(key, odd)} value={_quoted(as_text(value), odd)}/>\n"


def _quoted(text: str, odd: Counter[str]) -> str:
    if _NOT_XML.search(text):
        odd["texts with characters that XML cannot hold: written as \ufffd"] += 1
        text = _NOT_XML.sub("\ufffd", text)
    return quoteattr(text)
