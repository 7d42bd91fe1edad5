"""Frames in frames: the body of each frame is again a stream of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dayfile.stages.base import Bytes, Columns, Framer, Frames, Reading, Split, Stretch

__all__ = ["NestedFrames"]


@dataclass(frozen=True)
class NestedFrames:
    """Finds the frames in the bodies of frames; none of them goes on in the next body.

    The fields of an outer frame are known in those that it holds.

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
        rejected, between, around = list(split.rejected), list(split.between), list(split.around)
        fields = self._read_fields(split.frames, known)
        inner: list[Frames] = []
        for row, start in enumerate(split.frames.starts.tolist()):
            end = start + int(split.frames.lengths[row])
            first, last_one = start + self.outer.lead, end - self.outer.tail
            values = {name: column[row] for name, column in fields.items()}
            inside = self.inner.split(block[first:last_one], {**known, **values}, last=True)
            given = {name: np.repeat(column[row : row + 1], len(inside.frames), 0) for name, column in fields.items()}
            frames = inside.frames
            inner.append(Frames(block, frames.starts + first, frames.lengths, {**given, **frames.outer}))
            rejected += move_stretches(inside.rejected, first)
            between += move_stretches(inside.between, first)
            around += [
                Stretch(start, first - start),
                *move_stretches(inside.around, first),
                Stretch(last_one, end - last_one),
            ]
        around = [stretch for stretch in around if stretch.length]
        return Split(join_frames(block, inner), sort(rejected), sort(between), split.used, around)

    def _read_fields(self, frames: Frames, known: Mapping[str, int]) -> Columns:
        """Read the fields of outer frames."""
        fields = self.outer.fields
        if fields is None:
            return {}
        return fields.read(frames.block, frames.starts + self.outer.lead - fields.size, known)

    def join(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, int]) -> bytes:
        """Make a stream in which each inner frame is alone in its outer one."""
        streams = [
            self.inner.join([body], {name: values[number : number + 1] for name, values in columns.items()}, known)
            for number, body in enumerate(bodies)
        ]
        return self.outer.join(streams, columns, known)


def join_frames(block: Bytes, parts: Sequence[Frames]) -> Frames:
    """Join the frames that were found in outer ones."""
    nothing = np.zeros(0, np.int64)
    filled = [frames for frames in parts if len(frames)]
    names = filled[0].outer if filled else ()
    return Frames(
        block,
        np.concatenate([nothing, *(frames.starts for frames in filled)]),
        np.concatenate([nothing, *(frames.lengths for frames in filled)]),
        {name: np.concatenate([frames.outer[name] for frames in filled]) for name in names},
    )


def move_stretches(stretches: Sequence[Stretch], by: int) -> list[Stretch]:
    """Move stretches from a part of a block to the block."""
    return [Stretch(stretch.start + by, stretch.length, stretch.reason) for stretch in stretches]


def sort(stretches: list[Stretch]) -> list[Stretch]:
    """Sort stretches by where they begin."""
    return sorted(stretches, key=lambda stretch: stretch.start)
