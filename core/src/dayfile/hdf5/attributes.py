"""Attributes: of open datasets by the library, of nodes that PyTables has opened by PyTables."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import tables

from dayfile.hdf5.datatypes import INTEGER, STRING, UTF_8
from dayfile.hdf5.library import DEFAULT, call, close_on_exit

__all__ = ["ROW_COUNT", "get_attribute", "read_attribute", "set_attributes", "update_row_count"]

LONGEST_ATTRIBUTE = 2**20
"""Bytes of an attribute that are read at most: HDF5 keeps 64 kB in one."""
ROW_COUNT = "NROWS"
"""The attribute in which PyTables notes the number of rows of a table."""


def read_attribute(dataset: int, name: str, longest: int = LONGEST_ATTRIBUTE) -> str | int | None:
    """Read an attribute of an open dataset: a text or a whole number; None if it is absent or anything else.

    Raises
    ------
    tables.HDF5ExtError
        It cannot be read, or has more than ``longest`` bytes, which no attribute has: it is damaged.
    """
    if not call("H5Aexists", dataset, name.encode()):
        return None
    with (
        close_on_exit("H5Aclose", call("H5Aopen", dataset, name.encode(), DEFAULT)) as attribute,
        close_on_exit("H5Tclose", call("H5Aget_type", attribute)) as stored,
        close_on_exit("H5Tclose", call("H5Tget_native_type", stored, DEFAULT)) as datatype,
        close_on_exit("H5Sclose", call("H5Aget_space", attribute)) as space,
    ):
        of_class = call("H5Tget_class", datatype)
        dimensions = call("H5Sget_simple_extent_dims", space, None, None)
        if of_class not in {INTEGER, STRING} or dimensions or call("H5Tis_variable_str", datatype):
            return None
        if of_class == STRING and call("H5Tget_cset", datatype) != UTF_8:
            return None  # bytes, or what PyTables has pickled
        signed = of_class == INTEGER and bool(call("H5Tget_sign", datatype))
        if (size := call("H5Tget_size", datatype)) > longest:
            raise tables.HDF5ExtError(f"{name} is damaged: a text has the length {size}")
        buffer = ctypes.create_string_buffer(size)
        call("H5Aread", attribute, datatype, buffer)
    if of_class == INTEGER:
        return int.from_bytes(buffer.raw, sys.byteorder, signed=signed)
    return buffer.raw.rstrip(b"\0").decode()


def update_row_count(dataset: int, count: int) -> None:
    """Update the attribute in which PyTables notes the number of rows, if the table has it."""
    name = ROW_COUNT.encode()
    if call("H5Aexists", dataset, name):
        number = np.array(count, np.int64)
        with (
            close_on_exit("H5Aclose", call("H5Aopen", dataset, name, DEFAULT)) as attribute,
            close_on_exit("H5Tclose", call("H5Aget_type", attribute)) as datatype,
        ):
            if call("H5Tget_size", datatype) == number.itemsize:
                call("H5Awrite", attribute, datatype, number.ctypes.data)


def get_attribute(node: tables.Node, name: str) -> Any:  # noqa: ANN401 - whatever the file has
    """Return an attribute of a node.

    Raises
    ------
    AttributeError
        The node does not have it.
    """
    return getattr(node._v_attrs, name)


def set_attributes(node: tables.Node, values: Mapping[str, str | int]) -> None:
    """Set attributes of a node, in the order given."""
    for name, value in values.items():
        node._v_attrs[name] = value
