"""Datatypes, and the NumPy dtype of the rows of a table."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import tables

from dayfile.hdf5.library import call
from dayfile.hdf5.readonly import OpenFile

__all__ = ["FLOAT", "INTEGER", "STRING", "UTF_8", "VLEN", "encode_datatype", "find_row_dtype"]

INTEGER, FLOAT, STRING, COMPOUND, VLEN = 0, 1, 3, 6, 9
"""Classes of datatypes (``H5T_class_t``)."""
UTF_8 = 1
"""Of the character sets (``H5T_cset_t``) the one in which PyTables stores text."""
ORDERS, NO_ORDER = {"little": 0, "big": 1}, 4
"""Byte orders (``H5T_order_t``); a compound datatype has one if all its fields have it."""
ROW_DTYPES: dict[bytes, np.dtype[np.void] | None] = {}
"""The dtype of rows by their encoded datatype; None for rows that have to be converted."""
MOST_ROW_DTYPES = 1000


def find_row_dtype(file: OpenFile, path: str, datatype: int) -> np.dtype[np.void] | None:
    """Return the dtype of the rows of a table; None if the rows in the file are not laid out as NumPy's.

    PyTables is asked for it, once for each datatype.

    Parameters
    ----------
    file : tables.File or ReadOnlyFile
        Open.
    path : str
        Of the table.
    datatype : int
        The library's identifier of its open datatype.
    """
    if call("H5Tget_class", datatype) != COMPOUND:
        return None
    if call("H5Tget_order", datatype) not in {ORDERS[sys.byteorder], NO_ORDER}:
        return None
    code = encode_datatype(datatype)
    if code not in ROW_DTYPES:
        if len(ROW_DTYPES) >= MOST_ROW_DTYPES:
            ROW_DTYPES.clear()
        table = file.get_node(path)
        # Times in microseconds are stored as two numbers, and are one in NumPy.
        native = isinstance(table, tables.Table) and "time64" not in table.coltypes.values()
        same = native and table.dtype.itemsize == call("H5Tget_size", datatype)
        ROW_DTYPES[code] = table.dtype if same else None
        table.close()
    return ROW_DTYPES[code]


def encode_datatype(datatype: int) -> bytes:
    """Return a datatype in the library's encoding of it."""
    size = ctypes.c_size_t(0)
    call("H5Tencode", datatype, None, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    call("H5Tencode", datatype, buffer, ctypes.byref(size))
    return buffer.raw
