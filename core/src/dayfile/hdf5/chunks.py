"""Chunks of a dataset as they are in the file, so that single fields of rows are read without the library's copies.

The library reads a field of a compound type by converting whole rows. In a dataset without filters, rows are in the
file byte for byte as in memory: so chunks are read directly, and of each row only the bytes of the fields are copied.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.hdf5.library import DEFAULT, NOTE_CHUNK, call, close_on_exit, has_function

__all__ = ["Extent", "begins_with_superblock", "copy_fields", "fill_fields", "fill_rows", "list_extents"]

BUFFER_BYTES = 2**20
"""Bytes that are read from the file at once; more would not stay in the processor's cache."""
SIGNATURE = b"\x89HDF\r\n\x1a\n"
CHUNKED, USER_DEFINED = 2, 2
"""``H5D_CHUNKED`` of the layouts, and ``H5D_FILL_VALUE_USER_DEFINED`` of the states of a fill value."""


@dataclass(frozen=True, slots=True)
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
        The library's identifier; one dimension.
    itemsize : int
        Bytes of a row.
    length : int
        Number of rows.

    Returns
    -------
    list of Extent, or None
        In order; rows that are in none were never written, and are zeros. None for a dataset with filters, for one that
        is not in chunks, where the library cannot list them, and where rows that were never written are not zeros.
    """
    with close_on_exit("H5Pclose", call("H5Dget_create_plist", dataset)) as properties:
        if call("H5Pget_layout", properties) != CHUNKED or call("H5Pget_nfilters", properties):
            return None
        extents = list_chunks(dataset, itemsize, length)
        if extents is None:
            return None
        written = sum(extent.stop - extent.first for extent in extents)
        return extents if written == length or is_filled_with_zeros(dataset, properties, itemsize) else None


def is_filled_with_zeros(dataset: int, properties: int, itemsize: int) -> bool:
    """Return whether the rows of a dataset that were never written are zeros: another program may have set a value."""
    defined = ctypes.c_int(0)
    call("H5Pfill_value_defined", properties, ctypes.byref(defined))
    if defined.value != USER_DEFINED:
        return True
    row = ctypes.create_string_buffer(itemsize)
    with close_on_exit("H5Tclose", call("H5Dget_type", dataset)) as datatype:
        call("H5Pget_fill_value", properties, datatype, row)
    return not any(row.raw)


def list_chunks(dataset: int, itemsize: int, length: int) -> list[Extent] | None:
    """List where the chunks of an open dataset are, joined where one follows the other, in order.

    None if the library cannot list them at once, as versions before 1.14, or some of 1.14, do.
    """
    if not has_function("H5Dchunk_iter"):
        return None
    chunks: list[tuple[int, int, int]] = []

    def note(first: Any, _mask: int, address: int, size: int, _given: object) -> int:  # noqa: ANN401 - ctypes has no name
        chunks.append((first[0], size // itemsize, address))
        return 0

    call("H5Dchunk_iter", dataset, DEFAULT, NOTE_CHUNK(note), None)
    extents: list[Extent] = []
    begin = end = offset = 0
    for first, rows, address in sorted(chunks):
        if first % rows:
            return None  # it counts chunks, not rows
        if first != end or offset + (first - begin) * itemsize != address:
            if begin < end:
                extents.append(Extent(begin, min(end, length), offset))
            begin, offset = first, address
        end = first + rows
    if begin < end:
        extents.append(Extent(begin, min(end, length), offset))
    return extents


def begins_with_superblock(descriptor: int) -> bool:
    """Return whether an open file has no user block before its superblock: offsets would not count that."""
    return os.pread(descriptor, len(SIGNATURE), 0) == SIGNATURE


def copy_fields(rows: npt.NDArray[np.void], out: npt.NDArray[np.void]) -> None:
    """Copy the fields that ``out`` has from rows, both of shape (n,)."""
    for name in out.dtype.names or ():
        out[name] = rows[name]


def fill_rows(descriptor: int, extents: list[Extent], start: int, out: npt.NDArray[np.void]) -> None:
    """Read whole rows from the file, straight to where they go.

    Parameters
    ----------
    descriptor, extents, start
        As for :func:`fill_fields`.
    out : structured array, shape (n,)
        Contiguous, in the dtype of the rows in the file; rows that were never written become zeros.

    Raises
    ------
    tables.HDF5ExtError
        The file ends before the rows do.
    """
    content, itemsize = out.view(np.uint8), out.dtype.itemsize
    for first, end, offset in cut_extents(extents, start, start + len(out), itemsize):
        part = content[(first - start) * itemsize : (end - start) * itemsize]
        if offset is None:
            part[:] = 0
        else:
            read_bytes(descriptor, part.data, offset)


def fill_fields(
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
    step = max(1, min(BUFFER_BYTES // rows.itemsize, len(out)))
    buffer = memoryview(bytearray(step * rows.itemsize))
    for first, end, offset in cut_extents(extents, start, start + len(out), rows.itemsize):
        if offset is None:
            out[first - start : end - start] = np.zeros((), out.dtype)
            continue
        for row in range(first, end, step):
            count = min(step, end - row)
            view = buffer[: count * rows.itemsize]
            read_bytes(descriptor, view, offset + (row - first) * rows.itemsize)
            copy_fields(np.frombuffer(view, rows), out[row - start : row - start + count])


def cut_extents(extents: list[Extent], start: int, stop: int, itemsize: int) -> Iterator[tuple[int, int, int | None]]:
    """Cut rows where extents begin and end: yield from and before which row, and the offset, None for no place."""
    done = start
    for extent in extents:
        first, end = max(extent.first, start), min(extent.stop, stop)
        if first >= end:
            continue
        if done < first:
            yield done, first, None
        yield first, end, extent.offset + (first - extent.first) * itemsize
        done = end
    if done < stop:
        yield done, stop, None


def read_bytes(descriptor: int, view: memoryview, offset: int) -> None:
    """Fill memory from the file."""
    while view:
        count = os.preadv(descriptor, [view], offset)
        if not count:
            raise tables.HDF5ExtError("the file ends before the rows of a chunk do")
        view, offset = view[count:], offset + count
