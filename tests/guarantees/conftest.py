"""What the proofs share: an archive of the probe instrument, and processes that can really be killed."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from archives import find_defects, get_root, list_entries
from dayfile import create_archive
from dayfile.errors import StorageError
from dayfile.testing import selftest
from disks import mount
from running import kill, run_command
from watching import Watcher

PATIENCE = 300.0  # seconds; a busy machine is slow

# One engine in a process of its own. What a user can mend ends in the exit code that the command line would give.
ENGINE = """
import sys
from dayfile.errors import DayfileError
from dayfile.testing.selftest import run_load

try:
    run_load(directory, watch=watch, fault=fault, workers=workers)
except DayfileError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
"""


def files(directory: Path) -> list[str]:
    """Paths of all files below a directory, in which an engine may be at work."""
    return sorted(
        os.path.relpath(Path(place, name), directory) for place, _, names in os.walk(directory) for name in names
    )


def catches(process: multiprocessing.Process, number: signal.Signals) -> bool:
    """Whether a process has a handler for a signal; one that is just starting or ending has none."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:"))
    return bool(int(caught, 16) >> (number - 1) & 1)


@dataclass
class Archive:
    """An archive of the probe instrument, and what it should hold in the end."""

    path: Path
    expected: list[str]

    @property
    def root(self):
        """The directory of the archive."""
        return get_root(self.path)

    def load(self, number: int) -> None:
        """Put the sources of a round into ``incoming/``; see :func:`dayfile.testing.selftest.make_load`."""
        self.expected = self.expected + selftest.make_load(self.path, number)

    def copied(self, path: Path) -> Archive:
        """The same archive at another place, with the times of its files."""
        return Archive(shutil.copytree(self.path, path), self.expected)

    @property
    def quiet(self) -> bool:
        """Whether an engine has nothing more to do."""
        return not any(files(place) for place in (self.root.incoming, self.root.accepted, self.root.workshop))

    def settled(self, watch: multiprocessing.Process, seconds: float = PATIENCE) -> bool:
        """Wait until a watch listens to SIGTERM and has nothing more to do, or has ended; True if it has not ended."""
        end = time.monotonic() + seconds
        while watch.is_alive():
            if self.quiet and catches(watch, signal.SIGTERM):
                return True
            assert time.monotonic() < end, f"not done after {seconds} s: {files(self.root.accepted)}"
            watch.join(0.005)
        return False

    def assert_whole(self) -> None:
        """Every accepted record is there exactly once, and nothing is wrong or left over."""
        counted = selftest.count_records(self.path)
        assert [(record, counted[record]) for record in self.expected if counted[record] != 1] == []
        assert counted.total() == len(self.expected)
        assert find_defects(self.root) == []
        assert files(self.root.incoming) == files(self.root.accepted) == files(self.root.workshop) == []
        assert [entry.reason for entry in list_entries(self.root)] == []


Start = Callable[..., multiprocessing.Process]


@pytest.fixture(scope="session")
def start(tmp_path_factory) -> Start:
    """Start an engine, or another script, in a process that is forked from one that has everything imported.

    ``start(path)`` is a run, ``start(path, watch=True, fault="rename:3:kill")`` a watch with a fault,
    ``start(path, workers=2)`` a run on several processes;
    ``start(path, script=text, name=value)`` a script with ``directory`` and further names.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dayfile.testing.selftest", "dayfile_hisparc.events", "watchfiles", "pytest"])
    directory = tmp_path_factory.mktemp("scripts")
    known: dict[str, Path] = {}

    def begin(path: Path, *, script: str = ENGINE, **names: object) -> multiprocessing.Process:
        if script not in known:
            known[script] = directory / f"{len(known)}.py"
            known[script].write_text(script)
        given = {"directory": path, "watch": False, "fault": None, "workers": None, **names}
        process = context.Process(
            target=runpy.run_path,
            args=(str(known[script]),),
            kwargs={"init_globals": given},
            daemon=given["workers"] is None,  # which may have no children
        )
        process.start()
        return process

    return begin


@pytest.fixture(scope="session")
def finish(start) -> Callable[..., int]:
    """Start an engine or script, wait for its end, and give its exit code; a watch is stopped when it is idle."""

    def run(archive: Archive, *, watch: bool = False, **names: object) -> int:
        process = start(archive.path, watch=watch, **names)
        if watch and archive.settled(process):
            process.terminate()
        process.join(PATIENCE)
        if process.exitcode is None:
            process.kill()
            pytest.fail("the engine hangs")
        return process.exitcode

    return run


@pytest.fixture(scope="session")
def killed(finish) -> Callable[..., bool]:
    """Let a fault kill an engine, or a worker of it; False if the engine came to its end without reaching it."""

    def run(archive: Archive, fault: str, **names: object) -> bool:
        code = finish(archive, fault=fault, **names)
        assert code in ({0, -signal.SIGKILL, StorageError.exit_code} if "workers" in names else {0, -signal.SIGKILL})
        return code != 0

    return run


@pytest.fixture(scope="session")
def new_archive() -> Callable[[Path], Archive]:
    """Make an archive, empty."""

    def make(path: Path) -> Archive:
        create_archive(path)
        return Archive(path, [])

    return make


@pytest.fixture(scope="session")
def busy(tmp_path_factory, new_archive, finish) -> Archive:
    """An archive with one published day, and new sources for it and for the next day in ``incoming/``.

    All stores are in it; records contend for slots; of the sources some have records of both days. To be copied.
    """
    archive = new_archive(tmp_path_factory.mktemp("busy") / "archive")
    archive.load(0)
    assert finish(archive) == 0
    archive.load(1)
    archive.load(3)
    return archive


@pytest.fixture
def fresh(busy, tmp_path) -> Iterable[Callable[[], Archive]]:
    """Copies of the busy archive, each in the place of the one before."""

    def make() -> Archive:
        place = tmp_path / "archive"
        shutil.rmtree(place, ignore_errors=True)
        return busy.copied(place)

    return make


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount("-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place))
    yield place
    run_command("umount", "-l", place, check=True)


@pytest.fixture
def watch(tmp_path):
    """Start watchers; those that are left at the end are killed."""
    started = []

    def start(directory=tmp_path, **options):
        started.append(Watcher(directory, **options))
        return started[-1]

    yield start
    for watcher in started:
        kill(watcher.process)
