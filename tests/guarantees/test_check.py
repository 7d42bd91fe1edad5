"""Check, reindex, rebuild: what is wrong with an archive is found and named, and what can be put right is."""

from __future__ import annotations

import datetime as dt
import json
import pickle
import shutil
import sqlite3
import zlib
from base64 import b64encode
from functools import partial

import numpy as np
import pytest
import tables

import dayfile
from dayfile import open_archive
from dayfile.errors import StorageError
from dayfile_cris import instrument as cris
from instruments import make_stream
from running import run_command, run_python

HSKP = cris.layout.by_code()["L1CrisHskp"]
START = 57801601  # second of the spacecraft's clock at the beginning of 1997-10-31
SLOTS, NEXT_SLOTS = "cris/1997/10/cris.1997.10.31.hsk.h5", "cris/1997/11/cris.1997.11.01.hsk.h5"
EVENTS = "2024/5/2024_5_1.h5"
STATION = "/hisparc/cluster_amsterdam/station_501"


def stream(*records, clock=0):
    """A struct stream of housekeeping records: seconds of the day, told apart by their clock cycles."""
    array = np.zeros(len(records), HSKP.dtype)
    array["Second1996"] = START + np.array(records)
    array["ClockCycle"] = 1000 + clock + np.arange(len(records))
    return make_stream(cris, HSKP, array)


def trace(number):
    """A trace that no other event has."""
    return zlib.compress(",".join(str(number * 7 + place) for place in range(60)).encode())


def shower(second, number, traces=2):
    """A shower with traces, as a station sends it."""
    moment = dt.datetime(2024, 5, 1) + dt.timedelta(seconds=second)
    header = {"eventtype_uploadcode": "CIC", "datetime": moment, "nanoseconds": number}
    values = {"TRIGPATTERN": number, "EVENTRATE": 0.5, **{f"PH{place}": number + place for place in (1, 2)}}
    values |= {f"TR{place + 1}": b64encode(trace(10 * number + place)).decode() for place in range(traces)}
    return {"header": header, "datalist": [{"data_uploadcode": code, "data": data} for code, data in values.items()]}


def upload(*events, station=501):
    return pickle.dumps({"station_id": station, "cluster": "Amsterdam", "event_list": list(events)}, 2)


SOURCES = {
    "upload_1": upload(*(shower(second, second) for second in range(20))),
    "upload_2": upload(*(shower(second, second) for second in range(10, 30))),
    "upload_3": upload(*(shower(second, second, traces=4) for second in range(5)), station=502),
    "upload_4": upload(shower(86399, 90), shower(86401, 91)),
    "a/L1CrisHskp.be.bin": stream(0, 256, 512, 86016, 86300, 86500),
    "b/L1CrisHskp.be.bin": stream(256, 512, 768, clock=500),
    "c/L1CrisHskp.be.bin": stream(256, 1024, 86401, 86700, clock=900),
}


@pytest.fixture
def run(command):
    """The commands of the entry points, called in this process; the archive is the default one."""
    return partial(command, archive=None)


