"""The bytes of slot files: for one day of one data type, a header of 32 bytes and then C structs as in memory.

- A struct is written as its raw bytes in memory, so padding and byte order are those of the machine that wrote it.
- The file of a periodic type has full size, with a slot for each period of the day: 32 + size x slots bytes.
- A slot of zero bytes is empty. Several records contended for a slot of bytes 0xFF; they are in the overlap file, which
  has the same name with ``.overlap`` after it, in the same directory.
- The header: a magic of 4 bytes, a version, the byte order (``B`` or ``L``), the day as the number YYYYMMDD in that
  byte order (uint32), and the code of the struct in 22 bytes of ASCII, filled up with zero bytes.
- The overlap file has the same header, and structs in time order, and so do the files of types without slots.

A file with an unknown header is read too: in the byte order in which more times are on the day of its name.
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
    "lay_out",
    "make_header",
    "open_slot_file",
    "parse_file_name",
    "read_header",
    "sort_by_time",
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
    """The header of a file from this program.

    Parameters
    ----------
    code : str
        Name of the struct.
    day : str
        ISO date.
    byte_order : {'big', 'little'}
        Byte order of everything in the file.
    """

    code: str
    day: str
    byte_order: ByteOrder


@dataclass(frozen=True)
class Slots:
    """A part of a slot file's content.

    Parameters
    ----------
    structs : structured array, shape (n,)
        The records, as structs in the file's byte order.
    places : array of int64, shape (n,)
        Slot of each record, or its number among the structs of the file, from 0.
    conflicts : array of int64, shape (m,)
        Slots of bytes 0xFF.
    """

    structs: npt.NDArray[Any]
    places: npt.NDArray[np.int64]
    conflicts: npt.NDArray[np.int64]


@dataclass(frozen=True)
class SlotFile:
    """A slot file that can be read; made by :func:`open_slot_file`.

    Parameters
    ----------
    source : Source
        The file.
    form : DataType
        The data type in the version of the structs.
    struct : numpy.dtype
        The dtype of one struct, in the file's byte order.
    periodic : bool
        Whether structs of bytes 0xFF are slots in conflict.
    """

    source: Source
    form: DataType
    struct: np.dtype[np.void]
    periodic: bool

    def read(self) -> Iterator[Slots]:
        """Read its records block by block; structs of zero bytes are left out everywhere."""
        for first, stored in read_structs(self.source, self.struct.itemsize):
            conflict, held = split(stored, periodic=self.periodic)
            places = np.flatnonzero(held)
            structs = stored[places].view(self.struct)[:, 0]
            yield Slots(structs, places + first, np.flatnonzero(conflict) + first)


def make_header(code: str, day: np.datetime64, byte_order: ByteOrder) -> bytes:
    r"""Make the header of a slot file, 32 bytes.

    Parameters
    ----------
    code : str
        Name of the struct, ASCII, at most 22 characters.
    day : numpy.datetime64
        The day.
    byte_order : {'big', 'little'}
        Byte order of everything in the file.

    Examples
    --------
    >>> make_header("MuonHit", np.datetime64("1997-10-31"), "big")
    b'\x89DAY\x01B\x010\xbb\xd7MuonHit\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'
    """
    number = int(str(day.astype("datetime64[D]")).replace("-", ""))
    return HEADERS[byte_order].pack(MAGIC, VERSION, LETTERS[byte_order], number, code.encode("ascii"))


def read_header(content: bytes, where: str) -> Header | None:
    """Read the header of a slot file; None if it is not a header of this program.

    Raises
    ------
    SourceError
        Its version or byte order is unknown.
    """
    if not content.startswith(MAGIC) or len(content) < HEADER_SIZE:
        return None
    order = next((order for order, letter in LETTERS.items() if letter == content[5:6]), None)
    if content[4] != VERSION or order is None:
        message = (
            f"the header has version {content[4]} and byte order {content[5:6]!r}; known are version {VERSION} and "
            f"the byte orders b'B' and b'L'"
        )
        raise SourceError(message, where=where, offset=len(MAGIC))
    number, code = HEADERS[order].unpack_from(content)[3:]
    day = f"{number // 10000:04}-{number // 100 % 100:02}-{number % 100:02}"
    return Header(code.rstrip(b"\0").decode("ascii", "replace"), day, order)


def parse_file_name(
    template: str, types: Iterable[DataType], name: str
) -> tuple[DataType, np.datetime64, Literal["slots", "overlap"]] | None:
    """Parse a file name into data type, day, and whether it is an overlap file; None for other names."""
    bare = name.removesuffix(OVERLAP)
    digits = {"year": r"(\d{4})", "month": r"(\d{1,2})", "day": r"(\d{1,2})"}
    order, pattern = [], ""
    for literal, key, _, _ in Formatter().parse(template):
        pattern += re.escape(literal) + ("" if key is None else digits.pop(key, ".+"))
        order += [key] if key in {"year", "month", "day"} and key not in order else []
    match = re.fullmatch(pattern, bare)
    if match is None:
        return None
    date = dict(zip(order, map(int, match.groups()), strict=True))
    try:
        day = np.datetime64(dt.date(date["year"], date["month"], date["day"]), "D")
    except ValueError:
        return None  # no such day
    for data_type in types:
        if data_type.fill(template, day) == bare:
            return data_type, day, "slots" if bare == name else "overlap"
    return None


def lay_out(rows: npt.NDArray[Any], form: np.dtype[np.void]) -> npt.NDArray[Any]:
    """Convert rows of a table to structs in memory.

    Parameters
    ----------
    rows : structured array, shape (n,)
        Packed records; an empty slot has all bytes 0x00, a slot in conflict all bytes 0xFF.
    form : numpy.dtype
        The dtype of one struct; see :func:`dayfile.formats.struct_dtypes.make_struct_dtype`.

    Returns
    -------
    structured array of ``form``, shape (n,)
        The structs. Padding is zero in records and empty slots, and 0xFF, like every byte, in slots in conflict.

    Examples
    --------
    >>> packed, form = np.dtype([("a", "u1"), ("b", "<u2")]), np.dtype([("a", "u1"), ("b", ">u2")], align=True)
    >>> lay_out(np.frombuffer(bytes([1, 2, 0, 255, 255, 255]), packed), form).tobytes().hex(" ")
    '01 00 00 02 ff ff ff ff'
    """
    structs = to_structs(rows, form)
    conflict = (view_as_bytes(rows) == CONFLICT_BYTE).all(axis=1)
    view_as_bytes(structs)[conflict] = CONFLICT_BYTE
    return structs


def sort_by_time(rows: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
    """Sort records by time, then by their bytes, so that the same records give the same file."""
    by_bytes = np.argsort(view_as_bytes(rows).view(np.dtype((np.void, rows.dtype.itemsize)))[:, 0], kind="stable")
    by_time = np.argsort(data_type.count(rows)[by_bytes], kind="stable")
    return rows[by_bytes[by_time]]


def view_as_bytes(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View contiguous rows as bytes, shape (n, itemsize)."""
    return rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def open_slot_file(
    source: Source,
    data_type: DataType,
    day: np.datetime64,
    find_struct: Callable[[DataType, ByteOrder], np.dtype[np.void]],
    *,
    part: Literal["slots", "overlap"],
) -> SlotFile:
    """Check a slot file, and find out version and byte order of its structs.

    Parameters
    ----------
    source : Source
        The file.
    data_type, day : DataType, numpy.datetime64
        Data type and day of its name.
    find_struct : callable
        Makes the struct dtype of a version of the data type in a byte order.
    part : {'slots', 'overlap'}
        Whether it is the file of the day or its overlap file.

    Returns
    -------
    SlotFile
        The file. Without a header of this program, the version is the one that was valid on the day.

    Raises
    ------
    SourceError
        The length does not fit the structs; the header has another day or type than the name; or neither header nor
        times show the byte order.
    """
    where = source.name
    header = read_header(source.part(0, HEADER_SIZE), where)
    form = data_type.form_on(day) if header is None else find_header_form(header, where, data_type, day)
    possible: tuple[ByteOrder, ...] = ("big", "little") if header is None else (header.byte_order,)
    structs = {order: find_struct(form, order) for order in possible}
    slots = count_structs(source.size, where, structs[possible[0]].itemsize)
    periodic = data_type.period > 0 and part == "slots"
    # Only the number of slots shows that a file was cut between two slots. A program that does not know leap seconds
    # writes the slots of 86,400 s also for a day with a leap second.
    if periodic and slots not in {data_type.slots(day), -(-SECONDS_A_DAY // data_type.period)}:
        message = f"{plural(slots, 'slot')}, but {day} has {data_type.slots(day)}; the file was cut or extended"
        raise SourceError(message, where=where, offset=source.size)
    order = header.byte_order if header else find_byte_order(source, form, day, structs, periodic=periodic)
    return SlotFile(source, form, structs[order], periodic)


def find_header_form(header: Header, where: str, data_type: DataType, day: np.datetime64) -> DataType:
    """Find the version of a data type by a header; SourceError if its day or type is not that of the name."""
    forms = [form for form in data_type.forms if data_type.code_of(len(form.fields)) == header.code]
    if not forms or header.day != str(day):
        message = (
            f"its name says {data_type.code} of {day}, and its header {header.code} of {header.day}; "
            f"rename it to the name under which it was written"
        )
        raise SourceError(message, where=where, offset=len(MAGIC) + 2)
    of_the_day = data_type.form_on(day)
    return of_the_day if of_the_day in forms else forms[-1]


def count_structs(length: int, where: str, size: int) -> int:
    """Count the structs of a file after its header; SourceError if the length is not a whole number of structs."""
    if length < HEADER_SIZE:
        message = f"{plural(length, 'byte')}, but the header alone has {HEADER_SIZE}; the file was cut"
        raise SourceError(message, where=where, offset=length)
    whole, rest = divmod(length - HEADER_SIZE, size)
    if rest:
        message = (
            f"{plural(length - HEADER_SIZE, 'byte')} after the header of {HEADER_SIZE} is not a whole number of "
            f"{size}-byte structs: the file is truncated or of another type"
        )
        raise SourceError(message, where=where, offset=HEADER_SIZE + whole * size)
    return whole


def read_structs(source: Source, size: int) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Read the structs of a file as bytes, shape (n, size), block by block, with the number of the first."""
    for offset, block in source.blocks(HEADER_SIZE, size):
        yield (offset - HEADER_SIZE) // size, np.frombuffer(block, np.uint8).reshape(-1, size)


def split(stored: npt.NDArray[np.uint8], *, periodic: bool) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Return which structs, shape (n, size), are slots in conflict, and which are records; the others are empty."""
    conflict = (stored == CONFLICT_BYTE).all(axis=1) & periodic
    return conflict, stored.any(axis=1) & ~conflict


def find_byte_order(
    source: Source,
    data_type: DataType,
    day: np.datetime64,
    structs: Mapping[ByteOrder, np.dtype[np.void]],
    *,
    periodic: bool,
) -> ByteOrder:
    """Find the byte order in which more records have a time on the day; either if there are no records."""
    first, end = data_type.clock.day_start(day), data_type.clock.day_start(day + np.timedelta64(1, "D"))
    inside, records = dict.fromkeys(structs, 0), 0
    size = next(iter(structs.values())).itemsize
    for _, stored in read_structs(source, size):
        held = stored[split(stored, periodic=periodic)[1]]
        records += len(held)
        for order, struct in structs.items():
            values = data_type.count(held.view(struct)[:, 0])
            with np.errstate(invalid="ignore"):
                inside[order] += int(((values >= first) & (values < end)).sum())
    best, other = sorted(inside, key=lambda order: inside[order], reverse=True)
    if records and inside[best] == inside[other]:
        tried = " and ".join(f"{number} of {records} in {order}-endian order" for order, number in inside.items())
        message = (
            f"neither its header nor its times show the byte order: {tried} are on {day}, the day of its name; "
            f"rename it to the name of its day, or submit its records as a struct stream"
        )
        raise SourceError(message, where=source.name, offset=HEADER_SIZE)
    return best
