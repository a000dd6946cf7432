"""The predictor with the real base model, in float32: its numbers agree with each other."""

import math

import pytest
import torch
from peft import LoraConfig, get_peft_model

from procutils import models, predictor
from procutils.cases import END, Case
from procutils.encoding import Encoding
from procutils.finance.processes import simulate
from procutils.hardware import Hardware
from procutils.predictor import Predictor

CPU = Hardware("cpu", torch.float32, "a CPU")


@pytest.fixture(scope="module")
def cases():
    return simulate(7, 60, rate=1.0)


@pytest.fixture(scope="module")
def base(cases):
    return Predictor.base(models.DEFAULT, Encoding.fit(cases), CPU)


def values(scores):
    return [value for score in scores for value in score.parts.values()]


def test_one_score_per_event_and_one_for_the_end(base, cases):
    scores = base.score(cases[0])
    assert [score.type for score in scores] == [*cases[0].types, END]
    assert all("type" in score.parts for score in scores)
    assert all(value <= 0 for value in values(scores))
    assert "delay" in scores[1].parts and "delay" not in scores[0].parts


def test_scoring_many_equals_scoring_one(base, cases):
    together = base.score_cases(cases[:12])
    for case, scores in zip(cases[:12], together, strict=True):
        assert values(scores) == pytest.approx(values(base.score(case)), abs=1e-3)


def test_the_future_does_not_change_the_past(base, cases):
    case = max(cases, key=lambda case: len(case.events))
    whole = base.score(case)
    for length in (1, len(case.events) // 2):
        prefix = base.score(Case(case.id, case.events[:length]))
        assert values(prefix[:-1]) == pytest.approx(values(whole[:length]), abs=1e-3)


def test_next_events_agree_with_scores(base, cases):
    for case in cases[:3]:
        scores = base.score(case)
        for position in (1, len(case.events)):
            prefix = Case(case.id, case.events[:position])
            predicted = base.next_events(prefix, k=100)
            assert sum(p for _, p in predicted) <= 1 + 1e-6
            assert [p for _, p in predicted] == sorted((p for _, p in predicted), reverse=True)
            came = scores[position]
            assert dict(predicted)[came.type] == pytest.approx(
                math.exp(came.parts["type"]), rel=1e-3
            )


def test_all_prefixes_at_once_are_as_one_by_one(base, cases):
    some = [*cases[:2], cases[0]]
    for case, of_case in zip(some, base.distributions(some), strict=True):
        assert len(of_case) == len(case.events) + 1
        for position in (0, 1, len(case.events)):
            alone = dict(base.next_events(Case(case.id, case.events[:position]), k=100))
            assert of_case[position] == pytest.approx(alone, abs=1e-3)
    assert base.distributions([]) == []


def test_bare_events_find_their_category(base, cases):
    case = next(case for case in cases if case.category == "payment")
    bare = base.next_events(case.events[:2], k=3)
    assert bare == base.next_events(Case("payment-x", case.events[:2]), k=3)


def test_greedy_says_what_greedy_decoding_would_say(base, cases):
    case = cases[0]
    prompt = base.encoding.prompt(case)
    ids = base.tokenizer(prompt, return_tensors="pt")
    name = base.encoding.name(case.types[0])
    length = len(base.tokenizer(name)["input_ids"])
    spoken = base.model.generate(**ids, max_new_tokens=length, do_sample=False)
    spoken = base.tokenizer.decode(spoken[0][ids["input_ids"].shape[1] :])
    assert base.score(case)[0].greedy == (spoken == name)


def test_saved_and_loaded_scores_the_same(cases, tmp_path):
    encoding = Encoding.fit(cases)
    lora = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(models.load_base(), lora)
    torch.manual_seed(1)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.02)
    before = Predictor(model, models.load_tokenizer(), encoding).score(cases[0])
    predictor.save(tmp_path, model, encoding, models.DEFAULT)
    after = Predictor.load(tmp_path, CPU)
    assert values(after.score(cases[0])) == pytest.approx(values(before), abs=1e-3)
    assert after.encoding == encoding
    assert not list(tmp_path.rglob("*.bin")), "weights are stored as safetensors"
    stored = " ".join(p.read_text() for p in tmp_path.rglob("*.json"))
    assert str(models.cache_folder()) not in stored, "a path of this machine was stored"


def test_no_model_yet(tmp_path):
    with pytest.raises(FileNotFoundError, match="04_lora_fine_tuning"):
        Predictor.load(tmp_path)
