"""What a frame is made of, and what is left of a block where no frame is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from dayfile.errors import RecordError
from dayfile.framing.checksums import Check
from dayfile.messages import plural
from dayfile.stages.base import Bytes, Columns, Frames, Offsets, Reading, Split, Stretch, StructWriting
from dayfile.stages.sums import Sum

__all__ = [
    "BAD_CHECKSUM",
    "BAD_SIZE",
    "INCOMPLETE",
    "LONGEST_FRAME",
    "Shape",
    "Stretches",
    "account",
    "check_sizes",
    "write_fields",
]

LONGEST_FRAME = 16 * 2**20
"""Bytes of a frame beyond which its size is wrong, if a layout does not say another."""
BAD_CHECKSUM, BAD_SIZE, INCOMPLETE = "wrong checksum", "impossible size", "incomplete"
"""Why frames are not good."""


class Stretches(Sequence[Stretch]):
    """Stretches as arrays: objects are made only of those that are asked for, for there may be millions.

    Parameters
    ----------
    starts, lengths : arrays of int64, shape (n,)
        Where they are.
    reasons : array of int, shape (n,), optional
        Which of the texts is the reason of each; the first one if left out.
    texts : sequence of str
        Reasons.

    Examples
    --------
    >>> Stretches(np.array([0, 7]), np.array([2, 3]), np.array([1, 0]), ("one", "other"))[0]
    Stretch(start=0, length=2, reason='other')
    """

    def __init__(
        self, starts: Offsets, lengths: Offsets, reasons: Offsets | None = None, texts: Sequence[str] = ("",)
    ) -> None:
        self.starts = starts
        self.lengths = lengths
        self.reasons = np.zeros(len(starts), np.int64) if reasons is None else reasons
        self.texts = texts

    @classmethod
    def collect(cls, stretches: Sequence[Stretch]) -> Stretches:
        """Return stretches as arrays."""
        if isinstance(stretches, cls):
            return stretches
        texts = list(dict.fromkeys(each.reason for each in stretches))
        columns = ([each.start for each in stretches], [each.length for each in stretches])
        starts, lengths = (np.array(column, np.int64) for column in columns)
        return cls(starts, lengths, np.array([texts.index(each.reason) for each in stretches], np.int64), texts)

    @property
    def ends(self) -> Offsets:
        """First byte behind each."""
        return self.starts + self.lengths

    def move(self, by: int, end: int) -> Stretches:
        """Return them with all places moved, from a block to its source, and cut where that ends."""
        starts = self.starts + by
        return Stretches(starts, np.minimum(self.lengths, end - starts), self.reasons, self.texts)

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, place: int) -> Stretch: ...
    @overload
    def __getitem__(self, place: slice) -> Stretches: ...
    def __getitem__(self, place: int | slice) -> Stretch | Stretches:
        if isinstance(place, slice):
            return Stretches(self.starts[place], self.lengths[place], self.reasons[place], self.texts)
        return Stretch(int(self.starts[place]), int(self.lengths[place]), self.texts[self.reasons[place]])


def account(frames: Frames, rejected: Stretches, used: int) -> Split:
    """Make a Split of frames and of what was rejected: what neither covers is between."""
    if not len(rejected) and int(frames.lengths.sum()) == used:
        nothing = np.zeros(0, np.int64)
        return Split(frames, rejected, Stretches(nothing, nothing), used)
    starts = np.concatenate([frames.starts, rejected.starts, [used]])
    ends = np.concatenate([frames.starts + frames.lengths, rejected.starts + rejected.lengths, [used]])
    order = np.argsort(starts, kind="stable")
    covered = np.concatenate([[0], np.maximum.accumulate(ends[order])[:-1]])
    gaps = starts[order] - covered
    found = gaps > 0
    return Split(frames, rejected, Stretches(covered[found], gaps[found]), used)


@dataclass(frozen=True)
class Shape:
    """What a frame is made of: sync, fields, body and checksum.

    Parameters
    ----------
    size : Sum
        Bytes of the whole frame, of its fields and of what is known of the file.
    sync : bytes
        What it begins with.
    fields : Reading, optional
        Its fields, directly behind sync.
    check : Check, optional
        Its checksum.
    longest : int
        Bytes beyond which a size is wrong.
    """

    size: Sum
    sync: bytes = b""
    fields: Reading | None = None
    check: Check | None = None
    longest: int = LONGEST_FRAME

    @property
    def lead(self) -> int:
        """Bytes of sync and fields."""
        return len(self.sync) + (self.fields.size if self.fields else 0)

    @property
    def tail(self) -> int:
        """Bytes from the checksum to the end, if it is behind the body."""
        return -self.check.at if self.check and self.check.at < 0 else 0

    @property
    def minimum(self) -> int:
        """Bytes of the shortest frame."""
        return max(1, self.lead + self.tail, self.check.minimum if self.check else 0)

    def read(self, block: Bytes, starts: Offsets, known: Mapping[str, Any]) -> Columns:
        """Read the fields of the frames that begin at these places."""
        return self.fields.read(block, starts + len(self.sync), known) if self.fields else {}

    def measure(self, block: Bytes, starts: Offsets, known: Mapping[str, Any]) -> Offsets:
        """Return how long the frames at these places claim to be; their fields are in the block."""
        columns = self.read(block, starts, known)
        sizes = self.size.evaluate({**known, **columns})
        return np.broadcast_to(sizes, starts.shape)

    def varies(self, block: Bytes, known: Mapping[str, Any]) -> bool:
        """Say whether the size depends on the fields of a frame."""
        return not self.read(block, np.zeros(0, np.int64), known).keys().isdisjoint(self.size.names)

    def verify(self, frames: Frames) -> Any:  # noqa: ANN401 - NumPy's mask
        """Say of which frames the checksum is right: bool, shape (n,)."""
        if self.check is None:
            return np.ones(len(frames), bool)
        return self.check.verify(frames.block, frames.starts, frames.lengths)

    def make(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, int]) -> list[bytes]:
        """Make frames of bodies; the field that the size depends on follows from them if it has no values."""
        sizes = np.array([self.lead + len(body) + self.tail for body in bodies], np.int64)
        columns = dict(columns)
        missing = [name for name in self.size.names if name not in columns and name not in known]
        if len(missing) > 1:
            raise RecordError(f"nothing tells {' and '.join(missing)}, which the sizes of frames are made of")
        if missing:
            columns[missing[0]] = solve(self.size, missing[0], sizes, {**known, **columns})
        check_sizes(np.broadcast_to(self.size.evaluate({**known, **columns}), sizes.shape), sizes)
        headers = write_fields(self.fields, columns, len(bodies))
        frames = []
        for header, body in zip(headers, bodies, strict=True):
            frame = bytearray(self.sync + header + body + bytes(self.tail))
            if self.check:
                self.check.seal(frame)
            frames.append(bytes(frame))
        return frames


def solve(size: Sum, name: str, sizes: Offsets, values: Mapping[str, Any]) -> Offsets:
    """Return which values of a name give these sizes; a sum in which it is multiplied by itself has no answer."""
    without = size.evaluate({**values, name: 0})
    factor = size.evaluate({**values, name: 1}) - without
    return (sizes - without) // np.where(factor == 0, 1, factor)


def check_sizes(said: Offsets, real: Offsets) -> None:
    """Refuse frames whose fields claim another size than they have."""
    wrong = np.flatnonzero(said != real)
    if len(wrong):
        first = int(wrong[0])
        message = f"its frame has {plural(int(real[first]), 'byte')}, but its fields claim {said[first]}"
        raise RecordError(message, where=f"record {first}")


def write_fields(fields: Reading | None, columns: Columns, count: int) -> list[bytes]:
    """Write the fields of frames: the bytes of each."""
    if fields is None:
        return [b""] * count
    if not isinstance(fields, StructWriting):
        raise TypeError(f"{type(fields).__name__} reads fields and does not write them")
    return [row.tobytes() for row in fields.write(columns, count)]
