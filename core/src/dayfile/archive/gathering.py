"""Read records of many tables into one array, with as few copies as possible."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.records import Place, Records
from dayfile.model.datatype import DataType

if TYPE_CHECKING:
    from dayfile.hdf5.rows import Table

__all__ = [
    "READ_BYTES",
    "Arena",
    "Choice",
    "Part",
    "RowSlice",
    "join_parts",
    "list_key_names",
    "read_table",
    "take_timing",
]

READ_BYTES = 4 * 2**20
"""Bytes of the blocks in which tables are read."""
SPARE = READ_BYTES
"""Bytes of an arena beyond the records that are expected."""

Choice = Callable[[npt.NDArray[Any], DataType], npt.NDArray[np.bool_]]
"""Return which records are asked for, shape (n,)."""


@dataclass(frozen=True)
class RowSlice:
    """The records read from one table.

    Parameters
    ----------
    array : structured array, shape (n,)
        The records.
    offset : int or None
        Where they begin in the arena, in bytes; None if they have memory of their own.
    """

    array: npt.NDArray[Any]
    offset: int | None


@dataclass(frozen=True)
class Part:
    """Records of one table, with what is known of the table."""

    data_type: DataType
    rows: RowSlice
    keys: dict[str, str | int]
    place: Place


class Arena:
    """One block of memory for the records of many tables, each table's behind those of the table before.

    Memory that is never written to is never allocated by the system, and so costs nothing.

    Parameters
    ----------
    size : int
        Bytes of all records that are expected; some more are reserved, so that a whole table can be read before its
        records are chosen.
    """

    def __init__(self, size: int) -> None:
        self.memory = np.empty(size + SPARE, np.uint8)
        self.end = 0
        """Offset of the first free byte."""

    def reserve(self, length: int, dtype: np.dtype[np.void]) -> RowSlice:
        """Return room for n rows behind those that are kept, or memory of its own if the arena has too little left."""
        stop = self.end + length * dtype.itemsize
        if stop > len(self.memory):
            return RowSlice(np.empty(length, dtype), None)
        return RowSlice(self.memory[self.end : stop].view(dtype), self.end)

    def keep(self, reserved: RowSlice, count: int) -> RowSlice:
        """Keep the first ``count`` rows of the room that was reserved last, and free the rest."""
        rows = reserved.array[:count]
        if reserved.offset is not None:
            self.end = reserved.offset + rows.nbytes
        elif count <= len(reserved.array) // 2:
            rows = rows.copy()  # the view would hold on to all the memory
        return RowSlice(rows, reserved.offset)

    def join(self, slices: Iterable[RowSlice], data_type: DataType) -> npt.NDArray[Any]:
        """Return the rows of all slices in one array: the arena itself if it has all of them, in the right dtype."""
        arrays, stop = [], 0
        for rows in slices:
            if rows.offset == stop and rows.array.dtype == data_type.dtype:
                stop += rows.array.nbytes
            arrays.append(rows.array)
        if stop == sum(array.nbytes for array in arrays):
            return self.memory[:stop].view(data_type.dtype)
        return np.concatenate([drop_fields(data_type.conform(array)) for array in arrays]).view(data_type.dtype)


def list_key_names(data_type: DataType) -> list[str]:
    """Return the names of the keys in the template of a type's node."""
    return re.findall(r"\{(\w+)\}", data_type.placement.node.path)


def read_table(
    table: Table, data_type: DataType, choice: Choice | None, arena: Arena, read_bytes: int = READ_BYTES
) -> RowSlice:
    """Read the records of a table that a choice takes (all without a choice), in the dtype of its data type.

    All rows are read, in blocks of ``read_bytes``: a slot is only a rough guide to the time of the record in it.
    """
    from dayfile.stores.registry import find_store

    store = find_store(data_type.placement.store)
    length, step = table.nrows, max(1, read_bytes // table.dtype.itemsize)
    # Rows are read to where they stay if all of them are taken.
    reserved = arena.reserve(length, table.dtype)
    found = reserved.array
    count = 0
    for start in range(0, length, step):
        stop = min(start + step, length)
        rows = table.read(start, stop, out=found[count : count + stop - start])
        taken = np.ones(len(rows), bool) if choice is None else choice(rows, data_type)
        if store.sparse:
            taken &= store.find_held(rows)
        if not taken.all():
            rows = drop_fields(rows)[taken]
            drop_fields(found)[count : count + len(rows)] = rows
        count += len(rows)
    kept = arena.keep(reserved, count)
    conformed = data_type.conform(kept.array)
    return kept if conformed is kept.array else RowSlice(conformed, None)


def drop_fields(records: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """View records without their fields: NumPy copies records field by field, and plain bytes ten times quicker."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


def merge_forms(newest: DataType, types: Iterable[DataType]) -> DataType:
    """Merge several forms of a data type: the last one, with the fields of all, and the rest of ``newest``.

    The placement of the last one may be that of an overlap table.
    """
    fields = {}
    last = newest
    for data_type in types:
        fields.update({field.name: field for field in data_type.fields})
        last = data_type
    merged = replace(last, title=newest.title, placement=newest.placement, fields=tuple(fields.values()))
    return take_timing(merged, newest)


def take_timing(data_type: DataType, newest: DataType) -> DataType:
    """Return a data type with the timing of its newest declaration, if it has the fields of that."""
    names = {field.name for field in data_type.fields}
    if data_type.composed == newest.composed or not names.issuperset(newest.timing.field_names):
        return data_type
    return replace(data_type, time=newest.time, end=newest.end, clock=newest.clock, composed=newest.composed)


def join_parts(newest: DataType, parts: list[Part], arena: Arena) -> Records:
    """Join the records of several tables in one array, by whole time.

    Records of the same time are in the order of the parts: by day file, then by table, then by row.
    """
    data_type = merge_forms(newest, (part.data_type for part in parts)) if parts else newest
    lengths = [len(part.rows.array) for part in parts]
    keys: dict[str, npt.NDArray[Any]] = {}
    for name in list_key_names(data_type):
        # Texts beside numbers stay what they are: NumPy would make the numbers texts too.
        form = object if len({type(part.keys[name]) for part in parts}) > 1 else None
        columns = [np.full(length, part.keys[name], form) for length, part in zip(lengths, parts, strict=True)]
        keys[name] = np.concatenate(columns) if columns else np.zeros(0, np.int64)
    places = tuple(part.place for part in parts)
    origins = np.repeat(np.arange(len(parts), dtype=np.min_scalar_type(len(parts))), lengths)
    array = arena.join((part.rows for part in parts), data_type)
    parts.clear()  # sorting makes a copy: with the parts there would be three
    times = data_type.find_begins(array)
    if not (times[1:] >= times[:-1]).all():
        order = np.argsort(times, kind="stable")
        array, origins = drop_fields(array)[order].view(data_type.dtype), origins[order]
        keys = {name: column[order] for name, column in keys.items()}
    return Records(data_type, array, keys, places, origins)
