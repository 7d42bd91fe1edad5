"""Slots known to be empty are not read, and everything is as if they had been."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from unittest.mock import patch

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import Batch, Status
from dayfile.hdf5.rows import NativeTable, open_table
from dayfile.stores.base import Rules
from dayfile.stores.checksums import hash_rows, sum_hashes
from dayfile.stores.making import make_table
from dayfile.stores.slots import Slots
from dayfile.stores.tables import BLOCK_BYTES, TypeTables, to_slice
from dayfile.stores.written import WrittenTable

WRITTEN, CONFLICT, IN_CONFLICT, IDENTICAL, _ = Status
COUNT, SIZE = 24, 22
"""Slots of the day, and bytes of a record."""
CHUNK_ROWS = 3
"""Slots of a chunk, so that a few records touch several."""


def records_of(muon, many):
    """Records of (slot, value), each a few seconds after the slot's start."""
    rows = [{"second": muon.start + 256 * slot + 3, "temperature": value} for slot, value in many]
    return muon.records("rates", rows)


def in_chunks(data_type):
    """The data type, with few rows in a chunk of its tables."""
    return replace(data_type, placement=replace(data_type.placement, chunk=CHUNK_ROWS))


class Day:
    """A day of slots in memory; ``reopened`` lets go of the table after each write, as an evicted work file does."""

    def __init__(self, muon, mode, *, reopened=False, known=True, block_bytes=BLOCK_BYTES):
        self.muon, self.mode, self.reopened, self.block_bytes = muon, mode, reopened, block_bytes
        self.closing = ExitStack()
        self.file = self.closing.enter_context(
            tables.open_file("slots.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0)
        )
        self.opened = self.closing.enter_context(ExitStack())
        table = make_table(self.file, "/rates", in_chunks(muon.rates), {}, rows=COUNT)
        empty = sum_hashes(hash_rows(table.read(0, COUNT)), 0)
        self.tables = self._tables(table, None, empty, 0 if known else None)

    def _tables(self, table, overlap, checksum, empty_from=None):
        self.opened.callback(table.close)
        written = WrittenTable(table, self.muon.rates, None, checksum, indexed=False, empty_from=empty_from)
        rules = Rules(self.mode)
        return TypeTables(Slots(), written, self.muon.start, rules, overlap, self._overlap, self.block_bytes)

    def _overlap(self):
        table = make_table(self.file, "/rates_overlap", in_chunks(self.muon.rates), {})
        self.opened.callback(table.close)
        return WrittenTable(table, self.muon.rates)

    def write(self, records):
        statuses = self.tables.write(
            Batch("muon", "MuonRates", records, np.arange(len(records))), np.arange(len(records))
        )
        if self.reopened:
            overlap = self.tables.overlap
            self.tables.flush()
            self.opened.close()
            if overlap is not None:
                table = open_table(self.file, f"{self.tables.table.table.path}_overlap")
                self.opened.callback(table.close)
                overlap = WrittenTable(table, self.muon.rates, None, overlap.checksum)
            self.tables = self._tables(open_table(self.file, "/rates"), overlap, self.tables.table.checksum)
        return statuses.tolist()

    def close(self):
        """The bytes of slots and overlap, and whether the checksums that were told in advance are theirs."""
        self.tables.flush()
        paths = self.tables.paths
        self.opened.close()
        found = {path: self.file.get_node(path).read() for path in paths}
        right = {path: (len(rows), sum_hashes(hash_rows(rows), 0)) for path, rows in found.items()}
        self.closing.close()
        return {path: rows.tobytes() for path, rows in found.items()}, right == paths


class Model:
    """Slots as plain bytes, one record at a time, of the mode ``overlap``."""

    def __init__(self, muon):
        self.muon = muon
        self.slots = [bytes(SIZE)] * COUNT
        self.overlap = []

    def put(self, record):
        slot = (int(record["second"]) - self.muon.start) // 256
        held, given = self.slots[slot], record.tobytes()
        if held == bytes(SIZE):
            self.slots[slot] = given
            return WRITTEN
        if held == b"\xff" * SIZE:
            self.overlap += [given] * (given not in self.overlap)
            return IN_CONFLICT
        if held == given:
            return IDENTICAL
        self.overlap += [each for each in (held, given) if each not in self.overlap]
        self.slots[slot] = b"\xff" * SIZE
        return CONFLICT


# Runs of neighbouring slots, forth and back, besides single records: new days come in order, and overtake each other.
runs = st.tuples(st.integers(0, COUNT - 1), st.integers(1, 8), st.sampled_from([1, 1, 2, -1]), st.sampled_from([1, 2]))
any_parts = st.lists(st.lists(runs, max_size=3), min_size=1, max_size=6)


def in_runs(part):
    return [
        (slot, value)
        for first, length, step, value in part
        for slot in range(first, first + step * length, step)
        if 0 <= slot < COUNT
    ]


@settings(max_examples=60, deadline=None)
@given(any_parts, st.sampled_from(["overlap", "replace", "keep"]), st.sampled_from([1, 2, 5, 1000]))
def test_a_new_table_gets_what_one_that_is_read_and_one_that_is_reopened_get(muon, parts, mode, block):
    sent = [records_of(muon, in_runs(part)) for part in parts]
    found = []
    for form in ({"known": True}, {"known": False}, {"reopened": True}):
        day = Day(muon, mode, **form, block_bytes=SIZE * block)
        statuses = [status for records in sent for status in day.write(records)]
        content, right = day.close()
        assert right
        found.append((statuses, content))
    assert found[0] == found[1]
    assert found[0] == found[2]
    if mode == "overlap":
        model = Model(muon)
        expected = [model.put(record) for records in sent for record in records]
        statuses, content = found[0]
        assert statuses == expected
        assert content["/rates"] == b"".join(model.slots)
        overlap = content.get("/rates_overlap", b"")
        held = [overlap[first : first + SIZE] for first in range(0, len(overlap), SIZE)]
        assert sorted(held) == sorted(model.overlap)


def test_slots_behind_all_others_are_not_read(muon):
    day = Day(muon, "overlap")
    with patch.object(NativeTable, "read", side_effect=AssertionError("slots are read")):
        assert day.write(records_of(muon, [(0, 1), (1, 1), (4, 1)])) == [WRITTEN] * 3
        assert day.write(records_of(muon, [(7, 1), (5, 1), (6, 1)])) == [WRITTEN] * 3
        with pytest.raises(AssertionError, match="slots are read"):
            day.write(records_of(muon, [(3, 1)]))
    assert day.write(records_of(muon, [(3, 1), (7, 2)])) == [WRITTEN, CONFLICT]
    assert day.write(records_of(muon, [(7, 1), (8, 1)])) == [IN_CONFLICT, WRITTEN]
    assert day.close()[1]


@pytest.mark.parametrize("second", [[(9, 2)], [(9, 1)], [(8, 1), (9, 2)], [(9, 2), (10, 1)]])
def test_the_last_slot_that_was_written_is_not_taken_for_empty(muon, second):
    day = Day(muon, "overlap")
    assert day.write(records_of(muon, [(9, 1)])) == [WRITTEN]
    statuses = dict(zip(second, day.write(records_of(muon, second)), strict=True))
    assert statuses.get((9, 2), CONFLICT) == CONFLICT
    assert statuses.get((9, 1), IDENTICAL) == IDENTICAL
    content, right = day.close()
    assert right
    assert ("/rates_overlap" in content) == ((9, 2) in second)


def test_two_records_for_one_empty_slot_contend(muon):
    day = Day(muon, "overlap")
    assert day.write(records_of(muon, [(4, 1), (4, 2), (5, 1)])) == [WRITTEN, CONFLICT, WRITTEN]
    assert day.close()[1]


@settings(deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=9))
def test_indexes_are_a_slice_only_if_they_follow_each_other(indexes):
    array = np.arange(100, 110)
    chosen = to_slice(np.array(indexes))
    assert array[chosen].tolist() == [100 + index for index in indexes]
    assert isinstance(chosen, slice) == (indexes == list(range(indexes[0], indexes[0] + len(indexes))))


def test_a_work_file_that_was_closed_knows_of_no_empty_slots(muon, work_file):
    """Only of a table just made is it known; the statuses are those of one session."""
    many = [(0, 1), (5, 1), (5, 2), (9, 1), (2, 1), (9, 1), (9, 2), (300, 1), (1, 1), (300, 3)]
    expected = [WRITTEN, WRITTEN, CONFLICT, WRITTEN, WRITTEN, IDENTICAL, CONFLICT, WRITTEN, WRITTEN, CONFLICT]
    for step in (1, 3, 10):
        work = work_file(muon.day, f"{step}.h5")
        statuses = []
        for first in range(0, len(many), step):
            records = records_of(muon, many[first : first + step])
            statuses += work.write(muon.rates, muon.batch("rates", records)).tolist()
            if first % 2:
                work.close()
        work.publish()
        assert statuses == expected


def test_records_that_were_written_may_be_changed_afterwards(muon):
    day = Day(muon, "overlap")
    records = records_of(muon, [(0, 1), (1, 1)])
    day.write(records)
    records["temperature"] = 9
    assert day.write(records_of(muon, [(0, 1), (1, 1)])) == [IDENTICAL] * 2
    assert day.close()[1]
