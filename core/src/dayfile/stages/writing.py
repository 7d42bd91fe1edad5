"""Write structs from the values of records: the way back of :mod:`dayfile.stages.structs`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.stages.base import Bytes, Columns, Order
from dayfile.stages.parts import Nested, Placed, Skip, Value
from dayfile.stages.structs import Struct
from dayfile.stages.values import insert, join_bits

__all__ = ["FrameFields", "write_parts"]


@dataclass(frozen=True)
class FrameFields(Struct):
    """The fields that all frames begin with: they are written, too."""

    def write(self, columns: Columns, count: int) -> Bytes:
        """Write n structs: their bytes, shape (n, size). A field without values is zero."""
        written = b"".join(write_parts(self, columns, count))
        return np.frombuffer(written, np.uint8).reshape(count, -1)


def write_parts(struct: Struct, values: Mapping[str, Any], count: int) -> list[bytes]:
    r"""Write structs without samples, which are no values.

    Parameters
    ----------
    struct : Struct
        What they are made of.
    values : mapping of str to array
        Columns by name, shape (n, …), single values for all. What is not there is 0.
    count : int
        How many structs.

    Raises
    ------
    ValueError
        They cannot be written from values: some of their parts are records of another type.

    Examples
    --------
    >>> from dayfile.stages.sums import Sum
    >>> struct = Struct((Value("n", "uint8"), Value("text", "char", (5,), count=Sum.parse("n"))), "big")
    >>> write_parts(struct, {"n": np.array([2, 1]), "text": np.array([b"ab", b"c"])}, 2)
    [b'\x02ab', b'\x01c']
    """
    pieces = []
    for step in struct.steps:
        if isinstance(step, Placed):
            structs = np.zeros(count, step.dtype)
            fill_placed(step, structs, values, struct.byte_order, "")
            content, size = structs.tobytes(), step.dtype.itemsize
            pieces.append([content[size * row : size * (row + 1)] for row in range(count)])
        elif isinstance(step, Skip):
            sizes = np.broadcast_to(step.size.evaluate(values) if step.size else 0, (count,))
            pieces.append([bytes(max(0, int(size))) for size in sizes])
        elif isinstance(step, Nested):
            pieces.append(write_group(step, struct, values, count))
        else:
            pieces.append(write_array(step, struct, values, count))
    return [b"".join(parts) for parts in zip(*pieces, strict=True)] if pieces else [b""] * count


def fill_placed(
    step: Placed, structs: npt.NDArray[Any], values: Mapping[str, Any], byte_order: Order, prefix: str
) -> None:
    """Fill the fields of structs of fixed size."""
    for number, part in enumerate(step.parts):
        if isinstance(part, Skip):
            continue
        if isinstance(part, Nested):
            cells = structs[str(number)]
            fill_placed(Placed(part.parts, cells.dtype, 1), cells, values, byte_order, prefix + part.rename("x")[:-1])
            continue
        column = find_column(part, values, byte_order, prefix)
        if column is not None:
            structs[str(number)] = insert(np.asarray(column), part, byte_order)


def find_column(value: Value, values: Mapping[str, Any], byte_order: Order, prefix: str) -> Any:  # noqa: ANN401 - an array, or None
    """Find the column of a value: its own, or that of its bits."""
    if value.name and prefix + value.name in values:
        return values[prefix + value.name]
    bits = {bits.name: values[prefix + bits.name] for bits in value.bits if prefix + bits.name in values}
    if not bits:
        return None
    shape = np.shape(next(iter(bits.values())))
    blank = {one.name: np.zeros(shape, np.int64) for one in value.bits if one.name}
    return join_bits({**blank, **{name: np.asarray(column) for name, column in bits.items()}}, value, byte_order)


def write_array(value: Value, struct: Struct, values: Mapping[str, Any], count: int) -> list[bytes]:
    """Write an array of which each struct has its own number of elements."""
    counts = np.broadcast_to(value.count.evaluate(values) if value.count else value.shape[0], (count,))
    column = np.asarray(values[value.name])
    if value.type == "char" and len(value.shape) == 1:
        return [
            bytes(text).ljust(size, b"\0")[:size] for text, size in zip(column.tolist(), counts.tolist(), strict=True)
        ]
    inner = replace(value, shape=value.shape[1:], count=None)
    form = inner.form(struct.byte_order)
    cells = insert(column, inner, struct.byte_order).astype(form.base)
    return [cells[row, :size].tobytes() for row, size in enumerate(counts.tolist())]


def write_group(group: Nested, struct: Struct, values: Mapping[str, Any], count: int) -> list[bytes]:
    """Write the elements of a group of which each struct has its own number."""
    if group.rows:
        raise ValueError(f"the records of {group.name} are not there")
    inner = Struct(group.parts, struct.byte_order, struct.natural)
    first = group.count.evaluate(values) if group.count else (*group.shape, 1)[0]
    counts = np.broadcast_to(first * math.prod(group.shape[1:]), (count,))
    depth = len(group.shape)
    prefix = group.rename("x")[:-1]
    own = {name.removeprefix(prefix): column for name, column in values.items() if name.startswith(prefix)}
    around = {name: column for name, column in values.items() if np.ndim(column) <= 1}
    found = []
    for row, size in enumerate(counts.tolist()):
        elements = {name: flatten_cells(np.asarray(column)[row], depth)[:size] for name, column in own.items()}
        outer = {name: column[row] if np.ndim(column) else column for name, column in around.items()}
        found.append(b"".join(write_parts(inner, {**outer, **elements}, size)))
    return found


def flatten_cells(cells: npt.NDArray[Any], depth: int) -> npt.NDArray[Any]:
    """Make one dimension of the first ones of an array."""
    return cells.reshape(math.prod(cells.shape[:depth]), *cells.shape[depth:])
