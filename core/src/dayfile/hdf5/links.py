"""Links of an open file, by path, and copies of the objects that they lead to."""

from __future__ import annotations

import tables

from dayfile.hdf5.library import DEFAULT, call
from dayfile.hdf5.readonly import OpenFile, ReadOnlyFile

__all__ = ["copy_object", "delete_link", "get_root_id", "link_exists"]


def get_root_id(file: OpenFile) -> int:
    """Return the library's identifier of an open file or of its root group: paths begin at either."""
    return file.identifier if isinstance(file, ReadOnlyFile) else int(file.root._v_objectid)


def link_exists(file: OpenFile, path: str) -> bool:
    """Return whether an open file has a node at a path."""
    parts = path.strip("/").split("/")
    root = get_root_id(file)
    return all(call("H5Lexists", root, "/".join(parts[: n + 1]).encode(), DEFAULT) for n in range(len(parts)))


def delete_link(file: tables.File, path: str) -> None:
    """Remove the node at a path, which is not open."""
    call("H5Ldelete", get_root_id(file), path.encode(), DEFAULT)


def copy_object(source: tables.File, name: str, file: tables.File, path: str) -> None:
    """Copy a node of one open file to a path of another.

    Raises
    ------
    tables.HDF5ExtError
        The path is taken, or its group is missing.
    """
    call("H5Ocopy", get_root_id(source), name.encode(), get_root_id(file), path.encode(), DEFAULT, DEFAULT)
