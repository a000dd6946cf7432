"""The ServerFeatures service, by which the clients for Node and others ask what a server can do.

kurrentdbclient never asks, so it has no stubs for it: the two messages are described here.
"""

from __future__ import annotations

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import Message
from kurrentdbclient.protos.v1 import (
    gossip_pb2,
    persistent_pb2,
    projections_pb2,
    shared_pb2,
    streams_pb2,
)
from kurrentdbclient.protos.v2.streams import streams_pb2 as streams_v2_pb2

SERVICE = "event_store.client.server_features.ServerFeatures"
#: The newest server whose calls are answered here.
LIKE_SERVER = "26.1.0"

_PERSISTENT = persistent_pb2.DESCRIPTOR.services_by_name["PersistentSubscriptions"]


def _messages() -> type[Message]:
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="server_features.proto", package=SERVICE.rpartition(".")[0], syntax="proto3"
    )
    one = file.message_type.add(name="SupportedMethod")
    one.field.add(name="method_name", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    one.field.add(name="service_name", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    one.field.add(name="features", number=3, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
    all_of_them = file.message_type.add(name="SupportedMethods")
    all_of_them.field.add(
        name="methods",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=f".{file.package}.SupportedMethod",
        label=field.LABEL_REPEATED,
    )
    all_of_them.field.add(
        name="event_store_server_version",
        number=2,
        type=field.TYPE_STRING,
        label=field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"{file.package}.SupportedMethods")
    )


def supported_methods() -> Message:
    """A ``SupportedMethods`` message of what is served here."""
    answer = _messages()(event_store_server_version=LIKE_SERVER)
    for service in (
        streams_pb2.DESCRIPTOR.services_by_name["Streams"],
        streams_v2_pb2.DESCRIPTOR.services_by_name["StreamsService"],
        projections_pb2.DESCRIPTOR.services_by_name["Projections"],
        gossip_pb2.DESCRIPTOR.services_by_name["Gossip"],
        _PERSISTENT,
    ):
        for method in service.methods:
            answer.methods.add(
                method_name=method.name.lower(),
                service_name=service.full_name.lower(),
                features=["stream", "all"] if service is _PERSISTENT else [],
            )
    return answer


class ServerFeatures(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self._answer = supported_methods()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        if details.method != f"/{SERVICE}/GetSupportedMethods":
            return None
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._answer,
            request_deserializer=shared_pb2.Empty.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )
