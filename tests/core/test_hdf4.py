"""Structs in HDF4 files: what is read is what the HDF4 library reads, and no file can do harm."""

import csv
import hashlib
import json
import os
import struct
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dayfile.errors import MissingExtraError, SourceError, StorageError, UsageError
from dayfile.formats import hdf4_container as format_
from dayfile.formats.hdf4_container import Container
from dayfile.formats.hdf4_structs import list_structs, looks_like_hdf4, read_struct, write_structs

pytest.importorskip("pyhdf", reason="files to read are written with pyhdf")
from pyhdf.HDF import HC, HDF
from pyhdf.SD import SD, SDC
from pyhdf.V import V
from pyhdf.VS import VS

RATE = np.dtype([("Second1996", "<u4"), ("rate", "<u2", (9,)), ("share", "<f4")])
CYCLE = np.dtype(
    [("Second1996", "<u4"), ("text", "S40"), ("offsets", "<f8", (3,)), ("buffer", "u1", (300, 2)), ("flag", "i1")]
)
DTYPES = {"Rate": RATE, "Cycle": CYCLE}
ELEMENTS = ["u1", "i1", "<u2", "<i2", "<u4", "<i4", "<f4", "<f8"]


def some_records(dtype, count, seed=1):
    """Records of random bytes, among them NaN, zero bytes inside texts and all extremes."""
    return np.frombuffer(np.random.default_rng(seed).bytes(count * dtype.itemsize), dtype)


