"""Files that are opened for reading by the library alone: a third of the time that PyTables takes, and no objects."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TypeAlias

import tables

from dayfile.hdf5.library import DEFAULT, call, silence_thread

__all__ = ["OpenFile", "ReadOnlyFile", "open_read_only"]

WRITABLE = 1
"""``H5F_ACC_RDWR``"""


class ReadOnlyFile:
    """An open file, in the places where one of PyTables serves too.

    Parameters
    ----------
    path : str
        Its path.
    identifier : int
        The library's identifier of the open file, which is closed by :meth:`close`.
    """

    mode = "r"

    def __init__(self, path: str, identifier: int) -> None:
        self.path = path
        self.identifier = identifier

    @cached_property
    def by_pytables(self) -> tables.File:
        """Return the file as PyTables opens it, for what only PyTables can read."""
        return tables.open_file(self.path, "r", chunk_cache_size=0)

    def get_node(self, path: str) -> tables.Node:
        """Return a node as PyTables opens it."""
        return self.by_pytables.get_node(path)

    def fileno(self) -> int:
        """Return the descriptor of the open file."""
        handle = ctypes.POINTER(ctypes.c_int)()
        call("H5Fget_vfd_handle", self.identifier, DEFAULT, ctypes.byref(handle))
        return int(handle.contents.value)

    def close(self) -> None:
        """Close it, also as PyTables has opened it."""
        if "by_pytables" in vars(self):
            self.by_pytables.close()
        call("H5Fclose", self.identifier)


OpenFile: TypeAlias = tables.File | ReadOnlyFile


@contextmanager
def open_read_only(path: str | os.PathLike[str]) -> Iterator[OpenFile]:
    """Open a file for reading, and close it on exit.

    What the library refuses to open, PyTables opens or explains; so too a file that this process has open for writing.

    Raises
    ------
    tables.HDF5ExtError, OSError, ValueError
        As PyTables raises them.
    """
    name = os.fspath(path)
    silence_thread()
    file = try_open(name)
    if file is None:
        with tables.open_file(name, "r", chunk_cache_size=0) as opened:
            yield opened
        return
    try:
        yield file
    finally:
        file.close()


def try_open(path: str) -> ReadOnlyFile | None:
    """Open a file; None if the library refuses, or if it has the file open for writing: rows may wait in memory."""
    try:
        file = ReadOnlyFile(path, call("H5Fopen", path.encode(), DEFAULT, DEFAULT))
    except (tables.HDF5ExtError, UnicodeEncodeError):
        return None
    intent = ctypes.c_uint(0)
    call("H5Fget_intent", file.identifier, ctypes.byref(intent))
    if intent.value & WRITABLE:
        file.close()
        return None
    return file
