"""A source as frames: in blocks, with the places of all bytes in the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dayfile.framing.shapes import BAD_SIZE, INCOMPLETE, LONGEST
from dayfile.model.batch import Source
from dayfile.stages.base import REST, Framer, Frames, Reading, Split, Stretch
from dayfile.stages.sums import Sum

__all__ = ["BLOCK_SIZE", "Head", "Piece", "read_frames"]

BLOCK_SIZE = 2**20
"""Bytes of a block; more where a frame does not fit into one."""


@dataclass(frozen=True)
class Head:
    """What a source has once, in front of its frames.

    Parameters
    ----------
    size : Sum
        Its bytes, of its own fields and of what is known.
    fields : Reading, optional
        Its fields.

    Examples
    --------
    >>> from pathlib import Path
    >>> Head(Sum.parse(4)).measure(Source(Path("a"), "a", b"ab"), {})
    Stretch(start=0, length=2, reason='incomplete')
    """

    size: Sum
    fields: Reading | None = None

    def measure(self, source: Source, known: Mapping[str, Any]) -> Stretch:
        """Return where the head of a source is, and what is wrong with it: then it is the whole source."""
        least = self.fields.size if self.fields else 0
        if source.size < least:
            return Stretch(0, source.size, INCOMPLETE)
        values = {}
        if self.fields:
            block = np.frombuffer(source.part(0, least), np.uint8)
            columns = self.fields.read(block, np.zeros(1, np.int64), known)
            values = {name: column[0] for name, column in columns.items() if column.ndim == 1}
        size = int(self.size.evaluate({**known, **values}))
        if not least <= size <= LONGEST:
            return Stretch(0, source.size, BAD_SIZE)
        return Stretch(0, size) if size <= source.size else Stretch(0, source.size, INCOMPLETE)


@dataclass(frozen=True)
class Piece:
    """Frames of a source that were found at once.

    Parameters
    ----------
    offset : int
        Where the block of the frames begins in the source.
    frames : Frames
        The good ones, by their places in the block.
    rejected, between, around : list of Stretch
        As in a Split, but by their places in the source.
    """

    offset: int
    frames: Frames
    rejected: list[Stretch]
    between: list[Stretch]
    around: list[Stretch]


def read_frames(
    source: Source, framer: Framer, known: Mapping[str, int], *, offset: int = 0, size: int = BLOCK_SIZE
) -> Iterator[Piece]:
    """Read the frames of a source from an offset to its end; the size of blocks changes nothing of what is found.

    Each byte is in a good frame, in a rejected stretch, around frames or between them. A rejected stretch has the
    length that it claims, so there may be good frames in it.
    """
    gaps, stream = Gaps(offset), Stream(source, offset)
    wanted, content = size, b""
    while offset < source.size:
        content += stream.read(wanted - len(content))
        last = offset + len(content) >= source.size
        split = framer.split(np.frombuffer(content, np.uint8), known, last=last)
        rejected = [move_stretch(stretch, offset, source.size) for stretch in split.rejected]
        last = last or any(stretch.length == REST for stretch in split.rejected[-1:])
        between = gaps.follow(split, offset, last=last)
        around = [move_stretch(stretch, offset, source.size) for stretch in split.around]
        if split.used or last:
            yield Piece(offset, split.frames, rejected, between, around)
        # A frame that is longer than a block is tried again with twice as much: so the work stays linear.
        wanted = size if split.used else 2 * wanted
        content = content[split.used :]
        offset = source.size if last else offset + split.used


class Stream:
    """The bytes of a source one after the other: each is read once, as that of a compressed one takes long."""

    def __init__(self, source: Source, offset: int) -> None:
        self.blocks = source.blocks(offset)
        self.left = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return the next n bytes, fewer at the end of the source."""
        parts = []
        while size > 0:
            if not self.left:
                following = next(self.blocks, None)
                if following is None:
                    break
                self.left = memoryview(following[1])
            parts.append(self.left[:size])
            self.left = self.left[len(parts[-1]) :]
            size -= len(parts[-1])
        return b"".join(parts)


def move_stretch(stretch: Stretch, by: int, end: int) -> Stretch:
    """Move a stretch from a block to its source, and cut it where that ends."""
    start = stretch.start + by
    return Stretch(start, min(stretch.length, end - start), stretch.reason)


class Gaps:
    """Bytes between frames, by their places in the source: one stretch each, whatever the blocks are."""

    def __init__(self, offset: int) -> None:
        self.claimed = offset
        """Where the last stretch ends that was rejected: what it claims is not between frames in the next block."""
        self.open: Stretch | None = None

    def follow(self, split: Split, offset: int, *, last: bool) -> list[Stretch]:
        """Return the stretches of the next block, the last one only if it cannot go on in the block that follows."""
        closed: list[Stretch] = []
        for stretch in split.between:
            end = offset + stretch.start + stretch.length
            start = max(offset + stretch.start, self.claimed)
            if start >= end:
                continue
            if self.open and self.open.start + self.open.length == start:
                self.open = Stretch(self.open.start, end - self.open.start)
            else:
                closed += self._close()
                self.open = Stretch(start, end - start)
        self.claimed = max([self.claimed, *(offset + stretch.start + stretch.length for stretch in split.rejected)])
        if self.open and (last or self.open.start + self.open.length < offset + split.used):
            closed += self._close()
        return closed

    def _close(self) -> Sequence[Stretch]:
        closed, self.open = self.open, None
        return [closed] if closed else []
