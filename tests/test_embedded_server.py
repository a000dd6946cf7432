"""The embedded server as a process: durability, its folder, its file, what it does not do."""

import asyncio
import hashlib
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from kurrentdbclient import AsyncKurrentDBClient, KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import KurrentDBClientError

from procutils.embedded import EmbeddedKurrentDB, StoreInUse, StoreUnreadable
from procutils.embedded.log import Log
from procutils.embedded.schema import StoreFailed

ANY = StreamState.ANY
ROOT = Path(__file__).resolve().parents[1]


class Process:
    """The server in a process of its own, as ``python -m procutils kurrentdb`` runs it."""

    def __init__(self, data: Path, port: int = 0) -> None:
        code = f"from procutils.embedded import main; main({port}, {str(data)!r})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.ready = self.process.stdout.readline()
        self.uri = next((w for w in self.ready.split() if w.startswith("kurrentdb://")), None)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


def append(client: KurrentDBClient, stream: str, count: int = 1) -> list[NewEvent]:
    batch = [NewEvent(type="A", data=b'{"n": 1}') for _ in range(count)]
    client.append_to_stream(stream, current_version=ANY, events=batch)
    return batch


def test_kill_9_in_the_middle_of_appends_loses_no_acknowledged_event(tmp_path: Path):
    """Three times over: what was answered is there after the restart, whole batches, in order."""
    acknowledged: dict[str, list[uuid.UUID]] = {}

    def write(uri: str, stream: str, count: int) -> None:
        with KurrentDBClient(uri) as client:
            while True:
                batch = [NewEvent(type="A", data=b"{}") for _ in range(count)]
                try:
                    client.append_to_stream(stream, current_version=ANY, events=batch)
                except KurrentDBClientError:
                    return  # the server is gone
                acknowledged.setdefault(stream, []).extend(event.id for event in batch)

    for attempt in range(3):
        with Process(tmp_path) as server:
            writers = [
                threading.Thread(target=write, args=(server.uri, f"a-{attempt}{count}", count))
                for count in (1, 7, 50)
            ]
            for writer in writers:
                writer.start()
            end = time.monotonic() + 60
            while len(acknowledged.get(f"a-{attempt}1", [])) < 30 or len(acknowledged) % 3:
                assert time.monotonic() < end
                time.sleep(0.01)
            server.process.kill()
            for writer in writers:
                writer.join()
    assert len(acknowledged) == 9
    with Process(tmp_path) as server, KurrentDBClient(server.uri) as client:
        positions = [event.commit_position for event in client.read_all(filter_exclude=())]
        assert positions == list(range(1, len(positions) + 1))
        for stream, ids in acknowledged.items():
            found = [event.id for event in client.get_stream(stream)]
            assert found[: len(ids)] == ids
            assert len(found) % int(stream[3:]) == 0  # the last batch is there whole or not at all
        stored = [event.id for event in client.read_all()]
        linked = [event.id for event in client.get_stream("$ce-a", resolve_links=True)]
        assert linked == stored


def test_every_commit_reaches_the_disk_before_it_is_answered(tmp_path: Path):
    """kill -9 cannot show what a power failure takes: the mode of the journal decides that."""
    log = Log(tmp_path / "log.sqlite3")
    modes = [
        log._connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    ]
    log.close()
    assert modes == ["wal", 2]  # 2: FULL


def test_a_closed_log_refuses_what_still_comes(tmp_path: Path):
    log = Log(tmp_path / "log.sqlite3")
    log.close()
    with pytest.raises(StoreFailed, match="its server has stopped"):
        log.append("a-1", -2, [])
    with pytest.raises(StoreFailed, match="its server has stopped"), log.reading():
        pass


def test_a_store_is_found_again_as_it_was_left(tmp_path: Path):
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        written = append(client, "a-1", 3)
        end = client.get_commit_position()
    assert {path.name for path in tmp_path.iterdir()} == {"log.sqlite3", "lock"}
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        assert [event.id for event in client.get_stream("a-1")] == [event.id for event in written]
        assert client.get_commit_position() == end
        append(client, "a-1")
        assert client.get_current_version("a-1") == 3
        assert client.get_commit_position() > end


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_announces_itself_and_ends_when_asked(tmp_path: Path, number: int):
    with Process(tmp_path) as server:
        assert server.uri in server.ready
        with KurrentDBClient(server.uri) as client:
            append(client, "a-1")
            with client.subscribe_to_all(timeout=20) as subscription:
                next(subscription)
                server.process.send_signal(number)
                assert server.process.wait(timeout=10) == 0
    assert not (tmp_path / "endpoint").exists()


