"""The slots store: one row for each period of the day, and an overlap table for records that contend for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import tables

from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.stores.append import IDENTICAL, WRITTEN, AppendTable
from dayfile.stores.checksums import place_sum, row_hashes

__all__ = ["CONFLICT", "IN_CONFLICT", "SlotTable", "filled", "slots_of"]

CONFLICT, IN_CONFLICT = 1, 2
EMPTY_BYTE, CONFLICT_BYTE = 0x00, 0xFF


def row_bytes(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The bytes of packed rows, shape (n, itemsize)."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def filled(rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which slots hold a record: neither empty (all bytes 0x00) nor in conflict (all bytes 0xFF)."""
    content = row_bytes(rows)
    full: npt.NDArray[np.bool_] = content.any(axis=1) & ~(content == CONFLICT_BYTE).all(axis=1)
    return full


def slots_of(records: npt.NDArray[Any], data_type: DataType, start: int) -> npt.NDArray[np.int64]:
    """Slot of each record, shape (n,): ``floor((time - start of the day) / period)``."""
    times = records[data_type.time]
    times = times.astype(np.float64 if times.dtype.kind == "f" else np.int64)
    slots: npt.NDArray[np.int64] = np.floor_divide(times - start, data_type.period * data_type.clock.ticks)
    return slots.astype(np.int64)


class SlotTable:
    """The slots of one day.

    A record goes to slot ``floor((time - start of the day) / period)``. Status of each record, slot read first:

    == =====================================================================================================
    0  the slot was empty (all zero bytes); the record is written
    3  the slot holds the same bytes; nothing is done
    1  the slot holds other bytes: both records go to the overlap table, the slot is filled with 0xFF
    2  the slot is filled with 0xFF already; the record goes to the overlap table
    == =====================================================================================================

    These are the statuses of the put routines of the 1998 ACE CRIS/SIS Level 1.1 archive library. A record that the
    overlap table holds already is not stored there twice.

    Parameters
    ----------
    table : tables.Table
        One row for each slot, open for writing.
    data_type : DataType
        What its rows are.
    start : int
        Clock value of the first tick of the day.
    overlap : callable
        Gives the overlap table; called when the first record needs it.
    checksum : int
        Checksum of what the table holds already.
    """

    def __init__(
        self,
        table: tables.Table,
        data_type: DataType,
        start: int,
        overlap: Callable[[], AppendTable],
        checksum: int = 0,
    ) -> None:
        self.table = table
        self.data_type = data_type
        self.start = start
        self.make_overlap = overlap
        self.overlap: AppendTable | None = None
        self.checksum = checksum

    @property
    def paths(self) -> dict[str, tuple[int, int]]:
        """Rows and checksum that this store means its nodes to have, by path."""
        nodes = {str(self.table._v_pathname): (int(self.table.nrows), self.checksum)}
        return nodes if self.overlap is None else {**nodes, **self.overlap.paths}

    def write(
        self,
        batch: Batch,
        keys: npt.NDArray[np.int64],  # noqa: ARG002 - all stores are called alike
    ) -> npt.NDArray[np.uint8]:
        """Put the records of a batch into their slots, in order.

        Parameters
        ----------
        batch : Batch
            Records of this data type and day.
        keys : array of int64, shape (len(batch),)
            Order of the records among those of their source.

        Returns
        -------
        array of uint8, shape (len(batch),)
            A status per record.
        """
        slots = slots_of(batch.records, self.data_type, self.start)
        low, high = int(slots.min()), int(slots.max()) + 1
        old = self.table.read(low, high)
        new = old.copy()
        statuses = np.zeros(len(batch), np.uint8)
        waiting = np.arange(len(batch))
        # What is stored as an empty slot or a conflict could not be told from one: it goes to overlap alone.
        strange = ~filled(batch.records)
        if strange.any():
            self._to_overlap(batch.records[strange], batch)
            statuses[strange] = IN_CONFLICT
            waiting = np.flatnonzero(~strange)
        while len(waiting):
            # One record for each slot in a round, so that a round is whole arrays and the order within a slot is kept.
            _, first = np.unique(slots[waiting], return_index=True)
            these = waiting[first]
            statuses[these] = self._put(new, slots[these] - low, batch, these)
            waiting = np.delete(waiting, first)
        self._store(low, old, new)
        return statuses

    def _put(
        self,
        rows: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        batch: Batch,
        these: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.uint8]:
        """Put the records ``these``, each for a slot of its own, into ``rows``; their statuses."""
        held, given = row_bytes(rows[places]), row_bytes(batch.records[these])
        empty = ~held.any(axis=1)
        same = (held == given).all(axis=1)
        taken = (held == CONFLICT_BYTE).all(axis=1)
        statuses = np.select([empty, same & ~taken, taken], [WRITTEN, IDENTICAL, IN_CONFLICT], CONFLICT).astype(
            np.uint8
        )
        rows[places[empty]] = batch.records[these[empty]]
        conflict = statuses == CONFLICT
        if (conflict | taken).any():
            self._contest(rows, places, batch, these, conflict, taken)
        return statuses

    def _contest(
        self,
        rows: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        batch: Batch,
        these: npt.NDArray[np.int64],
        conflict: npt.NDArray[np.bool_],
        taken: npt.NDArray[np.bool_],
    ) -> None:
        """Send contending records to overlap, in the order of the batch, the old before the new one."""
        order = np.argsort(these, kind="stable")
        order = order[(conflict | taken)[order]]
        new_conflict = conflict[order]
        new_at = np.cumsum(1 + new_conflict) - 1
        records = np.empty(new_at[-1] + 1, self.data_type.dtype)
        records[new_at] = batch.records[these[order]]
        records[new_at[new_conflict] - 1] = rows[places[order[new_conflict]]]
        self._to_overlap(records, batch)
        flat = rows.view(np.uint8).reshape(len(rows), rows.dtype.itemsize)
        flat[places[conflict]] = CONFLICT_BYTE

    def _to_overlap(self, records: npt.NDArray[Any], batch: Batch) -> None:
        if self.overlap is None:
            self.overlap = self.make_overlap()
        numbers = np.zeros(len(records), np.int64)
        self.overlap.write(Batch(batch.instrument, batch.code, records, numbers, batch.keys), numbers)

    def _store(self, low: int, old: npt.NDArray[Any], new: npt.NDArray[Any]) -> None:
        """Write back what changed, in runs that touch no further chunk of the table."""
        changed = np.flatnonzero((row_bytes(old) != row_bytes(new)).any(axis=1))
        if not len(changed):
            return
        chunks = (changed + low) // self.table.chunkshape[0]
        for run in np.split(changed, np.flatnonzero(np.diff(chunks) > 1) + 1):
            first, last = int(run[0]), int(run[-1]) + 1
            self.table.modify_rows(low + first, low + last, rows=new[first:last])
        gone = place_sum(row_hashes(old[changed]), changed + low)
        come = place_sum(row_hashes(new[changed]), changed + low)
        self.checksum = (self.checksum - gone + come) % 2**64

    def flush(self) -> None:
        """Store what waits."""
        self.table.flush()
        if self.overlap is not None:
            self.overlap.flush()
