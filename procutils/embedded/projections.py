"""The Projections service: what runs, and what is only kept.

The links of $by_category, $by_event_type and $by_correlation_id are written with every append.
Projections in JavaScript are kept, listed and changed, but not run: they are Faulted, and whoever
asks for a result is told so.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import grpc
from kurrentdbclient.protos.v1 import projections_pb2, projections_pb2_grpc, shared_pb2

from .log import Log
from .messages import REFUSALS, BadRequest, refuse
from .refusals import NoProjections, ProjectionBusy, ProjectionExists, ProjectionNotFound

SYSTEM = ("$by_category", "$by_event_type", "$by_correlation_id")
NOT_RUN = (
    "Projections in JavaScript are kept but not run by this embedded server. A real KurrentDB "
    "server runs them: set KURRENTDB_URI to use one"
)


class Projection(NamedTuple):
    """mode: Continuous, Transient or OneTime. version: how often it was changed."""

    name: str
    query: str
    mode: str = "Continuous"
    emits: bool = False
    enabled: bool = True
    version: int = 0

    @property
    def status(self) -> tuple[str, str]:
        """With the reason."""
        if self.name in SYSTEM:
            return "Running", ""
        return ("Faulted", NOT_RUN) if self.enabled else ("Stopped", "")

    @classmethod
    def from_row(cls, row: tuple[str, str, str]) -> Self:
        name, query, settings = row
        return cls(name, query, **json.loads(settings))

    @property
    def settings(self) -> str:
        return json.dumps({name: getattr(self, name) for name in self._fields[2:]})


class Projections(projections_pb2_grpc.ProjectionsServicer):
    def __init__(self, log: Log) -> None:
        self.log = log

    def Create(
        self, request: projections_pb2.CreateReq, context: grpc.ServicerContext
    ) -> projections_pb2.CreateResp:
        options = request.options
        kind = options.WhichOneof("mode")
        with _refusing(context):
            name, emits = str(uuid.uuid4()), False
            if kind != "one_time":
                name = getattr(options, kind or "continuous").name
            if kind == "continuous":
                emits = options.continuous.emit_enabled
            if not name:
                raise BadRequest("A projection needs a name.")
            modes = {"transient": "Transient", "one_time": "OneTime"}
            projection = Projection(name, options.query, modes.get(kind, "Continuous"), emits)
            with self.log.transaction() as transaction:
                inserted = transaction.connection.execute(
                    "INSERT INTO projection (name, query, settings) VALUES (?, ?, ?)"
                    " ON CONFLICT DO NOTHING",
                    (name, projection.query, projection.settings),
                )
                if name in SYSTEM or inserted.rowcount == 0:
                    raise ProjectionExists(name)
        return projections_pb2.CreateResp()

    def Update(
        self, request: projections_pb2.UpdateReq, context: grpc.ServicerContext
    ) -> projections_pb2.UpdateResp:
        options = request.options
        changes: dict[str, Any] = {"query": options.query}
        if options.WhichOneof("emit_option") == "emit_enabled":
            changes["emits"] = options.emit_enabled
        self._change(options.name, context, **changes)
        return projections_pb2.UpdateResp()

    def Enable(
        self, request: projections_pb2.EnableReq, context: grpc.ServicerContext
    ) -> projections_pb2.EnableResp:
        if request.options.name not in SYSTEM:  # those run already
            self._change(request.options.name, context, enabled=True)
        return projections_pb2.EnableResp()

    def Disable(
        self, request: projections_pb2.DisableReq, context: grpc.ServicerContext
    ) -> projections_pb2.DisableResp:
        """Aborting is the same without a checkpoint, of which there is none."""
        self._change(request.options.name, context, enabled=False)
        return projections_pb2.DisableResp()

    def Reset(
        self, request: projections_pb2.ResetReq, context: grpc.ServicerContext
    ) -> projections_pb2.ResetResp:
        self._change(request.options.name, context)
        return projections_pb2.ResetResp()

    def Delete(
        self, request: projections_pb2.DeleteReq, context: grpc.ServicerContext
    ) -> projections_pb2.DeleteResp:
        name = request.options.name
        with _refusing(context):
            if self._own(name).enabled:
                raise ProjectionBusy(f"Projection '{name}' is not stopped: disable it first.")
            with self.log.transaction() as transaction:
                transaction.connection.execute("DELETE FROM projection WHERE name = ?", (name,))
        return projections_pb2.DeleteResp()

    def Statistics(
        self, request: projections_pb2.StatisticsReq, context: grpc.ServicerContext
    ) -> Iterator[projections_pb2.StatisticsResp]:
        options = request.options
        modes = {"transient": "Transient", "continuous": "Continuous", "one_time": "OneTime"}
        with _refusing(context):
            which = options.WhichOneof("mode")
            if which == "name":
                found = [self._find(options.name)]
            else:
                found = [each for each in self._all() if modes.get(which, each.mode) == each.mode]
            for projection in found:
                yield projections_pb2.StatisticsResp(details=self._details(projection))

    def State(
        self, request: projections_pb2.StateReq, context: grpc.ServicerContext
    ) -> projections_pb2.StateResp:
        return self._no_result(request.options.name, context)

    def Result(
        self, request: projections_pb2.ResultReq, context: grpc.ServicerContext
    ) -> projections_pb2.ResultResp:
        return self._no_result(request.options.name, context)

    def RestartSubsystem(
        self, request: shared_pb2.Empty, context: grpc.ServicerContext
    ) -> shared_pb2.Empty:
        """Nothing runs apart from the appends, so there is nothing to stop and start."""
        return shared_pb2.Empty()

    def _no_result(self, name: str, context: grpc.ServicerContext) -> Any:
        with _refusing(context):
            self._find(name)
            raise NoProjections(f"{NOT_RUN}. '{name}' has no state and no result.")

    def _all(self) -> list[Projection]:
        with self.log.reading() as connection:
            rows = connection.execute("SELECT name, query, settings FROM projection ORDER BY name")
            return [
                *(Projection(name, "") for name in SYSTEM),
                *map(Projection.from_row, rows.fetchall()),
            ]

    def _find(self, name: str) -> Projection:
        found = next((each for each in self._all() if each.name == name), None)
        if found is None:
            raise ProjectionNotFound(name)
        return found

    def _own(self, name: str) -> Projection:
        """One that may be changed."""
        if name in SYSTEM:
            raise NoProjections(
                f"{name} is part of every append to this embedded server and cannot be changed"
            )
        return self._find(name)

    def _change(self, name: str, context: grpc.ServicerContext, **changes: Any) -> None:
        with _refusing(context):
            old = self._own(name)
            new = old._replace(**changes, version=old.version + 1)
            with self.log.transaction() as transaction:
                transaction.connection.execute(
                    "UPDATE projection SET query = ?, settings = ? WHERE name = ?",
                    (new.query, new.settings, name),
                )

    def _details(self, projection: Projection) -> projections_pb2.StatisticsResp.Details:
        runs = projection.name in SYSTEM
        status, reason = projection.status
        return projections_pb2.StatisticsResp.Details(
            name=projection.name,
            effectiveName=projection.name,
            mode=projection.mode,
            version=projection.version,
            status=status,
            stateReason=reason,
            position=f"C:{self.log.position}/P:{self.log.position}" if runs else "",
            progress=100.0 if runs else 0.0,
        )


@contextmanager
def _refusing(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        refuse(context, error)
