"""Figures: what they show is what they were given, and nothing lies on top of anything else."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure

from procutils import evaluation, plots
from procutils.cases import END, Case, Event, EventScore
from procutils.plots.layout import is_box, layered, with_ends_apart, with_start
from procutils.plots.style import columns, short_names

MONDAY = datetime(2025, 3, 3, 9, tzinfo=UTC)


@pytest.fixture(autouse=True)
def draw_without_a_screen():
    before = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(before)


def make_case(id_: str, types: list[str], start: datetime = MONDAY) -> Case:
    return Case(id_, [Event(t, {}, start + timedelta(hours=i)) for i, t in enumerate(types)])


def texts(fig: Figure) -> list[str]:
    """Everything that can be read in the figure, on one line each."""
    fig.canvas.draw()
    found = fig.findobj(mpl.text.Text)
    return [text.get_text().replace("\n", " ").strip() for text in found if text.get_visible()]


def assert_labelled(fig: Figure, axes: int = 1) -> None:
    charts = [ax for ax in fig.axes if ax.axison]
    assert any(ax.get_title(loc="left") for ax in charts)
    assert sum(bool(ax.get_xlabel()) for ax in charts) >= axes


PAYMENT = {
    ("PaymentInitiated", "PaymentValidated"): 1.0,
    ("PaymentValidated", "PaymentApproved"): 0.6,
    ("PaymentValidated", "PaymentExecuted"): 0.4,
    ("PaymentApproved", "PaymentApproved"): 0.3,
    ("PaymentApproved", "PaymentExecuted"): 0.7,
    ("PaymentExecuted", "PaymentFailed"): 0.004,
    ("PaymentFailed", "PaymentExecuted"): 1.0,
    ("PaymentExecuted", END): 0.996,
}


def test_a_process_map_names_every_step_and_its_branches():
    shown = texts(plots.process_map(PAYMENT, "Payment"))
    assert {"Payment", "Initiated", "Validated", "Approved", "Executed", "Failed"} <= set(shown)
    assert {"60%", "40%", "30%", "70%", "< 1%"} <= set(shown)
    with pytest.raises(ValueError, match="no edges"):
        plots.process_map({})


def test_the_most_probable_path_is_level_and_runs_to_the_right():
    layout = layered(with_ends_apart(with_start(PAYMENT)))
    path = ["Initiated", "Validated", "Approved", "Executed"]
    spine = ["(start)", *(f"Payment{name}" for name in path), f"{END} PaymentExecuted"]
    assert {layout.y[node] for node in spine} == {0.0}
    assert layout.back == {("PaymentFailed", "PaymentExecuted")}
    assert [layout.x[node] for node in spine] == sorted(layout.x[node] for node in spine)


@st.composite
def graphs(draw):
    """A chain of up to 13 steps with loops, shortcuts and ways back, and at least one end."""
    nodes = [f"Step{i}" for i in range(draw(st.integers(1, 13)))]
    pairs = st.tuples(st.sampled_from(nodes), st.sampled_from([*nodes, END]))
    edges = set(draw(st.lists(pairs, max_size=14)))
    edges |= set(zip(nodes, [*nodes[1:], END], strict=True))
    return {edge: draw(st.floats(0.001, 1)) for edge in sorted(edges)}


@settings(max_examples=40, deadline=None)
@given(graphs())
def test_no_two_nodes_of_any_map_overlap(edges):
    layout = layered(with_ends_apart(with_start(edges)))
    assert {node for node in layout.x if is_box(node) and node[:1] != "("} == {
        node for edge in edges for node in edge if node != END
    }
    for nodes in layout.layers:
        for upper, lower in pairwise(nodes):
            room = layout.extents[upper][2] + layout.extents[lower][1]
            assert layout.y[upper] - layout.y[lower] >= room - 1e-9
    for (a, b), path in layout.paths.items():
        columns = [layout.x[node] for node in path]
        assert columns == sorted(columns)
        if a != b:
            assert (a, b) == ((path[-1], path[0]) if (a, b) in layout.back else (path[0], path[-1]))


@settings(max_examples=5, deadline=None)
@given(graphs())
def test_any_map_can_be_drawn(edges):
    fig = plots.process_map(edges)
    fig.canvas.draw()
    plt.close(fig)


def test_short_names():
    names = short_names(["AccountKYCStarted", "AccountOpened", END])
    assert names == {"AccountKYCStarted": "KYC Started", "AccountOpened": "Opened", END: "(end)"}
    assert short_names(["OrderFilled", "TradeBooked"])["OrderFilled"] == "Order Filled"
    assert short_names(["Opened"]) == {"Opened": "Opened"}


def test_long_names_of_any_script_stay_in_their_boxes():
    names = [
        "審査担当者による申請内容の確認と承認" * 3,
        "Donaudampfschifffahrtsgesellschaft",
        "a b",
    ]
    lines = {name: short.split("\n") for name, short in short_names(names).items()}
    assert ["".join(lines[name]) for name in names[:2]] == names[:2]
    assert {columns(line) for line in lines[names[0]]} == {12}
    assert max(columns(line) for line in short_names(names, 11)[names[0]].split("\n")) <= 12
    assert max(map(len, lines[names[1]])) == 12 and lines[names[2]] == ["a b"]


def test_dollars_in_a_name_are_no_formula():
    fig = plots.process_map({("pay $_$ now", "b"): 1.0, ("b", END): 1.0}, "cost $^$")
    fig.canvas.draw()
    assert "pay $ $ now" in texts(fig)


CASES = [
    *(make_case(f"payment-{i}", ["A", "B", "C"], MONDAY + timedelta(hours=i)) for i in range(3)),
    make_case("payment-3", ["A", "C"], MONDAY + timedelta(days=2)),
]


def test_variants_show_their_shares():
    fig = plots.variants(CASES, top=10)
    assert_labelled(fig)
    assert [bar.get_width() for bar in fig.axes[1].containers[0]] == [0.75, 0.25]
    shown = texts(fig)
    assert "payment: 2 of 2 variants cover 100% of 4 cases" in shown
    assert shown.count("A") == 2 and shown.count("B") == 1
    assert "1 of 2 variants cover 75%" in " ".join(texts(plots.variants(CASES, top=1)))


def test_a_timeline_has_a_row_per_case_in_the_window():
    fig = plots.timeline(CASES)
    assert_labelled(fig)
    assert [label.get_text() for label in fig.axes[0].get_yticklabels()] == [c.id for c in CASES]
    fig = plots.timeline(CASES, (MONDAY, MONDAY + timedelta(hours=1)))
    assert "2 cases in flight" in texts(fig)
    with pytest.raises(ValueError, match="no case touches"):
        plots.timeline(CASES, (MONDAY + timedelta(days=9), MONDAY + timedelta(days=10)))


def test_field_by_group_draws_every_value_in_its_row():
    groups = ["one", "none", "one"]
    fig = plots.field_by_group([5e4, 10, 2e4], groups, {"limit": 1e4}, title="Amount", label="EUR")
    assert_labelled(fig)
    axes = fig.axes[0]
    drawn = [dots.get_offsets()[:, 0].tolist() for dots in axes.collections]
    assert drawn == [[10.0], [5e4, 2e4]]
    assert axes.get_xscale() == "log" and "limit" in texts(fig)


def test_seen_in_training_draws_a_bar_for_every_share():
    splits = {"by time": {"types": 0.9, "all": 0.2}, "at random": {"types": 1.0, "all": 0.7}}
    fig = plots.seen_in_training(splits)
    assert_labelled(fig)
    drawn = [[bar.get_height() for bar in bars] for bars in fig.axes[0].containers]
    assert drawn == [[0.9, 0.2], [1.0, 0.7]]
    assert {"90%", "20%", "100%", "70%", "by time", "at random", "types", "all"} <= set(texts(fig))
    with pytest.raises(ValueError, match="no shares"):
        plots.seen_in_training({})


def test_tokens_by_length_draws_every_case_once_per_format():
    tokens = {"text": [20, 30, 31], "chats": [90, 200, 180]}
    fig = plots.tokens_by_length([3, 5, 5], tokens)
    assert_labelled(fig)
    lines = dict(zip(tokens, fig.axes[0].lines, strict=True))
    assert {name: line.get_ydata().tolist() for name, line in lines.items()} == tokens
    for line in lines.values():
        assert np.allclose(np.round(line.get_xdata()), [3, 5, 5])
    assert set(tokens) <= set(texts(fig))


def test_case_surprisal_points_at_the_worst_event():
    case = make_case("payment-1", ["Initiated", "Executed"])
    nats = [{"type": 0.0}, {"type": -3.0, "delay": -1.0, "amount": -0.5}, {"type": -0.2}]
    scores = [EventScore(t, p) for t, p in zip(["Initiated", "Executed", END], nats, strict=True)]
    expected = [[("Initiated", 1.0)], [("Approved", 0.9), ("Failed", 0.001)], []]
    shown = texts(plots.case_surprisal(case, scores, expected, threshold=2.0))
    assert {"▶ Executed", "4.50", "Approved 90%", "nothing known", "end of case"} <= set(shown)
    with pytest.raises(ValueError, match="need 3 entries; they have 2 and 3"):
        plots.case_surprisal(case, scores[:2], expected)


def test_a_loss_curve_takes_what_trl_logs():
    history = [{"step": i, "loss": 1 / i} for i in range(1, 31)]
    history += [{"step": 30, "eval_loss": 0.2}, {"train_runtime": 9.0, "step": 30}]
    fig = plots.loss_curve(history)
    assert_labelled(fig)
    each, _, held_out = fig.axes[0].lines
    assert each.get_ydata().tolist() == [1 / i for i in range(1, 31)]
    assert held_out.get_xydata().tolist() == [[30, 0.2]]
    with pytest.raises(ValueError, match="no entry holds a loss"):
        plots.loss_curve([{"eval_loss": 1.0, "step": 1}])


def test_nll_bars_print_value_and_regret():
    fig = plots.nll_bars({"n-gram": (0.6, [0.5, 0.7]), "model": (0.58, [0.5, 0.6])}, floor=0.5)
    assert_labelled(fig)
    assert {"0.600   (+0.100)", "0.580   (+0.080)", "n-gram", "model"} <= set(texts(fig))


def test_calibration_marks_what_is_above_the_target():
    observed = {"trade": (0.05, [0.03, 0.08]), "risk": (0.2, [0.15, 0.26])}
    fig = plots.calibration(0.05, observed)
    assert_labelled(fig)
    assert {"5.0%", "20.0%  above", "target 5.0%"} <= set(texts(fig))


def test_p_values_climb_to_one():
    fig = plots.p_value_uniformity({"trade": [0.2, 0.6], "risk": [0.5]})
    steps = {line.get_label(): line for line in fig.axes[0].lines}
    assert steps["trade"].get_xydata().tolist() == [[0, 0], [0.2, 0.5], [0.6, 1], [1, 1]]


LABELS = [0] * 30 + [1] * 20
SCORES = [*np.linspace(0, 4, 30), *np.linspace(2, 9, 20)]


def test_a_histogram_counts_every_case():
    fig = plots.surprisal_histogram(SCORES[:30], SCORES[30:], {"alert": 3.0})
    assert_labelled(fig)
    assert fig.axes[0].get_yscale() == "log"
    assert {"normal (30)", "anomalous (20)", "alert: 3.00"} <= set(texts(fig))


def test_roc_pr_draws_curves_and_rules():
    roc = {"model": evaluation.roc(LABELS, SCORES)}
    curve = {"model": evaluation.precision_recall(LABELS, SCORES)}
    fig = plots.roc_pr(roc, curve, {"flag everything": (1.0, 1.0, 0.4)})
    assert_labelled(fig, axes=2)
    left, right = fig.axes
    assert left.lines[0].get_xdata().tolist() == roc["model"][0]
    assert right.lines[1].get_xydata().tolist() == [[1.0, 0.4]]
    assert {"model", "flag everything (rule)"} <= set(texts(fig))


def test_a_confusion_grid_prints_the_counts():
    found = evaluation.detection(LABELS, np.array(SCORES) > 3)
    fig = plots.confusion_grid({"model": found, "all": evaluation.detection(LABELS, [1] * 50)})
    shown = texts(fig)
    assert {"model", "all", "normal", "anomalous", "passed", "flagged", "100.0%"} <= set(shown)
    assert str(found["true_positives"]) in shown and str(found["false_positives"]) in shown


def test_precision_falls_with_prevalence():
    fig = plots.precision_vs_prevalence({"model": (0.9, 0.01), "all": (1.0, 1.0)})
    assert_labelled(fig)
    for line in fig.axes[0].lines[:2]:
        assert (np.diff(line.get_ydata()) > 0).all()
    assert fig.axes[0].lines[1].get_ydata()[-1] == pytest.approx(0.5)


def test_figures_leave_the_readers_own_settings_alone():
    before = dict(mpl.rcParams)
    plots.nll_bars({"a": (1.0, [0.9, 1.1])}, 0.5)
    assert dict(mpl.rcParams) == before
