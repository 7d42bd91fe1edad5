"""Records from many tables brought together in one array, with as few copies as can be."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.records import Place, Records
from dayfile.model.datatype import DataType

if TYPE_CHECKING:
    from dayfile.hdf5.rows import Table

__all__ = ["READ_BYTES", "Choice", "Part", "Room", "chosen", "joined", "key_names"]

READ_BYTES = 4 * 2**20
"""Bytes of the blocks in which tables are read."""
SPARE = READ_BYTES
"""Bytes of room beside the records that are expected."""

Choice = Callable[[npt.NDArray[Any], DataType], npt.NDArray[np.bool_]]
"""Which records are asked for, shape (n,)."""


@dataclass(frozen=True)
class Part:
    """Records of one table."""

    data_type: DataType
    array: npt.NDArray[Any]
    keys: dict[str, str | int]
    place: Place


class Room:
    """Memory for the records of many tables, in which those of one follow those of the one before.

    What is not needed of it is never touched, and so costs nothing.

    Parameters
    ----------
    size : int
        Bytes of all records that are expected; there is room for the largest table beside them.
    """

    def __init__(self, size: int) -> None:
        self.memory = np.empty(size + SPARE, np.uint8)
        self.used = 0

    def rows(self, length: int, dtype: np.dtype[np.void]) -> npt.NDArray[Any]:
        """Room for so many rows, behind those that were kept; by itself if that is full."""
        end = self.used + length * dtype.itemsize
        return self.memory[self.used : end].view(dtype) if end <= len(self.memory) else np.empty(length, dtype)

    def kept(self, rows: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
        """Keep the first rows of room that was given for so many."""
        if rows.ctypes.data == self.memory.ctypes.data + self.used:
            self.used += rows.nbytes
            return rows
        return rows if len(rows) > length // 2 else rows.copy()

    def all_of(self, arrays: Sequence[npt.NDArray[Any]], dtype: np.dtype[np.void]) -> npt.NDArray[Any]:
        """The rows of all arrays in one: that which is there, if they are all that was kept."""
        here = self.memory.ctypes.data
        for array in arrays:
            if array.ctypes.data != here:
                return np.concatenate([whole(array) for array in arrays]).view(dtype)
            here += array.nbytes
        return self.memory[: self.used].view(dtype)


def key_names(data_type: DataType) -> list[str]:
    """Names of the keys in the template of a type's node."""
    return re.findall(r"\{(\w+)\}", data_type.placement.node.path)


def chosen(
    table: Table, data_type: DataType, choice: Choice | None, room: Room, read_bytes: int = READ_BYTES
) -> npt.NDArray[Any]:
    """The records of a table that a choice takes, all if there is none, in the dtype of its data type.

    All are looked at, in blocks of ``read_bytes``: a slot is only a rough guide to the time of the record in it.
    """
    from dayfile.stores.registry import find_store

    store = find_store(data_type.placement.store)
    length, step = table.nrows, max(1, read_bytes // table.dtype.itemsize)
    # Rows are read to where they stay if all of them are taken; memory that is never touched costs nothing.
    found = room.rows(length, table.dtype)
    count = 0
    for start in range(0, length, step):
        stop = min(start + step, length)
        rows = table.read(start, stop, out=found[count : count + stop - start])
        taken = np.ones(len(rows), bool) if choice is None else choice(rows, data_type)
        if store.sparse:
            taken &= store.find_held(rows)
        if not taken.all():
            rows = whole(rows)[taken]
            whole(found)[count : count + len(rows)] = rows
        count += len(rows)
    return data_type.conform(room.kept(found[:count], length))


def whole(records: npt.NDArray[Any]) -> npt.NDArray[np.void]:
    """The same records without their fields: NumPy copies records field by field, and plain bytes ten times quicker."""
    return records.view(np.dtype((np.void, records.dtype.itemsize)))


def merged(told: DataType, types: Iterable[DataType]) -> DataType:
    """The last of several forms of a data type, with the fields of all; an overlap table is no other type."""
    fields = {}
    last = told
    for data_type in types:
        fields.update({field.name: field for field in data_type.fields})
        last = data_type
    return replace(last, title=told.title, placement=told.placement, fields=tuple(fields.values()))


def joined(told: DataType, parts: list[Part], room: Room) -> Records:
    """Records of several tables in one array, in time order."""
    data_type = merged(told, (part.data_type for part in parts)) if parts else told
    keys: dict[str, npt.NDArray[Any]] = {}
    for name in key_names(data_type):
        # Texts beside numbers stay what they are: NumPy would make the numbers texts too.
        form = object if len({type(part.keys[name]) for part in parts}) > 1 else None
        columns = [np.full(len(part.array), part.keys[name], form) for part in parts]
        keys[name] = np.concatenate(columns) if columns else np.zeros(0, np.int64)
    places = tuple(part.place for part in parts)
    origins = np.repeat(np.arange(len(parts), dtype=np.min_scalar_type(len(parts))), [len(p.array) for p in parts])
    array = room.all_of([data_type.conform(part.array) for part in parts], data_type.dtype)
    parts.clear()  # sorting makes a copy: with the parts there would be three
    times = array[data_type.time]
    if not (times[1:] >= times[:-1]).all():
        order = np.argsort(times, kind="stable")
        array, origins = whole(array)[order].view(data_type.dtype), origins[order]
        keys = {name: column[order] for name, column in keys.items()}
    return Records(data_type, array, keys, places, origins)
