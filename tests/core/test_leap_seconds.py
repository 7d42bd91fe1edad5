"""Leap seconds and time scales: what ACE, GPS receivers and others count, against pyerfa's own conversions."""

from __future__ import annotations

import datetime as dt
import warnings

import erfa
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile import Clock
from dayfile.errors import TimeError
from dayfile.model.instants import as_utc

ACE = Clock(np.datetime64("1996-01-01T00:00:00"), leap_seconds="counted")
UNIX = Clock(np.datetime64("1970-01-01T00:00:00"))
GPS = Clock(np.datetime64("1980-01-06T00:00:00"), scale="gps")
LEAP_DAYS = [
    str(np.datetime64(f"{row['year']}-{row['month']:02}-01") - np.timedelta64(1, "D"))
    for row in erfa.leap_seconds.get()
    if (row["year"], row["month"]) > (1996, 1)
]


def test_leap_seconds_since_1996_are_those_of_erfa():
    known = ["1997-06-30", "1998-12-31", "2005-12-31", "2008-12-31", "2012-06-30", "2015-06-30", "2016-12-31"]
    assert LEAP_DAYS[: len(known)] == known


@pytest.mark.parametrize("clock", [ACE, GPS], ids=["ace", "gps"])
@pytest.mark.parametrize("day", LEAP_DAYS)
def test_records_in_and_around_a_leap_second_are_told_apart(clock, day):
    midnight = clock.day_start(np.datetime64(day) + np.timedelta64(1, "D"))
    values = midnight + np.array([-2, -1.5, -1, -0.5, 0, 0.5])
    times = clock.to_nanoseconds(values)
    assert np.diff(times).tolist() == [500_000_000] * 5
    assert clock.in_leap_second(times).tolist() == [False, False, True, True, False, False]
    last = np.datetime64(f"{day}T23:59:59.999999999")
    shown = clock.to_utc(times)
    assert shown[2:4].tolist() == np.array([last, last]).tolist()
    assert shown[1] == np.datetime64(f"{day}T23:59:59.5")
    assert shown[4] == np.datetime64(day) + np.timedelta64(1, "D")
    assert clock.days(values).astype(str).tolist()[:4] == [day] * 4
    texts = [f"{day}T23:59:59.5", f"{day}T23:59:60", f"{day} 23:59:60.500"]
    assert [clock.read(text) for text in texts] == times[1:4].tolist()


@pytest.mark.parametrize("day", LEAP_DAYS)
def test_a_clock_that_ignores_leap_seconds_reads_one_as_the_midnight_that_follows(day):
    after = np.datetime64(day) + np.timedelta64(1, "D")
    assert UNIX.read(f"{day}T23:59:60.25") == UNIX.read(after) + 250_000_000
    assert not UNIX.in_leap_second(UNIX.to_nanoseconds([UNIX.day_start(after)])).any()


@given(
    st.sampled_from(LEAP_DAYS),
    st.lists(st.integers(-(3 * 10**9), 3 * 10**9) | st.sampled_from([-1, 0, 10**9 - 1, 10**9]), max_size=20),
)
def test_times_around_a_leap_second_are_what_each_of_them_is_alone(day, offsets):
    """Times between the same two leap seconds are converted without looking each of them up."""
    times = ACE.find_midnight(np.datetime64(day) + np.timedelta64(1, "D")) - 10**9 + np.array(offsets, np.int64)
    together = ACE.to_utc(times)
    assert together.tolist() == [ACE.to_utc(times[place : place + 1])[0].item() for place in range(len(times))]
    assert ACE.to_utc(np.append(times, 0))[:-1].tolist() == together.tolist()


def test_a_leap_second_may_be_written_with_an_offset():
    assert ACE.read("2017-01-01T00:59:60.5+01:00") == ACE.read("2016-12-31T23:59:60.5")
    assert as_utc("2017-01-01T00:59:60+01:00") == np.datetime64("2016-12-31T23:59:59.999999999")


@pytest.mark.parametrize("text", ["1997-12-31T23:59:60", "2016-12-31T12:00:60", "2016-12-31T23:58:60"])
def test_a_second_60_where_there_was_no_leap_second_is_not_a_time(text):
    with pytest.raises(TimeError, match="no leap second"):
        ACE.read(text)


def find_tai(time: dt.datetime) -> float:
    """Return TAI in seconds since 2000-01-01 TAI, by erfa."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", erfa.ErfaWarning)  # years beyond its table
        parts = erfa.dtf2d("UTC", time.year, time.month, time.day, time.hour, time.minute, time.second)
        one, two = erfa.utctai(*parts)
    return round(((one - 2451544.5) + two) * 86400)


@given(st.datetimes(dt.datetime.fromisoformat("1973-01-01"), dt.datetime.fromisoformat("2040-01-01")))
def test_clocks_in_tai_gps_and_tt_agree_with_erfa(time):
    time = time.replace(microsecond=0)
    tai = find_tai(time)
    epoch = np.datetime64("2000-01-01T00:00:00")
    assert Clock(epoch, scale="tai").number(time) == tai
    assert Clock(epoch, scale="gps").number(time) == tai - 19
    assert Clock(epoch, "ms", scale="tt").number(time) == tai * 1000 + 32184
    for scale in ("tai", "gps", "tt"):
        clock = Clock(epoch, "ms", scale=scale)
        assert clock.to_datetime64([clock.number(time)])[0] == np.datetime64(time)


def test_tai_counts_from_1958_too():
    # CCSDS 301.0-B-4: the CCSDS epoch is 1958-01-01 TAI.
    clock = Clock(np.datetime64("1958-01-01T00:00:00"), scale="tai")
    assert clock.problem() == ""
    assert clock.to_datetime64([1_861_920_037])[0] == np.datetime64("2017-01-01")


@given(st.integers(15020 * 86400 * 10, 70000 * 86400 * 10))
def test_modified_julian_days_give_their_times_to_the_microsecond(tenths):
    clock = Clock(np.datetime64("1858-11-17T00:00:00"), "d")
    exact = np.datetime64("1858-11-17T00:00:00.0", "ms") + np.timedelta64(tenths * 100, "ms")
    days = tenths / 864_000
    assert abs(clock.to_datetime64([days])[0] - exact) <= np.timedelta64(1, "us")
    assert clock.days([float(tenths // 864_000)])[0] == exact.astype("datetime64[D]")
