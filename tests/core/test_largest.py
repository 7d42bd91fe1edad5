"""A source that is too large is refused by its size, costs no other, and is kept whole; none is mapped into memory."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from archives import list_entries, watch_steps
from dayfile.archive.quarantine import Quarantine
from dayfile.engine.intake import Arrival
from dayfile.engine.reading import Read, Unread, read_source
from dayfile.errors import SettingsError
from dayfile.settings import from_command_line, resolve

STREAM, LATER = "MuonHit.be.bin", "MuonHit.le.bin"
HUGE = 300 * 2**40


def sparse(path, size=HUGE):
    """A file that takes no room."""
    with path.open("wb") as file:
        try:
            file.truncate(size)
        except OSError:
            file.truncate(5 * 2**30)
    return path


@pytest.fixture
def huge(archive, hits):
    """A file in incoming/ that is larger than any memory, between two good ones."""
    archive.drop("MuonHit.be.bin", hits(1), "a")
    archive.drop(LATER, hits(2, order="little"), "z")
    return sparse(archive.root.incoming / "huge.bin")


def test_a_source_larger_than_the_largest_goes_to_quarantine_by_rename(archive, run, huge):
    before = huge.stat()
    report = run()
    (entry,) = list_entries(archive.root)
    after = entry.content.stat()
    assert (after.st_ino, after.st_size, entry.content.name) == (before.st_ino, before.st_size, "huge.bin")
    assert f"{before.st_size:,} bytes, and sources.largest is {4 * 2**30:,}" in entry.reason["message"]
    assert entry.reason["message"].endswith(f", then archive-run --set sources.largest={before.st_size}")
    assert (entry.reason["size"], entry.reason["source_sha256"]) == (before.st_size, None)
    assert (report.sources["archived"], report.sources["quarantined"], report.exit_code) == (2, 1, 3)
    assert archive.seconds() == [1, 2]
    assert archive.files(archive.root.incoming) == archive.files(archive.root.accepted) == []
    assert run().exit_code == 0


def test_the_same_one_again_is_kept_again(archive, run, huge):
    run()
    quarantine = Quarantine(archive.root)
    for _ in range(2):
        (entry,) = quarantine.entries()
        quarantine.requeue(entry)
        assert archive.files(archive.root.incoming) == ["huge.bin"]
        assert run().sources["quarantined"] == 1
    (entry,) = quarantine.entries()
    quarantine.drop(entry)
    assert list(quarantine.entries()) == []


def test_the_commands_of_the_quarantine_know_it(archive, huge, command):
    archive.run()
    where = archive.root.path
    (listed,) = json.loads(command("dayfile", "quarantine", "ls", "--json", archive=where).out)
    assert "sources.largest" in json.dumps(listed)
    (entry,) = list_entries(archive.root)
    for words in (("show", entry.name), ("requeue", entry.name)):
        assert command("dayfile", "quarantine", *words, archive=where).code == 0
    archive.run()
    (entry,) = list_entries(archive.root)
    assert command("dayfile", "quarantine", "drop", entry.name, archive=where).code == 0


def test_a_requeue_that_was_cut_short_does_not_read_it(archive, huge):
    archive.run()
    quarantine = Quarantine(archive.root)
    (entry,) = quarantine.entries()
    entry.path.rename(entry.path.with_name(f".requeue-{entry.name}"))
    quarantine.repair()
    (again,) = quarantine.entries()
    assert (again.name, again.content.stat().st_size) == (entry.name, entry.reason["size"])


def test_a_given_file_that_is_too_large_is_reported_and_left(archive, run, hits, tmp_path):
    archive.drop(STREAM, hits(1))
    path = tmp_path / STREAM
    path.write_bytes(hits(2, 3))
    report = run(path, sources__largest=len(hits(1)))
    (failure,) = report.failures
    size = len(hits(1))
    assert failure.message == f"{path}: {2 * size} bytes, and sources.largest is {size}; left in place"
    assert (report.exit_code, report.sources["archived"], path.read_bytes()) == (3, 1, hits(2, 3))
    assert archive.seconds() == [1]


def test_a_source_of_the_largest_size_is_archived(archive, run, hits):
    archive.drop(STREAM, hits(1, 2))
    assert run(sources__largest=len(hits(1, 2))).exit_code == 0
    assert archive.seconds() == [1, 2]


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_the_largest_size_is_a_number_of_bytes(value):
    with pytest.raises(SettingsError, match=r"sources\.largest cannot be"):
        resolve({}, from_command_line([f"sources.largest={value}"]))


def test_a_process_killed_before_the_rename_leaves_the_file_and_the_next_run_moves_it(archive, huge):
    def killed(kind, path):
        if kind == "rename" and path.name == "huge.bin" and "quarantine" in path.parts:
            raise KeyboardInterrupt

    with watch_steps(killed), pytest.raises(KeyboardInterrupt):
        archive.run()
    assert archive.files(archive.root.accepted).count("huge.bin") == 1
    assert archive.run().sources["quarantined"] == 1
    (entry,) = list_entries(archive.root)
    assert entry.content.name == "huge.bin"


def test_one_that_cannot_be_moved_to_quarantine_is_held(archive, run, huge):
    def refused(kind, path):
        if kind == "rename" and path.name == "huge.bin" and "quarantine" in path.parts:
            raise OSError(18, "Invalid cross-device link")

    with watch_steps(refused):
        report = run()
    (held,) = report.held
    assert "cannot be moved to quarantine (Invalid cross-device link); left in place" in held.message
    assert list_entries(archive.root) == []
    assert archive.seconds() == [1, 2]


# ---- Reading


@pytest.fixture
def cut(monkeypatch):
    """Let a file shrink right after it was opened and looked at, so many times."""
    plain = os.fstat

    def start(path, times):
        left = list(range(times))

        def looked_at(descriptor):
            status = plain(descriptor)
            if left and status.st_ino == path.stat().st_ino and left.pop() >= 0:
                os.truncate(path, status.st_size // 2)
            return status

        monkeypatch.setattr(os, "fstat", looked_at)

    return start


def test_a_source_that_shrinks_while_it_is_read_is_read_again(cut, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"ab" * 2**20)
    cut(path, 1)
    read = read_source(Arrival(path, ours=False), 2**30)
    assert isinstance(read, Read)
    assert read.source.content == b"ab" * 2**19


def test_a_source_that_goes_on_shrinking_is_held(cut, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(b"ab" * 2**20)
    cut(path, 10)
    assert read_source(Arrival(path, ours=False), 2**30) == Unread("changes while it is read")


def test_what_has_no_size_is_read_to_the_bound(tmp_path):
    for size, good in ((1000, True), (1001, False)):
        reader, writer = os.pipe()
        os.write(writer, b"a" * size)
        os.close(writer)
        read = read_source(Arrival(Path(f"/dev/fd/{reader}"), ours=False), 1000)
        os.close(reader)
        assert isinstance(read, Read) is good
