"""Rows go through the library as they go through PyTables: what either stores the other reads."""

from __future__ import annotations

import ctypes
import tempfile
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import hdf5extension

from dayfile.hdf5 import datatypes
from dayfile.hdf5.links import link_exists
from dayfile.hdf5.rows import ConvertedTable, NativeTable, open_if_table, open_table
from dayfile.hdf5.vlen import open_vlen_array

CHUNK = 7
NUMBERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]


@pytest.fixture(autouse=True)
def nothing_known_nothing_left(left_open):
    """No type of row is known from another test, and what was opened was closed."""
    datatypes.ROW_DTYPES.clear()


def column(kind, shape, place):
    if kind.startswith("S"):
        return tables.StringCol(int(kind[1:]), shape=shape, pos=place)
    return tables.Col.from_type(kind, shape=shape, pos=place)


def columns_of(forms):
    return {f"field_{place}": column(kind, shape, place) for place, (kind, shape) in enumerate(forms)}


shapes = st.sampled_from([(), (), (1,), (3,), (2, 2)])
any_forms = st.lists(
    st.tuples(st.sampled_from([*NUMBERS, "bool", "time32", "S1", "S9"]), shapes), min_size=1, max_size=6
)


def some_rows(dtype, count, seed=1):
    """Rows of any bytes: texts with a NUL inside, NaNs of any payload."""
    content = np.random.default_rng(seed).integers(0, 256, count * dtype.itemsize, np.uint8)
    made = np.zeros(count, dtype)
    made[:] = content.view(dtype)  # and nothing in gaps between fields
    for name in dtype.names:
        if dtype[name].base.kind == "b":
            made[name] = made[name].view(np.uint8) & 1
    return made


