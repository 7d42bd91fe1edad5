"""Bytes of slot files: one day of one data type, a header of 32 bytes and then C structs as they are in memory.

- A struct is written as its raw bytes in memory, so padding and byte order are those of the machine that wrote it.
- The file of a periodic type has full size, with a slot for each period of the day: 32 + size x slots bytes.
- A slot of zero bytes is empty. A slot of bytes 0xFF had contending records, which are in a file of the same name with
  ``.overlap`` after it, in the same directory.
- The header: a magic of 4 bytes, a version, the byte order (``B`` or ``L``), the day as the number YYYYMMDD in that
  byte order (uint32), and the code of the struct in 22 bytes of ASCII, filled up with zero bytes.
- The overlap file has the same header, and structs in time order; so have the files of types without slots.

A file with an unknown header is read too: its byte order is the one in which more times are in the day of its name.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from struct import Struct
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.errors import SourceError
from dayfile.export.base import ByteOrder
from dayfile.formats.struct_dtypes import to_structs
from dayfile.messages import plural
from dayfile.model.batch import Source
from dayfile.model.datatype import DataType

__all__ = [
    "CODE_SIZE",
    "HEADER_SIZE",
    "OVERLAP",
    "Header",
    "SlotFile",
    "Slots",
    "in_time_order",
    "lay_out",
    "make_header",
    "open_slot_file",
    "read_header",
    "told_by_name",
]

HEADER_SIZE = 32
CODE_SIZE = 22
OVERLAP = ".overlap"
MAGIC = b"\x89DAY"
VERSION = 1
HEADERS = {"big": Struct(">4sBcI22s"), "little": Struct("<4sBcI22s")}
LETTERS: dict[ByteOrder, bytes] = {"big": b"B", "little": b"L"}
CONFLICT_BYTE = 0xFF
SECONDS_A_DAY = 86400


@dataclass(frozen=True)
class Header:
    """What a header of this program tells.

    Parameters
    ----------
    code : str
        Name of the struct.
    day : str
        ISO date.
    byte_order : {'big', 'little'}
        Of everything in the file.
    """

    code: str
    day: str
    byte_order: ByteOrder


@dataclass(frozen=True)
class Slots:
    """Some of what a slot file holds.

    Parameters
    ----------
    structs : structured array, shape (n,)
        The records, as structs in the file's byte order.
    places : array of int64, shape (n,)
        Slot of each, or its number among the structs of the file, from 0.
    conflicts : array of int64, shape (m,)
        Slots of bytes 0xFF.
    """

    structs: npt.NDArray[Any]
    places: npt.NDArray[np.int64]
    conflicts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SlotFile:
    """A slot file, and how its bytes are read; made by :func:`open_slot_file`.

    Parameters
    ----------
    source : Source
        The file.
    form : DataType
        The data type as the version had it that the structs are of.
    struct : numpy.dtype
        Of one struct, in the file's byte order.
    periodic : bool
        Whether structs of bytes 0xFF are slots in conflict.
    """

    source: Source
    form: DataType
    struct: np.dtype[np.void]
    periodic: bool

    def read(self) -> Iterator[Slots]:
        """Read what it holds, block by block. Structs of zero bytes are left out, wherever they are."""
        for first, stored in stored_structs(self.source, self.struct.itemsize):
            conflict, held = split(stored, periodic=self.periodic)
            places = np.flatnonzero(held)
            structs = stored[places].view(self.struct)[:, 0]
            yield Slots(structs, places + first, np.flatnonzero(conflict) + first)


def make_header(code: str, day: np.datetime64, byte_order: ByteOrder) -> bytes:
    r"""The header of a slot file, 32 bytes.

    Parameters
    ----------
    code : str
        Name of the struct, ASCII, at most 22 characters.
    day : numpy.datetime64
        The day.
    byte_order : {'big', 'little'}
        Of everything in the file.

    Examples
    --------
    >>> make_header("MuonHit", np.datetime64("1997-10-31"), "big")
    b'\x89DAY\x01B\x010\xbb\xd7MuonHit\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'
    """
    number = int(str(day.astype("datetime64[D]")).replace("-", ""))
    return HEADERS[byte_order].pack(MAGIC, VERSION, LETTERS[byte_order], number, code.encode("ascii"))


def read_header(content: bytes, where: str) -> Header | None:
    """The header of a slot file; None if it is not one of this program.

    Raises
    ------
    SourceError
        It is of a version that is not known, or tells no byte order.
    """
    if not content.startswith(MAGIC) or len(content) < HEADER_SIZE:
        return None
    order = next((order for order, letter in LETTERS.items() if letter == content[5:6]), None)
    if content[4] != VERSION or order is None:
        message = (
            f"the header is of version {content[4]} and byte order {content[5:6]!r}; known are version {VERSION} and "
            f"the byte orders b'B' and b'L'"
        )
        raise SourceError(message, where=where, offset=len(MAGIC))
    number, code = HEADERS[order].unpack_from(content)[3:]
    day = f"{number // 10000:04}-{number // 100 % 100:02}-{number % 100:02}"
    return Header(code.rstrip(b"\0").decode("ascii", "replace"), day, order)


def told_by_name(
    template: str, types: Iterable[DataType], name: str
) -> tuple[DataType, np.datetime64, Literal["slots", "overlap"]] | None:
    """Data type and day that a file name tells, and whether it is that of an overlap file; None for other names."""
    bare = name.removesuffix(OVERLAP)
    digits = {"year": r"(\d{4})", "month": r"(\d{1,2})", "day": r"(\d{1,2})"}
    order, pattern = [], ""
    for literal, key, _, _ in Formatter().parse(template):
        pattern += re.escape(literal) + ("" if key is None else digits.pop(key, ".+"))
        order += [key] if key in {"year", "month", "day"} and key not in order else []
    match = re.fullmatch(pattern, bare)
    if match is None:
        return None
    told = dict(zip(order, map(int, match.groups()), strict=True))
    try:
        day = np.datetime64(dt.date(told["year"], told["month"], told["day"]), "D")
    except ValueError:
        return None  # no such day
    for data_type in types:
        if data_type.fill(template, day) == bare:
            return data_type, day, "slots" if bare == name else "overlap"
    return None


def lay_out(rows: npt.NDArray[Any], form: np.dtype[np.void]) -> npt.NDArray[Any]:
    """Rows of a table as structs in memory.

    Parameters
    ----------
    rows : structured array, shape (n,)
        Packed records; all bytes 0x00 is an empty slot, all bytes 0xFF one in conflict.
    form : numpy.dtype
        Of one struct; see :func:`dayfile.formats.struct_dtypes.struct_dtype`.

    Returns
    -------
    structured array of ``form``, shape (n,)
        Padding is zero in records and empty slots, and 0xFF, as every byte is, in slots in conflict.

    Examples
    --------
    >>> packed, form = np.dtype([("a", "u1"), ("b", "<u2")]), np.dtype([("a", "u1"), ("b", ">u2")], align=True)
    >>> lay_out(np.frombuffer(bytes([1, 2, 0, 255, 255, 255]), packed), form).tobytes().hex(" ")
    '01 00 00 02 ff ff ff ff'
    """
    structs = to_structs(rows, form)
    conflict = (as_bytes(rows) == CONFLICT_BYTE).all(axis=1)
    as_bytes(structs)[conflict] = CONFLICT_BYTE
    return structs


def in_time_order(rows: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
    """Records by time, those of the same time by their bytes, so that the same records give the same file."""
    by_bytes = np.argsort(as_bytes(rows).view(np.dtype((np.void, rows.dtype.itemsize)))[:, 0], kind="stable")
    by_time = np.argsort(rows[data_type.time][by_bytes], kind="stable")
    return rows[by_bytes[by_time]]


def as_bytes(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The bytes of contiguous rows, shape (n, itemsize), as a view."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def open_slot_file(
    source: Source,
    data_type: DataType,
    day: np.datetime64,
    struct_of: Callable[[DataType, ByteOrder], np.dtype[np.void]],
    *,
    part: Literal["slots", "overlap"],
) -> SlotFile:
    """Find out how a slot file is to be read.

    Parameters
    ----------
    source : Source
        The file.
    data_type, day : DataType, numpy.datetime64
        What its name says.
    struct_of : callable
        Gives the struct of a form of the data type in a byte order.
    part : {'slots', 'overlap'}
        Whether it is the file of the day, or the overlap file beside it.

    Returns
    -------
    SlotFile
        Without a header of this program its structs are taken for the version that held on the day.

    Raises
    ------
    SourceError
        The length does not fit the structs; the header is of another day or type; or neither header nor times tell the
        byte order.
    """
    where = source.name
    header = read_header(source.part(0, HEADER_SIZE), where)
    form = data_type.form_on(day) if header is None else told_form(header, where, data_type, day)
    possible: tuple[ByteOrder, ...] = ("big", "little") if header is None else (header.byte_order,)
    structs = {order: struct_of(form, order) for order in possible}
    slots = number_of_structs(source.size, where, structs[possible[0]].itemsize)
    periodic = data_type.period > 0 and part == "slots"
    # Only the number of slots shows that a file was cut between two of them. A program that knows no leap seconds
    # writes the slots of 86,400 s for a day that has one, too.
    if periodic and slots not in {data_type.slots(day), -(-SECONDS_A_DAY // data_type.period)}:
        message = f"{plural(slots, 'slot')}, where {day} has {data_type.slots(day)}; the file was cut or grew"
        raise SourceError(message, where=where, offset=source.size)
    order = header.byte_order if header else byte_order_of(source, form, day, structs, periodic=periodic)
    return SlotFile(source, form, structs[order], periodic)


def told_form(header: Header, where: str, data_type: DataType, day: np.datetime64) -> DataType:
    """The form of a data type that a header tells; SourceError if it tells another day or type than the name."""
    forms = [form for form in data_type.forms if data_type.code_of(len(form.fields)) == header.code]
    if not forms or header.day != str(day):
        message = (
            f"its name says {data_type.code} of {day}, and its header {header.code} of {header.day}; "
            f"give it back the name it was written under"
        )
        raise SourceError(message, where=where, offset=len(MAGIC) + 2)
    of_the_day = data_type.form_on(day)
    return of_the_day if of_the_day in forms else forms[-1]


def number_of_structs(length: int, where: str, size: int) -> int:
    """How many structs a file of a length has after its header; SourceError if that is not a whole number."""
    if length < HEADER_SIZE:
        message = f"{plural(length, 'byte')}, and the header alone has {HEADER_SIZE}; the file was cut"
        raise SourceError(message, where=where, offset=length)
    whole, rest = divmod(length - HEADER_SIZE, size)
    if rest:
        message = (
            f"{plural(length - HEADER_SIZE, 'byte')} after the header of {HEADER_SIZE} is not a whole number of "
            f"{size}-byte structs: the file is truncated or of another type"
        )
        raise SourceError(message, where=where, offset=HEADER_SIZE + whole * size)
    return whole


def stored_structs(source: Source, size: int) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """The bytes of the structs of a file, shape (n, size), read-only, block by block with the number of the first."""
    for offset, block in source.blocks(HEADER_SIZE, size):
        yield (offset - HEADER_SIZE) // size, np.frombuffer(block, np.uint8).reshape(-1, size)


def split(stored: npt.NDArray[np.uint8], *, periodic: bool) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Which structs, shape (n, size), are slots in conflict, and which are records; the others are empty."""
    conflict = (stored == CONFLICT_BYTE).all(axis=1) & periodic
    return conflict, stored.any(axis=1) & ~conflict