def give(directory, sources):
    """Write sources into a directory of their own."""
    for name, content in sources.items():
        path = directory / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An archive that was made by the installed command, with all its sources kept; to be copied."""
    directory = tmp_path_factory.mktemp("made")
    give(directory, SOURCES)
    words = ("given", "--archive", "archive", "--set", "sources.keep=always")
    done = run_command("archive-run", *words, cwd=directory)
    assert done.returncode == 0, done.stderr
    return directory / "archive"


@pytest.fixture
def archive(made, tmp_path):
    """A copy of the archive that is good."""
    return shutil.copytree(made, tmp_path / "archive")


def records_of(path):
    """Every record of a day file by table, without the numbers of its rows, sorted; texts and traces in place."""
    found = {}
    with tables.open_file(path) as file:
        for table in file.walk_nodes("/", "Table"):
            if table._v_pathname.startswith("/dayfile_ledger"):
                continue
            blobs = table._v_parent.blobs.read() if "blobs" in table._v_parent else []
            rows = []
            for row in table.read():
                fields = {name: row[name].tolist() for name in table.colnames if name != "event_id"}
                if "traces" in fields:
                    fields["traces"] = [blobs[index] if index >= 0 else None for index in fields["traces"]]
                rows.append(fields)
            slots = table.attrs.store == "slots"
            found[table._v_pathname] = rows if slots else sorted(rows, key=repr)
    return found


# ---- check


def test_a_good_archive_is_clean(archive, run):
    for arguments in ((), ("--deep",)):
        done = run("dayfile", "check", *arguments)
        assert (done.code, done.err) == (0, "")
        assert done.out == "4 day files checked, 0 problems, 0 without a digest\n"


def test_an_archive_without_day_files_is_clean(tmp_path, run):
    assert run("archive-run").code == 0
    assert run("dayfile", "check", "--deep").code == 0
    assert run("dayfile", "check", "--archive", "elsewhere").code == 2


def truncated(archive):
    path = archive / EVENTS
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def overwritten(archive):
    (archive / EVENTS).write_text("Dear archive\n" * 1000)


def emptied(archive):
    (archive / EVENTS).write_bytes(b"")


def rows_lost(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        file.get_node(f"{STATION}/events").remove_rows(3, 5)


def table_lost(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        file.remove_node("/hisparc/cluster_amsterdam/station_502/events")


def overlap_lost(archive):
    with tables.open_file(archive / SLOTS, "a") as file:
        file.remove_node("/hskp_overlap")


def ledger_of_another_file(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        table = file.root.dayfile_ledger.checksums
        rows = table.read()
        rows["rows"][0] += 1
        table.modify_rows(0, len(rows), rows=rows)


def ledger_without_its_table(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        file.remove_node("/dayfile_ledger/checksums")


def ledger_without_its_day(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        del file.root.dayfile_ledger._v_attrs.day


def table_without_its_clock(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        del file.get_node(f"{STATION}/events").attrs.clock


def wrong_slot(archive):
    with tables.open_file(archive / SLOTS, "a") as file:
        table = file.root.hskp
        table.modify_rows(100, 101, rows=table.read(0, 1))


def index_out_of_range(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        table = file.get_node(f"{STATION}/events")
        rows = table.read(2, 3)
        rows["traces"][0, 0] = file.get_node(f"{STATION}/blobs").nrows
        table.modify_rows(2, 3, rows=rows)


def catalogue(archive, statement):
    with sqlite3.connect(archive / "catalogue.db") as connection:
        connection.execute(f"{statement} WHERE path = ?", (EVENTS,))
    connection.close()


def catalogue_miscounts(archive):
    catalogue(archive, "UPDATE types SET records = records + 1")


def catalogue_mistimes(archive):
    catalogue(archive, "UPDATE types SET last = last + 1")


def catalogue_forgot(archive):
    catalogue(archive, "DELETE FROM types")


def day_file_lost(archive):
    (archive / EVENTS).unlink()


DAMAGE = {
    truncated: (EVENTS, "cannot be read"),
    overwritten: (EVENTS, "cannot be read"),
    emptied: (EVENTS, "cannot be read"),
    rows_lost: (EVENTS, f"{STATION}/events has 29 rows, and 31 by its ledger"),
    table_lost: (EVENTS, "/hisparc/cluster_amsterdam/station_502/events is in the ledger but not in the file"),
    overlap_lost: (SLOTS, "/hskp_overlap is in the ledger but not in the file"),
    ledger_of_another_file: (EVENTS, "by its ledger"),
    ledger_without_its_table: (EVENTS, "cannot be read"),
    ledger_without_its_day: (EVENTS, "cannot be read"),
    table_without_its_clock: (EVENTS, "cannot be read"),
    wrong_slot: (SLOTS, "/hskp: slot 100 holds a record of another time"),
    index_out_of_range: (EVENTS, f"{STATION}/events: 1 of traces outside the 62 blobs"),
    catalogue_miscounts: (EVENTS, "the catalogue says otherwise of hisparc.events"),
    catalogue_mistimes: (EVENTS, "the catalogue says otherwise of hisparc.events"),
    catalogue_forgot: (EVENTS, "it is not in the catalogue; add it with: dayfile reindex"),
    day_file_lost: (EVENTS, "it is in the catalogue but not on disk"),
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_what_is_wrong_is_told_in_one_line_that_says_what_to_do(archive, run, damage):
    damage(archive)
    done = run("dayfile", "check")
    path, words = DAMAGE[damage]
    assert done.code == 3
    (line,) = done.err.splitlines()
    assert line.startswith(f"{path}: ")
    assert words in line
    assert "dayfile re" in line  # rebuild or reindex
    assert done.out.endswith(" 1 problem, 0 without a digest\n")


def test_two_damaged_files_are_two_lines_and_the_others_are_good(archive, run):
    wrong_slot(archive)
    overwritten(archive)
    done = run("dayfile", "check", "--deep")
    assert done.code == 3
    assert {line.partition(": ")[0] for line in done.err.splitlines()} == {SLOTS, EVENTS}


def changed_field(archive):
    with tables.open_file(archive / SLOTS, "a") as file:
        rows = file.root.hskp.read(0, 1)
        rows["ClockCycle"][0] ^= 1
        file.root.hskp.modify_rows(0, 1, rows=rows)


def changed_blob(archive):
    with tables.open_file(archive / EVENTS, "a") as file:
        blobs = file.get_node(f"{STATION}/blobs")
        value = bytearray(blobs[5])
        value[-1] ^= 1
        blobs[5] = bytes(value)


def flip(path, content):
    """Flip a bit of a piece of content that stands in a file once."""
    whole = bytearray(path.read_bytes())
    assert whole.count(content) == 1
    whole[whole.index(content)] ^= 0x10
    path.write_bytes(whole)


def flipped_field(archive):
    with tables.open_file(archive / EVENTS) as file:
        row = file.get_node(f"{STATION}/events").read(7, 8)
    flip(archive / EVENTS, row.tobytes()[12:60])


def flipped_blob(archive):
    flip(archive / EVENTS, trace(70))


CHANGES = {
    changed_field: (SLOTS, "/hskp"),
    changed_blob: (EVENTS, f"{STATION}/blobs"),
    flipped_field: (EVENTS, f"{STATION}/events"),
    flipped_blob: (EVENTS, f"{STATION}/blobs"),
}


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_deep_check_finds_one_changed_byte(archive, run, change):
    change(archive)
    done = run("dayfile", "check", "--deep")
    path, node = CHANGES[change]
    assert done.code == 3
    (line,) = done.err.splitlines()
    assert line.startswith(f"{path}: {node} does not have the bytes that were published; rebuild it")


def test_a_check_changes_nothing(archive, run):
    def states():
        return {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in archive.rglob("*") if path.is_file()}

    before = states()
    run("dayfile", "check", "--deep")
    assert states() == before


# ---- reindex


def nothing(archive):
    pass


def no_catalogue(archive):
    (archive / "catalogue.db").unlink()


def garbage_catalogue(archive):
    (archive / "catalogue.db").write_bytes(b"Dear archive\n" * 1000)


def half_a_catalogue(archive):
    path = archive / "catalogue.db"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def killed_write(archive):
    """A write of the catalogue was killed in the midst: SQLite's journal is there, and the file half changed."""
    path = archive / "catalogue.db"
    child = run_python("-c", KILLED_WRITE, path)
    assert child.returncode == -9
    assert path.with_name("catalogue.db-journal").exists()


