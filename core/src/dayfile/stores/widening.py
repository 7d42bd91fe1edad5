"""Add the fields of a later version of a data type to a table."""

from __future__ import annotations

from contextlib import closing

import numpy as np
import tables

from dayfile.hdf5.links import delete_link
from dayfile.hdf5.rows import NativeTable, open_table
from dayfile.model.datatype import DataType
from dayfile.stores.declarations import read_data_type
from dayfile.stores.making import make_table
from dayfile.stores.nodes import Keys
from dayfile.stores.registry import find_store

__all__ = ["widen"]


def widen(file: tables.File, path: str, data_type: DataType, keys: Keys) -> NativeTable:
    """Replace a table by one with more fields; in the old rows the new fields hold their defaults.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the table.
    data_type : DataType
        The version that the table gets.
    keys : mapping
        Values for the titles of the groups.

    Returns
    -------
    NativeTable
        The new table, with the same rows in the same order.
    """
    with closing(open_table(file, path)) as old:
        narrow = read_data_type(old) or data_type
        rows = old.read(0, old.nrows)
    wide = find_store(narrow.placement.store).conform(rows, data_type)
    delete_link(file, path)
    table = make_table(file, path, data_type.stored_as(narrow.placement.store, narrow.title), keys)
    table.append(np.ascontiguousarray(wide))
    return table
