"""What other users of the machine may read, and what a file keeps that is replaced: mode, group, and being a link."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest

from archives import find_defects, reindex, watch_steps
from dayfile import create_archive, open_archive
from dayfile.errors import StorageError

DAY_FILE = "muon/1997/10/muon.1997.10.31.hit.h5"


@pytest.fixture
def umask():
    """Set the umask for one test."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path):
    return stat.S_IMODE(Path(path).stat().st_mode)


def open_to_others(directory):
    """Paths of what other users may do anything with, a directory itself included."""
    return sorted(str(path) for path in [directory, *directory.rglob("*")] if mode(path) & 0o007)


@pytest.fixture
def filled(archive, hits, umask):
    """Fill an archive under a umask: a day file, a kept source, an entry of the quarantine, what a run left."""

    def fill(mask):
        umask(mask)
        shutil.rmtree(archive.root.path)
        archive.root.create()
        archive.drop("MuonHit.be.bin", hits(1))
        archive.drop("MuonHit.le.bin", b"cut")
        report = archive.run(sources__keep="always")
        assert len(report.quarantine) == 1
        assert len(report.day_files) == 1
        return archive.root

    return fill


@pytest.mark.parametrize("mask", [0o022, 0o002, 0o000, 0o077])
def test_input_cannot_be_read_by_others_under_any_umask(filled, mask):
    root = filled(mask)
    private = (root.accepted, root.quarantine, root.workshop, root.attempts, root.sources)
    assert [path for directory in private for path in open_to_others(directory)] == []
    assert mode(root.quarantine) == 0o770 & ~mask
    files = [path for path in (*root.quarantine.rglob("*"), *root.sources.rglob("*")) if path.is_file()]
    assert {mode(path) for path in files} == {0o660 & ~mask}
    assert len(files) == 3


@pytest.mark.parametrize("mask", [0o022, 0o002])
def test_day_files_and_catalogue_have_one_mode(filled, mask):
    root = filled(mask)
    paths = [root.path / DAY_FILE, root.catalogue, root.path / "archive.json"]
    assert [oct(mode(path)) for path in paths] == [oct(0o666 & ~mask)] * 3


def test_others_cannot_lock_an_archive(filled):
    root = filled(0o002)
    assert [oct(mode(root.path / name)) for name in (".lock", ".quarantine.lock")] == [oct(0o660)] * 2


def test_what_is_accepted_is_closed_to_others(archive, hits):
    seen = []
    arrived = archive.drop("MuonHit.be.bin", hits(1))
    arrived.chmod(0o644)
    with watch_steps(
        lambda kind, path: (
            seen.append(oct(mode(path))) if kind == "open" and path.parent == archive.root.accepted else None
        )
    ):
        archive.run()
    assert seen == [oct(0o640)]


def test_a_file_that_only_its_owner_may_read_is_not_opened_to_the_group(archive, hits):
    seen = []
    archive.drop("MuonHit.be.bin", hits(1)).chmod(0o600)
    with watch_steps(
        lambda kind, path: (
            seen.append(oct(mode(path))) if kind == "open" and path.parent == archive.root.accepted else None
        )
    ):
        archive.run()
    assert seen == [oct(0o600)]


def test_an_archive_of_before_is_closed_by_the_next_run(archive, hits):
    archive.root.attempts.mkdir()
    for directory in (archive.root.accepted, archive.root.quarantine, archive.root.attempts):
        directory.chmod(0o2755)
    (archive.root.path / ".lock").touch(0o644)
    archive.run()
    assert [oct(mode(path)) for path in (archive.root.accepted, archive.root.quarantine)] == [oct(0o2750)] * 2
    assert not mode(archive.root.attempts) & 0o007
    assert not mode(archive.root.path / ".lock") & 0o007


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_directory_of_somebody_else_keeps_its_mode(archive):
    os.chown(archive.root.quarantine, 65534, 65534)
    archive.root.quarantine.chmod(0o755)
    archive.run()
    assert mode(archive.root.quarantine) == 0o755


