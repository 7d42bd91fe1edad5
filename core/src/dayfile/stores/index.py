"""An index of the rows of a table by hash, small and fast for any number of rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["RowIndex"]


class RowIndex:
    """Row numbers by hash, as an open-addressing hash table in two NumPy arrays.

    It takes 24 to 48 bytes a row where a dict takes 150, and looks up and adds whole arrays.

    Examples
    --------
    >>> index = RowIndex()
    >>> index.add(np.array([7, 9, 7], np.uint64))
    >>> index.holds(np.array([9, 8], np.uint64)), index.find_rows(7)
    (array([ True, False]), [0, 2])
    """

    def __init__(self) -> None:
        self.count = 0
        self.hashes = np.zeros(64, np.uint64)  # by row
        self.places = np.full(128, -1, np.int32)  # a row, or -1; first tried at hash modulo size

    def _first_places(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        return (hashes & np.uint64(len(self.places) - 1)).astype(np.int64)

    def holds(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """Return for each hash whether any row has it."""
        found = np.zeros(len(hashes), bool)
        open_ = np.arange(len(hashes))
        places = self._first_places(hashes)
        while len(open_):
            rows = self.places[places[open_]]
            hit = (rows >= 0) & (self.hashes[rows] == hashes[open_])
            found[open_[hit]] = True
            open_ = open_[(rows >= 0) & ~hit]
            places[open_] = (places[open_] + 1) % len(self.places)
        return found

    def find_rows(self, hash_: int) -> list[int]:
        """Return all rows with one hash, ascending."""
        rows = []
        place = hash_ % len(self.places)
        while (row := int(self.places[place])) >= 0:
            if int(self.hashes[row]) == hash_:
                rows.append(row)
            place = (place + 1) % len(self.places)
        return sorted(rows)

    def add(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Enter the hashes of the next rows, in order."""
        first, self.count = self.count, self.count + len(hashes)
        if self.count > len(self.hashes):
            self.hashes = np.concatenate([self.hashes, np.zeros(max(self.count, len(self.hashes)), np.uint64)])
        self.hashes[first : self.count] = hashes
        if self.count * 4 > len(self.places):
            # Sparse, so that two or three rounds of whole arrays look up many hashes.
            size = len(self.places)
            while self.count * 4 > size:
                size *= 2
            self.places = np.full(size, -1, np.int32)
            first = 0
        self._enter(np.arange(first, self.count, dtype=np.int32))

    def _enter(self, rows: npt.NDArray[np.int32]) -> None:
        places = self._first_places(self.hashes[rows])
        while len(rows):
            free = self.places[places] < 0
            self.places[places[free]] = rows[free]
            # Where several rows took one place the last has it; the others, and those whose place was taken, go on.
            left = self.places[places] != rows
            rows, places = rows[left], (places[left] + 1) % len(self.places)
