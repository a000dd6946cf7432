"""What a log tells of its process, for people: the map of it, and a page to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import pandas as pd

from procutils.cases import END, START, Case
from procutils.detector import Verdict
from procutils.evaluation import Metrics
from procutils.forecasts import Forecast

#: A map of more activities cannot be read; nor one with arrows for what hardly ever happens.
MOST_TYPES, LEAST_SHARE = 15, 0.05
#: An event type that was to be foretold fewer times tells little of how well it is.
LEAST_TARGETS = 10


def process_edges(cases: Iterable[Case]) -> dict[tuple[str, str], float]:
    """(from, to) → the share of all that follows ``from``, START and END included; for
    ``process_map``.

    Of the commonest MOST_TYPES event types; others are passed over. Shares below LEAST_SHARE are
    left out, save the commonest way to each type. Raises ValueError if there are no events.
    """
    courses = [case.types for case in cases]
    met = Counter(type_ for types in courses for type_ in dict.fromkeys(types))
    if not met:
        raise ValueError("no events; there is no process to draw")
    shown = {type_ for type_, _ in met.most_common(MOST_TYPES)}
    follows = Counter(
        pair
        for types in courses
        if (kept := [type_ for type_ in types if type_ in shown])
        for pair in pairwise((START, *kept, END))
    )
    left: Counter[str] = Counter()
    ways: dict[str, tuple[str, str]] = {}
    for pair, count in follows.most_common():
        left[pair[0]] += count
        if pair[0] != pair[1]:
            ways.setdefault(pair[1], pair)
    return {
        pair: count / left[pair[0]]
        for pair, count in follows.items()
        if count >= LEAST_SHARE * left[pair[0]] or ways.get(pair[1]) == pair
    }


def by_type(forecast: Forecast) -> pd.DataFrame:
    """Event type → ``targets``, how often it came, and ``right``, the share that was foretold."""
    hits = pd.DataFrame(
        {
            "type": [forecast.types[column] for column in forecast.truth],
            "right": forecast.best == forecast.truth,
        }
    )
    found = hits.groupby("type")["right"].agg(targets="size", right="mean")
    return found.sort_values(["right", "targets"], ascending=False)


def page(
    name: str,
    cases: Sequence[Case],
    forecast: Forecast,
    found: Metrics,
    floor: Metrics,
    strange: Mapping[str, Verdict],
    figures: Sequence[tuple[str, str]],
) -> str:
    """A page in Markdown that a team can show.

    found, floor: :func:`procutils.forecasts.measures` of the forecast, and of the majority.
    strange: id → verdict of the strangest cases. figures: captions and files.
    """
    events = sum(len(case.events) for case in cases)
    types = {type_ for case in cases for type_ in case.types}
    often = (table := by_type(forecast))[table["targets"] >= LEAST_TARGETS]
    return "\n\n".join(
        [
            f"# {name}: what its events tell",
            f"{len(cases):,} cases, {events:,} events, {len(types)} activities.",
            f"The next event is foretold rightly in **{found['accuracy']:.1%}** of "
            f"{found['targets']:,} tries, against {floor['accuracy']:.1%} for always saying the "
            "commonest.",
            "Foretold well:\n\n" + _listed(often.head(3)),
            "Foretold badly:\n\n" + _listed(often.tail(3).iloc[::-1]),
            "The strangest new cases:\n\n"
            + "\n".join(f"- `{id_}`: {v.explanation} *{v.action}*" for id_, v in strange.items()),
            *(f"![{caption}]({file})" for caption, file in figures),
        ]
    )


def _listed(rows: pd.DataFrame) -> str:
    return "\n".join(
        f"- {'the end of the case' if type_ == END else type_}: {right:.0%} of {targets:,}"
        for type_, targets, right in rows.itertuples()
    )
