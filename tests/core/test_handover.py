"""Records in the tools of others: these read them, and find the values, units and missing values that are there."""

from __future__ import annotations

import pickle
import sys

import dask
import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import xarray as xr
from astropy import units
from astropy.time import Time
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dayfile import Instrument, create_archive, hookimpl, open_archive
from dayfile.errors import MissingExtraError, StorageError, UsageError
from instruments import TELESCOPE
from running import run_python

START = 57801601  # clock value of the first second of 1997-10-31
LEAP = "2016-12-31T23:59:60.500000000"
ROWS = 500


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three days of rates, and one record in the leap second of 2016."""
    instrument = Instrument(TELESCOPE, "muon.yaml")
    (rates,) = instrument.data_types()
    rng = np.random.default_rng(5)
    archive = create_archive(tmp_path_factory.mktemp("telescope") / "archive", plugins={"muon": instrument})
    array = np.zeros(ROWS, rates.dtype)
    array["second"] = START + np.sort(rng.choice(3 * 86400, ROWS))
    array["second"][-1] = rates.clock.number("2016-12-31T23:59:60")
    array["nanosecond"] = rng.integers(0, 10**9, ROWS)
    array["nanosecond"][-1] = 500_000_000
    array["counts"] = rng.integers(0, 1000, (ROWS, 3))
    array["counts"][rng.random((ROWS, 3)) < 0.2] = -999
    array["grid"] = rng.random((ROWS, 2, 2))
    array["pressure"] = rng.choice([1013, 1000, -1], ROWS)
    array["label"] = rng.choice([b"", b"a", "rué".encode(), b"\xff\xfe"], ROWS)
    array["good"] = rng.random(ROWS) < 0.5
    array["quality"] = rng.choice([0, 1, 0x80], ROWS)
    assert not archive.put("muon.rates", array).any()
    return open_archive(archive.root.path)


@pytest.fixture(scope="module")
def rates(archive):
    return archive.read("muon.rates")


@pytest.fixture(scope="module")
def whole(rates):
    return rates.to_xarray()


class School:
    """A plugin: a source is a station and seconds of its events."""

    def __init__(self, school):
        self.school = school

    @hookimpl
    def data_types(self):
        return self.school.types.values()

    @hookimpl
    def decode(self, source):
        station, *seconds = source.content.decode().split()
        rows = [(int(second), float(second), b"x", b"trace of " + station.encode(), None) for second in seconds]
        yield self.school.make_events(rows, station=int(station) if station.isdigit() else station)


@pytest.fixture
def stations(tmp_path, school):
    archive = create_archive(tmp_path / "school", plugins={"school": School(school)})
    for number, content in enumerate((b"501 5 1 90000", b"7 3 86399", b"roof 4")):
        (tmp_path / f"{number}").write_bytes(content)
    archive.ingest(tmp_path / f"{number}" for number in range(3))
    return archive


def labels(records):
    return [value.decode("utf-8", "replace") for value in records["label"].tolist()]


def with_none(values, gone):
    return [None if out else value for value, out in zip(values.ravel().tolist(), gone.ravel().tolist())]


# ---- Arrow


def check_arrow(table, rates):
    """A table of Arrow has all that the records have."""
    assert table.column("time").type == pa.timestamp("ns", tz="UTC")
    assert np.array_equal(table.column("time").to_numpy().view(np.int64), rates.times.view(np.int64))
    counts = table.column("counts").combine_chunks()
    assert counts.type == pa.list_(pa.int16(), 3)
    assert counts.flatten().to_pylist() == with_none(rates["counts"], rates["counts"] == -999)
    assert table.column("pressure").to_pylist() == with_none(rates["pressure"], rates["pressure"] == -1)
    assert table.column("grid").to_pylist() == rates["grid"].tolist()
    assert table.column("label").to_pylist() == labels(rates)
    assert table.column("good").to_pylist() == rates["good"].tolist()
    assert table.column("second").type == pa.uint32()


def test_arrow_has_values_nulls_units_and_titles(rates):
    table = rates.to_arrow()
    check_arrow(table, rates)
    assert table.schema.field("counts").metadata == {b"unit": b"1/s", b"title": b"counts of each layer"}
    assert table.schema.metadata == {b"data_type": b"muon.rates", b"title": b"Rates of the layers"}


def test_pyarrow_takes_records_as_they_are(rates):
    check_arrow(pa.table(rates[10:90]), rates[10:90])
    check_arrow(pa.RecordBatchReader.from_stream(rates).read_all(), rates)


def test_polars_takes_records_as_they_are(rates):
    for frame in (pl.DataFrame(rates), rates.to_polars()):
        assert frame["time"].dtype == pl.Datetime("ns", "UTC")
        assert frame["counts"].dtype == pl.Array(pl.Int16, 3)
        assert frame["counts"].explode().to_list() == with_none(rates["counts"], rates["counts"] == -999)
        assert frame["pressure"].null_count() == np.count_nonzero(rates["pressure"] == -1)
        assert frame["label"].to_list() == labels(rates)
    day = rates.to_polars().filter(pl.col("time").dt.day() == 31)["second"].to_list()
    assert day == rates["second"][rates.times.astype("datetime64[D]").astype(str) == "1997-10-31"].tolist() + (
        rates["second"][-1:].tolist()  # the leap second ends the 31st of December
    )


def test_duckdb_asks_records_by_sql(rates):
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.register("rates", rates.to_arrow())
        found = connection.sql("SELECT count(*), avg(pressure), sum(counts[1]) FROM rates WHERE NOT good").fetchall()[0]
    bad = rates[~rates["good"]]
    pressure, counts = bad["pressure"], bad["counts"][:, 0]
    assert found[0] == len(bad)
    assert found[1] == pytest.approx(pressure[pressure != -1].mean())
    assert found[2] == counts[counts != -999].sum()


def test_duckdb_takes_records_as_they_are(rates):
    mine = rates
    assert duckdb.sql("SELECT count(*), max(second) FROM mine").fetchall() == [(ROWS, int(mine["second"].max()))]


def test_pandas_takes_records_as_they_are(rates):
    frame = pd.DataFrame.from_arrow(rates)
    assert frame["second"].tolist() == rates["second"].tolist()
    assert frame["pressure"].isna().tolist() == (rates["pressure"] == -1).tolist()


def test_blobs_are_handed_on_where_they_are_asked_for(stations):
    events = stations.read("school.events")
    table = events.to_arrow(blobs=True)
    assert table.column("traces").to_pylist() == [[f"trace of {s}".encode(), None] for s in events["station"]]
    assert table.column("station").to_pylist() == list(map(str, events["station"]))
    assert events.to_pandas(blobs=True)["traces[0]"].tolist() == [row[0] for row in table.column("traces").to_pylist()]
    assert events.to_polars(blobs=True)["traces"].to_list() == table.column("traces").to_pylist()
    assert events.to_arrow().column("traces").to_pylist() == events["traces"].tolist()


# ---- pandas


def test_pandas_has_units_and_titles_and_nan_for_what_is_missing(rates):
    frame = rates.to_pandas()
    assert frame.attrs["units"]["counts[1]"] == "1/s"
    assert frame.attrs["titles"]["second"] == "start of the cycle"
    assert frame.attrs["title"] == "Rates of the layers"
    assert frame["counts[2]"].isna().tolist() == (rates["counts"][:, 2] == -999).tolist()
    assert np.array_equal(frame["pressure"].dropna(), rates["pressure"][rates["pressure"] != -1])
    assert frame["label"].tolist() == labels(rates)
    assert np.array_equal(frame.index.to_numpy(), rates.times)


# ---- xarray


def test_xarray_has_coordinates_and_attributes_of_cf(rates):
    dataset = rates.to_xarray()
    assert dataset.sizes == {"time": ROWS, "counts_element": 3, "grid_element_0": 2, "grid_element_1": 2}
    assert np.array_equal(dataset["time"], rates.times)
    assert dataset["counts"].attrs == {"units": "1/s", "long_name": "counts of each layer"}
    assert dataset["quality"].attrs["flag_meanings"] == "BAD_CLOCK filled_up"
    assert dataset["quality"].attrs["flag_masks"].tolist() == [1, 0x80]
    assert dataset["quality"].attrs["flag_masks"].dtype == np.uint8
    assert np.array_equal(np.isnan(dataset["counts"]), rates["counts"] == -999)
    assert dataset["label"].values.tolist() == labels(rates)
    assert dataset.attrs["Conventions"].startswith("CF-")


def test_a_data_set_goes_through_netcdf_and_back(rates, tmp_path):
    dataset = rates.to_xarray()
    dataset.to_netcdf(tmp_path / "rates.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "rates.nc", engine="h5netcdf", decode_timedelta=False) as back:
        xr.testing.assert_equal(back.load(), dataset)


def test_xarray_opens_an_archive_and_reads_fields_when_they_are_needed(archive, rates):
    opened = xr.open_dataset(archive.root.path, engine="dayfile", group="muon.rates")
    assert not any(opened[name].variable._in_memory for name in opened.data_vars)
    xr.testing.assert_identical(opened.load(), rates.to_xarray())
    guessed = xr.open_dataset(str(archive.root.path))  # the only type of the archive
    xr.testing.assert_identical(guessed.load(), rates.to_xarray())


def test_xarray_opens_one_day_file(archive, rates):
    path = rates.places[0].path
    opened = xr.open_dataset(path, engine="dayfile", group="muon.rates")
    expected = rates[rates.origins == 0].to_xarray()
    assert 0 < opened.sizes["time"] < ROWS
    xr.testing.assert_identical(opened.load(), expected)


def test_xarray_opens_a_range_with_a_condition(archive):
    question = {"start": "1997-11-01", "stop": "1997-11-02", "where": "good and pressure > 0"}
    opened = xr.open_dataset(archive.root.path, engine="dayfile", drop_variables=["grid"], **question)
    expected = (
        archive.read("muon.rates", **question)
        .to_xarray()
        .drop_vars("grid")
        .drop_dims(["grid_element_0", "grid_element_1"], errors="ignore")
    )
    xr.testing.assert_identical(opened.load(), expected)


def test_keys_are_coordinates(stations):
    opened = xr.open_dataset(stations.root.path, engine="dayfile", group="school.events", keys={"station": [501, 7]})
    assert opened["station"].values.tolist() == [501, 7, 501, 7, 501]
    assert opened["height"].values.tolist() == [1, 3, 5, 86399, 90000]


SHAPES = {"second": (ROWS,), "counts": (ROWS, 3), "grid": (ROWS, 2, 2), "label": (ROWS,)}


def indexes(length):
    """Strategy for a number, a slice, and indexes along a dimension."""
    bounds = st.none() | st.integers(-length - 2, length + 2)
    slices = st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 3, -1, -2]))
    # xarray itself cannot take an empty slice with a negative step of any lazy field.
    slices = slices.filter(lambda part: (part.step or 1) > 0 or len(range(length)[part]) > 0)
    return st.integers(-length, length - 1) | slices | st.lists(st.integers(0, length - 1), max_size=4)


PARTS = st.one_of([st.tuples(st.just(name), st.tuples(*map(indexes, shape))) for name, shape in SHAPES.items()]).filter(
    lambda part: sum(isinstance(each, list) for each in part[1]) < 2
)


@given(part=PARTS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_part_of_a_lazy_field_is_that_part(archive, whole, part):
    name, index = part
    opened = xr.open_dataset(archive.root.path, engine="dayfile", group="muon.rates")
    xr.testing.assert_identical(opened[name][index].load(), whole[name][index])


@pytest.mark.parametrize("added", [slice(1, None, 2), slice(7, 8)], ids=["many", "one"])
def test_a_field_read_later_never_gets_the_times_of_other_records(tmp_path, archive, rates, added):
    instrument = Instrument(TELESCOPE, "muon.yaml")
    later = create_archive(tmp_path / "archive", plugins={"muon": instrument})
    later.put("muon.rates", rates[::2])
    opened = xr.open_dataset(later.root.path, engine="dayfile")
    first = opened["counts"].load()
    later.put("muon.rates", rates[added])
    with pytest.raises(StorageError, match=r"added or replaced since they were opened here; open them again"):
        opened["grid"].load()
    xr.testing.assert_identical(first, rates[::2].to_xarray()["counts"])


def test_a_lazy_data_set_is_worked_on_by_dask_and_can_be_pickled(archive, rates):
    opened = xr.open_dataset(archive.root.path, engine="dayfile", group="muon.rates", chunks={"time": 60})
    with dask.config.set(scheduler="threads", num_workers=4):
        xr.testing.assert_equal(opened.compute(), rates.to_xarray())
    back = pickle.loads(pickle.dumps(xr.open_dataset(archive.root.path, engine="dayfile")))
    xr.testing.assert_identical(back.load(), rates.to_xarray())


def test_the_data_type_is_named_where_there_are_several(stations, muon, hits):
    assert xr.open_dataset(stations.root.path, engine="dayfile").sizes["time"] == 6
    with pytest.raises(UsageError, match=r"no data type 'school\.event'; did you mean 'school\.events'"):
        xr.open_dataset(stations.root.path, engine="dayfile", group="school.event")
    both = open_archive(stations.root.path, plugins={"muon": muon.instrument})
    both.put("muon.hits", muon.records("hits", [{"second": muon.start}]))
    with pytest.raises(UsageError, match=r"name a data type by group=…: muon\.hits, school\.events"):
        xr.open_dataset(stations.root.path, engine="dayfile")


# ---- astropy


def test_astropy_has_units_masks_and_exact_times(rates):
    table = rates.to_astropy()
    assert table["pressure"].unit == units.hPa
    assert table["counts"].unit == 1 / units.s
    assert str(table["grid"].unit) == "ADC count"
    assert table["counts"].description == "counts of each layer"
    assert np.array_equal(table["counts"].mask, rates["counts"] == -999)
    assert np.array_equal(table["counts"].data.data, rates["counts"])
    assert table["time"][-1].isot == LEAP
    ordinary = table["time"][:-1]
    assert np.array_equal(ordinary.datetime64, rates.times[:-1])
    assert table.meta["data_type"] == "muon.rates"


def test_a_time_that_astropy_was_given_finds_its_record_again(archive, rates):
    time = rates.to_astropy()["time"][-1]
    assert isinstance(time, Time)
    assert len(archive.read("muon.rates", time, inside=True)) == 1


def test_what_xarray_cannot_open_is_an_error_that_says_what_it_can(stations, tmp_path):
    for path, words, message in (
        (tmp_path / "nope", {}, "nope: no archive or day file is here"),
        (stations.root.path, {"station": 501}, r"takes no 'station'; write keys=\{'station': …\}"),
        (stations.root.path, {"were": "1"}, r"takes no 'were'; did you mean 'where'\?"),
    ):
        with pytest.raises(UsageError, match=message):
            xr.open_dataset(path, engine="dayfile", group="school.events", **words)
    with pytest.raises(UsageError, match="has no key 'keys'; its keys are: station; write station=… itself"):
        stations.read("school.events", keys={"station": 501})
    with pytest.raises(UsageError, match=r"has no key 'field'; its keys are: station; did you mean 'fields'\?"):
        stations.read("school.events", field=["height"])


# ---- dask


def test_dask_has_a_partition_for_each_day_and_the_same_values(archive, rates):
    frame = archive.to_dask("muon.rates")
    assert frame.npartitions == 4
    assert frame.known_divisions
    expected = rates.to_pandas()
    for scheduler in ("threads", "sync", "processes"):
        with dask.config.set(scheduler=scheduler, num_workers=2):
            pd.testing.assert_frame_equal(frame.compute(), expected, check_dtype=False)
    day = frame.loc["1997-11-01":"1997-11-01"]
    pd.testing.assert_frame_equal(day.compute(), expected.loc["1997-11-01":"1997-11-01"], check_dtype=False)


def test_dask_reads_ranges_with_conditions(archive):
    question = {"start": "1997-11-01", "stop": "1997-11-02T12:00", "fields": ["pressure"], "where": "good"}
    found = archive.to_dask("muon.rates", **question)
    pd.testing.assert_frame_equal(
        found.compute(), archive.read("muon.rates", **question).to_pandas(), check_dtype=False
    )
    assert len(archive.to_dask("muon.rates", "1990", "1991").compute()) == 0


# ---- all of them


@pytest.mark.parametrize("missing", [{}, {"missing": "keep"}, {"missing": "nan"}])
@pytest.mark.parametrize("where", ["pressure < 0", "counts[1] < 500"])
def test_a_condition_chooses_the_same_records_wherever_it_is_asked(archive, where, missing):
    expected = archive.read("muon.rates", where=where, **missing)
    lazy = xr.open_dataset(archive.root.path, engine="dayfile", where=where, **missing)
    xr.testing.assert_identical(lazy.load(), expected.to_xarray())
    frame = archive.to_dask("muon.rates", where=where, **missing).compute()
    pd.testing.assert_frame_equal(frame, expected.to_pandas(), check_dtype=False)
    assert len(archive.read("muon.rates", where=where)) > len(archive.read("muon.rates", where=where, missing="nan"))


@pytest.mark.parametrize("empty", ["1990", "2030"])
def test_no_records_are_handed_on_with_all_columns(archive, rates, empty):
    none = archive.read("muon.rates", empty, str(int(empty) + 1))
    assert none.to_arrow().schema == rates.to_arrow().schema
    assert none.to_pandas().columns.tolist() == rates.to_pandas().columns.tolist()
    assert none.to_polars().schema == rates.to_polars().schema
    assert none.to_xarray().sizes["time"] == len(none.to_astropy()) == 0
    assert set(none.to_xarray().variables) == set(rates.to_xarray().variables)


@pytest.mark.parametrize(
    ("library", "method", "extra"),
    [
        ("pandas", "to_pandas", "export"),
        ("pyarrow", "to_arrow", "arrow"),
        ("polars", "to_polars", "polars"),
        ("xarray", "to_xarray", "xarray"),
        ("astropy.table", "to_astropy", "astropy"),
    ],
)
def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(
    rates, monkeypatch, library, method, extra
):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(
        MissingExtraError, match=rf'{method} needs {library.split(".")[0]}.*pip install "dayfile\[{extra}\]"'
    ):
        getattr(rates, method)()


def test_reading_imports_none_of_them(archive):
    code = (
        f"import dayfile, sys; dayfile.open_archive({str(archive.root.path)!r}).read('muon.rates', where='good')[3]; "
    )
    code += (
        "print([name for name in ('pandas', 'pyarrow', 'polars', 'xarray', 'astropy', 'dask') if name in sys.modules])"
    )
    assert run_python("-c", code).stdout.strip() == "[]"


# ---- notebooks


def test_a_notebook_shows_the_first_records_with_units(rates):
    html = rates._repr_html_()
    assert "muon.rates" in html
    assert "Rates of the layers: 500 records, 1997-10-31T" in html
    assert html.count("<tr>") == 2 + 10
    assert "<th>1/s</th>" in html
    assert 'title="counts of each layer"' in html
    assert "10 of 500 records" in html


def test_a_notebook_shows_what_an_archive_holds(archive):
    html = archive._repr_html_()
    assert "<td>muon.rates</td><td>4</td><td>500</td><td>1997-10-31T" in html


def test_html_is_escaped_and_says_what_is_missing_or_near(archive, muon):
    records = archive.read("muon.rates", "1990", "1991")
    assert "0 records; nearest days: 1997-10-31" in records._repr_html_()
    assert ">-</td>" in archive.read("muon.rates", where="pressure == -1")._repr_html_()