def killed_write_of_a_wrong_catalogue(archive):
    """The journal would bring back what was wrong."""
    catalogue_miscounts(archive)
    killed_write(archive)


KILLED_WRITE = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size=1")  # so that pages are written before the end, as a commit does
connection.execute("BEGIN")
connection.execute("UPDATE types SET records = -1")
connection.executemany("INSERT INTO publishing VALUES (?, '2024-05-01')", [("x" * 900 + str(n),) for n in range(99)])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(
    "damage",
    [
        nothing,
        no_catalogue,
        garbage_catalogue,
        half_a_catalogue,
        catalogue_miscounts,
        killed_write,
        killed_write_of_a_wrong_catalogue,
    ],
    ids=lambda damage: damage.__name__,
)
def test_reindex_makes_an_equal_catalogue(archive, run, damage):
    before = json.loads(run("dayfile", "ls", "--json").out)
    assert {entry["type"]: entry["records"] for entry in before} == {"hisparc.events": 37, "cris.hskp": 13}
    damage(archive)
    done = run("dayfile", "reindex")
    assert (done.code, done.out.splitlines()[-1]) == (0, "the catalogue lists 4 day files")
    assert json.loads(run("dayfile", "ls", "--json").out) == before
    assert run("dayfile", "check", "--deep").code == 0
    assert len(dayfile.open_archive(archive).read("cris.hskp")) == 13


