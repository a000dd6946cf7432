"""Cases become text, and text becomes tokens: the same ones in training and in scoring."""

import json
import math
import os
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from procutils.cases import END, Case, Event
from procutils.encoding import Encoding
from procutils.fields import UNRELATED, Finding, meaningful_fields, survey
from procutils.finance.processes import simulate
from procutils.tokens import tokenise
from procutils.words import Field, delay_word, magnitude, parse_date, words

MONDAY = datetime(2025, 1, 6, 9, tzinfo=UTC)

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
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
odd_cases = st.builds(
    Case,
    st.sampled_from(["order-1", "payment-2", "-", "no category", "ümläut-3"]),
    st.lists(
        st.builds(
            Event,
            labels,
            st.dictionaries(st.sampled_from(["a", "b", "due", "by"]), anything, max_size=4),
            moments,
        ),
        max_size=6,
    ),
)


@pytest.fixture(scope="module")
def firm() -> list[Case]:
    return simulate(seed=5, cases=150, rate=1.0)


@pytest.fixture(scope="module")
def encoding(firm: list[Case]) -> Encoding:
    return Encoding.fit(firm)


@pytest.fixture(scope="module")
def tokenizer():
    from procutils.models import load_tokenizer

    return load_tokenizer()


def log(count: int, *events: Any) -> list[Case]:
    """Cases of event types with data; a callable gets the case's number and gives the data."""
    return [
        Case(
            f"job-{i}",
            [
                Event(type_, data(i) if callable(data) else data, MONDAY + timedelta(hours=n))
                for n, (type_, data) in enumerate(events)
            ],
        )
        for i in range(count)
    ]


def findings(cases: list[Case]) -> dict[str, Finding]:
    return {f"{found.type}.{found.name}": found for found in survey(cases)}


# Words of a value


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("PaymentPendingApproval", "payment pending approval"),
        ("AccountKYCStarted", "account kyc started"),
        ("W_Nabellen offertes-SCHEDULE", "w nabellen offertes schedule"),
        ("margin_check", "margin check"),
        (" Prüfung\n gestartet ", "prüfung gestartet"),
        ("支付完成", "支付完成"),
        ("--", "nothing"),
        ("half a \ud83d smile", "half a ? smile"),
    ],
)
def test_labels_become_plain_words(label: str, expected: str):
    assert words(label) == expected


@given(st.text(st.characters(exclude_categories=())))
def test_words_are_one_line_and_never_empty(label: str):
    said = words(label)
    assert said == " ".join(said.split()) != ""
    assert not set(said) & set("_-/")
    said.encode("utf-8")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (99_999, "99K"),
        (99_999.99999999, "99K"),
        (100_000, "100K"),
        (0.29, "0.29"),
        (-0.0123, "-0.012"),
        (14_000, "14K"),
        (1_250_000.0, "1.2M"),
        (7, "7"),
        (0.0, "0"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (10**400, "1e+400"),
    ],
)
def test_magnitudes(value: float, expected: str):
    assert magnitude(value) == expected


def exactly(said: str) -> Decimal:
    power = {"K": 3, "M": 6, "B": 9, "T": 12}.get(said[-1])
    return Decimal(said[:-1]).scaleb(power) if power else Decimal(said)


numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers()


@given(numbers)
def test_a_magnitude_never_rounds_up_across_a_limit(value: float):
    said = abs(exactly(magnitude(value)))
    assert said <= abs(Decimal(str(value)))
    assert said >= abs(Decimal(str(value))) * Decimal("0.9")


@given(numbers, numbers)
def test_magnitudes_keep_the_order(a: float, b: float):
    low, high = sorted((a, b))
    assert exactly(magnitude(low)) <= exactly(magnitude(high))


DELAY_WORDS = (
    *("before", "instantly", "seconds", "minute", "minutes", "hour", "hours", "overnight"),
    *("weekend", "day", "two", "three", "four", "five", "week", "weeks", "months"),
)


@given(moments, moments, moments)
def test_delay_words_are_monotone(start: datetime, a: datetime, b: datetime):
    early, late = sorted((a, b))
    ranks = [DELAY_WORDS.index(delay_word(start, end)) for end in (early, late)]
    assert ranks == sorted(ranks)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=60)))
