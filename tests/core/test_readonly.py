"""Files opened for reading by the library alone: what they hold is what PyTables finds in them."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress

import h5py
import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import create_archive, open_archive
from dayfile.archive.alone import reading_alone
from dayfile.hdf5 import chunks
from dayfile.hdf5.chunks import begins_with_superblock
from dayfile.hdf5.datasets import open_dataset
from dayfile.hdf5.groups import MOST_LEVELS, find_leaves
from dayfile.hdf5.library import close_on_exit
from dayfile.hdf5.readonly import ReadOnlyFile, open_read_only
from dayfile.hdf5.rows import open_table

ROWS = np.dtype([("second", "<u4"), ("counts", "<u2", 3), ("name", "S5")])
LEDGER = "ledger"


@pytest.fixture(autouse=True)
def nothing_left(left_open):
    """What was opened was closed."""


def make_rows(count):
    rows = np.zeros(count, ROWS)
    rows["second"] = np.arange(count)
    rows["counts"] = np.arange(3 * count).reshape(count, 3)
    rows["name"] = [b"r%d" % number for number in range(count)]
    return rows


def make_file(path, rows=None, **more):
    """A file with a table at ``/of/rows``, in chunks of 16 rows."""
    with tables.open_file(path, "w", **more) as file:
        table = file.create_table("/of", "rows", ROWS, createparents=True, chunkshape=16)
        table.append(make_rows(100) if rows is None else rows)
    return path


def test_the_tables_of_a_file_are_those_that_pytables_finds(tmp_path):
    with tables.open_file(tmp_path / "file.h5", "w") as file:
        for name in ("/b/two", "/a/one", "/a/deep/est", "/top", f"/{LEDGER}/kept", "/b/two_2"):
            group, _, leaf = name.rpartition("/")
            file.create_array(group or "/", leaf, [1], createparents=True)
        file.create_group("/", "empty")
        file.create_soft_link("/a", "soft", "/b/two")
        file.create_external_link("/a", "elsewhere", "other.h5:/x")
        table = file.create_table("/", "indexed", ROWS)
        table.append(make_rows(50))
        table.cols.second.create_index()
    with open_read_only(tmp_path / "file.h5") as file:
        found = list(find_leaves(file, without=LEDGER))
    assert found == ["/indexed", "/top", "/a/one", "/a/deep/est", "/b/two", "/b/two_2"]
    with tables.open_file(tmp_path / "file.h5") as file:
        assert found == list(find_leaves(file, without=LEDGER))
        seen = {node._v_pathname for node in file.walk_nodes("/", "Leaf") if LEDGER not in node._v_pathname}
    assert seen == set(found)


def test_groups_in_a_circle_are_refused(tmp_path):
    with tables.open_file(tmp_path / "file.h5", "w") as file:
        file.create_hard_link(file.create_group("/", "round"), "again", "/round")
    with (
        open_read_only(tmp_path / "file.h5") as file,
        pytest.raises(tables.HDF5ExtError, match=f"more than {MOST_LEVELS}"),
    ):
        list(find_leaves(file, without=LEDGER))


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(0, 100))
def test_any_rows_and_fields_are_read_as_they_are(tmp_path_factory, data, count):
    path = make_file(tmp_path_factory.mktemp("file") / "file.h5", make_rows(count))
    start = data.draw(st.integers(0, count))
    stop = data.draw(st.integers(start, count))
    names = data.draw(st.lists(st.sampled_from(ROWS.names), unique=True, min_size=1))
    with open_read_only(path) as file, closing(open_table(file, "/of/rows")) as table:
        assert table.placed is not None
        assert table.read(start, stop).tobytes() == make_rows(count)[start:stop].tobytes()
        found = table.read_fields(start, stop, names)
    assert found.dtype.names == tuple(names)
    for name in names:
        assert (found[name] == make_rows(count)[start:stop][name]).all()


@pytest.mark.parametrize("more", [{"user_block_size": 512}, {"filters": tables.Filters(1)}], ids=["block", "filters"])
def test_rows_that_are_not_in_the_file_as_they_are_in_memory_are_read_by_the_library(tmp_path, more):
    path = make_file(tmp_path / "file.h5", **more)
    with open_read_only(path) as file, closing(open_table(file, "/of/rows")) as table:
        assert begins_with_superblock(file.fileno()) == ("filters" in more)
        assert table.placed is None
        assert table.read(0, 100).tobytes() == make_rows(100).tobytes()
        assert (table.read_fields(3, 40, ["second"])["second"] == np.arange(3, 40)).all()


def test_a_table_of_very_many_chunks_is_read_as_it_is(tmp_path):
    rows = make_rows(16 * 20_000)
    path = make_file(tmp_path / "file.h5", rows)
    with open_read_only(path) as file, closing(open_table(file, "/of/rows")) as table:
        assert len(table.placed.extents) < 20_000  # those that follow each other are read at once
        assert table.read(0, len(rows)).tobytes() == rows.tobytes()
        assert (table.read_fields(5, len(rows), ["second"])["second"] == rows["second"][5:]).all()


def test_where_the_library_cannot_list_chunks_it_reads_them(tmp_path, monkeypatch):
    """As versions before 1.14, which some systems have."""
    path = make_file(tmp_path / "file.h5")
    monkeypatch.setattr(chunks, "has_function", lambda _: False)
    with open_read_only(path) as file, closing(open_table(file, "/of/rows")) as table:
        assert table.placed is None
        assert table.read(0, 100).tobytes() == make_rows(100).tobytes()


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("most", [1000, None], ids=["fixed", "growing"])
def test_single_chunks_anywhere_are_found_in_every_index(tmp_path, version, most):
    """The library has several indexes of chunks; some list all of them, with those that do not exist."""
    for size in (1, 16, 64):
        path = tmp_path / f"{size}.h5"
        with h5py.File(path, "w", libver=version) as file:
            dataset = file.create_dataset("rows", (1000,), "i8", chunks=(size,), maxshape=(most,))
            dataset[3 * size : 5 * size] = np.arange(2 * size)
            dataset[700:701] = 7
            expected = dataset[:]
        with tables.open_file(path) as file, close_on_exit("H5Dclose", open_dataset(file, "/rows")) as dataset:
            extents = chunks.list_extents(dataset, 8, 1000)
        found = np.zeros(1000, "i8")
        content = path.read_bytes()
        for extent in extents:
            count = extent.stop - extent.first
            found[extent.first : extent.stop] = np.frombuffer(content, "i8", count, extent.offset)
        assert (found == expected).all()


def test_rows_that_were_never_written_are_zeros(tmp_path):
    with tables.open_file(tmp_path / "file.h5", "w") as file:
        table = file.create_table("/", "rows", ROWS, chunkshape=16)
        table.append(make_rows(20))
        table.truncate(100)
    expected = np.concatenate([make_rows(20), np.zeros(80, ROWS)])
    with open_read_only(tmp_path / "file.h5") as file, closing(open_table(file, "/rows")) as table:
        assert table.read(0, 100).tobytes() == expected.tobytes()
        assert table.read_fields(10, 60, ["counts"])["counts"].tolist() == expected["counts"][10:60].tolist()


@pytest.mark.parametrize("more", [{}, {"chunks": (16,), "fillvalue": make_rows(9)[8]}], ids=["in one piece", "filled"])
@pytest.mark.parametrize("written", [0, 20, 100])
def test_tables_of_other_programs_hold_what_these_find_in_them(tmp_path, more, written):
    """In one piece is how h5py makes datasets; rows that were never written hold the value that it was told."""
    path = make_file(tmp_path / "file.h5")
    with open_read_only(path) as file, closing(open_table(file, "/of/rows")):
        pass  # now the type of the rows is known
    with h5py.File(path, "a") as file:
        attributes = dict(file["/of/rows"].attrs)
        del file["/of/rows"]
        dataset = file.create_dataset("/of/rows", (100,), ROWS, **more)
        dataset.attrs.update(attributes)
        dataset[:written] = make_rows(written)
        expected = dataset[:]
    with open_read_only(path) as file, closing(open_table(file, "/of/rows")) as table:
        assert table.read(0, 100).tobytes() == expected.tobytes()
        assert table.read_fields(10, 60, ["counts"])["counts"].tolist() == expected["counts"][10:60].tolist()


def test_a_file_that_this_process_has_open_for_writing_is_refused_as_pytables_refuses_it(tmp_path):
    path = make_file(tmp_path / "file.h5")
    with tables.open_file(path, "a"), pytest.raises(ValueError, match="already opened"), open_read_only(path):
        pass


def test_nothing_is_printed_in_other_threads(tmp_path, capfd):
    def read(path):
        with suppress(tables.HDF5ExtError), open_read_only(path) as file:
            return list(find_leaves(file, without=LEDGER))

    path = make_file(tmp_path / "file.h5")
    (tmp_path / "other.h5").write_bytes(b"no such thing")
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(read, [path, tmp_path / "other.h5", path])) == [["/of/rows"], None, ["/of/rows"]]
    assert capfd.readouterr() == ("", "")


def test_a_fork_waits_until_other_threads_have_left_the_library():
    """Otherwise the library's own lock stays locked in it, and its first read never ends."""
    inside, left = threading.Event(), threading.Event()

    def read():
        with reading_alone():
            inside.set()
            time.sleep(0.5)
            left.set()

    thread = threading.Thread(target=read)
    thread.start()
    inside.wait()
    child = os.fork()
    if not child:
        os._exit(0 if left.is_set() else 1)
    assert os.waitpid(child, 0)[1] == 0
    thread.join()
    with reading_alone():
        pass


