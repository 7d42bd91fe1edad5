"""Times of HAPI: what a request may name, and what records are written with."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.model.clock import Clock
from dayfile.web.moments import format_hapi_time, format_records_times, measure_time, parse_moment

UNIX = Clock(np.datetime64("1970-01-01T00:00:00"))
NANOSECONDS = st.integers(-(2**61), 2**62)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1997", "1997-01-01T00:00:00.000000000Z"),
        ("1997-10Z", "1997-10-01T00:00:00.000000000Z"),
        ("1997-304", "1997-10-31T00:00:00.000000000Z"),
        ("1997-304T12:30Z", "1997-10-31T12:30:00.000000000Z"),
        ("1997-10-31T23Z", "1997-10-31T23:00:00.000000000Z"),
        ("1997-10-31T24:00", "1997-11-01T00:00:00.000000000Z"),
        ("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:60.500000000Z"),
        ("2000-366", "2000-12-31T00:00:00.000000000Z"),
        ("1997-10-31T00:00:00.0000000001", "1997-10-31T00:00:00.000000001Z"),
        ("1997-10-31T23:59:59.9999999999", "1997-11-01T00:00:00.000000000Z"),
    ],
)
def test_a_time_may_be_cut_anywhere_and_what_it_lacks_is_the_smallest(text, meant):
    assert parse_moment(text).text == meant


@pytest.mark.parametrize(
    "text",
    [
        *("", "Z", "97", "1997-", "1997-13", "1997-10-32", "1997-000", "1997-366", "1997-10-31T", "1997-10-31T25"),
        *("1997-10-31T12:60", "1997-10-31T12:00:60", "1997-10-31T24:00:01", "1997-10-31 12:00", "1997-10-31T12+01:00"),
        *("1997-10-31T12:00:00.", "now", "0000-01-01", "9999-12-31T24:00", "١٩٩٧", "1997-10-31T12:00:00ZZ", "1997\n"),
    ],
)
def test_anything_else_is_no_time(text):
    with pytest.raises(ValueError, match=r".*"):
        parse_moment(text)


@given(st.text(st.sampled_from("0123456789-T:.Z +e\x00é"), max_size=40))
def test_every_text_is_a_time_or_none(text):
    try:
        found = parse_moment(text)
    except ValueError:
        return
    assert parse_moment(found.text) == found


@given(st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2261, 1, 1)))
def test_both_forms_of_a_date_are_the_same_time(time):
    assert parse_moment(time.strftime("%Y-%jT%H:%M:%S.%fZ")) == parse_moment(time.isoformat())


NEAR = st.integers(-(2 * 10**14), 2 * 10**14)
"""Nanoseconds of some days."""


@given(
    st.lists(NANOSECONDS, min_size=1, max_size=20)
    | st.tuples(st.integers(-(2**60), 2**61), st.lists(NEAR, min_size=1, max_size=20)).map(
        lambda near: [near[0] + each for each in near[1]]
    ),
    st.sampled_from([0, 3, 6, 9]),
)
def test_times_of_records_are_written_as_numpy_writes_them(times, digits):
    unit = {0: "s", 3: "ms", 6: "us", 9: "ns"}[digits]
    utc = np.array(times, "datetime64[ns]").astype(f"datetime64[{unit}]")
    written = format_records_times(np.array(times), UNIX, digits)
    assert written.tolist() == [f"{text}Z".encode() for text in np.datetime_as_string(utc)]
    assert written.dtype.itemsize == measure_time(digits)


@given(NANOSECONDS, st.sampled_from([0, 3, 6, 9]))
def test_the_time_after_a_moment_is_later_and_the_one_at_it_is_not(nanoseconds, digits):
    moment = np.datetime64(nanoseconds, "ns")
    at, after = (np.datetime64(format_hapi_time(moment, digits, after=each)[:-1], "ns") for each in (False, True))
    assert at <= moment < after
