"""One append to several streams: all of it is written or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .expected import ANY, WrongExpectedVersion, earlier_write
from .log import Log
from .transaction import NewRecord, Transaction


class Check(NamedTuple):
    """What a stream is to be when the append is made; it need not be written itself."""

    stream: str
    expected: int


class Violation(NamedTuple):
    """index: of the check; actual: the stream's last revision, -1 for none."""

    index: int
    check: Check
    actual: int


class ChecksFailed(Exception):
    def __init__(self, violations: list[Violation]) -> None:
        self.violations = violations
        states = "; ".join(
            f"stream '{check.stream}', expected {check.expected}, actual {actual}"
            for _, check, actual in violations
        )
        super().__init__(f"Append failed: the streams are not as expected: {states}.")


class Revision(NamedTuple):
    """stream stands at revision; position: of the last record that was written to it."""

    stream: str
    revision: int
    position: int


def append_together(
    log: Log, runs: Sequence[tuple[str, Sequence[NewRecord]]], checks: Sequence[Check]
) -> list[Revision]:
    """Write the runs in their order; a stream may come again. One answer for each stream.

    Repeated with the same ids it writes nothing. Raises ChecksFailed, StreamDeleted, BadMetadata,
    StoreFailed, and WrongExpectedVersion if a part of it was written before.
    """
    with log.transaction() as transaction:
        earlier = _earlier(transaction, runs, checks)
        if earlier is not None:
            return earlier
        violations = []
        for index, check in enumerate(checks):
            try:
                transaction.check(*check)
            except WrongExpectedVersion as error:
                violations.append(Violation(index, check, error.current))
        if violations:
            raise ChecksFailed(violations)
        written: dict[str, Revision] = {}
        for name, records in runs:
            transaction.check(name, ANY)  # it may be closed, with no check of its own
            transaction.revive(name)
            position = transaction.position + len(records)
            transaction.write(name, records)
            written[name] = Revision(name, transaction.stream(name).head, position)
        return list(written.values())


def _earlier(
    transaction: Transaction,
    runs: Sequence[tuple[str, Sequence[NewRecord]]],
    checks: Sequence[Check],
) -> list[Revision] | None:
    """Where it was written, if it was written before."""
    expected = {check.stream: check.expected for check in checks}
    ids: dict[str, list[bytes]] = {}
    for name, records in runs:
        ids.setdefault(name, []).extend(record.id for record in records)
    found = {
        name: earlier_write(
            transaction.connection, transaction.stream(name), expected.get(name, ANY), own
        )
        for name, own in ids.items()
    }
    if not any(found.values()):
        return None
    for name, place in found.items():
        if place is None:
            head = transaction.stream(name).head
            raise WrongExpectedVersion(name, expected.get(name, ANY), head)
    return [Revision(name, *place) for name, place in found.items()]
