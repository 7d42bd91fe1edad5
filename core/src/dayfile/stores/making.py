"""New tables and arrays: copies of an empty one, which PyTables makes once for each kind.

Making a table takes PyTables 2.5 ms, of two hundred columns 30 ms, as it notes each column in attributes of the table.
A copy by the HDF5 library has the same attributes, and takes a tenth of that.
"""

from __future__ import annotations

from functools import lru_cache

import tables

from dayfile.hdf5.datasets import open_dataset
from dayfile.hdf5.files import copy_from_image, make_image
from dayfile.hdf5.groups import allow_any_names, create_groups
from dayfile.hdf5.rows import NativeTable, extend_with_zeros
from dayfile.hdf5.vlen import VlenArray
from dayfile.model.datatype import DataType, Field
from dayfile.stores.declarations import tell
from dayfile.stores.nodes import Keys, with_keys
from dayfile.stores.registry import find_store

__all__ = ["make_table", "make_values"]

NODE = "empty"
LEAST_CHUNK, LARGEST_CHUNK, CHUNKS_A_DAY = 16 * 1024, 64 * 1024, 32
"""Bytes of an HDF5 chunk of a table, the least that is stored when one row is touched. Small days stay small; a day
that is large with a record in every slot has so many chunks or more, as larger ones are read and written quicker."""
CHUNK_VALUES = 4096
"""Values of one HDF5 chunk of an array, 16 bytes each: small, as the first value of an array costs a chunk on disk."""


def create_titled_groups(file: tables.File, path: str, titles: tuple[str, ...], keys: Keys) -> None:
    """Create the groups above a node, where they are missing.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the node.
    titles : tuple of str
        Templates of a title for each group on the way.
    keys : mapping
        What fills the templates.
    """
    create_groups(file, path, lambda depth: with_keys(titles[depth], keys) if depth < len(titles) - 1 else "")


def make_table(
    file: tables.File, path: str, data_type: DataType, keys: Keys, *, rows: int = 0, chunk_rows: int | None = None
) -> NativeTable:
    """Make the table of a data type, empty.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the table.
    data_type : DataType
        Tells columns, defaults and attributes.
    keys : mapping
        What fills the titles of the groups.
    rows : int
        Rows that it has at once, all zero bytes, of which HDF5 stores nothing yet.
    chunk_rows : int, optional
        Rows that are stored together; as :func:`rows_of_chunk` says if not given.

    Returns
    -------
    NativeTable
        The table, to be closed before the file is.
    """
    create_titled_groups(file, path, data_type.placement.node.titles, keys)
    copy_from_image(empty_table(data_type, rows, chunk_rows), NODE, file, path)
    return NativeTable(open_dataset(file, path), path, data_type.dtype)


def make_values(file: tables.File, path: str, data_type: DataType, keys: Keys) -> VlenArray:
    """Make the array of variable-length values (blobs) of a data type, empty; the rest as for :func:`make_table`."""
    create_titled_groups(file, path, data_type.placement.node.titles, keys)
    copy_from_image(empty_values(data_type.placement.node.blobs_title), NODE, file, path)
    return VlenArray(open_dataset(file, path), path)


@lru_cache(maxsize=64)
def empty_table(data_type: DataType, rows: int, chunk_rows: int | None = None) -> bytes:
    """The bytes of a file whose one node is the empty table of a data type."""
    store = data_type.placement.store
    columns = {field.name: column(field, place, store) for place, field in enumerate(data_type.fields)}
    chunk = chunk_rows or rows_of_chunk(data_type.dtype.itemsize, rows)

    def create(file: tables.File) -> None:
        with allow_any_names():
            table = file.create_table("/", NODE, columns, data_type.title, chunkshape=chunk, byteorder="little")
            tell(table, data_type)
            if rows:
                extend_with_zeros(table, rows)

    return make_image(create)


def rows_of_chunk(itemsize: int, rows: int) -> int:
    """Rows that are stored together in a table that has this number of rows from the beginning, or none."""
    return max(1, min(max(LEAST_CHUNK, itemsize * rows // CHUNKS_A_DAY), LARGEST_CHUNK) // itemsize)


@lru_cache(maxsize=64)
def empty_values(title: str) -> bytes:
    """The bytes of a file whose one node is an empty array of variable-length values."""

    def create(file: tables.File) -> None:
        file.create_vlarray("/", NODE, tables.VLStringAtom(), title, chunkshape=CHUNK_VALUES)

    return make_image(create)


def column(field: Field, place: int, store: str) -> tables.Col:
    """The PyTables column of a field; without its default in a store where an empty row is all zero bytes."""
    default = 0 if find_store(store).sparse else field.default
    if field.type == "char":
        return tables.StringCol(field.shape[-1], shape=field.array_shape, pos=place)
    if field.type == "time32":
        return tables.Time32Col(shape=field.array_shape, dflt=default, pos=place)
    return tables.Col.from_sctype(field.base.type, shape=field.array_shape, dflt=default, pos=place)
