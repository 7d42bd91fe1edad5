"""Watches in processes of their own, and sources that arrive for them: for all tests of what a watch does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from archives import get_root, list_catalogue
from dayfile import create_archive
from dayfile_cris import instrument as cris
from instruments import make_stream
from running import PATIENCE, TESTS, find_program, make_environment, read_holder, until

HSKP = cris.layout.by_code()["L1CrisHskp"]
START = 57801601  # second of the spacecraft's clock at the beginning of 1997-10-31
STREAM = "L1CrisHskp.be.bin"
DAY_FILE = "cris/1997/10/cris.1997.10.31.hsk.h5"
NEVER = 3600


def stream(*slots):
    """A struct stream of housekeeping records for slots of the day."""
    records = np.zeros(len(slots), HSKP.dtype)
    records["Second1996"] = START + 256 * np.array(slots)
    return make_stream(cris, HSKP, records)


def list_files(directory):
    """The files below a directory, while others remove directories there."""
    return [Path(place) / name for place, _, names in os.walk(directory) for name in names]


@dataclass(frozen=True)
class Ended:
    """A watch that ended: its exit code, what it printed, and its report if it wrote one."""

    returncode: int
    stdout: str
    stderr: str
    report: dict[str, Any] | None


class Watcher:
    """``archive-run --watch`` in a process of its own, on the archive of a directory.

    Settings are given by name, with ``__`` for the dot; what is not given waits for ever, or not at all.
    """

    def __init__(self, directory, *, environment=None, program=(), **settings):
        self.archive = directory / "archive"
        create_archive(self.archive)
        self.report_path = directory / "report.json"
        chosen = {"publish__after": NEVER, "publish__growth": 1e12, "watch__rescan": NEVER, "watch__settle": 0}
        chosen["log__level"] = "warning"
        pairs = [f"{name.replace('__', '.')}={value}" for name, value in {**chosen, **settings}.items()]
        command = [*program] or [find_program("archive-run")]
        command += ["--watch", "--plugins", "cris", "--archive", str(self.archive), "--report", str(self.report_path)]
        self.process = subprocess.Popen(
            [*command, *(word for pair in pairs for word in ("--set", pair))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=make_environment(environment, [TESTS]),
            start_new_session=True,
        )

    def ready(self):
        """Wait until it has taken its signals, and the archive's lock."""
        until(lambda: read_holder(self.archive) == self.process.pid or self.process.poll() is not None)
        assert self.process.poll() is None, self.process.communicate()
        return self

    def arrive(self, name, content):
        """Let a file arrive, as it should: written elsewhere and renamed in."""
        making = self.archive / ".making"
        making.write_bytes(content)
        target = self.archive / "incoming" / name / STREAM
        target.parent.mkdir(exist_ok=True, parents=True)
        making.rename(target)

    def records(self):
        """How many records the catalogue knows of: those that are published."""
        return sum(row.records for row in list_catalogue(get_root(self.archive)))

    def accepted(self):
        return list_files(self.archive / "accepted")

    def incoming(self):
        return list_files(self.archive / "incoming")

    def stop(self, number=signal.SIGTERM):
        """Tell it to stop; its exit code, and its report."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        out, err = self.process.communicate(timeout=PATIENCE)
        report = json.loads(self.report_path.read_text()) if self.report_path.exists() else None
        return Ended(self.process.returncode, out, err, report)
