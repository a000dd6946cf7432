"""Attributes of event logs: what is a number, a truth value or text, alike for CSV and XES.

CSV knows text only, and writers of XES often declare numbers as text. So the kind of an attribute
is decided over the whole log, by the same rule for both: then a log gives the same cases whichever
way it came, and again after it was written out.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from procutils.logs_rows import ACTIVITY, CASE, CASE_PREFIX, TIME
from procutils.records import TIMESTAMP

_FIRST = set("-0123456789tTfF")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,14})")
_POINT = re.compile(r"-?(0|[1-9]\d*)(\.\d+(e[+-]\d+)?|e[+-]\d+)")
_COMMA = re.compile(r"-?(0|[1-9]\d*),(\d+)")
_TRUTH = re.compile(r"true|false", re.IGNORECASE)

#: What a text looks like → the kind of an attribute that has such texts only. A number with three
#: digits after its comma may be in thousands: it takes another number to tell.
_LOOKS = {
    "truth": [{"truth"}],
    "number": [{"whole", "point"}, {"whole", "comma"}, {"whole", "comma", "comma or thousands"}],
}

#: Extensions of XES, and last words of names, that name something: digits there are no quantity.
_LABEL_PREFIXES = ("concept:", "org:", "lifecycle:", "identity:")
_LABELS = {"id", "ids", "key", "code", "name", "nr", "no", "number"} | {
    "resource",
    "user",
    "employee",
    "agent",
    "role",
    "group",
}


class Kinds:
    """The kind of every attribute: ``number``, ``truth`` or ``text``, the last where they mix."""

    def __init__(self) -> None:
        self._seen: dict[str, set[str]] = {}
        self._texts: set[str] = set()
        self._decided: dict[str, str] = {}

    def see(self, name: str, value: Any) -> None:
        """Learn from one value."""
        self._seen.setdefault(name, set()).add(_look(value))
        if isinstance(value, str):
            self._texts.add(name)

    def mended(self) -> list[str]:
        """The names of attributes that came as text, and are numbers or truth values."""
        return sorted(name for name in self._texts if self.kind(name) != "text")

    def kind(self, name: str) -> str:
        seen = self._seen[name]
        if (
            is_label(name)
            or seen == {"comma or thousands"}
            or seen == {"whole", "comma or thousands"}
        ):
            return "text"
        return next((k for k, looks in _LOOKS.items() if any(map(seen.issubset, looks))), "text")

    def convert(self, name: str, value: Any) -> Any:
        """A value as its attribute's kind has it, after all were seen."""
        kind = self._decided.get(name) or self._decided.setdefault(name, self.kind(name))
        if kind == "text" or not isinstance(value, str):
            return as_text(value) if kind == "text" else value
        if kind == "truth":
            return value.lower() == "true"
        return int(value) if _WHOLE.fullmatch(value) else float(value.replace(",", "."))


def is_label(name: str) -> bool:
    """Whether an attribute of this name names something, so that digits in it are no quantity."""
    name = name.removeprefix(CASE_PREFIX)
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return name.startswith(_LABEL_PREFIXES) or (bool(words) and words[-1].lower() in _LABELS)


def _look(value: Any) -> str:
    text = as_text(value)
    if text[:1] not in _FIRST:
        return "text"
    if _TRUTH.fullmatch(text):
        return "truth"
    if _WHOLE.fullmatch(text):
        return "whole"
    if _POINT.fullmatch(text):
        return "point" if math.isfinite(float(text)) else "text"
    if match := _COMMA.fullmatch(text):
        return "comma or thousands" if len(match[2]) == 3 else "comma"
    return "text"


def as_text(value: Any) -> str:
    """A single value as CSV and XES write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, int | float) else str(value)


def stored_name(name: str) -> str:
    """An attribute's name in ``Event.data``: the store has a use of its own for ``timestamp``.

    So has a log for three names; they are attributes only where other columns were chosen.
    """
    reserved = name.rstrip("_") == TIMESTAMP or name in (CASE, ACTIVITY, TIME)
    return name + "_" if reserved else name


def written_name(name: str) -> str:
    """The name in ``Event.data`` as files have it, the reverse of :func:`stored_name`."""
    if name.rstrip("_") == TIMESTAMP and name != TIMESTAMP:
        return name[:-1]
    return name + "_" if name in (CASE, ACTIVITY, TIME) else name


def flat(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """A field of an event as attributes, parts of it as ``name/part``; what is empty is none."""
    if isinstance(value, dict):
        for part, inner in value.items():
            yield from flat(f"{name}/{part}", inner)
    elif isinstance(value, list):
        for number, inner in enumerate(value, start=1):
            yield from flat(f"{name}/{number}", inner)
    elif value is not None and value != "":
        yield name, value


def compact(data: Any) -> str:
    """As JSON, in few characters."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))
