"""What a data type tells about itself: in the attributes of its tables, and by ``dayfile describe``."""

from __future__ import annotations

import json
import string
from contextlib import closing
from dataclasses import replace

import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from dayfile import Instrument, Node, Placement
from dayfile.cli import app
from dayfile.cli.describe import format_type
from dayfile.errors import PluginError, UsageError
from dayfile.model.field import Element, Flag
from dayfile.model.packed import HeaderField, Packed
from dayfile.stores.declarations import make_attributes, read_data_type
from dayfile.stores.making import make_table
from running import run_python

LAYOUT = """\
instrument: muons
title: Muon telescope
clock: {epoch: 1996-01-01T00:00:00, leap_seconds: counted, undefined: [0]}
flags:
  quality:
    - {bit: 0x01, name: LATE, doc: came late}
    - {bit: 0x80, doc: 'marked bad by a step of the processing that was found out long after the flight [assumed]'}
path: "muons/{year}/{suffix}.{month}.{day}.h5"
types:
  rates:
    code: MuonRates
    title: Rates of the telescope
    suffix: rat
    store: slots
    period: 256
    time: second
    fields:
      - {name: second, type: uint32, unit: s, doc: start of the cycle}
      - {name: counts, type: uint16, shape: [2, 3], doc: counts of each layer}
      - {name: QualitySecond, type: uint8}
      - {name: QualityCounts, type: uint8, shape: [2, 3], doc: quality of each count}
    flags:
      Quality*: quality
      counts: [{value: 65535, name: NONE, doc: no data}, {value: 0-9, doc: too few}, {index: 12, doc: channel}]
    elements:
      counts: [{index: "0-1,0-2", name: "side, layer", doc: from the sky downwards}]
  hits:
    code: MuonHit
    title: Hits
    store: append
    time: second
    fields:
      - {name: second, type: uint32}
"""
RATES, HITS = Instrument(LAYOUT, "muons.yaml").layout.types


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """The telescope as an installed plugin; gives the directory that it is installed in."""
    (tmp_path / "muons.py").write_text(
        f"from dayfile import Instrument\ninstrument = Instrument({LAYOUT!r}, 'm.yaml')\n"
    )
    (tmp_path / "torn.py").write_text("raise ImportError('no such library')\n")
    for name in ("muons", "torn"):
        directory = tmp_path / f"{name}-1.0.dist-info"
        directory.mkdir()
        (directory / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        attribute = ":instrument" if name == "muons" else ""
        (directory / "entry_points.txt").write_text(f"[dayfile.plugins]\n{name} = {name}{attribute}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def described(*arguments):
    return CliRunner().invoke(app, ["describe", *arguments], catch_exceptions=False).output


def table_of(data_type, file):
    return closing(make_table(file, f"/{data_type.type}", data_type, {}))


def as_told(data_type):
    """A data type without what matters to writing only."""
    placement = data_type.placement
    node = Node(placement.node.path, blobs=placement.node.blobs)
    return replace(data_type, placement=Placement(placement.store, "", node))


words = st.text(string.printable.strip() + " äµ", max_size=20)
indices = st.sampled_from(["0", "5", "0-95,0-3"])
flags = st.builds(
    Flag,
    st.sampled_from(["counts", "Quality*"]),
    st.sampled_from(["bit", "value", "index"]),
    st.sampled_from(["0", "0x01", "0-40"]),
    words,
    words,
)


@given(st.lists(flags, max_size=5), st.lists(st.builds(Element, st.just("counts"), indices, words, words), max_size=5))
def test_a_table_gives_back_the_data_type_it_was_made_of(flags, elements):
    data_type = replace(RATES, flags=tuple(flags), elements=tuple(elements))
    made = tables.open_file("x.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0)
    with made as file, table_of(data_type, file) as table:
        assert read_data_type(table) == as_told(data_type)


def test_a_type_without_flags_and_elements_has_no_attributes_for_them():
    assert {"flags", "elements"} <= set(make_attributes(RATES))
    assert not {"flags", "elements"} & set(make_attributes(HITS))


headers = st.lists(st.builds(HeaderField, st.sampled_from("abc"), st.sampled_from(["uint8", "float32"]), words, words))
packed_buffers = st.builds(
    Packed,
    st.just("counts"),
    st.just("second"),
    st.integers(1, 100),
    st.sampled_from(["", "QualitySecond"]),
    headers.map(tuple),
    st.sampled_from(["big", "little"]),
)


@given(packed_buffers)
def test_a_table_gives_back_what_its_packed_buffer_is(packed):
    data_type = replace(RATES, packed=packed)
    made = tables.open_file("x.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0)
    with made as file, table_of(data_type, file) as table:
        assert read_data_type(table) == as_told(data_type)


def test_a_packed_buffer_is_one_attribute_that_changes_no_other_and_types_without_have_none():
    header = (HeaderField("delay", "uint8", "ms"),)
    attributes = make_attributes(replace(RATES, packed=Packed("counts", "second", 9, header=header)))
    assert json.loads(attributes.pop("packed")) == {
        "field": "counts",
        "count": "second",
        "longest": 9,
        "header": [{"name": "delay", "type": "uint8", "unit": "ms"}],
    }
    assert attributes == make_attributes(RATES)
    assert "packed" not in attributes


def test_a_bit_is_told_of_every_field_whose_name_fits_the_pattern_and_of_no_other():
    late = next(flag for flag in RATES.flags if flag.name == "LATE")
    assert (late.field, late.kind, late.value) == ("Quality*", "bit", "0x01")
    assert [field.name for field in RATES.fields if late.applies_to(field)] == ["QualitySecond", "QualityCounts"]


def test_a_type_is_described_with_its_fields_and_what_their_values_mean(installed):
    text = described("muons.rates")
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "muons.rates: Rates of the telescope"
    for line in (
        "code MuonRates",
        "instrument muons",
        "layout muons 1",
        "store slots: 338 slots a day, one every 256 s",
        "time second",
        "clock s since 1996-01-01 00:00:00 UTC, leap seconds counted; no time: 0",
        "day file muons/{year}/rat.{month}.{day}.h5",
        "second uint32 s start of the cycle",
        "counts uint16[2, 3] counts of each layer",
        "value 65535 NONE no data",
        "index 12 channel",
        "element 0-1,0-2 side, layer from the sky downwards",
        "QualityCounts uint8[2, 3] quality of each count",
    ):
        assert line in lines
    assert lines.index("value 0-9 too few") > lines.index("counts uint16[2, 3] counts of each layer")
    assert lines.index("QualitySecond uint8") > lines.index("index 12 channel")


def test_what_is_to_be_known_about_the_times_is_shown_and_stored_nowhere():
    known = "GPS time labelled as UTC"
    layout = LAYOUT.replace("undefined: [0]}", f"undefined: [0], doc: {known}}}")
    described = Instrument(layout, "muons.yaml").layout.types[0]
    assert any(line.startswith("clock") and line.endswith(f"; {known}") for line in format_type(described, 200))
    assert make_attributes(described) == make_attributes(RATES)


def test_values_that_mean_not_measured_are_shown():
    text = LAYOUT.replace("name: QualitySecond, type: uint8", "name: QualitySecond, type: uint8, missing: [255, 7]")
    lines = list(format_type(Instrument(text, "muons.yaml").layout.types[0], 80))
    (place,) = [number for number, line in enumerate(lines) if line.startswith("QualitySecond")]
    assert lines[place + 1] == "    missing  255, 7"
    assert sum("missing" in line for line in lines) == 1


def test_what_several_fields_share_is_told_once_under_its_pattern(installed):
    text = described("muons.rates")
    assert text.count("came late") == 1
    assert text.index("Quality* (2 fields)") < text.index("bit 0x01  LATE")


@pytest.mark.parametrize("width", [50, 80, 120])
def test_no_line_is_wider_than_the_terminal(width):
    lines = list(format_type(RATES, width))
    assert max(map(len, lines)) <= width
    assert "found out long after the flight [assumed]" in " ".join(" ".join(lines).split())


@pytest.mark.parametrize(("width", "below"), [(50, True), (120, False)])
def test_a_meaning_stands_below_where_there_is_too_little_room_beside(width, below):
    lines = list(format_type(RATES, width))
    assert any(line.startswith(" " * 8 + "marked bad by") for line in lines) is below


def test_a_program_gets_the_whole_data_type_as_json(installed):
    told = json.loads(described("muons.rates", "--json"))
    assert told["name"] == "muons.rates"
    assert [field["name"] for field in told["fields"]] == [field.name for field in RATES.fields]
    assert [Flag(**flag) for flag in told["flags"]] == list(RATES.flags)
    assert [Element(**element) for element in told["elements"]] == list(RATES.elements)
    assert told["clock"]["epoch"] == "1996-01-01T00:00:00"


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("muons.ratse", "'muons.ratse' is not a data type; did you mean 'muons.rates'?"),
        ("muons.zzzzzzz", "'muons.zzzzzzz' is not a data type; one of muons.rates, muons.hits"),
        ("muons", "'muons' is not a data type; one of muons.rates, muons.hits"),
        ("muosn.rates", "no plugin 'muosn' is installed; did you mean 'muons'?"),
    ],
)
def test_a_type_that_does_not_exist_is_told_with_what_is_near(installed, name, complaint):
    with pytest.raises(UsageError) as caught:
        described(name)
    assert str(caught.value) == complaint


def test_a_plugin_that_does_not_load_is_told_with_its_reason(installed):
    with pytest.raises(PluginError, match="plugin torn failed: ImportError: no such library"):
        described("torn.rates")


def test_describing_a_type_imports_no_hdf5(installed):
    code = "import sys; from dayfile.cli import app; app(['describe', 'muons.rates'], standalone_mode=False)"
    done = run_python(
        "-c", f"{code}; print([name for name in ('tables', 'pandas') if name in sys.modules])", paths=[installed]
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
