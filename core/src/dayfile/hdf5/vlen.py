"""Arrays of values of variable length (VLArray), read and written many values at a time.

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

from dayfile.hdf5.datasets import get_extent, open_dataset, select_hyperslab, set_extent, write_hyperslab
from dayfile.hdf5.datatypes import FLOAT, INTEGER, VLEN
from dayfile.hdf5.library import DEFAULT, call, close_on_error, close_on_exit
from dayfile.hdf5.readonly import OpenFile

__all__ = ["VlenArray", "open_if_vlen_array", "open_vlen_array"]

CELL = np.dtype([("length", np.uintp), ("address", np.uintp)])
"""The library's ``hvl_t``."""
make_bytes = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t)(
    ("PyBytes_FromStringAndSize", ctypes.pythonapi)
)
"""Make bytes of n bytes at an address; ``ctypes.string_at`` takes a third longer."""


class VlenArray:
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
        self._nrows = get_extent(dataset)
        self.datatype = call("H5Dget_type", dataset)
        with close_on_exit("H5Tclose", call("H5Tget_super", self.datatype)) as element:
            self.size = call("H5Tget_size", element)

    @property
    def nrows(self) -> int:
        """Return the number of values."""
        return self._nrows

    def append(self, values: Sequence[bytes]) -> None:
        """Append values.

        Raises
        ------
        tables.HDF5ExtError
            The library reports an error.
        """
        if not values:
            return
        first = self._nrows
        set_extent(self.dataset, first + len(values))
        content = np.frombuffer(b"".join(values) or b"\0", np.uint8)
        lengths = np.fromiter(map(len, values), np.uintp, len(values))
        cells = np.zeros(len(values), CELL)
        cells["length"] = lengths // self.size
        cells["address"] = np.where(lengths > 0, content.ctypes.data + np.cumsum(lengths) - lengths, 0)
        write_hyperslab(self.dataset, self.datatype, first, cells)
        self._nrows = first + len(values)

    def read(self, start: int, stop: int) -> list[bytes]:
        """Read values from ``start`` up to, not including, ``stop``.

        Raises
        ------
        tables.HDF5ExtError
            The library reports an error.
        """
        if stop <= start:
            return []
        cells = np.zeros(stop - start, CELL)
        with select_hyperslab(self.dataset, start, stop - start) as (memory, space):
            call("H5Dread", self.dataset, self.datatype, memory, space, DEFAULT, cells.ctypes.data)
            try:
                if (cells["length"][cells["address"] == 0] > 0).any():
                    raise tables.HDF5ExtError("a value has a length and no bytes")
                cells["length"] *= self.size
                pairs: npt.NDArray[Any] = cells[["address", "length"]]
                return list(starmap(make_bytes, pairs.tolist()))
            finally:
                # Give back the memory that the library took for the values.
                call("H5Dvlen_reclaim", self.datatype, memory, DEFAULT, cells.ctypes.data)

    def close(self) -> None:
        """Close it; before its file is closed."""
        call("H5Tclose", self.datatype)
        call("H5Dclose", self.dataset)


def open_if_vlen_array(file: OpenFile, path: str) -> VlenArray | None:
    """Open the array of values of variable length at a path of an open file; None if the node there is not one.

    Raises
    ------
    tables.HDF5ExtError
        Nothing is there, or it cannot be read.
    """
    dataset = open_dataset(file, path)
    with (
        close_on_error("H5Dclose", dataset),
        close_on_exit("H5Tclose", call("H5Dget_type", dataset)) as datatype,
    ):
        if call("H5Tget_class", datatype) == VLEN:
            with close_on_exit("H5Tclose", call("H5Tget_super", datatype)) as element:
                if call("H5Tget_class", element) in {INTEGER, FLOAT}:
                    return VlenArray(dataset, path)
    call("H5Dclose", dataset)
    return None


def open_vlen_array(file: OpenFile, path: str) -> VlenArray:
    """Open the array of values of variable length at a path of an open file.

    Raises
    ------
    tables.HDF5ExtError, tables.NodeError
        Nothing is there, it is not one, or it cannot be read.
    """
    array = open_if_vlen_array(file, path)
    if array is None:
        raise tables.NodeError(f"{path} is not an array of values of variable length")
    return array
