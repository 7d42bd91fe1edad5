"""Locks on files (flock): they end with their process, so the lock of a killed process blocks nobody."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dayfile.archive import disk
from dayfile.errors import StorageError

__all__ = ["PAUSE", "hold_lock", "try_lock"]

PAUSE = 0.001
"""Seconds between two tries; a process that takes a lock again and again has to leave longer gaps."""


def try_lock(descriptor: int, path: Path) -> bool:
    """Lock an open file if nobody else holds it.

    Returns
    -------
    bool
        False if another process holds it.

    Raises
    ------
    StorageError
        The file system has no locks, or they fail.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        message = (
            f"cannot be locked ({error.strerror or error}); nothing was changed: an archive needs a file system on "
            f"which flock works"
        )
        raise StorageError(message, where=path) from error
    return True


@contextmanager
def hold_lock(path: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of a file, which is made if it is missing and never removed; wait for other holders.

    Other users cannot open it, as anybody who may read a file may lock it for any time.

    Raises
    ------
    StorageError
        It could not be taken within these seconds, or at all.
    """
    with disk.storage_errors("open the lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, disk.PRIVATE_FILE)
    try:
        end = time.monotonic() + seconds
        while not try_lock(descriptor, path):
            if time.monotonic() > end:
                message = f"another process has held this lock for more than {seconds:g} s; run again once it is done"
                raise StorageError(message, where=path)
            time.sleep(PAUSE)
        yield
    finally:
        os.close(descriptor)
