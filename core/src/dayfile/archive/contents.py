"""Compare the bytes of files, block by block, as they may be as large as the memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dayfile.model.batch import Source

__all__ = ["holds", "holds_the_same"]

BLOCK = 2**20
"""Bytes to compare at once."""


def holds(path: Path, source: Source | None = None) -> bool:
    """Return whether a file exists, can be read, and has the bytes of a source if any is given."""
    try:
        if source is None:
            return path.is_file()
        with path.open("rb") as file:
            same = os.fstat(file.fileno()).st_size == source.size
            return same and all(file.read(len(part)) == part for part in iterate_parts(source))
    except OSError:
        return False


def iterate_parts(source: Source) -> Iterator[bytes]:
    """Yield the bytes of a source in small parts."""
    for _, block in source.blocks():
        for start in range(0, len(block), BLOCK):
            yield bytes(block[start : start + BLOCK])


def holds_the_same(path: Path, other: Path) -> bool:
    """Return whether two files exist, can be read, and have the same content, which may be larger than the memory."""
    try:
        with path.open("rb") as file, other.open("rb") as known:
            if os.fstat(file.fileno()).st_size != os.fstat(known.fileno()).st_size:
                return False
            while (part := file.read(BLOCK)) == known.read(BLOCK):
                if not part:
                    return True
    except OSError:
        pass
    return False
