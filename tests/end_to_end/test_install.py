"""Each distribution installs alone: the core and one plugin are a working archiver for that instrument only."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path

import pytest

from running import run_command, run_python

ROOT = Path(__file__).parents[2]
START = "import sys; sys.path[:0] = sys.argv[1:3]; sys.argv[:3] = ['dayfile']; from dayfile.cli import main; main()"


@pytest.fixture(scope="module")
def others(tmp_path_factory) -> Path:
    """The libraries that this environment has, without any part of the project."""
    directory = tmp_path_factory.mktemp("others")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "dayfile" not in path.name and path.suffix != ".pth":
            (directory / path.name).symlink_to(path)
    return directory


@pytest.mark.parametrize(("plugin", "types"), [("hisparc", 14), ("cris", 10), ("sis", 12)])
def test_core_and_one_plugin_are_an_archiver_for_that_instrument_and_nothing_else(tmp_path, others, plugin, types):
    parts = tmp_path / "parts"
    for part in (ROOT / "core", ROOT / "plugins" / plugin):
        copy = tmp_path / f"source-{part.name}"
        run_command("cp", "-r", part, copy, check=True)
        pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
        run_python(*pip, "--disable-pip-version-check", "--target", parts, copy, check=True)

    def dayfile(*arguments: object) -> str:
        done = run_python("-I", "-S", "-c", START, parts, others, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (told,) = json.loads(dayfile("plugins", "--json"))
    assert (told["name"], len(told["types"]), told["failed"]) == (plugin, types, None)
    dayfile("simulate", plugin, "--day", "2024-05-10", "--out", "sample")
    dayfile("run", "sample")
    listed = json.loads(dayfile("ls", "--json"))
    assert {entry["type"].split(".")[0] for entry in listed} == {plugin}
