"""Watching: a process that goes on archiving what arrives, publishes when it is worth it, and stops when told."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import watchfiles

from archives import run_with
from dayfile import create_archive
from dayfile.engine.watch import Bell, watch_directory
from dayfile.errors import StorageError
from dayfile.testing import selftest
from running import PATIENCE, until
from shares import first_of
from watching import DAY_FILE, HSKP, NEVER, STREAM, stream


def test_what_arrives_is_archived_at_once_and_published_after_a_time_of_quiet(watch):
    """The rescan is an hour away: it is the notices of the file system that tell."""
    watcher = watch(publish__after=1.5).ready()
    sent = time.monotonic()
    watcher.arrive("1", stream(0, 1))
    until(lambda: not watcher.incoming())
    until(lambda: watcher.records() == 2)
    assert time.monotonic() - sent >= 1.5
    until(lambda: not watcher.accepted())
    watcher.arrive("2", stream(2))
    until(lambda: watcher.records() == 3)
    done = watcher.stop()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.report["sources"] == {"archived": 2, "already": 0, "quarantined": 0, "held": 0, "left": 0}


def test_a_day_file_that_is_never_quiet_is_published_when_it_has_grown(watch):
    watcher = watch(publish__growth=0.5).ready()
    watcher.arrive("first", stream(0))
    until(lambda: watcher.records() == 1)
    due = (watcher.archive / DAY_FILE).stat().st_size // 2 // HSKP.dtype.itemsize + 1  # records; a day has 338 slots
    little = due - 10
    watcher.arrive("little", stream(*range(1, 1 + little)))
    until(watcher.accepted)
    time.sleep(0.5)
    assert watcher.records() == 1, "it has not grown by half"
    watcher.arrive("more", stream(*range(1 + little, 1 + due)))
    until(lambda: watcher.records() == 1 + due)
    assert watcher.process.poll() is None
    assert watcher.stop().returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_a_signal_stops_it_with_everything_published(watch, number):
    watcher = watch().ready()
    for name in range(5):
        watcher.arrive(str(name), stream(name, 100 + name))
    until(lambda: len(watcher.accepted()) == 5)
    assert watcher.records() == 0
    done = watcher.stop(number)
    said = "dayfile: publishing what was accepted; press Ctrl-C again to stop at once\n"
    assert (done.returncode, done.stderr) == (0, said if number == signal.SIGINT else "")
    assert watcher.records() == 10
    assert watcher.accepted() == []
    assert list((watcher.archive / "workshop").iterdir()) == []
    assert not (watcher.archive / ".lock.json").exists()
    assert done.report["day_files"] == [DAY_FILE]


SLOW = """
import os, sys, time
from dayfile.archive import disk
from dayfile.cli import archive_run

def wait(step, path):
    if step == "rename" and path.suffix == ".h5":
        os.write(2, b"publishing" + os.linesep.encode())  # print, interrupted after that, would write it again
        time.sleep(3600)

sys.argv[0] = "archive-run"
with disk.watch_steps(wait):
    archive_run()
