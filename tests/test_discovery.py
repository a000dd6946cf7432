"""What a log tells of its process: its map, what can be foretold, and the sample to try it on."""

from datetime import UTC, datetime

import matplotlib.pyplot as plt
import numpy as np
import pytest

from procutils import plots
from procutils.cases import END, START, Case, Event
from procutils.detector import Verdict
from procutils.discovery import by_type, page, process_edges
from procutils.finance.helpdesk import write_tickets
from procutils.forecasts import Forecast, measures
from procutils.logs import open_log

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def case(types: str) -> Case:
    return Case("order-1", [Event(type_, {}, NOW) for type_ in types])


def test_edges_are_shares_of_what_follows():
    found = process_edges([case("abc")] * 3 + [case("ac")])
    ways = {("a", "b"): 0.75, ("a", "c"): 0.25, ("b", "c"): 1.0, ("c", END): 1.0}
    assert found == {(START, "a"): 1.0} | ways


def test_what_is_rare_is_left_out():
    found = process_edges([case("ab")] * 99 + [case("ba")])
    assert set(found) == {(START, "a"), ("a", "b"), ("b", END)}
    many = [Case("order-1", [Event(f"type {i}", {}, NOW) for i in range(40)])]
    assert len({first for first, _ in process_edges(many)} - {START}) == 15
    with pytest.raises(ValueError, match="no process to draw"):
        process_edges([])


def test_what_seldom_comes_keeps_the_commonest_way_to_it():
    """Or it would look like a place to start at."""
    found = process_edges([case("ab")] * 99 + [case("axb")])
    assert found["a", "x"] == pytest.approx(0.01)
    assert found[START, "a"] == 1.0 and (START, "x") not in found


def test_a_page_says_what_is_foretold_well_and_badly():
    truth = np.repeat([0, 1, 2], 20)
    p = np.tile([0.2, 0.7, 0.1], (60, 1))
    forecast = Forecast((END, "a", "b"), p, truth, np.arange(60))
    assert by_type(forecast)["right"].to_dict() == {"a": 1.0, END: 0.0, "b": 0.0}
    found = measures(forecast)
    verdict = Verdict(1, "skipped step", [], "Skipped step: x.", "Ask why.", is_anomaly=True)
    said = page(
        "orders", [case("ab")], forecast, found, found, {"order-7": verdict}, [("Map", "map.png")]
    )
    assert said.startswith("# orders: what its events tell\n\n1 cases, 2 events, 2 activities.")
    assert "**33.3%** of 60 tries" in said
    assert "- a: 100% of 20" in said and "- the end of the case: 0% of 20" in said
    assert "- `order-7`: Skipped step: x. *Ask why.*" in said
    assert said.endswith("![Map](map.png)")


def test_the_sample_is_a_log_like_any_other(tmp_path):
    file = write_tickets(tmp_path / "tickets.csv", tickets=40)
    with open_log(file, "tickets") as (log, report):
        assert report.cases == 40 and not report.notes
        cases = list(log)
    assert {c.types[0] for c in cases} == {"Ticket opened"}
    assert {c.types[-1] for c in cases} == {"Ticket closed"}
    assert write_tickets(tmp_path / "again.csv", tickets=40).read_text() == file.read_text()


def test_few_cases_are_drawn_with_their_intervals():
    fig = plots.few_cases([10, 100], {"model": [(2.0, [1.5, 2.5]), (1.0, [0.9, 1.2])]})
    (axes,) = fig.axes
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["10", "100"]
    plt.close(fig)
