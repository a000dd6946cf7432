"""A running case with the real base model, in float32: it says what scoring it as a whole says."""

import math
from datetime import timedelta

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from procutils import models
from procutils.cases import END, Case, Event
from procutils.encoding import Encoding
from procutils.finance.processes import simulate
from procutils.hardware import Hardware
from procutils.predictor import Predictor
from procutils.running import Running
from procutils.tokens import text_ids
from procutils.words import DELAY_WORDS, delay_word

CASES = simulate(7, 60, rate=1.0)
FEW = settings(
    max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
NATS = 1e-3


@pytest.fixture(scope="module")
def base() -> Predictor:
    return Predictor.base(
        models.DEFAULT, Encoding.fit(CASES), Hardware("cpu", torch.float32, "a CPU")
    )


def begun(case: Case, length: int) -> Case:
    return Case(case.id, case.events[:length])


def same(one, other) -> None:
    assert (one.type, [*one.parts]) == (other.type, [*other.parts])
    assert one.parts == pytest.approx(other.parts, abs=NATS)
    # What is about as probable as what came may fall on either side of it.
    assert one.tails == pytest.approx(other.tails, abs=0.02)


@FEW
@given(st.sampled_from(CASES), st.data())
def test_event_by_event_is_as_the_whole_case(base, case, data):
    length = data.draw(st.integers(0, len(case.events)), label="read at once")
    running = base.running(begun(case, length))
    whole = base.score(case)
    for event, score in zip(case.events[length:], whole[length:], strict=False):
        same(running.add(event), score)
    same(running.end(), whole[-1])
    same(running.end(), whole[-1])  # asking changed nothing


@FEW
@given(st.sampled_from(CASES), st.data())
def test_what_may_come_next_is_what_scoring_says_of_each(base, case, data):
    """Brute force: every known type, and the end, as the next event of the case."""
    length = data.draw(st.integers(0, min(5, len(case.events))), label="length")
    start = begun(case, length)
    running = base.running(start)
    found = dict(running.next_events(k=100))
    types = [*base.encoding.names]
    at = start.events[-1].at if length else case.events[0].at
    scored = base.score_cases(Case(case.id, [*start.events, Event(t, {}, at)]) for t in types)
    wanted = {t: math.exp(s[length].parts["type"]) for t, s in zip(types, scored, strict=True)}
    wanted[END] = math.exp(base.score(start)[-1].parts["type"])
    assert found == pytest.approx(wanted, abs=1e-5, rel=NATS)
    assert sum(found.values()) <= 1 + 1e-5
    assert list(found.values()) == sorted(found.values(), reverse=True)
    assert running.next_events(2) == [*found.items()][:2]
    if length < len(case.events):  # and asking changed nothing
        same(running.add(case.events[length]), base.score(case)[length])


@FEW
@given(st.sampled_from(CASES), st.data())
def test_silence_is_the_end_or_any_later_delay_of_any_type(base, case, data):
    """Brute force: the words of each type read after the case, then all words for longer waits."""
    length = data.draw(st.integers(1, min(5, len(case.events))), label="length")
    wait = data.draw(
        st.sampled_from([0, 3, 50, 400, 4_000, 40_000, 400_000, 4_000_000, 40_000_000])
    )
    start = begun(case, length)
    now = start.events[-1].at + timedelta(seconds=wait)
    text = base.encoding.prompt(start) + base.encoding.text(start)
    (read,) = text_ids(base.tokenizer, [text])
    word = delay_word(start.events[-1].at, now)
    words = [f" {w}" for w in DELAY_WORDS[DELAY_WORDS.index(word) :]]
    longer = [ids[0] for ids in text_ids(base.tokenizer, words)]
    still = 0.0
    for named in text_ids(base.tokenizer, [*base.encoding.names.values()]):
        with torch.inference_mode():
            log_p = base.model(torch.tensor([read + named])).logits[0].float().log_softmax(1)
        places = range(len(read) - 1, len(read) + len(named) - 1)
        of_name = sum(float(log_p[i, token]) for i, token in zip(places, named, strict=True))
        still += math.exp(of_name) * float(log_p[-1, longer].exp().sum())
    still += math.exp(base.score(start)[-1].parts["type"])
    assert base.running(start).silence(now) == pytest.approx(math.log(still), abs=NATS)
    assert base.silences([(start, now)]) == [base.running(start).silence(now)]


def test_silence_grows_less_probable_as_time_passes(base):
    for case in CASES[:3]:
        running = base.running(begun(case, 2))
        at = case.events[1].at
        spans = [timedelta(0), *(timedelta(seconds=6**n) for n in range(11))]
        found = [running.silence(at + span) for span in spans]
        assert found == sorted(found, reverse=True)
        assert found[-1] < found[0] <= 0


def test_a_moment_before_the_latest_event_is_refused(base):
    case = CASES[0]
    with pytest.raises(ValueError, match="give a time after it"):
        base.running(case).silence(case.events[-1].at - timedelta(seconds=1))
    with pytest.raises(ValueError, match="no event yet"):
        base.running(begun(case, 0)).silence(case.events[0].at)


def test_names_are_read_a_few_at_a_time_where_the_case_is_long(base, monkeypatch):
    case = begun(CASES[0], 3)
    at_once = base.running(case).next_events(k=100)
    monkeypatch.setattr("procutils.running.REMEMBERED", 100)
    by_few = base.running(case).next_events(k=100)
    assert dict(by_few) == pytest.approx(dict(at_once), abs=1e-6, rel=NATS)


def test_every_delay_is_one_token_of_its_own(base):
    """So the first token of each says all, and no two share it."""
    tokens = text_ids(base.tokenizer, [f" {word}" for word in DELAY_WORDS])
    assert all(len(ids) == 1 for ids in tokens)
    assert len({ids[0] for ids in tokens}) == len(DELAY_WORDS)
    ending = text_ids(base.tokenizer, [f" {word}\n" for word in DELAY_WORDS])
    assert [ids[0] for ids in ending] == [ids[0] for ids in tokens]


def test_bare_events_run_as_a_case_of_their_category(base):
    case = next(case for case in CASES if case.category == "payment")
    bare = base.running(case.events[:2])
    assert isinstance(bare, Running)
    same(bare.end(), base.running(begun(case, 2)).end())
