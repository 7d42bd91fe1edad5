"""Append records to the variables of a CDF file, as the internal format of CDF 3 describes it.

cdflib writes the variables of a file, each with all of its records at once. What is larger than the memory is appended
here, to a file whose variables have no records yet: blocks of records (VVR, or CVVR if compressed), and for each
variable a tree of indexes of its blocks (VXR). All numbers of these structures are big-endian; the format is at
https://cdf.gsfc.nasa.gov.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

__all__ = ["CdfRecords"]

INDEX, VALUES, COMPRESSED = 6, 7, 13
"""Types of structures: VXR, VVR, CVVR."""
GLOBAL_PLACE = 8 + 12
"""Where the CDR, which begins at byte 8, has the offset of the GDR."""
FIRST_VARIABLE, END = 20, 36
"""Where the GDR has the offset of the first zVDR, and the length of the file."""
NEXT, LAST_RECORD, FLAGS, BLOCKING, NAME = 12, 24, 44, 80, 84
"""Where a zVDR has the next one, its last record with the first and last VXR, its flags, records a block, and name."""
IS_COMPRESSED = 4
ENTRIES = 7
"""Entries of an index, as NASA's library writes them."""
LEVEL = 4
"""Level of compression."""


@dataclass
class Variable:
    """A variable that records are appended to: where it is in the file, whether it is compressed, and its blocks."""

    offset: int
    packed: bool
    records: int = 0
    blocks: list[tuple[int, int, int]] = field(default_factory=list)
    """First record, last record and offset of each."""


class CdfRecords:
    """Appends records to the variables of a CDF file; at the end of the ``with`` block the file is whole.

    Parameters
    ----------
    path : Path
        A file of CDF 3 whose record-varying variables have no records; they may be compressed by gzip.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        (self._global,) = self._read(GLOBAL_PLACE, ">q")
        self._variables = dict(self._find_variables())
        self._end = self._file.seek(0, 2)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._finish()

    def append(self, name: str, values: npt.NDArray[Any]) -> None:
        """Append records to a variable.

        Parameters
        ----------
        name : str
            The variable.
        values : array, shape (n, *shape of the variable)
            In little-endian order, as the file is; texts are bytes of the length of the variable.
        """
        if not len(values):
            return
        variable = self._variables[name]
        content = np.ascontiguousarray(values).tobytes()
        packed = gzip.compress(content, LEVEL, mtime=0) if variable.packed else content
        if len(packed) < len(content):
            offset = self._add(struct.pack(">iiq", COMPRESSED, 0, len(packed)), packed)
        else:
            offset = self._add(struct.pack(">i", VALUES), content)
        last = variable.records + len(values) - 1
        variable.blocks.append((variable.records, last, offset))
        variable.records = last + 1

    def _finish(self) -> None:
        """Write the indexes of all variables, and what points to them."""
        for variable in self._variables.values():
            if not variable.blocks:
                continue
            nodes = variable.blocks
            while len(nodes) > 1 or nodes is variable.blocks:
                nodes = [self._add_index(nodes[start : start + ENTRIES]) for start in range(0, len(nodes), ENTRIES)]
            top = nodes[0][2]
            self._write(variable.offset + LAST_RECORD, ">iqq", variable.records - 1, top, top)
            longest = max(last - first + 1 for first, last, _ in variable.blocks)
            self._write(variable.offset + BLOCKING, ">i", longest)
        self._write(self._global + END, ">q", self._end)

    def _add_index(self, entries: list[tuple[int, int, int]]) -> tuple[int, int, int]:
        """Write an index of blocks or of other indexes; return its first and last record and its offset."""
        unused = [-1] * (ENTRIES - len(entries))
        firsts, lasts, offsets = ([*column, *unused] for column in zip(*entries, strict=True))
        head = struct.pack(">iqii", INDEX, 0, ENTRIES, len(entries))
        numbers = struct.pack(f">{ENTRIES}i{ENTRIES}i{ENTRIES}q", *firsts, *lasts, *offsets)
        return entries[0][0], entries[-1][1], self._add(head, numbers)

    def _add(self, head: bytes, content: bytes) -> int:
        """Write a structure at the end of the file, its length first; return its offset."""
        offset = self._file.seek(self._end)
        length = 8 + len(head) + len(content)
        self._file.write(struct.pack(">q", length) + head)
        self._file.write(content)
        self._end += length
        return offset

    def _find_variables(self) -> Iterator[tuple[str, Variable]]:
        """Yield the variables by name."""
        (offset,) = self._read(self._global + FIRST_VARIABLE, ">q")
        while offset:
            (name,) = self._read(offset + NAME, ">256s")
            (flags,) = self._read(offset + FLAGS, ">i")
            yield name.rstrip(b"\0").decode(), Variable(offset, bool(flags & IS_COMPRESSED))
            (offset,) = self._read(offset + NEXT, ">q")

    def _read(self, offset: int, form: str) -> tuple[Any, ...]:
        """Read numbers."""
        self._file.seek(offset)
        return struct.unpack(form, self._file.read(struct.calcsize(form)))

    def _write(self, offset: int, form: str, *numbers: int) -> None:
        """Write numbers."""
        self._file.seek(offset)
        self._file.write(struct.pack(form, *numbers))
