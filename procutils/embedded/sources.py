"""What a persistent subscription reads: a stream, or the whole log."""

from __future__ import annotations

from collections.abc import Iterator

from .expected import StreamDeleted
from .log import Log
from .messages import ALL
from .reading import (
    Record,
    StreamNotFound,
    Window,
    last_revision,
    read_all,
    read_stream,
)
from .schema import LAST_REVISION
from .settings import END, Settings


class StreamSource:
    """Places are revisions."""

    def __init__(self, log: Log, name: str, settings: Settings) -> None:
        self.log, self.name, self.settings = log, name, settings

    def pages(self, after: int) -> Iterator[Window]:
        """What the stream holds now after a revision; nothing while there is no such stream."""
        try:
            yield from read_stream(
                self.log,
                self.name,
                after + 1,
                resolve=self.settings.resolve_links,
                at_most=self.settings.read_batch_size,
            )
        except (StreamNotFound, StreamDeleted):
            return

    def end(self) -> int:
        """The last revision, -1 for none."""
        try:
            return last_revision(self.log, self.name)
        except StreamDeleted:
            return LAST_REVISION - 1  # that of the tombstone; nothing comes after it

    def place(self, record: Record) -> int:
        return record.revision

    def text(self, place: int) -> str:
        """A place as ``SubscriptionInfo`` shows it."""
        return str(place)


class AllSource:
    """Places are commit positions."""

    def __init__(self, log: Log, settings: Settings) -> None:
        self.log, self.settings = log, settings

    def pages(self, after: int) -> Iterator[Window]:
        return read_all(
            self.log,
            after + 1,
            self.log.position,
            self.settings.wanted,
            resolve=self.settings.resolve_links,
            at_most=self.settings.read_batch_size,
        )

    def end(self) -> int:
        return self.log.position

    def place(self, record: Record) -> int:
        return record.position

    def text(self, place: int) -> str:
        return f"C:{place}/P:{place}"


Source = StreamSource | AllSource


def make_source(log: Log, name: str, settings: Settings) -> Source:
    return AllSource(log, settings) if name == ALL else StreamSource(log, name, settings)


def first_place(source: Source) -> int:
    """Where the settings say to start; the end is taken as it is now."""
    start = source.settings.start
    return source.end() + 1 if start == END else start
