"""Cases that begin alike, read as trees, score as each alone; with a tiny model, in float32."""

import math
from datetime import timedelta

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_model import tiny_with_tokenizer

from procutils import next_types
from procutils.cases import END, Case, Event
from procutils.encoding import Encoding
from procutils.finance.processes import simulate
from procutils.hardware import Hardware
from procutils.models import load_base
from procutils.predictor import Predictor
from procutils.shared_prefixes import TREE_TOKENS, rows, trees
from procutils.tokens import tokenise

CPU = Hardware("cpu", torch.float32, "a CPU")
FIRM = simulate(11, 12, rate=1.0)
NATS = 1e-3

sequences = st.lists(st.lists(st.integers(0, 2), max_size=7), max_size=12)


def beginnings(some) -> set[tuple[int, ...]]:
    return {tuple(ids[:length]) for ids in some for length in range(1, len(ids) + 1)}


@given(sequences, st.integers(1, 30))
def test_every_sequence_is_a_path_and_every_beginning_one_node(some, most):
    packed = trees(some, most)
    assert sorted(index for tree in packed for index in tree.paths) == [*range(len(some))]
    for tree in packed:
        inside = [some[index] for index in tree.paths]
        for index, path in tree.paths.items():
            assert [tree.tokens[node] for node in path] == some[index]
            assert [tree.parents[node] for node in path] == [-1, *path][: len(path)]
            assert [tree.depths[node] for node in path] == [*range(len(path))]
        assert len(tree.tokens) == len(beginnings(inside))
        assert len(tree.tokens) <= most or len(tree.tokens) == max(map(len, inside))
        assert tree.inner == sorted({parent for parent in tree.parents if parent >= 0})


@given(sequences)
def test_with_room_enough_nothing_is_there_twice(some):
    packed = trees(some, 1000)
    assert sum(len(tree.tokens) for tree in packed) == len(beginnings(some))
    assert len(packed) == bool(some)


@given(sequences.filter(bool), st.integers(1, 30))
def test_a_token_sees_its_ancestors_and_itself(some, most):
    packed = trees(some, most)
    read = rows(packed, "cpu")
    for row, tree in enumerate(packed):
        ancestors = {-1: set()}
        for node, parent in enumerate(tree.parents):
            ancestors[node] = ancestors[parent] | {node}
        for place, node in enumerate(tree.inner):
            assert read.tokens[row, place] == tree.tokens[node]
            assert read.depths[row, place] == tree.depths[node]
            seen = read.sees[row, place].nonzero()[:, 0].tolist()
            assert {tree.inner[other] for other in seen} == ancestors[node]
    assert read.sees.any(2).all()  # padding too, or the softmax of its attention had no number


@given(sequences, st.randoms(use_true_random=False), st.integers(1, 30))
def test_the_order_of_the_sequences_does_not_matter(some, random, most):
    mixed = random.sample(some, len(some))
    one, other = trees(some, most), trees(mixed, most)
    assert [tree.tokens for tree in one] == [tree.tokens for tree in other]
    assert [tree.ends for tree in one] == [tree.ends for tree in other]


# --- with a model ---------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["sdpa", "eager"])
def tiny(request, tmp_path_factory) -> Predictor:
    folder = tiny_with_tokenizer(tmp_path_factory.mktemp("tiny"))
    predictor = Predictor.base(str(folder), Encoding.fit(FIRM), CPU)
    with torch.no_grad():  # a fresh model looks back too little for a wrong mask to be noticed
        for weight in predictor.model.parameters():
            weight.mul_(4 if weight.ndim == 2 else 1)
    predictor.model.set_attn_implementation(request.param)
    return predictor


@torch.inference_mode()
def alone(predictor: Predictor, case: Case) -> list[dict[str, float]]:
    """The log-probability of every part, by one plain pass over this case: no tree, no mask."""
    tokens = tokenise(case, predictor.encoding, predictor.tokenizer)
    log_p = predictor.model(torch.tensor([tokens.ids])).logits[0].log_softmax(1)
    found = [{} for _ in range(len(case.events) + 1)]
    for span in tokens.spans:
        part = "type" if span.event == len(case.events) else span.part
        places = range(span.start, span.stop)
        found[span.event][part] = sum(float(log_p[at - 1, tokens.ids[at]]) for at in places)
    return found


