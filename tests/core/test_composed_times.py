"""Times that several fields make together: fractions, dates in fields, floating days."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import find_defects
from dayfile import Instrument, create_archive
from dayfile.errors import LayoutError

LAYOUT = """\
instrument: sky
title: Instruments with clocks of all kinds
clock: {epoch: 1970-01-01T00:00:00, unit: s, undefined: [4294967295]}
structs: {byte_order: little, alignment: packed}
sources: [struct_streams]
path: "sky/{year}/{suffix}.{month:02}.{day:02}.h5"
types:
  pulses:
    code: Pulse
    title: Pulses, with microseconds
    store: append
    time: {field: second, fraction: micro, unit: us}
    fields:
      - {name: second, type: uint32}
      - {name: micro, type: uint32}
      - {name: mark, type: uint16}
  moons:
    code: Moon
    title: Readings of a clock with calendar fields
    store: append
    time: {year: y, month: m, day: d, hour: h, minute: n, second: s, fraction: milli, unit: ms}
    fields:
      - {name: y, type: uint16}
      - {name: m, type: uint8}
      - {name: d, type: uint8}
      - {name: h, type: uint8}
      - {name: n, type: uint8}
      - {name: s, type: uint8}
      - {name: milli, type: uint16}
      - {name: mark, type: uint16}
  cycles:
    code: Cycle
    title: Cycles whose records count from their second on
    store: slots
    period: 16
    time: {field: second, fraction: micro, unit: us, begins: tick}
    fields:
      - {name: second, type: uint32}
      - {name: micro, type: uint32}
      - {name: mark, type: uint16}
"""
DAYS = (
    LAYOUT[: LAYOUT.index("types:")]
    .replace("sky", "mjd")
    .replace("epoch: 1970-01-01T00:00:00, unit: s, undefined: [4294967295]", "epoch: 1858-11-17T00:00:00, unit: d")
    + """\
types:
  nights:
    code: Night
    title: Magnitudes at modified julian days
    store: slots
    period: 600
    time: mjd
    fields:
      - {name: mjd, type: float64, unit: d}
      - {name: magnitude, type: float32, unit: mag}
