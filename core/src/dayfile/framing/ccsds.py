"""CCSDS space packets: the primary header, and the way from packet to packet.

Space Packet Protocol, CCSDS 133.0-B-2, section 4.1: six bytes, the most significant bit first: 3 bits version, 1 bit
packet type, 1 bit secondary header, 11 bits APID, 2 bits sequence flags, 14 bits sequence count, 16 bits length of the
rest less one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dayfile.framing.checksums import Check
from dayfile.framing.shapes import BAD_SIZE, LONGEST_FRAME, Shape
from dayfile.framing.sized import Sized, Walk
from dayfile.framing.synced import Synced
from dayfile.stages.base import Bytes, Columns, Offsets
from dayfile.stages.sums import Sum

__all__ = ["PACKET_FIELDS", "PrimaryHeader", "make_packets"]

PACKET_FIELDS = {
    "version": (0, 13, 3),
    "packet_type": (0, 12, 1),
    "secondary_header": (0, 11, 1),
    "apid": (0, 0, 11),
    "sequence_flags": (1, 14, 2),
    "sequence_count": (1, 0, 14),
    "packet_length": (2, 0, 16),
}
"""Fields of the primary header: which word of 16 bits, which bit of it from the least significant, how many bits."""


class PrimaryHeader:
    """Reads and writes primary headers.

    Examples
    --------
    >>> header = np.array([0x08, 0x23, 0xC0, 0x07, 0x00, 0x2C], np.uint8)
    >>> columns = PrimaryHeader().read(header, np.array([0]), {})
    >>> [int(columns[name][0]) for name in ("apid", "sequence_count", "packet_length")]
    [35, 7, 44]
    """

    size = 6

    def read(self, block: Bytes, starts: Offsets, known: Mapping[str, Any]) -> Columns:  # noqa: ARG002 - a Reading's
        """Read the fields of the headers at these places: uint16, shape (n,)."""
        words = [block[starts + at].astype(np.uint16) << 8 | block[starts + at + 1] for at in range(0, self.size, 2)]
        return {
            name: (words[word] >> shift) & np.uint16((1 << bits) - 1)
            for name, (word, shift, bits) in PACKET_FIELDS.items()
        }

    def write(self, columns: Columns, count: int) -> Bytes:
        """Write n headers: uint8, shape (n, 6)."""
        words = np.zeros((count, 3), np.int64)
        for name, (word, shift, bits) in PACKET_FIELDS.items():
            words[:, word] |= (np.asarray(columns.get(name, 0), np.int64) & ((1 << bits) - 1)) << shift
        return words.astype(">u2").view(np.uint8).reshape(count, self.size)


def make_packets(sync: bytes = b"", check: Check | None = None, longest: int = LONGEST_FRAME) -> Sized | Synced:
    """Make a framer for packets, one behind the other or each behind a sync pattern."""
    size = Sum.parse(f"packet_length + {7 + len(sync)}")
    shape = Shape(size, sync, PrimaryHeader(), check, longest)
    return Synced(shape) if sync else Sized(shape, walk_packets)


def walk_packets(shape: Shape, block: Bytes, known: Mapping[str, int]) -> Walk:  # noqa: ARG001 - a Walking's
    """Walk from packet to packet."""
    content = memoryview(block.data)
    end, place, starts = len(block), 0, []
    minimum, longest = shape.minimum, shape.longest
    reason = ""
    while place + 6 <= end:
        size = (content[place + 4] << 8 | content[place + 5]) + 7
        if not minimum <= size <= longest:
            reason = BAD_SIZE
            break
        if place + size > end:
            break
        starts.append(place)
        place += size
    begins = np.array([*starts, place], np.int64)
    return Walk(begins[:-1], np.diff(begins), place, reason)
