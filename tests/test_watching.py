"""The watchdog from the command line: what it prints, how it stops, its exit status."""

import os
import signal
import threading
import time

import pytest
from kurrentdbclient import KurrentDBClient
from watchdog_setup import MODEL, detector, firm, traffic

from procutils.__main__ import main
from procutils.alerts import DETECTED, read_alerts
from procutils.embedded import EmbeddedKurrentDB
from procutils.findings import Model
from procutils.store import append_cases, commit_position, connect, read_cases


@pytest.fixture
def counting(monkeypatch) -> None:
    """A model that counts in place of the one in the folder."""
    monkeypatch.setattr("procutils.watching.load_model", lambda path: Model(detector(), MODEL))


@pytest.fixture
def uri(server: EmbeddedKurrentDB, counting, monkeypatch) -> str:
    """A database with some cases."""
    monkeypatch.setenv("KURRENTDB_URI", server.uri)
    with KurrentDBClient(server.uri) as client:
        append_cases(client, traffic(30))
    return server.uri


@pytest.fixture(autouse=True)
def handlers():
    """The test's own handlers of signals come back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_once_judges_what_is_there_and_says_whether_there_were_alerts(uri, capsys):
    assert main(["watch", "--once", "--clock", "log"]) == 3
    said = capsys.readouterr().out
    assert "external KurrentDB" in said and "AnomalyDetected" in said and "expected: " in said
    assert main(["watch", "--once", "--clock", "log"]) == 0
    assert "nothing to report" in capsys.readouterr().out


def test_a_server_of_another_process_serves_cases_and_watchdog(
    server_process, counting, monkeypatch, tmp_path, capsys
):
    monkeypatch.setenv("KURRENTDB_URI", server_process)
    cases = traffic(30)
    for written in (sum(len(case.events) for case in cases), 0):  # it outlives its clients
        with connect(tmp_path / "unused") as database:
            assert database.kind == "external"
            assert append_cases(database.client, cases) == written
            names = {case.category for case in cases}
            found = [case for name in names for case in read_cases(database.client, name)]
            assert {c.id: c.types for c in found} == {c.id: c.types for c in cases}
    for status in (3, 0):
        assert main(["watch", "--once", "--clock", "log"]) == status
        assert server_process in capsys.readouterr().out
        with KurrentDBClient(server_process) as client:
            ids = [alert.id for alert in read_alerts(client)]
        assert ids and len(ids) == len(set(ids))
    assert not (tmp_path / "unused").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_when_it_is_told_to(uri, capsys, number):
    def tell() -> None:
        with KurrentDBClient(uri) as client:
            while not any(a.type == DETECTED for a in read_alerts(client)):
                time.sleep(0.05)
        os.kill(os.getpid(), number)

    threading.Thread(target=tell, daemon=True).start()
    assert main(["watch", "--clock", "log"]) == 0
    assert "stopped after" in capsys.readouterr().out


def test_a_replay_prints_alerts_and_writes_none(uri, capsys):
    with KurrentDBClient(uri) as client:
        end = commit_position(client)
        assert main(["replay", "--as-of", str(end)]) == 0
        assert commit_position(client) == end
    said = capsys.readouterr().out
    assert f"up to position {end:,}; nothing was written" in said
    assert said.count("AnomalyDetected") > 3


def test_suggestions_for_a_case(uri, capsys):
    with KurrentDBClient(uri) as client:
        append_cases(client, [case := firm()[800]])
    assert main(["suggest", case.id, "-k", "2"]) == 0
    assert capsys.readouterr().out.count("%") == 2
    assert main(["suggest", "payment-none"]) == 1
    assert "there is no stream payment-none" in capsys.readouterr().err


def test_wrong_use_is_said(uri, capsys):
    assert main(["watch", "--group", "dogs"]) == 2
    assert "--worker" in capsys.readouterr().err


def test_without_a_model_it_names_the_notebook(tmp_path, capsys):
    assert main(["watch", "--model", str(tmp_path / "model")]) == 1
    assert "run 05_anomaly_benchmark first" in capsys.readouterr().err
