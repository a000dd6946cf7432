"""The Streams service: Append, BatchAppend, Read (and subscribe), Delete, Tombstone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
from kurrentdbclient.protos.v1 import streams_pb2, streams_pb2_grpc

from .appends import Batch, append_conflict, append_success, batch_error, batch_success
from .expected import WrongExpectedVersion
from .filters import Everything, Filter, make_filter
from .log import Log
from .messages import REFUSALS, BadRequest, expected_version, read_event, refuse, stream_name
from .reading import StreamNotFound, flatten, last_revision, read_all, read_stream
from .schema import LAST_REVISION
from .subscriptions import subscribe_to_all, subscribe_to_stream


class Streams(streams_pb2_grpc.StreamsServicer):
    def __init__(self, log: Log) -> None:
        self.log = log

    def Read(
        self, request: streams_pb2.ReadReq, context: grpc.ServicerContext
    ) -> Iterator[streams_pb2.ReadResp]:
        options = request.options
        # A subscriber may sleep when its client goes: wake it, so that its thread is free again.
        context.add_callback(self.log.wake)
        try:
            if options.WhichOneof("stream_option") == "stream":
                yield from self._read_stream(options, context)
            else:
                yield from self._read_all(options, context)
        except REFUSALS as error:
            refuse(context, error, "Read")

    def _read_stream(
        self, options: streams_pb2.ReadReq.Options, context: grpc.ServicerContext
    ) -> Iterator[streams_pb2.ReadResp]:
        name = stream_name(options.stream.stream_identifier)
        structured = _structured(options)
        place = options.stream.WhichOneof("revision_option")
        revision = min(options.stream.revision, LAST_REVISION)
        if options.WhichOneof("count_option") == "subscription":
            if place == "end":
                revision = last_revision(self.log, name)
            yield from subscribe_to_stream(
                self.log,
                name,
                revision if place != "start" else -1,
                resolve=options.resolve_links,
                structured=structured,
                active=context.is_active,
            )
            return
        backwards = options.read_direction == streams_pb2.ReadReq.Options.Backwards
        start = {"start": 0, "end": LAST_REVISION}.get(place, revision)
        windows = read_stream(
            self.log, name, start, backwards=backwards, resolve=options.resolve_links
        )
        try:
            for found in flatten(windows, options.count):
                yield read_event(found, structured)
        except StreamNotFound:
            yield streams_pb2.ReadResp(
                stream_not_found=streams_pb2.ReadResp.StreamNotFound(
                    stream_identifier=options.stream.stream_identifier
                )
            )

    def _read_all(
        self, options: streams_pb2.ReadReq.Options, context: grpc.ServicerContext
    ) -> Iterator[streams_pb2.ReadResp]:
        structured = _structured(options)
        wanted = _filter(options)
        place = options.all.WhichOneof("all_option")
        position = min(options.all.position.commit_position, LAST_REVISION)
        if options.WhichOneof("count_option") == "subscription":
            window = options.filter.max or 1
            yield from subscribe_to_all(
                self.log,
                {"start": 0, "end": self.log.position}.get(place, position),
                wanted,
                window * max(1, options.filter.checkpointIntervalMultiplier),
                resolve=options.resolve_links,
                structured=structured,
                active=context.is_active,
            )
            return
        low, high = 1, self.log.position
        backwards = options.read_direction == streams_pb2.ReadReq.Options.Backwards
        if place == "position":
            low, high = (low, min(high, position - 1)) if backwards else (position, high)
        elif place == ("start" if backwards else "end"):
            return
        windows = read_all(
            self.log,
            max(low, 1),
            high,
            wanted,
            backwards=backwards,
            resolve=options.resolve_links,
            at_most=options.count or 1,
        )
        for found in flatten(windows, options.count):
            yield read_event(found, structured)

    def Append(
        self, request_iterator: Iterator[streams_pb2.AppendReq], context: grpc.ServicerContext
    ) -> streams_pb2.AppendResp:
        try:
            options = next(request_iterator).options
            name = stream_name(options.stream_identifier)
            expected = expected_version(options, "expected_stream_revision")
            batch = Batch()
            for request in request_iterator:
                batch.add(request.proposed_message)
            written = self.log.append(name, expected, batch.records)
        except WrongExpectedVersion as error:
            return append_conflict(error)
        except REFUSALS as error:
            refuse(context, error)
        return append_success(written)

    def BatchAppend(
        self, request_iterator: Iterator[streams_pb2.BatchAppendReq], context: grpc.ServicerContext
    ) -> Iterator[streams_pb2.BatchAppendResp]:
        open_batches: dict[bytes, tuple[streams_pb2.BatchAppendReq.Options, Batch]] = {}
        for request in request_iterator:
            key = request.correlation_id.SerializeToString()
            options, batch = open_batches.setdefault(key, (request.options, Batch()))
            response = streams_pb2.BatchAppendResp(
                correlation_id=request.correlation_id, stream_identifier=options.stream_identifier
            )
            try:
                for message in request.proposed_messages:
                    batch.add(message)
                if not request.is_final:
                    continue
                name = stream_name(options.stream_identifier)
                expected = expected_version(options, "expected_stream_position")
                written = self.log.append(name, expected, batch.records)
            except REFUSALS as error:
                response.error.CopyFrom(batch_error(error))
            else:
                response.success.CopyFrom(batch_success(written))
            del open_batches[key]
            yield response

    def Delete(
        self, request: streams_pb2.DeleteReq, context: grpc.ServicerContext
    ) -> streams_pb2.DeleteResp:
        return _removed(request, context, self.log.delete, streams_pb2.DeleteResp)

    def Tombstone(
        self, request: streams_pb2.TombstoneReq, context: grpc.ServicerContext
    ) -> streams_pb2.TombstoneResp:
        return _removed(request, context, self.log.tombstone, streams_pb2.TombstoneResp)


def _structured(options: streams_pb2.ReadReq.Options) -> bool:
    return options.uuid_option.WhichOneof("content") != "string"


def _filter(options: streams_pb2.ReadReq.Options) -> Filter:
    if options.WhichOneof("filter_option") != "filter":
        return Everything()
    kind = options.filter.WhichOneof("filter")
    if kind is None:
        raise BadRequest("A filter names neither event types nor stream names.")
    expression = getattr(options.filter, kind)
    return make_filter(
        by_stream=kind == "stream_identifier",
        regex=expression.regex,
        prefixes=tuple(expression.prefix),
    )


def _removed(
    request: Any, context: grpc.ServicerContext, remove: Callable[..., Any], response: Any
) -> Any:
    """Delete and Tombstone: messages of the same fields, and one way to be refused."""
    try:
        name = stream_name(request.options.stream_identifier)
        written = remove(name, expected_version(request.options, "expected_stream_revision"))
    except REFUSALS as error:
        refuse(context, error, "Delete")
    return response(
        position=response.Position(
            commit_position=written.position, prepare_position=written.position
        )
    )
