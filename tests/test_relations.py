"""What always follows from other fields is found, and chance is not taken for a rule."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_data import log, related

from procutils.cases import Case
from procutils.written import Field


def table(count: int, seed: int, second: Any) -> list[Case]:
    """Two events: numbers and labels by chance, and what ``second`` makes of them."""
    chance = random.Random(seed)
    rows = [
        {
            "amount": round(chance.uniform(10, 5000), 2),
            "rate": round(chance.uniform(1, 9), 3),
            "size": chance.randrange(1, 400),
            "grade": chance.choice("ABC"),
        }
        for _ in range(count)
    ]
    return log(count, ("Asked", lambda i: rows[i]), ("Given", lambda i: second(rows[i])))


seeds = st.integers(0, 10**6)


@given(seeds)
def test_a_copy_is_found(seed: int):
    cases = table(30, seed, lambda row: {"total": row["amount"], "grade": row["grade"]})
    assert related(cases, "Given") == {
        "total": Field("total", "copy", ("Asked.amount",), usual="same"),
        "grade": Field("grade", "copy", ("Asked.grade",), usual="same"),
    }


@given(seeds)
def test_what_goes_with_a_label_is_found(seed: int):
    fees = {"A": 0, "B": 15.0, "C": [25, None]}
    cases = table(60, seed, lambda row: {"fee": fees[row["grade"]]})
    mapping = (("A", "0"), ("B", "15"), ("C", "[25, None]"))
    assert related(cases, "Given") == {
        "fee": Field("fee", "map", ("Asked.grade",), mapping=mapping, usual="same")
    }


@given(seeds)
def test_a_product_is_found(seed: int):
    cases = table(30, seed, lambda row: {"price": round(row["rate"] * row["size"], 2)})
    assert related(cases, "Given") == {
        "price": Field("price", "product", ("Asked.rate", "Asked.size"), usual="same")
    }


@given(seeds)
def test_totals_and_the_rest_are_found(seed: int):
    chance = random.Random(seed)
    cases = []
    for i in range(40):
        order, filled, events = chance.randrange(100, 5000), 0, []
        events.append(("Ordered", {"quantity": order}))
        for _ in range(chance.randrange(1, 4)):
            part = chance.randrange(1, 30)
            filled += part
            events.append(("Filled", {"part": part, "open": order - filled}))
        events.append(("Stopped", {"done": filled, "left": order - filled}))
        cases.append(log(i + 1, *events)[-1])
    like = ("Ordered.quantity", "Filled.part")
    assert related(cases, "Filled") == {"open": Field("open", "rest", like, usual="same")}
    # What is left is simplest told as what was last open.
    assert related(cases, "Stopped") == {
        "done": Field("done", "total", ("Filled.part",), usual="same"),
        "left": Field("left", "copy", ("Filled.open",), usual="same"),
    }


@given(seeds)
def test_a_copy_of_one_field_or_else_of_another_is_found(seed: int):
    chance = random.Random(seed)
    cases = []
    for i in range(60):
        value = chance.randrange(1000)
        first = ("Filled", {"all": value}) if i % 3 else ("Cancelled", {"until": value})
        cases.append(log(i + 1, first, ("Booked", {"quantity": value}))[-1])
    like = ("Filled.all", "Cancelled.until")
    assert related(cases, "Booked") == {"quantity": Field("quantity", "copy", like, usual="same")}


def test_what_holds_but_once_not_is_no_rule():
    odd_one = lambda row: {"total": row["amount"] + (row["amount"] > 4900)}  # noqa: E731
    cases = table(200, 3, odd_one)
    assert any(case.events[0].data["amount"] > 4900 for case in cases)
    assert related(cases, "Given") == {}


@pytest.mark.parametrize("count", [10, 12, 20, 60])
def test_chance_is_no_rule(count: int):
    found = 0
    for seed in range(100):
        chance = random.Random(seed)
        labels = {f"label {i}": [chance.choice("ab") for _ in range(count)] for i in range(20)}
        numbers = {f"number {i}": [chance.choice([0, 1]) for _ in range(count)] for i in range(5)}
        columns = labels | numbers
        cases = log(
            count,
            ("Asked", lambda i, of=columns: {name: of[name][i] for name in of}),
            ("Given", {"x": None}),
        )
        for i, case in enumerate(cases):
            case.events[1].data.clear()
            case.events[1].data["x"] = chance.choice("ab")
            case.events[1].data["y"] = chance.choice([0, 1]) if i else 1
        found += len(related(cases, "Given"))
    assert found <= 2 * 100 * 0.05


@pytest.mark.parametrize("seed", range(5))
def test_small_numbers_do_not_follow_from_each_other_just_for_being_small(seed: int):
    chance = random.Random(seed)
    cases = log(
        40,
        ("Asked", lambda i: {"rate": chance.uniform(0, 0.009), "share": chance.uniform(0, 0.009)}),
        ("Given", lambda i: {"yield": chance.uniform(0, 0.009)}),
    )
    assert related(cases, "Given") == {}


def test_what_is_said_again_in_the_same_case_is_no_further_evidence():
    chance = random.Random(1)
    cases = []
    for i in range(4):
        kind, side = ("a", "b") if i % 2 else ("c", "d")
        events = [("Asked", {"kind": kind}), *[("Given", {"side": side})] * 100]
        cases.append(log(i + 1, *events)[-1])
    chance.shuffle(cases)
    assert related(cases, "Given") == {}


def test_ten_are_needed_and_half_must_be_checked():
    assert related(table(9, 1, lambda row: {"total": row["amount"]}), "Given") == {}
    assert related(table(10, 1, lambda row: {"total": row["amount"]}), "Given") != {}
    cases = table(40, 1, lambda row: {"total": row["amount"]})
    for case in cases[:21]:
        case.events[0].data["amount"] = None
    assert "total" not in related(cases, "Given")
    cases[0].events[0].data["amount"] = cases[0].events[1].data["total"]
    assert "total" in related(cases, "Given")


def test_what_is_none_with_what_it_is_copied_from_breaks_no_rule():
    cases = table(40, 1, lambda row: {"total": row["amount"]})
    for case in cases[:10]:
        case.events[0].data["amount"] = case.events[1].data["total"] = None
    assert related(cases, "Given")["total"].kind == "copy"


@pytest.mark.parametrize("odd", [True, math.nan, "one", None, [1]])
def test_another_kind_of_value_breaks_a_copy(odd: Any):
    cases = table(40, 1, lambda row: {"flag": row["size"] % 2})
    for case in cases:
        case.events[0].data["flag"] = case.events[1].data["flag"]
    assert "flag" in related(cases, "Given")
    one = next(case for case in cases if case.events[1].data["flag"] == 1)
    one.events[1].data["flag"] = odd
    assert "flag" not in related(cases, "Given")


def test_a_field_does_not_follow_from_what_comes_after_it():
    cases = log(
        40,
        ("Given", lambda i: {"first": i, "second": i}),
    )
    assert related(cases, "Given") == {
        "second": Field("second", "copy", ("Given.first",), usual="same")
    }


def test_names_may_hold_dots():
    cases = log(
        40,
        ("Asked.v2", lambda i: {"concept.name": i}),
        ("Given.v2", lambda i: {"a.b": f"n {i}", "c.d": f"n {i}", "concept.name": i}),
    )
    assert {name: field.like for name, field in related(cases, "Given.v2").items()} == {
        "c.d": ("Given.v2.a.b",),
        "concept.name": ("Asked.v2.concept.name",),
    }
