"""What was measured, as a table for people and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from textwrap import wrap
from time import perf_counter
from typing import Any, TypeVar

Result = TypeVar("Result")


def timed(function: Callable[..., Result], *arguments: Any) -> tuple[Result, float]:
    """What the call gave, and the seconds that it took."""
    started = perf_counter()
    result = function(*arguments)
    return result, perf_counter() - started


@dataclass(frozen=True)
class Row:
    """One quantity of both sides. ratio: as the section says; None where one would mean nothing."""

    what: str
    unit: str
    ours: float
    other: float | None = None
    ratio: float | None = None


@dataclass(frozen=True)
class Section:
    """One comparison. ours, other: what either side is; ratio: what a ratio says.

    details: further plain numbers, for JSON alone.
    """

    title: str
    ours: str
    other: str
    ratio: str
    rows: list[Row]
    notes: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def faster(what: str, unit: str, ours: float, other: float) -> Row:
    """A row of times: how many times less ours is."""
    return Row(what, unit, ours, other, other / ours)


def more(what: str, unit: str, ours: float, other: float) -> Row:
    """A row of rates: how many times more ours is."""
    return Row(what, unit, ours, other, ours / other)


def shown(section: Section) -> str:
    """The section as text, 100 columns wide."""
    lines = [section.title.upper()]
    for name in ("ours", "other", "ratio"):
        lines += wrap(
            getattr(section, name), 98, initial_indent=f"  {name:<7}", subsequent_indent=" " * 9
        )
    lines += ["", f"  {'':<52}{'ours':>14}{'other':>14}{'ratio':>12}"]
    for row in section.rows:
        cells = "".join(
            f"{_number(value):>{width}}"
            for value, width in ((row.ours, 14), (row.other, 14), (row.ratio, 12))
        )
        lines.append(f"  {f'{row.what} ({row.unit})':<52}{cells}")
    for note in section.notes:
        lines += wrap(note, 98, initial_indent="  - ", subsequent_indent="    ")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    """Three figures are all that a busy machine allows."""
    if value is None:
        return "–"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 1 else f"{value:.3f}"
