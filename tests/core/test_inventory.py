"""What an archive has is answered by its catalogue: types, keys, days, coverage, gaps, and no record is read for it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dayfile import hookimpl, open_archive
from dayfile.errors import TimeError, UsageError

DAY = 86400


class School:
    """Detectors on school roofs: a line names a station and the seconds since 2017-02-26 of its events."""

    def __init__(self, school):
        self.school = school

    @hookimpl
    def data_types(self):
        return list(self.school.types.values())

    @hookimpl
    def decode(self, source):
        for line in source.content.decode().splitlines():
            station, *seconds = line.split()
            rows = [(int(second), 1.5, b"x", None, None) for second in seconds]
            yield self.school.make_events(rows, station=int(station) if station.isdigit() else station)


@pytest.fixture
def fill(archive, school, plugins_of):
    """Archive events of stations, given by station: seconds since the beginning of 2017-02-26."""

    def call(**seconds):
        lines = [" ".join(map(str, [name.removeprefix("s"), *each])) for name, each in seconds.items()]
        archive.drop("lines", "\n".join(lines).encode())
        report = archive.run(plugins=plugins_of(school=School(school)))
        assert report.records["school.events"]["written"] == sum(map(len, seconds.values()))
        return open_archive(archive.root.path)

    return call


@pytest.fixture
def stations(fill):
    """Two days of station 7, with an hour missing and a day between; a single event of 501; one of the roof."""
    hours = [hour for hour in range(24) if hour != 5]
    return fill(
        s7=[3600 * hour + 60 for hour in hours] + [2 * DAY + 10, 2 * DAY + 20, 2 * DAY + 7200],
        s501=[DAY + 30],
        roof=[0],
    )


def test_keys_are_the_values_of_the_placeholders_as_read_takes_them(stations):
    keys = stations.keys("school.events")
    assert keys == [{"station": 7}, {"station": 501}, {"station": "roof"}]
    assert [len(stations.read("school.events", **key)) for key in keys] == [26, 1, 1]
    assert [(total.days, total.records) for total in stations.totals("school.events")] == [(2, 26), (1, 1), (1, 1)]


def test_a_type_without_keys_has_one_empty_key(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2, 3))
    archive.run()
    opened = open_archive(archive.root.path)
    assert opened.keys("muon.hits") == [{}]
    assert opened.totals("muon.hits")[0].records == 3
    with pytest.raises(UsageError, match=r"muon\.hits has no key 'station'; it has no keys"):
        opened.days("muon.hits", station=1)


def test_days_are_those_with_records_of_all_keys_or_of_one(stations):
    assert stations.days("school.events").astype(str).tolist() == ["2017-02-26", "2017-02-27", "2017-02-28"]
    assert stations.days("school.events", station=501).astype(str).tolist() == ["2017-02-27"]
    assert stations.days("school.events").dtype == "datetime64[D]"


@pytest.mark.parametrize("ask", ["days", "coverage", "gaps", "read"])
def test_an_unknown_key_is_an_error_that_names_those_there_are(stations, ask):
    with pytest.raises(UsageError, match=r"no station 999; stations: 7, 501, roof"):
        getattr(stations, ask)("school.events", station=999)
    with pytest.raises(UsageError, match=r"school\.events has no key 'statoin'.*station"):
        getattr(stations, ask)("school.events", statoin=7)
    with pytest.raises(UsageError, match=r"the archive holds no 'school.event'; did you mean 'school.events'"):
        getattr(stations, ask)("school.event")


def test_coverage_has_a_row_for_each_day_also_for_those_without_records(stations):
    table = stations.coverage("school.events", station=7)
    assert table["time"].astype("datetime64[D]").astype(str).tolist() == ["2017-02-26", "2017-02-27", "2017-02-28"]
    assert table.dtype["time"] == "datetime64[ns]"
    assert table["records"].tolist() == [23, 0, 3]
    assert table["hours"].tolist() == [23, 0, 2]


def test_hours_with_records_of_several_keys_count_once(stations):
    table = stations.coverage("school.events")
    assert table["records"].tolist() == [24, 1, 3]
    assert table["hours"].tolist() == [23, 1, 2]


def test_coverage_counts_each_key_by_itself_if_asked(stations):
    table = stations.coverage("school.events", "2017-02-27", "2017-03-01", per_key=True)
    assert table.dtype.names == ("time", "station", "records", "hours")
    assert table["station"].tolist() == ["7", "7", "501", "501", "roof", "roof"]
    assert table["records"].tolist() == [0, 3, 1, 0, 0, 0]
    numbers = stations.coverage("school.events", station=7, per_key=True)
    assert numbers["station"].dtype.kind == "i"


@pytest.mark.parametrize("by", ["hour", "day", "month", "year"])
@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (None, None),
        ("2017-02-26T05:30", "2017-02-28T02:00:01"),
        ("2017-02-27", "2017-02-28"),
        ("2016-12-31T23:00", "2017-04-01"),
        ("2018-01-01", "2018-01-02"),
    ],
)
def test_coverage_is_what_counting_the_records_gives(stations, by, start, stop):
    unit = {"hour": "h", "day": "D", "month": "M", "year": "Y"}[by]
    table = stations.coverage("school.events", start, stop, by=by)
    periods = table["time"].astype(f"datetime64[{unit}]")
    times = stations.read("school.events").times
    assert table["records"].tolist() == [(times.astype(periods.dtype) == period).sum() for period in periods]
    hours = np.unique(times.astype("datetime64[h]"))
    assert table["hours"].tolist() == [(hours.astype(periods.dtype) == period).sum() for period in periods]
    assert (np.diff(periods) == 1).all()
    if start is not None:
        assert periods[0] == np.datetime64(start, unit)
        assert periods[-1] < np.datetime64(stop, "ns") <= (periods[-1] + 1).astype("datetime64[ns]")


def test_a_leap_second_counts_in_the_hour_that_it_ends(archive, muon):
    """The telescope's clock counts leap seconds: 1998-12-31 has 86,401 of them."""
    last = int(muon.hits.clock.day_start(np.datetime64("1999-01-01"))) - 1
    rows = muon.records("hits", [{"second": last}])
    archive.drop("MuonHit.be.bin", muon.stream("hits", rows))
    archive.run()
    opened = open_archive(archive.root.path)
    table = opened.coverage("muon.hits", "1998-12-31", "1999-01-01", by="hour")
    assert table["records"].tolist() == [0] * 23 + [1]


