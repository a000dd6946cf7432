"""Fine-tuning as one call, with a tiny base model."""

from pathlib import Path

import pytest
from tiny_model import tiny_with_tokenizer

from procutils import fine_tuning
from procutils.encoding import Encoding
from procutils.evaluation import nll_per_event
from procutils.finance.processes import simulate
from procutils.fine_tuning import Recipe, fine_tune, from_scratch
from procutils.models import load_base
from procutils.predictor import Predictor

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


def test_only_the_top_third_is_trained():
    base = load_base()
    config = fine_tuning.lora(base)
    assert config.layers_to_transform == list(range(20, 30))
