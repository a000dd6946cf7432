"""What is said about an anomaly: it is true, it was tried, and it names what matters."""

import json
import random
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from procutils.baselines import NGram, PrefixTree
from procutils.cases import END, START, Case, Event
from procutils.detector import Detector, Verdict
from procutils.diagnosis import ACTIONS, diagnose_silence
from procutils.encoded_baselines import EncodedNGram
from procutils.finance.anomalies import Injection, graded
from procutils.finance.processes import simulate
from procutils.localisation import localisation
from procutils.normal import MOST_VALUES, Normal
from procutils.repairs import ANOTHER, Repair, repaired

FIRM = simulate(seed=11, cases=5_000, rate=1.0)
TRAIN, CALIBRATION, FRESH = FIRM[:1_200], FIRM[1_200:3_500], FIRM[3_500:]
PAID = ("PaymentInitiated", "PaymentValidated", "PaymentExecuted", "PaymentCompleted")
APPROVED = (*PAID[:2], "PaymentPendingApproval", "PaymentApproved", *PAID[2:])


@cache
def detector() -> Detector:
    return Detector.calibrate(EncodedNGram(4).fit(TRAIN), CALIBRATION, 0.01)


@cache
def of_types() -> Detector:
    return Detector.calibrate(NGram(3).fit(TRAIN), CALIBRATION, 0.01)


@cache
def found() -> list[tuple[Injection, Verdict]]:
    """Anomalies of all tiers but silence, those that counting finds, with what is said of them."""
    made = [i for i in graded(FRESH, 70, seed=5) if i.tier != "silence"]
    verdicts = [detector().check(injection.case) for injection in made]
    return [pair for pair in zip(made, verdicts, strict=True) if pair[1].is_anomaly]


def normal_case(*types: str) -> Case:
    return next(case for case in FRESH if case.types == types)


def with_data(case: Case, position: int, **data) -> Case:
    event = case.events[position]
    changed = replace(event, data=event.data | data)
    return Case(case.id, [*case.events[:position], changed, *case.events[position + 1 :]])


# As a whole


def test_diagnoses_are_right():
    measured = localisation([v for _, v in found()], [i for i, _ in found()])
    assert measured["alerts"] > 150
    assert measured["hit_at_1"] >= 0.9, measured
    assert measured["kind_macro_f1"] >= 0.85, measured
    assert measured["repair"] >= 0.8, measured
    assert measured["mean_delay_events"] <= 0.2, measured


def test_every_repair_that_is_named_makes_the_types_normal():
    known, tried = detector(), 0
    for injection, verdict in found():
        if verdict.repair is None or verdict.repair.what == "move":
            continue
        case = repaired(injection.case, verdict.repair, known.normal, known.scorer.encoding)
        (scores,) = known.scorer.score_cases([case])
        rarities = [known.usual.parts(case.category, score) for score in scores]
        if verdict.part == "type":
            after = rarities[verdict.repair.position :]
            assert all(r["type"] <= known.threshold(case.category) for r in after)
        elif verdict.repair.value != ANOTHER:
            rarity = rarities[verdict.position].get(verdict.part, 0.0)
            assert rarity <= known.threshold(case.category)
        tried += 1
    assert tried > 100


def test_what_is_said_names_what_came_and_what_was_expected():
    for injection, verdict in found():
        case, types = injection.case, (*injection.case.types, END)
        assert verdict.kind in ACTIONS and verdict.part
        came = types[verdict.position]
        said = verdict.explanation
        assert said.startswith(verdict.kind.capitalize() + ": ") and said.endswith(".")
        assert ("the case ended" if came == END else f"{came} came") in said
        assert ("as the first event" in said) == (verdict.position == 0)
        assert verdict.action.endswith((".", "?"))
        for text in (said, verdict.action):
            assert END not in text and "(unseen)" not in text and "{" not in text
            assert ANOTHER not in text
        assert said.count(". ") == 1 and said.count(".\n") == 0
        known = set(detector().normal.types(case.category)) | {END}
        assert {type_ for type_, _ in verdict.expected} <= known
        assert 0 < len(verdict.expected) <= 3
        chances = [p for _, p in verdict.expected]
        assert chances == sorted(chances, reverse=True)
        same = [c for c in CALIBRATION if c.category == case.category]
        start = case.types[: verdict.position]
        assert verdict.similar == sum(c.types[: verdict.position] == start for c in same)


