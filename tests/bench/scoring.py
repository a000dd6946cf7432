"""Scoring: what cases begin with read once, beside an answer generated for every prefix."""

from __future__ import annotations

import random

import torch

from procutils.hardware import Hardware
from procutils.predictor import Predictor

from .settings import Settings
from .streams import Streams, chats, question_and_answer
from .table import Section, more, timed


def measure(settings: Settings) -> Section:
    """Events judged per second. Both use the base model: training changes no speed."""
    streams = Streams.make(settings, settings.rounds * settings.scored_cases)
    model = Predictor.base(settings.base_model, streams.encoding, Hardware.find())
    rng = random.Random(settings.seed)
    seconds = {"ours": 0.0} | dict.fromkeys(streams.prompts, 0.0)
    events = prefixes = 0
    for turn in range(-1, settings.rounds):  # the first is to warm up, and not counted
        first = max(turn, 0) * settings.scored_cases
        cases = streams.test[first : first + settings.scored_cases]
        _, took = timed(model.score_cases, cases if turn >= 0 else cases[:4])
        judged = [(case, i) for case in cases for i in range(len(case.events) - 1)]
        drawn = rng.sample(judged, min(settings.prefixes if turn >= 0 else 1, len(judged)))
        if turn >= 0:
            seconds["ours"] += took
            events, prefixes = events + len(judged), prefixes + len(drawn)
        for name, prompt in streams.prompts.items():
            answered = [list(chats(case, prompt))[i] for case, i in drawn]
            asked = [question_and_answer(chat, model.tokenizer) for chat in answered]
            _, took = timed(lambda asked=asked: [greedy(model, *one) for one in asked])
            seconds[name] += took if turn >= 0 else 0.0
    rate = events / seconds["ours"]
    return Section(
        f"Scoring {events:,} events of {settings.rounds * settings.scored_cases} cases",
        "Predictor.score_cases: the probability of every part of every event; what several of the "
        f"{settings.scored_cases:,} cases begin with is read once",
        f"the prototype's: greedy generation of the next event's type, one by one, for {prefixes} "
        "prefixes drawn at random from these cases, with the model's cache",
        "how many times more",
        [
            more(
                f"throughput, beside its {name}er chats", "events/s", rate, prefixes / seconds[name]
            )
            for name in streams.prompts
        ],
        [
            "each answer is exactly as long as the true one, as if training had been perfect",
            "the events are those from the second on of each case, which both judge; fields and "
            "delays are judged by ours alone",
        ],
        {"seconds": seconds, "events": events, "prefixes": prefixes},
    )


@torch.inference_mode()
def greedy(model: Predictor, question: list[int], answer: list[int]) -> str:
    """The model's answer, of as many tokens as the true one."""
    rows = torch.tensor([question], device=model.model.device)
    said = model.model.generate(
        input_ids=rows,
        attention_mask=torch.ones_like(rows),
        do_sample=False,
        min_new_tokens=len(answer),
        max_new_tokens=len(answer),
        pad_token_id=model.tokenizer.eos_token_id,
    )
    return model.tokenizer.decode(said[0, len(question) :])
