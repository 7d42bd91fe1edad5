"""Real queue files and uploads → day files as the datastore would have them."""

from __future__ import annotations

import base64
import json
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tables

from dayfile import open_archive
from dayfile_hisparc.pickles import read_upload

DAY_FILE = Path("2017/2/2017_2_26.h5")


@pytest.fixture
def queue(samples, archive_run, tmp_path):
    files = sorted((samples / "hisparc" / "queue").iterdir())
    options = ["--set", "hisparc.cutoff_year=2016", "--archive", "A", "--report", "report.json"]
    done = archive_run("--plugins", "hisparc", *options, *files)
    assert done.returncode == 0, done.stderr
    with tables.open_file(tmp_path / "A" / DAY_FILE) as file:
        yield files, file


def test_queue_files_make_one_day_file_with_the_station_s_tables(queue, tmp_path):
    _, file = queue
    assert [path.relative_to(tmp_path / "A") for path in (tmp_path / "A").rglob("*.h5")] == [DAY_FILE]
    assert file.root._v_title == ""
    assert file.root.hisparc._v_title == "HiSPARC data"
    cluster = file.root.hisparc.cluster_amsterdam
    assert cluster._v_title == "HiSPARC cluster Amsterdam data"
    assert cluster.station_99._v_title == "HiSPARC station 99 data"
    rows = {table.name: int(table.nrows) for table in cluster.station_99._f_iter_nodes("Table")}
    # The Python 2 and the Python 3 file hold the same event, which is stored once.
    assert rows == {"events": 1, "singles": 1, "weather": 1, "config": 1}
    assert cluster.station_99.blobs.nrows == 6
    counts = json.loads((tmp_path / "report.json").read_text())["records"]
    assert {name: (count["written"], count["identical"]) for name, count in counts.items()} == {
        "hisparc.config": (1, 0),
        "hisparc.events": (1, 1),
        "hisparc.singles": (1, 0),
        "hisparc.weather": (1, 0),
    }


def test_rows_and_blobs_are_what_was_sent(queue):
    files, file = queue
    station = file.root.hisparc.cluster_amsterdam.station_99
    sent = [event for path in files for event in read_upload(path.read_bytes(), where="").events]
    events = [event for event in sent if event["header"]["eventtype_uploadcode"] == "CIC"]
    assert station.events.col("event_id").tolist() == [1]
    assert len(events) == 2
    (row,) = station.events.read()
    for event in events:
        values = {value["data_uploadcode"]: value["data"] for value in event["datalist"]}
        assert row["timestamp"] == 1488093964
        assert row["nanoseconds"] == event["header"]["nanoseconds"] == 130245552
        assert row["ext_timestamp"] == 1488093964130245552
        assert row["pulseheights"].tolist() == [values[f"PH{number}"] for number in (1, 2, 3, 4)]
        for number in range(4):
            blob = station.blobs[row["traces"][number]]
            assert blob == base64.b64decode(values[f"TR{number + 1}"])
            assert zlib.decompress(blob).count(b",") > 10
    (single,) = station.singles.read()
    assert (single["mas_ch1_low"], single["mas_ch1_high"], single["slv_ch2_high"]) == (345, 98, 98)
    (weather,) = station.weather.read()
    assert (weather["uv"], weather["humidity_inside"], weather["wind_speed"]) == (-999, 25, -999)
    assert weather["barometer"] == np.float32(1004.365)
    (config,) = station.config.read()
    assert [station.blobs[config["mas_version"]], station.blobs[config["slv_version"]]] == [b"", b"Hardware: 0 FPGA: 0"]
    assert (config["mas_ch1_thres_low"], config["reduce_data"]) == (250, False)


def test_a_bare_upload_of_a_hundred_events_is_archived_under_the_station_that_was_set(samples, archive_run, tmp_path):
    upload = samples / "hisparc" / "uploads" / "py2_s510_100events"
    settings = ["hisparc.cutoff_year=2016", "hisparc.station=510", "hisparc.cluster=nikhef"]
    options = [word for setting in settings for word in ("--set", setting)]
    done = archive_run("--plugins", "hisparc", *options, "--archive", "B", upload, "--report", "r.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "r.json").read_text())
    assert {name: counts["written"] for name, counts in report["records"].items()} == {
        "hisparc.events": 36,
        "hisparc.singles": 64,
    }
    events = read_upload(upload.read_bytes(), where="").events
    traces = [
        base64.b64decode(value["data"])
        for event in events
        for value in event["datalist"]
        if value["data_uploadcode"].startswith("TR") and value["data_uploadcode"] != "TRIGPATTERN"
    ]
    with tables.open_file(tmp_path / "B" / DAY_FILE) as file:
        station = file.root.hisparc.cluster_nikhef.station_510
        assert station.blobs.read() == traces
        indexes = station.events.col("traces")
        assert sorted(indexes[indexes >= 0].tolist()) == list(range(len(traces)))


def test_an_event_before_the_cutoff_year_is_quarantined_and_nothing_else(samples, archive_run, tmp_path):
    upload = samples / "hisparc" / "uploads" / "suspicious_event"
    options = ["--set", "hisparc.station=99", "--set", "hisparc.cluster=amsterdam", "--archive", "S"]
    done = archive_run("--plugins", "hisparc", *options, upload)
    assert done.returncode == 3
    (reason,) = (tmp_path / "S" / "quarantine").glob("*/reason.json")
    told = json.loads(reason.read_text())
    assert "cutoff year" in told["message"]
    assert told["records"] == [0]


def test_the_half_second_of_an_event_has_it(queue, tmp_path):
    archive = open_archive(tmp_path / "A")
    (time,) = archive.read("hisparc.events").times
    second = time.astype("datetime64[s]")
    halves = [second, second + np.timedelta64(500, "ms"), second + np.timedelta64(1, "s")]
    found = [len(archive.read("hisparc.events", *span)) for span in pairwise(halves)]
    assert found == ([0, 1] if time >= halves[1] else [1, 0])
    assert len(archive.at("hisparc.events", time)) == 1
