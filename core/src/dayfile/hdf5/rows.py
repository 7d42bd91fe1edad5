"""The rows of tables in open day files, read and written many at a time, without PyTables' object for each column."""

from __future__ import annotations

import ctypes
import sys
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tables

from dayfile.hdf5.library import DEFAULT, call, closing, part, rows_of, sizes
from dayfile.messages import plural

__all__ = ["ConvertedRows", "PlainRows", "Rows", "exists", "open_dataset", "rows_at", "table_at"]

COMPOUND, INTEGER, STRING = 6, 0, 3
"""Classes of the library's types (``H5T_class_t``)."""
LONGEST = 2**20
"""Bytes of an attribute that are read at most: HDF5 keeps 64 kB in one."""
UTF_8 = 1
"""Of the character sets (``H5T_cset_t``) that in which PyTables stores a text."""
ORDERS, NO_ORDER = {"little": 0, "big": 1}, 4
"""Byte orders of the library's types (``H5T_order_t``); a type of several fields has one if they all have it."""
Told = dict[str, str | int]


class Rows(Protocol):
    """A table that is open.

    Attributes
    ----------
    path : str
        Path in the day file.
    dtype : numpy.dtype
        Of its rows.
    """

    path: str
    dtype: np.dtype[np.void]

    @property
    def nrows(self) -> int:
        """How many rows there are."""

    @property
    def chunk_rows(self) -> int:
        """Rows that are stored together."""

    def attributes(self, names: tuple[str, ...]) -> Told:
        """Those of some attributes that there are, and that are a text or a whole number."""

    def read(self, start: int, stop: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Rows from ``start`` up to, not including, ``stop``; into ``out`` if given."""

    def take(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Rows by their indexes, shape (n,)."""

    def modify(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Put rows in place of those from ``start`` on."""

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Put rows behind all others."""

    def close(self) -> None:
        """Let go of it; before its file is closed."""


class PlainRows:
    """A table whose rows are in the file byte for byte as NumPy has them; all that dayfile makes are.

    Parameters
    ----------
    dataset : int
        The library's identifier of the open table, which is closed by :meth:`close`.
    path : str
        Path in the day file.
    dtype : numpy.dtype
        Of its rows.
    """

    def __init__(self, dataset: int, path: str, dtype: np.dtype[np.void]) -> None:
        self.dataset = dataset
        self.path = path
        self.dtype = dtype
        self._nrows = rows_of(dataset)
        self.type = call("H5Dget_type", dataset)

    @property
    def nrows(self) -> int:
        """How many rows there are."""
        return self._nrows

    @cached_property
    def chunk_rows(self) -> int:
        """Rows that are stored together."""
        found = sizes(0)
        with closing("H5Pclose", call("H5Dget_create_plist", self.dataset)) as properties:
            call("H5Pget_chunk", properties, 1, found)
        return int(found[0])

    def attributes(self, names: tuple[str, ...]) -> Told:
        """Those of some attributes that there are, and that are a text or a whole number."""
        told = ((name, attribute(self.dataset, name)) for name in names)
        return {name: value for name, value in told if value is not None}

    def read(self, start: int, stop: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Rows from ``start`` up to, not including, ``stop``; into ``out`` if given, which is of as many rows."""
        if not 0 <= start <= stop <= self.nrows:
            raise IndexError(f"rows {start} to {stop} of {self.nrows} of {self.path}")
        found = np.empty(stop - start, self.dtype) if out is None else out
        if found.dtype != self.dtype or found.shape != (stop - start,) or not found.flags.carray:
            raise ValueError(f"{self.path} needs room for {plural(stop - start, 'row')} as they are stored")
        if stop > start:
            with part(self.dataset, start, stop - start) as (memory, space):
                call("H5Dread", self.dataset, self.type, memory, space, DEFAULT, found.ctypes.data)
        return found

    def take(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Rows by their indexes, shape (n,)."""
        wanted = np.ascontiguousarray(places, np.uint64)
        found = np.empty(len(wanted), self.dtype)
        if not len(wanted):
            return found
        if int(wanted.max()) >= self.nrows:
            raise IndexError(f"there is no row {wanted.max()} of {self.path}, only {self.nrows}")
        with (
            closing("H5Sclose", call("H5Dget_space", self.dataset)) as space,
            closing("H5Sclose", call("H5Screate_simple", 1, sizes(len(wanted)), None)) as memory,
        ):
            call("H5Sselect_elements", space, DEFAULT, len(wanted), wanted.ctypes.data)
            call("H5Dread", self.dataset, self.type, memory, space, DEFAULT, found.ctypes.data)
        return found

    def modify(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Put rows in place of those from ``start`` on."""
        self._check(rows)
        if start < 0 or start + len(rows) > self.nrows:
            raise ValueError(f"this does not fit {self.path} (rows: {len(rows)}) from row {start} on, of {self.nrows}")
        if len(rows):
            content = np.ascontiguousarray(rows)
            with part(self.dataset, start, len(rows)) as (memory, space):
                call("H5Dwrite", self.dataset, self.type, memory, space, DEFAULT, content.ctypes.data)

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Put rows behind all others."""
        self._check(rows)
        if not len(rows):
            return  # HDF5 would note the time of a change
        first = self.nrows
        call("H5Dset_extent", self.dataset, sizes(first + len(rows)))
        self._nrows = first + len(rows)
        self.modify(first, rows)
        self._tell_rows()

    def _check(self, rows: npt.NDArray[Any]) -> None:
        """ValueError if rows are not as they are stored."""
        if rows.dtype != self.dtype or rows.ndim != 1:
            raise ValueError(f"an array of {rows.dtype}, shape {rows.shape}, is no rows of {self.path}")

    def _tell_rows(self) -> None:
        """Keep the attribute up in which PyTables notes the number of rows."""
        if call("H5Aexists", self.dataset, b"NROWS"):
            number = np.array(self._nrows, np.int64)
            with (
                closing("H5Aclose", call("H5Aopen", self.dataset, b"NROWS", DEFAULT)) as opened,
                closing("H5Tclose", call("H5Aget_type", opened)) as kind,
            ):
                if call("H5Tget_size", kind) == number.itemsize:
                    call("H5Awrite", opened, kind, number.ctypes.data)

    def close(self) -> None:
        """Let go of it; before its file is closed."""
        call("H5Tclose", self.type)
        call("H5Dclose", self.dataset)


class ConvertedRows:
    """A table of other origin, whose rows PyTables has to convert: of another byte order, or with gaps.

    Parameters
    ----------
    table : tables.Table
        Open.
    """

    def __init__(self, table: tables.Table) -> None:
        self.table = table
        self.path = str(table._v_pathname)
        self.dtype = table.dtype

    @property
    def nrows(self) -> int:
        """How many rows there are."""
        return int(self.table.nrows)

    @property
    def chunk_rows(self) -> int:
        """Rows that are stored together."""
        return int(self.table.chunkshape[0])

    def attributes(self, names: tuple[str, ...]) -> Told:
        """Those of some attributes that there are, and that are a text or a whole number."""
        told: Told = {}
        for name in names:
            value = getattr(self.table.attrs, name, None)
            if isinstance(value, str | int | np.integer):
                told[name] = value if isinstance(value, str) else int(value)
        return told

    def read(self, start: int, stop: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Rows from ``start`` up to, not including, ``stop``; into ``out`` if given."""
        found: npt.NDArray[Any] = self.table.read(start, stop, out=out)
        return found

    def take(self, places: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Rows by their indexes, shape (n,)."""
        found: npt.NDArray[Any] = self.table.read_coordinates(places)
        return found

    def modify(self, start: int, rows: npt.NDArray[Any]) -> None:
        """Put rows in place of those from ``start`` on."""
        self.table.modify_rows(start, start + len(rows), rows=rows.copy())  # PyTables converts in place

    def append(self, rows: npt.NDArray[Any]) -> None:
        """Put rows behind all others."""
        self.table.append(rows.copy())
        self.table.flush()

    def close(self) -> None:
        """Let go of it; before its file is closed."""
        self.table.close()


def exists(file: tables.File, path: str) -> bool:
    """Whether an open file has a node at a path."""
    parts = path.strip("/").split("/")
    root = int(file.root._v_objectid)
    return all(call("H5Lexists", root, "/".join(parts[: n + 1]).encode(), DEFAULT) for n in range(len(parts)))


def open_dataset(file: tables.File, path: str) -> int:
    """The library's identifier of a table or array of an open file."""
    return call("H5Dopen2", int(file.root._v_objectid), path.encode(), DEFAULT)


def rows_at(file: tables.File, path: str) -> Rows | None:
    """The table at a path of an open file; None if what is there is no table.

    Raises
    ------
    tables.HDF5ExtError
        There is nothing, or it cannot be read.
    """
    dataset = open_dataset(file, path)
    try:
        dtype = plain_dtype(file, path, dataset)
        if dtype is not None:
            return PlainRows(dataset, path, dtype)
    except BaseException:
        call("H5Dclose", dataset)
        raise
    call("H5Dclose", dataset)
    node = file.get_node(path)
    return ConvertedRows(node) if isinstance(node, tables.Table) else None


def table_at(file: tables.File, path: str) -> Rows:
    """The table at a path of an open file.

    Raises
    ------
    tables.HDF5ExtError, tables.NodeError
        There is none, or it cannot be read.
    """
    rows = rows_at(file, path)
    if rows is None:
        raise tables.NodeError(f"{path} is no table")
    return rows


KNOWN: dict[bytes, np.dtype[np.void] | None] = {}
"""The dtype of rows by their type as the library encodes it; None for what has to be converted."""
MOST_KNOWN = 1000


def plain_dtype(file: tables.File, path: str, dataset: int) -> np.dtype[np.void] | None:
    """The dtype of the rows of an open table, if they are in the file as NumPy has them.

    PyTables tells it, once for each type of row.
    """
    with closing("H5Tclose", call("H5Dget_type", dataset)) as kind:
        if call("H5Tget_class", kind) != COMPOUND:
            return None
        if call("H5Tget_order", kind) not in {ORDERS[sys.byteorder], NO_ORDER}:
            return None
        code, itemsize = encoded(kind), call("H5Tget_size", kind)
    if code not in KNOWN:
        if len(KNOWN) >= MOST_KNOWN:
            KNOWN.clear()
        table = file.get_node(path)
        # Times in microseconds are stored as two numbers, and are one in NumPy.
        plain = isinstance(table, tables.Table) and "time64" not in table.coltypes.values()
        KNOWN[code] = table.dtype if plain and table.dtype.itemsize == itemsize else None
        table.close()
    return KNOWN[code]


def encoded(kind: int) -> bytes:
    """A type as the library writes it down."""
    size = ctypes.c_size_t(0)
    call("H5Tencode", kind, None, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    call("H5Tencode", kind, buffer, ctypes.byref(size))
    return buffer.raw


def attribute(dataset: int, name: str) -> str | int | None:
    """An attribute of an open table: a text or a whole number; None if it is absent or anything else."""
    if not call("H5Aexists", dataset, name.encode()):
        return None
    with (
        closing("H5Aclose", call("H5Aopen", dataset, name.encode(), DEFAULT)) as opened,
        closing("H5Tclose", call("H5Aget_type", opened)) as stored,
        closing("H5Tclose", call("H5Tget_native_type", stored, DEFAULT)) as kind,
        closing("H5Sclose", call("H5Aget_space", opened)) as space,
    ):
        of_class = call("H5Tget_class", kind)
        dimensions = call("H5Sget_simple_extent_dims", space, None, None)
        if of_class not in {INTEGER, STRING} or dimensions or call("H5Tis_variable_str", kind):
            return None
        if of_class == STRING and call("H5Tget_cset", kind) != UTF_8:
            return None  # bytes, or what PyTables has pickled
        signed = of_class == INTEGER and bool(call("H5Tget_sign", kind))
        if (size := call("H5Tget_size", kind)) > LONGEST:
            raise tables.HDF5ExtError(f"{name} is damaged: a text has the length {size}")
        buffer = ctypes.create_string_buffer(size)
        call("H5Aread", opened, kind, buffer)
    if of_class == INTEGER:
        return int.from_bytes(buffer.raw, sys.byteorder, signed=signed)
    return buffer.raw.rstrip(b"\0").decode()
