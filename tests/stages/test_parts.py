"""Sums of parts: exact to the nanosecond, from any epoch, in any scale; what is impossible is wrong with a reason."""

from __future__ import annotations

import datetime as dt
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.model.clock import Clock
from dayfile.stages.base import Wrong
from dayfile.timing.parts import UNIT_LENGTHS, Addend, add_parts
from dayfile.timing.times import Moments

FIRST, LAST = (int(np.datetime64(day, "ns").astype(np.int64)) for day in ("1900-01-01", "2261-12-31"))
EPOCHS = ["1858-11-17", "1900-01-01", "1904-01-01", "1958-01-01", "1970-01-01", "1980-01-06", "2000-01-01"]
FRACTIONS = {"1/65536 s": (1953125, 128), "1/4294967296 s": (1953125, 2**23), "100 ns": (100, 1)}
LENGTHS = {unit: (length, 1) for unit, length in UNIT_LENGTHS.items()} | FRACTIONS
INTEGERS = ["int8", "uint8", "int16", ">u2", "int32", "uint32", ">i4", "int64", "uint64"]


def since_1970(time):
    return int(np.datetime64(time, "ns").astype(np.int64))


def make(parts, columns, epoch="1970-01-01", **words):
    """Times of columns as ISO text, with the reasons of rows that are wrong in their place."""
    clock = Clock(np.datetime64(epoch), **words)
    making = Moments(None, parts, clock.origin, clock.runs_on)
    count = max(len(np.atleast_1d(each)) for each in columns.values())
    times, wrong = making.make(columns, count)
    assert times.dtype == np.int64
    assert set(wrong.reasons) == set(np.flatnonzero(wrong.rows).tolist())
    shown = times.astype("datetime64[ns]").astype(str).tolist()
    return [wrong.reasons.get(row, text) for row, text in enumerate(shown)]


def integers_of(kind):
    bounds = np.iinfo(np.dtype(kind))
    near = st.integers(bounds.min, bounds.max) | st.integers(0, min(bounds.max, 100_000))
    return near.map(lambda value: np.array([value], kind))


