"""What this server does not do, said in a sentence instead of a bare status."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import grpc

_SERVICES = {
    "event_store.client.projections.Projections": (
        "Projections are not managed by this embedded server; the links of $by_category, "
        "$by_event_type and $by_correlation_id are always written"
    ),
}


class Unimplemented(grpc.GenericRpcHandler):
    """Answers every call that no other handler knows."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        service, _, method = details.method.strip("/").rpartition("/")
        reason = _SERVICES.get(service, f"This embedded server has no method {service}/{method}")

        def answer(requests: Iterator[bytes], context: grpc.ServicerContext) -> NoReturn:
            text = f"{reason}. A real KurrentDB server has it: set KURRENTDB_URI to use one."
            context.abort(grpc.StatusCode.UNIMPLEMENTED, text)

        return grpc.stream_stream_rpc_method_handler(answer)
