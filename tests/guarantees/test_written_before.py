"""Day files that an earlier version wrote are read, checked, extended, listed again and rebuilt."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import tables

import dayfile
from dayfile import Status

BEFORE = Path(__file__).parents[1] / "data" / "written_before"
RUNS = json.loads((BEFORE / "runs.json").read_text())
TYPES = [
    "cris.browse_parameters",
    "cris.events",
    "cris.hskp",
    "hisparc.config",
    "hisparc.events",
    "hisparc.singles",
    "sis.browse_parameters",
    "sis.high_priority_rates",
]


@pytest.fixture
def before(tmp_path):
    """The archive as the earlier version left it; ``later`` beside it are sources for a second run."""
    with tarfile.open(BEFORE / "archive.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    return tmp_path / "archive"


def assert_holds(archive, name, *, rebuilt=False):
    """The archive holds the records, and the blobs, that the earlier version read from it after a run.

    Where it was rebuilt, all sources came in one run: then counters of rows and indexes of blobs follow another order.
    """
    opened = dayfile.open_archive(archive)
    assert opened.types() == TYPES
    with np.load(BEFORE / f"{name}.npz") as expected:
        for data_type in TYPES:
            records = opened.read(data_type)
            told = records.data_type
            for field in told.blob_fields:
                blobs = repr(records.all_blobs(field).tolist()).encode()
                assert hashlib.sha256(blobs).hexdigest() == RUNS[f"{name}_blobs"][f"{data_type} {field}"]
            before = expected[data_type]
            assert records.array.dtype == before.dtype
            for field in told.counters + told.blob_fields if rebuilt else ():
                records[field][:] = before[field][:] = 0
            assert records.array.tobytes() == before.tobytes()


def reported(command, *words):
    """What a run reports of sources and records."""
    done = command("dayfile", "run", *words, "--set", "sources.keep=always", "--report", "report.json")
    assert done.code == 0, done.err
    report = json.loads(Path("report.json").read_text())
    return {word: report[word] for word in ("sources", "records")}


def test_records_and_blobs_are_read(before):
    assert_holds(before, "first")


def test_whole_times_are_read_that_no_day_file_declares(before):
    opened = dayfile.open_archive(before)
    events = opened.read("hisparc.events")
    assert events.times.astype(np.int64).tolist() == events["ext_timestamp"].tolist()
    assert sorted(events["ext_timestamp"]) == events["ext_timestamp"].tolist()
    cycles = opened.read("cris.hskp")
    assert (cycles.times.astype(np.int64) % 10**9 // 1000).tolist() == cycles["microsecond"].tolist()
    half = events.times[0] + np.timedelta64(1, "ns")
    assert len(opened.read("hisparc.events", half)) == len(events) - (events.times == events.times[0]).sum()


@pytest.mark.parametrize("data_type", TYPES)
def test_each_record_is_found_at_its_time(before, data_type):
    opened = dayfile.open_archive(before)
    records = opened.read(data_type)
    for time in np.unique(records.times):
        valid = opened.at(data_type, time).array
        begun = records.array[records.times == time]
        assert {row.tobytes() for row in begun} <= {row.tobytes() for row in valid}


def test_a_deep_check_finds_nothing(before, command):
    done = command("dayfile", "check", "--deep")
    assert done.code == 0, done.out + done.err


def test_later_sources_extend_them_as_the_earlier_version_did(before, command):
    assert reported(command, "later") == RUNS["second"]
    assert_holds(before, "second")
    assert command("dayfile", "check", "--deep").code == 0


def test_sources_that_they_hold_add_nothing(before, command):
    shutil.copytree(before / "sources", "again")
    number = RUNS["first"]["sources"]["archived"]
    assert reported(command, "again")["sources"] == {**RUNS["first"]["sources"], "archived": 0, "already": number}
    assert_holds(before, "first")


def test_records_that_are_put_find_what_is_there(before):
    opened = dayfile.open_archive(before)
    with np.load(BEFORE / "first.npz") as first, np.load(BEFORE / "second.npz") as second:
        hskp = opened.read("cris.hskp")
        quiet = hskp.array[hskp["Second1996"] == hskp["Second1996"].min()]
        contended = hskp.array[np.append(np.diff(hskp["Second1996"]) == 0, False)][:1]
        other = quiet.copy()
        other["CommandTableIndex"] += 1
        third = contended.copy()
        third["CommandTableIndex"] += 3
        new = second["cris.hskp"][-1:]
        assert opened.put("cris.hskp", quiet) == [Status.IDENTICAL]
        assert opened.put("cris.hskp", new) == [Status.WRITTEN]
        assert opened.put("cris.hskp", third) == [Status.IN_CONFLICT]
        assert opened.put("cris.hskp", other) == [Status.CONFLICT]
        assert len(opened.read("cris.hskp")) == len(first["cris.hskp"]) + 3


def test_a_lost_catalogue_is_made_from_them(before, command):
    (before / "catalogue.db").unlink()
    assert command("dayfile", "reindex").code == 0
    assert_holds(before, "first")


@pytest.mark.parametrize("name", ["first", "second"])
def test_they_are_rebuilt_from_their_sources(before, command, name):
    if name == "second":
        reported(command, "later")
    for path in sorted(before.rglob("*.h5")):
        done = command("dayfile", "rebuild", path.relative_to(before))
        assert done.code == 0, done.err
    assert_holds(before, name, rebuilt=True)
    assert command("dayfile", "check", "--deep").code == 0


def test_events_of_a_day_file_that_does_not_declare_its_packed_buffer_are_unpacked(before):
    cycles = dayfile.open_archive(before).read("cris.events")
    assert cycles.data_type.packed is None
    rows = cycles.unpack("EventBuffer", length=lambda events: events[:, 0])
    assert len(rows) == cycles["NumberEvents"].sum() > 10
    assert not rows["unsplit"].any()


def attributes(path):
    """All attributes of all tables of a day file, besides those of the ledger."""
    with tables.open_file(path) as file:
        return {
            table._v_pathname: {name: table._v_attrs[name] for name in table._v_attrs._f_list("all")}
            for table in file.walk_nodes("/", "Table")
            if not table._v_pathname.startswith("/dayfile_ledger")
        }


def test_tables_get_the_attributes_that_they_got_and_what_is_declared_since(before, command):
    day_files = sorted(before.rglob("*.h5"))
    old = {path: attributes(path) for path in day_files}
    for path in day_files:
        assert command("dayfile", "rebuild", path.relative_to(before)).code == 0
    more, missing = set(), set()
    for path in day_files:
        new = attributes(path)
        assert new.keys() == old[path].keys()
        for node, given in new.items():
            fields = json.loads(given["fields"])
            assert len(given.pop("declaration_sha256")) == 64
            assert {*json.loads(given.pop("timing"))["time"].values()} & {field["name"] for field in fields}
            missing |= {(node.rpartition("/")[2], field["name"]) for field in fields if "missing" in field}
            given["fields"] = np.str_(given["fields"].replace(',"missing":[-1,-999]', ""))
            if given.keys() != old[path][node].keys():
                (name,) = given.keys() - old[path][node].keys()
                more.add((node.rpartition("/")[2], name))
                added = given.pop(name)
                assert added == "station" if name == "main_key" else json.loads(added)["field"] == "EventBuffer"
            assert repr(given) == repr(old[path][node])
    stations = {(name.partition(".")[2], "main_key") for name in TYPES if name.startswith("hisparc.")}
    assert more == {("events", "packed"), *stations}
    named = ("baseline", "std_dev", "n_peaks", "pulseheights", "integrals")
    assert missing == {("events", name) for name in named}
