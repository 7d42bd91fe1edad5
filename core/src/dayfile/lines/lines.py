"""Lines of text in blocks of bytes: where each begins and ends, and which number it has in its source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from dayfile.lines.carried_lines import CarriedLine, Carrying
from dayfile.lines.line_checksums import LineChecksum
from dayfile.lines.line_kinds import find_beginning, find_blank
from dayfile.lines.texts import Texts
from dayfile.messages import plural
from dayfile.stages.base import Bytes, Frames, Stretch

__all__ = ["LINE_BYTES", "LineForm", "LineSplitter", "SourceLines"]

LINE_BYTES = 1 << 20
"""Most bytes of a line, its end not counted."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""The byte order mark that some programs write in front of UTF-8."""
LF, CR = 10, 13


@dataclass(frozen=True)
class LineForm:
    """How lines are records.

    Parameters
    ----------
    columns : tuple of str, or None
        Names of the parts of a line, in order; ``...`` at the end stands for any further ones. None if the first line
        has them.
    form : {'columns', 'json', 'pairs'}
        What a line is: parts in order, a JSON object, or ``name=value`` pairs.
    separator : str
        What is between parts: one character, or empty for one or more blanks (spaces and tabs).
    comments : tuple of str
        Beginnings of lines that are left out.
    encoding : str
        Of the text; the first 128 characters are those of ASCII.
    longest : int
        Bytes of a line beyond which it is rejected.
    widths : tuple of int
        Bytes of each part, if these are fixed; empty if a separator is between parts.
    skipped : tuple of int
        Numbers of lines that count for nothing, from 0; they may still be carried ones.
    checksum : LineChecksum, optional
        What each line ends with.
    """

    columns: tuple[str, ...] | None = ()
    form: Literal["columns", "json", "pairs"] = "columns"
    separator: str = ""
    comments: tuple[str, ...] = ("#",)
    encoding: str = "utf-8"
    longest: int = LINE_BYTES
    widths: tuple[int, ...] = ()
    skipped: tuple[int, ...] = ()
    checksum: LineChecksum | None = None


@dataclass(frozen=True)
class SourceLines:
    """The lines of a block.

    Parameters
    ----------
    frames : Frames
        The lines that may be records, without their ends.
    numbers : array of int64, shape (n,)
        The number of each in the source, from 0; all lines count.
    carried : dict of str to Texts
        Values that hold for each of the lines, by name; shape (n,).
    rejected : sequence of Stretch
        The beginnings of lines that are too long.
    between : sequence of Stretch
        What follows these up to the end of the line.
    quiet : int
        Bytes of comments, empty lines, carried lines and line ends.
    used : int
        Bytes of the block that are done with: the sum of all these.
    """

    frames: Frames
    numbers: npt.NDArray[np.int64]
    carried: dict[str, Texts]
    rejected: Sequence[Stretch]
    between: Sequence[Stretch]
    quiet: int
    used: int


