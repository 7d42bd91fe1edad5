"""Where sources come from, and what becomes of them: taken once, left alone, taken up again."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import socket
import time
from pathlib import Path

import numpy as np
import pytest

from dayfile.archive.root import Root
from dayfile.engine.intake import Incoming, list_further, list_given, list_visible
from dayfile.errors import SettingsError, StorageError, UsageError
from running import run_command, run_python, run_script

HITS = "muon/1997/10/muon.1997.10.31.hit.h5"


# ---- Where sources come from


def test_sources_are_taken_from_incoming_and_removed_once_they_are_published(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2))
    archive.drop("MuonHit.le.bin", hits(3, order="little"))
    report = archive.run()
    assert report.sources == {"archived": 2, "already": 0, "quarantined": 0, "held": 0, "left": 0}
    assert archive.counts(report) == {"written": 3}
    assert report.day_files == [HITS]
    assert report.exit_code == 0
    assert archive.seconds() == [1, 2, 3]
    assert archive.files(archive.root.incoming) == archive.files(archive.root.accepted) == []
    assert archive.files(archive.root.workshop) == []


def test_sources_that_are_given_stay_where_they_lie(archive, hits, tmp_path):
    source = tmp_path / "MuonHit.be.bin"
    source.write_bytes(hits(1))
    before = source.stat()
    assert archive.run(source).sources["archived"] == 1
    assert archive.seconds() == [1]
    assert (source.stat().st_ino, source.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_sources_given_and_sources_that_arrived_are_taken_by_one_run(archive, hits, tmp_path):
    given = tmp_path / "given" / "deeper"
    given.mkdir(parents=True)
    (given / "MuonHit.be.bin").write_bytes(hits(1))
    archive.drop("MuonHit.be.bin", hits(2))
    archive.drop("MuonHit.be.bin", hits(3), below="station 7")
    assert archive.run(tmp_path / "given").sources["archived"] == 3
    assert archive.seconds() == [1, 2, 3]


def test_hidden_files_are_left_alone(archive, hits, tmp_path):
    archive.drop(".MuonHit.be.bin", hits(1))
    archive.drop("MuonHit.be.bin", hits(2), below=".unfinished")
    given = tmp_path / "given"
    given.mkdir()
    (given / ".MuonHit.be.bin").write_bytes(hits(3))
    report = archive.run(given)
    assert sum(report.sources.values()) == 0
    assert archive.files(archive.root.incoming) == [".MuonHit.be.bin", ".unfinished/MuonHit.be.bin"]
    assert (given / ".MuonHit.be.bin").exists()


def test_an_empty_directory_in_incoming_is_removed_once_nothing_has_changed_in_it_for_an_hour(archive, hits, tmp_path):
    incoming = archive.root.incoming
    archive.drop("MuonHit.be.bin", hits(1), "night/first")
    archive.drop(".keep", b"", "kept")
    (incoming / ".making").mkdir()
    (incoming / "link").symlink_to(tmp_path)
    left = ["night", "night/first", "kept", ".making", "link"]

    def age(*names, seconds=7200):
        for name in names:
            os.utime(incoming / name, (time.time() - seconds,) * 2, follow_symlinks=False)

    assert archive.run().sources["archived"] == 1
    age(*left)
    age("night/first", seconds=3500)  # its writer may be about to put the next file into it
    archive.run()
    assert [name for name in left if not os.path.lexists(incoming / name)] == []
    age("night", "night/first")
    archive.run()
    age("night")
    archive.run()
    assert [name for name in left if not os.path.lexists(incoming / name)] == ["night", "night/first"]


def test_files_of_a_directory_come_by_path_and_directories_in_it_too(tmp_path):
    for name in ("b/x", "a", "c/d/y", ".hidden", "c/.z/w"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [str(path.relative_to(tmp_path)) for path in list_visible(tmp_path)] == ["a", "b/x", "c/d/y"]
    found = list_given([tmp_path / "c", tmp_path / "a", tmp_path / ".hidden"])
    assert [arrival.found for arrival in found] == [True, False, False]
    assert [arrival.path for arrival in found] == [
        tmp_path / "c/d/y",
        tmp_path / "a",
        tmp_path / ".hidden",
    ]


def test_a_given_path_that_does_not_exist_stops_the_run_before_anything_is_taken(archive, hits, tmp_path):
    archive.drop("MuonHit.be.bin", hits(1))
    with pytest.raises(UsageError, match="gone: no such file or directory"):
        archive.run(tmp_path / "gone")
    assert archive.files(archive.root.incoming) == ["MuonHit.be.bin"]


def test_what_is_no_file_is_left_in_place_and_named_in_a_line(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    incoming = archive.root.incoming
    os.mkfifo(incoming / "pipe")
    (incoming / "loop").symlink_to(incoming / "loop")
    (incoming / "nothing").symlink_to(incoming / "gone")
    (incoming / "elsewhere").symlink_to(archive.path)
    os.mkfifo(incoming / ".hidden")
    with socket.socket(socket.AF_UNIX) as open_socket:
        open_socket.bind(os.path.relpath(incoming / "socket"))
    report = archive.run()
    assert report.sources["archived"] == 1
    assert archive.seconds() == [1]
    names = ["elsewhere", "loop", "nothing", "pipe", "socket"]
    assert sorted(path.name for path in incoming.iterdir()) == [".hidden", *names]
    messages = "\n".join(sorted(entry.message for entry in report.held))
    kinds = {"elsewhere": "a link", "nothing": "a link", "pipe": "a FIFO, not", "socket": "a socket, not"}
    for name, kind in kinds.items():
        assert re.search(f"{name}: .*{kind}", messages), messages


def test_a_fifo_given_as_a_source_is_refused_and_not_waited_for(archive, hits, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    archive.drop("MuonHit.be.bin", hits(1))
    with pytest.raises(UsageError, match=r"pipe: a FIFO, not a file"):
        archive.run(tmp_path / "pipe")
    assert archive.files(archive.root.incoming) == ["MuonHit.be.bin"]


def test_a_dash_as_a_source_is_refused_and_says_what_to_give_instead(command, tmp_path):
    done = command("archive-run", "-")
    assert (done.code, "save it to a file" in done.err) == (2, True), done.err
    assert not (tmp_path / "archive").exists()


def test_standard_input_is_taken_as_a_source_by_its_path(tmp_path):
    done = run_command("archive-run", "/dev/stdin", input="of nobody", cwd=tmp_path)
    assert (done.returncode, "no plugin of this run recognises it" in done.stderr) == (3, True), done.stderr
    (kept,) = (tmp_path / "archive/quarantine").glob("*/stdin")
    assert kept.read_bytes() == b"of nobody"


@pytest.mark.parametrize(
    ("pack", "name"), [(gzip.compress, "gzip"), (bz2.compress, "bzip2"), (lzma.compress, "xz")], ids=["gz", "bz2", "xz"]
)
def test_a_compressed_source_is_named_as_such(archive, pack, name):
    archive.drop("MuonHit.be.bin.packed", pack(b"anything"))
    report = archive.run(run__unrecognised="quarantine")
    (entry,) = report.quarantine
    assert f"it is compressed ({name}), and compressed files are not unpacked" in entry.reason


@pytest.mark.parametrize("mode", [0o000, 0o444], ids=["not to be listed", "not to be entered"])
def test_a_directory_that_may_not_be_looked_into_is_named(plain_user, caplog, mode):
    closed = Path("archive/incoming/closed")
    closed.mkdir(parents=True)
    (closed / "MuonHit.be.bin").write_text("")
    Path("archive/incoming/dangling").symlink_to("gone")
    Path("archive/incoming/MuonHit.be.bin").write_text("")
    closed.chmod(mode)
    with pytest.raises(UsageError, match=r"closed.*: cannot be read \(Permission denied\)"):
        list_given([Path("archive/incoming")])
    incoming = Incoming(Root(Path("archive")), 0)
    assert incoming.find_ready() == [plain_user / "archive/incoming/MuonHit.be.bin"]
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "closed" in caplog.text
    assert "dangling: cannot be read (a link to nothing" in caplog.text
    caplog.clear()
    Path("archive/incoming").rename("archive/partial")
    assert list_further(incoming.root, ["partial"]) == [plain_user / "archive/partial/MuonHit.be.bin"]
    assert "closed" in caplog.text
    Path("archive/partial/closed").chmod(0o700)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that exists and cannot be read")
def test_a_source_that_cannot_be_read_is_told_and_costs_no_other(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    report = archive.run("/proc/self/mem")
    (failure,) = report.failures
    assert "/proc/self/mem: cannot be read" in failure.message
    assert (report.sources["archived"], report.exit_code) == (1, 3)
    assert archive.seconds() == [1]


def test_a_file_that_is_still_growing_waits_for_the_next_run(archive, hits):
    path = archive.drop("MuonHit.be.bin", hits(1))
    os.utime(path, (time.time() + 3600, time.time() + 3600))
    with run_script(GROWING, path):
        report = archive.run(watch__settle=1.0)
    assert sum(report.sources.values()) == 0
    assert report.growing == ["incoming/MuonHit.be.bin"]
    assert report.exit_code == 0
    assert path.exists()


GROWING = """
import sys, time
with open(sys.argv[1], "ab") as file:
    print("writing", flush=True)
    while True:
        time.sleep(0.02)
        file.write(b"x")
        file.flush()
