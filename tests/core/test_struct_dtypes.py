"""C structs: where each field lies, and that nothing changes on the way into records and back.

Every promise is kept twice: by the whole-array code, and by a plain reference that packs element by element with
``struct``. Offsets and sizes are compared with those of ``ctypes``, which lays structs out as the C compiler does.
"""

from __future__ import annotations

import ctypes
import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile.errors import SourceError
from dayfile.formats.struct_dtypes import make_struct_dtype, to_records, to_structs
from dayfile.formats.structs import parse_stream, read_stream
from dayfile.model.clock import Clock
from dayfile.model.datatype import DataType
from dayfile.model.field import STORED_TYPES, Field
from dayfile.model.placement import Node, Placement

C_TYPES = {
    "bool": ctypes.c_uint8,  # ctypes knows no bool of the other byte order; it is one byte all the same
    "int8": ctypes.c_int8,
    "int16": ctypes.c_int16,
    "int32": ctypes.c_int32,
    "int64": ctypes.c_int64,
    "uint8": ctypes.c_uint8,
    "uint16": ctypes.c_uint16,
    "uint32": ctypes.c_uint32,
    "uint64": ctypes.c_uint64,
    "float32": ctypes.c_float,
    "float64": ctypes.c_double,
    "time32": ctypes.c_int32,
    "char": ctypes.c_char,
}
# Floats as bit patterns: a float made of a signalling NaN could come back as a quiet one.
CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}

layouts = st.lists(
    st.tuples(st.sampled_from([*STORED_TYPES, "char"]), st.lists(st.integers(1, 4), max_size=3)), min_size=1, max_size=8
).map(
    lambda drawn: tuple(
        Field(f"field{index}", kind, tuple(shape) or ((3,) if kind == "char" else ()))
        for index, (kind, shape) in enumerate(drawn)
    )
)
orders = st.sampled_from(["big", "little"])
alignments = st.sampled_from(["natural", "packed"])


def type_of(fields):
    clock = Clock(np.datetime64("1996-01-01T00:00:00"))
    return DataType("muon", "x", "X", "", tuple(fields), clock, fields[0].name, Placement("append", "", Node("/x")))


def c_struct(fields, order, alignment):
    """The same struct as ctypes declares it."""
    members = []
    for field in fields:
        kind = C_TYPES[field.type]
        for length in reversed(field.shape):
            kind = kind * length
        members.append((field.name, kind))
    base = ctypes.BigEndianStructure if order == "big" else ctypes.LittleEndianStructure
    body = {"_pack_": 1, "_layout_": "ms"} if alignment == "packed" else {}
    return type("Struct", (base,), {**body, "_fields_": members})


class Vectorised:
    """The code under test."""

    def __init__(self, fields, order, alignment):
        self.type = type_of(fields)
        self.form = make_struct_dtype(fields, order, alignment)

    def pack(self, records):
        return to_structs(records, self.form).tobytes()

    def unpack(self, content):
        return to_records(read_stream(content, self.form, "x"), self.type)


class Reference:
    """Element by element, at the offsets of ctypes."""

    def __init__(self, fields, order, alignment):
        self.fields, self.mark = fields, ">" if order == "big" else "<"
        self.type = type_of(fields)
        self.c = c_struct(fields, order, alignment)

    def elements(self, field):
        """Struct codes of a field, stored (little-endian) and in memory."""
        size = ctypes.sizeof(C_TYPES[field.type])
        many = f"{math.prod(field.shape)}{CODES[size]}"
        return f"<{many}", f"{self.mark}{many}"

    def pack(self, records):
        content = bytearray()
        for record in records:
            one = bytearray(ctypes.sizeof(self.c))
            for field in self.fields:
                stored, memory = self.elements(field)
                values = struct.unpack(stored, record[field.name].tobytes().ljust(struct.calcsize(stored), b"\0"))
                struct.pack_into(memory, one, getattr(self.c, field.name).offset, *values)
            content += one
        return bytes(content)

    def unpack(self, content):
        packed = b""
        for start in range(0, len(content), ctypes.sizeof(self.c)):
            for field in self.fields:
                stored, memory = self.elements(field)
                values = struct.unpack_from(memory, content, start + getattr(self.c, field.name).offset)
                packed += struct.pack(stored, *values)
        return np.frombuffer(packed, self.type.dtype)


@pytest.fixture(params=[Reference, Vectorised], ids=["reference", "vectorised"])
def engine(request):
    return request.param


EXAMPLE = (
    Field("flag", "uint8"),
    Field("second", "uint32"),
    Field("rate", "uint16", (3,)),
    Field("flux", "float64"),
    Field("name", "char", (3,)),
)


def example():
    record = np.zeros(1, type_of(EXAMPLE).dtype)
    record[0] = (0xAB, 0x03373C38, (1, 2, 0xFFFE), -2.5, b"a\0b")
    return record


@pytest.mark.parametrize(
    ("order", "alignment", "content"),
    [
        ("big", "natural", "ab 000000 03373c38 0001 0002 fffe 0000 c004000000000000 610062 0000000000"),
        ("little", "natural", "ab 000000 383c3703 0100 0200 feff 0000 00000000000004c0 610062 0000000000"),
        ("big", "packed", "ab 03373c38 0001 0002 fffe c004000000000000 610062"),
        ("little", "packed", "ab 383c3703 0100 0200 feff 00000000000004c0 610062"),
    ],
)
def test_a_struct_has_the_bytes_that_c_gives_it(engine, order, alignment, content):
    codec = engine(EXAMPLE, order, alignment)
    assert codec.pack(example()) == bytes.fromhex(content)
    assert codec.unpack(bytes.fromhex(content)).tobytes() == example().tobytes()


