"""Clocks: figures from the ACE documents, leap seconds, and what is no time."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile import Clock
from dayfile.errors import TimeError
from dayfile.model.instants import parse_day

ACE = Clock(np.datetime64("1996-01-01T00:00:00"), leap_seconds="counted", undefined=(0, 0xFFFFFFFF))
UNIX = Clock(np.datetime64("1970-01-01T00:00:00"))
UNIX_NS = Clock(np.datetime64("1970-01-01T00:00:00"), "ns")
MOMENT = np.datetime64("1997-09-24T00:04:07", "ns")
DAY = np.timedelta64(1, "D")

epochs = st.datetimes(dt.datetime.fromisoformat("1972-01-01"), dt.datetime.fromisoformat("2030-01-01")).map(
    lambda time: np.datetime64(time, "s")
)
clocks = st.builds(
    Clock, epochs, st.sampled_from(["s", "ms", "us", "ns"]), st.sampled_from(["ignored", "counted"]), st.just(())
)
# Seconds on both sides of every leap second since 1972 among them, not only ones far from any.
STEPS = [
    int(ACE.day_start(np.datetime64(f"{year}-{month}-01"))) for year in range(1972, 2018) for month in ("01", "07")
]
seconds = st.integers(-700_000_000, 2_000_000_000) | st.builds(int.__add__, st.sampled_from(STEPS), st.integers(-2, 2))


# Day number 1 of the ACE archive is 1996-01-01.
@pytest.mark.parametrize(
    ("number", "day", "start"),
    [
        (1, "1996-01-01", 0),
        (632, "1997-09-23", 54518401),
        (633, "1997-09-24", 54604801),
        (635, "1997-09-26", 54777601),
        (670, "1997-10-31", 57801601),
    ],
)
def test_a_day_of_the_ace_archive_starts_at_the_second_its_documents_print(number, day, start):
    assert np.datetime64("1996-01-01") + np.timedelta64(number - 1, "D") == np.datetime64(day)
    assert ACE.day_start(np.datetime64(day)) == start
    assert ACE.days(np.array([start - 1, start])).astype(str).tolist() == [str(np.datetime64(day) - DAY), day]


def test_day_267_of_1997_is_the_one_that_starts_at_54604801():
    assert dt.datetime.strptime("1997 267", "%Y %j").replace(tzinfo=dt.UTC).date().isoformat() == "1997-09-24"
    assert ACE.number("1997-09-24") == 54604801


def test_second_54605048_is_four_minutes_and_seven_seconds_past_midnight():
    assert ACE.to_datetime64([54605048])[0] == MOMENT
    assert ACE.number("1997-09-24T00:04:07") == 54605048
    assert ACE.number("1997-09-23 03:27:54") == 54530875


def test_the_leap_second_of_1998_belongs_to_the_day_it_ends():
    new_year = ACE.day_start(np.datetime64("1999-01-01"))
    times = new_year + np.array([-2, -1, 0])
    assert ACE.days(times).astype(str).tolist() == ["1998-12-31", "1998-12-31", "1999-01-01"]
    assert ACE.days(times + 0.999).astype(str).tolist() == ["1998-12-31", "1998-12-31", "1999-01-01"]
    shown = ACE.to_datetime64(times).astype("datetime64[s]").astype(str).tolist()
    assert shown == ["1998-12-31T23:59:59", "1998-12-31T23:59:59", "1999-01-01T00:00:00"]


@pytest.mark.parametrize(("day", "length"), [("1998-12-30", 86400), ("1998-12-31", 86401), ("1999-01-01", 86400)])
def test_a_day_with_a_leap_second_has_86401_seconds(day, length):
    assert ACE.day_length(np.datetime64(day)) == length
    assert UNIX.day_length(np.datetime64(day)) == 86400


def test_days_keep_the_shape_of_the_values():
    assert ACE.days(np.full((2, 3), 57801601)).shape == (2, 3)
    assert ACE.days(np.zeros(0, np.uint32)).shape == (0,)
    assert ACE.to_datetime64(np.full((2, 3), 57801601)).shape == (2, 3)


@given(clocks, seconds, st.integers(0, 999_999_999))
def test_every_value_lies_between_the_start_of_its_day_and_that_of_the_next(clock, second, fraction):
    value = second * clock.ticks + fraction % clock.ticks
    (day,) = clock.days(np.array([value]))
    assert clock.day_start(day) <= value < clock.day_start(day + DAY)


@given(clocks, seconds, st.floats(0, 1, exclude_max=True))
def test_a_value_with_a_fraction_lies_in_the_same_day_as_its_whole_second(clock, second, fraction):
    value = (second + fraction) * clock.ticks
    (day,) = clock.days(np.array([value]))
    assert clock.day_start(day) <= value < clock.day_start(day + DAY)


@given(clocks, st.lists(seconds, min_size=2, max_size=20))
def test_many_values_get_the_days_that_each_of_them_gets_alone(clock, many):
    values = np.array(many) * clock.ticks
    alone = [clock.days(np.array([value]))[0] for value in values]
    assert clock.days(values).tolist() == np.array(alone).tolist()


@given(clocks, st.datetimes(dt.datetime.fromisoformat("1972-01-01"), dt.datetime.fromisoformat("2060-01-01")))
def test_a_time_that_becomes_a_clock_value_and_a_time_again_is_the_same(clock, time):
    time = time.replace(microsecond=0)
    value = clock.number(time)
    assert isinstance(value, int)
    assert clock.to_datetime64([value])[0] == np.datetime64(time, "ns")


@given(clocks, seconds, st.integers(0, 999_999_999))
def test_a_clock_value_that_becomes_a_time_and_a_clock_value_again_is_the_same(clock, second, fraction):
    value = second * clock.ticks + fraction % clock.ticks
    (day,) = clock.days(np.array([value]))
    back = clock.number(clock.to_datetime64(np.array([value]))[0])
    # A time in a leap second shows as the last nanosecond before it, and comes back as that.
    leap = clock.day_start(day) + 86400 * clock.ticks
    assert back == value if value < leap else leap - 1 <= back < leap


@given(epochs, st.sampled_from(["ignored", "counted"]))
def test_tick_0_is_the_epoch(epoch, leap_seconds):
    clock = Clock(epoch, leap_seconds=leap_seconds)
    assert clock.to_datetime64([0])[0] == epoch
    assert clock.number(epoch) == 0


@pytest.mark.parametrize("epoch", ["1958-01-01T00:00:00", "1970-01-01T00:00:00", "1971-12-31T12:00:00"])
def test_leap_seconds_cannot_be_counted_from_an_epoch_before_they_began(epoch):
    assert "leap seconds are counted from 1972" in Clock(np.datetime64(epoch), leap_seconds="counted").problem()
    assert Clock(np.datetime64(epoch)).problem() == ""
    assert Clock(np.datetime64("1972-01-01"), leap_seconds="counted").problem() == ""


def test_an_epoch_may_have_a_fraction():
    j2000 = Clock(np.datetime64("2000-01-01T11:58:55.816"), leap_seconds="counted")
    assert j2000.problem() == ""
    assert j2000.to_datetime64([0, 1]).astype(str).tolist() == [
        "2000-01-01T11:58:55.816000000",
        "2000-01-01T11:58:56.816000000",
    ]
    assert j2000.number("2000-01-01T11:58:56.816") == 1
    assert j2000.day_start(np.datetime64("2000-01-01")) == -43135.816


def test_nanoseconds_are_kept_exactly():
    time = np.datetime64("2017-02-26T07:26:04.123456789", "ns")
    assert UNIX_NS.number(time) == 1488093964123456789
    assert UNIX_NS.to_datetime64(np.array([1488093964123456789], np.uint64))[0] == time


def test_a_fraction_of_a_tick_makes_a_float():
    assert UNIX.number("2017-02-26T07:26:04.25") == 1488093964.25
    assert UNIX.to_datetime64([1488093964.25])[0] == np.datetime64("2017-02-26T07:26:04.25", "ns")


@pytest.mark.parametrize(
    "time",
    [
        "1997-09-24T00:04:07",
        "1997-09-24T00:04:07Z",
        "1997-09-24 00:04:07",
        dt.datetime.fromisoformat("1997-09-24T00:04:07"),
        dt.datetime(1997, 9, 24, 2, 4, 7, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        np.datetime64("1997-09-24T00:04:07"),
        54605048,
        54605048.0,
    ],
    ids=repr,
)
def test_a_time_is_understood_in_every_accepted_form(time):
    assert ACE.number(time) == 54605048


def test_a_date_is_its_first_second():
    assert ACE.number(dt.date(1997, 10, 31)) == ACE.number("1997-10-31") == 57801601


# What an array of records gives for one of its times is no Python int.
@pytest.mark.parametrize("kind", [np.int32, np.uint32, np.int64, np.uint64, np.float64])
def test_a_number_out_of_an_array_is_a_clock_value_too(kind):
    assert ACE.number(kind(54605048)) == 54605048


def test_a_float32_out_of_an_array_is_a_clock_value_too():
    assert ACE.number(np.float32(1024.5)) == 1024.5


def test_a_text_with_an_offset_from_utc_is_understood_without_a_warning():
    assert ACE.number("1997-09-24T02:04:07+02:00") == 54605048


@pytest.mark.parametrize(
    "garbage",
    [
        *("", "garbage", "NaT", "1997-02-30", "31.10.1997", "1997-10-31T25:00:00", None, [1997], np.datetime64("NaT")),
        *(np.nan, np.inf, np.float32("nan")),
    ],
    ids=repr,
)
def test_what_is_no_time_is_refused(garbage):
    with pytest.raises(TimeError, match="is not a time"):
        ACE.number(garbage)


# NumPy takes these: as the moment of the call, and as the year 20,170,226.
@pytest.mark.parametrize("text", ["now", "today", "20170226"])
def test_text_that_is_no_iso_date_is_refused_though_numpy_takes_it(text):
    with pytest.raises(TimeError, match="is not a time"):
        ACE.number(text)


@pytest.mark.parametrize(
    "time",
    [
        *("9999-12-31", "1500-01-01", "2300-01-01T00:00:00.123456789", "1500-01-01T00:00:00.1234567Z"),
        *(dt.date(9999, 12, 31), np.datetime64("9999-12-31")),
        dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-1))),
    ],
    ids=repr,
)
def test_a_time_that_nanoseconds_cannot_hold_is_refused_or_keeps_its_order(time):
    try:
        value = ACE.number(time)
    except TimeError:
        return
    assert (value > ACE.number("2200-01-01")) == (str(time) > "2200")


@pytest.mark.parametrize("text", ["", "garbage", "1997-02-30", "1997-10-31T00:00:00"])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(TimeError, match="is not a day"):
        parse_day(text)


def test_a_day_is_read_from_iso_text():
    assert parse_day("1997-10-31") == np.datetime64("1997-10-31", "D")


@pytest.mark.parametrize("kind", [np.uint32, np.float64])
def test_zero_and_all_ones_are_undefined_where_the_clock_says_so(kind):
    values = np.array([0, 1, 0xFFFFFFFE, 0xFFFFFFFF], kind)
    assert ACE.defined(values).tolist() == [False, True, True, False]
    assert UNIX.defined(values).tolist() == [True, True, True, True]


@pytest.mark.parametrize("kind", [np.int32, np.int16, np.uint8])
def test_an_undefined_value_that_does_not_fit_the_field_marks_nothing(kind):
    assert ACE.defined(np.array([0, 1], kind)).tolist() == [False, True]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_not_a_number_and_infinity_are_undefined(kind):
    assert UNIX.defined(np.array([np.nan, np.inf, -np.inf, 5.5], kind)).tolist() == [False, False, False, True]


def test_values_before_1900_and_after_2261_are_undefined():
    first, last = UNIX_NS.day_start(np.datetime64("1900-01-01")), UNIX_NS.day_start(np.datetime64("2261-12-31"))
    assert UNIX_NS.defined(np.array([first - 1, first, last - 1, last])).tolist() == [False, True, True, False]
    assert UNIX_NS.defined(np.array([2**63, 2**64 - 1], np.uint64)).tolist() == [False, False]


@given(st.sampled_from([ACE, UNIX, UNIX_NS]), st.integers(-(2**63), 2**63 - 1))
def test_every_defined_value_has_a_day(clock, value):
    values = np.array([value])
    if clock.defined(values)[0]:
        assert np.datetime64("1900-01-01") <= clock.days(values)[0] <= np.datetime64("2261-12-31")
