"""The streams that both sides learn from and are measured on, and the prototype's view of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from procutils.cases import Case
from procutils.encoding import Encoding
from procutils.examples import SYSTEM_PROMPT, chat_examples, split
from procutils.finance.processes import simulate

from .settings import Settings

Chat = dict[str, Any]
"""``{"messages": [system, user, assistant]}``."""


@dataclass(frozen=True)
class Streams:
    """Cases of one firm. running: ids of training cases that were open at the cut.

    prompts: what the prototype's chats may begin with. ``long`` also names the events of every
    process, as the prototype's own prompt does, and is about as long as that; ``short`` is what
    notebook 3 writes.
    """

    train: list[Case]
    test: list[Case]
    running: frozenset[str]
    encoding: Encoding
    prompts: dict[str, str]

    @classmethod
    def make(cls, settings: Settings, test_cases: int) -> Streams:
        """The same training cases whatever ``test_cases`` is."""
        cases = simulate(settings.seed, settings.train_cases + 1 + test_cases, rate=1.0)
        parts = split(cases, settings.train_cases, 1)
        encoding = Encoding.fit(parts.train)
        processes = (f"- {name}: {', '.join(held)}" for name, held in encoding.categories.items())
        long = "\n".join([SYSTEM_PROMPT, "The event types of each process:", *processes])
        return cls(
            parts.train,
            parts.test,
            parts.running,
            encoding,
            {"long": long, "short": SYSTEM_PROMPT},
        )


def chats(case: Case, prompt: str) -> Iterator[Chat]:
    """One chat per prefix: what comes second, third, … and last."""
    for chat in chat_examples(case):
        _, *rest = chat["messages"]
        yield {"messages": [{"role": "system", "content": prompt}, *rest]}


def question_and_answer(
    chat: Chat, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[int]]:
    """The tokens up to where the model is to answer, and the answer, the end of its turn included.

    Raises ValueError for a chat template that writes a question otherwise when it is answered.
    """
    *asked, answer = chat["messages"]
    question = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=True)[
        "input_ids"
    ]
    whole = tokenizer.apply_chat_template(chat["messages"], return_dict=True)["input_ids"]
    if whole[: len(question)] != question:
        raise ValueError("the chat template writes a question otherwise once it is answered")
    name = tokenizer(answer["content"], add_special_tokens=False)["input_ids"]
    return question, whole[len(question) : len(question) + len(name) + 1]
