"""Which records of the log a read or subscription wants.

A filter is turned into SQL once per window of the log. Patterns are tried on the distinct event
types or stream names of that window, not on each record.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar


class BadFilter(ValueError):
    """A filter that the server cannot evaluate."""


@dataclass(frozen=True)
class Everything:
    """No filter."""

    #: Records that one window may span; None: the SQL condition reaches them through an index.
    width: ClassVar[int | None] = None

    def condition(self, connection: sqlite3.Connection, low: int, high: int) -> tuple[str, list]:
        """SQL to add to a query on ``record r`` at positions low..high, and its parameters."""
        return "", []


@dataclass(frozen=True)
class Matching:
    """Records whose event type or stream name is accepted. column: "type" or "stream"."""

    column: str
    accepts: Callable[[str], object]
    width: ClassVar[int | None] = 4096

    def condition(self, connection: sqlite3.Connection, low: int, high: int) -> tuple[str, list]:
        names = connection.execute(
            f"SELECT id, name FROM {self.column} WHERE id IN"
            f" (SELECT {self.column} FROM record WHERE position BETWEEN ? AND ?)",
            (low, high),
        )
        ids = [id for id, name in names if self.accepts(name)]
        # The plus keeps SQLite on the range of positions, instead of an index on the column.
        return f" AND +r.{self.column} IN (SELECT value FROM json_each(?))", [json.dumps(ids)]


@dataclass(frozen=True)
class Index:
    """The records of one category, or of one event type, through their index."""

    column: str
    name: str
    width: ClassVar[int | None] = None

    def condition(self, connection: sqlite3.Connection, low: int, high: int) -> tuple[str, list]:
        partial = "r.derived = 0" if self.column == "type" else "r.category IS NOT NULL"
        return (
            f" AND r.{self.column} = (SELECT id FROM {self.column} WHERE name = ?) AND {partial}",
            [self.name],
        )


Filter = Everything | Matching | Index


def make_filter(*, by_stream: bool, regex: str = "", prefixes: tuple[str, ...] = ()) -> Filter:
    """A filter from what a request says. Raises BadFilter."""
    indices = [prefix for prefix in prefixes if prefix.startswith("$idx-")]
    if indices:
        return _index(indices[0]) if len(prefixes) == 1 else _refuse(prefixes)
    column = "stream" if by_stream else "type"
    if prefixes:
        return Matching(column, lambda name: name.startswith(prefixes))
    try:
        return Matching(column, re.compile(regex).search)
    except re.error as error:
        raise BadFilter(f"The filter {regex!r} is not a regular expression: {error}") from error


def _index(name: str) -> Index:
    kind, _, value = name.removeprefix("$idx-").partition("-")
    columns = {"ce": "category", "et": "type"}
    if kind not in columns or not value:
        raise BadFilter(
            f"There is no index {name!r}: use $idx-ce-<category> or $idx-et-<event type>."
        )
    return Index(columns[kind], value)


def _refuse(prefixes: tuple[str, ...]) -> Index:
    raise BadFilter(f"An index is read alone, not with other prefixes: {', '.join(prefixes)}.")
