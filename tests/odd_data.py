"""Data as no one would expect it, and logs with planted rules, for the tests of the encoding."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

from procutils.cases import Case, Event
from procutils.fields import Finding, survey
from procutils.occurrences import Occurrence, occurrences
from procutils.relations import Earlier, relations
from procutils.written import Field, Memory

MONDAY = datetime(2025, 1, 6, 9, tzinfo=UTC)

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([1, 1.0, True, "1", "True", 10**400, -(10**400), "2025-01-08", "emp-7"])
    | st.floats()
    | st.text(st.characters(exclude_categories=())),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
moments = st.datetimes(
    datetime(1990, 1, 1),
    datetime(2090, 1, 1),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=9)), timezone(-timedelta(hours=5))]),
)
labels = st.text(max_size=8) | st.sampled_from(
    ["OrderPlaced", "order_placed", "Order", "Orders", "order placed", "order/", "order/1/", ""]
)
names = st.sampled_from(["a", "b", "due", "by", "org:resource", "a.b", ""])
data = st.dictionaries(names, anything, max_size=4)
odd_cases = st.builds(
    Case,
    st.sampled_from(["order-1", "payment-2", "-", "no category", "ümläut-3"]),
    st.lists(st.builds(Event, labels, data, moments), max_size=6),
)
#: The same two event types and the same fields over and over: rules are found in such a log.
odd_logs = st.lists(data, min_size=1, max_size=4).flatmap(
    lambda of_events: st.integers(1, 30).map(
        lambda count: log(count, *((f"Said{i % 2}", held) for i, held in enumerate(of_events)))
    )
)


def log(count: int, *events: tuple[str, Any]) -> list[Case]:
    """Cases of event types with data; a callable gets the case's number and gives the data."""
    return [
        Case(
            f"job-{i}",
            [
                Event(type_, held(i) if callable(held) else held, MONDAY + timedelta(hours=n))
                for n, (type_, held) in enumerate(events)
            ],
        )
        for i in range(count)
    ]


def branching(count: int, of_case: Callable[[int], tuple[dict[str, Any], str]]) -> list[Case]:
    """Cases of ``JobOpened`` with data, and the event type that follows from it."""
    cases = []
    for i in range(count):
        held, second = of_case(i)
        cases.append(log(i + 1, ("JobOpened", held), (second, {}))[-1])
    return cases


def findings(cases: Sequence[Case]) -> dict[str, Finding]:
    return {f"{found.type}.{found.name}": found for found in survey(cases)}


def seen(cases: Sequence[Case], type_: str) -> list[Occurrence]:
    return occurrences(cases)[type_]


def related(cases: Sequence[Case], type_: str) -> dict[str, Field]:
    """The relations of the fields of one event type."""
    found = seen(cases, type_)
    return relations(found, Earlier(found))


def remembered(*events: Event) -> Memory:
    memory = Memory()
    for event in events:
        memory.add(event)
    return memory
