"""The fine-tuned model as probabilities: of the events that came, and of what may come next."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import torch
from peft import PeftModel
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from procutils import next_types
from procutils.cases import END, Case, Event, EventScore
from procutils.encoding import Encoding
from procutils.hardware import Hardware
from procutils.models import load_base, load_tokenizer
from procutils.running import Running
from procutils.shared_prefixes import TREE_TOKENS, Tree, rows, trees
from procutils.token_scores import CERTAIN, TokenScore, event_score, token_scores
from procutils.tokens import Tokens, tokenise

T = TypeVar("T")
Said = Callable[[Tree, torch.Tensor], T]
"""What to make of a tree and of the logits after its inner nodes, [width, vocabulary]."""

#: Attention to which a mask of one's own can be given.
MASKABLE = ("sdpa", "eager")

ADAPTER, ENCODING, ABOUT = "adapter", "encoding.json", "model.json"


class Predictor:
    """Log-probabilities from a causal language model that reads cases as text.

    A causal model gives the probability of every token from the tokens before it, so scoring reads
    a case once, however many events it has, and what several cases begin with once for them all
    (:mod:`procutils.shared_prefixes`). The model must look back by attention alone, of the whole
    case (a case longer than a sliding window is not cut), and take the positions it is given.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        encoding: Encoding,
        batch_tokens: int = 2048,
    ) -> None:
        """batch_tokens: how many tokens, padding included, go through the model at once.

        Raises ValueError if the model cannot read cases that share their beginning.
        """
        by = model.config._attn_implementation
        if by not in MASKABLE:
            raise ValueError(
                f"the model computes attention by {by!r}, to which no mask can be given: load it "
                f"with attn_implementation={MASKABLE[0]!r}"
            )
        if getattr(model, "_is_stateful", False):
            raise ValueError(
                f"a model of type {model.config.model_type!r} reads tokens one after the other, "
                "not by attention alone: give base_model another one"
            )
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
        for tree, of_nodes in self._read([of_case.ids for of_case in tokens], _of_nodes):
            for i, path in tree.paths.items():
                scores[i] = _scores(cases[i], tokens[i], [of_nodes[node] for node in path])
        return scores

    def distributions(self, cases: Iterable[Case]) -> list[list[dict[str, float]]]:
        """For each case what may follow each prefix, the empty one first: n + 1 entries; as
        :meth:`next_events` says it, but for all prefixes together.
        """
        return next_types.distributions(self._read, self.tokenizer, self.encoding, cases)

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

    def _read(
        self, sequences: Sequence[Sequence[int]], said: Said[T], most: int = TREE_TOKENS
    ) -> Iterator[tuple[Tree, T]]:
        """The sequences as trees, and what is said of each."""
        for batch in self._batches(trees(sequences, most)):
            yield from zip(batch, self._forward(batch, said), strict=True)

    def _batches(self, some: list[Tree]) -> list[list[Tree]]:
        """Trees of like size, as many at a time as ``batch_tokens`` allows."""
        batches: list[list[Tree]] = [[]]
        for tree in sorted(some, key=lambda tree: len(tree.inner)):
            if batches[-1] and len(tree.inner) * (len(batches[-1]) + 1) > self.batch_tokens:
                batches.append([])
            batches[-1].append(tree)
        return [batch for batch in batches if batch]

    @torch.inference_mode()
    def _forward(self, batch: list[Tree], said: Said[T]) -> list[T]:
        """What is said of each tree; logits are large, and not kept."""
        device, dtype = self.model.device, self.model.dtype
        read = rows(batch, device)
        # Numbers to add to the attention's scores: truth values are for sdpa alone.
        mask = torch.zeros(read.sees.shape, dtype=dtype, device=device)
        mask.masked_fill_(~read.sees, torch.finfo(dtype).min)
        of_batch = self.model(
            input_ids=read.tokens,
            attention_mask=mask[:, None],
            position_ids=read.depths,
            use_cache=False,
        ).logits
        return [said(tree, logits) for tree, logits in zip(batch, of_batch, strict=True)]


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


def _of_nodes(tree: Tree, logits: torch.Tensor) -> list[TokenScore]:
    """The scores of a tree's nodes; logits: those after its inner nodes, [width, vocabulary].

    A token with nothing before it is certain.
    """
    rows_before = tree.before
    before = logits[[*rows_before.values()]]
    targets = torch.tensor([tree.tokens[node] for node in rows_before], device=logits.device)
    found = [CERTAIN] * len(tree.tokens)
    for node, score in zip(rows_before, token_scores(before, targets), strict=True):
        found[node] = score
    return found


def _scores(case: Case, tokens: Tokens, of_tokens: list[TokenScore]) -> list[EventScore]:
    parts: list[list[tuple[str, list[TokenScore]]]] = [[] for _ in range(len(case.events) + 1)]
    for span in tokens.spans:
        parts[span.event].append((span.part, of_tokens[span.start : span.stop]))
    return [event_score(*of_event) for of_event in zip((*case.types, END), parts, strict=True)]
