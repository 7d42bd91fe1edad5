"""Open day files for reading, and report precisely why one cannot be read.

Only a damaged file should be rebuilt or restored from a copy. A file that is in use, may not be read, or is on a
failing disk may be good, and must not be replaced.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import tables

from dayfile.archive import disk
from dayfile.archive.space import describe_full
from dayfile.errors import HeldError, StorageError, UnknownStoreError
from dayfile.hdf5.errors import find_errno
from dayfile.hdf5.files import open_file
from dayfile.hdf5.readonly import OpenFile, open_read_only
from dayfile.messages import path_problem

__all__ = [
    "DAMAGE_ERRORS",
    "REMEDY",
    "DayFileError",
    "Trouble",
    "check_link",
    "convert_hdf5_errors",
    "follow_link",
    "name_trouble",
    "open_day_file",
    "open_to_read",
]

DAMAGE_ERRORS = (
    *(tables.HDF5ExtError, tables.NodeError, OSError, SystemError),
    *(ValueError, LookupError, AttributeError, TypeError),
)
"""Exceptions raised by reading a day file that is damaged, or not written as this program writes them."""
REMEDY = "rebuild it if its sources are kept (dayfile rebuild), otherwise restore it from a copy"
"""Advice about a day file that is damaged or missing; the sources of a foreign one are not kept."""


class Trouble(StrEnum):
    """Why a day file could not be read."""

    ABSENT = "absent"
    NOT_PERMITTED = "not permitted"
    IN_USE = "in use"
    NO_LOCKS = "cannot be locked"
    NOT_UTF8 = "path is not UTF-8"
    NO_FILE = "not a regular file"
    UNREADABLE = "cannot be read"
    UNKNOWN_STORE = "in a store that is unknown"
    DAMAGED = "damaged"


TROUBLES = {
    errno.ENOENT: Trouble.ABSENT,
    errno.ENOTDIR: Trouble.ABSENT,
    errno.EACCES: Trouble.NOT_PERMITTED,
    errno.EPERM: Trouble.NOT_PERMITTED,
    errno.ELOOP: Trouble.NO_FILE,
}


class DayFileError(StorageError):
    """A day file could not be read; the message says why, and what to do.

    Parameters
    ----------
    path : Path
        The day file.
    trouble : Trouble
        The reason.
    detail : str
        The message of the system or the library.
    """

    def __init__(self, path: Path, trouble: Trouble, detail: str) -> None:
        self.trouble = trouble
        match trouble:
            case Trouble.ABSENT:
                message = "this day file is missing"
            case Trouble.NOT_PERMITTED:
                message = f"may not be read ({detail}); give this user permission to read it"
            case Trouble.IN_USE:
                message = "is in use: another program has it open for writing; try again when it has closed it"
            case Trouble.NO_LOCKS:
                message = (
                    f"cannot be locked ({detail}); use a file system that has locks, or set the environment variable "
                    "HDF5_USE_FILE_LOCKING to FALSE where nobody else writes day files"
                )
            case Trouble.NOT_UTF8:
                message = f"cannot be opened: {path_problem(str(path))}"
            case Trouble.NO_FILE:
                message = f"is {detail}; remove it or move it out of the archive"
            case Trouble.UNREADABLE:
                message = f"cannot be read now ({detail}); the file may be good: check the disk and try again"
            case Trouble.UNKNOWN_STORE:
                message = f"cannot be read: {detail}"
            case Trouble.DAMAGED:
                message = f"is damaged: cannot be read ({detail}); {REMEDY}"
        self.path, self.detail = path, detail
        super().__init__(message, where=path)

    def __reduce__(self) -> tuple[type[DayFileError], tuple[Path, Trouble, str]]:
        """Pickle by its parts, as it is sent between processes."""
        return DayFileError, (self.path, self.trouble, self.detail)


@contextmanager
def open_day_file(path: Path) -> Iterator[tables.File]:
    """Open a day file for reading, and close it on exit.

    Raises
    ------
    DayFileError
        It cannot be opened, or reading it raises an exception of a damaged file.
    """
    check_regular(path)
    with name_trouble(path), open_file(path) as file:
        yield file


@contextmanager
def open_to_read(path: Path) -> Iterator[OpenFile]:
    """Open a day file for its rows and values alone, faster than :func:`open_day_file`, and close it on exit.

    Raises
    ------
    DayFileError
        As :func:`open_day_file` raises it.
    """
    check_regular(path)
    with name_trouble(path), open_read_only(path) as file:
        yield file


def check_regular(path: Path) -> None:
    """Raise DayFileError for anything but a regular file, without opening it: opening a pipe waits for a writer."""
    with name_trouble(path):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise DayFileError(path, Trouble.NO_FILE, "a directory" if stat.S_ISDIR(mode) else "not a regular file")


def follow_link(published: Path) -> Path:
    """Return the path of a published day file, or the file that it leads to if it is a link.

    Raises
    ------
    HeldError
        The link leads nowhere, as if something were not mounted, or in a circle, or to something that is not a file.
    DayFileError
        It cannot be read.
    """
    with name_trouble(published):
        if not published.is_symlink():
            return published
    target = Path(os.path.realpath(published))
    try:
        found = published.stat()
    except (OSError, RuntimeError) as error:
        cause = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        message = f"this link leads to {target}, which cannot be used ({cause}); mount or repair it"
        raise HeldError(message, where=published) from error
    if not stat.S_ISREG(found.st_mode):
        raise HeldError(f"this link leads to {target}, which is not a file; repair it", where=published)
    return target


def check_link(published: Path, target: Path) -> None:
    """Raise a StorageError if a published path leads to another file than :func:`follow_link` returned earlier."""
    try:
        same = follow_link(published) == target
    except HeldError as error:
        raise StorageError(error.message, where=error.where) from error
    if not same:
        raise StorageError("this link was changed meanwhile; nothing was published", where=published)


@contextmanager
def name_trouble(path: Path) -> Iterator[None]:
    """Convert exceptions raised by reading a day file to a DayFileError with the reason."""
    try:
        yield
    except UnknownStoreError as error:
        raise DayFileError(path, Trouble.UNKNOWN_STORE, error.message) from error
    except DAMAGE_ERRORS as error:
        raise DayFileError(path, *find_trouble(path, error)) from error


def find_trouble(path: Path, error: BaseException) -> tuple[Trouble, str]:
    """Find the reason behind an exception, and the message of the system or the library."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        return Trouble.NOT_UTF8, type(error).__name__
    if isinstance(error, ValueError) and "already opened" in str(error):
        return Trouble.IN_USE, "open in this process"
    number, locking = find_errno(error)
    if number is None:
        return Trouble.DAMAGED, type(error).__name__
    if locking:
        trouble = Trouble.IN_USE if number in {errno.EAGAIN, errno.EACCES} else Trouble.NO_LOCKS
    else:
        trouble = TROUBLES.get(number, Trouble.UNREADABLE)
    return trouble, os.strerror(number)


@contextmanager
def convert_hdf5_errors(action: str, path: Path) -> Iterator[None]:
    """Convert errors of HDF5 to a StorageError."""
    try:
        yield
    except (tables.HDF5ExtError, OSError) as error:
        number, _ = find_errno(error)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        cause = f"({lines[-1]}), is the disk full?"
        if number is not None:
            cause = f"({os.strerror(number)}{describe_full(number, path)})"
        message = f"could not {action} {cause}; {disk.STAYS}"
        raise StorageError(message, where=path) from error
