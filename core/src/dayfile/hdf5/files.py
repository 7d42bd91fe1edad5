"""Files: opened on disk, and made or copied from in memory."""

from __future__ import annotations

import os
from collections.abc import Callable

import tables

from dayfile.hdf5.library import silence_thread
from dayfile.hdf5.links import copy_object

__all__ = ["copy_from_image", "make_image", "open_file"]

IN_MEMORY = "empty"
"""The name that PyTables wants for what is never a file on disk."""


def open_file(path: str | os.PathLike[str], mode: str = "r") -> tables.File:
    """Open a file without a cache of chunks.

    All is read or written once, and in large parts: a cache would be one more copy.
    """
    silence_thread()
    return tables.open_file(path, mode, chunk_cache_size=0)


def make_image(fill: Callable[[tables.File], None]) -> bytes:
    """Return the bytes of a new file that a function has filled; nothing is written to disk."""
    with tables.open_file(IN_MEMORY, "w", driver="H5FD_CORE", driver_core_backing_store=0) as file:
        fill(file)
        file.flush()
        return bytes(file.get_file_image())


def copy_from_image(image: bytes, name: str, file: tables.File, path: str) -> None:
    """Copy a node of a file that is given by its bytes to a path of an open file.

    Parameters
    ----------
    image : bytes
        As :func:`make_image` returns them.
    name : str
        Of the node.
    file : tables.File
        Open for writing.
    path : str
        Where the node goes; its group exists.
    """
    # PyTables needs a name that no file has, such as one below a file.
    with tables.open_file(
        f"{file.filename}/{IN_MEMORY}", "r", driver="H5FD_CORE", driver_core_image=image, driver_core_backing_store=0
    ) as source:
        copy_object(source, name, file, path)