def test_a_time_is_called_early_or_late_as_it_is():
    early = [(i, v) for i, v in found() if i.diagnosis == "too early" and v.kind != "wrong field"]
    late = [(i, v) for i, v in found() if i.diagnosis == "too late" and v.kind != "wrong field"]
    assert len(early) > 10 and {v.kind for _, v in early} == {"too early"}
    assert len(late) > 10 and {v.kind for _, v in late} == {"too late"}


# The order


def checked(case: Case, by=None) -> Verdict:
    verdict = (by or detector()).check(case)
    assert verdict.is_anomaly
    return verdict


def test_steps_that_are_missing_are_named_in_order():
    case = normal_case(*APPROVED)
    large = Case(case.id, [*case.events[:2], *case.events[3:]])
    verdict = checked(large)
    assert (verdict.kind, verdict.position) == ("skipped step", 2)
    assert verdict.repair == Repair("insert", 2, ("PaymentPendingApproval",))
    assert str(verdict.repair) == "insert PaymentPendingApproval as event 3"
    assert "PaymentPendingApproval is missing before PaymentApproved" in verdict.action


def test_two_missing_steps_are_both_named():
    trade = next(
        case for case in FRESH if case.types[3:6] == ("OrderFilled", "TradeBooked", "TradeSettled")
    )
    gap = Case(trade.id, [*trade.events[:3], *trade.events[5:]])
    verdict = checked(gap, of_types())
    assert verdict.repair == Repair("insert", 3, ("OrderFilled", "TradeBooked"))
    assert "Ask why OrderFilled and TradeBooked is missing before TradeSettled" in verdict.action


def test_a_swap_is_told_at_the_first_of_the_two():
    case = normal_case(*PAID)
    a, b = case.events[1:3]
    swapped = [case.events[0], replace(b, at=a.at), replace(a, at=b.at), case.events[3]]
    verdict = checked(Case(case.id, swapped), of_types())
    assert (verdict.kind, verdict.position) == ("swapped steps", 1)
    assert verdict.repair == Repair("swap", 1)
    assert "PaymentExecuted was recorded before PaymentValidated" in verdict.action


def test_a_first_event_can_be_wrong():
    case, other = normal_case(*PAID), next(case for case in FRESH if case.category == "trade")
    stranger = replace(other.events[1], at=case.events[0].at)
    verdict = checked(Case(case.id, [stranger, *case.events[1:]]))
    payments = sum(case.category == "payment" for case in CALIBRATION)
    assert (verdict.kind, verdict.position, verdict.similar) == ("foreign event", 0, payments)
    assert verdict.repair == Repair("replace", 0, ("PaymentInitiated",))
    headless = checked(Case(case.id, case.events[1:]))
    assert (headless.kind, headless.position) == ("skipped step", 0)
    assert headless.repair == Repair("insert", 0, ("PaymentInitiated",))
    assert "as the first event, PaymentValidated came" in headless.explanation


def test_a_foreign_event_is_traced_to_its_process():
    case, trade = normal_case(*PAID), next(case for case in FRESH if case.category == "trade")
    stranger = replace(trade.events[0], at=case.events[2].at - timedelta(seconds=1))
    verdict = checked(Case(case.id, [*case.events[:2], stranger, *case.events[2:]]))
    assert (verdict.kind, verdict.position) == ("foreign event", 2)
    assert verdict.repair == Repair("remove", 2, (stranger.type,))  # nothing is missing
    assert f"the trade case that {stranger.type} belongs to" in verdict.action
    assert case.id in verdict.action


