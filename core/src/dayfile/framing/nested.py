"""Frames in frames: the body of each frame is again a stream of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dayfile.stages.base import Bytes, Columns, Framer, Frames, Offsets, Reading, Split, Stretch

__all__ = ["NestedFrames"]


@dataclass(frozen=True)
class NestedFrames:
    """Finds the frames in the bodies of frames; none of them goes on in the next body.

    Parameters
    ----------
    outer, inner : Framer
        What finds the frames that hold others, and those in their bodies.

    Examples
    --------
    >>> from dayfile.framing.fortran import Fortran
    >>> from dayfile.framing.shapes import Shape
    >>> from dayfile.framing.sized import Sized
    >>> from dayfile.stages.sums import Sum
    >>> framer = NestedFrames(Fortran(4, "big"), Sized(Shape(Sum.parse(2))))
    >>> stream = framer.outer.join([b"abcd", b"ef"], {}, {})
    >>> framer.split(np.frombuffer(stream, np.uint8), {}, last=True).frames.starts
    array([ 4,  6, 16])
    """

    outer: Framer
    inner: Framer

    @property
    def fields(self) -> Reading | None:
        """What reads the fields of each inner frame."""
        return self.inner.fields

    @property
    def lead(self) -> int:
        """Bytes in front of the body of each inner frame."""
        return self.inner.lead

    @property
    def tail(self) -> int:
        """Bytes behind the body of each inner frame."""
        return self.inner.tail

    def split(self, block: Bytes, known: Mapping[str, int], *, last: bool) -> Split:
        """Split a block into inner frames."""
        split = self.outer.split(block, known, last=last)
        starts = [np.zeros(0, np.int64)]
        lengths = [np.zeros(0, np.int64)]
        rejected, between, around = list(split.rejected), list(split.between), list(split.around)
        for start, length in zip(split.frames.starts.tolist(), split.frames.lengths.tolist(), strict=True):
            first, end = start + self.outer.lead, start + length - self.outer.tail
            inside = self.inner.split(block[first:end], known, last=True)
            starts.append(inside.frames.starts + first)
            lengths.append(inside.frames.lengths)
            rejected += move_stretches(inside.rejected, first)
            between += move_stretches(inside.between, first)
            around += [
                Stretch(start, first - start),
                *move_stretches(inside.around, first),
                Stretch(end, start + length - end),
            ]
        frames = Frames(block, np.concatenate(starts), np.concatenate(lengths))
        around = [stretch for stretch in around if stretch.length]
        return Split(frames, sort(rejected), sort(between), split.used, around)

    def join(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, int]) -> bytes:
        """Make a stream in which each inner frame is alone in its outer one."""
        streams = [
            self.inner.join([body], {name: values[number : number + 1] for name, values in columns.items()}, known)
            for number, body in enumerate(bodies)
        ]
        return self.outer.join(streams, columns, known)


def move_stretches(stretches: Sequence[Stretch], by: int) -> list[Stretch]:
    """Move stretches from a part of a block to the block."""
    return [Stretch(stretch.start + by, stretch.length, stretch.reason) for stretch in stretches]


def sort(stretches: list[Stretch]) -> list[Stretch]:
    """Sort stretches by where they begin."""
    return sorted(stretches, key=lambda stretch: stretch.start)


def place_bodies(frames: Frames, framer: Framer) -> tuple[Offsets, Offsets]:
    """Return where the bodies of frames begin, and how long they are: what is between lead and tail."""
    return frames.starts + framer.lead, frames.lengths - framer.lead - framer.tail
