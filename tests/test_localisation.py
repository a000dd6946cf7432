"""Diagnoses against the truth: every count is one that can be made by hand."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from procutils.cases import Case, Event
from procutils.diagnosis import NOTHING_WRONG, Diagnosis
from procutils.finance.anomalies import graded
from procutils.finance.processes import simulate
from procutils.localisation import is_hit, is_mended, is_part, localisation
from procutils.repairs import ANOTHER, Repair

START = datetime(2025, 1, 6, 9, tzinfo=UTC)


def case_of(*types: str, **data: Any) -> Case:
    at = [START + timedelta(hours=i) for i in range(len(types))]
    return Case("loan-1", [Event(t, dict(data), a) for t, a in zip(types, at, strict=True)])


@dataclass
class Done:
    """What was done to a case."""

    case: Case
    original: Case
    position: int
    diagnosis: str
    wrong: dict[str, Any]


def said(position: int | None, kind: str, part: str = "type", repair: Repair | None = None):
    return Diagnosis(position, kind, [], "", "", part, repair)


SKIPPED = Done(case_of(*"ACD"), case_of(*"ABCD"), 1, "skipped step", {})
LEVEL = Done(
    case_of("A", "B", level="single", sum=1.0),
    case_of("A", "B", level="dual", sum=1.0),
    1,
    "wrong field",
    {"level": "dual"},
)
LATE = Done(case_of(*"AB"), case_of(*"AB"), 1, "too late", {"timestamp": None})
OVERDUE = Done(case_of("A"), case_of(*"ABC"), 1, "overdue", {})


@pytest.mark.parametrize(
    ("truth", "repair", "right"),
    [
        (SKIPPED, Repair("insert", 1, ("B",)), True),
        (SKIPPED, Repair("insert", 1, ("X",)), False),
        (SKIPPED, Repair("insert", 2, ("B",)), False),
        (SKIPPED, Repair("swap", 1), False),
        (SKIPPED, Repair("set", 1, field="level", value="dual"), False),
        (SKIPPED, Repair("move", 1), False),
        (SKIPPED, None, False),
        (LEVEL, Repair("set", 1, field="level", value="dual"), True),
        (LEVEL, Repair("set", 1, field="level", value="single"), False),
        (LEVEL, Repair("set", 1, field="level", value=ANOTHER), False),  # it can be told
        (LEVEL, Repair("set", 1, field="sum", value=1.0), False),  # which was right
        (LEVEL, Repair("remove", 1, ("B",)), False),
        (LATE, Repair("move", 1), True),
        (LATE, Repair("move", 0), False),
        (OVERDUE, Repair("insert", 1, ("B",)), True),
        (OVERDUE, Repair("insert", 1, ("C",)), False),
    ],
)
def test_a_repair_gives_the_original_back_or_not(truth, repair, right):
    assert is_mended(said(truth.position, truth.diagnosis, "type", repair), truth) is right


def test_where_several_values_are_right_another_is_enough():
    several = replace(LEVEL, wrong={"level": None})
    assert is_mended(
        said(1, "wrong field", "level", Repair("set", 1, (), "level", ANOTHER)), several
    )
    assert not is_mended(
        said(1, "wrong field", "sum", Repair("set", 1, (), "sum", ANOTHER)), several
    )


def test_numbers_are_the_same_within_a_cent():
    truth = Done(case_of("A", sum=5), case_of("A", sum=100.0), 0, "wrong field", {"sum": 100.0})
    for value, right in {100: True, 100.004: True, 100.02: False, "100.0": False}.items():
        repair = Repair("set", 0, field="sum", value=value)
        assert is_mended(said(0, "wrong field", "sum", repair), truth) is right


def test_a_move_has_a_direction():
    assert not is_mended(said(1, "too early", "delay", Repair("move", 1)), LATE)


def test_the_part_is_the_field_the_time_or_that_it_came():
    assert is_part(said(1, "wrong field", "level"), LEVEL)
    assert not is_part(said(1, "wrong field", "sum"), LEVEL)
    assert not is_part(said(0, "wrong field", "level"), LEVEL)
    assert is_part(said(1, "too late", "delay"), LATE)
    assert is_part(said(1, "too late", "due_date"), LATE)
    assert not is_part(said(1, "wrong field", "status"), LATE)
    assert is_part(said(1, "repeated step"), SKIPPED)  # of the kind others judge
    assert not is_part(said(1, "wrong field", "level"), SKIPPED)
    assert is_part(said(1, "overdue", "delay"), OVERDUE)
    assert is_hit(said(1, "wrong field", "level"), SKIPPED)


def test_all_is_counted_over_what_was_found():
    diagnoses = [
        said(1, "skipped step", "type", Repair("insert", 1, ("B",))),  # right
        said(3, "repeated step"),  # two events late, and the wrong kind
        said(0, "wrong field", "level"),  # one too early
        said(1, "wrong field", "level", Repair("set", 1, (), "level", "dual")),  # right
        NOTHING_WRONG,  # not found
    ]
    found = localisation(diagnoses, [SKIPPED, SKIPPED, LEVEL, LEVEL, LATE])
    assert (found["anomalies"], found["alerts"], found["early"]) == (5, 4, 1)
    assert (found["hit_at_1"], found["part"], found["repair"]) == (0.5, 0.5, 0.5)
    assert found["kind_macro_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["mean_delay_events"] == pytest.approx(2 / 3)
    for name in ("hit_at_1", "part", "repair", "kind_macro_f1", "mean_delay_events"):
        low, high = found[f"{name}_ci"]
        assert low <= found[name] <= high and low < high
    assert found == localisation(diagnoses, [SKIPPED, SKIPPED, LEVEL, LEVEL, LATE])


def test_nothing_found_is_said():
    with pytest.raises(ValueError, match="no alerts"):
        localisation([NOTHING_WRONG], [SKIPPED])


def test_who_knows_the_truth_makes_no_mistake():
    """The injections say themselves what would be right; no two of these claims conflict."""
    truths = graded(simulate(seed=11, cases=1_000, rate=1.0), 30, seed=2)
    diagnoses = []
    for truth in truths:
        case, at, field = truth.case, truth.position, truth.field
        name = {
            "foreign": "foreign event",
            "skipped": "skipped step",
            "premature_end": "premature end",
        }
        assert truth.diagnosis == name.get(truth.kind, truth.diagnosis)
        if truth.tier == "silence":
            repair = Repair("insert", at, (truth.original.types[at],))
        elif field == "timestamp":
            repair = Repair("move", at)
        elif field:
            right = ANOTHER if truth.expected is None else truth.expected
            repair = Repair("set", at, (), field, right)
        elif truth.kind == "opened_unapproved":
            right = truth.original.events[at - 1].data["kyc_status"]
            repair = Repair("set", at - 1, (), "kyc_status", right)
        elif truth.kind == "swapped":
            repair = Repair("swap", at)
        elif truth.kind == "foreign":
            repair = Repair("replace", at, (truth.original.types[at],))
        elif len(case.events) > len(truth.original.events):
            extra = len(case.events) - len(truth.original.events)
            repair = Repair("remove", at, case.types[at : at + extra])
        else:
            missing = len(truth.original.events) - len(case.events)
            repair = Repair("insert", at, truth.original.types[at : at + missing])
        diagnoses.append(said(at, truth.diagnosis, field or "type", repair))
    found = localisation(diagnoses, truths)
    wrong = [t.kind for d, t in zip(diagnoses, truths, strict=True) if not is_mended(d, t)]
    assert wrong == []
    assert [found[name] for name in ("hit_at_1", "part", "repair", "kind_macro_f1")] == [
        1.0,
        pytest.approx(1.0),
        1.0,
        1.0,
    ]
