"""Fine-tuning as one call, with a tiny base model."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file
from tiny_model import tiny_with_tokenizer

from procutils import fine_tuning, training
from procutils.encoding import Encoding
from procutils.evaluation import nll_per_event
from procutils.finance.processes import simulate
from procutils.fine_tuning import Recipe, fine_tune, from_scratch
from procutils.models import load_base
from procutils.predictor import ADAPTER, Predictor

FIRM = simulate(seed=5, cases=32)
TRAIN, TEST = FIRM[:24], FIRM[24:]
ENCODING = Encoding.fit(TRAIN)
RECIPE = Recipe(epochs=2, learning_rate=0.02)


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    folder = tiny_with_tokenizer(tmp_path_factory.mktemp("base"))
    return str(folder)


@pytest.fixture(scope="module")
def tuned(base, tmp_path_factory) -> tuple[Path, Predictor]:
    folder = tmp_path_factory.mktemp("tuned")
    return folder, fine_tune(TRAIN, ENCODING, folder, RECIPE, base)


def surprise(scorer) -> float:
    return nll_per_event(scorer.score_cases(TEST), resamples=1)["nll_per_event"]


def test_it_learns(base, tuned):
    assert surprise(tuned[1]) < surprise(Predictor.base(base, ENCODING))


def test_what_is_saved_is_what_is_returned(tuned):
    folder, model = tuned
    assert surprise(Predictor.load(folder)) == pytest.approx(surprise(model), abs=1e-4)


def test_it_goes_on_from_where_another_ended(base, tuned, tmp_path):
    folder, first = tuned
    more = fine_tune(TRAIN, ENCODING, tmp_path, RECIPE, base, start=folder)
    assert surprise(more) < surprise(first)
    assert surprise(Predictor.load(folder)) == pytest.approx(surprise(first), abs=1e-4)


def test_a_small_model_from_random_weights_learns_and_depends_on_its_seed_alone(base):
    models = [
        from_scratch(TRAIN, ENCODING, Recipe(epochs, 0.003), base, layers=1, width=64)
        for epochs in (1, 1, 6)
    ]
    short, again, long = map(surprise, models)
    assert short == pytest.approx(again, abs=1e-5)
    assert long < short


def test_only_the_linear_layers_of_the_top_third_are_trained(base, tuned):
    weights = load_file(tuned[0] / ADAPTER / "adapter_model.safetensors")
    trained = {re.search(r"layers\.(\d+)\.\w+\.(\w+)", name).groups() for name in weights}
    layers = training.top_third(load_base(base))
    assert trained == {(str(layer), linear) for layer in layers for linear in fine_tuning.LINEAR}


def test_a_case_may_be_as_long_as_the_recipe_says(base, tmp_path):
    with pytest.raises(ValueError, match="max_length is 20: raise max_length"):
        fine_tune(TRAIN, ENCODING, tmp_path, replace(RECIPE, max_length=20), base)
