"""Day files of each instrument in the programs that people use: the page says truly which of them read what."""

from __future__ import annotations

import logging
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import tables

from archives import load_plugins, make_plugins
from dayfile import Instrument, create_archive, open_archive

CHECKOUT = Path(__file__).parents[2]
PAGE = (CHECKOUT / "docs" / "other_programs.md").read_text(encoding="utf-8")
PROGRAMS = ("h5py", "astropy", "netCDF4", "xarray")
DAY = np.datetime64("2024-05-01")
TABLES = {
    "CRIS, SIS": [
        *(("cris", "hp", "high_priority_rates"), ("cris", "evt", "events"), ("cris", "hsk", "hskp")),
        *(("sis", "hp", "high_priority_rates"), ("sis", "evt", "events"), ("sis", "sum", "summary")),
    ],
    "CRIS, SIS: `command_echo`": [("cris", "ce", "command_echo"), ("sis", "ce", "command_echo")],
    "HiSPARC": [("hisparc", "", f"hisparc/cluster_amsterdam/station_501/{name}") for name in ("events", "singles")],
}
READING = {
    "h5py": "import h5py\nwith h5py.File(path) as file:\n    rows = file[name][:]\n",
    "astropy": "from astropy.table import Table\nrows = Table.read(path, path=name).as_array()\n",
    "netCDF4": "import netCDF4\nrows = netCDF4.Dataset(path)[name][:]\n",
    "xarray": "import xarray\nrows = xarray.open_dataset(path, engine='netcdf4')[name].values\n",
}
SAVING = "import sys\nimport numpy\npath, name, out = sys.argv[1:]\n{}numpy.save(out, numpy.asarray(rows))\n"


def require(program):
    """Skip if a program is not installed, without importing it: two HDF5 libraries do not belong in one process."""
    if find_spec(program) is None:
        pytest.skip(f"{program} is not installed")


def find_statements():
    """What the table of the page says: program and column to outcome."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.splitlines() if line.startswith("|")]
    return {(row[0], column): cell for row in rows[2:] for column, cell in zip(rows[0][1:], row[1:], strict=True)}


SAID = find_statements()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive with a sample day of each instrument."""
    directory = tmp_path_factory.mktemp("programs")
    plugins = load_plugins("hisparc", "cris", "sis")
    for name in plugins.names:
        plugins.simulate(name, DAY, 1, directory / "samples" / name)
    archive = create_archive(directory / "archive", plugins=plugins)
    assert archive.ingest(directory / "samples").exit_code == 0
    return archive


def locate(archive, instrument, suffix):
    ace = f"{instrument}/2024/05/{instrument}.2024.05.01.{suffix}.h5"
    return archive.root.path / ("2024/5/2024_5_1.h5" if instrument == "hisparc" else ace)


def read_with_tables(path, name):
    with tables.open_file(path) as file:
        return file.get_node(f"/{name}")[:]


def are_equal(rows, expected):
    return len(rows) == len(expected) and all(
        np.array_equal(rows[field], expected[field], equal_nan=expected[field].dtype.kind == "f")
        for field in expected.dtype.names
    )


def test_the_page_speaks_of_every_program_and_instrument():
    assert SAID.keys() == {(program, column) for program in ("PyTables", *PROGRAMS, "h5dump") for column in TABLES}


@pytest.mark.parametrize("column", TABLES)
def test_pytables_reads_all(archive, column):
    for instrument, suffix, name in TABLES[column]:
        assert len(read_with_tables(locate(archive, instrument, suffix), name))
    assert SAID["PyTables", column] == "reads"


