"""Looking into directories: one that may not be listed is never taken for an empty one."""

from __future__ import annotations

import os
from errno import EIO
from pathlib import Path

import pytest

from dayfile.archive import directories
from dayfile.archive.directories import list_directory, list_files, read_status
from dayfile.archive.root import Root
from dayfile.errors import StorageError


def test_a_directory_that_is_absent_is_told_from_an_empty_one(tmp_path):
    (tmp_path / "empty").mkdir()
    assert list_directory(tmp_path / "empty") == list_files(tmp_path / "empty") == []
    assert list_directory(tmp_path / "gone") is list_files(tmp_path / "gone") is read_status(tmp_path / "gone") is None
    (tmp_path / "file").write_text("")
    assert read_status(tmp_path / "file" / "below") is list_directory(tmp_path / "file" / "below") is None
    with pytest.raises(StorageError, match=r"file: cannot be read \(Not a directory\)"):
        list_directory(tmp_path / "file")


def test_entries_come_by_name_hidden_ones_too(tmp_path):
    for name in ("b", "a", ".hidden"):
        (tmp_path / name).write_text("")
    assert [entry.name for entry in list_directory(tmp_path)] == [".hidden", "a", "b"]


@pytest.mark.parametrize("mode", [0o000, 0o300, 0o100], ids=oct)
def test_a_directory_that_may_not_be_listed_is_an_error_that_names_it(plain_user, mode):
    closed = plain_user / "closed"
    closed.mkdir()
    (closed / "file").write_text("")
    closed.chmod(mode)
    for look in (list_directory, list_files):
        with pytest.raises(StorageError, match=r"closed: cannot be read \(Permission denied\)") as refused:
            look(closed)
        assert refused.value.exit_code == 4
    if not mode & 0o100:
        with pytest.raises(StorageError, match="cannot be read"):
            read_status(closed / "file")


def test_a_closed_subdirectory_is_named_and_hides_no_other_file(plain_user):
    for name in ("a/file", "closed/file", "named/file", "z"):
        path = plain_user / "top" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    (plain_user / "top/closed").chmod(0)
    (plain_user / "top/named").chmod(0o444)  # its files can be named, and not looked at
    unseen = {}
    found = list_files(plain_user / "top", lambda path, error: unseen.update({path.name: error.strerror}))
    assert [str(file.path.relative_to(plain_user / "top")) for file in found] == ["a/file", "z"]
    assert unseen == {"closed": "Permission denied", "file": "Permission denied"}
    with pytest.raises(StorageError, match="cannot be read"):
        list_files(plain_user / "top")


def test_a_listing_that_fails_half_way_is_no_listing(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / name).write_text("")

    class Failing:
        def __init__(self, directory):
            self.entries = scandir(directory)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.entries.close()

        def __iter__(self):
            yield next(self.entries)
            raise OSError(EIO, os.strerror(EIO))

    scandir = os.scandir
    monkeypatch.setattr(directories.os, "scandir", Failing)
    with pytest.raises(StorageError, match=r"cannot be read \(Input/output error\)"):
        list_directory(tmp_path)


def test_files_are_listed_by_path_and_links_are_known_as_such(tmp_path):
    for name in ("b/x", "a", "c/d/y", ".hidden", "c/.z/w"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("gone")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "round").symlink_to(".")
    os.mkfifo(tmp_path / "pipe")
    found = list_files(tmp_path)
    assert [(str(file.path.relative_to(tmp_path)), file.link, file.status.st_size) for file in found] == [
        ("a", False, 1),
        ("b/x", False, 3),
        ("c/d/y", False, 5),
        ("link", True, 1),
    ]
    everything = list_files(tmp_path, wanted=lambda _: True, enter=lambda entry: Path(entry.path) != tmp_path / "round")
    assert len(everything) == 6


def test_a_directory_that_is_a_link_is_entered_if_it_is_wanted(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("")
    (tmp_path / "top").mkdir()
    (tmp_path / "top" / "base").symlink_to(tmp_path / "elsewhere")
    assert list_files(tmp_path / "top") == []
    (file,) = list_files(tmp_path / "top", enter=lambda _: True)
    assert (file.path, file.link) == (tmp_path / "top" / "base" / "file", False)


def test_a_directory_of_the_archive_that_is_gone_is_not_empty(archive, monkeypatch):
    monkeypatch.setattr(Root, "_complete", lambda _: None)
    archive.root.accepted.rmdir()
    with pytest.raises(StorageError, match="accepted: this directory is missing"):
        archive.run()
