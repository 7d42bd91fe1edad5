"""A reader of the HDF4 container, which has Vdatas and scientific data sets.

The HDF4 library is not used because it trusts its input. Of 7000 copies of small files with flipped bits or a cut end,
67 killed the process that read them with pyhdf, and one blocked it for more than five seconds. This reader cannot
crash, and its time and memory are proportional to the file, because it accepts only what such a file can contain: every
element is inside the file, and elements share no bytes. It reads what the library writes by default, and refuses
compressed, chunked and external elements with a message that says how to rewrite the file.

Facts of the format (all numbers big-endian):

- A file starts with the bytes 0E 03 13 01. At byte 4 is the first block of data descriptors: uint16 number of
  descriptors, uint32 offset of the next block (0 in the last), then the descriptors.
- A descriptor is uint16 tag, uint16 reference, int32 offset, int32 length. Tag and reference name the element. Offset
  and length are both -1 while an element has no data.
- A tag with bit 14 set marks a special element: it is not the data but a header. Its first uint16 says how the data are
  stored. 1 is linked blocks, for an element that grew after another element was written behind it:
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
"""NumPy types of the library's type codes: unsigned char, char, float32, float64, then (u)int8, (u)int16, (u)int32.

A flag in the code means another storage, such as 0x4000 for little-endian; the library sets no flag by default.
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
    """Reads the values of an element one after another; struct.error if it ends too early."""

    def __init__(self, element: memoryview) -> None:
        self._element = element
        self._position = 0

    def take_numbers(self, form: str) -> tuple[int, ...]:
        """Take big-endian numbers, in the notation of ``struct``."""
        values = struct.unpack_from(f">{form}", self._element, self._position)
        self._position += struct.calcsize(f">{form}")
        return values

    def take_text(self) -> str:
        """Take a text, which comes after its length (uint16)."""
        (length,) = self.take_numbers("H")
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
            raise self.make_error("not an HDF4 file: it does not start with the bytes 0E 03 13 01")
        descriptors = np.frombuffer(self._read_descriptors(), DESCRIPTOR)
        descriptors = descriptors[np.isin(descriptors["tag"] & ~np.uint16(SPECIAL), TAGS)]
        self._check_places(descriptors)
        # Sorted by tag and reference. Of two equal ones the first in the file counts, as in the library.
        keys = descriptors["tag"].astype(np.int64) << 16 | descriptors["reference"]
        self._keys, first = np.unique(keys, return_index=True)
        self._descriptors = descriptors[first]

    def list_vdatas(self) -> Iterator[Vdata]:
        """List all Vdatas, also those of the library itself, in ascending order of reference."""
        return map(self._read_vdata, self._list_references(VDATA))

    def list_data_sets(self) -> Iterator[DataSet]:
        """List all SDS, in ascending order of reference."""
        for reference in self._list_references(VGROUP):
            name, vgroup_class, members = self._read_vgroup(reference)
            if vgroup_class == SDS_CLASS:
                yield DataSet(name, members)

    def read_columns(self, vdata: Vdata) -> dict[str, npt.NDArray[Any]]:
        """Read the fields of a Vdata, as views of its records.

        Returns
        -------
        dict of str to array, shape (records, count)
            In stored order; big-endian, text as ``S1``.
        """
        name = vdata.name
        if vdata.interlace:
            raise self.make_error(f"Vdata {name}: is stored field after field, which is not supported")
        data = self._read_data(VDATA_RECORDS, vdata.reference)
        if vdata.records < 0 or len(data) != vdata.records * vdata.record_size:
            raise self.make_error(
                f"damaged: Vdata {name} should have {plural(vdata.records, 'record')} of "
                f"{plural(vdata.record_size, 'byte')}, and has {plural(len(data), 'byte')}"
            )
        records = np.frombuffer(data, np.uint8).reshape(vdata.records, vdata.record_size)
        columns: dict[str, npt.NDArray[Any]] = {}
        end = 0
        for field, code, size, offset, count in vdata.fields:
            dtype = self._find_dtype(code, f"Vdata {name}, field {field}")
            begin, end = end, end + size
            possible = offset == begin and 0 < size == count * dtype.itemsize and end <= vdata.record_size
            if field in columns or not possible:
                raise self.make_error(f"damaged: Vdata {name}, field {field}: its place in the records is not possible")
            columns[field] = records[:, begin:end].view(dtype)
        if end != vdata.record_size:
            raise self.make_error(f"damaged: the fields of Vdata {name} do not make up its records")
        return columns

    def read_rows(self, data_set: DataSet) -> npt.NDArray[Any]:
        """Read the data of an SDS.

        Returns
        -------
        array, shape (rows written, further dimensions...)
            Big-endian, text as ``S1``. As in the library, the data decide the number of rows: if the writer was
            stopped, the declared size of an unlimited first dimension is out of date.
        """
        references = dict(data_set.members)
        values = self._read_values(DIMENSIONS, references.get(DIMENSIONS, 0))
        try:
            (rank,) = values.take_numbers("H")
            dimensions = values.take_numbers(f"{rank}i")
            _, number_type = values.take_numbers("HH")
            _, code, _, form = self._read_values(NUMBER_TYPE, number_type).take_numbers("BBBB")
        except struct.error:
            raise self._make_too_short(f"description of the SDS {data_set.name}") from None
        if form != BIG_ENDIAN:
            raise self.make_error(f"SDS {data_set.name}: is not stored big-endian, which is not supported")
        dtype = self._find_dtype(code, f"SDS {data_set.name}")
        row_shape = dimensions[1:]
        possible = 1 <= rank <= MOST_DIMENSIONS and min(row_shape, default=1) > 0
        row_size = dtype.itemsize * math.prod(row_shape) if possible else 0
        if not 0 < row_size <= MOST_BYTES:
            raise self.make_error(f"damaged: the dimensions of the SDS {data_set.name} are not possible")
        data = self._read_data(SDS_DATA, references.get(SDS_DATA, 0))
        if len(data) % row_size:
            raise self.make_error(
                f"damaged: SDS {data_set.name}: {plural(len(data), 'byte')} are not rows of {row_size}"
            )
        return np.frombuffer(data, dtype).reshape(len(data) // row_size, *row_shape)

    def make_error(self, message: str) -> SourceError:
        """Make an error that names the file."""
        return SourceError(message, where=self._where)

    def _make_too_short(self, what: str) -> SourceError:
        return self.make_error(f"damaged: the {what} ends too early")

    def _find_dtype(self, code: int, what: str) -> np.dtype[Any]:
        if code not in NUMPY_TYPES:
            raise self.make_error(f"{what}: has the number type {code:#x}, which is not supported")
        return np.dtype(NUMPY_TYPES[code])

    def _read_descriptors(self) -> bytes:
        """Read all data descriptors, block after block."""
        descriptors = bytearray()
        position, blocks = len(MAGIC), 0
        while position:
            try:
                count, following = struct.unpack_from(">HI", self._content, position)
                block = struct.unpack_from(f"{count * DESCRIPTOR.itemsize}s", self._content, position + 6)[0]
            except struct.error:
                raise self.make_error(f"truncated: the list of its elements at byte {position} is incomplete") from None
            descriptors += block
            blocks += 1
            if len(descriptors) + 6 * blocks > len(self._content):
                raise self.make_error("damaged: the lists of its elements form a circle")
            position = following
        return bytes(descriptors)

    def _check_places(self, descriptors: npt.NDArray[Any]) -> None:
        """Refuse elements outside the file or with shared bytes, which bounds the cost of further reading."""
        offset, length = descriptors["offset"].astype(np.int64), descriptors["length"].astype(np.int64)
        has_data = (offset != -1) | (length != -1)
        end = offset + length
        outside = has_data & ((offset < 0) | (length < 0) | (end > len(self._content)))
        if outside.any():
            raise self.make_error(
                f"truncated or damaged: it has {plural(len(self._content), 'byte')}, and one of its elements "
                f"should end at byte {end[outside].max()}; send it again"
            )
        if length[has_data].sum() > len(self._content):
            raise self.make_error("damaged: some of its elements are in the same place")

    def _list_references(self, tag: int) -> list[int]:
        begin, end = np.searchsorted(self._keys, [tag << 16, (tag + 1) << 16])
        references: list[int] = (self._keys[begin:end] & 0xFFFF).tolist()
        return references

    def _find_stored(self, tag: int, reference: int) -> memoryview | None:
        """Find the bytes of an element by tag and reference; None if it does not exist."""
        key = tag << 16 | reference
        index = int(np.searchsorted(self._keys, key))
        if index == len(self._keys) or self._keys[index] != key:
            return None
        _, _, offset, length = self._descriptors[index].tolist()
        return self._content[offset : offset + length] if offset >= 0 else self._content[:0]

    def _read_values(self, tag: int, reference: int) -> Values:
        """Read the values of an element that the library never splits into blocks."""
        stored = self._find_stored(tag, reference)
        if stored is None:
            raise self.make_error(f"damaged: its element {tag}/{reference} is missing")
        return Values(stored)

    def _read_data(self, tag: int, reference: int) -> memoryview:
        """Read data that the library may have split into blocks; empty if nothing was written."""
        stored = self._find_stored(tag, reference)
        if stored is not None:
            return stored
        header = self._find_stored(tag | SPECIAL, reference)
        if header is None:
            return self._content[:0]
        try:
            (storage,) = Values(header).take_numbers("H")
            if storage != LINKED_BLOCKS:
                raise self.make_error(
                    f"its data {tag}/{reference} are stored {OTHER_STORAGE.get(storage, 'in an unknown way')}, which "
                    "is not supported; rewrite it with hrepack -t '*:NONE' -c '*:NONE' -i OLD -o NEW and send that"
                )
            return memoryview(self._join_blocks(header))
        except struct.error:
            raise self._make_too_short(f"list of blocks of its data {tag}/{reference}") from None

    def _join_blocks(self, header: memoryview) -> bytes:
        """Join data in linked blocks.

        Because blocks share no bytes and none is taken twice, the result is no longer than the file.
        """
        _, missing, block_length, _, table = Values(header).take_numbers("HiiiH")
        parts: list[memoryview] = []
        blocks = self._read_blocks(table)
        while missing > 0:
            block = next(blocks, None)
            if block is None:
                raise self.make_error(f"damaged: one of its elements lacks its last {plural(missing, 'byte')}")
            size = min(missing, block_length if parts else len(block))
            if not 0 < size <= len(block):
                raise self.make_error("damaged: a block of one of its elements is too short")
            parts.append(block[:size])
            missing -= size
        return b"".join(parts)

    def _read_blocks(self, table: int) -> Iterator[memoryview]:
        """Read linked blocks in order, starting at a table; end at a block that is missing or was read before."""
        seen: set[int] = set()
        while table not in seen and (element := self._find_stored(LINKED, table)):
            seen.add(table)
            values = Values(element)
            (table,) = values.take_numbers("H")
            for reference in values.take_numbers(f"{len(element) // 2 - 1}H"):
                block = self._find_stored(LINKED, reference)
                if reference in seen or block is None:
                    return
                seen.add(reference)
                yield block

    def _read_vdata(self, reference: int) -> Vdata:
        values = self._read_values(VDATA, reference)
        try:
            interlace, records, record_size, count = values.take_numbers("HiHH")
            numbers = [values.take_numbers(f"{count}H") for _ in range(4)]
            names = [values.take_text() for _ in range(count)]
            fields = tuple(zip(names, *numbers, strict=True))
            return Vdata(values.take_text(), values.take_text(), reference, interlace, records, record_size, fields)
        except struct.error:
            raise self._make_too_short(f"description of Vdata {reference}") from None

    def _read_vgroup(self, reference: int) -> tuple[str, str, tuple[tuple[int, int], ...]]:
        """Read name, class and members (tag, reference) of a Vgroup."""
        values = self._read_values(VGROUP, reference)
        try:
            (count,) = values.take_numbers("H")
            tags, references = values.take_numbers(f"{count}H"), values.take_numbers(f"{count}H")
            return values.take_text(), values.take_text(), tuple(zip(tags, references, strict=True))
        except struct.error:
            raise self._make_too_short(f"description of Vgroup {reference}") from None
