"""The append store: rows in order of arrival, variable-length values in a blob array beside the table."""

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
from dayfile.model.status import Status
from dayfile.stores.blobs import BlobArray
from dayfile.stores.checksums import place_sum, row_hashes
from dayfile.stores.index import RowIndex

__all__ = ["AppendTable"]

READ_ROWS = 65536


def repeated(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which hashes stand in the array more than once, shape kept."""
    if len(np.unique(hashes)) == len(hashes):
        return np.zeros(len(hashes), bool)
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    many: npt.NDArray[np.bool_] = (counts > 1)[inverse]
    return many


class AppendTable:
    """Rows of one table, appended; a row that is there already is not stored twice.

    Two records are the same if every field (but counters) and every blob is equal. The intervals store is this one
    with records that have an end stamp.

    Parameters
    ----------
    table : Table
        Open for writing.
    data_type : DataType
        What its rows are.
    blobs : BlobArray, optional
        Where blobs go; needed if the data type has blob fields.
    checksum : int
        Checksum of what the table holds already.
    keep_duplicates : bool
        Whether records that are there already are stored again.
    """

    def __init__(
        self,
        table: Table,
        data_type: DataType,
        blobs: BlobArray | None,
        checksum: int = 0,
        *,
        keep_duplicates: bool = False,
    ) -> None:
        self.table = table
        self.data_type = data_type
        self.blobs = blobs
        self.checksum = checksum
        self.blob_fields = data_type.blob_fields
        self.counters = [field.name for field in data_type.fields if field.counter]
        self.waiting: list[npt.NDArray[Any]] = []
        self.rows = table.nrows
        self.index = None if keep_duplicates else self._indexed()
        self.groups: dict[int, set[bytes]] = {}

    def _indexed(self) -> RowIndex:
        """An index of the rows that are stored."""
        index = RowIndex()
        for start in range(0, self.rows, READ_ROWS):
            index.add(row_hashes(self.identity(self.table.read(start, min(start + READ_ROWS, self.rows)))))
        return index

    @property
    def paths(self) -> dict[str, tuple[int, int]]:
        """Rows and checksum that this store means its nodes to have, by path."""
        nodes = {self.table.path: (self.rows, self.checksum)}
        if self.blobs is not None:
            nodes[self.blobs.path] = (self.blobs.rows, self.blobs.checksum)
        return nodes

    def identity(self, records: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Records without what storing gives them: counters are 0, a blob's index is 0 where there is one."""
        if not self.counters and not self.blob_fields:
            return records
        bare = records.copy()
        for name in self.counters:
            bare[name] = 0
        for name in self.blob_fields:
            bare[name] = np.minimum(records[name], 0)
        return bare

    def write(self, batch: Batch, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Append the records of a batch that are not there yet.

        Parameters
        ----------
        batch : Batch
            Records of this data type and day, dtype of the data type.
        keys : array of int64, shape (len(batch),)
            Order in which the blobs of the records were sent, over all tables that share the blob array.

        Returns
        -------
        array of uint8, shape (len(batch),)
            0 written, 3 identical.
        """
        statuses = np.full(len(batch), Status.WRITTEN, np.uint8)
        if self.index is None:
            self._take(batch, keys)
            return statuses
        rows = self.identity(batch.records)
        hashes = row_hashes(rows)
        doubtful = self.index.holds(hashes) | repeated(hashes)
        for place in np.flatnonzero(doubtful).tolist():
            group = self._group(int(hashes[place]))
            digest = self._digest(rows[place], batch.records[place], batch.blobs.values.__getitem__)
            if digest in group:
                statuses[place] = Status.IDENTICAL
            group.add(digest)
        fresh = statuses == Status.WRITTEN
        self._take(batch if fresh.all() else batch.select(fresh, self.blob_fields), keys[fresh], hashes[fresh])
        return statuses

    def holds(self, records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which records the table holds already, shape (n,); of a type without blobs, and with duplicates skipped."""
        found = np.zeros(len(records), bool)
        if self.index is None:
            return found
        rows = self.identity(records)
        hashes = row_hashes(rows)
        for place in np.flatnonzero(self.index.holds(hashes)).tolist():
            digest = self._digest(rows[place], records[place], bytes)
            found[place] = digest in self._group(int(hashes[place]))
        return found

    def _take(self, batch: Batch, keys: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64] | None = None) -> None:
        """Let records wait for the next flush."""
        if not len(batch):
            return
        records = batch.records
        if self.blobs is not None and self.blob_fields:
            records = records.copy()
            first = self.blobs.add(batch.blobs.values, keys[batch.blobs.owners])
            for name in self.blob_fields:
                cells = records[name]
                records[name] = np.where(cells < 0, cells, cells + first)
        if self.index is not None and hashes is not None:
            self.index.add(hashes)
        self.waiting.append(records)
        self.rows += len(records)

    def _group(self, hash_: int) -> set[bytes]:
        """Digests of all rows with one hash: read once, then kept up to date, however many there are."""
        if hash_ not in self.groups:
            rows = np.array([] if self.index is None else self.index.rows_of(hash_), np.int64)
            known = self._read(rows)
            bare = self.identity(known)
            stored = self.table.nrows
            self.groups[hash_] = {
                self._digest(bare[place], known[place], partial(self._blob, waiting=row >= stored))
                for place, row in enumerate(rows.tolist())
            }
        return self.groups[hash_]

    def _digest(self, bare: np.void, record: np.void, blob: Callable[[int], bytes]) -> bytes:
        """What two records have in common only if every field (but counters) and every blob is equal."""
        digest = hashlib.blake2b(bare.tobytes(), digest_size=16)
        for name in self.blob_fields:
            for place in np.ravel(record[name]).tolist():
                content = blob(place) if place >= 0 else b""
                digest.update(len(content).to_bytes(8, "little") + content)
        return digest.digest()

    def _blob(self, place: int, *, waiting: bool) -> bytes:
        """A blob of a row of the table: by index in the array if the row is stored, by number if it waits."""
        if self.blobs is None:
            raise IndexError(place)
        return self.blobs.value(place) if waiting else self.blobs.stored_value(place)

    def _read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Rows by number, stored or waiting: what waits is not flushed for it, so that blobs keep the order sent."""
        stored = self.table.nrows
        found = np.empty(len(rows), self.data_type.dtype)
        late = rows >= stored
        found[~late] = self.table.take(rows[~late])
        if late.any():
            found[late] = np.concatenate(self.waiting)[rows[late] - stored]
        return found

    def flush(self) -> None:
        """Store what waits."""
        if self.blobs is not None:
            self.blobs.flush()
        if not self.waiting:
            return
        rows = np.concatenate(self.waiting)
        self.waiting = []
        base = self.table.nrows
        for name in self.blob_fields:
            if self.blobs is not None:
                rows[name] = self.blobs.indexes(rows[name].astype(np.int64))
        for name in self.counters:
            rows[name] = np.arange(base + 1, base + len(rows) + 1)
        self.table.append(rows)
        self.checksum = (self.checksum + place_sum(row_hashes(rows), base)) % 2**64
