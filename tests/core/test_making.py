"""A table made as a copy is the table that PyTables makes: to it, to other programs, and on disk."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import tables

from dayfile.discovery import load
from dayfile.hdf5 import datatypes
from dayfile.hdf5.attributes import read_attribute
from dayfile.hdf5.rows import NativeTable, open_table
from dayfile.model.field import Element, Flag
from dayfile.stores.declarations import ATTRIBUTES, make_attributes, read_data_type
from dayfile.stores.making import (
    LARGEST_CHUNK,
    LEAST_CHUNK,
    choose_chunk_rows,
    make_column,
    make_empty_table,
    make_empty_values,
    make_table,
    make_values,
)

TYPES = load().data_types
KEYS = {"cluster_name": "amsterdam", "cluster": "Amsterdam", "station": 501}


@pytest.fixture(autouse=True)
def nothing_left_open(left_open):
    pass


def made_by_pytables(file, name, data_type, slots=0):
    """The table of a data type, made with PyTables alone."""
    columns = {
        field.name: make_column(field, place, data_type.placement.store) for place, field in enumerate(data_type.fields)
    }
    chunk = choose_chunk_rows(data_type.dtype.itemsize, slots)
    table = file.create_table("/", name, columns, data_type.title, chunkshape=chunk, byteorder="little")
    declared = make_attributes(data_type)
    for word, value in declared.items():
        table.attrs[word] = value
    named = {word: value for word, value in {**declared, "TITLE": data_type.title}.items() if value != ""}
    table.attrs.declaration_sha256 = hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()
    table.append(np.zeros(slots, data_type.dtype))
    return table


def told(table):
    """All that can be told of a table, with the attributes that PyTables keeps for itself."""
    attributes = {name: table.attrs[name] for name in table.attrs._v_attrnames}
    return {
        "attributes": {name: (type(value), str(value)) for name, value in attributes.items()},
        "dtype": table.dtype,
        "fields": [(each, table.coltypes[each], str(table.coldflts[each])) for each in table.colpathnames],
        "storage": (table.chunkshape, table.maindim, table.extdim, table.byteorder, table.filters),
        "title": table.title,
        "rows": table.read().tobytes(),
    }


@pytest.mark.parametrize("name", TYPES)
def test_a_table_of_each_type_is_the_one_that_pytables_makes(name, tmp_path):
    placement = TYPES[name].placement
    node = replace(placement.node, path="/copied", blobs="", titles=())
    data_type = replace(TYPES[name], placement=replace(placement, node=node))
    slots = 40 if data_type.placement.store == "slots" else 0
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        expected = told(made_by_pytables(file, "made", data_type, slots))
        with closing(make_table(file, "/copied", data_type, {}, rows=slots)) as table:
            assert isinstance(table, NativeTable)
            assert (table.nrows, table.dtype) == (slots, data_type.dtype)
            assert table.chunk_rows == expected["storage"][0][0]
    with tables.open_file(tmp_path / "day.h5") as file:
        assert told(file.root.copied) == expected == told(file.root.made)


@pytest.mark.parametrize("name", TYPES)
def test_each_type_is_told_by_its_table_as_pytables_tells_its_attributes(name, tmp_path):
    data_type = TYPES[name]
    path = data_type.placement.node.path.format(**KEYS)
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        make_table(file, path, data_type, KEYS).close()
    with tables.open_file(tmp_path / "day.h5") as file:
        with closing(open_table(file, path)) as table:
            attributes = table.attributes(ATTRIBUTES)
            fields = tuple(replace(field, code="", overflow="raise") for field in data_type.fields)
            assert repr(read_data_type(table).fields) == repr(fields)  # a default may be NaN
        theirs = file.get_node(path).attrs
        assert attributes == {name: theirs[name] for name in ATTRIBUTES if name in theirs}
        assert attributes.keys() == {"TITLE", *make_attributes(data_type)}


def test_what_is_told_may_be_long_and_of_any_letters(muon, tmp_path):
    doc = "µ ½ ß " * 40
    flags = tuple(Flag("quality", "value", str(place), f"N{place}", doc) for place in range(90))
    data_type = replace(muon.rates, title="Räten", flags=flags, elements=(Element("counts", "0-2", "", doc),))
    assert 30_000 < len(make_attributes(data_type)["flags"].encode()) < 64_000
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        with closing(make_table(file, "/rates", data_type, {})) as table:
            found = read_data_type(table)
        assert (found.title, found.flags, found.elements) == ("Räten", flags, data_type.elements)
        assert file.root.rates.attrs.flags == make_attributes(data_type)["flags"]


@pytest.mark.parametrize("slots", [1, 338, 86401])
def test_slots_are_there_at_once_and_take_no_room_until_they_are_filled(muon, tmp_path, slots):
    sizes = []
    for name, count in (("none.h5", 0), ("some.h5", slots)):
        with tables.open_file(tmp_path / name, "w") as file:
            with closing(make_table(file, "/rates", muon.rates, {}, rows=count)) as table:
                assert table.nrows == count
                assert not table.read(0, count).view(np.uint8).any()
            assert (file.root.rates.nrows, file.root.rates.attrs.NROWS) == (count, count)
        sizes.append((tmp_path / name).stat().st_size)
    assert sizes[1] - sizes[0] < 1000
    with tables.open_file(tmp_path / "some.h5", "a") as file, closing(open_table(file, "/rates")) as table:
        table.modify(slots - 1, np.ones(1, table.dtype))
    assert (tmp_path / "some.h5").stat().st_size - sizes[1] < 2 * LARGEST_CHUNK


@pytest.mark.parametrize("parts", [[0], [1], [3, 0, 5000]])
def test_the_number_of_rows_is_told_as_pytables_tells_it(muon, tmp_path, parts):
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        with closing(make_table(file, "/hits", muon.hits, {})) as table:
            for count in parts:
                table.append(np.zeros(count, table.dtype))
                assert table.attributes(("NROWS",)) == {"NROWS": sum(parts[: parts.index(count) + 1])}
        file.root.hits.append(np.zeros(2, muon.hits.dtype))
        file.root.hits.flush()
    with tables.open_file(tmp_path / "day.h5", "a") as file:
        told = file.root.hits.attrs.NROWS
        assert (told, type(told), told.shape) == (sum(parts) + 2, np.int64, ())
        assert file.root.hits.nrows == told


def test_blobs_are_the_array_that_pytables_makes(school, tmp_path):
    placement = school.events.placement
    node = replace(placement.node, blobs="/copied", blobs_title="Blöbs")
    data_type = replace(school.events, placement=replace(placement, node=node))
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        file.create_vlarray("/", "made", tables.VLStringAtom(), "Blöbs", chunkshape=4096).append(b"x")
        with closing(make_values(file, "/copied", data_type, {})) as array:
            assert array.nrows == 0
            array.append([b"x"])
    with tables.open_file(tmp_path / "day.h5") as file:
        made, copied = file.root.made, file.root.copied
        names = made.attrs._v_attrnames
        assert {name: made.attrs[name] for name in names} == {name: copied.attrs[name] for name in names}
        for word in ("title", "chunkshape", "filters", "byteorder", "nrows", "flavor"):
            assert getattr(made, word) == getattr(copied, word)
        assert repr(made.atom) == repr(copied.atom)
        assert copied.read() == [b"x"]


def test_tables_of_other_types_in_one_file_do_not_meet(muon, school, tmp_path):
    """One image serves all tables of a type: what is written to one must be in no other."""
    paths = ["/hits", "/more", "/far/away/hits", "/rates", "/school/station_7/events", "/school/station_8/events"]
    types = [*[muon.hits] * 3, muon.rates, *[school.events] * 2]
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        for number, (path, data_type) in enumerate(zip(paths, types, strict=True)):
            with closing(make_table(file, path, data_type, {"station": number})) as table:
                table.append(np.ones(number, table.dtype))
    with tables.open_file(tmp_path / "day.h5") as file:
        assert [file.get_node(path).nrows for path in paths] == [0, 1, 2, 3, 4, 5]
        assert file.root.school.station_7._v_title == "Station 4"
        assert file.root.far._v_title == ""


def test_a_type_that_differs_in_a_word_alone_has_a_table_of_its_own(muon, tmp_path):
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        for title in ("one", "other"):
            make_table(file, f"/{title}", replace(muon.hits, title=title), {}).close()
        assert [file.root.one.title, file.root.other.title] == ["one", "other"]


@pytest.mark.parametrize("there", ["file", "directory"])
def test_nothing_in_the_working_directory_is_touched(muon, tmp_path, monkeypatch, there):
    """PyTables wants a name for the file in memory that is copied from."""
    monkeypatch.chdir(tmp_path)
    kept = tmp_path / "empty"
    kept.write_text("mine") if there == "file" else kept.mkdir()
    make_empty_table.cache_clear()
    make_empty_values.cache_clear()
    (tmp_path / "day").mkdir()
    with tables.open_file(tmp_path / "day" / "day.h5", "w") as file:
        make_table(file, "/hits", muon.hits, {}).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["day", "empty"]
    assert kept.is_dir() or kept.read_text() == "mine"


def test_a_table_that_is_there_is_not_made_again(muon, tmp_path):
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        with closing(make_table(file, "/hits", muon.hits, {})) as table:
            table.append(np.ones(3, table.dtype))
        with pytest.raises(tables.HDF5ExtError):
            make_table(file, "/hits", muon.hits, {})
        assert file.root.hits.nrows == 3


def test_a_copied_table_is_known_without_asking_pytables(muon, tmp_path):
    datatypes.ROW_DTYPES.clear()
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        make_table(file, "/hits", muon.hits, {}).close()
        with closing(open_table(file, "/hits")) as table:
            assert (table.dtype, table.path) == (muon.hits.dtype, "/hits")


# ---- Attributes


TOLD = {"text": "äµ ½", "empty": "", "inner": "a\0b", "long": "µ" * 15_500, "np_str": np.str_("w")} | {
    "int": -5,
    "int8": np.int8(-1),
    "uint8": np.uint8(200),
    "uint64": np.uint64(2**63 + 5),
}
PASSED_OVER = {"float": 1.5, "complex": 1j, "bool": True, "bytes": b"abc", "huge": 2**70, "none": None} | {
    "list": [1, 2],
    "dict": {"a": 1},
    "array": np.arange(3),
    "one": np.array([7]),
    "texts": np.array(["x", "y"]),
}


@pytest.mark.parametrize("order", ["little", "big"])
def test_texts_and_whole_numbers_are_told_as_pytables_tells_them_and_all_else_passed_over(tmp_path, order):
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        table = file.create_table("/", "rows", {"number": tables.Int32Col()}, byteorder=order)
        for name, value in (TOLD | PASSED_OVER).items():
            table.attrs[name] = value
    names = (*TOLD, *PASSED_OVER, "CLASS", "TITLE", "VERSION", "NROWS", "FIELD_0_NAME", "FIELD_0_FILL", "absent")
    with tables.open_file(tmp_path / "day.h5") as file:
        with closing(open_table(file, "/rows")) as opened:
            told = opened.attributes(names)
        assert told == {name: file.root.rows.attrs[name] for name in names if name in told}
    assert told.keys() == set(names) - {*PASSED_OVER, "absent"}
    assert {type(value) for value in told.values()} <= {str, int, np.str_}


def test_a_text_longer_than_any_can_be_is_damage(muon, tmp_path):
    """No memory is taken for what a damaged file says of its size."""
    with tables.open_file(tmp_path / "day.h5", "w") as file:
        make_table(file, "/hits", muon.hits, {}).close()
        file.root.hits.attrs.note = "x" * 60_000
    with tables.open_file(tmp_path / "day.h5") as file, closing(open_table(file, "/hits")) as table:
        assert table.attributes(("note",)) == {"note": "x" * 60_000}
        with pytest.raises(tables.HDF5ExtError, match="note is damaged"):
            read_attribute(table.dataset, "note", longest=59_999)


@pytest.mark.parametrize(
    ("itemsize", "slots", "size"),
    [
        (48, 0, LEAST_CHUNK),
        (48, 338, LEAST_CHUNK),
        (24, 86400, 24 * 86400 // 32),
        (80, 86400, LARGEST_CHUNK),
        (75031, 338, 75031),
        (75031, 0, 75031),
    ],
)
def test_a_chunk_is_small_where_a_day_is_and_never_large(itemsize, slots, size):
    assert size - itemsize < choose_chunk_rows(itemsize, slots) * itemsize <= size
