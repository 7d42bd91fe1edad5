"""A disk that fails stops the run with a clear message; input and day files stay as they were, the next run goes on."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tables

from archives import find_defects, run_with, watch_steps
from dayfile import create_archive, open_archive
from dayfile.errors import StorageError
from dayfile.testing import selftest
from dayfile.testing.faults import STEP_KINDS, Fault, inject
from dayfile_cris import instrument as cris
from disks import fill_up, mount
from instruments import make_stream
from running import run_command, run_python
from shares import first_of

COULD_NOT_WRITE = StorageError.exit_code


def contents(directory: Path) -> dict[str, bytes]:
    """All files below a directory."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def day_files(root) -> dict[str, bytes]:
    return {path: (root.path / path).read_bytes() for path in root.list_day_files()}


def sources(root) -> list[bytes]:
    """Content of what waits in ``incoming/`` or ``accepted/``."""
    return sorted([*contents(root.incoming).values(), *contents(root.accepted).values()])


# ---- Every step fails once


def run(archive, given: Path, fault: Fault | None = None):
    with inject(fault or Fault("any", 10**9, "fail")):
        return run_with(archive.root, selftest.make_plugins(), selftest.make_settings(), given)


@pytest.fixture
def two_ways(busy, tmp_path):
    """Make copies of an archive: some of its sources have arrived in ``incoming/``, the others are given."""

    def make():
        shutil.rmtree(tmp_path / "archive", ignore_errors=True)
        shutil.rmtree(tmp_path / "given", ignore_errors=True)
        archive = busy.copied(tmp_path / "archive")
        (archive.root.incoming / "3").rename(tmp_path / "given")
        return archive, tmp_path / "given"

    return make


@pytest.mark.parametrize("share", first_of(4))
def test_every_step_that_fails_stops_the_run_and_the_next_run_completes(two_ways, share):
    number = share + 1
    while True:
        archive, given = two_ways()
        old, waiting, held = day_files(archive.root), sources(archive.root), contents(given)
        fault = Fault("any", number, "fail")
        try:
            report = run(archive, given, fault)
        except StorageError as error:
            assert error.exit_code == COULD_NOT_WRITE
            assert re.search("No space left on device|is the disk full|cannot be opened; rebuild it", str(error))
        else:
            if not fault.happened:
                break
            # A source that cannot be opened is named, and waits where it is; so do all of a day file that cannot be.
            kind, path = fault.steps[number - 1]
            assert (kind, report.exit_code) == ("open", 3), path
            if path.suffix == ".h5":
                assert report.held
                assert all(path.name in held.reason for held in report.held)
                assert len(sources(archive.root)) <= len(report.held)
            else:
                assert len(report.failures + report.held) == 1
                assert sources(archive.root) == ([] if path.is_relative_to(given) else [path.read_bytes()])
            waiting = sources(archive.root)
        assert contents(given) == held
        renamed = {path for at, (kind, path) in enumerate(fault.steps, 1) if kind == "rename" and at != number}
        for path, content in day_files(archive.root).items():
            assert content == old.get(path) or archive.path / path in renamed
        assert find_defects(archive.root) == []
        counted = selftest.count_records(archive.path)
        assert sources(archive.root) == waiting or all(counted[record] for record in archive.expected)
        assert run(archive, given).exit_code == 0
        archive.assert_whole()
        number += 4
    assert number > 60, "hardly any step was tried"


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_a_step_that_fails_in_any_of_several_processes_stops_the_run_and_the_next_run_completes(two_ways, finish, kind):
    failures = 0
    for number in range(1, 10, 2):
        archive, given = two_ways()
        old, waiting, held = day_files(archive.root), sources(archive.root), contents(given)
        code = finish(archive, fault=f"{kind}:{number}:fail", workers=2)
        assert code in (0, COULD_NOT_WRITE)
        failures += code == COULD_NOT_WRITE
        assert contents(given) == held
        assert old.keys() <= day_files(archive.root).keys()
        assert find_defects(archive.root) == []
        arrived = {record for record, times in selftest.count_records(archive.path).items() if times == 1}
        assert sources(archive.root) == waiting or len(arrived) > len(old)
        assert run(archive, given).exit_code == 0
        archive.assert_whole()
    assert failures


def lose_rows(path: Path) -> None:
    with tables.open_file(path, "a") as file:
        table = next(file.walk_nodes("/", "Table"))
        table.truncate(table.nrows - 1)


def lose_a_page(path: Path) -> None:
    """What a write that never reached the disk leaves: the page of a record as zeros."""
    with tables.open_file(path) as file:
        rows = next(file.walk_nodes("/", "Table")).read()
        needle = rows[rows["id"] > 0][-1:].tobytes()
    place = path.read_bytes().index(needle) // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(4096))


