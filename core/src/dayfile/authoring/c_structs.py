"""Types of C: structs with the sizes, offsets and bits that a compiler for 64-bit machines gives them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CEnum", "CMember", "CStruct", "CType", "place_bits", "round_up"]


@dataclass(frozen=True)
class CEnum:
    """An enumeration: its name, and its values by name."""

    name: str
    values: dict[str, int]


@dataclass(frozen=True)
class CType:
    """A type: of a number, a text or a struct, or an array of these.

    Parameters
    ----------
    kind : str
        Type of a field in a layout; empty for a struct.
    size, alignment : int
        Bytes of one element, and a number of bytes that divides its address.
    shape : tuple of (int, str)
        Elements along each dimension, with the name of the constant that gives them, if one does.
    struct : CStruct, optional
        The struct.
    enum : CEnum, optional
        The enumeration.
    """

    kind: str
    size: int
    alignment: int
    shape: tuple[tuple[int, str], ...] = ()
    struct: CStruct | None = None
    enum: CEnum | None = None

    @property
    def whole(self) -> int:
        """Bytes of all elements."""
        size = self.size
        for number, _ in self.shape:
            size *= number
        return size


@dataclass(frozen=True)
class CMember:
    """A member of a struct.

    Parameters
    ----------
    name : str
        Its name; empty for bits without a name.
    type : CType
        Its type.
    offset : int
        Bytes in front of it in the struct; for bits, those in front of the storage unit that they are in.
    line : int
        Where it is declared.
    comment : str
        What the header says of it.
    place : (int, int)
        Its place among the members that are declared in this line, and their number.
    bits : int
        Bits, if it is a bit field.
    begin : int
        Bits of the struct in front of them.
    room : int
        Bytes of their storage unit.
    """

    name: str
    type: CType
    offset: int
    line: int
    comment: str = ""
    place: tuple[int, int] = (0, 1)
    bits: int = 0
    begin: int = 0
    room: int = 0


@dataclass(frozen=True)
class CStruct:
    """A struct with its members in order."""

    name: str
    members: tuple[CMember, ...]
    size: int
    alignment: int
    comment: str = ""


def place_bits(bit: int, width: int, size: int, *, contiguous: bool) -> tuple[int, int, int]:
    """Place a bit field behind what is in front of it, as the System V ABI and gcc do.

    It shares its storage unit, ``size`` bytes at a multiple of ``size``, with any member in front of it, and begins the
    next unit if it does not fit. In packed structs bits are contiguous, whatever units they are in.

    Returns
    -------
    bit, offset, room : int
        Its first bit, and the first byte and the bytes of what it is in: its unit, or in packed structs its own bytes.

    Examples
    --------
    >>> place_bits(40, 5, 4, contiguous=False), place_bits(45, 29, 4, contiguous=False)
    ((40, 4, 4), (64, 8, 4))
    >>> place_bits(45, 29, 4, contiguous=True)
    (45, 5, 5)
    """
    unit = 8 * size
    if contiguous:
        return bit, bit // 8, (bit + width - 1) // 8 - bit // 8 + 1
    if bit // unit != (bit + width - 1) // unit:
        bit = round_up(bit, unit)
    return bit, bit // unit * size, size


def round_up(number: int, step: int) -> int:
    """Round up to a multiple.

    Examples
    --------
    >>> round_up(5, 4), round_up(8, 4)
    (8, 8)
    """
    return -(-number // step) * step