def test_a_killed_write_of_the_catalogue_stops_neither_readers_nor_the_next_run(archive, run, tmp_path):
    before = run("dayfile", "ls", "--json").out
    killed_write(archive)
    assert run("dayfile", "ls", "--json").out == before
    give(tmp_path, {"new/L1CrisHskp.be.bin": stream(2048)})
    done = run("archive-run", "given")
    assert (done.code, done.err) == (0, "")
    assert run("dayfile", "check").code == 0
    assert len(dayfile.open_archive(archive).read("cris.hskp")) == 14


FIRST_TABLES = [
    "day_files (path, data_type, day, records, first, last, PRIMARY KEY (path, data_type)) WITHOUT ROWID",
    "publishing (path PRIMARY KEY, day) WITHOUT ROWID",
]


@pytest.mark.parametrize("statements", [0, 1, 2])
def test_a_run_that_was_killed_while_it_made_the_catalogue_stops_neither_readers_nor_the_next_run(
    tmp_path, run, statements
):
    """SQLite makes the file first, and earlier versions then made table by table: a kill left it with some of them."""
    assert run("archive-run").code == 0
    (tmp_path / "archive" / "catalogue.db").unlink(missing_ok=True)
    connection = sqlite3.connect(tmp_path / "archive" / "catalogue.db")
    for table in FIRST_TABLES[:statements]:
        connection.execute(f"CREATE TABLE {table}")
    connection.close()
    (tmp_path / "archive" / "catalogue.db").touch()
    assert run("dayfile", "ls").out == "the archive holds nothing yet\n"
    assert run("dayfile", "check").code == 0
    give(tmp_path, {"L1CrisHskp.be.bin": stream(0)})
    done = run("archive-run", "given")
    assert (done.code, done.err) == (0, "")
    assert run("dayfile", "check").code == 0


lost = pytest.mark.parametrize("lose", [no_catalogue, lambda archive: (archive / "catalogue.db").write_bytes(b"")])


@lost
@pytest.mark.parametrize(
    "words", ["ls", "show cris.hskp", "export cris.hskp --day 1997-10-31 --format level1.1 -o out"]
)
def test_readers_tell_that_the_catalogue_was_lost(archive, run, words, lose):
    lose(archive)
    done = run("dayfile", *words.split())
    assert (done.code, done.out) == (4, "")
    (line,) = done.err.splitlines()
    assert "the catalogue is missing, and there are day files" in line
    assert line.endswith("rebuild it: dayfile reindex")
    assert run("dayfile", "check").code == 3
    assert run("dayfile", "reindex").code == 0
    assert run("dayfile", "ls").code == 0


@lost
@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_run_makes_a_catalogue_that_was_lost_of_all_day_files(tmp_path, archive, run, lose, engine):
    lose(archive)
    give(tmp_path, {"new/L1CrisHskp.be.bin": stream(2048)})
    done = run("archive-run", "given/new", "--engine", engine)
    assert done.code == 0
    (line,) = done.err.splitlines()
    assert "the catalogue is missing, and there are day files" in line
    assert line.endswith("rebuilding it from them")
    assert run("dayfile", "check", "--deep").code == 0
    assert len(dayfile.open_archive(archive).read("cris.hskp")) == 14


