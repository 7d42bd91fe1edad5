"""The slots store: one row for each period of the day, and an overlap table for records that contend for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.hdf5.rows import Table
from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.model.status import Status
from dayfile.stores.append import AppendTable
from dayfile.stores.checksums import place_sum, row_hashes

__all__ = ["OnConflict", "SlotTable", "conform_slots", "filled", "slots_of"]

EMPTY_BYTE, CONFLICT_BYTE = 0x00, 0xFF
BLOCK_BYTES = 4 * 2**20
"""Slots are read, filled and written back in blocks of this size, so that a day of large records needs no more."""

OnConflict = Literal["overlap", "replace", "keep"]
"""What a record does that finds other bytes in its slot; see :class:`SlotTable`."""
Rule = Literal["overlap", "replace", "keep", "yield"]
"""The same, or that of records that gave way before."""


def row_bytes(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The bytes of packed rows, shape (n, itemsize)."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def filled(rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which slots hold a record: neither empty (all bytes 0x00) nor in conflict (all bytes 0xFF)."""
    content = row_bytes(rows)
    full = np.ones(len(rows), bool)
    # Few records begin as an empty slot or one in conflict does: of all others the first bytes tell enough.
    alike = np.flatnonzero(begins_alike(content))
    for byte in (EMPTY_BYTE, CONFLICT_BYTE):
        full[alike] &= (content[alike] != byte).any(axis=1)
    return full