"""


def test_a_second_interrupt_stops_it_at_once_and_the_next_run_has_everything(watch, archive_run):
    """While it is publishing, which here never ends."""
    watcher = watch(program=[sys.executable, "-c", SLOW]).ready()
    watcher.arrive("1", stream(0, 1))
    until(watcher.accepted)
    watcher.process.send_signal(signal.SIGINT)
    assert "press Ctrl-C again to stop at once" in watcher.process.stderr.readline()
    assert watcher.process.stderr.readline() == "publishing\n"
    done = watcher.stop(signal.SIGINT)
    assert done.returncode == 130
    assert done.stderr == "dayfile: stopped; nothing is lost: the next run goes on with what was accepted\n"
    assert len(watcher.accepted()) == 1
    done = archive_run("--archive", watcher.archive, "--plugins", "cris")
    assert (done.returncode, watcher.records()) == (0, 2)


def test_a_signal_in_the_midst_of_work_loses_nothing(watch, archive_run):
    watcher = watch().ready()
    for name in range(120):
        watcher.arrive(str(name), stream(name))
    until(watcher.accepted)
    done = watcher.stop()
    assert (done.returncode, done.stderr) == (0, "")
    left = len(watcher.incoming())
    assert watcher.records() == 120 - left
    assert watcher.accepted() == []
    assert done.report["sources"]["archived"] == 120 - left
    done = archive_run("--archive", watcher.archive, "--plugins", "cris")
    assert (done.returncode, watcher.records()) == (0, 120)


def test_a_file_that_is_written_in_place_is_not_taken_before_it_is_whole(watch):
    watcher = watch(watch__settle=4.0, watch__rescan=0.1, publish__after=0.1).ready()
    content = stream(*range(8))
    step = len(content) // 8
    path = watcher.archive / "incoming" / STREAM
    with path.open("wb") as file:
        for start in range(0, len(content), step):
            file.write(content[start : start + step])  # whole records: half of them would be archived
            file.flush()
            time.sleep(0.2)
            assert path.exists()
            assert watcher.records() == 0
    until(lambda: watcher.records() == 8)
    done = watcher.stop()
    assert done.report["sources"] == {"archived": 1, "already": 0, "quarantined": 0, "held": 0, "left": 0}


def test_hidden_files_are_not_taken(watch):
    watcher = watch(watch__rescan=0.05).ready()
    hidden = [watcher.archive / "incoming" / name / STREAM for name in (".unfinished", "day/.hidden")]
    hidden += [watcher.archive / "incoming" / f".{STREAM}.Xa81"]
    for path in hidden:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(stream(5))
    watcher.arrive("later", stream(1))
    until(watcher.accepted)
    time.sleep(0.3)
    done = watcher.stop()
    assert done.report["sources"]["archived"] == 1
    assert all(path.exists() for path in hidden)
    assert watcher.records() == 1


BLOCKER = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "watchfiles":
            raise ImportError("watchfiles is not installed")

sys.meta_path.insert(0, Absent())
"""


@pytest.mark.parametrize("rescan", [0.2, NEVER])
def test_without_watchfiles_the_rescan_does_the_work_alone(watch, tmp_path, rescan):
    """With a rescan that never comes, nothing is seen: the notices are gone indeed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(BLOCKER)
    search = os.pathsep.join(filter(None, [str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")]))
    there = tmp_path / "archive" / "incoming" / STREAM
    there.parent.mkdir(parents=True)
    there.write_bytes(stream(2))
    watcher = watch(environment={"PYTHONPATH": search}, watch__rescan=rescan, publish__after=0.2).ready()
    # It has looked, and has nothing more to do that would let it look again.
    until(lambda: watcher.records() == 1 and not watcher.accepted())
    watcher.arrive("1", stream(0, 1))
    if rescan == NEVER:
        time.sleep(1)
        assert watcher.incoming()
    else:
        until(lambda: watcher.records() == 3)
    assert watcher.stop().returncode == 0


def test_what_arrives_before_the_system_gives_notices_is_seen_soon(tmp_path, monkeypatch):
    begin = watchfiles.watch

    def late(*arguments, **options):
        time.sleep(0.5)
        yield from begin(*arguments, **options)

    monkeypatch.setattr(watchfiles, "watch", late)
    with Bell() as bell, watch_directory(tmp_path, bell):
        (tmp_path / STREAM).write_bytes(stream(0))
        assert select.select([bell.reader], [], [], PATIENCE)[0]


@pytest.mark.parametrize("error", [OSError("watch limit reached"), RuntimeError("Too many open files (os error 24)")])
def test_a_system_that_gives_no_notices_is_told_in_a_line(tmp_path, monkeypatch, caplog, error):
    def refused(*arguments, **options):
        raise error
        yield

    monkeypatch.setattr(watchfiles, "watch", refused)
    with Bell() as bell, watch_directory(tmp_path, bell):
        until(lambda: caplog.messages)
    assert caplog.messages == [f"no notices of what arrives ({error}); incoming/ is read every watch.rescan seconds"]


# A watch that has nothing to do and looks again at once, many times: the signal meets it wherever it can.
TOLD_TO_STOP = """
import contextlib
import os
import random
import signal
import time
from archives import get_root
from dayfile.engine import watch
from dayfile.testing import selftest