@pytest.mark.parametrize("by", [detector, of_types])
def test_an_event_type_that_nobody_knows_is_unknown(by):
    case = normal_case(*PAID)
    renamed = [*case.events[:2], replace(case.events[2], type="PaymentSent"), case.events[3]]
    verdict = checked(Case(case.id, renamed), by())
    assert (verdict.kind, verdict.position) == ("unknown event", 2)
    assert verdict.repair == Repair("replace", 2, ("PaymentExecuted",))
    assert "PaymentSent never occurred in normal cases" in verdict.action


def test_an_end_that_is_premature_is_told_what_would_have_come():
    case = normal_case(*APPROVED)
    verdict = checked(Case(case.id, case.events[:5]))
    assert (verdict.kind, verdict.position) == ("premature end", 5)
    assert verdict.repair == Repair("insert", 5, ("PaymentCompleted",))
    assert "the case ended" in verdict.explanation
    assert "PaymentCompleted should come next" in verdict.action


def test_a_case_with_one_event_can_end_too_early():
    case = normal_case(*PAID)
    verdict = checked(Case(case.id, case.events[:1]))
    assert (verdict.kind, verdict.position) == ("premature end", 1)
    assert verdict.repair.applied(PAID[:1], verdict.repair.types)[:2] == list(PAID[:2])


def test_a_block_that_came_twice_is_removed_as_one():
    trade = next(case for case in FRESH if case.types.count("OrderPartiallyFilled") == 0)
    at = len(trade.events) - 1
    again = [replace(e, at=e.at + timedelta(days=1)) for e in trade.events[at - 1 :]]
    twice = Case(trade.id, [*trade.events, *again])
    verdict = checked(twice, of_types())
    assert (verdict.kind, verdict.position) == ("repeated step", at + 1)
    assert verdict.repair == Repair("remove", at + 1, trade.types[at - 1 :])
    assert " and ".join(trade.types[at - 1 :]) in verdict.action


def test_an_event_after_the_end_is_late():
    case = normal_case(*PAID)
    rejected = next(e for c in FRESH for e in c.events if e.type == "PaymentRejected")
    late = replace(rejected, at=case.events[-1].at + timedelta(hours=1))
    verdict = checked(Case(case.id, [*case.events, late]), of_types())
    assert (verdict.kind, verdict.position) == ("late event", 4)
    assert verdict.repair == Repair("remove", 4, ("PaymentRejected",))
    assert "the end of the case" in verdict.explanation


def test_what_nothing_simple_mends_gets_no_repair():
    case, kinds = normal_case(*APPROVED), set()
    rng = random.Random(3)
    for _ in range(30):
        middle = case.events[1:-1]
        rng.shuffle(middle)
        events = [case.events[0], *middle[:3], case.events[-1]]
        times = [event.at for event in case.events]
        mixed = [replace(event, at=at) for event, at in zip(events, times, strict=False)]
        verdict = of_types().check(Case(case.id, mixed))
        if verdict.is_anomaly and verdict.repair is None:
            kinds.add(verdict.kind)
            assert "it would be normal" not in verdict.explanation
    assert kinds <= {"skipped step", "repeated step"} and kinds


# The fields


def test_a_wrong_amount_is_told_the_right_one():
    case = normal_case(*PAID)
    amount = case.events[0].data["amount"]
    verdict = checked(with_data(case, 3, final_amount=2 * amount))
    assert (verdict.kind, verdict.position, verdict.part) == ("wrong field", 3, "final_amount")
    assert verdict.repair == Repair("set", 3, (), "final_amount", amount)
    assert f"final_amount = {2 * amount!r}; expected: {amount!r}" in verdict.explanation
    assert f"it should be {amount!r}" in verdict.action