def test_a_catalogue_that_is_lost_during_a_watch_is_told(archive):
    before = state(archive / SLOTS)
    opened = dayfile.open_archive(archive)
    records = opened.read("cris.hskp").array[:1].copy()
    records["Second1996"] += 5120
    with pytest.raises(StorageError, match="rebuild it: dayfile reindex"), opened.putting() as put:
        assert put("cris.hskp", records).tolist() == [0]
        no_catalogue(archive)
    assert state(archive / SLOTS) == before


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_day_file_that_is_gone_is_told_when_it_begins_anew(tmp_path, archive, run, engine):
    (archive / SLOTS).unlink()
    give(tmp_path, {"new/L1CrisHskp.be.bin": stream(2048)})
    command = ("archive-run", "given/new", "--engine", engine, "--set", "sources.keep=always")
    done = run(*command)
    (line,) = done.err.splitlines()
    assert f"{SLOTS}: the catalogue lists 10 records but the file is missing; starting a new one" in line
    assert "dayfile rebuild" in line
    assert run(*command).err == ""
    done = run("dayfile", "rebuild", SLOTS)
    assert (done.code, done.err) == (0, "")
    assert len(dayfile.open_archive(archive).read("cris.hskp")) == 14


def test_a_rebuild_without_a_catalogue_makes_one_of_all_day_files(archive, run):
    before = run("dayfile", "ls", "--json").out
    no_catalogue(archive)
    assert run("dayfile", "rebuild", SLOTS).code == 0
    assert run("dayfile", "ls", "--json").out == before


@pytest.mark.parametrize("words", [("dayfile", "check"), ("dayfile", "ls"), ("archive-run",)], ids=" ".join)
def test_a_catalogue_that_is_garbage_is_told_with_what_puts_it_right(archive, run, words):
    garbage_catalogue(archive)
    done = run(*words)
    assert done.code in {3, 4}
    (line,) = done.err.splitlines()
    assert "catalogue" in line
    assert "dayfile reindex" in line


@pytest.mark.parametrize(
    "damage",
    [
        truncated,
        overwritten,
        emptied,
        ledger_without_its_table,
        ledger_without_its_day,
        table_without_its_clock,
    ],
    ids=lambda damage: damage.__name__,
)
def test_reindex_names_what_it_cannot_read_and_goes_on_with_the_others(archive, run, damage):
    damage(archive)
    done = run("dayfile", "reindex")
    assert (done.code, done.out) == (3, "the catalogue lists 4 day files\n")
    (line,) = done.err.splitlines()
    assert line.startswith(f"dayfile: {EVENTS}: is damaged: cannot be read")
    assert line.endswith("; rebuild it if its sources are kept (dayfile rebuild), otherwise restore it from a copy")
    listed = json.loads(run("dayfile", "ls", "--json").out)
    assert {entry["type"]: entry["records"] for entry in listed} == {"hisparc.events": 37, "cris.hskp": 13}


@pytest.mark.parametrize(
    "words", ["dayfile check", "dayfile reindex", "dayfile adopt ARCHIVE", "dayfile show cris.hskp"]
)
def test_of_a_damaged_day_file_it_is_told_what_can_be_done_also_without_its_sources(archive, run, words):
    for path in archive.rglob("*hsk.h5"):
        path.write_bytes(b"damaged")
    done = run(*words.replace("ARCHIVE", str(archive)).split())
    assert done.code in {3, 4}
    for line in done.err.splitlines():
        assert line.endswith("; rebuild it if its sources are kept (dayfile rebuild), otherwise restore it from a copy")
    assert done.err


# ---- rebuild


@pytest.mark.parametrize(
    ("path", "damage"),
    [
        *((EVENTS, damage) for damage in ("deleted", "truncated", "good")),
        *((path, "garbage") for path in (EVENTS, SLOTS, NEXT_SLOTS, "2024/5/2024_5_2.h5")),
    ],
)
def test_a_day_file_is_rebuilt_with_exactly_the_same_records(archive, made, run, path, damage):
    day_file = archive / path
    before = {other: (archive / other).stat().st_ino for other in (EVENTS, SLOTS, NEXT_SLOTS) if other != path}
    if damage == "deleted":
        day_file.unlink()
    elif damage == "truncated":
        day_file.write_bytes(day_file.read_bytes()[:-1000])
    elif damage == "garbage":
        day_file.write_text("Dear archive\n" * 1000)
    done = run("dayfile", "rebuild", path)
    assert (done.code, done.err) == (0, "")
    assert records_of(day_file) == records_of(made / path)
    assert {other: (archive / other).stat().st_ino for other in before} == before
    assert run("dayfile", "check", "--deep").code == 0


