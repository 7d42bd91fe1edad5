"""A catalogue of the first form is replaced by the first run: digests stay, whatever is killed nothing is lost."""

from __future__ import annotations

import hashlib
import sqlite3
import time

import pytest
import tables

from archives import find_defects, list_catalogue, reindex
from dayfile import open_archive
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.checking import count_without_digest
from dayfile.archive.counting import count_day_file
from dayfile.stores.declarations import read_data_type
from running import run_python
from shares import first_of

SHARES = 4


@pytest.fixture
def older(fresh, make_first_form):
    """Make copies of the busy archive with a catalogue of the first form, and sources in ``incoming/``."""

    def make():
        archive = fresh()
        make_first_form(archive.root.catalogue)
        return archive

    return make


def read_table(archive, table):
    """The rows of a table of the catalogue, in order."""
    connection = sqlite3.connect(archive.root.catalogue)
    rows = sorted(connection.execute(f"SELECT * FROM {table}"))  # noqa: S608
    connection.close()
    return rows


def assert_changed(archive):
    """The catalogue has the second form, and knows the keys and hours of every day file."""
    assert read_table(archive, "uncounted") == []
    assert find_defects(archive.root) == []
    assert count_without_digest(archive.root) == 0
    by_type, by_key = {}, {}
    for row in list_catalogue(archive.root):
        by_type[row.data_type] = by_type.get(row.data_type, 0) + row.records
    for _, name, key, days, records, *_ in read_table(archive, "totals"):
        assert (key, days) == ("{}", 2)
        by_key[name] = records
    assert by_type == by_key


@pytest.mark.parametrize("mode", [{}, {"watch": True}, {"workers": 2}], ids=["run", "watch", "processes"])
def test_a_run_replaces_it_and_keeps_digests_and_losses(older, finish, mode):
    archive = older()
    with sqlite3.connect(archive.root.catalogue) as connection:
        connection.execute("INSERT INTO losses VALUES ('gone.h5', 'probe.notes', 7)")
    connection.close()
    for path in archive.root.incoming.rglob("*.*"):
        path.unlink()  # so that no day file gets a new digest
    digests, losses = read_table(archive, "digests"), read_table(archive, "losses")
    assert len(digests) == 3
    assert finish(archive, **mode) == 0
    assert read_table(archive, "digests") == digests
    assert read_table(archive, "losses") == losses
    assert read_table(archive, "uncounted") == []
    assert sum(records for *_, records, _, _ in read_table(archive, "totals")) == 60


@pytest.mark.parametrize("share", first_of(SHARES))
def test_kill_at_any_step_of_the_change_loses_nothing(older, killed, finish, share):
    number = share + 1
    while True:
        archive = older()
        if not killed(archive, f"any:{number}:kill"):
            break
        assert len(read_table(archive, "digests")) >= 3
        assert finish(archive) == 0
        archive.assert_whole()
        assert_changed(archive)
        number += SHARES
    assert number > 60, "hardly any step was tried"


# A write of the catalogue, killed at one of its statements. A cache of one page lets SQLite put changes into the file
# before they are complete, as it does where they are many.
KILLED_STATEMENT = """
import os, signal, sqlite3, sys
from pathlib import Path
from dayfile.archive.catalogue import Catalogue

left = int(sys.argv[2])

def count(_statement):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

class Cut(sqlite3.Connection):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.execute("PRAGMA cache_size = 1")
        self.set_trace_callback(count)

connect = sqlite3.connect
sqlite3.connect = lambda *arguments, **options: connect(*arguments, factory=Cut, **options)
Catalogue(Path(sys.argv[1])).announce({})
"""


def test_kill_at_any_statement_of_the_change_leaves_the_one_form_or_the_other(older, finish):
    number, forms = 1, set()
    while True:
        archive = older()
        before = list_catalogue(archive.root), read_table(archive, "digests")
        code = run_python("-c", KILLED_STATEMENT, archive.root.catalogue, number).returncode
        assert (list_catalogue(archive.root), read_table(archive, "digests")) == before
        assert find_defects(archive.root) == []
        forms.add(sqlite3.connect(archive.root.catalogue).execute("PRAGMA user_version").fetchone())
        if number % 5 == 1 or code == 0:
            assert finish(archive) == 0
            archive.assert_whole()
            assert_changed(archive)
        if code == 0:
            break
        assert code == -9
        number += 1
    assert number > 15, "hardly any statement was tried"
    assert forms == {(0,), (2,)}