def test_a_directory_that_is_a_link_keeps_its_mode(archive, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(0o755)
    archive.root.accepted.rmdir()
    archive.root.accepted.symlink_to(elsewhere)
    archive.run()
    assert mode(elsewhere) == 0o755


def group():
    """A group, other than that of new files, that this user may give to a file."""
    mine = [gid for gid in os.getgroups() if gid != os.getegid()]
    return 33 if os.geteuid() == 0 else next(iter(mine), None) or pytest.skip("only one group")


def test_a_replaced_day_file_keeps_mode_and_group(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    published = archive.root.path / DAY_FILE
    os.chown(published, -1, gid := group())
    published.chmod(0o600)
    archive.drop("MuonHit.be.bin", hits(2))
    archive.run()
    assert archive.seconds() == [1, 2]
    assert (oct(mode(published)), published.stat().st_gid) == (oct(0o600), gid)
    assert find_defects(archive.root) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_replaced_day_file_keeps_its_owner(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    published = archive.root.path / DAY_FILE
    os.chown(published, 65534, 33)
    archive.drop("MuonHit.be.bin", hits(2))
    archive.run()
    assert (published.stat().st_uid, published.stat().st_gid) == (65534, 33)


def test_what_a_foreign_group_might_read_is_closed_where_the_group_cannot_be_kept(archive, hits, monkeypatch):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    published = archive.root.path / DAY_FILE
    published.chmod(0o640)
    os.chown(published, -1, group())

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "chown", refuse)
    archive.drop("MuonHit.be.bin", hits(2))
    archive.run()
    assert archive.seconds() == [1, 2]
    assert oct(mode(published)) == oct(0o600)


def test_the_catalogue_keeps_mode_and_link_when_it_is_rebuilt(archive, hits, plugins_of, muon, tmp_path):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    kept = tmp_path / "fast" / "index.db"
    kept.parent.mkdir()
    shutil.move(archive.root.catalogue, kept)
    archive.root.catalogue.symlink_to(kept)
    kept.chmod(0o600)
    reindex(archive.root, plugins_of(muon=muon.instrument))
    assert archive.root.catalogue.is_symlink()
    assert oct(mode(kept)) == oct(0o600)
    assert archive.seconds() == [1]


@pytest.fixture
def linked(archive, hits, tmp_path):
    """A day file that is a link to a file elsewhere: ``linked()``, or on another file system."""

    def make(directory=tmp_path / "slow"):
        archive.drop("MuonHit.be.bin", hits(1))
        archive.run()
        directory.mkdir(exist_ok=True)
        published, target = archive.root.path / DAY_FILE, directory / "day.h5"
        shutil.move(published, target)
        published.symlink_to(target)
        return published, target

    return make


def test_a_day_file_that_is_a_link_stays_one_and_its_target_is_replaced(archive, hits, linked, plugins_of, muon):
    published, target = linked()
    target.chmod(0o640)
    before = target.stat().st_ino
    archive.drop("MuonHit.be.bin", hits(2))
    report = archive.run()
    assert report.sources["archived"] == 1
    assert published.is_symlink()
    assert target.stat().st_ino != before
    assert oct(mode(target)) == oct(0o640)
    assert archive.seconds() == [1, 2]
    assert sorted(path.name for path in target.parent.iterdir()) == ["day.h5"]
    assert find_defects(archive.root) == []
    assert reindex(archive.root, plugins_of(muon=muon.instrument)).notes == []


def test_a_link_to_another_file_system_is_followed(archive, hits, linked):
    shm = Path("/dev/shm")  # noqa: S108 - a file system of its own
    if not shm.is_dir() or shm.stat().st_dev == archive.root.path.stat().st_dev:
        pytest.skip("no second file system")
    with tempfile.TemporaryDirectory(dir=shm) as directory:
        published, target = linked(Path(directory))
        target.chmod(0o600)
        archive.drop("MuonHit.be.bin", hits(2))
        archive.run()
        assert published.is_symlink()
        assert oct(mode(target)) == oct(0o600)
        assert archive.seconds() == [1, 2]
        assert [path.name for path in Path(directory).iterdir()] == ["day.h5"]
        assert find_defects(archive.root) == []


@pytest.mark.parametrize("kind", ["nowhere", "circle", "directory"])
def test_a_link_that_leads_to_no_file_holds_its_sources(archive, hits, linked, kind):
    published, target = linked()
    target.unlink()
    if kind == "circle":
        target.symlink_to(published)
    elif kind == "directory":
        target.mkdir()
    archive.drop("MuonHit.be.bin", hits(2))
    report = archive.run()
    assert report.sources["held"] == 1
    assert "this link leads to" in report.held[0].reason
    assert published.is_symlink()
    assert archive.files(archive.root.accepted) == ["MuonHit.be.bin"]


def test_nothing_is_published_through_a_link_that_is_changed_during_a_run(archive, hits, linked, tmp_path):
    published, target = linked()
    other = Path(shutil.copy(target, tmp_path / "other.h5"))
    content = other.read_bytes()

    def change(kind, path):
        if kind == "write" and path.parent == archive.root.workshop:
            published.unlink()
            published.symlink_to(other)

    archive.drop("MuonHit.be.bin", hits(2))
    with watch_steps(change), suppress(StorageError):
        archive.run()
    assert published.readlink() == other
    assert other.read_bytes() == content
    assert archive.files(archive.root.accepted) == ["MuonHit.be.bin"]


def test_making_an_archive_twice_changes_no_mode(tmp_path):
    root = create_archive(tmp_path / "archive").root
    root.accepted.chmod(0o700)
    create_archive(tmp_path / "archive")
    assert mode(root.accepted) == 0o700
    assert open_archive(root.path).types() == []
