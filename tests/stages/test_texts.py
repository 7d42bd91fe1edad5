"""Times as texts and dates in parts: as datetime reads them, and with a reason where they are none."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.errors import UsageError
from dayfile.model.clock import Clock
from dayfile.timing.calendar import Dates
from dayfile.timing.forms import TextForm
from dayfile.timing.parts import UNIT_LENGTHS, Addend
from dayfile.timing.texts import TimeTexts
from dayfile.timing.times import Moments

UTC = dt.UTC
MOMENTS = st.datetimes(dt.datetime(1900, 1, 2), dt.datetime(2261, 12, 29))
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda minutes: dt.timezone(dt.timedelta(minutes=minutes)))
FORMS = [
    "%Y-%m-%d %H:%M:%S.%f",
    "%d/%m/%Y %H:%M:%S,%f",
    "%Y%m%dT%H%M%S%f",
    "%d %b %Y %I:%M:%S.%f %p",
    "%a %d %b %Y %H:%M:%S.%f",
    "%A, %B %d, %Y, %H:%M:%S.%f",
    "%Y-%j-%H-%M-%S-%f",
    "100%% %Y.%m.%d %H.%M.%S.%f",
    "%Y-%m-%d %H:%M:%S.%f %z",
]


def since_1970(moment):
    return (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) * 1000


def make(making, columns):
    """Times as ISO text, with the reasons of rows that are wrong in their place."""
    times, wrong = making.make(columns, len(next(iter(columns.values()))))
    assert set(wrong.reasons) == set(np.flatnonzero(wrong.rows).tolist())
    return [wrong.reasons.get(row, text) for row, text in enumerate(times.astype("datetime64[ns]").astype(str))]


def read(texts, form=None, kind="S"):
    return make(
        Moments(TimeTexts("{t}", (TextForm(form),)) if form else TimeTexts("{t}")), {"t": np.array(texts, kind)}
    )


@given(
    st.lists(st.tuples(MOMENTS, OFFSETS, st.sampled_from(["auto", "seconds", "milliseconds", "minutes"]))),
    st.booleans(),
)
def test_iso_texts_are_what_datetime_writes(rows, is_bytes):
    texts = [moment.replace(tzinfo=offset).isoformat(timespec=spec) for moment, offset, spec in rows]
    making = Moments(TimeTexts("{t}"))
    times, wrong = making.make({"t": np.array(texts, "S" if is_bytes else "U")}, len(texts))
    assert wrong.reasons == {}
    read_back = (dt.datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None) for text in texts)
    assert times.tolist() == [since_1970(moment) for moment in read_back]


@pytest.mark.parametrize("form", FORMS)
@given(rows=st.lists(MOMENTS, min_size=1, max_size=8))
def test_texts_of_a_form_are_what_strptime_reads(form, rows):
    texts = [moment.replace(tzinfo=UTC).strftime(form) for moment in rows]
    times, wrong = Moments(TimeTexts("{t}", (TextForm(form),))).make({"t": np.array(texts)}, len(texts))
    assert wrong.reasons == {}
    assert times.tolist() == [since_1970(dt.datetime.strptime(text, form).replace(tzinfo=None)) for text in texts]


@given(st.lists(st.text("0123456789-:. TZ+ab", max_size=24)))
def test_no_text_ends_with_an_error_and_none_is_read_as_datetime_would_not(texts):
    times, wrong = Moments(TimeTexts("{t}", (TextForm("%Y-%m-%d %H:%M:%S"),))).make(
        {"t": np.array(texts, "U")}, len(texts)
    )
    for text, time, bad in zip(texts, times.tolist(), wrong.rows.tolist(), strict=True):
        if not bad:
            assert time == since_1970(dt.datetime.strptime(" ".join(text.split()), "%Y-%m-%d %H:%M:%S"))


def test_texts_of_one_digit_are_read_as_strptime_does():
    assert (
        read(["2024-5-1 3:04:5", " 2024-05-01 03:04:05 "], "%Y-%m-%d %H:%M:%S") == ["2024-05-01T03:04:05.000000000"] * 2
    )


@pytest.mark.parametrize("kind", ["S", "U", "O"])
def test_texts_with_impossible_parts_are_wrong_with_what_would_be_right(kind):
    texts = [
        "2024-05-01T23:61:00Z",
        "2024-13-01T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-05-01T24:00:00Z",
        "2024-05-01T23:59:60Z",
        "1899-12-31T00:00:00Z",
        "2024-05-01T23:59:00+25:00",
        "2024-05-01T23:59:00+01:60",
        "yesterday",
        "",
    ]
    assert read(texts, kind=kind) == [
        "minute must be in 0..59, not 61",
        "month must be in 1..12, not 13",
        "day must be in 1..28, not 29",
        "hour must be in 0..23, not 24",
        "second must be in 0..59, not 60: no leap second is known there",
        "year must be in 1900..2261, not 1899",
        "'2024-05-01T23:59:00+25:00' is not a time as in ISO 8601",
        "'2024-05-01T23:59:00+01:60' is not a time as in ISO 8601",
        "'yesterday' is not a time as in ISO 8601",
        "'' is not a time as in ISO 8601",
    ]


def test_texts_may_come_in_several_columns():
    making = Moments(TimeTexts("{date} {clock}", (TextForm("%Y-%m-%d %H:%M:%S.%f"),)))
    columns = {
        "date": np.array(["2018-01-02", "2018-1-3", "2018-01-02"]),
        "clock": np.array(["23:51:12.142425", "0:00:00.5", "noon"]),
    }
    assert make(making, columns) == [
        "2018-01-02T23:51:12.142425000",
        "2018-01-03T00:00:00.500000000",
        "'2018-01-02 noon' is not of the form %Y-%m-%d %H:%M:%S.%f",
    ]
    assert making.names == ("date", "clock")


def test_a_value_of_the_whole_file_holds_for_all_rows_and_parts_are_added_to_it():
    making = Moments(TimeTexts("{day}", (TextForm("%Y%m%d"),)), [Addend("ms", UNIT_LENGTHS["ms"])])
    columns = {"ms": np.array([0, 86_400_000]), "day": np.array("20240501")}
    assert make(making, columns) == ["2024-05-01T00:00:00.000000000", "2024-05-02T00:00:00.000000000"]


@given(
    st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%j/%Y %I:%M:%S.%f %p", None])
)
def test_texts_that_times_are_written_as_are_read_as_these_times(moments, form):
    making = Moments(TimeTexts("{t}", (TextForm(form),)) if form else TimeTexts("{t}"))
    times = np.array([since_1970(moment) for moment in moments])
    columns = making.take_apart(times)
    again, wrong = making.make(columns, len(times))
    assert (again.tolist(), wrong.reasons) == (times.tolist(), {})


def test_texts_are_divided_into_their_columns_again():
    making = Moments(TimeTexts("{date} {clock}", (TextForm("%Y-%m-%d %H:%M:%S"),)), [Addend("ns", 1)])
    columns = making.take_apart(np.array([1_500_000_007]))
    assert {name: each.tolist() for name, each in columns.items()} == {
        "date": ["1970-01-01"],
        "clock": ["00:00:01"],
        "ns": [500_000_007],
    }
    with pytest.raises(UsageError, match="nothing is between two of its columns"):
        Moments(TimeTexts("{date}{clock}", (TextForm("%Y%m%d%H%M%S"),))).take_apart(np.array([0]))


DATES = {"year": "year", "month": "month", "day": "day", "hour": "hour", "minute": "min", "second": "sec"}


@given(st.lists(MOMENTS, min_size=1, max_size=8), st.sampled_from(["int64", "S", "U"]))
def test_dates_in_columns_are_these_dates_and_are_taken_apart_again(moments, kind):
    making = Moments(Dates(DATES), [Addend("nano", 1)])
    rows = [(*moment.timetuple()[:6], moment.microsecond * 1000) for moment in moments]
    columns = {
        name: np.array(each).astype(kind) for name, each in zip((*DATES.values(), "nano"), zip(*rows), strict=True)
    }
    times, wrong = making.make(columns, len(rows))
    assert (times.tolist(), wrong.reasons) == ([since_1970(moment) for moment in moments], {})
    assert {name: each.tolist() for name, each in making.take_apart(times).items()} == {
        name: each.astype(int).tolist() for name, each in columns.items()
    }


@given(MOMENTS)
def test_a_day_of_the_year_and_a_minute_of_the_day_make_a_time(moment):
    making = Moments(Dates({"year": "y", "day_of_year": "d"}), [Addend("minute", UNIT_LENGTHS["min"])])
    columns = {
        "y": np.array([moment.year]),
        "d": np.array([moment.timetuple().tm_yday]),
        "minute": np.array([moment.hour * 60 + moment.minute]),
    }
    times, _ = making.make(columns, 1)
    assert times.tolist() == [since_1970(moment.replace(second=0, microsecond=0))]
    assert {name: each.tolist() for name, each in making.take_apart(times).items()} == {
        name: each.tolist() for name, each in columns.items()
    }


def test_minute_1440_of_a_day_is_the_midnight_that_follows():
    making = Moments(
        Dates({"year": "y", "month": "m", "day": "d"}), [Addend("minute", UNIT_LENGTHS["min"], least=0, below=1441)]
    )
    columns = {
        "y": np.array([2024] * 3),
        "m": np.array([12] * 3),
        "d": np.array([31] * 3),
        "minute": np.array([1439, 1440, 1441]),
    }
    assert make(making, columns) == [
        "2024-12-31T23:59:00.000000000",
        "2025-01-01T00:00:00.000000000",
        "minute must be in 0..1440, not 1441",
    ]


def test_dates_that_do_not_exist_are_wrong():
    making = Moments(Dates({"year": "y", "month": "m", "day": "d", "second": "s"}))
    rows = [
        (2024, 2, 30, "0"),
        (2024, 0, 1, "0"),
        (1900, 2, 29, "0"),
        (2024, 2, 29, "7.25"),
        (2024, 1, 0, "0"),
        (2**40, 1, 1, "x"),
    ]
    columns = {name: np.array(each) for name, each in zip("ymds", zip(*rows), strict=True)}
    assert make(making, columns) == [
        "day must be in 1..29, not 30",
        "month must be in 1..12, not 0",
        "day must be in 1..28, not 29",
        "2024-02-29T00:00:07.250000000",
        "day must be in 1..31, not 0",
        "s is not a number: 'x'",
    ]
    assert make(
        Moments(Dates({"year": "y", "day_of_year": "d"})), {"y": np.array([2024, 2023]), "d": np.array([366, 366])}
    )[1] == ("day_of_year must be in 1..365, not 366")


def test_a_nanosecond_may_be_negative():
    making = Moments(Dates(DATES), [Addend("nano", 1)])
    columns = {
        name: np.array([value])
        for name, value in zip((*DATES.values(), "nano"), (2020, 10, 23, 11, 33, 59, -361668), strict=True)
    }
    assert make(making, columns) == ["2020-10-23T11:33:58.999638332"]


def test_second_60_is_the_last_nanosecond_of_a_leap_second_that_is_known():
    making = Moments(Dates(DATES), [Addend("nano", 1)])
    rows = [
        (2016, 12, 31, 23, 59, 60, 0),
        (2016, 12, 31, 23, 59, 60, -1),
        (2016, 12, 31, 23, 58, 60, 0),
        (2016, 12, 31, 23, 59, 60, 1_500_000_000),
    ]
    columns = {name: np.array(each) for name, each in zip((*DATES.values(), "nano"), zip(*rows), strict=True)}
    assert make(making, columns) == [
        "2016-12-31T23:59:59.999999999",
        "2016-12-31T23:59:59.999999999",
        "second must be in 0..59, not 60: no leap second is known there",
        "2017-01-01T00:00:00.500000000",
    ]
    assert read(["2017-01-01T00:59:60.5+01:00", "2016-12-31T23:59:60"]) == ["2016-12-31T23:59:59.999999999"] * 2


def test_dates_in_another_scale_are_shifted_to_utc():
    clock = Clock(np.datetime64("1970-01-01"), scale="gps")
    making = Moments(Dates(DATES), origin=clock.origin, runs_on=True)
    columns = {name: np.array([value]) for name, value in zip(DATES.values(), (2024, 5, 1, 0, 0, 18), strict=True)}
    times, _ = making.make(columns, 1)
    assert times.astype("datetime64[ns]").astype(str).tolist() == ["2024-05-01T00:00:00.000000000"]
    assert {name: each.tolist() for name, each in making.take_apart(times).items()} == {
        name: each.tolist() for name, each in columns.items()
    }


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ("%H:%M", "no year"),
        ("%Y %H:%M", "no day"),
        ("%Y-%m-%d %j", "%j is the day of the year"),
        ("%Y-%m-%d %Q", "%Q is not one of the letters"),
        ("%Y-%m-%d %Y", "%Y is here a second time"),
        ("%Y %y-%m-%d", "the same part"),
        ("%Y-%m-%d %I", "%p"),
        ("%Y-%m-%d", ""),
    ],
)
def test_forms_that_cannot_give_times_say_why(form, problem):
    assert problem in TextForm(form).problem
    assert bool(problem) == bool(TextForm(form).problem)
