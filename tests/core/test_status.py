"""``dayfile status``: what an operator asks in one command, within 80 columns, and an exit code for alarms."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from archives import make_plugins, run_archive
from dayfile.archive.root import Root
from dayfile.cli.progress import format_watch
from dayfile.cli.status import format_status
from dayfile.state.engine import record_engine
from dayfile.state.files import ENGINE, StateFile, read_state, state_directory
from dayfile.state.keys import NewestKeys
from dayfile.state.measuring import Entries, Queue
from dayfile.state.processes import ProcessId
from dayfile.state.receiver import UploadRecorder
from dayfile.state.records import EngineState, LastError, Published
from dayfile.state.silence import Ages
from dayfile.state.status import make_status
from running import call_command, kill, run_command, run_script, start_command, until

HOUR, DAY = 3600, 86400


@pytest.fixture
def root(tmp_path):
    root = Root(tmp_path / "archive")
    root.create()
    return root


def make_engine(root, **fields):
    """Write the state of an engine that works in this process."""
    now = time.time()
    state = EngineState(ProcessId.of_this_process(), "1.0", "watch", now - DAY, now)
    StateFile(root, ENGINE).write(replace(state, **fields))


def concerns(root, **ages):
    return [concern.name for concern in make_status(root, Ages(**ages)).concerns]


def status(*words):
    return call_command("dayfile", "status", "-a", *words)


# ---- What needs attention


def test_a_new_archive_and_one_that_is_archived_well_need_no_attention(archive, hits):
    assert status(archive.root.path).code == 0
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    done = status(archive.root.path)
    assert (done.code, done.err) == (0, "")
    assert "attention   none needed" in done.out
    assert "published 1 day file" in done.out


def test_an_engine_that_was_killed_is_not_alive_and_says_so(root):
    make_engine(root, process=replace(ProcessId.of_this_process(), began=1))
    done = status(root.path)
    assert done.code == 3
    assert f"the watch of process {os.getpid()} was killed" in done.out
    assert concerns(root) == ["engine_killed"]


def test_an_engine_that_cannot_be_seen_counts_while_it_gives_signs_of_life(root):
    elsewhere = replace(ProcessId.of_this_process(), host="elsewhere")
    make_engine(root, process=elsewhere)
    assert make_status(root).engine.alive
    make_engine(root, process=elsewhere, beat=time.time() - HOUR)
    assert not make_status(root).engine.alive


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"failed": "disk: full", "ended": 1.0}, "engine_failed"),
        ({"beat": time.time() - HOUR}, "engine_late"),
        ({"beat": time.time() - HOUR, "patience": 2.0 * HOUR}, None),
        ({"waits_for": "room on the disk"}, "engine_waits"),
        ({"unsettled": ["x: held: its day file is damaged"]}, "sources_held"),
        ({"doing": "waiting"}, None),
        ({"ended": time.time()}, None),
    ],
)
def test_what_an_engine_says_of_itself_needs_attention_or_not(root, fields, expected):
    make_engine(root, **fields)
    assert concerns(root) == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("engine", "age", "expected"),
    [
        ({}, 2 * HOUR, True),
        ({}, HOUR / 2, False),
        ({"ended": 1.0}, HOUR / 2, True),
        ({"ended": 1.0}, 60, False),
        ({"command": "run", "ended": 1.0}, 23 * HOUR, False),
        ({"command": "run", "ended": 1.0}, 25 * HOUR, True),
    ],
)
def test_a_queue_needs_attention_by_who_should_take_it(root, engine, age, expected):
    now = time.time()
    make_engine(root)
    measured = replace(make_status(root).measured, incoming=Queue(64, now - age), at=now + 60)
    make_engine(root, measured=measured, **engine)
    uploads = UploadRecorder(root)
    uploads.begin("0")  # somebody works on the archive, so that the record counts
    assert ("queue_waits" in concerns(root)) == expected


def test_a_copied_archive_shows_nothing_of_the_programs_of_the_original(root, tmp_path):
    make_engine(root)
    with closing_receiver(root):
        assert (make_status(root).engine.alive, make_status(root).receiver.alive) == (True, True)
        shutil.copytree(root.path, tmp_path / "copy")
        found = make_status(Root(tmp_path / "copy"))
        assert (found.engine, found.receiver) == (None, None)
        root.path.rename(tmp_path / "moved")
        assert make_status(Root(tmp_path / "moved")).engine.alive


@contextmanager
def closing_receiver(root):
    """A receiver that works in this process."""
    uploads = UploadRecorder(root)
    uploads.begin("0", address="http://127.0.0.1:8000")
    yield
    uploads.end()


def test_a_receiver_whose_first_process_was_killed_counts_as_killed(root):
    """Its other processes notice that, and end by themselves."""
    first, other = UploadRecorder(root), UploadRecorder(root)
    first.begin("first", address="http://127.0.0.1:8000")
    other.begin("other")
    state = first.state
    state.process = replace(state.process, began=1)  # as of a process that is no more
    first.file.write(state)
    other.end()
    receiver = make_status(root).receiver
    assert (receiver.alive, receiver.killed) == (False, True)
    assert concerns(root) == ["receiver_killed"]


def test_who_stops_a_run_by_hand_does_not_let_it_fail(root):
    with pytest.raises(KeyboardInterrupt), record_engine(root, "run"):
        raise KeyboardInterrupt
    assert concerns(root) == []


def test_what_went_to_quarantine_today_is_shown_by_cause(archive):
    archive.drop("MuonHit.be.bin", b"123")
    archive.drop("nobody's", b"?")
    archive.run(run__unrecognised="quarantine")
    done = status(archive.root.path)
    assert done.code == 3
    assert "quarantine  2 entries, 2 new today (UTC)" in done.out
    assert "1 x muon: " in done.out
    assert concerns(archive.root) == ["quarantine_grew"]


def test_what_differs_only_in_numbers_is_one_cause_as_in_the_list_of_the_quarantine(archive):
    for length in (2, 3, 5):
        archive.drop("MuonHit.be.bin", b"?" * length)
        archive.run()
    assert (
        "            3 x muon: byte …: … bytes is not a whole number of …-byte structs" in status(archive.root.path).out
    )
    listed = call_command("dayfile", "quarantine", "ls", "-a", archive.root.path)
    assert [line for line in listed.out.splitlines() if line.startswith("3 entries  muon")]


def test_a_receiver_shows_what_it_took_today_and_what_it_refused_and_why(root):
    uploads = UploadRecorder(root)
    uploads.begin(address="http://127.0.0.1:8000", measuring=True)
    for _ in range(3):
        uploads.note_stored("501", "100 events", 88_000)
    uploads.note_refused("wrong password (203)")
    uploads.note_error("incoming/: no space left")
    uploads.end()
    found = make_status(root).receiver
    assert (found.alive, found.killed, found.stored, found.bytes) == (False, False, 3, 264_000)
    done = status(root.path)
    assert "3 uploads today (UTC), 264 kB" in done.out
    assert "refused 1: 1 wrong password (203)" in done.out
    assert concerns(root) == ["upload_failed"]


@pytest.mark.parametrize(
    ("free", "samples", "expected"),
    [
        (0, [], True),
        (10**9, [], False),
        (10**9, [(time.time() - 2 * DAY, 2 * 10**9)], True),
        (10**9, [(time.time() - 12 * DAY, 2 * 10**9)], False),
        (10**9, [(time.time() - 2 * DAY, 10**8)], False),
    ],
)
def test_a_disk_that_is_full_within_a_week_needs_attention(root, free, samples, expected):
    make_engine(root, measured=replace(make_status(root).measured, free=free, samples=samples))
    assert concerns(root) == (["disk_fills"] if expected else [])
    assert ("full in about" in status(root.path).out) == (len(samples) == 1 and samples[0][1] > free)


# ---- Silent keys


def follow(root, *keys):
    """Follow keys: each is type, number of a hall, age of its newest record and age of its last arrival, in hours."""
    newest = NewestKeys(root)
    now = time.time()
    for data_type, hall, record, arrival in keys:
        times = [None if age is None else round((now - age * HOUR) * 1e9) for age in (record, arrival)]
        newest.note(data_type, f'{{"hall": {hall}}}', *times)
    newest.write()


def silent(root, **ages):
    return [(each.name, each.key["hall"]) for each in make_status(root, Ages(**ages)).silence.silent]


def test_a_key_is_silent_when_none_of_its_types_has_a_new_record(root):
    follow(root, ("muon.hits", 1, 30, 30), ("muon.config", 1, 500, 500), ("muon.hits", 2, 1, 1))
    follow(root, ("muon.config", 2, 500, 500), ("muon.hits", 3, 60, 60))
    assert silent(root) == [("muon", 1), ("muon", 3)]
    assert silent(root, most=50 * HOUR) == [("muon", 3)]
    assert concerns(root) == ["keys_silent"]
    assert status(root.path).code == 3


def test_a_type_can_be_judged_by_itself(root):
    follow(root, ("muon.hits", 1, 1, 1), ("muon.weather", 1, 30, 30))
    assert silent(root) == []
    assert silent(root, types={"muon.weather": DAY}) == [("muon.weather", 1)]
    assert status(root.path, "--max-age", "muon.weather=1 d").code == 3


def test_a_misspelt_type_is_named_with_the_one_that_was_meant(root):
    done = status(root.path, "--max-age", "muon.wether=6 h")
    assert (done.code, "no type 'muon.wether' with a known key; none is known yet" in done.err) == (2, True)
    follow(root, ("muon.hits", 1, 1, 1), ("muon.weather", 1, 1, 1))
    done = status(root.path, "--max-age", "muon.wether=6 h")
    assert (done.code, "no type 'muon.wether' with a known key; did you mean 'muon.weather'?" in done.err) == (2, True)


def test_a_record_of_the_future_hides_no_silence(root):
    follow(root, ("muon.hits", 1, -10_000, 48), ("muon.hits", 2, -10_000, 1))
    assert silent(root) == [("muon", 1)]


def test_records_of_long_ago_that_arrive_today_are_silent(root):
    follow(root, ("muon.hits", 1, 48, 0))
    assert silent(root) == [("muon", 1)]


def test_what_has_been_silent_for_long_is_only_counted(root):
    follow(root, ("muon.hits", 1, 31 * 24, 31 * 24), ("muon.hits", 2, 29 * 24, 29 * 24))
    found = make_status(root).silence
    assert ([each.key for each in found.silent], found.retired, found.followed) == ([{"hall": 2}], 1, 2)
    assert make_status(root, Ages(retired=HOUR, most=HOUR)).silence.retired == 2


def test_silence_is_known_after_the_last_run_by_cron_and_with_no_program_at_work(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))  # of 1997
    archive.run()
    done = status(archive.root.path, "--retired", "20000 d")
    assert done.code == 3
    assert "muon" in done.out.split("silent")[1]
    assert "1997-10-31 00:00Z" in done.out


# ---- The command


def test_it_fits_in_80_columns_whatever_the_names_are(root):
    now = time.time()
    make_engine(
        root,
        taken=1_234_567,
        published=Published(4321, 9999, 10**9, 10**13, now - 3, "a/" * 60 + "day.h5"),
        last_error=LastError(now, "a very long message " * 20),
        waits_for="room on the disk: 12 MB free, 500 MB needed",
        unpublished_since=now - 100,
        unsettled=[f"incoming/{'long-name-' * 12}: held"],
    )
    measured = replace(make_status(root).measured, quarantine=Entries(9, {f"muon: cause {'x' * 90}": 4, "b: c": 5}))
    make_engine(root, measured=measured)
    follow(root, *((f"{'instrument' * 5}.hits", hall, 48, 48) for hall in range(50)))
    for width in (80, 200):
        lines = list(format_status(make_status(root), width))
        assert max(map(len, lines)) <= width, max(lines, key=len)
    assert any("and 40 more keys" in line for line in lines)


def test_what_needs_attention_is_said_once_with_its_path_whole(root):
    place = "/data/" + "a" * 30 + "/" + "b" * 29 + "/.work"
    message = f"{place}: could not write: No space left on device"
    make_engine(root, failed=message, last_error=LastError(time.time(), message))
    text = "\n".join(format_status(make_status(root), 80))
    assert text.count("could not write") == 1
    assert "ago): see attention" in text
    assert f"/{'b' * 29}/\n" in text or f"\n{' ' * 14}{'b' * 29}/.work: could" in text


@pytest.mark.parametrize("width", range(60, 90))
def test_an_age_is_on_one_line(root, width):
    make_engine(root, published=Published(1, last=time.time() - 50))
    lines = list(format_status(make_status(root), width))
    assert all(line.count("(") == line.count(")") for line in lines), lines
    assert max(map(len, lines)) <= width


def test_a_queue_that_was_measured_a_while_ago_says_so(root):
    measured = make_status(root).measured
    for age, number in ((9, 2), (0, 0)):
        make_engine(root, measured=replace(measured, at=time.time() - age))
        assert "\n".join(format_status(make_status(root), 80)).count("; as of 9 s ago") == number


def test_silent_keys_are_a_table_as_narrow_as_their_names(root):
    follow(root, ("muon.hits", 1, 48, 48), ("muon.hits", 502, 49, 49))
    rows = [line for line in format_status(make_status(root), 200) if "muon hall=" in line]
    assert [row.split("  20")[0] for row in rows] == [" " * 14 + "muon hall=1  ", " " * 14 + "muon hall=502"]


def test_as_json_it_has_everything_with_times_in_utc(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    done = status(archive.root.path, "--json")
    found = json.loads(done.out)
    assert found["archive"] == str(archive.root.path)
    assert found["engine"]["state"]["command"] == "run"
    assert found["keys"] == [
        {"type": "muon.hits", "key": {}, "record": "1997-10-31T00:00:01Z", "arrival": found["keys"][0]["arrival"]}
    ]
    assert found["engine"]["state"]["since"].endswith("Z")
    assert found["concerns"] == []


def test_it_asks_neither_catalogue_nor_day_files_nor_a_lock(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    archive.root.catalogue.write_bytes(b"not a catalogue")
    for path in (archive.root.path / "muon").rglob("*.h5"):
        path.write_bytes(b"not a day file")
    with archive.root.hold_lock():
        done = status(archive.root.path)
    assert "published 1 day file" in done.out


def test_what_is_no_archive_or_may_not_be_read_is_named(tmp_path, plain_command):
    done = status(tmp_path / "nothing")
    assert done.code == 4
    assert "no archive is here" in done.err
    assert plain_command("dayfile", "init", "archive", archive=None).code == 0
    root = Root(tmp_path / "archive")
    make_engine(root)
    (state_directory(root) / ENGINE).chmod(0)
    done = plain_command("dayfile", "status")
    assert done.code == 4
    assert "engine.json: cannot be read (Permission denied)" in done.err


def test_a_reader_who_may_not_look_into_directories_sees_what_the_programs_saw(tmp_path, plain_command):
    assert plain_command("dayfile", "init", "archive", archive=None).code == 0
    root = Root(tmp_path / "archive")
    make_engine(root, ended=time.time(), measured=replace(make_status(root).measured, accepted=Queue(7, time.time())))
    root.accepted.chmod(0)
    root.quarantine.chmod(0)
    done = plain_command("dayfile", "status")
    assert "7 sources in accepted/" in done.out
    (state_directory(root) / ENGINE).unlink()
    done = plain_command("dayfile", "status")
    assert "accepted/ may not be listed by this user" in done.out
    assert done.code == 0


def test_watch_needs_a_terminal_and_is_text(root):
    done = status(root.path, "--watch")
    assert (done.code, done.err) == (2, "dayfile: --watch needs a terminal\n")
    assert status(root.path, "--watch", "--json").code == 2


# ---- A watch, while it goes on


def test_a_watch_shows_at_all_times_what_it_does_and_its_end(tmp_path):
    archive = tmp_path / "archive"
    run_command("dayfile", "init", archive, check=True)
    words = ("--set", "watch.settle=0", "--set", "publish.after=0.2", "--plugins", "cris", "--report", "report.json")
    process = start_command("archive-run", "--watch", "-a", archive, *words, log=tmp_path / "log", cwd=tmp_path)
    try:
        until(lambda: (found := make_status(Root(archive)).engine) and found.alive and found.state.doing == "waiting")
        run_command("dayfile", "simulate", "cris", "--day", "1997-10-31", "--out", tmp_path / "in", check=True)
        for path in (tmp_path / "in").iterdir():
            path.rename(archive / "incoming" / path.name)
        number = until(lambda: (found := make_status(Root(archive)).engine.state).published.day_files and found.taken)
        until(lambda: make_status(Root(archive)).engine.state.waiting == 0)
        assert number >= 1
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        kill(process)
    found = make_status(Root(archive)).engine
    assert (found.alive, found.state.failed, found.state.doing) == (False, "", "ended")
    log = (tmp_path / "log").read_text()
    for text in (f"watching {archive}", "took ", "published cris.1997.10.31", "stopped"):
        assert text in log
    assert found.state.taken == json.loads((tmp_path / "report.json").read_text())["sources"]["archived"]


HOLDER = """
import sys, time
from pathlib import Path
from dayfile.archive.root import Root
from dayfile.state.engine import EngineRecorder

