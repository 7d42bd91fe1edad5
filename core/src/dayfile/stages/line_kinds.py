"""Which lines are blank, and which begin with a text."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from dayfile.stages.base import Frames

__all__ = ["BLANKS", "find_beginning", "find_blank"]

BLANKS = b" \t"


def find_beginning(lines: Frames, beginning: bytes) -> npt.NDArray[np.bool_]:
    """Find the lines that begin with these bytes, shape (n,)."""
    rows = np.flatnonzero(lines.lengths >= len(beginning))
    for place, byte in enumerate(beginning):
        rows = rows[lines.block[lines.starts[rows] + place] == byte]
    found = np.zeros(len(lines), bool)
    found[rows] = True
    return found


def find_blank(lines: Frames, separator: str) -> npt.NDArray[np.bool_]:
    """Find the lines that have nothing but blanks, or nothing at all, shape (n,); a separator is no blank."""
    found: npt.NDArray[np.bool_] = lines.lengths == 0
    blanks = [byte for byte in BLANKS if byte != ord(separator or "\n")]
    rows = np.flatnonzero(~found)
    rows = rows[np.isin(lines.block[lines.starts[rows]], blanks)]
    if len(rows):
        written = np.append(np.flatnonzero(~np.isin(lines.block, blanks)), len(lines.block))
        first = written[np.searchsorted(written, lines.starts[rows])]
        found[rows] = first >= lines.starts[rows] + lines.lengths[rows]
    return found