def tell_once(*arguments):
    global told
    if not told:
        told = True
        watching = os.getpid()
        if os.fork() == 0:
            time.sleep(random.uniform(0.001, 0.005))
            os.kill(watching, signal.SIGTERM)
            os._exit(0)
    return ()

watch.work_through = tell_once
watch.pause = lambda *arguments: 0
watch.noticed = lambda *arguments: contextlib.nullcontext()
for _ in range(times):
    told = False
    watch.run_watch(get_root(directory), selftest.make_plugins(), selftest.make_settings())
"""


@pytest.mark.parametrize("times", first_of([50, 500]))
def test_a_watch_that_is_told_to_stop_stops_whatever_it_is_doing(busy, tmp_path, start, times):
    process = start(busy.copied(tmp_path / "archive").path, script=f"times = {times}\n{TOLD_TO_STOP}")
    process.join(PATIENCE)
    hangs = process.exitcode is None
    process.kill()
    assert not hangs
    assert process.exitcode == 0


def test_what_a_killed_run_left_is_archived_at_the_start(watch):
    watcher = watch().ready()
    watcher.arrive("1", stream(0, 1))
    watcher.arrive("2", stream(2))
    until(lambda: len(watcher.accepted()) == 2)
    assert watcher.stop(signal.SIGKILL).returncode == -signal.SIGKILL
    assert len(watcher.accepted()) == 2
    again = watch(publish__after=0.1).ready()
    until(lambda: again.records() == 3)
    until(lambda: not again.accepted())
    done = again.stop()
    assert done.returncode == 0
    assert "the previous run was interrupted" in done.stderr


def test_a_source_waits_in_accepted_until_the_last_of_its_day_files_is_published(watch):
    """One of the two days has grown by enough; killed then, the other one loses nothing."""
    watcher = watch(publish__growth=0.5).ready()
    watcher.arrive("first", stream(0, 400))
    until(lambda: watcher.records() == 2)
    most = (watcher.archive / DAY_FILE).stat().st_size // 2 // HSKP.dtype.itemsize + 1
    watcher.arrive("second", stream(*range(1, 1 + most), 401))
    until(lambda: watcher.records() == 2 + most)
    assert len(watcher.accepted()) == 1
    watcher.stop(signal.SIGKILL)
    again = watch(publish__after=0.1).ready()
    until(lambda: again.records() == 3 + most)
    until(lambda: not again.accepted())
    assert again.stop().returncode == 0


def processor_seconds(process):
    """What a process has used of the processors so far, in user and system mode."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_idle_costs_under_two_percent_of_a_core(watch):
    watcher = watch(watch__rescan=5.0, watch__settle=1.0, publish__after=10.0, publish__growth=0.5).ready()
    watcher.arrive("1", stream(0))
    until(lambda: watcher.records() == 1 and not watcher.accepted())
    time.sleep(0.5)
    before, started = processor_seconds(watcher.process.pid), time.monotonic()
    time.sleep(4)
    share = (processor_seconds(watcher.process.pid) - before) / (time.monotonic() - started)
    print(f"idle: {100 * share:.2f} % of a core")  # noqa: T201 - shown by pytest -s
    assert share < 0.02
    assert watcher.stop().returncode == 0


