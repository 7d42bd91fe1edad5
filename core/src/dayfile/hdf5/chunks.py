"""Chunks of a dataset as they are in the file, so that single fields of rows are read without the library's copies.

The library reads a field of a compound type by converting whole rows. In a dataset without filters, rows are in the
file byte for byte as in memory: so chunks are read directly, and of each row only the bytes of the fields are copied.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import tables

from dayfile.hdf5.library import call, close_on_exit, to_hsize

__all__ = ["Extent", "copy_fields", "list_extents", "read_extents"]

BUFFER_BYTES = 2**20
"""Bytes that are read from the file at once; more would not stay in the processor's cache."""
UNDEFINED = 2**64 - 1
"""``HADDR_UNDEF``: the address of what is not in the file."""


@dataclass(frozen=True)
class Extent:
    """Consecutive rows of a dataset that are consecutive in the file.

    Parameters
    ----------
    first, stop : int
        The rows, from ``first`` up to, not including, ``stop``.
    offset : int
        Where they begin in the file, in bytes.
    """

    first: int
    stop: int
    offset: int


def list_extents(dataset: int, itemsize: int, length: int) -> list[Extent] | None:
    """List where the rows of an open dataset are in the file; None if they are not there as they are in memory.

    Parameters
    ----------
    dataset : int
        The library's identifier; one dimension, in chunks.
    itemsize : int
        Bytes of a row.
    length : int
        Number of rows.

    Returns
    -------
    list of Extent, or None
        In order; rows that are in none were never written, and are zeros. None for a dataset with filters.
    """
    with close_on_exit("H5Pclose", call("H5Dget_create_plist", dataset)) as properties:
        if call("H5Pget_nfilters", properties):
            return None
    count, first, address, size = to_hsize(0), to_hsize(0), to_hsize(0), to_hsize(0)
    mask = ctypes.c_uint(0)
    extents: list[Extent] = []
    with close_on_exit("H5Sclose", call("H5Dget_space", dataset)) as space:
        call("H5Dget_num_chunks", dataset, space, count)
        for number in range(count[0]):
            call("H5Dget_chunk_info", dataset, space, number, first, ctypes.byref(mask), address, size)
            if address[0] == UNDEFINED:
                continue
            start, stop = first[0], min(first[0] + size[0] // itemsize, length)
            last = extents[-1] if extents else None
            if last and last.stop == start and last.offset + (last.stop - last.first) * itemsize == address[0]:
                extents[-1] = Extent(last.first, stop, last.offset)
            elif start < stop:
                extents.append(Extent(start, stop, address[0]))
    return sorted(extents, key=lambda extent: extent.first)


def copy_fields(rows: npt.NDArray[np.void], out: npt.NDArray[np.void]) -> None:
    """Copy the fields that ``out`` has from rows, both of shape (n,)."""
    for name in out.dtype.names or ():
        out[name] = rows[name]


def read_extents(
    descriptor: int, extents: list[Extent], start: int, out: npt.NDArray[np.void], rows: np.dtype[np.void]
) -> None:
    """Read fields of rows from the file.

    Parameters
    ----------
    descriptor : int
        Of the open file.
    extents : list of Extent
        Where the rows are.
    start : int
        The first row.
    out : structured array, shape (n,)
        Where the fields of n rows go; fields of rows that were never written become zeros.
    rows : numpy.dtype
        The rows in the file, with these fields at their offsets.

    Raises
    ------
    tables.HDF5ExtError
        The file ends before the rows do.
    """
    stop, filled = start + len(out), 0
    buffer = bytearray(min(BUFFER_BYTES, len(out) * rows.itemsize) // rows.itemsize * rows.itemsize or rows.itemsize)
    step = len(buffer) // rows.itemsize
    for extent in extents:
        first, end = max(extent.first, start), min(extent.stop, stop)
        if first >= end:
            continue
        out[filled : first - start] = np.zeros((), out.dtype)
        for row in range(first, end, step):
            count = min(step, end - row)
            view = memoryview(buffer)[: count * rows.itemsize]
            if os.preadv(descriptor, [view], extent.offset + (row - extent.first) * rows.itemsize) != len(view):
                raise tables.HDF5ExtError("the file ends before the rows of a chunk do")
            copy_fields(np.frombuffer(view, rows), out[row - start : row - start + count])
        filled = end - start
    out[filled:] = np.zeros((), out.dtype)