@pytest.mark.parametrize("column", TABLES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_what_a_program_reads_is_what_the_page_says(archive, tmp_path, program, column):
    """Each in a process of its own: every program brings an HDF5 library, and one of them destroys its memory."""
    require(program)
    outcomes = set()
    for instrument, suffix, name in TABLES[column]:
        path, out = locate(archive, instrument, suffix), tmp_path / "rows.npy"
        out.unlink(missing_ok=True)
        script = SAVING.format(READING[program])
        done = subprocess.run(
            [sys.executable, "-c", script, path, name, out], capture_output=True, text=True, check=False
        )
        if done.returncode == 0 and are_equal(np.load(out), read_with_tables(path, name)):
            outcomes.add("reads")
        else:
            outcomes.add("refuses" if re.search("TypeTimeID|NetCDF: HDF error: '", done.stderr) else "crashes")
    assert outcomes == {SAID[program, column]}


@pytest.mark.skipif(shutil.which("h5dump") is None, reason="h5dump is not installed (Debian: hdf5-tools)")
@pytest.mark.parametrize("column", TABLES)
def test_what_h5dump_shows_is_what_the_page_says(archive, column):
    outcomes = set()
    for instrument, suffix, name in TABLES[column]:
        words = ["h5dump", "-d", f"/{name}", "-A", "0", "-c", "2", locate(archive, instrument, suffix)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        values = re.search(r"DATA \{\s*\(0\)", done.stdout)
        assert "H5T_COMPOUND" in done.stdout
        outcomes.add("reads" if values else "without values")
    assert outcomes == {SAID["h5dump", column]}


def test_the_recipe_for_h5py_reads_every_table(archive, tmp_path):
    require("h5py")
    recipe = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]
    path = locate(archive, "hisparc", "")
    script = (
        f"{recipe}\nimport sys\nwith h5py.File(sys.argv[1]) as file:\n"
        "    rows = read_table(file[sys.argv[2]])\n"
        "    assert len(file[sys.argv[2]].parent['blobs'][0])\n"
        "np.save(sys.argv[3], rows)\n"
    )
    for _, _, name in TABLES["HiSPARC"]:
        subprocess.run([sys.executable, "-c", script, path, name, tmp_path / "rows.npy"], check=True)
        assert are_equal(np.load(tmp_path / "rows.npy"), read_with_tables(path, name))


# ---- The type of times, in layouts of one's own

LAYOUT = """\
instrument: lamp
title: A lamp
clock: {epoch: 1970-01-01T00:00:00}
path: "lamp/{year}_{month}_{day}.h5"
types:
  hours:
    code: Hours
    title: Hours
    store: append
    time: second
    fields:
      - {name: second, type: TYPE, unit: s}
"""


@pytest.mark.parametrize(
    ("kind", "keeps", "warned"), [("time32", "", True), ("time32", "keeps: [time32]\n", False), ("int32", "", False)]
)
def test_a_layout_with_a_type_that_few_programs_read_is_loaded_with_a_warning(caplog, kind, keeps, warned):
    layout = LAYOUT.replace("TYPE", kind).replace("types:", f"{keeps}types:")
    with caplog.at_level(logging.WARNING):
        assert Instrument(layout, "lamp.yaml").layout.types
    assert [record.message.startswith("lamp.yaml:12:30: h5py, netCDF4") for record in caplog.records] == [True] * warned


def test_only_hisparc_has_such_a_type_and_loads_without_a_warning(caplog):
    plugins = load_plugins("hisparc", "cris", "sis")
    assert caplog.records == []
    with_times = {name for name, each in plugins.data_types.items() if any(f.type == "time32" for f in each.fields)}
    assert with_times == {name for name in plugins.data_types if name.startswith("hisparc.")}


# ---- describe, without the plugin


@pytest.mark.parametrize("name", ["hisparc.events", "cris.hskp"])
def test_a_type_is_described_by_its_archive_without_the_plugin(archive, command, install, name):
    with_plugin = command("dayfile", "describe", name, archive=None)
    install(make_plugins())
    done = command("dayfile", "describe", name, archive=archive.root.path)
    assert done.code == 0
    # What a plugin says of its clock is in no day file, nor where they are.
    of_the_plugin = re.compile(r"^(?:clock  .*\n(?: {12}.*\n)*|day file .*\n)", re.MULTILINE)
    assert of_the_plugin.sub("", done.out) == of_the_plugin.sub("", with_plugin.out)
    assert name in open_archive(archive.root.path).types()


def test_a_type_that_the_archive_does_not_hold_is_refused_with_the_one_that_was_meant(archive, command):
    done = command("dayfile", "describe", "cris.hskq", archive=archive.root.path)
    assert (done.code, "the archive holds no 'cris.hskq'; did you mean 'cris.hskp'" in done.err) == (2, True)
