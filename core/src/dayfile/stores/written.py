"""A table that is being written: its index, its waiting rows, and the checksum that it must have in the end."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.hdf5.rows import Table
from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.stores.base import Change, Found
from dayfile.stores.blobs import BlobArray
from dayfile.stores.checksums import hash_rows, sum_hashes
from dayfile.stores.index import RowIndex

__all__ = ["WrittenTable"]

READ_ROWS = 65536


def find_repeated(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Find the hashes that are in the array more than once."""
    if len(np.unique(hashes)) == len(hashes):
        return np.zeros(len(hashes), bool)
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    many: npt.NDArray[np.bool_] = (counts > 1)[inverse]
    return many


class WrittenTable:
    """A table, open for writing.

    Appended rows wait until :meth:`flush`; replaced rows are written at once.

    Parameters
    ----------
    table : Table
        Open for writing.
    data_type : DataType
        The data type of its rows.
    blobs : BlobArray, optional
        The array for blobs; needed if the data type has blob fields.
    checksum : int
        Checksum of its present rows.
    indexed : bool
        Whether to keep an index of all rows in memory, which :meth:`find_known` needs.
    empty_from : int, optional
        Index from which on all rows are known to be empty and need not be read; 0 for a new table.

    Attributes
    ----------
    nrows : int
        How many rows there are, with those that wait.
    """

    def __init__(
        self,
        table: Table,
        data_type: DataType,
        blobs: BlobArray | None = None,
        checksum: int = 0,
        *,
        indexed: bool = True,
        empty_from: int | None = None,
    ) -> None:
        self.table = table
        self.data_type = data_type
        self.blobs = blobs
        self.checksum = checksum
        self.waiting: list[npt.NDArray[Any]] = []
        self.nrows = table.nrows
        self.empty_from = table.nrows if empty_from is None else empty_from
        self.index = self._make_index() if indexed else None
        self.groups: dict[int, set[bytes]] = {}
        self.block: tuple[int, npt.NDArray[Any]] | None = None

    def _make_index(self) -> RowIndex:
        """Make an index of the stored rows."""
        index = RowIndex()
        for start in range(0, self.nrows, READ_ROWS):
            index.add(hash_rows(self.strip(self.table.read(start, min(start + READ_ROWS, self.nrows)))))
        return index

    @property
    def paths(self) -> dict[str, tuple[int, int]]:
        """Return the rows and checksum that the nodes must have, by path."""
        nodes = {self.table.path: (self.nrows, self.checksum)}
        if self.blobs is not None:
            nodes[self.blobs.path] = (self.blobs.rows, self.blobs.checksum)
        return nodes

    def strip(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return records without numbers that depend on where they are stored: counters and blob indexes become 0."""
        counters, blob_fields = self.data_type.counters, self.data_type.blob_fields
        if not counters and not blob_fields:
            return records
        bare = records.copy()
        for name in counters:
            bare[name] = 0
        for name in blob_fields:
            bare[name] = np.minimum(records[name], 0)
        return bare

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return rows from ``start`` up to, not including, ``stop``; cached for the change that follows a decision."""
        if self.block is None or (self.block[0], len(self.block[1])) != (start, stop - start):
            rows = self._take(np.arange(start, stop)) if stop > self.table.nrows else self.table.read(start, stop)
            rows.flags.writeable = False
            self.block = start, rows
        return self.block[1]

    def find_known(self, batch: Batch) -> Found:
        """Find the records that the table has already, or that are identical to an earlier one of the batch."""
        if self.index is None:
            raise ValueError(f"{self.table.path} has no index")
        rows = self.strip(batch.records)
        hashes = hash_rows(rows)
        known = np.zeros(len(rows), bool)
        digests: dict[int, set[bytes]] = {}
        for place in np.flatnonzero(self.index.holds(hashes) | find_repeated(hashes)).tolist():
            hash_ = int(hashes[place])
            digest = self._digest(rows[place], batch.records[place], batch.blobs.values.__getitem__)
            new = digests.setdefault(hash_, set())
            known[place] = digest in new or digest in self._group(hash_)
            if not known[place]:
                new.add(digest)
        return Found(known, hashes, digests)

    def append(self, change: Change) -> None:
        """Append the rows of a change at the next flush."""
        if not len(change.rows):
            return
        records = change.rows
        if self.blobs is not None and self.data_type.blob_fields:
            if change.order is None:
                raise ValueError(f"rows with blobs are appended to {self.table.path} without their order")
            records = records.copy()
            first = self.blobs.add(change.blobs.values, change.order[change.blobs.owners])
            for name in self.data_type.blob_fields:
                cells = records[name]
                records[name] = np.where(cells < 0, cells, cells + first)
        if self.index is not None:
            self._enter(self.index, change)
        self.waiting.append(records)
        self.nrows += len(records)
        self.empty_from = max(self.empty_from, self.nrows)
        self.block = None

    def _enter(self, index: RowIndex, change: Change) -> None:
        """Enter appended rows into the index."""
        if change.found is not None:
            index.add(change.found.hashes)
            for hash_, digests in change.found.digests.items():
                self.groups[hash_].update(digests)
            return
        hashes = hash_rows(self.strip(change.rows))
        index.add(hashes)
        for hash_ in self.groups.keys() & set(hashes.tolist()):
            del self.groups[hash_]

    def modify(self, places: npt.NDArray[np.int64], rows: npt.NDArray[Any]) -> None:
        """Replace rows, in runs that touch no other chunk of the table; ``places`` ascend."""
        if not len(places):
            return
        if self.waiting:
            self.flush()
        low, end = int(places[0]), int(places[-1]) + 1
        if low >= self.empty_from:
            block = rows if len(rows) == end - low else np.zeros(end - low, rows.dtype)
            old_hashes = np.zeros(len(rows), np.uint64)  # rows of zero bytes have the hash 0
        else:
            block = self.read(low, end).copy()
            old_hashes = hash_rows(block[places - low])
        if block is not rows:
            block[places - low] = rows
        chunks = places // self.table.chunk_rows
        for run in np.split(places, np.flatnonzero(np.diff(chunks) > 1) + 1):
            first, last = int(run[0]), int(run[-1]) + 1
            self.table.modify(first, block[first - low : last - low])
            self.empty_from = max(self.empty_from, last)
        gone, come = sum_hashes(old_hashes, places), sum_hashes(hash_rows(rows), places)
        self.checksum = (self.checksum - gone + come) % 2**64
        self.block = None
        if self.index is not None:
            self.index, self.groups = self._make_index(), {}

    def _group(self, hash_: int) -> set[bytes]:
        """Return the digests of all rows with one hash: read once, then kept up to date."""
        if hash_ not in self.groups:
            rows = np.array([] if self.index is None else self.index.find_rows(hash_), np.int64)
            known = self._take(rows)
            bare = self.strip(known)
            stored = self.table.nrows
            self.groups[hash_] = {
                self._digest(bare[place], known[place], partial(self._blob, waiting=row >= stored))
                for place, row in enumerate(rows.tolist())
            }
        return self.groups[hash_]

    def _digest(self, bare: np.void, record: np.void, blob: Callable[[int], bytes]) -> bytes:
        """Compute a digest that two records share only if every field (except counters) and every blob is equal."""
        digest = hashlib.blake2b(bare.tobytes(), digest_size=16)
        for name in self.data_type.blob_fields:
            for place in np.ravel(record[name]).tolist():
                content = blob(place) if place >= 0 else b""
                digest.update(len(content).to_bytes(8, "little") + content)
        return digest.digest()

    def _blob(self, place: int, *, waiting: bool) -> bytes:
        """Return a blob of a row of the table: by index in the array if the row is stored, by number if it waits."""
        if self.blobs is None:
            raise IndexError(place)
        return self.blobs.value(place) if waiting else self.blobs.get_stored(place)

    def _take(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Return rows by number, stored or waiting; without a flush, so that blobs stay in the order sent."""
        stored = self.table.nrows
        found = np.empty(len(rows), self.data_type.dtype)
        late = rows >= stored
        found[~late] = self.table.take(rows[~late])
        if late.any():
            found[late] = np.concatenate(self.waiting)[rows[late] - stored]
        return found

    def flush(self) -> None:
        """Store the waiting rows."""
        if self.blobs is not None:
            self.blobs.flush()
        if not self.waiting:
            return
        rows = np.concatenate(self.waiting)
        self.waiting = []
        base = self.table.nrows
        for name in self.data_type.blob_fields:
            if self.blobs is not None:
                rows[name] = self.blobs.indexes(rows[name].astype(np.int64))
        for name in self.data_type.counters:
            rows[name] = np.arange(base + 1, base + len(rows) + 1)
        self.table.append(rows)
        self.checksum = (self.checksum + sum_hashes(hash_rows(rows), base)) % 2**64
