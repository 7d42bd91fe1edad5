"""Duplicates: a record that is there already is not stored again, unless the settings say so; all others are."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import shutil
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest
import tables

from archives import get_root, load_plugins, make_settings
from dayfile import create_archive
from dayfile.engine.intake import Arrival
from dayfile.engine.starting import start_run
from dayfile.hdf5.rows import NativeTable
from dayfile.hdf5.vlen import VlenArray
from dayfile_cris import instrument as cris
from instruments import make_stream
from running import call_command

DAY_FILE = "2024/5/2024_5_1.h5"
STATION = "/hisparc/cluster_amsterdam/station_501"


def shower(second, *traces, height=100):
    """A shower of two detectors, as a station sends it."""
    moment = dt.datetime(2024, 5, 1) + dt.timedelta(seconds=second)
    header = {"eventtype_uploadcode": "CIC", "datetime": moment, "nanoseconds": 7}
    values = {"PH1": height, "PH2": height, "EVENTRATE": float("nan")}
    values |= {f"TR{place}": b64encode(trace).decode() for place, trace in enumerate(traces, 1)}
    return {"header": header, "datalist": [{"data_uploadcode": code, "data": data} for code, data in values.items()]}


def upload(*events, station=501):
    return pickle.dumps({"station_id": station, "cluster": "Amsterdam", "event_list": list(events)}, 2)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Give sources to ``archive-run``, called in this process: its report."""
    monkeypatch.chdir(tmp_path)

    def call(*contents, **core):
        shutil.rmtree("given", ignore_errors=True)
        (tmp_path / "given").mkdir()
        for number, content in enumerate(contents):
            (tmp_path / "given" / f"upload_{number}").write_bytes(content)
        pairs = [word for name, value in core.items() for word in ("--set", f"{name}={value}")]
        arguments = ["given", "--plugins", "hisparc", "--report", "report.json", *pairs]
        done = call_command("archive-run", *arguments)
        assert done.code == 0, done.err
        return json.loads((tmp_path / "report.json").read_text())

    return call


def counted(report, name="hisparc.events"):
    """Records written and identical; there are no others."""
    counts = dict(report["records"][name])
    written, identical = counts.pop("written"), counts.pop("identical")
    assert not any(counts.values())
    return written, identical


def stored(tmp_path, table="events"):
    """Rows of a table: number, second of the day, pulse heights and traces."""
    with tables.open_file(tmp_path / "archive" / DAY_FILE) as file:
        group = file.get_node(STATION)
        midnight = 1714521600
        return [
            (
                int(row["event_id"]),
                int(row["timestamp"]) - midnight,
                int(row["pulseheights"][0]),
                *(group.blobs[int(index)] for index in row["traces"] if index >= 0),
            )
            for row in group._v_children[table].read()
        ]


# ---- skip, the default


def test_the_same_record_in_one_source_in_another_and_in_another_run_is_stored_once(tmp_path, run):
    first, second = shower(1, b"one", b"two"), shower(2, b"three", b"four")
    report = run(upload(first, first, second), upload(second, first))
    assert counted(report) == (2, 3)
    assert counted(run(upload(second), upload(shower(3, b"five", b"six"), first))) == (1, 2)
    assert stored(tmp_path) == [
        (1, 1, 100, b"one", b"two"),
        (2, 2, 100, b"three", b"four"),
        (3, 3, 100, b"five", b"six"),
    ]
    with tables.open_file(tmp_path / "archive" / DAY_FILE) as file:
        assert file.get_node(STATION).blobs.nrows == 6, "the traces of identical records are not stored either"


def test_records_with_equal_fields_and_other_traces_are_all_stored(tmp_path, run):
    sent = [
        shower(1, b"one", b"two"),
        shower(1, b"one", b"TWO"),
        shower(1, b"two", b"one"),
        shower(1, b"", b"two"),
        shower(1, b"one"),
        shower(1),
    ]
    assert counted(run(upload(*sent[:3]), upload(*sent[3:]))) == (6, 0)
    assert counted(run(upload(*reversed(sent)))) == (0, 6)
    assert [row[3:] for row in stored(tmp_path)] == [
        (b"one", b"two"),
        (b"one", b"TWO"),
        (b"two", b"one"),
        (b"", b"two"),
        (b"one",),
        (),
    ]


