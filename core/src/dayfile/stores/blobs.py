"""The array of variable-length values (blobs) that stands beside the tables of one group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.hdf5.vlen import VlenArray
from dayfile.stores.checksums import blob_hashes, place_sum

__all__ = ["BlobArray", "blobs_at"]

# Values are read in slices of so many at most: as traces they fit in a processor's cache, of which a read makes three
# copies. Reading one that is not asked for costs a tenth of a slice of its own.
SLICE = 64
GAP = 10


class BlobArray:
    """An array of bytes (PyTables' pseudo-atom ``vlstring``) that keeps the order in which values were sent.

    Several tables may share one. Values wait until :meth:`flush` and are then stored in the order of their keys, so
    that a list of mixed records gives the order of the list, whichever table is written first.

    Parameters
    ----------
    array : VlenArray
        Open for writing.
    checksum : int
        Checksum of what it holds already.
    """

    def __init__(self, array: VlenArray, checksum: int = 0) -> None:
        self.array = array
        self.checksum = checksum
        self.waiting: list[bytes] = []
        self.keys: list[npt.NDArray[np.int64]] = []
        self.stored = np.zeros(0, np.int64)

    @property
    def path(self) -> str:
        """Path in the day file."""
        return self.array.path

    @property
    def rows(self) -> int:
        """How many values it will hold after a flush."""
        return self.array.nrows + len(self.waiting)

    def add(self, values: Sequence[bytes], keys: npt.NDArray[np.int64]) -> int:
        """Take values to be stored at the next flush.

        Parameters
        ----------
        values : sequence of bytes
            What to store.
        keys : array of int64, shape (len(values),)
            What the order of storing goes by; equal keys stay in the order of arrival.

        Returns
        -------
        int
            Number of the first of them in this session; see :meth:`indexes`.
        """
        first = len(self.stored) + len(self.waiting)
        self.waiting.extend(values)
        self.keys.append(keys)
        return first

    def flush(self) -> None:
        """Store what waits."""
        if not self.waiting:
            return
        order = np.argsort(np.concatenate(self.keys), kind="stable")
        base = self.array.nrows
        values = [self.waiting[index] for index in order.tolist()]
        self.array.append(values)
        self.checksum = (self.checksum + place_sum(blob_hashes(values), base)) % 2**64
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(base, base + len(order))
        self.stored = np.concatenate([self.stored, places])
        self.waiting, self.keys = [], []

    def value(self, number: int) -> bytes:
        """A value known by its number in this session."""
        if number < len(self.stored):
            return self.stored_value(int(self.stored[number]))
        return self.waiting[number - len(self.stored)]

    def stored_value(self, index: int) -> bytes:
        """A value known by its index in the array."""
        return self.array.read(index, index + 1)[0]

    def restart(self) -> None:
        """Forget the numbers given out so far, once no row that waits uses them any more."""
        self.stored = np.zeros(0, np.int64)

    def indexes(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Indexes in the array of values known by their number in this session; negative numbers stay as they are."""
        if not len(self.stored):
            return numbers
        return np.where(numbers < 0, numbers, self.stored[np.maximum(numbers, 0)])


def blobs_at(array: VlenArray, indexes: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.object_]:
    """Values of an array of bytes, read in few slices.

    Parameters
    ----------
    array : VlenArray
        Open for reading.
    indexes : array of int, shape (n,)
        Which values, in any order; negative for none.

    Returns
    -------
    array of object, shape (n,)
        Each bytes, or None where the index is negative.

    Raises
    ------
    IndexError
        The array has no such value.
    """
    found = np.full(len(indexes), None, object)
    places = np.flatnonzero(indexes >= 0)
    if not len(places):
        return found
    if (highest := int(indexes.max())) >= array.nrows:
        raise IndexError(f"there is no value {highest}, only {array.nrows}")
    wanted, inverse = np.unique(indexes[places], return_inverse=True)
    ends = np.flatnonzero((np.diff(wanted) > GAP) | (np.diff(wanted // SLICE) > 0)) + 1
    values: list[bytes] = []
    for part in np.split(wanted, ends):
        first, last = int(part[0]), int(part[-1])
        read = array.read(first, last + 1)
        values += read if len(read) == len(part) else [read[index] for index in (part - first).tolist()]
    found[places] = np.array(values, object)[inverse]
    return found
