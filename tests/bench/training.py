"""Training: this project's recipe to its end, and a part of the prototype's, step by step."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import mean

from procutils.evaluation import nll_per_event
from procutils.hardware import Hardware
from procutils.models import load_tokenizer

from . import likelihood, recipes
from .settings import Settings
from .stepwise import Stepwise
from .streams import Streams, chats, question_and_answer
from .table import Row, Section, faster


def measure(settings: Settings) -> Section:
    """Seconds of both, and how probable each finds the same events of the test cases."""
    streams, hardware = Streams.make(settings, settings.test_cases), Hardware.find()
    base, tokenizer = settings.base_model, load_tokenizer(settings.base_model)
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        trainer = recipes.ours(streams, base, hardware, folder / "ours")
        its_trainers = {
            name: recipes.prototype(streams, prompt, base, hardware, folder / name)
            for name, prompt in streams.prompts.items()
        }
        ours = stack.enter_context(Stepwise(trainer))
        its = {name: stack.enter_context(Stepwise(its)) for name, its in its_trainers.items()}
        take_turns(ours, list(its.values()), settings.prototype_steps)
        while settings.whole and its["long"].step():
            pass
        order, counted = likelihood.ngram(streams)
        scores = {
            "ours": likelihood.ours(streams, trainer.model, base, hardware, folder / "model"),
            "prototype": likelihood.prototype(
                streams.test, streams.prompts["long"], its_trainers["long"].model, tokenizer
            ),
            "ngram": counted,
        }
    surprise = {name: nll_per_event(scored) for name, scored in scores.items()}
    ours_nats, its_nats, ngram_nats = (of["nll_per_event"] for of in surprise.values())
    tokens = {name: _tokens(streams, prompt, tokenizer) for name, prompt in streams.prompts.items()}
    done = f"{len(its['long'].seconds)} of its {its['long'].total} steps"
    return Section(
        f"Training on {len(streams.train)} cases",
        recipes.OURS,
        recipes.PROTOTYPE,
        "how many times faster",
        [
            *(
                faster(f"time, {name}er chats", "s", sum(ours.seconds), estimate(of))
                for name, of in its.items()
            ),
            Row(f"surprise, the prototype after {done}", "nats", ours_nats, its_nats),
            Row(f"surprise, the other an n-gram of order {order}", "nats", ours_nats, ngram_nats),
        ],
        [
            *(_how_measured(name, of) for name, of in its.items()),
            f"the longer chats ({tokens['long']:.0f} tokens on average) name the events of each "
            f"process first, as the prototype's do; the shorter ({tokens['short']:.0f}) are "
            "those that notebook 3 writes",
            "surprise is the mean of −log p of an event's type, from the second on, in "
            f"{surprise['ours']['events']} events of unseen cases; less is better",
        ],
        {
            "surprise": surprise,
            "seconds_of_steps": {"ours": ours.seconds} | {n: of.seconds for n, of in its.items()},
            "steps": {"ours": ours.total} | {name: of.total for name, of in its.items()},
            "tokens_per_chat": tokens,
        },
    )


def take_turns(ours: Stepwise, others: list[Stepwise], steps: int) -> None:
    """Train ours to its end; evenly between its steps, one to warm up and ``steps`` of each."""
    turns = steps + 1
    every = max(ours.total // turns, 1)
    while ours.step():
        if len(ours.seconds) % every == 0:
            for other in others:
                if len(other.seconds) < turns:
                    other.step()


def estimate(training: Stepwise) -> float:
    """The seconds of all steps: as measured, if all were taken, else from those after the first."""
    if len(training.seconds) == training.total:
        return sum(training.seconds)
    return training.total * mean(training.seconds[1:])


def _how_measured(name: str, its: Stepwise) -> str:
    if len(its.seconds) == its.total:
        return f"the prototype's recipe was trained to its end with the {name}er chats"
    return (
        f"the prototype's recipe was not trained to its end with the {name}er chats: its time is "
        f"that of {len(its.seconds) - 1} steps, after one to warm up, times {its.total} in all"
        + ("; --whole trains it to its end" if name == "long" else "")
    )


def _tokens(streams: Streams, prompt: str, tokenizer) -> float:
    """Mean length of a training chat."""
    both = (
        question_and_answer(chat, tokenizer)
        for case in streams.train
        for chat in chats(case, prompt)
    )
    return mean(len(question) + len(answer) for question, answer in both)
