"""Forecasts: how they are measured and mixed, and the trees that see everything."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_model import tiny_with_tokenizer

from procutils.baselines import Bigram, NGram
from procutils.cases import END, Case, Event
from procutils.encoded_baselines import EncodedNGram
from procutils.encoding import Encoding
from procutils.forecasts import Forecast, Majority, difference, fitted_shares, measures, mixed
from procutils.predictor import Predictor
from procutils.prefix_features import PrefixFeatures
from procutils.protocol import Part
from procutils.tree_baselines import NextTypeTrees

START = datetime(2024, 1, 1, tzinfo=UTC)


def forecast(rows: list[list[float]], truth: list[int]) -> Forecast:
    cases = np.arange(len(truth))
    return Forecast((END, "a", "b"), np.array(rows), np.array(truth), cases)


def orders(count: int, seed: int = 0) -> list[Case]:
    """Whether an order is approved or refused depends on its amount, which only fields tell."""
    rng = random.Random(seed)
    cases = []
    for number in range(count):
        amount, at = rng.randint(1, 1000), START + timedelta(hours=number)
        types = ["submitted", "refused" if amount > 500 else "approved", "closed"]
        types += ["archived"] * rng.randint(0, 2)
        events = [
            Event(type_, {"by": f"clerk {rng.randint(1, 5)}"}, at + timedelta(minutes=i))
            for i, type_ in enumerate(types)
        ]
        events[0].data.update(amount=amount, key=f"key {number}", due="2024-02-01")
        cases.append(Case(f"order-{number}", events))
    return cases


def whole(cases: list[Case]) -> Part:
    return Part(cases, [1] * len(cases), frozenset())


TRAIN, TEST = whole(orders(400)), whole(orders(200, seed=1))
TYPES = {"submitted", "refused", "approved", "closed", "archived"}


class TestMeasures:
    def test_by_hand(self):
        found = measures(
            forecast(
                [[0.2, 0.7, 0.1], [0.2, 0.7, 0.1], [0.6, 0.2, 0.2], [0.3, 0.3, 0.4]], [1, 2, 0, 2]
            )
        )
        assert found["targets"] == 4
        assert found["accuracy"] == 0.75
        assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)
        assert found["weighted_f1"] == pytest.approx((1 + 2 / 3 + 2 * 2 / 3) / 4)
        assert found["log_likelihood"] == pytest.approx(np.log([0.7, 0.1, 0.6, 0.4]).mean())
        # Bins of 1/15: .7 twice, once right; .6 right; .4 right.
        assert found["calibration_error"] == pytest.approx((0.4 + 0.4 + 0.6) / 4)
        low, high = found["accuracy_ci"]
        assert low <= 0.75 <= high

    def test_without_the_end(self):
        found = forecast([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1]], [1, 0]).without_end()
        assert found.types == ("a", "b")
        assert found.truth.tolist() == [0]
        assert found.p.tolist() == [[pytest.approx(0.6), pytest.approx(0.4)]]

    def test_difference_is_paired(self):
        ours = forecast([[0, 1, 0], [1, 0, 0], [0, 0, 1]], [1, 0, 2])
        theirs = forecast([[0, 1, 0], [0, 1, 0], [0, 1, 0]], [1, 0, 2])
        found = difference(ours, theirs)
        assert found["accuracy"] == pytest.approx(2 / 3)
        assert difference(ours, ours)["accuracy_ci"] == [0, 0]

    def test_a_type_never_seen_keeps_a_probability(self):
        strange = Part(
            [Case("order-x", [*TEST.cases[0].events, Event("??", {}, START)])], [1], frozenset()
        )
        found = Forecast.of(NGram(2).fit(TRAIN.cases), strange, TYPES)
        assert "??" in found.types
        assert found.p.sum(1) == pytest.approx(1)
        assert (found.p > 0).all()


class TestMixture:
    def test_the_better_model_gets_the_greater_share(self):
        good = forecast([[0.1, 0.8, 0.1]] * 10, [1] * 9 + [2])
        bad = forecast([[0.4, 0.2, 0.4]] * 10, [1] * 9 + [2])
        shares = fitted_shares({"good": good, "bad": bad})
        assert sum(shares.values()) == pytest.approx(1)
        assert shares["good"] > 0.5

    @given(st.lists(st.tuples(*[st.floats(0.01, 1)] * 3), min_size=2, max_size=20), st.data())
    def test_no_worse_than_any_of_its_parts_where_it_was_fitted(self, rows, data):
        truth = data.draw(st.lists(st.integers(0, 2), min_size=len(rows), max_size=len(rows)))
        p = np.array(rows) / np.sum(rows, axis=1, keepdims=True)
        models = {"a": forecast(p, truth), "b": forecast(p[::-1], truth)}
        found = measures(mixed(models, fitted_shares(models)))["log_likelihood"]
        # 200 steps of expectation maximisation end at most x / (1 + eˣ) / 200 < 1.4e-3 nats short.
        assert found >= max(measures(m)["log_likelihood"] for m in models.values()) - 2e-3


class TestModels:
    @pytest.mark.parametrize("model", [NGram(3), EncodedNGram(3), NextTypeTrees(3), Bigram()])
    def test_all_prefixes_at_once_are_as_one_by_one(self, model):
        model.fit(TRAIN.cases)
        case = TEST.cases[0]
        of_case = model.distributions([case])[0]
        assert len(of_case) == len(case.events) + 1
        for n, found in enumerate(of_case[1:], 1):
            best = model.next_events(Case(case.id, case.events[:n]), 3)
            assert [(t, pytest.approx(found[t])) for t, _ in best] == best
            assert sum(found.values()) == pytest.approx(1)

    @pytest.mark.parametrize("model", [NGram(3), EncodedNGram(3), NextTypeTrees(3)])
    def test_a_running_case_teaches_no_end(self, model):
        running = frozenset(case.id for case in TRAIN.cases)
        model.fit(TRAIN.cases, running)
        assert model.distributions(TEST.cases[:1])[0][-1].get(END, 0) < 0.05

    def test_a_language_model_is_one_of_them(self, tmp_path):
        """Also where it met fewer types than the others, and one that nobody met."""
        base = str(tiny_with_tokenizer(tmp_path))
        refused = next(case for case in TRAIN.cases if "refused" in case.types)
        model = Predictor.base(base, Encoding.fit([refused]))
        strange = Case("order-x", [*TEST.cases[0].events, Event("??", {}, START)])
        part = whole([*TEST.cases[:5], strange])
        of_model, counted = (
            Forecast.of(m, part, TYPES) for m in (model, NGram(2).fit(TRAIN.cases))
        )
        assert of_model.types == counted.types
        assert of_model.p.sum(1) == pytest.approx(1)
        assert (of_model.p > 0).all()
        known = [type_ in {*refused.types, END} for type_ in of_model.types]
        assert any(known) and not all(known)
        assert all(known[best] for best in of_model.best)
        shares = fitted_shares({"model": of_model, "n-gram": counted})
        assert shares["n-gram"] > shares["model"]

    def test_trees_see_the_amount(self):
        found = {
            name: measures(Forecast.of(model, TEST, TYPES))["accuracy"]
            for name, model in {
                "majority": Majority().fit(TRAIN),
                "n-gram": NGram(4).fit(TRAIN.cases),
                "trees": NextTypeTrees().fit(TRAIN.cases),
            }.items()
        }
        assert found["majority"] < found["n-gram"] < found["trees"] - 0.1


class TestFeatures:
    def test_identifiers_are_left_out_and_fields_remembered(self):
        features = PrefixFeatures.fit(TRAIN.cases)
        assert set(features.texts) == {"by"}
        assert features.numbers == ["amount", "due"]
        assert features.repeated == ["by"]
        rows = features.rows(TEST.cases[0])
        assert rows.shape == (len(TEST.cases[0].events), len(features.categorical))

    def test_what_training_never_showed_is_no_failure(self):
        features = PrefixFeatures.fit(TRAIN.cases)
        odd = Case("order-x", [Event("??", {"by": None, "new": [1], "amount": "many"}, START)] * 2)
        assert features.rows(odd).shape == (2, len(features.categorical))

    def test_a_row_knows_nothing_of_what_comes_later(self):
        features = PrefixFeatures.fit(TRAIN.cases)
        case = TEST.cases[0]
        first = features.rows(Case(case.id, case.events[:1]))
        np.testing.assert_array_equal(first[0], features.rows(case)[0])
