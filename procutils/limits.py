"""Where a number begins to matter: limits found in training cases, never told."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal

import numpy as np
from scipy.stats import chi2

#: Ranges that a number may fall into: one more than its limits.
MOST_LIMITS = 4
#: A side of a limit holds at least so many values.
LEAST = 5
#: A limit may be chance with this probability, all places and questions tried counted.
CHANCE = 0.01

NOWHERE = (np.inf, 0, 0, 0)


def limits(values: Sequence[float], questions: Sequence[np.ndarray]) -> tuple[float, ...]:
    """The numbers, rising, at which the answer to one of the ``questions`` changes.

    values: n numbers, none of them NaN. questions: each n answers as codes (int), such as the type
    of the next event. The place that divides the answers best is taken if that is unlikely by
    chance (likelihood-ratio test, Bonferroni-corrected for the places and questions tried), and
    either side is searched again: a supervised discretisation as by Fayyad & Irani (1993), with the
    stopping rule of conditional inference trees (Hothorn, Hornik & Zeileis 2006). Within the gap
    between two values the roundest number is taken, for people make limits round.
    """
    numbers = np.asarray(values, dtype=float)
    order = np.argsort(numbers, kind="stable")
    numbers, answers = numbers[order], [np.asarray(codes)[order] for codes in questions]
    kept: list[int] = []
    open_ = [_best(0, len(numbers), numbers, answers)]
    while len(kept) < MOST_LIMITS:
        p, start, place, stop = open_.pop(open_.index(min(open_)))
        if p > np.log(CHANCE):
            break
        kept.append(place)
        open_ += [_best(start, place, numbers, answers), _best(place, stop, numbers, answers)]
    return tuple(roundest(numbers[place - 1], numbers[place]) for place in sorted(kept))


def _best(
    start: int, stop: int, numbers: np.ndarray, answers: Sequence[np.ndarray]
) -> tuple[float, int, int, int]:
    """Where to divide a range: log of the corrected p-value, its start, the place, its stop."""
    inside = numbers[start:stop]
    places = np.flatnonzero(inside[1:] > inside[:-1]) + 1
    places = places[(places >= LEAST) & (places <= len(inside) - LEAST)]
    if not len(places):
        return NOWHERE
    n_log_n = np.arange(len(inside) + 1, dtype=float)
    n_log_n[1:] *= np.log(n_log_n[1:])
    found = []
    for codes in answers:
        classes, codes = np.unique(codes[start:stop], return_inverse=True)
        if len(classes) < 2:
            continue
        counts = np.cumsum(codes[:, None] == np.arange(len(classes)), axis=0)
        below, all_ = counts[places - 1], counts[-1]
        # Twice the log of the likelihood ratio: entropies times n of the whole less those of sides.
        sides = n_log_n[below].sum(axis=1) + n_log_n[all_ - below].sum(axis=1)
        sides -= n_log_n[places] + n_log_n[len(inside) - places]
        gain = 2 * (sides - n_log_n[all_].sum() + n_log_n[-1])
        best = int(np.argmax(gain))
        found.append((float(chi2.logsf(gain[best], len(classes) - 1)), int(places[best])))
    if not found:
        return NOWHERE
    p, place = min(found)
    return float(p + np.log(len(places) * len(found))), start, start + place, stop


def roundest(low: float, high: float) -> float:
    """The number with the fewest digits in (low, high]."""
    top = Decimal(str(high))
    for exponent in range(top.adjusted() + 1, top.adjusted() - 17, -1):
        step = Decimal(1).scaleb(exponent)
        cut = (top / step).to_integral_value(ROUND_DOWN) * step
        if float(cut) > high:
            cut -= step
        if float(cut) > low:
            return float(cut)
    return high
