"""One lock around all reading of day files in a process: the HDF5 library is not made for several threads at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["reading_alone"]

LOCKS = [threading.RLock()]


@contextmanager
def reading_alone() -> Iterator[None]:
    """Keep other threads from reading day files meanwhile; the same thread can come again."""
    with LOCKS[0]:
        yield


def take_lock() -> None:
    """Let other threads leave the library before a fork: its own lock would stay locked in the fork."""
    LOCKS[0].acquire()


def release_lock() -> None:
    """Release the lock in the parent."""
    LOCKS[0].release()


def renew_lock() -> None:
    """Make a new lock in a fork: no other thread is there."""
    LOCKS[0] = threading.RLock()


os.register_at_fork(before=take_lock, after_in_parent=release_lock, after_in_child=renew_lock)
