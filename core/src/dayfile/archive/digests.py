"""Digests of day files as they were when they were published or adopted."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dayfile.archive.opening import DayFileError, Trouble, name_trouble

__all__ = ["NOT_PUBLISHED", "Digest", "hash_file", "read_version"]

NOT_PUBLISHED = (
    "is not the file that was published: an older copy was put in its place, or its bytes were changed; put the right "
    "one back, or accept it as it is with: dayfile reindex --force"
)
"""Message about a day file that its digest does not describe."""


@dataclass(frozen=True)
class Digest:
    """A day file as it was published.

    Parameters
    ----------
    size, inode, mtime, ctime : int
        Length in bytes, number of the inode, and times of the last change of content and of status (nanoseconds since
        1970): while all four are the same, the bytes are assumed to be the same.
    sha256 : str
        SHA-256 of the bytes, in hex.
    taken : bool
        Whether somebody accepted the file as it is: then its own ledger may not agree with it.
    """

    size: int
    inode: int
    mtime: int
    ctime: int
    sha256: str
    taken: bool = False

    @classmethod
    def of(cls, path: Path, sha256: str | None = None, *, taken: bool = False) -> Digest:
        """Make the digest of a file as it is now; its bytes are not read if their SHA-256 is given.

        Raises
        ------
        DayFileError
            It cannot be read.
        """
        return cls(*identify(path), sha256 or hash_file(path), taken)

    def describes(self, path: Path, *, deep: bool = False) -> bool:
        """Return whether a file still has these bytes; ``deep`` reads all of them, whatever its times say.

        Raises
        ------
        DayFileError
            It cannot be read.
        """
        now = identify(path)
        if now == (self.size, self.inode, self.mtime, self.ctime) and not deep:
            return True
        return now[0] == self.size and hash_file(path) == self.sha256


def identify(path: Path) -> tuple[int, int, int, int]:
    """Return size, inode, and times of change of a file; DayFileError if they cannot be read."""
    with name_trouble(path):
        found = path.stat()
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def read_version(path: Path) -> tuple[int, int, int] | None:
    """Return size, inode and time of change of a file; None if it is absent, DayFileError if it cannot be read."""
    try:
        size, inode, mtime, _ = identify(path)
    except DayFileError as error:
        if error.trouble is Trouble.ABSENT:
            return None
        raise
    return size, inode, mtime


def hash_file(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes, in hex; DayFileError if it cannot be read."""
    with name_trouble(path), open(os.fspath(path), "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered
        return hashlib.file_digest(file, "sha256").hexdigest()
