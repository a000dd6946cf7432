"""Every figure: functions that take data, read no file, and return a matplotlib Figure.

Colours are Okabe and Ito's, told apart with any colour vision, and never the only cue.
"""

from procutils.plots.benchmark import (
    confusion_grid,
    precision_vs_prevalence,
    roc_pr,
    surprisal_histogram,
)
from procutils.plots.cases import field_by_group, timeline, variants
from procutils.plots.compliance import violations_by_week
from procutils.plots.examples import seen_in_training, tokens_by_length
from procutils.plots.explanation import case_surprisal
from procutils.plots.graded import case_parts, methods_by_tier, usual_parts
from procutils.plots.learning import (
    calibration,
    few_cases,
    loss_curve,
    nll_bars,
    p_value_uniformity,
    probabilities,
)
from procutils.plots.live import watched_cases
from procutils.plots.process_map import process_map
from procutils.plots.split import time_split

__all__ = [
    "calibration",
    "case_parts",
    "case_surprisal",
    "confusion_grid",
    "few_cases",
    "field_by_group",
    "loss_curve",
    "methods_by_tier",
    "nll_bars",
    "p_value_uniformity",
    "precision_vs_prevalence",
    "probabilities",
    "process_map",
    "roc_pr",
    "seen_in_training",
    "surprisal_histogram",
    "time_split",
    "timeline",
    "tokens_by_length",
    "usual_parts",
    "variants",
    "violations_by_week",
    "watched_cases",
]