def written(path, structs, **options):
    write_structs(path, structs, **options)
    return path.read_bytes()


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Two structs, one with an SDS, in linked blocks as real files have them."""
    structs = {name: some_records(dtype, 40) for name, dtype in DTYPES.items()}
    return written(tmp_path_factory.mktemp("hdf4") / "source.hdf", structs, records_a_write=1)


@st.composite
def struct_dtypes(draw):
    """A packed struct: scalars, arrays of one and two dimensions, large arrays, texts and arrays of texts."""
    scalar = st.sampled_from(ELEMENTS)
    form = st.one_of(
        scalar,
        st.tuples(scalar, st.tuples(st.integers(1, 20))),
        st.tuples(scalar, st.tuples(st.integers(1, 4), st.integers(1, 4))),
        st.tuples(scalar, st.just((5001,))),
        st.integers(1, 40).map(lambda length: f"S{length}"),
        st.tuples(st.just("S4"), st.tuples(st.integers(1, 3))),
        st.just("S5001"),
    )
    names = draw(st.lists(st.sampled_from("abcdefghij"), unique=True, max_size=6))
    return np.dtype([("time", draw(scalar)), *((f"field_{name}", draw(form)) for name in names)])


def columns_with_pyhdf(path, name):
    """Fields of a struct's Vdata through pyhdf's documented interface, which makes lists value by value."""
    file = HDF(str(path))
    vdatas = VS(file)
    vdata = vdatas.attach(name)
    count = vdata.inquire()[0]
    fields = [field[0] for field in vdata.fieldinfo()]
    records = vdata.read(count) if count else []
    vdata.detach()
    vdatas.end()
    file.close()
    return {field: [record[index] for record in records] for index, field in enumerate(fields)}


def rows_with_pyhdf(path, name):
    data_sets = SD(str(path))
    data_set = data_sets.select(name)
    rows = data_set.get()
    data_set.endaccess()
    data_sets.end()
    return rows


def as_pyhdf_reads(values):
    """A text as pyhdf gives it: without any zero bytes, and one character as its number."""
    if values.dtype.kind != "S":
        return values.tolist()
    if values.dtype.itemsize == 1:
        return [ord(value.ljust(1, b"\0")) for value in values.tolist()]
    return [value.replace(b"\0", b"").decode("latin-1") for value in values.tolist()]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(struct_dtypes(), min_size=1, max_size=3), st.integers(0, 20), st.sampled_from([None, 1, 7]))
def test_structs_come_back_as_they_were_written(tmp_path, dtypes, count, records_a_write):
    structs = {f"Struct{index}": some_records(dtype, count, index) for index, dtype in enumerate(dtypes)}
    content = written(tmp_path / "source.hdf", structs, records_a_write=records_a_write)
    assert list_structs(content) == list(structs)
    for name, records in structs.items():
        found = read_struct(content, name, records.dtype)
        assert found.dtype == records.dtype
        assert found.tobytes() == records.tobytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(struct_dtypes(), st.integers(0, 12), st.sampled_from([None, 1, 5]))
def test_reader_agrees_with_the_hdf4_library(tmp_path, dtype, count, records_a_write):
    path = tmp_path / "source.hdf"
    structs = {"Other": some_records(RATE, count), "Struct": some_records(dtype, count)}
    content = written(path, structs, records_a_write=records_a_write)
    records = read_struct(content, "Struct", dtype)
    columns = columns_with_pyhdf(path, "Struct")
    for field in dtype.names:
        if field in columns:
            np.testing.assert_array_equal(np.ravel(as_pyhdf_reads(records[field])), np.ravel(columns[field]))
        elif count:
            rows = np.ascontiguousarray(rows_with_pyhdf(path, f"Struct_{field}"))
            assert records[field].tobytes() == rows.tobytes()


def test_records_written_one_at_a_time_lie_in_linked_blocks(content):
    container = Container(content)
    assert len(container._list_references(format_.VDATA_RECORDS | format_.SPECIAL)) == 2
    assert len(container._list_references(format_.SDS_DATA | format_.SPECIAL)) == 1
    for name, dtype in DTYPES.items():
        assert read_struct(content, name, dtype).tobytes() == some_records(dtype, 40).tobytes()


def test_a_struct_without_records_is_an_empty_array(tmp_path):
    structs = {name: np.zeros(0, dtype) for name, dtype in DTYPES.items()}
    content = written(tmp_path / "source.hdf", structs)
    for name, dtype in DTYPES.items():
        assert read_struct(content, name, dtype).shape == (0,)
        assert read_struct(content, name, dtype).dtype == dtype


def test_the_vdatas_of_the_library_are_no_structs(content):
    assert "fakeDim0" in [vdata.name for vdata in Container(content).list_vdatas()]
    assert list_structs(content) == ["Rate", "Cycle"]


def test_records_can_be_read_into_any_byte_order_and_alignment(content):
    dtype = np.dtype([("share", ">f4"), ("Second1996", ">u4"), ("rate", ">u2", (9,))], align=True)
    found, expected = read_struct(content, "Rate", dtype), some_records(RATE, 40)
    assert found.dtype == dtype
    for field in RATE.names:
        assert found[field].astype(RATE[field].base).tobytes() == expected[field].tobytes()


def test_hdf4_is_known_by_its_first_bytes(content):
    assert looks_like_hdf4(content[:4])
    assert not looks_like_hdf4(content[:3])
    assert not looks_like_hdf4(b"\x89HDF\r\n\x1a\n")


@pytest.mark.parametrize("other", [b"", b"\x89HDF\r\n\x1a\n", b"CIC,501,2017-02-26"])
def test_a_file_that_is_not_hdf4_is_refused(other):
    with pytest.raises(SourceError, match="upload_17: not an HDF4 file"):
        list_structs(other, "upload_17")


def test_a_truncated_file_is_refused_wherever_it_ends(content):
    # The library writes one byte more than the last element has.
    for end in [*range(0, len(content), 512), len(content) - 2]:
        with pytest.raises(SourceError):
            list_structs(content[:end])


def test_flipped_bits_give_records_or_a_source_error(tmp_path, content):
    structs = {name: some_records(dtype, count) for (name, dtype), count in zip(DTYPES.items(), (3, 0), strict=True)}
    small = written(tmp_path / "source.hdf", structs)
    chance = np.random.default_rng(5)
    refused = 0
    for trial in range(3000):
        damaged = bytearray(small if trial % 2 else content)
        for _ in range(chance.integers(1, 20)):
            # The descriptions lie at the two ends; most of what is between are records, where any byte is possible.
            place = chance.integers(-900, 300) if chance.random() < 0.8 else chance.integers(len(damaged))
            damaged[place] = chance.choice([0, 1, 0x7F, 0xFF, damaged[place] ^ 1 << chance.integers(8)])
        for name, dtype in DTYPES.items():
            try:
                read_struct(bytes(damaged), name, dtype)
            except SourceError:
                refused += 1
    assert refused > 1000


def file_of(elements):
    """An HDF4 file made by hand of (tag, reference): bytes."""
    offset = 10 + 12 * len(elements)
    descriptors, data = b"", b""
    for (tag, reference), element in elements.items():
        descriptors += struct.pack(">HHii", tag, reference, offset + len(data), len(element))
        data += element
    return format_.MAGIC + struct.pack(">HI", len(elements), 0) + descriptors + data


def text(value):
    return struct.pack(">H", len(value)) + value


def vdata(records=4, record_size=3, offset=1, name=b"Pair"):
    """Description of a Vdata of a uint8 and a uint16."""
    numbers = struct.pack(">HiHH8H", 0, records, record_size, 2, 21, 23, 1, 2, 0, offset, 1, 1)
    return numbers + text(b"time") + text(b"rate") + text(name) + text(b"") + bytes(8)


def vgroup(name, vgroup_class, *members):
    tags, references = zip(*members, strict=True)
    numbers = struct.pack(f">{2 * len(members) + 1}H", len(members), *tags, *references)
    return numbers + text(name) + text(vgroup_class) + bytes(8)


def linked(length, block_length, blocks_in_a_table=2):
    return struct.pack(">HiiiH", 1, length, block_length, blocks_in_a_table, 1)


PAIR = np.dtype([("time", "u1"), ("rate", "<u2")])
PAIRS = bytes(range(12))
VDATA, RECORDS = (format_.VDATA, 1), (format_.VDATA_RECORDS, 1)
LINKED_RECORDS = (format_.VDATA_RECORDS | format_.SPECIAL, 1)
BLOCKS = {
    (format_.LINKED, 1): struct.pack(">3H", 2, 11, 12),
    (format_.LINKED, 2): struct.pack(">3H", 0, 13, 0),
    (format_.LINKED, 11): PAIRS[:3],
    (format_.LINKED, 12): PAIRS[3:8],
    (format_.LINKED, 13): PAIRS[8:] + b"?",
}


def test_a_file_made_by_hand_from_the_facts_is_read():
    expected = [[0, 3, 6, 9], [0x0102, 0x0405, 0x0708, 0x0A0B]]
    plain = {VDATA: vdata(), RECORDS: PAIRS}
    in_blocks = {VDATA: vdata(), LINKED_RECORDS: linked(12, 5), **BLOCKS}
    # Blocks may have room left, each.
    roomy = {**in_blocks, (format_.LINKED, 12): PAIRS[3:8] + b"room"}
    for elements in (plain, in_blocks, roomy):
        records = read_struct(file_of(elements), "Pair", PAIR)
        assert [records["time"].tolist(), records["rate"].tolist()] == expected


@pytest.mark.parametrize(
    ("description", "records"),
    [
        (vdata(records=5), PAIRS),
        (vdata(records=3), PAIRS),
        (vdata(records=2**31 - 1), PAIRS),
        (vdata(records=-1, record_size=0), b""),
        (vdata(records=0, record_size=2), b""),
        (vdata(records=0, record_size=4), b""),
        (vdata(records=2**31 - 1, record_size=0), b""),
        (vdata(offset=0), PAIRS),
        (vdata()[:-20], PAIRS),
        (b"", PAIRS),
    ],
)
def test_a_vdata_that_cannot_be_is_refused(description, records):
    with pytest.raises(SourceError, match="damaged"):
        read_struct(file_of({VDATA: description, RECORDS: records}), "Pair", PAIR)


@pytest.mark.parametrize(
    ("header", "blocks"),
    [
        (linked(12, 0), {}),
        (linked(12, -5), {}),
        (linked(12, 6), {}),
        (linked(2**31 - 1, 5), {}),
        (linked(12, 5)[:10], {}),
        (linked(12, 5), {(format_.LINKED, 1): b""}),
        (linked(12, 5), {(format_.LINKED, 1): b"\0"}),
        (linked(12, 5), {(format_.LINKED, 1): struct.pack(">H", 1)}),
        (linked(12, 5), {(format_.LINKED, 2): struct.pack(">2H", 1, 13)[:2]}),
        (linked(12, 5), {(format_.LINKED, 2): struct.pack(">2H", 0, 12)}),
        (linked(12, 5), {(format_.LINKED, 2): struct.pack(">2H", 0, 0)}),
        (linked(12, 5), {(format_.LINKED, 2): struct.pack(">2H", 0, 99)}),
        (linked(12, 5), {(format_.LINKED, 11): b""}),
        (linked(12, 5), {(format_.LINKED, 12): PAIRS[3:7]}),
    ],
)
def test_linked_blocks_that_cannot_be_are_refused(header, blocks):
    with pytest.raises(SourceError, match="damaged"):
        read_struct(file_of({VDATA: vdata(), LINKED_RECORDS: header, **BLOCKS, **blocks}), "Pair", PAIR)


@pytest.mark.parametrize("records", [2**31 - 1, -(2**31), 10**6])
@pytest.mark.parametrize("data", [{RECORDS: PAIRS}, {LINKED_RECORDS: linked(2**31 - 1, 2**31 - 1), **BLOCKS}])
def test_what_a_file_claims_to_hold_takes_no_memory(records, data):
    tracemalloc.start()
    with pytest.raises(SourceError, match="damaged"):
        read_struct(file_of({VDATA: vdata(records=records), **data}), "Pair", PAIR)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_lists_of_elements_that_go_in_a_circle_are_refused():
    content = file_of({VDATA: vdata(), RECORDS: PAIRS})
    for place in (4, 10):
        with pytest.raises(SourceError, match=r"circle|truncated"):
            list_structs(content[:6] + struct.pack(">I", place) + content[10:])


def test_elements_outside_the_file_or_in_the_same_place_are_refused():
    content = bytearray(file_of({VDATA: vdata(), RECORDS: PAIRS}))
    for offset, length in [(0, len(content)), (len(content) - 1, 2), (-2, 1), (0, -2), (2**31 - 1, 2**31 - 1)]:
        struct.pack_into(">ii", content, 10 + 12 + 4, offset, length)
        with pytest.raises(SourceError, match=r"same place|should end at byte"):
            list_structs(bytes(content))


def data_set(dimensions, code=21, form=1, data=bytes(24)):
    """Elements of an SDS Pair_buffer."""
    description = struct.pack(f">H{len(dimensions)}iHH", len(dimensions), *dimensions, format_.NUMBER_TYPE, 5)
    members = [(format_.SDS_DATA, 5), (format_.DIMENSIONS, 5)]
    return {
        (format_.VGROUP, 5): vgroup(b"Pair_buffer", b"Var0.0", *members),
        (format_.DIMENSIONS, 5): description,
        (format_.NUMBER_TYPE, 5): struct.pack("4B", 1, code, 8, form),
        (format_.SDS_DATA, 5): data,
    }


def read_with_buffer(elements):
    dtype = np.dtype([*PAIR.descr, ("buffer", "u1", (2, 3))])
    return read_struct(file_of({VDATA: vdata(), RECORDS: PAIRS, **elements}), "Pair", dtype)


def test_the_data_of_an_sds_say_how_many_rows_there_are():
    for declared in (0, 4, 9):
        records = read_with_buffer(data_set((declared, 2, 3), data=bytes(range(24))))
        assert records["buffer"].tobytes() == bytes(range(24))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (data_set((4, -2, -3)), "dimensions"),
        (data_set((4, 0, 3)), "dimensions"),
        (data_set(()), "dimensions"),
        (data_set((4, *[1] * 100, 2, 3)), "dimensions"),
        (data_set((0, 2**31 - 1, 2**31 - 1), data=b""), "dimensions"),
        (data_set((4, 3, 2)), r"uint8\[3\]\[2\], expected is uint8\[2\]\[3\]"),
        (data_set((4, 2, 3), data=bytes(23)), "not rows of 6"),
        (data_set((4, 2, 3), code=20), "int8.*uint8"),
        (data_set((4, 2, 3), code=99), "number type 0x63"),
        (data_set((4, 2, 3), form=4), "big-endian"),
        ({**data_set((4, 2, 3)), (format_.NUMBER_TYPE, 5): b"12"}, "too early"),
        ({**data_set((4, 2, 3)), (format_.VGROUP, 5): b"12"}, "too early"),
        ({**data_set((4, 2, 3)), (format_.VGROUP, 6): data_set(())[format_.VGROUP, 5]}, "two SDS named Pair_buffer"),
    ],
)
def test_an_sds_that_cannot_be_or_is_not_as_expected_is_refused(elements, message):
    with pytest.raises(SourceError, match=message):
        read_with_buffer(elements)


def test_an_sds_that_lost_a_row_in_one_of_its_blocks_is_refused():
    elements = data_set((6, 2, 3))
    del elements[format_.SDS_DATA, 5]
    elements[format_.SDS_DATA | format_.SPECIAL, 5] = linked(36, 12, 3)
    blocks = {(format_.LINKED, 1): struct.pack(">4H", 0, 11, 12, 13), (format_.LINKED, 11): bytes(12)}
    elements |= blocks | {(format_.LINKED, 12): bytes(12), (format_.LINKED, 13): bytes(12)}
    assert len(read_with_buffer(elements)) == 4
    with pytest.raises(SourceError, match="too short"):
        read_with_buffer({**elements, (format_.LINKED, 12): bytes(6)})


def test_a_vgroup_that_is_no_sds_is_left_alone():
    notes = vgroup(b"Pair_notes", b"Notes", (format_.VDATA, 1))
    assert len(read_with_buffer({**data_set((4, 2, 3)), (format_.VGROUP, 7): notes})) == 4


WRONG = [
    (
        "Rate",
        [("Second1996", "<i4"), ("rate", "<u2", (9,)), ("share", "<f4")],
        r"Second1996: .*uint32\[1\].*int32\[1\]",
    ),
    ("Rate", [("Second1996", "<u4"), ("rate", "<u2", (8,)), ("share", "<f4")], r"rate: .*uint16\[9\].*uint16\[8\]"),
    ("Rate", [("Second1996", "<u4"), ("rate", "S18"), ("share", "<f4")], r"rate: .*uint16\[9\].*char\[18\]"),
    ("Rate", [("Second1996", "<u4"), ("share", "<f4")], "unknown field rate"),
    ("Rate", [*RATE.descr, ("quality", "u1")], "lacks the field quality"),
    ("Rate", [*RATE.descr, ("quality", "u1"), ("status", "u1")], "lacks the field quality and 1 more"),
    (
        "Cycle",
        [("buffer", "u1", (2, 300)) if name == "buffer" else (name, *rest) for name, *rest in CYCLE.descr],
        r"\]\[",
    ),
    ("Cycle", [form for form in CYCLE.descr if form[0] != "buffer"], "unknown field buffer"),
    ("Hskp", RATE.descr, "no Vdatas named Hskp"),
]


@pytest.mark.parametrize(("name", "dtype", "message"), WRONG)
def test_a_struct_that_is_not_as_expected_is_refused_with_what_was_found(content, name, dtype, message):
    with pytest.raises(SourceError, match=f"^source.hdf: .*{message}"):
        read_struct(content, name, np.dtype(dtype), "source.hdf")


def write_by_hand(path, vdatas=(), rows=None, **vdata_settings):
    """A file of the library's making that write_structs would not write: Vdatas of one uint8 field."""
    file = HDF(str(path), HC.WRITE | HC.CREATE | HC.TRUNC)
    table, data_sets = VS(file), SD(str(path), SDC.WRITE)
    for name, field, values in vdatas:
        vdata = table.create(name, [(field, HC.UINT8, 1)])
        for setting, value in vdata_settings.items():
            setattr(vdata, setting, value)
        if values:
            vdata.write([[value] for value in values])
        vdata.detach()
    for name, (values, first) in (rows or {}).items():
        data_set = data_sets.create(name, SDC.UINT8, (SDC.UNLIMITED, *values.shape[1:]))
        data_set.set(values, (first, *(0 for _ in values.shape[1:])), values.shape)
        data_set.endaccess()
    table.end()
    data_sets.end()
    file.close()
    return path.read_bytes()


