"""The day file's form is the existing datastore's: tables, columns, types, positions, defaults, titles."""

from __future__ import annotations

import numpy as np
import pytest
import tables

from dayfile import Status, create_archive
from dayfile_hisparc import instrument

KEYS = {"cluster": "science park", "cluster_name": "Science Park", "station": 501}
# Columns of the datastore's tables: name, PyTables class, in stored order; shape 4 and default -1 where marked.
EVENTS = [
    ("event_id", "UInt32Col", (), 0),
    ("timestamp", "Time32Col", (), 0),
    ("nanoseconds", "UInt32Col", (), 0),
    ("ext_timestamp", "UInt64Col", (), 0),
    ("data_reduction", "BoolCol", (), False),
    ("trigger_pattern", "UInt32Col", (), 0),
    ("baseline", "Int16Col", (4,), -1),
    ("std_dev", "Int16Col", (4,), -1),
    ("n_peaks", "Int16Col", (4,), -1),
    ("pulseheights", "Int16Col", (4,), -1),
    ("integrals", "Int32Col", (4,), -1),
    ("traces", "Int32Col", (4,), -1),
    ("event_rate", "Float32Col", (), 0.0),
]


@pytest.fixture(scope="module")
def day_file(tmp_path_factory):
    """A day file with one record of every type at its defaults."""
    directory = tmp_path_factory.mktemp("day")
    archive = create_archive(directory / "archive", plugins={"hisparc": instrument})
    with archive.putting() as put:
        for data_type in instrument.layout.types:
            records = np.full(1, data_type.defaults, data_type.dtype)
            records["timestamp"] = 1715342401
            assert put(data_type.name, records, **KEYS).tolist() == [Status.WRITTEN]
    (path,) = archive.root.list_day_files()
    with tables.open_file(archive.root.path / path) as file:
        yield file


def test_there_are_fourteen_tables_and_184_upload_codes():
    types = instrument.layout.types
    assert len(types) == 14
    assert sum(len(data_type.fields) for data_type in types) == 216
    assert sum(bool(field.code) for data_type in types for field in data_type.fields) == 184


def test_tables_stand_where_readers_look_for_them(day_file):
    station = day_file.get_node("/hisparc/cluster_science park/station_501")
    assert sorted(station._v_children) == sorted([*(t.type for t in instrument.layout.types), "blobs"])
    for data_type in instrument.layout.types:
        assert station._v_children[data_type.type].title == data_type.title
        assert data_type.title.startswith("HiSPARC ")
    assert station.blobs.title == "HiSPARC binary data"


def test_events_have_the_datastore_s_columns_in_their_order(day_file):
    table = day_file.get_node("/hisparc/cluster_science park/station_501/events")
    columns = [
        (name, type(table.coldescrs[name]).__name__, table.coldescrs[name].shape, table.coldflts[name].flat[0])
        for name in table.colnames
    ]
    assert columns == EVENTS
    assert table.byteorder == "little"
    assert table.attrs.VERSION == "2.7"
    assert table.filters.complevel == 0
    assert not table.indexed


def test_every_column_of_every_table_has_its_type_and_fill_value(day_file):
    for data_type in instrument.layout.types:
        table = day_file.get_node("/hisparc/cluster_science park/station_501", data_type.type)
        assert table.colnames == [field.name for field in data_type.fields]
        for place, field in enumerate(data_type.fields):
            assert table.attrs[f"FIELD_{place}_NAME"] == field.name
            assert np.all(table.attrs[f"FIELD_{place}_FILL"] == field.default)
            assert table.coltypes[field.name] == field.type


def test_blobs_are_an_array_of_byte_strings(day_file):
    blobs = day_file.get_node("/hisparc/cluster_science park/station_501/blobs")
    assert isinstance(blobs.atom, tables.VLStringAtom)
    assert blobs.attrs.PSEUDOATOM == "vlstring"
    assert blobs.attrs.VERSION == "1.4"


def test_the_layout_s_columns_and_codes_are_those_of_the_reference(samples):
    import csv

    reference = samples.parent / "reference" / "hisparc"
    with (reference / "columns.csv").open() as file:
        told = [(row["table"], row["column"], row["pytables_type"].lower()) for row in csv.DictReader(file)]
    fields = [(t.type, field.name, f"{field.type}col") for t in instrument.layout.types for field in t.fields]
    assert fields == told
    with (reference / "upload_codes.csv").open() as file:
        codes = {
            (row["event_type_code"], row["upload_code"], row["column_in_table"], row["is_blob"] == "true")
            for row in csv.DictReader(file)
            if row["upload_code"]
        }
    ours = {(t.code, f.code, f.name, bool(f.blob)) for t in instrument.layout.types for f in t.fields if f.code}
    assert ours == codes
