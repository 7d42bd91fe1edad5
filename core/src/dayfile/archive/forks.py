"""Protect work files from forks of the process that writes them.

A fork shares the descriptors of its parent and has a copy of what HDF5 holds in memory of each file. When it ends, as
by ``sys.exit``, its libraries write that outdated copy and release the file's lock. So in a fork the descriptors of
files that are open for writing are redirected to a scratch file.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from weakref import WeakSet

import tables

__all__ = ["protect_from_forks"]

OPEN: WeakSet[tables.File] = WeakSet()


def protect_from_forks(file: tables.File) -> tables.File:
    """Protect a file that is open for writing from forks, and return it."""
    OPEN.add(file)
    return file


def redirect_files() -> None:
    """Redirect the descriptors of all such files to a scratch file; called in a fork."""
    mine = [file for file in list(OPEN) if file.isopen]
    OPEN.clear()
    if not mine:
        return
    with suppress(OSError), tempfile.TemporaryFile() as scratch:
        for file in mine:
            os.dup2(scratch.fileno(), file.fileno(), inheritable=False)


os.register_at_fork(after_in_child=redirect_files)
