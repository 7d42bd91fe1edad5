"""Day files of other origin: entered into a catalogue as they are, read in place, added to by runs.

They are the work of the datastore that this plugin replaces (``benchmarks.rowwise`` writes as it did): tables without
attributes, no ledger. Some were repacked later, with other filters and titles; old ones have fewer columns, or singles
of 16 bits.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tables
from benchmarks.rowwise import write_uploads

import dayfile
from dayfile_hisparc.pickles import read_upload, write_upload
from dayfile_hisparc.simulation import write_queue_files
from dayfile_hisparc.traces import read_traces
from running import Done, call_command

DAYS = ("2024-05-01", "2024-05-02")
DAY_FILES = ("2024/5/2024_5_1.h5", "2024/5/2024_5_2.h5")
STATIONS = {501: 4, 510: 2}
"""Detectors of each."""
FIRST = SECOND = len(STATIONS)
"""Queue files of the first and of the second hundred events of each station."""
CLUSTER = "/hisparc/cluster_amsterdam"
Rows = np.ndarray


@pytest.fixture(scope="module")
def uploads(tmp_path_factory) -> dict[str, list[Path]]:
    """Queue files of two days, four a day: the first and the second hundred events of each station."""
    return {
        day: write_queue_files(
            np.datetime64(day), 1, tmp_path_factory.mktemp("uploads"), stations=STATIONS, uploads=FIRST + SECOND
        )
        for day in DAYS
    }


@pytest.fixture(scope="module")
def written(uploads, tmp_path_factory) -> Path:
    """Day files of the datastore, with the first hundred events of each station and day, in YYYY/M/."""
    directory = tmp_path_factory.mktemp("datastore")
    write_uploads([path for paths in uploads.values() for path in paths[:FIRST]], directory)
    return directory


@pytest.fixture
def data(written, tmp_path) -> Path:
    """A copy of them that a test may change, beside the queue directories of the datastore."""
    data = tmp_path / "data"
    shutil.copytree(written, data)
    for name in ("tmp", "incoming", "partial", "suspicious"):
        (data / name).mkdir()
    return data


def run(*words: object) -> Done:
    """Archive uploads."""
    return call_command("dayfile", "run", "--plugins", "hisparc", *words)


def repacked(path: Path, *changes: Callable[[str, Rows], Rows]) -> None:
    """Write a day file anew with blosc and other titles, its rows changed, as was done with the older archive."""
    made = path.with_suffix(".new")
    filters = tables.Filters(complib="blosc", complevel=9)
    with tables.open_file(path) as old, tables.open_file(made, "w", title="Data", filters=filters) as new:
        for leaf in old.walk_nodes("/", "Leaf"):
            parent = leaf._v_parent._v_pathname
            if parent not in new:
                new.create_group(*parent.rsplit("/", 1), title="repacked", createparents=True)
            if leaf.name == "blobs":
                array = new.create_vlarray(parent, "blobs", tables.VLStringAtom(), "traces and texts")
                for blob in leaf:
                    array.append(blob)
            else:
                rows = leaf.read()
                for change in changes:
                    rows = change(leaf.name, rows)
                new.create_table(parent, leaf.name, rows, f"{leaf.name} of 2024")
    made.replace(path)


def without_rate(name: str, rows: Rows) -> Rows:
    """Events as they were before they had a rate and a reduction."""
    if name != "events":
        return rows
    kept = [column for column in rows.dtype.names if column not in {"event_rate", "data_reduction"}]
    older = np.zeros(len(rows), [(column, rows.dtype[column]) for column in kept])
    for column in kept:
        older[column] = rows[column]
    return older


def singles_of_16_bits(name: str, rows: Rows) -> Rows:
    """Singles as they were before -1 could stand for a missing secondary."""
    if name != "singles":
        return rows
    types = [(column, "<u2" if "_ch" in column else rows.dtype[column]) for column in rows.dtype.names]
    return rows.astype(types)


def hashes(directory: Path) -> dict[str, str]:
    """SHA-256 of each HDF5 file below a directory, of those that a run left behind too."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*.h5"))
    }


def content(path: Path) -> dict[str, Rows | list[bytes]]:
    """All rows and blobs of a day file but its ledger, as any reader of HDF5 gets them."""
    with tables.open_file(path) as file:
        return {leaf._v_pathname: leaf.read() for leaf in file.root.hisparc._f_walknodes("Leaf")}


