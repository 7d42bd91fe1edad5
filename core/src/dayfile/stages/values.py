"""Values out of bytes, and back: numbers of odd widths and orders, and the bits of words."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.field import STORED_TYPES
from dayfile.stages.base import Columns, Order
from dayfile.stages.parts import Value

__all__ = ["extract", "insert", "join_bits", "split_bits", "widen_type"]


def widen_type(kind: str) -> str:
    """Return the type in which values of a type of input are stored.

    Examples
    --------
    >>> widen_type("uint24"), widen_type("int48"), widen_type("float32")
    ('uint32', 'int64', 'float32')
    """
    if kind in STORED_TYPES or kind == "char":
        return kind
    sign, bits = kind.split("int")
    return f"{sign}int{32 if int(bits) <= 32 else 64}"


def extract(cells: npt.NDArray[Any], value: Value, byte_order: Order) -> npt.NDArray[Any]:
    """Make numbers of bytes that are in an order of their own; other cells are numbers already.

    Parameters
    ----------
    cells : array
        Values as :meth:`Value.form` gives them: shape (n, …), or (n, …, bytes) where bytes have to be put in order.
    value : Value
        What they are.
    byte_order : {'big', 'little'}
        That of the source.
    """
    if not value.is_odd:
        return cells
    size = value.width
    stored = np.dtype(STORED_TYPES[widen_type(value.type)])
    order = list_significances(value, byte_order)
    wide = np.zeros((*cells.shape[:-1], stored.itemsize), np.uint8)
    for place, significance in enumerate(order):
        wide[..., stored.itemsize - size + significance] = cells[..., place]
    if value.type.startswith("int") and stored.itemsize > size:
        wide[..., : stored.itemsize - size] = np.where(wide[..., stored.itemsize - size] > 127, 255, 0)[..., None]
    return wide.view(stored.newbyteorder(">"))[..., 0]


def list_significances(value: Value, byte_order: Order) -> tuple[int, ...]:
    """List for each byte of the source which byte of the number it is, 0 the most significant."""
    if value.order:
        return value.order
    places = tuple(range(value.width))
    return places if (value.byte_order or byte_order) == "big" else places[::-1]


def insert(values: npt.NDArray[Any], value: Value, byte_order: Order) -> npt.NDArray[Any]:
    """Make the bytes of numbers, as :func:`extract` takes them."""
    if not value.is_odd:
        return values
    size = value.width
    stored = np.dtype(STORED_TYPES[widen_type(value.type)])
    wide = np.ascontiguousarray(values.astype(stored.newbyteorder(">")))[..., None].view(np.uint8)
    order = list_significances(value, byte_order)
    return np.stack([wide[..., stored.itemsize - size + significance] for significance in order], axis=-1)


def split_bits(words: npt.NDArray[Any], value: Value, byte_order: Order) -> Columns:
    """Return the named bits of words, as unsigned or signed numbers as small as they can be, of the same shape."""
    columns: Columns = {}
    form = np.dtype(f"u{words.dtype.itemsize}")
    native = words.astype(form)
    for bits, shift in list_shifts(value, byte_order, 8 * value.width):
        if not bits.name:
            continue
        part = native >> form.type(shift) if shift else native
        part = part & form.type((1 << bits.width) - 1)
        if bits.signed:
            sign = form.type(1 << bits.width - 1)
            part = ((part ^ sign) - sign).view(f"i{form.itemsize}")
        size = next(size for size in (1, 2, 4, 8) if bits.width <= 8 * size)
        columns[bits.name] = part.astype(f"{part.dtype.kind}{size}")
    return columns


def join_bits(columns: Columns, value: Value, byte_order: Order) -> npt.NDArray[Any]:
    """Return words of these bits; what has no name is 0."""
    named = [(bits, shift) for bits, shift in list_shifts(value, byte_order, 8 * value.width) if bits.name]
    words = np.zeros(columns[named[0][0].name].shape, np.uint64)
    for bits, shift in named:
        mask = np.uint64((1 << bits.width) - 1)
        words |= (columns[bits.name].astype(np.int64).view(np.uint64) & mask) << np.uint64(shift)
    return words


def list_shifts(value: Value, byte_order: Order, width: int) -> list[tuple[Any, int]]:
    """List the bits of a word with how far each is from the least significant bit."""
    first = value.first or ("high" if (value.byte_order or byte_order) == "big" or value.order else "low")
    found, used = [], 0
    for bits in value.bits:
        found.append((bits, used if first == "low" else width - used - bits.width))
        used += bits.width
    return found


def make_blank(shape: tuple[int, ...], dtype: np.dtype[Any], default: float) -> npt.NDArray[Any]:
    """Make room for arrays of full length, which hold a default; texts are empty."""
    return np.full(shape, b"" if dtype.kind == "S" else default, dtype)
