"""Frames of 100 bytes found in a stream by sync, length and checksum: beside a loop over the frames in Python.

The loop is what one writes by hand: ``bytes.find``, ``struct.unpack_from``, and the checksum of the frame, byte by byte
with a table of 256, or by the function of Python's library where that has it.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import Round, Row, Side, measured, timed
from dayfile.framing.checksums import FRAME_CHECKSUMS, Check
from dayfile.framing.reader import read_frames
from dayfile.framing.shapes import Shape
from dayfile.framing.synced import Synced
from dayfile.model.batch import Source
from dayfile.stages.base import Bytes, Columns, Offsets
from dayfile.stages.sums import Sum

__all__ = ["find_frames"]

SYNC, BODY, AIM = b"\x55\xaa", 100 - 7, 20
LOOPS: dict[str, tuple[str, Callable[[bytes], int]]] = {
    "fletcher16": ("fletcher16", FRAME_CHECKSUMS["fletcher16"].compute),
    "crc16": ("crc16-modbus", FRAME_CHECKSUMS["crc16-modbus"].compute),
    "crc16-library": ("crc16-xmodem", lambda data: binascii.crc_hqx(data, 0)),
}
"""By the end of a row's name: the checksum, and how the loop computes it."""


class Length:
    """The fields of a frame: a byte and a length of two."""

    size = 3

    def read(self, block: Bytes, starts: Offsets, known: Mapping[str, Any]) -> Columns:  # noqa: ARG002 - a Reading's
        """Read the length."""
        return {"length": block[starts + 1] | block[starts + 2].astype(np.uint16) << 8}

    def write(self, columns: Columns, count: int) -> Bytes:
        """Write the length."""
        fields = np.zeros((count, self.size), np.uint8)
        fields[:, 1], fields[:, 2] = columns["length"] & 0xFF, columns["length"] >> 8
        return fields


def find_frames(asked: Round) -> list[Row]:
    """A row for each checksum."""
    random, count = np.random.default_rng(1), asked.size(100_000, 500)
    rows = []
    for name, (kind, compute) in LOOPS.items():
        framer = Synced(Shape(Sum.parse("length + 7"), SYNC, Length(), Check(kind, 2, -2, -2, "little")))
        content = framer.join([random.bytes(BODY) for _ in range(count)], {}, {})
        source, part = Source(Path("stream"), "stream", content), content[: 10 * count]

        def find(source: Source = source, framer: Synced = framer) -> None:
            if sum(len(block.frames) for block in read_frames(source, framer, {})) != count:
                raise SystemExit("dayfile did not find all frames")

        def loop(part: bytes = part, compute: Callable[[bytes], int] = compute) -> None:
            if loop_over(part, compute) != len(part) // 100:
                raise SystemExit("the loop did not find all frames")

        ours, by_loop = measured(
            asked.runs, Side("dayfile", count, timed(find)), Side("a loop in Python", len(part) // 100, timed(loop))
        )
        rows.append(Row(f"frames-{name}", f"find 100-byte frames with {kind}", "frames/s", ours, by_loop, AIM))
    return rows


def loop_over(content: bytes, compute: Callable[[bytes], int]) -> int:
    """Count the good frames of a stream in a loop."""
    good = place = 0
    while (start := content.find(SYNC, place)) >= 0:
        place = start + len(SYNC)
        if start + 5 <= len(content):
            end = start + struct.unpack_from("<BH", content, place)[1] + 7
            if end <= len(content) and compute(content[place : end - 2]) == int.from_bytes(
                content[end - 2 : end], "little"
            ):
                good, place = good + 1, end
    return good
