"""What stands in the text for a field, and what a case is remembered by."""

import math
from datetime import timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from odd_data import MONDAY, anything, data, names, odd_cases, remembered

from procutils.cases import Event
from procutils.words import is_number
from procutils.written import RANGES, RELATIONS, Field, Memory

KINDS = ("category", "number", "date", "actor", "due", *RELATIONS)


def said(kind: str, value: Any, *before: Any, **more: Any) -> str:
    """The text of a field ``x`` after ``E.a`` and ``E.b`` with these values."""
    held = dict(zip("ab", before, strict=False))
    like = tuple(f"E.{name}" for name in held) or ("E.a",)
    memory = remembered(Event("E", held, MONDAY)) if held else Memory()
    return Field("x", kind, like, **more).text(Event("F", {"x": value}, MONDAY), memory)


@given(
    st.builds(
        Field,
        names,
        st.sampled_from(KINDS),
        st.sampled_from([("E.a", "E.b"), ("F.a", "E.b"), ("E.a.b", "F.due")]),
        st.sampled_from([(), (0.0,), (1.0, 2.0, math.inf)]),
        st.sampled_from([(), (("1", "2"), ("True", "1"))]),
        st.none() | st.sampled_from(["same", "none", "x"]),
    ),
    data,
    st.lists(data, max_size=3),
)
def test_any_value_has_a_text_of_one_line(
    item: Field, now: dict[str, Any], before: list[dict[str, Any]]
):
    memory = remembered(*(Event("E", held, MONDAY) for held in before))
    event = Event("F", now, MONDAY)
    text, written = item.text(event, memory), item.written(event, memory)
    for line in (text, written):
        assert line == " ".join(line.split())
        line.encode("utf-8")
    assert text or item.kind in ("due", *RELATIONS)
    assert written == ("" if item.usual == text else written)


@given(anything, anything, st.sampled_from(RELATIONS))
def test_the_same_is_never_called_other(a: Any, b: Any, kind: str):
    word = Field("x", kind, ("E.a",)).compared(a, b)
    assert word in ("same", "more", "less", "other", "none", "")
    if a is not None and a == a and kind == "copy":
        assert Field("x", kind, ("E.a",)).compared(a, a) == "same"
    if word in ("more", "less"):
        assert is_number(a) and is_number(b) and (a > b) == (word == "more")


@pytest.mark.parametrize(
    ("kind", "value", "before", "expected"),
    [
        ("category", True, [], "true"),
        ("category", ["margin_check", "limit_check"], [], "margin check, limit check"),
        ("category", [], [], "nothing"),
        ("category", {"deep": {"er": [1]}}, [], "{'deep': {'er': [1]}}"),
        ("category", 14_499.0, [], "14K"),
        ("number", math.nan, [], "nan"),
        ("date", "2025-01-08", [], "two"),
        ("date", "soon", [], "soon"),
        ("actor", "emp-7", ["emp-7"], "a"),
        ("actor", "emp-7", ["emp-8", "emp-7"], "b"),
        ("actor", "emp-9", ["emp-8", "emp-7"], "other"),
        ("actor", "emp-9", ["emp-8", None], "other"),
        ("actor", "emp-9", [None], "someone"),
        ("actor", "emp-9", [], "someone"),
        ("copy", 14_499.0, [14_499], "same"),
        ("copy", 14_499.004, [14_499], "more"),
        ("copy", 1, [True], "other"),
        ("copy", True, [1.0], "other"),
        ("copy", True, [True], "same"),
        ("copy", "1", [1], "other"),
        ("copy", {"a": [1]}, [{"a": [1]}], "same"),
        ("copy", 10**400, [10**400], "same"),
        ("copy", 10**400, [10**401], "less"),
        ("copy", 10**400, [0.5], "more"),
        ("copy", -math.inf, [math.inf], "less"),
        ("copy", math.nan, [5], "other"),
        ("copy", 5, [math.nan], ""),
        ("copy", 5, [None], ""),
        ("copy", None, [5], "none"),
        ("copy", None, [None], ""),
        ("copy", 5, [], ""),
        ("rest", 3, [10, 7.004], "same"),
        ("rest", 3, [10, 8], "more"),
        ("rest", 3, ["ten", 7], ""),
        ("rest", 1, [math.inf, math.inf], ""),
        ("product", 6.0, [2, 3], "same"),
        ("product", 5, [2, 3], "less"),
        ("product", 5, [2, "three"], ""),
        ("product", 5, [0, math.inf], ""),
        ("product", "six", [2, 3], "other"),
        ("product", 5, [10**400, 0.5], "less"),
        ("total", 0, [], "same"),
    ],
)
def test_how_values_are_written(kind: str, value: Any, before: list[Any], expected: str):
    assert said(kind, value, *before) == expected


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"due", *RELATIONS}))
def test_nothing_is_called_none(kind: str):
    assert said(kind, None, 1) == "none"


