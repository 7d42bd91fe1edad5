"""What was accepted is never lost, wherever and however often the process is killed."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import pickle
import random
import shutil
import signal
import sqlite3
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tables

from archives import find_defects, list_catalogue, list_entries
from dayfile import create_archive
from dayfile.errors import StorageError
from dayfile.testing.faults import STEP_KINDS, Fault, inject
from dayfile.testing.selftest import count_records, run_load
from dayfile_hisparc.pickles import read_upload
from running import run_command, run_python
from shares import first_of

MODES = {"run": {}, "watch": {"watch": True}, "processes": {"workers": 2}}
COULD_NOT_WRITE = StorageError.exit_code
PATIENCE = 300  # seconds; a busy machine is slow
# Kinds with many steps are cut into shares. Each run of the tests takes the first, the long proofs all.
SHARES = {"fsync": 3, "write": 3, "open": 4, "rename": 2, "unlink": 1, "copy": 1}
SWEEPS = [
    pytest.param(
        *(kind, mode, share), id=f"{kind}-{mode}-{share + 1} of {shares}", marks=[pytest.mark.proof] if share else []
    )
    for kind, shares in SHARES.items()
    for mode in MODES
    for share in range(shares)
]
LEAST = {"fsync": 15, "write": 10, "open": 20, "rename": 8, "unlink": 5, "copy": 3}
# Of several processes each counts its own steps, and none does all of them.
LEAST_OF_EACH = {"fsync": 8, "write": 5, "open": 8, "rename": 5, "unlink": 5, "copy": 2}


def test_every_kind_of_step_is_tried():
    assert set(SHARES) == set(STEP_KINDS)


@pytest.mark.parametrize(("kind", "mode", "share"), SWEEPS)
def test_kill_at_any_point_loses_no_accepted_source(fresh, killed, finish, kind, mode, share):
    number = share + 1
    while True:
        archive = fresh()
        was_killed = killed(archive, f"{kind}:{number}:kill", **MODES[mode])
        if was_killed:
            assert finish(archive, workers=2 if mode == "processes" and number % 2 else None) == 0
        archive.assert_whole()
        if not was_killed:
            break
        number += SHARES[kind]
    assert number > (LEAST_OF_EACH if mode == "processes" else LEAST)[kind], "hardly any step was tried"


@pytest.mark.parametrize("seed", first_of(10))
def test_kill_at_random_moments_loses_no_accepted_source(busy, tmp_path, start, finish, seed):
    """Kills in the midst of what HDF5 and SQLite do, and between; most of them in the midst of a recovery."""
    chance = random.Random(seed)
    archive = busy.copied(tmp_path / "archive")
    kills, number = 0, 4
    while kills < 15:
        archive.load(number)
        number += 1
        process = start(archive.path, watch=chance.random() < 0.3)
        process.join(chance.uniform(0, 0.1))
        process.kill()
        process.join()
        kills += process.exitcode != 0
        assert process.exitcode in (0, -9)
    assert finish(archive, watch=seed % 2 == 0) == 0
    archive.assert_whole()


@pytest.mark.parametrize("seed", first_of(8))
def test_kill_again_and_again_during_the_recovery_loses_no_accepted_source(fresh, killed, finish, seed):
    chance = random.Random(seed)
    archive = fresh()
    for kind in chance.choices(["any", *STEP_KINDS], k=3):
        killed(archive, f"{kind}:{chance.randint(1, 20 if kind == 'any' else 5)}:kill", watch=chance.random() < 0.3)
    assert finish(archive, watch=seed % 2 == 0) == 0
    archive.assert_whole()


def children(process) -> list[int]:
    """The processes that a process has; none if it has ended."""
    try:
        return [int(child) for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def is_running(process: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("seed", first_of(4))
def test_kill_of_a_run_or_of_its_workers_at_random_moments_loses_no_accepted_source(
    busy, tmp_path, start, finish, seed
):
    chance = random.Random(seed)
    archive = busy.copied(tmp_path / "archive")
    kills, number = {-9: 0, COULD_NOT_WRITE: 0}, 4
    while min(kills.values()) < 4:
        archive.load(number)
        number += 1
        process = start(archive.path, workers=2)
        place = chance.choice([None, 0, 1])  # the run itself, or which of its workers
        while place is not None and len(children(process)) < 2 and process.is_alive():
            process.join(0.001)
        process.join(chance.uniform(0, 0.1))
        victims = [process.pid] if place is None else children(process)[place : place + 1]
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        process.join(PATIENCE)
        assert process.exitcode in (0, *kills)
        if process.exitcode:
            kills[process.exitcode] += 1
    assert finish(archive, workers=[None, 2][seed % 2]) == 0
    archive.assert_whole()


def test_the_workers_of_a_killed_run_end_with_it_and_the_next_run_need_not_wait(busy, tmp_path, start, finish):
    archive = busy.copied(tmp_path / "archive")
    for number in range(4, 40):
        archive.load(number)
    for _ in range(3):
        process = start(archive.path, workers=3)
        while len(workers := children(process)) < 3 or not any(archive.root.workshop.iterdir()):
            assert process.is_alive()
            process.join(0.001)
        for worker in workers:  # in the midst of something, so that none notices by itself
            os.kill(worker, signal.SIGSTOP)
        process.kill()
        process.join()
        try:
            with archive.root.hold_lock():
                assert [worker for worker in workers if is_running(worker)] == []
        finally:
            for worker in filter(is_running, workers):
                os.kill(worker, signal.SIGKILL)
    assert finish(archive, workers=2) == 0
    archive.assert_whole()


def test_a_watch_releases_what_a_killed_run_had_published(fresh, killed, finish):
    """And what comes again while it has nothing else to do: no day file changes, so nothing is due to be published."""
    archive = fresh()
    assert killed(archive, "unlink:1:kill")
    assert len([path for path in archive.root.accepted.rglob("*") if path.is_file()]) == 6
    assert finish(archive, watch=True) == 0
    archive.assert_whole()
    known = archive.expected
    archive.load(0)
    archive.expected = known
    assert finish(archive, watch=True) == 0
    archive.assert_whole()


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(2))
def test_two_thousand_kills_lose_no_accepted_source(tmp_path, seed):
    # It takes longer than any command has to; pytest bounds it.
    words = ("selftest", "--kill", 2000, "--seed", seed, "--scratch", tmp_path / "scratch")
    done = run_command("dayfile", *words, timeout=None)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("apart", "ended"), [(True, 7), (False, -signal.SIGKILL)])
def test_a_fault_happens_in_workers_and_not_in_a_fork_that_tries_sources(tmp_path, apart, ended):
    """Otherwise a source that is tried in a fork would be taken for one that ends the process."""
    with inject(Fault("write", 1, "kill")):
        child = os.fork()
        if child == 0:
            if apart:
                os.setsid()
            create_archive(tmp_path / "archive")
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == ended


# ---- The catalogue


def steps_of(archive) -> list[tuple[str, Path]]:
    """What a run does on disk, step by step."""
    with inject(Fault("any", 10**9, "fail")) as fault:
        run_load(archive.path)
    return fault.steps


def told(root) -> list[tuple[str, str, int]]:
    """What the catalogue says: path, data type, records."""
    return sorted((row.path, row.data_type, row.records) for row in list_catalogue(root))


def held(root) -> list[tuple[str, str, int]]:
    """What the catalogue should say."""
    found = Counter()
    for path in root.list_day_files():
        with tables.open_file(root.path / path) as file:
            for table in file.walk_nodes("/", "Table"):
                if "data_type" in table.attrs:
                    rows = np.ascontiguousarray(table.read()).view(np.uint8).reshape(len(table), -1)
                    filled = rows.any(axis=1) & (rows != 0xFF).any(axis=1)
                    found[path, str(table.attrs.data_type)] += int(filled.sum())
    return sorted((*named, number) for named, number in found.items())


def test_kill_between_publishing_and_catalogue_leaves_a_catalogue_that_agrees_after_the_next_run(fresh, killed, finish):
    steps = steps_of(fresh())
    published = [number for number, (kind, path) in enumerate(steps, 1) if kind == "rename" and path.suffix == ".h5"]
    assert len(published) == 6
    for number in published:
        archive = fresh()
        assert killed(archive, f"any:{number + 2}:kill")  # after the rename comes the fsync of its directory
        assert told(archive.root) != held(archive.root)
        assert find_defects(archive.root) == []  # it was announced, so it is no false alarm
        assert finish(archive) == 0
        assert told(archive.root) == held(archive.root)
        archive.assert_whole()


# Changes that SQLite has begun to put into the file when the process is killed: the rollback journal stays behind.
CUT_TRANSACTION = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA cache_size = 1")
connection.execute("BEGIN")
connection.execute("DELETE FROM types")
for number in range(500):
    connection.execute("INSERT INTO publishing VALUES (?, '2020-05-10')", (f"{number:0200}",))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def cut(fresh):
    """An archive whose catalogue was being written when the process was killed."""
    archive = fresh()
    before = told(archive.root)
    run_python("-c", CUT_TRANSACTION, archive.root.catalogue)
    assert archive.root.catalogue.with_name("catalogue.db-journal").stat().st_size > 0
    return archive, before


def test_kill_while_the_catalogue_is_written_stops_no_run_after_it(cut, finish):
    archive, _ = cut
    assert finish(archive) == 0
    archive.assert_whole()


def test_kill_while_the_catalogue_is_written_stops_no_reader(cut):
    archive, before = cut
    assert told(archive.root) == before
    assert sum(count_records(archive.path).values()) == 60
    assert find_defects(archive.root) == []


def test_the_catalogue_that_was_cut_off_is_really_cut_off(cut):
    """The two tests above mean something only if SQLite itself finds the file in need of repair."""
    archive, _ = cut
    connection = sqlite3.connect(f"{archive.root.catalogue.as_uri()}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError):
        connection.execute("SELECT * FROM types")
    connection.close()


# ---- Quarantine, and sources that are kept

# A call of Python that opens, renames or removes something in the archive kills the process; finer than the steps
# above, as one of them may be many calls.
KILLED_AT_A_CALL = """
import os, signal, sys

