"""Which fields are written, and why: what tells something about the case, and nothing else."""

import math
import os
import random
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_data import MONDAY, branching, findings, log, odd_cases, odd_logs

from procutils.cases import Case, Event
from procutils.encoding import Encoding
from procutils.fields import UNRELATED, meaningful_fields
from procutils.finance.anomalies import inject
from procutils.finance.processes import simulate
from procutils.written import Field


@pytest.fixture(scope="module")
def large_firm() -> list[Case]:
    return simulate(seed=7, cases=800, rate=1.0)


def test_what_tells_nothing_is_left_out_with_the_reason():
    chance = random.Random(1)
    cases = log(
        60,
        ("JobOpened", lambda i: {"id": f"job-{i}", "colour": chance.choice("xyz")}),
        ("JobClosed", lambda i: {"to": f"client {i % 30}", "cost": chance.random()}),
    )
    found = findings(cases)
    assert not any(one.field for one in found.values())
    assert {name: one.reason for name, one in found.items()} == {
        "JobOpened.id": "identifier or free text: 60 values in 60 events",
        "JobOpened.colour": UNRELATED,
        "JobClosed.to": "a name, with nobody before it to compare",
        "JobClosed.cost": "a number without a limit at which anything changes",
    }


def test_what_always_holds_is_kept_for_when_it_is_broken():
    cases = log(
        60,
        ("JobOpened", lambda i: {"id": f"job-{i}", "desk": "A"}),
        ("JobClosed", lambda i: {"id": f"job-{i}", "note": None}),
    )
    found = findings(cases)
    assert found["JobOpened.desk"].field == Field("desk", "category", usual="a")
    assert found["JobOpened.desk"].reason == "always a"
    assert found["JobClosed.note"].field == Field("note", "category", usual="none")
    assert found["JobClosed.id"].field == Field("id", "copy", ("JobOpened.id",), usual="same")
    assert found["JobClosed.id"].reason == "always copy of JobOpened.id"
    few = findings(cases[:9])
    assert few["JobOpened.desk"].reason == "always the same, but seen 9 times only"
    assert few["JobOpened.desk"].field is few["JobClosed.id"].field is None


def test_a_number_is_written_with_the_limits_at_which_something_changes():
    chance = random.Random(2)

    def job(i: int) -> tuple[dict[str, Any], str]:
        amount = chance.uniform(10, 1000)
        return {"amount": amount}, "JobApproved" if amount >= 500 else "JobClosed"

    found = findings(branching(200, job))["JobOpened.amount"]
    assert found.field == Field("amount", "number", limits=(500.0,))
    assert found.reason == "something changes at 500"


def test_an_actor_is_compared_with_those_who_acted_before():
    cases = log(
        40,
        ("JobOpened", lambda i: {"by": f"emp-{i % 7}"}),
        ("JobClosed", lambda i: {"approver": f"emp-{(i + i % 2) % 7}"}),
    )
    assert meaningful_fields(cases) == {
        "JobClosed": [Field("approver", "actor", ("JobOpened.by",))]
    }
    texts = {Encoding.fit(cases).text(case).split()[-1] for case in cases}
    assert texts == {"by", "other"}


def test_actors_that_are_always_others_are_written_where_they_are_not():
    cases = log(
        40,
        ("JobOpened", lambda i: {"by": f"emp-{i % 7}"}),
        ("JobClosed", lambda i: {"approver": f"emp-{(i + 1 + i % 3) % 7}"}),
    )
    encoding = Encoding.fit(cases)
    opened, closed = cases[0].events
    alone = Event("JobClosed", {"approver": opened.data["by"]}, closed.at)
    assert encoding.text(cases[0]) == "job opened\njob closed hour\n"
    assert encoding.text(Case("job-x", [opened, alone])).endswith("hour approver by\n")


def test_a_short_code_is_a_category_if_it_changes_the_course():
    def job(i: int) -> tuple[dict[str, Any], str]:
        held = {"priority": f"P{i % 3}", "queue": f"Q{(i // 3) % 2}"}
        return held, "JobEscalated" if i % 3 == 0 else "JobClosed"

    found = findings(branching(60, job))
    assert found["JobOpened.priority"].field == Field("priority", "category")
    assert found["JobOpened.queue"].field is None


def test_mostly_a_copy_is_written_as_one():
    cases = log(
        60,
        ("Ordered", lambda i: {"quantity": 10 * i}),
        ("Delivered", lambda i: {"quantity": 10 * i - 3 * (i % 3 == 2)}),
    )
    found = findings(cases)["Delivered.quantity"]
    assert found.field == Field("quantity", "copy", ("Ordered.quantity",))
    assert found.reason == "mostly a copy of Ordered.quantity"
    assert {Encoding.fit(cases).text(case).split()[-1] for case in cases} == {"same", "less"}


def test_a_number_is_no_copy_of_itself():
    def steady(i: int) -> list[tuple[str, Any]]:
        return [("Measured", {"level": i + (n == 2) / 7}) for n in range(3)]

    cases = [log(i + 1, *steady(i))[-1] for i in range(40)]
    field = findings(cases)["Measured.level"].field
    assert field is None or field.kind == "number"


