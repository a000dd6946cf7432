"""The server: one per data folder, on the loopback interface only."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
from pathlib import Path
from types import FrameType
from typing import Self

import grpc
from kurrentdbclient.protos.v1 import (
    gossip_pb2_grpc,
    persistent_pb2_grpc,
    projections_pb2_grpc,
    streams_pb2_grpc,
)
from kurrentdbclient.protos.v2.streams import streams_pb2_grpc as streams_v2_pb2_grpc

from .appends_v2 import StreamsV2
from .features import ServerFeatures
from .gossip import Gossip
from .groups import Groups
from .log import Log
from .persistent import PersistentSubscriptions
from .projections import Projections
from .streams import Streams
from .unimplemented import Unimplemented
from .workers import Workers

HOST = "127.0.0.1"
LOG, LOCK, ENDPOINT = "log.sqlite3", "lock", "endpoint"

#: Calls at once, subscriptions included; one more is refused rather than left waiting.
MAX_CALLS = 512
#: The largest message: above the largest append, so that a larger one is refused by its name.
MAX_MESSAGE_BYTES = 17 * 2**20


class StoreInUse(Exception):
    """Another server holds the data folder. uri: where it answers, None while it starts."""

    def __init__(self, data: Path, uri: str | None) -> None:
        self.data, self.uri = data, uri
        where = (
            f"at {uri}. Connect to that (KURRENTDB_URI={uri})"
            if uri
            else "that is starting. Wait for it"
        )
        super().__init__(
            f"The event store {data} is in use by another server {where}, stop that one first, or "
            "choose another data folder."
        )


class EmbeddedKurrentDB:
    """A KurrentDB-compatible server on one SQLite file, run by threads of this process.

    data: the folder of the store, made if it is missing. port: 0 for any free one.
    ``with EmbeddedKurrentDB(data) as server: KurrentDBClient(server.uri)``.

    start raises StoreInUse, StoreUnreadable, and OSError when the port is taken.
    """

    def __init__(self, data: Path, port: int = 0) -> None:
        self.data = Path(data)
        self.port = port
        self._changing = threading.RLock()  # start and stop may come from any thread
        self._lock: int | None = None
        self._log: Log | None = None
        self._groups: Groups | None = None
        self._server: grpc.Server | None = None
        self._workers: Workers | None = None

    @property
    def uri(self) -> str:
        return f"kurrentdb://{HOST}:{self.port}?Tls=false"

    def start(self) -> Self:
        with self._changing:
            if self._server is None:
                self.data.mkdir(parents=True, exist_ok=True)
                self._lock = _lock(self.data)
                try:
                    self._log = Log(self.data / LOG)
                    self._groups = Groups(self._log)
                    self._server = self._serve(self._log)
                    _write_atomically(self.data / ENDPOINT, self.uri + "\n")
                except BaseException:
                    self.stop()
                    raise
        return self

    def stop(self) -> None:
        """End all calls, close the file and give the folder free. Stopping twice is fine."""
        with self._changing:
            if self._server is not None:
                self._server.stop(grace=None).wait()
                self._server = None
                self._workers.shutdown()
                (self.data / ENDPOINT).unlink(missing_ok=True)
            if self._groups is not None:
                self._groups.stop()
                self._groups = None
            if self._log is not None:
                self._log.close()
                self._log = None
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _serve(self, log: Log) -> grpc.Server:
        self._workers = Workers(MAX_CALLS)
        server = grpc.server(
            self._workers,
            maximum_concurrent_rpcs=MAX_CALLS,
            options=[
                ("grpc.so_reuseport", 0),  # a taken port is an error, not a shared one
                ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
            ],
        )
        try:
            self.port = server.add_insecure_port(f"{HOST}:{self.port}")
        except RuntimeError as error:
            raise OSError(
                f"Cannot listen on {HOST}:{self.port}: the port is taken. Choose another, or 0 "
                "for any free one."
            ) from error
        streams_pb2_grpc.add_StreamsServicer_to_server(Streams(log), server)
        streams_v2_pb2_grpc.add_StreamsServiceServicer_to_server(StreamsV2(log), server)
        persistent_pb2_grpc.add_PersistentSubscriptionsServicer_to_server(
            PersistentSubscriptions(self._groups), server
        )
        projections_pb2_grpc.add_ProjectionsServicer_to_server(Projections(log), server)
        gossip_pb2_grpc.add_GossipServicer_to_server(Gossip(HOST, self.port), server)
        server.add_generic_rpc_handlers((ServerFeatures(), Unimplemented()))
        server.start()
        return server


def main(port: int, data: Path) -> None:
    """Serve until SIGINT or SIGTERM. Prints one line with the uri when ready."""
    # The system may hand a signal to one of gRPC's threads. Python then notes it, but does not wake
    # a main thread that waits for a lock; the byte that it writes here does.
    awake, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    with EmbeddedKurrentDB(Path(data), port) as server:
        print(f"KurrentDB-compatible server on {server.uri} with its log in {data}", flush=True)
        awake.recv(1)


def _ignore(signum: int, frame: FrameType | None) -> None:
    """Without a handler of its own a signal would end the process before the server is stopped."""


def _lock(data: Path) -> int:
    """Hold the folder until the descriptor is closed, also by the end of the process."""
    descriptor = os.open(data / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        endpoint = data / ENDPOINT
        uri = endpoint.read_text().strip() if endpoint.exists() else None
        raise StoreInUse(data, uri) from None
    # What a killed server left there is no longer true.
    (data / ENDPOINT).unlink(missing_ok=True)
    return descriptor


def _write_atomically(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".new")
    partial.write_text(text)
    os.replace(partial, path)
