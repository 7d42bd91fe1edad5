"""Sources that are stored for good, below ``sources/`` by day, so that any day file can be rebuilt."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from dayfile.archive import disk
from dayfile.archive.contents import iterate_parts
from dayfile.archive.directories import list_directory, read_status
from dayfile.archive.root import Root
from dayfile.model.batch import Source

__all__ = ["list_stored", "read_arrival", "read_stored", "store_source"]

MAKING = ".making"
"""Name of an incomplete source; complete ones may be hidden too, if they came by the command line."""


def store_source(root: Root, source: Source, days: Iterable[np.datetime64]) -> None:
    """Store a source below each day that it has records of; for a stored one, only update a later arrival.

    The modification time of a stored source is its arrival, from which ``days_ahead`` counts in a rebuild too.

    Parameters
    ----------
    root : Root
        The archive.
    source : Source
        The source.
    days : iterable of datetime64[D]
        UTC days.
    """
    first: Path | None = None
    for day in sorted({str(day) for day in days}):
        target = root.sources / day / source.sha256[:16] / source.name
        if read_status(target) is not None:
            if read_arrival(target) < source.arrived:
                # It came again, and records that were too far ahead the first time may have been archived.
                write_arrival(target, source.arrived)
        else:
            for directory in (root.sources, root.sources / day, target.parent):
                disk.make_directory(directory, private=True)
            making = target.with_name(MAKING)
            disk.unlink(making)
            if first is None:
                disk.write(making, iterate_parts(source), private=True)
            else:
                with disk.storage_errors("link", making):
                    os.link(first, making)
            write_arrival(making, source.arrived)
            disk.rename(making, target)
        first = target


def write_arrival(path: Path, arrived: float) -> None:
    """Set the modification time of a stored source."""
    seconds, rest = divmod(arrived, 1)  # a product would be off by some nanoseconds
    nanoseconds = int(seconds) * 10**9 + round(rest * 1e9)
    with disk.storage_errors("set the time of", path):
        os.utime(path, ns=(nanoseconds, nanoseconds))


def read_arrival(path: Path) -> float:
    """Read when a stored source arrived, seconds since 1970."""
    with disk.storage_errors("look at", path):
        return path.stat().st_mtime_ns / 10**9


def read_stored(path: Path) -> Source:
    """Read a stored source, with its arrival; OSError if it cannot be read."""
    return replace(Source.read(path), arrived=read_arrival(path))


def list_stored(root: Root, day: np.datetime64) -> list[tuple[str, Path]]:
    """List the sources that are stored for a day: the first digits of the SHA-256 of each, and its path.

    Raises
    ------
    StorageError
        A directory could not be listed.
    """
    found = []
    for directory in list_directory(root.sources / str(day)) or ():
        if directory.is_dir():
            listed = list_directory(Path(directory.path)) or ()
            found += [(directory.name, Path(each.path)) for each in listed if each.name != MAKING]
    return found