TIME_AND_BUFFER = np.dtype([("time", "u1"), ("buffer", "u1", (2, 2))])


@pytest.mark.parametrize("empty_rows", [0, 1, 5])
def test_empty_rows_before_those_of_the_records_are_left_out(tmp_path, empty_rows):
    values = np.arange(12, dtype=np.uint8).reshape(3, 2, 2)
    content = write_by_hand(
        tmp_path / "second.hdf", [("Pair", "time", [7, 8, 9])], {"Pair_buffer": (values, empty_rows)}
    )
    records = read_struct(content, "Pair", TIME_AND_BUFFER)
    np.testing.assert_array_equal(records["time"], [7, 8, 9])
    np.testing.assert_array_equal(records["buffer"], values)


def test_rows_without_records_give_no_records(tmp_path):
    rows = {"Pair_buffer": (np.ones((3, 2, 2), np.uint8), 0)}
    content = write_by_hand(tmp_path / "source.hdf", [("Pair", "time", [])], rows)
    assert read_struct(content, "Pair", TIME_AND_BUFFER).shape == (0,)


def test_fewer_rows_than_records_are_refused(tmp_path):
    values = np.zeros((2, 2, 2), np.uint8)
    content = write_by_hand(tmp_path / "source.hdf", [("Pair", "time", [7, 8, 9])], {"Pair_buffer": (values, 0)})
    with pytest.raises(SourceError, match="only 2 rows of it for 3 records"):
        read_struct(content, "Pair", TIME_AND_BUFFER)