def test_delay_words_are_monotone_close_by_too(start: datetime, delay: timedelta):
    test_delay_words_are_monotone.hypothesis.inner_test(start, start + delay / 2, start + delay)


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (-1, "before"), (0, "instantly"), (0.01, "seconds"), (0.05, "minute"), (0.4, "minutes"),
        (2, "hour"), (3, "hours"), (14.9, "hours"), (24, "day"), (48, "two"), (4 * 24, "four"),
        (5 * 24, "five"), (7 * 24, "five"), (8 * 24, "week"), (30 * 24, "weeks"),
        (90 * 24, "months"),
    ],
)  # fmt: skip
def test_delays_from_a_monday_morning(hours: float, expected: str):
    assert delay_word(MONDAY, MONDAY + timedelta(hours=hours)) == expected


def test_nights_and_weekends_are_no_business_days():
    evening = MONDAY.replace(hour=20)
    friday, saturday = MONDAY + timedelta(days=4), MONDAY + timedelta(days=5)
    assert delay_word(evening, evening + timedelta(hours=11)) == "overnight"
    assert delay_word(friday, friday + timedelta(days=3)) == "day"
    assert delay_word(saturday, saturday + timedelta(days=2)) == "weekend"


@given(moments, moments)
def test_the_time_zone_that_a_time_is_told_in_does_not_matter(start: datetime, end: datetime):
    assert delay_word(start, end) == delay_word(start.astimezone(UTC), end.astimezone(UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2025-01-31", datetime(2025, 1, 31, 23, 59, 59, tzinfo=UTC)),
        ("2025-01-31T10:00:00+02:00", datetime(2025, 1, 31, 8, tzinfo=UTC)),
        ("2025-01-31 10:00", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("9999-12-31", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)),
        ("9999-12-31T23:00:00-05:00", None),
        ("2025-13-01", None),
        ("2025", None),
        (20250131, None),
    ],
)
def test_dates(text: Any, expected: datetime | None):
    assert parse_date(text) == expected


@given(
    st.builds(
        Field,
        st.just("a"),
        st.sampled_from(["category", "number", "date", "actor"]),
        st.sampled_from([(), ("E.a",), ("E.a", "F.b")]),
    ),
    st.dictionaries(st.just("a"), anything),
    st.dictionaries(st.sampled_from(["E.a", "F.b"]), anything),
)
def test_any_value_has_a_text(item: Field, data: dict[str, Any], seen: dict[str, Any]):
    said = item.text(Event("E", data, MONDAY), seen)
    assert said == " ".join(said.split()) != ""


def test_how_values_are_written():
    def said(value: Any, kind: str, seen: Any = None) -> str:
        like = ("E.x",) if seen is not None else ()
        return Field("x", kind, like).text(Event("F", {"x": value}, MONDAY), {"E.x": seen})

    assert said(14_499.0, "number") == "14K"
    assert said(14_499.0, "number", seen=14_499.0) == "same"
    assert said("emp-7", "actor", seen="emp-7") == "same"
    assert said("emp-8", "actor", seen="emp-7") == "other"
    assert said("emp-8", "actor") == "someone"
    assert said("2025-01-08", "date") == "two"
    assert said(["margin_check", "limit_check"], "category") == "margin check, limit check"
    assert said(True, "category") == "true"
    assert said({"deep": {"er": [1]}}, "category") == "{'deep': {'er': [1]}}"
    assert said(None, "number") == said(None, "actor") == "none"


# Which fields matter


def test_what_tells_nothing_is_left_out_with_the_reason():
    chance = random.Random(1)
    cases = log(
        60,
        ("JobOpened", lambda i: {"id": f"job-{i}", "desk": "A", "colour": chance.choice("xyz")}),
        ("JobClosed", lambda i: {"id": f"job-{i}", "note": None, "to": f"client {i % 30}"}),
    )
    found = findings(cases)
    assert not any(one.field for one in found.values())
    assert {name: one.reason for name, one in found.items()} == {
        "JobOpened.id": "identifier or free text: 60 values in 60 events",
        "JobOpened.desk": "always the same",
        "JobOpened.colour": UNRELATED,
        "JobClosed.id": "copy of JobOpened.id",
        "JobClosed.note": "always the same",
        "JobClosed.to": "a name, with nobody before it to compare",
    }


def test_a_field_that_decides_what_comes_next_is_kept():
    chance = random.Random(2)
    cases = []
    for i in range(80):
        amount = chance.uniform(10, 1000)
        second = "JobApproved" if amount > 500 else "JobClosed"
        cases += log(i + 1, ("JobOpened", {"amount": amount}), (second, {}))[-1:]
    found = findings(cases)["JobOpened.amount"]
    assert found.field == Field("amount", "number")
    assert found.reason.startswith(("depends on: the next event", "depends on: Job"))


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
    assert texts == {"same", "other"}


