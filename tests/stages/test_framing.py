"""Framing: what is found is what a search byte by byte finds, in blocks of any size, in streams of any kind."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.errors import RecordError
from dayfile.framing.checksums import Check
from dayfile.framing.shapes import Shape
from dayfile.framing.sized import Sized
from dayfile.framing.synced import Synced
from dayfile.stages.sums import Sum
from plain_frames import Words, find, find_sized, find_synced

HEADER = Words(np.dtype([("kind", "u1"), ("length", "<u2")]))
SHAPES = {
    "sync of a byte": Shape(Sum.parse("length + 6"), b"\xaa", HEADER, Check("fletcher16", 1, -2, -2, "little")),
    "sync like itself": Shape(Sum.parse("length + 7"), b"\xaa\xaa", HEADER, Check("crc16-arc", 2, -2, -2, "big")),
    "sync of four": Shape(Sum.parse("length"), b"ABAC", HEADER, Check("crc32", 0, -4, -4, "little"), longest=300),
    "one size": Shape(Sum.parse("12"), b"\x55\xaa", None, Check("xor", 0, -1, -1, "big")),
    "no checksum": Shape(Sum.parse("kind * 2 + 5"), b"\x55\xaa", HEADER),
    "checksum in front": Shape(Sum.parse("length + 5"), b"\x55\xaa", HEADER, Check("sum8", 6, -1, 5, "big")),
}
TINY = st.sampled_from([b"\xaa", b"\xaa\xaa", b"\x55\xaa", b"ABAC", b"AB", b"\x00", b"\x01\x00", b"\x03", b"\xff\xff"])


def make_streams(shape):
    """Streams of a shape: good frames, damaged ones, cut ones, noise, and hostile syncs, in any order."""
    bodies = st.binary(max_size=40) if "length" in shape.size.names else st.binary(min_size=9, max_size=9)

    def build(drawn):
        kind, body, damage = drawn
        try:
            if shape.size.constant is not None:
                body = body[: shape.size.constant - shape.lead - shape.tail].ljust(
                    shape.size.constant - shape.lead - shape.tail, b"."
                )
            if "kind" in shape.size.names:
                body = body[: len(body) // 2 * 2]
            frame = Sized(shape).join([body], {}, {})
        except (RecordError, IndexError, ValueError):
            frame = body
        if kind == "damaged" and frame:
            at = damage % len(frame)
            return frame[:at] + bytes([frame[at] ^ (1 << damage % 8)]) + frame[at + 1 :]
        return {"good": frame, "damaged": frame, "cut": frame[: damage % 20], "noise": body}[kind]

    kinds = st.sampled_from(["good", "good", "damaged", "cut", "noise"])
    part = st.tuples(kinds, bodies, st.integers(0, 1000)).map(build)
    return st.lists(part | TINY, max_size=25).map(b"".join)


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=60)
@given(data=st.data())
def test_frames_with_sync_are_those_of_a_search_byte_by_byte_whatever_the_blocks(name, data):
    shape = SHAPES[name]
    content = data.draw(make_streams(shape))
    expected = find_synced(shape, content)
    for size in (2**20, data.draw(st.integers(1, 60))):
        assert find(Synced(shape), content, size) == expected


@pytest.mark.parametrize("name", SHAPES)
@settings(max_examples=60)
@given(data=st.data())
def test_frames_without_sync_are_those_of_a_walk_from_one_to_the_next_whatever_the_blocks(name, data):
    shape = SHAPES[name]
    content = data.draw(make_streams(shape))
    expected = find_sized(shape, content)
    for size in (2**20, data.draw(st.integers(1, 60))):
        assert find(Sized(shape), content, size) == expected
