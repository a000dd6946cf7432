"""How probable each model finds the same events: the types from the second on, of unseen cases."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedTokenizerBase

from procutils import predictor
from procutils.baselines import NGram
from procutils.cases import Case, EventScore
from procutils.hardware import Hardware
from procutils.predictor import Predictor

from .streams import Streams, chats, question_and_answer

Scores = list[list[EventScore]]
"""For each case, its events without the first and without the end: what the prototype predicts."""


def ours(
    streams: Streams, trained: PeftModel, base_model: str, hardware: Hardware, folder: Path
) -> Scores:
    """Saved under ``folder`` and loaded, as notebook 4 does."""
    predictor.save(folder, trained, streams.encoding, base_model)
    scored = Predictor.load(folder, hardware).score_cases(streams.test)
    return [of_case[1:-1] for of_case in scored]


def ngram(streams: Streams) -> tuple[int, Scores]:
    """Counting, as in notebook 4: the order that validation chose, and the scores."""
    finished = [case for case in streams.train if case.id not in streams.running]
    held_out = ceil(len(finished) / 5)
    train, validation = finished[:-held_out], finished[-held_out:]
    order = NGram.choose(train, validation, orders=range(1, 6)).order
    scored = NGram(order).fit(finished).score_cases(streams.test)
    return order, [of_case[1:-1] for of_case in scored]


@torch.inference_mode()
def prototype(
    cases: Iterable[Case], prompt: str, trained: PeftModel, tokenizer: PreTrainedTokenizerBase
) -> Scores:
    """The probability of the whole answer, the end of the model's turn included."""
    trained.eval()
    scores = []
    for case in cases:
        of_case = []
        for type_, chat in zip(case.types[1:], chats(case, prompt), strict=True):
            question, answer = question_and_answer(chat, tokenizer)
            rows = torch.tensor([question + answer], device=trained.device)
            logits = trained(input_ids=rows, logits_to_keep=len(answer) + 1).logits[0, :-1]
            log_p = logits.float().log_softmax(1).gather(1, rows[0, -len(answer) :, None])
            of_case.append(EventScore(type_, {"type": float(log_p.sum())}))
        scores.append(of_case)
    return scores
