"""Each function of the datastore's modules has its call here: what the page says is run, and does what it says."""

from __future__ import annotations

import base64
import datetime as dt
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tables

import dayfile
import dayfile_hisparc.pickles
from archives import list_entries, rebuild_day
from dayfile.errors import SettingsError, UsageError

PAGE = Path(__file__).parents[2] / "docs" / "instruments" / "hisparc.md"
ROW = re.compile(r"^\| `(?:writer\.\w+)` \| `(\w+).*?\| `(.*)` \|$", re.MULTILINE)
CALLS = dict(ROW.findall(PAGE.read_text(encoding="utf-8")))
STATION, CLUSTER = 501, "Science Park"
GROUP = "/hisparc/cluster_science park/station_501"
DAY_FILE = "2024/5/2024_5_10.h5"
MOMENT = dt.datetime(2024, 5, 10, 12, 0, 1)
TRACE = zlib.compress(b"200,201,199")


def event(code="CIC", values=(), second=0):
    header = {"eventtype_uploadcode": code, "datetime": MOMENT + dt.timedelta(seconds=second), "nanoseconds": 5}
    return {"header": header, "datalist": [{"data_uploadcode": name, "data": value} for name, value in values]}


EVENTS = [
    event(values=[("PH1", 300), ("TR1", base64.b64encode(TRACE).decode())]),
    event("ERR", [("ERRMSG", "low voltage")], second=1),
    event("SIN", [("MAS_CH1_LOW", 7)], second=2),
]


@pytest.fixture
def archive(tmp_path):
    return dayfile.create_archive(tmp_path / "frome", plugins=["hisparc"], settings={"sources.keep": "always"})


def call(name, archive, **names):
    """Run the call of a row."""
    data_type = archive.plugins.data_types["hisparc.events"]
    known = {"archive": archive, "data_type": data_type, "pickle": pickle, "dayfile": dayfile}
    known |= {"dayfile_hisparc": dayfile_hisparc, "station_id": STATION, "cluster": CLUSTER}
    return eval(CALLS[name], known | names)  # noqa: S307 - it is our own page


def at(data_type, second=0):
    """A record of a type without what is left to the table, as a program would make it."""
    fields = [(field.name, field.base, field.array_shape) for field in data_type.fields if not field.counter]
    fields = [field for field in fields if field[0] not in data_type.blob_fields]
    record = np.zeros(1, fields)
    for name in record.dtype.names:
        record[name] = data_type.field(name).default
    record["timestamp"] = 1715342401 + second
    if "ext_timestamp" in record.dtype.names:
        record["ext_timestamp"] = (1715342401 + second) * 10**9
    return record


def test_every_function_of_the_three_modules_has_a_row():
    storage = {
        "open_or_create_file",
        "get_or_create_station_group",
        "get_or_create_cluster_group",
        "get_or_create_node",
    }
    others = {"store_event", "data_is_blob", "store_event_list", "writer", "process_data", "decode_object"}
    assert CALLS.keys() == storage | others | {"HisparcEvent", "eventtype_upload_codes"}


def test_store_event_list_is_one_line(archive):
    report = call("store_event_list", archive, event_list=EVENTS)
    assert {name: counts["written"] for name, counts in report.records.items()} == {
        "hisparc.errors": 1, "hisparc.events": 1, "hisparc.singles": 1,
    }  # fmt: skip
    assert (report.day_files, report.exit_code) == ([DAY_FILE], 0)
    with tables.open_file(archive.root.path / DAY_FILE) as file:
        assert file.get_node("/hisparc/cluster_science park")._v_title == "HiSPARC cluster Science Park data"
        assert [bytes(each) for each in file.get_node(f"{GROUP}/blobs")] == [TRACE, b"low voltage"]


def test_the_same_list_of_another_station_is_not_the_same_source(archive):
    call("store_event_list", archive, event_list=EVENTS)
    call("store_event_list", archive, event_list=EVENTS, station_id=502)
    again = call("store_event_list", archive, event_list=EVENTS, station_id=502)
    assert again.sources["already"] == 1
    assert archive.read("hisparc.events")["station"].tolist() == [501, 502]
    before = archive.read("hisparc.events")
    (archive.root.path / DAY_FILE).unlink()
    assert rebuild_day(archive.root, archive.plugins, archive.settings, DAY_FILE).exit_code == 0
    after = archive.read("hisparc.events")
    assert after.array.tobytes() == before.array.tobytes()
    assert after["station"].tolist() == [501, 502]


