"""Frames that begin with a sync pattern: by pattern, size and checksum.

The search is that of a reader byte by byte: the next sync; behind the frame if it is good, directly behind the sync if
it is not. Here all that looks like a frame is found at once, and it follows which of them the search visits if all are
good; these are judged at once. If one is not good, all others are judged at once too, and then it is known which the
search visits: so a block takes about as long whatever is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.framing.shapes import BAD_CHECKSUM, BAD_SIZE, INCOMPLETE, Shape, Stretches, account
from dayfile.stages.base import Bytes, Columns, Frames, Offsets, Order, Reading, Split

__all__ = ["Synced", "find_pattern", "find_sync_order", "visit"]

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Synced:
    r"""Finds frames that begin with a sync pattern.

    Parameters
    ----------
    shape : Shape
        What a frame is made of; it has a sync.

    Examples
    --------
    >>> from dayfile.stages.sums import Sum
    >>> framer = Synced(Shape(Sum.parse(4), sync=b"\xaa\x55"))
    >>> split = framer.split(np.frombuffer(b"..\xaaU12\xaaU3", np.uint8), {}, last=True)
    >>> split.frames.starts, list(split.rejected), list(split.between)
    (array([2]), [Stretch(start=6, length=3, reason='incomplete')], [Stretch(start=0, length=2, reason='')])
    """

    shape: Shape

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
        shape = self.shape
        starts = find_pattern(block, shape.sync)
        headed = int(np.searchsorted(starts, len(block) - shape.lead, side="right"))
        lengths = np.full(len(starts), shape.lead, np.int64)
        lengths[:headed] = shape.measure(block, starts[:headed], known)
        possible = (lengths >= shape.minimum) & (lengths <= shape.longest)
        possible[headed:] = True
        lengths[~possible] = shape.lead  # what it claims means nothing
        whole = possible & (starts + lengths <= len(block))
        whole[headed:] = False
        good, visited = self._search(Frames(block, starts, lengths), whole)
        cut = possible & ~whole
        pending = np.flatnonzero(visited & cut)[: 0 if last else 1]
        for place in pending:
            visited[place:] = False
        frames = Frames(block, starts[visited & good], lengths[visited & good])
        bad = visited & ~good
        reasons = np.where(cut, 2, np.where(possible, 0, 1))[bad]
        rests = np.minimum(lengths[bad], len(block) - starts[bad])
        rejected = Stretches(starts[bad], rests, reasons, (BAD_CHECKSUM, BAD_SIZE, INCOMPLETE))
        if last:
            return account(frames, rejected, len(block))
        if len(pending):
            return account(frames, rejected, int(starts[pending[0]]))
        done = max([0, *(frames.starts + frames.lengths)[-1:], *(rejected.starts + len(shape.sync))[-1:]])
        return account(frames, rejected, max(int(done), len(block) - len(shape.sync) + 1))

    def _search(self, frames: Frames, whole: Flags) -> tuple[Flags, Flags]:
        """Say which frames are good, and which of all the search visits; what it does not visit may not be judged."""
        good = whole.copy()
        visited = self._visit(frames, good)
        first = visited & whole
        good[first] = self.shape.verify(frames.select(first))
        if good[first].all():
            return good, visited
        others = whole & ~first
        good[others] = self.shape.verify(frames.select(others))
        return good, self._visit(frames, good)

    def _visit(self, frames: Frames, good: Flags) -> Flags:
        """Say which frames the search visits if these are good."""
        ends = np.where(good, frames.starts + frames.lengths, frames.starts + len(self.shape.sync))
        return visit(np.searchsorted(frames.starts, ends))

    def join(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, int]) -> bytes:
        """Make a stream of frames."""
        return b"".join(self.shape.make(bodies, columns, known))


def find_pattern(block: Bytes, pattern: bytes) -> Offsets:
    """Find where a pattern begins in a block; also where one overlaps another."""
    room = len(block) - len(pattern) + 1
    if room <= 0:
        return np.zeros(0, np.int64)
    places = np.flatnonzero(block[:room] == pattern[0])
    for number, byte in enumerate(pattern[1:], 1):
        places = places[block[places + number] == byte]
    return places


def visit(nexts: npt.NDArray[Any]) -> Flags:
    """Say which places a search visits that begins at the first and goes from each to its next: bool, shape (n,).

    Examples
    --------
    >>> visit(np.array([1, 4, 3, 4, 5]))
    array([ True,  True, False, False,  True])
    """
    visited = np.ones(len(nexts), bool)
    jumps = np.flatnonzero(nexts != np.arange(1, len(nexts) + 1))
    here = 0
    for jump, to in zip(jumps.tolist(), nexts[jumps].tolist(), strict=True):
        if jump >= here:  # and nothing between the two jumps
            visited[jump + 1 : to] = False
            here = to
    return visited


def find_sync_order(block: Bytes, syncs: Mapping[Order, bytes]) -> Order | None:
    """Say which byte order a source has: that of the sync pattern that comes first; None if none of them comes.

    Examples
    --------
    >>> find_sync_order(np.frombuffer(b"...LTUM", np.uint8), {"big": b"MUTL", "little": b"LTUM"})
    'little'
    """
    content = block.tobytes()
    places = [(content.find(sync), order) for order, sync in syncs.items() if sync in content]
    return min(places)[1] if places else None
