"""Moving sources from ``incoming/`` to ``accepted/``, and releasing them, without losing a byte.

An arriving file can be in any state: renamed by its writer but not yet on disk, incomplete while its writer pauses, or
owned by another user. So its content is synced before its name is in ``accepted/``, and it is removed from there only
if it is still what was read.
"""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from dayfile.archive import disk
from dayfile.archive.root import Root
from dayfile.engine.intake import Arrival
from dayfile.engine.reading import State
from dayfile.errors import StorageError

__all__ = ["accept", "accept_each", "give_back", "release", "remove_numbered"]

ACCEPTED_TOGETHER = 100
"""Number of files that are accepted together: their contents are synced in parallel, and their names by one sync."""

Hold = Callable[[Path, str], None]
"""Called with a file that is left in place, and the reason."""


def accept(root: Root, paths: Sequence[Path], hold: Hold) -> list[Arrival]:
    """Move files to ``accepted/``, into a numbered directory if the name is taken.

    The content of a file is on disk before its name is there: otherwise a power cut would leave an empty file. If the
    writer has synced a file, this costs a flush of the disk's cache. Its modification time becomes its arrival.

    Parameters
    ----------
    root : Root
        The archive.
    paths : sequence of Path
        The files; their new names are on disk when this returns.
    hold : callable
        Called with each file that cannot be opened or moved, and the reason; the file is left in place.

    Returns
    -------
    list of Arrival
        The files that were accepted; a file that no longer exists is skipped: its writer has taken it back.

    Raises
    ------
    StorageError
        ``accepted/`` cannot be written, or the disk is full.
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
    """Sync a file, move it to ``accepted/``, set its time, and deny others access; return its new path.

    Raise an OSError if it cannot be opened or moved.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        disk.sync_file(descriptor, path)
        target = disk.move_into(path, root.accepted)
        with suppress(OSError):  # another user's file; the time at which it was written is close enough
            os.utime(descriptor)
        disk.close_to_others(target)  # another user's file keeps its mode, but the directory denies access
    finally:
        os.close(descriptor)
    return target


def accept_each(root: Root, paths: Sequence[Path], hold: Hold) -> Iterator[Arrival]:
    """Accept files in batches of ``ACCEPTED_TOGETHER``, and yield them one by one."""
    for start in range(0, len(paths), ACCEPTED_TOGETHER):
        yield from accept(root, paths[start : start + ACCEPTED_TOGETHER], hold)


def release(root: Root, path: Path, state: State | None, hold: Hold) -> bool:
    """Remove a source from ``accepted/`` if it is still what was read; otherwise move it back to ``incoming/``.

    Parameters
    ----------
    root : Root
        The archive.
    path : Path
        The source; its records are published, or it is in quarantine.
    state : State or None
        The state of the file that was read; None if the present file was not read.
    hold : callable
        Called with a source that is not removed, and the reason.

    Returns
    -------
    bool
        False if the file is unchanged but still open for writing somewhere: release it later.
    """
    try:
        if state is not None and State.of(path.lstat()) == state:
            if is_being_written(path):
                return False
            disk.step("unlink", path)
            path.unlink()
        else:
            target = give_back(root, path).relative_to(root.path)
            hold(path, f"changed since it was read; moved back to {target}, to be archived again")
    except FileNotFoundError:
        pass  # another program has removed it
    except OSError as error:
        if disk.concerns_the_disk(error):
            raise StorageError(f"could not be removed: {error.strerror or error}", where=path) from error
        hold(path, f"archived, but cannot be removed ({error.strerror or error})")
    remove_numbered(root, path)
    return True


def remove_numbered(root: Root, path: Path) -> None:
    """Remove the numbered directory of ``accepted/`` that a source was in, if it is empty now."""
    if path.parent != root.accepted:
        with suppress(OSError):  # it is not empty
            path.parent.rmdir()


def give_back(root: Root, path: Path, origin: Path | None = None) -> Path:
    """Move a file from ``accepted/`` back to ``incoming/``, replacing nothing; return its new path.

    It goes to the directory that it came from, if that is known and still exists. Raise an OSError if it cannot be
    moved.
    """
    root.check_there()
    disk.make_directory(root.incoming)
    directory = root.incoming if origin is None or not origin.parent.is_dir() else origin.parent
    target = disk.move_into(path, directory)
    disk.sync_names(directory, [target])
    remove_numbered(root, path)
    return target


def is_being_written(path: Path) -> bool:
    """Return whether some process has a file open for writing, as far as the system can say.

    Linux grants a read lease on a file of this user only if no process has it open for writing. The lease is released
    at once. If a process opens the file for writing in between, the system sends a signal: here one that is ignored by
    default.
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
