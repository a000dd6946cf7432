"""What all figures share: palette, second cues, frame, and short names for event types."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from unicodedata import east_asian_width

import matplotlib.pyplot as plt
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

# Okabe & Ito, "Color Universal Design", 2008. Yellow comes last: it is faint on white.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, BLACK, YELLOW = "#CC79A7", "#56B4E9", "#000000", "#F0E442"
PALETTE = (BLUE, ORANGE, GREEN, VERMILLION, PURPLE, SKY, BLACK, YELLOW)
GREY, PALE = "#6B6B6B", "#E4E4E4"

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)), (0, (3, 3)))
HATCHES = ("", "///", "...", "xx", "\\\\\\", "++", "oo", "--")

#: For signs that the first does not have, where the machine has one of the others.
_FONTS = (
    *("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans Devanagari", "Droid Sans Fallback"),
    *("Arial Unicode MS", "Hiragino Sans", "Microsoft YaHei", "Malgun Gothic", "Nirmala UI"),
)

_PAD = "\0"  # stands for the second half of a wide sign

_RC = {
    "figure.dpi": 100,
    "font.family": [name for name in _FONTS if name in font_manager.get_font_names()],
    "text.parse_math": False,  # a name may hold $
    "figure.constrained_layout.use": True,
    "font.size": 10,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 10,
    "axes.labelcolor": "#333333",
    "axes.edgecolor": "#888888",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "xtick.color": "#555555",
    "ytick.color": "#555555",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "hatch.linewidth": 0.6,
}

#: Decorates every function that draws: what it creates has this project's look, and nothing else.
styled = plt.rc_context(_RC)

WIDTH = 9.0  # inches: fills a notebook's column without being scaled down much


def figure(
    title: str, x: str, y: str, *, height: float = 4.0, width: float = WIDTH
) -> tuple[Figure, Axes]:
    """An empty framed chart."""
    (fig, axes) = figures([title], height=height, width=width)
    axes[0].set(xlabel=x, ylabel=y)
    return fig, axes[0]


def figures(
    titles: Sequence[str], *, height: float, width: float = WIDTH, **subplots
) -> tuple[Figure, list[Axes]]:
    """Empty framed charts side by side; further keywords go to ``plt.subplots``."""
    with plt.rc_context(_RC):
        fig, grid = plt.subplots(1, len(titles), figsize=(width, height), squeeze=False, **subplots)
        for axes, title in zip(grid[0], titles, strict=True):
            axes.set_title(title)
        return fig, list(grid[0])


def canvas(title: str, width: float, height: float) -> tuple[Figure, Axes]:
    """A bare drawing surface on which one data unit is one inch; the title takes space on top."""
    fig = plt.figure(figsize=(width, height + 0.45), layout="none")
    axes = fig.add_axes((0, 0, 1, height / (height + 0.45)))
    fig.text(0.15 / width, 1 - 0.12 / (height + 0.45), title, weight="bold", size=12, va="top")
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    return fig, axes


def cycle(values: Sequence, i: int):
    """The i-th value, from the start again after the last."""
    return values[i % len(values)]


def tint(colour: str, strength: float) -> tuple[float, float, float]:
    """``colour`` mixed with white: strength 1 is the colour, 0 is white."""
    return tuple(1 - strength * (1 - part) for part in to_rgb(colour))


def short_names(types: Iterable[str], width: int = 12) -> dict[str, str]:
    """Event types as words on lines of about ``width``, without a first word that all share.

    ``PaymentPendingApproval`` beside ``PaymentFailed`` becomes ``Pending\\nApproval``.
    """
    words = {type_: _words(type_) for type_ in types}
    named = [parts for type_, parts in words.items() if type_[:1] != "("]
    shared = len(named) > 1 and len({parts[0] for parts in named}) == 1
    if shared and all(len(parts) > 1 for parts in named):
        words = {t: parts if t[:1] == "(" else parts[1:] for t, parts in words.items()}
    return {type_: _lines(" ".join(parts), width) for type_, parts in words.items()}


def columns(text: str) -> int:
    """How wide a text is, in letters: signs of East Asian scripts are twice as wide."""
    return len(_padded(text))


def _lines(text: str, width: int) -> str:
    """Broken between words, and within those that would take more than two lines."""
    pieces: list[str] = []
    for word in _padded(text).split(" "):
        pieces += textwrap.wrap(word, width) if len(word) > 2 * width else [word]
    lines = textwrap.wrap(" ".join(pieces), width, break_long_words=False)
    return "\n".join(lines).replace(_PAD, "")


def _padded(text: str) -> str:
    return "".join(s + _PAD if east_asian_width(s) in "WF" else s for s in text)


def _words(type_: str) -> list[str]:
    """``AccountKYCStarted`` → Account, KYC, Started; what already has spaces stays as it is."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|_", " ", type_)
    return spaced.split() or [type_]
