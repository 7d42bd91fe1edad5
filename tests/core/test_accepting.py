"""The way of a file from incoming/ through accepted/: no byte of it is lost, whatever its writer does meanwhile."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from archives import watch_steps
from dayfile import hookimpl, open_archive
from dayfile.errors import StorageError

STREAM = "MuonHit.be.bin"


@contextmanager
def at(kind, matches, do):
    """Do something once, right before a step on disk; in whichever process of a run it comes."""
    marker = []

    def observer(step, path):
        if step == kind and not marker and matches(path):
            marker.append(path)
            do()

    with watch_steps(observer):
        yield marker


def publishing(path):
    return path.suffix == ".h5" and "workshop" not in path.parts


# ---- On disk before it is accepted


def test_a_file_is_on_disk_before_its_name_is_in_accepted(archive, hits):
    for number in range(3):
        archive.drop(STREAM, hits(number), str(number))
    steps = []
    with watch_steps(lambda kind, path: steps.append((kind, str(path.relative_to(archive.root.path))))):
        assert archive.run().sources["archived"] == 3
    for number, name in enumerate((STREAM, f"1/{STREAM}", f"2/{STREAM}")):
        synced = steps.index(("fsync", f"incoming/{number}/{STREAM}"))
        assert synced < steps.index(("rename", f"accepted/{name}"))
    # Their names are synced together, before any of them is read.
    first_read = steps.index(("open", f"accepted/{STREAM}"))
    assert ("fsync", "accepted") in steps[:first_read]
    assert ("fsync", "accepted/2") in steps[:first_read]


def test_a_file_that_cannot_be_synced_stays_in_incoming(archive, hits):
    path = archive.drop(STREAM, hits(1))

    def failing(kind, step):
        if (kind, step) == ("fsync", path):
            raise OSError(5, "Input/output error")

    with watch_steps(failing), pytest.raises(StorageError, match="could not sync to disk: Input/output error"):
        archive.run()
    assert path.read_bytes() == hits(1)
    assert archive.files(archive.root.accepted) == []


def test_a_name_that_is_taken_in_accepted_meanwhile_is_not_replaced(archive, hits):
    """As a run that was killed, or a restored copy, may have left it there."""
    archive.drop(STREAM, hits(1))
    target = archive.root.accepted / STREAM
    with at("rename", lambda path: path == target, lambda: target.write_bytes(hits(2))) as done:
        archive.run()
    archive.run()
    assert done
    assert archive.seconds() == [1, 2]


# ---- Changed between reading and releasing


def append(path, content):
    with path.open("ab") as file:
        file.write(content)


def replace(path, content):
    path.with_name(".other").write_bytes(content)
    os.utime(path.with_name(".other"), ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    path.with_name(".other").rename(path)


def rewrite(path, content):
    with path.open("r+b") as file:
        file.write(content)


CHANGES = {
    "appended to": (lambda path, hits: append(path, hits(3)), [1, 2, 3]),
    "replaced by one of the same size and time": (lambda path, hits: replace(path, hits(4, 5)), [1, 2, 4, 5]),
    "overwritten": (lambda path, hits: rewrite(path, hits(6, 7)), [1, 2, 6, 7]),
    "truncated and written again": (lambda path, hits: path.write_bytes(hits(8)), [1, 2, 8]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_source_that_changed_after_it_was_read_is_taken_again_and_not_removed(archive, hits, run, change):
    do, seconds = CHANGES[change]
    archive.drop(STREAM, hits(1, 2))
    path = archive.root.accepted / STREAM
    with at("rename", publishing, lambda: do(path, hits)):
        report = run()
    (held,) = report.held
    assert f"accepted/{STREAM}: held: changed since it was read; moved back to incoming/{STREAM}" in held.message
    assert (report.sources["held"], report.exit_code) == (1, 3)
    assert archive.files(archive.root.incoming) == [STREAM]
    assert archive.files(archive.root.accepted) == []
    assert run().exit_code == 0
    assert archive.seconds() == seconds
    assert archive.files(archive.root.incoming) == archive.files(archive.root.accepted) == []


def test_a_changed_source_goes_back_beside_a_file_that_has_its_name(archive, hits, run):
    archive.drop(STREAM, hits(1))
    path = archive.root.accepted / STREAM

    def change():
        append(path, hits(2))
        archive.drop(STREAM, hits(3))

    with at("rename", publishing, change):
        run()
    assert archive.files(archive.root.incoming) == [f"1/{STREAM}", STREAM]
    assert run().exit_code == 0
    assert archive.seconds() == [1, 2, 3]


def test_the_rest_of_a_source_that_was_cut_is_taken_although_the_cut_one_went_to_quarantine(archive, hits, run):
    content = hits(1, 2)
    archive.drop(STREAM, content[:30])
    path = archive.root.accepted / STREAM
    with at("rename", lambda new: new.parent == archive.root.quarantine, lambda: append(path, content[30:])):
        report = run()
    assert (report.sources["quarantined"], report.sources["held"]) == (0, 1), "one source is counted once"
    assert archive.set_aside(report.quarantine[0]) == (STREAM, content[:30])
    assert run().exit_code == 0
    assert archive.seconds() == [1, 2]


def test_a_source_that_is_gone_when_it_is_to_be_released_stops_no_run(archive, hits, run):
    archive.drop(STREAM, hits(1))
    archive.drop("MuonHit.le.bin", hits(2, order="little"))
    with at("rename", publishing, (archive.root.accepted / STREAM).unlink):
        report = run()
    assert (report.sources["archived"], report.exit_code) == (2, 0)
    assert archive.seconds() == [1, 2]
    assert archive.files(archive.root.accepted) == []


def test_a_source_that_is_gone_before_it_is_read_costs_no_other(archive, hits, run):
    archive.drop(STREAM, hits(1))
    archive.drop("MuonHit.le.bin", hits(2, order="little"))
    path = archive.root.accepted / STREAM
    with at("open", lambda old: old == path, path.unlink):
        report = run()
    (held,) = report.held
    assert f"accepted/{STREAM}: held: cannot be read (No such file or directory)" in held.message
    assert archive.seconds() == [2]


@pytest.mark.parametrize("engine_settings", [{}, {"sources__keep": "always"}], ids=["", "kept"])
def test_bytes_that_are_read_again_are_those_that_were_decoded(archive, hits, engine_settings):
    """Of several processes one decodes a source, and another one reads it again to quarantine or keep it."""
    me = os.getpid()
    content = hits(1, 2) if engine_settings else hits(1, 2)[:30]
    archive.drop(STREAM, content)
    archive.drop("MuonHit.le.bin", hits(3, order="little"))
    path = archive.root.accepted / STREAM
    again = lambda old: old == path and os.getpid() == me  # noqa: E731
    with at("open", again, lambda: path.write_bytes(hits(4))) as done:
        report = archive.run(workers=2, **engine_settings)
    assert done
    assert report.sources["held"] == 1
    assert not report.quarantine
    assert archive.files(archive.root.incoming) == [STREAM]
    assert 3 in archive.seconds()
    archive.run(**engine_settings)
    assert {3, 4} <= set(archive.seconds())


def test_what_several_processes_quarantine_is_what_was_decoded_also_if_more_was_appended(archive, hits):
    me, content = os.getpid(), hits(1, 2)
    archive.drop(STREAM, content[:30])
    path = archive.root.accepted / STREAM
    again = lambda old: old == path and os.getpid() == me  # noqa: E731
    with at("open", again, lambda: append(path, content[30:])):
        report = archive.run(workers=2)
    assert archive.set_aside(report.quarantine[0]) == (STREAM, content[:30])
    assert archive.run().exit_code == 0
    assert archive.seconds() == [1, 2]


# ---- Open for writing


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs the leases of Linux")
def test_a_source_that_its_writer_has_open_is_not_removed(archive, hits, run):
    """The writer pauses from before the file is accepted until after it is published."""
    path = archive.drop(STREAM, hits(1))
    with path.open("ab") as file:
        report = run()
        assert archive.seconds() == [1]
        (held,) = report.held
        assert f"accepted/{STREAM}: held: archived as it is, but another program has it open" in held.message
        file.write(hits(2))
    assert run().exit_code == 0
    assert archive.seconds() == [1, 2]
    assert archive.files(archive.root.accepted) == []


# ---- Changing while it is read


class Overtaken:
    """An open file to which somebody writes whenever it has been read."""

    def __init__(self, file, path):
        self.file = file
        self.path = path

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)

    def read(self, size=-1):
        content = self.file.read(size)
        append(self.path, b"x" * 24)
        return content


@pytest.fixture
def restless(monkeypatch):
    """Let somebody write to a file between each reading of it and the look at its state that follows."""
    plain = Path.open

    def start(path, times):
        path.write_bytes(b"")
        left = list(range(times))

        def overtaken(self, *arguments, **words):
            file = plain(self, *arguments, **words)
            if left and self == path and arguments == ("rb",):
                left.pop()
                return Overtaken(file, path)
            return file

        monkeypatch.setattr(Path, "open", overtaken)

    return start


def test_a_given_file_that_changes_while_it_is_read_is_held(archive, hits, run, restless, tmp_path):
    archive.drop("MuonHit.le.bin", hits(3, order="little"))
    restless(tmp_path / STREAM, 3)
    report = run(tmp_path / STREAM)
    (held,) = report.held
    assert held.message == f"{tmp_path / STREAM}: held: changes while it is read; give it again once it is complete"
    assert archive.seconds() == [3]


def test_a_source_that_changes_while_it_is_read_goes_back_to_incoming(archive, run, restless):
    restless(archive.root.accepted / STREAM, 3)
    report = run()
    assert report.sources["held"] == 1
    assert archive.files(archive.root.incoming) == [STREAM]
    assert archive.files(archive.root.accepted) == []


def test_a_source_that_changes_once_while_it_is_read_is_read_again_at_once(archive, run, restless):
    restless(archive.root.accepted / STREAM, 1)
    report = run()
    assert (report.held, report.sources["archived"]) == ([], 1)
    assert len(open_archive(archive.root.path).read("muon.hits")) == 1
    assert archive.files(archive.root.incoming) == archive.files(archive.root.accepted) == []


# ---- Arrival


class Clock:
    """Notes when each source arrived."""

    def __init__(self, path):
        self.path = path

    @hookimpl
    def decode(self, source):
        with self.path.open("a") as file:
            file.write(f"{source.arrived!r}\n")


def test_the_arrival_of_a_source_is_when_it_was_accepted_also_after_a_crash(archive, muon, hits, plugins_of, tmp_path):
    path = archive.drop(STREAM, hits(1))
    os.utime(path, (10**9, 10**9))
    plugins = plugins_of(muon=muon.instrument, clock=Clock(tmp_path / "noted"))

    def full(kind, path):
        if kind == "rename" and publishing(path):
            raise OSError(28, "No space left on device")

    before = time.time()
    with watch_steps(full), pytest.raises(StorageError):
        archive.run(plugins=plugins)
    after = time.time()
    time.sleep(0.1)
    archive.run(plugins=plugins)
    first, second = map(float, (tmp_path / "noted").read_text().split())
    assert before - 0.05 <= first == second <= after


def test_a_given_file_arrives_when_it_is_read_and_keeps_its_time(archive, muon, hits, plugins_of, tmp_path):
    path = tmp_path / STREAM
    path.write_bytes(hits(1))
    os.utime(path, (10**9, 10**9))
    before = time.time()
    archive.run(path, plugins=plugins_of(muon=muon.instrument, clock=Clock(tmp_path / "noted")))
    assert before <= float((tmp_path / "noted").read_text()) <= time.time()
    assert path.stat().st_mtime == 10**9


# ---- Links


@pytest.mark.parametrize("place", ["incoming", "accepted"])
def test_a_link_is_not_followed_and_is_named(archive, hits, run, tmp_path, place):
    secret = tmp_path / "secret"
    secret.write_bytes(hits(9))
    os.utime(secret, (10**9, 10**9))
    link = getattr(archive.root, place) / STREAM
    link.symlink_to(secret)
    archive.drop("MuonHit.le.bin", hits(1, order="little"))
    report = run()
    (held,) = report.held
    assert f"{place}/{STREAM}: held: cannot be read (a link, and links are not followed)" in held.message
    assert archive.seconds() == [1]
    assert link.is_symlink()
    assert (secret.read_bytes(), secret.stat().st_mtime) == (hits(9), 10**9)