def test_rebuilt_records_are_the_ones_that_were_sent(archive, run):
    """What the comparison with the first day file rests on: contended slots, traces, both sides of midnight."""
    for path in (EVENTS, SLOTS, NEXT_SLOTS):
        (archive / path).unlink()
        assert run("dayfile", "rebuild", path).code == 0
    found = records_of(archive / EVENTS)
    assert {row["nanoseconds"]: row["traces"][:2] for row in found[f"{STATION}/events"]} == {
        number: [trace(10 * number), trace(10 * number + 1)] for number in (*range(30), 90)
    }
    slots = records_of(archive / SLOTS)
    assert sorted(row["ClockCycle"] for row in slots["/hskp_overlap"]) == [1001, 1002, 1500, 1501, 1900]
    later = records_of(archive / NEXT_SLOTS)
    assert sorted(row["ClockCycle"] for row in later["/hskp"] if row["Second1996"] not in (0, 0xFFFFFFFF)) == [1903]
    assert sorted(row["ClockCycle"] for row in later["/hskp_overlap"]) == [1005, 1902]


def test_the_path_may_be_that_of_the_file(archive, made, run):
    (archive / SLOTS).write_text("garbage")
    assert run("dayfile", "rebuild", archive / SLOTS).code == 0
    assert records_of(archive / SLOTS) == records_of(made / SLOTS)


@pytest.mark.parametrize("path", ["/etc/hosts", "nonsense", "2024/5/none.h5", "2024_99_99.h5", "../2024_5_1.h5", ""])
def test_what_is_no_day_file_is_refused_as_wrong_usage(archive, run, path):
    done = run("dayfile", "rebuild", path)
    assert done.code == 2
    assert len(done.err.splitlines()) == 1


def state(path):
    return path.read_bytes(), path.stat().st_ino, path.stat().st_mtime_ns


@pytest.mark.parametrize("kept", [[], ["upload_1"]])
def test_a_rebuild_without_all_sources_names_them_and_leaves_the_day_file(archive, run, kept):
    published = state(archive / EVENTS)
    for path in (archive / "sources" / "2024-05-01").glob("*/*"):
        if path.name not in kept:
            shutil.rmtree(path.parent)
    done = run("dayfile", "rebuild", EVENTS)
    assert done.code == 2
    for name in ("upload_1", "upload_2", "upload_3", "upload_4"):
        assert (name in done.err) == (name not in kept)
    assert "sources.keep" in done.err
    assert state(archive / EVENTS) == published


def test_a_day_file_that_was_damaged_before_it_was_recorded_stops_neither_other_runs_nor_its_rebuild(
    tmp_path, archive, run
):
    before = records_of(archive / SLOTS)
    open_archive(archive).catalogue.announce({SLOTS: np.datetime64("1997-10-31")})
    with (archive / SLOTS).open("r+b") as file:
        file.truncate(1000)
    give(tmp_path, {"new/upload_5": upload(shower(40, 40))})
    done = run("archive-run", "given/new")
    assert done.code == 0
    assert f"{SLOTS}: is damaged: cannot be read (HDF5ExtError); rebuild it if its sources are kept" in done.err
    assert SLOTS in run("dayfile", "check").err
    assert run("dayfile", "rebuild", SLOTS).code == 0
    assert records_of(archive / SLOTS) == before
    assert open_archive(archive).catalogue.list_announced() == {}
    assert run("dayfile", "check", "--deep").code == 0


def test_a_rebuild_of_a_damaged_file_with_fewer_records_than_it_had_is_told(archive, run):
    """The ledger cannot be read, so that no source is missed; the catalogue knows how many records there were."""
    for path in (archive / "sources" / "2024-05-01").glob("*/upload_2"):
        shutil.rmtree(path.parent)
    truncated(archive)
    done = run("dayfile", "rebuild", EVENTS)
    assert done.code != 0 or "records" in done.err


