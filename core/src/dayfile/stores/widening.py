"""Tables that get the fields of a later version of their data type."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tables

from dayfile.model.datatype import DataType
from dayfile.stores.nodes import Keys, data_type_of, make_table
from dayfile.stores.slots import conform_slots

__all__ = ["widen"]


def widen(file: tables.File, path: str, data_type: DataType, keys: Keys, *, chunk_rows: int) -> tables.Table:
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
    chunk_rows : int
        Rows of one HDF5 chunk.

    Returns
    -------
    tables.Table
        With the same rows, in their places.
    """
    old = file.get_node(path)
    told = data_type_of(old) or data_type
    rows = old.read()
    wide = conform_slots(rows, data_type) if told.store == "slots" else data_type.conform(rows)
    file.remove_node(path)
    table = make_table(file, path, replace(data_type, title=told.title, store=told.store), keys, chunk_rows=chunk_rows)
    table.append(np.ascontiguousarray(wide))
    table.flush()
    return table
