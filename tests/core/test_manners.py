"""A plugin that misbehaves for everybody harms only itself, and is blamed by its own name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dayfile
from archives import make_web_application, rebuild_day, run_with, watch_steps
from dayfile import Instrument, create_archive, hookimpl, open_archive
from dayfile.errors import PluginError, StorageError

DAY = 86400
OF_ONE_BATCH = ("classify", "locate_file", "write", "encode", "export_formats", "export")


@pytest.fixture
def outcome(hits, muon, telescope, plugins_of, command_with):
    """What honest plugins make of the same work: ``outcome(directory, engine, badx=plugin)``."""

    def work(directory, engine="serial", **others):
        given = {"watch.settle": 0, "sources.keep": "always"}
        loaded = plugins_of(**others, muon=telescope)
        opened = create_archive(directory / "archive", plugins=loaded, settings=given)
        root = opened.root
        (root.incoming / "MuonHit.be.bin").write_bytes(hits(0, 1, DAY, 2 * DAY))
        (root.incoming / "MuonHit.le.bin").write_bytes(hits(5, 6, order="little"))
        rates = muon.records("rates", [{"second": muon.start}] * 2)
        (root.incoming / "MuonRates.be.bin").write_bytes(muon.stream("rates", rates))
        report = run_with(root, loaded, opened.settings, workers=None if engine == "serial" else 2)
        put = opened.put("muon.hits", muon.records("hits", [{"second": muon.start + 9}]))
        again = rebuild_day(root, loaded, opened.settings, "muon/1997/11/muon.1997.11.01.hit.h5")
        words = ["--day", "1997-10-31", "--archive", root.path, "--out", directory, "--format", "numbers"]
        exported = command_with(loaded, "export", "muon.hits", *words)
        return {
            "failures": loaded.failures,
            "report": (report.sources, report.exit_code, report.records, sorted(report.day_files)),
            "put": put.tolist(),
            "rebuilt": (again.sources, again.exit_code),
            "export": (exported.exit_code, (directory / "numbers.txt").read_text()),
            "routes": [route.path for route in make_web_application(root, loaded, opened.settings).routes],
            "rows": {name: [row.tobytes() for row in opened.read(name).array] for name in opened.types()},
        }

    return work


@pytest.fixture(scope="module")
def once():
    """What the run without an offender gave, for all tests."""
    return {}


@pytest.fixture
def alone(once, outcome, tmp_path):
    """What honest plugins make of the work by themselves."""
    if not once:
        once.update(outcome(tmp_path / "alone"))
        assert once["report"][:2] == ({"archived": 3, "already": 0, "quarantined": 0, "held": 0, "left": 0}, 0)
        assert {name: len(rows) for name, rows in once["rows"].items()} == {"muon.hits": 7, "muon.rates": 1}
        assert (once["put"], once["routes"], once["export"][0]) == ([0], ["/healthz", "/muon"], 0)
    return once


def test_hooks_that_misbehave_for_everybody_change_nothing_for_others(outcome, alone, offender, tmp_path, manners):
    assert outcome(tmp_path, badx=offender(manners, *OF_ONE_BATCH)) == alone


@pytest.mark.parametrize("hook", OF_ONE_BATCH)
def test_nor_does_one_of_them_by_itself(outcome, alone, offender, tmp_path, hook):
    assert outcome(tmp_path, badx=offender("raises", hook)) == alone


@pytest.mark.parametrize("bad", ["raises", "exits", "raises what no Exception is", "answers a path outside"])
def test_nor_do_they_where_several_processes_work(outcome, alone, offender, tmp_path, bad):
    assert outcome(tmp_path, "processes", badx=offender(bad, *OF_ONE_BATCH)) == alone


SAND = """\
instrument: sand
title: Sand counter
clock: {epoch: 1996-01-01T00:00:00, leap_seconds: counted}
structs: {byte_order: big}
sources: [struct_streams]
path: "sand/{year}_{month}_{day}.h5"
types:
  grains:
    code: Grain
    title: Grains
    store: append
    time: second
    fields: [{name: second, type: uint32}, {name: grain, type: int32}]
