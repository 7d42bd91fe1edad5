"""What lines can be besides parts of one kind: further parts, fixed widths, checksums, lines that are skipped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dayfile.framing.checksums import FRAME_CHECKSUMS
from dayfile.lines.columns import MORE, ColumnParts
from dayfile.lines.line_checksums import LineChecksum
from dayfile.lines.line_reader import LineReader
from dayfile.lines.lines import LineForm
from dayfile.lines.numbers import TextColumn, parse_one_by_one
from dayfile.stages.base import Frames

LINES = st.lists(
    st.lists(st.sampled_from([b"1", b"-2,5", b"2.5", b"", b" ", b"\t", b",", b'"', b'"a,b"', b"x", b"*4"]))
)
COLUMNS = [TextColumn("a", "float64", decimal=","), TextColumn("b", "char", (3,)), TextColumn("c", "int8")]


def make_frames(lines):
    """The lines one behind the other, with their ends between them."""
    lengths = np.array([len(line) for line in lines], np.int64)
    starts = np.cumsum(lengths + 1) - lengths - 1
    return Frames(np.frombuffer(b"".join(line + b"\n" for line in lines), np.uint8), starts.astype(np.int64), lengths)


def describe(parts, parse=None):
    """What is read of parts, as plain values."""
    values, wrong = parts.read(COLUMNS, parse)
    return {name: column.tobytes() for name, column in values.items()}, wrong.reasons, wrong.rows.tolist()


@given(LINES, st.sampled_from(["", ",", ";"]), st.integers(1, 3))
def test_further_parts_are_left_out_alike_in_both_ways(lines, separator, count):
    mark = separator.encode() or b" "
    frames = make_frames([mark.join(parts) for parts in lines])
    parts = ColumnParts(frames, [*"abc"[:count], MORE], separator)
    assert describe(parts) == describe(parts, parse_one_by_one)
    assert parts.select(np.arange(len(lines))[::2]).wrong.rows.tolist() == parts.wrong.rows.tolist()[::2]


@given(LINES, st.lists(st.integers(1, 4), min_size=3, max_size=3), st.booleans())
def test_parts_of_fixed_width_are_alike_in_both_ways(lines, widths, more):
    frames = make_frames([b"".join(parts) for parts in lines])
    parts = ColumnParts(frames, [*"abc", *([MORE] if more else [])], "", widths)
    assert describe(parts) == describe(parts, parse_one_by_one)


def test_parts_of_fixed_width_have_no_blanks_around_and_may_be_missing():
    frames = make_frames([b" 12,5 ab 7", b"1", b"  1   b  7  ", b" 12,5 ab 7x"])
    parts = ColumnParts(frames, "abc", "", [6, 3, 1])
    assert [list(parts.texts(name)) for name in "abc"] == [
        [b"12,5", b"1", b"1", None],
        [b"ab", b"", b"b", None],
        [b"7", b"", b"7", None],
    ]
    assert parts.wrong.reasons == {3: "more than the 10 bytes of its parts: 11"}


def test_a_decimal_comma_takes_the_place_of_the_point():
    parts = ColumnParts(make_frames([b"1,5;x;1", b"1.5;x;1", b"-2;;1", b"1.234,5;x;1"]), "abc", ";")
    values, wrong = parts.read(COLUMNS)
    assert values["a"].tolist() == [1.5, 0, -2, 0]
    assert wrong.reasons == {1: "a: '1.5' is not a number", 3: "a: '1.234,5' is not a number"}


def verify_simply(line, check):
    """How many bytes are in front of the right checksum of a line; None if it has none."""
    text, stop, digits = line.rpartition(check.stop.encode())
    if not stop or (check.start and check.start.encode() not in text):
        return None
    covered = text.partition(check.start.encode())[2] if check.start else text
    size, digits = 2 * FRAME_CHECKSUMS[check.kind].size, digits.rstrip(b" \t")
    if len(digits) != size or not all(byte in b"0123456789abcdefABCDEF" for byte in digits):
        return None
    return len(text) if FRAME_CHECKSUMS[check.kind].compute(covered) == int(digits, 16) else None


PIECES = [b"$", b"*", b"GPGGA,1", b"4", b"0", b" ", b"\t", b"g", b"$A*41", b"$*00", b"*00", b"A*41"]


@given(
    st.lists(st.lists(st.sampled_from(PIECES), max_size=5).map(b"".join), max_size=6), st.sampled_from(["$", "", "!"])
)
def test_checksums_of_lines_are_those_of_a_simple_loop(lines, start):
    check = LineChecksum("xor", start, "*")
    cut, wrong = check.verify(make_frames(lines))
    lengths = [verify_simply(line, check) for line in lines]
    assert wrong.rows.tolist() == [length is None for length in lengths]
    assert [length for length in lengths if length is not None] == cut.lengths[~wrong.rows].tolist()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_lines_are_skipped_by_their_numbers_wherever_blocks_end(size):
    content = b"logger 7\na,b\nV,m\n1,2\nnever\n3,4\n"
    reader = LineReader(LineForm(None, separator=",", skipped=(0, 2, 4)))
    columns = [TextColumn("a", "int8"), TextColumn("b", "int8")]
    rows, begin, end = [], 0, 0
    while end < len(content):
        end = min(len(content), end + size)
        block = reader.read(np.frombuffer(content[begin:end], np.uint8), last=end == len(content))
        values, wrong = block.parts.read(columns)
        assert not wrong.rows.any()
        rows += list(zip(block.lines.numbers.tolist(), values["a"].tolist(), values["b"].tolist(), strict=True))
        begin += block.lines.used
    assert rows == [(3, 1, 2), (5, 3, 4)]
    assert reader.write_preamble() == [b"logger 7", b"a,b", b"V,m", b"", b"never"]
