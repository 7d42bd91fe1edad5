"""Moving somebody's bytes: nothing is replaced, nothing is lost between two places, whoever else is at work."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

from archives import open_quarantine, watch_steps
from dayfile import create_archive
from dayfile.archive import disk
from dayfile.errors import StorageError, UsageError
from dayfile.testing.faults import Fault, inject
from running import TESTS, run_python, run_script

LETTER = b"Dear archive"
REASON = {"source": "letter.txt", "message": "no plugin of this run recognises it"}


@pytest.fixture
def root(tmp_path):
    return create_archive(tmp_path / "archive").root


@pytest.fixture
def box(root):
    return open_quarantine(root)


@pytest.fixture(params=["in one step", "by link and unlink"])
def way(request, monkeypatch):
    """Both ways of moving without replacing: that of Linux, and that of systems or file systems that lack it."""
    if request.param == "by link and unlink":
        monkeypatch.setattr(disk, "load_renameat2", lambda: None)
    elif disk.load_renameat2() is None:
        pytest.skip("this system cannot")
    return request.param


def contents(root):
    """Bytes of all files below an archive, but of its marker, reasons and locks."""
    files = (path for path in root.path.rglob("*") if path.is_file() and path.parent.name != ".requeued")
    return [
        path.read_bytes()
        for path in files
        if path.name not in {"archive.json", "reason.json", ".lock", ".quarantine.lock"}
    ]


# ---- One move


def test_a_move_replaces_neither_file_nor_directory_nor_link(tmp_path, way):
    old, new = tmp_path / "old", tmp_path / "new"
    for make in (lambda: new.write_bytes(b"new"), lambda: (new.mkdir(), (new / "x").write_text("")),
                 lambda: new.symlink_to("nowhere")):  # fmt: skip
        old.write_bytes(b"old")
        make()
        with pytest.raises(FileExistsError):
            disk.move(old, new)
        assert old.read_bytes() == b"old"
        assert os.path.lexists(new)
        new.rename(tmp_path / f"kept-{time.monotonic_ns()}")
    disk.move(old, new)
    assert (new.read_bytes(), old.exists()) == (b"old", False)


def test_a_directory_that_is_moved_replaces_nothing_that_holds_bytes(tmp_path, way):
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / "file").write_text("file")
    for taken in ("new", "file"):
        with pytest.raises(FileExistsError):
            disk.move(tmp_path / "old", tmp_path / taken)
    assert [(tmp_path / name / "file").read_text() for name in ("old", "new")] == ["old", "new"]
    disk.move(tmp_path / "old", tmp_path / "newer")
    assert (tmp_path / "newer" / "file").read_text() == "old"


def test_a_file_that_may_not_leave_its_directory_is_there_once(plain_user, way):
    for name in ("closed", "open"):
        (plain_user / name).mkdir()
    (plain_user / "closed/file").write_bytes(b"bytes")
    (plain_user / "closed").chmod(0o555)
    with pytest.raises(PermissionError):
        disk.move_into(plain_user / "closed/file", plain_user / "open")
    assert [path.name for path in plain_user.rglob("file")] == ["file"]
    assert list((plain_user / "open").iterdir()) == []


def test_a_name_that_is_taken_leads_to_a_numbered_directory(tmp_path, way):
    target = tmp_path / "target"
    target.mkdir()
    (target / "file").write_bytes(b"0")
    (target / "1").write_bytes(b"a file with the name of a numbered directory")
    for number in range(1, 4):
        (tmp_path / "file").write_bytes(b"%d" % number)
        assert disk.move_into(tmp_path / "file", target) == target / str(number + 1) / "file"
    assert [(target / str(number) / "file").read_bytes() for number in (2, 3, 4)] == [b"1", b"2", b"3"]


def test_a_numbered_directory_that_is_removed_meanwhile_is_made_again(tmp_path, way):
    """A run removes directories in incoming/ that have long been empty."""
    for name in ("target", "target/1"):
        (tmp_path / name).mkdir()
    for name in ("file", "target/file"):
        (tmp_path / name).write_text(name)
    removed = []

    def observer(kind, path):
        if not removed and path == tmp_path / "target/1/file":
            path.parent.rmdir()
            removed.append(path)

    with watch_steps(observer):
        assert disk.move_into(tmp_path / "file", tmp_path / "target") == tmp_path / "target/1/file"
    assert ((tmp_path / "target/1/file").read_text(), len(removed)) == ("file", 1)


def test_a_numbered_directory_that_is_closed_is_passed_over(plain_user):
    for name in ("incoming", "incoming/1"):
        (plain_user / name).mkdir()
    for name in ("file", "incoming/file"):
        (plain_user / name).write_text(name)
    (plain_user / "incoming/1").chmod(0)
    assert disk.move_into(plain_user / "file", plain_user / "incoming") == plain_user / "incoming/2/file"


# ---- Requeue


def test_what_arrives_in_incoming_during_a_requeue_is_not_replaced(root, box, way):
    box.put("letter.txt", LETTER, REASON)
    arriving = root.incoming / "letter.txt"

    def observer(kind, path):
        if (kind, path) == ("rename", arriving) and not arriving.exists():
            arriving.write_bytes(b"arrived meanwhile")

    with watch_steps(observer):
        target = box.requeue(next(box.entries()))
    assert (target, target.read_bytes()) == (root.incoming / "1" / "letter.txt", LETTER)
    assert arriving.read_bytes() == b"arrived meanwhile"
    assert list(root.quarantine.iterdir()) == []


@pytest.mark.parametrize("step", range(1, 8))
def test_bytes_that_are_quarantined_again_while_they_are_requeued_are_kept(root, box, way, step):
    """A watch takes them from incoming/, and lets them go once they are in quarantine again."""
    box.put("letter.txt", LETTER, REASON)
    threads, seen = [], []

    def watch():
        back = root.incoming / "letter.txt"
        if back.exists():
            back.rename(root.accepted / "letter.txt")
            open_quarantine(root).put("letter.txt", LETTER, REASON)
            (root.accepted / "letter.txt").unlink()

    def observer(kind, path):
        if threading.current_thread() is threading.main_thread():
            seen.append(kind)
            if len(seen) == step:
                threads.append(threading.Thread(target=watch))
                threads[-1].start()
                threads[-1].join(0.2)

    with watch_steps(observer):
        box.requeue(next(box.entries()))
    for thread in threads:
        thread.join()
    assert contents(root) == [LETTER]
    assert len(seen) >= 6
    assert not [path for path in root.quarantine.iterdir() if path.name.startswith(".")]


def test_a_file_is_synced_before_it_has_its_name_in_incoming(root, box):
    box.put("letter.txt", LETTER, REASON)
    steps = []
    with watch_steps(lambda kind, path: steps.append((kind, path.name if kind == "fsync" else str(path)))):
        box.requeue(next(box.entries()))
    renamed = steps.index(("rename", str(root.incoming / "letter.txt")))
    assert ("fsync", "letter.txt") in steps[:renamed]
    assert ("fsync", "incoming") in steps[renamed : steps.index(("unlink", steps[-1][1]))]


def test_all_that_an_entry_holds_goes_back(root, box):
    """Somebody put a copy beside it that was fixed by hand."""
    entry = box.put("letter.txt", LETTER, REASON)
    (entry / "letter.txt.fixed").write_bytes(b"fixed")
    box.requeue(next(box.entries()))
    assert sorted(contents(root)) == [LETTER, b"fixed"]
    assert len(list(root.incoming.iterdir())) == 2


def test_bytes_come_again_to_an_entry_that_was_changed_by_hand_and_both_are_kept(root, box):
    first = box.put("letter.txt", LETTER, REASON)
    (first / "letter.txt").write_bytes(b"Dear Archive")
    second = box.put("letter.txt", LETTER, REASON)
    assert sorted(contents(root)) == [b"Dear Archive", LETTER]
    assert second != first
    assert box.put("letter.txt", LETTER, REASON) == second


def test_an_entry_that_somebody_else_requeued_is_named(box):
    box.put("letter.txt", LETTER, REASON)
    entry, same = next(box.entries()), next(box.entries())
    box.requeue(entry)
    for do in (box.requeue, box.drop):
        with pytest.raises(UsageError, match="this entry no longer exists"):
            do(same)


@pytest.mark.parametrize("step", range(1, 9))
def test_a_requeue_that_fails_at_any_step_loses_nothing(root, box, way, step):
    box.put("letter.txt", LETTER, REASON)
    with inject(Fault("any", step, "fail")) as fault:
        try:
            box.requeue(next(box.entries()))
        except StorageError:
            assert fault.happened
    open_quarantine(root).repair()
    assert contents(root) == [LETTER]
    assert len(list(box.entries())) + len(list(root.incoming.iterdir())) == 1
    assert all(entry.content.read_bytes() == LETTER for entry in box.entries())


# ---- Killed

KILLED = """
import os, sys
from pathlib import Path
from archives import get_root, open_quarantine
from dayfile.archive import disk
from dayfile.testing.faults import Fault, inject

