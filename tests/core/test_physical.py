"""Physical values and names of values: the words ``physical`` and ``values`` of a layout, and reading by them."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dayfile
from dayfile import Instrument, LayoutError, Physical
from dayfile.errors import UsageError
from dayfile.model.physical import ByValue
from dayfile.stores.declarations import make_attributes, parse_data_type

LAYOUT = """\
instrument: muon
title: Muon telescope
clock: {epoch: 1970-01-01T00:00:00}
path: "muon/{year}/{month:02}/{day:02}.h5"
values:
  modes: {0: idle, 1: run, 0x10: far, '3-5': calibration}
types:
  weather:
    code: Weather
    title: Weather
    store: append
    time: second
    missing: [-999]
    fields:
      - {name: second, type: uint32}
      - {name: temperature, type: int16, unit: count, physical: {scale: 1e-2, offset: -40, unit: degC}}
      - {name: lon, type: int32, unit: deg, physical: {scale: 1e-7}}
      - {name: gain, type: uint8}
      - {name: volt, type: int16, shape: [2], physical: {scale: {by: gain, of: {1: 0.1, '2-3': 1e-3}}, unit: V}}
      - {name: charge, type: int16, shape: [2], physical: {scale: gain, offset: pedestal, unit: pC}}
      - {name: pedestal, type: float32, shape: [2], missing: [-1]}
      - {name: ntc, type: uint16, physical: {table: [[100, 80], [200, 30], [900, -10]], unit: degC}}
      - {name: bend, type: uint8, physical: {polynomial: [1, 0, 0.25], unit: mm}}
      - {name: fix, type: uint8, values: {0: none, 1: dead reckoning, '3-5': 3D}}
      - {name: modes, type: uint8, shape: [2], values: modes}
      - {name: label, type: char, shape: [4]}
    flags:
      temperature: [{value: 32767, name: SATURATED}]
