"""Values of variable length: what the library stores PyTables reads, and the other way round."""

from __future__ import annotations

import resource
import sys
from contextlib import closing
from ctypes.util import find_library

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import hdf5extension

from dayfile.errors import InstallationError, StorageError
from dayfile.hdf5 import library
from dayfile.hdf5.rows import open_if_table
from dayfile.hdf5.vlen import open_if_vlen_array, open_vlen_array

ODD = [b"", b"a", b"\0", b"a\0", bytes(range(256)), b"x" * 70_000, b""]
PARTS = st.lists(st.lists(st.binary(max_size=40), max_size=6), max_size=6)


@pytest.fixture(autouse=True)
def nothing_left_open(left_open):
    pass


def in_memory():
    return tables.open_file("blobs.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0)


def test_the_library_of_this_pytables_can_be_called():
    assert library.load_library() is not None


def test_what_is_appended_is_what_pytables_reads(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
        with closing(open_vlen_array(file, "/blobs")) as array:
            array.append(ODD[:3])
            array.append([])
            array.append(ODD[3:])
            assert array.nrows == len(ODD)
            array.append([b""])
    with tables.open_file(tmp_path / "blobs.h5") as file:
        assert file.root.blobs.read() == [*ODD, b""]
        assert file.root.blobs[5] == b"x" * 70_000


def test_what_pytables_stored_is_read(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w", filters=tables.Filters(complevel=1, complib="zlib")) as file:
        array = file.create_vlarray("/", "blobs", tables.VLStringAtom())
        for value in ODD:
            array.append(value)
    with tables.open_file(tmp_path / "blobs.h5") as file, closing(open_vlen_array(file, "/blobs")) as array:
        assert array.nrows == len(ODD)
        for start in range(len(ODD) + 1):
            for stop in range(len(ODD) + 1):
                assert array.read(start, stop) == ODD[start:stop]


@settings(deadline=None)
@given(PARTS)
def test_pytables_and_the_library_make_files_of_the_same_values(parts):
    with in_memory() as file:
        theirs = file.create_vlarray("/", "blobs", tables.VLStringAtom())
        for value in [value for part in parts for value in part]:
            theirs.append(value)
        theirs.close()
        file.flush()
        size = file.get_filesize()
    with in_memory() as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom()).close()
        with closing(open_vlen_array(file, "/blobs")) as ours:
            for part in parts:
                ours.append(part)
            found = ours.read(0, ours.nrows)
        file.flush()
        assert file.get_filesize() == size
        assert found == file.root.blobs.read() == [value for part in parts for value in part]


def test_a_megabyte_of_many_values_comes_back(tmp_path):
    sizes = np.random.default_rng(1).integers(0, 900, 5000)
    values = [bytes([size % 256]) * size for size in sizes.tolist()]
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
        with closing(open_vlen_array(file, "/blobs")) as array:
            array.append(values)
            assert array.read(0, 5000) == values
            assert array.read(4000, 4001) == values[4000:4001]


def test_reading_gives_back_the_memory_that_the_library_took(tmp_path):
    """Two hundred megabytes are read over and over, a megabyte at a time."""
    megabyte = [b"x" * 1000] * 1000
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
        with closing(open_vlen_array(file, "/blobs")) as array:
            array.append(megabyte)
            for _ in range(5):
                array.read(0, 1000)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            for _ in range(200):
                array.read(0, 1000)
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 50e6


def test_an_array_of_a_file_open_for_reading_takes_nothing(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
    with tables.open_file(tmp_path / "blobs.h5") as file, closing(open_vlen_array(file, "/blobs")) as array:
        with pytest.raises(tables.HDF5ExtError):
            array.append([b"x"])
        assert array.nrows == 0
    with tables.open_file(tmp_path / "blobs.h5") as file:
        assert file.root.blobs.nrows == 0


def test_values_beyond_the_last_are_refused(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
        with closing(open_vlen_array(file, "/blobs")) as array:
            array.append([b"a", b"b"])
            with pytest.raises(tables.HDF5ExtError, match="failed"):
                array.read(1, 5)
            assert array.read(0, 2) == [b"a", b"b"]


@pytest.mark.parametrize("dtype", ["int32", "float64", "uint8"])
def test_values_of_numbers_are_read_as_their_bytes(tmp_path, dtype):
    numbers = [np.array(part, dtype) for part in ([1, 2, 3], [], [250])]
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        array = file.create_vlarray("/", "numbers", tables.Atom.from_dtype(np.dtype(dtype)))
        for part in numbers[:2]:
            array.append(part)
        array.close()
        with closing(open_vlen_array(file, "/numbers")) as opened:
            opened.append([numbers[2].tobytes()])
            assert opened.read(0, 3) == [part.tobytes() for part in numbers]
    with tables.open_file(tmp_path / "blobs.h5") as file:
        assert [part.tolist() for part in file.root.numbers.read()] == [part.tolist() for part in numbers]


def test_bytes_are_read_whether_or_not_the_file_says_that_they_are_a_text(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
        with closing(open_vlen_array(file, "/blobs")) as array:
            array.append(ODD)
    plain = tables.open_file(tmp_path / "blobs.h5", pytables_sys_attrs=False)
    with plain as file, closing(open_vlen_array(file, "/blobs")) as array:
        assert array.read(0, len(ODD)) == ODD


def test_what_is_no_array_of_values_gives_none(tmp_path):
    with tables.open_file(tmp_path / "blobs.h5", "w") as file:
        file.create_array("/", "plain", np.arange(5))
        file.create_table("/", "table", {"number": tables.Int32Col()})
        file.create_vlarray("/", "texts", tables.StringAtom(5))
        file.create_vlarray("/", "pairs", tables.Int32Atom(shape=(2,)))
        for path in ("/plain", "/table", "/texts", "/pairs"):
            assert open_if_vlen_array(file, path) is None
            with pytest.raises(tables.NodeError, match=f"{path} is not an array"):
                open_vlen_array(file, path)
        for path in ("/plain", "/texts", "/pairs"):
            assert open_if_table(file, path) is None
        with pytest.raises(tables.HDF5ExtError):
            open_if_vlen_array(file, "/absent")


def test_a_library_that_cannot_be_called_is_a_fault_of_the_installation_and_no_source_pays(archive, hits, monkeypatch):
    archive.drop("MuonHit.be.bin", hits(1))
    library.load_library.cache_clear()
    monkeypatch.setattr(hdf5extension, "__file__", find_library("c"))  # one in which its functions are not found
    with pytest.raises(InstallationError, match=r"this PyTables cannot be called .*install") as caught:
        archive.run()
    assert not isinstance(caught.value, StorageError)
    assert archive.files(archive.root.incoming) == ["MuonHit.be.bin"]
    monkeypatch.undo()
    library.load_library.cache_clear()
    assert archive.run().sources["archived"] == 1