def test_a_day_file_that_cannot_be_counted_keeps_what_was_known_and_is_tried_again(older, finish):
    archive = older()
    path = next(path for path in archive.root.list_day_files() if "runs" in path)
    before = Catalogue(archive.root.catalogue).read_file_rows(path)
    whole = (archive.path / path).read_bytes()
    (archive.path / path).write_bytes(whole[: len(whole) // 2])
    assert finish(archive) == 0, "the sources of its day are held"
    assert read_table(archive, "uncounted") == [(path,)]
    assert Catalogue(archive.root.catalogue).read_file_rows(path) == before
    (archive.path / path).write_bytes(whole)
    assert finish(archive) == 0
    archive.assert_whole()
    assert_changed(archive)


def ask(archive):
    """What the archive says of all its types."""
    opened = open_archive(archive.path)
    found = {"listed": opened.catalogue.sum_types()}
    for name in opened.types():
        found[name] = [
            len(opened.read(name)),
            opened.totals(name),
            *(opened.coverage(name, by=by).tolist() for by in ("hour", "month")),
            opened.gaps(name).tolist(),
            opened.days(name).tolist(),
            str(opened.describe(name)),
        ]
    return found


def test_readers_get_the_same_answers_before_the_first_run_and_write_nothing(fresh, make_first_form):
    archive = fresh()
    before = ask(archive)
    make_first_form(archive.root.catalogue)
    content = archive.root.catalogue.read_bytes()
    assert ask(archive) == before
    assert archive.root.catalogue.read_bytes() == content


def test_readers_get_the_same_answers_when_only_a_part_is_counted(fresh, make_first_form):
    archive = fresh()
    before = ask(archive)
    make_first_form(archive.root.catalogue)
    catalogue = Catalogue(archive.root.catalogue)
    (path, *_), (day, *_) = zip(*catalogue.list_uncounted().items(), strict=True)
    catalogue.record({path: count_day_file(archive.root, path, day, read_data_type)})
    assert len(read_table(archive, "uncounted")) == 2
    assert ask(archive) == before


def test_position_chain_and_arrivals_are_those_of_the_sources(older, finish):
    archive = older()
    assert read_table(archive, "digests")
    assert finish(archive) == 0
    files = {path: (position, chain) for _, path, position, chain in read_table(archive, "files")}
    arrivals = {path: (first, last) for path, first, last in read_table(archive, "arrivals")}
    assert files.keys() == arrivals.keys() == set(archive.root.list_day_files())
    for path, (position, chain) in files.items():
        with tables.open_file(archive.path / path) as file:
            sources = [digest.decode() for digest in file.root.dayfile_ledger.sources.col("sha256")]
        assert (position, chain) == (len(sources), hashlib.sha256("".join(sources).encode()).hexdigest())
        first, last = arrivals[path]
        assert time.time_ns() - 600 * 10**9 < first <= last < time.time_ns()
    assert reindex(archive.root).day_files == 6
    assert {path: (first, last) for path, first, last in read_table(archive, "arrivals")} == arrivals
    assert {path: (position, chain) for _, path, position, chain in read_table(archive, "files")} == files


def test_arrivals_follow_a_day_file_that_is_moved(older, finish):
    archive = older()
    assert finish(archive) == 0
    path = archive.root.list_day_files()[0]
    (old,) = (arrivals for where, *arrivals in read_table(archive, "arrivals") if where == path)
    (archive.path / path).rename(archive.path / "moved.h5")
    assert reindex(archive.root).day_files == 6
    assert [arrivals for where, *arrivals in read_table(archive, "arrivals") if where == "moved.h5"] == [old]


def test_a_catalogue_of_a_later_version_is_refused_and_left_as_it_is(older, finish):
    archive = older()
    with sqlite3.connect(archive.root.catalogue) as connection:
        connection.execute("PRAGMA user_version = 3")
    connection.close()
    before = archive.root.catalogue.read_bytes()
    assert finish(archive) == 4
    assert archive.root.catalogue.read_bytes() == before
