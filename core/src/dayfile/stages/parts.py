"""What the bytes of a struct are made of, in order: values, groups of parts, and bytes that are skipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dayfile.model.field import STORED_TYPES
from dayfile.stages.base import Order
from dayfile.stages.sums import Sum

__all__ = [
    "ODD_TYPES",
    "Bits",
    "Nested",
    "Placed",
    "Skip",
    "StructPart",
    "Value",
    "is_variable",
    "place_parts",
]

ODD_TYPES = {f"{sign}int{8 * size}": size for sign in ("u", "") for size in (3, 5, 6, 7)}
"""Bytes of the integers of widths that NumPy does not have; they are stored in the next wider type."""


@dataclass(frozen=True)
class Bits:
    """Some bits of a word.

    Parameters
    ----------
    name : str
        Name of the value; empty for bits that are not used.
    width : int
        How many.
    signed : bool
        Whether the highest of them is a sign.
    """

    name: str
    width: int
    signed: bool = False


@dataclass(frozen=True)
class Value:
    """A number or a text, or an array of them.

    Parameters
    ----------
    name : str
        Name of the value; empty for a word of which only the bits matter.
    type : str
        Type of one element in the bytes: a stored type, ``char``, or one of ``ODD_TYPES``.
    shape : tuple of int
        Empty for a scalar; of a text, the last is its bytes.
    byte_order : {'big', 'little', ''}
        Its own byte order; empty for that of the source.
    order : tuple of int
        Byte by byte of the source, which byte of the number it is, 0 the most significant; empty without a shuffle.
    bits : tuple of Bits
        The parts of a word, in the order ``first``.
    first : {'high', 'low', ''}
        Whether the bits are counted from the most or the least significant; empty for the first in big-endian
        sources, and the last in little-endian ones, as compilers do.
    count : Sum, optional
        How many elements of the first dimension are in the bytes, where that differs from record to record.
    blob : bool
        Whether its elements go to the blob array.
    default : bool, int or float
        What elements beyond ``count`` hold.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    byte_order: str = ""
    order: tuple[int, ...] = ()
    bits: tuple[Bits, ...] = ()
    first: str = ""
    count: Sum | None = None
    blob: bool = False
    default: bool | int | float = 0

    @property
    def width(self) -> int:
        """Return the bytes of one element; of a text, of one character."""
        if self.type == "char":
            return 1
        return ODD_TYPES.get(self.type) or np.dtype(STORED_TYPES[self.type]).itemsize

    @property
    def is_odd(self) -> bool:
        """Return whether its bytes have to be put in order before they are a number."""
        return bool(self.order) or self.type in ODD_TYPES

    def form(self, source_order: Order) -> np.dtype[Any]:
        """Return the NumPy dtype of its bytes, without ``count``."""
        if self.type == "char":
            return np.dtype((f"S{self.shape[-1]}", self.shape[:-1])) if self.shape else np.dtype("S1")
        if self.is_odd:
            return np.dtype(("u1", (*self.shape, self.width)))
        big = (self.byte_order or source_order) == "big"
        return np.dtype((np.dtype(STORED_TYPES[self.type]).newbyteorder(">" if big else "<"), self.shape))


@dataclass(frozen=True)
class Skip:
    """Bytes that nobody keeps: a number of them, or up to the end of the frame."""

    size: Sum | None


@dataclass(frozen=True)
class Nested:
    """Parts that come together, perhaps several times.

    Parameters
    ----------
    name : str
        In front of the names of its values, with ``_``; or the data type that its elements are records of.
    parts : tuple of StructPart
        What one element is made of.
    shape : tuple of int
        Empty for a single one.
    count : Sum, optional
        How many there are, where that differs from record to record.
    rows : bool
        Whether each element is a record of its own.
    """

    name: str
    parts: tuple[StructPart, ...]
    shape: tuple[int, ...] = ()
    count: Sum | None = None
    rows: bool = False

    def rename(self, name: str) -> str:
        """Return the name of a value of it in a record."""
        return name if self.rows or not self.name or not name else f"{self.name}_{name}"


StructPart = Value | Skip | Nested


@dataclass(frozen=True)
class Placed:
    """Parts of fixed size and their place: a dtype whose fields are named ``0``, ``1``, … after the parts."""

    parts: tuple[StructPart, ...]
    dtype: np.dtype[np.void]
    alignment: int


def is_variable(part: StructPart) -> bool:
    """Return whether the bytes of a part differ from record to record."""
    if isinstance(part, Skip):
        return part.size is None or part.size.constant is None
    if part.count is not None or (isinstance(part, Nested) and part.rows):
        return True
    return isinstance(part, Nested) and any(map(is_variable, part.parts))


def place_parts(parts: Sequence[StructPart], source_order: Order, *, natural: bool, begin: int = 0) -> Placed:
    """Place parts of fixed size one behind the other.

    Parameters
    ----------
    parts : sequence of StructPart
        None of them is variable.
    source_order : {'big', 'little'}
        Byte order of values without one of their own.
    natural : bool
        Whether each is aligned as C compilers do it.
    begin : int
        Offset of the first byte in the frame, of which alignment counts.

    Examples
    --------
    >>> placed = place_parts([Value("a", "uint8"), Value("b", "uint32")], "little", natural=True)
    >>> placed.dtype.itemsize, placed.dtype.fields["1"][1]
    (8, 4)
    """
    offset, widest = begin, 1
    names: list[str] = []
    formats: list[np.dtype[Any]] = []
    offsets: list[int] = []
    for number, part in enumerate(parts):
        if isinstance(part, Skip):
            offset += (part.size and part.size.constant) or 0
            continue
        if isinstance(part, Nested):
            inner = place_parts(part.parts, source_order, natural=natural)
            size = inner.dtype.itemsize + (-inner.dtype.itemsize % inner.alignment if natural else 0)
            described: Any = {**describe_dtype(inner.dtype), "itemsize": size}
            padded: np.dtype[np.void] = np.dtype(described)
            form: np.dtype[Any] = np.dtype((padded, part.shape))
            alignment = inner.alignment
        else:
            form, alignment = part.form(source_order), part.width
        if natural:
            offset += -offset % alignment
            widest = max(widest, alignment)
        names.append(str(number))
        formats.append(form)
        offsets.append(offset - begin)
        offset += form.itemsize
    dtype: np.dtype[np.void] = np.dtype(
        {"names": names, "formats": formats, "offsets": offsets, "itemsize": offset - begin}
    )
    return Placed(tuple(parts), dtype, widest)


def describe_dtype(dtype: np.dtype[np.void]) -> dict[str, Any]:
    """Describe a structured dtype as a mapping that NumPy makes one of."""
    fields: Mapping[str, Any] = dtype.fields or {}
    names = list(dtype.names or ())
    return {
        "names": names,
        "formats": [fields[name][0] for name in names],
        "offsets": [fields[name][1] for name in names],
        "itemsize": dtype.itemsize,
    }
