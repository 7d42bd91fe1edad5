"""``archive-run`` as a process: one at a time in an archive, and exit codes that tell how it ended."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from dayfile import create_archive, open_archive
from dayfile.errors import ArchiveLockedError
from running import TESTS, find_program, run_command, run_python, run_script
from watching import STREAM, stream

# ---- The lock

HOLDER = """
import sys
import dayfile
with dayfile.open_archive(sys.argv[1]).root.hold_lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(archive):
    """A second process that holds the lock of the archive."""
    with run_script(HOLDER, archive.root.path) as process:
        yield process


def test_a_second_process_is_told_who_holds_the_archive_and_changes_nothing(archive, hits, holder):
    archive.drop("MuonHit.be.bin", hits(1))
    (archive.root.workshop / "of the other").write_text("")
    with pytest.raises(ArchiveLockedError, match=f"process {holder.pid} on .* is working on this archive") as caught:
        archive.run()
    assert caught.value.exit_code == 5
    assert archive.files(archive.root.incoming) == ["MuonHit.be.bin"]
    assert archive.files(archive.root.workshop) == ["of the other"]


def test_the_lock_of_a_killed_process_holds_nobody_up(archive, hits, holder):
    archive.drop("MuonHit.be.bin", hits(1))
    (archive.root.workshop / "left behind").mkdir()
    (archive.root.workshop / "left behind" / "day.h5").write_text("half a file")
    holder.kill()
    holder.wait()
    report = archive.run()
    assert report.recovered
    assert archive.seconds() == [1]
    assert list(archive.root.workshop.iterdir()) == []
    assert not archive.run().recovered


def test_reading_goes_on_while_a_run_holds_the_archive(archive, hits, tmp_path):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    with archive.root.hold_lock():
        assert archive.seconds() == [1]


# ---- The command, in a process of its own


ENTRY_POINT = "[dayfile.plugins]\nmuon = muon_of_the_test:plugin\n"


