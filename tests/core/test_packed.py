"""Packed buffers by any declaration: items are found, and a buffer that nothing declares is refused with a remedy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dayfile import Clock, DataType, Field, Node, Placement, Records
from dayfile.errors import UsageError
from dayfile.model.packed import HeaderField, Packed, unpack

PACKED = Packed(
    "buffer", "hits", longest=4, header=(HeaderField("delay", "uint16", "us"), HeaderField("layer", "int8"))
)
MUONS = DataType(
    instrument="muon",
    type="cycles",
    code="MuonCycle",
    title="Hits of a cycle",
    fields=(Field("second", "uint32"), Field("hits", "uint8"), Field("buffer", "uint8", (16,))),
    clock=Clock(np.datetime64("1970-01-01T00:00:00")),
    time="second",
    placement=Placement("append", "", Node("/cycles")),
    packed=PACKED,
)


@pytest.fixture
def cycles():
    """Two cycles, of two hits and of one; the first byte of a hit is its length."""
    made = np.zeros(2, MUONS.dtype)
    made["second"], made["hits"] = [60, 120], [2, 1]
    made["buffer"][0, :12] = [1, 2, 255, 3, 31, 32, 0, 9, 7, 2, 41, 0]
    made["buffer"][1, :5] = [0, 1, 3, 2, 51]
    return made


def first_byte(hits):
    return hits[:, 0]


def test_records_are_unpacked_by_what_their_data_type_declares(cycles):
    rows = Records(MUONS, cycles).unpack("buffer", length=first_byte)
    assert rows[["second", "record", "number", "offset", "size", "unsplit"]].tolist() == [
        (60, 0, 0, 3, 3, 0), (60, 0, 1, 9, 2, 0), (120, 1, 0, 3, 2, 0),
    ]  # fmt: skip
    assert rows["event"].tolist() == [[3, 31, 32, 0], [2, 41, 0, 0], [2, 51, 0, 0]]


@pytest.mark.parametrize(("byte_order", "delays"), [("big", [258, 9, 1]), ("little", [513, 2304, 256])])
def test_a_header_has_the_types_and_the_byte_order_that_are_declared(cycles, byte_order, delays):
    rows = unpack(cycles, replace(PACKED, byte_order=byte_order), first_byte)
    assert rows["delay"].tolist() == delays
    assert rows["layer"].tolist() == [-1, 7, 3]
    assert (rows.dtype["delay"], rows.dtype["layer"]) == (np.uint16, np.int8)


def test_items_may_have_no_header(cycles):
    cycles["buffer"][0, :5] = [3, 31, 32, 2, 41]
    rows = unpack(cycles[:1], replace(PACKED, header=()), first_byte)
    assert rows.dtype.names == ("second", "record", "number", "offset", "size", "unsplit", "event")
    assert rows["event"].tolist() == [[3, 31, 32, 0], [2, 41, 0, 0]]


def test_records_of_one_time_do_not_continue_one_another_where_no_field_says_so(cycles):
    cycles["second"] = 60
    assert unpack(cycles, PACKED, first_byte)["number"].tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("bufer", "muon.cycles has no field or key 'bufer'; did you mean 'buffer'?"),
        ("hits", "hits of muon.cycles is not a packed buffer; buffer is"),
    ],
)
def test_a_field_that_is_no_packed_buffer_is_refused(cycles, name, told):
    with pytest.raises(UsageError) as caught:
        Records(MUONS, cycles).unpack(name)
    assert caught.value.message == told


def test_a_buffer_that_nothing_declares_is_refused_with_what_to_do(cycles):
    with pytest.raises(UsageError, match="install the plugin of 'muon'"):
        Records(replace(MUONS, packed=None), cycles).unpack("buffer")
