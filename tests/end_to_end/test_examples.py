"""The examples stand alone: built as wheels and installed where the checkout is not, they pass their own tests."""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from running import PATIENCE, run_command

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "muonlab": {"muonlab.hits": 300, "muonlab.house": 60},
    "receiver": {"receiver.nav_pvt": 39, "receiver.nav_sat": 28},
    "waveforms": {"waveforms.event": 32, "waveforms.widths": 2},
}
DAMAGED = "damaged"
OWN_FILES = ("tests", "samples")


@dataclass(frozen=True)
class Elsewhere:
    """An environment that has the wheels and other libraries, and nothing of the checkout."""

    directory: Path

    def run(self, program: str, *words: object, patience: float = PATIENCE) -> str:
        """Run a program of the environment in its directory; return what it printed."""
        path = self.directory / "venv" / "bin" / program
        done = run_command(path, *words, cwd=self.directory, environment={"PYTHONPATH": ""}, timeout=patience)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def copy(self, example: str, directory: Path) -> Path:
        """Copy the tests and the samples of an example into a directory, but not its source."""
        copy = directory / example
        for name in OWN_FILES:
            shutil.copytree(ROOT / "examples" / example / name, copy / name)
        shutil.copy(ROOT / "examples" / example / "pyproject.toml", copy)
        return copy


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory) -> Elsewhere:
    directory = tmp_path_factory.mktemp("elsewhere")
    pip = ["-m", "pip", "--disable-pip-version-check", "--quiet"]
    alone = ["--no-deps", "--no-index"]
    for part in (ROOT / "core", *(ROOT / "examples" / name for name in EXAMPLES)):
        source = directory / "sources" / part.name
        shutil.copytree(part, source, ignore=shutil.ignore_patterns("__pycache__"))
        wheel = ["wheel", *alone, "--no-build-isolation", "--wheel-dir", directory / "wheels", source]
        done = run_command(sys.executable, *pip, *wheel)
        assert done.returncode == 0, done.stderr
    shutil.rmtree(directory / "sources")
    libraries = directory / "libraries"
    libraries.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if "dayfile" not in path.name and path.suffix != ".pth":
            (libraries / path.name).symlink_to(path)
    venv = directory / "venv"
    run_command(sys.executable, "-m", "venv", "--without-pip", venv, check=True)
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(f"{libraries}\n", encoding="utf-8")
    wheels = sorted((directory / "wheels").glob("*.whl"))
    done = run_command(sys.executable, *pip, "--python", venv / "bin" / "python", "install", *alone, *wheels)
    assert done.returncode == 0, done.stderr
    return Elsewhere(directory)


def test_nothing_of_the_checkout_is_there(elsewhere):
    names = ", ".join(["dayfile", *EXAMPLES])
    places = elsewhere.run("python", "-c", f"import {names}; print(*(each.__file__ for each in ({names})), sep='\\n')")
    assert len(places.splitlines()) == 1 + len(EXAMPLES)
    assert all(Path(place).is_relative_to(elsewhere.directory / "venv") for place in places.splitlines())


def test_the_doctor_finds_nothing_wrong(elsewhere):
    elsewhere.run("dayfile", "plugins", "doctor")


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_sample_of_an_example_is_archived_and_read(elsewhere, tmp_path, example):
    copy = elsewhere.copy(example, tmp_path)
    endings = (".mul", ".ubx", ".dat")
    good = [path for path in (copy / "samples").iterdir() if path.suffix in endings and DAMAGED not in path.name]
    archive = copy / "archive"
    elsewhere.run("archive-run", *good, "--plugins", example, "--archive", archive)
    listed = json.loads(elsewhere.run("dayfile", "ls", "--json", "--archive", archive))
    records = {entry["type"]: entry["records"] for entry in listed}
    assert {name: records[name] for name in EXAMPLES[example]} == EXAMPLES[example]
    for name in EXAMPLES[example]:
        elsewhere.run("dayfile", "show", name, "--archive", archive, "--rows", 2)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes_its_own_tests(elsewhere, tmp_path, example):
    copy = elsewhere.copy(example, tmp_path)
    elsewhere.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not Contract", copy)


@pytest.mark.proof
@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_passes_the_kit(elsewhere, tmp_path, example):
    copy = elsewhere.copy(example, tmp_path)
    elsewhere.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "Contract", copy, patience=1800)


def test_all_samples_of_waveforms_are_what_is_expected_of_them(elsewhere, tmp_path, samples):
    copy = elsewhere.copy("waveforms", tmp_path)
    folder = samples / "formats" / "drs4"
    for path in folder.glob("*.dat"):
        shutil.copyfile(path, copy / "samples" / path.name)
    shutil.copyfile(folder / "expected.json", copy / "tests" / "expected.json")
    elsewhere.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not Contract", copy)
