"""A KurrentDB-compatible gRPC server on SQLite, for machines without Docker.

Clients of the real database work with it unchanged. In the order in which they rest on each other:

- schema, expected, transaction, log, together: the file, and what is written to it
- filters, reading, refusals, messages: reading it, and the protocol's messages
- settings, sources, delivery, parking, actor, group, groups: persistent subscriptions at work
- streams with appends and subscriptions, appends_v2, persistent, projections, gossip, features,
  unimplemented: the services
- workers, server: the process
"""

from .schema import StoreUnreadable
from .server import EmbeddedKurrentDB, StoreInUse, main

__all__ = ["EmbeddedKurrentDB", "StoreInUse", "StoreUnreadable", "main"]
