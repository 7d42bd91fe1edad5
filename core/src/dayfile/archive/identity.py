"""What an archive is known by: the marker ``archive.json``, made with it, and the directory that was opened.

A directory without a marker is not an archive: it may be the bare mount point of a file system that is missing, or the
result of a slip. So the marker is made only where somebody asked for an archive, in one step, and never replaced.
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
from dayfile.archive.directories import status
from dayfile.errors import StorageError, UsageError

__all__ = ["FORMAT", "MARKER", "Opened", "is_archive", "make_marker", "read_marker", "refuse_url"]

MARKER = "archive.json"
FORMAT = 1
"""The format of archives that this version reads and writes."""
ELSEWHERE = re.compile(r"([A-Za-z0-9][\w+.@-]+):/+(.*)", re.DOTALL)
"""A URL, or a path on another machine as scp has it; pathlib has made one slash of two."""


def refuse_url(path: str | Path) -> None:
    """Raise a UsageError for a URL where a path is needed: it would be taken for a directory ``s3:``.

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
    """Return whether a directory is an archive: it has a marker, or is older than markers; StorageError if unseen."""
    return status(path / MARKER) is not None or is_older(path)


def is_older(path: Path) -> bool:
    """Return whether a directory has what every archive had before there were markers."""
    workshop = status(path / "workshop")
    return (workshop is not None and S_ISDIR(workshop.st_mode)) or status(path / "catalogue.db") is not None


def read_marker(path: Path) -> str | None:
    """Read the id of the archive in a directory.

    Returns
    -------
    str or None
        None if there is no marker.

    Raises
    ------
    StorageError
        The marker cannot be read, or the archive has a format that this version does not know.
    """
    marker = path / MARKER
    try:
        told = json.loads(marker.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StorageError(f"cannot be read ({error.strerror or error})", where=marker) from error
    except (ValueError, RecursionError):
        told = None
    if isinstance(told, dict) and "format" in told and (told["format"] != FORMAT or told["format"] is True):
        needs = told.get("needs", f"a version of dayfile that knows format {told['format']}")
        message = f"this archive has format {told['format']}, and this dayfile knows format {FORMAT}; use {needs}"
        raise StorageError(message, where=path)
    if not isinstance(told, dict) or told.get("format") != FORMAT or not isinstance(told.get("id"), str):
        message = "this is not the marker of an archive; take it from a backup, or remove it and run: dayfile init"
        raise StorageError(message, where=marker)
    return str(told["id"])


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
    content = json.dumps({"id": str(uuid.uuid4()), "format": FORMAT})
    try:
        disk.write(making, f"{content}\n".encode())
        with disk.storage_errors("write", path / MARKER), suppress(FileExistsError):
            disk.move(making, path / MARKER)
    finally:
        disk.unlink(making)
    disk.sync(path)
    found = read_marker(path)
    if found is None:
        raise StorageError("this marker went as soon as it was made", where=path / MARKER)
    return found


class Opened(NamedTuple):
    """The directory that a process opened as its archive.

    Parameters
    ----------
    device, inode : int
        Which directory it is.
    marker : str or None
        Its id; None for an archive without a marker, where none could be made.
    """

    device: int
    inode: int
    marker: str | None

    @classmethod
    def of(cls, path: Path) -> Opened:
        """Identify the directory at a path; StorageError if that cannot be done."""
        with disk.storage_errors("look at", path):
            found = path.stat()
        return cls(found.st_dev, found.st_ino, read_marker(path))

    def is_at(self, path: Path) -> bool:
        """Return whether this directory is still at a path; StorageError if that cannot be seen."""
        with disk.storage_errors("look at", path):
            found = path.stat()
        same = (found.st_dev, found.st_ino) == (self.device, self.inode)
        return same and self.marker in {None, read_marker(path)}
