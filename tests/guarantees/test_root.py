"""An archive whose directory goes while something works on it: renamed, removed, replaced, or no longer mounted."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import time
import urllib.parse

import pytest

from archives import get_root
from dayfile import create_archive
from dayfile.engine.starting import start_run
from dayfile.errors import StorageError
from dayfile.testing import selftest
from dayfile_hisparc import wsgi
from dayfile_hisparc.receiver import Answer, Receiver
from dayfile_hisparc.server import receive
from dayfile_hisparc.stations import StationList
from running import PATIENCE, kill, start_command, until

GONE = "the archive that was opened is no longer here"


def tree(path):
    return sorted(str(each.relative_to(path)) for each in path.rglob("*"))


def rename(path):
    path.rename(path.with_name("moved"))


def remove(path):
    path.rename(path.with_name("moved"))
    shutil.rmtree(path.with_name("moved"))


def bare(path):
    """As after umount: a directory, empty."""
    rename(path)
    path.mkdir()


def other(path):
    """As after a mount of another archive."""
    rename(path)
    create_archive(path)


def copy(path):
    """As a copy that was restored in its place: the same id, another directory."""
    rename(path)
    shutil.copytree(path.with_name("moved"), path)


def marker(path):
    """As where another archive's files were copied over this one's."""
    create_archive(path.with_name("another"))
    shutil.copy(path.with_name("another") / "archive.json", path / "archive.json")


def half(path):
    """As while a marker is copied over this one's."""
    (path / "archive.json").write_text("")


WAYS = [rename, remove, bare, other, copy, marker, half]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_watch_whose_root_goes_says_so_and_ends(tmp_path, way):
    path = create_archive(tmp_path / "archive").root.path
    log = tmp_path / "log"
    words = ["--watch", "--plugins", "cris", "--archive", path, "--set", "watch.rescan=0.1"]
    process = start_command("archive-run", *words, log=log)
    try:
        until((path / ".lock.json").exists)
        time.sleep(0.3)
        way(path)
        before = tree(path) if path.exists() else None
        assert process.wait(PATIENCE) == 4
    finally:
        kill(process)
    assert GONE in log.read_text()
    assert str(path) in log.read_text()
    after = tree(path) if path.exists() else None
    assert after == before or (way in {marker, half} and set(before) - set(after) == {".lock.json"})


def test_a_watch_of_a_link_that_is_turned_elsewhere_ends(tmp_path):
    for name in ("one", "two"):
        create_archive(tmp_path / name)
    (tmp_path / "link").symlink_to("one")
    root = get_root(tmp_path / "link")
    root.prepare()
    root.check_there()
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("two")
    with pytest.raises(StorageError, match=GONE):
        root.check_there()


@pytest.mark.parametrize("way", [bare, other, copy], ids=lambda way: way.__name__)
def test_a_run_publishes_nothing_into_what_took_the_place_of_its_root(tmp_path, way):
    path = create_archive(tmp_path / "archive").root.path
    selftest.make_load(path, 0)
    with (
        pytest.raises(StorageError, match=GONE),
        start_run(get_root(path), selftest.make_plugins(), selftest.make_settings()) as run,
    ):
        way(path)
        before = tree(path)
        run.pipeline.announce({"probe/x.h5": "1997-10-31"})
    assert tree(path) == before


def test_the_lock_of_another_archive_in_its_place_is_left(tmp_path):
    path = create_archive(tmp_path / "archive").root.path
    root = get_root(path)
    root.prepare()
    with root.hold_lock():
        other(path)
        (path / ".lock.json").write_text("{}")
    assert (path / ".lock.json").read_text() == "{}"
    assert not (tmp_path / "moved/.lock.json").exists()


@pytest.fixture
def stations(tmp_path):
    path = tmp_path / "stations.csv"
    path.write_text("501,Amsterdam,secret\n")
    return path


def upload():
    payload = pickle.dumps([{"header": {}, "datalist": []}])
    checksum = hashlib.md5(payload, usedforsecurity=False).hexdigest()
    fields = {"station_id": 501, "password": "secret", "data": payload.decode("latin-1"), "checksum": checksum}
    return urllib.parse.urlencode(fields).encode()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_receiver_whose_root_goes_answers_500_and_says_so(tmp_path, stations, way, caplog):
    path = create_archive(tmp_path / "archive").root.path
    root = get_root(path)
    root.prepare()
    receiver = Receiver(root, StationList(stations))
    assert receive(receiver, upload(), "") is not Answer.NOT_STORED
    way(path)
    before = tree(path) if path.exists() else None
    assert receive(receiver, upload(), "") is Answer.NOT_STORED
    assert GONE in caplog.text
    assert (tree(path) if path.exists() else None) == before


def test_an_older_archive_that_gets_its_marker_meanwhile_is_the_same(tmp_path, monkeypatch):
    path = tmp_path / "archive"
    (path / "workshop").mkdir(parents=True)
    root = get_root(path)
    with monkeypatch.context() as patched:

        def refuse(*_):
            raise StorageError("read-only") from PermissionError(13, "Permission denied")

        patched.setattr("dayfile.archive.root.make_marker", refuse)
        root.prepare()
    get_root(path).prepare()
    root.check_there()


def test_wsgi_makes_no_archive(tmp_path, stations, monkeypatch):
    wsgi.prepare.cache_clear()
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("DAYFILE_ARCHIVE", str(tmp_path / "empty"))
    monkeypatch.setenv("DAYFILE_HISPARC__STATION_LIST", str(stations))
    with pytest.raises(StorageError, match="not an archive"):
        wsgi.prepare()
    assert tree(tmp_path / "empty") == []


def test_uploads_are_closed_to_others(tmp_path, stations):
    root = create_archive(tmp_path / "archive").root
    Receiver(root, StationList(stations))._store(StationList(stations).find(501), b"content")
    (path,) = root.incoming.iterdir()
    assert not path.stat().st_mode & 0o007
