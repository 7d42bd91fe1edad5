"""Sources with the same bytes and other names: the same source again, unless the name tells another type."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archives import make_settings, rebuild_day, run_archive
from dayfile import Instrument, create_archive, open_archive

START = 1714521600  # 2024-05-01
DAY_FILE = "weather/2024-05-01.h5"
LAYOUT = """\
instrument: weather
title: Two thermometers
clock: {{epoch: 1970-01-01T00:00:00}}
structs: {{byte_order: little}}
sources: [struct_streams]
path: "weather/{{year}}-{{month:02}}-{{day:02}}.h5"
types:
  roof:
    code: TempRoof
    title: Roof
    {store}
    time: second
    fields: [{{name: second, type: uint32}}, {{name: degrees, type: float32}}]
  cellar:
    code: TempCellar
    title: Cellar
    {store}
    time: second
    fields: [{{name: second, type: uint32}}, {{name: degrees, type: float32}}]
"""


@pytest.fixture(params=["store: append", "store: slots\n    period: 60"], ids=["append", "slots"])
def weather(request, plugins_of):
    """Two thermometers whose records stand in one day file."""
    return plugins_of(weather=Instrument(LAYOUT.format(store=request.param), "weather.yaml"))


@pytest.fixture(params=[None, 2], ids=["run_serial", "run_processes"])
def run(request, weather, tmp_path):
    """Archive files of these names, all with the same three records; the report."""

    def archived(*names, **core):
        records = np.zeros(3, [("second", "<u4"), ("degrees", "<f4")])
        records["second"], records["degrees"] = START + 60 * np.arange(3), 20
        paths = [tmp_path / name for name in names]
        for path in paths:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(records.tobytes())
        root = create_archive(tmp_path / "archive").root
        return run_archive(root, weather, *paths, workers=request.param, **core)

    return archived


def held(tmp_path):
    """How many records the archive has of each type."""
    archive = open_archive(tmp_path / "archive")
    return {name: len(archive.read(name)) for name in archive.types()}


TWINS = "TempRoof.le.bin", "TempCellar.le.bin"
BOTH = {"weather.roof": 3, "weather.cellar": 3}


def test_records_of_another_type_are_archived_though_the_bytes_are_those_of_a_source_before(run, tmp_path):
    report = run(*TWINS)
    assert report.sources == {"archived": 2, "already": 0, "quarantined": 0, "held": 0, "left": 0}
    assert held(tmp_path) == BOTH
    for _ in range(2):
        again = run(*TWINS)
        assert again.sources == {"archived": 0, "already": 2, "quarantined": 0, "held": 0, "left": 0}
        assert again.records == {}
    assert held(tmp_path) == BOTH


def test_it_is_so_in_runs_one_after_the_other(run, tmp_path):
    assert [run(name).sources["archived"] for name in TWINS] == [1, 1]
    assert [run(name).sources["already"] for name in TWINS] == [1, 1]
    assert held(tmp_path) == BOTH


def test_a_rebuild_takes_all_that_have_the_same_bytes(run, weather, tmp_path):
    run(*TWINS, sources__keep="always")
    root = open_archive(tmp_path / "archive").root
    assert len([path for path in Path(root.sources).rglob("*") if path.is_file()]) == 2
    report = rebuild_day(root, weather, make_settings(weather), DAY_FILE)
    assert report.failures == []
    assert held(tmp_path) == BOTH
