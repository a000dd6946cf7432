"""Calls that are refused with a status of their own: persistent subscriptions and projections."""

from __future__ import annotations

from typing import ClassVar

import grpc


class Refusal(Exception):
    """status: of the call; trailers: what clients tell refusals apart by."""

    status: ClassVar[grpc.StatusCode]
    trailers: dict[str, str]

    def __init__(self, text: str, **trailers: str) -> None:
        self.trailers = {name.replace("_", "-"): value for name, value in trailers.items()}
        super().__init__(text)


class BadSettings(Refusal):
    """Settings of a persistent subscription that contradict themselves."""

    status = grpc.StatusCode.INTERNAL

    def __init__(self, reason: str) -> None:
        super().__init__(reason, exception="persistent-subscription-failed", reason=reason)


class _OfGroup(Refusal):
    """source: a stream, or ``$all``; group: the name of the group of consumers."""

    kind: ClassVar[str]
    text: ClassVar[str]

    def __init__(self, source: str, group: str) -> None:
        super().__init__(
            self.text.format(source=source, group=group),
            exception=self.kind,
            stream_name=source,
            group_name=group,
        )


class SubscriptionNotFound(_OfGroup):
    status = grpc.StatusCode.NOT_FOUND
    kind = "persistent-subscription-does-not-exist"
    text = "Subscription group '{group}' on stream '{source}' does not exist."


class SubscriptionExists(_OfGroup):
    status = grpc.StatusCode.ALREADY_EXISTS
    kind = "persistent-subscription-exists"
    text = "Subscription group '{group}' on stream '{source}' exists."


class SubscriptionDropped(_OfGroup):
    """The subscription was updated or deleted, or its server stops."""

    status = grpc.StatusCode.CANCELLED
    kind = "persistent-subscription-dropped"
    text = "Subscription group '{group}' on stream '{source}' was dropped."


class TooManyConsumers(_OfGroup):
    status = grpc.StatusCode.FAILED_PRECONDITION
    kind = "maximum-subscribers-reached"
    text = "Maximum subscriptions reached for stream '{source}' on group '{group}'."


class ProjectionNotFound(Refusal):
    status = grpc.StatusCode.NOT_FOUND

    def __init__(self, name: str) -> None:
        super().__init__(f"Projection '{name}' does not exist.")


class ProjectionExists(Refusal):
    status = grpc.StatusCode.ALREADY_EXISTS

    def __init__(self, name: str) -> None:
        super().__init__(f"Projection '{name}' exists.")


class ProjectionBusy(Refusal):
    status = grpc.StatusCode.FAILED_PRECONDITION


class NoProjections(Refusal):
    """Of what only a projection that runs could answer."""

    status = grpc.StatusCode.UNIMPLEMENTED
