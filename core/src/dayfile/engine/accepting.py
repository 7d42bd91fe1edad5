"""From ``incoming/`` to ``accepted/``, read there, and released from there: no byte is lost on this way.

A file that arrives may be in any state: not yet on disk, though its writer has renamed it; not whole, as its writer
pauses; somebody else's. So what it holds is synced before its name is in ``accepted/``, and it is removed from there
only if it is still what was read.
"""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO, NamedTuple, Self

from dayfile.archive import disk
from dayfile.archive.root import Root
from dayfile.engine.intake import Arrival
from dayfile.errors import SourceError, StorageError
from dayfile.messages import plural
from dayfile.model.batch import Source

__all__ = ["NO_ROOM", "Read", "State", "Unread", "accept", "accept_each", "read_source", "release", "remove_numbered"]

ACCEPTED_TOGETHER = 100
"""Files that are accepted together: they are written to disk side by side, and their names with one sync."""
READ_TRIES = 3
"""How often a file that changes while it is read is read again at once."""

READ_BLOCK = 2**20
"""Bytes that are read at once of what has no size."""

Hold = Callable[[Path, str], None]
"""Called with a file that stays where it is, and why."""


class State(NamedTuple):
    """What tells whether a file is still what was read.

    Parameters
    ----------
    size, modified, inode, device : int
        Length in bytes, time of modification in nanoseconds, and which file it is.
    """

    size: int
    modified: int
    inode: int
    device: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        """From the status of a file."""
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
        What is wrong with it.
    error : str
        Class of the error; empty if it only kept changing.
    refused : State or None
        What it is, if it is too large to be read, and will be in the next run.
    """

    reason: str
    error: str = ""
    refused: State | None = None

    @property
    def changing(self) -> bool:
        """Whether somebody is still writing it."""
        return not self.error


NO_ROOM = Unread("the memory is too small for it; left in place", MemoryError.__name__)
"""Of a source with which nothing is wrong: more memory, or fewer processes, and it can be archived."""


def accept(root: Root, paths: Sequence[Path], hold: Hold) -> list[Arrival]:
    """Move files to ``accepted/``, below a numbered directory where a name is taken.

    What a file holds is on disk before its name is there: a power cut would leave an empty file otherwise. A file that
    its writer has synced costs a flush of the disk's cache. Its time of modification becomes that of its arrival.

    Parameters
    ----------
    root : Root
        The archive.
    paths : sequence of Path
        The files; what they are called is on disk when this returns.
    hold : callable
        Called with each file that cannot be opened or moved, and why; it stays where it is.

    Returns
    -------
    list of Arrival
        Those that were accepted. A file that is not there any more was taken back by whoever put it there.

    Raises
    ------
    StorageError
        ``accepted/`` cannot be written, or the disk takes no more.
    """
    for path in paths:
        with suppress(OSError):  # it is opened again below
            disk.begin_sync(path)
    accepted: dict[Path, Path] = {}
    try:
        for path in paths:
            try:
                accepted[accept_one(root, path)] = path
            except FileNotFoundError as error:
                if not root.accepted.is_dir():
                    raise StorageError("this directory is missing", where=root.accepted) from error
            except OSError as error:
                if disk.concerns_the_disk(error) or not os.access(root.accepted, os.W_OK | os.X_OK, effective_ids=True):
                    message = f"could not be written: {error.strerror or error}; {disk.STAYS}"
                    raise StorageError(message, where=root.accepted) from error
                hold(path, f"cannot be opened or moved to accepted/ ({error.strerror or error}); left in place")
    finally:
        if accepted:
            disk.sync_names(root.accepted, list(accepted))
    return [Arrival(path, ours=True, origin=origin) for path, origin in accepted.items()]


def accept_one(root: Root, path: Path) -> Path:
    """Sync a file, move it to ``accepted/``, date it and close it to others; where it is now.

    OSError if it cannot be opened or moved.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        disk.sync_file(descriptor, path)
        target = disk.move_into(path, root.accepted)
        with suppress(OSError):  # another user's file; the time at which it was written is not far off
            os.utime(descriptor)
        disk.close_to_others(target)  # another user's stays as it is, in a directory that is closed
    finally:
        os.close(descriptor)
    return target