def test_one_server_per_folder(tmp_path: Path):
    with EmbeddedKurrentDB(tmp_path) as first, KurrentDBClient(first.uri) as client:
        with pytest.raises(StoreInUse) as refusal:
            EmbeddedKurrentDB(tmp_path).start()
        assert refusal.value.uri == first.uri
        assert first.uri in str(refusal.value)
        with Process(tmp_path) as second:
            assert second.uri is None
            assert second.process.wait(timeout=20) == 1
            assert first.uri in second.process.stderr.read()
        append(client, "a-1")  # the first is not disturbed
    with EmbeddedKurrentDB(tmp_path):
        pass


def test_a_killed_server_leaves_the_folder_free(tmp_path: Path):
    with Process(tmp_path) as server:
        assert (tmp_path / "endpoint").read_text().strip() == server.uri
        server.process.kill()
        server.process.wait()
    assert (tmp_path / "endpoint").exists()
    with EmbeddedKurrentDB(tmp_path) as again:
        assert (tmp_path / "endpoint").read_text().strip() == again.uri


def garbage(path: Path) -> None:
    path.write_bytes(b"not a database" * 1000)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def foreign(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript("CREATE TABLE notes (text); INSERT INTO notes VALUES ('mine');")
    connection.close()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("PRAGMA user_version = 99")
    connection.close()


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def overwritten(path: Path) -> None:
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 8192):
        content[start : start + 512] = b"\xa5" * 512
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (garbage, "not an SQLite database"),
        (empty, "not an SQLite database"),
        (foreign, "another application"),
        (newer, "schema version 99 is newer"),
        (truncated, "damaged"),
        (overwritten, "damaged"),
    ],
)
def test_an_unreadable_file_is_refused_by_name_and_left_untouched(
    tmp_path: Path, damage: Callable[[Path], None], reason: str
):
    path = tmp_path / "log.sqlite3"
    if damage is not foreign:
        with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
            append(client, "a-1", 300)
    damage(path)
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(StoreUnreadable, match=reason) as refusal:
        EmbeddedKurrentDB(tmp_path).start()
    assert str(path) in str(refusal.value)
    assert "Move it away" in str(refusal.value)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == before
    assert {entry.name for entry in tmp_path.iterdir()} <= {"log.sqlite3", "lock"}
    path.unlink()
    with EmbeddedKurrentDB(tmp_path):  # the folder is free again
        pass


def test_the_journal_of_a_lost_file_is_not_replayed_into_a_new_one(tmp_path: Path):
    with Process(tmp_path) as server, KurrentDBClient(server.uri) as client:
        append(client, "a-1", 300)
        server.process.kill()
        server.process.wait()
    (tmp_path / "log.sqlite3").unlink()
    with pytest.raises(StoreUnreadable, match="journal"):
        EmbeddedKurrentDB(tmp_path).start()
    assert not (tmp_path / "log.sqlite3").exists()


def test_a_server_may_be_stopped_by_many_and_started_again(tmp_path: Path):
    server = EmbeddedKurrentDB(tmp_path).start()
    port = server.port
    with ThreadPoolExecutor(4) as threads:
        stops = [threads.submit(server.stop) for _ in range(4)]
    assert [stop.result() for stop in stops] == [None] * 4
    with server.start(), KurrentDBClient(server.uri) as client:
        assert server.port == port
        append(client, "a-1")


def test_a_taken_port_is_an_error_that_names_it(tmp_path: Path):
    with (
        EmbeddedKurrentDB(tmp_path / "one") as first,
        pytest.raises(OSError, match=f"127.0.0.1:{first.port}"),
    ):
        EmbeddedKurrentDB(tmp_path / "two", first.port).start()
    with EmbeddedKurrentDB(tmp_path / "two", first.port) as second:
        assert second.port == first.port


