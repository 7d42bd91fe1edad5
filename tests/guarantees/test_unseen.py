"""What may not be seen is not absent: a closed directory or a file in use is never taken for empty or damaged."""

from __future__ import annotations

import datetime as dt
import fcntl
import pickle
from pathlib import Path

import pytest

import dayfile

MAY, JUNE = "2024/5/2024_5_1.h5", "2024/6/2024_6_1.h5"
NOT_LISTED = "cannot be read (Permission denied)"
DAMAGE = ("rebuild it if", "take it from a copy", "is damaged")


def upload(month, first=0):
    events = [
        {
            "header": {
                "eventtype_uploadcode": "CIC",
                "datetime": dt.datetime(2024, month, 1, 12),
                "nanoseconds": 10 * n,
            },
            "datalist": [{"data_uploadcode": "PH1", "data": n}],
        }
        for n in range(first, first + 5)
    ]
    return pickle.dumps({"station_id": 501, "cluster": "Amsterdam", "event_list": events}, 2)


@pytest.fixture
def run(plain_command):
    """Commands without power over permissions, and an archive of two months."""
    for month in (5, 6, 7):
        Path(f"up{month}").write_bytes(upload(month))
    Path("late").write_bytes(upload(5, 10))
    assert plain_command("archive-run", "up5", "up6").code == 0
    return plain_command


def events(archive="archive"):
    return len(dayfile.open_archive(archive).read("hisparc.events"))


@pytest.fixture
def closed():
    """Close a directory or file until the end of the test, or until it is opened again."""

    def close(path):
        Path(path).chmod(0)
        return Path(path)

    return close


@pytest.mark.parametrize("path", ["archive/2024/5", "archive/2024"])
def test_nothing_replaces_the_catalogue_by_what_is_left_of_the_day_files(run, closed, path):
    directory = closed(path)
    for words in (["reindex"], ["reindex", "--force"]):
        done = run("dayfile", *words)
        assert (done.code, NOT_LISTED in done.err, path in done.err) == (4, True, True)
    checked = run("dayfile", "check")
    assert (checked.code, f"{path.removeprefix('archive/')}: {NOT_LISTED}" in checked.err) == (3, True)
    directory.chmod(0o755)
    assert (events(), run("dayfile", "check").code) == (10, 0)


def test_a_lost_catalogue_is_not_rebuilt_from_a_part(run, closed):
    Path("archive/catalogue.db").unlink()
    directory = closed("archive/2024/5")
    for words in (["archive-run", "up7"], ["dayfile", "ls"], ["dayfile", "reindex"]):
        done = run(*words)
        assert done.code == 4
    assert not Path("archive/catalogue.db").exists()
    directory.chmod(0o755)
    assert run("archive-run", "up7").code == 0
    assert events() == 15


def test_adopt_names_the_directory_that_it_may_not_list(run, closed):
    Path("archive").rename("flat")
    Path("flat/catalogue.db").unlink()
    directory = closed("flat/2024/5")
    done = run("dayfile", "adopt", "flat", archive=None)
    assert (done.code, "flat/2024/5" in done.err) == (4, True)
    directory.chmod(0o755)
    assert run("dayfile", "adopt", "flat", archive=None).code == 0
    assert events("flat") == 10


def test_the_archive_itself_may_not_be_looked_into(run, closed):
    directory = closed("archive")
    for words in (["archive-run", "up7"], ["dayfile", "ls"], ["dayfile", "check"], ["dayfile", "reindex"]):
        done = run(*words)
        assert done.code in {2, 4}
        assert "not readable" in done.err or "Permission denied" in done.err
    directory.chmod(0o755)
    assert events() == 10


def test_lost_and_found_of_a_mount_point_is_passed_over(run, closed):
    Path("archive/lost+found").mkdir()
    closed("archive/lost+found")
    for words in (["check"], ["reindex"], ["ls"]):
        assert run("dayfile", *words).code == 0
    Path("archive/catalogue.db").unlink()
    assert run("archive-run", "up7").code == 0
    assert events() == 15


def assert_held(run, word):
    """Commands name the day file and the trouble, advise no repair, and change nothing; the rest of a run goes on."""
    checked = run("dayfile", "check")
    assert (checked.code, MAY in checked.err, word in checked.err) == (3, True, True)
    indexed = run("dayfile", "reindex")
    assert (indexed.code, word in indexed.err) == (4, True)
    shown = run("dayfile", "show", "hisparc.events")
    assert (shown.code, word in shown.err) == (4, True)
    done = run("archive-run", "late", "up7")
    assert (done.code, "1 archived" in done.out, "1 held" in done.out) == (3, True, True)
    assert f"late: held: {Path.cwd() / 'archive' / MAY}: " in done.err
    for text in (checked.err, indexed.err, shown.err, done.err):
        assert not any(words in text for words in (*DAMAGE, "disk full"))


def test_a_day_file_that_may_not_be_read_is_held(run, closed):
    path = closed(Path("archive", MAY))
    assert_held(run, "may not be read")
    path.chmod(0o644)
    assert run("archive-run", "late").code == 0
    assert events() == 20


def test_a_day_file_in_use_is_held(run):
    with Path("archive", MAY).open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert_held(run, "in use")
    assert run("archive-run", "late").code == 0
    assert events() == 20


def test_a_path_that_is_not_utf8_is_named(run):
    odd = "bad\udcff"
    try:
        Path(odd).mkdir()
    except OSError:
        pytest.skip("this file system takes no such name")
    Path("archive").rename(f"{odd}/archive")
    for words in (["dayfile", "check"], ["archive-run", "up7"], ["dayfile", "reindex"]):
        done = run(*words, archive=f"{odd}/archive")
        assert (done.code in {2, 3, 4}, "UTF-8" in done.err) == (True, True)
        assert not any(words in done.err for words in (*DAMAGE, "disk full"))
