"""Times of events to the nanosecond: ranges, order and moments, also where a station sent odd nanoseconds."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dayfile
from archives import run_archive
from dayfile_hisparc.pickles import write_upload

FIRST = dt.datetime(2024, 5, 1, 23, 59, 56)
EPOCH = dt.datetime(1970, 1, 1)
SECOND = 10**9
NANOSECONDS = [0, 1, 499_999_999, 500_000_000, 999_999_999, -1, SECOND, SECOND + 7, 2**32 - 1, 2**32]
"""Station software adds up to 9,000 without a carry; what is no nanosecond of a second was seen too."""


def event(number: int):
    """An event, or a message of a comparator, with nanoseconds of its own."""
    header = {
        "eventtype_uploadcode": "CIC" if number % 3 else "CMP",
        "datetime": FIRST + dt.timedelta(seconds=number * 7 % 11),
        "nanoseconds": NANOSECONDS[number % len(NANOSECONDS)],
    }
    values = [("PH1", number)] if number % 3 else [("CMP_DEVICE", number % 2)]
    return {"header": header, "datalist": [{"data_uploadcode": code, "data": value} for code, value in values]}


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> dayfile.Archive:
    """Events of two stations around a midnight, in no order."""
    directory = tmp_path_factory.mktemp("events")
    for number, station in enumerate((501, 502, 501)):
        events = [event(each) for each in range(number, 120, 3)]
        (directory / f"{number}").write_bytes(write_upload(station, "Amsterdam", events))
    made = dayfile.create_archive(tmp_path_factory.mktemp("archive"), plugins=["hisparc"])
    assert run_archive(made.root, made.plugins, directory).quarantine == []
    return dayfile.open_archive(made.root.path)


def expected_times(name: str) -> list[int]:
    """Whole times of what was sent, sorted."""
    kind = {"hisparc.events": "CIC", "hisparc.comparator": "CMP"}[name]
    headers = [event(each)["header"] for each in range(120)]
    return sorted(
        int((header["datetime"] - EPOCH).total_seconds()) * SECOND + header["nanoseconds"]
        for header in headers
        if header["eventtype_uploadcode"] == kind
    )


@pytest.mark.parametrize("name", ["hisparc.events", "hisparc.comparator"])
def test_records_are_in_order_of_their_whole_times(archive, name):
    times = archive.read(name).times
    assert times.dtype == "datetime64[ns]"
    assert times.astype(np.int64).tolist() == expected_times(name)


@given(st.sampled_from(["hisparc.events", "hisparc.comparator"]), st.data())
def test_a_range_has_what_a_filter_over_all_times_takes(archive, name, data):
    times = np.array(expected_times(name))
    bounds = st.one_of(
        st.sampled_from(times.tolist()).flatmap(lambda time: st.integers(time - 1, time + 1)),
        st.integers(int(times[0]) - SECOND, int(times[-1]) + SECOND),
    )
    start, stop = sorted(data.draw(st.tuples(bounds, bounds)))
    found = archive.read(name, np.datetime64(start, "ns"), np.datetime64(stop, "ns")).times.astype(np.int64)
    assert found.tolist() == times[(times == start) | (times > start) & (times < stop)].tolist()


@given(st.integers(0, 200))
def test_a_moment_finds_the_events_of_exactly_that_time(archive, number):
    times = np.array(expected_times("hisparc.events"))
    moment = times[number % len(times)]
    found = archive.at("hisparc.events", np.datetime64(int(moment), "ns")).times.astype(np.int64)
    assert found.tolist() == times[times == moment].tolist()


def test_half_a_second_has_what_lies_in_it(archive):
    found = archive.read("hisparc.events", "2024-05-01T23:59:58.5", "2024-05-01T23:59:59")
    whole = np.array(expected_times("hisparc.events"))
    start = int(np.datetime64("2024-05-01T23:59:58.5", "ns").astype(np.int64))
    assert len(found) == ((whole >= start) & (whole < start + SECOND // 2)).sum() > 0


def test_the_day_file_is_that_of_the_timestamp(archive):
    records = archive.read("hisparc.events")
    days = [str(place.path)[-len("2024_5_1.h5") :] for place in records.places]
    filed = np.array([days[int(origin)] for origin in records.origins])
    stamped = records["timestamp"].astype("datetime64[s]").astype("datetime64[D]")
    expected = ["2024_5_1.h5" if day == np.datetime64("2024-05-01") else "2024_5_2.h5" for day in stamped]
    assert filed.tolist() == expected
    assert (records.times.astype("datetime64[D]") != stamped).any()  # as nanoseconds may reach over midnight
