"""A KurrentDB-compatible gRPC server on SQLite, for machines without Docker.

Clients of the real database work with it unchanged. schema, expected, transaction: the file and
what is written to it; log, filters, reading: the log that every service rests on; streams,
subscriptions, gossip: the services; server: the process.
"""

from .schema import StoreUnreadable
from .server import EmbeddedKurrentDB, StoreInUse, main

__all__ = ["EmbeddedKurrentDB", "StoreInUse", "StoreUnreadable", "main"]
