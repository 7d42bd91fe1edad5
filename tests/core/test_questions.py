"""What can be asked of an archive: fields, conditions, several stations, inside, missing values, pieces."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from astropy import time as astropy_time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from archives import make_reader
from dayfile import Instrument, Records, create_archive, hookimpl, open_archive
from dayfile.errors import TimeError, UsageError

LAYOUT = """\
instrument: muon
title: Muon telescope on the roof
clock: {epoch: 1996-01-01T00:00:00, unit: s, leap_seconds: counted, undefined: [0]}
sources: [struct_streams]
path: "muon/{year}/{month:02}/{day:02}.{suffix}.h5"
flags:
  quality: [{bit: 0x01, name: BAD_CLOCK}]
types:
  rates:
    code: MuonRates
    title: Rates, one record a 256 s cycle
    store: slots
    period: 256
    time: {field: second, fraction: microsecond, unit: us, begins: tick}
    fields:
      - {name: quality, type: uint8}
      - {name: second, type: uint32, unit: s}
      - {name: microsecond, type: uint32, unit: us}
      - {name: counts, type: int16, shape: [3], unit: '1/cycle', missing: [-1, -999]}
      - {name: pressure, type: int32, unit: hPa, missing: [-1]}
    flags: {quality: quality}
  hits:
    code: MuonHit
    title: Single muons
    store: append
    time: second
    missing: [-1]
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: energy, type: float64, unit: GeV}
      - {name: channel, type: int16}