def test_a_struct_that_is_there_twice_is_refused(tmp_path):
    twice = write_by_hand(tmp_path / "source.hdf", [("Pair", "time", [7]), ("Pair", "time", [8])])
    with pytest.raises(SourceError, match="2 Vdatas named Pair"):
        read_struct(twice, "Pair", np.dtype([("time", "u1")]))


def test_a_field_that_is_there_twice_is_refused(tmp_path):
    rows = {"Pair_time": (np.zeros((1, 2), np.uint8), 0)}
    with pytest.raises(SourceError, match="in its Vdata and in an SDS the field time"):
        read_struct(
            write_by_hand(tmp_path / "a.hdf", [("Pair", "time", [7])], rows), "Pair", np.dtype([("time", "u1")])
        )


def test_attributes_of_a_vdata_are_no_structs(tmp_path):
    path = tmp_path / "source.hdf"
    write_by_hand(path, [("Pair", "time", [7])])
    file = HDF(str(path), HC.WRITE)
    table = VS(file)
    vdata = table.attach("Pair", 1)
    vdata.attr("version").set(HC.CHAR8, "1.3")
    vdata.detach()
    table.end()
    file.close()
    assert len(list(Container(path.read_bytes()).list_vdatas())) == 2
    assert list_structs(path.read_bytes()) == ["Pair"]


