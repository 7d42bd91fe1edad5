"""A series of puts belongs to one thread of one process: forks and other threads can neither end nor harm it."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

import numpy as np
import pytest

import dayfile
from dayfile.errors import ArchiveLockedError, UsageError
from dayfile_cris import instrument
from running import run_command, run_python

(RATES,) = [kind for kind in instrument.data_types() if kind.name == "cris.high_priority_rates"]


def rates(number, first=0):
    records = np.zeros(number, RATES.dtype)
    records["Second1996"] = 57801610 + 16 * (first + np.arange(number))
    records[records.dtype.names[-1]] = 1
    return records


@pytest.fixture
def archive(tmp_path):
    return dayfile.create_archive(tmp_path / "a")


def locked_for_others(archive):
    """Whether another process is refused the archive."""
    done = run_command("archive-run", "-a", archive.root.path, "-q")
    return done.returncode == ArchiveLockedError.exit_code


FORKING = """
import os, sys, time
import numpy as np
import dayfile
from test_putting_alone import RATES, locked_for_others, rates
archive = dayfile.create_archive(sys.argv[1])
with archive.putting() as put:
    put(RATES.name, rates(10))
    child = os.fork()
    if child == 0:
        if sys.argv[2] == "late":
            time.sleep(1)
        if sys.argv[2] == "puts":
            try:
                put(RATES.name, rates(5, 100))
            except dayfile.DayfileError as error:
                print(error, flush=True)
        if sys.argv[2] == "raises":
            raise ValueError("in the child")
        sys.exit(0)
    if sys.argv[2] != "late":
        os.waitpid(child, 0)
    print("locked", locked_for_others(archive), flush=True)
    for first in range(10, 50, 10):
        put(RATES.name, rates(10, first))
    if sys.argv[2] == "late":
        os.waitpid(child, 0)
    print("workshop", len(list(archive.root.workshop.iterdir())), flush=True)
    put(RATES.name, rates(10, 50))
print("records", len(archive.read(RATES.name)))
"""


@pytest.mark.parametrize("how", ["ends", "late", "puts", "raises"])
def test_a_fork_that_ends_while_its_parent_puts_takes_nothing_from_it(tmp_path, how):
    done = run_python("-c", FORKING, tmp_path / "a", how, paths=Path(__file__).parents[:2])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "locked True" in lines
    assert "workshop 1" in lines
    assert lines[-1] == "records 60"
    assert ("belongs to process" in done.stdout) == (how == "puts")
    assert ("in the child" in done.stderr) == (how == "raises")
    assert "HDF5" not in done.stderr
    checked = run_command("dayfile", "check", "--deep", "-a", tmp_path / "a")
    assert (checked.returncode, checked.stderr) == (0, "")


def test_a_process_of_multiprocessing_is_refused_and_takes_nothing(archive):
    def work(put, queue):
        try:
            put(RATES.name, rates(5, 100))
        except dayfile.DayfileError as error:
            queue.put(str(error))

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    with archive.putting() as put:
        put(RATES.name, rates(10))
        process = context.Process(target=work, args=(put, queue))
        process.start()
        assert "belongs to process" in queue.get(timeout=20)
        process.join()
        put(RATES.name, rates(10, 10))
    assert len(archive.read(RATES.name)) == 20


def test_a_second_thread_is_refused_at_once_and_nothing_is_lost(archive):
    refused, stored = [], []
    together = threading.Barrier(8)

    def work(put, first):
        together.wait()
        for number in range(first, first + 20):
            try:
                stored.extend(put(RATES.name, rates(1, number)).tolist())
            except UsageError as error:
                refused.append(str(error))

    with archive.putting() as put:
        threads = [threading.Thread(target=work, args=(put, 20 * number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(stored) == stored.count(0) == len(archive.read(RATES.name)) == 20
    assert len(refused) == 140
    assert set(refused) == {refused[0]}
    assert "belongs to the thread that called it first; nothing was put" in refused[0]


def test_a_thread_of_its_own_may_put_and_the_end_waits_for_it(archive):
    begun, errors = threading.Event(), []

    def work(put):
        try:
            for number in range(1000):
                put(RATES.name, rates(1, number))
                begun.set()
        except UsageError as error:
            errors.append(str(error))

    with archive.putting() as put:
        thread = threading.Thread(target=work, args=(put,))
        thread.start()
        begun.wait()
    thread.join()
    assert errors == ["this putting() has ended; nothing was put"] or errors == []
    assert len(archive.read(RATES.name)) >= 1


def test_of_two_threads_that_put_by_themselves_the_second_is_refused(archive):
    entered, done = threading.Event(), []

    def other():
        entered.wait()
        for _ in range(5):
            try:
                archive.put(RATES.name, rates(1, 500))
            except ArchiveLockedError as error:
                done.append(str(error))

    thread = threading.Thread(target=other)
    thread.start()
    with archive.putting() as put:
        put(RATES.name, rates(10))
        entered.set()
        thread.join()
    assert len(done) == 5
    assert len(archive.read(RATES.name)) == 10


def test_threads_that_put_by_themselves_at_any_time_never_corrupt_the_archive(archive):
    stored, lock = [], threading.Lock()

    def work(number):
        for each in range(6):
            try:
                statuses = archive.put(RATES.name, rates(3, 100 * number + 3 * each))
            except ArchiveLockedError:
                continue
            with lock:
                stored.extend(statuses.tolist())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stored) == stored.count(0) == len(archive.read(RATES.name))
    assert stored
