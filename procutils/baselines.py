"""Baselines: what counting alone can do, so that a language model has something to beat.

The models here look at the event types only, and at the category of the case. Like all baselines
each has ``fit(cases)``, ``parameters`` and ``case_scores(cases)``, and like the predictor
``score_cases(cases)`` and ``next_events(prefix, k)``, so that one benchmark serves them all. A
*rule* turns a model into yes or no for a case.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from math import log
from typing import Protocol, Self, TypeVar

from procutils.backoff import UNSEEN, most_probable, witten_bell
from procutils.cases import END, START, Case, EventScore

#: Probability given to what a model without smoothing has never seen: far below any count's.
FLOOR = 1e-9

Context = tuple[str, ...]


class Scoring(Protocol):
    """Anything that gives the events of a case a probability."""

    def score(self, case: Case) -> list[EventScore]: ...


Model = TypeVar("Model", bound=Scoring)


class Baseline(Protocol):
    """What every baseline can do, even one that looks at whole cases only."""

    def fit(self, cases: Iterable[Case]) -> Self: ...
    def case_scores(self, cases: Iterable[Case]) -> list[float]: ...
    @property
    def parameters(self) -> int: ...


class NextEvents(Protocol):
    """Anything that says what comes next: a baseline here, or the language model."""

    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]: ...


class CountingModel:
    """What the counting models share: they differ in ``_contexts`` and in ``_probability``."""

    def __init__(self) -> None:
        self.vocabulary: set[str] = {END}
        self._counts: defaultdict[Context, Counter[str]] = defaultdict(Counter)

    def fit(self, cases: Iterable[Case], running: frozenset[str] = frozenset()) -> Self:
        """Count how often each type followed each context; a second call starts afresh.

        running: ids of cases that may go on: their end is not counted. Raises ValueError if there
        are no cases.
        """
        cases = some(cases)
        self.vocabulary, self._counts = {END}, defaultdict(Counter)
        for case in cases:
            self.vocabulary.update(case.types)
            ends = () if case.id in running else (END,)
            for i, type_ in enumerate((*case.types, *ends)):
                for context in self._contexts(case.category, case.types[:i]):
                    self._counts[context][type_] += 1
        return self

    def score(self, case: Case) -> list[EventScore]:
        """Natural-log probability of each event's type, and of END: n + 1 entries."""
        return [
            EventScore(
                type_, {"type": log(self._probability(case.category, case.types[:i], type_))}
            )
            for i, type_ in enumerate((*case.types, END))
        ]

    def score_cases(self, cases: Iterable[Case]) -> list[list[EventScore]]:
        """``score`` for each case, in the same order."""
        return [self.score(case) for case in cases]

    def case_scores(self, cases: Iterable[Case]) -> list[float]:
        """The surprisal (nats) of the most surprising type of each case, its end included."""
        return [max(score.surprisal for score in self.score(case)) for case in cases]

    def next_events(self, prefix: Case, k: int) -> list[tuple[str, float]]:
        """The k most probable next types after the whole of ``prefix``; ties go by name."""
        return most_probable(self.distribution(prefix), k)

    def distribution(self, prefix: Case) -> dict[str, float]:
        """Probability of each type that may follow ``prefix``, END included."""
        return self._following(prefix.category, prefix.types)

    def distributions(self, cases: Iterable[Case]) -> list[list[dict[str, float]]]:
        """For each case what may follow each of its prefixes, the empty one first: n + 1 entries.

        Prefixes of which the same is remembered share one entry.
        """
        known: dict[Context, dict[str, float]] = {}

        def of(category: str, types: Sequence[str]) -> dict[str, float]:
            *_, context = self._contexts(category, types)
            if context not in known:
                known[context] = self._following(category, types)
            return known[context]

        return [
            [of(case.category, case.types[:n]) for n in range(len(case.events) + 1)]
            for case in cases
        ]

    @property
    def parameters(self) -> int:
        """How many counts the model keeps."""
        return sum(len(counter) for counter in self._counts.values())

    def _following(self, category: str, types: Sequence[str]) -> dict[str, float]:
        raise NotImplementedError

    def _contexts(self, category: str, types: Sequence[str]) -> Iterable[Context]:
        """What is remembered of a prefix, shortest first; the longest decides what may follow."""
        raise NotImplementedError

    def _probability(self, category: str, types: Sequence[str], next_type: str) -> float:
        raise NotImplementedError