"""


def grains(muon, *seconds):
    return np.array([(muon.start + second, 7) for second in seconds], [("second", ">u4"), ("grain", ">i4")]).tobytes()


# ---- the disk, and what plugins say of it


def test_a_plugin_that_says_the_disk_is_full_stops_no_run(archive, hits, muon, telescope, plugins_of):
    class Broken(Instrument):
        @hookimpl
        def write(self):
            raise StorageError("the disk is full")

    loaded = plugins_of(sand=Broken(SAND, "sand.yaml"), muon=telescope)
    archive.drop("Grain.be.bin", grains(muon, 1))
    archive.drop("MuonHit.be.bin", hits(0))
    report = archive.run(plugins=loaded)
    assert (report.sources["archived"], report.sources["quarantined"]) == (1, 1)
    assert "plugin sand: write failed: StorageError: the disk is full" in report.quarantine[0].message


def test_a_disk_that_is_full_is_not_a_plugins_failure_whatever_it_makes_of_it(archive, muon, plugins_of):
    class Quiet(Instrument):
        @hookimpl
        def write(self, work_file, data_type, batch):
            try:
                return work_file.write(data_type, batch)
            except Exception:  # noqa: BLE001 - as bad-mannered plugins do
                return np.zeros(len(batch), np.uint8)

    def full(kind, path):
        if "workshop" in path.parts:
            raise StorageError("the disk is full")

    archive.drop("Grain.be.bin", grains(muon, 1))
    with watch_steps(full), pytest.raises(StorageError, match="the disk is full"):
        archive.run(plugins=plugins_of(sand=Quiet(SAND, "sand.yaml")))
    assert archive.files(archive.root.quarantine) == []


def test_records_that_a_plugin_wrote_before_it_left_them_to_others_are_its_failure(archive, muon, plugins_of):
    class Both(Instrument):
        @hookimpl
        def write(self, work_file, data_type, batch):
            work_file.write(data_type, batch)

    archive.drop("Grain.be.bin", grains(muon, 1))
    report = archive.run(plugins=plugins_of(sand=Both(SAND, "sand.yaml")))
    assert "plugin sand: write of sand.grains wrote records and answered None" in report.quarantine[0].message


@pytest.mark.parametrize(
    "path",
    ["muon/1997/10/muon.1997.10.31.hit.h5/mine.h5", f"{'x' * 300}.h5", f"{'x/' * 2000}x.h5", "\udc80.h5", "a\nb.h5"],
    ids=["below a day file", "a long name", "a long path", "not UTF-8", "two lines"],
)
def test_a_path_that_would_stop_the_run_is_its_plugins_failure(archive, hits, muon, telescope, plugins_of, path):
    class Broken(Instrument):
        @hookimpl
        def locate_file(self):
            return path

    archive.drop("Grain.be.bin", grains(muon, 1))
    archive.drop("MuonHit.be.bin", hits(0))
    report = archive.run(plugins=plugins_of(sand=Broken(SAND, "sand.yaml"), muon=telescope))
    assert (report.sources["archived"], report.sources["quarantined"]) == (1, 1)
    assert report.quarantine[0].reason.startswith("plugin sand: locate_file returned ")


def test_records_of_others_are_put_though_one_plugin_cannot_encode_its_own(archive, muon, telescope, plugins_of):
    calls = []

    class Broken(Instrument):
        @hookimpl
        def encode(self, data_type, records):
            calls.append(len(records))
            return ("x", b"x") if len(calls) == 1 else 17

    opened = open_archive(archive.root.path, plugins=plugins_of(sand=Broken(SAND, "sand.yaml"), muon=telescope))
    sand = np.array([(muon.start, 7)], [("second", "<u4"), ("grain", "<i4")])

    def put_both():
        with opened.putting() as put:
            put("sand.grains", sand)
            put("muon.hits", muon.records("hits", [{"second": muon.start + 9}]))

    with pytest.raises(PluginError, match=r"plugin sand: encode of sand\.grains must return a name and bytes"):
        put_both()
    assert archive.seconds() == [9]


def test_the_plugin_manager_is_private(plugins_of):
    core = Path(dayfile.__file__).parent
    for path in core.rglob("*.py"):
        if path.name != "asking.py":
            found = re.findall(r"\b_?manager\b|\.hook\b|PluginManager|HookRelay", path.read_text(encoding="utf-8"))
            assert found == [], path
    public = [name for name in vars(plugins_of()) if not name.startswith("_")]
    assert not any("pluggy" in type(getattr(plugins_of(), name)).__module__ for name in public)
