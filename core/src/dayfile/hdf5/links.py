"""Links of an open file, by path, and copies of the objects that they lead to."""

from __future__ import annotations

import tables

from dayfile.hdf5.library import DEFAULT, call

__all__ = ["copy_object", "delete_link", "get_root_id", "link_exists"]


def get_root_id(file: tables.File) -> int:
    """Return the library's identifier of the root group of an open file."""
    return int(file.root._v_objectid)


def link_exists(file: tables.File, path: str) -> bool:
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
