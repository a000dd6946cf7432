"""Projections of the embedded server: links that are always written, and management."""

import json
from pathlib import Path

import pytest
from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import (
    AlreadyExistsError,
    FailedPreconditionError,
    KurrentDBClientError,
    NotFoundError,
)

from procutils.embedded import EmbeddedKurrentDB

QUERY = "fromAll().when({ $init: () => ({ count: 0 }) })"
SYSTEM = ["$by_category", "$by_event_type", "$by_correlation_id"]


def test_links_by_correlation_id(client: KurrentDBClient):
    for stream, correlation in (("a-1", "c 1"), ("b-1", "c 1"), ("a-1", "other"), ("a-2", 7)):
        metadata = json.dumps({"$correlationId": correlation}).encode()
        event = NewEvent(type="A", data=b"{}", metadata=metadata)
        client.append_to_stream(stream, current_version=StreamState.ANY, events=[event])
    linked = client.get_stream("$bc-c 1", resolve_links=True)
    assert [event.stream_name for event in linked] == ["a-1", "b-1"]
    assert len(client.get_stream("$bc-other")) == 1
    with pytest.raises(NotFoundError):  # not a text, so not a correlation
        client.get_stream("$bc-7")


def test_the_system_projections_run(client: KurrentDBClient):
    statistics = client.list_continuous_projection_statistics()
    assert [(each.name, each.status) for each in statistics] == [(n, "Running") for n in SYSTEM]
    client.enable_projection("$by_category")
    with pytest.raises(KurrentDBClientError, match="cannot be changed"):
        client.disable_projection("$by_category")
    client.restart_projections_subsystem()


def test_a_projection_in_javascript_is_kept_but_says_that_it_does_not_run(tmp_path: Path):
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        client.create_projection(name="count", query=QUERY)
        with pytest.raises(AlreadyExistsError):
            client.create_projection(name="count", query=QUERY)
        with pytest.raises(AlreadyExistsError):
            client.create_projection(name="$by_category", query=QUERY)
        statistics = client.get_projection_statistics("count")
        assert statistics.status == "Faulted"
        assert "KURRENTDB_URI" in statistics.state_reason
        with pytest.raises(KurrentDBClientError, match="not run by this embedded server"):
            client.get_projection_state("count")
    with EmbeddedKurrentDB(tmp_path) as server, KurrentDBClient(server.uri) as client:
        client.update_projection("count", query=QUERY + ".outputState()", emit_enabled=True)
        assert client.get_projection_statistics("count").version == 1
        with pytest.raises(FailedPreconditionError, match="disable it first"):
            client.delete_projection("count")
        client.disable_projection("count")
        assert client.get_projection_statistics("count").status == "Stopped"
        client.enable_projection("count")
        client.abort_projection("count")
        client.reset_projection("count")
        client.delete_projection("count")
        assert [each.name for each in client.list_all_projection_statistics()] == SYSTEM


def test_a_projection_that_there_is_not(client: KurrentDBClient):
    for call in (
        client.get_projection_statistics,
        client.get_projection_state,
        client.enable_projection,
        client.disable_projection,
        client.reset_projection,
        client.delete_projection,
    ):
        with pytest.raises(NotFoundError):
            call("nobody")
