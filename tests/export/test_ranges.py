"""Files of any range: the programs they are for read them, and find value by value what the archive has."""

from __future__ import annotations

import csv
import io
import json
from base64 import b64decode

import cdflib
import cdflib.xarray
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import xarray as xr
from astropy.table import Table

from archives import make_plugins
from dayfile import Instrument, create_archive, hookimpl, open_archive
from dayfile.archive.exporting import select_records
from dayfile.errors import MissingExtraError, PluginError, UsageError
from dayfile.export.base import BlobReader
from dayfile.export.registry import CORE_EXPORTERS
from instruments import TELESCOPE, School

START = 57801601  # clock value of the first second of 1997-10-31
LEAP = "2016-12-31T23:59:60"
ROWS = 400
FORMATS = {exporter.suffix: exporter for exporter in CORE_EXPORTERS}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Three days of rates, and one record in the leap second of 2016."""
    instrument = Instrument(TELESCOPE, "muon.yaml")
    (rates,) = instrument.data_types()
    rng = np.random.default_rng(5)
    archive = create_archive(tmp_path_factory.mktemp("telescope") / "archive", plugins={"muon": instrument})
    array = np.zeros(ROWS, rates.dtype)
    array["second"] = START + np.sort(rng.choice(3 * 86400, ROWS, replace=False))
    array["second"][-1] = rates.clock.number(LEAP)
    array["nanosecond"] = rng.integers(0, 10**9, ROWS)
    array["counts"] = rng.integers(0, 1000, (ROWS, 3))
    array["counts"][rng.random((ROWS, 3)) < 0.2] = -999
    array["grid"] = rng.random((ROWS, 2, 2))
    array["grid"][3, 0, 1] = np.nan
    array["pressure"] = rng.choice([1013, 1000, -1], ROWS)
    array["level"] = rng.choice([0.1, -9.5, np.inf], ROWS)
    array["label"] = rng.choice([b"", b"a,b", "rué".encode(), b'"x\n'], ROWS)
    array["good"] = rng.random(ROWS) < 0.5
    array["quality"] = rng.choice([0, 1, 0x80, 255], ROWS)
    array["large"] = rng.integers(0, 2**63, ROWS)
    assert not archive.put("muon.rates", array).any()
    return open_archive(archive.root.path)


@pytest.fixture(scope="module")
def rates(archive):
    return archive.read("muon.rates")


@pytest.fixture(scope="module")
def files(archive, tmp_path_factory):
    """The rates in each format, by suffix."""
    directory = tmp_path_factory.mktemp("files")
    return {suffix: write(archive, directory / f"rates{suffix}", "muon.rates") for suffix in FORMATS}


def write(archive, path, name, *bounds, **asked):
    FORMATS[path.suffix].write(select_records(archive, name, *bounds, **asked), path)
    return path


def with_none(values, gone):
    return [None if out else value for value, out in zip(values.ravel().tolist(), gone.ravel().tolist(), strict=True)]


def nanoseconds(times):
    return np.asarray(times, "M8[ns]").astype(np.int64).tolist()


def labels(rates):
    return [value.decode() for value in rates["label"].tolist()]


def missing(rates, name):
    return rates.data_type.field(name).is_missing(rates[name])


def as_nan(rates, name, like="f8"):
    values = rates[name].astype(like)
    values[missing(rates, name)] = np.nan
    return values


def same(found, wanted):
    """Values are the same, NaN too."""
    return np.array_equal(np.asarray(found, float), np.asarray(wanted, float), equal_nan=True)


# ---- CSV and JSON lines


def test_pandas_reads_csv(files, rates):
    frame = pd.read_csv(files[".csv"], dtype={"large": "uint64"}, keep_default_na=False, na_values={"level": [""]})
    assert nanoseconds(pd.to_datetime(frame["time"]).dt.tz_localize(None)) == nanoseconds(rates.times)
    assert list(frame.columns)[:6] == ["time", "second", "nanosecond", "counts[0]", "counts[1]", "counts[2]"]
    for layer in range(3):
        found = pd.to_numeric(frame[f"counts[{layer}]"], errors="coerce")
        assert same(found, as_nan(rates, "counts")[:, layer])
    assert same(frame["level"], as_nan(rates, "level"))
    assert same(pd.to_numeric(frame["grid[0,1]"]).astype("f4"), rates["grid"][:, 0, 1])
    assert frame["label"].tolist() == labels(rates)
    assert frame["good"].tolist() == rates["good"].tolist()
    assert frame["large"].tolist() == rates["large"].tolist()


def test_polars_and_astropy_read_csv(files, rates):
    frame = pl.read_csv(files[".csv"], try_parse_dates=True)
    assert frame["good"].to_list() == rates["good"].tolist()
    assert frame["counts[1]"].to_list() == with_none(rates["counts"][:, 1], missing(rates, "counts")[:, 1])
    table = Table.read(files[".csv"], format="csv")
    assert table["quality"].tolist() == rates["quality"].tolist()
    assert table["counts[1]"].tolist() == with_none(rates["counts"][:, 1], missing(rates, "counts")[:, 1])


def test_csv_has_the_shortest_number_that_is_the_same(files, rates):
    rows = list(csv.DictReader(io.StringIO(files[".csv"].read_text())))
    assert [row["grid[1,1]"] for row in rows] == [str(value) for value in rates["grid"][:, 1, 1]]


def test_each_json_line_is_a_record(files, rates):
    rows = [json.loads(line) for line in files[".jsonl"].read_text().splitlines()]
    assert [row["time"] for row in rows] == [f"{time}Z" for time in rates.times]
    assert [row["counts"] for row in rows] == rates.to_arrow().column("counts").to_pylist()
    assert [row["level"] for row in rows] == with_none(rates["level"], ~np.isfinite(as_nan(rates, "level")))
    assert rows[3]["grid"][0][1] is None
    assert np.float32(rows[4]["grid"][0][1]) == rates["grid"][4, 0, 1]
    assert [row["label"] for row in rows] == labels(rates)
    assert [row["large"] for row in rows] == rates["large"].tolist()
    assert pl.read_ndjson(files[".jsonl"])["quality"].to_list() == rates["quality"].tolist()


# ---- Parquet


def test_parquet_is_the_table_of_arrow_with_units(files, rates):
    table = pq.read_table(files[".parquet"])
    wanted = rates.to_arrow()
    assert table.schema.equals(wanted.schema, check_metadata=False)
    assert table.schema.field("counts").metadata[b"unit"] == b"1/s"
    for name in wanted.column_names:
        assert [*map(str, table.column(name).to_pylist())] == [*map(str, wanted.column(name).to_pylist())], name


def test_polars_duckdb_and_pandas_read_parquet(files, rates):
    import duckdb

    frame = pl.read_parquet(files[".parquet"])
    assert nanoseconds(frame["time"].to_numpy()) == nanoseconds(rates.times)
    assert frame["counts"].to_list() == rates.to_arrow().column("counts").to_pylist()
    total = duckdb.read_parquet(str(files[".parquet"])).aggregate("sum(quality), count(pressure)").fetchall()
    assert total == [(int(rates["quality"].sum()), int((~missing(rates, "pressure")).sum()))]
    assert pd.read_parquet(files[".parquet"])["label"].tolist() == labels(rates)


# ---- netCDF


def test_xarray_reads_netcdf(files, rates):
    with xr.open_dataset(files[".nc"]) as data:
        assert nanoseconds(data["time"].values) == nanoseconds(rates.times)
        assert data["counts"].dims == ("time", "counts_element")
        assert same(data["counts"], as_nan(rates, "counts"))
        assert same(data["pressure"], as_nan(rates, "pressure"))
        assert same(data["level"], as_nan(rates, "level"))
        assert same(data["grid"], rates["grid"])
        assert data["label"].values.tolist() == labels(rates)
        assert data["good"].values.tolist() == rates["good"].tolist()
        assert data["quality"].values.tolist() == rates["quality"].tolist()
        assert data["quality"].attrs["flag_masks"].tolist() == [1, 128]
        assert data["large"].values.tolist() == rates["large"].tolist()
        assert (data["second"].attrs["units"], data["second"].attrs["long_name"]) == ("s", "start of the cycle")
        assert data.encoding["unlimited_dims"] == {"time"}
        assert data.attrs["Conventions"] == "CF-1.11"


def test_netcdf4_reads_netcdf(files, rates):
    import netCDF4

    with netCDF4.Dataset(files[".nc"]) as data:
        counts = data["counts"][:]
        assert counts.mask.tolist() == missing(rates, "counts").tolist()
        assert counts.data[~counts.mask].tolist() == rates["counts"][~missing(rates, "counts")].tolist()
        assert data["time"].units == "nanoseconds since 1970-01-01T00:00:00"
        assert data["time"][:].tolist() == nanoseconds(rates.times)


# ---- CDF


def test_cdflib_reads_cdf(files, rates):
    with cdflib.CDF(files[".cdf"], string_encoding="utf-8") as data:
        found = {name: data.varget(name) for name in data.cdf_info().zVariables}
        described = {name: data.varattsget(name) for name in found}
    assert found["second"].tolist() == rates["second"].tolist()
    fill = described["counts"]["FILLVAL"]
    assert found["counts"].tolist() == np.where(missing(rates, "counts"), fill, rates["counts"]).tolist()
    assert found["pressure"][missing(rates, "pressure")].tolist() == [-(2**31)] * int(missing(rates, "pressure").sum())
    assert found["grid"][4].tolist() == rates["grid"][4].tolist()
    assert found["grid"][3, 0, 1] == np.float32(-1e31)
    assert found["quality"].tolist() == rates["quality"].tolist(), "255 is a value, and not the fill value"
    assert found["large"].tolist() == rates["large"].tolist()
    assert found["good"].tolist() == rates["good"].astype(int).tolist()
    assert [text.rstrip(" ") for text in found["label"].tolist()] == labels(rates)
    assert described["counts"]["UNITS"] == "1/s"
    assert described["counts"]["LABL_PTR_1"] == "counts_element_label"
    assert found["counts_element_label"].tolist() == ["top", "lower 1", "lower 2"]


def test_the_times_of_cdf_are_exact_in_a_leap_second_too(files, rates):
    with cdflib.CDF(files[".cdf"]) as data:
        texts = cdflib.cdfepoch.encode_tt2000(data.varget("Epoch"))
    assert texts[-1] == f"{LEAP}.{rates['nanosecond'][-1]:09}"
    assert list(texts[:-1]) == [str(time) for time in rates.times[:-1]]


def test_cdf_has_no_integers_of_64_bits_without_a_sign(archive, tmp_path, rates):
    instrument = Instrument(TELESCOPE, "muon.yaml")
    larger = create_archive(tmp_path / "larger", plugins={"muon": instrument})
    record = rates.array[:1].copy()
    record["large"] = 2**63
    larger.put("muon.rates", record)
    with pytest.raises(UsageError, match=r"large has values of 2\*\*63 and more"):
        write(larger, tmp_path / "x.cdf", "muon.rates")


def check_istp(path, tmp_path, caplog):
    """The checks of cdflib, which look at what it reads from a file, find nothing."""
    data = cdflib.xarray.cdf_to_xarray(str(path))
    again = tmp_path / "again.cdf"
    again.unlink(missing_ok=True)
    cdflib.xarray.xarray_to_cdf(data, str(again), terminate_on_warning=True)
    assert caplog.text == ""


def test_a_cdf_meets_the_guidelines_of_istp(files, tmp_path, caplog):
    check_istp(files[".cdf"], tmp_path, caplog)


# ---- what is selected


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_selection_of_nothing_is_a_file_without_records(archive, tmp_path, suffix):
    path = write(archive, tmp_path / f"none{suffix}", "muon.rates", "1999", "2000")
    readers = {
        ".csv": lambda: len(pd.read_csv(path)),
        ".jsonl": lambda: len(path.read_text()),
        ".parquet": lambda: len(pl.read_parquet(path)),
        ".nc": lambda: xr.open_dataset(path).sizes["time"],
        ".cdf": lambda: cdflib.CDF(path).varinq("second").Last_Rec + 1,
    }
    assert readers[suffix]() == 0


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_fields_and_conditions_select_and_times_stay(archive, rates, tmp_path, suffix):
    bounds = ("1997-10-31", "1997-11-01")
    path = write(
        archive, tmp_path / f"some{suffix}", "muon.rates", *bounds, fields=["quality"], where="pressure == 1013"
    )
    frame = pl.read_parquet(path) if suffix == ".parquet" else pl.read_csv(path)
    wanted = archive.read("muon.rates", *bounds, inside=True, where="pressure == 1013")
    assert frame.columns == ["time", "quality"]
    assert frame["quality"].to_list() == wanted["quality"].tolist()
    assert 0 < len(frame) < len(rates)


def test_ranges_that_follow_each_other_have_each_record_once(archive, rates, tmp_path):
    middle = rates.times[100]
    first = write(archive, tmp_path / "first.parquet", "muon.rates", None, middle)
    rest = write(archive, tmp_path / "rest.parquet", "muon.rates", middle, None)
    both = pl.concat([pl.read_parquet(first), pl.read_parquet(rest)])
    assert nanoseconds(both["time"].to_numpy()) == nanoseconds(rates.times)


def test_pieces_of_any_size_make_the_same_file(archive, files, tmp_path, monkeypatch):
    selection = select_records(archive, "muon.rates")
    small = [piece[start : start + 7] for piece in selection.read() for start in range(0, len(piece), 7)]
    whole = pl.read_parquet(files[".parquet"])
    chunked = type(selection)(selection.data_type, selection.keys, lambda: iter(small), selection.empty)
    for suffix in (".parquet", ".csv", ".nc", ".cdf"):
        FORMATS[suffix].write(chunked, tmp_path / f"small{suffix}")
    assert pl.read_parquet(tmp_path / "small.parquet").equals(whole)
    assert (tmp_path / "small.csv").read_bytes() == files[".csv"].read_bytes()
    assert xr.open_dataset(tmp_path / "small.nc").identical(xr.open_dataset(files[".nc"]))
    with cdflib.CDF(tmp_path / "small.cdf") as found, cdflib.CDF(files[".cdf"]) as wanted:
        for name in wanted.cdf_info().zVariables:
            assert np.array_equal(found.varget(name), wanted.varget(name), equal_nan=False), name


# ---- keys and blobs


class Roofs:
    """A plugin: a source is a station and seconds of its events; it reads traces, which are lists of numbers."""

    def __init__(self, school, readers=()):
        self.school = school
        self.readers = readers

    @hookimpl
    def data_types(self):
        return self.school.types.values()

    @hookimpl
    def exporters(self):
        return self.readers

    @hookimpl
    def decode(self, source):
        station, *seconds = source.content.decode().split()
        rows = [(int(each), float(each), b"x", f"{each},2".encode(), None) for each in seconds]
        place = int(station) if station.isdigit() else station
        yield self.school.make_events(rows, station=place)
        yield self.school.make_errors(
            [(int(each), f"caf\xe9 {each}".encode("latin-1")) for each in seconds], station=place
        )


def read_numbers(blob):
    if blob == b"7,2":
        raise ValueError("damaged")
    return np.array(blob.split(b","), np.int32)


READER = BlobReader("school.events", "traces", "int32", read_numbers, "ADC count", "what the detector saw")


@pytest.fixture
def school():
    return School()


@pytest.fixture
def roofs(tmp_path, school, archive_of_sources):
    return archive_of_sources(Roofs(school), b"501 5 1 90000", b"roof 3 7")


@pytest.fixture
def archive_of_sources(tmp_path):
    """Archive sources with a plugin, and return the archive."""

    def make(plugin, *contents):
        archive = create_archive(tmp_path / "school", plugins={"school": plugin})
        assert not archive.ingest([(f"{n}", content) for n, content in enumerate(contents)]).quarantine
        return archive

    return make


SAMPLES = [[[1, 2], None], [[3, 2], None], [[5, 2], None], [None, None], [[90000, 2], None]]
TEXTS = ["1", "3", "5", "7", "90000"]


def read_lists(path):
    """Traces, stations and messages of a file, as lists."""
    match path.suffix:
        case ".jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            return [row["traces"] for row in rows], [row["station"] for row in rows]
        case ".csv":
            rows = list(csv.DictReader(io.StringIO(path.read_text())))
            cells = [[row[f"traces[{n}]"] for n in range(2)] for row in rows]
            return [[json.loads(cell) if cell else None for cell in pair] for pair in cells], [
                r["station"] for r in rows
            ]
        case ".parquet":
            table = pq.read_table(path)
            return table.column("traces").to_pylist(), table.column("station").to_pylist()
        case ".nc":
            data = xr.open_dataset(path, mask_and_scale=False)
            texts = data["station"].values.tolist()
        case _:
            data = cdflib.xarray.cdf_to_xarray(str(path))
            texts = [text.rstrip() for text in data["station"].values.tolist()]
    lengths = data["traces_length"].values
    lists = [
        [data["traces"].values[row, n, : lengths[row, n]].tolist() or None for n in range(2)]
        for row in range(len(texts))
    ]
    return lists, texts


@pytest.mark.parametrize("suffix", FORMATS)
def test_blobs_are_lists_of_samples_where_a_plugin_reads_them(roofs, tmp_path, suffix):
    selection = select_records(roofs, "school.events", readers={"traces": READER})
    path = tmp_path / f"events{suffix}"
    FORMATS[suffix].write(selection, path)
    assert read_lists(path) == (SAMPLES, ["501", "roof", "501", "roof", "501"])
    assert selection.damaged == {"traces": 1}


@pytest.mark.parametrize("suffix", FORMATS)
def test_texts_are_texts_and_other_blobs_bytes(roofs, tmp_path, suffix):
    events = write(roofs, tmp_path / f"events{suffix}", "school.events")
    errors = write(roofs, tmp_path / f"errors{suffix}", "school.errors")
    match suffix:
        case ".csv":
            found = [b64decode(text) for text in pd.read_csv(events)["traces[0]"]]
            texts = pd.read_csv(errors)["message"].tolist()
        case ".jsonl":
            found = [b64decode(json.loads(line)["traces"][0]) for line in events.read_text().splitlines()]
            texts = [json.loads(line)["message"] for line in errors.read_text().splitlines()]
        case ".parquet":
            found = [pair[0] for pair in pl.read_parquet(events)["traces"].to_list()]
            texts = pl.read_parquet(errors)["message"].to_list()
            assert pq.read_schema(events).field("traces").metadata[b"blob"] == b"bytes"
        case ".nc":
            found = [b64decode(text) for text in xr.open_dataset(events)["traces"].values[:, 0]]
            texts = xr.open_dataset(errors)["message"].values.tolist()
        case _:
            found = [b64decode(text) for text in cdflib.CDF(events).varget("traces")[:, 0]]
            texts = [text.rstrip(" ") for text in cdflib.CDF(errors, string_encoding="utf-8").varget("message")]
    assert found == [f"{each},2".encode() for each in TEXTS]
    assert texts == [f"café {each}" for each in TEXTS]


def test_keys_that_are_numbers_stay_numbers(roofs, tmp_path):
    path = write(roofs, tmp_path / "x.parquet", "school.errors", station=["501", "roof"])
    assert pl.read_parquet(path)["station"].to_list() == ["501", "roof", "501", "roof", "501"]


def test_a_reader_of_samples_is_offered_by_a_plugin(school):
    loaded = make_plugins(school=Roofs(school, [READER]))
    assert loaded.blob_readers(school.events) == {"traces": READER}
    assert loaded.blob_readers(school.errors) == {}


def test_a_reader_that_breaks_its_word_is_a_failure_of_the_plugin(roofs, tmp_path):
    reader = BlobReader("school.events", "traces", "int8", lambda _blob: np.zeros(3, np.int64))
    selection = select_records(roofs, "school.events", readers={"traces": reader})
    with pytest.raises(PluginError, match="declares int8; it returned int64"):
        FORMATS[".csv"].write(selection, tmp_path / "x.csv")


def test_a_library_that_is_missing_is_named_with_the_command_that_installs_it(archive, tmp_path, monkeypatch):
    import sys

    for module, suffix, extra in (
        ("cdflib.cdfwrite", ".cdf", "cdf"),
        ("h5netcdf", ".nc", "xarray"),
        ("h5py", ".nc", "xarray"),
        ("pyarrow", ".parquet", "arrow"),
    ):
        with monkeypatch.context() as without:
            without.setitem(sys.modules, module, None)
            with pytest.raises(MissingExtraError, match=rf'pip install "dayfile\[{extra}\]"'):
                write(archive, tmp_path / f"x{suffix}", "muon.rates")