@given(
    st.sampled_from(EPOCHS),
    st.lists(st.tuples(st.sampled_from(sorted(LENGTHS)), st.sampled_from(INTEGERS).flatmap(integers_of)), max_size=4),
)
def test_a_sum_is_exact_or_outside_of_the_years(epoch, given_parts):
    parts = [Addend(f"p{number}", *LENGTHS[unit]) for number, (unit, _) in enumerate(given_parts)]
    columns = {f"p{number}": value for number, (_, value) in enumerate(given_parts)}
    cut = (int(value[0]) * Fraction(*LENGTHS[unit]) // 1 for unit, value in given_parts)
    exact = since_1970(epoch) + sum(cut)
    times, wrong = Moments(None, parts, since_1970(epoch)).make(columns, 1)
    if FIRST <= exact < LAST:
        assert (times.tolist(), wrong.reasons) == ([exact], {})
    else:
        assert (times.tolist(), wrong.reasons) == ([0], {0: "the time is not in the years 1900 to 2261"})


@given(
    st.sampled_from(sorted(LENGTHS)),
    st.from_regex(r"[ ]?[+-]?[0-9]{1,19}(\.[0-9]{0,20})?", fullmatch=True),
    st.sampled_from(["S", "U", "O"]),
)
def test_a_decimal_text_is_exact_to_the_digits_written(unit, text, kind):
    exact = Fraction(text) * Fraction(*LENGTHS[unit])
    times, wrong = Moments(None, [Addend("t", *LENGTHS[unit])]).make({"t": np.array([text], kind)}, 1)
    if abs(Fraction(text)) >= 10**18:
        assert wrong.rows.all()
    elif FIRST <= exact < LAST - 1:
        assert abs(int(times[0]) - exact) < (2 if LENGTHS[unit][1] > 1 else 1)
        if unit in ("s", "ms", "us", "ns"):
            assert int(times[0]) == exact // 1
    else:
        assert wrong.rows.all() or exact >= LAST - 1


def test_a_decimal_text_of_seconds_is_what_is_written():
    texts = ["1714607992.261", "1.714607992261e9", " 5.5 ", "-0.25", "0.0000000019"]
    assert make([Addend("t")], {"t": np.array(texts)}) == [
        "2024-05-01T23:59:52.261000000",
        "2024-05-01T23:59:52.261000000",
        "1970-01-01T00:00:05.500000000",
        "1969-12-31T23:59:59.750000000",
        "1970-01-01T00:00:00.000000001",
    ]


@pytest.mark.parametrize("text", ["", "n/a", "nan", "inf", "1_000", "12:00", "1e999", "1/2", "0x10", "1 2", "٣", "--1"])
@pytest.mark.parametrize("kind", ["U", "O"])
def test_a_text_that_is_no_number_is_wrong(text, kind):
    assert make([Addend("t")], {"t": np.array([text, "7"], kind)}) == [
        f"t is not a number: {text!r}",
        "1970-01-01T00:00:07.000000000",
    ]


@given(st.floats(0, 1e6))
def test_a_float_that_tells_nanoseconds_apart_is_rounded_to_one(seconds):
    if np.spacing(seconds) < 1e-9:
        times, _ = Moments(None, [Addend("t")]).make({"t": np.array([seconds])}, 1)
        assert abs(int(times[0]) - Fraction(seconds) * 10**9) <= Fraction(1, 2) + Fraction(1, 10**6)


def test_a_float_of_seconds_since_1970_is_rounded_to_the_microsecond_as_clocks_do():
    values = np.array([1714607992.261, 1714607992.999999])
    assert make([Addend("t")], {"t": values}) == ["2024-05-01T23:59:52.261000000", "2024-05-01T23:59:52.999999000"]
    clock = Clock(np.datetime64("1970-01-01"))
    assert make([Addend("t")], {"t": values}) == clock.to_datetime64(values).astype(str).tolist()


def test_a_modified_julian_day_may_be_a_float():
    assert make([Addend("mjd", *LENGTHS["d"])], {"mjd": np.array([60431.5, np.nan, 1e300, -np.inf])}, "1858-11-17") == [
        "2024-05-01T12:00:00.000000000",
        "mjd is nan, which is no time",
        "the time is not in the years 1900 to 2261",
        "mjd is -inf, which is no time",
    ]


def test_values_that_are_impossible_are_wrong_with_what_would_be_right():
    parts = [Addend("DAY", *LENGTHS["d"]), Addend("MSEC", *LENGTHS["ms"], below=86_400_000, least=0)]
    columns = {"DAY": np.array([23109, 23109], ">u2"), "MSEC": np.array([86_399_999, 86_400_000], ">u4")}
    assert make(parts, columns, "1958-01-01") == [
        "2021-04-09T23:59:59.999000000",
        "MSEC must be in 0..86399999, not 86400000",
    ]
    assert make([Addend("n", least=1)], {"n": np.array([0])}) == ["n must be 1 or more, not 0"]
    assert make([Addend("n", below=5)], {"n": np.array([5])}) == ["n must be less than 5, not 5"]


def test_values_that_are_missing_are_wrong():
    masked = np.ma.array([2128, 0], mask=[False, True])
    assert make([Addend("week", *LENGTHS["w"])], {"week": masked}, "1980-01-06", scale="gps") == [
        "2020-10-17T23:59:42.000000000",
        "week is missing",
    ]
    assert make([Addend("t"), Addend("week")], {"t": np.array([1])}) == ["week is missing"]
    assert make([Addend("t")], {"t": np.array([None, 3], object)})[0] == "t is missing"
    assert make([Addend("t")], {"t": np.zeros((1, 2))}) == ["t is not a single number or text"]


@given(st.integers(0, 4000), st.integers(0, 3000))
def test_a_week_that_begins_again_is_the_first_from_a_date_on(week, since):
    part = Addend("week", *LENGTHS["w"], modulo=1024, since=since)
    times = add_parts([part], 0, {"week": np.array([week % 1024], "uint16")}, 1, Wrong.none(1))
    found = int(times[0]) // LENGTHS["w"][0]
    assert since <= found < since + 1024
    assert found % 1024 == week % 1024


def test_a_week_of_ten_bits_is_right_on_both_sides_of_its_rollover():
    parts = [Addend("week", *LENGTHS["w"], modulo=1024, since=2047), Addend("tow", *LENGTHS["ms"])]
    columns = {"week": np.array([1023, 0, 80, 1024]), "tow": np.array([604_799_999, 18_000, 0, 0])}
    assert make(parts, columns, "1980-01-06", scale="gps") == [
        "2019-04-06T23:59:41.999000000",
        "2019-04-07T00:00:00.000000000",
        "2020-10-17T23:59:42.000000000",
        "week must be in 0..1023, not 1024",
    ]


def test_ticks_of_100_nanoseconds_since_1601_are_counted_though_the_epoch_is_out_of_range():
    moment = dt.datetime(2024, 5, 1, 12, 0, 0, 123456, dt.UTC)
    since = moment - dt.datetime(1601, 1, 1, tzinfo=dt.UTC)
    ticks = (since.days * 86_400 + since.seconds) * 10**7 + since.microseconds * 10 + 7
    origin = (dt.datetime(1601, 1, 1) - dt.datetime(1970, 1, 1)).days * 86_400 * 10**9
    making = Moments(None, [Addend("ticks", 100)], origin)
    times, wrong = making.make({"ticks": np.array([ticks, 0, 2**64 - 1], "uint64")}, 3)
    assert times[:1].astype("datetime64[ns]").astype(str).tolist() == ["2024-05-01T12:00:00.123456700"]
    assert wrong.rows.tolist() == [False, True, True]
    assert making.take_apart(times[:1])["ticks"].tolist() == [ticks]


@given(st.lists(st.integers(FIRST, LAST - 1), min_size=1, max_size=5), st.sampled_from(["ms", "us", "ns", "1/65536 s"]))
def test_parts_that_times_are_taken_apart_into_make_them_again(values, last):
    parts = [Addend("day", *LENGTHS["d"]), Addend("second"), Addend("last", *LENGTHS[last])]
    making = Moments(None, parts, since_1970("1958-01-01"))
    first = making.take_apart(np.array(values))
    cut, wrong = making.make(first, len(values))
    assert not wrong.rows.any() or min(values) - FIRST < 20_000_000
    again = making.take_apart(cut)
    if not wrong.rows.any():
        assert {name: each.tolist() for name, each in again.items()} == {
            name: each.tolist() for name, each in first.items()
        }
        assert all(
            0 <= value - made < max(1, LENGTHS[last][0] / LENGTHS[last][1]) + 1 for value, made in zip(values, cut)
        )


@given(st.lists(st.integers(0, 65535), min_size=1, max_size=5))
def test_a_fraction_of_65536ths_comes_back_as_it_was(fractions):
    making = Moments(None, [Addend("s"), Addend("f", *LENGTHS["1/65536 s"])], since_1970("2015-01-01"))
    columns = {"s": np.full(len(fractions), 15465600, "uint32"), "f": np.array(fractions, "uint16")}
    times, _ = making.make(columns, len(fractions))
    assert making.take_apart(times)["f"].tolist() == fractions


def test_no_rows_make_no_times():
    times, wrong = Moments(None, [Addend("t")]).make({"t": np.zeros(0)}, 0)
    assert (times.shape, times.dtype, wrong.rows.shape) == ((0,), np.int64, (0,))
