"""Outputs that go away: the work of a command is done and reported, whoever reads along."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from running import run_command

RATES = "L1CrisHighPriorityRate.be.bin"


def run_into(output, *words, cwd, errors=subprocess.STDOUT):
    """Run a command with an output that cannot be written; its exit code, and its errors if they are asked for."""
    done = run_command(*words, capture_output=False, stdout=output, stderr=errors, cwd=cwd)
    return done.returncode, done.stderr or ""


@pytest.fixture(params=["closed pipe", "full disk"])
def gone(request):
    """An output that cannot be written."""
    if request.param == "full disk":
        if not Path("/dev/full").exists():
            pytest.skip("needs a file that is always full")
        with Path("/dev/full").open("wb") as full:
            yield full
        return
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


@pytest.fixture
def sources(tmp_path):
    """A file that is archived, and one that goes to quarantine."""
    run_command("dayfile", "simulate", "cris", "--day", "1997-10-31", "--out", "in", cwd=tmp_path, check=True)
    for path in (tmp_path / "in").iterdir():
        if path.name != RATES:
            path.unlink()
    (tmp_path / "in" / "L1CrisHskp.be.bin").write_bytes(b"cut off")
    return tmp_path


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_run_without_output_archives_reports_and_ends_with_its_own_exit_code(sources, gone, engine):
    words = ("in", "--plugins", "cris", "--report", "report.json", "--engine", engine, "--set", "log.level=debug")
    code, _ = run_into(gone, "archive-run", *words, cwd=sources)
    report = json.loads((sources / "report.json").read_text())
    assert (code, report["sources"]["archived"], report["sources"]["quarantined"]) == (3, 1, 1)
    (sources / "in" / "L1CrisHskp.be.bin").unlink()
    code, _ = run_into(gone, "archive-run", "in", "--plugins", "cris", cwd=sources)
    assert code == 0


@pytest.mark.parametrize("words", [["plugins"], ["ls"], ["check"], ["quarantine", "ls"], ["describe", "cris.hskp"]])
def test_a_listing_into_a_closed_pipe_ends_like_other_programs_without_a_word(sources, words):
    run_into(subprocess.DEVNULL, "archive-run", "in", "--plugins", "cris", cwd=sources)
    reader, writer = os.pipe()
    os.close(reader)
    code, errors = run_into(writer, "dayfile", *words, cwd=sources, errors=subprocess.PIPE)
    os.close(writer)
    assert (code, errors) == (141, "")


def test_help_and_version_without_output_end_without_a_traceback(tmp_path, gone):
    for words in (["--help"], ["--version"], ["ls", "--help"]):
        _, errors = run_into(gone, "dayfile", *words, cwd=tmp_path, errors=subprocess.PIPE)
        assert "Traceback" not in errors
        assert "Exception ignored" not in errors


def test_a_command_that_changes_something_does_all_of_it_without_output(sources, gone):
    for number in range(3):
        (sources / "in" / "L1CrisHskp.be.bin").write_bytes(b"cut off %d" % number)
        run_into(subprocess.DEVNULL, "archive-run", "in", "--plugins", "cris", cwd=sources)
    assert len(list((sources / "archive" / "quarantine").glob("[0-9]*"))) == 3
    code, _ = run_into(gone, "dayfile", "quarantine", "drop", "--all", cwd=sources)
    assert code == 0
    assert list((sources / "archive" / "quarantine").glob("[0-9]*")) == []


def test_outputs_are_the_usual_ones_after_a_command(capfd):
    from dayfile.cli.output import replace_outputs

    before = sys.stdout, sys.stderr
    with replace_outputs():
        sys.stdout.write("printed\n")
        sys.stderr.write("in error\n")
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before
    assert capfd.readouterr() == ("printed\n", "in error\n")


def test_an_error_of_the_disk_that_is_not_the_output_is_still_one(tmp_path, monkeypatch, command):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "somewhere")

    monkeypatch.setattr("dayfile.api.open_archive", fail)
    done = command("dayfile", "export", "cris.hskp", "--day", "1997-10-31", "--format", "level1.1", "--out", "x")
    assert (done.code, done.err) == (4, "dayfile: somewhere: Input/output error\n")
