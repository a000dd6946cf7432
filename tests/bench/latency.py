"""Latency: one new event of a running case, beside the least that any model must do for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from procutils.cases import Case
from procutils.hardware import Hardware
from procutils.predictor import Predictor
from procutils.tokens import tokenise

from .settings import Settings
from .streams import Streams
from .table import Row, Section, timed

#: Events that come before anything is counted.
WARM_UP = 10


def measure(settings: Settings) -> Section:
    """Milliseconds of ``Running.add``, and of one token with as long a cache, in turns."""
    streams = Streams.make(settings, settings.scored_cases)
    model = Predictor.base(settings.base_model, streams.encoding, Hardware.find())
    pairs = (pair for case in streams.test for pair in event_by_event(model, case))
    wanted = settings.latency_events + WARM_UP
    seconds = np.array([pair for _, pair in zip(range(wanted), pairs, strict=False)][WARM_UP:])
    rows = []
    for q in (50, 99):
        mine, floor = np.percentile(seconds, q, axis=0) * 1000
        rows.append(Row(f"one event, p{q}", "ms", mine, floor, mine / floor))
    return Section(
        f"Latency of {len(seconds)} events that come one by one",
        "Running.add: type, delay and fields of the new event scored, the model's cache kept",
        "the floor: one forward pass of the same model over one token, with a cache as long",
        "times the floor",
        rows,
        details={"milliseconds": (seconds * 1000).tolist()},
    )


@torch.inference_mode()
def event_by_event(model: Predictor, case: Case) -> Iterator[tuple[float, float]]:
    """Seconds of adding each event from the second on, and of its first token alone."""
    running = model.running(Case(case.id, case.events[:1]))
    tokens = tokenise(case, model.encoding, model.tokenizer)
    starts = [span.start for span in tokens.spans if span.part == "type"]
    ends = [*starts[1:], len(tokens.ids) - 1]
    ids = torch.tensor([tokens.ids], device=model.model.device)
    cache = model.model(input_ids=ids[:, : ends[0]], use_cache=True).past_key_values
    for event, start, end in zip(case.events[1:], starts[1:], ends[1:], strict=True):
        _, mine = timed(running.add, event)
        _, floor = timed(_forward, model, ids[:, start : start + 1], cache)
        _forward(model, ids[:, start + 1 : end], cache)
        yield mine, floor


def _forward(model: Predictor, ids: torch.Tensor, cache) -> torch.Tensor:
    """Read tokens into the cache; the last logits come to the CPU, so that all is done."""
    return model.model(input_ids=ids, past_key_values=cache, use_cache=True).logits[0, -1].cpu()
