"""Identify an archive: by its marker ``archive.json``, and by the directory that was opened.

A directory without a marker is not an archive: it may be the bare mount point of a missing file system, or a mistake.
So the marker is made only where somebody asked for an archive, in one step, and is never replaced.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import uuid
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import NamedTuple

from dayfile.archive import disk
from dayfile.archive.directories import read_status
from dayfile.errors import StorageError, UsageError

__all__ = [
    "ARCHIVE_FORMAT",
    "MARKER",
    "Opened",
    "describe_state",
    "identify_place",
    "is_archive",
    "make_marker",
    "read_marker",
    "refuse_url",
]

MARKER = "archive.json"
ARCHIVE_FORMAT = 1
"""The format of archives that this version reads and writes."""
ELSEWHERE = re.compile(r"([A-Za-z0-9][\w+.@-]+):/+(.*)", re.DOTALL)
"""A URL, or a path on another machine as scp writes it; pathlib turns two slashes into one."""


def refuse_url(path: str | Path) -> None:
    """Raise a UsageError for a URL where a path is needed: it would become a directory ``s3:``.

    Examples
    --------
    >>> refuse_url("s3://bucket/archive")
    Traceback (most recent call last):
    dayfile.errors.UsageError: s3://bucket/archive: this is a URL; name a directory or file of this machine
    """
    match = ELSEWHERE.match(os.fspath(path))
    if match:
        message = "this is a URL; name a directory or file of this machine"
        raise UsageError(message, where=f"{match[1]}://{match[2]}")


def is_archive(path: Path) -> bool:
    """Return whether a directory is an archive: has a marker, or is older than markers; StorageError if unreadable."""
    return read_status(path / MARKER) is not None or is_older(path)


def is_older(path: Path) -> bool:
    """Return whether a directory has the files that every archive had before markers were introduced."""
    workshop = read_status(path / "workshop")
    return (workshop is not None and S_ISDIR(workshop.st_mode)) or read_status(path / "catalogue.db") is not None


def read_marker(path: Path) -> str | None:
    """Read the id of the archive in a directory.

    Returns
    -------
    str or None
        None if the marker does not exist.

    Raises
    ------
    StorageError
        The marker cannot be read, or the archive has a format that this version does not know.
    """
    marker = path / MARKER
    try:
        content = json.loads(marker.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"cannot be read ({error.strerror or error})", where=marker) from error
    except (ValueError, RecursionError):
        content = None
    if (
        isinstance(content, dict)
        and "format" in content
        and (content["format"] != ARCHIVE_FORMAT or content["format"] is True)
    ):
        needs = content.get("needs", f"a version of dayfile that knows format {content['format']}")
        message = (
            f"this archive has format {content['format']}, and this dayfile knows format {ARCHIVE_FORMAT}; use {needs}"
        )
        raise StorageError(message, where=path)
    if (
        not isinstance(content, dict)
        or content.get("format") != ARCHIVE_FORMAT
        or not isinstance(content.get("id"), str)
    ):
        message = "this is not the marker of an archive; take it from a backup, or remove it and run: dayfile init"
        raise StorageError(message, where=marker)
    return str(content["id"])


def make_marker(path: Path) -> str:
    """Make the marker of an archive if it has none, durable; of two processes at once, one makes it.

    Returns
    -------
    str
        The archive's id.
    """
    known = read_marker(path)
    if known is not None:
        return known
    making = path / f".{MARKER}-{secrets.token_hex(4)}"
    content = json.dumps({"id": str(uuid.uuid4()), "format": ARCHIVE_FORMAT})
    try:
        disk.write(making, f"{content}\n".encode())
        with disk.storage_errors("write", path / MARKER), suppress(FileExistsError):
            disk.move(making, path / MARKER)
    finally:
        disk.unlink(making)
    disk.sync(path)
    found = read_marker(path)
    if found is None:
        raise StorageError("this marker disappeared as soon as it was made", where=path / MARKER)
    return found


def identify_place(path: Path) -> str:
    """Identify the directory of an archive, by the inodes of directory and marker: a copy of the archive has others.

    They stay when it is moved within its file system, or seen from another machine; empty if they cannot be seen.
    """
    with suppress(OSError):
        return f"{path.stat().st_ino}-{(path / MARKER).stat().st_ino}"
    return ""


class Opened(NamedTuple):
    """The directory that a process opened as its archive.

    Parameters
    ----------
    device, inode : int
        The numbers of the directory.
    marker : str or None
        Its id; None for an archive without a marker, where none could be made.
    status : tuple of int
        Inode, size, and times of the marker when it was read: while they stay, it need not be read again.
    """

    device: int
    inode: int
    marker: str | None
    status: tuple[int, ...]

    @classmethod
    def of(cls, path: Path) -> Opened:
        """Identify the directory at a path; StorageError if that cannot be done."""
        with disk.storage_errors("look at", path):
            found = path.stat()
        status = read_marker_status(path)
        return cls(found.st_dev, found.st_ino, read_marker(path), status)

    def is_at(self, path: Path) -> bool:
        """Return whether this directory is still at a path; StorageError if that cannot be seen."""
        with disk.storage_errors("look at", path):
            found = path.stat()
        if (found.st_dev, found.st_ino) != (self.device, self.inode):
            return False
        status = read_marker_status(path)
        return self.marker is None or (status and status == self.status) or read_marker(path) == self.marker


def read_marker_status(path: Path) -> tuple[int, ...]:
    """Read what changes whenever the marker in a directory is replaced or written; empty if that cannot be seen."""
    try:
        found = os.stat(os.path.join(path, MARKER))  # noqa: PTH116, PTH118 - before each upload; pathlib is slower
    except OSError:
        return ()
    return describe_state(found)


def describe_state(found: os.stat_result) -> tuple[int, ...]:
    """Return what changes whenever a file is replaced or written: device, inode, size, and times in nanoseconds."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