def test_numbers_of_the_clock_are_times_too(stations, school):
    table = stations.coverage("school.events", school.start + DAY, school.start + 2 * DAY)
    assert table["records"].tolist() == [1]


def test_a_range_backwards_and_an_unknown_period_are_refused(stations):
    with pytest.raises(TimeError, match="2017-02-26 is before 2017-02-27"):
        stations.coverage("school.events", "2017-02-27", "2017-02-26")
    with pytest.raises(UsageError, match="'dya'; did you mean 'day'"):
        stations.coverage("school.events", by="dya")


def test_gaps_begin_and_end_at_records_where_these_are_the_first_or_last_of_a_day(stations):
    gaps = stations.gaps("school.events", "2017-02-25", "2017-03-01", station=7)
    found = [(str(gap["start"])[:19], str(gap["stop"])[:19]) for gap in gaps]
    assert found == [
        ("2017-02-25T00:00:00", "2017-02-26T00:01:00"),
        ("2017-02-26T05:00:00", "2017-02-26T06:00:00"),
        ("2017-02-26T23:01:00", "2017-02-28T00:00:10"),
        ("2017-02-28T01:00:00", "2017-02-28T02:00:00"),
        ("2017-02-28T02:00:00", "2017-03-01T00:00:00"),
    ]


def test_shorter_gaps_are_left_out(stations):
    def count(length, **keys):
        return len(stations.gaps("school.events", longer_than=length, **keys))

    assert [count(length, station=7) for length in ("1 h", "61 min", "1 d", "2 d")] == [3, 1, 1, 0]
    assert [count(length) for length in ("1 h", "61 min", "1 d")] == [3, 1, 0], "the event of 501 is between"
    with pytest.raises(UsageError, match="the catalogue counts by the hour, so gaps of 59 min cannot be found in it"):
        count("59 min")


def test_periodic_records_that_are_hours_apart_leave_no_gap(archive, plugins_of, muon):
    from dayfile import Instrument

    slow = Instrument(muon.layout.replace("period: 256", "period: 14400"), "muon.yaml")
    rows = [{"second": muon.start + 14400 * slot} for slot in (0, 1, 2, 5)]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    archive.run(plugins=plugins_of(muon=slow))
    (gap,) = open_archive(archive.root.path).gaps("muon.rates")
    assert (gap["stop"] - gap["start"]).astype("timedelta64[h]").astype(int) in (11, 12)