def listed(done) -> dict[str, tuple[int, int]]:
    """Days and records of each type that ``dayfile ls --json`` tells."""
    assert done.code == 0, done.err
    return {row["type"]: (row["days"], row["records"]) for row in json.loads(done.out)}


def held(directory: Path) -> dict[str, tuple[int, int]]:
    """The same, counted in the files themselves."""
    found: dict[str, tuple[int, int]] = {}
    for path in directory.rglob("*.h5"):
        counts: dict[str, int] = {}
        for node, rows in content(path).items():
            if not node.endswith("/blobs"):
                name = f"hisparc.{node.rsplit('/', 1)[1]}"
                counts[name] = counts.get(name, 0) + len(rows)
        for name, count in counts.items():
            days, records = found.get(name, (0, 0))
            found[name] = (days + 1, records + count)
    return found


def sent_traces(uploads: list[Path]) -> dict[tuple[int, int], list[list[int] | None]]:
    """Traces of each event of queue files, by station and time, straight from what was sent."""
    found = {}
    for path in uploads:
        upload = read_upload(path.read_bytes(), where=path.name)
        for event in upload.events:
            header, values = event["header"], {v["data_uploadcode"]: v["data"] for v in event["datalist"]}
            if header["eventtype_uploadcode"] == "CIC":
                texts = [values.get(f"TR{detector}") for detector in range(1, 5)]
                found[upload.station, header["nanoseconds"]] = [
                    text and list(map(int, zlib.decompress(base64.b64decode(text)).split(b","))) for text in texts
                ]
    return found


def read_in_place(data: Path, uploads: list[Path]) -> int:
    """Read every event of a directory with its traces, compare with what was sent, and tell how many there are."""
    expected = sent_traces(uploads)
    records = dayfile.open_archive(data).read("hisparc.events")
    assert (np.diff(records.times.astype(np.int64)) >= 0).all()
    for row in range(len(records)):
        found = [None if counts is None else counts.tolist() for counts in read_traces(records, row)]
        assert found == expected[int(records["station"][row]), int(records["nanoseconds"][row])]
    return len(records)


def as_written(data: Path) -> None:
    """In YYYY/M/, as the datastore has them."""


def flat(data: Path) -> None:
    """All day files in one directory."""
    for path in list(data.rglob("*.h5")):
        path.rename(data / path.name)


def packed(data: Path) -> None:
    """Repacked, with all columns."""
    for path in data.rglob("*.h5"):
        repacked(path)


def older(data: Path) -> None:
    """Repacked, with fewer columns and narrower ones."""
    for path in data.rglob("*.h5"):
        repacked(path, without_rate, singles_of_16_bits)


@pytest.mark.parametrize("form", [as_written, flat, packed, older], ids=["as written", "flat", "repacked", "older"])
def test_adopted_files_are_listed_and_read_in_place_and_not_a_byte_changes(form, data, uploads):
    form(data)
    before = hashes(data)
    done = call_command("dayfile", "adopt", data)
    assert done.code == 0, done.err
    assert done.out == "the catalogue lists 2 day files\n"
    assert listed(call_command("dayfile", "ls", "--json", "-a", data)) == held(data)
    all_uploads = [path for paths in uploads.values() for path in paths[:FIRST]]
    assert read_in_place(data, all_uploads) == len(sent_traces(all_uploads))
    assert hashes(data) == before
    assert len(before) == 2


def test_one_day_and_station_of_adopted_files_is_what_their_rows_say(data):
    call_command("dayfile", "adopt", data)
    records = dayfile.open_archive(data).read("hisparc.singles", DAYS[1], "2024-05-03", station=510)
    rows = content(data / DAY_FILES[1])[f"{CLUSTER}/station_510/singles"]
    assert records.array.tobytes() == rows[np.argsort(rows["timestamp"], kind="stable")].tobytes()


def test_columns_that_an_older_file_lacks_hold_their_default_and_narrow_ones_their_value(data):
    singles = content(data / DAY_FILES[0])[f"{CLUSTER}/station_501/singles"]
    older(data)
    call_command("dayfile", "adopt", data)
    archive = dayfile.open_archive(data)
    events = archive.read("hisparc.events")
    assert set(events["event_rate"]) == {0.0}
    assert not events["data_reduction"].any()
    found = archive.read("hisparc.singles", DAYS[0], DAYS[1], station=501)
    assert found.array.dtype == singles.dtype
    assert found["mas_ch1_low"].tolist() == singles["mas_ch1_low"].tolist()


