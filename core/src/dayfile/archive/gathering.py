"""Read records of many tables into one array, with as few copies as possible."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.blob_places import Place
from dayfile.archive.question import KeyValue, Question, list_key_names
from dayfile.archive.records import Records
from dayfile.hdf5.memory import allocate_ahead
from dayfile.model.datatype import DataType
from dayfile.model.forms import drop_fields, is_in_order, merge_forms, narrow, pick_fields

if TYPE_CHECKING:
    from dayfile.hdf5.placed import ReadableRows
    from dayfile.stores.base import Store

__all__ = [
    "READ_BYTES",
    "Arena",
    "Part",
    "RowSlice",
    "find_held",
    "join_parts",
    "list_deciding",
    "read_fields",
    "read_table",
]

READ_BYTES = 4 * 2**20
"""Bytes of the blocks in which tables are read."""
SPARE = READ_BYTES
"""Bytes of an arena beyond the records that are expected."""

ROWS_A_STRETCH = 32
"""Mean rows of a stretch from which on stretches are copied, which takes less than to copy row by row."""


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
    """Records of one table, with what is known of the table: ``held`` records are in it, whatever is asked for."""

    data_type: DataType
    rows: RowSlice
    keys: dict[str, KeyValue]
    place: Place
    held: int

    @cached_property
    def in_order(self) -> bool:
        """Return whether the records are in the order of their whole times."""
        return is_in_order(self.rows.array, self.data_type)

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """Return when the first and the last record begin."""
        first, last = self.data_type.find_begins(self.rows.array[[0, -1]]).tolist()
        return first, last

    def precedes(self, other: Part) -> bool:
        """Return whether the first record of another part does not begin before the last one of this."""
        return other.bounds[0] >= self.bounds[1]


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
        allocate_ahead(self.memory, size)
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


def read_fields(
    table: ReadableRows,
    data_type: DataType,
    store: Store,
    start: int,
    stop: int,
    names: Sequence[str] | None,
    out: npt.NDArray[Any] | None = None,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Read named fields of a block of rows of a table; the only place where rows are read to be given to somebody.

    Parameters
    ----------
    table : ReadableRows
        The table.
    data_type : DataType
        What its rows are.
    store : Store
        How it holds its records.
    start, stop : int
        From which row on, and before which to stop.
    names : sequence of str, or None
        The fields; names that the table does not have are left out. All of them if None.
    out : structured array, optional
        Where to read whole rows to.

    Returns
    -------
    rows : structured array, shape (n,)
        With these fields.
    held : array of bool, shape (n,)
        Which rows hold a record: slots may be empty.
    """
    known = table.dtype.names or ()
    deciding = list_deciding(store, data_type, table.dtype) if store.sparse else []
    if names is None:
        chosen = known
        rows = table.read(start, stop, out=out)
    else:
        chosen = tuple(name for name in names if name in known)
        rows = table.read_fields(start, stop, list(dict.fromkeys([*chosen, *deciding])))
    held = find_held(rows, store, deciding) if store.sparse else np.ones(len(rows), bool)
    return rows if len(rows.dtype.names or ()) == len(chosen) else pick_fields(rows, chosen), held


def list_deciding(store: Store, data_type: DataType, dtype: np.dtype[np.void]) -> list[str]:
    """List the fields of a table that decide which of its rows hold a record."""
    return [name for name in store.list_held_fields(data_type) if name in (dtype.names or ())]


