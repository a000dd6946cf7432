"""The fine-tuned model as probabilities: of the events that came, and of what may come next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from procutils.cases import END, Case, Event, EventScore
from procutils.encoding import Encoding
from procutils.hardware import Hardware
from procutils.models import load_base, load_tokenizer
from procutils.running import Running
from procutils.token_scores import CERTAIN, TokenScore, event_score, token_scores
from procutils.tokens import Tokens, tokenise

ADAPTER, ENCODING, ABOUT = "adapter", "encoding.json", "model.json"


class Predictor:
    """Log-probabilities from a causal language model that reads cases as text.

    Scoring takes one forward pass per case, however many events it has: a causal model gives the
    probability of every token from the tokens before it.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        encoding: Encoding,
        batch_tokens: int = 2048,
    ) -> None:
        """batch_tokens: how many tokens, padding included, go through the model at once."""
        self.model = model.eval()
        self.tokenizer = tokenizer
        self.encoding = encoding
        self.batch_tokens = batch_tokens

    @classmethod
    def load(cls, path: str | Path, hardware: Hardware | None = None) -> Predictor:
        """What notebook 04 saved under ``path``: base weights, adapter merged in, and encoding."""
        path = Path(path)
        if not (path / ABOUT).exists():
            raise FileNotFoundError(f"no model in {path}: run 04_lora_fine_tuning first")
        about = json.loads((path / ABOUT).read_text("utf-8"))
        base = load_base(about["base_model"])
        model = PeftModel.from_pretrained(base, path / ADAPTER).merge_and_unload()
        tokenizer = load_tokenizer(about["base_model"])
        return cls(_placed(model, hardware), tokenizer, Encoding.load(path / ENCODING))

    @classmethod
    def base(cls, name: str, encoding: Encoding, hardware: Hardware | None = None) -> Predictor:
        """The base model as it comes, without training: what fine-tuning must improve on."""
        return cls(_placed(load_base(name), hardware), load_tokenizer(name), encoding)

    def score(self, case: Case) -> list[EventScore]:
        """One entry per event of the case, and one for END; see :meth:`score_cases`."""
        return self.score_cases([case])[0]

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]:
        """For each case, the log-probability (nats) of every part of every event, and of its END.

        The probability of a type is that of its words, END's that of the end-of-text token.
        """
        cases = list(cases)
        tokens = [tokenise(case, self.encoding, self.tokenizer) for case in cases]
        scores: list[list[EventScore]] = [[] for _ in tokens]
        for batch in self._batches(tokens):
            rows = self._forward([tokens[i].ids for i in batch])
            for i, of_case in zip(batch, rows, strict=True):
                scores[i] = _scores(cases[i], tokens[i], of_case)
        return scores

    def running(self, events: Case | Sequence[Event]) -> Running:
        """A case as it runs: read once, then event by event; see :class:`Running`."""
        case = events if isinstance(events, Case) else self.encoding.as_case(list(events))
        return Running(self.model, self.tokenizer, self.encoding, case)

    def next_events(self, events: Case | Sequence[Event], k: int = 5) -> list[tuple[str, float]]:
        """The k likeliest next event types with their probabilities; ``Running.next_events``."""
        return self.running(events).next_events(k)

    def silences(self, seen: Iterable[tuple[Case, datetime]]) -> list[float]:
        """For each running case, log p(nothing has come by the moment); ``Running.silence``."""
        return [self.running(case).silence(now) for case, now in seen]

    def _batches(self, tokens: Sequence[Tokens]) -> list[list[int]]:
        """Indices of cases of like length, as many at a time as ``batch_tokens`` allows."""
        batches: list[list[int]] = [[]]
        for i in sorted(range(len(tokens)), key=lambda i: len(tokens[i].ids)):
            if batches[-1] and len(tokens[i].ids) * (len(batches[-1]) + 1) > self.batch_tokens:
                batches.append([])
            batches[-1].append(i)
        return [batch for batch in batches if batch]

    @torch.inference_mode()
    def _forward(self, ids: list[list[int]]) -> list[list[TokenScore]]:
        """Per row and token what the model thinks of it, given the tokens before it.

        The first token of a row has nothing before it: it is certain. Rows are padded on the right,
        where causal attention never looks, so no mask is needed.
        """
        width = max(map(len, ids))
        rows = torch.tensor([row + row[:1] * (width - len(row)) for row in ids])
        rows = rows.to(self.model.device)
        logits = self.model(input_ids=rows, use_cache=False).logits[:, :-1].float()
        found = (values.tolist() for values in token_scores(logits, rows[:, 1:]))
        return [[CERTAIN, *map(TokenScore, *of_row)] for of_row in zip(*found, strict=True)]


def save(path: Path, model: PeftModel, encoding: Encoding, base_model: str) -> None:
    """Write adapter (safetensors), encoding and the name of the base model under ``path``."""
    path.mkdir(parents=True, exist_ok=True)
    for config in model.peft_config.values():
        config.base_model_name_or_path = base_model  # not the folder of this machine's cache
    model.save_pretrained(path / ADAPTER, save_embedding_layers=False)  # LoRA leaves them be
    (path / ADAPTER / "README.md").unlink(
        missing_ok=True
    )  # PEFT's template; the model card is ours
    encoding.save(path / ENCODING)
    (path / ABOUT).write_text(json.dumps({"base_model": base_model}) + "\n", "utf-8")


def _placed(model: PreTrainedModel, hardware: Hardware | None) -> PreTrainedModel:
    hardware = hardware or Hardware.find()
    return model.to(device=hardware.device, dtype=hardware.dtype)


def _scores(case: Case, tokens: Tokens, of_tokens: list[TokenScore]) -> list[EventScore]:
    parts: list[list[tuple[str, list[TokenScore]]]] = [[] for _ in range(len(case.events) + 1)]
    for span in tokens.spans:
        parts[span.event].append((span.part, of_tokens[span.start : span.stop]))
    return [event_score(*of_event) for of_event in zip((*case.types, END), parts, strict=True)]