@given(layouts, orders, alignments)
def test_offsets_and_sizes_are_those_of_c(fields, order, alignment):
    form = make_struct_dtype(fields, order, alignment)
    c = c_struct(fields, order, alignment)
    assert form.itemsize == ctypes.sizeof(c)
    offsets = {field.name: getattr(c, field.name).offset for field in fields}
    assert {name: form.fields[name][1] for name in form.names} == offsets


@given(layouts, alignments)
def test_packed_structs_have_no_gaps_and_natural_ones_end_at_a_multiple_of_their_widest(fields, alignment):
    form = make_struct_dtype(fields, "big", alignment)
    content = sum(form[name].itemsize for name in form.names)
    if alignment == "packed":
        assert form.itemsize == content == type_of(fields).dtype.itemsize
    else:
        widest = max(ctypes.sizeof(C_TYPES[field.type]) for field in fields)
        assert form.itemsize % widest == 0
        assert content <= form.itemsize


@st.composite
def contents(draw):
    """Structs of any fields, filled with any bytes (a bool with 0 or 1), padding zero."""
    fields, order, alignment = draw(layouts), draw(orders), draw(alignments)
    dtype = type_of(fields).dtype
    count = draw(st.integers(0, 3))
    records = np.frombuffer(draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize)), dtype)
    records = records.copy()
    for field in fields:
        if field.type == "bool":
            flags = records[field.name].view(np.uint8)
            flags &= 1
            records[field.name] = flags.view(bool)
    return fields, order, alignment, records


@settings(max_examples=200)
@given(contents())
def test_whole_arrays_and_the_reference_agree_and_invert(drawn):
    fields, order, alignment, records = drawn
    reference, vectorised = Reference(fields, order, alignment), Vectorised(fields, order, alignment)
    content = vectorised.pack(records)
    assert content == reference.pack(records)
    assert vectorised.unpack(content).tobytes() == reference.unpack(content).tobytes() == records.tobytes()


def test_a_struct_of_the_other_byte_order_has_the_same_records(muon):
    rates = muon.records("rates", [{"second": muon.start, "counts": [1, 2, 3], "temperature": -0.5, "label": b"a"}])
    big, little = (muon.stream("rates", rates, order) for order in ("big", "little"))
    assert big != little
    for order, content in (("big", big), ("little", little)):
        structs = read_stream(content, muon.instrument.struct(muon.rates, order), "x")
        assert to_records(structs, muon.rates).tobytes() == rates.tobytes()


def test_padding_bytes_of_a_source_do_not_reach_the_records(muon):
    form = muon.instrument.struct(muon.rates)
    clean = muon.stream("rates", muon.records("rates", [{"second": muon.start}]))
    dirty = bytearray(clean)
    dirty[1:4] = b"\xee\xee\xee"
    first, second = (to_records(read_stream(bytes(content), form, "x"), muon.rates) for content in (clean, dirty))
    assert first.tobytes() == second.tobytes()
    assert to_structs(second, form).tobytes() == clean


@pytest.mark.parametrize("pattern", [0x7FC00000, 0x7F800001, 0xFFC12345, 0x7FFFFFFF])
@pytest.mark.parametrize("order", ["big", "little"])
def test_the_payload_of_a_nan_survives(engine, pattern, order):
    fields = (Field("value", "float32"), Field("row", "float32", (2,)))
    codec = engine(fields, order, "natural")
    records = np.full(3, pattern, np.uint32).view(codec.type.dtype)
    content = codec.pack(records)
    assert content == struct.pack(">I" if order == "big" else "<I", pattern) * 3
    assert codec.unpack(content).tobytes() == records.tobytes()


def test_a_bool_that_is_neither_0_nor_1_keeps_its_byte():
    form = make_struct_dtype([Field("flag", "bool")], "big", "natural")
    records = to_records(read_stream(b"\x00\x01\x02\xff", form, "x"), type_of([Field("flag", "bool")]))
    assert records.tobytes() == b"\x00\x01\x02\xff"


@pytest.mark.parametrize("cut", [1, 27, 29, 55])
def test_a_stream_that_was_cut_is_refused_with_the_byte_where_the_broken_struct_begins(muon, cut):
    form = muon.instrument.struct(muon.rates)
    with pytest.raises(
        SourceError, match=rf"MuonRates\.be\.bin, byte {cut // 28 * 28}: .* whole number of 28-byte structs"
    ):
        read_stream(bytes(64)[:cut], form, "MuonRates.be.bin")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MuonRates.be.bin", ("MuonRates", "big")),
        ("MuonRates.le.bin", ("MuonRates", "little")),
        ("MuonRates.bin", None),
        ("MuonRates.be.bin.gz", None),
        ("Muon Rates.be.bin", None),
        (".be.bin", None),
        ("MuonRates.be.bin\n", None),
    ],
)
def test_a_stream_tells_struct_and_byte_order_by_its_name(name, told):
    assert parse_stream(name) == told
