"""Work files in a fork of the process that writes them: it can do nothing to them.

A fork shares the descriptors of its parent and has a copy of what HDF5 keeps in memory of each file. When it ends, as
by ``sys.exit``, its libraries write that copy, by then an old one, and give the file's lock back. So descriptors of
files that are open for writing lead to a scratch file in a fork.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from weakref import WeakSet

import tables

__all__ = ["keep_from_forks"]

OPEN: WeakSet[tables.File] = WeakSet()


def keep_from_forks(file: tables.File) -> tables.File:
    """Return a file that is open for writing, after seeing to it that no fork writes to it."""
    OPEN.add(file)
    return file


def let_go() -> None:
    """Lead the descriptors of all such files to a scratch file; called in a fork."""
    mine = [file for file in list(OPEN) if file.isopen]
    OPEN.clear()
    if not mine:
        return
    with suppress(OSError), tempfile.TemporaryFile() as scratch:
        for file in mine:
            os.dup2(scratch.fileno(), file.fileno(), inheritable=False)


os.register_at_fork(after_in_child=let_go)
