"""Every Python block of the client's own README, in order, against the embedded server.

The README describes a real KurrentDB, so this measures how far the embedded server stands in for
one. A block that cannot run here is listed below with the reason; a listed block that would run
fails the test as well, so the list stays true.
"""

import importlib.metadata
import importlib.util
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Optional
from uuid import UUID

import pytest
from kurrentdbclient import KurrentDBClient

from procutils.embedded import EmbeddedKurrentDB

TLS = "the embedded server has no TLS"
JAVASCRIPT = "the embedded server does not run projections in JavaScript"
FASTAPI = "it needs the module fastapi"
INSTRUMENTATION = "it needs the module opentelemetry.instrumentation"
SDK = "it needs the module opentelemetry.sdk"
EXPORTER = "it needs the module opentelemetry.exporter.otlp"

#: Seconds for one block.
PATIENCE = 30

#: A text by which a block is known, and why it cannot run. Each names exactly one block.
LISTED = {
    "ssl.get_server_certificate(": TLS,
    "client.get_projection_state(": JAVASCRIPT,
    "from fastapi import FastAPI": FASTAPI,
    "import KurrentDBClientInstrumentor\n": INSTRUMENTATION,
    "import AsyncKurrentDBClientInstrumentor\n": INSTRUMENTATION,
    "import BatchSpanProcessor, ConsoleSpanExporter": SDK,
    "import OTLPSpanExporter": EXPORTER,
}


def blocks() -> list[str]:
    readme = importlib.metadata.metadata("kurrentdbclient").get_payload()
    return re.findall(r"^```python\n(.*?)^```", readme, re.DOTALL | re.MULTILINE)


def test_every_listed_text_names_one_block():
    for text in LISTED:
        assert sum(text in block for block in blocks()) == 1, text
    for block in blocks():
        assert sum(text in block for text in LISTED) <= 1, block


def why_not(block: str) -> str | None:
    """The reason for which a block is listed; None where it has to run."""
    reason = next((why for text, why in LISTED.items() if text in block), None)
    return None if reason and " module " in reason and present(reason.split()[-1]) else reason


def present(module: str) -> bool:
    """Whether a module is installed, and its packages."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def test_at_most_six_cannot_run():
    assert len(blocks()) >= 86
    assert sum(why_not(block) is not None for block in blocks()) <= 6


def test_every_block_runs_or_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("KDB_ROOT_CERTIFICATES", raising=False)
    failures, clients = [], []
    # One block shows a class with two names that the README never imports.
    namespace = {"__name__": "readme", "UUID": UUID, "Optional": Optional}
    with ThreadPoolExecutor(1) as thread, EmbeddedKurrentDB(tmp_path) as server:
        monkeypatch.setenv("KDB_URI", server.uri)
        for number, block in enumerate(blocks()):
            # The README's server has port 2113; this one has a port of its own.
            code = compile(block.replace("2113", str(server.port)), "README", "exec", 0, True)
            error = thread.submit(exec, code, namespace).exception(timeout=PATIENCE)
            client = namespace.get("client")
            if isinstance(client, KurrentDBClient) and client not in clients:
                clients.append(client)
            reason = why_not(block)
            if error is not None and reason is None:
                failures.append(f"Block {number} failed with {error!r}:\n{block}")
            if error is None and reason is not None:
                failures.append(f"Block {number} ran, although it is listed ({reason}):\n{block}")
        for client in clients:
            client.close()
    assert not failures, "\n\n".join(failures)
