"""A source that is too large is refused by its size, costs no other, and is kept whole; none is mapped into memory."""

from __future__ import annotations

import json

import pytest

from archives import list_entries, open_quarantine, watch_steps
from dayfile import create_archive
from dayfile.errors import SettingsError

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
    quarantine = open_quarantine(archive.root)
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
    quarantine = open_quarantine(archive.root)
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
def test_the_largest_size_is_a_number_of_bytes(value, tmp_path):
    with pytest.raises(SettingsError, match=r"sources\.largest cannot be"):
        create_archive(tmp_path / "archive", plugins={}, settings={"sources.largest": value})


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
