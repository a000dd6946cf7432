"""Cases become text, and text becomes tokens: the same ones in training and in scoring."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from odd_data import MONDAY, labels, odd_cases, odd_logs, remembered

import procutils.encoding as encoding_module
from procutils.cases import END, Case, Event
from procutils.encoding import Encoding
from procutils.finance.processes import simulate
from procutils.tokens import tokenise
from procutils.words import DELAY_WORDS, words
from procutils.written import Field, Memory


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


def test_nothing_to_learn_from_is_an_error():
    with pytest.raises(ValueError, match="no cases to learn an encoding from"):
        Encoding.fit([])


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
    assert parts[0]["amount"] == " large" and payment.events[0].data["amount"] >= 100_000
    assert "delay" not in parts[0] and all(p["delay"].strip() in DELAY_WORDS for p in parts[1:])
    approvals = [part for part in parts if part["type"] == "payment approved"]
    assert [part["approver_id"].strip() for part in approvals] == ["someone", "other"]


def test_a_case_reads_as_the_module_says():
    firm = simulate(seed=7, cases=800, rate=1.0)
    fitted = Encoding.fit(firm)
    example = encoding_module.__doc__.split("\n\n")[1]
    shown = "".join(line[4:48].rstrip() + "\n" for line in example.splitlines())
    assert shown in {fitted.prompt(case) + fitted.text(case) for case in firm}


@given(data=st.data())
def test_the_encoding_of_a_prefix_is_a_prefix_of_the_encoding(
    data: st.DataObject, encoding: Encoding, firm: list[Case]
):
    case = data.draw(st.sampled_from(firm) | odd_cases)
    length = data.draw(st.integers(0, len(case.events)))
    prefix = Case(case.id, case.events[:length])
    assert encoding.events(prefix) == encoding.events(case)[:length]
    if length < len(case.events):
        after = encoding.event(case.events[length], remembered(*prefix.events))
        assert after == encoding.events(case)[length]
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


@given(odd_logs | st.lists(odd_cases, min_size=1, max_size=2), odd_cases)
def test_odd_cases_never_stop_the_encoding(cases: list[Case], other: Case):
    fitted = Encoding.fit(cases)
    for case in (cases[0], other, Case(other.id, [*cases[0].events, *other.events])):
        lines = fitted.text(case).split("\n")
        assert len(lines) == len(case.events) + 1 and lines[-1] == ""
        assert all(line == " ".join(line.split()) != "" for line in lines[:-1])


def test_an_event_adds_itself_to_the_memory(encoding: Encoding, firm: list[Case]):
    memory = Memory()
    for n, event in enumerate(firm[0].events):
        assert memory.events == n
        encoding.event(event, memory)
    assert memory == remembered(*firm[0].events)


@given(st.lists(odd_cases, min_size=1, max_size=6) | odd_logs)
@settings(max_examples=40)
def test_a_saved_encoding_is_loaded_equal(tmp_path_factory, cases: list[Case]):
    fitted = Encoding.fit(cases)
    path = tmp_path_factory.mktemp("encoding") / "encoding.json"
    fitted.save(path)
    assert Encoding.load(path) == fitted


def test_the_finance_encoding_is_saved_and_loaded(encoding: Encoding, tmp_path: Path):
    encoding.save(tmp_path / "encoding.json")
    assert Encoding.load(tmp_path / "encoding.json") == encoding
    stored = [field for fields in encoding.fields.values() for field in fields]
    for part in ("like", "limits", "mapping", "usual"):
        assert any(getattr(field, part) for field in stored)


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


def test_fields_called_type_or_delay_do_not_hide_the_parts_of_that_name():
    kinds = ["red", "blue"] * 20
    cases = [
        Case(
            f"job-{i}",
            [
                Event("Opened", {"type": kind, "delay": kind}, MONDAY),
                Event("Red" if kind == "red" else "Blue", {}, MONDAY + timedelta(minutes=i + 1)),
            ],
        )
        for i, kind in enumerate(kinds)
    ]
    encoding = Encoding.fit(cases)
    names = [name for name, _ in encoding.events(cases[0])[0]]
    assert names[0] == "type" and len(names) > 1
    assert len(set(names)) == len(names)
    item, _ = encoding.field(cases[0], 0, "type field")
    assert item is not None and item.name == "type"