def test_watching_together_with_sources_is_refused(tmp_path):
    (tmp_path / STREAM).write_bytes(stream(0))
    command = [str(Path(sys.executable).with_name("archive-run")), "--watch", STREAM, "--archive", "archive"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2
    assert "--watch takes what arrives in DIR/incoming" in done.stderr
    assert not (tmp_path / "archive").exists()


def test_what_goes_to_quarantine_is_told_at_once(watch):
    watcher = watch().ready()
    for length in (33, 34):  # a line that repeats is counted instead
        watcher.arrive(str(length), b"x" * length)
        line = watcher.process.stderr.readline()
        assert "WARNING" in line
        assert "-> quarantine/" in line
        assert watcher.process.poll() is None
    assert watcher.stop().report["sources"]["quarantined"] == 2


@pytest.mark.parametrize("kind", ["write", "fsync", "rename"])
def test_a_storage_failure_ends_it_with_its_own_exit_code_and_the_next_run_has_everything(watch, archive_run, kind):
    """A step that fails as on a full disk, once the archive has been made."""
    program = [sys.executable, "-c", FAULTY, kind]
    watcher = watch(program=program, publish__after=0.1).ready()
    watcher.arrive("1", stream(0, 1))
    done = watcher.ended()
    assert done.returncode == StorageError.exit_code == 4
    (line,) = done.stderr.splitlines()
    assert line.startswith("dayfile: ")
    assert "No space left on device" in line
    assert len(watcher.accepted() + watcher.incoming()) == 1
    done = archive_run("--archive", watcher.archive, "--plugins", "cris", "--set", "watch.settle=0")
    assert (done.returncode, watcher.records()) == (0, 2)
    assert watcher.accepted() == []


FAULTY = """
import errno, os, sys
from archives import watch_steps
from dayfile.__main__ import archive_run

kind = sys.argv.pop(1)

def fail(step, path):
    if step == kind and "incoming" not in str(path) and (path.suffix == ".h5" or kind == "rename"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

sys.argv[0] = "archive-run"
with watch_steps(fail):
    archive_run()
"""


def test_a_disk_that_is_full_indeed_ends_it_too(watch, archive_run):
    """The operating system refuses every byte beyond a limit, as a full disk does."""
    limit = "import resource, sys; from dayfile.__main__ import archive_run; sys.argv[0] = 'archive-run'\n"
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000)); archive_run()"
    watcher = watch(program=[sys.executable, "-c", limit], publish__after=0.1).ready()
    watcher.arrive("1", stream(*range(337)))
    done = watcher.ended()
    assert done.returncode == 4, done.stderr
    assert "is the disk full?" in done.stderr or "File too large" in done.stderr
    assert not (watcher.archive / DAY_FILE).exists()
    assert len(watcher.accepted() + watcher.incoming()) == 1
    done = archive_run("--archive", watcher.archive, "--plugins", "cris", "--set", "watch.settle=0")
    assert (done.returncode, watcher.records()) == (0, 337)


def test_a_second_run_is_told_who_watches(watch, archive_run):
    watcher = watch().ready()
    done = archive_run("--archive", watcher.archive, "--plugins", "cris")
    assert done.returncode == 5
    assert f"process {watcher.process.pid}" in done.stderr
    assert watcher.stop().returncode == 0


WATCH_PROBE = """
import sys
from pathlib import Path
from dayfile.testing import selftest

selftest.run_load(Path(sys.argv[1]), watch=True)
"""


def test_sources_that_are_archived_already_are_released_though_nothing_is_published(tmp_path):
    """A run that was killed between publishing and releasing leaves them in ``accepted/``."""
    root = create_archive(tmp_path / "archive").root
    selftest.make_load(root.path, 0)
    sources = {path.name: path.read_bytes() for path in root.incoming.rglob("*") if path.is_file()}
    run_with(root, selftest.make_plugins(), selftest.make_settings())
    for name, content in sources.items():
        (root.accepted / name).write_bytes(content)
    watch = subprocess.Popen([sys.executable, "-c", WATCH_PROBE, root.path])
    try:
        until(lambda: not any(root.accepted.iterdir()))
    finally:
        watch.terminate()
        assert watch.wait(PATIENCE) == 0
