"""Find the HDF5 library that PyTables has loaded, and call its functions.

PyTables makes an object of each column of a table when it opens one: 1.5 ms, 18 ms for two hundred columns, where the
library takes 0.04 and 0.3. A day file has many tables of which all rows are read or written at once, and of a blob
array PyTables reads and writes one value at a time. So files, groups and new kinds of tables are PyTables' work, and
rows and values go through the functions here, on the files that PyTables has opened.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import tables
from tables import hdf5extension

from dayfile.errors import InstallationError

__all__ = [
    "DEFAULT",
    "FUNCTIONS",
    "HID",
    "NOTE_CHUNK",
    "call",
    "close_on_error",
    "close_on_exit",
    "has_function",
    "load_library",
    "silence_thread",
    "to_hsize",
]

DEFAULT = 0
"""``H5P_DEFAULT``, ``H5S_SELECT_SET`` and ``H5T_DIR_DEFAULT`` are all 0."""
STATUS, HID, INT = ctypes.c_int, ctypes.c_int64, ctypes.c_int
"""``herr_t`` and ``htri_t``; ``hid_t``; and ``int``."""
SIZE, POINTER, TEXT = ctypes.c_size_t, ctypes.c_void_p, ctypes.c_char_p
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "H5Fopen": (HID, TEXT, ctypes.c_uint, HID),
    "H5Fget_intent": (STATUS, HID, POINTER),
    "H5Fget_vfd_handle": (STATUS, HID, HID, POINTER),
    "H5Fclose": (STATUS, HID),
    "H5Gopen2": (HID, HID, TEXT, HID),
    "H5Gget_info": (STATUS, HID, POINTER),
    "H5Gclose": (STATUS, HID),
    "H5Gget_objtype_by_idx": (INT, HID, ctypes.c_uint64),
    "H5Lget_name_by_idx": (INT, HID, TEXT, INT, INT, ctypes.c_uint64, POINTER, SIZE, HID),
    "H5Lget_val": (STATUS, HID, TEXT, POINTER, SIZE, HID),
    "H5Lexists": (STATUS, HID, TEXT, HID),
    "H5Ldelete": (STATUS, HID, TEXT, HID),
    "H5Ocopy": (STATUS, HID, TEXT, HID, TEXT, HID, HID),
    "H5Dopen2": (HID, HID, TEXT, HID),
    "H5Dclose": (STATUS, HID),
    "H5Dset_extent": (STATUS, HID, POINTER),
    "H5Dget_space": (HID, HID),
    "H5Dget_type": (HID, HID),
    "H5Dget_create_plist": (HID, HID),
    "H5Dwrite": (STATUS, HID, HID, HID, HID, HID, POINTER),
    "H5Dread": (STATUS, HID, HID, HID, HID, HID, POINTER),
    "H5Dvlen_reclaim": (STATUS, HID, HID, HID, POINTER),
    "H5Pget_layout": (INT, HID),
    "H5Pget_nfilters": (INT, HID),
    "H5Pfill_value_defined": (STATUS, HID, POINTER),
    "H5Pget_fill_value": (STATUS, HID, HID, POINTER),
    "H5Pget_chunk": (INT, HID, INT, POINTER),
    "H5Pclose": (STATUS, HID),
    "H5Screate_simple": (HID, INT, POINTER, POINTER),
    "H5Sget_simple_extent_dims": (INT, HID, POINTER, POINTER),
    "H5Sselect_hyperslab": (STATUS, HID, INT, POINTER, POINTER, POINTER, POINTER),
    "H5Sselect_elements": (STATUS, HID, INT, SIZE, POINTER),
    "H5Sclose": (STATUS, HID),
    "H5Tget_class": (INT, HID),
    "H5Tget_order": (INT, HID),
    "H5Tget_sign": (INT, HID),
    "H5Tget_cset": (INT, HID),
    "H5Tget_size": (SIZE, HID),
    "H5Tget_super": (HID, HID),
    "H5Tget_native_type": (HID, HID, INT),
    "H5Tis_variable_str": (STATUS, HID),
    "H5Tencode": (STATUS, HID, POINTER, POINTER),
    "H5Tclose": (STATUS, HID),
    "H5Aexists": (STATUS, HID, TEXT),
    "H5Aopen": (HID, HID, TEXT, HID),
    "H5Aget_type": (HID, HID),
    "H5Aget_space": (HID, HID),
    "H5Aread": (STATUS, HID, HID, POINTER),
    "H5Awrite": (STATUS, HID, HID, POINTER),
    "H5Aclose": (STATUS, HID),
}
"""Types of the result and of the arguments of each function, as in the library's headers since version 1.10."""
NOTE_CHUNK = ctypes.PYFUNCTYPE(
    INT, ctypes.POINTER(ctypes.c_uint64), ctypes.c_uint, ctypes.c_uint64, ctypes.c_uint64, POINTER
)
"""``H5D_chunk_iter_op_t``: a function of a chunk's first row, filter mask, address and size, and of what is given."""
LATER_FUNCTIONS: dict[str, tuple[Any, ...]] = {"H5Dchunk_iter": (STATUS, HID, HID, NOTE_CHUNK, POINTER)}
"""Functions that not every version has."""
SILENT = threading.local()
"""Has ``done`` in threads in which the library prints nothing."""


@cache
def load_library() -> ctypes.PyDLL:
    """Return the library, with the types of its functions declared.

    Raises
    ------
    InstallationError
        Its functions cannot be found, as where PyTables is linked statically with the library.
    """
    try:
        library = ctypes.PyDLL(hdf5extension.__file__)
        later = {name: types for name, types in LATER_FUNCTIONS.items() if hasattr(library, name)}
        for name, (result, *arguments) in (FUNCTIONS | later).items():
            function = getattr(library, name)
            function.restype, function.argtypes = result, arguments
    except (OSError, AttributeError) as error:
        message = f"the HDF5 library of this PyTables cannot be called ({error}); install PyTables with pip"
        raise InstallationError(message) from error
    return library


def has_function(name: str) -> bool:
    """Return whether the library has a function of :data:`LATER_FUNCTIONS`."""
    return hasattr(load_library(), name)


def call(name: str, *arguments: Any) -> int:  # noqa: ANN401 - each function has its own
    """Call a function of the library.

    Raises
    ------
    tables.HDF5ExtError
        It fails.
    """
    result = getattr(load_library(), name)(*arguments)
    if result < 0:
        raise tables.HDF5ExtError(f"{name} failed")
    return int(result)


def silence_thread() -> None:
    """Keep the library from printing its errors, which are raised as exceptions: PyTables does in one thread alone."""
    if not hasattr(SILENT, "done"):
        tables.silence_hdf5_messages()
        SILENT.done = True


@contextmanager
def close_on_exit(function: str, identifier: int) -> Iterator[int]:
    """Close an HDF5 identifier on exit, by the library's function for its kind."""
    try:
        yield identifier
    finally:
        call(function, identifier)


@contextmanager
def close_on_error(function: str, identifier: int) -> Iterator[None]:
    """Close an HDF5 identifier if the block raises."""
    try:
        yield
    except BaseException:
        call(function, identifier)
        raise


def to_hsize(*numbers: int) -> ctypes.Array[ctypes.c_uint64]:
    """Return numbers as the library takes them: an array of ``hsize_t``."""
    return (ctypes.c_uint64 * len(numbers))(*numbers)
