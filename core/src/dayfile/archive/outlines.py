"""What day files were found to hold: as long as one stays the same, a process reads it again without the HDF5 library.

A day file is replaced whole when records are added, so its tables and the places of their rows stay what they are. That
it is the same is seen from its inode, its size and its times; another program that writes into it changes these. A
lock keeps such programs away while it is read, as when the library opens it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from dayfile.archive.identity import describe_state
from dayfile.hdf5.placed import PlacedRows
from dayfile.model.datatype import DataType
from dayfile.model.places import LEDGER

if TYPE_CHECKING:
    from dayfile.hdf5.readonly import OpenFile

__all__ = ["KNOWN_AFTER", "MOST_PLACES", "REMEMBERED", "Outline", "Outlines"]

KNOWN_AFTER = 2_000_000_000
"""Nanoseconds since its last change from which on a file is known by its times: some file systems count two seconds."""
MOST_PLACES = 100_000
"""Tables, and places of rows, that are remembered; each takes some 500 bytes."""

Known = tuple[DataType, PlacedRows | None] | None
"""What is known of a table: its type, and its rows if they can be read by their places; None for what is no table."""


@dataclass(frozen=True)
class Outline:
    """The tables of a day file.

    Parameters
    ----------
    identity : tuple of int
        By which the file is known again: device, inode and size, and when its content and its state were changed, in
        nanoseconds since 1970. Empty if it is not.
    leaves : tuple of str
        Paths of all its tables and arrays.
    tables : dict
        What is known of those that were looked at, by path.
    """

    identity: tuple[int, ...]
    leaves: tuple[str, ...]
    tables: dict[str, Known] = field(default_factory=dict)

    @cached_property
    def size(self) -> int:
        """Return how many tables and places of rows it has."""
        return 1 + len(self.leaves) + sum(len(known[1].extents) for known in self.tables.values() if known and known[1])

    def list_paths(self, name: str, wanted: Callable[[str], bool] | None) -> list[str]:
        """List the wanted paths where a table of a type may be: what is known to be something else is left out."""
        return [
            path
            for path in filter(wanted, self.leaves)
            if path not in self.tables or ((known := self.tables[path]) is not None and known[0].name == name)
        ]

    def list_rows(self, name: str, wanted: Callable[[str], bool] | None) -> list[tuple[DataType, PlacedRows]] | None:
        """List type and rows of the tables of a type at wanted paths; None if not all of them are known."""
        found = []
        for path in self.list_paths(name, wanted):
            known = self.tables.get(path)
            if known is None or known[1] is None:
                return None
            found.append((known[0], known[1]))
        return found


class Outlines:
    """The outlines of the day files that were read last.

    Parameters
    ----------
    most_places : int
        Most tables, and places of rows, to remember.
    """

    def __init__(self, most_places: int = MOST_PLACES) -> None:
        self.most_places = most_places
        self._kept: dict[Path, Outline] = {}
        self._size = 0

    def __reduce__(self) -> str | tuple[type[Outlines], tuple[int]]:
        """Pickle without what is remembered; those of a process become those of the other."""
        return "REMEMBERED" if self is REMEMBERED else (Outlines, (self.most_places,))

    @contextmanager
    def open(
        self, path: Path, name: str, wanted: Callable[[str], bool] | None
    ) -> Iterator[list[tuple[DataType, PlacedRows]] | None]:
        """Open a day file that is remembered, and close it on exit.

        Parameters
        ----------
        path : Path
            Of the day file.
        name : str
            Of the data type that is asked for.
        wanted : callable, optional
            Which paths of tables are.

        Yields
        ------
        list of (DataType, PlacedRows), or None
            The tables. None if they are not all known, or the file may have changed, is in use or cannot be opened: the
            library finds out.
        """
        outline = self._kept.get(path)
        tables = None if outline is None else outline.list_rows(name, wanted)
        if outline is None or tables is None:
            yield None
            return
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for a writer
        except OSError:
            yield None
            return
        try:
            same = lock_to_read(descriptor) and identify_open(descriptor) == outline.identity
            yield [(data_type, rows.within(descriptor)) for data_type, rows in tables] if same else None
        finally:
            os.close(descriptor)

    def begin(self, path: Path, file: OpenFile) -> Outline:
        """Begin the outline of a day file that the library has opened, or go on with what is remembered of it."""
        from dayfile.hdf5.groups import find_leaves

        identity = identify_open(file.fileno())
        outline = self._kept.get(path)
        if outline is None or outline.identity != identity:
            return Outline(identity, tuple(find_leaves(file, without=LEDGER)))
        return Outline(identity, outline.leaves, dict(outline.tables))

    def keep(self, path: Path, outline: Outline) -> None:
        """Remember the outline of a day file that can be known again; of too many, the first ones are forgotten."""
        self.forget(path)
        if not outline.identity:
            return
        self._kept[path] = outline
        self._size += outline.size
        while self._size > self.most_places:
            self.forget(next(iter(self._kept)))

    def forget(self, path: Path) -> None:
        """Forget a day file."""
        if path in self._kept:
            self._size -= self._kept.pop(path).size


REMEMBERED = Outlines()
"""The outlines of this process; only one thread at a time reads day files."""


def identify_open(descriptor: int) -> tuple[int, ...]:
    """Return what an open file is known by; nothing if it has just changed, and may do so again at the same time."""
    found = os.fstat(descriptor)
    if max(found.st_mtime_ns, found.st_ctime_ns) > time.time_ns() - KNOWN_AFTER:
        return ()
    return describe_state(found)


def lock_to_read(descriptor: int) -> bool:
    """Lock an open file as the library does to read it; False if another program has it open for writing."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
