"""Datasets of one dimension: their extent, their chunks, and hyperslabs of them read and written in one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.hdf5.library import DEFAULT, call, close_on_exit, to_hsize
from dayfile.hdf5.links import get_root_id
from dayfile.hdf5.readonly import OpenFile

__all__ = [
    "get_chunk_length",
    "get_extent",
    "open_dataset",
    "read_elements",
    "read_hyperslab",
    "select_hyperslab",
    "set_extent",
    "write_hyperslab",
]

MAX_RANK = 32
"""``H5S_MAX_RANK``: no dataset has more."""


def open_dataset(file: OpenFile, path: str) -> int:
    """Open the dataset at a path of an open file, and return the library's identifier of it."""
    return call("H5Dopen2", get_root_id(file), path.encode(), DEFAULT)


def get_extent(dataset: int) -> int:
    """Return how many elements an open dataset has.

    Raises
    ------
    tables.HDF5ExtError
        It has more dimensions than one.
    """
    extent = to_hsize(*[0] * MAX_RANK)
    with close_on_exit("H5Sclose", call("H5Dget_space", dataset)) as space:
        if call("H5Sget_simple_extent_dims", space, extent, None) > 1:
            raise tables.HDF5ExtError("rows and values are of one dimension")
    return int(extent[0])


def set_extent(dataset: int, count: int) -> None:
    """Give an open dataset a number of elements."""
    call("H5Dset_extent", dataset, to_hsize(count))


def get_chunk_length(dataset: int) -> int:
    """Return how many elements are stored together."""
    length = to_hsize(0)
    with close_on_exit("H5Pclose", call("H5Dget_create_plist", dataset)) as properties:
        call("H5Pget_chunk", properties, 1, length)
    return int(length[0])


@contextmanager
def select_hyperslab(dataset: int, first: int, count: int) -> Iterator[tuple[int, int]]:
    """Select elements of an open dataset: the dataspace of as many in memory, and that of the dataset."""
    with (
        close_on_exit("H5Sclose", call("H5Screate_simple", 1, to_hsize(count), None)) as memory,
        close_on_exit("H5Sclose", call("H5Dget_space", dataset)) as space,
    ):
        call("H5Sselect_hyperslab", space, DEFAULT, to_hsize(first), None, to_hsize(count), None)
        yield memory, space


def read_hyperslab(dataset: int, datatype: int, first: int, out: npt.NDArray[Any]) -> None:
    """Read elements from ``first`` on into a contiguous array, as many as it has."""
    with select_hyperslab(dataset, first, len(out)) as (memory, space):
        call("H5Dread", dataset, datatype, memory, space, DEFAULT, out.ctypes.data)


def write_hyperslab(dataset: int, datatype: int, first: int, elements: npt.NDArray[Any]) -> None:
    """Write a contiguous array in place of the elements from ``first`` on."""
    with select_hyperslab(dataset, first, len(elements)) as (memory, space):
        call("H5Dwrite", dataset, datatype, memory, space, DEFAULT, elements.ctypes.data)


def read_elements(dataset: int, datatype: int, indexes: npt.NDArray[np.uint64], out: npt.NDArray[Any]) -> None:
    """Read elements by their indexes, a contiguous array, into a contiguous array of the same length."""
    with (
        close_on_exit("H5Sclose", call("H5Dget_space", dataset)) as space,
        close_on_exit("H5Sclose", call("H5Screate_simple", 1, to_hsize(len(indexes)), None)) as memory,
    ):
        call("H5Sselect_elements", space, DEFAULT, len(indexes), indexes.ctypes.data)
        call("H5Dread", dataset, datatype, memory, space, DEFAULT, out.ctypes.data)
