"""The word ``day_begins``: a night has one day file, and everything that asks by day means that day."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tables

import dayfile
from dayfile import Clock, Instrument, LayoutError

LAYOUT = """\
instrument: sky
title: All-sky camera
clock: {epoch: 1970-01-01T00:00:00}
day_begins: 12:00
path: "sky/{year}/{month:02}/{day:02}.h5"
types:
  frames:
    code: Frame
    title: Frames
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: number, type: uint32}
  rates:
    code: Rate
    title: Rates
    store: slots
    period: 60
    time: {year: y, month: m, day: d, hour: h, minute: n}
    fields: [{name: y, type: int16}, {name: m, type: int8}, {name: d, type: int8}, {name: h, type: int8}, \
{name: n, type: int8}]
"""
MAY_1 = 1714521600
HOUR = 3600
NIGHTS = [MAY_1 + 12 * HOUR - 1, MAY_1 + 12 * HOUR, MAY_1 + 23 * HOUR, MAY_1 + 24 * HOUR, MAY_1 + 36 * HOUR - 1]
NIGHTS += [MAY_1 + 36 * HOUR]
"""Seconds: one of the night that began on April 30, four of the night of May 1, one of the night of May 2."""


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive")
    sky = dayfile.create_archive(path, plugins={"sky": Instrument(LAYOUT, "sky.yaml")})
    frames = np.zeros(len(NIGHTS), [("second", "u4"), ("number", "u4")])
    frames["second"], frames["number"] = NIGHTS, np.arange(len(NIGHTS))
    sky.put("sky.frames", frames)
    rates = np.array([(2024, 5, 1, 12, 0), (2024, 5, 2, 0, 1), (2024, 5, 2, 11, 59), (2024, 5, 2, 12, 0)], "i2")
    dtype = sky.plugins.data_types["sky.rates"].dtype
    sky.put("sky.rates", np.array(list(map(tuple, rates)), dtype))
    return dayfile.open_archive(path)


def test_a_night_is_in_one_day_file(archive):
    files = sorted(path.relative_to(archive.root.path).as_posix() for path in archive.root.path.rglob("*.h5"))
    assert files == ["sky/2024/04/30.h5", "sky/2024/05/01.h5", "sky/2024/05/02.h5"]
    with tables.open_file(archive.root.path / "sky/2024/05/01.h5") as file:
        assert file.root.frames.col("second").tolist() == NIGHTS[1:5]
        assert json.loads(file.root.frames.attrs.clock)["day_begins"] == 12
    assert archive.days("sky.frames").astype(str).tolist() == ["2024-04-30", "2024-05-01", "2024-05-02"]


def test_slots_count_from_the_begin_of_the_day(archive):
    with tables.open_file(archive.root.path / "sky/2024/05/01.h5") as file:
        filled = np.flatnonzero(file.root.rates.col("y"))
    assert filled.tolist() == [0, 12 * 60 + 1, 24 * 60 - 1]


@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 36), (11, 13), (12, 12), (12, 36), (23, 25), (35, 36), (36, 37), (13, 23)],
)
def test_ranges_are_ranges_of_time_over_every_boundary(archive, start, stop):
    first, last = MAY_1 + start * HOUR, MAY_1 + stop * HOUR
    found = archive.read("sky.frames", first, last, inside=True)
    assert found["second"].tolist() == [second for second in NIGHTS if first <= second < last]
    pieces = archive.iter("sky.frames", first, last, inside=True, rows=1)
    assert [int(piece["second"][0]) for piece in pieces] == found["second"].tolist()


def test_midnight_is_still_midnight_where_a_time_is_given(archive):
    found = archive.read("sky.frames", "2024-05-01T23:00", "2024-05-02", inside=True)
    assert found["second"].tolist() == [NIGHTS[2]]
    assert archive.read("sky.frames", "2024-05-02", "2024-05-03", inside=True)["second"].tolist() == NIGHTS[3:]
    assert archive.read("sky.rates")["h"].tolist() == [12, 0, 11, 12]
    assert str(archive.read("sky.rates").times[1]) == "2024-05-02T00:01:00.000000000"


def test_a_day_that_is_read_or_exported_is_the_night(archive, tmp_path):
    assert archive.read_day("sky.frames", "2024-05-01")["second"].tolist() == NIGHTS[1:5]
    assert archive.export("sky.frames", tmp_path / "night.csv", day="2024-05-01").records == 4
    assert archive.to_dask("sky.frames").npartitions == 3


def test_coverage_is_by_night_and_by_hour_of_utc(archive):
    nights = archive.coverage("sky.frames")
    assert nights["time"].astype("datetime64[D]").astype(str).tolist() == ["2024-04-30", "2024-05-01", "2024-05-02"]
    assert (nights["records"].tolist(), nights["hours"].tolist()) == ([1, 4, 1], [1, 4, 1])
    hours = archive.coverage("sky.frames", by="hour")
    held = hours["time"][hours["records"] > 0].astype("datetime64[h]").astype(str).tolist()
    assert held == [
        *(f"2024-05-01T{hour}" for hour in (11, 12, 23)),
        *(f"2024-05-02T{hour}" for hour in ("00", 11, 12)),
    ]
    few = archive.coverage("sky.frames", "2024-05-02T00:00", "2024-05-02T02:00", by="hour")
    assert few["records"].tolist() == [1, 0]


def test_a_day_whose_only_record_is_at_its_begin_is_covered(tmp_path):
    layout = LAYOUT.replace("day_begins: 12:00\n", "")
    sky = dayfile.create_archive(tmp_path, plugins={"sky": Instrument(layout, "sky.yaml")})
    sky.put("sky.frames", np.array([(MAY_1, 0), (MAY_1 + 24 * HOUR, 1)], [("second", "u4"), ("number", "u4")]))
    assert sky.coverage("sky.frames")["records"].tolist() == [1, 1]


def test_gaps_are_those_between_records(archive):
    gaps = archive.gaps("sky.frames")
    spans = [(str(gap["start"].astype("M8[h]")), str(gap["stop"].astype("M8[h]"))) for gap in gaps]
    assert spans == [("2024-05-01T13", "2024-05-01T23"), ("2024-05-02T01", "2024-05-02T11")]


def test_describe_says_when_days_begin(archive):
    from typer.testing import CliRunner

    from dayfile.cli import app

    done = CliRunner().invoke(app, ["describe", "sky.frames", "--archive", str(archive.root.path)])
    assert "from 12:00 UTC" in done.output


def test_a_catalogue_that_is_made_again_says_the_same(archive):
    from typer.testing import CliRunner

    from dayfile.cli import app

    before = archive.coverage("sky.frames", by="hour")
    done = CliRunner().invoke(app, ["reindex", "--archive", str(archive.root.path)])
    assert done.exit_code == 0, done.output
    assert archive.days("sky.frames").astype(str).tolist() == ["2024-04-30", "2024-05-01", "2024-05-02"]
    np.testing.assert_array_equal(archive.coverage("sky.frames", by="hour"), before)


def test_a_leap_second_is_in_the_day_that_holds_it():
    clock = Clock(np.datetime64("1996-01-01T00:00:00"), leap_seconds="counted", day_begins=12)
    day = np.datetime64("2016-12-31")  # it ends with a leap second, in the middle of the night
    start = clock.day_start(day)
    assert [clock.day_length(day + each) for each in (-1, 0, 1)] == [86400, 86401, 86400]
    assert clock.days([start - 1, start, start + 43200, start + 86400, start + 86401]).astype(str).tolist() == [
        "2016-12-30",
        *["2016-12-31"] * 3,
        "2017-01-01",
    ]


@pytest.mark.parametrize("words", ["12:00", "'12:00'", "12:00:00"])
def test_a_time_of_day_needs_no_quotes(words):
    layout = Instrument(LAYOUT.replace("day_begins: 12:00", f"day_begins: {words}"), "sky.yaml")
    assert {data_type.clock.day_begins for data_type in layout.data_types()} == {12}


@pytest.mark.parametrize("words", ["12:30", "24:00", "noon", "12", ""])
def test_what_is_no_whole_hour_is_refused(words):
    with pytest.raises(LayoutError, match=r"sky\.yaml:4:\d+: day_begins: .*(is not a whole hour|value is missing)"):
        Instrument(LAYOUT.replace("day_begins: 12:00", f"day_begins: {words}"), "sky.yaml").layout  # noqa: B018
