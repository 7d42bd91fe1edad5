"""What may not be read or written: the archive's own directories stop a run, a single file or directory is held."""

from __future__ import annotations

import multiprocessing.popen_fork  # noqa: F401 - who gave up root's powers may not be able to import it later
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from archives import make_settings, open_quarantine, rebuild_day, run_with, watch_archive
from dayfile import create_archive, open_archive
from dayfile.errors import StorageError, UsageError

STREAM = "MuonHit.be.bin"
ENGINES = {"serial": run_with, "processes": partial(run_with, workers=2), "watch": watch_archive}


@pytest.fixture
def root(plain_user):
    """An archive of somebody to whom permissions apply; closed directories are opened again at the end."""
    root = create_archive(plain_user / "archive").root
    yield root
    for place in (root.path, *root.path.iterdir()):
        if place.is_dir():
            place.chmod(0o755)
    for below in root.path.glob("*/*"):
        below.chmod(0o755)


@pytest.fixture
def run(root, muon, plugins_of):
    def call(engine=run_with, **core):
        loaded = plugins_of(muon=muon.instrument)
        return engine(root, loaded, make_settings(loaded, **core))

    return call


@pytest.fixture
def rebuild(root, muon, plugins_of):
    loaded = plugins_of(muon=muon.instrument)
    return partial(rebuild_day, root, loaded, make_settings(loaded), "muon/1997/10/muon.1997.10.31.hit.h5")


@pytest.fixture
def dayfile(root, command_here):
    """``dayfile`` in this process, with this archive."""
    return partial(command_here, "dayfile", archive=root.path)