def find_held(rows: npt.NDArray[Any], store: Store, deciding: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Find the rows that hold a record by the fields that decide it, shape (n,)."""
    if len(deciding) == 1:
        return store.find_held(rows[deciding[0]])
    return store.find_held(rows if len(deciding) == len(rows.dtype.names or ()) else pick_fields(rows, deciding))


def read_table(
    table: ReadableRows,
    data_type: DataType,
    question: Question,
    keys: Mapping[str, KeyValue],
    path: Path,
    arena: Arena,
    read_bytes: int = READ_BYTES,
    *,
    all_in_time: bool = False,
) -> Part:
    """Read the records of a table, which is in the day file at ``path``, that a question asks for.

    All rows are read, in blocks of ``read_bytes``: a slot is only a rough guide to the time of the record in it. With
    ``all_in_time``, every record is known to belong to the time of the question.
    """
    from dayfile.stores.registry import find_store

    store = find_store(data_type.placement.store)
    form, names = data_type, question.read_names
    if question.stored_names is not None:
        newest = {field.name: field for field in question.data_type.fields}
        form = narrow(data_type, question.stored_names, newest)
    length, step = table.nrows, max(1, read_bytes // table.dtype.itemsize)
    # Whole rows are read to where they stay if all of them are taken.
    reserved = arena.reserve(length, table.dtype if names is None else form.dtype)
    found = reserved.array
    count = held = 0
    for start in range(0, length, step):
        stop = min(start + step, length)
        room = found[count : count + stop - start] if names is None else None
        rows, taken = read_fields(table, data_type, store, start, stop, names, room)
        held += int(np.count_nonzero(taken))
        if not all_in_time:
            taken &= question.choice(rows, data_type)
        if question.where is not None:
            taken &= question.satisfies(rows, keys)
        if names is not None:
            rows = form.conform(rows)
        kept_rows = int(np.count_nonzero(taken))
        if kept_rows < len(rows):
            keep_rows(drop_fields(rows), taken, drop_fields(found)[count : count + kept_rows])
        elif names is not None:
            drop_fields(found)[count : count + kept_rows] = drop_fields(rows)
        count += kept_rows
    kept = arena.keep(reserved, count)
    conformed = form.conform(kept.array)
    rows_kept = kept if conformed is kept.array else RowSlice(conformed, None)
    part = Part(form, rows_kept, dict(keys), Place(path, data_type.placement.node.blobs.format(**keys)), held)
    part.in_order  # noqa: B018 - found while the rows are in the processor's cache
    return part


def keep_rows(rows: npt.NDArray[np.void], taken: npt.NDArray[np.bool_], out: npt.NDArray[np.void]) -> None:
    """Copy the rows that are taken, in their order, to where they stay, which may be the beginning of the rows.

    Where records are missing, it is mostly for a while: the stretches between are copied whole.
    """
    edges = np.flatnonzero(np.diff(taken, prepend=False, append=False))
    if len(edges) > len(rows) // ROWS_A_STRETCH:
        out[:] = rows[taken]
        return
    count = 0
    for start, stop in edges.reshape(-1, 2).tolist():
        out[count : count + stop - start] = rows[start:stop]
        count += stop - start


def join_parts(newest: DataType, parts: list[Part], arena: Arena, *, all_fields: bool = False) -> Records:
    """Join the records of several tables in one array, by whole time.

    Records of the same time are in the order of the parts: by day file, then by table, then by row. With
    ``all_fields``, they have those of the newest form even if no table has them.
    """
    forms = [*(part.data_type for part in parts), *([newest] if all_fields or not parts else [])]
    data_type = merge_forms(newest, forms)
    lengths = [len(part.rows.array) for part in parts]
    keys: dict[str, npt.NDArray[Any]] = {}
    for name in list_key_names(data_type):
        # Texts beside numbers stay what they are: NumPy would make the numbers texts too.
        form = object if len({type(part.keys[name]) for part in parts}) > 1 else None
        columns = [np.full(length, part.keys[name], form) for length, part in zip(lengths, parts, strict=True)]
        keys[name] = np.concatenate(columns) if columns else np.zeros(0, np.int64)
    places = tuple(part.place for part in parts)
    origins = np.repeat(np.arange(len(parts), dtype=np.min_scalar_type(len(parts))), lengths)
    in_order = all(part.in_order for part in parts) and all(one.precedes(other) for one, other in pairwise(parts))
    array = arena.join((part.rows for part in parts), data_type)
    parts.clear()  # sorting makes a copy: with the parts there would be three
    if not in_order:
        times = data_type.find_begins(array)
        order = np.argsort(times, kind="stable")
        array, origins = drop_fields(array)[order].view(data_type.dtype), origins[order]
        keys = {name: column[order] for name, column in keys.items()}
    return Records(data_type, array, keys, places, origins)