def test_fields_stored_one_after_another_are_refused(tmp_path):
    content = write_by_hand(tmp_path / "source.hdf", [("Pair", "time", [7, 8])], _interlace=HC.NO_INTERLACE)
    with pytest.raises(SourceError, match="field after field"):
        read_struct(content, "Pair", np.dtype([("time", "u1")]))


def test_compressed_data_are_refused_with_the_way_out(tmp_path):
    path = tmp_path / "source.hdf"
    write_by_hand(path, [("Pair", "time", [7, 8, 9])])
    data_sets = SD(str(path), SDC.WRITE)
    data_set = data_sets.create("Pair_buffer", SDC.UINT8, (3, 2, 2))
    data_set.setcompress(SDC.COMP_DEFLATE, 6)
    data_set[:] = np.zeros((3, 2, 2), np.uint8)
    data_set.endaccess()
    data_sets.end()
    with pytest.raises(SourceError, match=r"stored compressed.*hrepack"):
        read_struct(path.read_bytes(), "Pair", TIME_AND_BUFFER)


def test_the_same_structs_give_the_same_bytes_in_any_directory(tmp_path):
    structs = {name: some_records(dtype, 40) for name, dtype in DTYPES.items()}
    (tmp_path / "deeper" / "still").mkdir(parents=True)
    before = Path.cwd()
    here = written(tmp_path / "source.hdf", structs)
    there = written(tmp_path / "deeper" / "still" / "source.hdf", structs)
    assert here == there
    assert str(tmp_path).encode() not in here
    assert Path.cwd() == before