@dataclass
class LineSplitter:
    r"""Splits a source into lines, block by block. Each reading of a source needs a new one.

    A line ends with LF, or CR LF; the last one may have no end. Lines of blanks, and those that begin as a comment, are
    left out.

    Parameters
    ----------
    form : LineForm
        Which lines are comments, and how long they may be.
    carry : sequence of CarriedLine
        Lines whose values hold for those that follow.

    Examples
    --------
    >>> splitter = LineSplitter(LineForm())
    >>> lines = splitter.split(np.frombuffer(b"# a\n1 2\r\n\n3 4\n5", np.uint8), last=False)
    >>> lines.frames.starts, lines.frames.lengths, lines.numbers, lines.used
    (array([ 4, 10]), array([3, 3]), array([1, 3]), 14)
    """

    form: LineForm
    carry: Sequence[CarriedLine] = ()
    number: int = field(default=0, init=False)
    begun: bool = field(default=False, init=False)
    skipping: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self.carrying = Carrying(self.carry)
        self.comments = [comment.encode(self.form.encoding) for comment in self.form.comments]

    def split(self, block: Bytes, *, last: bool) -> SourceLines:
        """Split a block, which begins where the lines used before end, into lines.

        Parameters
        ----------
        block : array of uint8, shape (n,)
            The bytes; what is not used has to be given again, with what follows in the source.
        last : bool
            Whether the source ends with the block. If not, a line that is cut by the block's end is left.
        """
        rejected: list[Stretch] = []
        between: list[Stretch] = []
        if not self.begun and len(block) < len(BYTE_ORDER_MARK) and not last:
            return self._gather(block, np.zeros(0, np.int64), np.zeros(0, np.int64), rejected, between, 0)
        marked = not self.begun and block[: len(BYTE_ORDER_MARK)].tobytes() == BYTE_ORDER_MARK
        base = len(BYTE_ORDER_MARK) if marked else 0
        self.begun = True
        breaks = np.flatnonzero(block == LF)
        if self.skipping:
            end = int(breaks[0]) if len(breaks) else len(block)
            if end:
                between.append(Stretch(0, end))
            if not len(breaks):
                empty = np.zeros(0, np.int64)
                return self._gather(block, empty, empty, rejected, between, len(block))
            base, breaks, self.skipping = end + 1, breaks[1:], False
            self.number += 1
        starts = np.concatenate([[base], breaks + 1]).astype(np.int64)
        ends = breaks.astype(np.int64)
        used, tail = int(starts[-1]), len(block) - int(starts[-1])
        if last and tail:
            ends, used = np.append(ends, len(block)), len(block)
        starts = starts[: len(ends)]
        lines = self._gather(block, starts, ends, rejected, between, used)
        if last or tail <= self.form.longest + 1:  # the last byte may be the CR of its end
            return lines
        self.skipping = True
        self._reject(self.number, used, len(block), rejected, between)
        return SourceLines(lines.frames, lines.numbers, lines.carried, rejected, between, lines.quiet, len(block))

    def _reject(self, number: int, start: int, end: int, rejected: list[Stretch], between: list[Stretch]) -> None:
        """Reject a line that is too long: its beginning, which is as long as a line may be; the rest is skipped."""
        longest = self.form.longest
        rejected.append(Stretch(start, longest, f"line {number + 1}: longer than {plural(longest, 'byte')}"))
        between.append(Stretch(start + longest, end - start - longest))

    def _gather(
        self,
        block: Bytes,
        starts: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        rejected: list[Stretch],
        between: list[Stretch],
        used: int,
    ) -> SourceLines:
        """Sort out which of these lines may be records; ends are places of LF, or of the end of the source."""
        numbers = self.number + np.arange(len(starts))
        self.number += len(starts)
        lengths = ends - starts
        if len(block):
            lengths = lengths - ((lengths > 0) & (block[np.maximum(ends - 1, 0)] == CR))
        long = lengths > self.form.longest
        for row in np.flatnonzero(long).tolist():
            self._reject(int(numbers[row]), int(starts[row]), int(ends[row]), rejected, between)
        frames = Frames(block, starts, lengths)
        whole = ~long
        kept = whole & (lengths > 0)
        kept &= ~find_blank(frames, self.form.separator)
        carried = self.carrying.carry(frames, whole)
        for comment in self.comments:
            kept &= ~find_beginning(frames, comment)
        kept &= ~carried.spoken
        if self.form.skipped and len(numbers) and numbers[0] <= max(self.form.skipped):
            kept &= ~np.isin(numbers, self.form.skipped)
        chosen, values = Frames(block, starts, lengths), carried.values
        if not kept.all():
            chosen, numbers = chosen.select(kept), numbers[kept]
            values = {name: texts.select(kept) for name, texts in values.items()}
        lost = sum(stretch.length for stretch in (*rejected, *between))
        quiet = used - int(chosen.lengths.sum()) - lost
        return SourceLines(chosen, numbers, values, rejected, between, quiet, used)
