"""Rows of a table that are read by their places in the file, as NumPy has them in memory; the library is not called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from dayfile.hdf5.chunks import Extent, fill_fields, fill_rows
from dayfile.messages import plural

__all__ = ["PlacedRows", "ReadableRows", "check_row_room", "make_room"]


class ReadableRows(Protocol):
    """The rows of a table, to be read while its file is open.

    Attributes
    ----------
    path : str
        Path of the table in the day file.
    dtype : numpy.dtype
        Of the rows.
    """

    @property
    def path(self) -> str:
        """Return the path of the table in the day file."""

    @property
    def dtype(self) -> np.dtype[np.void]:
        """Return the dtype of the rows."""

    @property
    def nrows(self) -> int:
        """Return the number of rows."""

    def read(self, start: int, stop: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Read rows from ``start`` up to, not including, ``stop``; into ``out`` if given."""

    def read_fields(self, start: int, stop: int, names: Sequence[str]) -> npt.NDArray[Any]:
        """Read named fields of rows from ``start`` up to, not including, ``stop``, without gaps."""


@dataclass(frozen=True, slots=True)
class PlacedRows:
    """Rows whose places in a file are known.

    Parameters
    ----------
    descriptor : int
        Of the open file.
    path : str
        Path of the table in it.
    dtype : numpy.dtype
        Of the rows.
    nrows : int
        How many there are.
    extents : list of Extent
        Where they are; rows in none were never written, and are zeros.
    """

    descriptor: int
    path: str
    dtype: np.dtype[np.void]
    nrows: int
    extents: list[Extent]

    def within(self, descriptor: int) -> PlacedRows:
        """Return the same rows of the same file, as it is open elsewhere."""
        return PlacedRows(descriptor, self.path, self.dtype, self.nrows, self.extents)

    def read(self, start: int, stop: int, out: npt.NDArray[Any] | None = None) -> npt.NDArray[Any]:
        """Read rows from ``start`` up to, not including, ``stop``; into ``out`` if given, which has as many rows."""
        found = check_row_room(self, start, stop, out)
        fill_rows(self.descriptor, self.extents, start, found)
        return found

    def read_fields(self, start: int, stop: int, names: Sequence[str]) -> npt.NDArray[Any]:
        """Read named fields of rows from ``start`` up to, not including, ``stop``, without gaps."""
        check_rows_there(self, start, stop)
        found = make_room(self.dtype, names, stop - start)
        fill_fields(self.descriptor, self.extents, start, found, self.dtype)
        return found


def check_rows_there(rows: ReadableRows, start: int, stop: int) -> None:
    """Raise IndexError for rows that a table does not have."""
    if not 0 <= start <= stop <= rows.nrows:
        raise IndexError(f"rows {start} to {stop} of {rows.nrows} of {rows.path}")


def check_row_room(rows: ReadableRows, start: int, stop: int, out: npt.NDArray[Any] | None) -> npt.NDArray[Any]:
    """Return the room for some rows of a table: what is given, if it fits, or new memory.

    Raises
    ------
    IndexError
        The table does not have these rows.
    ValueError
        What is given is not room for them.
    """
    check_rows_there(rows, start, stop)
    found = np.empty(stop - start, rows.dtype) if out is None else out
    if found.dtype != rows.dtype or found.shape != (stop - start,) or not found.flags.carray:
        raise ValueError(f"{rows.path} needs room for {plural(stop - start, 'row')} as they are stored")
    return found


def make_room(dtype: np.dtype[np.void], names: Sequence[str], length: int) -> npt.NDArray[np.void]:
    """Make room for some fields of n rows, without gaps."""
    return np.empty(length, np.dtype([(name, dtype[name]) for name in names]))