def test_one_field_that_differs_makes_another_record(tmp_path, run):
    assert counted(run(upload(shower(1, b"x"), shower(1, b"x", height=101), shower(2, b"x")))) == (3, 0)
    assert counted(run(upload(shower(1, b"x", height=101)), upload(shower(1, b"x", height=102)))) == (1, 1)
    assert [row[2] for row in stored(tmp_path)] == [100, 101, 100, 102]


def test_the_same_record_of_another_station_is_another_record(tmp_path, run):
    assert counted(run(upload(shower(1, b"x")), upload(shower(1, b"x"), station=502))) == (2, 0)


def test_the_same_source_again_is_known_before_its_records_are_compared(run):
    content = upload(shower(1, b"x"))
    run(content)
    again = run(content)
    assert (again["sources"]["already"], again["records"]) == (1, {})


def test_the_installed_command_skips_duplicates_and_says_how_many(tmp_path, archive_run):
    (tmp_path / "a").write_bytes(upload(shower(1, b"x"), shower(2, b"y")))
    (tmp_path / "b").write_bytes(upload(shower(2, b"y"), shower(3, b"z")))
    done = archive_run("a", "b", "--archive", "archive")
    assert done.returncode == 0
    head, counts, *_ = map(str.split, done.stdout.splitlines()[-4:])
    assert dict(zip(head, counts, strict=True)) == {
        "records": "hisparc.events", "written": "3", "identical": "1", "overlap": "0", "rejected": "0"
    }  # fmt: skip
    assert [row[1] for row in stored(tmp_path)] == [1, 2, 3]


def test_the_same_slot_record_and_the_same_interval_again_are_identical(tmp_path, archive_run):
    for code in ("L1CrisHskp", "BrowseCris"):
        data_type = cris.layout.by_code()[code]
        records = np.zeros(3, data_type.dtype)
        for field in {data_type.time, data_type.end} - {""}:
            records[field] = 57801601 + 256 * np.array([0, 1, 1])
        source = tmp_path / f"{code}.be.bin"
        source.write_bytes(make_stream(cris, data_type, records))
        done = archive_run(source, "--archive", "archive", "--plugins", "cris", "--report", "report.json")
        assert done.returncode == 0, done.stderr
        counts = json.loads((tmp_path / "report.json").read_text())["records"][data_type.name]
        assert (counts["written"], counts["identical"], counts["overlap"]) == (2, 1, 0)


# ---- keep


def test_duplicates_are_kept_if_the_settings_say_so_and_each_source_counts_once(tmp_path, run):
    first, second = shower(1, b"one", b"two"), shower(2, b"three", b"four")
    assert counted(run(upload(first, first), upload(first, second), duplicates="keep")) == (4, 0)
    report = run(upload(first, first), upload(second), duplicates="keep")
    assert report["sources"] == {"archived": 1, "already": 1, "quarantined": 0, "held": 0, "left": 0}
    assert counted(report) == (1, 0)
    assert stored(tmp_path) == [
        (1, 1, 100, b"one", b"two"),
        (2, 1, 100, b"one", b"two"),
        (3, 1, 100, b"one", b"two"),
        (4, 2, 100, b"three", b"four"),
        (5, 2, 100, b"three", b"four"),
    ]
    assert counted(run(upload(second, shower(3)))) == (1, 1), "skipped again, once they are to be"


def test_what_to_do_with_duplicates_can_be_set_in_the_archive(tmp_path, run):
    create_archive(tmp_path / "archive")
    (tmp_path / "archive" / "archive.yaml").write_text("duplicates: keep\n")
    assert counted(run(upload(shower(1), shower(1)))) == (2, 0)


# ---- The cost of it


