"""The record of state: what programs say of themselves is true, cheap, and outlives them."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archives import list_catalogue, make_plugins, make_settings, reindex, run_archive
from dayfile import Instrument, create_archive
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.root import Root
from dayfile.engine.starting import start_run
from dayfile.errors import StorageError, UsageError
from dayfile.state.engine import EngineRecorder
from dayfile.state.files import ENGINE, StateFile, list_receivers, read_state, state_directory
from dayfile.state.keys import Newest, NewestKeys, read_keys
from dayfile.state.measuring import Measure, Measured
from dayfile.state.processes import ProcessId
from dayfile.state.receiver import UploadRecorder, forget_old_receivers
from dayfile.state.records import EngineState, ReceiverState
from dayfile.state.status import make_status
from running import run_command

HALLS = """\
instrument: hall
title: Halls with a counter each
clock: {epoch: 1970-01-01T00:00:00, unit: s, leap_seconds: ignored}
path: "hall/{year}_{month}_{day}.h5"
node: /hall_{hall}/{type}
types:
  counts:
    code: Count
    title: Counts
    store: append
    time: second
    fields: [{name: second, type: uint32, unit: s}, {name: count, type: uint32}]
"""
DAY = 86400
COUNT = np.dtype([("second", "<u4"), ("count", "<u4")])


class Hall(Instrument):
    """Halls whose records a program puts."""


@pytest.fixture
def halls(tmp_path):
    """An archive with a key."""
    return create_archive(tmp_path / "archive", plugins={"hall": Hall(HALLS, "hall.yaml")})


def put(archive, hall, *seconds):
    archive.put("hall.counts", np.array([(second, 1) for second in seconds], COUNT), hall=hall)


def newest(archive):
    """Seconds of the newest record of each hall, by the record of state."""
    return {
        json.loads(key)["hall"]: each.record // 10**9
        for (_, key), each in read_keys(archive.root).items()
        if each.record is not None
    }


def read_engine(root):
    return read_state(state_directory(root) / ENGINE, EngineState)


# ---- Processes


def test_a_process_is_alive_until_it_ends_and_also_while_nobody_has_asked_for_its_end():
    with subprocess.Popen(["sleep", "100"]) as child:
        here = ProcessId.of_this_process()
        began = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[19])
        other = replace(here, pid=child.pid, began=began)
        assert (here.is_alive(), other.is_alive()) == (True, True)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still listed
        assert other.is_alive() is False
    assert other.is_alive() is False


def test_another_process_with_the_number_of_a_dead_one_is_not_that_process():
    here = ProcessId.of_this_process()
    assert replace(here, began=here.began + 1).is_alive() is False
    assert replace(here, boot="before").is_alive() is False


def test_a_process_of_another_machine_or_container_cannot_be_seen():
    here = ProcessId.of_this_process()
    assert replace(here, host="elsewhere").is_alive() is None
    assert replace(here, namespace="pid:[1]").is_alive() is None


# ---- The file of a program


def test_the_file_is_replaced_at_most_once_a_second_whatever_happens(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    recorder = EngineRecorder(root, "watch")
    recorder.beat()
    began, path = time.monotonic(), state_directory(root) / ENGINE
    first = path.stat().st_ino, path.stat().st_mtime_ns
    for number in range(2000):
        recorder.note_taken(1)
        recorder.beat(f"step {number}")
    assert time.monotonic() - began < 1, "the machine is too slow for this test"
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == first
    recorder.end()
    assert read_engine(root).taken == 2000


def test_a_reader_that_reads_all_the_time_sees_whole_states_only(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    file, state = StateFile(root, ENGINE), EngineRecorder(root, "watch").state
    for number in range(300):
        file.write(replace(state, doing="x" * (number * 37 % 9000)))
        assert len(json.loads((state_directory(root) / ENGINE).read_bytes())["doing"]) == number * 37 % 9000
    assert [path.name for path in state_directory(root).iterdir()] == [ENGINE]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = run_command("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr}")
    yield place
    run_command("umount", "-l", place, check=True)


def test_on_a_full_disk_the_state_is_still_written(small_disk, caplog):
    root = Root(small_disk / "archive")
    root.create()
    file, state = StateFile(root, ENGINE), EngineRecorder(root, "watch").state
    file.write(state)
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, pytest.raises(OSError, match="No space") as full:
        while True:
            ballast.write(bytes(4096))
    assert full.value.errno == errno.ENOSPC
    file.write(replace(state, waits_for="room on the disk"))
    assert read_engine(root).waits_for == "room on the disk"
    assert caplog.messages == []


def test_a_state_that_cannot_be_written_stops_nothing_and_is_said_once(archive, hits, caplog):
    (archive.root.path / ".state").write_text("in the way")
    archive.drop("MuonHit.be.bin", hits(1))
    report = archive.run()
    assert (report.exit_code, archive.seconds()) == (0, [1])
    assert sum("cannot be written" in message for message in caplog.messages) == 2  # of the engine, and of its keys


def test_a_state_of_another_version_is_read_and_a_damaged_one_is_as_none(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    path = state_directory(archive.root) / ENGINE
    content = json.loads(path.read_bytes())
    path.write_text(json.dumps(content | {"later": [1, 2]}))
    assert read_engine(archive.root).taken == 1
    path.write_bytes(path.read_bytes()[:100])
    assert read_engine(archive.root) is None
    assert make_status(archive.root).engine is None


# ---- What the engine does


def test_a_run_records_what_it_took_and_published_and_what_went_wrong(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2, 3))
    archive.drop("nobody's", b"?")
    archive.run(run__unrecognised="quarantine")
    state = read_engine(archive.root)
    assert (state.command, state.taken, state.waiting, state.failed) == ("run", 2, 0, "")
    assert (state.published.day_files, state.published.records) == (1, 3)
    assert state.published.bytes == (archive.root.path / state.published.path).stat().st_size
    assert state.ended >= state.since
    assert state.troubles == 1
    assert "no plugin of this run recognises it" in state.last_error.message
    assert state.measured.quarantine.entries == 1
    assert list(state.measured.quarantine.today.values()) == [1]


def test_records_that_are_there_already_are_not_counted_as_new(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2))
    archive.run()
    archive.drop("MuonHit.be.bin", hits(1, 2, 3))
    archive.run()
    assert read_engine(archive.root).published.records == 1


def test_the_error_that_ends_a_run_is_in_its_state(archive, hits, plugins_of, muon):
    archive.drop("MuonHit.be.bin", hits(1))
    loaded = plugins_of(muon=muon.instrument)
    with pytest.raises(StorageError), start_run(archive.root, loaded, make_settings(loaded)) as run:
        assert read_engine(archive.root).ended is None
        (archive.root.path / "incoming").rename(archive.root.path / "elsewhere")
        raise StorageError("incoming is gone", where="here")
    assert run.recorder.state.failed == "here: incoming is gone"
    assert read_engine(archive.root).failed == "here: incoming is gone"


def test_several_processes_record_what_one_does(archive, hits):
    states = []
    for workers in (None, 2):
        root = Root(archive.path / f"archive of {workers}")
        root.create()
        for number in range(5):
            (root.incoming / str(number)).mkdir()
            (root.incoming / str(number) / "MuonHit.be.bin").write_bytes(hits(number, number + 100_000))
        run_archive(root, make_plugins(muon=archive.muon.instrument), workers=workers)
        state = read_engine(root)
        states.append((state.taken, state.published.day_files, state.published.records, state.sources))
        assert {name: each.record for name, each in read_keys(root).items()} == {
            (name, key): last for name, key, last in Catalogue(root.catalogue).list_newest()
        }
        assert all(each.arrival for each in read_keys(root).values())
    assert states[0] == states[1] == (5, 2, 10, {**states[0][3], "archived": 5})


# ---- Keys


def test_the_newest_record_of_each_key_outlives_runs_and_does_not_go_back(halls):
    put(halls, 1, 10 * DAY + 5)
    put(halls, 2, 11 * DAY, 12 * DAY + 7)
    put(halls, 1, 3 * DAY)  # late
    assert newest(halls) == {1: 10 * DAY + 5, 2: 12 * DAY + 7}
    put(halls, 1, 13 * DAY)
    assert newest(halls) == {1: 13 * DAY, 2: 12 * DAY + 7}


def test_what_a_killed_program_did_not_write_is_found_in_the_catalogue(halls):
    put(halls, 1, 10 * DAY)
    path = state_directory(halls.root) / "keys.jsonl"
    before = path.read_bytes()
    arrival = read_keys(halls.root)["hall.counts", '{"hall": 1}'].arrival
    put(halls, 1, 11 * DAY)
    put(halls, 2, 12 * DAY)
    path.write_bytes(before + b'\n["hall.counts","{\\"hall\\":')  # killed in the midst of writing
    halls.root.holder.write_text("{}")
    assert newest(halls) == {1: 10 * DAY}
    put(halls, 3, 5 * DAY)
    assert newest(halls) == {1: 11 * DAY, 2: 12 * DAY, 3: 5 * DAY}
    assert read_keys(halls.root)["hall.counts", '{"hall": 1}'].arrival == arrival


def test_an_archive_of_an_earlier_version_is_followed_from_the_first_run(halls):
    put(halls, 1, 10 * DAY)
    shutil.rmtree(state_directory(halls.root))
    put(halls, 2, 12 * DAY)
    assert newest(halls) == {1: 10 * DAY, 2: 12 * DAY}


def test_a_program_that_puts_what_is_refused_has_failed_and_not_the_archive(halls):
    with pytest.raises(UsageError):
        halls.put("hall.counts", {"second": [1], "count": [-1]}, hall=1)
    assert list(halls.root.path.glob(".state/*")) == []
    put(halls, 1, 10 * DAY)
    with pytest.raises(ZeroDivisionError), halls.putting():
        1 / 0  # noqa: B018
    assert make_status(halls.root).concerns == []


def test_a_lost_day_is_lost_for_the_record_of_state_too_once_that_is_accepted(halls):
    put(halls, 1, 10 * DAY, 11 * DAY)
    (halls.root.path / list_catalogue(halls.root)[-1].path).unlink()
    reindex(halls.root, trust=True)
    assert newest(halls) == {1: 10 * DAY}


LINES = st.lists(
    st.tuples(st.integers(0, 9), st.none() | st.integers(0, 99), st.none() | st.integers(0, 99)), max_size=60
)


@given(steps=st.lists(LINES, max_size=4), most=st.sampled_from([4, 1000]), spare=st.sampled_from([0, 2**20]))
def test_whatever_is_noted_the_latest_counts_and_the_file_stays_small(tmp_path_factory, steps, most, spare):
    root = Root(tmp_path_factory.mktemp("keys") / "archive")
    root.create()
    expected: dict[tuple[str, str], Newest] = {}
    for step in steps:  # each by another process
        keys = NewestKeys(root, most, spare)
        for key, record, arrival in step:
            keys.note("hall.counts", str(key), record, arrival)
            expected.setdefault(("hall.counts", str(key)), Newest()).update(record, arrival)
            if spare == 0:
                keys.write()
        keys.write()
    found = read_keys(root)
    if most > len(expected) or spare:
        assert found == expected
    if spare == 0:
        assert len(found) <= 2 * most + 1
        path = state_directory(root) / "keys.jsonl"
        assert not path.exists() or path.stat().st_size < 50 * (2 * len(found) + 3)


# ---- Receivers


def test_what_a_process_counted_today_stays_when_another_takes_its_place(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    for _ in range(3):  # each is killed: it does not end
        uploads = UploadRecorder(root)
        uploads.begin("0")
        uploads.note_stored("501", "100 events", 88_000)
        uploads.note_refused("wrong password (203)")
        uploads.file.wrote = 0  # a second later
        uploads.beat()
        uploads._write_if_due()
        (path,) = list_receivers(root)
        left = read_state(path, ReceiverState)
        StateFile(root, path.name).write(replace(left, process=replace(left.process, began=1)))
    receiver = make_status(root).receiver
    assert (receiver.stored, receiver.bytes) == (3, 264_000)
    assert receiver.refused == {"wrong password (203)": 3}


def test_counts_begin_again_with_a_day_and_old_files_are_removed(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    uploads = UploadRecorder(root)
    uploads.begin("0")
    uploads.note_stored("501", "100 events", 88_000)
    uploads.end()
    (path,) = list_receivers(root)
    old = read_state(path, ReceiverState)
    StateFile(root, path.name).write(replace(old, day="2001-01-01"))
    assert make_status(root).receiver.stored == 0
    again = UploadRecorder(root)
    again.begin("0")
    assert read_state(path, ReceiverState).stored == 0
    StateFile(root, path.name).write(replace(old, day="2001-01-01", process=replace(old.process, began=1)))
    forget_old_receivers(root)
    assert not path.exists()


def test_reasons_of_refusals_are_bounded(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    uploads = UploadRecorder(root)
    for number in range(1000):
        uploads.note_refused(f"reason {number}")
    assert len(uploads.state.refused) <= 51
    assert sum(each.number for each in uploads.state.refused.values()) == 1000


# ---- Disk, queue and quarantine


def test_a_queue_is_counted_with_its_oldest_file_and_hidden_files_are_not(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    measure = Measure(root)
    assert (measure().incoming.files, measure().incoming.oldest) == (0, None)
    before = time.time()
    for name in ("a", "below/b", ".hidden", ".making/c"):
        path = root.incoming / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    os.utime(root.incoming / "a", (0, 0))  # a file may be older than its arrival
    found = measure().incoming
    assert found.files == 2
    assert abs(found.oldest - before) < 60


def test_a_disk_is_full_in_as_many_days_as_the_last_two_weeks_say():
    week = 7 * DAY
    assert Measured(2 * week, 500, 2000, samples=[(week, 1000), (1.5 * week, 400)]).days_left == 7
    assert Measured(2 * week, 1000, 2000, samples=[(week, 900)]).days_left is None
    assert Measured(2 * week, 500, 2000, samples=[(2 * week - 60, 1000)]).days_left is None  # a minute says nothing


def test_two_receivers_with_one_number_do_not_take_each_other_for_dead(tmp_path):
    """As in two containers: what the other has counted is not taken over while it works."""
    root = Root(tmp_path / "archive")
    root.create()
    one, other = UploadRecorder(root), UploadRecorder(root)
    one.begin("0")
    one.note_stored("501", "100 events", 88_000)
    one.end()
    one.begin("0")
    other.begin("0")
    assert other.state.stored == 0


def test_a_list_of_keys_that_was_begun_again_is_completed_from_the_catalogue(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    keys = NewestKeys(root)
    keys.replace([("muon.hits", "{}", 5)])
    assert keys.is_complete()
    keys.path.unlink()  # anything below .state/ may be deleted, also while a watch works
    keys.note("muon.rates", "{}", 7)
    keys.write()
    assert not keys.is_complete()
    assert not NewestKeys(root).is_complete()
