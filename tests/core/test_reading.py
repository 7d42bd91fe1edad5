"""Reading: what is valid from start up to, not including, stop, from day files alone."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from dayfile import hookimpl, open_archive
from dayfile.errors import StorageError, TimeError, UsageError

MIDNIGHT = 57888001  # of 1997-11-01


@pytest.fixture
def hits(archive, muon):
    """An archive with single muons at these seconds around the first of November 1997."""
    seconds = [MIDNIGHT + second for second in (-86400, -2, -1, 0, 1, 86399)]
    rows = [{"second": second, "energy": index / 2, "channel": index} for index, second in enumerate(seconds)]
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", rows[::-1])))
    archive.run()
    return open_archive(archive.root.path)


def after_midnight(records):
    return (records["second"].astype(np.int64) - MIDNIGHT).tolist()


def test_without_times_every_record_comes_in_time_order(hits):
    records = hits.read("muon.hits")
    assert after_midnight(records) == [-86400, -2, -1, 0, 1, 86399]
    assert len(records) == 6
    assert records.times.tolist() == np.sort(records.times).tolist()


@pytest.mark.parametrize(
    ("start", "stop", "found"),
    [
        (-1, 1, [-1, 0]),
        (-2, -1, [-2]),
        (0, 0, [0]),
        (0, 1, [0]),
        (2, 86399, []),
        (2, 86400, [86399]),
        (None, -1, [-86400, -2]),
        (1, None, [1, 86399]),
        (-1.5, 0.5, [-1, 0]),
    ],
)
def test_start_is_included_and_stop_is_not(hits, start, stop, found):
    first, last = (None if second is None else MIDNIGHT + second for second in (start, stop))
    assert after_midnight(hits.read("muon.hits", first, last)) == found


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        ("1997-10-31", "1997-11-01"),
        ("1997-10-31T00:00:00", "1997-11-01T00:00:00Z"),
        (dt.date(1997, 10, 31), dt.date(1997, 11, 1)),
        (
            dt.datetime.fromisoformat("1997-10-31T01:00:00+01:00"),
            dt.datetime.fromisoformat("1997-10-31T23:00:00-01:00"),
        ),
        (np.datetime64("1997-10-31"), np.datetime64("1997-11-01")),
        (57801601, 57888001),
        (57801601.0, "1997-11-01"),
    ],
    ids=["dates", "times", "date objects", "aware datetimes", "numpy", "numbers", "both"],
)
def test_a_day_is_the_same_in_every_form_of_time(hits, start, stop):
    assert after_midnight(hits.read("muon.hits", start, stop)) == [-86400, -2, -1]


def test_the_time_of_a_record_finds_the_record(hits):
    first = hits.read("muon.hits")["second"][0]
    assert after_midnight(hits.read("muon.hits", first, first + 1)) == [-86400]


@pytest.mark.parametrize(("start", "stop"), [("garbage", None), (None, "garbage"), ("2030-01-01", "garbage")])
def test_what_is_no_time_is_refused_wherever_it_stands(hits, start, stop):
    with pytest.raises(TimeError, match="'garbage' is not a time"):
        hits.read("muon.hits", start, stop)


def test_a_time_that_is_none_is_refused(hits):
    with pytest.raises(TimeError, match="is not a time"):
        hits.read("muon.hits", np.datetime64("NaT"))


def test_the_number_of_no_day_is_refused(hits):
    with pytest.raises(TimeError, match="is not the number of a day"):
        hits.read_day("muon.hits", 10**30)


def test_what_was_read_tells_in_a_line_what_it_is(hits):
    records = hits.read("muon.hits")
    assert repr(records) == f"<6 records of muon.hits, {records.times[0]} to {records.times[-1]}>"
    assert repr(hits.read("muon.hits", "2030-01-01")) == "<0 records of muon.hits; nearest days: 1997-11-01>"


def test_an_open_end_far_in_the_future_leaves_nothing_out(hits):
    assert len(hits.read("muon.hits", "1997-01-01", "9999-12-31")) == 6


def test_times_without_records_give_no_records_of_the_right_type(hits, muon):
    records = hits.read("muon.hits", "2005-01-01", "2006-01-01")
    assert len(records) == 0
    assert records.array.dtype == muon.hits.dtype
    assert records.data_type.name == "muon.hits"
    assert records.times.shape == (0,)


def test_an_unknown_type_is_refused_with_what_there_is(hits):
    with pytest.raises(UsageError, match=r"archive: the archive holds no 'muon\.hit'; did you mean 'muon\.hits'"):
        hits.read("muon.hit")


def test_what_an_archive_and_its_fields_are_is_said_in_a_line(hits):
    assert repr(hits) == f"<archive {hits.root.path}>"
    with pytest.raises(UsageError, match=r"muon\.hits has no field 'secnd'; did you mean 'second'\?"):
        hits.read("muon.hits").data_type.field("secnd")


def test_an_empty_archive_says_so(archive):
    with pytest.raises(UsageError, match=r"the archive holds no 'muon\.hits', nor anything else yet"):
        open_archive(archive.root.path).read("muon.hits")
    assert open_archive(str(archive.root.path)).types() == []


@pytest.mark.parametrize("name", ["nowhere", "a file"])
def test_where_no_archive_is_none_is_made(tmp_path, name):
    (tmp_path / "a file").write_text("")
    with pytest.raises(UsageError, match=r"no archive is here|this is a file"):
        open_archive(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a file"]


def test_reading_changes_nothing(hits, archive):
    def state():
        return {
            path: (path.stat().st_mtime_ns, path.stat().st_size)
            for path in archive.root.path.rglob("*")
            if path.is_file()
        }

    before = state()
    hits.read("muon.hits")
    assert state() == before


def test_a_day_file_that_is_gone_is_named(hits, archive):
    (archive.root.path / "muon/1997/11/muon.1997.11.01.hit.h5").unlink()
    assert after_midnight(hits.read("muon.hits", "1997-10-30", "1997-10-31")) == []
    with pytest.raises(StorageError, match=r"muon\.1997\.11\.01\.hit\.h5: this day file is missing"):
        hits.read("muon.hits")


def test_fields_keep_every_byte(archive, muon):
    row = {"second": muon.start, "energy": np.nan, "label": b"a\0b"}
    sent = muon.records("hits", [row])
    archive.drop("MuonHit.le.bin", muon.stream("hits", sent, "little"))
    archive.run()
    assert open_archive(archive.root.path).read("muon.hits").array.tobytes() == sent.tobytes()


def test_records_that_contended_for_a_slot_are_read_with_the_others(archive, muon):
    rows = [
        {"second": muon.start + second, "temperature": value} for second, value in ((0, 1), (256, 1), (0, 2), (5, 3))
    ]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    archive.run()
    records = open_archive(archive.root.path).read("muon.rates")
    found = list(zip((records["second"] - muon.start).tolist(), records["temperature"].tolist(), strict=True))
    assert found == [(0, 1), (0, 2), (5, 3), (256, 1)]


# Runs of the telescope: 0-10, 10-20, 100-90000, in seconds of the day; an end stamp is the last second that is valid.
@pytest.fixture
def runs(archive, muon):
    rows = [
        {"first": muon.start + first, "last": muon.start + last} for first, last in ((0, 10), (10, 20), (100, 90000))
    ]
    archive.drop("MuonRun.be.bin", muon.stream("runs", muon.records("runs", rows)))
    archive.run()
    return open_archive(archive.root.path)


@pytest.mark.parametrize(
    ("start", "stop", "found"),
    [
        (0, 1, [0]),
        (10, 11, [0, 10]),
        (11, 20, [10]),
        (20, 21, [10]),
        (21, 100, []),
        (21, 101, []),
        (21, 90001, [100]),
        (100, 101, [100]),
        (86400, 86401, [100]),
        (90000, 90001, [100]),
        (90001, None, []),
        (None, 10, []),
        (None, 11, [0]),
        (None, None, [0, 10, 100]),
    ],
)
def test_an_interval_is_found_by_every_second_at_which_it_is_valid(runs, muon, start, stop, found):
    first, last = (None if second is None else muon.start + second for second in (start, stop))
    assert (runs.read("muon.runs", first, last)["first"] - muon.start).tolist() == found


def test_an_interval_that_began_the_day_before_is_found_by_date(runs):
    assert len(runs.read("muon.runs", "1997-11-01", "1997-11-02")) == 1
    assert len(runs.read("muon.runs", "1997-11-02", "1997-11-03")) == 0


class School:
    """A plugin for records with keys: a source is its station and seconds, as text."""

    def __init__(self, school):
        self.school = school

    @hookimpl
    def data_types(self):
        return self.school.types.values()

    @hookimpl
    def decode(self, source):
        station, *seconds = source.content.decode().split()
        station = int(station) if station.isdigit() else station
        rows = [(int(second), 1.5, b"x", b"trace", None) for second in seconds]
        yield self.school.make_events(rows, station=station)
        yield self.school.make_errors([(int(seconds[0]), b"broken")], numbers=[0], station=station)


@pytest.fixture
def stations(archive, school, plugins_of):
    for name, content in (("a", b"501 5 1"), ("b", b"7 3 86399"), ("c", b"roof 4")):
        archive.drop(name, content)
    archive.run(plugins=plugins_of(school=School(school)))
    return open_archive(archive.root.path)


def test_records_of_all_keys_come_together_and_tell_their_keys(stations, school):
    records = stations.read("school.events")
    assert (records["timestamp"] - school.start).tolist() == [1, 3, 4, 5, 86399]
    assert [str(station) for station in records["station"]] == ["501", "7", "roof", "501", "7"]


@pytest.mark.parametrize(("station", "seconds"), [(501, [1, 5]), ("501", [1, 5]), ("roof", [4])])
def test_a_key_chooses_its_records(stations, school, station, seconds):
    records = stations.read("school.events", "2017-02-26", "2017-02-27", station=station)
    assert (records["timestamp"] - school.start).tolist() == seconds
    assert [str(told) for told in records.keys["station"]] == [str(station)] * len(seconds)


def test_a_key_that_no_record_has_is_refused_with_those_there_are(stations):
    with pytest.raises(UsageError, match=r"no station 8; stations: 7, 501, roof"):
        stations.read("school.events", "2017-02-26", "2017-02-27", station=8)
    assert len(stations.read("school.events", "2017-03-01", "2017-03-02", station=7)) == 0


def test_a_key_that_is_a_number_is_told_as_one(stations):
    assert stations.read("school.events", station=501)["station"].dtype.kind == "i"


def test_a_key_that_the_type_does_not_have_is_refused(stations):
    with pytest.raises(UsageError, match=r"statoin.*station"):
        stations.read("school.events", statoin=501)


def test_types_of_one_day_file_are_read_apart(stations):
    assert stations.types() == ["school.errors", "school.events"]
    assert len(stations.read("school.errors")) == 3


def test_a_data_frame_has_a_column_for_each_element_and_is_indexed_by_time(archive, muon):
    pytest.importorskip("pandas")
    rows = [{"second": muon.start + 256 * slot, "counts": [slot, 2, 3], "label": b"ab"} for slot in range(2)]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    archive.run()
    frame = open_archive(archive.root.path).read("muon.rates").to_pandas()
    names = ["quality", "second", "counts[0]", "counts[1]", "counts[2]", "temperature", "label"]
    assert list(frame.columns) == names
    assert frame.index.name == "time"
    assert frame.index.astype(str).tolist() == ["1997-10-31 00:00:00", "1997-10-31 00:04:16"]
    assert frame["counts[0]"].tolist() == [0, 1]


def test_keys_are_columns_of_a_data_frame(stations):
    pytest.importorskip("pandas")
    frame = stations.read("school.events", station=501).to_pandas()
    assert list(frame.columns)[:2] == ["station", "event_id"]
    assert frame["station"].tolist() == [501, 501]
    assert list(frame.columns)[-2:] == ["traces[0]", "traces[1]"]


def test_no_records_make_an_empty_data_frame_with_all_columns(hits):
    pytest.importorskip("pandas")
    frame = hits.read("muon.hits", "2005-01-01", "2006-01-01").to_pandas()
    assert list(frame.columns) == ["second", "energy", "channel", "label"]
    assert len(frame) == 0
