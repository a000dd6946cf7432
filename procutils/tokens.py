"""Case → token ids, part by part, so that training and scoring see the same tokens."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from procutils.cases import END, Case
from procutils.encoding import Encoding

#: Labels with this value carry no loss (PyTorch's ``ignore_index``).
MASKED = -100


@dataclass(frozen=True, slots=True)
class Span:
    """Where one part of one event lies: ``ids[start:stop]`` of the tokens of its case."""

    event: int
    part: str
    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """One case as tokens.

    ids: the prompt, then every part of every event, then (for a whole case) the end-of-text token.
    prompt: how many of them belong to the prompt.
    spans: the parts after the prompt, in order, without gaps; the last is END's for a whole case.
    """

    ids: list[int]
    prompt: int
    spans: list[Span]

    @property
    def labels(self) -> list[int]:
        """What training shall predict: everything but the prompt, which is masked."""
        return [MASKED] * self.prompt + self.ids[self.prompt :]


def tokenise(
    case: Case, encoding: Encoding, tokenizer: PreTrainedTokenizerBase, whole: bool = True
) -> Tokens:
    """Turn a case into tokens, the same ones that the tokenizer gives for its text in one piece.

    whole: False for a case that may go on: it gets no end-of-text token.
    """
    ids = text_ids(tokenizer, encoding.prompt(case))
    prompt = len(ids)
    spans = []
    for number, parts in enumerate(encoding.events(case)):
        for part, text in parts:
            start = len(ids)
            ids += text_ids(tokenizer, text)
            spans.append(Span(number, part, start, len(ids)))
    if whole:
        spans.append(Span(len(case.events), END, len(ids), len(ids) + 1))
        ids.append(tokenizer.eos_token_id)
    return Tokens(ids, prompt, spans)


def text_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids; a field that happens to read ``<|endoftext|>`` is text, and ends nothing."""
    return tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