def test_a_short_code_is_a_category_if_it_changes_the_course():
    cases = []
    for i in range(60):
        second = "JobEscalated" if i % 3 == 0 else "JobClosed"
        data = {"priority": f"P{i % 3}", "queue": f"Q{(i // 3) % 2}"}
        cases += log(i + 1, ("JobOpened", data), (second, {}))[-1:]
    found = findings(cases)
    assert found["JobOpened.priority"].field == Field("priority", "category")
    assert found["JobOpened.queue"].field is None


@given(st.lists(odd_cases, max_size=12))
@settings(max_examples=60)
def test_odd_values_never_stop_the_choice_of_fields(cases: list[Case]):
    kept = meaningful_fields(cases)
    assert all(kept.values())
    assert set(kept) <= {type_ for case in cases for type_ in case.types}


def test_numbers_too_large_for_a_float_are_ranked_too():
    cases = []
    for i in range(40):
        second = "Large" if i % 2 else "Small"
        cases += log(i + 1, ("Sent", {"n": 10 ** (400 + i) if i % 2 else i}), (second, {}))[-1:]
    assert meaningful_fields(cases)["Sent"] == [Field("n", "number")]


def test_numbers_that_are_none_do_not_hide_the_others():
    cases = []
    for i in range(60):
        second = "Large" if i % 2 else "Small"
        n = math.nan if i % 10 < 4 else i + 100 * (i % 2)
        cases += log(i + 1, ("Sent", {"n": n}), (second, {}))[-1:]
    assert meaningful_fields(cases)["Sent"] == [Field("n", "number")]


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="no cases to learn an encoding from"):
        Encoding.fit([])


def test_fitting_does_not_depend_on_hashing_or_on_the_order_of_categories(firm: list[Case]):
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


# Cases as text


def test_a_case_reads_as_one_line_per_event(encoding: Encoding, firm: list[Case]):
    for case in firm:
        *lines, rest = encoding.text(case).split("\n")
        assert rest == ""
        for line, type_ in zip(lines, case.types, strict=True):
            assert line.startswith(words(type_))
        assert case.id.partition("-")[2] not in encoding.text(case)


def test_amounts_delays_and_actors_are_single_words(encoding: Encoding, firm: list[Case]):
    payment = next(c for c in firm if c.types.count("PaymentApproved") == 2)
    parts = [dict(parts) for parts in encoding.events(payment)]
    assert parts[0]["amount"].strip() == magnitude(payment.events[0].data["amount"])
    assert "delay" not in parts[0] and all(p["delay"].strip() in DELAY_WORDS for p in parts[1:])
    approvals = [part for part in parts if part["type"] == "payment approved"]
    assert [part["approver_id"].strip() for part in approvals] == ["someone", "other"]


@given(data=st.data())
def test_the_encoding_of_a_prefix_is_a_prefix_of_the_encoding(
    data: st.DataObject, encoding: Encoding, firm: list[Case]
):
    case = data.draw(st.sampled_from(firm) | odd_cases)
    length = data.draw(st.integers(0, len(case.events)))
    prefix = Case(case.id, case.events[:length])
    assert encoding.events(prefix) == encoding.events(case)[:length]
    assert encoding.text(case).startswith(encoding.text(prefix))


@given(st.lists(labels, max_size=12))
def test_names_are_distinct_and_none_begins_another(types: list[str]):
    cases = [Case("job-1", [Event(type_, {}, MONDAY) for type_ in types])]
    names = Encoding.fit(cases).names
    assert set(names) == set(types)
    said = list(names.values())
    assert not [(a, b) for a in names for b in names if a != b and names[b].startswith(names[a])]
    assert all(name == " ".join(name.split()) != "" for name in said)


def test_names_stay_plain_where_they_can():
    types = ["OrderPlaced", "order_placed", "Order", "OrderPlacedLate", "Sent"]
    cases = [Case("job-1", [Event(type_, {}, MONDAY) for type_ in types])]
    assert Encoding.fit(cases).names == {
        "Order": "order/",
        "OrderPlaced": "order placed/1/",
        "OrderPlacedLate": "order placed late",
        "Sent": "sent",
        "order_placed": "order placed/2/",
    }