"""
)
MOONS = {each.type: each for each in Instrument(LAYOUT, "sky.yaml").layout.types}["moons"]
START = int(np.datetime64("2024-05-01T12:00:00").astype(np.int64))


def put(tmp_path, layout, name, rows):
    """Put records into a new archive of a layout, and return it."""
    instrument = Instrument(layout, "layout.yaml")
    opened = create_archive(tmp_path / name, plugins={name.split(".")[0]: instrument})
    types = {data_type.name: data_type for data_type in instrument.layout.types}
    array = np.array(rows, types[name].dtype)
    assert opened.put(name, array).tolist() == [0] * len(rows)
    return opened


def test_records_are_ordered_and_found_by_second_and_fraction(tmp_path):
    rows = [(START, 700_000, 1), (START, 200_000, 2), (START + 1, 0, 3), (START - 1, 999_999, 4)]
    opened = put(tmp_path, LAYOUT, "sky.pulses", rows)
    assert opened.read("sky.pulses")["mark"].tolist() == [4, 2, 1, 3]
    assert opened.read("sky.pulses").times.astype(str)[1] == "2024-05-01T12:00:00.200000000"
    assert opened.read("sky.pulses", "2024-05-01T12:00:00.5", "2024-05-01T12:00:01")["mark"].tolist() == [1]
    assert opened.at("sky.pulses", "2024-05-01T12:00:00.2")["mark"].tolist() == [2]
    assert opened.at("sky.pulses", "2024-05-01T12:00:00")["mark"].tolist() == []


def test_a_fraction_that_the_clock_calls_undefined_adds_nothing(tmp_path):
    opened = put(tmp_path, LAYOUT, "sky.pulses", [(START, 0xFFFFFFFF, 1)])
    assert opened.at("sky.pulses", START)["mark"].tolist() == [1]


def test_records_of_one_time_stay_in_the_order_in_which_they_arrived(tmp_path):
    opened = put(tmp_path, LAYOUT, "sky.pulses", [(START, 5, mark) for mark in (3, 1, 2)])
    assert opened.read("sky.pulses")["mark"].tolist() == [3, 1, 2]


@given(st.datetimes(dt.datetime.fromisoformat("1900-01-01"), dt.datetime.fromisoformat("2200-01-01")))
def test_calendar_fields_make_the_time_that_they_say(time):
    milli = time.microsecond // 1000
    row = (time.year, time.month, time.day, time.hour, time.minute, time.second, milli, 0)
    array = np.array([row], MOONS.dtype)
    whole = MOONS.clock.to_utc(MOONS.find_begins(array))[0]
    assert whole == np.datetime64(time.replace(microsecond=milli * 1000), "ns")
    assert MOONS.clock.days(MOONS.count(array))[0] == np.datetime64(time.date())


@pytest.mark.parametrize(
    "row",
    [(2024, 2, 30), (2024, 13, 1), (2024, 0, 1), (2023, 2, 29), (1, 1, 1), (2024, 1, 0)],
    ids=lambda row: "-".join(map(str, row)),
)
def test_what_is_no_date_is_rejected(row):
    array = np.array([(*row, 0, 0, 0, 0, 0)], MOONS.dtype)
    assert not MOONS.timed(array).any()
    assert MOONS.why_untimed(array).startswith("no time: y is ")


def test_a_calendar_second_60_counts_where_there_was_a_leap_second():
    rows = [(2016, 12, 31, 23, 59, 60, 0, 0), (2017, 12, 31, 23, 59, 60, 0, 0), (2016, 12, 31, 22, 59, 60, 0, 0)]
    array = np.array(rows, MOONS.dtype)
    text = LAYOUT.replace("epoch: 1970-01-01T00:00:00", "epoch: 1980-01-01T00:00:00, leap_seconds: counted")
    counted = Instrument(text, "sky.yaml").layout.types[1]
    assert counted.timed(array).tolist() == [True, False, False]
    begins = counted.find_begins(array)[:1]
    assert counted.clock.in_leap_second(begins).all()
    assert counted.clock.days(counted.count(array)[:1])[0] == np.datetime64("2016-12-31")


def test_dates_in_fields_are_archived_under_their_day(tmp_path):
    rows = [(2024, 5, 1, 23, 59, 59, 999, 1), (2024, 5, 2, 0, 0, 0, 0, 2)]
    opened = put(tmp_path, LAYOUT, "sky.moons", rows)
    assert [path.name for path in sorted((tmp_path / "sky.moons").rglob("*.h5"))] == [
        "moons.05.01.h5",
        "moons.05.02.h5",
    ]
    assert opened.read_day("sky.moons", "2024-05-01")["mark"].tolist() == [1]
    assert opened.read("sky.moons", "2024-05-01T23:59:59.999", "2024-05-02T00:00:01")["mark"].tolist() == [1, 2]


def test_a_bound_without_a_fraction_counts_from_the_tick_where_the_layout_says_so(tmp_path):
    opened = put(tmp_path, LAYOUT, "sky.cycles", [(START, 700_000, 1), (START + 16, 200_000, 2)])
    moments = {"12:00:00": [1], "12:00:00.5": [], "12:00:00.7": [1], "12:00:16": [2], "12:00:16.1": [1]}
    found = {time: opened.at("sky.cycles", f"2024-05-01T{time}")["mark"].tolist() for time in moments}
    assert found == moments
    day = "2024-05-01T"
    assert opened.read("sky.cycles", day + "12:00:00", day + "12:00:16")["mark"].tolist() == [1]
    assert opened.read("sky.cycles", day + "12:00:00", day + "12:00:16.3")["mark"].tolist() == [1]
    assert opened.read("sky.cycles", day + "12:00:17", day + "13:00:00")["mark"].tolist() == [2]


def test_floating_days_have_their_days_and_slots(tmp_path):
    first = int((np.datetime64("2024-05-01") - np.datetime64("1858-11-17")).astype(int))
    rows = [(first + slot / 144, slot) for slot in range(0, 288, 7)]
    opened = put(tmp_path, DAYS, "mjd.nights", rows)
    assert len(list((tmp_path / "mjd.nights").rglob("*.h5"))) == 2
    found = opened.read_day("mjd.nights", "2024-05-02")
    assert found["magnitude"].tolist() == [slot for slot in range(0, 288, 7) if slot >= 144]
    assert found.times[0] == np.datetime64("2024-05-02T00:30")
    assert find_defects(opened.root) == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("fraction: micro,", "fraction: micros,", "'micros' is not a field; did you mean 'micro'?"),
        ("year: y,", "year: mark2,", "'mark2' is not a field"),
        ("unit: us}", "unit: Us}", "must be 's', 'ms', 'us' or 'ns'"),
        ("{field: second, fraction: micro, unit: us}", "{fraction: micro}", "field"),
        ("{year: y, month: m,", "{year: y,", "month"),
        ("{name: d, type: uint8}", "{name: d, type: float32}", "the parts of a date and time must be integers"),
        ("fraction: micro, unit: us}", "whole: micro}", "need int64 or uint64"),
    ],
)
def test_what_a_layout_says_wrongly_of_times_is_named(old, new, message):
    assert old in LAYOUT
    with pytest.raises(LayoutError) as raised:
        _ = Instrument(LAYOUT.replace(old, new, 1), "sky.yaml").layout
    assert message in str(raised.value)
