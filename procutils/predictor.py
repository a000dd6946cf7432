"""The fine-tuned model as probabilities: of the events that came, and of what may come next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from procutils.cases import END, Case, Event, EventScore
from procutils.encoding import Encoding
from procutils.hardware import Hardware
from procutils.models import load_base, load_tokenizer
from procutils.tokens import Tokens, text_ids, tokenise

ADAPTER, ENCODING, ABOUT = "adapter", "encoding.json", "model.json"


class TokenScore(NamedTuple):
    """What the model thinks of one token: see :func:`_token_scores`."""

    log_p: float
    log_tail: float
    greedy: bool


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

        The probability of a type is that of its words, END's that of the end-of-text token. Delays
        and fields carry no loss in training (``Tokens.labels``): of their parts expect little.
        """
        cases = list(cases)
        tokens = [tokenise(case, self.encoding, self.tokenizer) for case in cases]
        scores: list[list[EventScore]] = [[] for _ in tokens]
        for batch in self._batches(tokens):
            rows = self._forward([tokens[i].ids for i in batch])
            for i, of_case in zip(batch, rows, strict=True):
                scores[i] = _scores(cases[i], tokens[i], of_case)
        return scores

    def next_events(self, events: Case | Sequence[Event], k: int = 5) -> list[tuple[str, float]]:
        """The k likeliest next event types with their probabilities, END among them.

        Every type known to the encoding is scored; what is left to 1 went to words that name none.
        """
        case = events if isinstance(events, Case) else self.encoding.as_case(list(events))
        prefix = tokenise(case, self.encoding, self.tokenizer, whole=False).ids
        ends = {END: [self.tokenizer.eos_token_id]} | {
            type_: text_ids(self.tokenizer, name) for type_, name in self.encoding.names.items()
        }
        log_p = self._continuations(prefix, list(ends.values()))
        ranked = sorted(zip(ends, log_p.exp().tolist(), strict=True), key=lambda pair: -pair[1])
        return ranked[:k]

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
        found = (values.tolist() for values in _token_scores(logits, rows[:, 1:]))
        return [
            [TokenScore(0.0, 0.0, True), *map(TokenScore, *of_row)]
            for of_row in zip(*found, strict=True)
        ]

    @torch.inference_mode()
    def _continuations(self, prefix: list[int], ends: list[list[int]]) -> torch.Tensor:
        """log p(end | prefix) for each of several token sequences; the prefix is read once."""
        device = self.model.device
        start = self.model(input_ids=torch.tensor([prefix], device=device), use_cache=True)
        first = start.logits[0, -1].float().log_softmax(0)
        width = max(map(len, ends))
        rows = torch.tensor([end + end[:1] * (width - len(end)) for end in ends], device=device)
        log_p = first[rows[:, 0]]
        if width > 1:
            cache = start.past_key_values
            cache.batch_repeat_interleave(len(ends))
            logits = self.model(input_ids=rows[:, :-1], past_key_values=cache).logits.float()
            steps = logits.log_softmax(2).gather(2, rows[:, 1:, None])[..., 0]
            lengths = torch.tensor([len(end) - 1 for end in ends], device=device)
            within = torch.arange(width - 1, device=device) < lengths[:, None]
            log_p = log_p + (steps * within).sum(1)
        return log_p.cpu()


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


def _token_scores(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """log p of each target, log of the tail it lies in, and whether it was the likeliest.

    logits: [rows, positions, vocabulary]; targets: [rows, positions]. The tail is the probability
    of all tokens that are at most as probable as the target.
    """
    log_p = logits.log_softmax(2)
    of_target = log_p.gather(2, targets[..., None])
    tail = torch.where(log_p <= of_target, log_p, -torch.inf).logsumexp(2)
    of_target = of_target[..., 0]
    return of_target, tail.clamp(max=0.0), of_target >= log_p.amax(2)


def _scores(case: Case, tokens: Tokens, of_tokens: list[TokenScore]) -> list[EventScore]:
    parts: list[dict[str, float]] = [{} for _ in range(len(case.events) + 1)]
    tails: list[dict[str, float]] = [{} for _ in parts]
    said = [False] * len(parts)
    for span in tokens.spans:
        of_part = of_tokens[span.start : span.stop]
        part = "type" if span.part == END else span.part
        parts[span.event][part] = sum(token.log_p for token in of_part)
        tails[span.event][part] = min(token.log_tail for token in of_part)
        if part == "type":
            said[span.event] = all(token.greedy for token in of_part)
    return [
        EventScore(*of_event)
        for of_event in zip((*case.types, END), parts, said, tails, strict=True)
    ]
