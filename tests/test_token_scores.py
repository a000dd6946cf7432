"""What single tokens and parts are worth, by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from procutils.cases import END
from procutils.token_scores import CERTAIN, TokenScore, event_score, token_scores

PROBABILITIES = torch.tensor([[0.5, 0.25, 0.15, 0.1], [0.4, 0.4, 0.1, 0.1]])


def test_a_token_has_a_probability_a_tail_and_may_be_the_likeliest():
    for target, (p, tail, greedy) in {
        (0, 0): (0.5, 1.0, True),
        (0, 1): (0.25, 0.5, False),
        (0, 3): (0.1, 0.1, False),
        (1, 0): (0.4, 1.0, True),  # of two equal ones each counts both
        (1, 2): (0.1, 0.2, False),
    }.items():
        place, token = target
        targets = torch.tensor([0, 0])
        targets[place] = token
        found = token_scores(PROBABILITIES.log(), targets)[place]
        assert found[:2] == pytest.approx([math.log(p), math.log(tail)], abs=1e-6)
        assert found.greedy is greedy


@given(st.integers(0, 1_000_000))
def test_tails_hold_what_came_and_never_exceed_one(seed):
    logits = torch.randn(40, 30, generator=torch.Generator().manual_seed(seed)) * 4
    targets = torch.randint(0, 30, (40,), generator=torch.Generator().manual_seed(seed))
    found = token_scores(logits, targets)
    assert all(score.log_p <= score.log_tail <= 0 for score in found)
    assert [score.greedy for score in found] == (logits.argmax(1) == targets).tolist()
    assert all(score.log_tail > -1e-5 for score in found if score.greedy)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_scores_are_those_of_the_whole_vocabulary_in_double_precision(dtype):
    """Also for tokens whose weight is too small for a float."""
    logits = (torch.randn(50, 9_000, generator=torch.Generator().manual_seed(7)) * 40).to(dtype)
    targets = torch.arange(50)
    exact = logits.double().log_softmax(1)
    found = token_scores(logits, targets)
    for row, target, score in zip(exact, targets, found, strict=True):
        tail = row[row <= row[target]].logsumexp(0)
        assert score.log_p == pytest.approx(row[target].item(), rel=1e-5, abs=1e-5)
        assert score.log_tail == pytest.approx(tail.item(), rel=1e-5, abs=1e-5)


def test_a_part_is_all_its_tokens_and_as_strange_as_the_strangest():
    usual, odd = TokenScore(-0.5, -0.1, True), TokenScore(-4.0, -3.0, False)
    score = event_score("Paid", [("type", [usual, usual]), ("amount", [usual, odd])])
    assert score.type == "Paid" and score.greedy and score.surprisal == 1.0
    assert score.parts == {"type": -1.0, "amount": -4.5}
    assert score.tails == {"type": -0.1, "amount": -3.0}
    assert not event_score("Paid", [("type", [usual, odd])]).greedy
    assert event_score(END, [(END, [CERTAIN])]).parts == {"type": 0.0}
