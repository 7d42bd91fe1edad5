"""Checksums that lines carry in hexadecimal digits, as ``$GPGGA,…*47``: verified, and cut off."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dayfile.framing.checksums import FRAME_CHECKSUMS
from dayfile.lines.line_kinds import BLANKS
from dayfile.stages.base import Bytes, Frames, Offsets, Wrong

__all__ = ["LineChecksum"]

DIGITS = np.full(256, -1, np.int64)
"""Value of each character as a hexadecimal digit; -1 if it is not one."""
for digit in b"0123456789abcdefABCDEF":
    DIGITS[digit] = int(chr(digit), 16)


@dataclass(frozen=True)
class LineChecksum:
    r"""The checksum at the end of a line.

    Parameters
    ----------
    kind : str
        Name of the checksum.
    start : str
        It covers what is behind the first such character; if empty, the line from its begin.
    stop : str
        It covers what is in front of the last such character; its digits are behind, the most significant first.

    Examples
    --------
    >>> content = np.frombuffer(b"$PA,1*0C\n$PA,2*20", np.uint8)
    >>> lines = Frames(content, np.array([0, 9]), np.array([8, 8]))
    >>> cut, wrong = LineChecksum("xor", "$", "*").verify(lines)
    >>> cut.lengths, wrong.reasons
    (array([5, 8]), {1: 'wrong checksum'})
    """

    kind: str
    start: str
    stop: str

    def verify(self, lines: Frames) -> tuple[Frames, Wrong]:
        """Verify the checksums of lines: return what is in front of them, and which lines have no right one."""
        wrong = Wrong.none(len(lines))
        if not len(lines):
            return lines, wrong
        block, ends = lines.block, lines.starts + lines.lengths
        begins, stops = lines.starts, find_last(block, self.stop, lines.starts, ends)
        if self.start:
            begins = find_first(block, self.start, lines.starts, ends) + 1
        digits = 2 * FRAME_CHECKSUMS[self.kind].size
        present = (begins > 0) if self.start else np.ones(len(lines), bool)
        present &= (stops >= begins) & (find_written_end(block, stops + 1, ends) - stops - 1 == digits)
        rows = np.flatnonzero(present)
        values = np.zeros(len(rows), np.int64)
        for place in range(digits):
            value = DIGITS[block[stops[rows] + 1 + place]]
            present[rows] &= value >= 0
            values = values << 4 | value
        where = f"{self.start}…{self.stop}" if self.start else self.stop
        wrong.add(~present, f"no checksum of {digits} hexadecimal digits behind {where}")
        good = present[rows]
        rows, values = rows[good], values[good]
        bad = np.zeros(len(lines), bool)
        computed = FRAME_CHECKSUMS[self.kind].compute_all(block, begins[rows], stops[rows])
        bad[rows] = computed != values
        wrong.add(bad, "wrong checksum")
        return Frames(block, lines.starts, np.where(wrong.rows, lines.lengths, stops - lines.starts)), wrong


def find_first(block: Bytes, character: str, starts: Offsets, ends: Offsets) -> Offsets:
    """Find the first place of a character in each line; -1 where it is not."""
    places = np.append(np.flatnonzero(block == ord(character)), len(block))
    first = places[np.searchsorted(places, starts)]
    return np.where(first < ends, first, -1)


def find_last(block: Bytes, character: str, starts: Offsets, ends: Offsets) -> Offsets:
    """Find the last place of a character in each line; -1 where it is not."""
    places = np.flatnonzero(block == ord(character))
    last = np.concatenate([[-1], places])[np.searchsorted(places, ends)]
    return np.where(last >= starts, last, -1)


def find_written_end(block: Bytes, starts: Offsets, ends: Offsets) -> npt.NDArray[np.int64]:
    """Return where lines end without the blanks at their end, but not before a place in each."""
    written = np.flatnonzero((block != BLANKS[0]) & (block != BLANKS[1]))
    last = np.concatenate([[-1], written])[np.searchsorted(written, ends)] + 1
    return np.asarray(np.maximum(last, starts), np.int64)
