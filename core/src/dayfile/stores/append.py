"""The append store: rows in order of arrival, variable-length values in a blob array beside the table."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.stores.blobs import BlobArray
from dayfile.stores.checksums import place_sum, row_hashes
from dayfile.stores.index import RowIndex

__all__ = ["IDENTICAL", "WRITTEN", "AppendTable"]

WRITTEN, IDENTICAL = 0, 3
READ_ROWS = 65536


def repeated(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Which hashes stand earlier in the array too."""
    again = np.ones(len(hashes), bool)
    again[np.unique(hashes, return_index=True)[1]] = False
    return again


class AppendTable:
    """Rows of one table, appended; a row that is there already is not stored twice.

    Two records are the same if every field (but counters) and every blob is equal. The intervals store is this one
    with records that have an end stamp.

    Parameters
    ----------
    table : tables.Table
        Open for writing.
    data_type : DataType
        What its rows are.
    blobs : BlobArray, optional
        Where blobs go; needed if the data type has blob fields.
    checksum : int
        Checksum of what the table holds already.
    """

    def __init__(self, table: tables.Table, data_type: DataType, blobs: BlobArray | None, checksum: int = 0) -> None:
        self.table = table
        self.data_type = data_type
        self.blobs = blobs
        self.checksum = checksum
        self.blob_fields = [field.name for field in data_type.fields if field.blob]
        self.counters = [field.name for field in data_type.fields if field.counter]
        self.waiting: list[npt.NDArray[Any]] = []
        self.rows = int(table.nrows)
        self.index = RowIndex()
        for start in range(0, self.rows, READ_ROWS):
            self.index.add(row_hashes(self.identity(table.read(start, min(start + READ_ROWS, self.rows)))))

    @property
    def paths(self) -> dict[str, tuple[int, int]]:
        """Rows and checksum that this store means its nodes to have, by path."""
        nodes = {str(self.table._v_pathname): (self.rows, self.checksum)}
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
        statuses = np.full(len(batch), WRITTEN, np.uint8)
        hashes = row_hashes(self.identity(batch.records))
        doubtful = self.index.holds(hashes) | repeated(hashes)
        if not doubtful.any():
            self._take(batch, keys, hashes)
            return statuses
        self._take(batch.select(~doubtful, self.blob_fields), keys[~doubtful], hashes[~doubtful])
        for index in np.flatnonzero(doubtful).tolist():
            one = np.zeros(len(batch), bool)
            one[index] = True
            record = batch.select(one, self.blob_fields)
            if self._is_stored(record, int(hashes[index])):
                statuses[index] = IDENTICAL
            else:
                self._take(record, keys[one], hashes[one])
        return statuses

    def _take(self, batch: Batch, keys: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64]) -> None:
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
        self.index.add(hashes)
        self.waiting.append(records)
        self.rows += len(records)

    def _is_stored(self, record: Batch, hash_: int) -> bool:
        """Whether a stored row has the same fields and blobs as the one record of a batch."""
        self.flush()
        bare = self.identity(record.records).tobytes()
        for row in self.index.rows_of(hash_):
            stored = self.table.read(row, row + 1)
            if self.identity(stored).tobytes() == bare and self._same_blobs(stored, record):
                return True
        return False

    def _same_blobs(self, stored: npt.NDArray[Any], record: Batch) -> bool:
        for name in self.blob_fields:
            pairs = zip(np.ravel(stored[name]).tolist(), np.ravel(record.records[name]).tolist(), strict=True)
            for old, new in pairs:
                if new >= 0 and (self.blobs is None or self.blobs.array[old] != record.blobs.values[new]):
                    return False
        return True

    def flush(self) -> None:
        """Store what waits."""
        if self.blobs is not None:
            self.blobs.flush()
        if not self.waiting:
            return
        rows = np.concatenate(self.waiting)
        self.waiting = []
        base = int(self.table.nrows)
        for name in self.blob_fields:
            if self.blobs is not None:
                rows[name] = self.blobs.indexes(rows[name].astype(np.int64))
        for name in self.counters:
            rows[name] = np.arange(base + 1, base + len(rows) + 1)
        self.table.append(rows)
        self.table.flush()
        self.checksum = (self.checksum + place_sum(row_hashes(rows), base)) % 2**64
