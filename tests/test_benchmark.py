"""Detectors side by side: rules and thresholds, tables and repeated draws."""

import pytest

from procutils.baselines import NGram, flag_everything
from procutils.benchmark import (
    Judged,
    by_rule,
    by_scorer,
    comparison,
    false_alarms,
    measured,
    precision_of_draws,
    ranged,
)
from procutils.detector import Detector
from procutils.finance.processes import simulate

FIRM = simulate(seed=3, cases=500, rate=1.0)
TRAIN, CALIBRATION, TEST = FIRM[:150], FIRM[150:350], FIRM[350:]


def test_a_scorer_flags_what_surprises_more_than_its_process_allows():
    scorer = NGram(3).fit(TRAIN)
    judged = by_scorer(scorer, CALIBRATION, TEST, 0.1)
    detector = Detector.calibrate(scorer, CALIBRATION, 0.1)
    assert judged.flags == [detector.check(case).is_anomaly for case in TEST]
    assert judged.flags == [margin > 0 for margin in judged.margins]
    assert 0 < sum(judged.flags) < len(TEST) / 4


def test_a_rule_has_counts_and_no_ranking():
    labels = [0] * 100 + [1] * 50
    found = measured(labels, by_rule(flag_everything, TEST))
    assert (found["recall"], found["false_positives"]) == (1.0, 100)
    assert "auroc" not in found
    ranked = measured([0, 0, 1], Judged([False, True, True], [-1.0, 0.5, 2.0]))
    assert (ranked["precision"], ranked["auroc"]) == (0.5, 1.0)


def test_a_table_holds_values_with_intervals_and_gaps_where_there_are_none():
    metrics = {"rule": {"f1": 0.5, "f1_ci": [0.4, 0.6]}}
    metrics["model"] = metrics["rule"] | {"auroc": 0.9, "auroc_ci": [0.85, 0.95]}
    table = comparison(metrics, ["f1", "auroc"])
    assert table.loc["rule"].tolist() == ["0.500 [0.400, 0.600]", ""]
    assert table.loc["model", "auroc"] == ranged(0.9, [0.85, 0.95]) == "0.900 [0.850, 0.950]"


def test_small_draws_scatter_about_the_precision_of_the_whole():
    labels, flags = [0] * 200 + [1] * 200, [True] * 100 + [False] * 100 + [True] * 200
    drawn = precision_of_draws(labels, flags, size=50, seed=1)
    assert len(drawn) == 400 and min(drawn) < 2 / 3 < max(drawn)
    assert sum(drawn) / len(drawn) == pytest.approx(2 / 3, abs=0.01)
    assert drawn == precision_of_draws(labels, flags, size=50, seed=1)
    assert set(precision_of_draws(labels, flags, size=200)) == {2 / 3}


def test_larger_draws_than_there_are_cases_are_refused():
    with pytest.raises(ValueError, match="3 cases of each kind cannot be drawn from 2 normal"):
        precision_of_draws([0, 0, 1, 1, 1], [True] * 5, size=3)


def test_false_alarms_are_counted_for_each_process_and_for_all():
    found = false_alarms(TEST, [case.category == "risk" for case in TEST])
    assert [*found] == ["account", "compliance", "payment", "risk", "trade", "all"]
    assert (found["risk"]["observed_fpr"], found["trade"]["observed_fpr"]) == (1.0, 0.0)
    assert found["all"]["normal"] == len(TEST) == sum(f["normal"] for f in found.values()) / 2
    assert found["all"]["flagged"] == found["risk"]["normal"]
    low, high = found["all"]["observed_fpr_ci"]
    assert low < found["all"]["observed_fpr"] < high
