"""A reader never sees a half-written day file, and never holds anybody up."""

from __future__ import annotations

import time

import pytest

from dayfile import open_archive
from running import PATIENCE, kill, start_script, until

# Opens the day files of an archive again and again, and counts records: blobs of notes, filled slots and overlap.
# Says "ready" once, and at the end of its input how often it looked and what was wrong.
READER = """
import sys, threading
from pathlib import Path
import tables

ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
seen, looks, wrong = {}, 0, []
print("ready", flush=True)
while not ended.is_set():
    for path in Path(sys.argv[1]).glob("probe/*/*/*.h5"):
        try:
            with tables.open_file(path) as file:
                rows = {table._v_pathname: table.read() for table in file.walk_nodes("/", "Table")}
                if "/notes" in rows and len(file.root.blobs) != len(rows["/notes"]):
                    wrong.append(f"{path.name}: {len(file.root.blobs)} texts of {len(rows['/notes'])} notes")
        except Exception as error:
            wrong.append(f"{path.name}: {type(error).__name__}: {error}")
            continue
        ids = [table["id"] for path, table in rows.items() if "ledger" not in path]
        held = sum(((table > 0) & (table < 2**64 - 1)).sum() for table in ids)
        if held < seen.get(path, 0):
            wrong.append(f"{path.name}: {held} records after {seen[path]}")
        seen[path] = held
        looks += 1
print(looks, len(wrong), *wrong[:5], sep="\\n")
"""
# Opens one day file, says how many rows it sees, and says so again whenever it is asked.
HOLDER = """
import sys
import tables

with tables.open_file(sys.argv[1]) as file:
    for _ in sys.stdin:
        print(len(file.root.notes.read()), len(file.root.blobs[:]), flush=True)
"""


@pytest.fixture
def readers(busy, tmp_path):
    """Two readers of a copy of the busy archive, at work."""
    archive = busy.copied(tmp_path / "archive")
    started = [start_script(READER, archive.path) for _ in range(2)]
    for reader in started:
        assert reader.stdout.readline() == "ready\n"
    yield archive, started
    for reader in started:
        kill(reader)


def assert_content(readers):
    """The readers looked often, and never saw anything that was wrong."""
    for reader in readers:
        told, _ = reader.communicate(timeout=PATIENCE)
        looks, problems, *first = told.splitlines()
        assert (int(problems), first) == (0, [])
        assert int(looks) > 100


def identities(archive) -> set[tuple[int, int]]:
    """The day files that stand there, as files; a new one can have the inode of one that is gone."""
    told = [(archive.path / path).stat() for path in archive.root.list_day_files()]
    return {(each.st_ino, each.st_mtime_ns) for each in told}


def test_readers_see_whole_day_files_while_runs_publish_again_and_again(readers, finish):
    archive, started = readers
    published: set[tuple[int, int]] = set()
    for number in range(4, 24):
        assert finish(archive) == 0
        published |= identities(archive)
        archive.load(number)
    assert finish(archive) == 0
    assert_content(started)
    assert len(published) > 10
    archive.assert_whole()


def test_readers_see_whole_day_files_while_a_watch_publishes_again_and_again(readers, start):
    archive, started = readers
    watch = start(archive.path, watch=True)
    published: set[tuple[int, int]] = set()
    for number in range(4, 44):
        before = identities(archive)
        archive.load(number)
        until(lambda before=before: identities(archive) - before)
        published |= identities(archive)
    assert archive.settled(watch)
    watch.terminate()
    watch.join(PATIENCE)
    assert watch.exitcode == 0
    assert_content(started)
    assert len(published) > 10
    archive.assert_whole()


def test_a_reader_that_keeps_a_day_file_open_hinders_no_publish_and_reads_on(busy, tmp_path, finish):
    archive = busy.copied(tmp_path / "archive")
    holder = start_script(HOLDER, archive.path / "probe/2020/05/notes.2020.05.10.h5")

    def seen() -> str:
        holder.stdin.write("\n")
        holder.stdin.flush()
        return holder.stdout.readline()

    try:
        assert seen() == "20 20\n"
        for number in (2, 4):
            assert finish(archive) == 0
            assert seen() == "20 20\n"
            archive.load(number)
        assert finish(archive) == 0
        assert seen() == "20 20\n"
    finally:
        holder.communicate(timeout=PATIENCE)
    assert len(open_archive(archive.path).read("probe.notes")) == 100
    archive.assert_whole()


def test_records_that_were_read_once_are_read_ever_after(busy, tmp_path, start):
    """Through the archive and its catalogue too, while a watch is at work."""
    archive = busy.copied(tmp_path / "archive")
    reading = open_archive(archive.path)
    watch = start(archive.path, watch=True)
    seen: set[int] = set()

    def look() -> set[int]:
        found = [i for name in ("probe.notes", "probe.rates", "probe.runs") for i in reading.read(name)["id"].tolist()]
        assert len(set(found)) == len(found)
        assert seen <= set(found)
        return set(found)

    for number in range(4, 20):
        archive.load(number)
        end = time.monotonic() + 0.15
        while time.monotonic() < end:
            seen = look()
    assert archive.settled(watch)
    seen = look()
    watch.terminate()
    watch.join(PATIENCE)
    assert watch.exitcode == 0
    archive.assert_whole()
    assert len(seen) > 100
