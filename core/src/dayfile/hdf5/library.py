"""The functions of the HDF5 library that PyTables has loaded.

PyTables makes an object of each column of a table when it opens one: 1.5 ms, 18 ms for two hundred columns, where the
library takes 0.04 and 0.3. A day file has many tables of which all rows are read or written at once, and of a blob
array PyTables reads and writes one value at a time. So files, groups and new kinds of tables are PyTables' work, and
rows and values go through the functions here, on the files that PyTables has opened.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import tables
from tables import hdf5extension

from dayfile.errors import InstallationError

__all__ = ["DEFAULT", "call", "closing", "library", "part", "rows_of", "sizes"]

DEFAULT = 0
"""``H5P_DEFAULT``, ``H5S_SELECT_SET`` and ``H5T_DIR_DEFAULT`` are all 0."""
ANSWER, ID, INT = ctypes.c_int, ctypes.c_int64, ctypes.c_int
SIZE, POINTER, TEXT = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "H5Lexists": (ANSWER, ID, TEXT, ID),
    "H5Ldelete": (ANSWER, ID, TEXT, ID),
    "H5Ocopy": (ANSWER, ID, TEXT, ID, TEXT, ID, ID),
    "H5Dopen2": (ID, ID, TEXT, ID),
    "H5Dclose": (ANSWER, ID),
    "H5Dset_extent": (ANSWER, ID, POINTER),
    "H5Dget_space": (ID, ID),
    "H5Dget_type": (ID, ID),
    "H5Dget_create_plist": (ID, ID),
    "H5Dwrite": (ANSWER, ID, ID, ID, ID, ID, POINTER),
    "H5Dread": (ANSWER, ID, ID, ID, ID, ID, POINTER),
    "H5Dvlen_reclaim": (ANSWER, ID, ID, ID, POINTER),
    "H5Pget_chunk": (INT, ID, INT, POINTER),
    "H5Pclose": (ANSWER, ID),
    "H5Screate_simple": (ID, INT, POINTER, POINTER),
    "H5Sget_simple_extent_dims": (INT, ID, POINTER, POINTER),
    "H5Sselect_hyperslab": (ANSWER, ID, INT, POINTER, POINTER, POINTER, POINTER),
    "H5Sselect_elements": (ANSWER, ID, INT, SIZE, POINTER),
    "H5Sclose": (ANSWER, ID),
    "H5Tget_class": (INT, ID),
    "H5Tget_order": (INT, ID),
    "H5Tget_sign": (INT, ID),
    "H5Tget_cset": (INT, ID),
    "H5Tget_size": (SIZE, ID),
    "H5Tget_super": (ID, ID),
    "H5Tget_native_type": (ID, ID, INT),
    "H5Tis_variable_str": (ANSWER, ID),
    "H5Tencode": (ANSWER, ID, POINTER, POINTER),
    "H5Tclose": (ANSWER, ID),
    "H5Aexists": (ANSWER, ID, TEXT),
    "H5Aopen": (ID, ID, TEXT, ID),
    "H5Aget_type": (ID, ID),
    "H5Aget_space": (ID, ID),
    "H5Aread": (ANSWER, ID, ID, POINTER),
    "H5Awrite": (ANSWER, ID, ID, POINTER),
    "H5Aclose": (ANSWER, ID),
}
"""Type of the answer and of the arguments of each function, as in the library's headers since version 1.10."""


@cache
def library() -> ctypes.PyDLL:
    """The library.

    Raises
    ------
    InstallationError
        Its functions cannot be found, as where PyTables was built with a library that it keeps to itself.
    """
    try:
        found = ctypes.PyDLL(hdf5extension.__file__)
        for name, (answer, *arguments) in FUNCTIONS.items():
            function = getattr(found, name)
            function.restype, function.argtypes = answer, arguments
    except (OSError, AttributeError) as error:
        message = f"the HDF5 library of this PyTables cannot be called ({error}); install PyTables with pip"
        raise InstallationError(message) from error
    return found


def call(name: str, *arguments: Any) -> int:  # noqa: ANN401 - each function has its own
    """Call a function of the library.

    Raises
    ------
    tables.HDF5ExtError
        It fails.
    """
    answer = getattr(library(), name)(*arguments)
    if answer < 0:
        raise tables.HDF5ExtError(f"{name} failed")
    return int(answer)


@contextmanager
def closing(function: str, identifier: int) -> Iterator[int]:
    """Something that the library has opened, closed in the end by its function for it."""
    try:
        yield identifier
    finally:
        call(function, identifier)


def sizes(*numbers: int) -> ctypes.Array[ctypes.c_uint64]:
    """Numbers as the library takes them: an array of ``hsize_t``."""
    return (ctypes.c_uint64 * len(numbers))(*numbers)


def rows_of(dataset: int) -> int:
    """How many rows or values an open table or array has.

    Raises
    ------
    tables.HDF5ExtError
        It has more dimensions than one.
    """
    found = sizes(*[0] * 32)  # no dataset has more dimensions
    with closing("H5Sclose", call("H5Dget_space", dataset)) as space:
        if call("H5Sget_simple_extent_dims", space, found, None) > 1:
            raise tables.HDF5ExtError("rows and values are of one dimension")
    return int(found[0])


@contextmanager
def part(dataset: int, first: int, count: int) -> Iterator[tuple[int, int]]:
    """The library's spaces of so many rows or values in memory, and of these in an open table or array."""
    with (
        closing("H5Sclose", call("H5Screate_simple", 1, sizes(count), None)) as memory,
        closing("H5Sclose", call("H5Dget_space", dataset)) as space,
    ):
        call("H5Sselect_hyperslab", space, DEFAULT, sizes(first), None, sizes(count), None)
        yield memory, space