def begins_alike(content: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Which rows of bytes, shape (n, itemsize), begin with eight bytes 0x00 or 0xFF; all where rows are shorter."""
    size = content.shape[1]
    if size < 8:
        return np.ones(len(content), bool)
    start = np.dtype({"names": ["word"], "formats": [np.uint64], "itemsize": size})
    # The number after eight bytes 0xFF is 0, that after eight bytes 0x00 is 1.
    alike: npt.NDArray[np.bool_] = content.view(start)["word"].ravel() + np.uint64(1) <= np.uint64(1)
    return alike


def slots_of(records: npt.NDArray[Any], data_type: DataType, start: int) -> npt.NDArray[np.int64]:
    """Slot of each record, shape (n,): ``floor((time - start of the day) / period)``."""
    times = records[data_type.time]
    times = times.astype(np.float64 if times.dtype.kind == "f" else np.int64)
    slots: npt.NDArray[np.int64] = np.floor_divide(times - start, data_type.period * data_type.clock.ticks)
    return slots.astype(np.int64)


def conform_slots(rows: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
    """Slots of an older form of a data type in the form of this one: empty ones stay empty, conflicts conflicts."""
    conformed = np.zeros(len(rows), data_type.dtype)
    held = filled(rows)
    conformed[held] = data_type.conform(rows[held])
    row_bytes(conformed)[~held & row_bytes(rows).any(axis=1)] = CONFLICT_BYTE
    return conformed


class SlotTable:
    """The slots of one day.

    A record goes to slot ``floor((time - start of the day) / period)``. Status of each record, slot read first:

    == =====================================================================================================
    0  the slot was empty (all zero bytes); the record is written
    3  the slot holds the same bytes; nothing is done
    1  the slot holds other bytes: both records go to the overlap table, the slot is filled with 0xFF
    2  the slot is filled with 0xFF already; the record goes to the overlap table
    == =====================================================================================================

    A record that the overlap table holds already is not stored there twice.

    With ``on_conflict`` other than ``overlap`` a slot that is taken keeps one record: with ``replace`` the new one,
    and what was there goes to the overlap table; with ``keep`` the one that was there, and the new one goes to the
    overlap table. The status is 1 as well. A slot that was in conflict before is taken by a record that replaces.

    A record that gave way once and lies in the overlap table does not contend again while its slot holds another: it
    has status 3. So a source that comes again changes nothing. Nor does one contend that gave way before it came here
    (:attr:`Batch.gave_way`): it goes to the overlap table, also where its slot is empty, as the record that it gave way
    to may come later.

    Parameters
    ----------
    table : Table
        One row for each slot, open for writing.
    data_type : DataType
        What its rows are.
    start : int
        Clock value of the first tick of the day.
    overlap : AppendTable or None
        The overlap table, if there is one yet.
    make_overlap : callable
        Makes it; called when the first record needs it.
    checksum : int
        Checksum of what the table holds already.
    on_conflict : {'overlap', 'replace', 'keep'}
        What a record does that finds other bytes in its slot.
    empty_from : int, optional
        From which slot on all are known to be empty, so that they need not be read; 0 for a table just made.
    block_bytes : int
        Bytes of the blocks in which slots are read and written back.
    """

    def __init__(
        self,
        table: Table,
        data_type: DataType,
        start: int,
        overlap: AppendTable | None,
        make_overlap: Callable[[], AppendTable],
        checksum: int = 0,
        on_conflict: OnConflict = "overlap",
        empty_from: int | None = None,
        block_bytes: int = BLOCK_BYTES,
    ) -> None:
        self.table = table
        self.data_type = data_type
        self.start = start
        self.overlap = overlap
        self.make_overlap = make_overlap
        self.checksum = checksum
        self.on_conflict = on_conflict
        self.block_bytes = block_bytes
        self.empty_from = table.nrows if empty_from is None else empty_from
        self.contended: list[tuple[npt.NDArray[np.floating[Any]], npt.NDArray[Any]]] = []

    @property
    def paths(self) -> dict[str, tuple[int, int]]:
        """Rows and checksum that this store means its nodes to have, by path."""
        nodes = {self.table.path: (self.table.nrows, self.checksum)}
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
        on_conflict = "yield" if batch.gave_way and self.on_conflict != "overlap" else self.on_conflict
        statuses = np.empty(len(batch), np.uint8)
        # What is stored as an empty slot or a conflict could not be told from one: it goes to overlap alone.
        strange = ~filled(batch.records)
        self._to_overlap(batch.records[strange], np.flatnonzero(strange) + 0.5)
        statuses[strange] = Status.IN_CONFLICT
        for these in in_blocks(slots, ~strange, max(1, self.block_bytes // self.table.dtype.itemsize)):
            chosen = as_slice(these)
            statuses[chosen] = self._write_block(batch.records[chosen], slots[chosen], these, on_conflict)
        self._settle()
        return statuses

    def _write_block(
        self,
        records: npt.NDArray[Any],
        slots: npt.NDArray[np.int64],
        numbers: npt.NDArray[np.int64],
        on_conflict: Rule,
    ) -> npt.NDArray[np.uint8]:
        """Put records whose slots are near each other, with their places in the batch; their statuses."""
        low, end = int(slots[0]), int(slots[-1]) + 1
        if low >= self.empty_from and self.overlap is None and on_conflict != "yield" and (np.diff(slots) > 0).all():
            # As most often: nothing is there yet, and there is a slot for each.
            rows = records if len(records) == end - low else spread(records, slots - low, end - low)
            self._store(low, rows, slots - low, np.zeros(len(slots), np.uint64))
            return np.full(len(slots), Status.WRITTEN, np.uint8)
        rows = self.table.read(low, end)
        before = rows.copy()
        statuses = np.empty(len(records), np.uint8)
        waiting = np.arange(len(records))
        while len(waiting):
            # One record for each slot in a round, so that a round is whole arrays and the order within a slot is kept.
            first = np.concatenate([[True], np.diff(slots[waiting]) > 0])
            these = waiting[first]
            statuses[these] = self._put(rows, slots[these] - low, records[these], numbers[these], on_conflict)
            waiting = waiting[~first]
        changed = np.flatnonzero((row_bytes(before) != row_bytes(rows)).any(axis=1))
        self._store(low, rows, changed, row_hashes(before[changed]))
        return statuses

    def _put(
        self,
        rows: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        records: npt.NDArray[Any],
        numbers: npt.NDArray[np.int64],
        on_conflict: Rule,
    ) -> npt.NDArray[np.uint8]:
        """Put records, each for a slot of its own, into ``rows`` at ``places``; their statuses."""
        held, given = row_bytes(rows[places]), row_bytes(records)
        empty = ~held.any(axis=1) & ~self._known(records) & (on_conflict != "yield")
        same = (held == given).all(axis=1)
        statuses = np.select([empty, same], [Status.WRITTEN, Status.IDENTICAL], Status.CONFLICT).astype(np.uint8)
        rows[places[empty]] = records[empty]
        contending = np.flatnonzero(statuses == Status.CONFLICT)
        if len(contending):
            statuses[contending] = self._contend(
                rows, places[contending], records[contending], numbers[contending], on_conflict
            )
        return statuses

    def _contend(
        self,
        rows: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        records: npt.NDArray[Any],
        numbers: npt.NDArray[np.int64],
        on_conflict: Rule,
    ) -> npt.NDArray[np.uint8]:
        """What becomes of records that find other bytes in their slots, or do not take an empty one; their statuses."""
        held = rows[places]
        taken = (row_bytes(held) == CONFLICT_BYTE).all(axis=1)
        known = self._known(records)
        new, fresh = ~taken & ~known, taken | ~known
        if on_conflict == "overlap":
            self._to_overlap(held[new], numbers[new] + 0.0)
            self._to_overlap(records[fresh], numbers[fresh] + 0.5)
            row_bytes(rows)[places[new]] = CONFLICT_BYTE
            return np.select([taken, known], [Status.IN_CONFLICT, Status.IDENTICAL], Status.CONFLICT).astype(np.uint8)
        if on_conflict in {"keep", "yield"}:
            self._to_overlap(records[fresh], numbers[fresh] + 0.5)
            statuses = np.select([taken, known], [Status.IN_CONFLICT, Status.IDENTICAL], Status.CONFLICT)
        else:
            self._to_overlap(held[new], numbers[new] + 0.0)
            rows[places[~known]] = records[~known]
            statuses = np.where(known, Status.IDENTICAL, Status.CONFLICT)
        self._settle()  # whether the next record for the slot is known depends on it
        return statuses.astype(np.uint8)

    def _known(self, records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which records the overlap table holds."""
        return np.zeros(len(records), bool) if self.overlap is None else self.overlap.holds(records)

    def _to_overlap(self, records: npt.NDArray[Any], order: npt.NDArray[np.floating[Any]]) -> None:
        """Let records wait for the overlap table; ``order`` tells where among those of this write."""
        if len(records):
            self.contended.append((order, records))

    def _settle(self) -> None:
        """Write what waits for the overlap table, in the order of the batch, old records before new ones."""
        if not self.contended:
            return
        if self.overlap is None:
            self.overlap = self.make_overlap()
        order = np.argsort(np.concatenate([order for order, _ in self.contended]), kind="stable")
        records = np.concatenate([records for _, records in self.contended])[order]
        self.contended = []
        numbers = np.zeros(len(records), np.int64)
        self.overlap.write(Batch(self.data_type.instrument, self.data_type.code, records, numbers), numbers)

    def _store(
        self, low: int, rows: npt.NDArray[Any], changed: npt.NDArray[np.int64], old_hashes: npt.NDArray[np.uint64]
    ) -> None:
        """Write back what changed, in runs that touch no further chunk of the table."""
        if not len(changed):
            return
        chunks = (changed + low) // self.table.chunk_rows
        for run in np.split(changed, np.flatnonzero(np.diff(chunks) > 1) + 1):
            first, last = int(run[0]), int(run[-1]) + 1
            self.table.modify(low + first, rows[first:last])
            self.empty_from = max(self.empty_from, low + last)
        new_hashes = row_hashes(rows if len(changed) == len(rows) else rows[changed])
        gone, come = place_sum(old_hashes, changed + low), place_sum(new_hashes, changed + low)
        self.checksum = (self.checksum - gone + come) % 2**64

    def flush(self) -> None:
        """Store what waits."""
        if self.overlap is not None:
            self.overlap.flush()


def as_slice(indexes: npt.NDArray[np.int64]) -> slice | npt.NDArray[np.int64]:
    """Indexes that follow each other as a slice, which copies nothing; others as they are."""
    if int(indexes[-1]) - int(indexes[0]) + 1 == len(indexes) and (np.diff(indexes) == 1).all():
        return slice(int(indexes[0]), int(indexes[-1]) + 1)
    return indexes


def spread(records: npt.NDArray[Any], places: npt.NDArray[np.int64], length: int) -> npt.NDArray[Any]:
    """So many empty slots, but for records at some places."""
    rows = np.zeros(length, records.dtype)
    rows[places] = records
    return rows


def in_blocks(
    slots: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_], block: int
) -> Iterator[npt.NDArray[np.int64]]:
    """The chosen records in the order of their slots, those of one slot in their own, a block of slots at a time."""
    order = np.flatnonzero(chosen)
    if (np.diff(slots[order]) < 0).any():
        order = order[np.argsort(slots[order], kind="stable")]
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(slots[order] // block)) + 1)
