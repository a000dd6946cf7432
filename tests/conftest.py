"""What all tests share: an environment that is the same everywhere, and a KurrentDB."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from kurrentdbclient import KurrentDBClient

    from procutils.embedded import EmbeddedKurrentDB
    from procutils.store import KurrentDB

# Before any library reads them: no model hub, no progress bars, as many threads as in `make test`.
for name, value in {
    "HF_HUB_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "TQDM_DISABLE": "1",
    "OMP_NUM_THREADS": "2",
}.items():
    os.environ.setdefault(name, value)

# A shell ignores Ctrl-C for what it runs in the background, and so would the programs tested here.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says nothing on a busy machine, and a failure is to come again: the
# examples are the same each time. `make test ARGS=--hypothesis-profile=search` draws others.
settings.register_profile("procutils", deadline=None, derandomize=True)
settings.register_profile("search", deadline=None, print_blob=True)
settings.load_profile("procutils")

#: The root of the project.
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the project."""
    return ROOT


@pytest.fixture(scope="session", autouse=True)
def runs_folder() -> Iterator[Path]:
    """Where runs go while testing: never the user's own `runs/`."""
    with (
        tempfile.TemporaryDirectory(prefix="procutils-runs-") as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("PROCUTILS_RUNS", folder)
        yield Path(folder)


@pytest.fixture
def kurrentdb(tmp_path: Path) -> Iterator["KurrentDB"]:
    """An open KurrentDB: the embedded one with an empty store, or the one behind KURRENTDB_URI."""
    from procutils.store import connect

    with connect(tmp_path / "kurrentdb") as database:
        yield database


@pytest.fixture(scope="module")
def server_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The uri of an embedded server with an empty store that is a process of its own."""
    data = tmp_path_factory.mktemp("served")
    command = [sys.executable, "-m", "procutils", "kurrentdb", "--port", "0", "--data", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield next(word for word in process.stdout.readline().split() if "://" in word)
        finally:
            process.terminate()
    assert process.returncode == 0


@pytest.fixture
def server(tmp_path: Path) -> Iterator["EmbeddedKurrentDB"]:
    """The embedded server itself, with an empty store, whatever KURRENTDB_URI says."""
    from procutils.embedded import EmbeddedKurrentDB

    with EmbeddedKurrentDB(tmp_path / "store") as server:
        yield server


@pytest.fixture
def client(server: "EmbeddedKurrentDB") -> Iterator["KurrentDBClient"]:
    """A client of ``server``."""
    from kurrentdbclient import KurrentDBClient

    with KurrentDBClient(server.uri) as client:
        yield client
