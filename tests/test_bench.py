"""The benchmark of ``make bench``: each of its pieces measures what it says, on a tiny model."""

import json

import pytest
from bench import __main__ as program
from bench import kurrentdb, latency, memory, scoring, training, watching
from bench.settings import Settings
from bench.streams import Streams, chats, question_and_answer
from bench.table import Row, Section, faster, more, shown
from tiny_model import tiny_with_tokenizer

from procutils.examples import chat_examples
from procutils.hardware import Hardware
from procutils.models import load_tokenizer
from procutils.predictor import Predictor


@pytest.fixture(scope="module")
def settings(tmp_path_factory) -> Settings:
    """A tiny model with the real tokenizer, and very little of everything."""
    folder = tiny_with_tokenizer(tmp_path_factory.mktemp("tiny"))
    return Settings(
        base_model=str(folder),
        train_cases=6,
        test_cases=3,
        prototype_steps=2,
        rounds=2,
        scored_cases=6,
        prefixes=3,
        latency_events=8,
        calibrated_cases=200,
        watched_cases=24,
        trained=False,
        appended_cases=8,
        log_events=160,
    )


@pytest.fixture(scope="module")
def streams(settings) -> Streams:
    return Streams.make(settings, settings.test_cases)


def test_the_chats_are_those_of_the_examples_with_either_prompt(streams):
    case = streams.train[0]
    assert list(chats(case, streams.prompts["short"])) == list(chat_examples(case))
    long = next(chats(case, streams.prompts["long"]))["messages"]
    assert long[1:] == next(chat_examples(case))["messages"][1:]
    for category, types in streams.encoding.categories.items():
        assert f"- {category}: {', '.join(types)}" in long[0]["content"]


def test_question_and_answer_are_the_whole_chat_but_its_last_sign(streams):
    tokenizer = load_tokenizer()
    chat = next(chats(streams.train[0], streams.prompts["short"]))
    question, answer = question_and_answer(chat, tokenizer)
    whole = tokenizer.apply_chat_template(chat["messages"], tokenize=False)
    assert tokenizer.decode(question + answer) == whole.removesuffix("\n")
    assert tokenizer.decode(answer) == chat["messages"][-1]["content"] + tokenizer.eos_token


def test_training_trains_ours_to_its_end_and_the_other_for_so_many_steps(settings):
    section = training.measure(settings)
    seconds, steps = section.details["seconds_of_steps"], section.details["steps"]
    assert len(seconds["ours"]) == steps["ours"] == 6 * 4 // 4
    for name in ("long", "short"):
        assert len(seconds[name]) == settings.prototype_steps + 1 < steps[name]
    extrapolated = steps["long"] * (seconds["long"][1] + seconds["long"][2]) / 2
    assert section.rows[0].ours == pytest.approx(sum(seconds["ours"]))
    assert section.rows[0].other == pytest.approx(extrapolated)
    events = {of["events"] for of in section.details["surprise"].values()}
    assert len(events) == 1, "the models were asked about different events"
    assert "was not trained to its end" in shown(section)


def test_trained_whole_nothing_is_extrapolated(settings):
    whole = training.measure(Settings(**{**vars(settings), "train_cases": 3, "whole": True}))
    seconds = whole.details["seconds_of_steps"]["long"]
    assert len(seconds) == whole.details["steps"]["long"]
    assert whole.rows[0].other == pytest.approx(sum(seconds))


def test_a_training_that_fails_says_so(settings, streams, tmp_path):
    from bench import recipes
    from bench.stepwise import Stepwise

    trainer = recipes.ours(streams, settings.base_model, Hardware.find(), tmp_path)

    def broken(*arguments, **named):
        raise RuntimeError("out of luck")

    trainer.training_step = broken
    with Stepwise(trainer) as going, pytest.raises(RuntimeError, match="out of luck"):
        going.step()


def test_both_score_the_same_cases(settings):
    section = scoring.measure(settings)
    assert section.details["prefixes"] == settings.rounds * settings.prefixes
    streams = Streams.make(settings, settings.rounds * settings.scored_cases)
    assert section.details["events"] == sum(len(case.events) - 1 for case in streams.test)
    assert len(section.rows) == len(streams.prompts)