def test_adopting_again_gives_the_same_catalogue(data):
    call_command("dayfile", "adopt", data)
    first = call_command("dayfile", "ls", "--json", "-a", data).out
    assert call_command("dayfile", "adopt", data).code == 0
    assert call_command("dayfile", "ls", "--json", "-a", data).out == first


def test_plugins_are_named_as_for_a_run(data):
    done = call_command("dayfile", "adopt", data, "--plugins", "cris, hisparc")
    assert (done.code, done.out, done.err) == (0, "the catalogue lists 2 day files\n", "")
    assert listed(call_command("dayfile", "ls", "--json", "-a", data)) == held(data)


def test_check_finds_nothing_wrong_with_adopted_files(data):
    assert call_command("dayfile", "adopt", data).code == 0
    for depth in ((), ("--deep",)):
        done = call_command("dayfile", "check", *depth, "-a", data)
        assert (done.code, done.err) == (0, "")


def test_a_file_with_only_a_root_group_is_passed_over_and_can_be_filled_later(data, uploads):
    with tables.open_file(data / DAY_FILES[1], "w"):
        pass
    done = call_command("dayfile", "adopt", data)
    assert (done.code, done.err) == (0, "")
    passed_over = f"{DAY_FILES[1]}: skipped: it has no records of a known data type"
    assert done.out.splitlines() == [passed_over, "the catalogue lists 1 day file"]
    assert run("-a", data, *uploads[DAYS[1]]).code == 0
    assert read_in_place(data, [path for paths in uploads.values() for path in paths]) > 0
    assert listed(call_command("dayfile", "ls", "--json", "-a", data)) == held(data)


