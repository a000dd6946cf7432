"""How right diagnoses are: the event, the part, the kind and the repair, against what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isclose
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from procutils.cases import Case
from procutils.diagnosis import Diagnosis
from procutils.evaluation import RESAMPLES, Interval, Metrics, wilson
from procutils.repairs import ANOTHER
from procutils.words import is_number

#: The name under which the time of an event is said to be wrong.
TIMESTAMP = "timestamp"


class Truth(Protocol):
    """What was done to a normal case to make it an anomaly.

    case, original: as it is now, and as it was. position: the first event that is wrong given those
    before it, the length of the case if it is wrong that nothing more comes. diagnosis: the kind of
    anomaly that is right, a key of ``diagnosis.ACTIONS``. wrong: the fields of that event that are
    wrong, TIMESTAMP for its time → the right value, None where several would be right.
    """

    @property
    def case(self) -> Case: ...
    @property
    def original(self) -> Case: ...
    @property
    def position(self) -> int: ...
    @property
    def diagnosis(self) -> str: ...
    @property
    def wrong(self) -> Mapping[str, Any]: ...


def localisation(diagnoses: Sequence[Diagnosis], truths: Sequence[Truth], seed: int = 0) -> Metrics:
    """How right the diagnoses of anomalies are, of those that were found (``alerts``).

    ``hit_at_1``: the share that name the very event; ``part``: the part of it, too; ``repair``: a
    repair that gives the original back (:func:`is_mended`), each with Wilson's interval.
    ``kind_macro_f1``: over the kinds that were found. ``mean_delay_events``: by how many events
    those that point at the event or after it are late; those before it (``early``) point at
    something else. Both with a bootstrap interval over cases, within each kind.

    Raises ValueError if nothing was found.
    """
    found = [pair for pair in zip(diagnoses, truths, strict=True) if pair[0].position is not None]
    if not found:
        raise ValueError("no alerts; there is nothing to locate")
    metrics: Metrics = {"anomalies": len(truths), "alerts": len(found)}
    for name, rule in {"hit_at_1": is_hit, "part": is_part, "repair": is_mended}.items():
        right = sum(rule(*pair) for pair in found)
        metrics |= {name: right / len(found), f"{name}_ci": wilson(right, len(found))}
    kinds = np.array([truth.diagnosis for _, truth in found])
    said = np.array([diagnosis.kind for diagnosis, _ in found])
    weights = np.vstack([np.ones(len(found), dtype=np.int64), _draws(kinds, seed)])
    metrics |= _with_interval("kind_macro_f1", _macro_f1(kinds, said, weights))
    late = np.array([diagnosis.position - truth.position for diagnosis, truth in found])
    not_early = weights[:, late >= 0]
    totals, counts = not_early @ late[late >= 0], not_early.sum(axis=1)
    delays = np.divide(totals, counts, out=np.zeros(len(totals)), where=counts > 0)
    metrics |= _with_interval("mean_delay_events", delays)
    return metrics | {"early": int((late < 0).sum())}


def is_hit(diagnosis: Diagnosis, truth: Truth) -> bool:
    """Whether it points at the very event that was changed."""
    return diagnosis.position == truth.position


def is_part(diagnosis: Diagnosis, truth: Truth) -> bool:
    """Whether it points at what is wrong about the event: a field, its time, or that it came."""
    if not is_hit(diagnosis, truth):
        return False
    if truth.diagnosis == "overdue" or TIMESTAMP in truth.wrong:
        return diagnosis.kind in ("overdue", "too early", "too late")
    return diagnosis.part in (truth.wrong or ("type",))


def is_mended(diagnosis: Diagnosis, truth: Truth) -> bool:
    """Whether the repair gives the original back.

    Of the order: the same event types (for what is overdue, the next of them). Of a field: its
    right value, or "another" where several would be right. Of a time: moved, in the right
    direction.
    """
    repair, case, original = diagnosis.repair, truth.case, truth.original
    if repair is None:
        return False
    if repair.what == "move":
        return TIMESTAMP in truth.wrong and (repair.position, diagnosis.kind) == (
            truth.position,
            truth.diagnosis,
        )
    if repair.what == "set":
        if case.types != original.types:
            return False
        name, at = repair.field, repair.position
        now, right = case.events[at].data.get(name), original.events[at].data.get(name)
        if repair.value == ANOTHER:
            return truth.wrong.get(name, right) is None and now != right
        return not _same(now, right) and _same(repair.value, right)
    types = tuple(repair.applied(case.types, repair.types))
    wanted = original.types[: len(types)] if truth.diagnosis == "overdue" else original.types
    return case.types != types == wanted


def _same(a: Any, b: Any) -> bool:
    if is_number(a) and is_number(b):
        return isclose(a, b, rel_tol=1e-9, abs_tol=0.01)
    return a == b


def _draws(kinds: NDArray[np.str_], seed: int) -> NDArray[np.int64]:
    """How often each case is drawn in each resample, [RESAMPLES, cases]; a kind keeps its size."""
    rng = np.random.default_rng(seed)
    weights = np.empty((RESAMPLES, len(kinds)), dtype=np.int64)
    for kind in np.unique(kinds):
        of_kind = np.flatnonzero(kinds == kind)
        n = len(of_kind)
        weights[:, of_kind] = rng.multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    return weights


def _macro_f1(
    kinds: NDArray[np.str_], said: NDArray[np.str_], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The mean F1 over the true kinds, for each row of weights."""
    scores = []
    for kind in np.unique(kinds):
        true, named = kinds == kind, said == kind
        right = weights[:, true & named].sum(axis=1)
        scores.append(2 * right / (weights[:, true].sum(axis=1) + weights[:, named].sum(axis=1)))
    return np.mean(scores, axis=0)


def _with_interval(name: str, values: NDArray[np.float64]) -> dict[str, float | Interval]:
    """The first value, and the interval of the others."""
    low, high = np.percentile(values[1:], (2.5, 97.5))
    return {name: float(values[0]), f"{name}_ci": [float(low), float(high)]}
