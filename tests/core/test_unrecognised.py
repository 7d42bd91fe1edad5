"""What no plugin of the run recognises is not bad: it is left where another plugin may know it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

import dayfile
from running import start_command, stop, until

RATES = "L1CrisHighPriorityRate.be.bin"
SECOND = 57801611
ENGINES = [("--engine", "serial"), ("--engine", "processes", "--workers", "2")]


def rates(*seconds):
    import struct

    return b"".join(struct.pack(">IIIIIBBxx", second, second, 0, n, 7, 0, 0) for n, second in enumerate(seconds))


@pytest.fixture
def mixed(command):
    Path("mixed/below").mkdir(parents=True)
    for number in range(12):
        Path(f"mixed/below/note{number}.txt").write_text(f"of another detector {number}")
    Path("mixed", RATES).write_bytes(rates(SECOND))
    return command


def found():
    return len(dayfile.open_archive("archive").read("cris.high_priority_rates"))


@pytest.mark.parametrize("engine", ENGINES, ids=["serial", "processes"])
def test_foreign_files_of_a_given_directory_stay_and_are_counted_in_one_line(mixed, engine):
    done = mixed("archive-run", "mixed", "--plugins", "cris,sis", *engine, "--report", "report.json")
    assert (done.code, found()) == (0, 1)
    assert "1 archived, 0 already, 0 quarantined, 0 held, 12 left" in done.out
    (line,) = [line for line in done.err.splitlines() if "note" in line]
    assert line.startswith("dayfile: 12 sources not recognised by the plugins of this run, left in place: note0.txt")
    assert len(list(Path("mixed/below").iterdir())) == 12
    assert list(Path("archive/quarantine").iterdir()) == []
    assert len(json.loads(Path("report.json").read_text())["left"]) == 12


def test_a_file_that_was_named_was_expected_to_be_recognised(mixed):
    done = mixed("archive-run", "mixed/below/note1.txt", "--plugins", "cris")
    assert (done.code, "1 left" in done.out) == (3, True)


def test_a_compressed_file_that_is_left_is_named_as_such(mixed):
    Path(f"{RATES}.gz").write_bytes(b"anything")
    done = mixed("archive-run", f"{RATES}.gz", "--plugins", "cris")
    assert (done.code, f"{RATES}.gz is compressed, and compressed files are not unpacked" in done.err) == (3, True), (
        done.err
    )


def test_with_all_plugins_asked_it_goes_to_quarantine(mixed):
    done = mixed("archive-run", "mixed")
    assert (done.code, "12 quarantined, 0 held, 0 left" in done.out) == (3, True)


@pytest.mark.parametrize("engine", ENGINES, ids=["serial", "processes"])
def test_what_is_left_in_incoming_keeps_its_place_and_is_not_read_again_until_it_changes(mixed, engine, monkeypatch):
    mixed("archive-run", "mixed", "--plugins", "cris")
    path = Path("archive/incoming/sub/note.txt")
    path.parent.mkdir()
    path.write_text("of another detector")
    run = ("archive-run", "--plugins", "cris,sis", *engine)
    assert (mixed(*run).code, path.read_text()) == (3, "of another detector")
    inode, changed = path.stat().st_ino, path.stat().st_ctime_ns
    done = mixed(*run)
    assert (done.code, "1 left" in done.out) == (3, True)
    assert (path.stat().st_ino, path.stat().st_ctime_ns) == (inode, changed), "it was not touched"
    path.write_text("changed")
    mixed(*run)
    assert path.stat().st_ctime_ns != changed
    assert list(Path("archive/quarantine").iterdir()) == []
    done = mixed("archive-run")
    assert (done.code, "1 quarantined" in done.out, path.exists()) == (3, True, False)


@pytest.mark.parametrize(
    ("value", "words", "counted"),
    [
        ("leave", (), "0 quarantined, 0 held, 1 left"),
        ("quarantine", ("--plugins", "cris"), "1 quarantined, 0 held, 0 left"),
    ],
)
def test_the_setting_says_what_becomes_of_it(mixed, value, words, counted):
    dayfile.create_archive("archive")
    Path("archive/incoming/note.txt").write_text("of another detector")
    done = mixed("archive-run", *words, "--set", f"run.unrecognised={value}")
    assert (done.code, counted in done.out) == (3, True)


def test_the_input_of_a_plugin_that_does_not_load_stays(archive, hits, muon, plugins_of):
    class Broken:
        @dayfile.hookimpl
        def data_types(self):
            raise RuntimeError("no licence")

    path = archive.drop("Sand.le.bin", b"grains")
    archive.drop("MuonHit.be.bin", hits(1))
    loaded = plugins_of(muon=muon.instrument, sand=Broken())
    assert [failure.plugin for failure in loaded.failures] == ["sand"]
    report = archive.run(plugins=loaded, run__unrecognised="quarantine")
    assert (report.sources["archived"], report.sources["left"], report.exit_code) == (1, 1, 3)
    assert path.read_bytes() == b"grains"
    assert archive.run(plugins=plugins_of(muon=muon.instrument)).sources["quarantined"] == 1


def test_a_watch_leaves_it_and_says_so_once(mixed, tmp_path):
    dayfile.create_archive("archive")
    Path("archive/incoming/note.txt").write_text("of another detector")
    words = ["--plugins", "cris", "--watch", "--set", "watch.rescan=0.2", "--set", "publish.after=0.2"]
    process = start_command("archive-run", *words, log=Path("watch.txt"))
    try:
        time.sleep(2)
        Path("archive/incoming", f".{RATES}").write_bytes(rates(SECOND))
        Path("archive/incoming", f".{RATES}").rename(f"archive/incoming/{RATES}")
        until(lambda: list(Path("archive").glob("cris/**/*.h5")))
    finally:
        stop(process)
    errors = Path("watch.txt").read_text()
    assert found() == 1
    assert sum("not recognised" in line and "WARNING" in line for line in errors.splitlines()) == 1
    assert Path("archive/incoming/note.txt").read_text() == "of another detector"