def test_files_that_cannot_be_read_are_named_and_the_others_are_adopted(data, uploads):
    (data / "2024" / "5" / "2024_5_3.h5").write_text("this is no HDF5", encoding="utf-8")
    whole = (data / DAY_FILES[1]).read_bytes()
    (data / "2024" / "5" / "2024_5_4.h5").write_bytes(whole[: len(whole) // 2])
    (data / "2024" / "5" / "2024_5_5.h5").write_bytes(b"")
    before = hashes(data)
    done = call_command("dayfile", "adopt", data)
    assert done.code == 3
    assert "Traceback" not in done.err
    assert re.findall(r"^dayfile: (\S+): is damaged: cannot be read", done.err, re.MULTILINE) == [
        f"2024/5/2024_5_{day}.h5" for day in (3, 4, 5)
    ]
    assert done.out == "the catalogue lists 2 day files\n"
    assert read_in_place(data, [path for paths in uploads.values() for path in paths[:FIRST]]) > 0
    assert hashes(data) == before


def test_the_real_commands_adopt_and_tell_what_there_is(data, archive_run):
    before = hashes(data)
    done = Done.of(archive_run("adopt", data, command="dayfile"))
    assert (done.code, done.out, done.err) == (0, "the catalogue lists 2 day files\n", "")
    assert listed(Done.of(archive_run("ls", "--json", "-a", data, command="dayfile"))) == held(data)
    assert hashes(data) == before


def test_a_directory_that_is_not_there_is_said_to_be_missing(tmp_path):
    done = call_command("dayfile", "adopt", tmp_path / "nothing")
    assert done.code == 2
    assert "this directory does not exist" in done.err


@pytest.mark.parametrize("form", [as_written, packed], ids=["as written", "repacked"])
def test_a_run_adds_uploads_to_an_adopted_day_and_keeps_what_was_there(form, data, uploads):
    form(data)
    call_command("dayfile", "adopt", data)
    before = content(data / DAY_FILES[0])
    other = hashes(data)[DAY_FILES[1]]
    # The old uploads come again, as after a lost answer, and are not stored twice.
    done = run("-a", data, *uploads[DAYS[0]])
    assert done.code == 0, done.err
    after = content(data / DAY_FILES[0])
    assert hashes(data)[DAY_FILES[1]] == other
    for node, old in before.items():
        new = after[node]
        if node.endswith("/blobs"):
            assert new[: len(old)] == old
        else:
            assert new.dtype == old.dtype
            assert new[: len(old)].tobytes() == old.tobytes()
            assert new["event_id"].tolist() == list(range(1, len(new) + 1))
    sent = [event for path in uploads[DAYS[0]] for event in read_upload(path.read_bytes(), where="").events]
    assert sum(len(rows) for node, rows in after.items() if not node.endswith("/blobs")) == len(sent) == 400
    assert read_in_place(data, [path for paths in uploads.values() for path in paths]) > 0


@pytest.mark.parametrize("form", [as_written, packed], ids=["as written", "repacked"])
def test_readers_of_the_old_layout_find_all_in_an_adopted_day_that_was_added_to(form, data, uploads):
    form(data)
    call_command("dayfile", "adopt", data)
    run("-a", data, *uploads[DAYS[0]])
    expected = sent_traces(uploads[DAYS[0]])
    found = 0
    with tables.open_file(data / DAY_FILES[0]) as file:
        for cluster in file.list_nodes("/hisparc"):
            stations = [int(re.search(r"(\d+)$", station._v_name)[1]) for station in file.list_nodes(cluster)]
            assert stations == list(STATIONS)
            for station, number in zip(file.list_nodes(cluster), stations, strict=True):
                # They take the length of every child, so no groups may be among them.
                assert {child.name: len(child) > 0 for child in station} | {"errors": True} == dict.fromkeys(
                    ("blobs", "config", "errors", "events", "singles"), True
                )
                for row in station.events:
                    blobs = [station.blobs[index] if index >= 0 else None for index in row["traces"].tolist()]
                    counts = [None if trace is None else counts_of(trace) for trace in blobs]
                    assert counts == expected[number, int(row["nanoseconds"])]
                    found += 1
    assert found == len(expected)


def counts_of(blob: bytes) -> list[int]:
    """A trace as the site of HiSPARC reads it."""
    return [int(count) for count in zlib.decompress(blob).decode().split(",") if count]


def test_after_a_run_catalogue_and_check_know_all_of_an_adopted_day(data, uploads):
    call_command("dayfile", "adopt", data)
    # One station sends singles and nothing else: what the others have, and its other tables, are not touched.
    upload = read_upload(uploads[DAYS[0]][FIRST].read_bytes(), where="")
    singles = [event for event in upload.events if event["header"]["eventtype_uploadcode"] == "SIN"]
    (data / "incoming" / "singles").write_bytes(write_upload(upload.station, upload.cluster, singles))
    done = run("-a", data)
    assert done.code == 0, done.err
    assert listed(call_command("dayfile", "ls", "--json", "-a", data)) == held(data)
    for depth in ((), ("--deep",)):
        done = call_command("dayfile", "check", *depth, "-a", data)
        assert (done.code, done.err) == (0, "")


def test_a_new_day_beside_adopted_ones_is_a_day_file_of_its_own(data, uploads, tmp_path):
    (data / DAY_FILES[1]).unlink()
    flat(data)
    before = hashes(data)
    call_command("dayfile", "adopt", data)
    assert run("-a", data, *uploads[DAYS[1]]).code == 0
    assert hashes(data) | before == hashes(data)
    assert set(hashes(data)) == {"2024_5_1.h5", DAY_FILES[1]}
    assert read_in_place(data, [*uploads[DAYS[0]][:FIRST], *uploads[DAYS[1]]]) > 0


def test_an_upload_for_a_day_whose_tables_have_other_fields_is_set_aside_and_the_file_stays_as_it_is(data, uploads):
    older(data)
    call_command("dayfile", "adopt", data)
    before, told = hashes(data), call_command("dayfile", "ls", "--json", "-a", data).out
    done = run("-a", data, uploads[DAYS[0]][FIRST])
    assert done.code == 3
    assert "/station_501/events has other fields: it was written by layout another program" in done.err
    assert "Traceback" not in done.err
    (entry,) = (data / "quarantine").iterdir()
    assert uploads[DAYS[0]][FIRST].read_bytes() in [path.read_bytes() for path in entry.iterdir()]
    assert hashes(data) == before
    assert call_command("dayfile", "ls", "--json", "-a", data).out == told


def test_records_of_types_that_fit_are_added_to_such_a_day_and_nothing_there_changes(data, uploads):
    repacked(data / DAY_FILES[0], without_rate)
    call_command("dayfile", "adopt", data)
    before = content(data / DAY_FILES[0])
    done = run("-a", data, uploads[DAYS[0]][FIRST])
    assert done.code == 3
    assert "/station_501/events has other fields" in done.err
    after = content(data / DAY_FILES[0])
    for node, old in before.items():
        same = after[node] == old if node.endswith("/blobs") else after[node][: len(old)].tobytes() == old.tobytes()
        assert same, node
    assert listed(call_command("dayfile", "ls", "--json", "-a", data)) == held(data)
