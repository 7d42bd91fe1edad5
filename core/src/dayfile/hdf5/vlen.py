"""Arrays of values of variable length in open day files, many values in one call of the HDF5 library.

PyTables writes and reads the values of a VLArray one call at a time: 4 microseconds for each, which is a fifth of all
the work where most of the data are traces of some hundred bytes. Here a whole slice is one call, with an array of
lengths and addresses that NumPy fills.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import starmap
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.hdf5.library import DEFAULT, call, closing, part, rows_of, sizes
from dayfile.hdf5.rows import open_dataset

__all__ = ["Values", "array_at", "values_at"]

VLEN, NUMBERS = 9, {0, 1}
"""Classes of the library's types (``H5T_class_t``): variable length; integers and floating-point numbers."""
VALUES = np.dtype([("length", np.uintp), ("address", np.uintp)])
"""The library's ``hvl_t``."""


bytes_at = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)
"""The bytes at an address, so many; ``ctypes.string_at`` takes a third longer."""


class Values:
    """An open array of values of variable length, each taken as its bytes.

    Parameters
    ----------
    dataset : int
        The library's identifier of the open array, which is closed by :meth:`close`.
    path : str
        Path in the day file.
    """

    def __init__(self, dataset: int, path: str) -> None:
        self.dataset = dataset
        self.path = path
        self._nrows = rows_of(dataset)
        self.type = call("H5Dget_type", dataset)
        with closing("H5Tclose", call("H5Tget_super", self.type)) as element:
            self.size = call("H5Tget_size", element)

    @property
    def nrows(self) -> int:
        """How many values there are."""
        return self._nrows

    def append(self, values: Sequence[bytes]) -> None:
        """Put values behind all others.

        Raises
        ------
        tables.HDF5ExtError
            The library reports an error.
        """
        if not values:
            return
        first = self._nrows
        call("H5Dset_extent", self.dataset, sizes(first + len(values)))
        content = np.frombuffer(b"".join(values) or b"\0", np.uint8)
        lengths = np.fromiter(map(len, values), np.uintp, len(values))
        cells = np.zeros(len(values), VALUES)
        cells["length"] = lengths // self.size
        cells["address"] = np.where(lengths > 0, content.ctypes.data + np.cumsum(lengths) - lengths, 0)
        with part(self.dataset, first, len(values)) as (memory, space):
            call("H5Dwrite", self.dataset, self.type, memory, space, DEFAULT, cells.ctypes.data)
        self._nrows = first + len(values)

    def read(self, start: int, stop: int) -> list[bytes]:
        """Values from ``start`` up to, not including, ``stop``.

        Raises
        ------
        tables.HDF5ExtError
            The library reports an error.
        """
        if stop <= start:
            return []
        cells = np.zeros(stop - start, VALUES)
        with part(self.dataset, start, stop - start) as (memory, space):
            call("H5Dread", self.dataset, self.type, memory, space, DEFAULT, cells.ctypes.data)
            try:
                if (cells["length"][cells["address"] == 0] > 0).any():
                    raise tables.HDF5ExtError("a value has a length and no bytes")
                cells["length"] *= self.size
                pairs: npt.NDArray[Any] = cells[["address", "length"]]
                return list(starmap(bytes_at, pairs.tolist()))
            finally:
                # Gives back what the library took for the values.
                call("H5Dvlen_reclaim", self.type, memory, DEFAULT, cells.ctypes.data)

    def close(self) -> None:
        """Let go of it; before its file is closed."""
        call("H5Tclose", self.type)
        call("H5Dclose", self.dataset)


def values_at(file: tables.File, path: str) -> Values | None:
    """The array of values of variable length at a path of an open file; None if what is there is none.

    Raises
    ------
    tables.HDF5ExtError
        There is nothing, or it cannot be read.
    """
    dataset = open_dataset(file, path)
    try:
        with closing("H5Tclose", call("H5Dget_type", dataset)) as kind:
            if call("H5Tget_class", kind) == VLEN:
                with closing("H5Tclose", call("H5Tget_super", kind)) as element:
                    if call("H5Tget_class", element) in NUMBERS:
                        return Values(dataset, path)
    except BaseException:
        call("H5Dclose", dataset)
        raise
    call("H5Dclose", dataset)
    return None


def array_at(file: tables.File, path: str) -> Values:
    """The array of values of variable length at a path of an open file.

    Raises
    ------
    tables.HDF5ExtError, tables.NodeError
        There is none, or it cannot be read.
    """
    values = values_at(file, path)
    if values is None:
        raise tables.NodeError(f"{path} is no array of values of variable length")
    return values
