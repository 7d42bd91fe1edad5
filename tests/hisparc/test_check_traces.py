"""The setting hisparc.check_traces: whether traces are inflated and parsed, and what becomes of their events."""

from __future__ import annotations

import base64
import datetime as dt
import json
import tracemalloc
import zlib

import pytest
import tables

from dayfile import Batch, Rejected, Remark
from dayfile.errors import SourceError
from dayfile_hisparc import instrument
from dayfile_hisparc.events import Dates, decode_events
from dayfile_hisparc.pickles import Upload, read_upload, write_upload

TYPES = instrument.layout.by_code()
GOOD = [zlib.compress(b"203,204,1250"), zlib.compress(b"201,202,")]
BAD = [zlib.compress(b"203,204,1250"), zlib.compress(b"201,202")[:-3]]
REASON = "a trace does not inflate and parse"


def event(second: int, blobs=(), code="CIC", **values):
    header = {
        "eventtype_uploadcode": code,
        "datetime": dt.datetime(2024, 5, 10, 12, 0, second),
        "nanoseconds": 0,
    }
    sent = values | {f"TR{number}": base64.b64encode(blob).decode() for number, blob in enumerate(blobs, 1)}
    return {"header": header, "datalist": [{"data_uploadcode": key, "data": value} for key, value in sent.items()]}


# Messages hold texts, which no check looks at; showers without traces have none to check.
EVENTS = [
    event(0, GOOD, PH1=100),
    event(1, code="ERR", ERRMSG="no zlib stream"),
    event(2, BAD, PH1=102),
    event(3, PH1=103),
    event(4, BAD[::-1], PH1=104),
    event(5, GOOD, PH1=105),
]


def decoded(how: str):
    items = list(decode_events(Upload(501, "Amsterdam", EVENTS), TYPES, Dates(), "upload", how))
    return tuple([item for item in items if isinstance(item, kind)] for kind in (Batch, Rejected, Remark))


def seconds(batches, code="CIC") -> list[int]:
    (batch,) = (batch for batch in batches if batch.code == code)
    return (batch.records["timestamp"] % 60).tolist()


def test_off_archives_every_trace_as_it_came_and_says_nothing():
    batches, rejected, remarks = decoded("off")
    assert seconds(batches) == [0, 2, 3, 4, 5]
    assert (rejected, remarks) == ([], [])


def test_warn_archives_the_same_and_tells_which_events_have_bad_traces():
    batches, rejected, (remark,) = decoded("warn")
    plain, _, _ = decoded("off")
    for batch, other in zip(batches, plain, strict=True):
        assert batch.records.tobytes() == other.records.tobytes()
        assert batch.blobs.values == other.blobs.values
    assert rejected == []
    assert remark == Remark("hisparc", "CIC", REASON, (2, 4))


def test_quarantine_takes_those_events_out_and_leaves_the_others_with_their_own_traces():
    batches, (rejected,), remarks = decoded("quarantine")
    assert remarks == []
    assert seconds(batches) == [0, 3, 5]
    assert seconds(batches, "ERR") == [1]
    (batch,) = (batch for batch in batches if batch.code == "CIC")
    assert batch.records["traces"].tolist() == [[0, 1, -1, -1], [-1] * 4, [2, 3, -1, -1]]
    assert batch.blobs.values == GOOD * 2
    assert (rejected.code, rejected.numbers) == ("CIC", (2, 4))
    assert rejected.reason.startswith(f"{REASON} (hisparc.check_traces)")
    assert "--set hisparc.check_traces=warn" in rejected.reason
    kept = read_upload(rejected.content, where="")
    assert (kept.station, kept.cluster, kept.events) == (501, "Amsterdam", [EVENTS[2], EVENTS[4]])


def test_quarantine_of_every_event_leaves_no_batch():
    upload = Upload(501, "Amsterdam", [EVENTS[2]])
    (rejected,) = decode_events(upload, TYPES, Dates(), "upload", "quarantine")
    assert isinstance(rejected, Rejected)


@pytest.fixture
def run(archive_run, tmp_path):
    """Archive the upload with a setting of check_traces: what the command says, and its report."""
    (tmp_path / "upload").write_bytes(write_upload(501, "Amsterdam", EVENTS))

    def archive(*how: str):
        settings = [word for value in how for word in ("--set", f"hisparc.check_traces={value}")]
        done = archive_run("--plugins", "hisparc", *settings, "--archive", "A", "--report", "r.json", "upload")
        report = json.loads((tmp_path / "r.json").read_text()) if done.returncode in (0, 3) else {}
        return done, report

    return archive