def accept_each(root: Root, paths: Sequence[Path], hold: Hold) -> Iterator[Arrival]:
    """Accept files, as many together as is good, and give one after the other."""
    for start in range(0, len(paths), ACCEPTED_TOGETHER):
        yield from accept(root, paths[start : start + ACCEPTED_TOGETHER], hold)


def read_source(arrival: Arrival, largest: int) -> Read | Unread:
    """Read a source whole and in one state, or say why that cannot be done.

    Its arrival is when it was accepted, as its file says, and now for one that was given. It is read into memory and
    never mapped: a mapped file that shrinks would end the process. One that does not fit into the memory is left in
    place, as nothing is wrong with it.

    Parameters
    ----------
    arrival : Arrival
        The source.
    largest : int
        Bytes of the largest source that is read; of one that grows, no more are.
    """
    path = arrival.path
    try:
        for _ in range(READ_TRIES):
            disk.step("open", path)
            if arrival.ours and path.is_symlink():  # put in the place of the file that was looked at
                return Unread("is a link, and links are not followed; left in place", OSError.__name__)
            with path.open("rb") as file:
                status = os.fstat(file.fileno())
                content = read_bounded(file, status, largest)
                after = State.of(os.fstat(file.fileno()))
            if State.of(status) == after:
                if content is None:
                    message = f"{plural(max(after.size, largest + 1), 'byte')}, and sources.largest is {largest:,}"
                    return Unread(message, SourceError.__name__, after)
                arrived = after.modified / 1e9 if arrival.ours else time.time()
                return Read(Source(path, path.name, content, arrived), after)
    except OSError as error:
        return Unread(f"cannot be read ({error.strerror}); left in place", type(error).__name__)
    except MemoryError:
        return NO_ROOM
    return Unread("changes while it is read")


def read_bounded(file: BinaryIO, status: os.stat_result, largest: int) -> bytes | None:
    """Read a file: as many bytes as it had, or what a pipe gives; None, and no byte read, if that is too much.

    What says that it has no bytes is read like a pipe: files of the kernel all say so.
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


def release(root: Root, path: Path, state: State | None, hold: Hold) -> bool:
    """Remove a source from ``accepted/`` if it is still what was read; otherwise move it back to ``incoming/``.

    Parameters
    ----------
    root : Root
        The archive.
    path : Path
        The source, whose records are published or which is in quarantine.
    state : State or None
        What was read; None if what is there now was not read.
    hold : callable
        Called with a source that is not removed, and why.

    Returns
    -------
    bool
        False if it is as it was read, and somebody still has it open for writing: it must be released later.
    """
    try:
        if state is not None and State.of(path.lstat()) == state:
            if is_being_written(path):
                return False
            disk.step("unlink", path)
            path.unlink()
        else:
            target = give_back(root, path).relative_to(root.path)
            hold(path, f"changed since it was read; moved back to {target}, to be taken again whole")
    except FileNotFoundError:
        pass  # it was removed by somebody else
    except OSError as error:
        if disk.concerns_the_disk(error):
            raise StorageError(f"could not be removed: {error.strerror or error}", where=path) from error
        hold(path, f"archived, but cannot be removed ({error.strerror or error})")
    remove_numbered(root, path)
    return True


def remove_numbered(root: Root, path: Path) -> None:
    """Remove the numbered directory of ``accepted/`` that a source was in, if it is empty now."""
    if path.parent != root.accepted:
        with suppress(OSError):  # others are in it
            path.parent.rmdir()


def give_back(root: Root, path: Path, origin: Path | None = None) -> Path:
    """Move a file from ``accepted/`` back to ``incoming/``, replacing nothing; where it is now. OSError if it stays.

    It goes to the directory that it came from, if that is known and still there.
    """
    root.check_there()
    disk.make_directory(root.incoming)
    directory = root.incoming if origin is None or not origin.parent.is_dir() else origin.parent
    target = disk.move_into(path, directory)
    disk.sync_names(directory, [target])
    if path.parent != root.accepted:
        with suppress(OSError):  # others are in it
            path.parent.rmdir()
    return target


def is_being_written(path: Path) -> bool:
    """Return whether some process has a file open for writing, as far as the system can say.

    Linux grants a lease for reading on a file of one's own only if nobody has it open for writing. The lease is given
    up at once. Should somebody open it for writing in between, the system says so by a signal: here one that is
    ignored by default.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except (OSError, AttributeError):
        pass  # not its owner, or not on this system or file system
    finally:
        os.close(descriptor)
    return False