def drop(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def seconds(root, muon):
    return (open_archive(root.path).read("muon.hits")["second"].astype(int) - muon.start).tolist()


# ---- The archive's own directories


@pytest.mark.parametrize(
    ("name", "mode"),
    [*((name, mode) for name in ("incoming", "accepted", "quarantine") for mode in (0, 0o300)), ("accepted", 0o444)],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_directory_of_the_archive_that_is_closed_stops_a_run_and_is_named(root, run, hits, engine, name, mode):
    for place in (root.incoming, root.accepted):
        drop(place / STREAM, hits(1))
    (root.quarantine / "2026-01-01-0123456789ab").mkdir()
    (root.path / name).chmod(mode)
    with pytest.raises(StorageError, match=name) as stopped:
        run(ENGINES[engine])
    assert stopped.value.exit_code == 4
    (root.path / name).chmod(0o755)
    assert [path.name for path in root.incoming.iterdir()] == [STREAM]
    assert list(root.accepted.iterdir()) or list(root.list_day_files())  # a watch has published them


@pytest.mark.parametrize("name", ["incoming", "accepted"])
def test_the_choice_of_an_engine_stops_there_too(plain_command, name):
    (create_archive("archive").root.path / name).chmod(0)
    done = plain_command("archive-run")
    assert done.code == StorageError.exit_code
    assert f"{name}: cannot be read" in done.err


def test_kept_sources_that_may_not_be_listed_are_not_missing(root, rebuild):
    day = root.sources / "1997-10-31"
    for closed in (day / "0123456789abcdef", day, root.sources):
        (day / "0123456789abcdef").mkdir(parents=True, exist_ok=True)
        closed.chmod(0)
        with pytest.raises(StorageError, match=rf"{closed.name}.*: cannot be read \(Permission denied\)"):
            rebuild()
        closed.chmod(0o755)
    with pytest.raises(UsageError, match="sources"):
        rebuild()


# ---- One file or directory of somebody


@pytest.mark.parametrize("engine", ["serial", "processes"])
@pytest.mark.parametrize("place", ["incoming", "accepted"])
def test_a_closed_directory_below_is_held_and_costs_nothing_else(root, run, hits, muon, engine, place):
    top = root.path / place
    drop(top / "0" / STREAM, hits(1))
    drop(top / STREAM, hits(2))
    drop(root.incoming / "MuonHit.le.bin", hits(3, order="little"))
    (top / "0").chmod(0)
    report = run(ENGINES[engine])
    (held,) = report.held
    assert held.message == f"{place}/0: held: cannot be read (Permission denied); left in place"
    assert (report.sources["archived"], report.sources["held"], report.exit_code) == (2, 1, 3)
    (top / "0").chmod(0o755)
    assert run(ENGINES[engine]).exit_code == 0
    assert seconds(root, muon) == [1, 2, 3]


@pytest.mark.parametrize("engine", ["serial", "processes"])
@pytest.mark.parametrize("place", ["incoming", "accepted"])
def test_a_file_that_may_not_be_read_is_held_and_costs_nothing_else(root, run, hits, muon, engine, place):
    path = drop(root.path / place / "0" / STREAM, hits(1))
    drop(root.incoming / "MuonHit.le.bin", hits(2, order="little"))
    path.chmod(0)
    report = run(ENGINES[engine])
    (held,) = report.held
    assert held.source == f"{place}/0/{STREAM}"
    assert "Permission denied" in held.reason
    assert "left in place" in held.reason
    assert (report.sources["archived"], report.exit_code) == (1, 3)
    path.chmod(0o644)
    assert run(ENGINES[engine]).exit_code == 0
    assert seconds(root, muon) == [1, 2]


def test_a_file_that_may_not_leave_its_directory_is_held_and_costs_nothing_else(root, run, hits, muon):
    path = drop(root.incoming / "0" / STREAM, hits(1))
    drop(root.incoming / STREAM, hits(2))
    path.parent.chmod(0o555)
    before = path.stat()
    report = run()
    (held,) = report.held
    words = "cannot be opened or moved to accepted/ (Permission denied); left in place"
    assert (held.source, held.reason) == (f"incoming/0/{STREAM}", words)
    assert seconds(root, muon) == [2]
    assert (path.stat().st_mtime_ns, path.stat().st_nlink) == (before.st_mtime_ns, 1)


def test_a_source_that_cannot_be_removed_once_it_is_archived_is_held_and_costs_nothing_else(root, run, hits, muon):
    path = drop(root.accepted / "1" / STREAM, hits(1))
    drop(root.incoming / STREAM, hits(2))
    path.parent.chmod(0o555)
    report = run()
    (held,) = report.held
    assert held.message == f"accepted/1/{STREAM}: held: archived, but cannot be removed (Permission denied)"
    assert seconds(root, muon) == [1, 2]
    path.parent.chmod(0o755)
    assert run().sources["already"] == 1
    assert list(root.accepted.iterdir()) == []


def test_a_numbered_directory_that_is_closed_holds_up_no_other_source(root, run, hits, muon):
    drop(root.accepted / "1" / "other", b"")
    (root.accepted / "1").chmod(0)
    for number in range(3):
        drop(root.incoming / str(number) / STREAM, hits(number))
    assert run().sources["archived"] == 3
    assert seconds(root, muon) == [0, 1, 2]


def test_a_trouble_that_stays_is_counted_once(root, run, hits):
    """A run looks twice where files may still be growing."""
    drop(root.incoming / "0" / STREAM, hits(1)).parent.chmod(0)
    path = drop(root.incoming / STREAM, hits(2))
    os.utime(path, (2**32, 2**32))
    report = run(watch__settle=0.2)
    assert [held.source for held in report.held] == ["incoming/0"]
    assert report.sources["archived"] == 1


def test_a_watch_names_what_is_held_once_and_goes_on(root, run, hits, muon, caplog):
    drop(root.incoming / "closed" / STREAM, hits(1)).parent.chmod(0)
    drop(root.incoming / "stuck" / STREAM, hits(2)).parent.chmod(0o555)

    def later():
        time.sleep(0.5)
        drop(root.path / ".making", hits(3)).rename(root.incoming / STREAM)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=later)
    thread.start()
    report = run(watch_archive, watch__rescan=0.05)
    thread.join()
    assert seconds(root, muon) == [3]
    logged = [message for message in caplog.messages if "held" in message]
    assert [message.partition(":")[0] for message in logged] == ["incoming/closed", f"incoming/stuck/{STREAM}"]
    assert (report.sources["archived"], report.sources["held"]) == (1, 2)


def test_a_closed_directory_of_intake_also_is_held(root, run, hits, muon):
    """Where there is a catalogue: without one, there could be day files in any directory that is closed."""
    drop(root.incoming / STREAM, hits(3))
    run()
    drop(root.path / "partial" / "0" / STREAM, hits(1)).parent.chmod(0)
    drop(root.path / "partial" / STREAM, hits(2))
    report = run(intake__also="partial")
    assert [held.source for held in report.held] == ["partial/0"]
    assert seconds(root, muon) == [2, 3]
    (root.path / "partial" / "0").chmod(0o755)


# ---- The quarantine


@pytest.fixture
def entries(root):
    box = open_quarantine(root)
    return [box.put(name, name.encode(), {"source": name, "message": "of nobody"}) for name in ("a.txt", "b.txt")]


@pytest.mark.parametrize("words", [["ls"], ["ls", "--json"], ["show", "x"], ["requeue", "--all"], ["drop", "--all"]])
def test_a_quarantine_that_may_not_be_listed_is_no_empty_one(root, entries, dayfile, words):
    root.quarantine.chmod(0o300)
    done = dayfile("quarantine", *words)
    assert done.code == 4
    assert f"{root.quarantine}: cannot be read (Permission denied)" in done.out + done.err
    assert "0 entries" not in done.out + done.err


def find_id(entry):
    """The digits by which the quarantine is listed."""
    return Path(entry).name[-12:-8]


@pytest.mark.parametrize("mode", [0o000, 0o444], ids=oct)
def test_one_closed_entry_is_named_and_hides_no_other(root, entries, dayfile, mode):
    closed, other = entries
    closed.chmod(mode)
    for words in (["ls"], ["ls", "--json"]):
        done = dayfile("quarantine", *words)
        assert done.code == 3
        assert find_id(closed) in done.out
        assert find_id(other) in done.out
        assert "cannot be read (Permission denied)" in done.out
    done = dayfile("quarantine", "show", closed.name)
    assert (done.code, f"{closed}: cannot be read (Permission denied)" in done.err) == (4, True)


@pytest.mark.parametrize("mode", [0o000, 0o444, 0o555], ids=oct)
@pytest.mark.parametrize("word", ["requeue", "drop"])
def test_one_closed_entry_stays_and_keeps_no_other_from_leaving(root, entries, dayfile, word, mode):
    closed, other = entries
    closed.chmod(mode)
    done = dayfile("quarantine", word, "--all")
    assert done.code == 4
    assert str(closed) in done.err
    assert other.name in done.out
    assert [path.name for path in root.quarantine.iterdir()] == [closed.name]
    closed.chmod(0o755)
    assert (closed / "a.txt").read_bytes() == b"a.txt"
    assert [path.name for path in root.incoming.iterdir()] == (["b.txt"] if word == "requeue" else [])
    assert dayfile("quarantine", word, "--all").code == 0
    assert list(root.quarantine.iterdir()) == []


def test_a_closed_entry_costs_no_run(root, entries, run, hits, muon):
    """Also if what it keeps comes again."""
    closed, _ = entries
    closed.chmod(0)
    drop(root.incoming / STREAM, hits(1))
    drop(root.incoming / "a.txt", b"a.txt")
    report = run()
    assert report.sources["quarantined"] == 1
    assert seconds(root, muon) == [1]
    assert len(list(root.quarantine.iterdir())) == 3


def test_a_leftover_that_cannot_be_removed_stops_nothing(root, entries, run, hits, muon, caplog):
    left = drop(root.quarantine / ".gone-2026-01-01-0123456789ab" / "file", b"").parent
    left.chmod(0o555)
    drop(root.incoming / STREAM, hits(1))
    assert run().exit_code == 0
    assert str(left) in caplog.text
    left.chmod(0o755)


def test_a_reader_who_may_not_write_sees_the_quarantine(root, entries, dayfile):
    root.path.chmod(0o555)
    root.quarantine.chmod(0o555)
    (root.path / ".quarantine.lock").chmod(0o444)
    done = dayfile("quarantine", "ls")
    assert (done.code, done.out.splitlines()[-1]) == (0, "2 entries; --each lists them")
    assert find_id(entries[0]) in done.out