directory, command, number, linking = sys.argv[1:]
if linking:
    disk.renameat2 = lambda: None
box = open_quarantine(get_root(Path(directory)))
pid = os.fork()
if not pid:
    with inject(Fault("any", int(number), "kill")):
        if command == "put":
            box.put("letter.txt", b"Dear archive", {"message": ""})
        else:
            getattr(box, command)(next(box.entries()))
    os._exit(0)
status = os.waitpid(pid, 0)[1]
print("killed" if os.WIFSIGNALED(status) else "ended")
"""


def killed_at(root, command, number, way):
    linking = "x" if way == "by link and unlink" else ""
    done = run_python("-c", KILLED, root.path, command, number, linking, paths=[TESTS], check=True)
    return done.stdout.strip() == "killed"


def test_a_requeue_that_is_killed_at_any_step_leaves_the_bytes_where_they_are_found(root, box, archive_run, way):
    number = 1
    while True:
        box.put("letter.txt", LETTER, REASON)
        if not killed_at(root, "requeue", number, way):
            break
        if number % 4 == 0:
            listed = archive_run("quarantine", "ls", "--archive", root.path, command="dayfile")
            assert ("letter.txt" in listed.stdout) or (root.incoming / "letter.txt").exists()
        box.repair()
        found = contents(root)
        assert LETTER in found
        assert not [path for path in root.quarantine.iterdir() if path.name.startswith(".")]
        if way == "in one step":
            assert found == [LETTER]
        for entry in list(box.entries()):
            box.drop(entry)
        for path in root.incoming.rglob("letter.txt"):
            path.unlink()
        number += 1
    assert number > 6


def test_a_drop_that_is_killed_at_any_step_is_done_or_not(root, box):
    number = 1
    while True:
        box.put("letter.txt", LETTER, REASON)
        if not killed_at(root, "drop", number, ""):
            break
        box.repair()
        assert [entry.content.read_bytes() for entry in box.entries()] == contents(root) in ([LETTER], [])
        assert not [path for path in root.quarantine.iterdir() if path.name.startswith(".")]
        number += 1
    assert number > 3


def test_leftovers_of_earlier_versions_are_removed_and_nothing_else_is(root, box):
    (root.quarantine / ".gone-2026-01-01-0123456789ab").mkdir()
    (root.quarantine / ".0123456789ab").mkdir()
    (root.quarantine / ".0123456789ab" / "half").write_text("")
    (root.quarantine / ".of somebody").mkdir()
    (root.quarantine / ".file").write_text("")
    box.repair()
    assert sorted(path.name for path in root.quarantine.iterdir()) == [".file", ".of somebody"]


# ---- The lock

HOLDER = """
import fcntl, os, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def holder(root):
    """Another process that holds the quarantine's lock."""
    with run_script(HOLDER, root.path / ".quarantine.lock") as process:
        yield process


