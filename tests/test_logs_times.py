"""Times of event logs: what is recognised, and what is asked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procutils.logs_rows import LogError, LogQuestion
from procutils.logs_times import Times

NOON = datetime(2020, 4, 13, 12, 30, 5, tzinfo=UTC)


def read(*texts, notation=None, zone="UTC"):
    times = Times(notation, zone)
    for text in texts:
        times.see(text)
    times.settle()
    return [times.parse(text).astimezone(UTC) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        "2020-04-13T12:30:05Z",
        "2020-04-13T14:30:05+02:00",
        "2020-04-13T14:30:05.000+0200",
        "2020-04-13 12:30:05",
        "2020-04-13 12:30:05 UTC",
        "2020-04-13 14:30:05 +0200",
        "2020/04/13 12:30:05.000",
        "13/04/2020 12:30:05",
        "4/13/2020 12:30:05 PM",
        "13-04-2020 12:30:05",
        "13.04.2020 12:30:05",
        "13.04.20, 12:30:05",
        "13 Apr 2020 12:30:05",
        "13-APR-20 12:30:05",
        "Apr 13, 2020 12:30:05 pm",
        "Mon, 13 Apr 2020 14:30:05 +0200",
        "1586781005",
        "1586781005000",
        "1586781005000000",
    ],
)
def test_notations_that_are_recognised(text):
    assert read(text) == [NOON]


@pytest.mark.parametrize("text", ["2020-04-13", "13/04/2020", "Apr 13, 2020"])
def test_a_date_alone_is_its_midnight(text):
    assert read(text) == [datetime(2020, 4, 13, tzinfo=UTC)]


def test_an_order_that_nothing_decides_is_a_question():
    with pytest.raises(LogQuestion) as asked:
        read("03/04/2020 10:00", "05/04/2020 10:00")
    assert str(asked.value).startswith(
        "'03/04/2020 10:00' may be 3 April 2020 (dmy, day first) or 4 March 2020 (mdy, month first)"
    )
    assert "--time-format dmy or mdy" in str(asked.value)


def test_one_time_decides_the_order_of_all():
    assert read("03/04/2020", "13/04/2020")[0].month == 4
    assert read("03/04/2020", "04/13/2020")[0].month == 3
    assert read("03/03/2020") == [datetime(2020, 3, 3, tzinfo=UTC)]  # the same in either
    assert read("01/02/03", "31/02/01", "99/01/02")[0] == datetime(2001, 2, 3, tzinfo=UTC)


@pytest.mark.parametrize(("order", "month"), [("dmy", 4), ("mdy", 3)])
def test_the_order_may_be_said(order, month):
    assert read("03/04/2020", notation=order)[0].month == month


def test_orders_that_contradict_each_other_are_a_question():
    with pytest.raises(LogQuestion, match=r"contradict.*'04/13/2020'.*'13/04/2020'"):
        read("13/04/2020", "04/13/2020")


def test_a_pattern_of_ones_own():
    assert read("2020~104~12h", notation="%Y~%j~%Hh") == [datetime(2020, 4, 13, 12, tzinfo=UTC)]


def test_the_zone_of_times_without_one():
    assert read("2020-04-13 14:30:05", zone="Europe/Berlin") == [NOON]
    assert read("2020-04-13 14:30:05+02:00", zone="Asia/Tokyo") == [NOON]
    with pytest.raises(LogQuestion, match="Atlantis"):
        Times(None, "Atlantis/Capital")


def test_what_is_no_time_is_counted_and_too_much_of_it_refused():
    times = Times(None, "UTC")
    assert times.see("2020-04-13") and times.see("2020-04-14")
    for text in ("n/a", "32/32/2020"):
        assert not times.see(text)
    times.settle()
    assert times.failed == 2 and times.unreadable == ["n/a", "32/32/2020"]
    assert not times.see("9999-12-31T23:59:59-05:00")  # a day of the year 10000 in UTC
    with pytest.raises(LogQuestion, match=r"not understood.*n/a.*--time-format"):
        times.settle()
    with pytest.raises(LogError, match="no event has a time"):
        Times(None, "UTC").settle()


@given(
    st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)),
    st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%Y/%m/%d %H:%M:%S.%f", "%d.%m.%Y %H:%M:%S.%f"]),
)
def test_any_moment_comes_back(moment, pattern):
    assert read(moment.strftime(pattern)) == [moment.replace(tzinfo=UTC)]


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_any_moment_in_any_zone_comes_back(moment, minutes):
    at = moment.replace(tzinfo=UTC)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    text = f"{moment + timedelta(minutes=minutes):%Y/%m/%d %H:%M:%S.%f} {sign}{hours:02}:{rest:02}"
    assert read(text) == [at]
