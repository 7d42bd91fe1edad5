"""Checksums of frames: the values of public catalogues, alike byte by byte and of many stretches at once."""

from __future__ import annotations

import binascii
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.framing.checksums import FRAME_CHECKSUMS, Check, Fletcher

CATALOGUE = {
    "crc8": 0xF4,
    "crc8-maxim": 0xA1,
    "crc8-sae-j1850": 0x4B,
    "crc16-arc": 0xBB3D,
    "crc16-aug-ccitt": 0xE5CC,
    "crc16-ccitt-false": 0x29B1,
    "crc16-genibus": 0xD64E,
    "crc16-kermit": 0x2189,
    "crc16-mcrf4xx": 0x6F91,
    "crc16-modbus": 0x4B37,
    "crc16-usb": 0xB4C8,
    "crc16-x25": 0x906E,
    "crc16-xmodem": 0x31C3,
    "crc24-openpgp": 0x21CF02,
    "crc24q": 0xCDE703,
    "crc32": 0xCBF43926,
    "crc32-bzip2": 0xFC891918,
    "crc32-mpeg2": 0x0376E6E7,
    "crc32-posix": 0x765E7680,
    "crc32c": 0xE3069283,
    "fletcher16": 0x1EDE,
    "adler32": 0x091E01DE,
    "sum8": 0xDD,
    "sum8-negative": 0x23,
    "sum16": 0x01DD,
    "sum32": 0x01DD,
    "xor": 0x31,
    "fletcher8": 0x15DD,
}
"""Checksums of the text 123456789: those of the catalogue of parametrised CRC algorithms, and sums done by hand."""


def test_each_checksum_has_the_value_of_the_catalogue():
    assert {name: checksum.compute(b"123456789") for name, checksum in FRAME_CHECKSUMS.items()} == CATALOGUE


@given(st.binary(max_size=200))
def test_checksums_are_those_of_pythons_library(data):
    assert FRAME_CHECKSUMS["crc32"].compute(data) == zlib.crc32(data)
    assert FRAME_CHECKSUMS["crc16-xmodem"].compute(data) == binascii.crc_hqx(data, 0)
    assert FRAME_CHECKSUMS["crc16-ccitt-false"].compute(data) == binascii.crc_hqx(data, 0xFFFF)
    assert FRAME_CHECKSUMS["adler32"].compute(data) == zlib.adler32(data)


@pytest.mark.parametrize("name", FRAME_CHECKSUMS)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), size=st.integers(1, 20_000), longest=st.sampled_from([3, 100, 20_000]))
def test_those_of_many_stretches_are_those_of_each(name, seed, size, longest):
    random = np.random.default_rng(seed)
    block = random.integers(0, 256, size, np.uint8)
    starts = random.integers(0, size + 1, 20)
    ends = np.minimum(starts + random.integers(0, longest + 1, 20), size)
    checksum = FRAME_CHECKSUMS[name]
    expected = [checksum.compute(block[start:end].tobytes()) for start, end in zip(starts, ends)]
    assert checksum.compute_all(block, starts, ends).tolist() == expected


@pytest.mark.parametrize("name", FRAME_CHECKSUMS)
@settings(max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    lengths=st.lists(st.integers(0, 300), min_size=1, max_size=5),
    count=st.integers(1, 90),
)
def test_those_of_stretches_of_few_lengths_one_behind_the_other_are_those_of_each(name, seed, lengths, count):
    random = np.random.default_rng(seed)
    chosen = random.choice(lengths, count)
    ends = np.cumsum(chosen + random.integers(0, 3, count))
    block = random.integers(0, 256, int(ends[-1]) + 5, np.uint8)
    checksum = FRAME_CHECKSUMS[name]
    starts = ends - chosen
    expected = [checksum.compute(block[start:end].tobytes()) for start, end in zip(starts, ends)]
    assert checksum.compute_all(block, starts, ends).tolist() == expected


def test_sums_of_large_blocks_do_not_overflow():
    block = np.full(3_000_000, 255, np.uint8)
    starts, ends = np.array([0, 5]), np.array([3_000_000, 2_999_999])
    expected = [zlib.adler32(block[start:end].tobytes()) for start, end in zip(starts, ends)]
    for largest in (2**27, 1000):
        fletcher = Fletcher(65521, start=1, size=4, largest=largest)
        assert fletcher.compute_all(block, starts, ends).tolist() == expected


@given(st.binary(min_size=8, max_size=60), st.sampled_from(sorted(FRAME_CHECKSUMS)), st.sampled_from(["big", "little"]))
def test_a_sealed_frame_is_good_and_a_changed_one_is_not(content, kind, order):
    size = FRAME_CHECKSUMS[kind].size
    check = Check(kind, 2, -size, -size, order)
    frame = bytearray(content)
    check.seal(frame)
    assert len(frame) == len(content)
    changed = bytearray(frame)
    changed[2] ^= 1  # also where only the checksum is behind it
    block = np.frombuffer(bytes(frame + changed), np.uint8)
    starts, lengths = np.array([0, len(frame)]), np.full(2, len(frame))
    assert check.verify(block, starts, lengths).tolist() == [True, False]
