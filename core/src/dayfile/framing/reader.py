"""A source as frames: in blocks, with the places of all bytes in the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dayfile.framing.shapes import BAD_SIZE, INCOMPLETE, LONGEST_FRAME, Stretches
from dayfile.model.batch import Source
from dayfile.stages.base import REST, Framer, Frames, Reading, Stretch
from dayfile.stages.sums import Sum

__all__ = ["BLOCK_SIZE", "FramedBlock", "Head", "Stream", "read_frames"]

BLOCK_SIZE = 2**19
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
        if not least <= size <= LONGEST_FRAME:
            return Stretch(0, source.size, BAD_SIZE)
        return Stretch(0, size) if size <= source.size else Stretch(0, source.size, INCOMPLETE)


@dataclass(frozen=True)
class FramedBlock:
    """Frames of a source that were found at once.

    Parameters
    ----------
    offset : int
        Where the block of the frames begins in the source.
    frames : Frames
        The good ones, by their places in the block.
    rejected, between, around : sequence of Stretch
        As in a Split, but by their places in the source.
    """

    offset: int
    frames: Frames
    rejected: Stretches
    between: Sequence[Stretch]
    around: Stretches


def read_frames(
    source: Source, framer: Framer, known: Mapping[str, int], *, offset: int = 0, size: int = BLOCK_SIZE
) -> Iterator[FramedBlock]:
    """Read the frames of a source from an offset to its end; the size of blocks changes nothing of what is found.

    Each byte is in a good frame, in a rejected stretch, around frames or between them. A rejected stretch has the
    length that it claims, so there may be good frames in it. If nothing can be found behind it, it is the rest of the
    source; of a rest of more than 16 MiB, each 16 MiB are rejected for themselves.
    """
    joined, stream = Gaps(offset), Stream(source, offset)
    wanted = size
    while offset < source.size:
        content = stream.peek(wanted)
        last = offset + len(content) >= source.size
        split = framer.split(np.frombuffer(content, np.uint8), known, last=last)
        if lost := any(stretch.length == REST for stretch in split.rejected[-1:]):
            content = stream.peek(len(content) + LONGEST_FRAME)
        last = last or lost
        block = np.frombuffer(content, np.uint8)
        rejected, gaps, around = (
            Stretches.collect(stretches).move(offset, min(source.size, offset + len(content)))
            for stretches in (split.rejected, split.between, split.around)
        )
        between = joined.follow(gaps, rejected, offset + split.used, last=last)
        if split.used or last:
            yield FramedBlock(offset, replace(split.frames, block=block), rejected, between, around)
        stream.skip(len(content) if lost else split.used)
        if lost:
            yield from reject_rest(stream, offset + len(content), rejected[-1].reason)
            return
        # A frame that is longer than a block is tried again with twice as much: so the work stays linear.
        wanted = size if split.used else 2 * wanted
        offset = source.size if last else offset + split.used


def reject_rest(stream: Stream, offset: int, reason: str) -> Iterator[FramedBlock]:
    """Reject all that a source still has: in pieces, for it may be large."""
    nothing = np.zeros(0, np.int64)
    while content := stream.peek(LONGEST_FRAME):
        frames = Frames(np.frombuffer(content, np.uint8), nothing, nothing)
        rejected = Stretches.collect([Stretch(offset, len(content), reason)])
        yield FramedBlock(offset, frames, rejected, (), Stretches.collect(()))
        stream.skip(len(content))
        offset += len(content)


class Stream:
    """The bytes of a source one after the other: each is read once, as that of a compressed one takes long."""

    def __init__(self, source: Source, offset: int) -> None:
        self.blocks = source.blocks(offset)
        self.held = memoryview(b"")

    def peek(self, size: int) -> memoryview:
        """Return the next n bytes without going on, fewer at the end of the source."""
        parts = [self.held]
        while sum(map(len, parts)) < size and (following := next(self.blocks, None)):
            parts.append(memoryview(following[1]))
        held = [part for part in parts if part]
        self.held = held[0] if len(held) == 1 else memoryview(b"".join(held))  # what is whole is not copied
        return self.held[:size]

    def skip(self, size: int) -> None:
        """Go on by n bytes of those that were seen."""
        self.held = self.held[size:]


class Gaps:
    """Bytes between frames, by their places in the source: one stretch each, whatever the blocks are."""

    def __init__(self, offset: int) -> None:
        self.claimed = offset
        """Where the last stretch ends that was rejected: what it claims is not between frames in the next block."""
        self.open: Stretch | None = None

    def follow(self, between: Stretches, rejected: Stretches, end: int, *, last: bool) -> list[Stretch]:
        """Return the stretches of the next block, the last one only if it cannot go on in the block that follows."""
        closed: list[Stretch] = []
        for start, stop in zip(np.maximum(between.starts, self.claimed).tolist(), between.ends.tolist(), strict=True):
            if start >= stop:
                continue
            if self.open and self.open.start + self.open.length == start:
                self.open = Stretch(self.open.start, stop - self.open.start)
            else:
                closed += self._close()
                self.open = Stretch(start, stop - start)
        self.claimed = int(rejected.ends.max(initial=self.claimed))
        if self.open and (last or self.open.start + self.open.length < end):
            closed += self._close()
        return closed

    def _close(self) -> Sequence[Stretch]:
        closed, self.open = self.open, None
        return [closed] if closed else []
