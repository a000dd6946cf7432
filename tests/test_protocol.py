"""Protocol W: which cases are kept, where they are cut, and what is predicted."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procutils.baselines import NGram
from procutils.cases import END, Case, Event
from procutils.forecasts import Forecast, measures
from procutils.logs import import_log, open_log
from procutils.protocol import Part, Protocol, distinct, divided, kept
from procutils.store import read_cases

MONDAY = datetime(2024, 1, 1, tzinfo=UTC)


def case(name: str, *days: float, types: str = "abcdefgh") -> Case:
    events = [
        Event(type_, {}, MONDAY + timedelta(days=day))
        for type_, day in zip(types, days, strict=False)
    ]
    return Case(f"order-{name}", events)


def ids(cases: list[Case]) -> list[str]:
    return [case.id.partition("-")[2] for case in cases]


class TestKept:
    def test_short_cases_go_and_the_rest_is_in_order(self):
        cases = [case("late", 5, 6, 7), case("short", 0, 1), case("early", 1, 2, 3)]
        assert ids(kept(cases)) == ["early", "late"]

    def test_months_bound_the_whole_case(self):
        cases = [case("before", -3, 1, 2), case("in", 1, 2, 3), case("after", 20, 25, 35)]
        assert ids(kept(cases, "2024-01", "2024-01")) == ["in"]
        assert ids(kept(cases, end_month="2024-01")) == ["before", "in"]

    def test_cases_of_which_only_short_ones_would_be_there_go(self):
        cases = [case("long", 0, 1, 11), case("in", 0, 1, 10), case("new", 15, 16, 17)]
        assert ids(kept(cases, max_days=10)) == ["in"]

    def test_the_end_is_that_of_the_cases_that_last_no_longer(self):
        cases = [case("in", 2, 3, 12), case("long", 0, 1, 40)]
        assert ids(kept(cases, max_days=10)) == ["in"]

    def test_what_repeats_in_every_value_counts_once(self):
        twice = case("x", 0, 1, 1, types="abb")
        twice.events[0].data["case:amount"] = 7
        assert distinct(twice).types == ("a", "b")
        assert distinct(case("y", 0, 1, 2, types="abb")).types == ("a", "b", "b")
        with pytest.raises(ValueError, match="no case of 1 is left"):
            kept([twice])

    def test_nothing_left_names_the_bounds(self):
        with pytest.raises(ValueError, match=r"end_month = '2023-12'.*max_days = 3"):
            kept([case("x", 0, 1, 2)], end_month="2023-12", max_days=3)


class TestDivided:
    def test_a_case_on_both_sides_is_learned_up_to_the_cut_and_predicted_after_it(self):
        cases = [case("done", 0, 1, 2), case("across", 1, 2, 7, 8), case("new", 6, 7, 9)]
        before, after, cut = divided(Part(cases, [1, 1, 1], frozenset()), 0.5)
        assert cut == MONDAY + timedelta(days=6)
        assert [(ids([c])[0], len(c.events)) for c in before.cases] == [
            ("done", 3),
            ("across", 2),
            ("new", 1),
        ]
        assert before.running == {"order-across", "order-new"}
        assert [*before.targets()] == [(0, 1, "b"), (0, 2, "c"), (0, 3, END), (1, 1, "b")]
        expected = [(0, 2, "c"), (0, 3, "d"), (0, 4, END), (1, 1, "b"), (1, 2, "c"), (1, 3, END)]
        assert [*after.targets()] == expected
        assert not after.running

    def test_validation_ends_at_the_cut_and_does_not_know_how_cases_go_on(self):
        cases = [case(str(n), n, n + 1, n + 2, n + 3) for n in range(40)]
        parts = Protocol.of(cases)
        assert max(c.events[-1].at for c in parts.validation.cases) <= parts.cut
        assert len(parts.fitted) + len(parts.validation) == len(parts.train)
        assert parts.validation.running == {
            c.id for c in parts.validation.cases if c.id in parts.train.running
        }

    def test_a_log_too_short_is_refused(self):
        with pytest.raises(ValueError, match="nothing to predict for"):
            Protocol.of([case("x", 0, 0, 0)])

    @given(st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=8), min_size=4, max_size=12))
    def test_every_target_is_in_one_part_only(self, starts):
        cases = [case(str(i), *sorted(days)) for i, days in enumerate(starts)]
        whole = Part(cases, [1] * len(cases), frozenset())
        before, after, cut = divided(whole, 0.6)
        assert len(before) + len(after) == len(whole)
        assert all(e.at <= cut for c in before.cases for e in c.events)
        for i, n, type_ in after.targets():
            assert type_ == END or after.cases[i].events[n].at > cut


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "lifecycle", "bounds", "targets", "accuracies"),
    [
        ("BPIC20_RequestForPayment.csv.gz", False, ("", "2018-12", 28.86), 6_201, (0.901, 0.901)),
        ("BPI_Challenge_2012.xes.gz", True, ("", "2012-02", 32.28), 35_332, (0.847, 0.847)),
    ],
)
def test_published_targets_and_the_n_gram(kurrentdb, name, lifecycle, bounds, targets, accuracies):
    """The numbers that other work gives for these logs, from what KurrentDB gives back."""
    folder = os.environ.get("PROCUTILS_DATA")
    if folder is None:
        pytest.skip("PROCUTILS_DATA does not name a folder with the real logs")
    with open_log(Path(folder) / name, "real", lifecycle=lifecycle) as (log, _):
        import_log(kurrentdb.client, log)
    parts = Protocol.of(kept(read_cases(kurrentdb.client, "real"), *bounds))
    assert len(parts.test) == targets
    types = {type_ for case in parts.train.cases for type_ in case.types}
    for order, expected in zip((6, 9), accuracies, strict=True):
        model = NGram(order).fit(parts.train.cases, parts.train.running)
        found = measures(Forecast.of(model, parts.test, types))["accuracy"]
        assert found == pytest.approx(expected, abs=0.0006)
