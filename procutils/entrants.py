"""The methods of the graded table: each case by how rare it is among normal ones, and the costs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Self

from procutils.baselines import Baseline
from procutils.benchmark import Scores
from procutils.cases import Case
from procutils.detector import Detector
from procutils.surprise import rarity


@dataclass(frozen=True)
class Entrant:
    """A method in the graded table: what it says of each case, in order, and what it costs.

    values: how rare a normal case of the same process is that is as strange (nats); for a rule 0
        or 1. fit_seconds: 0 where nothing is learned. event_microseconds: time to judge one event.
    model: the fitted baseline.
    """

    values: list[float]
    parameters: int = 0
    fit_seconds: float = 0.0
    event_microseconds: float = 0.0
    model: Baseline | None = None

    @property
    def cost(self) -> dict[str, float]:
        """Parameters, seconds to fit, microseconds to judge an event."""
        names = ("parameters", "fit_seconds", "event_microseconds")
        return {name: getattr(self, name) for name in names}

    @classmethod
    def together(cls, values: list[float], members: Iterable[Entrant]) -> Self:
        """A method that asks all the members, and costs what they cost."""
        costs = [member.cost.values() for member in members]
        return cls(values, *map(sum, zip(*costs, strict=True)))


def entered(
    fit: Callable[[], Baseline], calibration: Sequence[Case], cases: Sequence[Case], alpha: float
) -> Entrant:
    """Fit a baseline, and put ``cases`` where they stand among normal ones of their process.

    A baseline that scores events is judged part by part, as the language model is
    (:class:`Detector`); one that looks at whole cases by its ``case_scores``.
    """
    started = perf_counter()
    model = fit()
    fitted = perf_counter()
    if hasattr(model, "score_cases"):
        detector, begun = Detector.calibrate(model, calibration, alpha), perf_counter()
        values = standing(detector, cases, model.score_cases(cases))
    else:
        known, begun = by_process(calibration, model.case_scores(calibration)), perf_counter()
        values = rarities(known, cases, model.case_scores(cases))
    per_event = (perf_counter() - begun) / sum(len(case.events) + 1 for case in cases)
    return Entrant(values, model.parameters, fitted - started, 1e6 * per_event, model)


def standing(detector: Detector, cases: Sequence[Case], scores: Scores) -> list[float]:
    """Where cases stand among the normal ones of their process that the detector was calibrated
    with: :func:`rarities`, from the scores of ``cases``."""
    strange = [detector.surprise(*pair) for pair in zip(cases, scores, strict=True)]
    return rarities(detector.ranks, cases, strange)


def by_process(cases: Sequence[Case], values: Sequence[float]) -> dict[str, list[float]]:
    """Category → the values of its cases, rising."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for case, value in zip(cases, values, strict=True):
        found[case.category].append(value)
    return {category: sorted(of_category) for category, of_category in found.items()}


def rarities(
    known: Mapping[str, Sequence[float]], cases: Sequence[Case], values: Sequence[float]
) -> list[float]:
    """Each value as its :func:`rarity` (nats) among the known ones of the same process.

    So cases of different processes can be ranked together. Raises ValueError if none are known for
    the process of a case.
    """
    if unknown := {case.category for case in cases} - known.keys():
        raise ValueError(
            f"no normal cases of {', '.join(sorted(unknown))}, only of {', '.join(known)}: "
            "calibrate with cases of it"
        )
    return [rarity(known[case.category], v) for case, v in zip(cases, values, strict=True)]