def test_store_event_and_process_data(archive, tmp_path):
    assert call("store_event", archive, event=EVENTS[0]).records["hisparc.events"]["written"] == 1
    file = tmp_path / "queue_file"
    file.write_bytes(pickle.dumps({"station_id": 7, "cluster": "Amsterdam", "event_list": EVENTS}))
    assert call("process_data", archive, file=file).records["hisparc.singles"]["written"] == 1
    assert archive.read("hisparc.singles")["station"].tolist() == [7]


def test_a_bad_event_costs_only_itself_and_is_in_the_report(archive):
    report = call("store_event_list", archive, event_list=[event("XXX"), EVENTS[0]])
    assert report.records["hisparc.events"]["written"] == 1
    assert "unknown event type 'XXX'" in report.quarantine[0].reason
    # What is in quarantine can be sent again by itself: it says its station.
    content = next((archive.root.path / report.quarantine[0].entry).glob("bytes-*"))
    assert "unknown event type" in archive.ingest(content).quarantine[0].reason


def test_a_key_that_no_plugin_takes_is_refused_and_nothing_archived(archive):
    with pytest.raises(UsageError, match="no plugin of this run takes the key 'statoin'; did you mean 'station'"):
        archive.ingest(pickle.dumps(EVENTS), statoin=501, cluster="a")
    with pytest.raises(SettingsError, match=r"hisparc\.station cannot be 'x'"):
        archive.ingest(pickle.dumps(EVENTS), station="x", cluster="a")
    assert list(archive.root.list_day_files()) == []


def test_files_can_be_given_with_keys(archive, tmp_path):
    (tmp_path / "upload").write_bytes(pickle.dumps(EVENTS))
    assert archive.ingest(tmp_path / "upload", station=9, cluster="Aarhus").records["hisparc.events"]["written"] == 1
    found = archive.read("hisparc.events")
    assert (found["station"].tolist(), found["cluster"].tolist()) == ([9], ["aarhus"])


@pytest.mark.parametrize(("code", "is_blob"), [("TR1", True), ("PH1", False), ("EVENTRATE", False)])
def test_data_is_blob(archive, code, is_blob):
    assert bool(call("data_is_blob", archive, uploadcode=code)) is is_blob


def test_open_or_create_file_opens_the_archive(archive):
    call("open_or_create_file", archive, data_dir=archive.root.path)
    assert archive.root.incoming.is_dir()


@pytest.mark.parametrize("name", ["get_or_create_cluster_group", "get_or_create_station_group"])
def test_groups_are_made_with_the_first_record(archive, name):
    records = at(archive.plugins.data_types["hisparc.singles"])
    assert call(name, archive, records=records).tolist() == [0]
    with tables.open_file(archive.root.path / DAY_FILE) as file:
        assert file.get_node(GROUP)._v_title == "HiSPARC station 501 data"
        assert file.get_node("/hisparc/cluster_science park")._v_title == "HiSPARC cluster Science Park data"


def test_get_or_create_node(archive):
    records = at(archive.plugins.data_types["hisparc.errors"])
    assert call("get_or_create_node", archive, records=records, messages=[b"low voltage"]).tolist() == [0]
    assert archive.read("hisparc.errors").blobs("messages", 0) == [b"low voltage"]


def test_tables_and_codes(archive):
    assert call("HisparcEvent", archive)["pulseheights"].shape == (4,)
    assert call("eventtype_upload_codes", archive)["PH"] == "pulseheights"


def test_decode_object(archive):
    content = pickle.dumps(EVENTS, protocol=2)
    assert call("decode_object", archive, content=content) == EVENTS


def test_writer(archive, tmp_path):
    (tmp_path / "config.ini").write_text(
        f"[General]\nlog=log\nloglevel=info\nstation_list=none\ndata_dir={archive.root.path}\n[Writer]\nsleep=1\n"
    )
    ready = tmp_path / "ready"
    ready.write_bytes(pickle.dumps({"station_id": 7, "cluster": "Amsterdam", "event_list": EVENTS}))
    ready.rename(archive.root.incoming / "queue_file")
    words = CALLS["writer"].split()
    words[0] = Path(sys.executable).with_name(words[0])
    with subprocess.Popen(words, cwd=tmp_path, env=os.environ | {"DAYFILE_WATCH__SETTLE": "0"}) as watch:
        for _ in range(600):
            if (archive.root.path / DAY_FILE).exists():
                break
            time.sleep(0.1)
        watch.send_signal(signal.SIGTERM)
        assert watch.wait(60) == 0
    assert archive.read("hisparc.events")["station"].tolist() == [7]


