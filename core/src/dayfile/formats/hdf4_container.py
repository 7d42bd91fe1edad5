"""The HDF4 container: bytes in, Vdatas and scientific data sets out.

Why not the HDF4 library: it trusts what it reads. Of 7000 copies of small files with flipped bits or a cut end, 67
killed the process that read them with pyhdf, and one held it up for more than five seconds. This reader cannot crash,
and takes time and memory in proportion to the file, because it accepts only what such a file can be: every element
lies inside the file, and elements share no bytes. It knows what the library writes by default; compressed, chunked and
external elements are refused with a message that says how to rewrite the file.

Facts of the format (all numbers big-endian):

- A file starts with the bytes 0E 03 13 01. At byte 4 is the first block of data descriptors: uint16 number of
  descriptors, uint32 offset of the next block (0 in the last), then the descriptors.
- A descriptor is uint16 tag, uint16 reference, int32 offset, int32 length. Tag and reference name the element. Offset
  and length are both -1 while an element has no data.
- A tag with bit 14 set marks a special element: what lies there is not the data but a header that tells, in its first
  uint16, how they are stored. 1 is linked blocks, for an element that grew after something else was written behind it:
  int32 length, int32 block length, int32 blocks in a table, uint16 reference of the first table. Tables and blocks are
  elements of tag 20. A table is uint16 reference of the next table (0 in the last), then the references of blocks (0:
  not written). The first block is as long as its descriptor says, the others have the block length.
- A Vdata is a description (tag 1962) and, under the same reference, its records (tag 1963).
- A scientific data set (SDS) is a Vgroup (tag 1965) of class ``Var0.0`` with the name of the SDS. It refers to the
  dimensions (tag 701), which refer to the number type (tag 106), and to the data (tag 702) once there are some.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import SourceError
from dayfile.messages import plural

__all__ = ["MAGIC", "Container", "DataSet", "Vdata"]

MAGIC = b"\x0e\x03\x13\x01"

DESCRIPTOR = np.dtype([("tag", ">u2"), ("reference", ">u2"), ("offset", ">i4"), ("length", ">i4")])
SPECIAL = 0x4000
LINKED_BLOCKS = 1
OTHER_STORAGE = {2: "in another file", 3: "compressed", 5: "in chunks"}

LINKED = 20
NUMBER_TYPE = 106
DIMENSIONS = 701
SDS_DATA = 702
VDATA = 1962
VDATA_RECORDS = 1963
VGROUP = 1965
TAGS = np.array([LINKED, NUMBER_TYPE, DIMENSIONS, SDS_DATA, VDATA, VDATA_RECORDS, VGROUP], np.uint16)

NUMPY_TYPES = {3: "u1", 4: "S1", 5: ">f4", 6: ">f8", 20: "i1", 21: "u1", 22: ">i2", 23: ">u2", 24: ">i4", 25: ">u4"}
"""Stored form of the library's type codes: unsigned char, char, float32, float64, then (u)int8, (u)int16, (u)int32.