def test_only_the_loopback_interface_is_served(tmp_path: Path):
    with EmbeddedKurrentDB(tmp_path) as server:
        with socket.socket() as probe:
            # No packet is sent: this only asks which address faces outwards.
            datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagram.connect(("192.0.2.1", 9))
            outward = datagram.getsockname()[0]
            datagram.close()
            assert outward != "127.0.0.1"
            assert probe.connect_ex((outward, server.port)) != 0
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", server.port)) == 0


def test_gossip_names_one_leader_and_discovery_finds_it(tmp_path: Path):
    with EmbeddedKurrentDB(tmp_path) as server:
        discover = f"kurrentdb+discover://127.0.0.1:{server.port}?Tls=false"
        with KurrentDBClient(discover) as client:
            (member,) = client.read_gossip()
            assert (member.state, member.address) == ("NODE_STATE_LEADER", "127.0.0.1")
            assert member.port == server.port
            append(client, "a-1")


def test_the_asyncio_client_works_alike(tmp_path: Path):
    async def use(uri: str) -> list[int]:
        async with AsyncKurrentDBClient(uri) as client:
            batch = [NewEvent(type="A", data=b"{}") for _ in range(3)]
            await client.append_to_stream("a-1", current_version=ANY, events=batch)
            async with await client.subscribe_to_all(timeout=20) as subscription:
                return [(await anext(subscription)).stream_position for _ in range(3)]

    with EmbeddedKurrentDB(tmp_path) as server:
        assert asyncio.run(use(server.uri)) == [0, 1, 2]


def test_an_unknown_method_is_refused_with_a_sentence(tmp_path: Path):
    with (
        EmbeddedKurrentDB(tmp_path) as server,
        grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel,
        pytest.raises(grpc.RpcError) as refusal,
    ):
        channel.unary_unary("/some.Service/Method")(b"")
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "no method some.Service/Method" in refusal.value.details()


def test_a_log_of_the_first_version_is_upgraded(tmp_path: Path):
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        written = append(client, "a-1", 3)
    connection = sqlite3.connect(tmp_path / "log.sqlite3")
    connection.executescript(
        "DROP TABLE subscription; DROP TABLE projection; PRAGMA user_version = 1;"
    )
    connection.close()
    for _ in range(2):
        with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
            assert [event.id for event in client.get_stream("a-1")] == [e.id for e in written]
            if not client.list_subscriptions():
                client.create_subscription_to_stream("g", "a-1")
            assert client.get_subscription_info("g", "a-1").event_source == "a-1"


def test_the_interpreter_ends_with_a_forgotten_server_and_subscription(tmp_path: Path):
    """Nothing was closed: not the subscription, not the server."""
    code = f"""
import grpc
from kurrentdbclient.protos.v1 import streams_pb2, streams_pb2_grpc
from procutils.embedded import EmbeddedKurrentDB
server = EmbeddedKurrentDB({str(tmp_path)!r}).start()
request = streams_pb2.ReadReq()
request.options.all.start.SetInParent()
request.options.subscription.SetInParent()
channel = grpc.insecure_channel(f"127.0.0.1:{{server.port}}")
answers = streams_pb2_grpc.StreamsStub(channel).Read(request)
print(next(answers).WhichOneof("content"))
"""
    finished = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30
    )
    assert (finished.returncode, finished.stdout.strip()) == (0, "confirmation"), finished.stderr


def test_memory_does_not_grow_with_the_log(tmp_path: Path):
    """Some 30 MB of events through a server: its memory stays that of a fresh one."""

    def resident(process: subprocess.Popen) -> int:
        status = Path(f"/proc/{process.pid}/status")
        if not status.exists():
            pytest.skip("needs /proc")
        line = next(line for line in status.read_text().splitlines() if "VmRSS" in line)
        return int(line.split()[1])  # KiB

    with Process(tmp_path) as server, KurrentDBClient(server.uri) as client:

        def write(stream: str) -> None:
            batch = [NewEvent(type="A", data=b"x" * 3000) for _ in range(300)]
            client.append_to_stream(stream, current_version=ANY, events=batch)

        for number in range(6):
            write(f"warm-{number}")
        list(client.read_all())
        before = resident(server.process)
        for number in range(30):
            write(f"a-{number}")
        assert sum(1 for _ in client.read_all()) == 36 * 300
        assert resident(server.process) - before < 25_000
