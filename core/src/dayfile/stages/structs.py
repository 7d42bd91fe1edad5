"""Read the values of structs in a block of bytes, all structs at once.

A struct is a run of steps. A step of fixed size is read for all structs by one NumPy dtype. Behind a part whose size
differs from struct to struct, each struct has its own place to go on.
"""

from __future__ import annotations

import math
from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.messages import plural
from dayfile.stages.base import Bytes, Columns, Order, Wrong
from dayfile.stages.parts import (
    Nested,
    Placed,
    Skip,
    StructPart,
    Value,
    is_variable,
    place_parts,
)
from dayfile.stages.values import extract, make_blank, split_bits

__all__ = ["Cursor", "Struct", "StructValues", "view_structs"]


@dataclass
class StructValues:
    """What was read of many structs.

    Parameters
    ----------
    columns : dict of str to array
        Values by name, a row a struct.
    blobs : dict of str to list of bytes
        Variable-length values by name.
    rows : dict of str to (StructValues, array of int64)
        Elements that are records of their own, by data type, with the struct that each is in.
    """

    columns: Columns = field(default_factory=dict)
    blobs: dict[str, list[bytes]] = field(default_factory=dict)
    rows: dict[str, tuple[StructValues, npt.NDArray[np.int64]]] = field(default_factory=dict)


@dataclass
class Cursor:
    """Where the next part of each struct begins, and which structs are wrong.

    Parameters
    ----------
    at, ends : arrays of int64, shape (n,)
        Offsets in the block: of the next part, and behind the last byte that belongs to the struct.
    wrong : Wrong
        Structs that cannot be read.
    """

    at: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int64]
    wrong: Wrong

    def reserve(self, sizes: npt.NDArray[np.int64] | int) -> npt.NDArray[np.int64]:
        """Go on by a number of bytes, and return where they begin; structs that do not have them are wrong."""
        starts, after = self.at, self.at + sizes
        short = after > self.ends
        if short.any():
            self.wrong.add(short, lambda row: f"too short: {plural(int(after[row] - self.ends[row]), 'byte')} missing")
            after = np.where(short, self.ends, after)
        self.at = after
        return starts


