"""The layouts of CRIS and SIS against the reference of the C structs, where it is there."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import pytest

from dayfile_cris import instrument as cris
from dayfile_sis import instrument as sis

# The reference has each struct as it was in 1997.
TYPES = {t.code: (i, t.forms[0]) for i in (cris, sis) for t in i.layout.types}
# The names follow the original put routines.
NAMES = {
    "browse_parameters", "command_echo", "command_table", "diagnostic_events", "events", "high_priority_rates", "hskp",
    "low_priority_rates", "subset", "summary",
}  # fmt: skip


@pytest.fixture(scope="module")
def reference(samples):
    return samples.parent / "reference" / "ace"


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_there_are_22_structs_with_1132_fields_named_after_the_put_routines():
    assert len(TYPES) == 22
    assert sum(len(data_type.fields) for _, data_type in TYPES.values()) == 1132
    assert {data_type.type for data_type in cris.layout.types} == NAMES
    assert {data_type.type for data_type in sis.layout.types} == NAMES | {"dac_offset0", "dac_offset1"}
    assert all(field.doc for _, data_type in TYPES.values() for field in data_type.fields)


def test_every_field_has_the_name_order_type_shape_and_offset_of_the_c_struct(reference):
    told = rows(reference / "structs.csv")
    for code, (instrument, data_type) in TYPES.items():
        struct = instrument.struct(data_type)
        mine = [row for row in told if row["struct"] == code]
        assert [field.name for field in data_type.fields] == [row["field"] for row in mine]
        for field, row in zip(data_type.fields, mine, strict=True):
            assert field.type == row["ctype"].replace("char8", "char")
            assert list(field.shape) == [int(length) for length in re.findall(r"\d+", row["dims"])]
            assert struct.fields[field.name][1] == int(row["offset_natural"])


def test_sizes_periods_and_time_fields_are_the_reference_s(reference):
    for row in rows(reference / "types.csv"):
        instrument, data_type = TYPES[row["struct"]]
        assert instrument.struct(data_type).itemsize == int(row["size_natural"])
        assert data_type.dtype.itemsize == int(row["size_packed"])
        assert data_type.time == row["time_field"]
        if row["period_s"].isdigit():
            assert data_type.period == int(row["period_s"])
            assert math.ceil(86400 / data_type.period) == int(row["slots_per_day"])
        elif row["period_s"] == "unknown":
            assert data_type.period == 256  # assumed, and said so in the layout
        else:
            assert data_type.end == row["period_s"].split(": ")[1]


def put_table():
    """Rows of the table of put routines in the docs: struct to routine, group routine and call."""
    page = Path(__file__).parents[2] / "docs" / "instruments" / "ace.md"
    cells = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.read_text().splitlines()]
    return {row[2]: (row[0], row[1], row[3]) for row in cells if len(row) == 4 and row[3].startswith("archive.put(")}


def test_the_docs_map_every_put_routine_to_the_call_of_its_struct():
    told = put_table()
    assert {code: call for code, (_, _, call) in told.items()} == {
        code: f'archive.put("{data_type.name}", records)' for code, (_, data_type) in TYPES.items()
    }
    assert sum(bool(routine) for routine, _, _ in told.values()) == 21
    assert sum(bool(routine) for _, routine, _ in told.values()) == 8


def test_the_put_routines_of_the_docs_are_the_reference_s(reference):
    told = {code: (routine, group) for code, (routine, group, _) in put_table().items()}
    assert told == {row["struct"]: (row["routine"], row["group_routine"]) for row in rows(reference / "types.csv")}