recorder = EngineRecorder(Root(Path(sys.argv[1])), "watch")
recorder.beat("waiting")
print("ready", flush=True)
time.sleep(1000)
"""


def test_a_killed_program_counts_as_killed_at_once(root):
    with run_script(HOLDER, root.path):
        assert make_status(root).engine.alive
        assert concerns(root) == []
    assert not make_status(root).engine.alive
    assert concerns(root) == ["engine_killed"]


def test_the_line_of_a_watch_keeps_its_numbers_on_a_narrow_terminal():
    published = Published(18, last=72494.0)
    state = EngineState(ProcessId(1, "here"), "1.0", "watch", 0, 0, taken=3, published=published, queued=2, waiting=1)
    long = "/a/very/long/path/to/an/archive/of/many/stations/in/many/countries"
    for width in (73, 80, 200):
        line = format_watch(long, state, width)
        assert len(line) < width
        assert line.endswith("3 sources, 18 day files · last 20:08:14Z · 3 waiting")
    waits = format_watch("/data", replace(state, waits_for="room on the disk"), 100)
    assert waits.endswith("waiting for room on the disk")


def test_of_several_runs_the_last_is_shown(tmp_path, muon, hits):
    root = Root(tmp_path / "archive")
    root.create()
    for number in range(3):
        (root.incoming / "MuonHit.be.bin").write_bytes(hits(number))
        run_archive(root, make_plugins(muon=muon.instrument))
        state = read_state(state_directory(root) / ENGINE, EngineState)
        assert (state.taken, state.published.publications) == (1, 1)