# ---- put, for every table


def test_records_of_every_table_are_put_read_back_and_rebuilt(archive):
    blobs_of = {}
    for data_type in archive.plugins.data_types.values():
        shapes = {name: (1, *data_type.field(name).array_shape) for name in data_type.blob_fields}
        blobs = {name: np.full(shape, name.encode(), object) for name, shape in shapes.items()}
        blobs_of[data_type.name] = blobs
        put = archive.put(data_type.name, at(data_type), station=STATION, cluster=CLUSTER, blobs=blobs)
        assert put.tolist() == [0]
    assert len(blobs_of) == 14
    with tables.open_file(archive.root.path / DAY_FILE) as file:
        before = [[bytes(each) for each in file.get_node(f"{GROUP}/blobs")]]
        before += [node[:].tobytes() for node in file.get_node(GROUP)._f_iter_nodes("Table")]
    (archive.root.path / DAY_FILE).unlink()
    assert rebuild_day(archive.root, archive.plugins, archive.settings, DAY_FILE).exit_code == 0
    with tables.open_file(archive.root.path / DAY_FILE) as file:
        after = [[bytes(each) for each in file.get_node(f"{GROUP}/blobs")]]
        after += [node[:].tobytes() for node in file.get_node(GROUP)._f_iter_nodes("Table")]
    assert after == before
    for name, blobs in blobs_of.items():
        found = archive.read(name)
        assert (found["station"].tolist(), found["cluster"].tolist()) == ([501], ["science park"])
        for field, values in blobs.items():
            assert found.all_blobs(field).tolist() == values.tolist()


def test_what_is_put_is_identical_to_what_a_station_uploads(archive):
    call("store_event_list", archive, event_list=EVENTS)
    found = archive.read("hisparc.events")
    again = archive.put("hisparc.events", found)
    assert again.tolist() == [3]


def test_times_of_records_that_are_put_must_agree_as_in_an_upload(archive):
    events = archive.plugins.data_types["hisparc.events"]
    records = np.concatenate([at(events), at(events), at(events), at(events)])
    records["nanoseconds"] = [5, 5, 0, 2**32 - 1]
    records["ext_timestamp"] += np.array([5, 6, 0, 2**33 - 1], np.uint64)  # the last one is too long for nanoseconds
    records["ext_timestamp"][2] = 1
    assert archive.put("hisparc.events", records, station=5, cluster="amsterdam").tolist() == [0, 4, 4, 0]
    (entry,) = list_entries(archive.root)
    wrong = "ext_timestamp is 1715342401000000006, which contradicts timestamp 1715342401 and nanoseconds 5"
    assert wrong in entry.reason["message"]
    times = archive.read("hisparc.events")
    assert times["ext_timestamp"].tolist() == [1715342401000000005, 1715342401 * 10**9 + 2**33 - 1]


def test_keys_of_the_wrong_kind_are_refused_and_nothing_is_put(archive):
    singles = archive.plugins.data_types["hisparc.singles"]
    for keys, message in (
        ({"station": "abc", "cluster": "a"}, "station is the number of a station, not 'abc'"),
        ({"station": -1, "cluster": "a"}, "station is the number of a station, not -1"),
        ({"station": 5, "cluster": 7}, "cluster is the name of a cluster, not 7"),
        ({"station": 5, "cluster": "a", "xyz": 1}, "no key 'xyz'; one of cluster, station$"),
    ):
        with pytest.raises(UsageError, match=message):
            archive.put("hisparc.singles", at(singles), **keys)
    assert list(archive.root.list_day_files()) == []


def test_the_cluster_may_be_given_as_it_is_in_paths_or_as_it_is_written(archive):
    singles = archive.plugins.data_types["hisparc.singles"]
    assert archive.put("hisparc.singles", at(singles), station=5, cluster="Science Park").tolist() == [0]
    assert archive.put("hisparc.singles", at(singles), station=5, cluster="science park").tolist() == [3]
    with pytest.raises(UsageError, match=r'need keys: put\("hisparc.singles", records, cluster=…\)'):
        archive.put("hisparc.singles", at(singles), station=5)
