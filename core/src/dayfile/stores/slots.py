"""The store of slots: a row for each period of the day, and an overlap table for records that contend for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.model.status import Status
from dayfile.stores.base import END, PERIOD, Change, Decision, OnConflict, Problem, Rules, Store, View
from dayfile.stores.checksums import row_hashes

__all__ = ["NAME", "Slots", "filled", "slots_of"]

NAME = "slots"
EMPTY_BYTE, CONFLICT_BYTE = 0x00, 0xFF


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


class Slots(Store):
    """A row for each period of the day: slot ``floor((time - start of the day) / period)``.

    Status of each record, slot read first:

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

    A record that gave way once and is in the overlap table does not contend again while its slot holds another: it
    has status 3. So a source that comes again changes nothing. Nor does one contend that gave way before it came here
    (:attr:`Batch.gave_way`): it goes to the overlap table, also where its slot is empty, as the record that it gave way
    to may come later.
    """

    name = NAME
    contends = True
    sparse = True

    def decide(self, view: View, batch: Batch, order: npt.NDArray[np.int64], rules: Rules) -> Decision:
        """Decide upon records whose slots are near each other, sorted by slot."""
        records, slots = batch.records, slots_of(batch.records, view.data_type, view.start)
        good = filled(records)
        in_order = good.all() and bool((np.diff(slots) > 0).all())
        yielding = batch.gave_way and rules.on_conflict != "overlap"
        if in_order and slots[0] >= view.table.empty_from and view.overlap is None and not yielding:
            # As most often: nothing is there yet, and each record has a slot of its own.
            return Decision(np.full(len(slots), Status.WRITTEN, np.uint8), Change(records, slots))
        return Contest(view, rules.on_conflict, yielding=yielding).hold(records, slots, order, good)

    def split(self, view: View, batch: Batch, block_bytes: int) -> Iterator[npt.NDArray[np.int64]]:
        """Split a batch by blocks of slots; the records of one slot keep their order."""
        slots = slots_of(batch.records, view.data_type, view.start)
        return in_blocks(slots, max(1, block_bytes // batch.records.dtype.itemsize))

    def find_problem(self, data_type: DataType) -> Problem | None:
        """Find that the period is missing, or an end, blobs and counters, which rows in slots do not have."""
        odd = [*(("blob", name) for name in data_type.blob_fields), *(("counter", name) for name in data_type.counters)]
        if odd:
            word, name = odd[0]
            return Problem(word, "a type with 'store: slots' has neither blobs nor counters", name)
        if data_type.period < 1:
            return Problem("period", PERIOD)
        return Problem("end", END) if data_type.end else None

    def count_rows(self, data_type: DataType, day: np.datetime64) -> int:
        """Return the number of slots of a day: ``ceil(length of the day / period)``."""
        if data_type.period < 1:
            raise ValueError("slots without a period")
        return -(-data_type.clock.day_length(day) // data_type.period)

    def find_held(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Find which slots are neither empty nor in conflict."""
        return filled(rows)

    def conform(self, rows: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
        """Return slots in the form of a later version: empty ones stay empty, those in conflict in conflict."""
        return conform_slots(rows, data_type)

    def find_misplaced(
        self, rows: npt.NDArray[Any], first: int, data_type: DataType, start: int
    ) -> npt.NDArray[np.int64]:
        """Find slots that hold a record of another period."""
        held = np.flatnonzero(filled(rows))
        wrong: npt.NDArray[np.int64] = held[slots_of(rows[held], data_type, start) != held + first]
        return wrong


class Contest:
    """Records that contend for a block of slots, decided upon in rounds of one record for each slot.

    Parameters
    ----------
    view : View
        What is there.
    on_conflict : {'overlap', 'replace', 'keep'}
        Which record keeps a slot.
    yielding : bool
        Whether the records do not contend, as they gave way before.
    """

    def __init__(self, view: View, on_conflict: OnConflict, *, yielding: bool) -> None:
        self.view = view
        self.on_conflict = on_conflict
        self.yielding = yielding
        self.overlap = Additions(view, ordered=on_conflict == "overlap")

    def hold(
        self,
        records: npt.NDArray[Any],
        slots: npt.NDArray[np.int64],
        order: npt.NDArray[np.int64],
        good: npt.NDArray[np.bool_],
    ) -> Decision:
        """Decide upon all; those that are not ``good`` look like an empty slot or a conflict, and go to overlap."""
        low, end = int(slots[0]), int(slots[-1]) + 1
        before = self.view.table.read(low, end)
        rows = before.copy()
        statuses = np.full(len(records), Status.IN_CONFLICT, np.uint8)
        _, odd = np.unique(row_bytes(records[~good])[:, 0], return_index=True)  # all bytes of a record are the same
        self.overlap.add(records[~good][odd], 2 * order[~good][odd] + 1)
        waiting = np.flatnonzero(good)
        while len(waiting):
            # One record for each slot in a round, so that a round is whole arrays and the order within a slot is kept.
            first = np.concatenate([[True], np.diff(slots[waiting]) > 0])
            these = waiting[first]
            statuses[these] = self._put(rows, slots[these] - low, records[these], order[these])
            waiting = waiting[~first]
        changed = np.flatnonzero((row_bytes(before) != row_bytes(rows)).any(axis=1))
        overlap, overlap_order = self.overlap.all()
        return Decision(statuses, Change(rows[changed], changed + low, overlap, overlap_order))

    def _put(
        self,
        rows: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        records: npt.NDArray[Any],
        order: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.uint8]:
        """Put records, each for a slot of its own, into ``rows`` at ``places``; their statuses."""
        held, given = row_bytes(rows[places]), row_bytes(records)
        known = self.overlap.holds(records)
        empty = ~held.any(axis=1) & ~known & (not self.yielding)
        same = (held == given).all(axis=1)
        statuses = np.select([empty, same], [Status.WRITTEN, Status.IDENTICAL], Status.CONFLICT).astype(np.uint8)
        rows[places[empty]] = records[empty]
        lost = np.flatnonzero(statuses == Status.CONFLICT)
        if len(lost):
            statuses[lost] = self._contend(rows, places[lost], records[lost], order[lost], known[lost])
        return statuses

    def _contend(
        self,
        rows: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        records: npt.NDArray[Any],
        order: npt.NDArray[np.int64],
        known: npt.NDArray[np.bool_],
    ) -> npt.NDArray[np.uint8]:
        """What becomes of records that find other bytes in their slots, or do not take an empty one; their statuses."""
        held = rows[places]
        taken = (row_bytes(held) == CONFLICT_BYTE).all(axis=1)
        new, fresh = ~taken & ~known, taken | ~known
        if self.on_conflict == "replace" and not self.yielding:
            self.overlap.add(held[new], 2 * order[new])
            rows[places[~known]] = records[~known]
            return np.where(known, Status.IDENTICAL, Status.CONFLICT).astype(np.uint8)
        if self.on_conflict == "overlap":
            self.overlap.add(held[new], 2 * order[new])
            row_bytes(rows)[places[new]] = CONFLICT_BYTE
        self.overlap.add(records[fresh], 2 * order[fresh] + 1)
        return np.select([taken, known], [Status.IN_CONFLICT, Status.IDENTICAL], Status.CONFLICT).astype(np.uint8)


class Additions:
    """Rows that a decision adds to the overlap table, without those that it has.

    Parameters
    ----------
    view : View
        What is there.
    ordered : bool
        Whether the order of rows goes by that of the records; otherwise they stay as they were added.
    """

    def __init__(self, view: View, *, ordered: bool) -> None:
        self.view = view
        self.ordered = ordered
        self.rows: list[npt.NDArray[Any]] = []
        self.order: list[npt.NDArray[np.int64]] = []
        self.hashes = np.zeros(0, np.uint64)

    def holds(self, records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Which records the overlap table has, or will have."""
        known = np.zeros(len(records), bool)
        if self.view.overlap is not None:
            batch = Batch(self.view.data_type.instrument, self.view.data_type.code, records, np.arange(len(records)))
            known |= self.view.overlap.find_known(batch).known
        if len(self.hashes):
            added = row_bytes(np.concatenate(self.rows))
            for place in np.flatnonzero(~known & np.isin(row_hashes(records), self.hashes)).tolist():
                known[place] = (added == row_bytes(records[place : place + 1])).all(axis=1).any()
        return known

    def add(self, records: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> None:
        """Add those records, of which no two are the same, that are not there."""
        fresh = ~self.holds(records)
        if fresh.any():
            self.rows.append(records[fresh])
            self.order.append(order[fresh] if self.ordered else np.zeros(int(fresh.sum()), np.int64))
            self.hashes = np.concatenate([self.hashes, row_hashes(records[fresh])])

    def all(self) -> tuple[npt.NDArray[Any] | None, npt.NDArray[np.int64] | None]:
        """All rows that were added, and what their order goes by."""
        return (np.concatenate(self.rows), np.concatenate(self.order)) if self.rows else (None, None)


def in_blocks(slots: npt.NDArray[np.int64], block: int) -> Iterator[npt.NDArray[np.int64]]:
    """Split records by blocks of slots: their indexes, in the order of their slots, those of one slot in their own."""
    order = np.arange(len(slots))
    if (np.diff(slots) < 0).any():
        order = np.argsort(slots, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(slots[order] // block)) + 1)