@dataclass(frozen=True)
class Struct:
    """The parts of a struct, ready to be read.

    Parameters
    ----------
    parts : tuple of StructPart
        What it is made of.
    byte_order : {'big', 'little'}
        Byte order of the source.
    natural : bool
        Whether parts are aligned as C compilers do it.
    begin : int
        Offset of the struct in its frame.

    Examples
    --------
    >>> struct = Struct((Value("second", "uint32"), Value("counts", "uint16", (2,))), "big")
    >>> block = np.frombuffer(bytes([0, 0, 0, 7, 0, 1, 0, 2]), np.uint8)
    >>> struct.read(block, np.array([0]), {})["counts"].tolist()
    [[1, 2]]
    """

    parts: tuple[StructPart, ...]
    byte_order: Order
    natural: bool = False
    begin: int = 0
    steps: tuple[Placed | StructPart, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self._make_steps()))

    def _make_steps(self) -> Iterator[Placed | StructPart]:
        offset = self.begin
        for variable, run in groupby(self.parts, is_variable):
            if variable:
                yield from run
                offset = 0
            else:
                placed = place_parts(tuple(run), self.byte_order, natural=self.natural, begin=offset)
                yield placed
                offset += placed.dtype.itemsize

    @property
    def is_fixed(self) -> bool:
        """Return whether all structs have the same size."""
        return all(isinstance(step, Placed) for step in self.steps)

    @property
    def size(self) -> int:
        """Return the bytes of the parts of fixed size."""
        return sum(step.dtype.itemsize for step in self.steps if isinstance(step, Placed))

    @property
    def padded_size(self) -> int:
        """Return the size of a struct of fixed size with the padding of its end, as C compilers make it."""
        widest = max((step.alignment for step in self.steps if isinstance(step, Placed)), default=1)
        return self.size + (-(self.begin + self.size) % widest if self.natural else 0)

    def read(self, block: Bytes, starts: npt.NDArray[np.int64], known: Mapping[str, Any]) -> Columns:
        """Read the fields of structs that are whole within the block; see :class:`dayfile.stages.base.Reading`."""
        cursor = Cursor(starts, np.full(len(starts), len(block)), Wrong.none(len(starts)))
        return self.find(block, cursor, known).columns

    def find(self, block: Bytes, cursor: Cursor, known: Mapping[str, Any]) -> StructValues:
        """Read structs that may differ in size; the cursor is behind them then.

        Values of structs that are wrong mean nothing.
        """
        found = StructValues()
        names = ChainMap[str, Any](found.columns, dict(known))
        for step in self.steps:
            if isinstance(step, Placed):
                structs = view_structs(block, cursor.reserve(step.dtype.itemsize), step.dtype)
                found.columns.update(read_placed(step, structs, self.byte_order))
            elif isinstance(step, Skip):
                cursor.reserve(cursor.ends - cursor.at if step.size is None else find_sizes(step.size.evaluate(names)))
            elif isinstance(step, Value):
                self._read_value(step, block, cursor, names, found)
            else:
                self._read_group(step, block, cursor, names, found)
        return found

    def _read_value(
        self, value: Value, block: Bytes, cursor: Cursor, names: Mapping[str, Any], found: StructValues
    ) -> None:
        """Read an array whose length another value says."""
        counts = self._count(value, cursor, names)
        is_text = value.type == "char" and len(value.shape) == 1
        inner = replace(value, shape=(1,) if is_text else value.shape[1:], count=None)
        form = inner.form(self.byte_order)
        starts = cursor.reserve(counts * form.itemsize)
        counts = np.where(cursor.wrong.rows, 0, counts)
        owners, places = spread(counts)
        flat = extract(view_array(block, starts[owners] + places * form.itemsize, form), inner, self.byte_order)
        if value.blob:
            ends = np.cumsum(counts)
            content = np.ascontiguousarray(flat)
            found.blobs[value.name] = [
                content[end - count : end].tobytes() for end, count in zip(ends.tolist(), counts.tolist(), strict=True)
            ]
            return
        shape = (len(counts), value.shape[0], *flat.shape[1:])
        full = make_blank(shape, flat.dtype, value.default)
        full[owners, places] = flat
        found.columns[value.name] = full.view(f"S{value.shape[0]}")[:, 0] if is_text else full
        if value.bits:
            found.columns.update(split_bits(full, value, self.byte_order))

    def _read_group(
        self, group: Nested, block: Bytes, cursor: Cursor, names: Mapping[str, Any], found: StructValues
    ) -> None:
        """Read the elements of a group whose number another value says; of which some may differ in size."""
        counts = self._count(group, cursor, names) * math.prod(group.shape[1:])
        inner = Struct(group.parts, self.byte_order, self.natural)
        if inner.is_fixed:
            size = inner.padded_size
            starts = cursor.reserve(counts * size)
            counts = np.where(cursor.wrong.rows, 0, counts)
            owners, places = spread(counts)
            elements = StructValues(inner.read(block, starts[owners] + places * size, {}))
        else:
            elements, owners, places = self._read_one_by_one(inner, counts, block, cursor, names)
        if group.rows:
            found.rows[group.name] = elements, owners
            return
        defaults = {part.name: part.default for part in group.parts if isinstance(part, Value)}
        for name, column in elements.columns.items():
            blank = (len(counts), math.prod(group.shape), *column.shape[1:])
            full = make_blank(blank, column.dtype, defaults.get(name, 0))
            full[owners, places] = column
            shape = (len(counts), *group.shape, *column.shape[1:])
            found.columns[group.rename(name)] = full.reshape(shape)

    def _read_one_by_one(
        self,
        inner: Struct,
        counts: npt.NDArray[np.int64],
        block: Bytes,
        cursor: Cursor,
        names: Mapping[str, Any],
    ) -> tuple[StructValues, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Read the first element of each struct, then the second of each that has one, and so on."""
        rounds: list[tuple[StructValues, npt.NDArray[np.int64]]] = []
        number = 0
        while True:
            rows = np.flatnonzero((counts > number) & ~cursor.wrong.rows)
            if not len(rows):
                break
            part = Cursor(cursor.at[rows], cursor.ends[rows], Wrong.none(len(rows)))
            known = {name: value[rows] if np.ndim(value) else value for name, value in names.items()}
            rounds.append((inner.find(block, part, known), rows))
            cursor.at[rows] = part.at
            for row, reason in part.wrong.reasons.items():
                cursor.wrong.add(np.arange(len(counts)) == rows[row], reason)
            number += 1
        return join_rounds(rounds, cursor.wrong)

    def _count(self, part: Value | Nested, cursor: Cursor, names: Mapping[str, Any]) -> npt.NDArray[np.int64]:
        """Return how many elements each struct has; structs with an impossible number are wrong, and have none.

        Without a shape, there are no more than bytes are left: so a false count costs no memory, and no time.
        """
        count = len(cursor.at)
        given = part.count.evaluate(names) if part.count is not None else np.asarray(part.shape[0] if part.shape else 1)
        counts = np.broadcast_to(given, (count,)).astype(np.int64)
        most = np.full(count, part.shape[0]) if part.shape else cursor.ends - cursor.at
        odd = (counts < 0) | (counts > most)
        if odd.any():
            what = f"{part.name}: " if part.name else ""
            cursor.wrong.add(odd, lambda row: f"{what}{plural(int(counts[row]), 'element')}, not 0 to {most[row]}")
        return np.where(odd | cursor.wrong.rows, 0, counts)


def find_sizes(sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return sizes of what is skipped; a negative one skips nothing."""
    return np.maximum(sizes, 0)


def spread(counts: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return, for each element of all structs, which struct has it, and its number there.

    Examples
    --------
    >>> [each.tolist() for each in spread(np.array([2, 0, 1]))]
    [[0, 0, 2], [0, 1, 0]]
    """
    owners = np.repeat(np.arange(len(counts)), counts)
    return owners, np.arange(len(owners)) - np.repeat(np.cumsum(counts) - counts, counts)


def view_structs(block: Bytes, starts: npt.NDArray[np.int64], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """View the structs that begin at these offsets: without a copy if they are equally far apart, shape (n,).

    A struct that would reach beyond the block is read further in front; what is read then means nothing.
    """
    size, count = dtype.itemsize, len(starts)
    if not count or not size or len(block) < size:
        return np.zeros(count, dtype)
    step = int(starts[1] - starts[0]) if count > 1 else size
    inside = starts[0] >= 0 and int(starts[-1]) + size <= len(block)
    if inside and step > 0 and (count == 1 or bool((np.diff(starts) == step).all())):
        return np.ndarray((count,), dtype, block, int(starts[0]), (step,))
    windows = np.lib.stride_tricks.sliding_window_view(block, size)
    return windows[np.clip(starts, 0, len(windows) - 1)].view(dtype)[:, 0]


def view_array(block: Bytes, starts: npt.NDArray[np.int64], form: np.dtype[Any]) -> npt.NDArray[Any]:
    """View values of a dtype that may be an array, shape (n, …)."""
    return view_structs(block, starts, np.dtype([("value", form)]))["value"]


def read_placed(step: Placed, structs: npt.NDArray[Any], byte_order: Order) -> Columns:
    """Return the values of structs of fixed size by their names in a record, shape (n, …)."""
    columns: Columns = {}
    for number, part in enumerate(step.parts):
        if isinstance(part, Skip):
            continue
        cells = structs[str(number)]
        if isinstance(part, Value):
            values = extract(cells, part, byte_order)
            if part.name:
                columns[part.name] = values
            if part.bits:
                columns.update(split_bits(values, part, byte_order))
        elif isinstance(part, Nested):
            inner = Placed(part.parts, cells.dtype, 1)
            for name, column in read_placed(inner, cells, byte_order).items():
                columns[part.rename(name)] = column
    return columns


def join_rounds(
    rounds: Sequence[tuple[StructValues, npt.NDArray[np.int64]]], wrong: Wrong
) -> tuple[StructValues, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Put the elements of many rounds in the order of their structs; those of wrong structs are left out."""
    owners = np.concatenate([rows for _, rows in rounds]) if rounds else np.zeros(0, np.int64)
    places = np.concatenate([np.full(len(rows), number) for number, (_, rows) in enumerate(rounds)] or [owners])
    order = np.lexsort((places, owners))
    order = order[~wrong.rows[owners[order]]]
    joined = StructValues()
    for name in rounds[0][0].columns if rounds else ():
        joined.columns[name] = np.concatenate([found.columns[name] for found, _ in rounds])[order]
    for name in rounds[0][0].blobs if rounds else ():
        values = [value for found, _ in rounds for value in found.blobs[name]]
        joined.blobs[name] = [values[index] for index in order.tolist()]
    return joined, owners[order], places[order]
