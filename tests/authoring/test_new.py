"""``dayfile new``: complete packages whose tests pass as they are."""

from __future__ import annotations

import struct
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

import dayfile

CHECKOUT = Path(__file__).parents[2]
HEADER = """\
#include <stdint.h>
struct where { float lat, lon; /* deg, deg */ };
struct rad { uint16_t mark; uint16_t kind; uint32_t t; struct where at; float dose; /* 0.5 mV */ uint8_t more[3]; };
"""
BEGIN = 1714521600  # 2024-05-01
SAMPLE = b"".join(struct.pack(">HHIfff3sx", 7, n % 5, BEGIN + 10 * n, 52.0, 4.5, n / 2, b"abc") for n in range(300))
LENGTH = len(SAMPLE) // 300


@pytest.fixture
def given(tmp_path):
    (tmp_path / "rad.h").write_text(HEADER)
    (tmp_path / "rad_20240501.dat").write_bytes(SAMPLE)
    return tmp_path


@pytest.fixture
def make_new(given, command_here):
    def make(*words):
        out = given / "made"
        done = command_here("dayfile", "new", "rad", "--out", out, *words, archive=None)
        return done, out

    return make


def header_words(given):
    return "--from-header", given / "rad.h", "--struct", "rad"


def run_tests(package: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the tests of a package where it is."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
    return subprocess.run(command, cwd=package, capture_output=True, text=True, check=False)


def load(package: Path) -> dayfile.Instrument:
    """Load the layout of a package."""
    path = package / "src" / "dayfile_rad" / "rad.yaml"
    return dayfile.Instrument(path.read_text(), "rad.yaml")


KINDS = {
    "example": lambda _: (),
    "header": header_words,
    "sample": lambda given: ("--sample", given / "rad_20240501.dat"),
    "both": lambda given: (*header_words(given), "--sample", given / "rad_20240501.dat"),
    "python": lambda given: (*header_words(given), "--sample", given / "rad_20240501.dat", "--python"),
    "python example": lambda _: ("--python",),
}


@pytest.mark.parametrize("kind", ["both", "python"])
def test_a_new_package_archives_its_sample_and_reads_it_back(given, make_new, kind):
    done, package = make_new(*KINDS[kind](given))
    assert done.code == 0, done.err
    assert load(package).find_mistakes() == ()
    ran = run_tests(package, "tests/test_rad.py::test_a_file_is_archived_and_read_back")
    assert ran.returncode == 0, ran.stdout


@pytest.mark.proof
@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_package_pass_as_they_are(given, make_new, kind):
    _, package = make_new(*KINDS[kind](given))
    ran = run_tests(package)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["both", "python"])
def test_a_new_package_is_built_installed_and_passes_all_of_its_tests(given, make_new, tmp_path, kind):
    _, package = make_new(*KINDS[kind](given))
    venv.create(tmp_path / "venv", with_pip=True, system_site_packages=False)
    python = tmp_path / "venv" / "bin" / "python"
    wanted = [f"{CHECKOUT / 'core'}[testing]", package]
    subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    doctor = [python.with_name("dayfile"), "plugins", "doctor"]
    assert "rad" in subprocess.run(doctor, capture_output=True, text=True, check=True).stdout
    subprocess.run([python, "-m", "pytest", "-q"], cwd=package, check=True)


def test_a_sample_shows_length_byte_order_time_and_clock_with_the_evidence(given, make_new):
    done, package = make_new("--sample", given / "rad_20240501.dat")
    for part in (
        f"{len(SAMPLE):,} bytes are 300 records of {LENGTH} bytes",
        f"the uint32 at byte 4 of each record of {LENGTH} bytes, big-endian, counts s since 1970-01-01",
        "2024-05-01T00:00:00",
        "100.0% of the steps go on; the median step is 10 s, and 100% of the steps are as long",
        "tests that pass do not prove a guess",
        "the name has the day 2024-05-01, which fits",
    ):
        assert part in " ".join(done.out.split())
        assert part in (package / "README.md").read_text()
    instrument = load(package)
    (batch,) = instrument.decode(dayfile.Source.read(given / "rad_20240501.dat"))
    assert batch.records["time_count"].tolist() == [BEGIN + 10 * n for n in range(300)]
    assert "# a guess" in (package / "src" / "dayfile_rad" / "rad.yaml").read_text()


@pytest.mark.parametrize("python", [(), ("--python",)])
def test_a_header_and_a_sample_give_all_fields_in_the_byte_order_of_the_sample(given, make_new, command_here, python):
    _, package = make_new(*KINDS["both"](given), *python)
    sys.path.insert(0, str(package / "src"))
    try:
        import dayfile_rad

        (batch,) = dayfile_rad.instrument.decode(dayfile.Source.read(given / "rad_20240501.dat"))
    finally:
        sys.path.pop(0)
        del sys.modules["dayfile_rad"]
    last = batch.records[-1]
    assert (last["kind"], last["t"], last["at_lon"], last["dose"]) == (299 % 5, BEGIN + 2990, 4.5, 149.5)
    assert bytes(last["more"]) == b"abc"


def test_the_project_file_declares_the_plugin_and_needs_this_version(make_new):
    _, package = make_new()
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["dayfile.plugins"] == {"rad": "dayfile_rad:instrument"}
    assert project["dependencies"] == ["dayfile>=0.1,<0.2"]
    assert {"README.md", "pyproject.toml", "src", "tests", ".github", ".gitignore"} == {
        path.name for path in package.iterdir()
    }


def test_what_exists_is_not_replaced(make_new):
    _, package = make_new()
    before = (package / "README.md").read_text()
    done, _ = make_new("--python")
    assert (done.code, "exists already" in done.err) == (2, True)
    assert (package / "README.md").read_text() == before


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--struct", "rad"), "go together"),
        (("--epoch", "2000-01-01"), "--sample"),
        (("--epoch", "then", "--sample", "rad_20240501.dat"), "2000-01-01"),
        (("--time", "bogus", "--sample", "rad_20240501.dat"), "--time 4"),
        (
            ("--from-header", "rad.h", "--struct", "rad", "--record-bytes", "20", "--sample", "rad_20240501.dat"),
            "header",
        ),
        (("--sample", "none.dat"), "none.dat"),
        (("--sample", "noise.dat"), "--from-header"),
        (("--from-header", "rad.h", "--struct", "rad", "--sample", "noise.dat"), "no plausible time"),
    ],
)
def test_what_helps_nobody_is_refused_and_nothing_is_written(given, make_new, monkeypatch, words, part):
    monkeypatch.chdir(given)
    (given / "noise.dat").write_bytes(bytes(range(256)) * 3)
    done, package = make_new(*words)
    assert (done.code, part in done.err, "Traceback" in done.err) == (2, True, False), done.err
    assert not package.exists()


def test_a_name_that_python_or_an_entry_point_cannot_have_is_refused(command_here, tmp_path):
    for name in ("Muon", "class", "my-muon", "1st", "../x"):
        done = command_here("dayfile", "new", name, "--out", tmp_path / "made", archive=None)
        assert done.code == 2
    assert not (tmp_path / "made").exists()
