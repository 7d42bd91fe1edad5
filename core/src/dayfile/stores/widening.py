"""Tables that get the fields of a later version of their data type."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import tables

from dayfile.hdf5.links import delete_link
from dayfile.hdf5.rows import NativeTable, open_table
from dayfile.model.datatype import DataType
from dayfile.stores.declarations import data_type_of
from dayfile.stores.making import make_table
from dayfile.stores.nodes import Keys
from dayfile.stores.registry import find_store

__all__ = ["widen"]


def widen(file: tables.File, path: str, data_type: DataType, keys: Keys) -> NativeTable:
    """Put a table with more fields in place of one with fewer; what the rows did not have holds its default.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the table.
    data_type : DataType
        The form that the table is to have.
    keys : mapping
        What fills the titles of the groups.

    Returns
    -------
    NativeTable
        The new table, with the same rows in their places.
    """
    with closing(open_table(file, path)) as old:
        told = data_type_of(old) or data_type
        rows = old.read(0, old.nrows)
    wide = find_store(told.placement.store).conform(rows, data_type)
    delete_link(file, path)
    table = make_table(file, path, data_type.stored_as(told.placement.store, told.title), keys)
    table.append(np.ascontiguousarray(wide))
    return table
