"""Plugins that are installed: real distributions, in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from running import run_python


@pytest.fixture
def distribution(tmp_path, muon):
    """Make an importable directory of a distribution: ``distribution(name, code)`` for an entry point of that name."""
    directory = tmp_path / "site"

    def make(name, code, target="plugin"):
        package = directory / f"sample_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(code)
        (package / "muon.yaml").write_text(muon.layout)
        about = directory / f"sample_{name}-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: sample-{name}\nVersion: 1.2\n")
        (about / "entry_points.txt").write_text(f"[dayfile.plugins]\n{name} = sample_{name}:{target}\n")
        return directory

    return make


LAYOUT_PLUGIN = """\
from dayfile import Instrument
plugin = Instrument.from_package(__name__, "{}.yaml")
"""


SETTINGS_PLUGIN = """\
from dayfile import hookimpl
from pydantic import BaseModel

class Model(BaseModel):
    threshold: int = 1

class Sand:
    @hookimpl
    def settings(self):
        return Model

plugin = Sand()
"""


@pytest.fixture
def command(tmp_path):
    """Run ``dayfile`` or ``archive-run`` with the sample distributions installed."""

    def run(name, *arguments):
        code = f"from dayfile.cli import {name}; {name}()"
        return run_python("-c", code, *arguments, paths=[tmp_path / "site"], cwd=tmp_path)

    return run


def test_installed_plugins_are_listed_with_what_failed_and_why(distribution, command):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", "raise ImportError('no module named calibration')")
    distribution("mud", LAYOUT_PLUGIN.format("mud"))
    distribution("gone", "", target="missing")
    done = command("main", "plugins", "--json")
    listed = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert listed["muon"]["types"] == ["muon.rates", "muon.hits", "muon.runs"]
    assert (listed["muon"]["version"], listed["muon"]["failed"]) == ("1.2", None)
    assert "plugin sand failed: ImportError: no module named calibration" in listed["sand"]["failed"]
    assert "sample_sand" in listed["sand"]["traceback"]
    assert "FileNotFoundError" in listed["mud"]["failed"]
    assert "AttributeError" in listed["gone"]["failed"]
    assert done.returncode == 3


@pytest.mark.parametrize(
    "chosen", [("--plugins", "sand,muon"), ("--plugins", "sand", "--plugins", "muon")], ids=["commas", "options"]
)
def test_a_plugin_that_cannot_be_imported_stops_no_other(distribution, command, archive, muon, tmp_path, chosen):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", "import calibration_that_nobody_has")
    sent = tmp_path / "MuonHit.be.bin"
    sent.write_bytes(muon.stream("hits", muon.records("hits", [{"second": muon.start}])))
    report = tmp_path / "report.json"
    done = command("archive_run", *chosen, "--archive", archive.root.path, "--report", report, sent)
    assert done.returncode == 3, done.stderr
    assert "plugin sand failed: ModuleNotFoundError" in done.stderr
    assert "Traceback" in done.stderr
    told = json.loads(report.read_text())
    assert told["records"]["muon.hits"]["written"] == 1
    assert [failure["plugin"] for failure in told["failures"]] == ["sand"]
    assert sent.exists()


def test_a_plugin_that_ends_python_when_it_is_imported_stops_no_other(distribution, command):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("script", "import sys\nsys.exit('this is a script')")
    done = command("main", "plugins", "--json")
    listed = {entry["name"]: entry for entry in json.loads(done.stdout or "[]")}
    assert listed["muon"]["types"] == ["muon.rates", "muon.hits", "muon.runs"]
    assert "this is a script" in listed["script"]["failed"]


def test_plugins_that_were_not_asked_for_are_not_imported(distribution, command, archive, muon, tmp_path):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", f"open({str(tmp_path / 'imported')!r}, 'w')")
    done = command("archive_run", "--plugins", "muon", "--archive", archive.root.path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()


def test_settings_of_a_plugin_that_this_run_leaves_out_are_no_mistake(distribution, command, archive):
    """``archive.yaml`` serves all runs of an archive, also those that select plugins."""
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", SETTINGS_PLUGIN)
    archive.root.settings.write_text("sand: {threshold: 5}\n")
    done = command("archive_run", "--plugins", "muon", "--archive", archive.root.path)
    assert done.returncode == 0, done.stderr


def test_an_unknown_plugin_is_refused_with_the_one_that_was_meant(distribution, command, archive):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    done = command("archive_run", "--plugins", "moun", "--archive", archive.root.path)
    assert done.returncode == 2
    assert "no plugin 'moun' is installed; did you mean 'muon'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_no_plugin_and_no_heavy_library(distribution, tmp_path):
    distribution("muon", f"open({str(tmp_path / 'imported')!r}, 'w')")
    code = (
        "import sys; from dayfile.cli import main; sys.argv = ['dayfile', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'tables', 'pandas', 'xarray', 'h5py'} & set(sys.modules)))"
    )
    done = run_python("-c", code, paths=[tmp_path / "site"])
    assert done.stdout.splitlines()[-1] == "[]"
    assert not Path(tmp_path / "imported").exists()