def test_a_mapped_value_keeps_its_type():
    case = normal_case(*APPROVED)
    right = case.events[2].data["required_approvers"]
    verdict = checked(with_data(case, 2, required_approvers=7))
    assert verdict.repair == Repair("set", 2, (), "required_approvers", right)
    assert isinstance(verdict.repair.value, int)


def test_a_field_that_is_missing_is_wrong():
    case = normal_case(*PAID)
    event = case.events[3]
    data = {name: value for name, value in event.data.items() if name != "final_amount"}
    verdict = checked(Case(case.id, [*case.events[:3], replace(event, data=data)]))
    assert (verdict.kind, verdict.part) == ("wrong field", "final_amount")
    assert verdict.repair.value == case.events[0].data["amount"]


def test_a_field_called_type_is_not_taken_for_the_type_of_the_event():
    start = datetime(2026, 1, 5, 9, tzinfo=UTC)
    cases = []
    for i, colour in enumerate(["red", "blue"] * 100):
        painted = Event(f"Painted{colour.title()}", {}, start + timedelta(minutes=i))
        cases.append(Case(f"job-{i}", [Event("Opened", {"type": colour}, start), painted]))
    by = Detector.calibrate(EncodedNGram(2).fit(cases[:100]), cases[100:], 0.02)
    verdict = by.check(with_data(cases[0], 0, type="green"))
    assert (verdict.kind, verdict.position, verdict.part) == ("wrong field", 0, "type field")
    assert verdict.repair.field == "type" and verdict.repair.value in ("red", "blue")
    assert "with type = 'green'; expected: " in verdict.explanation
    assert verdict.action.startswith("Check type of Opened against its source")


def test_a_copied_person_is_an_actor():
    """A relation says who it must be; whoever it is, it is a person."""
    case = next(case for case in FRESH if "ComplianceReviewCompleted" in case.types)
    at = case.types.index("ComplianceReviewCompleted")
    reviewer = case.events[at].data["reviewer_id"]
    known = {value for event in case.events for value in map(str, event.data.values())}
    people = {e.data["reviewer_id"] for c in FRESH for e in c.events if "reviewer_id" in e.data}
    stranger = min(people - known)
    verdict = checked(with_data(case, at, reviewer_id=stranger))
    assert (verdict.kind, verdict.part) == ("wrong actor", "reviewer_id")
    assert verdict.repair.value == reviewer
    assert f"reviewer_id should be {reviewer!r}" in verdict.action


def test_whoever_may_not_be_another_is_needed():
    same = next(i for i, v in found() if i.kind == "same_approver")
    verdict = checked(same.case)
    assert (verdict.kind, verdict.part) == ("wrong actor", "approver_id")
    assert verdict.repair == Repair("set", same.position, (), "approver_id", ANOTHER)
    assert verdict.action.endswith("approver_id should be another.")


# What has not come


def test_nothing_is_named_where_only_the_end_is_left():
    case = normal_case(*PAID)
    scorer = PrefixTree().fit([case])  # knows nothing but the end
    normal = Normal.of([case])
    later = case.events[-1].at + timedelta(days=3)
    said = diagnose_silence(scorer, normal, case, later, 0.01)
    assert (said.kind, said.expected, said.repair) == ("overdue", [], None)
    assert "the next step should have come by now" in said.action


def test_unseen_types_are_never_expected():
    case = normal_case(*PAID)
    start = Case(case.id, case.events[:1])
    said = diagnose_silence(of_types().scorer, of_types().normal, start, start.events[0].at, 0.01)
    assert {type_ for type_, _ in said.expected} <= of_types().normal.types("payment")
    assert said.repair == Repair("insert", 1, (said.expected[0][0],))


# What normal cases look like, and how they are changed


def small(*courses: str) -> list[Case]:
    at = datetime(2025, 1, 6, tzinfo=UTC)
    return [
        Case(f"loan-{n}", [Event(c, {"n": n, "odd": n % 2 == 1, "who": None}, at) for c in course])
        for n, course in enumerate(courses)
    ]