"""


# ---- Further directories


def test_files_of_further_directories_are_taken_in_and_a_directory_that_is_not_there_is_none(archive, hits):
    (archive.root.path / "partial" / "deeper").mkdir(parents=True)
    (archive.root.path / "partial" / "deeper" / "MuonHit.be.bin").write_bytes(hits(1))
    assert archive.run(intake__also="partial,gone").sources["archived"] == 1
    assert archive.seconds() == [1]
    assert archive.files(archive.root.path / "partial") == []


@pytest.mark.parametrize(
    "named",
    [
        "muon",
        "muon/1997",
        "muon/",
        ".",
        "..",
        "../outside",
        "ABSOLUTE",
        "link",
        "muon/../quarantine",
        "partial,sources",
        "incoming",
        "accepted",
        "quarantine",
        "workshop",
        "sources",
    ],
)
def test_a_further_directory_that_is_no_place_of_input_is_refused_and_nothing_is_moved(archive, hits, named):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.drop("of nobody", b"quarantined")
    archive.run(sources__keep="always")
    outside = archive.path / "outside"
    for directory in (archive.root.workshop, archive.root.incoming, archive.root.path / "partial", outside):
        directory.mkdir(exist_ok=True)
        (directory / "MuonHit.be.bin").write_bytes(hits(2))
    (archive.root.path / "link").symlink_to(outside)
    held = [archive.files(archive.root.path), archive.files(outside)]
    with pytest.raises(SettingsError, match=r"^intake\.also: .* cannot be named: ") as refused:
        archive.run(intake__also=str(outside) if named == "ABSOLUTE" else named)
    assert refused.value.exit_code == 2
    assert [archive.files(archive.root.path), archive.files(outside)] == held
    assert archive.seconds() == [1]


# ---- accepted/


def test_what_an_earlier_run_had_accepted_is_taken_up_again(archive, hits):
    (archive.root.accepted / "MuonHit.be.bin").write_bytes(hits(1))
    (archive.root.accepted / "1").mkdir()
    (archive.root.accepted / "1" / "MuonHit.be.bin").write_bytes(hits(2))
    assert archive.run().sources["archived"] == 2
    assert archive.seconds() == [1, 2]
    assert list(archive.root.accepted.iterdir()) == []


def test_what_was_accepted_and_published_already_is_released(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    (archive.root.accepted / "MuonHit.be.bin").write_bytes(hits(1))
    assert archive.run().sources == {"archived": 0, "already": 1, "quarantined": 0, "held": 0, "left": 0}
    assert archive.files(archive.root.accepted) == []
    assert archive.seconds() == [1]


def test_a_name_that_is_taken_in_accepted_costs_neither_source(archive, hits):
    (archive.root.accepted / "MuonHit.be.bin").write_bytes(hits(1))
    for number, below in enumerate(("", "a", "b", "c/d")):
        archive.drop("MuonHit.be.bin", hits(number + 2), below)
    assert archive.run().sources["archived"] == 5
    assert archive.seconds() == [1, 2, 3, 4, 5]
    assert list(archive.root.accepted.iterdir()) == []


def test_a_source_with_the_name_of_a_numbered_directory_stops_no_run(archive, hits):
    archive.drop("1", b"of nobody")
    archive.drop("MuonHit.be.bin", hits(1), "a")
    archive.drop("MuonHit.be.bin", hits(2), "b")
    assert archive.run().sources == {"archived": 2, "already": 0, "quarantined": 1, "held": 0, "left": 0}
    assert archive.seconds() == [1, 2]
    assert archive.files(archive.root.accepted) == []


def test_a_disk_that_takes_no_more_leaves_the_source_and_the_next_run_archives_it(archive, muon):
    """Every file of the process is limited, as a full disk limits it."""
    content = muon.stream("hits", records_with_noise(muon, 20_000))
    archive.drop("MuonHit.be.bin", content)
    (archive.path / "muon.yaml").write_text(muon.layout)
    done = run_python("-c", FULL_DISK, archive.path)
    assert done.returncode == StorageError.exit_code, done.stderr
    assert [path.read_bytes() for path in archive.root.accepted.iterdir()] == [content]
    assert not (archive.root.path / HITS).exists()
    report = archive.run()
    assert archive.counts(report) == {"written": 20_000}


def records_with_noise(muon, number):
    records = np.zeros(number, muon.hits.dtype)
    records["second"] = muon.start + np.arange(number) % 86400
    records["energy"] = np.random.default_rng(1).random(number)
    return records


FULL_DISK = """
import os, resource, sys
from pathlib import Path
from dayfile import settings
from dayfile.archive.root import Root
from dayfile.engine.executors import run_serial
from dayfile.errors import DayfileError
from dayfile import Instrument
from dayfile.plugins import Plugins

directory = Path(sys.argv[1])
plugins = Plugins.make_empty()
plugins.add("muon", Instrument((directory / "muon.yaml").read_text(), "muon.yaml"))
chosen = settings.resolve(plugins.settings_models, settings.from_command_line(["watch.settle=0"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    run_serial(Root(directory / "archive"), plugins, chosen)
except DayfileError as error:
    print(error, file=sys.stderr, flush=True)
    os._exit(error.exit_code)
"""
