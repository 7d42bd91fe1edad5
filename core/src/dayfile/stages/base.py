"""What flows between the stages: frames of a block of bytes, and columns of the records in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

__all__ = [
    "REST",
    "Bytes",
    "Columns",
    "Framer",
    "Frames",
    "Offsets",
    "Order",
    "Reading",
    "Split",
    "Stretch",
    "StructWriting",
    "Wrong",
]

Bytes = npt.NDArray[np.uint8]
"""Bytes of a block of a source, shape (n,)."""
Offsets = npt.NDArray[np.int64]
"""Places or lengths in a block, shape (n,)."""
Order = Literal["big", "little"]
"""Order of the bytes of a number."""
REST = 2**62
"""Length of a stretch that goes on to the end of the source, wherever that is."""
Columns = dict[str, npt.NDArray[Any]]
"""Values by name: arrays of shape (n,) or (n, …), a row a record."""


@dataclass(frozen=True)
class Stretch:
    """Some bytes of a block that are no good frame.

    Parameters
    ----------
    start, length : int
        Where they are in the block.
    reason : str
        What is wrong; empty for bytes between frames.
    """

    start: int
    length: int
    reason: str = ""


@dataclass(frozen=True)
class Frames:
    """Frames in a block of bytes: where each begins, and how long it is.

    Parameters
    ----------
    block : array of uint8, shape (n,)
        The bytes.
    starts, lengths : arrays of int64, shape (m,)
        Offset in the block of each frame's first byte, and the bytes of each frame; ascending.
    outer : dict of str to array, shape (m, …)
        For frames in frames, the fields of those that they are in, by name.
    """

    block: Bytes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    outer: Columns = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.starts)

    def select(self, chosen: npt.NDArray[Any]) -> Frames:
        """Return the frames of a mask or of indexes."""
        outer = {name: column[chosen] for name, column in self.outer.items()}
        return Frames(self.block, self.starts[chosen], self.lengths[chosen], outer)


@dataclass(frozen=True)
class Split:
    """What a framer finds in a block of bytes.

    Parameters
    ----------
    frames : Frames
        The good ones.
    rejected : sequence of Stretch
        What looks like a frame but is not a good one, with the length that it claims.
    between : sequence of Stretch
        Bytes that belong to no good frame and look like none.
    used : int
        How many bytes of the block are done with; the rest is given again, with what follows in the source.
    around : sequence of Stretch
        Bytes of good frames that hold frames: their beginnings and ends, which belong to no frame in them.
    """

    frames: Frames
    rejected: Sequence[Stretch]
    between: Sequence[Stretch]
    used: int
    around: Sequence[Stretch] = ()


class Framer(Protocol):
    """Finds the frames in the bytes of a source, block by block."""

    @property
    def fields(self) -> Reading | None:
        """What reads the fields of each frame, directly in front of its body; None if it has none."""
        ...

    @property
    def lead(self) -> int:
        """Bytes in front of the body of each frame: sync and fields."""
        ...

    @property
    def tail(self) -> int:
        """Bytes behind the body of each frame: a checksum."""
        ...

    def split(self, block: Bytes, known: Mapping[str, int], *, last: bool) -> Split:
        """Split a block into frames.

        Parameters
        ----------
        block : array of uint8, shape (n,)
            Bytes of the source, from the end of what was used before.
        known : mapping of str to int
            Values of the whole file by name: of its head, and of its name.
        last : bool
            Whether the source ends with this block. If not, a frame that is cut by its end is not rejected but left.
        """
        ...

    def join(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, int]) -> bytes:
        """Make a stream of frames of these bodies, whose fields (``frames.fields``) have these values."""
        ...


class Reading(Protocol):
    """Reads the fields of structs in a block of bytes."""

    @property
    def size(self) -> int:
        """Bytes of a struct, where all have the same size."""
        ...

    def read(self, block: Bytes, starts: npt.NDArray[np.int64], known: Mapping[str, Any]) -> Columns:
        """Read the fields of the structs that begin at these offsets, all whole within the block."""
        ...


@runtime_checkable
class StructWriting(Protocol):
    """Writes the fields of structs: a reading turned round."""

    def write(self, columns: Columns, count: int) -> Bytes:
        """Write n structs: their bytes, shape (n, size). A field without values is zero."""
        ...


@dataclass
class Wrong:
    """Which rows are no records, and why: the first reason counts.

    Parameters
    ----------
    rows : array of bool, shape (n,)
        The rows that are wrong.
    reasons : dict of int to str
        Why, by row.

    Examples
    --------
    >>> wrong = Wrong.none(3)
    >>> wrong.add(np.array([False, True, True]), "too long")
    >>> wrong.add(np.array([True, True, False]), lambda row: f"row {row} is odd")
    >>> wrong.reasons
    {1: 'too long', 2: 'too long', 0: 'row 0 is odd'}
    """

    rows: npt.NDArray[np.bool_]
    reasons: dict[int, str] = field(default_factory=dict)

    @classmethod
    def none(cls, count: int) -> Wrong:
        """Return a new one of n rows that are all right."""
        return cls(np.zeros(count, bool))

    def add(self, rows: npt.NDArray[np.bool_], reason: Any) -> None:  # noqa: ANN401 - str, or a function from row to str
        """Note that rows are wrong: with one reason, or a function that says it of a row."""
        for row in np.flatnonzero(rows & ~self.rows).tolist():
            self.reasons[row] = reason(row) if callable(reason) else reason
        self.rows |= rows
