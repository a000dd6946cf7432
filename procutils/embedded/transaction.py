"""What one transaction writes: records, their links, and the streams' heads.

Nothing of it outlives the transaction, so a rollback undoes everything.
"""

from __future__ import annotations

import json
import sqlite3
import time
import uuid
from collections.abc import Iterable
from typing import NamedTuple

from .expected import EXISTS, Stream, check_version, find_stream
from .schema import LAST_REVISION

LINK, METADATA, TOMBSTONE = "$>", "$metadata", "$streamDeleted"


class NewRecord(NamedTuple):
    """An event as a client proposes it. id: 16 bytes."""

    id: bytes
    type: str
    is_json: bool
    data: bytes
    metadata: bytes

    @property
    def size(self) -> int:
        return len(self.type) + len(self.data) + len(self.metadata)


class BadMetadata(Exception):
    """A ``$metadata`` record that cannot be honoured."""


def random_id() -> bytes:
    return uuid.uuid4().bytes


def system_record(type: str, data: object) -> NewRecord:
    encoded = data if isinstance(data, bytes) else json.dumps(data).encode()
    return NewRecord(random_id(), type, type != LINK, encoded, b"")


class Transaction:
    """Collects what is written and hands it to SQLite in ``flush``; the caller commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.created = time.time_ns() // 100
        last = connection.execute("SELECT max(position) FROM record").fetchone()[0]
        self.position: int = last or 0
        self._streams: dict[str, Stream] = {}
        self._changed: dict[str, Stream] = {}
        self._ids: dict[tuple[str, str], int] = {}
        self._rows: list[tuple] = []

    def stream(self, name: str) -> Stream:
        """The stream of this name, as this transaction sees it; a new one if there is none."""
        stream = self._streams.get(name)
        if stream is None:
            stream = find_stream(self.connection, name) or Stream(None, name)
            if stream.id is None and name.startswith("$$"):
                stream.max_count = 1  # only the newest metadata counts, as in KurrentDB
            self._streams[name] = stream
        return stream

    def check(self, name: str, expected: int) -> None:
        """Raise WrongExpectedVersion or StreamDeleted unless the stream is as expected."""
        # Metadata alone makes a stream "exist"; nothing else asks for it.
        has_metadata = expected == EXISTS and self.stream(f"$${name}").head >= 0
        check_version(self.stream(name), expected, has_metadata=has_metadata)

    def write(self, name: str, records: Iterable[NewRecord]) -> None:
        """Append to the stream and to the streams that link to it. Raises BadMetadata."""
        stream = self.stream(name)
        category = None if name.startswith("$") else category_of(name)
        links: list[tuple[str, bytes]] = []
        for record in records:
            self._add(stream, record, category, derived=False)
            if record.type == METADATA and name.startswith("$$"):
                self._apply_metadata(name[2:], record.data)
            for target in link_streams(name, category, record):
                links.append((target, f"{stream.head}@{name}".encode()))
        for target, data in links:
            self._add(self.stream(target), system_record(LINK, data), None, derived=True)

    def tombstone(self, name: str) -> None:
        stream = self.stream(name)
        stream.head = LAST_REVISION - 1
        self._add(stream, system_record(TOMBSTONE, {}), None, derived=False)

    def revive(self, name: str) -> None:
        """Let a soft-deleted stream go on counting, what it held staying hidden."""
        stream = self.stream(name)
        if stream.deleted:
            revived = self.metadata(name) | {"$tb": stream.head + 1}
            self.write(f"$${name}", [system_record(METADATA, revived)])

    def hide(self, name: str) -> None:
        """Soft-delete a stream."""
        self.write(f"$${name}", [system_record(METADATA, {"$tb": LAST_REVISION})])

    def metadata(self, name: str) -> dict:
        """The current metadata of a stream, {} if it has none."""
        meta = self.stream("$$" + name)
        row = self.connection.execute(
            "SELECT data FROM record WHERE stream = ? AND revision = ?", (meta.id, meta.head)
        ).fetchone()
        return json.loads(row[0]) if row else {}

    def flush(self) -> None:
        self.connection.executemany(
            "INSERT INTO record (position, stream, revision, type, category, derived, id, created,"
            " is_json, data, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            self._rows,
        )
        self.connection.executemany(
            "UPDATE stream SET head = ?, truncate_before = ?, max_count = ?, max_age = ?"
            " WHERE id = ?",
            [
                (s.head, s.truncate_before, s.max_count, s.max_age, s.id)
                for s in self._changed.values()
            ],
        )

    def _add(
        self, stream: Stream, record: NewRecord, category: str | None, *, derived: bool
    ) -> None:
        self._change(stream)
        self.position += 1
        stream.head += 1
        self._rows.append(
            (
                self.position,
                stream.id,
                stream.head,
                self._id_of("type", record.type),
                self._id_of("category", category) if category is not None else None,
                derived,
                record.id,
                self.created,
                record.is_json,
                record.data,
                record.metadata,
            )
        )

    def _change(self, stream: Stream) -> None:
        if stream.id is None:
            stream.id = self.connection.execute(
                "INSERT INTO stream (name) VALUES (?)", (stream.name,)
            ).lastrowid
        self._changed[stream.name] = stream

    def _id_of(self, table: str, name: str) -> int:
        known = self._ids.get((table, name))
        if known is None:
            row = self.connection.execute(
                f"SELECT id FROM {table} WHERE name = ?", (name,)
            ).fetchone()
            known = (
                row[0]
                if row
                else self.connection.execute(
                    f"INSERT INTO {table} (name) VALUES (?)", (name,)
                ).lastrowid
            )
            self._ids[table, name] = known
        return known

    def _apply_metadata(self, name: str, data: bytes) -> None:
        try:
            metadata = json.loads(data or b"{}")
        except ValueError as error:
            raise BadMetadata(f"The metadata of stream '{name}' is not JSON: {error}") from error
        if not isinstance(metadata, dict):
            raise BadMetadata(f"The metadata of stream '{name}' is not a JSON object: {metadata!r}")
        limits = [metadata.get(key) for key in ("$tb", "$maxCount", "$maxAge")]
        for key, limit in zip(("$tb", "$maxCount", "$maxAge"), limits, strict=True):
            if limit is not None and (type(limit) is not int or not 0 <= limit <= LAST_REVISION):
                raise BadMetadata(f"{key} of stream '{name}' is not a count: {limit!r}")
        stream = self.stream(name)
        self._change(stream)
        stream.truncate_before = limits[0] or 0
        stream.max_count, stream.max_age = limits[1], limits[2]


def category_of(name: str) -> str | None:
    """The text before the first '-'; None where there is no '-'."""
    category, dash, _ = name.partition("-")
    return category if dash and category else None


def link_streams(name: str, category: str | None, record: NewRecord) -> list[str]:
    """The streams of KurrentDB's standard projections in which a record gets a link."""
    if name.startswith("$") or record.type.startswith("$"):
        return []
    streams = [f"$et-{record.type}"]
    if category is not None:
        streams.append(f"$ce-{category}")
    if b"$correlationId" in record.metadata:
        correlation = correlation_of(record.metadata)
        if correlation is not None:
            streams.append(f"$bc-{correlation}")
    return streams


def correlation_of(metadata: bytes) -> str | None:
    try:
        decoded = json.loads(metadata)
    except ValueError:
        return None  # metadata may be any bytes; only JSON objects carry a correlation
    value = decoded.get("$correlationId") if isinstance(decoded, dict) else None
    return value if isinstance(value, str) and value else None
