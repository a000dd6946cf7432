"""Expected versions: may this append be written, and was it written before?

An append is idempotent by its event ids, so that a client may repeat it when the answer was lost.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from .schema import LAST_REVISION

NO_STREAM, ANY, EXISTS = -1, -2, -4


class WrongExpectedVersion(Exception):
    """The stream is not where the writer expected it. current: its last revision, -1 for none."""

    def __init__(self, stream: str, expected: int, current: int) -> None:
        self.stream, self.expected, self.current = stream, expected, current
        super().__init__(
            f"WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, "
            f"Actual version: {current}"
        )


class StreamDeleted(Exception):
    """The stream is tombstoned, or soft-deleted where an existing one was expected."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        super().__init__(f"Event stream '{stream}' is deleted.")


@dataclass(slots=True)
class Stream:
    """A row of the stream table. id is None until the stream has one."""

    id: int | None
    name: str
    head: int = -1
    truncate_before: int = 0
    max_count: int | None = None
    max_age: int | None = None

    @property
    def tombstoned(self) -> bool:
        return self.head == LAST_REVISION

    @property
    def deleted(self) -> bool:
        """Soft-deleted: it reads as not found, and goes on counting when written again."""
        return self.truncate_before == LAST_REVISION

    @property
    def first(self) -> int:
        """The first revision that may be read ($maxAge aside)."""
        kept = 0 if self.max_count is None else self.head - self.max_count + 1
        return max(self.truncate_before, kept)


def find_stream(connection: sqlite3.Connection, name: str) -> Stream | None:
    row = connection.execute(
        "SELECT id, name, head, truncate_before, max_count, max_age FROM stream WHERE name = ?",
        (name,),
    ).fetchone()
    return Stream(*row) if row else None


def check_version(stream: Stream, expected: int, *, has_metadata: bool) -> None:
    """Raise unless the stream is in the expected state; no event ids are considered."""
    if stream.tombstoned:
        raise StreamDeleted(stream.name)
    if expected == ANY or expected == stream.head:
        return
    if expected == NO_STREAM and stream.deleted:
        return
    if expected == EXISTS:
        if stream.deleted:
            raise StreamDeleted(stream.name)
        if stream.head >= 0 or has_metadata:
            return
    raise WrongExpectedVersion(stream.name, expected, stream.head)


def earlier_write(
    connection: sqlite3.Connection, stream: Stream, expected: int, ids: list[bytes]
) -> tuple[int, int] | None:
    """(revision, position) of the last event if exactly these events were written before.

    An exact version (or NO_STREAM) that the stream has passed: the ids must follow that version.
    ANY and EXISTS: they must follow wherever the first one is. Raises WrongExpectedVersion when
    only some of them do; None when none does, or nothing is to be compared.
    """
    if not ids or stream.id is None or stream.tombstoned:
        return None
    if expected in (ANY, EXISTS):
        # Without the hint SQLite walks the stream backwards until it meets the id.
        found = connection.execute(
            "SELECT max(revision) FROM record INDEXED BY record_by_id"
            " WHERE derived = 0 AND stream = ? AND id = ?",
            (stream.id, ids[0]),
        ).fetchone()[0]
        if found is None:
            return None
        start = found
    elif expected < stream.head:
        start = expected + 1
    else:
        return None
    rows = connection.execute(
        "SELECT id, revision, position FROM record WHERE stream = ? AND revision BETWEEN ? AND ?"
        " ORDER BY revision",
        (stream.id, start, start + len(ids) - 1),
    ).fetchall()
    if [row[0] for row in rows] == ids:
        return rows[-1][1], rows[-1][2]
    if rows and rows[0][0] == ids[0]:
        raise WrongExpectedVersion(stream.name, expected, stream.head)
    return None
