"""The array of variable-length values (blobs) beside the tables of one group."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.hdf5.vlen import VlenArray
from dayfile.stores.checksums import hash_blobs, sum_hashes

__all__ = ["BlobArray", "take_blobs"]

# The most values that are read at once: as traces, of which a read makes three copies, they fit in a processor's cache.
# Reading a value in vain costs a tenth of reading one more slice.
SLICE = 64
GAP = 10


class BlobArray:
    """An array of bytes (PyTables' pseudo-atom ``vlstring``) with the values in the order in which they were sent.

    Several tables may share one. Values wait until :meth:`flush` and are then stored in the order of their keys, so
    that a list of mixed records gives the order of the list, whichever table is written first.

    Parameters
    ----------
    array : VlenArray
        Open for writing.
    checksum : int
        Checksum of its present values.
    """

    def __init__(self, array: VlenArray, checksum: int = 0) -> None:
        self.array = array
        self.checksum = checksum
        self.waiting: list[bytes] = []
        self.keys: list[npt.NDArray[np.int64]] = []
        self.stored = np.zeros(0, np.int64)

    @property
    def path(self) -> str:
        """Return the path in the day file."""
        return self.array.path

    @property
    def rows(self) -> int:
        """Return the number of values that it will hold after a flush."""
        return self.array.nrows + len(self.waiting)

    def add(self, values: Sequence[bytes], keys: npt.NDArray[np.int64]) -> int:
        """Add values, to be stored at the next flush.

        Parameters
        ----------
        values : sequence of bytes
            What to store.
        keys : array of int64, shape (len(values),)
            Sort keys for storing; values with equal keys stay in the order of arrival.

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
        """Store the waiting values."""
        if not self.waiting:
            return
        order = np.argsort(np.concatenate(self.keys), kind="stable")
        base = self.array.nrows
        values = [self.waiting[index] for index in order.tolist()]
        self.array.append(values)
        self.checksum = (self.checksum + sum_hashes(hash_blobs(values), base)) % 2**64
        places = np.empty(len(order), np.int64)
        places[order] = np.arange(base, base + len(order))
        self.stored = np.concatenate([self.stored, places])
        self.waiting, self.keys = [], []

    def value(self, number: int) -> bytes:
        """A value known by its number in this session."""
        if number < len(self.stored):
            return self.get_stored(int(self.stored[number]))
        return self.waiting[number - len(self.stored)]

    def get_stored(self, index: int) -> bytes:
        """Read a value by its index in the array."""
        return self.array.read(index, index + 1)[0]

    def restart(self) -> None:
        """Number values from 0 again, once no waiting row uses the old numbers."""
        self.stored = np.zeros(0, np.int64)

    def indexes(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the indexes in the array of values given by their numbers; negative numbers stay as they are."""
        if not len(self.stored):
            return numbers
        return np.where(numbers < 0, numbers, self.stored[np.maximum(numbers, 0)])


def take_blobs(array: VlenArray, indexes: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.object_]:
    """Read values of an array of bytes, in few slices.

    Parameters
    ----------
    array : VlenArray
        Open for reading.
    indexes : array of int, shape (n,)
        Indexes of the values, in any order; negative for no value.

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
        raise IndexError(f"the array has no value {highest}, only {array.nrows}")
    wanted, inverse = np.unique(indexes[places], return_inverse=True)
    ends = np.flatnonzero((np.diff(wanted) > GAP) | (np.diff(wanted // SLICE) > 0)) + 1
    values: list[bytes] = []
    for part in np.split(wanted, ends):
        first, last = int(part[0]), int(part[-1])
        read = array.read(first, last + 1)
        values += read if len(read) == len(part) else [read[index] for index in (part - first).tolist()]
    found[places] = np.array(values, object)[inverse]
    return found
