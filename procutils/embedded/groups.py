"""All persistent subscriptions of a log: kept in its file, each at work in a thread of its own."""

from __future__ import annotations

import threading

from .group import Group
from .log import Log
from .parking import parked_stream
from .refusals import SubscriptionExists, SubscriptionNotFound
from .settings import Settings
from .sources import first_place, make_source


class Groups:
    """Raises StoreFailed wherever the file is read or written."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self._changing = threading.Lock()
        with log.reading() as connection:
            rows = connection.execute(
                "SELECT source, name, settings, start, checkpoint FROM subscription"
            ).fetchall()
        self._groups = {
            (source, name): Group(
                log, source, name, Settings.from_json(settings), _before(start, checkpoint)
            )
            for source, name, settings, start, checkpoint in rows
        }

    def find(self, source: str, name: str) -> Group:
        """Raises SubscriptionNotFound."""
        group = self._groups.get((source, name))
        if group is None:
            raise SubscriptionNotFound(source, name)
        return group

    def all(self, source: str | None = None) -> list[Group]:
        """Those to one stream (or ``$all``), or every one; in the order of their creation."""
        groups = list(self._groups.values())
        return [group for group in groups if source is None or group.source_name == source]

    def create(self, source: str, name: str, settings: Settings) -> None:
        """Raises SubscriptionExists."""
        with self._changing:
            if (source, name) in self._groups:
                raise SubscriptionExists(source, name)
            start = first_place(make_source(self.log, source, settings))
            with self.log.transaction() as transaction:
                transaction.connection.execute(
                    "INSERT INTO subscription (source, name, settings, start) VALUES (?, ?, ?, ?)",
                    (source, name, settings.to_json(), start),
                )
            self._groups[source, name] = Group(self.log, source, name, settings, start - 1)

    def update(self, source: str, name: str, settings: Settings) -> None:
        """Its consumers are ended. What was handled stays handled: another start counts only where
        there is no checkpoint yet. Raises SubscriptionNotFound."""
        with self._changing:
            group = self.find(source, name)
            group.stop()
            with self.log.reading() as connection:
                start, checkpoint = connection.execute(
                    "SELECT start, checkpoint FROM subscription WHERE source = ? AND name = ?",
                    (source, name),
                ).fetchone()
            if settings.start != group.settings.start:
                start = first_place(make_source(self.log, source, settings))
            with self.log.transaction() as transaction:
                transaction.connection.execute(
                    "UPDATE subscription SET settings = ?, start = ? WHERE source = ? AND name = ?",
                    (settings.to_json(), start, source, name),
                )
            stored = _before(start, checkpoint)
            self._groups[source, name] = Group(self.log, source, name, settings, stored)

    def restart(self) -> None:
        """All consumers are ended, and every subscription starts from what is stored."""
        for group in self.all():
            self.update(group.source_name, group.name, group.settings)

    def delete(self, source: str, name: str) -> None:
        """With what it has parked. Raises SubscriptionNotFound."""
        with self._changing:
            self.find(source, name).stop()
            parked = parked_stream(source, name)
            with self.log.transaction() as transaction:
                transaction.connection.execute(
                    "DELETE FROM subscription WHERE source = ? AND name = ?", (source, name)
                )
                if transaction.stream(parked).head >= 0:
                    transaction.hide(parked)
            del self._groups[source, name]

    def stop(self) -> None:
        """Write all checkpoints and end all consumers, before the log is closed."""
        with self._changing:
            for group in self._groups.values():
                group.stop()


def _before(start: int, checkpoint: int | None) -> int:
    """The last place that is handled, or not to be."""
    return start - 1 if checkpoint is None else checkpoint