def test_a_struct_has_a_vgroup_with_its_vdata_and_sds(tmp_path):
    path = tmp_path / "source.hdf"
    write_structs(path, {"Cycle": some_records(CYCLE, 3)}, classes={"Cycle": "cycle data"})
    file = HDF(str(path))
    vgroups, table = V(file), VS(file)
    vgroup = vgroups.attach(vgroups.find("VG_Cycle"))
    assert vgroup._class == "VG_CYCLE"
    assert [tag for tag, _ in vgroup.tagrefs()] == [HC.DFTAG_VH, HC.DFTAG_NDG]
    vdata = table.attach("Cycle")
    assert vdata._class == "cycle data"
    vdata.detach()
    vgroup.detach()
    table.end()
    vgroups.end()
    file.close()


def test_a_type_that_hdf4_has_not_is_refused(tmp_path):
    with pytest.raises(UsageError, match="struct Hskp, field time: HDF4 has no type int64"):
        write_structs(tmp_path / "source.hdf", {"Hskp": np.zeros(1, [("time", "<i8")])})
    with pytest.raises(UsageError, match="large arrays"):
        write_structs(tmp_path / "source.hdf", {"Hskp": np.zeros(1, [("buffer", "u1", (2, 2))])})


def test_a_directory_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StorageError, match="could not write"):
        write_structs(tmp_path / "nowhere" / "source.hdf", {"Rate": some_records(RATE, 1)})


