"""The file of the log: its SQLite schema, and the checks before it is opened.

One file holds the whole log. It is created under another name and renamed when complete, so that a
file under its own name always has a schema and an owner mark.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

#: Marks a file as ours (PRAGMA application_id): "KLog" in ASCII.
APPLICATION_ID = 0x4B4C6F67
SCHEMA_VERSION = 2

#: The revision of a tombstone, and the ``$tb`` of a soft-deleted stream.
LAST_REVISION = 2**63 - 1

#: What version 2 added.
MANAGED = """
CREATE TABLE subscription (                       -- persistent subscriptions
    source TEXT NOT NULL,                         -- a stream, or $all
    name TEXT NOT NULL,                           -- the group of consumers
    settings TEXT NOT NULL,                       -- JSON
    start INTEGER NOT NULL,                       -- the first place that is its own
    checkpoint INTEGER,                           -- the last place handled, with all before it
    PRIMARY KEY (source, name)
) STRICT;
CREATE TABLE projection (
    name TEXT PRIMARY KEY,
    query TEXT NOT NULL,
    settings TEXT NOT NULL                        -- JSON
) STRICT;
"""

SCHEMA = f"""
CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    head INTEGER NOT NULL DEFAULT -1,             -- last revision; -1: none; 2^63-1: tombstoned
    truncate_before INTEGER NOT NULL DEFAULT 0,   -- $tb
    max_count INTEGER,                            -- $maxCount
    max_age INTEGER                               -- $maxAge, seconds
) STRICT;
CREATE TABLE type (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE category (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE record (
    position INTEGER PRIMARY KEY,                 -- commit position: 1, 2, 3, … without gaps
    stream INTEGER NOT NULL REFERENCES stream (id),
    revision INTEGER NOT NULL,
    type INTEGER NOT NULL REFERENCES type (id),
    category INTEGER REFERENCES category (id),    -- of what $ce- links to, else NULL
    derived INTEGER NOT NULL,                     -- 1: a link that the server wrote by itself
    id BLOB NOT NULL,                             -- 16 bytes
    created INTEGER NOT NULL,                     -- 100 ns ticks since 1970
    is_json INTEGER NOT NULL,
    data BLOB NOT NULL,
    metadata BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX record_by_revision ON record (stream, revision);
CREATE INDEX record_by_id ON record (stream, id) WHERE derived = 0;
CREATE INDEX record_by_type ON record (type, position) WHERE derived = 0;
CREATE INDEX record_by_category ON record (category, position) WHERE category IS NOT NULL;
{MANAGED}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class StoreUnreadable(Exception):
    """The file is not a log that this version can read. It was left as it is.

    path: the file; reason: what is wrong with it.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(
            f"Cannot read the event store {path}: {reason}. The file was left untouched. Move it "
            f"away, with {path.name}-wal and {path.name}-shm if they are there, to start with an "
            "empty store; or put back a copy; or choose another data folder."
        )


class StoreFailed(Exception):
    """A read or write could not be carried out, for a reason outside this program."""

    def __init__(self, path: Path, reason: sqlite3.Error | str) -> None:
        super().__init__(
            f"The event store {path} failed: {reason}. Nothing was written by this call. See that "
            "the disk has room and the file may be written, then try again."
        )


def connect(path: Path) -> sqlite3.Connection:
    """A connection for writing to an existing log, in autocommit mode. An older log is upgraded.

    Journal: WAL with synchronous=FULL. Each commit is on the disk (fsync of the WAL) before the
    append is answered, so neither kill -9 nor a power failure loses an acknowledged event. NORMAL
    would survive kill -9 only: after a power failure the last commits could be missing.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA cache_size = -16000")
    if connection.execute("PRAGMA user_version").fetchone()[0] == 1:
        upgrade = f"BEGIN IMMEDIATE;{MANAGED}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
        connection.executescript(upgrade)
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; it sees what was committed before each of its statements."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


def create(path: Path) -> None:
    """Write an empty log to ``path``, all of it or nothing.

    Raises StoreUnreadable beside the journal of a lost file: SQLite would replay that into the
    new one.
    """
    if _journal(path).exists():
        raise StoreUnreadable(path, f"the file is missing, but its journal {_journal(path)} exists")
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    connection = sqlite3.connect(partial, isolation_level=None)
    connection.executescript(f"BEGIN;{SCHEMA}COMMIT;")
    connection.close()
    os.replace(partial, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check(path: Path) -> None:
    """Raise StoreUnreadable unless ``path`` is a sound log of this schema version.

    The header is read as plain bytes, before SQLite touches the file: opening a database may
    already change it (recovery, switching the journal).
    """
    with path.open("rb") as file:
        header = file.read(100)
    if len(header) < 100 or not header.startswith(b"SQLite format 3\0"):
        raise StoreUnreadable(path, "it is not an SQLite database")
    application_id = int.from_bytes(header[68:72], "big")
    if application_id != APPLICATION_ID:
        raise StoreUnreadable(path, "it is the database of another application")
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        reason = f"its schema version {version} is newer than this program's ({SCHEMA_VERSION})"
        raise StoreUnreadable(path, f"{reason}; update the program")
    # Without a journal to replay nothing beside the file is needed, so that nothing is made.
    mode = "mode=ro" if _journal(path).exists() else "immutable=1"
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
        try:
            found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        raise StoreUnreadable(path, f"it is damaged ({error})") from error
    if found != "ok":
        raise StoreUnreadable(path, f"it is damaged ({found})")


def _journal(path: Path) -> Path:
    """SQLite's write-ahead log: there while the file is open, and after a crash."""
    return path.with_name(path.name + "-wal")
