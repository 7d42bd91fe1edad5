"""Sources that are kept for good, below ``sources/`` by day, so that any day file can be rebuilt."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from dayfile.archive import disk
from dayfile.archive.directories import entries, status
from dayfile.archive.root import Root
from dayfile.model.batch import Source

__all__ = ["keep", "kept"]

MAKING = ".making"
"""Name of a source that is not whole yet; others may be hidden too, as those given on the command line may be."""


def keep(root: Root, source: Source, days: Iterable[np.datetime64]) -> None:
    """Keep a source below each day that it has records of; what is kept already is left alone.

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
        if status(target) is None:
            disk.make_directory(target.parent)
            making = target.with_name(MAKING)
            disk.unlink(making)
            if first is None:
                disk.write(making, source.content)
            else:
                with disk.storage_errors("link", making):
                    os.link(first, making)
            disk.rename(making, target)
        first = target


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
