"""Day files that are read again: without the library, and as they are now."""

from __future__ import annotations

import fcntl
import os
import pickle
import time
from pathlib import Path

import h5py
import pytest
import tables

from dayfile import open_archive
from dayfile.archive.finding import Finder
from dayfile.archive.outlines import KNOWN_AFTER, Outlines
from dayfile.errors import StorageError
from dayfile.hdf5 import readonly

MIDNIGHT = 57888001  # of 1997-11-01
HITS, RATES = "muon.hits", "muon.rates"
NODE = "/hits"


@pytest.fixture
def opened(archive, muon):
    """An archive with hits and rates of two days, of which the files have not changed for a while."""
    rows = [{"second": MIDNIGHT + second, "energy": 1.5, "channel": second} for second in (-3, -2, 5, 6)]
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", rows)))
    rates = [{"second": MIDNIGHT + 256 * slot, "quality": slot % 7} for slot in (-9, -8, -2, 3, 4, 5)]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rates)))
    archive.run()
    settle()
    return open_archive(archive.root.path)


def settle():
    """Wait until files are known by their times."""
    time.sleep(KNOWN_AFTER / 1e9 + 0.05)


@pytest.fixture
def calls(monkeypatch):
    """The day files that the library opens."""
    found = []
    original = readonly.try_open

    def note(path):
        found.append(Path(path).name)
        return original(path)

    monkeypatch.setattr(readonly, "try_open", note)
    return found


def find_day_file(opened, suffix="hit", day="01"):
    (path,) = opened.root.path.glob(f"**/*.{day}.{suffix}.h5")
    return path


@pytest.mark.parametrize("name", [HITS, RATES])
@pytest.mark.parametrize("asked", [{}, {"fields": ["second"]}, {"where": "second > 57888001"}, {"inside": True}])
def test_a_day_file_that_is_the_same_is_read_again_without_the_library(opened, calls, name, asked):
    first = opened.read(name, **asked)
    assert len(calls) >= 2
    calls.clear()
    again = opened.read(name, **asked)
    assert calls == []
    assert again.array.tobytes() == first.array.tobytes()
    assert len(again)
    assert again.array.tobytes() == open_archive(opened.root.path).read(name, **asked).array.tobytes()


def test_records_that_are_added_are_read_at_once(opened, muon, archive, calls):
    assert len(opened.read(HITS)) == len(opened.read(HITS)) == 4
    for count in range(5, 9):
        rows = [{"second": MIDNIGHT + 10 * count, "energy": 2.5, "channel": 1}]
        archive.drop(f"{count}/MuonHit.be.bin", muon.stream("hits", muon.records("hits", rows)))
        archive.run()
        assert len(opened.read(HITS)) == count
        assert len(opened.read(HITS)) == count
    settle()
    opened.read(HITS)
    calls.clear()
    assert len(opened.read(HITS)) == 8
    assert calls == []


def test_a_value_that_another_program_writes_is_read_at_once(opened):
    path = find_day_file(opened)
    opened.read(HITS)
    for energy in (3.25, 4.5):
        with h5py.File(path, "r+") as file:
            rows = file[NODE][:]
            rows["energy"] = energy
            file[NODE][:] = rows
        assert (opened.read(HITS, "1997-11-01")["energy"] == energy).all()


def test_a_file_whose_rows_were_moved_is_read_as_it_is(opened, calls):
    """Another program moves the rows, and sets the time of the content back."""
    path = find_day_file(opened)
    before = opened.read(HITS)
    status = path.stat()
    with tables.open_file(path, "r+") as file:
        moved = file.copy_node(NODE, "/", newname="moved")
        moved.append(moved[:])
        file.remove_node(NODE)
        moved.rename(NODE[1:])
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    calls.clear()
    after = opened.read(HITS)
    assert path.name in calls
    assert len(after) == len(before) + 2
    assert after.array.tobytes() == open_archive(opened.root.path).read(HITS).array.tobytes()


