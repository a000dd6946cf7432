"""The Gossip service: a cluster of one, and its leader."""

from __future__ import annotations

import time
import uuid

import grpc
from kurrentdbclient.protos.v1 import gossip_pb2, gossip_pb2_grpc, shared_pb2


class Gossip(gossip_pb2_grpc.GossipServicer):
    def __init__(self, host: str, port: int) -> None:
        self._instance = shared_pb2.UUID(string=str(uuid.uuid4()))
        self._endpoint = gossip_pb2.EndPoint(address=host, port=port)

    def Read(
        self, request: shared_pb2.Empty, context: grpc.ServicerContext
    ) -> gossip_pb2.ClusterInfo:
        leader = gossip_pb2.MemberInfo(
            instance_id=self._instance,
            time_stamp=time.time_ns() // 100,
            state=gossip_pb2.MemberInfo.Leader,
            is_alive=True,
            http_end_point=self._endpoint,
        )
        return gossip_pb2.ClusterInfo(members=[leader])
