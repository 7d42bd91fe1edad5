"""Values of variable length: whichever way they are moved, file and values are the same."""

from __future__ import annotations

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

from dayfile.stores import vlen
from dayfile.stores.vlen import append_values, read_values

ODD = [b"", b"a", b"\0", b"a\0", bytes(range(256)), b"x" * 70_000, b""]


@pytest.fixture(params=["library", "PyTables"])
def way(request, monkeypatch):
    if request.param == "PyTables":
        monkeypatch.setattr(vlen, "library", lambda: None)
    return request.param


def test_the_library_of_this_pytables_can_be_called():
    assert vlen.library() is not None


def test_either_way_stores_what_pytables_reads(tmp_path, way):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        array = file.create_vlarray("/", "blobs", tables.VLStringAtom())
        append_values(array, ODD[:3])
        append_values(array, [])
        append_values(array, ODD[3:])
        assert array.nrows == len(ODD)
        append_values(array, [b""])
    with tables.open_file(tmp_path / "blobs.h5") as file:
        assert file.root.blobs.read() == [*ODD, b""]
        assert file.root.blobs[5] == b"x" * 70_000


def test_either_way_reads_what_pytables_stored(tmp_path, way):
    with tables.open_file(tmp_path / "blobs.h5", "w", filters=tables.Filters(complevel=1, complib="zlib")) as file:
        array = file.create_vlarray("/", "blobs", tables.VLStringAtom())
        for value in ODD:
            array.append(value)
    with tables.open_file(tmp_path / "blobs.h5") as file:
        array = file.root.blobs
        for start in range(len(ODD) + 1):
            for stop in range(len(ODD) + 1):
                assert read_values(array, start, stop) == ODD[start:stop]


@given(st.lists(st.lists(st.binary(max_size=40), max_size=6), max_size=6))
def test_both_ways_make_files_of_the_same_values(parts):
    found = []
    for append in (append_values, lambda array, values: [array.append(value) for value in values]):
        with tables.open_file("blobs.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0) as file:
            array = file.create_vlarray("/", "blobs", tables.VLStringAtom())
            for part in parts:
                append(array, part)
            found.append((array.read(), read_values(array, 0, int(array.nrows)), file.get_filesize()))
    assert found[0] == found[1]
    assert found[0][0] == found[0][1] == [value for part in parts for value in part]


def test_a_megabyte_of_many_values_comes_back(tmp_path):
    sizes = np.random.default_rng(1).integers(0, 900, 5000)
    values = [bytes([size % 256]) * size for size in sizes.tolist()]
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        array = file.create_vlarray("/", "blobs", tables.VLStringAtom())
        append_values(array, values)
        assert read_values(array, 0, 5000) == values
        assert read_values(array, 4000, 4001) == values[4000:4001]


def test_an_array_of_a_file_open_for_reading_takes_nothing(tmp_path, way):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
    with tables.open_file(tmp_path / "blobs.h5") as file, pytest.raises(tables.FileModeError):
        append_values(file.root.blobs, [b"x"])
    with tables.open_file(tmp_path / "blobs.h5") as file:
        assert file.root.blobs.nrows == 0


def test_what_the_library_refuses_is_told(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        array = file.create_vlarray("/", "blobs", tables.VLStringAtom())
        append_values(array, [b"a", b"b"])
        with pytest.raises(tables.HDF5ExtError, match="failed"):
            read_values(array, 1, 5)
        assert read_values(array, 0, 2) == [b"a", b"b"]


def test_other_arrays_go_the_way_of_pytables(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        array = file.create_vlarray("/", "numbers", tables.Int32Atom())
        array.append([1, 2, 3])
        assert read_values(array, 0, 1) == [np.array([1, 2, 3], "<i4").tobytes()]


def test_bytes_are_read_whether_or_not_the_file_says_that_they_are_a_text(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        append_values(file.create_vlarray("/", "blobs", tables.VLStringAtom()), ODD)
    with tables.open_file(tmp_path / "blobs.h5", pytables_sys_attrs=False) as file:
        assert read_values(file.root.blobs, 0, len(ODD)) == ODD