def test_greedy_generation_says_as_many_tokens_as_the_truth(settings, streams):
    model = Predictor.base(settings.base_model, streams.encoding)
    chat = next(chats(streams.test[0], streams.prompts["short"]))
    question, answer = question_and_answer(chat, model.tokenizer)
    said = scoring.greedy(model, question, answer)
    assert len(model.tokenizer(said)["input_ids"]) <= len(answer), "text may join tokens, not more"


def test_the_floor_has_a_cache_as_long_as_ours(settings, streams, monkeypatch):
    model = Predictor.base(settings.base_model, streams.encoding)
    lengths = []
    forward = model.model.forward

    def noting(*arguments, **named):
        before = named.get("past_key_values")
        lengths.append(before.get_seq_length() if before else 0)
        return forward(*arguments, **named)

    monkeypatch.setattr(model.model, "forward", noting)
    case = streams.test[0]
    pairs = list(latency.event_by_event(model, case))
    assert len(pairs) == len(case.events) - 1
    adding, alone, rest = lengths[2::3], lengths[3::3], lengths[4::3]
    assert adding == alone == [length - 1 for length in rest] == sorted(set(adding))
    assert len(latency.measure(settings).details["milliseconds"]) == settings.latency_events


def test_the_watchdog_is_timed_from_append_to_alert(settings):
    section = watching.measure(settings)
    assert len(section.rows) == 4 and all(row.ours > 0 and row.other > 0 for row in section.rows)
    numbers = section.details
    for name in ("model", "counting"):
        assert numbers[name]["alert_after_s"], "nothing was alerted under load"
    assert "untrained base model" in section.ours


def test_what_is_appended_by_either_side_is_read_back(settings):
    section = kurrentdb.measure(settings)
    assert [row.unit for row in section.rows] == ["events/s"] * 4
    assert all(row.ours > 0 and row.other > 0 for row in section.rows)


@pytest.mark.parametrize("what", ["import", "bare import"])
def test_memory_is_measured_in_a_process_of_its_own(what, tmp_path):
    file = tmp_path / "log.csv"
    memory.write_log(file, 50, seed=1)
    assert len(file.read_text().splitlines()) == 51
    reading = "bare read" if what.startswith("bare") else "read"
    for task in (what, reading):
        found = memory.child(task, file, tmp_path / "data")
        assert found["events"] == 50
        assert 20 < found["peak_mib"] < 250, "torch, or what the parent needed, was counted"


def test_a_table_for_people():
    rows = [
        faster("time", "s", 2.0, 50.0),
        more("rate", "events/s", 1234.5, 10.0),
        Row("a", "b", 1),
    ]
    text = shown(Section("Some", "this", "that", "how many times", rows, ["a note " * 20]))
    assert [row.ratio for row in rows] == [25.0, 123.45, None]
    assert "25.0" in text and "1,234" in text and "–" in text
    assert max(map(len, text.splitlines())) <= 100


def test_the_program_prints_a_table_and_writes_numbers(monkeypatch, capsys, tmp_path):
    section = Section("Some", "this", "that", "times", [faster("time", "s", 2.0, 50.0)])
    asked = []
    monkeypatch.setattr(
        program, "SECTIONS", {"one": lambda settings: asked.append(settings) or section}
    )
    monkeypatch.setenv("PROCUTILS_RUNS", str(tmp_path))
    assert program.main(["--only", "one", "--whole", "--log-events", "1000"]) == 0
    assert "SOME" in capsys.readouterr().out
    assert (asked[0].whole, asked[0].log_events) == (True, 1000)
    written = json.loads((tmp_path / "bench.json").read_text())
    assert written["sections"]["one"]["rows"][0]["ratio"] == 25.0
    assert {"git", "packages", "hardware", "settings", "seconds"} <= written.keys()
    with pytest.raises(SystemExit):
        program.main(["--only", "two"])
    assert "nothing is called 'two'" in capsys.readouterr().err
