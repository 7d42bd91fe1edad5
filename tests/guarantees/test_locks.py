"""One engine an archive: the second is told so and harms nobody, a lock that was left behind holds nobody up."""

from __future__ import annotations

import os
import signal
import socket
import time

import pytest

from archives import find_defects, run_with, watch_steps
from dayfile.errors import ArchiveLockedError
from dayfile.testing import selftest

IS_LOCKED = ArchiveLockedError.exit_code
PATIENCE = 300  # seconds; a busy machine is slow


def end(process) -> int:
    process.terminate()
    process.join(PATIENCE)
    return process.exitcode


def test_a_second_engine_names_the_process_that_holds_the_archive_and_the_first_is_unharmed(
    busy, tmp_path, start, archive_run
):
    archive = busy.copied(tmp_path / "archive")
    watch = start(archive.path, watch=True)
    assert archive.settled(watch)
    (tmp_path / "letter").write_text("Dear archive")
    for command in (["run", tmp_path / "letter"], ["run", "--watch"], ["reindex"]):
        done = archive_run(*command, "--archive", archive.path, command="dayfile")
        assert done.returncode == IS_LOCKED
        assert f"process {watch.pid} on {socket.gethostname()} " in done.stderr
        assert "Traceback" not in done.stderr
    archive.load(2)
    assert archive.settled(watch)
    assert end(watch) == 0
    archive.assert_whole()


def test_a_second_engine_leaves_the_work_files_of_the_first_alone(busy, tmp_path, start, finish):
    archive = busy.copied(tmp_path / "archive")
    watch = start(archive.path, watch=True)
    assert archive.settled(watch)
    for number in range(4, 12):
        archive.load(number)
        assert finish(archive) == IS_LOCKED
    assert archive.settled(watch)
    assert end(watch) == 0
    archive.assert_whole()


def test_of_many_engines_at_once_one_works_at_a_time(busy, tmp_path, start, finish):
    archive = busy.copied(tmp_path / "archive")
    codes = []
    for number in range(4, 10):
        archive.load(number)
        engines = [start(archive.path) for _ in range(6)]
        for engine in engines:
            engine.join(PATIENCE)
        codes += [engine.exitcode for engine in engines]
    assert {*codes} == {0, IS_LOCKED}
    assert finish(archive) == 0
    archive.assert_whole()


def test_the_lock_of_a_killed_run_is_taken_over_and_that_is_told(busy, tmp_path, start, archive_run):
    archive = busy.copied(tmp_path / "archive")
    watch = start(archive.path, watch=True)
    assert archive.settled(watch)
    os.kill(watch.pid, signal.SIGKILL)
    watch.join(PATIENCE)
    (archive.root.workshop / "1-notes.2020.05.10.h5").write_bytes(b"half a day file")
    first, second = (archive_run("--archive", archive.path, "--plugins", "cris") for _ in range(2))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "the previous run was interrupted" in first.stderr
    assert second.stderr == ""
    archive.assert_whole()


def test_check_during_a_busy_watch_reports_nothing_false(busy, tmp_path, start, archive_run):
    archive = busy.copied(tmp_path / "archive")
    watch = start(archive.path, watch=True)
    looks = 0
    for number in range(4, 40):
        archive.load(number)
        until = time.monotonic() + 0.12
        while time.monotonic() < until:
            assert find_defects(archive.root, deep=looks % 2) == []
            looks += 1
    done = archive_run("check", "--archive", archive.path, command="dayfile")
    assert done.returncode == 0, done.stderr
    assert looks > 20
    assert archive.settled(watch)
    assert end(watch) == 0
    archive.assert_whole()


# ---- Others at work in the same directories


@pytest.fixture
def coming_and_going(start):
    """Make directories and remove them again, in a process of its own, below a directory."""
    started = []

    def begin(place):
        started.append(start(place, script=COMING_AND_GOING))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.join()


COMING_AND_GOING = """
import itertools
import shutil

for number in itertools.count():
    place = directory / f"place {number % 5}" / "deeper"
    place.mkdir(parents=True)
    (place / ".making").write_text("not yet there")
    shutil.rmtree(place.parent)
"""


def test_directories_that_come_and_go_in_incoming_stop_no_engine(busy, tmp_path, start, coming_and_going):
    archive = busy.copied(tmp_path / "archive")
    other = coming_and_going(archive.root.incoming)
    watch = start(archive.path, watch=True)
    for number in range(4, 24):
        archive.load(number)
        watch.join(0.1)
        assert watch.exitcode is None
    assert other.exitcode is None
    other.kill()
    other.join()
    for left in archive.root.incoming.rglob(".making"):
        left.unlink()
    assert archive.settled(watch)
    assert end(watch) == 0
    archive.assert_whole()


def test_directories_that_come_and_go_in_accepted_give_check_no_trouble(busy, tmp_path, coming_and_going):
    """A run makes and removes them for sources that have the same name."""
    archive = busy.copied(tmp_path / "archive")
    other = coming_and_going(archive.root.accepted)
    for _ in range(50):
        assert find_defects(archive.root, deep=False) == []
    assert other.exitcode is None


@pytest.mark.parametrize("step", range(4))
def test_a_source_that_is_taken_back_stops_no_run(busy, tmp_path, step):
    """Whoever put it there removes it after it was seen and before it is taken."""
    archive = busy.copied(tmp_path / "archive")
    taken = sorted(path for path in archive.root.incoming.rglob("*") if path.is_file())[step]

    def take_back(kind, path):
        if path.parent == archive.root.accepted and kind == "rename":
            taken.unlink(missing_ok=True)

    with watch_steps(take_back):
        report = run_with(archive.root, selftest.make_plugins(), selftest.make_settings())
    assert sum(report.sources.values()) == 5
    assert run_with(archive.root, selftest.make_plugins(), selftest.make_settings()).exit_code == 0
    assert files_of(archive.root.accepted) == []


def files_of(directory):
    return [path for path in directory.rglob("*") if path.is_file()]
