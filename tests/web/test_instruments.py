"""An archive of each instrument of which there are samples is served by its layout alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from asking import ask_hapi, make_reading_site
from dayfile import open_archive
from dayfile.model.physical import AS_STORED
from running import run_command

SAMPLES = Path(os.environ.get("DAYFILE_SAMPLES", "")) / "formats"
LAYOUTS = Path(__file__).parents[1] / "formats" / "layouts"
NEEDS_SAMPLES = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples: set DAYFILE_SAMPLES")
FOLDERS = {
    "cosmicwatch": "cosmicwatch",
    "crate": "counts_h",
    "house": "slots",
    "hs": "ccsds_hs",
    "imager": "imager",
    "jpss": "ccsds_cds",
    "slow": "slowcontrol",
    "station": "slowcontrol",
    "ubx": "ubx",
}
BINARY = {"integer": "<i4", "double": "<f8"}

HOUSE = """
instrument: house
title: A house
clock: {epoch: 2000-01-01T00:00:00, unit: s}
structs: {byte_order: little, alignment: packed}
path: "house/{year}/{month:02}{day:02}.h5"
types:
  house:
    code: house
    title: Levels
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: range, type: uint8}
      - name: level
        type: int16
        shape: [2]
        unit: count
        doc: of the tank
        missing: [-1]
        physical: {scale: {by: range, of: {0: 0.5, 1: 2}}, unit: mV}
      - {name: mode, type: uint8, values: {0: idle, 1: running}}
"""


def put_house(tmp_path) -> Path:
    """Make an archive of three records of HOUSE."""
    from dayfile import Instrument, create_archive

    archive = create_archive(tmp_path / "archive", plugins={"house": Instrument(HOUSE, "house.yaml")})
    form = [("second", "<u4"), ("range", "u1"), ("level", "<i2", (2,)), ("mode", "u1")]
    records = [(100, 0, (4, -1), 0), (110, 1, (4, 5), 1), (120, 7, (1, 1), 1)]
    archive.put("house.house", np.array(records, form))
    return archive.root.path


def test_physical_values_are_doubles_in_their_unit_and_the_description_says_of_what(tmp_path):
    app = make_reading_site(put_house(tmp_path))
    parameters = {each["name"]: each for each in ask_hapi(app, "info", dataset="house.house").json["parameters"]}
    level = parameters["level"]
    assert (level["type"], level["units"], level["fill"], level["size"]) == ("double", "mV", "NaN", [2])
    assert "of the tank; physical value of the stored int16 x in count: scale x; scale is 0.5" in level["description"]
    words = {"dataset": "house.house", "start": "2000-01-01", "stop": "2000-01-02", "parameters": "level"}
    lines = ask_hapi(app, "data", **words).body.decode().splitlines()
    assert [line.partition(",")[2] for line in lines] == ["2.0,NaN", "8.0,10.0", "NaN,NaN"]


def test_numbers_that_stand_for_names_stay_numbers(tmp_path):
    app = make_reading_site(put_house(tmp_path))
    mode = ask_hapi(app, "info", dataset="house.house", parameters="mode").json["parameters"][1]
    assert mode["type"] == "integer"
    assert mode["description"] == "value 0: idle; value 1: running"
    words = {"dataset": "house.house", "start": "2000-01-01", "stop": "2000-01-02", "parameters": "mode"}
    assert [line[-1:] for line in ask_hapi(app, "data", **words).body.decode().splitlines()] == ["0", "1", "1"]


@pytest.fixture(scope="module", params=FOLDERS)
def sampled(request, tmp_path_factory) -> Path:
    """An archive of all samples of an instrument, made by its layout alone."""
    path = tmp_path_factory.mktemp(request.param) / "archive"
    words = ["--plugins", LAYOUTS / f"{request.param}.yaml", "--archive", path]
    done = run_command("archive-run", SAMPLES / FOLDERS[request.param], *words)
    assert done.returncode in (0, 3), done.stderr  # 3: what is damaged goes to quarantine
    return path


@NEEDS_SAMPLES
def test_an_archive_of_each_instrument_is_served_by_its_layout_alone(sampled):
    app, archive = make_reading_site(sampled), open_archive(sampled)
    ids = [each["id"] for each in ask_hapi(app, "catalog").json["catalog"]]
    assert {each.partition("/")[0] for each in ids} == set(archive.types())
    for name in ids:
        compare(app, archive, name)


def compare(app, archive, name: str) -> None:
    """Compare a dataset with what is read from the archive."""
    info = ask_hapi(app, "info", dataset=name).json
    form = [
        (each["name"], BINARY.get(each["type"]) or f"S{each['length']}", tuple(each.get("size", ())))
        for each in info["parameters"]
    ]
    words = {"dataset": name, "start": info["startDate"], "stop": info["stopDate"]}
    found = np.frombuffer(ask_hapi(app, "data", format="binary", **words).body, form)
    data_type, _, key = name.partition("/")
    keys = {next(iter(archive.describe(data_type).keys[0])): key} if key else {}
    due = archive.read(data_type, **keys)
    assert len(found) == len(due) > 0
    for field, values in list_values(due):
        if field in (found.dtype.names or ()):
            given = found[field]
            np.testing.assert_array_equal(given, values.astype(str).astype("S") if given.dtype.kind == "S" else values)


def list_values(due) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the fields of records, with physical values where they have them."""
    for field in due.data_type.fields:
        if field.blob or field.type == "char":
            continue
        physical = field.physical not in (None, AS_STORED)
        yield field.name, due.physical(field.name) if physical else due.array[field.name]