def test_writing_without_pyhdf_tells_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyhdf.HDF", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"dayfile\[hdf4\]\""):
        write_structs(tmp_path / "source.hdf", {"Rate": some_records(RATE, 1)})


SAMPLES = Path(os.environ.get("DAYFILE_SAMPLES", "/nowhere")) / "ace"
LAYOUTS = SAMPLES.parent.parent / "reference" / "ace" / "structs.csv"
C_TYPES = {"uint8": "u1", "uint16": "u2", "int16": "i2", "uint32": "u4", "float32": "f4", "float64": "f8"}


def c_struct(fields, byte_order):
    """The dtype of a C struct with natural alignment, from rows of the table of structs."""
    names, forms, offsets, end, widest = [], [], [], 0, 1
    for field in fields:
        dimensions = tuple(int(length) for length in field["dims"].split("x") if length)
        if field["ctype"] == "char8":
            form, width = np.dtype(f"S{dimensions[0]}"), 1
        else:
            element = np.dtype(byte_order + C_TYPES[field["ctype"]])
            form, width = np.dtype((element, dimensions)), element.itemsize
        names.append(field["field"])
        forms.append(form)
        offsets.append(int(field["offset_natural"]))
        end, widest = offsets[-1] + form.itemsize, max(widest, width)
    return np.dtype({"names": names, "formats": forms, "offsets": offsets, "itemsize": end + -end % widest})


@pytest.mark.skipif(not LAYOUTS.exists(), reason="DAYFILE_SAMPLES does not name the sample data")
def test_samples_hold_the_structs_that_their_manifest_lists():
    with LAYOUTS.open(newline="") as table:
        fields = list(csv.DictReader(table))
    manifest = json.loads((SAMPLES / "manifest.json").read_text())["files"]
    files = {name: structs for name, structs in manifest.items() if name.endswith(".hdf")}
    assert len(files) == 3
    for name, structs in files.items():
        content = (SAMPLES / name).read_bytes()
        assert set(list_structs(content)) == set(structs)
        for struct_name, expected in structs.items():
            dtype = c_struct([field for field in fields if field["struct"] == struct_name], ">")
            records = read_struct(content, struct_name, dtype, name)
            assert len(records) == expected["records"]
            assert hashlib.sha256(records.tobytes()).hexdigest() == expected["sha256_big_endian_stream"]
