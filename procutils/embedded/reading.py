"""Reading the log page by page, in both directions, with links resolved on request."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .expected import Stream, StreamDeleted, find_stream
from .filters import Filter
from .log import Log
from .schema import LAST_REVISION
from .transaction import LINK

#: A page ends at this many records, or after this many bytes.
PAGE_RECORDS, PAGE_BYTES = 1000, 4 * 2**20


class StreamNotFound(Exception):
    """The stream was never written, or is soft-deleted."""


class Record(NamedTuple):
    """A record as stored. created: 100 ns ticks since 1970."""

    position: int
    stream: str
    revision: int
    type: str
    id: bytes
    created: int
    is_json: bool
    data: bytes
    metadata: bytes


class Found(NamedTuple):
    """What a read returns: an event, or a link with the event that it leads to, if any."""

    event: Record | None
    link: Record | None = None

    @property
    def place(self) -> Record:
        """The record that stands in what was read."""
        return self.link or self.event


class Window(NamedTuple):
    """A part of a read: what was found up to and including ``end``, a position or revision."""

    found: list[Found]
    end: int


_SELECT = """
SELECT r.position, s.name, r.revision, t.name, r.id, r.created, r.is_json, r.data, r.metadata
FROM record r CROSS JOIN stream s ON s.id = r.stream CROSS JOIN type t ON t.id = r.type
"""
_TARGET = """
SELECT r.position, s.name, r.revision, t.name, r.id, r.created, r.is_json, r.data, r.metadata
FROM stream s CROSS JOIN record r ON r.stream = s.id CROSS JOIN type t ON t.id = r.type
WHERE s.name = ? AND r.revision = ? AND s.head < ? AND r.revision >= s.truncate_before
AND (s.max_count IS NULL OR r.revision > s.head - s.max_count)
AND (s.max_age IS NULL OR r.created >= ? - s.max_age * 10000000)
"""


def read_stream(
    log: Log,
    name: str,
    start: int,
    *,
    backwards: bool = False,
    resolve: bool = False,
    at_most: int = PAGE_RECORDS,
) -> Iterator[Window]:
    """The stream from revision ``start`` on, that one included, up to where it ends now.

    ``$tb``, ``$maxCount`` and ``$maxAge`` are honoured. Window ends are revisions. at_most: records
    in a window. Raises StreamNotFound and StreamDeleted.
    """
    with log.reading() as connection:
        stream = find_stream(connection, name)
    if stream is not None and stream.tombstoned:
        raise StreamDeleted(name)
    if stream is None or stream.deleted or stream.head < 0:
        raise StreamNotFound(name)
    low = stream.first if backwards else max(start, stream.first)
    high = min(start, stream.head) if backwards else stream.head
    order = "DESC" if backwards else "ASC"
    query = (
        f"{_SELECT} WHERE r.stream = ? AND r.revision BETWEEN ? AND ? AND r.created >= ?"
        f" ORDER BY r.revision {order}"
    )
    oldest, rows = _oldest(stream), min(at_most, PAGE_RECORDS)
    while low <= high:
        with log.reading() as connection:
            page = _page(connection.execute(query, (stream.id, low, high, oldest)), rows)
            if not page:
                return
            end = page[-1].revision
            found = _resolved(connection, page) if resolve else [Found(record) for record in page]
        yield Window(found, end)
        low, high = (low, end - 1) if backwards else (end + 1, high)


def read_all(
    log: Log,
    low: int,
    high: int,
    wanted: Filter,
    *,
    backwards: bool = False,
    resolve: bool = False,
    at_most: int = PAGE_RECORDS,
) -> Iterator[Window]:
    """The log between two positions, both included. Window ends are positions considered, whether
    wanted or not. at_most: records wanted in a window."""
    order = "DESC" if backwards else "ASC"
    rows = min(at_most, PAGE_RECORDS)
    width = min(64, wanted.width or 64)
    while low <= high:
        span = high - low + 1 if wanted.width is None else min(width, high - low + 1)
        first, last = (high - span + 1, high) if backwards else (low, low + span - 1)
        with log.reading() as connection:
            condition, parameters = wanted.condition(connection, first, last)
            query = (
                f"{_SELECT} WHERE r.position BETWEEN ? AND ?{condition} ORDER BY r.position {order}"
            )
            page = _page(connection.execute(query, (first, last, *parameters)), rows)
            found = _resolved(connection, page) if resolve else [Found(record) for record in page]
        end = first if backwards else last
        if page and (len(page) == rows or _bytes(page) > PAGE_BYTES):
            end = page[-1].position  # the page was full before the window was read
        yield Window(found, end)
        low, high = (low, end - 1) if backwards else (end + 1, high)
        width = min(2 * width, wanted.width or width)


def flatten(windows: Iterable[Window], count: int) -> Iterator[Found]:
    """The first ``count`` finds."""
    if count <= 0:
        return
    for window in windows:
        for found in window.found:
            yield found
            count -= 1
            if count == 0:
                return


def last_revision(log: Log, name: str) -> int:
    """The revision at which the stream stands, -1 for none. Raises StreamDeleted (tombstone)."""
    with log.reading() as connection:
        stream = find_stream(connection, name)
    if stream is not None and stream.tombstoned:
        raise StreamDeleted(name)
    return -1 if stream is None else stream.head


def _page(cursor: sqlite3.Cursor, rows: int) -> list[Record]:
    page, size = [], 0
    for row in cursor:
        record = Record._make(row)
        page.append(record)
        size += len(record.data) + len(record.metadata)
        if len(page) == rows or size > PAGE_BYTES:
            break
    cursor.close()
    return page


def _bytes(page: list[Record]) -> int:
    return sum(len(record.data) + len(record.metadata) for record in page)


def _resolved(connection: sqlite3.Connection, page: list[Record]) -> list[Found]:
    return [
        Found(_target(connection, record), record) if record.type == LINK else Found(record)
        for record in page
    ]


def _target(connection: sqlite3.Connection, link: Record) -> Record | None:
    revision, at, stream = link.data.decode("utf8", "replace").partition("@")
    if not at or not revision.isdecimal():
        return None
    parameters = (stream, int(revision), LAST_REVISION, time.time_ns() // 100)
    row = connection.execute(_TARGET, parameters).fetchone()
    return Record._make(row) if row else None


def _oldest(stream: Stream) -> int:
    """The earliest ``created`` that $maxAge still lets through, in ticks."""
    if stream.max_age is None:
        return 0
    return max(0, time.time_ns() // 100 - stream.max_age * 10_000_000)