def test_an_interval_fills_the_time_up_to_its_end(archive, muon):
    rows = [
        {"first": muon.start, "last": muon.start + 3 * DAY},
        {"first": muon.start + DAY, "last": muon.start + DAY},
        {"first": muon.start + 4 * DAY, "last": muon.start + 4 * DAY},
    ]
    archive.drop("MuonRun.be.bin", muon.stream("runs", muon.records("runs", rows)))
    archive.run()
    (gap,) = open_archive(archive.root.path).gaps("muon.runs", "1997-11-01")
    assert [str(gap[name])[:19] for name in ("start", "stop")] == ["1997-11-03T00:00:00", "1997-11-04T00:00:00"]


def test_a_description_says_what_the_day_files_say_without_any_plugin(stations, monkeypatch):
    monkeypatch.setattr("dayfile.discovery.load", None)
    found = open_archive(stations.root.path).describe("school.events")
    assert (found.name, found.days, found.records, len(found.keys)) == ("school.events", 3, 28, 3)
    assert [field.name for field in found.fields] == ["event_id", "timestamp", "height", "label", "traces"]
    assert found.dtype == found.data_type.dtype
    lines = str(found).splitlines()
    assert lines[0] == "school.events: Events"
    assert lines[1] == "28 records on 3 days, 2017-02-26T00:00:00 to 2017-02-28T02:00:00"
    assert lines[2] == "station: 7, 501, roof"
    assert lines[5].split() == ["timestamp", "time32", "s"]


def test_the_main_key_is_that_of_the_layout_and_stays_with_the_day_file(archive, school, plugins_of):
    from dayfile import Instrument

    text = school.layout.replace("node: /school", "main_key: station\nnode: /school", 1)
    types = {data_type.type: data_type for data_type in Instrument(text, "school.yaml").layout.types}

    class Named(School):
        @hookimpl
        def data_types(self):
            return list(types.values())

    archive.drop("lines", b"7 1 2")
    archive.run(plugins=plugins_of(school=Named(school)))
    assert open_archive(archive.root.path).describe("school.events").main_key == "station"


# ---- In a terminal


@pytest.fixture
def show(stations, command):
    """Run a command on the archive of the stations: the lines that it prints."""

    def call(*words, code=0):
        done = command("dayfile", *words)
        assert done.code == code, done.err
        lines = (done.out or done.err).splitlines()
        assert all(len(line) <= 80 for line in lines if not code)
        return lines

    return call


def test_ls_lists_each_value_of_a_key(show):
    lines = show("ls", "--by", "station")
    assert lines[0] == "school.events"
    assert lines[2].split() == ["7", "2", "26", "2017-02-26T00:01:00Z", "2017-02-28T02:00:00Z"]
    assert [line.split()[0] for line in lines[2:]] == ["7", "501", "roof"]
    assert json.loads("".join(show("ls", "--by", "station", "--json")))[1]["station"] == 501
    assert "no data type has the key 'statoin'; did you mean 'station'?" in show("ls", "--by", "statoin", code=2)[0]


def test_coverage_is_a_calendar_that_is_read_without_colour(show):
    head, month, legend = show("coverage", "school.events", "--key", "7")
    assert head.split() == ["1", "8", "15", "22", "29", "days", "records"]
    assert month[9:40] == " " * 25 + "+.-" + " " * 3
    assert month.split()[0] == "2017-02"
    assert month.split()[-2:] == ["2/3", "26"]
    assert legend == "# all 24 hours have records   + 12 to 23   - 1 to 11   . none"
    assert head.index("22") == month.index("+") - 4, "the 26th is four days after the 22nd"


def test_coverage_of_years_is_a_line_each(show):
    head, *years, legend = show(
        "coverage", "school.events", "--from", "2016-11-01", "--to", "2018-01-01", "--by", "month"
    )
    assert [year.split()[0] for year in years] == ["2016", "2017"]
    assert years[1].split()[1:] == [".", "4", *["."] * 10, "28"]
    assert head.index("2") < years[1].index("4", 4) + 1
    assert "percent of the hours" in legend
    rows = json.loads("".join(show("coverage", "school.events", "--by", "month", "--json")))
    assert rows == [{"time": "2017-02-01", "records": 28, "hours": 26}]


def test_gaps_are_listed_with_their_length(show):
    lines = show("gaps", "school.events", "--key", "station=7", "--longer-than", "2 h")
    assert lines == ["2017-02-26T23:01:00Z  2017-02-28T00:00:10Z     1 d 00:59", "1 gap"]
    (gap,) = json.loads("".join(show("gaps", "school.events", "--key", "7", "--longer-than", "2 h", "--json")))
    assert gap == {"start": "2017-02-26T23:01:00Z", "stop": "2017-02-28T00:00:10Z"}
    assert "stations: 7, 501, roof" in show("gaps", "school.events", "--key", "999", code=2)[0]
