"""What a store decides gives the same, applied to a table and laid over rows that were read."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import Batch, Blobs, Clock, DataType, Field, Node, Placement
from dayfile.stores.append import Append
from dayfile.stores.base import Change, Rules, Store
from dayfile.stores.blobs import BlobArray
from dayfile.stores.making import make_table, make_values
from dayfile.stores.slots import Slots
from dayfile.stores.tables import TypeTables
from dayfile.stores.written import WrittenTable

CLOCK = Clock(np.datetime64("1970-01-01T00:00:00"))
DAY = np.datetime64("2000-01-01")
START = int(CLOCK.day_start(DAY))
SLOTS = 24


def tide(store, **words):
    fields = (Field("second", "uint32"), Field("level", "float32"), *words.pop("more", ()))
    node = Node("/tides", blobs=words.pop("blobs", ""))
    return DataType("tide", "tides", "Tide", "", fields, CLOCK, "second", Placement(store, "", node), **words)


class Recording:
    """A store that also keeps the changes that it decides."""

    def __init__(self, store):
        self.store, self.changes = store, []

    def decide(self, *words):
        decision = self.store.decide(*words)
        self.changes.append(decision.change)
        return decision

    def __getattr__(self, name):
        return getattr(self.store, name)


def write(store, data_type, many, rows, on_conflict, block_bytes):
    """Rows and overlap of a table that batches of (hour, level) are written to; what the overlays of them give."""
    recording = Recording(store)
    with ExitStack() as stack:
        file = stack.enter_context(tables.open_file("tide.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0))

        def make(path):
            table = make_table(file, path, data_type, {}, rows=rows if path == "/tides" else 0)
            stack.callback(table.close)
            return table

        table = make("/tides")
        overlaid = table.read(0, rows)
        written = WrittenTable(table, data_type, indexed=not store.contends, empty_from=0)
        beside = lambda: WrittenTable(make("/tides_overlap"), data_type)  # noqa: E731
        found = TypeTables(recording, written, START, Rules(on_conflict), None, beside, block_bytes)
        for pairs in many:
            records = np.array([(START + 3600 * hour, level) for hour, level in pairs], data_type.dtype)
            numbers = np.arange(len(records))
            found.write(Batch("tide", "Tide", records, numbers), numbers)
        found.flush()
        applied = table.read(0, table.nrows)
        aside = [] if found.overlap is None else sorted(found.overlap.read(0, found.overlap.nrows).tolist())
    lost = [change.overlap for change in recording.changes if change.overlap is not None]
    return (applied.tobytes(), aside), (
        store.overlay(overlaid, recording.changes).tobytes(),
        sorted(np.concatenate(lost).tolist()) if lost else [],
    )


batches = st.lists(st.lists(st.tuples(st.integers(0, SLOTS - 1), st.sampled_from([1.0, 2.0])), max_size=8), max_size=5)


@settings(max_examples=60, deadline=None)
@given(batches, st.sampled_from(["overlap", "replace", "keep"]), st.sampled_from([8, 40, 10**6]))
def test_slots_that_are_overlaid_are_those_that_are_applied(many, on_conflict, block_bytes):
    applied, overlaid = write(Slots(), tide("slots", period=3600), many, SLOTS, on_conflict, block_bytes)
    assert applied == overlaid


@settings(max_examples=60, deadline=None)
@given(batches)
def test_rows_that_are_appended_are_those_that_are_overlaid(many):
    applied, overlaid = write(Append(), tide("append"), many, 0, "overlap", 10**6)
    assert applied == overlaid
    assert len(applied[0]) == 8 * len({pair for pairs in many for pair in pairs})


def test_rows_with_blobs_are_not_appended_without_the_order_of_their_blobs():
    """A store of a plugin that forgot it would give records the blobs of others."""
    data_type = tide("append", more=(Field("text", "int32", blob="latin-1", default=-1),), blobs="/texts")
    with (
        tables.open_file("tide.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0) as file,
        ExitStack() as stack,
    ):
        table = make_table(file, "/tides", data_type, {})
        values = make_values(file, "/texts", data_type, {})
        stack.callback(table.close)
        stack.callback(values.close)
        written = WrittenTable(table, data_type, BlobArray(values))
        rows = np.array([(START, 1.0, 0)], data_type.dtype)
        with pytest.raises(ValueError, match="without their order"):
            written.append(Change(rows, blobs=Blobs([b"high"], np.zeros(1, np.int64))))


def test_a_store_whose_records_contend_refuses_a_type_with_blobs():
    class Odd(Slots):
        name = "odd"
        find_problem = Store.find_problem

    data_type = tide("odd", more=(Field("text", "int32", blob="latin-1", default=-1),), blobs="/texts")
    problem = Odd().find_problem(data_type)
    assert problem is not None
    assert (problem.word, problem.field) == ("blob", "text")
