"""A store that a plugin brings: of each day the latest record, whatever order records come in."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import tables

from archives import find_defects, make_plugins, rebuild_day, reindex
from dayfile import Instrument, Status, create_archive, hookimpl, open_archive
from dayfile.errors import UnknownStoreError
from dayfile.stores import registry
from dayfile.stores.base import Change, Decision, Store
from dayfile.stores.registry import find_store
from running import run_python

LAYOUT = """\
instrument: buoy
title: Buoys that report their state
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: little}
sources: [struct_streams]
path: "buoy/{year}_{month}_{day}.h5"
types:
  state:
    code: BuoyState
    title: Last known state of the buoy
    store: latest
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: depth, type: float32, unit: m, default: -1}
"""
DAY = 10_000 * 86400


class Latest(Store):
    """Of each key the record with the greatest time, of equal times the greater bytes; others go to overlap."""

    name = "latest"
    contends = True

    def decide(self, view, batch, order, rules):
        """Keep the greatest of the row that is there and the records; so any order gives the same."""
        there = view.table.read(0, view.table.nrows)
        rows = np.concatenate([there, batch.records])
        rank = [(row[view.data_type.time], row.tobytes()) for row in rows]
        first = max(range(len(rows)), key=rank.__getitem__)
        contents = [row.tobytes() for row in rows]
        known = {contents[first]}
        lost = []
        for place, content in enumerate(contents):
            overlap = view.overlap is not None and view.overlap.find_known(self.one(batch, rows[place])).known[0]
            if content not in known and not overlap:
                lost.append(place)
            known.add(content)
        statuses = [self.status(place, len(there), first, contents) for place in range(len(there), len(rows))]
        change = Change(rows[[first]], np.array([0]), rows[lost] if lost else None)
        return Decision(np.array(statuses, np.uint8), change)

    def one(self, batch, row):
        """A batch of one record."""
        return type(batch)(batch.instrument, batch.code, np.array([row]), np.zeros(1, np.int64))

    def status(self, place, held, first, contents):
        """What became of a record: written, or in conflict with the one that is kept."""
        if contents[place] in contents[:place]:
            return Status.IDENTICAL
        return Status.WRITTEN if place == first and not held else Status.CONFLICT


class Spaced(Store):
    """Every second row is empty, which its bytes say."""

    name = "spaced"
    sparse = True

    def decide(self, view, batch, order, rules):
        """Append all records, each with an empty row behind it."""
        rows = np.zeros(2 * len(batch.records), batch.records.dtype)
        rows[::2] = batch.records
        return Decision(np.full(len(batch.records), Status.WRITTEN, np.uint8), Change(rows))

    def find_held(self, rows):
        """Find the rows that are not empty."""
        return rows.view(np.uint8).reshape(len(rows), -1).any(axis=1)


class Buoy(Instrument):
    def stores(self):
        return [Latest(), Spaced()]


@pytest.fixture(autouse=True)
def no_store_is_left():
    """Stores are known to the whole process: what a test brings is gone after it."""
    before = dict(registry.known_stores)
    yield
    registry.known_stores.clear()
    registry.known_stores.update(before)


@pytest.fixture
def buoy():
    return {"buoy": Buoy(LAYOUT, "buoy.yaml")}


def states(*pairs):
    return np.array([(DAY + second, depth) for second, depth in pairs], [("second", "<u4"), ("depth", "<f4")])


def content(archive):
    """The rows of its tables, and the records as they are read from the archive."""
    (path,) = archive.root.list_day_files()
    with tables.open_file(archive.root.path / path) as file:
        rows = {name: sorted(file.get_node(f"/{name}").read().tolist()) for name in ("state", "state_overlap")}
    return rows, archive.read("buoy.state").array.tolist()


def test_a_store_with_empty_rows_need_not_say_by_which_fields_they_are_found(tmp_path):
    spaced = Buoy(LAYOUT.replace("store: latest", "store: spaced"), "buoy.yaml")
    archive = create_archive(tmp_path / "archive", plugins={"buoy": spaced})
    archive.put("buoy.state", states((10, 1.0), (20, 2.0), (30, 0.0)))
    for asked in ({}, {"fields": ["depth"]}, {"where": "depth >= 0"}):
        assert archive.read("buoy.state", **asked)["depth"].tolist() == [1.0, 2.0, 0.0]


def test_a_store_of_a_plugin_is_written_read_checked_and_rebuilt(tmp_path, buoy):
    archive = create_archive(tmp_path / "archive", plugins=buoy, settings={"sources.keep": "always"})
    assert archive.put("buoy.state", states((10, 1.0))).tolist() == [Status.WRITTEN]
    assert archive.put("buoy.state", states((30, 3.0), (20, 2.0))).tolist() == [Status.CONFLICT] * 2
    assert archive.put("buoy.state", states((30, 3.0))).tolist() == [Status.IDENTICAL]
    rows, records = content(archive)
    assert rows["state"] == [(DAY + 30, 3.0)]
    assert rows["state_overlap"] == [(DAY + 10, 1.0), (DAY + 20, 2.0)]
    assert records == [(DAY + 10, 1.0), (DAY + 20, 2.0), (DAY + 30, 3.0)]
    assert archive.at("buoy.state", DAY + 30).array.tolist() == [(DAY + 30, 3.0)]
    assert find_defects(archive.root, plugins=archive.plugins) == []
    (path,) = archive.root.list_day_files()
    assert rebuild_day(archive.root, archive.plugins, archive.settings, path).exit_code == 0
    assert content(archive) == (rows, records)
    reindex(archive.root, archive.plugins)
    assert open_archive(archive.root.path, plugins=buoy).read("buoy.state").array.tolist() == records


def test_any_order_gives_the_same_table(tmp_path, buoy):
    found = []
    for number, order in enumerate(permutations([(5, 1.0), (5, 2.0), (5, 2.0), (4, 9.0)])):
        archive = create_archive(tmp_path / str(number), plugins=buoy)
        for pair in order:
            archive.put("buoy.state", states(pair))
        rows, records = content(archive)
        found.append((rows, records))
    assert all(each == found[0] for each in found)
    assert found[0][0]["state"] == [(DAY + 5, 1.0)]  # 00 00 80 3F are the greater bytes, 2.0 is 00 00 00 40


def test_a_store_of_a_plugin_that_does_not_load_is_forgotten():
    class Wrong(Buoy):
        def settings(self):
            return 17

    loaded = make_plugins(wrong=Wrong(LAYOUT, "buoy.yaml"))
    assert (len(loaded.failures), loaded.store_owners.get("latest")) == (1, None)
    with pytest.raises(UnknownStoreError):
        find_store("latest")
    loaded.add("buoy", Buoy(LAYOUT, "buoy.yaml"))
    assert (loaded.names, find_store("latest").name) == (["buoy"], "latest")


def test_without_its_plugin_a_day_file_says_which_store_is_missing(tmp_path, buoy):
    create_archive(tmp_path / "archive", plugins=buoy).put("buoy.state", states((10, 1.0)))
    program = "import dayfile, sys; dayfile.open_archive(sys.argv[1], plugins=['hisparc']).read('buoy.state')"
    done = run_python("-c", program, tmp_path / "archive")
    assert "the store 'latest' is unknown; load the plugin that offers it" in done.stderr


@pytest.mark.parametrize(
    ("stores", "words"),
    [
        ([object()], "stores must return objects of subclasses of Store"),
        ([type("Mine", (Latest,), {"name": "slots"})()], "the store 'slots' is plugin builtin's already"),
    ],
)
def test_a_plugin_whose_stores_cannot_be_taken_is_named(stores, words):
    class Odd:
        @hookimpl
        def stores(self):
            return stores

    (failure,) = make_plugins(odd=Odd()).failures
    assert words in failure.message
