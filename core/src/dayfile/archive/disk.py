"""Every change the archive makes on disk: durable writes, copies, renames.

What is promised after a crash rests on these few functions, so all changes go through them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import cast

from dayfile.errors import StorageError

__all__ = [
    "begin_sync",
    "copy",
    "exists",
    "make_directory",
    "rename",
    "step",
    "storage_errors",
    "sync",
    "unlink",
    "watch_steps",
    "write",
]

COPY_BLOCK = 2**30
SYNC_FILE_RANGE_WRITE = 2

observers: list[Callable[[str, Path], None]] = []


@contextmanager
def watch_steps(observer: Callable[[str, Path], None]) -> Iterator[None]:
    """Call ``observer`` with kind and path before every step on disk, as the tests of what a crash leaves behind do.

    Kinds are ``write``, ``fsync``, ``rename``, ``copy``, ``open`` and ``unlink``. What the observer raises is raised
    by the step: an OSError looks like the disk's own.
    """
    observers.append(observer)
    try:
        yield
    finally:
        observers.remove(observer)


def step(kind: str, path: Path) -> None:
    """Tell observers that a step comes next."""
    for observer in observers:
        observer(kind, path)


STAYS = "input stays where it was, run again once it is mended"
"""What to say, and to do, when something could not be written."""


@contextmanager
def storage_errors(action: str, path: Path) -> Iterator[None]:
    """Turn OSError into a StorageError that says what failed where."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"could not {action}: {error.strerror or error}; {STAYS}", where=path) from error


def sync(path: Path) -> None:
    """Force a file's or directory's content to disk."""
    with storage_errors("sync to disk", path):
        step("fsync", path)
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def begin_sync(path: Path) -> None:
    """Let the system begin to write a file's content to disk, and do not wait: :func:`sync` has less to wait for then.

    Of systems other than Linux nothing is asked; nothing depends on it.
    """
    function = sync_file_range()
    if function is not None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            function(descriptor, 0, 0, SYNC_FILE_RANGE_WRITE)  # of the whole file; where it cannot, it does nothing
        finally:
            os.close(descriptor)


@cache
def sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """The function of Linux that Python does not have; None elsewhere."""
    try:
        function = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError, TypeError):
        return None
    function.argtypes = ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint
    return cast("Callable[[int, int, int, int], int]", function)


def make_directory(path: Path) -> None:
    """Make a directory and those above it; durable once the caller syncs what it puts there."""
    with storage_errors("make the directory", path):
        if path.is_dir():
            return
        missing = [path, *(parent for parent in path.parents if not parent.exists())]
        path.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync(made.parent)


def write(path: Path, content: bytes) -> None:
    """Write a new file and force it to disk; its directory is the caller's to sync."""
    with storage_errors("write", path), path.open("xb") as file:
        step("write", path)
        file.write(content)
        file.flush()
        step("fsync", path)
        os.fsync(file.fileno())


def copy(source: Path, target: Path) -> None:
    """Copy a file's bytes, by reflink where the file system can."""
    with storage_errors("copy", target), source.open("rb") as old, target.open("wb") as new:
        step("copy", target)
        left = os.fstat(old.fileno()).st_size
        try:
            while left > 0:
                done = os.copy_file_range(old.fileno(), new.fileno(), min(left, COPY_BLOCK))
                if done == 0:
                    break
                left -= done
        except OSError:
            # Not across these file systems, or not in this kernel: the plain way from where it stopped.
            old.seek(new.seek(0, os.SEEK_END))
            shutil.copyfileobj(old, new)


def exists(path: Path) -> bool:
    """Whether there is something at a path; StorageError if that cannot be seen."""
    with storage_errors("look for", path):
        return path.exists()


def rename(old: Path, new: Path) -> None:
    """Rename within a file system, replacing what is there, and make it durable."""
    with storage_errors("rename into place", new):
        step("rename", new)
        old.replace(new)
    sync(new.parent)


def unlink(path: Path) -> None:
    """Remove a file, if it is there."""
    with storage_errors("remove", path):
        step("unlink", path)
        path.unlink(missing_ok=True)
