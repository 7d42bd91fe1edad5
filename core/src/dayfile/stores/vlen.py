"""Values of variable length, many in one call of the HDF5 library.

PyTables writes and reads the values of a VLArray one call at a time: 4 microseconds for each, which is a fifth of all
the work where most of the data are traces of some hundred bytes. Here the functions of the library that PyTables has
loaded are called once for a whole slice, with an array of lengths and addresses that NumPy fills. Where the library or
the array cannot be reached so, the ways of PyTables serve; files and results are the same.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from contextlib import ExitStack
from functools import cache
from itertools import starmap
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import tables
from tables import hdf5extension

__all__ = ["append_values", "read_values"]

VALUES = np.dtype([("length", np.uintp), ("address", np.uintp)])
"""The library's ``hvl_t``."""
DEFAULT = 0  # H5P_DEFAULT, H5S_SELECT_SET and H5T_DIR_DEFAULT are all 0
ID, SIZE, POINTER = ctypes.c_int64, ctypes.c_uint64, ctypes.c_void_p
FUNCTIONS = {
    "H5Dset_extent": (ctypes.c_int, ID, POINTER),
    "H5Dget_space": (ID, ID),
    "H5Dget_type": (ID, ID),
    "H5Tget_native_type": (ID, ID, ctypes.c_int),
    "H5Screate_simple": (ID, ctypes.c_int, POINTER, POINTER),
    "H5Sselect_hyperslab": (ctypes.c_int, ID, ctypes.c_int, POINTER, POINTER, POINTER, POINTER),
    "H5Dwrite": (ctypes.c_int, ID, ID, ID, ID, ID, POINTER),
    "H5Dread": (ctypes.c_int, ID, ID, ID, ID, ID, POINTER),
    "H5Dvlen_reclaim": (ctypes.c_int, ID, ID, ID, POINTER),
    "H5Tclose": (ctypes.c_int, ID),
    "H5Sclose": (ctypes.c_int, ID),
}
"""Type of the answer and of the arguments of each function, as in the library's headers since version 1.10."""


@cache
def library() -> ctypes.PyDLL | None:
    """The HDF5 library that PyTables has loaded; None where its functions cannot be found."""
    try:
        found = ctypes.PyDLL(hdf5extension.__file__)
        for name, (answer, *arguments) in FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = answer, arguments
    except (OSError, AttributeError):
        return None
    return found


def call(name: str, *arguments: Any) -> int:  # noqa: ANN401 - each function has its own
    """Call a function of the library; HDF5ExtError if it fails."""
    answer = getattr(library(), name)(*arguments)
    if answer < 0:
        raise tables.HDF5ExtError(f"{name} failed")
    return int(answer)


class Slice:
    """So many values of an array from one on, as the library needs to be told of them.

    Parameters
    ----------
    array : tables.VLArray
        Open.
    first, count : int
        Which values.
    """

    def __init__(self, array: tables.VLArray, first: int, count: int) -> None:
        self.dataset = int(array._v_objectid)
        self.first, self.count = (ctypes.c_uint64(number) for number in (first, count))
        self.values = np.zeros(count, VALUES)
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as closing:
            stored = call("H5Dget_type", self.dataset)
            closing.callback(call, "H5Tclose", stored)
            self.type = call("H5Tget_native_type", stored, DEFAULT)
            closing.callback(call, "H5Tclose", self.type)
            self.space = call("H5Dget_space", self.dataset)
            closing.callback(call, "H5Sclose", self.space)
            self.memory = call("H5Screate_simple", 1, ctypes.byref(self.count), None)
            closing.callback(call, "H5Sclose", self.memory)
            first, count = ctypes.byref(self.first), ctypes.byref(self.count)
            call("H5Sselect_hyperslab", self.space, DEFAULT, first, None, count, None)
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def move(self, function: str) -> None:
        """Write or read the values."""
        call(function, self.dataset, self.type, self.memory, self.space, DEFAULT, self.values.ctypes.data)

    def reclaim(self) -> None:
        """Give back what the library took for values that were read."""
        call("H5Dvlen_reclaim", self.type, self.memory, DEFAULT, self.values.ctypes.data)


def reachable(array: tables.VLArray) -> bool:
    """Whether the library can be asked for the values of an array: bytes, in an array that is open."""
    # A file opened without PyTables' own attributes has arrays of uint8 where there was a pseudo-atom.
    of_bytes = array.atom.kind == "vlstring" or getattr(array.atom, "type", "") == "uint8"
    return of_bytes and library() is not None and hasattr(array, "_v_objectid")


def append_values(array: tables.VLArray, values: Sequence[bytes]) -> None:
    """Append values to a VLArray of bytes (pseudo-atom ``vlstring``).

    Raises
    ------
    tables.HDF5ExtError
        The library reports an error.
    """
    if not values:
        return
    if not reachable(array):
        for value in values:
            array.append(value)
        return
    array._v_file._check_writable()  # noqa: SLF001 - the one check of the public method that matters here
    first = int(array.nrows)
    call("H5Dset_extent", int(array._v_objectid), ctypes.byref(ctypes.c_uint64(first + len(values))))
    content = np.frombuffer(b"".join(values) or b"\0", np.uint8)
    with Slice(array, first, len(values)) as part:
        lengths = np.fromiter(map(len, values), np.uintp, len(values))
        part.values["length"] = lengths
        part.values["address"] = np.where(lengths > 0, content.ctypes.data + np.cumsum(lengths) - lengths, 0)
        part.move("H5Dwrite")
    array.nrows = first + len(values)


def read_values(array: tables.VLArray, start: int, stop: int) -> list[bytes]:
    """Values of a VLArray of bytes, from ``start`` up to, not including, ``stop``.

    Raises
    ------
    tables.HDF5ExtError
        The library reports an error.
    """
    if stop <= start:
        return []
    if not reachable(array):
        return [bytes(value) for value in array.read(start, stop)]
    with Slice(array, start, stop - start) as part:
        part.move("H5Dread")
        try:
            if (part.values["length"][part.values["address"] == 0] > 0).any():
                raise tables.HDF5ExtError("a value has a length and no bytes")
            pairs: npt.NDArray[Any] = part.values[["address", "length"]]
            return list(starmap(ctypes.string_at, pairs.tolist()))
        finally:
            part.reclaim()
