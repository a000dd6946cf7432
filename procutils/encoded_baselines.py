"""Counting over what the language model reads: its fairest rival."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import log
from typing import Self

from procutils.attribute_baselines import NEXT_TYPE, PartsModel, Reading, beginnings
from procutils.backoff import UNSEEN
from procutils.baselines import likeliest
from procutils.cases import END, START, Case, Event
from procutils.encoding import Encoding
from procutils.silence import Seen
from procutils.words import DELAY_WORDS


class EncodedNGram(PartsModel):
    """Back-off n-gram over the parts that :class:`Encoding` writes: types, delay and field words.

    An event type is predicted from ever more of the last ``order`` − 1 types of the case, and at
    the top from the field words of the last event as well; a delay from its event type, the type
    before it, and that event's field words; a field word from its event type, the word before it,
    all words before it in the event, and at the top the last event too. What language models
    share words for is shared here: one vocabulary for delays, one for each name of a field. What
    is not written, because it is as usual, is read as "".
    """

    def __init__(self, order: int = 3, encoding: Encoding | None = None) -> None:
        """encoding: a fitted one, such as the language model's; if None, ``fit`` learns one."""
        if order < 1:
            raise ValueError(f"order is {order}; an n-gram has an order of at least 1")
        super().__init__()
        self.order = order
        self._given, self.encoding = encoding, encoding or Encoding()

    @classmethod
    def choose(
        cls, train: Sequence[Case], validation: Sequence[Case], orders: Iterable[int] = range(1, 9)
    ) -> Self:
        """The model fitted on ``train`` whose order gives ``validation`` the highest likelihood."""
        encoding = Encoding.fit(train)
        return likeliest([cls(order, encoding).fit(train) for order in orders], validation)

    def silences(self, seen: Iterable[Seen]) -> list[float]:
        """For each running case log p(nothing has come by the moment), as the language model says
        it: the case is over, or the next event takes at least as long."""
        found = []
        for case, now in seen:
            after = self.distribution(case)
            still = after.pop(END) + after.pop(UNSEEN)
            for type_, p in after.items():
                if_now = self._readings(Case(case.id, [*case.events, Event(type_, {}, now)]))[-2]
                contexts, word = next(rest for name, *rest in if_now if name == "delay")
                waits = self._counts.distribution(contexts)
                longer = DELAY_WORDS[DELAY_WORDS.index(word) :]
                unseen = waits[UNSEEN] if any(w not in waits for w in longer) else 0.0
                still += p * (unseen + sum(waits.get(w, 0.0) for w in longer))
            found.append(log(min(still, 1.0)))
        return found

    def _prepare(self, cases: Sequence[Case]) -> None:
        self.encoding = self._given or Encoding.fit(cases)

    def _readings(self, case: Case) -> list[list[Reading]]:
        category, recent, said = case.category, (START,), ()
        events = []
        encoded = (*self.encoding.events(case), ())
        for type_, parts in zip((*case.types, END), encoded, strict=True):
            histories = [recent[len(recent) - n :] for n in range(min(self.order, len(recent) + 1))]
            place = (NEXT_TYPE, category)
            contexts = [place[:1], *((*place, history) for history in histories)]
            if self.order > 1:
                contexts.append((*place, histories[-1], said))
            readings = [("type", contexts, type_)]
            words, fields = (), ()  # the delay and the fields so far; the fields alone
            items, written = self.encoding.fields.get(type_, ()), dict(parts)
            unwritten = [(item.part, "") for item in items if item.part not in written]
            for name, text in (*parts[1:], *unwritten):
                word, place = text.strip(), (name, category, type_)
                if name == "delay":
                    longer = beginnings(3, *place, recent[-1], said)
                else:
                    longer = [place, (*place, words[-1:]), (*place, words)]
                    longer.append((*place, words, recent[-1], said))
                    fields = (*fields, word) if word else fields
                readings.append((name, [(name,), *longer], word))
                words = (*words, word) if word else words
            recent, said = (*recent, type_)[-self.order :], fields
            events.append(readings)
        return events
