"""The PersistentSubscriptions service."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from kurrentdbclient.protos.v1 import persistent_pb2, persistent_pb2_grpc, shared_pb2

from .delivery import Consumer, Sent
from .expected import find_stream
from .group import Group
from .groups import Groups
from .messages import REFUSALS, BadRequest, event_id, fill_event, refuse
from .refusals import SubscriptionNotFound
from .settings import read_settings, source_of

ReadReq, ReadResp = persistent_pb2.ReadReq, persistent_pb2.ReadResp


class PersistentSubscriptions(persistent_pb2_grpc.PersistentSubscriptionsServicer):
    def __init__(self, groups: Groups) -> None:
        self.groups = groups

    def Create(
        self, request: persistent_pb2.CreateReq, context: grpc.ServicerContext
    ) -> persistent_pb2.CreateResp:
        with _refusing(context):
            source, settings = read_settings(request.options)
            self.groups.create(source, _group_name(request.options), settings)
        return persistent_pb2.CreateResp()

    def Update(
        self, request: persistent_pb2.UpdateReq, context: grpc.ServicerContext
    ) -> persistent_pb2.UpdateResp:
        with _refusing(context):
            group = self._find(request.options)
            source, settings = read_settings(request.options, kept=group.settings)
            self.groups.update(source, group.name, settings)
        return persistent_pb2.UpdateResp()

    def Delete(
        self, request: persistent_pb2.DeleteReq, context: grpc.ServicerContext
    ) -> persistent_pb2.DeleteResp:
        with _refusing(context):
            group = self._find(request.options)
            self.groups.delete(group.source_name, group.name)
        return persistent_pb2.DeleteResp()

    def GetInfo(
        self, request: persistent_pb2.GetInfoReq, context: grpc.ServicerContext
    ) -> persistent_pb2.GetInfoResp:
        with _refusing(context):
            group = self._find(request.options)
            return persistent_pb2.GetInfoResp(subscription_info=_info(group))

    def List(
        self, request: persistent_pb2.ListReq, context: grpc.ServicerContext
    ) -> persistent_pb2.ListResp:
        options = request.options
        with _refusing(context):
            source = None
            if options.WhichOneof("list_option") == "list_for_stream":
                source = source_of(options.list_for_stream)
            groups = self.groups.all(source)
            if source is not None and not groups:
                raise SubscriptionNotFound(source, "*")
            return persistent_pb2.ListResp(subscriptions=[_info(group) for group in groups])

    def ReplayParked(
        self, request: persistent_pb2.ReplayParkedReq, context: grpc.ServicerContext
    ) -> persistent_pb2.ReplayParkedResp:
        options = request.options
        with _refusing(context):
            limited = options.WhichOneof("stop_at_option") == "stop_at"
            self._find(options).replay(options.stop_at if limited else None)
        return persistent_pb2.ReplayParkedResp()

    def RestartSubsystem(
        self, request: shared_pb2.Empty, context: grpc.ServicerContext
    ) -> shared_pb2.Empty:
        with _refusing(context):
            self.groups.restart()
        return shared_pb2.Empty()

    def Read(
        self, request_iterator: Iterator[ReadReq], context: grpc.ServicerContext
    ) -> Iterator[ReadResp]:
        with _refusing(context):
            options = next(request_iterator).options
            group = self._find(options)
            consumer = Consumer(slots=max(1, options.buffer_size), peer=context.peer())
            group.connect(consumer)
            if not context.add_callback(lambda: group.disconnect(consumer)):
                group.disconnect(consumer)  # the client is gone already
            listen = threading.Thread(
                target=_listen,
                args=(request_iterator, group, consumer),
                daemon=True,
                name=f"kurrentdb {group.name} acks",
            )
            listen.start()
            yield ReadResp(
                subscription_confirmation=ReadResp.SubscriptionConfirmation(
                    subscription_id=f"{group.source_name}::{group.name}"
                )
            )
            structured = options.uuid_option.WhichOneof("content") == "structured"
            while (item := consumer.outbox.get()) is not None:
                if isinstance(item, Exception):
                    raise item
                if item.current:
                    yield _event(item, structured)
                else:
                    group.tell(_nothing)  # there is room again in the outbox

    def _find(self, options: Any) -> Group:
        """Raises SubscriptionNotFound, BadRequest."""
        return self.groups.find(source_of(options), _group_name(options))


def _group_name(options: Any) -> str:
    if not options.group_name:
        raise BadRequest("The request names no group.")
    return options.group_name


def _event(sent: Sent, structured: bool) -> ReadResp:
    response = ReadResp()
    fill_event(response.event, sent.message.found, structured)
    response.event.retry_count = sent.message.retries
    return response


def _listen(requests: Iterator[ReadReq], group: Group, consumer: Consumer) -> None:
    """Pass on what a consumer answers. Who can answer no more gets nothing more."""
    try:
        for request in requests:
            match request.WhichOneof("content"):
                case "ack":
                    group.ack([event_id(id) for id in request.ack.ids])
                case "nack":
                    nack = request.nack
                    action = ReadReq.Nack.Action.Name(nack.action)
                    group.nack(consumer, [event_id(id) for id in nack.ids], action, nack.reason)
    except grpc.RpcError:
        pass  # the call has ended
    except BadRequest as error:
        consumer.outbox.put(error)
    group.disconnect(consumer)


@contextmanager
def _refusing(context: grpc.ServicerContext) -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        refuse(context, error, "Persistent subscription")


def _nothing() -> None:
    """To be told needs no more than that the group looks."""


def _info(group: Group) -> persistent_pb2.SubscriptionInfo:
    return group.ask(lambda: _describe(group))


def _describe(group: Group) -> persistent_pb2.SubscriptionInfo:
    """Called by the group's own thread."""
    delivery, settings, source = group.delivery, group.settings, group.source
    with group.log.reading() as connection:
        parked = find_stream(connection, group.parked_stream)
    info = persistent_pb2.SubscriptionInfo(
        event_source=group.source_name,
        group_name=group.name,
        status="Live",
        total_items=delivery.total,
        last_checkpointed_event_position=source.text(group.stored) if group.stored >= 0 else "",
        last_known_event_position=source.text(source.end()),
        resolve_link_tos=settings.resolve_links,
        start_from=source.text(settings.start),
        message_timeout_milliseconds=settings.message_timeout_ms,
        extra_statistics=settings.extra_statistics,
        max_retry_count=settings.max_retry_count,
        live_buffer_size=settings.live_buffer_size,
        buffer_size=settings.history_buffer_size,
        read_batch_size=settings.read_batch_size,
        check_point_after_milliseconds=settings.checkpoint_after_ms,
        min_check_point_count=settings.min_checkpoint_count,
        max_check_point_count=settings.max_checkpoint_count,
        read_buffer_count=len(delivery.fresh),
        retry_buffer_count=len(delivery.retrying) + len(delivery.replayed),
        total_in_flight_messages=len(delivery.sent),
        outstanding_messages_count=len(delivery.sent),
        named_consumer_strategy=settings.strategy,
        max_subscriber_count=settings.max_subscriber_count,
        parked_message_count=max(0, parked.head - parked.first + 1) if parked else 0,
    )
    for consumer in delivery.consumers:
        connection = info.connections.add(
            username="anonymous",
            total_items=consumer.total,
            available_slots=max(0, consumer.slots - consumer.in_flight),
            in_flight_messages=consumer.in_flight,
            connection_name=f"connection-{consumer.number}",
        )
        setattr(connection, "from", consumer.peer)  # "from" is a word of Python
    return info