def test_a_source_that_can_no_longer_be_decoded_makes_a_rebuild_refuse(tmp_path, run):
    bare = pickle.dumps([shower(1, 1)], 0)
    give(tmp_path, {"upload_1": SOURCES["upload_1"], "bare": bare})
    station = ("--set", "hisparc.station=502", "--set", "hisparc.cluster=Amsterdam")
    assert run("archive-run", "given", *station, "--set", "sources.keep=always").code == 0
    published = state(tmp_path / "archive" / EVENTS)
    done = run("dayfile", "rebuild", EVENTS)
    assert done.code in {2, 3}
    assert "bare" in done.err
    assert "set hisparc.station" in done.err
    assert state(tmp_path / "archive" / EVENTS) == published
    assert not list((tmp_path / "archive" / "quarantine").iterdir())
    done = run("archive-run")
    assert (done.code, done.err) == (0, ""), "the refusal is no run that was cut off"
    assert run("dayfile", "rebuild", EVENTS, *station).code == 0


def test_records_that_a_rebuild_would_refuse_make_it_refuse(archive, run):
    published = state(archive / EVENTS)
    done = run("dayfile", "rebuild", EVENTS, "--set", "hisparc.cutoff_year=2030")
    assert done.code == 2
    assert state(archive / EVENTS) == published


def test_a_kept_source_that_was_changed_makes_a_rebuild_refuse(archive, run):
    """It can be decoded still, and is another source."""
    published = state(archive / SLOTS)
    path = next((archive / "sources" / "1997-10-31").glob("*/*"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    done = run("dayfile", "rebuild", SLOTS)
    assert done.code in {2, 3}
    assert path.name in done.err
    assert state(archive / SLOTS) == published


def test_a_kept_source_that_cannot_be_read_makes_a_rebuild_refuse(archive, run):
    published = state(archive / SLOTS)
    path = next((archive / "sources" / "1997-10-31").glob("*/*"))
    path.unlink()
    path.mkdir()  # root may read whatever is a file
    done = run("dayfile", "rebuild", SLOTS)
    assert done.code == 4
    assert f"{path.name}: could not read a kept source: Is a directory" in done.err
    assert state(archive / SLOTS) == published


def test_a_source_with_a_hidden_name_that_was_given_is_there_for_a_rebuild(tmp_path, run):
    give(tmp_path, {".upload_1": SOURCES["upload_1"]})
    assert run("archive-run", "given/.upload_1", "--set", "sources.keep=always").code == 0
    before = records_of(tmp_path / "archive" / EVENTS)
    making = next((tmp_path / "archive" / "sources").glob("*/*/*")).with_name(".making")
    making.write_bytes(b"cut off")
    done = run("dayfile", "rebuild", EVENTS)
    assert (done.code, done.err) == (0, "")
    assert records_of(tmp_path / "archive" / EVENTS) == before


def test_a_rebuild_with_one_plugin_is_not_stopped_by_sources_of_another(tmp_path, run):
    late = upload({**shower(0, 1), "header": {**shower(0, 1)["header"], "datetime": dt.datetime(1997, 10, 31, 1)}})
    give(tmp_path, {"upload_1": late, "L1CrisHskp.be.bin": stream(0, 256)})
    options = ("--set", "sources.keep=always", "--set", "hisparc.cutoff_year=1990")
    assert run("archive-run", "given", *options).code == 0
    before = records_of(tmp_path / "archive" / SLOTS)
    (tmp_path / "archive" / SLOTS).unlink()
    done = run("dayfile", "rebuild", SLOTS, "--plugins", "cris")
    assert (done.code, done.err) == (0, "")
    assert records_of(tmp_path / "archive" / SLOTS) == before


def test_sources_are_kept_below_every_day_they_have_records_of(archive):
    kept = {path.relative_to(archive / "sources").parts[0::2] for path in (archive / "sources").glob("*/*/*")}
    assert kept == {
        *(("2024-05-01", f"upload_{number}") for number in (1, 2, 3, 4)),
        ("2024-05-02", "upload_4"),
        ("1997-10-31", "L1CrisHskp.be.bin"),
        ("1997-11-01", "L1CrisHskp.be.bin"),
    }