def test_a_file_that_another_program_reads_can_be_read(tmp_path):
    path = make_file(tmp_path / "file.h5")
    with tables.open_file(path) as other, open_read_only(path) as file, closing(open_table(file, "/of/rows")) as table:
        assert isinstance(file, ReadOnlyFile)
        assert table.nrows == other.root.of.rows.nrows == 100


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"no such thing" * 50], ids=["empty", "cut", "other"])
def test_what_is_not_hdf5_is_refused_as_pytables_refuses_it(tmp_path, content):
    path = tmp_path / "file.h5"
    path.write_bytes(content)
    with pytest.raises(tables.HDF5ExtError), open_read_only(path):
        pass
    with pytest.raises(OSError, match="absent"), open_read_only(tmp_path / "absent.h5"):
        pass


def test_chunks_beyond_the_end_of_the_file_are_refused(tmp_path):
    path = make_file(tmp_path / "file.h5")
    with open_read_only(path) as file, closing(open_table(file, "/of/rows")) as table:
        assert table.placed
        os.truncate(path, min(extent.offset for extent in table.placed.extents) + 5)
        with pytest.raises(tables.HDF5ExtError, match="the file ends before"):
            table.read(0, 100)


def test_a_fork_can_ask_the_catalogue_while_other_threads_of_its_parent_do(tmp_path):
    path = create_archive(tmp_path / "archive").root.path
    done = threading.Event()

    def ask():
        while not done.is_set():
            open_archive(path).types()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    ended = []
    for _ in range(20):  # of which some seven never ended
        child = os.fork()
        if not child:
            signal.alarm(60)
            open_archive(path).types()
            os._exit(0)
        ended.append(os.waitpid(child, 0)[1])
    done.set()
    for thread in threads:
        thread.join()
    assert ended == [0] * 20
