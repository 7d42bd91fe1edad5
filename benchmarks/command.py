"""Run a command and tell what it took: time, processor time and peak memory.

Linux counts the memory of the process that starts another into the peak of the started one. So commands are started
from a process of their own that has loaded nothing: this file, run as a script.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Spent", "run"]

PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


@dataclass(frozen=True)
class Spent:
    """What a command took.

    Parameters
    ----------
    exit_code : int
        What it ended with.
    seconds, cpu_seconds : float
        By the clock on the wall, and of processors.
    peak_bytes : int
        The most memory that was its own at any moment (peak resident set).
    """

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def run(command: Sequence[str | os.PathLike[str]]) -> Spent:
    """Run a command to its end; what it writes goes where our own output goes."""
    reading, writing = os.pipe()
    launcher = [sys.executable, "-S", "-E", __file__, str(writing), *command]
    with os.fdopen(reading) as told:
        try:
            process = subprocess.Popen(launcher, pass_fds=[writing])
        finally:
            os.close(writing)
        with process:
            return Spent(**json.load(told))


def main() -> None:
    """Run the command that stands behind the number of a file descriptor, and tell there what it took."""
    start = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:])
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    spent = {
        "exit_code": process.returncode,
        "seconds": time.perf_counter() - start,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * PEAK_UNIT,
    }
    with os.fdopen(int(sys.argv[1]), "w") as told:
        json.dump(spent, told)


if __name__ == "__main__":
    main()