def rows(tmp_path) -> tuple[list[int], int]:
    with tables.open_file(tmp_path / "A" / "2024" / "5" / "2024_5_10.h5") as file:
        station = file.root.hisparc.cluster_amsterdam.station_501
        return (station.events.col("timestamp") % 60).tolist(), int(station.blobs.nrows)


@pytest.mark.parametrize("how", [(), ("off",)], ids=["by default", "off"])
def test_the_command_checks_no_trace_unless_told(how, run, tmp_path):
    done, _ = run(*how)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert rows(tmp_path) == ([0, 2, 3, 4, 5], 9)


def test_the_command_warns_with_a_count_and_archives(run, tmp_path):
    done, report = run("warn")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"dayfile: hisparc: {REASON} (2 records)\n"
    assert report["remarks"] == {f"hisparc: {REASON}": 2}
    assert report["records"]["hisparc.events"]["written"] == 5
    assert rows(tmp_path) == ([0, 2, 3, 4, 5], 9)


def test_the_command_puts_those_events_and_no_others_into_quarantine(run, tmp_path):
    done, report = run("quarantine")
    assert done.returncode == 3
    assert f"{REASON} (hisparc.check_traces)" in done.stderr
    assert "(2 records)" in done.stderr
    assert report["records"]["hisparc.events"] | {"overlap": 0} == {
        "written": 3,
        "identical": 0,
        "overlap": 0,
        "rejected": 2,
    }
    assert rows(tmp_path) == ([0, 3, 5], 5)
    (reason,) = (tmp_path / "A" / "quarantine").glob("*/reason.json")
    assert json.loads(reason.read_text())["records"] == [2, 4]


def test_what_was_in_quarantine_for_its_traces_can_be_archived_with_the_check_off(run, archive_run, tmp_path):
    run("quarantine")
    assert archive_run("quarantine", "requeue", "--all", "--archive", "A", command="dayfile").returncode == 0
    done = archive_run("--plugins", "hisparc", "--archive", "A")
    assert done.returncode == 0, done.stderr
    found, blobs = rows(tmp_path)
    assert (sorted(found), blobs) == ([0, 2, 3, 4, 5], 9)


def test_another_word_for_it_is_refused(run):
    done, _ = run("sometimes")
    assert done.returncode == 2
    assert "hisparc.check_traces cannot be 'sometimes'" in done.stderr


# ---- Traces that inflate to much more than they are


def bombs(number: int, megabytes: int = 1):
    """Traces of about a kilobyte each, all different, that inflate to nearly so many megabytes of integers."""
    return [zlib.compress(b"%d" % (1000 + place) + b",1" * (megabytes * 2**19 - 9)) for place in range(number)]


@pytest.mark.parametrize("how", ["warn", "quarantine"])
def test_traces_that_inflate_to_more_than_all_of_a_station_can_are_refused(how):
    most = 4 * 2**20
    events = [event(0, [bomb] * 4, PH1=1) for bomb in bombs(5)]
    batch, *_ = decode_events(Upload(501, "Amsterdam", events[:4]), TYPES, Dates(), "upload", how, most_inflated=most)
    assert len(batch) == 4
    with pytest.raises(SourceError, match=r"the traces inflate to more than 4 MB.*hisparc.check_traces=off"):
        list(decode_events(Upload(501, "Amsterdam", events), TYPES, Dates(), "upload", how, most_inflated=most))


def test_a_trace_that_inflates_to_more_than_a_megabyte_is_bad_and_inflated_no_further():
    upload = Upload(501, "Amsterdam", [event(0, bombs(1, 64), PH1=1), event(1, GOOD, PH1=2)])
    tracemalloc.start()
    remark, batch = decode_events(upload, TYPES, Dates(), "upload", "warn")
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()
    assert (len(batch), remark.numbers) == (2, (0,))


def test_a_trace_that_many_events_share_is_inflated_once():
    (bomb,) = bombs(1)
    upload = Upload(501, "Amsterdam", [event(second, [bomb] * 4, PH1=1) for second in range(60)] * 10)
    (batch,) = decode_events(upload, TYPES, Dates(), "upload", "quarantine")
    assert len(batch) == 600
