"""Digests: what the bytes of a day file were when it was published, or taken for the truth."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dayfile.archive.opening import DayFileError, Trouble, naming_trouble

__all__ = ["NOT_PUBLISHED", "Digest", "sha256_of", "version_of"]

NOT_PUBLISHED = (
    "is not the file that was published: an older copy was put in its place, or its bytes were changed; put the right "
    "one back, or take it as it is with: dayfile reindex --force"
)
"""What to say of a day file, behind its path, that its digest does not describe."""


@dataclass(frozen=True)
class Digest:
    """A day file as it was published.

    Parameters
    ----------
    size, inode, mtime, ctime : int
        Length in bytes, number of the inode, and times of the last change of content and of anything (nanoseconds
        since 1970): while all four are the same, the bytes are taken for the same.
    sha256 : str
        SHA-256 of the bytes, in hex.
    taken : bool
        Whether somebody said that the file is to be taken as it is: its own ledger may not agree with it then.
    """

    size: int
    inode: int
    mtime: int
    ctime: int
    sha256: str
    taken: bool = False

    @classmethod
    def of(cls, path: Path, sha256: str | None = None, *, taken: bool = False) -> Digest:
        """The digest of a file as it is now; its bytes are not read where their SHA-256 is known.

        Raises
        ------
        DayFileError
            It cannot be read.
        """
        return cls(*identify(path), sha256 or sha256_of(path), taken)

    def describes(self, path: Path, *, deep: bool = False) -> bool:
        """Whether a file still has these bytes; with ``deep``, all of them are read, whatever its times say.

        Raises
        ------
        DayFileError
            It cannot be read.
        """
        now = identify(path)
        if now == (self.size, self.inode, self.mtime, self.ctime) and not deep:
            return True
        return now[0] == self.size and sha256_of(path) == self.sha256


def identify(path: Path) -> tuple[int, int, int, int]:
    """Size, inode, and times of change of a file; DayFileError if they cannot be read."""
    with naming_trouble(path):
        found = path.stat()
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def version_of(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file was replaced or changed meanwhile; None if it is absent. DayFileError otherwise."""
    try:
        size, inode, mtime, _ = identify(path)
    except DayFileError as error:
        if error.trouble is Trouble.ABSENT:
            return None
        raise
    return size, inode, mtime


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex; DayFileError if it cannot be read."""
    with naming_trouble(path), open(os.fspath(path), "rb", buffering=0) as file:  # noqa: PTH123 - unbuffered
        return hashlib.file_digest(file, "sha256").hexdigest()