A flag added to a code means another form, such as 0x4000 for little-endian; the library adds none by default.
"""
BIG_ENDIAN = 1
SDS_CLASS = "Var0.0"
MOST_DIMENSIONS = 32
MOST_BYTES = 2**31 - 1


@dataclass(frozen=True)
class Vdata:
    """Description of a table.

    ``fields`` has for each field its name, type code, size in bytes, offset in the record, and number of values.
    """

    name: str
    vdata_class: str
    reference: int
    interlace: int
    records: int
    record_size: int
    fields: tuple[tuple[str, int, int, int, int], ...]


@dataclass(frozen=True)
class DataSet:
    """Name of an SDS and the tags and references of its elements."""

    name: str
    members: tuple[tuple[int, int], ...]


class Values:
    """Takes values off the front of an element; struct.error where it ends too early."""

    def __init__(self, element: memoryview) -> None:
        self._element = element
        self._position = 0

    def numbers(self, form: str) -> tuple[int, ...]:
        """Big-endian numbers in the notation of ``struct``."""
        values = struct.unpack_from(f">{form}", self._element, self._position)
        self._position += struct.calcsize(f">{form}")
        return values

    def text(self) -> str:
        """Text behind its length (uint16)."""
        (length,) = self.numbers("H")
        (text,) = struct.unpack_from(f"{length}s", self._element, self._position)
        self._position += length
        return str(text, "latin-1")


class Container:
    """The elements of an HDF4 file.

    Parameters
    ----------
    content : bytes
        The file.
    where : str or Path, optional
        Its name, for messages.

    Raises
    ------
    SourceError
        The file is not HDF4, truncated, or damaged. Every attribute and method raises it.
    """

    def __init__(self, content: bytes, where: str | Path | None = None) -> None:
        self._content = memoryview(content)
        self._where = where
        if not content.startswith(MAGIC):
            raise self.error("not an HDF4 file: it does not start with the bytes 0E 03 13 01")
        descriptors = np.frombuffer(self._read_descriptors(), DESCRIPTOR)
        descriptors = descriptors[np.isin(descriptors["tag"] & ~np.uint16(SPECIAL), TAGS)]
        self._check_places(descriptors)
        # Sorted by tag and reference; of two with the same name the first in the file counts, as in the library.
        keys = descriptors["tag"].astype(np.int64) << 16 | descriptors["reference"]
        self._keys, first = np.unique(keys, return_index=True)
        self._descriptors = descriptors[first]

    def vdatas(self) -> Iterator[Vdata]:
        """All Vdatas, the library's own too, in ascending order of reference."""
        return map(self._read_vdata, self._references(VDATA))

    def data_sets(self) -> Iterator[DataSet]:
        """All SDS, in ascending order of reference."""
        for reference in self._references(VGROUP):
            name, vgroup_class, members = self._read_vgroup(reference)
            if vgroup_class == SDS_CLASS:
                yield DataSet(name, members)

    def columns(self, vdata: Vdata) -> dict[str, npt.NDArray[Any]]:
        """Read the fields of a Vdata, as views of its records.

        Returns
        -------
        dict of str to array, shape (records, count)
            In stored order; big-endian, text as ``S1``.
        """
        name = vdata.name
        if vdata.interlace:
            raise self.error(f"Vdata {name}: is stored field after field, which is not supported")
        data = self._data(VDATA_RECORDS, vdata.reference)
        if vdata.records < 0 or len(data) != vdata.records * vdata.record_size:
            raise self.error(
                f"damaged: Vdata {name} should have {plural(vdata.records, 'record')} of "
                f"{plural(vdata.record_size, 'byte')}, "
                f"and has {plural(len(data), 'byte')}"
            )
        records = np.frombuffer(data, np.uint8).reshape(vdata.records, vdata.record_size)
        columns: dict[str, npt.NDArray[Any]] = {}
        end = 0
        for field, code, size, offset, count in vdata.fields:
            dtype = self._numpy_type(code, f"Vdata {name}, field {field}")
            begin, end = end, end + size
            possible = offset == begin and 0 < size == count * dtype.itemsize and end <= vdata.record_size
            if field in columns or not possible:
                raise self.error(f"damaged: Vdata {name}, field {field}: its place in the records is not possible")
            columns[field] = records[:, begin:end].view(dtype)
        if end != vdata.record_size:
            raise self.error(f"damaged: the fields of Vdata {name} do not make up its records")
        return columns

    def rows(self, data_set: DataSet) -> npt.NDArray[Any]:
        """Read the data of an SDS.

        Returns
        -------
        array, shape (rows written, further dimensions...)
            Big-endian, text as ``S1``. As in the library, the data say how many rows there are: what is declared for
            an unlimited first dimension lags behind where the writer was stopped.
        """
        references = dict(data_set.members)
        values = self._values(DIMENSIONS, references.get(DIMENSIONS, 0))
        try:
            (rank,) = values.numbers("H")
            dimensions = values.numbers(f"{rank}i")
            _, number_type = values.numbers("HH")
            _, code, _, form = self._values(NUMBER_TYPE, number_type).numbers("BBBB")
        except struct.error:
            raise self._too_short(f"description of the SDS {data_set.name}") from None
        if form != BIG_ENDIAN:
            raise self.error(f"SDS {data_set.name}: is not stored big-endian, which is not supported")
        dtype = self._numpy_type(code, f"SDS {data_set.name}")
        row_shape = dimensions[1:]
        possible = 1 <= rank <= MOST_DIMENSIONS and min(row_shape, default=1) > 0
        row_size = dtype.itemsize * math.prod(row_shape) if possible else 0
        if not 0 < row_size <= MOST_BYTES:
            raise self.error(f"damaged: the dimensions of the SDS {data_set.name} are not possible")
        data = self._data(SDS_DATA, references.get(SDS_DATA, 0))
        if len(data) % row_size:
            raise self.error(
                f"damaged: SDS {data_set.name} has {plural(len(data), 'byte')}, which are not rows of {row_size}"
            )
        return np.frombuffer(data, dtype).reshape(len(data) // row_size, *row_shape)

    def error(self, message: str) -> SourceError:
        """Make an error that names the file."""
        return SourceError(message, where=self._where)

    def _too_short(self, what: str) -> SourceError:
        return self.error(f"damaged: the {what} ends too early")

    def _numpy_type(self, code: int, what: str) -> np.dtype[Any]:
        if code not in NUMPY_TYPES:
            raise self.error(f"{what}: has the number type {code:#x}, which is not supported")
        return np.dtype(NUMPY_TYPES[code])

    def _read_descriptors(self) -> bytes:
        """All data descriptors, block after block."""
        descriptors = bytearray()
        position, blocks = len(MAGIC), 0
        while position:
            try:
                count, following = struct.unpack_from(">HI", self._content, position)
                block = struct.unpack_from(f"{count * DESCRIPTOR.itemsize}s", self._content, position + 6)[0]
            except struct.error:
                raise self.error(f"truncated: the list of its elements at byte {position} is not whole") from None
            descriptors += block
            blocks += 1
            if len(descriptors) + 6 * blocks > len(self._content):
                raise self.error("damaged: the lists of its elements go round in a circle")
            position = following
        return bytes(descriptors)

    def _check_places(self, descriptors: npt.NDArray[Any]) -> None:
        """Refuse elements that lie outside the file or share bytes, which bounds the cost of all that follows."""
        offset, length = descriptors["offset"].astype(np.int64), descriptors["length"].astype(np.int64)
        has_data = (offset != -1) | (length != -1)
        end = offset + length
        outside = has_data & ((offset < 0) | (length < 0) | (end > len(self._content)))
        if outside.any():
            raise self.error(
                f"truncated or damaged: it has {plural(len(self._content), 'byte')}, and one of its elements "
                f"should end at byte {end[outside].max()}; send it again"
            )
        if length[has_data].sum() > len(self._content):
            raise self.error("damaged: some of its elements lie in the same place")

    def _references(self, tag: int) -> list[int]:
        begin, end = np.searchsorted(self._keys, [tag << 16, (tag + 1) << 16])
        references: list[int] = (self._keys[begin:end] & 0xFFFF).tolist()
        return references

    def _stored(self, tag: int, reference: int) -> memoryview | None:
        """Look up what lies in the file under a tag and reference; None if there is no such element."""
        key = tag << 16 | reference
        index = int(np.searchsorted(self._keys, key))
        if index == len(self._keys) or self._keys[index] != key:
            return None
        _, _, offset, length = self._descriptors[index].tolist()
        return self._content[offset : offset + length] if offset >= 0 else self._content[:0]

    def _values(self, tag: int, reference: int) -> Values:
        """Values of an element that the library never spreads over the file."""
        stored = self._stored(tag, reference)
        if stored is None:
            raise self.error(f"damaged: its element {tag}/{reference} is missing")
        return Values(stored)

    def _data(self, tag: int, reference: int) -> memoryview:
        """Read data that the library may have spread over the file; empty if none were written."""
        stored = self._stored(tag, reference)
        if stored is not None:
            return stored
        header = self._stored(tag | SPECIAL, reference)
        if header is None:
            return self._content[:0]
        try:
            (storage,) = Values(header).numbers("H")
            if storage != LINKED_BLOCKS:
                raise self.error(
                    f"its data {tag}/{reference} are stored {OTHER_STORAGE.get(storage, 'in an unknown way')}, which "
                    "is not supported; rewrite it with hrepack -t '*:NONE' -c '*:NONE' -i OLD -o NEW and send that"
                )
            return memoryview(self._join_blocks(header))
        except struct.error:
            raise self._too_short(f"list of blocks of its data {tag}/{reference}") from None

    def _join_blocks(self, header: memoryview) -> bytes:
        """Put together data in linked blocks.

        As blocks share no bytes and none is taken twice, the result is no longer than the file.
        """
        _, missing, block_length, _, table = Values(header).numbers("HiiiH")
        parts: list[memoryview] = []
        blocks = self._blocks(table)
        while missing > 0:
            block = next(blocks, None)
            if block is None:
                raise self.error(f"damaged: one of its elements lacks its last {plural(missing, 'byte')}")
            size = min(missing, block_length if parts else len(block))
            if not 0 < size <= len(block):
                raise self.error("damaged: a block of one of its elements is too short")
            parts.append(block[:size])
            missing -= size
        return b"".join(parts)

    def _blocks(self, table: int) -> Iterator[memoryview]:
        """Linked blocks in order, from the table of a reference on; ends where a block is missing or met again."""
        seen: set[int] = set()
        while table not in seen and (element := self._stored(LINKED, table)):
            seen.add(table)
            values = Values(element)
            (table,) = values.numbers("H")
            for reference in values.numbers(f"{len(element) // 2 - 1}H"):
                block = self._stored(LINKED, reference)
                if reference in seen or block is None:
                    return
                seen.add(reference)
                yield block

    def _read_vdata(self, reference: int) -> Vdata:
        values = self._values(VDATA, reference)
        try:
            interlace, records, record_size, count = values.numbers("HiHH")
            numbers = [values.numbers(f"{count}H") for _ in range(4)]
            names = [values.text() for _ in range(count)]
            fields = tuple(zip(names, *numbers, strict=True))
            return Vdata(values.text(), values.text(), reference, interlace, records, record_size, fields)
        except struct.error:
            raise self._too_short(f"description of Vdata {reference}") from None

    def _read_vgroup(self, reference: int) -> tuple[str, str, tuple[tuple[int, int], ...]]:
        """Read name, class and members (tag, reference) of a Vgroup."""
        values = self._values(VGROUP, reference)
        try:
            (count,) = values.numbers("H")
            tags, references = values.numbers(f"{count}H"), values.numbers(f"{count}H")
            return values.text(), values.text(), tuple(zip(tags, references, strict=True))
        except struct.error:
            raise self._too_short(f"description of Vgroup {reference}") from None
