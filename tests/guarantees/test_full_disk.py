"""A disk that fills up under a watch: a warning comes before, and with ``disk.wait`` it goes on when there is room."""

from __future__ import annotations

import json
import signal
import sys

import pytest

from dayfile import create_archive
from dayfile.archive import disk
from dayfile.errors import StorageError
from disks import fill_up
from running import run_command, until
from watching import DAY_FILE, stream

SOURCE = stream(*range(337))
LITTLE = len(SOURCE) + 40 * 1024
"""Bytes that take the source, and not the day file."""


@pytest.fixture
def filled(watch, small_disk):
    """Start a watch on a small disk, fill that up, and let a source arrive: a function of settings."""

    def start(free=LITTLE, content=SOURCE, **settings):
        watcher = watch(small_disk, disk__least_free=300_000, watch__rescan=0.1, publish__after=0.1, **settings)
        watcher.ready()
        ballast = fill_up(small_disk, free)
        watcher.arrive("1", content)
        return watcher, ballast

    return start


def read_until(watcher, words):
    """Read lines of a watch until one has these words; return it."""
    while words not in (line := watcher.process.stderr.readline()):
        assert line, "it ended"
    return line


def test_a_full_disk_is_waited_for_and_then_everything_is_archived(filled):
    watcher, ballast = filled(disk__wait=True)
    assert "No space left on device" in (line := read_until(watcher, "stays where it is")) or "disk full" in line
    assert "disk.least_free is 300 kB" in read_until(watcher, "the watch goes on when there is room")
    assert not (watcher.archive / DAY_FILE).exists()
    assert len(watcher.accepted() + watcher.incoming()) == 1
    assert list((watcher.archive / "workshop").iterdir()) == [], "what cannot be published takes room"
    ballast.unlink()
    assert read_until(watcher, "there is room again; the watch goes on")
    until(lambda: watcher.records() == 337 and not watcher.accepted())
    watcher.arrive("2", stream(337))
    until(lambda: watcher.records() == 338)
    assert watcher.stop().returncode == 0


def test_what_a_watch_has_counted_goes_on_after_it_has_waited_for_room(filled, small_disk):
    watcher, ballast = filled(disk__wait=True, content=stream(*range(300)))
    began = read_engine(watcher)["since"]
    read_until(watcher, "the watch goes on when there is room")
    ballast.unlink()
    until(lambda: watcher.records() == 300 and not watcher.accepted())
    watcher.arrive("2", stream(337))
    until(lambda: watcher.records() == 301 and not watcher.accepted())
    ballast = fill_up(small_disk, LITTLE)
    watcher.arrive("3", stream(*range(300, 337)))
    read_until(watcher, "the watch goes on when there is room")
    until(lambda: read_engine(watcher)["waits_for"])
    waiting = read_engine(watcher)
    assert (waiting["since"], waiting["sources"]["archived"], waiting["taken"]) == (began, 2, 2)
    ballast.unlink()
    until(lambda: watcher.records() == 338 and not watcher.accepted())
    assert watcher.stop().returncode == 0
    ended = read_engine(watcher)
    assert (ended["since"], ended["sources"]["archived"], ended["taken"]) == (began, 3, 3)
    assert ended["published"]["day_files"] == 1, "each day file once"


def read_engine(watcher):
    shown = run_command("dayfile", "status", "--json", "-a", watcher.archive)
    return json.loads(shown.stdout)["engine"]["state"]


def test_without_the_setting_a_full_disk_ends_the_watch_and_the_message_says_how_much_is_free(filled):
    watcher, _ = filled()
    done = watcher.ended()
    assert done.returncode == 4
    assert " B free" in done.stderr.splitlines()[-1] or "kB free" in done.stderr.splitlines()[-1]
    assert len(watcher.accepted() + watcher.incoming()) == 1


def test_a_watch_that_waits_for_room_can_be_stopped_and_loses_nothing(filled, archive_run):
    watcher, ballast = filled(disk__wait=True)
    read_until(watcher, "the watch goes on when there is room")
    done = watcher.stop(signal.SIGTERM)
    assert done.returncode == 4
    assert len(watcher.accepted() + watcher.incoming()) == 1
    shown = run_command("dayfile", "status", "--json", "-a", watcher.archive)
    assert json.loads(shown.stdout)["engine"]["state"]["ended"] is not None, "it was stopped, not killed"
    ballast.unlink()
    done = archive_run("--archive", watcher.archive, "--plugins", "cris", "--set", "watch.settle=0")
    assert (done.returncode, watcher.records()) == (0, 337)


def test_it_waits_as_well_if_the_disk_is_full_when_it_starts(watch, small_disk):
    create_archive(small_disk / "archive")
    ballast = fill_up(small_disk, 0)
    watcher = watch(small_disk, disk__wait=True, disk__least_free=300_000, watch__rescan=0.1, publish__after=0.1)
    read_until(watcher, "the watch goes on when there is room")
    ballast.unlink()
    watcher.ready().arrive("1", SOURCE)
    until(lambda: watcher.records() == 337)
    assert watcher.stop().returncode == 0


FAULTY = """
import errno, os, sys
from archives import watch_steps
from dayfile.__main__ import archive_run

def fail(step, path):
    if step == "rename" and path.suffix == ".h5":
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

sys.argv[0] = "archive-run"
with watch_steps(fail):
    archive_run()
"""


def test_another_failure_of_the_disk_ends_it_with_the_setting_too(watch):
    watcher = watch(program=[sys.executable, "-c", FAULTY], disk__wait=True, publish__after=0.1).ready()
    watcher.arrive("1", stream(0))
    done = watcher.ended()
    assert done.returncode == 4
    assert "Input/output error" in done.stderr


def test_a_warning_comes_before_the_disk_is_full_and_a_line_when_there_is_room_again(filled):
    """All that arrives is archived meanwhile."""
    watcher, ballast = filled(free=280_000, content=stream(0))
    assert "B free; disk.least_free is 300 kB" in read_until(watcher, "the disk is nearly full")
    until(lambda: watcher.records() == 1)
    ballast.unlink()
    assert read_until(watcher, "there is room again")
    done = watcher.stop()
    assert (done.returncode, done.stderr) == (0, "")


def test_a_run_warns_too(small_disk, archive_run):
    words = ("--archive", small_disk / "archive", "--plugins", "cris")
    assert archive_run(*words, "--set", "disk.least_free=1000000").stderr == ""
    done = archive_run(*words)
    assert done.returncode == 0
    assert "the disk is nearly full" in done.stderr
    assert "disk.least_free is 1.1 GB" in done.stderr


def test_a_part_of_a_day_file_that_found_no_room_beside_its_place_is_removed(small_disk, tmp_path):
    """Day files can be on another file system than the workshop: each is copied there before it is put in place."""
    made = tmp_path / "made.h5"
    made.write_bytes(bytes(3 * 2**20))
    with pytest.raises(StorageError, match=r"No space left on device, .* free"):
        disk.bring_near(made, small_disk / "day.h5")
    assert list(small_disk.iterdir()) == []
    assert made.exists()
