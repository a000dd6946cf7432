"""KurrentDB in and out, through kurrentdbclient and nothing else.

A real server and the embedded one are spoken to by the same calls. Reading goes over ``$all`` with
a filter on stream names: that needs no projection, and has one order of events.
"""

from __future__ import annotations

import os
import re
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kurrentdbclient import KurrentDBClient, RecordedEvent
from kurrentdbclient.exceptions import KurrentDBClientError

from procutils.appends import append_cases
from procutils.cases import Case, Event
from procutils.embedded import EmbeddedKurrentDB, StoreInUse
from procutils.records import StoreError, to_event, truncation

__all__ = [
    "KurrentDB",
    "StoreError",
    "append_cases",
    "categories",
    "commit_position",
    "connect",
    "read_cases",
    "redact",
]

#: The category of streams of alerts, which are no process.
ALERTS = "anomaly"

#: Seconds that a server has to answer a first call, twice: the client tries again by itself.
ANSWER_S = 4

#: Seconds that another process may take to start the embedded server of the same folder.
STARTING_S = 5


@dataclass(frozen=True)
class KurrentDB:
    """An open database. kind: "embedded" or "external"; uri: without credentials."""

    client: KurrentDBClient
    kind: str
    uri: str
    _server: EmbeddedKurrentDB | None = None

    def close(self) -> None:
        """Close the client, and the embedded server if this process runs it."""
        self.client.close()
        if self._server is not None:
            self._server.stop()

    def __enter__(self) -> KurrentDB:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __str__(self) -> str:
        return f"{self.kind} KurrentDB at {self.uri}"


def connect(data: Path) -> KurrentDB:
    """Open the server that KURRENTDB_URI (environment) names, else the embedded one on ``data``.

    A folder that another process has open is used through that process. Raises StoreError within
    about ten seconds if the server does not answer.
    """
    if uri := os.environ.get("KURRENTDB_URI"):
        return KurrentDB(_reach(uri), "external", redact(uri))
    server = EmbeddedKurrentDB(data)
    deadline = time.monotonic() + STARTING_S
    while True:
        try:
            server.start()
        except StoreInUse as other:
            if other.uri is not None:
                return KurrentDB(_reach(other.uri), "embedded", other.uri)
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return KurrentDB(KurrentDBClient(server.uri), "embedded", server.uri, server)


def redact(uri: str) -> str:
    """The uri without user and password: all before the last ``@`` of ``scheme://…@`` is masked."""
    return re.sub(r"//.*@", "//***@", uri, flags=re.DOTALL)


def _reach(uri: str) -> KurrentDBClient:
    """A client that has had an answer. Errors quote the uri: they are redacted, and not chained."""
    # Discovery alone would try ten times for five seconds each: this one is only to see.
    hasty = f"{uri}{'&' if '?' in uri else '?'}MaxDiscoverAttempts=1&GossipTimeout={ANSWER_S}"
    try:
        with KurrentDBClient(hasty) as probe:
            probe.get_commit_position(timeout=ANSWER_S)
        return KurrentDBClient(uri)
    except (KurrentDBClientError, ValueError, OSError) as error:
        reason = f"{type(error).__name__}: {_without_credentials(str(error), uri)}"
        raise StoreError(
            f"no KurrentDB answers at {redact(uri)} ({reason}). Start it "
            "(docker compose up), correct KURRENTDB_URI (a server without TLS needs ?Tls=false; "
            "the user must be allowed to read $all), or unset it to use the embedded one"
        ) from None


def _without_credentials(text: str, uri: str) -> str:
    """The text with every part of the uri's credentials masked, whole or torn apart."""
    found = re.search(r"//(.*)@", uri, flags=re.DOTALL)
    secrets = [found[1], *re.split("[:@]", found[1])] if found else []
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


def read_cases(client: KurrentDBClient, category: str, as_of: int | None = None) -> list[Case]:
    """The cases of a category, in the order of their first events.

    as_of: commit position up to which to read, that one included, so that a growing database gives
        the same cases again; None for all. A deleted stream is gone from there on, and so is what
        ``$tb`` cuts off; ``$maxCount`` and ``$maxAge`` do not apply.
    Raises StoreError, naming stream and revision, for an event that is not a JSON object.
    """
    cases: dict[str, tuple[array[int], list[Event]]] = {}  # revisions and events of each stream
    for record in _read(client, as_of, [f"{category}-", f"$${category}-"], filter_by_prefix=True):
        if (cut := truncation(record)) is not None:
            stream, first = cut
            revisions, events = cases.pop(stream, (array("q"), []))
            if kept := len(revisions) - bisect_left(revisions, first):
                cases[stream] = (revisions[-kept:], events[-kept:])
        elif not record.is_system_event:
            revisions, events = cases.setdefault(record.stream_name, (array("q"), []))
            revisions.append(record.stream_position)
            events.append(to_event(record))
    return sorted(
        (Case(stream, events) for stream, (_, events) in cases.items()),
        key=lambda case: case.events[0].position,
    )


def categories(client: KurrentDBClient, as_of: int | None = None) -> list[str]:
    """The kinds of processes that have cases, sorted; no system streams, no alerts."""
    heads: dict[str, int] = {}
    for record in _read(client, as_of, [rf"(\$\$)?(?!{ALERTS}-)[^$-][^-]*-.+"]):
        if (cut := truncation(record)) is not None:
            stream, first = cut
            if heads.get(stream, -1) < first:
                heads.pop(stream, None)
        elif not record.is_system_event:
            heads[record.stream_name] = record.stream_position
    return sorted({stream.partition("-")[0] for stream in heads})


def commit_position(client: KurrentDBClient) -> int:
    """The position of the last record in the log, system records included: an ``as_of`` for now."""
    return client.get_commit_position(filter_exclude=())


def _read(
    client: KurrentDBClient, as_of: int | None, streams: list[str], filter_by_prefix: bool = False
) -> Iterator[RecordedEvent]:
    """The log's records of these streams, oldest first, up to and including position ``as_of``."""
    with client.read_all(
        filter_include=streams, filter_by_stream_name=True, filter_by_prefix=filter_by_prefix
    ) as records:
        for record in records:
            if as_of is not None and record.commit_position > as_of:
                return
            yield record
