"""Groups of an open file: make them, and find what is below them."""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import tables

from dayfile.hdf5.attributes import read_attribute
from dayfile.hdf5.library import DEFAULT, call, close_on_exit, load_library
from dayfile.hdf5.links import get_root_id, link_exists
from dayfile.hdf5.readonly import OpenFile

__all__ = ["allow_any_names", "create_groups", "find_leaves", "is_group", "read_group_attribute"]

GROUP, DATASET = 0, 1
"""Types of links (``H5G_obj_t``)."""
BY_NAME, ASCENDING = 0, 0
"""``H5_INDEX_NAME`` and ``H5_ITER_INC``"""
HIDDEN = ("_i_", "_p_")
"""Beginnings of the names of PyTables' own nodes, such as the index of a column."""
USUAL_NAME = 128
"""Bytes of a name that is read at once."""
MOST_LEVELS = 32
"""Levels of groups; day files have 4."""


class GroupInfo(ctypes.Structure):
    """The library's ``H5G_info_t``."""

    _fields_ = (
        ("storage_type", ctypes.c_int),
        ("links", ctypes.c_uint64),
        ("highest_order", ctypes.c_int64),
        ("mounted", ctypes.c_bool),
    )


@contextmanager
def allow_any_names() -> Iterator[None]:
    """Let names of nodes be no Python identifiers: PyTables warns of a blank in a cluster's name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", tables.NaturalNameWarning)
        yield


def is_group(file: tables.File, path: str) -> bool:
    """Return whether the node at a path is a group."""
    return isinstance(file.get_node(path), tables.Group)


def create_groups(file: tables.File, path: str, title_of: Callable[[int], str]) -> None:
    """Create the groups above a node, where they are missing.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the node.
    title_of : callable
        Returns the title of a new group from its depth, 0 below the root.
    """
    group = file.root
    with allow_any_names():
        for depth, name in enumerate(path.strip("/").split("/")[:-1]):
            if name in group._v_children:
                group = group._v_children[name]
            else:
                group = file.create_group(group, name, title_of(depth))


def find_leaves(file: OpenFile, *, without: str) -> Iterator[str]:
    """Find the paths of all tables and arrays of an open file, those of a group first, except in groups of one name.

    Raises
    ------
    tables.HDF5ExtError
        A group cannot be read, or groups are more than ``MOST_LEVELS`` deep.
    """
    yield from find_below(get_root_id(file), "", without, MOST_LEVELS)


def find_below(location: int, path: str, without: str, levels: int) -> Iterator[str]:
    """Find the paths of all tables and arrays below a group of an open file."""
    if not levels:
        raise tables.HDF5ExtError(f"groups are more than {MOST_LEVELS} deep")
    members = list_members(location, path or "/")
    yield from (f"{path}/{name}" for name, kind in members if kind == DATASET)
    for name, kind in members:
        if kind == GROUP and name != without:
            yield from find_below(location, f"{path}/{name}", without, levels - 1)


def read_group_attribute(file: OpenFile, path: str, name: str) -> str | int | None:
    """Read an attribute of a group; None if either is absent, or it is neither a text nor a whole number.

    Raises
    ------
    tables.HDF5ExtError
        It cannot be read.
    """
    if not link_exists(file, path):
        return None
    with close_on_exit("H5Gclose", call("H5Gopen2", get_root_id(file), path.encode(), DEFAULT)) as group:
        return read_attribute(group, name)


def list_members(location: int, path: str) -> list[tuple[str, int]]:
    """List the names in a group, in order, with the type of each, without soft and external links."""
    found = []
    with close_on_exit("H5Gclose", call("H5Gopen2", location, path.encode(), DEFAULT)) as group:
        info = GroupInfo()
        call("H5Gget_info", group, ctypes.byref(info))
        for number in range(info.links):
            name = get_name(group, number)
            if not name.startswith(HIDDEN) and not is_soft(group, name):
                found.append((name, call("H5Gget_objtype_by_idx", group, number)))
    return sorted(found)


def get_name(group: int, number: int) -> str:
    """Return the name of a link of an open group by its number."""
    place = (group, b".", BY_NAME, ASCENDING, number)
    buffer = ctypes.create_string_buffer(USUAL_NAME)
    size = call("H5Lget_name_by_idx", *place, buffer, USUAL_NAME, DEFAULT) + 1
    if size > USUAL_NAME:
        buffer = ctypes.create_string_buffer(size)
        call("H5Lget_name_by_idx", *place, buffer, size, DEFAULT)
    return buffer.value.decode()


def is_soft(group: int, name: str) -> bool:
    """Return whether a link of an open group leads to a path, perhaps of another file, and not to an object."""
    return bool(load_library().H5Lget_val(group, name.encode(), None, 0, DEFAULT) >= 0)  # a hard link has no value