def test_a_number_that_equals_a_limit_is_above_it():
    for count, ranges in RANGES.items():
        limits = tuple(range(10, 10 * count, 10))
        below = [said("number", limit - 0.01, limits=limits) for limit in limits]
        at = [said("number", limit, limits=limits) for limit in limits]
        assert (*below, at[-1]) == (below[0], *at) == ranges
    assert said("number", 10**400, limits=(1e308,)) == "large"


def test_what_goes_with_a_value_is_recognised_however_the_number_is_written():
    mapping = (("1", "15"), ("True", "x"))
    assert said("map", 15, 1, mapping=mapping) == said("map", 15.0, 1.0, mapping=mapping) == "same"
    assert said("map", "x", True, mapping=mapping) == "same"
    assert said("map", 16, 1, mapping=mapping) == said("map", "x", 1, mapping=mapping) == "other"
    assert said("map", 15, 2, mapping=mapping) == said("map", 15, None, mapping=mapping) == ""
    assert said("map", None, 1, mapping=mapping) == "none"
    item = Field("x", "map", ("E.a",), mapping=mapping)
    assert item.expected(Event("F", {}, MONDAY), remembered(Event("E", {"a": 1}, MONDAY))) == "15"


@pytest.mark.parametrize(
    ("date", "days", "expected"),
    [
        ("2025-01-08", 1, "early"),
        ("2025-01-08", 2, "due"),
        ("2025-01-08", 3, "late"),
        ("2025-01-08T23:00:00-05:00", 2.6, "early"),
        ("2025-01-08T23:00:00-05:00", 2.7, "due"),
        ("soon", 2, ""),
        (None, 2, ""),
    ],
)
def test_the_event_is_held_against_a_date_before(date: Any, days: float, expected: str):
    memory = remembered(Event("E", {"due": date}, MONDAY))
    at = MONDAY + timedelta(days=days)
    item = Field("due", "due", ("E.due",))
    for zone in (timezone(timedelta(hours=h)) for h in (-12, 0, 12)):
        assert item.text(Event("F", {}, at.astimezone(zone)), memory) == expected


def test_the_usual_is_not_written_and_what_breaks_it_says_which_field():
    item = Field("finalAmount", "copy", ("E.a",), usual="same")
    memory = remembered(Event("E", {"a": 5}, MONDAY))
    written = [
        item.written(Event("F", {"finalAmount": value}, MONDAY), memory) for value in (5, 6, None)
    ]
    assert written == ["", "final amount more", "final amount none"]
    assert item.written(Event("F", {"finalAmount": 6}, MONDAY), Memory()) == ""


@given(odd_cases)
def test_a_memory_kept_does_not_grow(case):
    memory, kept = Memory(), []
    for event in case.events:
        kept.append(memory.until_now())
        memory.add(event)
    for n, (event, then) in enumerate(zip(case.events, kept, strict=True)):
        again = remembered(*case.events[:n])
        assert then.keys() == again.keys() and then.now == again.now
        for key in memory.said:
            assert then.history(key) == again.history(key)
            assert then.latest(key) is again.latest(key)
            assert then.value(key, event) is again.value(key, event)
            assert str(then.total(key, event)) == str(again.total(key, event))


def test_a_memory_holds_the_latest_value_and_the_total():
    first, second = Event("E", {"a": 5, "b": "x"}, MONDAY), Event("E", {"a": 2, "c.d": 1}, MONDAY)
    memory = remembered(first, second)
    assert memory.latest("E.a") == 2 and memory.latest("E.b") == "x"
    assert memory.latest("E.z") is None and memory.history("E.z") == []
    other, same = Event("F", {"a": 9}, MONDAY), Event("E", {"a": True}, MONDAY)
    assert memory.total("E.a", other) == 7 and memory.total("E.a", first) == 12
    assert memory.total("E.a", same) == 7  # what is true does not count
    assert memory.value("E.a", other) == 2 and memory.value("E.c.d", other) == 1
    assert memory.value("E.b", second) is None


def test_who_was_named_and_who_was_named_before_another():
    memory = remembered(*(Event("E", {"a": who}, MONDAY) for who in ("emp-1", "emp-2", None)))
    field = Field("x", "actor", ("E.a",))
    texts = [field.text(Event("F", {"x": f"emp-{i}"}, MONDAY), memory) for i in (1, 2, 3)]
    assert texts == ["earlier a", "a", "other"]
