"""Records and traces of stations, read back in Python."""

from __future__ import annotations

import base64
import datetime as dt
import zlib

import numpy as np
import pytest

import dayfile
from archives import run_archive
from dayfile.errors import UsageError
from dayfile_hisparc.pickles import write_upload
from dayfile_hisparc.traces import read_traces

FIRST_DAY = dt.datetime(2024, 5, 1, 23, 59, 50)
COUNTS = ([203, 204, 1250, 4095], [201, 200, 199], [0, 1, 2, 3, 4], [200] * 900)


def stream(counts, end=b"") -> bytes:
    return zlib.compress(",".join(map(str, counts)).encode() + end)


def shower(second: int, *blobs: bytes):
    """An event of a station with one detector for each blob."""
    header = {
        "eventtype_uploadcode": "CIC",
        "datetime": FIRST_DAY + dt.timedelta(seconds=second),
        "nanoseconds": second,
    }
    values = [(f"TR{number}", base64.b64encode(blob).decode()) for number, blob in enumerate(blobs, 1)]
    return {"header": header, "datalist": [{"data_uploadcode": code, "data": value} for code, value in values]}


def message(second: int, text: str):
    header = {
        "eventtype_uploadcode": "ERR",
        "datetime": FIRST_DAY + dt.timedelta(seconds=second),
        "nanoseconds": 0,
    }
    return {"header": header, "datalist": [{"data_uploadcode": "ERRMSG", "data": text}]}


@pytest.fixture(scope="module")
def archived(tmp_path_factory):
    """Give a function that archives uploads, a list of (station, events), and opens the archive."""

    def archive(*uploads) -> dayfile.Archive:
        directory = tmp_path_factory.mktemp("uploads")
        for number, (station, events) in enumerate(uploads):
            (directory / f"{number:03d}").write_bytes(write_upload(station, "Amsterdam", events))
        made = dayfile.create_archive(tmp_path_factory.mktemp("archive"), plugins=["hisparc"])
        assert not run_archive(made.root, made.plugins, directory).quarantine
        return dayfile.open_archive(made.root.path)

    return archive


@pytest.fixture(scope="module")
def archive(archived) -> dayfile.Archive:
    """Two stations over midnight; neither uploads nor events within them are in time order."""
    four = [stream(counts) for counts in COUNTS]
    return archived(
        (501, [shower(second, *four) for second in (15, 12)]),
        (510, [shower(second, *four[:2]) for second in (3, 14, 1)]),
        (501, [shower(2, *four), message(4, "GPS: no satellites in view"), shower(0, *four)]),
    )


def arrays(found) -> list[list[int] | None]:
    return [None if counts is None else counts.tolist() for counts in found]


def test_events_of_one_station_are_read_in_time_order_from_all_days(archive):
    records = archive.read("hisparc.events", "2024-05-01", "2024-05-03", station=501)
    assert records["nanoseconds"].tolist() == [0, 2, 12, 15]
    assert records["station"].tolist() == [501] * 4
    assert len(set(np.asarray(records.origins))) == 2
    assert str(records.times[0]).startswith("2024-05-01T23:59:50")


def test_events_of_all_stations_are_read_in_time_order_with_their_station(archive):
    records = archive.read("hisparc.events")
    assert records["nanoseconds"].tolist() == [0, 1, 2, 3, 12, 14, 15]
    assert records["station"].tolist() == [501, 510, 501, 510, 501, 510, 501]
    assert set(records["cluster"]) == {"amsterdam"}


def test_each_event_has_its_own_traces_whichever_day_file_they_are_in(archive):
    records = archive.read("hisparc.events")
    for row, station in enumerate(records["station"]):
        expected = COUNTS if station == 501 else [*COUNTS[:2], None, None]
        assert arrays(read_traces(records, row)) == [None if counts is None else list(counts) for counts in expected]


def test_a_time_range_ends_before_its_second_time(archive):
    records = archive.read("hisparc.events", "2024-05-01T23:59:51", "2024-05-02T00:00:04")
    assert records["nanoseconds"].tolist() == [1, 2, 3, 12]
    assert len(archive.read("hisparc.events", "2024-05-02", station=510)) == 1


def test_a_trace_is_an_array_of_adc_counts(archive):
    records = archive.read("hisparc.events", station=510)
    first, second, third, fourth = read_traces(records, 0)
    assert (first.shape, second.shape) == ((4,), (3,))
    assert first.dtype == second.dtype == np.int32
    assert third is None
    assert fourth is None


def test_messages_are_read_as_bytes(archive):
    records = archive.read("hisparc.errors", station=501)
    assert records.blobs("messages", 0) == [b"GPS: no satellites in view"]


def test_a_field_without_blobs_is_said_to_have_none(archive):
    with pytest.raises(UsageError, match=r"'pulseheights' holds no blobs; these do: traces"):
        archive.read("hisparc.events").blobs("pulseheights", 0)


def test_a_comma_at_the_end_adds_no_sample(archived):
    blobs = [stream(COUNTS[0], end=b","), stream(COUNTS[1], end=b",")]
    records = archived((510, [shower(0, *blobs)])).read("hisparc.events")
    assert arrays(read_traces(records, 0)) == [COUNTS[0], COUNTS[1], None, None]
    assert records.blobs("traces", 0) == [*blobs, None, None]


def test_a_stream_that_inflates_only_without_its_first_and_last_byte_is_read(archived):
    wrapped = b"\x00" + stream(COUNTS[0]) + b"\xff"
    records = archived((510, [shower(0, wrapped, stream(COUNTS[1]))])).read("hisparc.events")
    assert arrays(read_traces(records, 0)) == [COUNTS[0], COUNTS[1], None, None]


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (stream(COUNTS[3])[:-6], "the trace does not inflate"),
        (stream(COUNTS[0])[:10] + b"\x00\x00" + stream(COUNTS[0])[12:], "the trace does not inflate"),
        (b"", "the trace does not inflate"),
        (b"203,204,1250", "the trace does not inflate"),
        (zlib.compress(b"0" * 2**21), "the trace inflates to more than"),
        (zlib.compress(b"203,,204"), "the trace is not a list of integers"),
        (zlib.compress(b"203,x,204"), "the trace is not a list of integers"),
        (zlib.compress(b""), "the trace is not a list of integers"),
    ],
    ids=["cut off", "other bytes", "empty", "not deflated", "a bomb", "empty item", "no number", "no items"],
)
def test_a_damaged_trace_is_kept_as_sent_and_said_to_be_damaged(damaged, message, archived):
    records = archived((510, [shower(0, stream(COUNTS[0]), damaged)])).read("hisparc.events")
    assert records.blobs("traces", 0)[1] == damaged
    with pytest.raises(ValueError, match=message):
        read_traces(records, 0)