"""
START = 57801601  # clock value of the first second of 1997-10-31
DAYS = 3


@pytest.fixture(scope="module")
def telescope(tmp_path_factory):
    """An archive of three days of rates and hits; some slots are contended for, some values missing."""
    instrument = Instrument(LAYOUT, "muon.yaml")
    rates, hits = instrument.data_types()
    rng = np.random.default_rng(5)
    archive = create_archive(tmp_path_factory.mktemp("telescope") / "archive", plugins={"muon": instrument})
    array = np.zeros(700, rates.dtype)
    array["second"] = START + rng.choice(np.arange(0, DAYS * 86400, 256), 700) + rng.integers(0, 2, 700)
    array["microsecond"] = rng.integers(0, 1_000_000, 700)
    array["counts"] = rng.integers(0, 1000, (700, 3))
    array["counts"][rng.random((700, 3)) < 0.2] = -999
    array["pressure"] = rng.choice([1013, 1000, -1], 700)
    array["quality"] = rng.integers(0, 4, 700)
    archive.put("muon.rates", array)
    array = np.zeros(900, hits.dtype)
    array["second"] = START + rng.integers(0, DAYS * 86400, 900)
    array["energy"] = rng.random(900)
    array["channel"] = rng.integers(-1, 4, 900)
    archive.put("muon.hits", array)
    return open_archive(archive.root.path)


class School:
    """A plugin: a source is a station and seconds of its events."""

    def __init__(self, school):
        self.school = school

    @hookimpl
    def data_types(self):
        return self.school.types.values()

    @hookimpl
    def decode(self, source):
        station, *seconds = source.content.decode().split()
        rows = [(int(second), float(second), b"x", b"trace of " + station.encode(), None) for second in seconds]
        yield self.school.make_events(rows, station=int(station) if station.isdigit() else station)


@pytest.fixture
def stations(archive, school, plugins_of):
    for name, content in (("a", b"501 5 1"), ("b", b"7 3 86399"), ("c", b"roof 4 90000"), ("d", b"502 200000")):
        archive.drop(name, content)
    archive.run(plugins=plugins_of(school=School(school)))
    return open_archive(archive.root.path)


# ---- fields


@pytest.mark.parametrize("name", ["muon.rates", "muon.hits"])
@pytest.mark.parametrize("names", [["counts", "quality"], ["energy"], ["second"], []])
def test_fields_are_those_of_whole_records_with_their_times(telescope, name, names):
    whole = telescope.read(name)
    names = [each for each in names if each in whole.names]
    some = telescope.read(name, fields=names)
    assert some.array.dtype.names == tuple(names)
    assert np.array_equal(some.times, whole.times)
    assert np.array_equal(some.end_seconds, whole.end_seconds)
    for field in names:
        assert np.array_equal(some[field], whole[field])
        assert some.data_type.field(field) == whole.data_type.field(field)


def test_blobs_of_selected_fields_are_read(stations):
    chosen = stations.read("school.events", fields=["traces"], station="roof")
    assert chosen.names == ("station", "traces")
    assert chosen.all_blobs("traces")[:, 0].tolist() == [b"trace of roof"] * 2


def test_a_field_that_a_type_does_not_have_is_suggested(telescope):
    with pytest.raises(UsageError, match=r"muon\.rates has no field 'count'; did you mean 'counts'"):
        telescope.read("muon.rates", fields=["count"])


# ---- where


def low(counts):
    return (counts >= 0) & (counts < 100)


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("counts[0] > 500", lambda r: r["counts"][:, 0] > 500),
        ("not quality.BAD_CLOCK", lambda r: r["quality"] & 1 == 0),
        ("BAD_CLOCK and pressure in (1013, -1)", lambda r: (r["quality"] & 1 == 1) & (r["pressure"] != 1000)),
        (
            "0 <= counts[2] < 100 or pressure == -1",
            lambda r: low(r["counts"][:, 2]) | (r["pressure"] == -1),
        ),
    ],
)
@pytest.mark.parametrize("fields", [None, ["pressure"]])
def test_a_condition_leaves_the_records_for_which_it_holds(telescope, where, expected, fields):
    for start, stop in ((None, None), (START + 5000, START + 99999)):
        whole = telescope.read("muon.rates", start, stop)
        found = telescope.read("muon.rates", start, stop, where=where, fields=fields)
        assert 0 < len(found) < len(whole)
        assert np.array_equal(found.times, whole.times[expected(whole)])
        assert np.array_equal(found["pressure"], whole["pressure"][expected(whole)])


def test_a_condition_on_a_key_chooses_stations(stations):
    found = stations.read("school.events", where="station == 'roof' or station in (7, 8) and height > 5")
    assert [str(station) for station in found["station"]] == ["roof", "7", "roof"]


# ---- keys


def test_several_stations_are_read_together(stations):
    found = stations.read("school.events", station=[501, "roof"])
    assert [str(station) for station in found["station"]] == ["501", "roof", "501", "roof"]
    assert len(stations.read("school.events", station=np.array([501, 7]))) == 4


@pytest.mark.parametrize("station", [999, [501, 999]])
def test_an_unknown_station_is_an_error_that_lists_the_stations(stations, station):
    with pytest.raises(UsageError, match=r"no station 999; stations: 7, 501, 502, roof$"):
        stations.read("school.events", "2017-02-26", station=station)


@pytest.mark.parametrize("station", [None, 5.0, b"5", True, [5, None], np.array(5.0)], ids=repr)
def test_what_cannot_be_a_key_is_an_error(stations, station):
    with pytest.raises(UsageError, match=r"station=.*: a key is a text or a whole number, or a list of them"):
        stations.read("school.events", station=station)


@pytest.mark.parametrize("fields", [5, b"counts", [["counts"]], [None]], ids=repr)
def test_what_cannot_be_a_field_is_an_error(telescope, fields):
    with pytest.raises(UsageError, match=r"muon\.rates has no field"):
        telescope.read("muon.rates", fields=fields)


def test_a_station_without_records_in_a_range_has_none_there(stations):
    found = stations.read("school.events", "2017-02-26", "2017-02-27", station=502)
    assert (len(found), found.names[0]) == (0, "station")


def test_a_key_that_the_type_does_not_have_is_refused_with_those_it_has(stations):
    with pytest.raises(UsageError, match=r"has no key 'statoin'; its keys are: station; did you mean 'station'"):
        stations.read("school.events", statoin=501)


# ---- ranges


@pytest.mark.parametrize("name", ["muon.rates", "muon.hits"])
def test_inside_gives_what_begins_in_the_range_and_nothing_else(telescope, name):
    whole = telescope.read(name)
    times = whole.times
    for start, stop in (("1997-10-31T12:00:00", "1997-11-01T00:00:00"), (times[3], times[9]), (times[5], times[5])):
        found = telescope.read(name, start, stop, inside=True)
        first, last = np.datetime64(start), np.datetime64(stop)
        assert found.array.tobytes() == whole[(times >= first) & (times < last)].array.tobytes()
    assert telescope.read(name, inside=True).array.tobytes() == whole.array.tobytes()


def test_the_record_that_began_before_the_range_is_left_out_inside(telescope):
    first, second = telescope.read("muon.rates").times[:2]
    middle = first + (second - first) // 2
    assert telescope.read("muon.rates", middle, second).times.tolist() in ([], [first.astype(int)])
    assert len(telescope.read("muon.rates", middle, second, inside=True)) == 0


def test_a_reversed_range_is_an_error(telescope):
    with pytest.raises(TimeError, match="the range is reversed: its start, 1998, is after its stop, 1997-10"):
        telescope.read("muon.hits", "1998", "1997-10")


@pytest.mark.parametrize("same", ["1997", "1997-10", "1997-10-31", "today"])
def test_a_day_month_or_year_is_no_range_with_itself(telescope, same):
    with pytest.raises(TimeError, match=f"the range from {same} to {same} is empty: as a stop, .* means its beginning"):
        telescope.read("muon.hits", same, same)


@pytest.mark.parametrize("wrong", [True, False, np.True_])
def test_a_truth_value_is_no_time(telescope, wrong):
    with pytest.raises(TimeError, match="is not a time but a truth value"):
        telescope.read("muon.hits", wrong)


@pytest.mark.parametrize(
    ("start", "stop", "nearest"),
    [
        ("2030", "2031", ["1997-11-02"]),
        ("1990", "1991", ["1997-10-31"]),
        ("2017-02-25", "2017-02-26", None),
    ],
)
def test_a_range_without_data_names_the_nearest_days(telescope, start, stop, nearest):
    records = telescope.read("muon.hits", start, stop)
    assert len(records) == 0
    if nearest:
        assert [str(day) for day in records.nearest] == nearest
        assert repr(records) == f"<0 records of muon.hits; nearest days: {', '.join(nearest)}>"


def test_a_gap_between_two_days_names_both(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 5 * 86400))
    archive.run()
    records = open_archive(archive.root.path).read("muon.hits", "1997-11-02", "1997-11-03")
    assert repr(records) == "<0 records of muon.hits; nearest days: 1997-10-31, 1997-11-05>"


def test_a_gap_among_many_days_names_the_two_around_it(archive, hits):
    archive.drop("MuonHit.be.bin", b"".join(hits(1, day * 86400) for day in (1, 2, 3, 7, 8, 9)))
    archive.run()
    records = open_archive(archive.root.path).read("muon.hits", "1997-11-05", "1997-11-06")
    assert [str(day) for day in records.nearest] == ["1997-11-03", "1997-11-07"]


def test_a_gap_within_a_day_names_that_day_once(archive, hits):
    archive.drop("MuonHit.be.bin", b"".join(hits(1, 86400 + second) for second in (0, 7200)))
    archive.run()
    records = open_archive(archive.root.path).read("muon.hits", "1997-11-01T01:00", "1997-11-01T01:30")
    assert [str(day) for day in records.nearest] == ["1997-11-01"]


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("1997-11", "1997-12"),
        (pd.Timestamp("1997-11-01"), pd.Timestamp("1997-12-01", tz="UTC")),
        (pd.Timestamp("1997-11-01 01:00", tz="Europe/Amsterdam"), "1998"),
        (dt.date(1997, 11, 1), "now"),
        ("1997-11-01", "yesterday"),
        ("1997-11-01", "today"),
    ],
)
def test_months_years_words_and_times_of_pandas_are_times(telescope, start, stop):
    expected = telescope.read("muon.hits", "1997-11-01", "1997-12-01")
    assert 0 < len(expected) < len(telescope.read("muon.hits", "1997", "1998"))
    assert telescope.read("muon.hits", start, stop).array.tobytes() == expected.array.tobytes()


def test_a_timestamp_of_pandas_keeps_its_nanoseconds(telescope):
    time = telescope.read("muon.rates").times[7]
    assert telescope.read("muon.rates", pd.Timestamp(time), inside=True).times[0] == time
    assert telescope.read("muon.rates", pd.Timestamp(time) + pd.Timedelta(1, "ns"), inside=True).times[0] > time


def test_times_of_astropy_are_times_also_in_a_leap_second(muon):
    time = pytest.importorskip("astropy.time")
    clock = muon.hits.clock
    for text in ("1997-10-31T12:00:00.123456789", "2016-12-31T23:59:60.500000000"):
        assert clock.read(time.Time(text, scale="utc")) == clock.read(text)
        assert clock.read(time.Time(text, scale="utc").tai) == clock.read(text)
    with pytest.raises(TimeError, match="an array of 2; give one of them"):
        clock.read(time.Time(["1997-10-31", "1997-11-01"]))


@pytest.mark.parametrize("text", ["1997-13", "97", "19971", "1997-1", "tomorrow", "1997-", "1997-10Z"])
def test_what_only_looks_like_a_month_or_a_word_is_refused(telescope, text):
    with pytest.raises(TimeError, match="is not a time"):
        telescope.read("muon.hits", text)


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (np.timedelta64(1, "D"), "is not a time"),
        (np.timedelta64(5), "is not a time"),
        (astropy_time.Time(1e9, format="jd"), "is not a time"),
    ],
    ids=str,
)
def test_what_is_no_time_is_an_error_that_says_what_is(telescope, time, said):
    with pytest.raises(TimeError, match=said):
        telescope.read("muon.hits", time)


def test_a_time_may_be_finer_than_a_nanosecond(telescope):
    assert len(telescope.read("muon.hits", np.datetime64("1970-01-02T00:00:00", "ps"))) == 900


# ---- missing


def test_missing_values_become_nan_where_they_are_asked_to(telescope):
    kept = telescope.read("muon.rates")
    marked = telescope.read("muon.rates", missing="nan")
    assert (marked["counts"].dtype, marked["pressure"].dtype) == (np.float32, np.float64)
    assert np.array_equal(np.isnan(marked["counts"]), kept["counts"] == -999)
    assert np.array_equal(np.isnan(marked["pressure"]), kept["pressure"] == -1)
    there = kept["counts"] != -999
    assert np.array_equal(marked["counts"][there], kept["counts"][there])
    assert marked["quality"].dtype == np.uint8
    assert marked.data_type.field("pressure").unit == "hPa"
    assert np.array_equal(marked.times, kept.times)
    assert telescope.read("muon.rates", missing="nan", fields=["counts"]).array.dtype == marked[["counts"]].array.dtype
    with pytest.raises(UsageError, match="missing='null': write 'keep'"):
        telescope.read("muon.rates", missing="null")


def test_conditions_see_missing_values_as_they_are_given(telescope):
    numbers = telescope.read("muon.rates", where="counts[0] < 100")
    measured = telescope.read("muon.rates", where="counts[0] < 100", missing="nan")
    assert len(measured) == np.count_nonzero(numbers["counts"][:, 0] >= 0) < len(numbers)
    assert np.nanmin(measured["counts"][:, 0]) >= 0


def test_missing_values_of_a_whole_type_are_those_of_its_numbers(telescope):
    fields = {field.name: field.missing for field in telescope.read("muon.hits").data_type.fields}
    assert fields == {"second": (), "energy": (-1,), "channel": (-1,)}


# ---- pieces

QUESTIONS = [
    {},
    {"start": START + 300, "stop": START + 2 * 86400 - 40},
    {"start": "1997-11-01", "inside": True},
    {"fields": [], "where": "second > 0"},
    {"missing": "nan"},
]


@pytest.mark.parametrize("name", ["muon.rates", "muon.hits"])
@pytest.mark.parametrize("rows", [1000, 137, 10])
def test_pieces_together_are_what_a_read_gives(telescope, name, rows):
    for question in QUESTIONS:
        whole = telescope.read(name, **question)
        pieces = list(telescope.iter(name, rows=rows, **question))
        assert [len(piece) for piece in pieces[:-1]] == [rows] * (len(pieces) - 1)
        assert 0 < len(pieces[-1]) <= rows
        joined = Records.concatenate(pieces)
        assert joined.array.tobytes() == whole.array.tobytes()
        assert np.array_equal(joined.nanoseconds, whole.nanoseconds)


def test_pieces_keep_keys_and_blobs(stations):
    whole = stations.read("school.events")
    joined = Records.concatenate(stations.iter("school.events", rows=2))
    assert joined.array.tobytes() == whole.array.tobytes()
    assert list(map(str, joined["station"])) == list(map(str, whole["station"]))
    assert joined.all_blobs("traces").tolist() == whole.all_blobs("traces").tolist()


def test_no_records_make_no_pieces(telescope):
    assert list(telescope.iter("muon.hits", "2030", "2031")) == []


def test_what_is_wrong_with_a_question_is_said_before_the_first_piece_is_asked_for(telescope):
    with pytest.raises(UsageError, match="did you mean 'counts'"):
        telescope.iter("muon.rates", fields=["count"])
    for rows in (0, 1.5, "x", None, True):
        with pytest.raises(UsageError, match=f"rows={rows!r}: a piece has at least 1 record"):
            telescope.iter("muon.rates", rows=rows)


@given(
    start=st.none() | st.integers(-1000, DAYS * 86400),
    length=st.integers(0, DAYS * 86400),
    rows=st.integers(1, 400),
    inside=st.booleans(),
    where=st.sampled_from([None, "counts[1] > 300", "not quality.BAD_CLOCK"]),
    fields=st.sampled_from([None, ["counts"], []]),
    read_bytes=st.sampled_from([50, 1000, 10**6]),
    window_bytes=st.sampled_from([1, 1000, 10**6]),
)
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_ways_to_ask_agree(telescope, start, length, rows, inside, where, fields, read_bytes, window_bytes):
    first = None if start is None else START + start
    last = None if start is None else START + start + length
    reader = make_reader(telescope.root, read_bytes=read_bytes, window_bytes=window_bytes)
    question = {"inside": inside, "where": where, "fields": fields}
    plain = telescope.read("muon.rates", *(() if inside else (first, last)))
    mask = np.ones(len(plain), bool)
    if where is not None:
        mask &= plain["counts"][:, 1] > 300 if "counts" in where else plain["quality"] & 1 == 0
    if inside and first is not None:
        mask &= (plain["second"] >= first) & (plain["second"] < last)
    expected = plain[mask] if fields is None else plain[mask].select(fields)
    found = reader.read("muon.rates", first, last, **question)
    assert found.array.tobytes() == expected.array.tobytes()
    assert np.array_equal(found.times, expected.times)
    pieces = list(reader.iter("muon.rates", first, last, rows=rows, **question))
    assert sum(map(len, pieces)) == len(expected)
    if pieces:
        assert Records.concatenate(pieces).array.tobytes() == expected.array.tobytes()
