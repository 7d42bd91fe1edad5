"""Day files that cannot be read: each trouble is named as what it is, and only damage is called damage."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

import pytest
import tables

from dayfile.archive.opening import DayFileError, Trouble, open_day_file
from running import run_command, run_python


@pytest.fixture
def day_file(tmp_path):
    path = tmp_path / "day.h5"
    with tables.open_file(path, "w") as file:
        file.create_array("/", "values", list(range(100_000)))
    return path


def trouble_of(path):
    with pytest.raises(DayFileError) as raised, open_day_file(path) as file:
        file.root.values.read()
    assert str(path) in str(raised.value)
    return raised.value.trouble


def test_a_good_file_opens_whoever_else_reads_it(day_file):
    with tables.open_file(day_file), open_day_file(day_file) as file:
        assert file.root.values[-1] == 99_999


def test_a_missing_file_is_absent(tmp_path, day_file):
    assert trouble_of(tmp_path / "other.h5") is Trouble.ABSENT
    assert trouble_of(day_file / "below.h5") is Trouble.ABSENT


def cut(path):
    os.truncate(path, 3000)


def empty(path):
    os.truncate(path, 0)


def overwrite(path):
    path.write_bytes(b"no HDF5 at all" * 1000)


@pytest.mark.parametrize("damage", [cut, empty, overwrite])
def test_a_damaged_file_is_damaged_and_the_remedy_is_named(day_file, damage):
    damage(day_file)
    assert trouble_of(day_file) is Trouble.DAMAGED
    with pytest.raises(DayFileError, match="rebuild it if its sources are kept"), open_day_file(day_file):
        pass


def test_a_file_that_may_not_be_read_is_not_permitted(plain_user):
    path = plain_user / "closed" / "day.h5"
    path.parent.mkdir()
    with tables.open_file(path, "w"):
        pass
    path.chmod(0)
    assert trouble_of(path) is Trouble.NOT_PERMITTED
    path.parent.chmod(0)
    assert trouble_of(path) is Trouble.NOT_PERMITTED


def test_a_file_that_another_program_writes_is_in_use(day_file):
    with day_file.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert trouble_of(day_file) is Trouble.IN_USE
    with tables.open_file(day_file, "a"):
        assert trouble_of(day_file) is Trouble.IN_USE


def test_a_path_that_is_not_utf8_is_named(day_file):
    directory = Path(os.fsdecode(os.fsencode(day_file.parent) + b"/bad\xff"))
    try:
        directory.mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    shutil.copy(day_file, directory)
    assert trouble_of(directory / "day.h5") is Trouble.NOT_UTF8


def test_a_directory_is_no_damaged_day_file(tmp_path):
    (tmp_path / "day.h5").mkdir()
    assert trouble_of(tmp_path / "day.h5") is Trouble.NO_FILE


def test_a_pipe_a_socket_and_a_link_in_a_circle_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    assert trouble_of(tmp_path / "pipe.h5") is Trouble.NO_FILE
    (tmp_path / "loop.h5").symlink_to("loop.h5")
    assert trouble_of(tmp_path / "loop.h5") is Trouble.NO_FILE
    (tmp_path / "dangling.h5").symlink_to("gone.h5")
    assert trouble_of(tmp_path / "dangling.h5") is Trouble.ABSENT


LIBRARY = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
static int fails(const char *name) { const char *call = getenv("FAILS"); return call && !strcmp(call, name); }
int flock(int fd, int operation) {
    if (fails("flock")) { errno = atoi(getenv("WITH")); return -1; }
    return ((int (*)(int, int))dlsym(RTLD_NEXT, "flock"))(fd, operation);
}
ssize_t pread(int fd, void *buffer, size_t size, off_t offset) {
    if (fails("pread") && size > 100000) { errno = atoi(getenv("WITH")); return -1; }
    return ((ssize_t (*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread"))(fd, buffer, size, offset);
}
ssize_t pread64(int fd, void *buffer, size_t size, off_t offset) {
    return pread(fd, buffer, size, offset);
}
"""
PROGRAM = """
import sys
from pathlib import Path
from dayfile.archive.opening import DayFileError, open_day_file
try:
    with open_day_file(Path(sys.argv[1])) as file:
        print(file.root.values.read()[-1])
except DayFileError as error:
    print(error.trouble.name, error.detail)
"""


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """Run the program with a system call that fails."""
    directory = tmp_path_factory.mktemp("failing")
    (directory / "fails.c").write_text(LIBRARY)
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    words = [compiler, "-shared", "-fPIC", "-o", directory / "fails.so", directory / "fails.c", "-ldl"]
    run_command(*words, check=True)

    def run(path, call, number):
        failing = {"LD_PRELOAD": str(directory / "fails.so"), "FAILS": call, "WITH": str(number)}
        done = run_python("-c", PROGRAM, path, environment=failing)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, 524])
def test_a_file_system_without_locks_is_named_as_such(day_file, failing, number):
    assert failing(day_file, "flock", number).startswith("NO_LOCKS")


def test_locks_that_are_not_implemented_are_no_trouble(day_file, failing):
    assert failing(day_file, "flock", errno.ENOSYS) == "99999"


def test_a_disk_that_fails_to_read_is_not_called_damage(day_file, failing):
    assert failing(day_file, "pread", errno.EIO) == "UNREADABLE Input/output error"
