"""Where a number begins to matter: limits found in training cases, never told."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import ROUND_DOWN, Decimal

import numpy as np
from scipy.stats import chi2

#: Ranges that a number may fall into: one more than its limits.
MOST_LIMITS = 4
#: A side of a limit holds at least so many values.
LEAST = 5
#: A limit may be chance with this probability, all places and questions tried counted.
CHANCE = 0.01


def limits(values: Sequence[float], questions: Sequence[Sequence[Hashable]]) -> tuple[float, ...]:
    """The numbers, rising, at which the answer to one of the ``questions`` changes.

    values: n numbers. questions: each n answers, such as the type of the next event. The place
    that divides the answers best is taken if that is unlikely by chance (likelihood-ratio test,
    Bonferroni-corrected for the places and questions tried), and either side is searched again:
    a supervised discretisation as by Fayyad & Irani (1993), with the stopping rule of conditional
    inference trees (Hothorn, Hornik & Zeileis 2006). Within the gap between two values the roundest
    number is taken, for people make limits round.
    """
    order = np.argsort(np.asarray(values, dtype=float), kind="stable")
    numbers = np.asarray(values, dtype=float)[order]
    coded = [np.unique([str(a) for a in asked], return_inverse=True)[1] for asked in questions]
    answers = [codes[order] for codes in coded]
    places: list[tuple[float, int]] = []  # how unlikely by chance, and before which value
    open_ranges = [(0, len(numbers))]
    while open_ranges:
        start, stop = open_ranges.pop()
        found = _best(numbers[start:stop], [codes[start:stop] for codes in answers])
        if found and found[0] < np.log(CHANCE):
            place = start + found[1]
            places.append((found[0], place))
            open_ranges += [(start, place), (place, stop)]
    kept = sorted(place for _, place in sorted(places)[:MOST_LIMITS])
    return tuple(roundest(numbers[place - 1], numbers[place]) for place in kept)


def _best(numbers: np.ndarray, answers: Sequence[np.ndarray]) -> tuple[float, int] | None:
    """The best place to divide at: log of the corrected p-value, and the index of its value."""
    places = np.flatnonzero(numbers[1:] > numbers[:-1]) + 1
    places = places[(places >= LEAST) & (places <= len(numbers) - LEAST)]
    asked = [codes for codes in answers if len(np.unique(codes)) > 1]
    if not len(places) or not asked:
        return None
    found = []
    for codes in asked:
        classes, codes = np.unique(codes, return_inverse=True)
        counts = np.cumsum(np.eye(len(classes))[codes], axis=0)
        below, all_ = counts[places - 1], counts[-1]
        sides = _entropy(below) + _entropy(all_ - below)
        gain = 2 * (_entropy(all_[None])[0] - sides)
        best = int(np.argmax(gain))
        found.append((float(chi2.logsf(gain[best], len(classes) - 1)), int(places[best])))
    p, place = min(found)
    return p + np.log(len(places) * len(asked)), place


def _entropy(counts: np.ndarray) -> np.ndarray:
    """n · H (nats) of each row of counts."""
    n = counts.sum(axis=1, keepdims=True)
    share = np.divide(counts, n, out=np.ones_like(counts), where=counts > 0)
    return -(counts * np.log(share)).sum(axis=1)


def roundest(low: float, high: float) -> float:
    """The number with the fewest digits in (low, high]."""
    top = Decimal(str(high))
    for exponent in range(top.adjusted() + 1, top.adjusted() - 17, -1):
        step = Decimal(1).scaleb(exponent)
        cut = (top / step).to_integral_value(ROUND_DOWN) * step
        if cut > high:
            cut -= step
        if float(cut) > low:
            return float(cut)
    return high
