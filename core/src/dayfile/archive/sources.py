"""Sources that are kept for good, below ``sources/`` by day, so that any day file can be rebuilt."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from dayfile.archive import disk
from dayfile.archive.contents import parts_of
from dayfile.archive.directories import entries, status
from dayfile.archive.root import Root
from dayfile.model.batch import Source

__all__ = ["keep", "kept", "read_kept"]

MAKING = ".making"
"""Name of a source that is not whole yet; others may be hidden too, as those given on the command line may be."""


def keep(root: Root, source: Source, days: Iterable[np.datetime64]) -> None:
    """Keep a source below each day that it has records of; of what is kept already, only a later arrival is noted.

    The modification time of a kept source is when it arrived: ``days_ahead`` counts from then in a rebuild too.

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
        if status(target) is not None:
            if arrival_of(target) < source.arrived:
                # It came again, and records may have been archived that were too far ahead the first time.
                note_arrival(target, source.arrived)
        else:
            for directory in (root.sources, root.sources / day, target.parent):
                disk.make_directory(directory, private=True)
            making = target.with_name(MAKING)
            disk.unlink(making)
            if first is None:
                disk.write(making, parts_of(source), private=True)
            else:
                with disk.storage_errors("link", making):
                    os.link(first, making)
            note_arrival(making, source.arrived)
            disk.rename(making, target)
        first = target


def note_arrival(path: Path, arrived: float) -> None:
    """Set the modification time of a kept source."""
    seconds, rest = divmod(arrived, 1)  # a product would be off by some nanoseconds
    nanoseconds = int(seconds) * 10**9 + round(rest * 1e9)
    with disk.storage_errors("set the time of", path):
        os.utime(path, ns=(nanoseconds, nanoseconds))


def arrival_of(path: Path) -> float:
    """When a kept source arrived, seconds since 1970."""
    with disk.storage_errors("look at", path):
        return path.stat().st_mtime_ns / 10**9


def read_kept(path: Path) -> Source:
    """A kept source, with its arrival; OSError if it cannot be read."""
    return replace(Source.read(path), arrived=arrival_of(path))


def kept(root: Root, day: np.datetime64) -> list[tuple[str, Path]]:
    """Return the sources that are kept for a day: the beginning of the SHA-256 of each, and its path.

    Raises
    ------
    StorageError
        A directory of them could not be listed.
    """
    found = []
    for directory in entries(root.sources / str(day)) or ():
        if directory.is_dir():
            listed = entries(Path(directory.path)) or ()
            found += [(directory.name, Path(each.path)) for each in listed if each.name != MAKING]
    return found
