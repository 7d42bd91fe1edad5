"""Records of Fortran's sequential unformatted files: a marker with the size of the body in front of it and behind.

Markers have four bytes with most compilers, eight with some. A record of 2 GiB or more is written in pieces whose
markers are negative (GCC manual, "File format of unformatted sequential files"); such sizes are impossible here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dayfile.framing.shapes import BAD_SIZE, LONGEST_FRAME, Shape, write_fields
from dayfile.framing.sized import Walk, split_walk
from dayfile.stages.base import Bytes, Columns, Order, Reading, Split
from dayfile.stages.sums import Sum

__all__ = ["Fortran"]

UNLIKE = "markers differ"


@dataclass(frozen=True)
class Fortran:
    r"""Finds records between markers; a frame has its markers in it, and its body has not.

    Parameters
    ----------
    marker : int
        Bytes of a marker, 4 or 8.
    order : {"big", "little"}
        Order of its bytes.
    fields : Reading, optional
        What each body begins with.
    longest : int
        Bytes of a frame beyond which a size is wrong.

    Examples
    --------
    >>> framer = Fortran(4, "little")
    >>> stream = framer.join([b"abc", b""], {}, {})
    >>> stream
    b'\x03\x00\x00\x00abc\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'
    >>> framer.split(np.frombuffer(stream, np.uint8), {}, last=True).frames.lengths
    array([11,  8])
    """

    marker: int
    order: Order
    fields: Reading | None = None
    longest: int = LONGEST_FRAME

    @property
    def lead(self) -> int:
        """Bytes in front of the body of each frame."""
        return self.marker + (self.fields.size if self.fields else 0)

    @property
    def tail(self) -> int:
        """Bytes behind the body of each frame."""
        return self.marker

    def split(self, block: Bytes, known: Mapping[str, int], *, last: bool) -> Split:  # noqa: ARG002 - a Framer's
        """Split a block into frames."""
        return split_walk(Shape(Sum.parse(0)), block, self._walk(block), last=last)

    def _walk(self, block: Bytes) -> Walk:
        """Walk from record to record."""
        content = block.tobytes()
        marker, end, place, starts, reason = self.marker, len(content), 0, [], ""
        while place + marker <= end:
            front = content[place : place + marker]
            size = int.from_bytes(front, self.order) + 2 * marker
            if not self.lead + self.tail <= size <= self.longest:
                reason = BAD_SIZE
                break
            if place + size > end:
                break
            if content[place + size - marker : place + size] != front:
                reason = UNLIKE
                break
            starts.append(place)
            place += size
        begins = np.array([*starts, place], np.int64)
        return Walk(begins[:-1], np.diff(begins), place, reason)

    def join(self, bodies: Sequence[bytes], columns: Columns, known: Mapping[str, int]) -> bytes:  # noqa: ARG002
        """Make a stream of records."""
        headers = write_fields(self.fields, columns, len(bodies))
        frames = []
        for header, body in zip(headers, bodies, strict=True):
            marker = (len(header) + len(body)).to_bytes(self.marker, self.order)
            frames.append(marker + header + body + marker)
        return b"".join(frames)
