"""Splits by time, the leakage meter, and what is written for training."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from procutils import examples, plots
from procutils.cases import Case, Event
from procutils.encoding import Encoding
from procutils.finance.processes import simulate

START = datetime(2025, 1, 6, 9, tzinfo=UTC)


def case(name: str, *hours: float, types: str = "ABCDEFGH", **data: object) -> Case:
    """A case with one event at each of these hours."""
    events = [
        Event(type_, data, START + timedelta(hours=hour))
        for type_, hour in zip(types, hours, strict=False)
    ]
    return Case(name, events)


logs = st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=5), min_size=3, max_size=15).map(
    lambda log: [case(f"job-{i:02}", *hours) for i, hours in enumerate(log)]
)


@pytest.fixture(scope="module")
def firm() -> list[Case]:
    return simulate(seed=5, cases=120, rate=1.0)


@pytest.fixture(scope="module")
def parts(firm: list[Case]) -> examples.Split:
    return examples.split(firm, train=60, calibration=30)


@pytest.fixture(scope="module")
def encoding(parts: examples.Split) -> Encoding:
    return Encoding.fit(parts.train)


@pytest.fixture
def written(tmp_path: Path, parts: examples.Split, encoding: Encoding) -> Path:
    examples.write_examples(tmp_path / "examples", parts, encoding, as_of=4711)
    return tmp_path / "examples"


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


# Split


@given(logs, st.data())
def test_a_split_parts_the_cases_by_time(log: list[Case], data: st.DataObject):
    train = data.draw(st.integers(1, len(log) - 2))
    calibration = data.draw(st.integers(1, len(log) - 1 - train))
    parts = examples.split(log, train, calibration)
    assert [len(cases) for _, cases in parts] == [
        train,
        calibration,
        len(log) - train - calibration,
    ]
    ids = [case.id for _, cases in parts for case in cases]
    assert sorted(ids) == sorted(case.id for case in log), "each case once, in one part"
    begun = [case.events[0].at for _, cases in parts for case in cases]
    assert begun == sorted(begun)
    assert parts.cut == parts.calibration[0].events[0].at


@given(logs)
def test_no_event_after_the_cut_reaches_training(log: list[Case]):
    parts = examples.split(log, train=len(log) - 2, calibration=1)
    whole = {case.id: case for case in log}
    for learned in parts.train:
        original = whole[learned.id].events
        count = len(learned.events)
        assert learned.events == original[:count] and learned.events
        assert all(event.at <= parts.cut for event in learned.events)
        assert count == len(original) or original[count].at > parts.cut, "all that was known"
        assert (learned.id in parts.running) == (count < len(original))
    assert all(whole[case.id] == case for case in [*parts.calibration, *parts.test])


@given(logs, st.randoms())
def test_the_order_in_which_cases_are_read_does_not_matter(log, chance):
    mixed = chance.sample(log, len(log))
    assert examples.split(mixed, 1, 1) == examples.split(log, 1, 1)


def test_a_case_that_runs_across_the_cut_is_learned_up_to_it():
    log = [case("job-a", 0, 1, 5, 9), case("job-b", 2, 3), case("job-c", 4), case("job-d", 6)]
    parts = examples.split(log, train=2, calibration=1)
    assert [len(learned.events) for learned in parts.train] == [2, 2]
    assert parts.running == {"job-a"}


@pytest.mark.parametrize(("train", "calibration"), [(2, 1), (3, 3), (0, 1), (1, 0)])
def test_too_few_cases_are_refused(train: int, calibration: int):
    log = [case(f"job-{i}", i) for i in range(3)]
    with pytest.raises(ValueError, match=rf"3 cases .* {train} for training, {calibration} for"):
        examples.split(log, train, calibration)


# Leakage


def test_leakage_counts_prefixes():
    train = [case("job-1", 0, 1, types="AB"), case("job-2", 0, 1, types="AC")]
    test = [case("job-3", 0, 1, 2, types="ABC"), case("job-4", 0, types="A")]
    assert examples.leakage(train, test) == 3 / 4  # A, AB and A again; ABC was never seen
    assert examples.leakage(train, train) == 1
    assert examples.leakage([], test) == 0


def test_the_same_types_in_another_category_are_not_the_same():
    assert examples.leakage([case("job-1", 0)], [case("task-1", 0)]) == 0


def test_with_fields_a_prefix_is_the_same_only_if_its_text_is():
    encoding = Encoding.fit([case("job-1", 0)])
    slow, fast, same = case("job-2", 0, 2), case("job-3", 0, 0.01), case("job-4", 9, 11)
    assert examples.leakage([slow], [fast]) == 1
    assert examples.leakage([slow], [fast], encoding) == 1 / 2
    assert examples.leakage([slow], [same], encoding) == 1


def test_fields_only_make_prefixes_rarer(parts: examples.Split, encoding: Encoding):
    types = examples.leakage(parts.train, parts.test)
    texts = examples.leakage(parts.train, parts.test, encoding)
    assert 0 < texts < types <= 1


def test_leakage_without_test_cases_is_an_error():
    with pytest.raises(ValueError, match="no test cases"):
        examples.leakage([case("job-1", 0)], [])


# What is written


def test_whole_case_examples(written: Path, parts: examples.Split, encoding: Encoding):
    for name, cases in parts:
        stored = rows(written / f"{name}.jsonl")
        assert [row["case"] for row in stored] == [case.id for case in cases]
        for row, one in zip(stored, cases, strict=True):
            assert row["prompt"] + row["completion"] == encoding.prompt(one) + encoding.text(one)
            assert row["running"] == (name == "train" and one.id in parts.running)


def test_chat_examples(written: Path, parts: examples.Split):
    stored = iter(rows(written / "train_chat.jsonl"))
    for one in parts.train:
        for i in range(1, len(one.events)):
            system, user, assistant = next(stored)["messages"]
            assert [m["role"] for m in (system, user, assistant)] == ["system", "user", "assistant"]
            assert system["content"] == examples.SYSTEM_PROMPT
            assert f"Events: {', '.join(one.types[:i])}\n" in user["content"]
            assert assistant["content"] == one.types[i]
    assert next(stored, None) is None


def test_counts_are_the_rows_written(tmp_path: Path, parts: examples.Split, encoding: Encoding):
    counts = examples.write_examples(tmp_path, parts, encoding, as_of=1)
    assert counts.keys() == {"train", "calibration", "test", "chat"}
    for name, count in counts.items():
        file = "train_chat" if name == "chat" else name
        assert len(rows(tmp_path / f"{file}.jsonl")) == count


def test_what_is_pinned_gives_the_same_split_again(written: Path, firm: list[Case], parts):
    pin = examples.pinned(written)
    assert pin == {"as_of": 4711, "train": 60, "calibration": 30}
    assert examples.split(firm, pin["train"], pin["calibration"]) == parts
    assert Encoding.load(written / "encoding.json") == Encoding.fit(parts.train)


def test_writing_twice_gives_the_same_bytes(written: Path, parts, encoding, tmp_path: Path):
    examples.write_examples(tmp_path / "again", parts, encoding, as_of=4711)
    first = {file.name: file.read_bytes() for file in written.iterdir()}
    assert first == {file.name: file.read_bytes() for file in (tmp_path / "again").iterdir()}


def test_a_missing_pin_names_the_notebook(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"split\.json is missing: run notebook 03_build"):
        examples.pinned(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"as_of": 1}', '{"as_of": null}'])
def test_a_spoilt_pin_names_the_notebook(content: str, tmp_path: Path):
    (tmp_path / "split.json").write_text(content)
    with pytest.raises(ValueError, match=r"split\.json is not .*run notebook 03_build"):
        examples.pinned(tmp_path)


def test_text_in_any_script_survives(tmp_path: Path):
    row = {"prompt": "支付", "completion": "geprüft\u2028 ≤ 14K\n"}
    assert examples.write_jsonl(tmp_path / "rows.jsonl", [row]) == 1
    (line,) = (tmp_path / "rows.jsonl").read_text("utf-8").split("\n")[:-1]
    assert json.loads(line) == row and "支付" in line


def test_the_data_card_says_what_the_data_are(parts: examples.Split):
    card = examples.data_card(parts, 4711, "embedded", {"types": 0.5}, about="A made-up firm.")
    assert "embedded KurrentDB as of commit position 4711. A made-up firm.\n" in card
    assert "- types: 50.0%" in card
    assert f"{len(parts.running)} training cases were running" in card
    for name, cases in parts:
        assert f"| {name} | {len(cases)} | {sum(len(one.events) for one in cases)} |" in card


def test_taking_some_spreads_them_evenly():
    log = [case(f"job-{i}", i) for i in range(10)]
    assert [one.id for one in examples.take(log, 4)] == ["job-0", "job-2", "job-5", "job-7"]
    assert examples.take(log, 99) == log


def test_the_figure_of_a_split_tells_what_is_not_learned():
    plt.switch_backend("agg")  # draws without a screen
    log = [case("job-a", 0, 1, 5, 9), case("job-b", 2, 3), case("job-c", 4), case("job-d", 6)]
    parts = examples.split(log, train=2, calibration=1)
    fig = plots.time_split(parts, log, near=timedelta(hours=2))
    (legend,) = fig.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "train, 2 cases", "calibration, 1 cases", "test, 1 cases", "not learned",
    ]  # fmt: skip
    close = fig.axes[1]
    crosses = [line for line in close.lines if line.get_marker() == "x"]
    assert [list(line.get_xdata()) for line in crosses] == [
        [START + timedelta(hours=5), START + timedelta(hours=9)]
    ]
    plt.close(fig)