def test_what_came_between_is_counted():
    normal = Normal.of(small("ABCD", "ACD", "ABBD", "ABCD", "D"))
    assert normal.between("loan", "A", "C", 3) == [("B",)]
    assert normal.between("loan", "A", "D", 3) == [("B", "C"), ("C",), ("B", "B")]
    assert normal.between("loan", "A", "D", 1) == [("C",)]
    assert normal.between("loan", START, "B", 3) == [("A",), ("A", "B")]
    assert normal.between("loan", "C", END, 3) == [("D",)]
    assert normal.between("loan", START, END, 9)[0] == ("A", "B", "C", "D")
    assert normal.between("bond", "A", "C", 3) == []


def test_normal_knows_types_owners_values_and_likes():
    cases = small(*["AB"] * (MOST_VALUES + 1), "AC")
    normal = Normal.of(cases)
    assert normal.types("loan") == {"A", "B", "C"} and normal.types("bond") == set()
    assert normal.owners("A") == ["loan"] and normal.owners("Z") == []
    assert normal.choices("loan", "A", "odd") == [False, True]
    assert normal.choices("loan", "A", "n") == []  # too many
    assert normal.choices("loan", "A", "who") == []  # just one
    assert normal.example("loan", "A") == {"n": 0, "odd": False, "who": None}
    assert normal.example("loan", "Z") == {}
    assert normal.similar(cases[0], 1) == len(cases)
    assert normal.similar(cases[0], 2) == len(cases) - 1
    assert Normal(**json.loads(json.dumps(asdict(normal)))) == normal


@pytest.mark.parametrize(
    ("repair", "types", "says"),
    [
        (Repair("insert", 1, ("X", "Y")), "AXYBCD", "insert X and Y as event 2"),
        (Repair("insert", 0, ("X",)), "XABCD", "insert X as event 1"),
        (Repair("insert", 4, ("X",)), "ABCDX", "insert X as event 5"),
        (Repair("remove", 1, ("B",)), "ACD", "remove B from event 2 on"),
        (Repair("remove", 2, ("C", "D")), "AB", "remove C and D from event 3 on"),
        (Repair("replace", 0, ("X",)), "XBCD", "replace event 1 by X"),
        (Repair("swap", 0), "BACD", "swap event 1 with the next"),
        (Repair("swap", 2), "ABDC", "swap event 3 with the next"),
        (Repair("set", 3, (), "n", 0), "ABCD", "set n of event 4 to 0"),
        (Repair("set", 3, (), "n", None), "ABCD", "set n of event 4 to None"),
        (Repair("set", 3, (), "n", ANOTHER), "ABCD", "set n of event 4 to another value"),
        (Repair("move", 3), "ABCD", "move event 4 in time"),
    ],
)
def test_a_repair_changes_the_case_as_it_says(repair, types, says):
    (case,) = small("ABCD")
    start = case.events[0].at
    case = Case(
        case.id, [replace(e, at=start + timedelta(hours=i)) for i, e in enumerate(case.events)]
    )
    before = list(case.events)
    assert repair.applied(case.types, repair.types) == list(types)
    assert str(repair) == says
    changed = repaired(case, repair, Normal.of([case]), None)
    assert changed.types == tuple(types) and case.events == before
    times = [event.at for event in changed.events]
    assert times == sorted(times)
    if repair.what == "set":
        assert changed.events[3].data["n"] == repair.value


def test_a_new_event_fits_into_its_case():
    case = normal_case(*APPROVED)
    gap = Case(case.id, [*case.events[:2], *case.events[3:]])
    repair = Repair("insert", 2, ("PaymentPendingApproval",))
    known = detector()
    new = repaired(gap, repair, known.normal, known.scorer.encoding).events[2]
    assert new.data["payment_id"] == case.events[0].data["payment_id"]
    assert new.data["amount"] == case.events[0].data["amount"]
    assert new.data["approval_level"] in ("single", "dual")
    assert case.events[1].at < new.at < case.events[3].at
