"""Single fields of records, read directly from the chunks of day files, against whole rows."""

from __future__ import annotations

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

from dayfile import Instrument, create_archive, open_archive
from dayfile.errors import StorageError
from dayfile.hdf5.rows import open_table
from dayfile.model.forms import is_in_order
from dayfile.stores.slots import find_filled

LAYOUT = """\
instrument: sky
title: Slots and rows
clock: {epoch: 1970-01-01T00:00:00, undefined: [0, 4294967295]}
structs: {byte_order: little, alignment: packed}
sources: [struct_streams]
path: "sky/{year}/{suffix}.{month:02}.{day:02}.h5"
types:
  slots:
    code: Slot
    title: One a minute
    store: slots
    period: 60
    time: {field: second, fraction: micro, unit: us, begins: tick}
    fields:
      - {name: second, type: uint32}
      - {name: micro, type: uint32}
      - {name: mark, type: uint8}
      - {name: level, type: float64}
      - {name: pair, type: int16, shape: [2]}
  rows:
    code: Row
    title: In order of arrival
    store: append
    time: {field: second, fraction: micro, unit: us}
    fields:
      - {name: second, type: uint32}
      - {name: micro, type: uint32}
      - {name: mark, type: uint8}
      - {name: level, type: float64}
      - {name: pair, type: int16, shape: [2]}
"""
START = int(np.datetime64("2024-05-01T00:00:00").astype(np.int64))
TYPES = {each.type: each for each in Instrument(LAYOUT, "sky.yaml").layout.types}


def make_records(name, seed, count=400):
    """Records of two days, some at the same second, with fractions that are undefined or longer than a second."""
    rng = np.random.default_rng(seed)
    records = np.zeros(count, TYPES[name].dtype)
    records["second"] = START + rng.integers(0, 2 * 86400, count)
    records["micro"] = rng.choice([0, 5, 999_999, 1_000_000, 4_000_000, 0xFFFFFFFF], count)
    records["mark"] = np.arange(count) % 251
    records["level"] = rng.random(count)
    records["pair"] = rng.integers(-9, 9, (count, 2))
    return records


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive with records of both types; slots that are empty, and some in conflict."""
    made = create_archive(tmp_path_factory.mktemp("sky") / "archive", plugins={"sky": Instrument(LAYOUT, "sky.yaml")})
    for seed in range(3):
        for name in TYPES:
            made.put(f"sky.{name}", make_records(name, seed))
    return made


@pytest.mark.parametrize("name", list(TYPES))
@given(
    fields=st.lists(st.sampled_from(["second", "micro", "mark", "level", "pair"]), unique=True),
    span=st.tuples(*[st.integers(-9, 2 * 86400)] * 2),
)
def test_fields_are_those_of_whole_rows(archive, name, fields, span):
    start, stop = sorted(START + second for second in span)
    whole = archive.read(f"sky.{name}", start, stop)
    read = archive.read(f"sky.{name}", start, stop, fields=fields)
    assert read.times.tolist() == whole.times.tolist()
    for field in fields:
        assert read[field].tobytes() == np.ascontiguousarray(whole[field]).tobytes()


def test_rows_that_were_never_written_are_zeros_and_rows_behind_the_end_an_error(archive):
    path = next((archive.root.path / "sky").rglob("slots*.h5"))
    with tables.open_file(path) as file:
        table = open_table(file, "/slots")
        whole, part = table.read(0, table.nrows), table.read_fields(0, table.nrows, ["level", "mark"])
        assert 0 < find_filled(whole).sum() < table.nrows
        assert part["level"].tobytes() == np.ascontiguousarray(whole["level"]).tobytes()
        assert table.read_fields(7, 9, ["mark"])["mark"].tolist() == whole["mark"][7:9].tolist()
        with pytest.raises(IndexError):
            table.read_fields(0, table.nrows + 1, ["mark"])
        table.close()


@pytest.mark.parametrize("filters", [{"complevel": 5, "complib": "zlib", "shuffle": True}, {"fletcher32": True}])
def test_fields_of_tables_with_filters_are_read_too(tmp_path, filters):
    records = make_records("rows", 1)
    with tables.open_file(tmp_path / "sealed.h5", "w") as file:
        file.create_table("/", "rows", obj=records, filters=tables.Filters(**filters), chunkshape=64)
    with tables.open_file(tmp_path / "sealed.h5") as file:
        table = open_table(file, "/rows")
        assert table.read_fields(3, 300, ["level"])["level"].tolist() == records["level"][3:300].tolist()
        table.close()


def test_a_file_that_is_open_for_writing_is_read_as_it_will_be(tmp_path):
    with tables.open_file(tmp_path / "work.h5", "w") as file:
        file.create_table("/", "rows", obj=make_records("rows", 1), chunkshape=64)
        table = open_table(file, "/rows")
        new = make_records("rows", 2, 5)
        table.append(new)
        assert table.read_fields(400, 405, ["mark", "level"])["level"].tolist() == new["level"].tolist()
        table.close()


def test_a_day_file_that_was_cut_is_reported(tmp_path):
    made = create_archive(tmp_path / "archive", plugins={"sky": Instrument(LAYOUT, "sky.yaml")})
    records = make_records("rows", 1, 20_000)
    records["second"] = START + np.arange(20_000)
    made.put("sky.rows", records)
    path = next((tmp_path / "archive" / "sky").rglob("rows*.h5"))
    content = bytearray(path.read_bytes())
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StorageError, match="rebuild"):
        open_archive(tmp_path / "archive").read("sky.rows", fields=["level"])


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0, 5, 999_999, 1_000_000, 7_000_000, 0xFFFFFFFF]))))
def test_records_are_found_in_order_exactly_if_their_whole_times_are(rows):
    data_type = TYPES["rows"]
    records = np.zeros(len(rows), data_type.dtype)
    records["second"], records["micro"] = zip(*rows, strict=True) if rows else ([], [])
    times = data_type.find_begins(records)
    assert is_in_order(records, data_type) == (np.diff(times) >= 0).all()
