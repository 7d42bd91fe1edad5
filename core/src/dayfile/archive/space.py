"""Room on disk: how much is left for an archive, and whether an error says that nothing is left."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from errno import EDQUOT, ENOSPC
from pathlib import Path

from dayfile.hdf5.errors import find_errno
from dayfile.messages import format_size

__all__ = ["Space", "describe_full", "list_space", "may_be_full", "measure_space"]

NO_SPACE = {ENOSPC, EDQUOT}
NEXT_TO_NOTHING = 16 * 2**20
"""Bytes below which a write that was lost without an error was lost for want of room."""


@dataclass(frozen=True)
class Space:
    """What is left on a file system.

    Parameters
    ----------
    path : Path
        A directory on it.
    free, size : int
        Bytes that this user may still write, and bytes in all.
    takes_files : bool
        Whether it has room for the name of another file.
    read_only : bool
        Whether it is mounted read-only.
    """

    path: Path
    free: int
    size: int
    takes_files: bool
    read_only: bool


def measure_space(path: Path) -> Space:
    """Measure what is left on the file system of a directory; OSError if it cannot be reached."""
    found = os.statvfs(path)
    takes_files = not found.f_files or found.f_favail > 0
    read_only = bool(found.f_flag & os.ST_RDONLY)
    return Space(path, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize, takes_files, read_only)


def list_space(directories: Iterable[Path]) -> list[Space]:
    """Measure the file systems of directories, each once; those that cannot be reached are left out."""
    found: dict[int, Space] = {}
    for directory in directories:
        try:
            found.setdefault(directory.stat().st_dev, measure_space(directory))
        except OSError:
            continue  # what is not mounted is reported where it is needed
    return list(found.values())


def describe_full(number: int | None, path: Path) -> str:
    """Describe what is left where a path is or would be, after a comma; empty if an error is not about room."""
    for directory in path.parents if number in NO_SPACE else ():
        try:
            return f", {format_size(measure_space(directory).free)} free"
        except FileNotFoundError:
            continue
        except OSError:
            break
    return ""


def may_be_full(error: BaseException, spaces: Iterable[Space]) -> bool:
    """Return whether an error came because there was no room.

    The system says so, or the HDF5 library or SQLite; or a write was lost without an error, and next to nothing is
    free on one of the file systems.
    """
    cause: BaseException | None = error
    while cause is not None:
        number, _ = find_errno(cause)
        if number is not None:
            return number in NO_SPACE
        if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
            return True
        cause = cause.__cause__
    return any(space.free < NEXT_TO_NOTHING or not space.takes_files for space in spaces)
