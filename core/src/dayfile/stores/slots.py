"""The store of slots: a row for each period of the day, and an overlap table for records that contend for one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.batch import Batch
from dayfile.model.datatype import DataType
from dayfile.model.leap_seconds import SECOND
from dayfile.model.status import Status
from dayfile.stores.base import END_WITH_INTERVALS, PERIOD, Change, Decision, OnConflict, Problem, Rules, Store, View
from dayfile.stores.checksums import hash_rows

__all__ = ["STORE_NAME", "Slots", "find_filled", "find_slots"]

STORE_NAME = "slots"
EMPTY_BYTE, CONFLICT_BYTE = 0x00, 0xFF
WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
"""Unsigned integers by their bytes."""


def view_bytes(rows: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """View packed rows as bytes, shape (n, itemsize)."""
    return np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), rows.dtype.itemsize)


def find_filled(rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Find the slots that hold a record: neither empty (all bytes 0x00) nor in conflict (all bytes 0xFF)."""
    if rows.dtype.itemsize in WORDS:  # as one field alone may be
        words = np.ascontiguousarray(rows).view(WORDS[rows.dtype.itemsize])
        filled: npt.NDArray[np.bool_] = (words != 0) & (words != np.iinfo(words.dtype).max)
        return filled
    content = view_bytes(rows)
    full = np.ones(len(rows), bool)
    # Few records begin like an empty slot or one in conflict: for all others the first bytes decide.
    alike = find_uniform_starts(content)
    if len(alike):
        for byte in (EMPTY_BYTE, CONFLICT_BYTE):
            full[alike] &= (content[alike] != byte).any(axis=1)
    return full


