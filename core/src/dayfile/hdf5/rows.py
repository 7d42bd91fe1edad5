"""Tables: datasets of rows, read and written many rows at a time, without PyTables' object for each column."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tables

from dayfile.hdf5.attributes import ROW_COUNT, read_attribute, set_attributes, update_row_count
from dayfile.hdf5.chunks import begins_with_superblock, copy_fields, list_extents
from dayfile.hdf5.datasets import (
    get_chunk_length,
    get_extent,
    open_dataset,
    read_elements,
    read_hyperslab,
    set_extent,
    write_hyperslab,
)
from dayfile.hdf5.datatypes import find_row_dtype
from dayfile.hdf5.library import call, close_on_error
from dayfile.hdf5.placed import PlacedRows, ReadableRows, check_row_room, make_room
from dayfile.hdf5.readonly import OpenFile

__all__ = [
    "ConvertedTable",
    "NativeTable",
    "Table",
    "extend_with_zeros",
    "open_if_table",
    "open_native_table",
    "open_table",
]


class Table(ReadableRows, Protocol):
    """An open table."""

    @property
    def placed(self) -> PlacedRows | None:
        """Return the rows by their places in the file; None if they are not there as they are in memory."""

    @property
    def chunk_rows(self) -> int:
        """Return the number of rows in a chunk."""

    def attributes(self, names: tuple[str, ...]) -> dict[str, str | int]:
        """Return the named attributes that exist and are a text or a whole number."""

    def take(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Read rows by their indexes, shape (n,)."""

    def modify(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Write rows in place of those from ``start`` on."""

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows."""

    def close(self) -> None:
        """Close it; before its file is closed."""


class NativeTable:
    """A table whose rows in the file are byte for byte those of NumPy, as in all tables that dayfile makes.

    Parameters
    ----------
    file : tables.File or ReadOnlyFile
        The open file that it is in.
    dataset, datatype : int
        The library's identifiers of the open table and of its datatype, which are closed by :meth:`close`.
    path : str
        Path in the day file.
    dtype : numpy.dtype
        Of its rows.
    """

    def __init__(self, file: OpenFile, dataset: int, datatype: int, path: str, dtype: np.dtype[np.void]) -> None:
        self.file = file
        self.dataset = dataset
        self.datatype = datatype
        self.path = path
        self.dtype = dtype
        self._nrows = get_extent(dataset)

    @property
    def nrows(self) -> int:
        """Return the number of rows."""
        return self._nrows

    @cached_property
    def chunk_rows(self) -> int:
        """Return the number of rows in a chunk."""
        return get_chunk_length(self.dataset)

    def attributes(self, names: tuple[str, ...]) -> dict[str, str | int]:
        """Return the named attributes that exist and are a text or a whole number."""
        found = ((name, read_attribute(self.dataset, name)) for name in names)
        return {name: value for name, value in found if value is not None}

    def read(self, start: int, stop: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Read rows from ``start`` up to, not including, ``stop``; into ``out`` if given, which has as many rows."""
        if self.placed is not None:
            return self.placed.read(start, stop, out)
        found = check_row_room(self, start, stop, out)
        if stop > start:
            read_hyperslab(self.dataset, self.datatype, start, found)
        return found

    @cached_property
    def placed(self) -> PlacedRows | None:
        """Return the rows by their places in the file; None if they are not there as they are in memory."""
        if self.file.mode != "r" or not begins_with_superblock(self.file.fileno()):
            return None  # rows may wait in memory
        extents = list_extents(self.dataset, self.dtype.itemsize, self.nrows)
        return None if extents is None else PlacedRows(self.file.fileno(), self.path, self.dtype, self.nrows, extents)

    def read_fields(self, start: int, stop: int, names: Sequence[str]) -> npt.NDArray[Any]:
        """Read named fields of rows from ``start`` up to, not including, ``stop``, without gaps."""
        if self.placed is not None:
            return self.placed.read_fields(start, stop, names)
        found = make_room(self.dtype, names, stop - start)
        copy_fields(self.read(start, stop), found)
        return found

    def take(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Read rows by their indexes, shape (n,)."""
        wanted = np.ascontiguousarray(places, np.uint64)
        found = np.empty(len(wanted), self.dtype)
        if not len(wanted):
            return found
        if int(wanted.max()) >= self.nrows:
            raise IndexError(f"{self.path} has no row {wanted.max()}, only {self.nrows}")
        read_elements(self.dataset, self.datatype, wanted, found)
        return found

    def modify(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Write rows in place of those from ``start`` on."""
        self._check(rows)
        if start < 0 or start + len(rows) > self.nrows:
            raise ValueError(f"this does not fit {self.path} (rows: {len(rows)}) from row {start} on, of {self.nrows}")
        if len(rows):
            write_hyperslab(self.dataset, self.datatype, start, np.ascontiguousarray(rows))

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows."""
        self._check(rows)
        if not len(rows):
            return  # HDF5 would note the time of a change
        first = self.nrows
        set_extent(self.dataset, first + len(rows))
        self._nrows = first + len(rows)
        self.modify(first, rows)
        update_row_count(self.dataset, self._nrows)

    def _check(self, rows: npt.NDArray[Any]) -> None:
        """Raise ValueError if rows are not in the stored dtype."""
        if rows.dtype != self.dtype or rows.ndim != 1:
            raise ValueError(f"an array of {rows.dtype}, shape {rows.shape}, does not fit the rows of {self.path}")

    def close(self) -> None:
        """Close it; before its file is closed."""
        call("H5Tclose", self.datatype)
        call("H5Dclose", self.dataset)


class ConvertedTable:
    """A foreign table, whose rows PyTables has to convert: of another byte order, or with gaps.

    Parameters
    ----------
    table : tables.Table
        Open.
    """

    def __init__(self, table: tables.Table) -> None:
        self.table = table
        self.path = str(table._v_pathname)
        self.dtype = table.dtype
        self.placed = None

    @property
    def nrows(self) -> int:
        """Return the number of rows."""
        return int(self.table.nrows)

    @property
    def chunk_rows(self) -> int:
        """Return the number of rows in a chunk."""
        return int(self.table.chunkshape[0])

    def attributes(self, names: tuple[str, ...]) -> dict[str, str | int]:
        """Return the named attributes that exist and are a text or a whole number."""
        found: dict[str, str | int] = {}
        for name in names:
            value = getattr(self.table.attrs, name, None)
            if isinstance(value, str | int | np.integer):
                found[name] = value if isinstance(value, str) else int(value)
        return found

    def read(self, start: int, stop: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Read rows from ``start`` up to, not including, ``stop``; into ``out`` if given."""
        found: npt.NDArray[Any] = self.table.read(start, stop, out=out)
        return found

    def read_fields(self, start: int, stop: int, names: Sequence[str]) -> npt.NDArray[Any]:
        """Read named fields of rows from ``start`` up to, not including, ``stop``, without gaps."""
        found = make_room(self.dtype, names, stop - start)
        copy_fields(self.read(start, stop), found)
        return found

    def take(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Read rows by their indexes, shape (n,)."""
        found: npt.NDArray[Any] = self.table.read_coordinates(places)
        return found

    def modify(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Write rows in place of those from ``start`` on."""
        self.table.modify_rows(start, start + len(rows), rows=rows.copy())  # PyTables converts in place

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Append rows."""
        self.table.append(rows.copy())
        self.table.flush()

    def close(self) -> None:
        """Close it; before its file is closed."""
        self.table.close()


def open_if_table(file: OpenFile, path: str) -> Table | None:
    """Open the table at a path of an open file; None if the node there is not a table.

    Raises
    ------
    tables.HDF5ExtError
        Nothing is there, or it cannot be read.
    """
    dataset = open_dataset(file, path)
    with close_on_error("H5Dclose", dataset):
        datatype = call("H5Dget_type", dataset)
        with close_on_error("H5Tclose", datatype):
            dtype = find_row_dtype(file, path, datatype)
            if dtype is not None:
                return NativeTable(file, dataset, datatype, path, dtype)
        call("H5Tclose", datatype)
    call("H5Dclose", dataset)
    node = file.get_node(path)
    return ConvertedTable(node) if isinstance(node, tables.Table) else None


def open_native_table(file: OpenFile, path: str, dtype: np.dtype[np.void]) -> NativeTable:
    """Open the table at a path of an open file, whose rows are known to be of a dtype."""
    dataset = open_dataset(file, path)
    with close_on_error("H5Dclose", dataset):
        return NativeTable(file, dataset, call("H5Dget_type", dataset), path, dtype)


def open_table(file: OpenFile, path: str) -> Table:
    """Open the table at a path of an open file.

    Raises
    ------
    tables.HDF5ExtError, tables.NodeError
        Nothing is there, it is not a table, or it cannot be read.
    """
    table = open_if_table(file, path)
    if table is None:
        raise tables.NodeError(f"{path} is not a table")
    return table


def extend_with_zeros(table: tables.Table, rows: int) -> None:
    """Give a new table rows of zero bytes, of which HDF5 stores nothing until they are written to."""
    table.truncate(rows)
    set_attributes(table, {ROW_COUNT: rows})  # which PyTables leaves as it was