def test_a_file_that_is_in_use_is_named_as_if_it_were_read_for_the_first_time(opened):
    opened.read(HITS)
    path = find_day_file(opened)
    with path.open("rb") as file, pytest.raises(StorageError, match="is in use"):
        fcntl.flock(file, fcntl.LOCK_EX)  # as if it were not changed yet
        opened.read(HITS)
    with h5py.File(path, "r+"), pytest.raises(StorageError, match="is in use"):
        opened.read(HITS)
    assert len(opened.read(HITS)) == 4


def remove(path):
    path.unlink()


def put_pipe(path):
    path.unlink()
    os.mkfifo(path)


def put_directory(path):
    path.unlink()
    path.mkdir()


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def fill(path):
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (remove, "this day file is missing"),
        (put_pipe, "not a regular file"),
        (put_directory, "is a directory"),
        (cut, "is damaged"),
        (fill, "is damaged"),
    ],
)
def test_what_happens_to_a_file_is_named_as_if_it_were_read_for_the_first_time(opened, harm, words):
    opened.read(HITS)
    path = find_day_file(opened)
    harm(path)
    for archive in (opened, open_archive(opened.root.path)):
        with pytest.raises(StorageError, match=words) as caught:
            archive.read(HITS)
        assert caught.value.path == path


def test_a_file_that_may_change_within_the_same_time_is_not_remembered(opened, calls):
    path = find_day_file(opened)
    opened.read(HITS)
    os.utime(path)
    opened.read(HITS)
    calls.clear()
    opened.read(HITS)
    assert calls == [path.name]


def test_types_of_the_same_files_and_other_questions_are_remembered_beside_each_other(opened, calls):
    questions = [(HITS, {}), (RATES, {}), (HITS, {"fields": ["energy"]}), (RATES, {"where": "quality == 3"})]
    expected = [opened.read(name, **asked) for name, asked in questions]
    calls.clear()
    for _ in range(2):
        for (name, asked), records in zip(questions, expected, strict=True):
            assert opened.read(name, **asked).array.tobytes() == records.array.tobytes()
    assert calls == []


def test_an_archive_that_is_opened_again_knows_what_this_process_has_read(opened, calls):
    expected = opened.read(HITS)
    calls.clear()
    again = open_archive(opened.root.path).read(HITS)
    assert len(calls) <= 1  # the newest, for what the type is now
    assert again.array.tobytes() == expected.array.tobytes()


def test_a_table_that_does_not_declare_its_type_is_looked_at_each_time(opened, muon, calls):
    path = find_day_file(opened)
    with tables.open_file(path, "r+") as file:
        attributes = file.get_node(NODE).attrs
        for name in list(attributes._f_list("user")):
            delattr(attributes, name)
    settle()
    finder = Finder(opened.root.path, opened.catalogue, [muon.hits])
    finder.find_newest(HITS)
    rows = [row for row in opened.catalogue.rows(HITS) if row.path.endswith(path.name)]
    for _ in range(2):
        calls.clear()
        ((data_type, found),) = [(each, table.nrows) for each, table in finder.open_rows(rows[0])]
        assert (data_type.name, found) == (HITS, 2)
        assert calls == [path.name]
    other = Finder(opened.root.path, opened.catalogue, [])
    assert list(other.open_rows(rows[0])) == []


def test_only_so_much_is_remembered(opened, calls):
    opened.finder.outlines = Outlines(most_places=3)
    expected = opened.read(RATES)
    for _ in range(3):
        assert opened.read(RATES).array.tobytes() == expected.array.tobytes()
        opened.read(HITS)
    assert len(calls) > 4


def test_an_archive_that_was_sent_to_another_process_reads_the_same(opened):
    expected = opened.read(HITS)
    sent = pickle.loads(pickle.dumps(opened.finder))
    assert sent.types() == opened.types()
    child = os.fork()
    if not child:
        os._exit(opened.read(HITS).array.tobytes() != expected.array.tobytes())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