def find_uniform_starts(content: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Find the rows of bytes, shape (n, itemsize), that begin with eight bytes 0x00 or 0xFF; all if shorter."""
    size = content.shape[1]
    if size < 8 or not len(content):
        return np.arange(len(content))
    words = content.view(np.dtype({"names": ["word"], "formats": [np.uint64], "itemsize": size}))["word"][:, 0]
    ones = np.uint64(2**64 - 1)
    if words.min() > 0 and words.max() < ones:  # in most days all slots are full: this needs no memory
        return np.arange(0)
    return np.flatnonzero((words == 0) | (words == ones))


def find_slots(records: npt.NDArray[Any], data_type: DataType, start: float) -> npt.NDArray[np.int64]:
    """Find the slot of each record, shape (n,): ``floor((time - start of the day) / period)``."""
    times = data_type.count(records)
    if data_type.clock.unit == "d":  # a fraction of a day is no exact number of seconds
        nanoseconds = data_type.clock.to_nanoseconds(times) - data_type.clock.to_nanoseconds(start)
        return nanoseconds // (data_type.period * SECOND)
    times = times.astype(np.float64 if times.dtype.kind == "f" else np.int64)
    slots: npt.NDArray[np.int64] = np.floor_divide(times - start, data_type.period * data_type.clock.ticks)
    return slots.astype(np.int64)


def conform_slots(rows: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
    """Convert slots of an older version of a data type: empty ones stay empty, conflicts stay conflicts."""
    conformed = np.zeros(len(rows), data_type.dtype)
    held = find_filled(rows)
    conformed[held] = data_type.conform(rows[held])
    view_bytes(conformed)[~held & view_bytes(rows).any(axis=1)] = CONFLICT_BYTE
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

    The overlap table holds no record twice.

    With ``on_conflict`` other than ``overlap`` a contested slot keeps one record: the new one with ``replace``, the old
    one with ``keep``; the other goes to the overlap table. The status is 1 as well. With ``replace`` a record also
    takes a slot that was in conflict before.

    A record that is in the overlap table does not contend again while its slot holds another one: it has status 3. So
    a source that is submitted again changes nothing. A record that gave way earlier (:attr:`Batch.gave_way`) does not
    contend either: it goes to the overlap table even if its slot is empty, as the winner may come later.
    """

    name = STORE_NAME
    contends = True
    sparse = True

    def decide(self, view: View, batch: Batch, order: npt.NDArray[np.int64], rules: Rules) -> Decision:
        """Decide the fate of records whose slots are near each other, sorted by slot."""
        records, slots = batch.records, find_slots(batch.records, view.data_type, view.start)
        good = find_filled(records)
        in_order = good.all() and bool((np.diff(slots) > 0).all())
        yielding = batch.gave_way and rules.on_conflict != "overlap"
        if in_order and slots[0] >= view.table.empty_from and view.overlap is None and not yielding:
            # The usual case: the slots are empty, and each record has one of its own.
            return Decision(np.full(len(slots), Status.WRITTEN, np.uint8), Change(records, slots))
        return Contest(view, rules.on_conflict, yielding=yielding).hold(records, slots, order, good)

    def split(self, view: View, batch: Batch, block_bytes: int) -> Iterator[npt.NDArray[np.int64]]:
        """Split a batch by blocks of slots; the records of one slot keep their order."""
        slots = find_slots(batch.records, view.data_type, view.start)
        return split_by_block(slots, max(1, block_bytes // batch.records.dtype.itemsize))

    def find_problem(self, data_type: DataType) -> Problem | None:
        """Find a missing period, or an end, blobs or counters, which rows in slots cannot have."""
        odd = [*(("blob", name) for name in data_type.blob_fields), *(("counter", name) for name in data_type.counters)]
        if odd:
            word, name = odd[0]
            return Problem(word, "a type with 'store: slots' has neither blobs nor counters", name)
        if data_type.period < 1:
            return Problem("period", PERIOD)
        return Problem("end", END_WITH_INTERVALS) if data_type.end else None

    def count_rows(self, data_type: DataType, day: np.datetime64) -> int:
        """Return the number of slots of a day: ``ceil(length of the day / period)``."""
        if data_type.period < 1:
            raise ValueError("slots without a period")
        return -(-data_type.clock.day_length(day) // data_type.period)

    def find_held(self, rows: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Find the slots that are neither empty nor in conflict."""
        return find_filled(rows)

    def list_held_fields(self, data_type: DataType) -> tuple[str, ...]:
        """Return the fields of the time, if bytes that are all 0x00 or all 0xFF are none there; else all fields."""
        if data_type.timed_bytes & {EMPTY_BYTE, CONFLICT_BYTE}:
            return tuple(data_type.dtype.names or ())
        return data_type.timing.time.count_names

    def conform(self, rows: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
        """Convert slots to a later version: empty ones stay empty, conflicts stay conflicts."""
        return conform_slots(rows, data_type)

    def find_misplaced(
        self, rows: npt.NDArray[Any], first: int, data_type: DataType, start: float
    ) -> npt.NDArray[np.int64]:
        """Find slots that hold a record of another period."""
        held = np.flatnonzero(find_filled(rows))
        wrong: npt.NDArray[np.int64] = held[find_slots(rows[held], data_type, start) != held + first]
        return wrong


class Contest:
    """Records that contend for a block of slots, decided in rounds of one record for each slot.

    Parameters
    ----------
    view : View
        The stored tables.
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
        """Decide all; those that are not ``good`` look like an empty slot or a conflict, and go to overlap."""
        low, end = int(slots[0]), int(slots[-1]) + 1
        before = self.view.table.read(low, end)
        rows = before.copy()
        statuses = np.full(len(records), Status.IN_CONFLICT, np.uint8)
        _, odd = np.unique(view_bytes(records[~good])[:, 0], return_index=True)  # all bytes of a record are the same
        self.overlap.add(records[~good][odd], 2 * order[~good][odd] + 1)
        waiting = np.flatnonzero(good)
        while len(waiting):
            # One record for each slot in a round, so that a round is whole arrays and the order within a slot is kept.
            first = np.concatenate([[True], np.diff(slots[waiting]) > 0])
            these = waiting[first]
            statuses[these] = self._put(rows, slots[these] - low, records[these], order[these])
            waiting = waiting[~first]
        changed = np.flatnonzero((view_bytes(before) != view_bytes(rows)).any(axis=1))
        overlap, overlap_order = self.overlap.join()
        return Decision(statuses, Change(rows[changed], changed + low, overlap, overlap_order))

    def _put(
        self,
        rows: npt.NDArray[Any],
        places: npt.NDArray[np.int64],
        records: npt.NDArray[Any],
        order: npt.NDArray[np.int64],
    ) -> npt.NDArray[np.uint8]:
        """Put records, each for a slot of its own, into ``rows`` at ``places``; return their statuses."""
        held, given = view_bytes(rows[places]), view_bytes(records)
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
        """Resolve conflicts of records with other bytes in their slots, or known ones; return their statuses."""
        held = rows[places]
        taken = (view_bytes(held) == CONFLICT_BYTE).all(axis=1)
        new, fresh = ~taken & ~known, taken | ~known
        if self.on_conflict == "replace" and not self.yielding:
            self.overlap.add(held[new], 2 * order[new])
            rows[places[~known]] = records[~known]
            return np.where(known, Status.IDENTICAL, Status.CONFLICT).astype(np.uint8)
        if self.on_conflict == "overlap":
            self.overlap.add(held[new], 2 * order[new])
            view_bytes(rows)[places[new]] = CONFLICT_BYTE
        self.overlap.add(records[fresh], 2 * order[fresh] + 1)
        return np.select([taken, known], [Status.IN_CONFLICT, Status.IDENTICAL], Status.CONFLICT).astype(np.uint8)


class Additions:
    """Rows that a decision adds to the overlap table, without those that it has already.

    Parameters
    ----------
    view : View
        The stored tables.
    ordered : bool
        Whether the rows are sorted like the records; otherwise they stay in the order in which they were added.
    """

    def __init__(self, view: View, *, ordered: bool) -> None:
        self.view = view
        self.ordered = ordered
        self.rows: list[npt.NDArray[Any]] = []
        self.order: list[npt.NDArray[np.int64]] = []
        self.hashes = np.zeros(0, np.uint64)

    def holds(self, records: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        """Find the records that the overlap table has, or will have."""
        known = np.zeros(len(records), bool)
        if self.view.overlap is not None:
            batch = Batch(self.view.data_type.instrument, self.view.data_type.code, records, np.arange(len(records)))
            known |= self.view.overlap.find_known(batch).known
        if len(self.hashes):
            added = view_bytes(np.concatenate(self.rows))
            for place in np.flatnonzero(~known & np.isin(hash_rows(records), self.hashes)).tolist():
                known[place] = (added == view_bytes(records[place : place + 1])).all(axis=1).any()
        return known

    def add(self, records: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> None:
        """Add the records, all different, that the overlap table does not have."""
        fresh = ~self.holds(records)
        if fresh.any():
            self.rows.append(records[fresh])
            self.order.append(order[fresh] if self.ordered else np.zeros(int(fresh.sum()), np.int64))
            self.hashes = np.concatenate([self.hashes, hash_rows(records[fresh])])

    def join(self) -> tuple[npt.NDArray[Any] | None, npt.NDArray[np.int64] | None]:
        """Join all rows that were added, and their sort keys."""
        return (np.concatenate(self.rows), np.concatenate(self.order)) if self.rows else (None, None)


def split_by_block(slots: npt.NDArray[np.int64], block: int) -> Iterator[npt.NDArray[np.int64]]:
    """Split records by blocks of slots: yield their indexes, sorted by slot, in the given order within a slot."""
    order = np.arange(len(slots))
    if (np.diff(slots) < 0).any():
        order = np.argsort(slots, kind="stable")
    if len(order):
        yield from np.split(order, np.flatnonzero(np.diff(slots[order] // block)) + 1)