def lose_the_end(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def lose_everything(path: Path) -> None:
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", [lose_rows, lose_a_page, lose_the_end, lose_everything])
@pytest.mark.parametrize("name", ["notes.2020.05.10.h5", "rates.2020.05.10.h5", "runs.2020.05.11.h5"])
def test_a_write_that_was_lost_is_noticed_although_pytables_reports_nothing(two_ways, damage, name):
    """It is lost between the closing of the work file, which two writes go before, and its reading back."""
    archive, given = two_ways()
    old, waiting, held = day_files(archive.root), sources(archive.root), contents(given)
    steps: list[str] = []

    def harm(kind: str, path: Path) -> None:
        if path.parent.name == "workshop" and path.name.endswith(name):
            steps.append(kind)
            if steps[-3:] == ["write", "write", "open"]:
                damage(path)
                steps.append("damaged")

    with watch_steps(harm), pytest.raises(StorageError, match="is the disk full"):
        run(archive, given)
    assert steps[-1] == "damaged"
    place = f"probe/2020/05/{name}"
    assert day_files(archive.root).get(place) == old.get(place)
    assert sources(archive.root) == waiting
    assert contents(given) == held
    run(archive, given)
    archive.assert_whole()


# ---- Disks that are really full

# One engine, in a process of its own; silent, as standard error may be a file that may not grow either.
ENGINE = """
import sys
from dayfile.errors import DayfileError
from dayfile.testing.selftest import run_load

try:
    run_load(directory)
except DayfileError as error:
    sys.exit(error.exit_code)
"""
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
"""


def assert_untouched_or_published(archive, old, waiting):
    """After a failure: every day file can be read, no source is gone but those whose records are all published."""
    assert find_defects(archive.root) == []
    assert old.keys() <= day_files(archive.root).keys()
    counted = selftest.count_records(archive.path)
    assert sources(archive.root) == waiting or all(counted[record] for record in archive.expected)


def test_files_that_may_not_grow_stop_the_run_and_the_next_run_completes(busy, tmp_path, finish):
    """HDF5, SQLite and the archive itself meet the limit at other places as it is raised."""
    limit, failures = 200, 0
    while True:
        archive = busy.copied(tmp_path / str(limit))
        old, waiting = day_files(archive.root), sources(archive.root)
        code = finish(archive, script=LIMITED + ENGINE, limit=limit)
        if code == 0:
            break
        assert code == COULD_NOT_WRITE
        failures += 1
        assert_untouched_or_published(archive, old, waiting)
        assert finish(archive) == 0
        archive.assert_whole()
        limit = limit * 5 // 4
    archive.assert_whole()
    assert failures > 15


def test_a_disk_that_is_really_full_stops_the_run_and_the_next_run_completes(busy, small_disk, finish):
    free, failures = 0, 0
    while True:
        archive = busy.copied(small_disk / "archive")
        old, waiting = day_files(archive.root), sources(archive.root)
        ballast = fill_up(small_disk, free)
        code = finish(archive)
        if code == 0:
            break
        assert code == COULD_NOT_WRITE
        failures += 1
        assert_untouched_or_published(archive, old, waiting)
        ballast.unlink()
        assert finish(archive) == 0
        archive.assert_whole()
        shutil.rmtree(archive.path)
        free += 16 * 1024
    archive.assert_whole()
    assert failures > 15


# ---- The command


@pytest.fixture
def hskp(tmp_path):
    """A source of the installed plugin cris: one record each 256 s of a day, from this day on."""

    def make(day: int) -> Path:
        data_type = cris.layout.by_code()["L1CrisHskp"]
        records = np.zeros(337, data_type.dtype)
        records["Second1996"] = 57801601 + 86400 * day + 256 * np.arange(337)
        for name in records.dtype.names:
            if name != "Second1996":
                records[name] = np.random.default_rng(day).integers(1, 100, records[name].shape)
        path = tmp_path / f"given {day}" / "L1CrisHskp.be.bin"
        path.parent.mkdir()
        path.write_bytes(make_stream(cris, data_type, records))
        return path

    return make


def command(*arguments: object, before: str = "") -> subprocess.CompletedProcess[str]:
    """``archive-run`` in a process that does something before."""
    program = (
        f"import sys\n{before}\nfrom dayfile.__main__ import archive_run\nsys.argv[0] = 'archive-run'\narchive_run()"
    )
    return run_python("-c", program, *arguments, "--plugins", "cris")


def assert_told(done: subprocess.CompletedProcess[str]):
    assert (done.returncode, done.stdout) == (COULD_NOT_WRITE, ""), done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith("dayfile: ")], done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("limit", [100, 4096, 30_000, 90_000])
def test_the_command_ends_with_its_own_exit_code_where_files_may_not_grow(tmp_path, hskp, limit):
    root, sent = create_archive(tmp_path / "archive").root, [hskp(0), hskp(1)]
    assert command(sent[0], "--archive", root.path).returncode == 0
    old, held = day_files(root), [path.read_bytes() for path in sent]
    shutil.copy(sent[1], root.incoming)
    before = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
    assert_told(command(*sent, "--archive", root.path, before=before))
    assert day_files(root) == old
    assert [path.read_bytes() for path in sent] == held
    assert sources(root) == held[1:]
    assert command(*sent, "--archive", root.path).returncode == 0
    assert len(open_archive(root.path).read("cris.hskp")) == 2 * 337
    assert find_defects(root) == []


@pytest.mark.parametrize("fault", ["fsync:2", "rename:2", "write:2", "copy:1", "any:16"])
def test_the_command_ends_with_its_own_exit_code_where_a_step_fails(tmp_path, hskp, fault):
    root, sent = create_archive(tmp_path / "archive").root, [hskp(0), hskp(1)]
    assert command(sent[0], "--archive", root.path).returncode == 0
    data_type = cris.layout.by_code()["L1CrisHskp"]
    (root.incoming / "L1CrisHskp.be.bin").write_bytes(sent[0].read_bytes()[-cris.struct(data_type).itemsize :] * 2)
    old, waiting = day_files(root), sources(root)
    before = (
        "from dayfile.testing.faults import Fault, inject\n"
        f"faulty = inject(Fault.parse('{fault}:fail'))\nfaulty.__enter__()"
    )
    assert_told(command(*sent, "--archive", root.path, before=before))
    assert day_files(root) == old
    assert sources(root) == waiting
    assert command(*sent, "--archive", root.path).returncode == 0
    assert len(open_archive(root.path).read("cris.hskp")) == 2 * 337


# ---- Directories that may not be written


def test_a_file_system_that_is_read_only_stops_the_run(busy, tmp_path, finish):
    archive = busy.copied(tmp_path / "archive")
    before = contents(archive.path)
    mount("--bind", str(archive.path), str(archive.path))
    try:
        mount("-o", "remount,bind,ro", str(archive.path))
        assert finish(archive) == COULD_NOT_WRITE
        assert contents(archive.path) == before
        assert find_defects(archive.root) == []
    finally:
        run_command("umount", "-l", archive.path, check=True)
    assert finish(archive) == 0
    archive.assert_whole()


# Root may write everywhere, so it becomes nobody first; a run elsewhere has loaded all that it cannot read afterwards.
AS_NOBODY = """
import os
if os.geteuid() == 0:
    from dayfile.testing.selftest import make_load, run_load
    make_load(elsewhere, 0)
    run_load(elsewhere)
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
"""


@pytest.fixture
def nobodys(busy):
    """A copy of the busy archive that belongs to the user of the test, or to nobody if that is root."""
    place = Path(tempfile.mkdtemp(prefix="dayfile-test-"))
    place.chmod(0o755)
    archive = busy.copied(place / "archive")
    if os.geteuid() == 0:
        for path in [archive.path, *archive.path.rglob("*")]:
            os.chown(path, 65534, 65534)
    yield archive
    shutil.rmtree(place)


@pytest.mark.parametrize("name", [".", "accepted", "workshop", "probe/2020/05"])
def test_a_directory_that_may_not_be_written_stops_the_run_and_the_next_run_completes(
    nobodys, tmp_path, new_archive, finish, name
):
    archive, script = nobodys, AS_NOBODY + ENGINE
    old, waiting = day_files(archive.root), sources(archive.root)
    (archive.path / name).chmod(0o555)
    assert finish(archive, script=script, elsewhere=new_archive(tmp_path / "1").path) == COULD_NOT_WRITE
    assert_untouched_or_published(archive, old, waiting)
    (archive.path / name).chmod(0o755)
    assert finish(archive, script=script, elsewhere=new_archive(tmp_path / "2").path) == 0
    archive.assert_whole()


def test_a_directory_of_incoming_that_may_not_be_written_holds_its_files_and_no_others(
    nobodys, tmp_path, new_archive, finish
):
    archive, script = nobodys, AS_NOBODY + ENGINE
    (archive.root.incoming / "1").chmod(0o555)
    assert finish(archive, script=script, elsewhere=new_archive(tmp_path / "1").path) == 0
    assert {path.parts[0] for path in map(Path, contents(archive.root.incoming))} == {"1"}
    assert contents(archive.root.accepted) == {}
    assert selftest.count_records(archive.path).total() == 2 * len(archive.expected) // 3
    (archive.root.incoming / "1").chmod(0o755)
    assert finish(archive, script=script, elsewhere=new_archive(tmp_path / "2").path) == 0
    archive.assert_whole()
