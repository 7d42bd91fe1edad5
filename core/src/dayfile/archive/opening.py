"""Day files opened to be read: what can be in the way, each trouble named as what it is.

Only a damaged file is to be rebuilt or taken from a copy. One that is in use, may not be read, or is on a disk that
fails is a good file as far as anybody knows, and nothing may be made in its place.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from stat import S_ISREG

import tables

from dayfile.archive import disk
from dayfile.errors import HeldError, StorageError, UnknownStoreError
from dayfile.hdf5.errors import find_errno
from dayfile.hdf5.files import open_file
from dayfile.messages import path_problem

__all__ = [
    "DAMAGED",
    "REMEDY",
    "DayFileError",
    "Trouble",
    "check_link",
    "follow_link",
    "hdf5_errors",
    "naming_trouble",
    "open_day_file",
]

DAMAGED = (
    *(tables.HDF5ExtError, tables.NodeError, OSError, SystemError),
    *(ValueError, LookupError, AttributeError, TypeError),
)
"""What reading a day file raises that is damaged, or not as this program leaves them."""
REMEDY = "rebuild it if its sources are kept (dayfile rebuild), else take it from a copy"
"""What messages advise for a day file that is damaged or gone; sources of one of other origin are not kept."""


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
        What is in the way.
    detail : str
        What the system or the library said.
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
                message = f"cannot be read now ({detail}); the file may be good: look at the disk and try again"
            case Trouble.UNKNOWN_STORE:
                message = f"cannot be read: {detail}"
            case Trouble.DAMAGED:
                message = f"is damaged: cannot be read ({detail}); {REMEDY}"
        self.path, self.detail = path, detail
        super().__init__(message, where=path)

    def __reduce__(self) -> tuple[type[DayFileError], tuple[Path, Trouble, str]]:
        """By its parts: it goes between processes."""
        return DayFileError, (self.path, self.trouble, self.detail)


@contextmanager
def open_day_file(path: Path) -> Iterator[tables.File]:
    """Open a day file for reading, and close it in the end.

    Raises
    ------
    DayFileError
        It cannot be opened, or what is done with it while it is open raises what a damaged file does.
    """
    check_regular(path)
    with naming_trouble(path), open_file(path) as file:
        yield file


def check_regular(path: Path) -> None:
    """DayFileError for what is not a regular file, and must not even be opened: that of a pipe waits for a writer."""
    with naming_trouble(path):
        mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise DayFileError(path, Trouble.NO_FILE, "a directory" if stat.S_ISDIR(mode) else "not a regular file")


def follow_link(published: Path) -> Path:
    """Return the file that a published day file is: where its path is a link, the file that it leads to.

    Raises
    ------
    HeldError
        The link leads nowhere, as if something were not mounted, or in a circle, or to what is not a file.
    DayFileError
        It cannot be looked at.
    """
    with naming_trouble(published):
        if not published.is_symlink():
            return published
    target = Path(os.path.realpath(published))
    try:
        found = published.stat()
    except (OSError, RuntimeError) as error:
        cause = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)
        message = f"this link leads to {target}, which cannot be used ({cause}); mount or repair it"
        raise HeldError(message, where=published) from error
    if not S_ISREG(found.st_mode):
        raise HeldError(f"this link leads to {target}, which is not a file; repair it", where=published)
    return target


def check_link(published: Path, target: Path) -> None:
    """Raise a StorageError if a published path leads to another file than :func:`follow_link` returned before."""
    try:
        same = follow_link(published) == target
    except HeldError as error:
        raise StorageError(error.message, where=error.where) from error
    if not same:
        raise StorageError("this link was changed meanwhile; nothing was published", where=published)


@contextmanager
def naming_trouble(path: Path) -> Iterator[None]:
    """Turn what reading a day file raises into a DayFileError that names the trouble."""
    try:
        yield
    except UnknownStoreError as error:
        raise DayFileError(path, Trouble.UNKNOWN_STORE, error.message) from error
    except DAMAGED as error:
        raise DayFileError(path, *find_trouble(path, error)) from error


def find_trouble(path: Path, error: BaseException) -> tuple[Trouble, str]:
    """The trouble behind an exception, and what the system or the library said of it."""
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
def hdf5_errors(action: str, path: Path) -> Iterator[None]:
    """Turn what HDF5 reports into a StorageError."""
    try:
        yield
    except (tables.HDF5ExtError, OSError) as error:
        number, _ = find_errno(error)
        lines = str(error).strip().splitlines() or [type(error).__name__]
        cause = f"({os.strerror(number)})" if number else f"({lines[-1]}), is the disk full?"
        message = f"could not {action} {cause}; {disk.STAYS}"
        raise StorageError(message, where=path) from error
