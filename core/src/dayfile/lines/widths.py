"""Parts of lines that have a fixed width: where each begins and ends, without the blanks around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dayfile.lines.line_kinds import BLANKS
from dayfile.messages import plural
from dayfile.stages.base import Bytes, Frames

__all__ = ["cut_line", "cut_lines", "describe_width"]


def cut_line(line: bytes, widths: Sequence[int]) -> tuple[list[bytes], bytes]:
    """Cut a line into parts of these bytes, and what is behind them, all without blanks around: the reference.

    Parts that a line is too short for are empty.

    Examples
    --------
    >>> cut_line(b"north  12.5", (5, 4)), cut_line(b"n", (5, 4))
    (([b'north', b'12'], b'.5'), ([b'n', b''], b''))
    """
    parts, at = [], 0
    for width in widths:
        parts.append(line[at : at + width].strip(BLANKS))
        at += width
    return parts, line[at:].strip(BLANKS)


def describe_width(due: int, found: int) -> str:
    """Say that a line is too long.

    Examples
    --------
    >>> describe_width(18, 21)
    'more than the 18 bytes of its parts: 21'
    """
    return f"more than the {plural(due, 'byte')} of its parts: {found}"


def cut_lines(
    lines: Frames, widths: Sequence[int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Cut lines into k parts, all at once: begins and lengths, shape (n, k), and which lines have more behind them."""
    block: Bytes = lines.block
    ends = (lines.starts + lines.lengths)[:, None]
    places = np.concatenate([[0], np.cumsum(np.asarray(widths, np.int64))])
    lows = np.minimum(lines.starts[:, None] + places, ends)
    highs = np.concatenate([lows[:, 1:], ends], axis=1)
    written = np.flatnonzero((block != BLANKS[0]) & (block != BLANKS[1]))
    bounds = np.concatenate([[-1], written, [len(block)]])
    begins = np.minimum(bounds[1:][np.searchsorted(written, lows)], highs)
    stops = np.maximum(bounds[np.searchsorted(written, highs)] + 1, begins)
    lengths = stops - begins
    return begins[:, :-1], lengths[:, :-1], lengths[:, -1] > 0
