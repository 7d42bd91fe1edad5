"""The types of the three instruments as files of any range, by the command: what a scientist does with them."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cdflib
import cdflib.xarray
import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr

from dayfile import create_archive, discovery, open_archive
from dayfile.archive.exporting import select_records
from dayfile.errors import UsageError
from dayfile.export.registry import CORE_EXPORTERS
from dayfile_hisparc.traces import read_traces
from running import run_command, run_python

DAY = np.datetime64("2024-05-01")
CDF = next(exporter for exporter in CORE_EXPORTERS if exporter.name == "cdf")
LOADED = discovery.load(["hisparc", "cris", "sis"])
TYPES = sorted(LOADED.data_types)
MB = 2**20


@pytest.fixture(scope="module")
def stations(tmp_path_factory):
    """A day of the sample stations."""
    directory = tmp_path_factory.mktemp("stations")
    archive = create_archive(directory / "archive", plugins=["hisparc"])
    archive.ingest([str(path) for path in LOADED.simulate("hisparc", DAY, 1, directory)])
    return archive


@pytest.fixture(scope="module")
def every_type(tmp_path_factory):
    """Three records of each type of the instruments."""
    directory = tmp_path_factory.mktemp("every")
    archive = create_archive(directory / "archive", plugins=["hisparc", "cris", "sis"])
    rng = np.random.default_rng(1)
    for data_type in LOADED.data_types.values():
        records = np.zeros(3, data_type.dtype)
        for field in data_type.fields:
            if field.base.kind in "iu" and not field.blob and not field.counter:
                records[field.name] = rng.integers(0, 100, records[field.name].shape)
        start = data_type.clock.day_start(DAY) + 512 * (1 + np.arange(3))
        for name in filter(None, (data_type.time, data_type.end)):
            records[name] = start
        if "ext_timestamp" in records.dtype.names:
            records["ext_timestamp"] = start.astype(np.uint64) * 10**9 + records["nanoseconds"]
        keys = {"cluster": "Amsterdam", "station": 501} if data_type.instrument == "hisparc" else {}
        blobs = {name: np.full(records[name].shape, None) for name in data_type.blob_fields}
        assert not archive.put(data_type.name, records, blobs=blobs, **keys).any()
    return archive


@pytest.mark.parametrize("name", TYPES)
def test_the_checks_of_cdflib_find_nothing(every_type, name, tmp_path, caplog):
    CDF.write(
        select_records(every_type, name, readers=LOADED.blob_readers(LOADED.data_types[name])), tmp_path / "x.cdf"
    )
    data = cdflib.xarray.cdf_to_xarray(str(tmp_path / "x.cdf"))
    cdflib.xarray.xarray_to_cdf(data, str(tmp_path / "again.cdf"), terminate_on_warning=True)
    assert caplog.text == ""
    records = every_type.read(name)
    for field in records.data_type.fields:
        if not field.blob and field.type != "char" and not field.missing:
            assert np.array_equal(data[field.name].values, records[field.name]), field.name


def export(archive, directory, *words):
    return run_command("dayfile", "export", *words, "--archive", archive.root.path, cwd=directory)


def test_traces_of_stations_are_adc_counts_in_all_formats(stations, tmp_path):
    for suffix in ("jsonl", "parquet", "nc", "cdf"):
        done = export(stations, tmp_path, "hisparc.events", "--station", "501,502", "-o", f"x.{suffix}")
        assert done.returncode == 0, done.stderr
        assert re.fullmatch(rf" +\d+  x.{suffix}\n", done.stdout)
    events = stations.read("hisparc.events", station=[501, 502])
    wanted = [read_traces(events, row) for row in (0, 100, len(events) - 1)]
    wanted = [[None if each is None else each.tolist() for each in row] for row in wanted]
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    frame = pl.read_parquet(tmp_path / "x.parquet")
    assert len(lines) == len(frame) == len(events)
    with xr.open_dataset(tmp_path / "x.nc", mask_and_scale=False) as data:
        lengths, traces = data["traces_length"].values, data["traces"].values
        assert data["traces"].attrs["units"] == "ADC count"
    with cdflib.CDF(tmp_path / "x.cdf") as file:
        of_cdf = file.varget("traces")
    for row, lists in zip((0, 100, len(events) - 1), wanted):
        assert json.loads(lines[row])["traces"] == lists
        assert frame["traces"][row].to_list() == lists
        for found in (traces, of_cdf):
            assert [found[row, n, : lengths[row, n]].tolist() or None for n in range(4)] == lists


def test_duckdb_sums_a_parquet_file_as_the_archive_does(stations, tmp_path):
    import duckdb

    assert export(stations, tmp_path, "hisparc.events", "-o", "x.parquet").returncode == 0
    table = duckdb.read_parquet(str(tmp_path / "x.parquet"))
    found = table.aggregate("station, count(*), sum(pulseheights[1])").order("station").fetchall()
    wanted = []
    for station in (501, 502, 510):
        heights = stations.read("hisparc.events", station=station)["pulseheights"][:, 0]
        wanted.append((station, len(heights), int(heights[heights >= 0].sum())))
    assert found == wanted


def test_standard_output_has_text_and_nothing_else(stations, tmp_path):
    bounds = ("--from", "2024-05-01T00:02", "--to", "2024-05-01T00:05")
    words = ("hisparc.events", *bounds, "--fields", "pulseheights,event_rate", "--where", "pulseheights[0] > 100")
    done = export(stations, tmp_path, *words, "--format", "csv", "-o", "-")
    assert (done.returncode, done.stderr) == (0, "")
    (tmp_path / "x.csv").write_text(done.stdout)
    frame = pd.read_csv(tmp_path / "x.csv")
    records = stations.read("hisparc.events", *bounds[1::2], where="pulseheights[0] > 100", inside=True)
    assert list(frame.columns) == [
        *("time", "cluster", "station"),
        *(f"pulseheights[{n}]" for n in range(4)),
        "event_rate",
    ]
    assert frame["station"].tolist() == records["station"].tolist()
    assert frame["event_rate"].astype("f4").tolist() == records["event_rate"].tolist()


def test_a_pipe_that_closes_ends_it_silently(stations, tmp_path):
    done = run_command(
        *(
            "bash",
            "-c",
            f"{sys.executable} -m dayfile export hisparc.events --format csv -o - | head -1; echo ${{PIPESTATUS[0]}}",
        ),
        environment={"DAYFILE_ARCHIVE": str(stations.root.path)},
    )
    assert done.stdout.splitlines()[0].startswith("time,cluster,station,event_id")
    assert done.stdout.splitlines()[1] == "141"
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "x"], "the name 'x' says no format; give one: cdf, csv, jsonl, netcdf, parquet"),
        (["-o", "-", "--format", "cdf"], "cdf is not text, and cannot be written to a stream; give the name of a file"),
        (["-o", "x.csv", "--format", "cvs"], "has no format 'cvs'; its formats are: cdf, csv, jsonl, netcdf, parquet"),
        (["-o", "x.csv", "--day", "2024-05-01", "--to", "2025"], "--day is a range already; leave out --from and --to"),
        (["-o", "x.csv", "--station", "999"], "no station 999; stations: 501, 502, 510"),
        (["-o", "x.csv", "--key", "stat=5"], "hisparc.events has no key 'stat'; its keys are: cluster, station"),
        (["-o", "x.csv", "--fields", "pulseheight"], "has no field 'pulseheight'; did you mean 'pulseheights'?"),
    ],
)
def test_what_cannot_be_exported_is_one_message(stations, tmp_path, words, message):
    done = export(stations, tmp_path, "hisparc.events", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("none/x.csv", "its directory does not exist"), ("here.csv", "this is a directory"), ("pipe.csv", "not a file")],
)
def test_a_file_that_cannot_be_made_is_one_message_and_nothing_is_replaced(stations, tmp_path, name, message):
    (tmp_path / "here.csv").mkdir()
    os.mkfifo(tmp_path / "pipe.csv")
    done = export(stations, tmp_path, "hisparc.events", "-o", name)
    assert done.returncode == 2
    assert f"{name}: " in done.stderr
    assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["here.csv", "pipe.csv"]
    assert not (tmp_path / "pipe.csv").is_file()


def test_a_range_without_records_is_said(stations, tmp_path):
    done = export(stations, tmp_path, "hisparc.events", "--from", "2025", "-o", "x.csv")
    assert (done.returncode, done.stderr) == (0, "dayfile: there are no such records of hisparc.events\n")
    assert (tmp_path / "x.csv").read_text().startswith("time,")


def test_a_standard_output_that_is_full_is_an_error(stations, tmp_path):
    words = ("dayfile", "export", "hisparc.events", "--archive", stations.root.path, "--format", "jsonl", "-o", "-")
    with Path("/dev/full").open("w") as full:
        done = run_command(*words, cwd=tmp_path, capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4
    assert "No space left on device" in done.stderr


def test_python_exports_as_the_command_does(stations, every_type, tmp_path):
    words = ("--station", "501,502", "--fields", "pulseheights", "--where", "pulseheights[0] > 0")
    assert export(stations, tmp_path, "hisparc.events", *words, "-o", "command.csv").returncode == 0
    opened = open_archive(stations.root.path)
    asked = {"station": ["501", "502"], "fields": "pulseheights", "where": "pulseheights[0] > 0"}
    done = opened.export("hisparc.events", tmp_path / "method.csv", **asked)
    assert done.files == (tmp_path / "method.csv",)
    lines = (tmp_path / "command.csv").read_text().splitlines()
    assert (done.records, done.damaged) == (len(lines) - 1, {})
    assert (tmp_path / "method.csv").read_text().splitlines() == lines
    stream = io.StringIO()
    assert opened.export("hisparc.events", stream, format="csv", **asked).files == ()
    assert stream.getvalue().splitlines() == lines
    days = open_archive(every_type.root.path).export("cris.hskp", tmp_path / "days", day=DAY, format="level1.1")
    assert [path.parent for path in days.files] == [tmp_path / "days"]
    with pytest.raises(UsageError, match="a day is a range already"):
        opened.export("hisparc.events", tmp_path / "a.csv", "2024-05-01", day=DAY)
    with pytest.raises(UsageError, match="a stream says no format; give one: cdf, csv"):
        opened.export("hisparc.events", io.StringIO())


def test_flat_files_are_of_one_day(every_type, tmp_path):
    done = export(every_type, tmp_path, "cris.hskp", "--format", "level1.1", "-o", "out", "--from", "2024")
    assert "level1.1 writes one day, as it is stored; it takes no range" in done.stderr
    done = export(every_type, tmp_path, "cris.hskp", "--format", "level1.1", "-o", "out")
    assert "level1.1 writes one day, as it is stored; name the day" in done.stderr
    done = export(every_type, tmp_path, "cris.hskp", "--format", "level1.1", "-o", "out", "--day", str(DAY))
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").iterdir())) == 1


PEAK = """
import sys
from pathlib import Path
from dayfile.cli import main

sys.argv = ["dayfile", "export", "cris.summary", "--archive", sys.argv[1], "-o", sys.argv[2]]
try:
    main()
except SystemExit as end:
    assert not end.code
lines = Path("/proc/self/status").read_text().splitlines()
print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")))
"""
DAYS = 6


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """Six days of a record each second."""
    archive = create_archive(tmp_path_factory.mktemp("long") / "archive", plugins=["cris"])
    data_type = LOADED.data_types["cris.summary"]
    with archive.putting() as put:
        for day in range(DAYS):
            records = np.zeros(86400, data_type.dtype)
            records["Second1996"] = data_type.clock.day_start(DAY + day) + np.arange(86400)
            put("cris.summary", records)
    return archive.root.path


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures by /proc")
@pytest.mark.parametrize("suffix", [exporter.suffix for exporter in CORE_EXPORTERS])
def test_an_export_needs_less_than_300_mb(long, tmp_path, suffix):
    done = run_python("-c", PEAK, long, tmp_path / f"x{suffix}")
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) * 1024 < 300 * MB
    assert len(open_archive(long).days("cris.summary")) == DAYS
