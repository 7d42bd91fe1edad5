"""Groups of an open file: make them, and find what is below them."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import tables

__all__ = ["allow_any_names", "create_groups", "find_leaves", "is_group"]


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


def find_leaves(group: tables.Group, *, without: str) -> Iterator[str]:
    """Find the paths of all tables and arrays of a group and those below it, except in groups of one name."""
    yield from (f"{group._v_pathname.rstrip('/')}/{name}" for name in sorted(group._v_leaves))
    for name in sorted(group._v_groups):
        if name != without:
            yield from find_leaves(group[name], without=without)
