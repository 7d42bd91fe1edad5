"""What bits, values and elements of CRIS and SIS fields mean, against the reference where it is there."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
import tables

import dayfile
from dayfile_cris import instrument as cris
from dayfile_sis import instrument as sis
from instruments import make_stream

TYPES = {t.code: (i, t) for i in (cris, sis) for t in i.layout.types}
KINDS = {"bit": "bit", "enum": "value", "index": "index"}
# HDF5 keeps at most 64 kB in an attribute.
ATTRIBUTE = 65536


@pytest.fixture(scope="module")
def reference(samples):
    path = samples.parent / "reference" / "ace"
    if not path.is_dir():
        pytest.skip("no reference of the C structs")
    return path


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_flag_of_the_reference_is_in_the_layout_and_none_besides(reference):
    told = [
        (row["struct"], row["field"], KINDS[row["kind"]], row["mask_or_value"], row["name"], row["meaning"])
        for row in rows(reference / "flags.csv")
    ]
    mine = [
        (code, flag.field, flag.kind, flag.value, flag.name, flag.doc)
        for code, (_, data_type) in TYPES.items()
        for flag in data_type.flags
    ]
    assert len(told) == 525
    assert sorted(mine) == sorted(told)


def test_every_element_of_the_reference_is_in_the_layout_and_none_besides(reference):
    told = [
        (row["struct"], row["field"], row["index"], row["name"], row["meaning"])
        for row in rows(reference / "elements.csv")
    ]
    mine = [
        (code, element.field, element.index, element.name, element.doc)
        for code, (_, data_type) in TYPES.items()
        for element in data_type.elements
    ]
    assert len(told) == 62
    assert sorted(mine) == sorted(told)


def test_the_unit_of_livetime_is_the_package_s_constant(reference):
    constants = {row["name"]: row["value"] for row in rows(reference / "constants.csv")}
    for instrument in ("Cris", "Sis"):
        _, rates = TYPES[f"L1{instrument}LowPriorityRate"]
        microseconds = constants[f"{instrument.upper()}_LIVETIME_UNIT_MICROSECOND"]
        assert rates.field("livetim").unit == f"{microseconds} us"


def test_one_quality_table_of_eight_bits_holds_for_471_fields_of_14_structs():
    fields, masks = {}, set()
    for code, (_, data_type) in TYPES.items():
        quality = [flag for flag in data_type.flags if "_QUALITY_" in flag.name]
        if quality:
            fields[code] = [field for field in data_type.fields if quality[0].applies_to(field)]
            masks.add(tuple(flag.value for flag in quality))
    assert masks == {("0x01", "0x02", "0x04", "0x08", "0x10", "0x20", "0x40", "0x80")}
    assert len(fields) == 14
    assert sum(map(len, fields.values())) == 471
    assert {field.type for matched in fields.values() for field in matched} == {"uint8"}


def test_every_meaning_says_whether_it_is_stated_derived_or_assumed():
    for _, data_type in TYPES.values():
        for meaning in (*data_type.flags, *data_type.elements):
            assert re.search(r"\[[^]]*\b(stated|derived|assumed)\b[^]]*\]", meaning.doc), meaning


def test_livetime_has_the_unit_of_its_counts_and_that_it_is_meant_is_called_assumed():
    for code, unit in (("L1CrisLowPriorityRate", "128 us"), ("L1SisLowPriorityRate", "8 us")):
        for name in ("livetim", "helivet", "hylivet"):
            field = TYPES[code][1].field(name)
            assert field.unit == unit
            assert "[assumed]" in field.doc


def test_what_a_table_tells_of_itself_fits_its_attributes_with_room(tmp_path):
    archive = dayfile.create_archive(tmp_path / "archive")
    with archive.putting() as put:
        for _, data_type in TYPES.values():
            record = np.zeros(1, data_type.dtype)
            for name in filter(None, (data_type.time, data_type.end)):
                record[name] = 57801700
            put(data_type.name, record)
    sizes = []
    for path in archive.root.list_day_files():
        with tables.open_file(archive.root.path / path) as file:
            for table in file.walk_nodes("/", "Table"):
                values = (table.attrs[name] for name in table.attrs._f_list())
                sizes += [len(value.encode()) for value in values if isinstance(value, str)]
    assert len(sizes) > 10 * len(TYPES)
    assert max(sizes) < 0.75 * ATTRIBUTE


@pytest.mark.parametrize("code", ["L1CrisHighPriorityRate", "L1SisLowPriorityRate"])
def test_a_day_file_explains_its_bits_values_and_elements(code, archive_run, tmp_path):
    instrument, data_type = TYPES[code]
    record = np.zeros(1, data_type.dtype)
    record["Second1996"] = 57801700
    (tmp_path / f"{code}.be.bin").write_bytes(make_stream(instrument, data_type, record, "big"))
    done = archive_run(f"{code}.be.bin", "--plugins", data_type.instrument, "--archive", "A")
    assert done.returncode == 0, done.stderr
    [path] = (tmp_path / "A" / data_type.instrument).rglob("*.h5")
    with tables.open_file(path) as file:
        attributes = file.get_node(data_type.placement.node.path).attrs
        assert len(json.loads(attributes.flags)) == len(data_type.flags)
        assert len(json.loads(attributes.elements)) == len(data_type.elements)
    told = dayfile.open_archive(tmp_path / "A", plugins={}).describe(data_type.name).data_type
    assert (told.flags, told.elements) == (data_type.flags, data_type.elements)
    assert told.flags
    assert told.elements
    records = dayfile.open_archive(tmp_path / "A").read(data_type.name)
    assert records.data_type.flags == data_type.flags
