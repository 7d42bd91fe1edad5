"""Reading sources: whole into memory, or block by block from the file if they are large."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, NamedTuple, NoReturn, Self

from dayfile.archive import disk
from dayfile.engine.intake import Arrival, estimate_size
from dayfile.errors import HeldError, SourceError
from dayfile.messages import plural
from dayfile.model.batch import Source

__all__ = ["NO_ROOM", "READ_BLOCK", "LargeSource", "Read", "State", "Unread", "read_source"]

READ_TRIES = 3
"""How often a file is read if it changes meanwhile."""

READ_BLOCK = 2**20
"""Bytes per read of a file without a size, or for a digest."""


class State(NamedTuple):
    """The status of a file, to find out later whether it has changed.

    Parameters
    ----------
    size, modified, inode, device : int
        Length in bytes, time of modification in nanoseconds, inode and device.
    """

    size: int
    modified: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """Make a state from the status of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino, status.st_dev)


@dataclass(frozen=True)
class Read:
    """A source that was read, and the state of its file at that time."""

    source: Source
    state: State


@dataclass(frozen=True)
class Unread:
    """Why a source could not be read.

    Parameters
    ----------
    reason : str
        The problem.
    error : str
        Class of the error; empty if the file only kept changing.
    refused : State or None
        The state of a file that is too large to be read, now and in the next run.
    """

    reason: str
    error: str = ""
    refused: State | None = None

    @property
    def changing(self) -> bool:
        """Whether the file is still being written."""
        return not self.error


NO_ROOM = Unread("the memory is too small for it; left in place", MemoryError.__name__)
"""Nothing is wrong with the source: with more memory or fewer processes it can be archived."""
CHANGING = Unread("changes while it is read")
"""The source is still being written."""


class LargeSource(Source):
    """A large source that stays in its file, and is read from it block by block each time.

    Each read checks that the file has not changed since its digest was taken. It also has ``content``, for formats
    that need the whole source.

    Parameters
    ----------
    path : Path
        The file.
    arrived : float
        When it was accepted, seconds since 1970.
    state : State
        State of the file when its digest was taken.
    sha256 : str
        Digest of its bytes.
    block_bytes : int
        Largest size of a block in bytes; a block has at least one step.

    Attributes
    ----------
    trouble : Unread or None
        Why it could not be read again, if that happened: then an error in decoding is not the fault of the source.
    """

    def __init__(self, path: Path, arrived: float, state: State, sha256: str, block_bytes: int) -> None:
        parts = {"path": path, "name": path.name, "arrived": arrived, "sha256": sha256}
        self.__dict__.update(parts, state=state, block_bytes=block_bytes, trouble=None)

    state: State
    block_bytes: int
    trouble: Unread | None

    @cached_property
    def content(self) -> bytes:
        """All its bytes; HeldError if they can no longer be read."""
        return self.part(0, self.size)

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self.state.size

    def part(self, start: int, size: int) -> bytes:
        """Read ``size`` bytes from ``start``, fewer at the end; HeldError if the file has changed."""
        try:
            with self.path.open("rb") as file:
                before = State.of(os.fstat(file.fileno()))
                file.seek(start)
                content = file.read(max(0, min(size, self.size - start)))
                after = State.of(os.fstat(file.fileno()))
        except OSError as error:
            self._fail(Unread(f"cannot be read ({error.strerror}); left in place", type(error).__name__))
        except MemoryError:
            self.__dict__["trouble"] = NO_ROOM
            raise
        if before != self.state or after != self.state:
            self._fail(CHANGING)
        return content

    def blocks(self, start: int = 0, step: int = 1) -> Iterator[tuple[int, memoryview]]:
        """Read its bytes in blocks; see :meth:`dayfile.model.batch.Source.blocks`."""
        size = max(step, self.block_bytes // step * step)
        for offset in range(start, max(self.size, start + 1), size):
            yield offset, memoryview(self.part(offset, size))

    def _fail(self, trouble: Unread) -> NoReturn:
        self.__dict__["trouble"] = trouble
        raise HeldError(trouble.reason, where=self.path)


def read_source(arrival: Arrival, largest: int, block_bytes: int | None = None) -> Read | Unread:
    """Read a source that does not change meanwhile, or return why it cannot be read.

    Its arrival is the modification time of an accepted file, and now for a given file. It is read into memory and never
    mapped: a mapped file that shrinks would end the process. A source that does not fit into memory is left in place,
    because nothing is wrong with it.

    Parameters
    ----------
    arrival : Arrival
        The source.
    largest : int
        Size of the largest source that is read, also if it grows meanwhile.
    block_bytes : int, optional
        A file of more bytes stays on disk, and is a :class:`LargeSource`; without it, all sources are read whole.
    """
    path = arrival.path
    try:
        for _ in range(READ_TRIES):
            disk.step("open", path)
            if arrival.ours and path.is_symlink():  # it has replaced the file that was found
                return Unread("is a link, and links are not followed; left in place", OSError.__name__)
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                large = block_bytes is not None and stays_on_disk(path, status, block_bytes, largest)
                content = compute_digest(file, status.st_size) if large else read_bounded(file, status, largest)
                after = State.of(os.fstat(file.fileno()))
            if State.of(status) == after:
                if content is None:
                    message = f"{plural(max(after.size, largest + 1), 'byte')}, and sources.largest is {largest:,}"
                    return Unread(message, SourceError.__name__, after)
                arrived = after.modified / 1e9 if arrival.ours else time.time()
                if large and block_bytes is not None:
                    return Read(LargeSource(path, arrived, after, content.hex(), block_bytes), after)
                return Read(Source(path, path.name, content, arrived), after)
    except OSError as error:
        return Unread(f"cannot be read ({error.strerror}); left in place", type(error).__name__)
    except MemoryError:
        return NO_ROOM
    return CHANGING


def stays_on_disk(path: Path, status: os.stat_result, block_bytes: int, largest: int) -> bool:
    """Return whether a file stays on disk and is read in blocks: it has, or unfolds to, more than ``block_bytes``."""
    readable = S_ISREG(status.st_mode) and status.st_size <= largest
    return readable and estimate_size(path, status.st_size) > block_bytes


def read_bounded(file: BinaryIO, status: os.stat_result, largest: int) -> bytes | None:
    """Read a file up to the size it had, or a pipe to its end; return None if that is more than ``largest``.

    A file of size 0 is read like a pipe, because files of the kernel have that size.
    """
    if S_ISREG(status.st_mode) and status.st_size:
        return file.read(status.st_size) if status.st_size <= largest else None
    parts, left = [], largest
    while part := file.read(READ_BLOCK):
        parts.append(part)
        left -= len(part)
        if left < 0:
            return None
    return b"".join(parts)


def compute_digest(file: BinaryIO, size: int) -> bytes:
    """Compute the SHA-256 of the first ``size`` bytes of a file, block by block."""
    digest = hashlib.sha256()
    for start in range(0, size, READ_BLOCK):
        digest.update(file.read(min(READ_BLOCK, size - start)))
    return digest.digest()
