"""The append store: rows in order of arrival, variable-length values in a blob array beside the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Known:
    """The blobs of a row of the table: by index in the array if it is stored, by number in this session if it waits."""

    blobs: BlobArray | None
    waiting: bool

    def __getitem__(self, place: int) -> bytes:
        if self.blobs is None:
            raise IndexError(place)
        return self.blobs.value(place) if self.waiting else bytes(self.blobs.array[place])


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
    keep_duplicates : bool
        Whether records that are there already are stored again.
    """

    def __init__(
        self,
        table: tables.Table,
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
        self.blob_fields = [field.name for field in data_type.fields if field.blob]
        self.counters = [field.name for field in data_type.fields if field.counter]
        self.waiting: list[npt.NDArray[Any]] = []
        self.rows = int(table.nrows)
        self.index = None if keep_duplicates else self._indexed()

    def _indexed(self) -> RowIndex:
        """An index of the rows that are stored."""
        index = RowIndex()
        for start in range(0, self.rows, READ_ROWS):
            index.add(row_hashes(self.identity(self.table.read(start, min(start + READ_ROWS, self.rows)))))
        return index

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
        if self.index is None:
            self._take(batch, keys)
            return statuses
        hashes = row_hashes(self.identity(batch.records))
        held = np.flatnonzero(self.index.holds(hashes))
        if len(held):
            statuses[held[self._are_stored(batch, held, hashes[held])]] = IDENTICAL
        if len(np.unique(hashes)) < len(hashes):
            statuses[self._repeated(batch, hashes, statuses)] = IDENTICAL
        fresh = statuses == WRITTEN
        self._take(batch if fresh.all() else batch.select(fresh, self.blob_fields), keys[fresh], hashes[fresh])
        return statuses

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

    def _are_stored(
        self, batch: Batch, places: npt.NDArray[np.int64], hashes: npt.NDArray[np.uint64]
    ) -> npt.NDArray[np.bool_]:
        """Whether a row of the table has the same fields and blobs as each record at ``places`` of a batch."""
        candidates = [] if self.index is None else [self.index.rows_of(hash_) for hash_ in hashes.tolist()]
        owners = np.repeat(np.arange(len(places)), [len(rows) for rows in candidates])
        rows = np.array([row for rows in candidates for row in rows], np.int64)
        known = self._read(rows)
        bare = self.identity(batch.records[places])
        equal = self.identity(known).view(f"V{bare.dtype.itemsize}") == bare.view(f"V{bare.dtype.itemsize}")[owners]
        found = np.zeros(len(places), bool)
        for index in np.flatnonzero(equal).tolist():
            blobs = Known(self.blobs, waiting=int(rows[index]) >= int(self.table.nrows))
            record = batch.records[places[owners[index]]]
            found[owners[index]] |= self._same_blobs(record, batch.blobs.values, known[index], blobs)
        return found

    def _read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """Rows by number, stored or waiting: what waits is not flushed for it, so that blobs keep the order sent."""
        stored = int(self.table.nrows)
        found = np.empty(len(rows), self.data_type.dtype)
        late = rows >= stored
        found[~late] = self.table.read_coordinates(rows[~late])
        if late.any():
            found[late] = np.concatenate(self.waiting)[rows[late] - stored]
        return found

    def _repeated(
        self, batch: Batch, hashes: npt.NDArray[np.uint64], statuses: npt.NDArray[np.uint8]
    ) -> npt.NDArray[np.bool_]:
        """Which records stand earlier in the batch too, field by field and blob by blob."""
        again = np.zeros(len(batch), bool)
        rows = self.identity(batch.records)
        groups: dict[int, list[int]] = {}
        for place, hash_ in enumerate(hashes.tolist()):
            earlier = groups.setdefault(hash_, [])
            if statuses[place] == IDENTICAL:
                continue
            again[place] = any(
                rows[place].tobytes() == rows[other].tobytes()
                and self._same_blobs(batch.records[place], batch.blobs.values, batch.records[other], batch.blobs.values)
                for other in earlier
            )
            if not again[place]:
                earlier.append(place)
        return again

    def _same_blobs(
        self, one: np.void, blobs: Sequence[bytes], other: np.void, other_blobs: Sequence[bytes] | Known
    ) -> bool:
        """Whether two records, alike but for their blobs, have the same blobs."""
        return all(
            new < 0 or blobs[new] == other_blobs[old]
            for name in self.blob_fields
            for new, old in zip(np.ravel(one[name]).tolist(), np.ravel(other[name]).tolist(), strict=True)
        )

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