def long(case: Case) -> Case:
    """The case over and over, until it is longer than a row."""
    times = math.ceil(TREE_TOKENS / (3 * len(case.events)))
    span = case.events[-1].at - case.events[0].at + timedelta(hours=1)
    return Case(
        case.id,
        [
            Event(event.type, event.data, event.at + turn * span)
            for turn in range(times)
            for event in case.events
        ],
    )


LONG = long(FIRM[0])

#: Whole cases, their beginnings (perhaps of one event, or of none), and one longer than a row.
odd_cases = st.one_of(
    st.sampled_from(FIRM),
    st.builds(
        lambda case, n: Case(case.id, case.events[:n]), st.sampled_from(FIRM), st.integers(0, 9)
    ),
    st.integers(TREE_TOKENS // 6, len(LONG.events)).map(lambda n: Case(LONG.id, LONG.events[:n])),
)


def test_the_long_case_is_longer_than_a_row(tiny):
    assert len(tokenise(LONG, tiny.encoding, tiny.tokenizer).ids) > TREE_TOKENS


@settings(max_examples=6)
@given(st.lists(odd_cases, max_size=8).flatmap(lambda some: st.permutations(some + some[:2])))
def test_together_they_score_as_each_alone(tiny, some):
    together = tiny.score_cases(some)
    assert len(together) == len(some)
    for case, scores in zip(some, together, strict=True):
        for score, wanted in zip(scores, alone(tiny, case), strict=True):
            assert score.parts == pytest.approx(wanted, abs=NATS)


@settings(max_examples=4)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_cases_does_not_matter(tiny, random):
    some = random.sample(FIRM, 8)
    assert tiny.score_cases(some) == tiny.score_cases(some[::-1])[::-1]


@settings(max_examples=6)
@given(st.lists(odd_cases, min_size=1, max_size=4), st.data())
def test_what_may_come_next_is_as_after_each_prefix_alone(tiny, some, data):
    together = tiny.distributions(some)
    for case, of_case in zip(some, together, strict=True):
        assert len(of_case) == len(case.events) + 1
        length = data.draw(st.integers(0, len(case.events)), label="length")
        alone = dict(tiny.next_events(Case(case.id, case.events[:length]), 1000))
        assert of_case[length] == pytest.approx(alone, abs=1e-5, rel=1e-3)


@pytest.fixture
def read(tiny, monkeypatch) -> list[int]:
    """How many tokens the model has read, padding included, by call."""
    counts, forward = [], tiny.model.forward

    def counting(input_ids, **options):
        counts.append(input_ids.numel())
        return forward(input_ids=input_ids, **options)

    monkeypatch.setattr(tiny.model, "forward", counting)
    return counts


def test_a_name_that_is_not_likely_is_not_read(tiny, read, monkeypatch):
    """It keeps an equal part of what its first token has."""
    case = FIRM[0]
    wanted, all_likely = tiny.distributions([case])[0], sum(read)
    monkeypatch.setattr(next_types, "NEGLIGIBLE", 0.2)
    for found, exact in zip(tiny.distributions([case])[0], wanted, strict=True):
        assert found.keys() == exact.keys()
        assert min(found.values()) > 0
        assert sum(found.values()) <= 1 + 1e-5
        assert found[END] == pytest.approx(exact[END], rel=1e-3)
    assert sum(read) - all_likely < all_likely


def test_no_cases_no_scores(tiny):
    assert tiny.score_cases([]) == []


def test_what_is_shared_is_read_once(tiny, read):
    case = FIRM[0]
    tokens = len(tokenise(case, tiny.encoding, tiny.tokenizer).ids)
    tiny.score_cases([case] * 5)
    assert read == [tokens - 1]  # what comes last is guessed, and no more


def test_a_model_that_takes_no_mask_is_refused(tiny):
    model = load_base(tiny.model.config._name_or_path)
    model.config._attn_implementation = "flash_attention_2"
    with pytest.raises(ValueError, match="attn_implementation='sdpa'"):
        Predictor(model, tiny.tokenizer, tiny.encoding)