CALLS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.listdir", "os.scandir"}
seen = 0

def watched(event, arguments):
    global seen
    if event in CALLS and (str(directory) in str(arguments[0]) or isinstance(arguments[0], int) or event == "os.rmdir"):
        seen += 1
        if seen == at:
            os.kill(os.getpid(), signal.SIGKILL)

if at:
    sys.addaudithook(watched)
"""
TAKING = """
from archives import get_root, load_plugins, run_archive
from dayfile.testing.selftest import Probe

loaded = load_plugins("hisparc")
loaded.add("probe", Probe())
# Records that are there already are stored again, so that only the ledger keeps a source from being archived twice.
chosen = {"sources.keep": "always", "duplicates": "keep", "run.unrecognised": "quarantine"}
run_archive(get_root(directory), loaded, **chosen)
"""
SENDING_BACK = """
from archives import get_root, open_quarantine

box = open_quarantine(get_root(directory))
for entry in list(box.entries()):
    box.requeue(entry)
"""
TAKING, SENDING_BACK = KILLED_AT_A_CALL + TAKING, KILLED_AT_A_CALL + SENDING_BACK
BAD = {"letter": b"Dear archive", "Rate.be.bin": b"cut off", "empty": b""}
EVENTS = [("2024-05-01T00:00:01", "one"), ("1999-05-01T00:00:01", "no GPS"), ("2024-05-02T00:00:01", "two")]


def upload(events: list[tuple[str, str]]) -> bytes:
    """A queue file of error messages with their times."""
    made = [
        {
            "header": {"eventtype_uploadcode": "ERR", "datetime": dt.datetime.fromisoformat(time), "nanoseconds": 0},
            "datalist": [{"data_uploadcode": "ERRMSG", "data": message}],
        }
        for time, message in events
    ]
    return pickle.dumps({"station_id": 501, "cluster": "Amsterdam", "event_list": made}, 2)


@pytest.fixture
def mixed(tmp_path, new_archive):
    """Make an archive with bad sources, and one of which only a record is bad, in ``incoming/``."""

    def make():
        shutil.rmtree(tmp_path / "archive", ignore_errors=True)
        archive = new_archive(tmp_path / "archive")
        for name, content in {**BAD, "upload": upload(EVENTS)}.items():
            (archive.root.incoming / name).write_bytes(content)
        return archive

    return make


def assert_set_aside(root):
    """The bad sources, and the bad record, are in quarantine once and whole, and nowhere else."""
    entries = list_entries(root)
    assert len(entries) == sum(1 for _ in root.quarantine.glob("[!.]*"))
    assert sorted(entry.reason["source"] for entry in entries) == sorted([*BAD, "upload"])
    for entry in entries:
        content = entry.content.read_bytes() if entry.content else None
        if entry.reason["source"] in BAD:
            assert content == BAD[entry.reason["source"]]
        else:
            (event,) = read_upload(content, where="upload").events
            assert event["datalist"][0]["data"] == "no GPS"
    for place in (root.incoming, root.accepted, root.workshop):
        assert [path for path in place.rglob("*") if path.is_file()] == []


def messages(root) -> list[str]:
    """The error messages in all day files."""
    found: list[str] = []
    for path in root.list_day_files():
        with tables.open_file(root.path / path) as file:
            group = file.root.hisparc.cluster_amsterdam.station_501
            found += [group.blobs[place].decode() for place in group.errors.col("messages")]
    return sorted(found)


@pytest.mark.parametrize("share", first_of(4))
def test_kill_while_a_quarantine_entry_is_made_loses_and_doubles_nothing(mixed, finish, share):
    call = share + 1
    while True:
        archive = mixed()
        code = finish(archive, script=TAKING, at=call)
        assert code in (0, -9)
        if code == 0:
            break
        call += 4
        assert finish(archive, script=TAKING, at=0) == 0
        assert_set_aside(archive.root)
        assert messages(archive.root) == ["one", "two"]
        assert find_defects(archive.root) == []
        assert len({path.read_bytes() for path in archive.root.sources.glob("*/*/upload")}) == 1
    assert call > 50


@pytest.mark.parametrize("share", first_of(3))
def test_kill_while_a_quarantine_entry_is_sent_back_loses_and_doubles_nothing(mixed, finish, share):
    """Whatever was sent back is bad still, and has to be in quarantine again."""
    call = share + 1
    while True:
        archive = mixed()
        assert finish(archive, script=TAKING, at=0) == 0
        code = finish(archive, script=SENDING_BACK, at=call)
        assert code in (0, -9)
        assert finish(archive, script=TAKING, at=0) == 0
        assert_set_aside(archive.root)
        assert messages(archive.root) == ["one", "two"]
        if code == 0:
            break
        call += 3
    assert call > 10
