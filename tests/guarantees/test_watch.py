"""Watching: a process that goes on archiving what arrives, publishes when it is worth it, and stops when told."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import watchfiles

from dayfile.archive.catalogue import Catalogue
from dayfile.archive.root import Root
from dayfile.engine.watch import Bell, watch_directory
from dayfile.errors import StorageError
from dayfile_cris import instrument as cris
from instruments import make_stream
from running import PATIENCE, find_program, kill, read_holder, until

HSKP = cris.layout.by_code()["L1CrisHskp"]
START = 57801601  # second of the spacecraft's clock at the beginning of 1997-10-31
STREAM = "L1CrisHskp.be.bin"
DAY_FILE = "cris/1997/10/cris.1997.10.31.hsk.h5"
NEVER = 3600


def stream(*slots):
    """A struct stream of housekeeping records for slots of the day."""
    records = np.zeros(len(slots), HSKP.dtype)
    records["Second1996"] = START + 256 * np.array(slots)
    return make_stream(cris, HSKP, records)


@dataclass(frozen=True)
class Ended:
    """A watch that ended: its exit code, what it printed, and its report if it wrote one."""

    returncode: int
    stdout: str
    stderr: str
    report: dict[str, Any] | None


class Watcher:
    """``archive-run --watch`` in a process of its own, on the archive of a directory.

    Settings are given by name, with ``__`` for the dot; what is not given waits for ever, or not at all.
    """

    def __init__(self, directory, *, environment=None, program=(), **settings):
        self.archive = directory / "archive"
        Root(self.archive).create()
        self.report_path = directory / "report.json"
        chosen = {"publish__after": NEVER, "publish__growth": 1e12, "watch__rescan": NEVER, "watch__settle": 0}
        chosen["log__level"] = "warning"
        pairs = [f"{name.replace('__', '.')}={value}" for name, value in {**chosen, **settings}.items()]
        command = [*program] or [find_program("archive-run")]
        command += ["--watch", "--plugins", "cris", "--archive", str(self.archive), "--report", str(self.report_path)]
        self.process = subprocess.Popen(
            [*command, *(word for pair in pairs for word in ("--set", pair))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )

    def ready(self):
        """Wait until it has taken its signals, and the archive's lock."""
        until(lambda: read_holder(self.archive) == self.process.pid or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()
        return self

    def arrive(self, name, content):
        """Let a file arrive, as it should: written elsewhere and renamed in."""
        making = self.archive / ".making"
        making.write_bytes(content)
        target = self.archive / "incoming" / name / STREAM
        target.parent.mkdir(exist_ok=True, parents=True)
        making.rename(target)

    def records(self):
        """How many records the catalogue knows of: those that are published."""
        return sum(row.records for row in Catalogue(self.archive / "catalogue.db").rows())

    def accepted(self):
        return [path for path in (self.archive / "accepted").rglob("*") if path.is_file()]

    def incoming(self):
        return [path for path in (self.archive / "incoming").rglob("*") if path.is_file()]

    def stop(self, number=signal.SIGTERM):
        """Tell it to stop; its exit code, and its report."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        out, err = self.process.communicate(timeout=PATIENCE)
        report = json.loads(self.report_path.read_text()) if self.report_path.exists() else None
        return Ended(self.process.returncode, out, err, report)


@pytest.fixture
def watch(tmp_path):
    """Start watchers; those that are left at the end are killed."""
    started = []

    def start(**options):
        started.append(Watcher(tmp_path, **options))
        return started[-1]

    yield start
    for watcher in started:
        kill(watcher.process)


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
    assert (done.returncode, done.stderr) == (0, "")
    assert watcher.records() == 10
    assert watcher.accepted() == []
    assert list((watcher.archive / "workshop").iterdir()) == []
    assert not (watcher.archive / ".lock.json").exists()
    assert done.report["day_files"] == [DAY_FILE]


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
from dayfile.archive import disk
from dayfile.cli import archive_run

kind = sys.argv.pop(1)

def fail(step, path):
    if step == kind and "incoming" not in str(path) and (path.suffix == ".h5" or kind == "rename"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

sys.argv[0] = "archive-run"
with disk.watch_steps(fail):
    archive_run()
"""


def test_a_disk_that_is_full_indeed_ends_it_too(watch, archive_run):
    """The operating system refuses every byte beyond a limit, as a full disk does."""
    limit = "import resource, sys; from dayfile.cli import archive_run; sys.argv[0] = 'archive-run'\n"
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
    from dayfile.archive.root import Root
    from dayfile.engine.executors import run_serial
    from dayfile.testing import selftest

    root = Root(tmp_path / "archive")
    root.create()
    selftest.make_load(root.path, 0)
    sources = {path.name: path.read_bytes() for path in root.incoming.rglob("*") if path.is_file()}
    run_serial(root, selftest.make_plugins(), selftest.make_settings())
    for name, content in sources.items():
        (root.accepted / name).write_bytes(content)
    watch = subprocess.Popen([sys.executable, "-c", WATCH_PROBE, root.path])
    try:
        until(lambda: not any(root.accepted.iterdir()))
    finally:
        watch.terminate()
        assert watch.wait(PATIENCE) == 0
