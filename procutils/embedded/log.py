"""The log: appends, deletions, and the news that something was appended.

SQLite is the log. Nothing of it is kept in memory, save its last position.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from . import schema
from .expected import WrongExpectedVersion, earlier_write
from .schema import LAST_REVISION
from .transaction import METADATA, NewRecord, Transaction, system_record


class Written(NamedTuple):
    """Where the last record of a write is. revision -1: the stream has none."""

    revision: int
    position: int


class Log:
    """A log in one SQLite file; safe to use from many threads.

    Raises StoreUnreadable on opening a file that is not a log of this version.
    """

    def __init__(self, path: Path) -> None:
        if path.exists():
            schema.check(path)
        else:
            schema.create(path)
        self.path = path
        self._writing = threading.Lock()
        self._connection = schema.connect(path)
        self._readers: list[sqlite3.Connection] = []
        self._news = threading.Condition()
        self._listeners: tuple[Callable[[], None], ...] = ()
        self._position = 0
        self._closed = False
        with self.transaction() as transaction:
            if transaction.position == 0:
                # Position 0 is never used: to resume after it means from the beginning.
                transaction.write("$$$log", [system_record(METADATA, {})])

    @property
    def position(self) -> int:
        """The position of the last committed record."""
        return self._position

    def append(self, stream: str, expected: int, records: Sequence[NewRecord]) -> Written:
        """Write all records or none; repeated with the same ids it writes nothing.

        expected: the stream's last revision, or NO_STREAM, ANY, EXISTS. Raises
        WrongExpectedVersion, StreamDeleted, BadMetadata, StoreFailed.
        """
        with self.transaction() as transaction:
            current = transaction.stream(stream)
            ids = [record.id for record in records]
            earlier = earlier_write(transaction.connection, current, expected, ids)
            if earlier is not None:
                return Written(*earlier)
            transaction.check(stream, expected)
            if not records:
                return Written(current.head, transaction.position)
            transaction.revive(stream)
            position = transaction.position + len(records)
            transaction.write(stream, records)
            return Written(current.head, position)

    def delete(self, stream: str, expected: int) -> Written:
        """Hide what the stream holds; it may be written again. Raises as ``append`` does."""
        with self.transaction() as transaction:
            current = transaction.stream(stream)
            if current.head < 0:  # whatever was expected, as KurrentDB does
                raise WrongExpectedVersion(stream, expected, current.head)
            transaction.check(stream, expected)
            transaction.hide(stream)
            return Written(transaction.stream(stream).head, transaction.position)

    def tombstone(self, stream: str, expected: int) -> Written:
        """Close the stream for ever. Raises as ``append`` does."""
        with self.transaction() as transaction:
            transaction.check(stream, expected)
            transaction.tombstone(stream)
            return Written(LAST_REVISION, transaction.position)

    def wait_beyond(self, position: int, active: Callable[[], bool]) -> None:
        """Sleep until the log is longer than ``position``, or no longer ``active`` (see wake)."""
        with self._news:
            self._news.wait_for(lambda: self._position > position or self._closed or not active())

    def listen(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` after each append, in the writer's thread: it must not wait."""
        with self._news:
            self._listeners = (*self._listeners, listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        with self._news:
            self._listeners = tuple(each for each in self._listeners if each != listener)

    def wake(self) -> None:
        """Let everyone who waits look again."""
        with self._news:
            self._news.notify_all()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Borrow a connection for one page. Not to be held while a client consumes the page: an
        open statement would keep the WAL from being folded back into the file."""
        self._refuse_if_closed()
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = schema.connect_reading(self.path)
        try:
            yield connection
        except sqlite3.Error as error:
            raise schema.StoreFailed(self.path, error) from error
        finally:
            if self._closed:
                connection.close()
            else:
                self._readers.append(connection)

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """What is written in here is committed at its end, or nothing of it. Raises StoreFailed."""
        with self._writing:
            self._refuse_if_closed()
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                transaction = Transaction(self._connection)
                yield transaction
                transaction.flush()
                self._connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise schema.StoreFailed(self.path, error) from error
            finally:
                if self._connection.in_transaction:  # left by an exception
                    self._connection.execute("ROLLBACK")
            if transaction.position > self._position:
                with self._news:
                    self._position = transaction.position
                    self._news.notify_all()
                for listener in self._listeners:
                    listener()

    def close(self) -> None:
        with self._writing:
            self._closed = True
            self.wake()
            while self._readers:
                self._readers.pop().close()
            self._connection.close()

    def _refuse_if_closed(self) -> None:
        # A call that was cancelled may still run for a moment after the server has stopped.
        if self._closed:
            raise schema.StoreFailed(self.path, "its server has stopped")