def test_an_event_after_a_date_is_early_due_or_late():
    cases = []
    for i in range(30):
        (case,) = log(1, ("Asked", {"until": "2025-01-08"}))
        answered = Event("Answered", {}, MONDAY + timedelta(days=i % 5))
        cases.append(Case(f"job-{i}", [*case.events, answered]))
    assert findings(cases)["Answered.until"].field == Field("until", "due", ("Asked.until",))
    fitted = Encoding.fit(cases)
    ends = [fitted.text(case).split()[-1] for case in cases[:5]]
    assert ends == ["early", "early", "due", "late", "late"]


@given(st.lists(odd_cases, max_size=12) | odd_logs)
@settings(max_examples=100)
def test_odd_values_never_stop_the_choice_of_fields(cases: list[Case]):
    kept = meaningful_fields(cases)
    assert all(kept.values())
    assert set(kept) <= {type_ for case in cases for type_ in case.types}


def test_numbers_too_large_for_a_float_are_ranked_too():
    def job(i: int) -> tuple[dict[str, Any], str]:
        return {"n": 10 ** (400 + i) if i % 2 else i}, "Large" if i % 2 else "Small"

    (field,) = meaningful_fields(branching(40, job))["JobOpened"]
    assert field == Field("n", "number", limits=(math.inf,))


def test_numbers_that_are_none_do_not_hide_the_others():
    def job(i: int) -> tuple[dict[str, Any], str]:
        n = math.nan if i % 10 < 4 else i + 100 * (i % 2)
        return {"n": n}, "Large" if i % 2 else "Small"

    (field,) = meaningful_fields(branching(60, job))["JobOpened"]
    assert field == Field("n", "number", limits=(100.0,))


@pytest.mark.parametrize("seed", range(3))
def test_noise_is_left_out(seed: int):
    chance = random.Random(seed)

    def noise(i: int) -> dict[str, Any]:
        labels = {f"label {n}": chance.choice("abcde"[: 2 + n % 4]) for n in range(8)}
        return labels | {f"number {n}": chance.uniform(0, 100) for n in range(4)}

    cases = [
        log(i + 1, ("A", noise(i)), (chance.choice("BC"), noise(i)), ("D", noise(i)))[-1]
        for i in range(120)
    ]
    assert sum(map(len, meaningful_fields(cases).values())) <= 4  # of 48


def test_a_case_may_be_very_long():
    chance = random.Random(4)
    events = [
        (f"Step{n % 9}", {"n": n, "who": f"emp-{n % 5}", "x": chance.random()}) for n in range(3000)
    ]
    assert set(findings(log(1, *events))) == {
        f"Step{n}.{name}" for n in range(9) for name in ("n", "who", "x")
    }


# The finance example


@pytest.fixture(scope="module")
def encoding(large_firm: list[Case]) -> Encoding:
    return Encoding.fit(large_firm)


def test_the_limits_of_the_firm_are_found(large_firm: list[Case]):
    fields = {
        f"{type_}.{item.name}": item
        for type_, items in meaningful_fields(large_firm).items()
        for item in items
    }
    assert fields["PaymentInitiated.amount"].limits == (10_000, 100_000)
    assert fields["RiskLimitBreached.breach_percentage"].limits == (10, 25, 50)
    kinds = {name: (item.kind, item.like, item.usual) for name, item in fields.items()}
    for name, kind, *like in (
        ("PaymentCompleted.final_amount", "copy", "PaymentInitiated.amount"),
        ("PaymentCompleted.fees", "map", "PaymentExecuted.network"),
        ("OrderCancelled.filled_quantity", "total", "OrderPartiallyFilled.filled_quantity"),
        (
            *("OrderPartiallyFilled.remaining_quantity", "rest"),
            *("OrderRouted.routed_quantity", "OrderPartiallyFilled.filled_quantity"),
        ),
        (
            *("TradeSettled.settlement_amount", "product"),
            *("OrderFilled.average_price", "TradeSettled.settled_quantity"),
        ),
        (
            *("TradeBooked.quantity", "copy"),
            *("OrderFilled.total_quantity", "OrderCancelled.filled_quantity"),
        ),
    ):
        assert kinds[name] == (kind, tuple(like), "same")


@pytest.mark.parametrize(
    "kind",
    [
        "booked_unlike_filled",
        "fills_do_not_add_up",
        "amount_understated",
        "under_the_limit_twice",
        "priority_unlike_severity",
    ],
)
def test_a_broken_relation_shows_in_the_text(kind: str, large_firm: list[Case], encoding: Encoding):
    found = [inject(case, kind, random.Random(3)) for case in large_firm]
    injections = [injection for injection in found if injection is not None]
    assert len(injections) > 3
    for injection in injections:
        right = encoding.events(injection.original)[injection.position]
        wrong = encoding.events(injection.case)[injection.position]
        more = {text.strip() for _, text in wrong} - {text.strip() for _, text in right}
        assert any(text.endswith((" more", " less", " other")) for text in more), (right, wrong)


def test_fitting_does_not_depend_on_hashing_or_on_the_order_of_categories():
    firm = simulate(seed=5, cases=150, rate=1.0)
    script = (
        "from procutils.encoding import Encoding;from procutils.finance.processes import simulate;"
        "from dataclasses import asdict;import json;"
        "print(json.dumps(asdict(Encoding.fit(simulate(5, 150, rate=1.0)))))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).resolve().parents[1],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    by_category = sorted(firm, key=lambda case: case.category)
    assert Encoding.fit(by_category).names == Encoding.fit(firm).names
    assert Encoding.fit(by_category).fields == Encoding.fit(firm).fields
