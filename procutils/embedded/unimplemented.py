"""What this server does not do, said in a sentence instead of a bare status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import grpc


class Unimplemented(grpc.GenericRpcHandler):
    """Answers every call that no other handler knows."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = details.method.strip("/")

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> NoReturn:
            context.abort(
                grpc.StatusCode.UNIMPLEMENTED,
                f"This embedded server has no method {method}. A real KurrentDB server may have "
                "it: set KURRENTDB_URI to use one.",
            )

        return grpc.stream_stream_rpc_method_handler(answer)
