"""Case → token ids, part by part, so that training and scoring see the same tokens."""

from __future__ import annotations

from collections.abc import Sequence
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
    events = enumerate(encoding.events(case))
    parts = [(number, *part) for number, of_event in events for part in of_event]
    ids, *of_parts = text_ids(tokenizer, [encoding.prompt(case), *(text for *_, text in parts)])
    prompt = len(ids)
    spans = []
    for (number, part, _), of_part in zip(parts, of_parts, strict=True):
        spans.append(Span(number, part, len(ids), len(ids) + len(of_part)))
        ids += of_part
    if whole:
        spans.append(Span(len(case.events), END, len(ids), len(ids) + 1))
        ids.append(tokenizer.eos_token_id)
    return Tokens(ids, prompt, spans)


def text_ids(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[list[int]]:
    """The token ids of each text.

    A field that happens to read ``<|endoftext|>`` is text, and ends nothing.
    """
    if not texts:
        return []  # of which the tokenizer makes an error
    return tokenizer(list(texts), add_special_tokens=False, split_special_tokens=True)["input_ids"]
