"""A day file's identity is its day, its types and the path that the plugin gives: a copy doubles nothing."""

from __future__ import annotations

import datetime as dt
import os
import pickle
import shutil
from pathlib import Path

import pytest
import tables

import dayfile

DAY_FILE, NEXT_DAY = "2024/5/2024_5_1.h5", "2024/5/2024_5_2.h5"


def upload(number, day=1, first=0):
    events = [
        {
            "header": {"eventtype_uploadcode": "CIC", "datetime": dt.datetime(2024, 5, day, 12), "nanoseconds": 10 * n},
            "datalist": [{"data_uploadcode": "PH1", "data": n}],
        }
        for n in range(first, first + number)
    ]
    return pickle.dumps({"station_id": 501, "cluster": "Amsterdam", "event_list": events}, 2)


@pytest.fixture
def archive(command, tmp_path):
    Path("up0").write_bytes(upload(5))
    Path("up1").write_bytes(upload(5, first=10))
    assert command("archive-run", "up0").code == 0
    return tmp_path / "archive"


def events(archive="archive"):
    return len(dayfile.open_archive(archive).read("hisparc.events"))


COPIES = [
    "2024/5/2024_5_1 (copy).h5",
    "2024/5/2024_5_1.copy.h5",
    "2024/5/2024_5_1.sync-conflict-20240502.h5",
    "backup/2024/5/2024_5_1.h5",
    "@eaDir/2024_5_1.h5",
    "2024_5_1.h5",
    "2024/5/2024_5_9.h5",
    "0.h5",
]


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_doubles_nothing_whatever_check_advises(archive, command, copy):
    (archive / copy).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(archive / DAY_FILE, archive / copy)
    for force in ((), (), ("--force",)):
        checked = command("dayfile", "check")
        assert (checked.code, f"{copy}: it holds 2024-05-01 of hisparc.events" in checked.err) == (3, True)
        done = command("dayfile", "reindex", *force)
        assert (done.code, copy in done.err, events()) == (3, True, 5)
    assert command("archive-run", "up1").code == 0
    assert events() == 10


def test_a_lost_catalogue_is_rebuilt_without_the_copy(archive, command):
    shutil.copy(archive / DAY_FILE, archive / "0.h5")
    (archive / "catalogue.db").unlink()
    done = command("archive-run", "up1")
    assert (done.code, "0.h5: it holds 2024-05-01" in done.err, events()) == (0, True, 10)


@pytest.mark.parametrize("name", ["2024_5_1.h5.bak", ".2024_5_1.h5", ".snapshots/2024_5_1.h5"])
def test_names_of_no_day_file_are_passed_over(archive, command, name):
    (archive / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(archive / DAY_FILE, archive / name)
    assert [command("dayfile", *words).code for words in (["check"], ["reindex"], ["check"])] == [0, 0, 0]


def flat_directory(archive):
    """Day files of another program, all in one directory; of one day there are two."""
    flat = archive.parent / "flat"
    flat.mkdir()
    shutil.copy(archive / DAY_FILE, flat / "may_first.h5")
    with tables.open_file(flat / "may_first.h5", "a") as file:
        file.remove_node("/dayfile_ledger", recursive=True)
    return flat


def test_a_flat_directory_is_adopted_and_uploads_for_its_days_are_held(archive, command):
    flat = flat_directory(archive)
    assert command("dayfile", "adopt", flat, archive=None).code == 0
    assert (events(flat), command("dayfile", "check", archive=flat).code) == (5, 0)
    Path("up2").write_bytes(upload(5, 2))
    done = command("archive-run", "up1", "up2", archive=flat)
    assert (done.code, "1 archived" in done.out, "1 held" in done.out) == (3, True, True)
    assert f"hisparc.events of 2024-05-01 is in may_first.h5; move that file to {DAY_FILE}" in done.err
    assert events(flat) == 10
    (flat / "may_first.h5").rename(flat / DAY_FILE)
    assert command("dayfile", "reindex", archive=flat).code == 0
    checked = command("dayfile", "check", archive=flat)
    assert (checked.code, "0 without a digest" in checked.out) == (0, True)
    assert command("archive-run", "up1", archive=flat).code == 0
    assert events(flat) == 15


def test_of_two_files_of_one_day_that_are_both_elsewhere_one_is_taken(archive, command):
    flat = flat_directory(archive)
    shutil.copy(flat / "may_first.h5", flat / "may_first_again.h5")
    done = command("dayfile", "adopt", flat, archive=None)
    assert (done.code, "may_first_again.h5: it holds 2024-05-01" in done.err) == (3, True)
    assert events(flat) == 5
    assert command("dayfile", "check", archive=flat).code == 3


def test_adopt_says_what_it_passes_over(archive, command):
    flat = flat_directory(archive)
    with tables.open_file(flat / "coincidences.h5", "w") as file:
        file.create_table("/", "coincidences", {"x": tables.Int32Col()})
    with tables.open_file(flat / "may_first.h5", "a") as file:
        file.create_table("/", "singles_old", {"x": tables.Int32Col()}).append([(1,), (2,)])
    done = command("dayfile", "adopt", flat, archive=None)
    assert done.code == 0
    assert "coincidences.h5: skipped: it has no records of a known data type" in done.out
    assert "may_first.h5: no plugin knows /singles_old (2 rows); it stays in the file" in done.out
    assert "blobs" not in done.out


def test_day_files_below_a_link_that_leads_out_of_the_archive_are_found(archive, command, tmp_path):
    (archive / "2024").rename(tmp_path / "big")
    (tmp_path / "other").mkdir()
    (archive / "2024").symlink_to(tmp_path / "big")
    (tmp_path / "big/5").rename(tmp_path / "other/5")
    (tmp_path / "big/5").symlink_to(tmp_path / "other/5")
    (tmp_path / "other/5/circle").symlink_to(tmp_path / "big")
    (tmp_path / "big/back").symlink_to(archive)
    assert "1 day file" in command("dayfile", "check").out
    assert [command("dayfile", *words).code for words in (["check"], ["reindex"], ["check"])] == [0, 0, 0]
    (archive / "catalogue.db").unlink()
    assert command("archive-run", "up1").code == 0
    assert events() == 10


ODD = {
    "dangling": lambda path: path.symlink_to("nowhere.h5"),
    "circle": lambda path: path.symlink_to(path.name),
    "directory": lambda path: path.symlink_to("."),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("make", ODD)
def test_what_is_no_file_is_reported_and_blocks_no_reindex(archive, command, make):
    ODD[make](archive / "2024/5/odd.h5")
    checked = command("dayfile", "check")
    assert checked.code in {0, 3}
    done = command("dayfile", "reindex")
    assert done.code == checked.code
    assert events() == 5
    assert command("archive-run", "up1").code == 0


def test_a_name_that_is_not_utf8_is_reported_and_blocks_nothing(archive, command):
    name = os.fsdecode(b"caf\xe9.h5")
    try:
        shutil.copy(archive / DAY_FILE, archive / "2024/5" / name)
    except OSError:
        pytest.skip("this file system takes no such name")
    checked = command("dayfile", "check")
    assert (checked.code, "is not UTF-8" in checked.err) == (3, True)
    done = command("dayfile", "reindex")
    assert (done.code, "is not UTF-8" in done.err, events()) == (3, True, 5)