class _Unsmoothed(CountingModel):
    """Relative frequencies of what was seen, FLOOR for all else.

    The seen types of a context sum to one; a context never seen has no distribution at all.
    """

    def _following(self, category: str, types: Sequence[str]) -> dict[str, float]:
        seen = self._seen(category, types)
        return {type_: count / seen.total() for type_, count in seen.items()}

    def _probability(self, category: str, types: Sequence[str], next_type: str) -> float:
        seen = self._seen(category, types)
        return seen[next_type] / seen.total() if seen[next_type] else FLOOR

    def _seen(self, category: str, types: Sequence[str]) -> Counter[str]:
        (context,) = self._contexts(category, types)
        return self._counts.get(context, Counter())


class Bigram(_Unsmoothed):
    """The last event type decides. As a set of seen pairs: ``unseen_rule(Bigram(), case)``."""

    def _contexts(self, category: str, types: Sequence[str]) -> Iterable[Context]:
        yield (category, types[-1] if types else START)


class PrefixTree(_Unsmoothed):
    """The whole sequence so far decides: a tree with one node for every prefix seen."""

    def _contexts(self, category: str, types: Sequence[str]) -> Iterable[Context]:
        yield (category, START, *types)


class NGram(CountingModel):
    """Interpolated back-off over the last ``order`` − 1 types, with Witten-Bell smoothing.

    See :func:`procutils.backoff.witten_bell`; a context never seen hands over to the one without
    its oldest type. Below the empty history lies the uniform distribution over every type of
    training, END and UNSEEN, so all of them have a positive probability and sum to one.
    """

    def __init__(self, order: int = 3) -> None:
        if order < 1:
            raise ValueError(f"order is {order}; an n-gram has an order of at least 1")
        super().__init__()
        self.order = order

    @classmethod
    def choose(
        cls, train: Sequence[Case], validation: Sequence[Case], orders: Iterable[int] = range(1, 9)
    ) -> Self:
        """The model fitted on ``train`` whose order gives ``validation`` the highest likelihood."""
        return likeliest([cls(order).fit(train) for order in orders], validation)

    def _following(self, category: str, types: Sequence[str]) -> dict[str, float]:
        return {
            type_: self._probability(category, types, type_)
            for type_ in (*sorted(self.vocabulary), UNSEEN)
        }

    def _contexts(self, category: str, types: Sequence[str]) -> Iterable[Context]:
        # Only what the order can see is looked at, so that long cases cost no more than short ones.
        recent = (START, *types) if len(types) < self.order else tuple(types[-self.order :])
        for length in range(min(self.order, len(recent) + 1)):
            yield (category, *recent[len(recent) - length :])

    def _probability(self, category: str, types: Sequence[str], next_type: str) -> float:
        seen = (self._counts.get(context) for context in self._contexts(category, types))
        base = 1 / (len(self.vocabulary) + 1)  # + 1 for UNSEEN, whatever its name
        return witten_bell((counts for counts in seen if counts), next_type, base)


def flag_everything(case: Case) -> bool:
    """The rule with perfect recall: every case is an anomaly."""
    return True


def argmax_rule(model: NextEvents, case: Case) -> bool:
    """True if any event after the first is not the one most probable continuation.

    One greedy guess per event, and no guess about the end: wherever a process truly branches,
    normal cases on the smaller branch are flagged, however good the model is.
    """
    for i in range(1, len(case.events)):
        best = model.next_events(Case(case.id, case.events[:i]), 1)
        if not best or best[0][0] != case.events[i].type:
            return True
    return False


def unseen_rule(model: Bigram | PrefixTree, case: Case) -> bool:
    """True if the case, its end included, holds a step that the training part never showed."""
    return any(score.surprisal >= -log(FLOOR) for score in model.score(case))


def some(cases: Iterable[Case]) -> list[Case]:
    """The cases as a list. Raises ValueError if there are none."""
    if cases := list(cases):
        return cases
    raise ValueError("no cases to count; give the model at least one to learn from")


def likeliest(models: Sequence[Model], validation: Sequence[Case]) -> Model:
    """The fitted model that gives the types of ``validation`` the highest probability.

    Raises ValueError if there are no models or no cases.
    """
    if not validation:
        raise ValueError("no validation cases; the order of an n-gram is chosen on some")
    if not models:
        raise ValueError("no orders to choose from; give at least one")

    def surprisal(model: Model) -> float:
        return sum(score.surprisal for case in validation for score in model.score(case))

    return min(models, key=surprisal)
