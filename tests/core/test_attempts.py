"""A source that ends the process is not tried a third time, and whoever is killed from outside costs no source."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from archives import get_root, list_entries
from dayfile import create_archive, open_archive
from dayfile.engine.trials import find_deadly
from running import run_command
from shares import first_of

# A telescope some of whose sources end the process, in the hook and the way that their name says.
DEADLY = """
import ctypes, os, signal
from dayfile import Instrument, hookimpl

WAYS = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "group": lambda: os.killpg(0, signal.SIGKILL),
    "exit": lambda: os._exit(0),
    "segv": lambda: ctypes.string_at(0),
    "abort": os.abort,
}
doomed = {}

def die(hook):
    if doomed.get("hook") == hook:
        WAYS[doomed["way"]]()

class Deadly(Instrument):
    @hookimpl
    def decode(self, source):
        doomed.clear()
        if source.name.startswith("deadly"):
            _, doomed["way"], doomed["hook"] = source.name.split(".")[0].split("-")
            die("decode")
            (data_type,) = self.layout.types
            import numpy as np
            from dayfile import Batch
            records = np.ones(1, data_type.dtype)
            return [Batch("lamp", "LAMP", records, np.arange(1))]
        return super().decode(source)

    @hookimpl
    def classify(self, batch):
        die("classify")

    @hookimpl
    def write(self, work_file, data_type, batch):
        die("write")

instrument = Deadly(LAYOUT, "lamp.yaml")
"""
LAYOUT = """\
instrument: lamp
title: Lamp
clock: {epoch: 2000-01-01T00:00:00}
structs: {byte_order: little, alignment: packed}
sources: [struct_streams]
path: "lamp/{year}_{month}_{day}.h5"
types:
  a: {code: LAMP, title: a, store: append, time: t, fields: [{name: t, type: uint32}, {name: x, type: uint16}]}
"""
ENGINES = [("--engine", "serial"), ("--engine", "processes", "--workers", "2")]


@pytest.fixture
def run(tmp_path, installed, monkeypatch):
    """Runs of the command with the deadly telescope installed."""
    monkeypatch.chdir(tmp_path)
    site = installed(lamp=LAYOUT)
    (package,) = site.glob("lamp_*/__init__.py")
    package.write_text(f"LAYOUT = {LAYOUT!r}\n{DEADLY}")
    create_archive(tmp_path / "archive")

    def call(*words):
        words = ("--plugins", "lamp", "--set", "watch.settle=0", *words)
        return run_command("archive-run", *words, environment={"PYTHONPATH": str(site)}, start_new_session=True)

    return call


def content(*values):
    return b"".join(value.to_bytes(4, "little") + value.to_bytes(2, "little") for value in values)


def records():
    return sorted(open_archive("archive").read("lamp.a")["x"].tolist())


@pytest.mark.parametrize("engine", ENGINES, ids=["serial", "processes"])
@pytest.mark.parametrize("hook", ["decode", "classify", "write"])
@pytest.mark.parametrize("way", first_of(["kill", "exit", "segv"]))
def test_a_source_that_ends_the_process_goes_to_quarantine_and_the_others_are_archived(run, way, hook, engine):
    incoming = Path("archive/incoming")
    for number in range(3):
        (incoming / str(number)).mkdir()
        (incoming / str(number) / "LAMP.le.bin").write_bytes(content(number + 10))
    (incoming / f"deadly-{way}-{hook}.bin").write_bytes(b"precious")
    assert run(*engine).returncode != 3
    assert run(*engine).returncode == 3
    assert records() == [10, 11, 12]
    (entry,) = list_entries(get_root(Path("archive")))
    assert entry.content.read_bytes() == b"precious"
    assert "ended the process twice" in entry.reason["message"]
    assert run(*engine).returncode == 0
    assert list(Path("archive/accepted").iterdir()) == []
    assert list(Path("archive/.attempts").iterdir()) == []


def test_a_given_file_that_ends_the_process_is_not_tried_a_third_time(run, tmp_path):
    (tmp_path / "deadly-abort-decode.bin").write_bytes(b"precious")
    (tmp_path / "LAMP.le.bin").write_bytes(content(5))
    words = ("deadly-abort-decode.bin", "LAMP.le.bin", "--engine", "serial")
    assert run(*words).returncode == -signal.SIGABRT
    assert run(*words).returncode == 3
    assert records() == [5]
    assert (tmp_path / "deadly-abort-decode.bin").read_bytes() == b"precious"


def test_of_several_each_is_found(run):
    for way in ("kill", "exit", "group"):
        Path(f"archive/incoming/deadly-{way}-decode.bin").write_bytes(way.encode())
    Path("archive/incoming/LAMP.le.bin").write_bytes(content(5))
    run("--engine", "serial")
    assert run("--engine", "serial").returncode == 3
    assert sorted(entry.content.read_bytes() for entry in list_entries(get_root(Path("archive")))) == [
        b"exit",
        b"group",
        b"kill",
    ]
    assert records() == [5]


def test_an_innocent_source_is_archived_however_often_the_run_was_killed_from_outside(run):
    """What a killed run noted is no proof: only a source that ends a process of its own goes to quarantine."""
    path = Path("archive/accepted/LAMP.le.bin")
    path.write_bytes(content(7))
    notes = Path("archive/.attempts")
    notes.mkdir()
    for _ in range(5):
        (notes / "0.json").write_text(f'["{path.absolute()}"]')
    (notes / "1.json").write_text('["half a no')
    assert run("--engine", "serial").returncode == 0
    assert records() == [7]


def test_the_child_that_ended_tells_which_it_had_begun():
    def take(number):
        if number == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        if number == 4:
            os._exit(7)
        if number == 5:
            raise ValueError("it is met again where it counts")

    assert find_deadly(7, take) == {2: "SIGTERM", 4: "exit code 7"}
    assert find_deadly(0, take) == {}
