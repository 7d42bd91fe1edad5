"""What an archive is known by, and that nothing else is taken for one: the marker, init, formats, and URLs."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import uuid
from pathlib import Path

import pytest

import dayfile
from archives import get_root, watch_steps
from dayfile import Instrument, create_archive, open_archive
from dayfile.errors import StorageError, UsageError


def tree(path):
    return sorted(str(each.relative_to(path)) for each in Path(path).rglob("*"))


def marker(path):
    return json.loads(Path(path, "archive.json").read_text())


@pytest.fixture
def given(installed, muon, hits, tmp_path, monkeypatch):
    """The muon telescope installed, and a source of it in the working directory."""
    installed(muon=muon.layout)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "MuonHit.be.bin"
    path.write_bytes(hits(1))
    return path


def test_an_archive_has_an_id_of_its_own(tmp_path):
    for name in ("one", "other"):
        create_archive(tmp_path / name)
    assert marker(tmp_path / "one") == {"id": str(uuid.UUID(marker(tmp_path / "one")["id"])), "format": 1}
    assert marker(tmp_path / "one")["id"] != marker(tmp_path / "other")["id"]


def test_the_marker_is_on_disk_before_it_has_its_name(tmp_path):
    steps = []
    with watch_steps(lambda kind, path: steps.append((kind, path.name.partition(".json")[0]))):
        (tmp_path / "archive").mkdir()
        create_archive(tmp_path / "archive")
    named = steps.index(("rename", "archive"))
    assert ("fsync", ".archive") in steps[:named]
    assert ("fsync", "archive") in steps[named:]


def test_making_an_archive_again_changes_nothing(tmp_path, command):
    first = command("dayfile", "init", "archive", archive=None)
    assert (first.code, first.out) == (0, f"made the archive {tmp_path / 'archive'}\n")
    before = marker("archive")
    again = command("dayfile", "init", "archive", archive=None)
    assert (again.code, again.out) == (0, f"{tmp_path / 'archive'} is an archive already\n")
    create_archive("archive")
    assert marker("archive") == before
    assert tree(tmp_path) == sorted(
        ["archive", *(f"archive/{name}" for name in ("accepted", "archive.json", "incoming", "quarantine", "workshop"))]
    )


def test_init_makes_an_archive_of_a_directory_that_exists(tmp_path, command):
    Path("mnt").mkdir()
    assert command("dayfile", "init", "mnt", archive=None).code == 0
    assert marker("mnt")["format"] == 1


@pytest.mark.parametrize("place", ["missing", "empty", "photos", "file", "dangling"])
@pytest.mark.parametrize("words", [["archive-run", "--watch"], ["dayfile", "serve"]])
def test_a_service_makes_no_archive(command, given, tmp_path, place, words):
    make(place)
    before = tree(tmp_path)
    done = command(*words, archive=place)
    assert done.code == 4 or (place == "file" and done.code in {2, 4})
    assert f"{tmp_path / place}" in done.err
    if place != "file":
        assert "dayfile init" in done.err
        assert "mount" in done.err
    assert tree(tmp_path) == before


def make(place):
    """Make something at a path that is no archive."""
    if place in {"empty", "photos"}:
        Path(place).mkdir()
    if place == "photos":
        Path(place, "holiday.txt").write_text("mine")
    if place == "file":
        Path(place).write_text("mine")
    if place == "dangling":
        Path(place).symlink_to("elsewhere")


@pytest.mark.parametrize("place", ["empty", "photos", "file", "dangling"])
def test_a_run_makes_no_archive_of_what_exists(command, given, tmp_path, place):
    make(place)
    before = tree(tmp_path)
    done = command("archive-run", given, archive=place)
    assert done.code in {2, 4}
    assert str(tmp_path / place) in done.err
    assert tree(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [["ls"], ["check"], ["reindex"], ["rebuild", "a.h5"], ["quarantine", "ls"], ["show", "muon.hits"]],
    ids=lambda words: words[0],
)
def test_no_other_command_makes_an_archive(command, given, tmp_path, words):
    Path("empty").mkdir()
    before = tree(tmp_path)
    done = command("dayfile", *words, archive="empty")
    assert done.code == 2
    assert "dayfile init" in done.err
    assert tree(tmp_path) == before


def test_a_run_says_where_it_makes_an_archive(command, given, tmp_path):
    done = command("archive-run", given, "--report", "report.json", archive="archvie")
    assert done.code == 0
    assert done.out.splitlines()[0] == f"made the archive {tmp_path / 'archvie'}"
    assert json.loads(Path("report.json").read_text())["made"] == str(tmp_path / "archvie")
    again = command("archive-run", given, "--report", "report.json", archive="archvie")
    assert "made" not in again.out
    assert json.loads(Path("report.json").read_text())["made"] == ""


def test_a_run_that_is_given_what_does_not_exist_makes_no_archive(command, given, tmp_path):
    assert command("archive-run", "missing.bin").code == 2
    assert not Path("archive").exists()


def test_put_makes_no_archive(archive, muon, installed):
    installed(muon=muon.layout)
    opened = open_archive(archive.root.path)
    shutil.rmtree(archive.root.path)
    archive.root.path.mkdir()
    with pytest.raises(StorageError, match="not an archive"):
        opened.put("muon.hits", muon.records("hits", [{"second": muon.start}]))
    assert tree(archive.root.path) == []


def test_python_opens_no_bare_directory(tmp_path):
    with pytest.raises(UsageError, match=r"archive\.json is missing.*mounted.*dayfile init"):
        open_archive(tmp_path)
    with pytest.raises(UsageError, match=r"no archive is here.*dayfile init"):
        open_archive(tmp_path / "missing")


@pytest.mark.parametrize("has", ["workshop", "catalogue"])
def test_an_older_archive_gets_its_marker_by_the_first_run(archive, hits, has):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    (archive.root.path / "archive.json").unlink()
    if has == "catalogue":
        archive.root.workshop.rmdir()
    assert archive.seconds() == [1]
    assert not (archive.root.path / "archive.json").exists()
    archive.drop("MuonHit.be.bin", hits(2))
    archive.run()
    assert marker(archive.root.path)["format"] == 1
    assert archive.seconds() == [1, 2]


def test_reading_needs_no_permission_to_write(archive, hits, plain_command, installed, muon):
    installed(muon=muon.layout)
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    for old in (False, True):
        if old:
            (archive.root.path / "archive.json").unlink()
        archive.root.path.chmod(0o555)
        done = plain_command("dayfile", "show", "muon.hits")
        archive.root.path.chmod(0o755)
        assert (done.code, done.out.splitlines()[-1]) == (0, "1 of 1 record")


@pytest.mark.parametrize(
    "words", [["archive-run"], ["archive-run", "--watch"], ["dayfile", "serve"], ["dayfile", "ls"]]
)
def test_an_archive_of_a_later_format_is_left_alone(command, given, tmp_path, words):
    create_archive("archive")
    Path("archive/archive.json").write_text('{"format": 2, "needs": "dayfile 0.9"}')
    before = tree("archive")
    done = command(*words)
    assert done.code == 4
    assert "this archive has format 2, and this dayfile knows format 1; use dayfile 0.9" in done.err
    assert tree("archive") == before


@pytest.mark.parametrize("words", [["init"], ["adopt"]])
def test_no_command_makes_an_earlier_format_of_a_later_one(command, given, words):
    create_archive("archive")
    Path("archive/archive.json").write_text('{"format": 2}')
    done = command("dayfile", *words, "archive", archive=None)
    assert done.code == 4
    assert "use a version of dayfile that knows format 2" in done.err
    assert marker("archive") == {"format": 2}


@pytest.mark.parametrize("content", [b"", b"[1]", b"\xff", b'{"format": 1}', b"[" * 100_000, b'{"id": 3, "format": 1}'])
def test_a_damaged_marker_is_reported_and_not_replaced(tmp_path, content):
    create_archive(tmp_path / "archive")
    (tmp_path / "archive/archive.json").write_bytes(content)
    with pytest.raises(StorageError, match="not the marker of an archive"):
        create_archive(tmp_path / "archive")
    assert (tmp_path / "archive/archive.json").read_bytes() == content


def test_a_datastore_without_day_files_becomes_an_archive_by_adopt(command, given, tmp_path):
    Path("datastore").mkdir()
    assert command("dayfile", "adopt", "datastore", archive=None).code == 0
    assert marker("datastore")["format"] == 1
    assert command("archive-run", given, archive="datastore").code == 0


def begin(path, barrier, made):
    barrier.wait()
    root = get_root(path)
    root.prepare(make=True)
    made.put(root.opened.marker)


@pytest.mark.parametrize("exists", [False, True])
def test_processes_that_start_at_once_agree_on_one_id(tmp_path, exists):
    context = multiprocessing.get_context("fork")
    for turn in range(10):
        path = tmp_path / str(turn) / "archive"
        path.parent.mkdir()
        if exists:  # an older one
            (path / "workshop").mkdir(parents=True)
        barrier, made = context.Barrier(4), context.Queue()
        processes = [context.Process(target=begin, args=(path, barrier, made)) for _ in range(4)]
        for process in processes:
            process.start()
        ids = {made.get(timeout=60) for _ in processes}
        for process in processes:
            process.join(60)
        assert ids == {marker(path)["id"]}
        assert tree(path.parent) == sorted(
            ["archive", *(f"archive/{n}" for n in ("accepted", "archive.json", "incoming", "quarantine", "workshop"))]
        )


URLS = ["s3://bucket/archive", "http://127.0.0.1/archive", "file:///data/archive", "me@host:/data/archive"]


@pytest.mark.parametrize("url", URLS)
def test_a_url_is_no_directory(command, given, tmp_path, url):
    before = tree(tmp_path)
    for words in (["archive-run", given], ["archive-run", "--watch"], ["dayfile", "ls"], ["dayfile", "serve"]):
        done = command(*words, archive=url)
        assert (done.code, "this is a URL" in done.err) == (2, True)
    for word in ("init", "adopt"):
        assert command("dayfile", word, url, archive=None).code == 2
    for function in (create_archive, open_archive):
        for path in (url, Path(url)):
            with pytest.raises(UsageError, match="this is a URL"):
                function(path)
    assert tree(tmp_path) == before


def test_a_url_is_no_place_for_output(command, given, tmp_path):
    url = "s3://bucket/out"
    create_archive("archive")
    before = tree(tmp_path)
    assert command("archive-run", given, "--report", url).code == 2
    assert command("dayfile", "simulate", "muon", "--day", "2024-05-01", "--out", url, archive=None).code == 2
    words = ["export", "muon.hits", "--day", "2024-05-01", "--format", "csv", "--out", url]
    assert command("dayfile", *words).code == 2
    assert tree(tmp_path) == before


def test_an_archive_by_the_environment_is_held_to_the_same(command, given, tmp_path, monkeypatch):
    monkeypatch.setenv("DAYFILE_ARCHIVE", "s3://bucket/archive")
    assert command("archive-run", given, archive=None).code == 2
    Path("empty").mkdir()
    monkeypatch.setenv("DAYFILE_ARCHIVE", "empty")
    assert command("archive-run", given, archive=None).code == 4
    monkeypatch.setenv("DAYFILE_ARCHIVE", "new")
    done = command("archive-run", given, archive=None)
    assert (done.code, done.out.splitlines()[0]) == (0, f"made the archive {tmp_path / 'new'}")


def test_an_archive_is_not_made_within_another(command, given, tmp_path):
    create_archive("outer")
    for words in (["init", "outer/inner"], ["init", "outer/a/b"]):
        done = command("dayfile", *words, archive=None)
        assert done.code == 2
        assert f"within the archive {tmp_path / 'outer'}" in done.err
    assert command("archive-run", given, archive="outer/inner").code == 2
    assert tree("outer") == ["accepted", "archive.json", "incoming", "quarantine", "workshop"]


def test_day_files_of_an_archive_below_are_not_taken_for_ones_of_this(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    outer = create_archive(archive.root.path.parent).root
    assert outer.list_day_files() == []
    assert len(archive.root.list_day_files()) == 1


def test_an_archive_can_be_given_by_a_link(command, given, tmp_path):
    create_archive("real")
    Path("link").symlink_to("real")
    assert command("archive-run", given, archive="link").code == 0
    assert command("dayfile", "init", "link", archive=None).out.endswith("is an archive already\n")
    assert len(dayfile.open_archive("link").read("muon.hits")) == 1
    Path("parent").mkdir()
    Path("way").symlink_to("parent")
    assert command("archive-run", given, archive="way/archive").code == 0
    assert marker("parent/archive")["format"] == 1


def test_the_way_to_a_base_directory_is_no_url(archive, muon, monkeypatch, plugins_of):
    monkeypatch.setenv("MUON_DIR", "s3://bucket/muon")
    based = muon.layout.replace('path: "muon/', 'base: MUON_DIR\npath: "muon/')
    with pytest.raises(UsageError, match="this is a URL"):
        archive.run(plugins=plugins_of(muon=Instrument(based, "muon.yaml")))


def test_adopting_does_not_lose_what_was_known(archive, hits, plugins_of, muon, install, command):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    before = marker(archive.root.path)
    install(plugins_of(muon=muon.instrument))
    done = command("dayfile", "adopt", archive.root.path, archive=None)
    assert (done.code, "1 day file" in done.out) == (0, True), done
    assert marker(archive.root.path) == before
