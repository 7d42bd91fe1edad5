"""Checksums of frames by name, and where a frame carries its own.

Each can be computed of some bytes, in a plain loop, and of many stretches of a block at once: from sums up to each byte
of the block. So the work does not depend on how many stretches there are, how long they are, or whether they overlap.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dayfile.framing.crcs import CRCS
from dayfile.stages.base import Bytes, Offsets, Order

__all__ = ["FIRST_SUM_FIRST", "FRAME_CHECKSUMS", "Check", "Checksum"]


class Checksum(Protocol):
    """A way to compute a checksum."""

    @property
    def size(self) -> int:
        """Bytes of the value."""
        ...

    def compute(self, data: bytes) -> int:
        """Compute the checksum of some bytes."""
        ...

    def compute_all(self, block: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
        """Compute the checksum of each stretch of a block: int64, shape (n,)."""
        ...


@dataclass(frozen=True)
class SumOfBytes:
    """The sum of bytes, cut to some bytes; perhaps its two's complement, so that bytes and checksum give 0.

    Examples
    --------
    >>> FRAME_CHECKSUMS["sum8"].compute(bytes([200, 100])), FRAME_CHECKSUMS["sum8-negative"].compute(bytes([200, 100]))
    (44, 212)
    """

    size: int
    negative: bool = False

    def compute(self, data: bytes) -> int:
        """Compute the checksum of some bytes."""
        return (-sum(data) if self.negative else sum(data)) % (1 << 8 * self.size)

    def compute_all(self, block: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
        """Compute the checksum of each stretch of a block."""
        sums = sum_up(block)
        totals = sums[ends] - sums[starts]
        return (-totals if self.negative else totals) & ((1 << 8 * self.size) - 1)


@dataclass(frozen=True)
class ExclusiveOr:
    """The exclusive or of bytes.

    Examples
    --------
    >>> FRAME_CHECKSUMS["xor"].compute(bytes([0x0F, 0xFF]))
    240
    """

    size: int = 1

    def compute(self, data: bytes) -> int:
        """Compute the checksum of some bytes."""
        value = 0
        for byte in data:
            value ^= byte
        return value

    def compute_all(self, block: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
        """Compute the checksum of each stretch of a block."""
        sums = np.zeros(len(block) + 1, np.uint8)
        np.bitwise_xor.accumulate(block, out=sums[1:])
        return (sums[ends] ^ sums[starts]).astype(np.int64)


@dataclass(frozen=True)
class Fletcher:
    """Two sums: of the bytes, and of the first sum after each byte; the second is the upper half of the value.

    Parameters
    ----------
    modulus : int
        What both are taken modulo.
    start : int
        The first sum before the first byte.
    size : int
        Bytes of the value, half of them for each sum.
    largest : int
        Bytes of a block whose sums of sums fit into 63 bits as they are.

    Examples
    --------
    >>> hex(FRAME_CHECKSUMS["fletcher16"].compute(b"abcde")), hex(FRAME_CHECKSUMS["adler32"].compute(b"Wikipedia"))
    ('0xc8f0', '0x11e60398')
    """

    modulus: int
    start: int = 0
    size: int = 2
    largest: int = 2**27

    def compute(self, data: bytes) -> int:
        """Compute the checksum of some bytes."""
        first, second = self.start, 0
        for byte in data:
            first = (first + byte) % self.modulus
            second = (second + first) % self.modulus
        return second << (4 * self.size) | first

    def compute_all(self, block: Bytes, starts: Offsets, ends: Offsets) -> Offsets:
        """Compute the checksum of each stretch of a block."""
        firsts = sum_up(block)
        if len(block) > self.largest:
            firsts %= self.modulus
        seconds = np.cumsum(firsts)
        lengths = ends - starts
        first = self.start + firsts[ends] - firsts[starts]
        second = seconds[ends] - seconds[starts] - lengths * (firsts[starts] - self.start)
        return (second % self.modulus) << (4 * self.size) | first % self.modulus


def sum_up(block: Bytes) -> Offsets:
    """Sum up the bytes before each place of a block."""
    sums = np.zeros(len(block) + 1, np.int64)
    np.cumsum(block, out=sums[1:])
    return sums


FRAME_CHECKSUMS: dict[str, Checksum] = {
    "xor": ExclusiveOr(),
    "sum8": SumOfBytes(1),
    "sum8-negative": SumOfBytes(1, negative=True),
    "sum16": SumOfBytes(2),
    "sum32": SumOfBytes(4),
    "fletcher8": Fletcher(256),
    "fletcher16": Fletcher(255),
    "adler32": Fletcher(65521, start=1, size=4),
    **CRCS,
}
"""Checksums by name."""
FIRST_SUM_FIRST: dict[str, Order] = {"fletcher8": "little", "fletcher16": "little"}
"""Checksums whose bytes have an order of their own, if a layout does not say another."""


@dataclass(frozen=True)
class Check:
    """The checksum of a frame: what it is computed of, and where it is.

    Parameters
    ----------
    kind : str
        Name of the checksum.
    start, stop : int
        First byte that it covers, and the first that it does not: from the begin of the frame, or from its end if
        negative.
    at : int
        Its first byte, from the begin of the frame; from its end if negative.
    order : {"big", "little"}
        Order of its bytes.

    Examples
    --------
    >>> check = Check("xor", 1, -1, -1, "big")
    >>> frame = bytearray([0xAA, 1, 2, 0])
    >>> check.seal(frame)
    >>> frame[-1], check.minimum
    (3, 2)
    """

    kind: str
    start: int
    stop: int
    at: int
    order: Order

    @property
    def checksum(self) -> Checksum:
        """How it is computed."""
        return FRAME_CHECKSUMS[self.kind]

    @property
    def minimum(self) -> int:
        """Bytes of the shortest frame that has these places in it, in their order."""
        within = self.at + self.checksum.size if self.at >= 0 else -self.at
        reach = [abs(self.start), abs(self.stop), within]
        if self.start >= 0 > self.stop:
            reach.append(self.start - self.stop)
        return max(reach)

    def verify(self, block: Bytes, starts: Offsets, lengths: Offsets) -> npt.NDArray[np.bool_]:
        """Say of which frames the checksum is right; all at least as long as the minimum."""
        if not len(starts):
            return np.zeros(0, bool)
        ends = starts + lengths
        low, high = int(starts.min()), int(ends.max())
        part = block[low:high]
        first, last = (place_in_frames(place, starts, ends) - low for place in (self.start, self.stop))
        computed = self.checksum.compute_all(part, first, np.maximum(first, last))
        return np.asarray(computed == self._read(part, place_in_frames(self.at, starts, ends) - low), bool)

    def seal(self, frame: bytearray) -> None:
        """Put the checksum of a frame into it."""
        first, last, at = (place if place >= 0 else len(frame) + place for place in (self.start, self.stop, self.at))
        size = self.checksum.size
        frame[at : at + size] = self.checksum.compute(bytes(frame[first:last])).to_bytes(size, self.order)

    def _read(self, block: Bytes, places: Offsets) -> Offsets:
        """Read the checksums at these places."""
        size = self.checksum.size
        values = np.zeros(len(places), np.int64)
        for number in range(size):
            shift = 8 * (size - 1 - number if self.order == "big" else number)
            values |= block[places + number].astype(np.int64) << shift
        return values


def place_in_frames(place: int, starts: Offsets, ends: Offsets) -> Offsets:
    """Return where a place of a layout is in each frame: from its begin, or from its end if negative."""
    return starts + place if place >= 0 else ends + place
