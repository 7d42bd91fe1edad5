"""Each distribution installs alone: the core and one plugin are a working archiver for that instrument only."""

from __future__ import annotations

import json
import re
import sysconfig
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

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


RUN_TESTS = (
    "import sys; sys.path[:0] = sys.argv[1:4]; import pytest; "
    "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-W', 'error', *sys.argv[4:]]))"
)


def test_the_kit_tests_a_package_without_the_repository(tmp_path, others):
    parts, author = tmp_path / "parts", tmp_path / "author"
    run_command("cp", "-r", ROOT / "core", tmp_path / "source", check=True)
    pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run_python(*pip, "--disable-pip-version-check", "--target", parts, tmp_path / "source", check=True)
    author.mkdir()
    run_command("cp", ROOT / "tests" / "kit" / "rain.py", author, check=True)
    (author / "test_rain.py").write_text(OF_AN_AUTHOR)
    done = run_python("-I", "-S", "-c", RUN_TESTS, parts, others, author, "--rootdir", author, author, cwd=author)
    assert "1 failed, 20 passed" in done.stdout, done.stdout + done.stderr
    assert "override grow, or say in not_large_because" in done.stdout
    assert re.search(r"rain: [\d.]+ MB a second", done.stdout)


OF_AN_AUTHOR = """
from dayfile.testing import PluginContract
from rain import Rain, make_sample


class TestRain(PluginContract):
    plugin = {"rain": Rain()}
    sources = [("one.rain", make_sample()), ("other.rain", make_sample(1_714_800_000))]
"""


def find_needed(name: str, extras: frozenset[str], found: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the distributions that one with these extras needs, by their own declarations, with the extras of each."""
    name = re.sub(r"[-_.]+", "-", name).lower()
    if found.get(name, set()) >= extras and name in found:
        return found
    found.setdefault(name, set()).update(extras)
    for line in distribution(name).requires or ():
        need = Requirement(line)
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            find_needed(need.name, frozenset(need.extras), found)
    return found


@pytest.fixture(scope="module")
def archived(tmp_path_factory) -> Path:
    """A directory with an archive of a small day."""
    directory = tmp_path_factory.mktemp("archived")
    for words in (("simulate", "cris", "--day", "1997-10-31", "--out", "sample"), ("run", "sample", "--quiet")):
        done = run_python("-m", "dayfile", *words, cwd=directory)
        assert done.returncode == 0, done.stderr
    return directory


RATES = "import dayfile; rates = dayfile.open_archive('archive').read('cris.high_priority_rates'); "
USES = {
    "export": "rates.to_pandas()",
    "arrow": "from dayfile.__main__ import main; sys.argv[1:] = ['export', 'cris.hskp', '-o', 'hskp.parquet']; main()",
    "polars": "rates.to_polars()",
    "xarray": "from dayfile.__main__ import main; sys.argv[1:] = ['export', 'cris.hskp', '-o', 'hskp.nc']; main()",
    "astropy": "rates.to_astropy()",
    "cdf": "from dayfile.__main__ import main; sys.argv[1:] = ['export', 'cris.hskp', '-o', 'hskp.cdf']; main()",
    "dask": "dayfile.open_archive('archive').to_dask('cris.high_priority_rates')['hp[0]'].mean().compute()",
    "plot": "rates.plot()",
    "hdf4": (
        "from pathlib import Path; from dayfile.formats.hdf4_structs import write_structs; "
        "write_structs(Path('rates.hdf'), {'R': rates.array})"
    ),
    "serve": "import dayfile.serving.connections, dayfile.serving.listening, starlette.applications",
    "watch": "import watchfiles",
    "testing": "from dayfile.testing import PluginContract",
}


@pytest.mark.parametrize("extra", USES)
def test_an_extra_brings_all_that_its_use_needs(tmp_path, archived, extra):
    for name in find_needed("dayfile", frozenset([extra]), find_needed("dayfile-cris", frozenset(), {})):
        for file in distribution(name).files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (tmp_path / top).exists() and not top.endswith(".pth"):
                (tmp_path / top).symlink_to(distribution(name).locate_file(top))
    paths = [ROOT / "core" / "src", ROOT / "plugins" / "cris" / "src", tmp_path]
    start = f"import sys; sys.path[:0] = {list(map(str, paths))}; {RATES}{USES[extra]}"
    done = run_python("-I", "-S", "-c", start, cwd=archived)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
