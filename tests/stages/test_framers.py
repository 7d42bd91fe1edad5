"""Framers of each kind: packets, records of Fortran, frames in frames; what they find adds up, and they turn round."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.errors import RecordError
from dayfile.framing.ccsds import PACKET_FIELDS, PrimaryHeader, make_packets
from dayfile.framing.checksums import Check
from dayfile.framing.fortran import Fortran
from dayfile.framing.nested import NestedFrames
from dayfile.framing.reader import read_frames
from dayfile.framing.shapes import Shape
from dayfile.framing.sized import Sized
from dayfile.framing.synced import Synced
from dayfile.model.batch import Source
from dayfile.stages.sums import Sum
from plain_frames import Words, find

HEADER = Words(np.dtype([("kind", "u1"), ("length", "<u2")]))
SYNCED = Synced(Shape(Sum.parse("length + 6"), b"\xaa", HEADER, Check("fletcher16", 1, -2, -2, "little")))
FRAMERS = {
    "synced": SYNCED,
    "sized": Sized(Shape(Sum.parse("2 * length + kind"), b"", HEADER)),
    "one size": Sized(Shape(Sum.parse("width * 2 + 1"), check=Check("xor", 0, -1, -1, "big"))),
    "packets": make_packets(),
    "packets behind a sync": make_packets(b"\x1a\xcf", Check("crc16-ccitt-false", 2, -2, -2, "big")),
    "fortran": Fortran(4, "little"),
    "fortran of 8": Fortran(8, "big", HEADER),
    "packets of frames": NestedFrames(make_packets(), SYNCED),
    "records of packets of frames": NestedFrames(Fortran(4, "big"), NestedFrames(make_packets(), SYNCED)),
    "frames of records": NestedFrames(SYNCED, Fortran(4, "little")),
}
KNOWN = {"width": 4}


def add_up(framer, content, size):
    """Check that each byte of a source belongs to something, and no good frame to another."""
    covered = np.zeros(len(content), np.int64)
    framed = np.zeros(len(content), np.int64)
    for block in read_frames(Source(Path("source"), "source", content), framer, KNOWN, size=size):
        for start, length in zip((block.frames.starts + block.offset).tolist(), block.frames.lengths.tolist()):
            framed[start : start + length] += 1
            assert start + length <= len(content)
        for each in [*block.rejected, *block.between, *block.around]:
            assert each.length > 0
            assert 0 <= each.start <= each.start + each.length <= len(content)
            covered[each.start : each.start + each.length] += 1
    assert framed.max(initial=0) <= 1
    assert (covered + framed).min(initial=1) >= 1


@pytest.mark.parametrize("name", FRAMERS)
@settings(max_examples=25)
@given(content=st.binary(max_size=300), size=st.integers(1, 100))
def test_bytes_of_random_sources_add_up(name, content, size):
    add_up(FRAMERS[name], content, size)


@pytest.mark.parametrize("name", FRAMERS)
@settings(max_examples=25)
@given(data=st.data())
def test_bytes_of_damaged_streams_add_up_whatever_the_blocks(name, data):
    bodies = data.draw(st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=12))
    columns = {"length": np.full(len(bodies), 2), "kind": np.full(len(bodies), 7)} if name == "sized" else {}
    stream = bytearray(FRAMERS[name].join(bodies, columns, KNOWN))
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(stream) - 1), st.integers(0, 255)), max_size=4)
    ):
        stream[place] = value
    content = bytes(stream[data.draw(st.integers(0, 3)) : len(stream) - data.draw(st.integers(0, 3))])
    size = data.draw(st.integers(1, 100))
    add_up(FRAMERS[name], content, size)
    assert find(FRAMERS[name], content, size, KNOWN) == find(FRAMERS[name], content, known=KNOWN)


@pytest.mark.parametrize("name", FRAMERS)
@settings(max_examples=15)
@given(bodies=st.lists(st.binary(min_size=8, max_size=8), max_size=20))
def test_bodies_come_back_from_the_stream_that_is_made_of_them(name, bodies):
    framer = FRAMERS[name]
    columns = {"length": np.full(len(bodies), 2), "kind": np.full(len(bodies), 7)} if name == "sized" else {}
    if name == "sized":
        columns["kind"] = columns["kind"] + 0
    stream = framer.join(bodies, columns, KNOWN)
    found = find(framer, stream, 64, KNOWN)
    assert (found.rejected, found.between) == ([], [])
    assert [stream[at + framer.lead : at + size - framer.tail] for at, size in found.frames] == bodies


def test_a_record_that_does_not_fit_its_frame_is_refused():
    with pytest.raises(RecordError, match="record 1: its frame has 10 bytes, but its fields claim 9"):
        FRAMERS["one size"].join([bytes(8), bytes(9)], {}, KNOWN)


def test_markers_that_differ_end_the_records():
    stream = Fortran(4, "little").join([b"ab", b"cd", b"ef"], {}, {})
    found = find(Fortran(4, "little"), stream[:16] + b"\1" + stream[17:], 8)
    assert found.frames == [(0, 10)]
    assert found.rejected == [(10, 20, "markers differ")]


def test_an_impossible_size_ends_frames_without_sync():
    found = find(Sized(Shape(Sum.parse("length"), b"", HEADER)), b"\0\4\0." + b"\0\2\0" + bytes(50), 10)
    assert found.frames == [(0, 4)]
    assert found.rejected == [(4, 53, "impossible size")]


def test_a_frame_much_longer_than_a_block_is_found():
    stream = SYNCED.join([b"\xaa" * 60_000, b"x"], {}, {})
    assert [size for _, size in find(SYNCED, stream, 100).frames] == [60_006, 7]


@pytest.mark.parametrize(
    "content", [b"\xaa" * 2**20, b"\xaa\x00\xff\x3f" * 2**18, b"\xaa\x00\x01\x00" * 2**18, bytes(2**20)]
)
@pytest.mark.timeout(60)
def test_hostile_sources_take_no_longer_than_their_bytes(content):
    for name in ("synced", "packets", "fortran", "packets behind a sync"):
        sum_of_bytes = sum(length for _, length in find(FRAMERS[name], content, 2**16).frames)
        assert sum_of_bytes <= len(content)


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 2**14 - 1), st.binary(min_size=1, max_size=60)), min_size=1)
)
def test_packets_are_those_of_ccsdspy(packets):
    ccsdspy = pytest.importorskip("ccsdspy", reason="ccsdspy is not installed")
    apids, counts, bodies = zip(*packets)
    columns = {"apid": np.array(apids), "sequence_count": np.array(counts)}
    stream = make_packets().join(bodies, columns, {})
    headers = ccsdspy.utils.read_primary_headers(io.BytesIO(stream))
    starts = np.array([start for start, _ in find(make_packets(), stream, 100).frames])
    ours = PrimaryHeader().read(np.frombuffer(stream, np.uint8), starts, {})
    theirs = {
        "version": "CCSDS_VERSION_NUMBER",
        "packet_type": "CCSDS_PACKET_TYPE",
        "secondary_header": "CCSDS_SECONDARY_FLAG",
        "apid": "CCSDS_APID",
        "sequence_flags": "CCSDS_SEQUENCE_FLAG",
        "sequence_count": "CCSDS_SEQUENCE_COUNT",
        "packet_length": "CCSDS_PACKET_LENGTH",
    }
    assert theirs.keys() == PACKET_FIELDS.keys()
    for name, other in theirs.items():
        assert ours[name].tolist() == headers[other].tolist()


@settings(max_examples=30)
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1))
def test_packets_are_those_of_space_packet_parser(bodies):
    generators = pytest.importorskip("space_packet_parser.generators", reason="space_packet_parser is not installed")
    stream = make_packets().join(bodies, {"apid": np.arange(len(bodies)) % 2047}, {})
    theirs = [bytes(packet) for packet in generators.ccsds_generator(io.BytesIO(stream))]
    assert [stream[start : start + size] for start, size in find(make_packets(), stream).frames] == theirs


def test_a_rest_without_frames_is_kept_whole_however_large_it_is():
    content = b"\0\4\0." + bytes([0, 0, 0]) + bytes(20 * 2**20)
    framer = Sized(Shape(Sum.parse("length"), b"", HEADER))
    blocks = list(read_frames(Source(Path("source"), "source", content), framer, {}))
    kept = [
        (each.start, block.frames.block[each.start - block.offset :][: each.length].size)
        for block in blocks
        for each in block.rejected
    ]
    assert kept[0][0] == 4
    assert sum(size for _, size in kept) == len(content) - 4
    assert [start + size for start, size in kept] == [*(start for start, _ in kept[1:]), len(content)]