@pytest.mark.parametrize("do", ["put", "requeue", "drop"])
def test_everything_that_changes_the_quarantine_waits_for_its_lock(root, box, do, request):
    entry = box.entry(box.put("letter.txt", LETTER, REASON).name)
    holder = request.getfixturevalue("holder")
    calls = {"put": lambda: box.put("other", b"x", {}), "requeue": lambda: box.requeue(entry),
             "drop": lambda: box.drop(entry)}  # fmt: skip
    thread = threading.Thread(target=calls[do])
    before = sorted(map(str, root.path.rglob("*")))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    assert sorted(map(str, root.path.rglob("*"))) == before
    os.kill(holder.pid, signal.SIGKILL)
    thread.join(30)
    assert not thread.is_alive()
    assert sorted(map(str, root.path.rglob("*"))) != before


def test_a_lock_that_is_held_for_too_long_is_an_error_that_names_it(box, holder):
    with pytest.raises(StorageError, match=r"\.quarantine\.lock: another process has held this lock"):
        box.repair(seconds=0.1)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, 524], ids=errno.errorcode.get)
def test_a_file_system_without_locks_is_named_as_such(root, box, monkeypatch, number):
    def flock(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    words = re.escape(f"cannot be locked ({os.strerror(number)})") + ".*file system on which flock works"
    with pytest.raises(StorageError, match=words):
        box.put("letter.txt", LETTER, REASON)
    with pytest.raises(StorageError, match=words), root.hold_lock():
        pass
    assert contents(root) == []


def test_a_lock_is_not_left_held_by_a_program_that_is_started_meanwhile(box):
    """As the descriptor of the lock does not go to other programs."""
    with box.hold_lock():
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        box.repair(seconds=0.5)
    finally:
        process.communicate(b"\n")


def test_a_watch_comes_in_between_while_many_entries_are_requeued(root, box, archive_run):
    """The command would hold the lock all the time, but for gaps."""
    for number in range(40):
        box.put("letter.txt", b"%d" % number, REASON)
    thread = threading.Thread(
        target=archive_run,
        args=("quarantine", "requeue", "--all", "--archive", root.path),
        kwargs={"command": "dayfile"},
    )
    thread.start()
    while not (gone := len(list(root.incoming.iterdir()))):
        time.sleep(0.001)
    box.put("other.txt", b"other", REASON)
    left = len(list(box.entries()))
    thread.join()
    assert gone
    assert left > 1, "it had to wait for the last one"
