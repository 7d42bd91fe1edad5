"""Compare the bytes of files, block by block, as they may be as large as the memory."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["holds", "holds_the_same"]

BLOCK = 2**20
"""Bytes to compare at once."""


def holds(path: Path, content: bytes | None = None) -> bool:
    """Return whether a file exists, can be read, and has this content if any is given."""
    try:
        if content is None:
            return path.is_file()
        with path.open("rb") as file:
            places = range(0, len(content), BLOCK)
            same = os.fstat(file.fileno()).st_size == len(content)
            return same and all(file.read(BLOCK) == content[place : place + BLOCK] for place in places)
    except OSError:
        return False


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
