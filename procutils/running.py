"""A case as it runs, with what the model remembers of it: a new event costs its own tokens only."""

from __future__ import annotations

from collections.abc import Collection
from copy import deepcopy
from datetime import datetime

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from procutils.cases import END, Case, Event, EventScore
from procutils.encoding import Encoding
from procutils.token_scores import event_score, token_scores
from procutils.tokens import text_ids
from procutils.words import DELAY_WORDS, delay_word
from procutils.written import Memory

#: A name whose first token has less than this share of all names' counts for nothing in a silence:
#: those of the other processes, mostly, which would take most of the time.
NEGLIGIBLE = 1e-5
#: Copies of what is remembered hold so many tokens at once, at most.
REMEMBERED = 16_384


class Running:
    """One case, event by event, as :meth:`Predictor.score_cases` would score it as a whole.

    The model's keys and values of all tokens so far are kept (some 23 kB a token for the default
    model in float32), so nothing is read twice.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        encoding: Encoding,
        case: Case,
    ) -> None:
        """case: what has come so far, perhaps no event yet; its id names the category."""
        self._model, self._tokenizer, self._encoding = model, tokenizer, encoding
        self._memory = Memory()
        texts = [encoding.prompt(case)]
        for event in case.events:
            texts += [text for _, text in encoding.event(event, self._memory)]
        self._cache, self._next, self._waits = None, None, None
        self._read([token for ids in text_ids(tokenizer, texts) for token in ids])

    @torch.inference_mode()
    def add(self, event: Event) -> EventScore:
        """The score of the event that has just come, which is remembered."""
        parts = self._encoding.event(event, self._memory)
        ids = text_ids(self._tokenizer, [text for _, text in parts])
        read, before = [token for of_part in ids for token in of_part], self._next[None]
        logits = torch.cat([before, self._read(read)[:-1]])
        tokens = token_scores(logits, torch.tensor(read, device=logits.device))
        named = []
        for (name, _), of_part in zip(parts, ids, strict=True):
            named.append((name, tokens[: len(of_part)]))
            tokens = tokens[len(of_part) :]
        return event_score(event.type, named)

    @torch.inference_mode()
    def end(self) -> EventScore:
        """The score of the end of the case, should it have come now; nothing is remembered."""
        target = torch.tensor([self._tokenizer.eos_token_id], device=self._next.device)
        return event_score(END, [(END, token_scores(self._next[None], target))])

    def next_events(self, k: int = 5) -> list[tuple[str, float]]:
        """The k likeliest next event types with their probabilities, END among them.

        Every type known to the encoding is asked for; what is left to 1 went to words that name
        none.
        """
        names = self._encoding.names
        log_p, _ = self._after(names.values())
        known = dict(zip(names, log_p.exp().tolist(), strict=True)) | {END: self._end_probability()}
        return sorted(known.items(), key=lambda pair: -pair[1])[:k]

    def silence(self, now: datetime) -> float:
        """log p(nothing has come by ``now``), in nats: the case is over, or the next event takes
        at least as long as it has been silent for.

        Raises ValueError if the case has no event yet, or one after ``now``.
        """
        if self._memory.now is None:
            raise ValueError("the case has no event yet: nothing is awaited before the first")
        if now < self._memory.now:
            raise ValueError(f"the latest event came at {self._memory.now}: give a time after it")
        word = delay_word(self._memory.now, now)
        if self._waits is None:  # asked once per event, however many moments are asked about
            self._waits = self._after(self._likely())
        log_p, delays = self._waits
        still = (log_p.exp() * delays[:, DELAY_WORDS.index(word) :].exp().sum(1)).sum()
        return float((still + self._end_probability()).clamp(max=1.0).log())

    def _end_probability(self) -> float:
        return float(self._next.log_softmax(0)[self._tokenizer.eos_token_id].exp())

    def _likely(self) -> list[str]:
        """The names whose first token may well come now."""
        names = [*self._encoding.names.values()]
        first = [ids[0] for ids in text_ids(self._tokenizer, names)]
        now = self._next.softmax(0)
        least = NEGLIGIBLE * float(now[list(set(first))].sum())
        return [name for name, token in zip(names, first, strict=True) if now[token] >= least]

    def _after(self, names: Collection[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """The log-probability of each name now, and of each delay after it.

        Shapes: [names], [names, DELAY_WORDS].
        """
        ends = text_ids(self._tokenizer, names)
        most = max(REMEMBERED // self._cache.get_seq_length(), 1)
        delays = [ids[0] for ids in text_ids(self._tokenizer, [f" {w}" for w in DELAY_WORDS])]
        some = [self._after_some(ends[i : i + most], delays) for i in range(0, len(ends), most)]
        log_p, following = zip(*some, strict=True)
        return torch.cat(log_p), torch.cat(following)

    @torch.inference_mode()
    def _after_some(
        self, ends: list[list[int]], delays: list[int]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """:meth:`_after` for names as tokens, read side by side: each has a copy of the cache."""
        width, device = max(map(len, ends)), self._next.device
        rows = torch.tensor([end + end[:1] * (width - len(end)) for end in ends], device=device)
        cache = deepcopy(self._cache)
        cache.batch_repeat_interleave(len(ends))
        after = self._model(input_ids=rows, past_key_values=cache).logits.float().log_softmax(2)
        lengths = torch.tensor([len(end) for end in ends], device=device)
        steps = after[:, :-1].gather(2, rows[:, 1:, None])[..., 0]
        within = torch.arange(1, width, device=device) < lengths[:, None]
        log_p = self._next.log_softmax(0)[rows[:, 0]] + (steps * within).sum(1)
        following = after[torch.arange(len(ends)), lengths - 1][:, delays]
        return log_p.cpu(), following.cpu()

    @torch.inference_mode()
    def _read(self, ids: list[int]) -> torch.Tensor:
        """Read tokens and remember them: the logits after each, [tokens, vocabulary]."""
        rows = torch.tensor([ids], device=self._model.device)
        read = self._model(input_ids=rows, past_key_values=self._cache, use_cache=True)
        logits = read.logits[0].float()
        # A copy: a view would keep the logits of all tokens, 200 kB each.
        self._cache, self._next, self._waits = read.past_key_values, logits[-1].clone(), None
        return logits
