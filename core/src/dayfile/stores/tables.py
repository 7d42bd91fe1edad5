"""The tables of a data type in a work file: its own, and the overlap table beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.stores.base import Change, Rules, Store, View
from dayfile.stores.written import WrittenTable

__all__ = ["BLOCK_BYTES", "TypeTables"]

BLOCK_BYTES = 4 * 2**20
"""Rows are read, changed and written back in blocks of this size, so that large days need no more memory."""


class TypeTables:
    """The tables of the records of one data type with the same keys.

    Parameters
    ----------
    store : Store
        The store of the data type.
    table : WrittenTable
        The table.
    start : int
        Clock value of the first tick of the day.
    rules : Rules
        Settings of the run.
    overlap : WrittenTable or None
        The overlap table, if one exists.
    make_overlap : callable
        Makes the overlap table; called when the first record needs it.
    block_bytes : int
        Bytes of a block in which rows are read and changed.
    """

    def __init__(
        self,
        store: Store,
        table: WrittenTable,
        start: float,
        rules: Rules,
        overlap: WrittenTable | None,
        make_overlap: Callable[[], WrittenTable],
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self.store = store
        self.table = table
        self.start = start
        self.rules = rules
        self.overlap = overlap
        self.make_overlap = make_overlap
        self.block_bytes = block_bytes

    @property
    def data_type(self) -> DataType:
        """Return the data type of the rows."""
        return self.table.data_type

    @property
    def indexed_rows(self) -> int:
        """Return the number of rows that are indexed in memory."""
        return self.table.nrows if self.table.index is not None else 0

    @property
    def paths(self) -> dict[str, tuple[int, int]]:
        """Return the rows and checksum that the nodes must have, by path."""
        return self.table.paths if self.overlap is None else {**self.table.paths, **self.overlap.paths}

    def write(self, batch: Batch, order: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        """Write a batch.

        Parameters
        ----------
        batch : Batch
            Records of this data type and day, in the version of the table.
        order : array of int64, shape (len(batch),)
            Order in which the records were sent, over all tables of the day file.

        Returns
        -------
        array of uint8, shape (len(batch),)
            A :class:`dayfile.model.status.Status` per record.
        """
        statuses = np.empty(len(batch), np.uint8)
        if not len(batch):
            return statuses
        view = View(self.data_type, self.start, self.table, self.overlap)
        lost: list[Change] = []
        for these in self.store.split(view, batch, self.block_bytes):
            part = take_records(batch, these)
            chosen = to_slice(these)
            decision = self.store.decide(view, part, order[chosen], self.rules)
            statuses[chosen] = decision.statuses
            self.store.apply(self.table, decision.change)
            if decision.change.overlap is not None:
                lost.append(decision.change)
        self._write_overlap(lost)
        return statuses

    def _write_overlap(self, changes: list[Change]) -> None:
        """Append the overlap rows of the changes of a batch, sorted."""
        rows = [change.overlap for change in changes if change.overlap is not None]
        if not rows:
            return
        if self.overlap is None:
            self.overlap = self.make_overlap()
        orders = [change.overlap_order for change in changes if change.overlap_order is not None]
        places = np.argsort(np.concatenate(orders), kind="stable") if orders else slice(None)
        self.overlap.append(Change(np.concatenate(rows)[places]))

    def flush(self) -> None:
        """Store the waiting rows."""
        self.table.flush()
        if self.overlap is not None:
            self.overlap.flush()


def take_records(batch: Batch, these: npt.NDArray[np.int64]) -> Batch:
    """Take the records of a batch at some indexes; all of a batch with blobs."""
    if len(these) == len(batch) and isinstance(to_slice(these), slice):
        return batch
    chosen = to_slice(these)
    return replace(batch, records=batch.records[chosen], numbers=batch.numbers[chosen])


def to_slice(indexes: npt.NDArray[np.int64]) -> slice | npt.NDArray[np.int64]:
    """Convert consecutive indexes to a slice, which copies nothing; return others as they are."""
    if int(indexes[-1]) - int(indexes[0]) + 1 == len(indexes) and (np.diff(indexes) == 1).all():
        return slice(int(indexes[0]), int(indexes[-1]) + 1)
    return indexes