@pytest.fixture
def read_back(monkeypatch):
    """Counts rows that are read of tables of records, and blobs that are read."""
    counts = Counter()

    def counting(kind, method):
        original = getattr(kind, method)

        def read(node, *arguments, **named):
            answer = original(node, *arguments, **named)
            if "ledger" not in node.path:
                counts[kind.__name__] += len(answer)
            return answer

        monkeypatch.setattr(kind, method, read)

    counting(NativeTable, "read")
    counting(NativeTable, "take")
    counting(VlenArray, "read")
    return counts


ROWS = 20


def uploads(count, *, repeated):
    """Sources of one day, each with as many records; some of each stand in the one before as well."""
    step = ROWS - repeated
    return [
        upload(*(shower(second, b"%d" % second, b"b") for second in range(start, start + ROWS)))
        for start in range(0, count * step, step)
    ]


@pytest.mark.parametrize("count", [1, 10, 100])
@pytest.mark.parametrize("repeated", [0, 5])
def test_a_source_costs_the_same_however_many_came_before_it(tmp_path, read_back, count, repeated):
    """Rows read while writing are those that are compared; verification reads each once, whatever their number."""
    root, plugins = get_root(tmp_path / "archive"), load_plugins("hisparc")
    costs = []
    with start_run(root, plugins, make_settings(plugins), make=True) as one_run:
        for number, content in enumerate(uploads(count, repeated=repeated)):
            source = tmp_path / f"upload_{number}"
            source.write_bytes(content)
            before = read_back.copy()
            one_run.take([Arrival(source, ours=False)])
            one_run.pipeline.day_files.work_files[DAY_FILE].flush()
            costs.append(dict(read_back - before))
        records = count * (ROWS - repeated) + repeated
        before = read_back.copy()
        one_run.publish()
    found = {"NativeTable": repeated, "VlenArray": 2 * repeated} if repeated else {}
    assert costs == [{}, *[found] * (count - 1)]
    assert read_back - before == {"NativeTable": records, "VlenArray": 2 * records}
    assert counted_in(one_run) == Counted(written=records, identical=(count - 1) * repeated)


@dataclass(frozen=True)
class Counted:
    """What became of the records of a run."""

    written: int
    identical: int


def counted_in(one_run):
    counts = one_run.report.records["hisparc.events"]
    return Counted(written=counts["written"], identical=counts["identical"])


def test_a_further_run_reads_the_day_twice_and_no_more(tmp_path, read_back):
    """Once for what is there already, once to verify: so that a run pays for the day once, not for each source."""
    root, plugins = get_root(tmp_path / "archive"), load_plugins("hisparc")
    sources = uploads(30, repeated=0)
    costs = []
    for number, part in enumerate((sources[:10], sources[10:11], sources[11:30])):
        before = read_back.copy()
        with start_run(root, plugins, make_settings(plugins), make=True) as one_run:
            for place, content in enumerate(part):
                source = tmp_path / f"upload_{number}_{place}"
                source.write_bytes(content)
                one_run.take([Arrival(source, ours=False)])
            one_run.publish()
        costs.append((read_back - before)["NativeTable"])
    assert costs == [200, 200 + 220, 220 + 600]


def test_records_that_differ_in_their_traces_alone_are_not_compared_with_all_others(tmp_path, read_back):
    """A station whose clock stands still, or somebody who wants to hold the archive up."""
    root, plugins = get_root(tmp_path / "archive"), load_plugins("hisparc")
    with start_run(root, plugins, make_settings(plugins), make=True) as one_run:
        for number in range(10):
            source = tmp_path / f"upload_{number}"
            source.write_bytes(upload(*(shower(1, b"%d" % (number * ROWS + place)) for place in range(ROWS))))
            one_run.take([Arrival(source, ours=False)])
            one_run.pipeline.day_files.work_files[DAY_FILE].flush()
        assert counted_in(one_run) == Counted(written=10 * ROWS, identical=0)
        one_run.pipeline.abandon()
    rows = read_back["NativeTable"]
    assert rows <= 10 * ROWS, f"{rows} rows were read again to store {10 * ROWS}"
