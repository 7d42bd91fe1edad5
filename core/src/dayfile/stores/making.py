"""Make new tables and arrays as copies of an empty one, which PyTables makes once for each kind.

Making a table takes PyTables 2.5 ms, of two hundred columns 30 ms, as it notes each column in attributes of the table.
A copy by the HDF5 library has the same attributes, and takes a tenth of that.
"""

from __future__ import annotations

from functools import lru_cache

import tables

from dayfile.hdf5.datasets import open_dataset
from dayfile.hdf5.files import copy_from_image, make_image
from dayfile.hdf5.groups import allow_any_names, create_groups
from dayfile.hdf5.rows import NativeTable, extend_with_zeros, open_native_table
from dayfile.hdf5.vlen import VlenArray
from dayfile.model.datatype import DataType
from dayfile.model.field import Field
from dayfile.model.placement import Compression
from dayfile.stores.declarations import write_attributes
from dayfile.stores.nodes import Keys, fill_template
from dayfile.stores.registry import find_store

__all__ = ["make_table", "make_values"]

NODE = "empty"
LEAST_CHUNK, LARGEST_CHUNK, CHUNKS_A_DAY = 16 * 1024, 64 * 1024, 32
"""Bytes of an HDF5 chunk of a table, the least that is stored when one row is touched: small, so that small days stay
small. A full day has at least ``CHUNKS_A_DAY`` chunks, as larger ones are read and written faster."""
LEAST_SHUFFLED = 16
"""Rows of a chunk from which on it is shuffled before it is compressed."""
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
        Values for the templates.
    """
    create_groups(file, path, lambda depth: fill_template(titles[depth], keys) if depth < len(titles) - 1 else "")


def make_table(file: tables.File, path: str, data_type: DataType, keys: Keys, *, rows: int = 0) -> NativeTable:
    """Make an empty table of a data type.

    Parameters
    ----------
    file : tables.File
        Open for writing.
    path : str
        Path of the table.
    data_type : DataType
        Its columns, defaults and attributes.
    keys : mapping
        Values for the titles of the groups.
    rows : int
        Rows that it has from the beginning, all zero bytes, which HDF5 does not store yet.

    Returns
    -------
    NativeTable
        The table, to be closed before the file is.
    """
    create_titled_groups(file, path, data_type.placement.node.titles, keys)
    copy_from_image(make_empty_table(data_type, rows), NODE, file, path)
    return open_native_table(file, path, data_type.dtype)


def make_values(file: tables.File, path: str, data_type: DataType, keys: Keys) -> VlenArray:
    """Make an empty array for the variable-length values (blobs) of a data type; see :func:`make_table`."""
    create_titled_groups(file, path, data_type.placement.node.titles, keys)
    copy_from_image(make_empty_values(data_type.placement.node.blobs_title), NODE, file, path)
    return VlenArray(open_dataset(file, path), path)


@lru_cache(maxsize=64)
def make_empty_table(data_type: DataType, rows: int) -> bytes:
    """Make the bytes of a file whose only node is the empty table of a data type."""
    store = data_type.placement.store
    columns = {field.name: make_column(field, place, store) for place, field in enumerate(data_type.fields)}
    chunk = data_type.placement.chunk or choose_chunk_rows(data_type.dtype.itemsize, rows)
    filters = make_filters(data_type.placement.compression, chunk)

    def create(file: tables.File) -> None:
        with allow_any_names():
            table = file.create_table(
                "/", NODE, columns, data_type.title, filters=filters, chunkshape=chunk, byteorder="little"
            )
            write_attributes(table, data_type)
            if rows:
                extend_with_zeros(table, rows)

    return make_image(create)


def choose_chunk_rows(itemsize: int, rows: int) -> int:
    """Choose the rows in a chunk for a table that is created with this number of rows, which may be 0."""
    return max(1, min(max(LEAST_CHUNK, itemsize * rows // CHUNKS_A_DAY), LARGEST_CHUNK) // itemsize)


def make_filters(compression: Compression | None, chunk: int) -> tables.Filters | None:
    """Make the filters of a table with this number of rows in a chunk; None without compression.

    The shuffle of HDF5 puts the first bytes of all rows of a chunk together, then the second ones. With few rows, as of
    images, that tears apart what is alike, so they are not shuffled.
    """
    if compression is None:
        return None
    library = {"zlib": "zlib", "blosc": "blosc:zstd"}[compression.kind]
    return tables.Filters(complevel=compression.level, complib=library, shuffle=chunk >= LEAST_SHUFFLED)


@lru_cache(maxsize=64)
def make_empty_values(title: str) -> bytes:
    """Make the bytes of a file whose only node is an empty array of variable-length values."""

    def create(file: tables.File) -> None:
        file.create_vlarray("/", NODE, tables.VLStringAtom(), title, chunkshape=CHUNK_VALUES)

    return make_image(create)


def make_column(field: Field, place: int, store: str) -> tables.Col:
    """Make the PyTables column of a field; without its default in a store where an empty row is all zero bytes."""
    default = 0 if find_store(store).sparse else field.default
    if field.type == "char":
        return tables.StringCol(field.shape[-1], shape=field.array_shape, pos=place)
    if field.type == "time32":
        return tables.Time32Col(shape=field.array_shape, dflt=default, pos=place)
    return tables.Col.from_sctype(field.base.type, shape=field.array_shape, dflt=default, pos=place)