@pytest.fixture
def archive_run(archive, muon):
    """``archive-run`` with the muon telescope installed."""
    site = archive.path / "site"
    (site / "muon_of_the_test-1.0.dist-info").mkdir(parents=True)
    (site / "muon_of_the_test-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")
    (site / "muon_of_the_test-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINT)
    (site / "muon_of_the_test.py").write_text(
        f"from dayfile import Instrument\nplugin = Instrument({muon.layout!r}, 'muon.yaml')\n"
    )

    def run(*arguments, root=archive.root.path):
        code = "from dayfile.__main__ import archive_run; archive_run()"
        options = ("--plugins", "muon", "--set", "watch.settle=0", "--archive", root)
        return run_python("-c", code, *options, *arguments, paths=[site], cwd=archive.path)

    return run


def test_the_command_ends_with_0_when_all_is_archived(archive, archive_run, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    done = archive_run()
    assert done.returncode == 0, done.stderr
    assert archive.seconds() == [1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.bin"], "gone.bin: no such file or directory"),
        (["--set", "publish.afer=5"], "did you mean 'publish.after'?"),
        (["--set", "publish.after=soon"], "--set publish.after: publish.after cannot be 'soon'"),
    ],
    ids=["missing source", "unknown setting", "wrong value"],
)
def test_the_command_ends_with_2_on_wrong_usage(archive_run, arguments, words):
    done = archive_run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_ends_with_3_when_something_was_set_aside(archive, archive_run, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.drop("notes.txt", b"of nobody")
    done = archive_run()
    assert done.returncode == 3
    assert "1 source not recognised by the plugins of this run, left in place: notes.txt" in done.stderr
    assert archive.seconds() == [1]


def test_the_command_ends_with_4_when_it_cannot_write(archive_run, tmp_path):
    (tmp_path / "file").write_text("")
    done = archive_run(root=tmp_path / "file" / "archive")
    assert done.returncode == 4
    assert "could not make the directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_ends_with_5_when_another_run_holds_the_archive(archive_run, holder):
    done = archive_run()
    assert done.returncode == 5
    assert f"process {holder.pid}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_file_is_written_below_the_given_path(archive, archive_run, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    assert archive_run("--report", "report.json", "--quiet").stdout == ""
    assert json.loads(Path(archive.path / "report.json").read_text())["sources"]["archived"] == 1


def test_a_report_that_cannot_be_written_is_told_after_what_was_done(archive, archive_run, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    done = archive_run("--report", "gone/report.json")
    assert done.returncode == 4
    assert "gone/report.json: could not write the report: No such file or directory" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sources: 1 archived" in done.stdout
    assert archive.seconds() == [1]


@pytest.mark.parametrize("word", ["run", "serve"])
def test_help_tells_what_holds_without_an_option(command, monkeypatch, word):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")
    told = " ".join(command("dayfile", word, "--help", archive=None).out.split())
    for default in ("(all installed)", "(that of --config, or archive)", "(one "):
        assert f"default: {default}" in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
def test_output_to_a_full_disk_ends_in_a_message():
    with Path("/dev/full").open("w") as full:
        done = run_command("dayfile", "plugins", capture_output=False, stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 4
    assert done.stderr == "dayfile: the output could not be written: No space left on device\n"


FEW_FILES = """
import resource, runpy
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
runpy.run_module("dayfile", run_name="__main__")
"""


def test_more_processes_than_can_be_started_are_refused_with_a_message(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    options = ["run", "--archive", archive.root.path, "--plugins", "cris", "--engine", "processes", "--workers", "200"]
    done = run_python("-c", FEW_FILES, *options)
    assert done.returncode == 2
    assert re.search("only [0-9]+ of 200 processes could be started .*--workers N$", done.stderr.strip())
    assert archive.files(archive.root.incoming) == ["MuonHit.be.bin"]


# ---- Before any command


@pytest.mark.parametrize("program", [["dayfile"], ["archive-run"], ["python", "-m", "dayfile"]])
def test_every_way_in_says_its_version(program, tmp_path):
    from dayfile import __version__

    done = run_command(find_program(program[0]), *program[1:], "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"dayfile {__version__}\n", "")


@pytest.mark.parametrize("words", [[], ["ls"], ["quarantine"], ["quarantine", "show"]])
def test_a_short_option_asks_for_help_everywhere(command, words):
    helped = [command("dayfile", *words, option, archive=None) for option in ("-h", "--help")]
    assert [done.code for done in helped] == [0, 0]
    assert helped[0].out == helped[1].out
    assert "Usage: dayfile" in helped[0].out
    assert command("archive-run", "-h", archive=None).code == 0


INTERRUPTED_IMPORT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background of a shell ignore it
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
from importlib.metadata import entry_points
(entry,) = entry_points(group="console_scripts", name=sys.argv[1])
entry.load()()
"""


@pytest.mark.parametrize("name", ["dayfile", "archive-run"])
def test_an_interrupt_while_the_program_loads_ends_it_in_one_line(name):
    done = run_python("-c", INTERRUPTED_IMPORT, name)
    assert (done.returncode, done.stderr) == (130, "dayfile: stopped\n")


def test_an_interrupt_of_a_command_ends_it_in_one_line(command, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("dayfile.api.open_archive", interrupt)
    done = command("dayfile", "export", "cris.hskp", "--day", "1997-10-31", "--format", "level1.1", "--out", "x")
    assert (done.code, done.err) == (130, "dayfile: stopped\n")


INTERRUPTED_RUN = """
import signal, sys
from archives import watch_steps
from dayfile.__main__ import archive_run

signal.signal(signal.SIGINT, signal.default_int_handler)

def interrupt(step, path):
    if step == "rename" and path.suffix == ".h5":
        signal.raise_signal(signal.SIGINT)

sys.argv[0] = "archive-run"
with watch_steps(interrupt):
    archive_run()
"""


@pytest.mark.parametrize("given", [False, True])
def test_an_interrupt_of_a_run_says_what_becomes_of_its_sources(tmp_path, given):
    path = tmp_path / "archive" if not given else tmp_path
    create_archive(tmp_path / "archive")
    source = (path / STREAM) if given else path / "incoming" / STREAM
    source.write_bytes(stream(1, 2))
    words = ["--archive", tmp_path / "archive", "--plugins", "cris", "--set", "watch.settle=0"]
    words += [source] if given else []
    done = run_python("-c", INTERRUPTED_RUN, *words, paths=[TESTS])
    said = "dayfile: stopped; nothing is lost: the next run goes on with what was accepted"
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == said + ("; give the same sources again\n" if given else "\n")
    assert run_command("archive-run", *words).returncode == 0
    assert len(open_archive(tmp_path / "archive").read("cris.hskp")) == 2