@contextmanager
def new_file(make):
    """A file with the table ``/rows``, by its path."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "day.h5"
        with tables.open_file(path, "w") as file:
            make(file)
        yield path


def plain(file, forms=(("int32", ()), ("S3", (2,)), ("float64", ()), ("bool", ()), ("time32", ())), **more):
    return file.create_table("/", "rows", columns_of(forms), chunkshape=CHUNK, **more)


def by_pytables(path):
    """Rows of a table and how many its attribute tells."""
    with tables.open_file(path) as file:
        return file.root.rows.read(), int(file.root.rows.attrs.NROWS)


steps = st.lists(st.tuples(st.booleans(), st.integers(0, 20), st.integers(0, 25)), max_size=6)


@settings(max_examples=60, deadline=None)
@given(any_forms, steps)
def test_what_is_appended_and_modified_is_what_pytables_reads(forms, steps):
    with new_file(lambda file: plain(file, forms)) as path:
        with tables.open_file(path, "a") as file, closing(open_table(file, "/rows")) as table:
            assert isinstance(table, NativeTable)
            expected = np.zeros(0, table.dtype)
            for number, (appending, start, count) in enumerate(steps):
                if appending:
                    new = some_rows(table.dtype, count, number)
                    table.append(new)
                    expected = np.concatenate([expected, new])
                else:
                    first = min(start, len(expected))
                    new = some_rows(table.dtype, min(count, len(expected) - first), number)
                    table.modify(first, new)
                    expected[first : first + len(new)] = new
                assert table.nrows == len(expected)
                assert table.read(0, table.nrows).tobytes() == expected.tobytes()
        found, told = by_pytables(path)
    assert found.tobytes() == expected.tobytes()
    assert found.dtype == expected.dtype
    assert told == len(expected)


@settings(max_examples=60, deadline=None)
@given(any_forms, st.integers(0, 40), st.data())
def test_what_pytables_stored_is_read_and_taken(forms, count, data):
    with new_file(lambda file: plain(file, forms)) as path:
        with tables.open_file(path, "a") as file:
            sent = some_rows(file.root.rows.dtype, count)
            file.root.rows.append(sent)
        with tables.open_file(path) as file, closing(open_table(file, "/rows")) as table:
            assert (table.nrows, table.dtype, table.chunk_rows) == (count, sent.dtype, CHUNK)
            start = data.draw(st.integers(0, count))
            stop = data.draw(st.integers(start, count))
            assert table.read(start, stop).tobytes() == sent[start:stop].tobytes()
            room = np.empty(stop - start + 2, table.dtype)
            assert table.read(start, stop, out=room[1:-1]).base is room
            assert room[1:-1].tobytes() == sent[start:stop].tobytes()
            places = np.array(data.draw(st.lists(st.integers(0, max(0, count - 1)), max_size=count)), np.int64)
            assert table.take(places).tobytes() == sent[places].tobytes()


def test_two_hundred_columns_of_many_chunks_are_as_pytables_has_them(tmp_path):
    forms = [(NUMBERS[place % len(NUMBERS)], (place % 3 + 1,) if place % 4 else ()) for place in range(200)]
    with new_file(lambda file: plain(file, forms)) as path:
        with tables.open_file(path, "a") as file, closing(open_table(file, "/rows")) as table:
            sent = some_rows(table.dtype, 1000)
            table.append(sent[:600])
            table.append(sent[600:])
        assert by_pytables(path)[0].tobytes() == sent.tobytes()
        with tables.open_file(path) as file, closing(open_table(file, "/rows")) as table:
            assert table.read(0, 1000).tobytes() == sent.tobytes()


# ---- Tables of other origin


PAIR = (("int32", ()), ("uint16", (2,)))
PADDED = np.dtype([("a", "u1"), ("b", "<f8"), ("c", "<i2")], align=True)
NESTED_PADDED = np.dtype([("n", "u1"), ("inner", PADDED), ("m", "u1")], align=True)


class Nested(tables.IsDescription):
    number = tables.Int32Col(pos=0)

    class inner(tables.IsDescription):  # noqa: N801 - a column's name
        moment = tables.Time64Col(pos=0)


class NestedPlain(tables.IsDescription):
    number = tables.Int32Col(pos=0)

    class inner(tables.IsDescription):  # noqa: N801 - a column's name
        moment = tables.Float64Col(pos=0)


ORIGINS = {
    "plain": lambda file: plain(file, PAIR),
    "big": lambda file: plain(file, PAIR, byteorder="big"),
    "time64": lambda file: plain(file, (("time64", ()), ("int16", ()))),
    "time64 array": lambda file: plain(file, (("int16", ()), ("time64", (3,)))),
    "float64 as time64": lambda file: plain(file, (("float64", ()), ("int16", ()))),
    "padded": lambda file: file.create_table("/", "rows", PADDED, chunkshape=CHUNK),
    "packed": lambda file: file.create_table("/", "rows", np.dtype([("a", "u1"), ("b", "<f8")])),
    "nested": lambda file: file.create_table("/", "rows", NestedPlain, chunkshape=CHUNK),
    "nested time64": lambda file: file.create_table("/", "rows", Nested, chunkshape=CHUNK),
    "nested padded": lambda file: file.create_table("/", "rows", NESTED_PADDED, chunkshape=CHUNK),
    "texts": lambda file: plain(file, (("S5", ()), ("S2", (2,)))),
    "zlib": lambda file: plain(file, PAIR, filters=tables.Filters(5, "zlib", shuffle=True, fletcher32=True)),
    "blosc": lambda file: plain(file, PAIR, filters=tables.Filters(5, "blosc")),
}
CONVERTED = {"big", "time64", "time64 array", "nested time64"}


def values(many):
    """Rows as what can be compared by value, whatever gaps and byte order they have."""
    return repr(many.tolist())


def moments(dtype, count):
    """Rows of values that a table of any origin can hold: times of microseconds."""
    made = np.zeros(count, dtype)
    for place, name in enumerate(dtype.names):
        if dtype[name].names:
            made[name] = moments(dtype[name], count)
        elif dtype[name].base.kind == "S":
            made[name] = b"a%d" % place
        else:
            numbers = np.arange(made[name].size).reshape(made[name].shape)
            made[name] = numbers * 0.5 if dtype[name].base.kind == "f" else numbers % 120
    return made


@pytest.mark.parametrize("origin", ORIGINS)
def test_rows_of_a_table_of_any_origin_are_its_values(origin):
    with new_file(ORIGINS[origin]) as path:
        with tables.open_file(path, "a") as file:
            sent = moments(file.root.rows.dtype, 30)
            file.root.rows.append(sent.copy())  # PyTables converts times in place
        for mode in ("r", "a"):
            with tables.open_file(path, mode) as file, closing(open_table(file, "/rows")) as table:
                assert isinstance(table, ConvertedTable if origin in CONVERTED else NativeTable)
                assert (table.nrows, table.dtype) == (30, sent.dtype)
                assert table.chunk_rows == (CHUNK if origin != "packed" else table.chunk_rows)
                assert values(table.read(3, 29)) == values(sent[3:29])
                room = np.zeros(4, table.dtype)
                table.read(5, 9, out=room)
                assert values(room) == values(sent[5:9])
                places = np.array([29, 0, 13])
                assert values(table.take(places)) == values(sent[places])


@pytest.mark.parametrize("origin", ORIGINS)
def test_rows_are_written_to_a_table_of_any_origin(origin):
    with new_file(ORIGINS[origin]) as path:
        for first in (0, 20):
            with tables.open_file(path, "a") as file, closing(open_table(file, "/rows")) as table:
                sent = moments(table.dtype, 40)
                table.append(sent[first : first + 20])
                table.modify(2, sent[7:9])
                assert table.nrows == first + 20
        found, told = by_pytables(path)
    sent[2:4] = sent[7:9].copy()
    assert values(found) == values(sent)
    assert told == 40


@pytest.mark.parametrize("order", [1, -1])
def test_tables_that_look_alike_are_told_apart_whichever_was_met_first(order):
    with tempfile.TemporaryDirectory() as directory:
        expected = {}
        for place, origin in enumerate(ORIGINS):
            with tables.open_file(Path(directory) / f"{place}.h5", "w") as file:
                table = ORIGINS[origin](file)
                table.append(moments(table.dtype, 9))
                expected[f"{place}.h5"] = values(table.read())
        for name in list(expected)[::order] * 2:
            with tables.open_file(Path(directory) / name) as file, closing(open_table(file, "/rows")) as table:
                assert values(table.read(0, 9)) == expected[name]


def test_a_table_is_asked_of_pytables_once_for_each_type_of_row(monkeypatch):
    with new_file(plain) as path, tables.open_file(path) as file:
        open_table(file, "/rows").close()
        monkeypatch.delattr(tables.File, "get_node")
        with closing(open_table(file, "/rows")) as table:
            assert isinstance(table, NativeTable)


def test_what_is_no_table_gives_none(tmp_path):
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        file.create_array("/", "array", np.arange(5))
        file.create_carray("/", "chunked", obj=np.zeros((4, 4), "<i4"))
        file.create_group("/", "group")
        for path in ("/array", "/chunked"):
            assert open_if_table(file, path) is None
            with pytest.raises(tables.NodeError, match=f"{path} is not a table"):
                open_table(file, path)
        for path in ("/group", "/absent", "/group/absent", "/absent/rows"):
            with pytest.raises(tables.HDF5ExtError):
                open_table(file, path)
        assert link_exists(file, "/group")
        assert link_exists(file, "array")
        assert not any(link_exists(file, path) for path in ("/absent", "/absent/rows", "/group/absent"))


def test_rows_and_values_of_two_dimensions_are_refused(tmp_path):
    """PyTables makes none such; it opens them and cannot read them."""
    hdf5 = ctypes.PyDLL(hdf5extension.__file__)
    for name in ("H5Dcreate2", "H5Pcreate", "H5Screate_simple"):
        getattr(hdf5, name).restype = ctypes.c_int64
    hdf5.H5Dcreate2.argtypes = [ctypes.c_int64, ctypes.c_char_p, *[ctypes.c_int64] * 5]
    kind = ctypes.c_int64.in_dll(hdf5, "H5P_CLS_DATASET_CREATE_ID_g")
    size = (ctypes.c_uint64 * 2)(3, 3)
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        plain(file, PAIR).close()
        file.create_vlarray("/", "values", tables.VLStringAtom()).close()
        for opener, path in ((open_table, "/rows"), (open_vlen_array, "/values")):
            properties, space = hdf5.H5Pcreate(kind), hdf5.H5Screate_simple(2, size, None)
            hdf5.H5Pset_chunk(ctypes.c_int64(properties), 2, size)
            with closing(opener(file, path)) as node:
                square = f"{path}_square".encode()
                made = hdf5.H5Dcreate2(int(file.root._v_objectid), square, node.datatype, space, 0, properties, 0)
            assert min(made, space, properties) > 0
            for function, opened in (("H5Dclose", made), ("H5Sclose", space), ("H5Pclose", properties)):
                getattr(hdf5, function)(ctypes.c_int64(opened))
            with pytest.raises(tables.HDF5ExtError):
                opener(file, f"{path}_square")


# ---- What cannot be


@pytest.fixture
def ten(tmp_path):
    """Path of a file with ten rows."""
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        table = plain(file, PAIR)
        table.append(moments(table.dtype, 10))
    return tmp_path / "day.h5"


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (0, 11), (10, 11), (5, 4), (2**63, 2**63), (-3, -1)])
def test_reading_outside_the_rows_is_refused(ten, start, stop):
    with tables.open_file(ten) as file, closing(open_table(file, "/rows")) as table:
        with pytest.raises(IndexError):
            table.read(start, stop)
        assert table.read(10, 10).shape == (0,)


@pytest.mark.parametrize("places", [[10], [-1], [0, 2**40], [0, -(2**63)]])
def test_taking_rows_that_are_not_there_is_refused(ten, places):
    with tables.open_file(ten) as file, closing(open_table(file, "/rows")) as table, pytest.raises(IndexError):
        table.take(np.array(places))


def test_rows_are_read_into_room_that_fits_and_no_other(ten):
    with tables.open_file(ten) as file, closing(open_table(file, "/rows")) as table:
        constant = np.zeros(4, table.dtype)
        constant.flags.writeable = False
        for room in (
            np.zeros(3, table.dtype),
            np.zeros(8, table.dtype)[::2],
            np.zeros((4, 2), table.dtype),
            np.zeros(4, table.dtype.newbyteorder()),
            np.zeros(4, f"V{table.dtype.itemsize}"),
            constant,
        ):
            before = room.tobytes()
            with pytest.raises(ValueError, match="/rows needs room for 4 rows"):
                table.read(2, 6, out=room)
            assert room.tobytes() == before


def test_rows_that_do_not_fit_are_refused_and_change_nothing(ten):
    before = by_pytables(ten)
    with tables.open_file(ten, "a") as file, closing(open_table(file, "/rows")) as table:
        for wrong in (np.zeros(2, "<i4"), np.zeros(2, table.dtype.newbyteorder()), np.zeros((1, 2), table.dtype)):
            for write in (table.append, lambda rows: table.modify(0, rows)):
                with pytest.raises(ValueError, match="/rows"):
                    write(wrong)
        for start in (-1, 9, 11, 2**63):
            with pytest.raises(ValueError, match="/rows"):
                table.modify(start, np.zeros(2, table.dtype))
        assert table.nrows == 10
    found, told = by_pytables(ten)
    assert (found.tobytes(), told) == (before[0].tobytes(), before[1])


def test_rows_that_are_not_contiguous_are_written_as_they_are(ten):
    with tables.open_file(ten, "a") as file, closing(open_table(file, "/rows")) as table:
        sent = moments(table.dtype, 20)
        table.modify(0, sent[18::-2])
        table.append(sent[::4])
    assert values(by_pytables(ten)[0]) == values(np.concatenate([sent[18::-2], sent[::4]]))


def test_a_file_open_for_reading_refuses_to_be_written(ten):
    before = ten.read_bytes()
    with tables.open_file(ten) as file, closing(open_table(file, "/rows")) as table:
        for write in (table.append, lambda rows: table.modify(0, rows)):
            with pytest.raises(tables.HDF5ExtError):
                write(np.zeros(2, table.dtype))
        assert table.nrows == 10
        assert len(table.read(0, 10)) == 10
    assert ten.read_bytes() == before


@pytest.mark.parametrize("kind", ["int32", "uint8", None])
def test_another_kind_of_row_count_does_not_stop_writing(ten, kind):
    """Of other programs a table may tell no number of rows, or one of another size."""
    with tables.open_file(ten, "a") as file:
        del file.root.rows.attrs.NROWS
        if kind is not None:
            file.root.rows.attrs.NROWS = np.dtype(kind).type(10)
    with tables.open_file(ten, "a") as file, closing(open_table(file, "/rows")) as table:
        table.append(np.zeros(3, table.dtype))
    with tables.open_file(ten) as file:
        assert file.root.rows.nrows == 13
