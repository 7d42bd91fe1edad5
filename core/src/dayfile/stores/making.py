"""New tables and arrays: copies of an empty one, which PyTables makes once for each kind.

Making a table takes PyTables 2.5 ms, of two hundred columns 30 ms, as it notes each column in attributes of the table.
A copy by the HDF5 library has the same attributes, and takes a tenth of that.
"""

from __future__ import annotations

from functools import lru_cache

import tables

from dayfile.hdf5.datasets import open_dataset
from dayfile.hdf5.links import copy_object
from dayfile.hdf5.rows import NativeTable
from dayfile.hdf5.vlen import VlenArray
from dayfile.model.datatype import DataType, Field
from dayfile.stores.nodes import Keys, tell, unnatural_names, with_keys

__all__ = ["make_table", "make_values"]

NODE = "empty"
LEAST_CHUNK, LARGEST_CHUNK, CHUNKS_A_DAY = 16 * 1024, 64 * 1024, 32
"""Bytes of an HDF5 chunk of a table, the least that is stored when one row is touched. Small days stay small; a day
that is large with a record in every slot has so many chunks or more, as larger ones are read and written quicker."""
CHUNK_VALUES = 4096
"""Values of one HDF5 chunk of an array, 16 bytes each: small, as the first value of an array costs a chunk on disk."""


def created_group(file: tables.File, path: str, titles: tuple[str, ...], keys: Keys) -> tables.Group:
    """The group above a node, made with its titles where it is absent.

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
    group = file.root
    with unnatural_names():
        for index, name in enumerate(path.strip("/").split("/")[:-1]):
            if name in group._v_children:
                group = group._v_children[name]
            else:
                title = with_keys(titles[index], keys) if index < len(titles) - 1 else ""
                group = file.create_group(group, name, title)
    return group


def make_table(file: tables.File, path: str, data_type: DataType, keys: Keys, *, slots: int = 0) -> NativeTable:
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
    slots : int
        Rows that it has at once, all zero bytes, of which HDF5 stores nothing yet.

    Returns
    -------
    NativeTable
        The table, to be closed before the file is.
    """
    created_group(file, path, data_type.node.titles, keys)
    copy_into(file, path, empty_table(data_type, slots))
    return NativeTable(open_dataset(file, path), path, data_type.dtype)


def make_values(file: tables.File, path: str, data_type: DataType, keys: Keys) -> VlenArray:
    """Make the array of variable-length values (blobs) of a data type, empty; the rest as for :func:`make_table`."""
    created_group(file, path, data_type.node.titles, keys)
    copy_into(file, path, empty_values(data_type.node.blobs_title))
    return VlenArray(open_dataset(file, path), path)


def copy_into(file: tables.File, path: str, image: bytes) -> None:
    """Copy the one node of a file that is given by its bytes to a path of an open file."""
    # PyTables wants a name for what is never a file, and that there is none of that name: below a file there is none.
    with tables.open_file(
        f"{file.filename}/{NODE}", "r", driver="H5FD_CORE", driver_core_image=image, driver_core_backing_store=0
    ) as source:
        copy_object(source, NODE, file, path)


@lru_cache(maxsize=64)
def empty_table(data_type: DataType, slots: int) -> bytes:
    """The bytes of a file whose one node is the empty table of a data type."""
    with tables.open_file(NODE, "w", driver="H5FD_CORE", driver_core_backing_store=0) as file, unnatural_names():
        table = file.create_table(
            "/",
            NODE,
            {field.name: column(field, place, data_type.store) for place, field in enumerate(data_type.fields)},
            data_type.title,
            chunkshape=rows_of_chunk(data_type.dtype.itemsize, slots),
            byteorder="little",
        )
        tell(table, data_type)
        if slots:
            table.truncate(slots)
            table.attrs.NROWS = slots  # which PyTables leaves as it was
        file.flush()
        return bytes(file.get_file_image())


def rows_of_chunk(itemsize: int, slots: int) -> int:
    """Rows that are stored together in a table with so many slots, or none."""
    return max(1, min(max(LEAST_CHUNK, itemsize * slots // CHUNKS_A_DAY), LARGEST_CHUNK) // itemsize)


@lru_cache(maxsize=64)
def empty_values(title: str) -> bytes:
    """The bytes of a file whose one node is an empty array of variable-length values."""
    with tables.open_file(NODE, "w", driver="H5FD_CORE", driver_core_backing_store=0) as file:
        file.create_vlarray("/", NODE, tables.VLStringAtom(), title, chunkshape=CHUNK_VALUES)
        file.flush()
        return bytes(file.get_file_image())


def column(field: Field, place: int, store: str) -> tables.Col:
    """The PyTables column of a field; in slots without its default, as an empty slot is all zero bytes."""
    default = 0 if store == "slots" else field.default
    if field.type == "char":
        return tables.StringCol(field.shape[-1], shape=field.array_shape, pos=place)
    if field.type == "time32":
        return tables.Time32Col(shape=field.array_shape, dflt=default, pos=place)
    return tables.Col.from_sctype(field.base.type, shape=field.array_shape, dflt=default, pos=place)