def byte_order_of(
    source: Source,
    data_type: DataType,
    day: np.datetime64,
    structs: Mapping[ByteOrder, np.dtype[np.void]],
    *,
    periodic: bool,
) -> ByteOrder:
    """The byte order that puts more of the times of records into the day; any if there are no records."""
    first, end = data_type.clock.day_start(day), data_type.clock.day_start(day + np.timedelta64(1, "D"))
    inside, records = dict.fromkeys(structs, 0), 0
    size = next(iter(structs.values())).itemsize
    for _, stored in stored_structs(source, size):
        held = stored[split(stored, periodic=periodic)[1]]
        records += len(held)
        for order, struct in structs.items():
            values = held.view(struct)[:, 0][data_type.time]
            with np.errstate(invalid="ignore"):
                inside[order] += int(((values >= first) & (values < end)).sum())
    best, other = sorted(inside, key=lambda order: inside[order], reverse=True)
    if records and inside[best] == inside[other]:
        tried = " and ".join(f"{number} of {records} in {order}-endian order" for order, number in inside.items())
        message = (
            f"neither its header nor its times tell the byte order: {tried} lie on {day}, the day of its name; "
            f"give it the name of its day, or its records as a struct stream"
        )
        raise SourceError(message, where=source.name, offset=HEADER_SIZE)
    return best
