"""Probabilities from counts: what is rarely seen leans on what is seen more often."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from math import log

#: Stands for every value that training never showed.
UNSEEN = "(unseen)"

Contexts = Sequence[Hashable]
"""What a value is predicted from, shortest first, each holding all that the one before it holds."""


def witten_bell(tables: Iterable[Counter[str]], value: str, base: float) -> float:
    """p(value), interpolated over the counts of ever longer contexts, with Witten-Bell smoothing.

    p(w | h) = (c(h, w) + T(h) · p(w | h′)) / (c(h) + T(h)), where c counts, T(h) is the number of
    different values that followed h, and h′ is the next shorter context; ``base`` is the
    probability below the shortest. Source: Witten & Bell, "The zero-frequency problem", IEEE
    Trans. Inf. Theory 37(4), 1991, in the recursive form of Chen & Goodman, "An empirical study
    of smoothing techniques", 1998.
    """
    probability = base
    for seen in tables:
        followers = len(seen)
        probability = (seen[value] + followers * probability) / (seen.total() + followers)
    return probability


class BackOff:
    """Counts of values in contexts. The values of the shortest context are the vocabulary.

    Values outside the vocabulary, together UNSEEN, get about the share of values that the shortest
    context met only once: an amount that never came before is no surprise where few come twice; a
    level is, where all do. The estimate is Good's ("The population frequencies of species",
    Biometrika 40, 1953), with one more such value so that it is never zero; longer contexts follow
    :func:`witten_bell`. Vocabulary and UNSEEN sum to one in every context.
    """

    def __init__(self) -> None:
        self._counts: defaultdict[Hashable, Counter[str]] = defaultdict(Counter)
        self._singletons: Counter[Hashable] = Counter()
        self._entropies: dict[Hashable, float] = {}

    def __len__(self) -> int:
        """How many counts are kept."""
        return sum(map(len, self._counts.values()))

    def add(self, contexts: Contexts, value: str) -> None:
        """Count ``value`` once in each of its contexts."""
        self._entropies.clear()
        for context in contexts:
            seen = self._counts[context]
            seen[value] += 1
            self._singletons[context] += (seen[value] == 1) - (seen[value] == 2)

    def probability(self, contexts: Contexts, value: str) -> float:
        """Always positive; one where not even the shortest context is known."""
        tables = self._tables(contexts)
        if not tables:
            return 1.0
        new = self._singletons[contexts[0]] + 1
        base = (tables[0].get(value) or new) / (tables[0].total() + new)
        return witten_bell(tables[1:], value, base)

    def distribution(self, contexts: Contexts) -> dict[str, float]:
        """The vocabulary, in order, and UNSEEN."""
        vocabulary = sorted(self._counts.get(contexts[0], ()))
        return {value: self.probability(contexts, value) for value in (*vocabulary, UNSEEN)}

    def entropy(self, contexts: Contexts) -> float:
        """The surprisal (nats) to expect in this context, if the counts are right."""
        known = contexts[len(self._tables(contexts)) - 1]
        if known not in self._entropies:
            self._entropies[known] = -sum(p * log(p) for p in self.distribution(contexts).values())
        return self._entropies[known]

    def _tables(self, contexts: Contexts) -> list[Counter[str]]:
        tables = []
        for context in contexts:
            if context not in self._counts:
                break  # nor is any longer one known
            tables.append(self._counts[context])
        return tables


def most_probable(distribution: Mapping[str, float], k: int) -> list[tuple[str, float]]:
    """The k most probable values; ties go by name."""
    return sorted(distribution.items(), key=lambda item: (-item[1], item[0]))[:k]
