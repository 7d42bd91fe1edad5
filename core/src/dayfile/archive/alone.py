"""One lock in a process around all reading of day files, and all use of the catalogue.

The HDF5 library is not made for several threads at once. And where one thread is in it or in SQLite while another one
forks, their own locks would stay locked in the fork: a fork waits for this lock, and gets a new one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["reading_alone"]

LOCKS = [threading.RLock()]


@contextmanager
def reading_alone() -> Iterator[None]:
    """Keep other threads from day files and the catalogue meanwhile; the same thread can come again."""
    with LOCKS[0]:
        yield


def take_lock() -> None:
    """Let other threads leave the libraries before a fork."""
    LOCKS[0].acquire()


def release_lock() -> None:
    """Release the lock in the parent."""
    LOCKS[0].release()


def renew_lock() -> None:
    """Make a new lock in a fork: no other thread is there."""
    LOCKS[0] = threading.RLock()


os.register_at_fork(before=take_lock, after_in_parent=release_lock, after_in_child=renew_lock)