"""
FIRST = 19000 * 86400


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    path = tmp_path_factory.mktemp("archive")
    muon = dayfile.create_archive(path, plugins={"muon": Instrument(LAYOUT, "muon.yaml")})
    records = np.zeros(6, muon.plugins.data_types["muon.weather"].dtype)
    records["second"] = FIRST + np.arange(6)
    records["temperature"] = [4000, 4100, -999, 32767, 3950, 4150]
    records["lon"] = 523676000
    records["gain"] = np.arange(6)
    records["volt"] = [[10, -999]] * 6
    records["charge"] = [[10, 20]] * 6
    records["pedestal"] = [[0.5, -1]] * 6
    records["ntc"] = [99, 100, 150, 200, 900, 901]
    records["bend"] = 2
    records["fix"] = np.arange(6)
    records["modes"] = [[0, 1], [16, 4], [2, 9], [0, 0], [0, 0], [0, 0]]
    records["label"] = b"a"
    muon.put("muon.weather", records)
    return dayfile.open_archive(path)  # no plugin is installed for it


@pytest.fixture(scope="module")
def records(archive):
    return archive.read("muon.weather")


def same(values, expected):
    np.testing.assert_array_equal(values, np.array(expected))
    return True


class TestPhysicalValuesOfAField:
    def test_are_scaled_and_nan_where_nothing_was_measured(self, records):
        found = records.physical("temperature")
        assert found.dtype == np.float64
        assert same(found.round(6), [0, 1, np.nan, 287.67, -0.5, 1.5])

    def test_have_the_unit_of_the_field_if_they_have_none_of_their_own(self, records):
        lon = records.data_type.field("lon")
        assert (lon.unit, lon.physical.unit, lon.units) == ("", "deg", "→ deg")
        assert records.data_type.field("temperature").units == "count → degC"

    def test_have_the_scale_that_another_field_chooses(self, records):
        assert same(records.physical("volt")[:, 0], [np.nan, 1.0, 0.01, 0.01, np.nan, np.nan])
        assert np.isnan(records.physical("volt")[:, 1]).all()

    def test_have_scale_and_offset_of_other_fields_and_none_where_one_is_missing(self, records):
        found = records.physical("charge")
        assert same(found[:, 0], 10.0 * np.arange(6) + 0.5)
        assert np.isnan(found[:, 1]).all()

    def test_are_linear_between_points_of_a_table_and_nan_outside(self, records):
        assert same(records.physical("ntc"), [np.nan, 80, 55, 30, -10, np.nan])

    def test_are_a_polynomial(self, records):
        assert same(records.physical("bend"), [2.0] * 6)

    def test_are_names_where_values_have_some(self, records):
        assert same(records.physical("fix"), ["none", "dead reckoning", "", "3D", "3D", "3D"])
        assert same(records.physical("modes")[:3], [["idle", "run"], ["far", "calibration"], ["", ""]])

    def test_are_the_stored_ones_of_other_fields(self, records):
        assert same(records.physical("gain"), np.arange(6.0))
        assert same(records.physical("label"), ["a"] * 6)

    def test_need_the_fields_that_they_are_made_of(self, archive):
        records = archive.read("muon.weather", fields=["volt"])
        with pytest.raises(UsageError, match=r"volt of muon\.weather need gain, which was left out"):
            records.physical("volt")
        with pytest.raises(UsageError, match="need gain, which was left out"):
            records.to_physical()


class TestReadPhysical:
    def test_gives_a_table_of_physical_values_with_their_units(self, archive, records):
        found = archive.read("muon.weather", physical=True)
        for name in ("temperature", "lon", "volt", "charge", "ntc", "bend"):
            assert found[name].dtype == np.float64
            assert same(found[name], records.physical(name))
            assert found.data_type.field(name).unit == records.data_type.field(name).physical.unit
        assert same(found.physical("fix"), records.physical("fix"))
        assert same(found["second"], records["second"])
        assert same(found.times, records.times)

    def test_converting_twice_is_converting_once(self, archive):
        found = archive.read("muon.weather", physical=True)
        assert found.to_physical().array.tobytes() == found.array.tobytes()
        assert same(found.physical("temperature"), found["temperature"])

    def test_reads_what_a_field_is_made_of_and_gives_only_the_field(self, archive, records):
        found = archive.read("muon.weather", fields=["volt"], physical=True)
        assert found.names == ("volt",)
        assert same(found["volt"], records.physical("volt"))

    @pytest.mark.parametrize(
        ("where", "number"),
        [
            ("temperature > 1", 2),
            ("fix == '3D'", 3),
            ("fix in ['none', '3D'] and not temperature.SATURATED", 3),
            ("modes[0] == 'far'", 1),
            ("volt[0] > 0.5", 1),
        ],
    )
    def test_compares_physical_values(self, archive, where, number):
        assert len(archive.read("muon.weather", where=where, physical=True, fields=["second"])) == number
        assert sum(map(len, archive.iter("muon.weather", where=where, physical=True, rows=2))) == number

    def test_leaves_comparisons_of_stored_values_as_they_are(self, archive):
        assert len(archive.read("muon.weather", where="temperature > 4000")) == 3
        with pytest.raises(UsageError, match="compares a text with a number"):
            archive.read("muon.weather", where="fix == '3D'")

    def test_makes_nan_of_the_other_missing_values_if_asked_for(self, archive):
        assert archive.read("muon.weather", physical=True)["pedestal"][0, 1] == -1
        assert np.isnan(archive.read("muon.weather", physical=True, missing="nan")["pedestal"][0, 1])

    def test_of_nothing_is_a_table_of_nothing(self, archive):
        found = archive.read("muon.weather", "1990", "1991", physical=True)
        assert len(found) == 0
        assert found["temperature"].dtype == np.float64
        assert found.physical("modes").shape == (0, 2)

    def test_cannot_be_put_in_place_of_stored_values(self, archive, tmp_path):
        other = dayfile.create_archive(tmp_path, plugins={"muon": Instrument(LAYOUT, "muon.yaml")})
        with pytest.raises(UsageError, match=r"temperature of these records of muon\.weather is physical"):
            other.put("muon.weather", archive.read("muon.weather", physical=True))
        only_names = archive.read("muon.weather", fields=["second", "fix"], physical=True)
        with pytest.raises(UsageError, match=r"fix of these records of muon\.weather is a name"):
            other.put("muon.weather", only_names)

    def test_leaves_times_as_they_are_where_a_field_of_them_is_converted(self, tmp_path):
        layout = LAYOUT.replace("second, type: uint32", "second, type: uint32, physical: {scale: 0.001, unit: ks}")
        muon = dayfile.create_archive(tmp_path, plugins={"muon": Instrument(layout, "muon.yaml")})
        records = np.zeros(1, muon.plugins.data_types["muon.weather"].dtype)
        records["second"] = FIRST
        muon.put("muon.weather", records)
        found = muon.read("muon.weather", physical=True)
        assert found["second"][0] == FIRST * 0.001
        assert str(found.times[0]) == "2022-01-08T00:00:00.000000000"


class TestOtherLibraries:
    def test_get_units_and_nulls(self, archive):
        found = archive.read("muon.weather", physical=True)
        assert found.to_pandas().attrs["units"]["temperature"] == "degC"
        table = found.to_arrow()
        assert table.schema.field("temperature").metadata == {b"unit": b"degC"}
        assert table["temperature"].null_count == 1
        assert table["fix"].to_pylist()[1] == "dead reckoning"
        assert found.to_xarray()["temperature"].attrs["units"] == "degC"
        assert str(found.to_astropy()["temperature"].unit) == "degC"
        assert found.to_polars()["temperature"].null_count() == 1

    def test_dask_and_the_engine_of_xarray_read_physical_values(self, archive):
        xarray = pytest.importorskip("xarray")
        mean = archive.read("muon.weather", physical=True).to_pandas()["temperature"].mean()
        assert archive.to_dask("muon.weather", physical=True)["temperature"].mean().compute() == mean
        data = xarray.open_dataset(archive.root.path, engine="dayfile", physical=True)
        assert data["temperature"].attrs["units"] == "degC"
        assert float(data["temperature"].mean()) == mean
        assert data["fix"].values[1] == "dead reckoning"

    @pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet", "nc", "cdf"])
    def test_files_have_physical_values(self, archive, tmp_path, suffix):
        path = tmp_path / f"weather.{suffix}"
        done = archive.export("muon.weather", path, physical=True, where="fix == '3D'", fields=["temperature", "fix"])
        assert done.records == 3
        if suffix == "csv":
            assert path.read_text().splitlines()[1].split(",")[1:] == ["287.67", "3D"]
        if suffix == "nc":
            data = pytest.importorskip("xarray").load_dataset(path, engine="h5netcdf")
            assert (data["temperature"].attrs["units"], str(data["fix"].values[0])) == ("degC", "3D")
        if suffix == "cdf":
            file = pytest.importorskip("cdflib").CDF(path)
            assert file.varattsget("temperature")["UNITS"] == "degC"
            assert file.varget("fix").tolist() == ["3D"] * 3


class TestDayFiles:
    def test_declare_physical_values_and_names(self, archive, records):
        (declared,) = Instrument(LAYOUT, "muon.yaml").data_types()
        kept = {field.name: (field.physical, field.named) for field in records.data_type.fields}
        assert kept == {field.name: (field.physical, field.named) for field in declared.fields}

    def test_that_declare_none_are_as_they_were(self):
        layout = LAYOUT.replace(", physical: {scale: 1e-7}", "")
        attributes = make_attributes(Instrument(layout, "muon.yaml").data_types()[0])
        fields = attributes["fields"]
        assert '{"name":"lon","type":"int32","unit":"deg","missing":[-999]}' in fields
        assert parse_data_type(tuple({**attributes, "TITLE": ""}.items())).field("lon").physical is None

    def test_of_before_are_read_by_the_newest_declaration(self, tmp_path):
        before = LAYOUT.replace(", physical: {scale: 1e-7}", "").replace("values: {0: none", "doc: x{0: none")
        before = before.replace(", doc: x{0: none, 1: dead reckoning, '3-5': 3D}", "")
        for layout, second in ((before, FIRST), (LAYOUT, FIRST + 86400)):
            muon = dayfile.create_archive(tmp_path, plugins={"muon": Instrument(layout, "muon.yaml")})
            records = np.zeros(1, muon.plugins.data_types["muon.weather"].dtype)
            records["second"], records["lon"], records["fix"] = second, 523676000, 3
            muon.put("muon.weather", records)
        muon = dayfile.open_archive(tmp_path)
        found = muon.read("muon.weather", "2022-01-08", "2022-01-09", physical=True)
        assert (found["lon"].round(7).tolist(), found.data_type.field("lon").unit) == ([52.3676], "deg")
        assert found.physical("fix").tolist() == ["3D"]
        both = muon.read("muon.weather")
        assert both.physical("lon").round(7).tolist() == [52.3676, 52.3676]


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("scale: 1e-7", "scale: gian", r"muon\.yaml:17:63: .*'gian' is not a field .*; did you mean 'gain'\?"),
        ("scale: 1e-7", "scal: 2", "unknown key 'scal'; did you mean 'scale'"),
        ("scale: 1e-7", "scale: 0", "all physical values are the same"),
        ("scale: 1e-7", "scale: true", "must be a number, not true or false"),
        ("scale: 1e-7", "scale: .nan", "finite"),
        ("scale: 1e-7", "scale: 1, table: [[0, 0], [1, 1]]", "are made in one way"),
        ("scale: 1e-7", "unit: m", "are made in one way"),
        ("scale: 1e-7", "scale: label", "label is char, not a number"),
        ("scale: 1e-7", "scale: volt", r"a single number, or have the shape of lon: \[2\] is not \[\]"),
        ("[200, 30]", "[50, 30]", r"table\[1\]: 50 is not more than 100"),
        ("[200, 30]", "[50]", r"table\[1\]: a point is a pair"),
        ("[1, 0, 0.25]", "[1]", "at least 2 coefficients"),
        ("by: gain", "by: pedestal", "pedestal is float32; only an integer chooses a number"),
        ("by: gain", "by: gains", "'gains' is not a field"),
        ("'2-3': 1e-3", "256: 1e-3", "256 does not fit gain"),
        ("'2-3': 1e-3", "'1-3': 1e-3", "1-3 and 1 have a value in common"),
        ("'2-3': 1e-3", "two: 1e-3", "'two' is neither a number nor a range"),
        ("'3-5': 3D", "'1-5': 3D", "1-5 and 1 have a value in common"),
        ("0: none,", "0: no,", "put it in quotes"),
        ("shape: [2], values: modes", "shape: [2], values: mods", "'mods' is not a list of names under 'values'"),
        ("0x10: far", "256: far", r"muon\.yaml:6:33: values\.modes\.256: 256 does not fit modes"),
        ("label, type: char, shape: [4]", "label, type: char, shape: [4], values: modes", "only numbers have 'values'"),
        ("gain, type: uint8", "gain, type: float32, values: modes", "only integers have 'values'"),
        (
            "gain, type: uint8",
            "gain, type: uint8, values: modes, physical: {scale: 2}",
            "names are not physical values",
        ),
        ("label, type: char, shape: [4]", "label, type: char, shape: [4], physical: {scale: 2}", "only numbers have"),
        ("physical: {scale: 1e-7}", "physical: ", "the value is missing"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_its_place(right, wrong, message):
    assert right in LAYOUT
    with pytest.raises(LayoutError, match=message):
        Instrument(LAYOUT.replace(right, wrong), "muon.yaml").layout  # noqa: B018 - compiles it


def test_a_field_is_not_made_of_one_that_older_records_lack():
    later = """\
    later:
      - {since: 2024-05-01, code: Weather2, fields: [{name: factor, type: float32}, \
{name: field, type: int16, physical: {scale: factor}}]}
"""
    Instrument(LAYOUT + later, "muon.yaml").layout  # noqa: B018 - compiles it
    with pytest.raises(LayoutError, match="'factor' is not a field of all records with lon"):
        Instrument(LAYOUT.replace("scale: 1e-7", "scale: factor") + later, "muon.yaml").layout  # noqa: B018


finite = st.floats(-1e6, 1e6)
spans = st.lists(st.integers(-5, 5), min_size=2, max_size=6, unique=True).map(sorted)


@st.composite
def numbers(draw):
    """A number, a field, or one by a field, for scale or offset."""
    kind = draw(st.sampled_from(["number", "field", "by"]))
    if kind == "number":
        return draw(finite)
    if kind == "field":
        return "factor"
    edges = draw(spans)
    return ByValue("choice", tuple((low, high - 1, draw(finite)) for low, high in pairwise(edges)))


conversions = st.one_of(
    st.builds(Physical, scale=numbers(), offset=numbers()),
    st.builds(Physical, polynomial=st.lists(finite, min_size=2, max_size=5).map(tuple)),
    st.builds(
        lambda places, values: Physical(table=tuple(zip(places, values, strict=False))),
        st.lists(st.integers(-100, 100), min_size=2, max_size=6, unique=True).map(sorted),
        st.lists(finite, min_size=6, max_size=6),
    ),
)


def convert_plainly(physical, number, factor, choice):
    """Convert one number, step by step."""
    if math.isnan(number):
        return math.nan
    if physical.polynomial:
        return sum(coefficient * number**power for power, coefficient in enumerate(physical.polynomial))
    if physical.table:
        for (left, low), (right, high) in pairwise(physical.table):
            if left <= number <= right:
                return low + (high - low) * (number - left) / (right - left)
        return math.nan
    values = []
    for each in (physical.scale, physical.offset):
        if isinstance(each, ByValue):
            values.append(next((value for low, high, value in each.of if low <= choice <= high), math.nan))
        else:
            values.append(factor if isinstance(each, str) else each)
    return number * values[0] + values[1]


@given(
    conversions,
    st.lists(st.tuples(st.one_of(st.integers(-120, 120), st.just(math.nan)), finite, st.integers(-7, 7)), max_size=8),
    st.booleans(),
)
def test_all_ways_of_conversion_are_what_a_plain_loop_makes(physical, rows, wide):
    number, factor, choice = (np.array(column) for column in zip(*rows, strict=True)) if rows else (np.zeros(0),) * 3
    shown = np.stack([number, number], axis=1) if wide else number
    found = physical.convert({"number": shown, "factor": factor, "choice": choice}, "number")
    expected = np.array([convert_plainly(physical, *row) for row in rows])
    expected = np.stack([expected, expected], axis=1) if wide else expected
    assert (found.dtype, found.shape) == (np.dtype(np.float64), shown.shape)
    scale = 1e6 * 120.0**4
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12 * scale if physical.polynomial else 1e-6)


@given(conversions)
def test_a_declaration_comes_back_from_the_attributes_of_a_table(physical):
    (weather,) = Instrument(LAYOUT, "muon.yaml").data_types()
    fields = tuple(replace(field, physical=physical) if field.name == "lon" else field for field in weather.fields)
    attributes = make_attributes(replace(weather, fields=fields))
    assert parse_data_type(tuple({**attributes, "TITLE": ""}.items())).field("lon").physical == physical
