"""Frames one behind the other, without a sync pattern: of one size, or each with fields that say its size.

Nothing but the size of a frame says where the next one begins. If a size is impossible, everything from there on is
rejected. A frame whose checksum is wrong is rejected alone: if its size was wrong as well, so are those behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dayfile.framing.shapes import BAD_CHECKSUM, BAD_SIZE, INCOMPLETE, Shape, Stretches, account
from dayfile.stages.base import REST, Bytes, Columns, Frames, Offsets, Reading, Split

__all__ = ["Sized", "Walk", "split_walk"]

LONGEST_RUN = 65536
REACH = 16384
SHORT_FRAME = 512
"""Frames shorter than this are looked for at every byte of a reach, if their sizes differ."""


@dataclass(frozen=True)
class Walk:
    """Frames that follow each other from the begin of a block.

    Parameters
    ----------
    starts, lengths : arrays of int64, shape (n,)
        Those that are whole and have a possible size.
    stop : int
        Where the next one would begin.
    reason : str
        Why that one is not good; empty if it is only cut by the end of the block.
    """

    starts: Offsets
    lengths: Offsets
    stop: int
    reason: str = ""


Walking = Callable[[Shape, Bytes, Mapping[str, int]], Walk]


def walk_sizes(shape: Shape, block: Bytes, known: Mapping[str, int]) -> Walk:
    """Walk from frame to frame by their sizes: in runs of one size, else through all bytes of a short reach.

    To read the fields of many places takes little longer than to read those of one.
    """
    found: list[tuple[Offsets, Offsets]] = []
    place, step, count = 0, 1, 1
    while place + shape.lead <= len(block):
        room = (len(block) - shape.lead - place) // step + 1
        tries = place + step * np.arange(min(count, room))
        sizes = shape.measure(block, tries, known)
        chosen = follow_run(sizes, step) if step > 1 else follow_sizes(sizes)
        starts, lengths = tries[chosen], sizes[chosen]
        impossible = np.flatnonzero((lengths < shape.minimum) | (lengths > shape.longest))[:1]
        cut = np.flatnonzero(starts + lengths > len(block))[:1]
        end = min([*impossible, *cut, len(starts)])
        found.append((starts[:end], lengths[:end]))
        if end < len(starts):
            return collect(found, int(starts[end]), BAD_SIZE if end in impossible else "")
        place = int(starts[-1] + lengths[-1])
        size = int(lengths[-1])
        if size == step > 1:
            count = min(count * 4, LONGEST_RUN)
        elif size > 1 and step == 1 and (lengths == size).all():
            step, count = size, 16
        else:
            step, count = 1, REACH if size < SHORT_FRAME else 1
    return collect(found, place, "")


def follow_run(sizes: Offsets, size: int) -> Offsets:
    """Return which places of a run of frames of one size are frames: up to the first of another size, with it."""
    other = np.flatnonzero(sizes != size)[:1]
    return np.arange(int(other[0]) + 1 if len(other) else len(sizes))


def follow_sizes(sizes: Offsets) -> Offsets:
    """Return which places are frames, if each of them is a byte behind the last, and the first one is a frame."""
    chosen, place, steps = [], 0, sizes.tolist()
    while place < len(steps):
        chosen.append(place)
        if steps[place] < 1:
            break
        place += steps[place]
    return np.array(chosen, np.int64)


def collect(found: list[tuple[Offsets, Offsets]], stop: int, reason: str) -> Walk:
    """Collect what was found into one walk."""
    nothing = np.zeros(0, np.int64)
    starts = np.concatenate([nothing, *(each for each, _ in found)])
    lengths = np.concatenate([nothing, *(each for _, each in found)])
    return Walk(starts, lengths, stop, reason)


@dataclass(frozen=True)
class Sized:
    """Finds frames that follow each other.

    Parameters
    ----------
    shape : Shape
        What a frame is made of; it has no sync.
    walk : callable, optional
        A quicker way from frame to frame for this shape.

    Examples
    --------
    >>> from dayfile.stages.sums import Sum
    >>> split = Sized(Shape(Sum.parse(4))).split(np.zeros(10, np.uint8), {}, last=True)
    >>> split.frames.starts, list(split.rejected)
    (array([0, 4]), [Stretch(start=8, length=2, reason='incomplete')])
    """

    shape: Shape
    walk: Walking = walk_sizes

    @property
    def fields(self) -> Reading | None:
        """What reads the fields of each frame."""
        return self.shape.fields

    @property
    def lead(self) -> int:
        """Bytes in front of the body of each frame."""
        return self.shape.lead

    @property
    def tail(self) -> int:
        """Bytes behind the body of each frame."""
        return self.shape.tail

    def split(self, block: Bytes, known: Mapping[str, int], *, last: bool) -> Split:
        """Split a block into frames."""
        walk = self.walk(self.shape, block, known) if self.shape.varies(block, known) else self._march(block, known)
        return split_walk(self.shape, block, walk, last=last)

    def _march(self, block: Bytes, known: Mapping[str, int]) -> Walk:
        """Walk over frames of one size."""
        size = int(self.shape.size.evaluate(known))
        if not self.shape.minimum <= size <= self.shape.longest:
            return Walk(np.zeros(0, np.int64), np.zeros(0, np.int64), 0, BAD_SIZE)
        count = len(block) // size
        return Walk(size * np.arange(count), np.full(count, size, np.int64), count * size)

    def join(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, int]) -> bytes:
        """Make a stream of frames."""
        return b"".join(self.shape.make(bodies, columns, known))


def split_walk(shape: Shape, block: Bytes, walk: Walk, *, last: bool) -> Split:
    """Split a block by a walk through it: verify checksums, and decide about the rest."""
    frames = Frames(block, walk.starts, walk.lengths)
    good = shape.verify(frames)
    rest = len(block) - walk.stop
    ended = int(rest > 0 and (last or walk.reason != ""))
    starts = np.append(walk.starts[~good], np.full(ended, walk.stop))
    lengths = np.append(walk.lengths[~good], np.full(ended, rest if last else REST))
    reasons = np.append(np.zeros(len(starts) - ended, np.int64), np.ones(ended, np.int64))
    rejected = Stretches(starts, lengths, reasons, (BAD_CHECKSUM, walk.reason or INCOMPLETE))
    return account(
        frames if good.all() else frames.select(good), rejected, len(block) if last or walk.reason else walk.stop
    )
