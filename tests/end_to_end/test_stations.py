"""Many stations upload while the watcher is killed again and again: what was answered 100 is archived exactly once."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from archives import list_entries, list_waiting
from dayfile import create_archive, open_archive
from dayfile_hisparc.clients import Identity, Tally, make_station_list, send
from running import PATIENCE, Server, find_free_port, kill, read_holder, start_command, until

DAY = np.datetime64("2024-05-01")
STATIONS = 50
KILLS = 5
CODES = {"events": "CIC", "singles": "SIN", "weather": "WTR", "config": "CFG", "errors": "ERR"}
# So that publishing goes on all the time, and a kill finds something in the midst of it.
SETTINGS = ("publish.after=0.5", "watch.rescan=0.5", "watch.settle=0", "log.level=info")


def many(tallies: list[Tally]) -> bool:
    """Whether many events of many stations were stored."""
    stations = {tally.station for tally in tallies if tally.stored}
    return len(stations) > STATIONS // 5 and sum(len(tally.stored) for tally in tallies) > 10 * STATIONS


class Site:
    """An archive with its server and its watcher, as a site runs them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = create_archive(directory / "archive").root
        self.port = find_free_port()
        (directory / "stations.csv").write_text(make_station_list(STATIONS))
        listed = f"hisparc.station_list={directory / 'stations.csv'}"
        patient = f"serve.body_seconds={PATIENCE}"
        words = ["dayfile", "serve", "--port", self.port, "--set", listed, "--set", patient, *self.common]
        self.server = Server(*words, port=self.port, log=directory / "dayfile.txt")
        self.watcher = self.watch()

    @property
    def common(self) -> list[object]:
        """What the commands of all its programs have in common."""
        return ["--plugins", "hisparc", "--archive", self.root.path]

    def watch(self) -> subprocess.Popen[bytes]:
        """Start a watcher and wait until it holds the archive."""
        words = ["archive-run", "--watch", *(word for pair in SETTINGS for word in ("--set", pair)), *self.common]
        process = start_command(*words, log=self.directory / "archive-run.txt")
        until(lambda: read_holder(self.root.path) == process.pid or process.poll() is not None)
        assert process.poll() is None, (self.directory / "archive-run.txt").read_text()
        return process

    def kill_and_watch_again(self) -> None:
        assert self.watcher.poll() is None, (self.directory / "archive-run.txt").read_text()
        kill(self.watcher)
        self.watcher = self.watch()

    def outcome(self, seconds: float) -> list[Tally]:
        """Let all stations upload, and kill the watcher meanwhile, at even distances.

        On a busy machine drawing the first events takes some stations all the time there is: then they have as long
        again, with the events of the next day.
        """
        found: list[Tally] = []
        url = f"http://127.0.0.1:{self.port}/hisparc/upload"

        def upload() -> None:
            for day in range(10):
                found.extend(send(url, DAY + day, 1, STATIONS, seconds, patience=PATIENCE).tallies)
                if many(found):
                    break

        uploading = threading.Thread(target=upload)
        begin = time.monotonic()
        uploading.start()
        for number in range(1, KILLS + 1):
            time.sleep(max(0.0, begin + number * seconds / (KILLS + 0.5) - time.monotonic()))
            self.kill_and_watch_again()
        uploading.join()
        return found

    def finish(self) -> None:
        """Stop the server, let the watcher take what is left, and stop it."""
        self.server.stop()
        until(lambda: not list_waiting(self.root.incoming) or self.watcher.poll() is not None, 2 * PATIENCE)
        self.watcher.terminate()
        assert self.watcher.wait(PATIENCE) == 0, (self.directory / "archive-run.txt").read_text()

    def end(self) -> None:
        for process in (self.server.process, self.watcher):
            kill(process)


def archived(path: Path) -> Counter[Identity]:
    """What the day files hold: each event, and how often."""
    archive = open_archive(path)
    found: Counter[Identity] = Counter()
    for name in archive.types():
        records = archive.read(name)
        fields = records.array.dtype.names or ()
        nanoseconds = records["nanoseconds"] if "nanoseconds" in fields else np.zeros(len(records), np.int64)
        code = CODES[name.removeprefix("hisparc.")]
        rows = zip(records["station"].tolist(), records["timestamp"].tolist(), nanoseconds.tolist(), strict=True)
        found.update(Identity(station, code, timestamp, rest) for station, timestamp, rest in rows)
    return found


@pytest.fixture
def site(tmp_path):
    """A site; its processes are ended."""
    site = Site(tmp_path)
    yield site
    site.end()


@pytest.mark.parametrize("seconds", [10, pytest.param(60, marks=pytest.mark.proof)])
def test_every_event_answered_100_is_archived_once_though_the_watcher_is_killed_five_times(site, archive_run, seconds):
    tallies = site.outcome(seconds)
    site.finish()
    stored = Counter(identity for tally in tallies for identity in tally.stored)
    found = archived(site.root.path)
    assert len(stored) == stored.total()
    assert many(tallies)
    assert stored - found == Counter(), "answered 100 and not archived"
    assert [identity for identity, number in found.items() if number != 1] == []
    # A request whose answer was lost may be there as well; here none was.
    assert sum(tally.others.total() for tally in tallies) == 0
    assert found == stored
    assert list_waiting(site.root.incoming) == list_waiting(site.root.accepted) == []
    assert list_entries(site.root) == []
    checked = archive_run("check", "--deep", "--archive", site.root.path, command="dayfile")
    assert (checked.returncode, checked.stderr) == (0, "")
    assert (site.directory / "archive-run.txt").read_text().count("was interrupted") > 0
