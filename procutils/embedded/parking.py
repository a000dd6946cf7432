"""How a message that is parked stands in the log."""

from __future__ import annotations

import json
import time

from .delivery import Message
from .transaction import LINK, NewRecord, random_id


def parked_stream(source: str, name: str) -> str:
    """The stream of what the group ``name`` has parked."""
    return f"$persistentsubscription-{source}::{name}-parked"


def parked_link(message: Message, reason: str) -> NewRecord:
    """A link to the message's event, with when and why in its metadata."""
    event = message.found.event
    why = {"added": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "reason": reason}
    data = f"{event.revision}@{event.stream}".encode()
    return NewRecord(random_id(), LINK, False, data, json.dumps(why).encode())