def test_the_names_of_the_finance_events_are_their_words(encoding: Encoding):
    assert encoding.names == {type_: words(type_) for type_ in encoding.names}


def test_an_event_type_that_training_never_showed_gets_words(encoding: Encoding):
    case = Case("payment-1", [Event("PaymentTeleported", {"amount": 3}, MONDAY)])
    assert encoding.text(case) == "payment teleported\n"
    assert encoding.prompt(Case("teleport-1", [])) == "teleport\n"


@given(odd_cases)
def test_odd_cases_never_stop_the_encoding(case: Case):
    fitted = Encoding.fit([case]) if case.events else Encoding()
    assert fitted.text(case).count("\n") == len(case.events)


@given(st.lists(odd_cases, min_size=1, max_size=6))
@settings(max_examples=40)
def test_a_saved_encoding_is_loaded_equal(tmp_path_factory, cases: list[Case]):
    fitted = Encoding.fit(cases)
    path = tmp_path_factory.mktemp("encoding") / "encoding.json"
    fitted.save(path)
    assert Encoding.load(path) == fitted


def test_the_finance_encoding_is_saved_and_loaded(encoding: Encoding, tmp_path: Path):
    encoding.save(tmp_path / "encoding.json")
    assert Encoding.load(tmp_path / "encoding.json") == encoding
    assert any(field.like for fields in encoding.fields.values() for field in fields)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"names": {}, "fields": [], "categories": {}}', "ÿ"]
)
def test_a_file_that_is_no_encoding_is_refused(content: str, tmp_path: Path):
    (tmp_path / "encoding.json").write_text(content, "latin-1")
    with pytest.raises(ValueError, match=r"encoding.json is not an encoding .*notebook 04"):
        Encoding.load(tmp_path / "encoding.json")
    with pytest.raises(FileNotFoundError, match=r"none.json"):
        Encoding.load(tmp_path / "none.json")


def test_bare_events_belong_to_the_category_that_knows_them(encoding: Encoding, firm: list[Case]):
    for case in firm:
        assert encoding.as_case(case.events).category == case.category
    with pytest.raises(ValueError, match="no events to continue"):
        encoding.as_case([])


# Text as tokens


def check_tokens(case: Case, encoding: Encoding, tokenizer) -> None:
    tokens = tokenise(case, encoding, tokenizer)
    text = encoding.prompt(case) + encoding.text(case)
    in_one_piece = tokenizer(text, add_special_tokens=False, split_special_tokens=True)
    assert tokens.ids == [*in_one_piece["input_ids"], tokenizer.eos_token_id]
    assert tokens.ids.count(tokenizer.eos_token_id) == 1
    edges = [tokens.prompt, *(span.stop for span in tokens.spans)]
    assert [span.start for span in tokens.spans] == edges[:-1] and edges[-1] == len(tokens.ids)
    parts = [(i, name) for i, event in enumerate(encoding.events(case)) for name, _ in event]
    assert [(s.event, s.part) for s in tokens.spans] == [*parts, (len(case.events), END)]


def test_the_tokens_of_the_parts_are_those_of_the_whole(encoding, firm, tokenizer):
    for case in firm:
        check_tokens(case, encoding, tokenizer)


@given(odd_cases)
def test_the_tokens_of_odd_parts_are_those_of_the_whole(tokenizer, case: Case):
    assume(case.events)
    check_tokens(case, Encoding.fit([case]), tokenizer)
    everything = {e.type: [Field(name, "category") for name in e.data] for e in case.events}
    check_tokens(case, Encoding(fields=everything), tokenizer)


def test_a_field_cannot_end_the_text(tokenizer):
    encoding = Encoding(fields={"Said": [Field("what", "category")]})
    for what in ("<|endoftext|>", "<|im_end|>", "<|im_start|>user"):
        check_tokens(Case("chat-1", [Event("Said", {"what": what}, MONDAY)]), encoding, tokenizer)


def test_a_case_that_may_go_on_has_no_end(encoding, firm, tokenizer):
    whole, open_ = (tokenise(firm[0], encoding, tokenizer, whole) for whole in (True, False))
    assert open_.ids == whole.ids[:-1] and open_.spans == whole.spans[:-1]


def test_an_encoding_is_plain_json(encoding: Encoding, tmp_path: Path):
    encoding.save(tmp_path / "encoding.json")
    stored = json.loads((tmp_path / "encoding.json").read_text("utf-8"))
    assert set(stored) == {"names", "fields", "categories"}
