"""The README says nothing that the reference run did not measure."""

import json
import re

import pytest

from procutils.benchmark import ranged


@pytest.fixture(scope="module")
def readme(root) -> str:
    return (root / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def metrics(root) -> dict:
    return json.loads((root / "runs" / "reference" / "metrics.json").read_text(encoding="utf-8"))


def percent(value: float, interval: list[float]) -> str:
    low, high = interval
    return f"{value:.1%} [{low:.1%}, {high:.1%}]".replace("%", " %")


def results(metrics: dict) -> dict[str, str]:
    """The last column of the README's table of results, by its first."""
    ours = metrics["benchmark"]["prototype"]
    methods = metrics["benchmark"]["methods"]
    rows = {
        name.capitalize(): percent(ours[name], ours[f"{name}_ci"])
        for name in ("precision", "recall")
    }
    rows["F1"] = percent(ours["f1"], ours["f1_ci"])
    language_model = methods["language_model"]
    flagged = language_model["false_positives"]
    rows["Normal cases flagged"] = f"{flagged} of {ours['normal']:,}"
    rows["F1 of seen pairs, by counting"] = percent(
        methods["seen_bigrams"]["f1"], methods["seen_bigrams"]["f1_ci"]
    )
    rows["F1 of a back-off n-gram"] = percent(methods["ngram"]["f1"], methods["ngram"]["f1_ci"])
    training = metrics["training"]
    rows["Surprise per event above the best possible"] = f"{training['regret_per_event']:.3f} nats"
    rows["Training time"] = f"{training['seconds'] / 60:.0f} minutes, {training['hardware']}"
    return rows


#: Not rivals: what cannot be had, and what is ours.
OURS = ("language_model", "model_and_counts", "true_grammar")


def graded(metrics: dict) -> dict[str, tuple[str, ...]]:
    """The README's graded table: tier → AUROC and recall at 1 % of the model, and of model and
    counts, and the best rival's AUROC."""
    rows = {}
    for tier, methods in metrics["benchmark"]["graded"].items():
        rivals = {name: found for name, found in methods.items() if name not in OURS}
        best = max(rivals, key=lambda name: rivals[name].get("auroc", 0.5))
        rows[tier.capitalize()] = (
            *(
                ranged(methods[ours][name], methods[ours][f"{name}_ci"])
                for ours in ("language_model", "model_and_counts")
                for name in ("auroc", "recall_at_1pct_fpr")
            ),
            f"{ranged(rivals[best]['auroc'], rivals[best]['auroc_ci'])}, {best.replace('_', ' ')}",
        )
    return rows


def test_the_graded_table_is_that_of_the_reference_run(readme, metrics):
    row = "^" + r"\| ([^|]+?) " * 6 + r"\|$"
    table = {tier: tuple(cells) for tier, *cells in re.findall(row, readme, re.MULTILINE)}
    assert {tier: table.get(tier) for tier in graded(metrics)} == graded(metrics)


#: The README's name of each real log → its folder beside the reference run.
LOGS = {
    "RequestForPayment 2020": "request_for_payment",
    "BPI Challenge 2012": "bpi_challenge_2012",
}


def real_log(streams: dict) -> tuple[str, ...]:
    """A row of the README's table of real logs, from what notebook 9 recorded: targets, accuracies,
    average precision of the anomalies."""
    found = streams["next_event"]
    accuracies = [
        ranged(found[name]["accuracy"], found[name]["accuracy_ci"])
        if name in found
        else "not asked"
        for name in ("n_gram", "trees", "language_model", "mixture")
    ]
    broken = streams["anomalies"]["both_ways"]
    precision = ranged(broken["average_precision"], broken["average_precision_ci"])
    return f"{streams['data']['targets']:,}", *accuracies, precision


def test_the_real_logs_are_those_of_their_runs(root, readme):
    for name, folder in LOGS.items():
        file = root / "runs" / "reference" / folder / "metrics.json"
        row = real_log(json.loads(file.read_text(encoding="utf-8"))["streams"])
        assert f"| {' | '.join((name, *row))} |" in readme


def test_the_results_are_those_of_the_reference_run(readme, metrics):
    table = dict(re.findall(r"^\| ([^|]+?) \|[^|]*\| ([^|]+?) \|$", readme, re.MULTILINE))
    quoted = {name: table.get(name) for name in results(metrics)}
    assert quoted == results(metrics)


def test_every_link_leads_somewhere(readme, root):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", readme)
    assert links
    assert [link for link in links if not (root / link).exists()] == []
