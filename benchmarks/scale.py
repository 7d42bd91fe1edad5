"""Commands as they are started: how long one takes to begin, and what more and more sources cost in time and memory."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.command import Spent, run
from benchmarks.measuring import Figure, Round, Side, measured, timed
from benchmarks.mission import Mission
from benchmarks.uploads import DAY, stations
from dayfile_hisparc.simulation import write_queue_files

__all__ = ["memory_of_a_mission", "more_and_more_sources", "start_up"]

PROGRAM = Path(sys.executable).with_name("archive-run")
MOST_SECONDS, MOST_MEGABYTES = 0.25, 300
MOST_GROWTH = 1.1
"""How much more memory a hundred times the sources may take, and each of them more time, without being called more."""
UPLOADS_A_DAY = 10_000


def start_up(asked: Round) -> list[Figure]:
    """Seconds until ``archive-run --help`` is done, beyond those of Python alone."""
    ours, python = measured(
        asked.size(4 * asked.runs, 1),
        Side(
            "archive-run --help", 1, timed(lambda: subprocess.run([PROGRAM, "--help"], capture_output=True, check=True))
        ),
        Side("python -c pass", 1, timed(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))),
    )
    more = statistics.median(a - b for a, b in zip(ours.seconds, python.seconds, strict=True))
    return [Figure("start", "archive-run --help, beyond python -c pass", "s", more, MOST_SECONDS)]


def more_and_more_sources(asked: Round, most: int) -> Iterator[Figure]:
    """Queue files of 100 events, 10,000 of them a day: 100, ten times as many, and so on; each time a new archive."""
    directory = asked.place("scale")
    fewest = asked.size(100, 2)
    steps = [fewest * 10**power for power in range(6) if fewest * 10**power <= max(most, fewest)]
    files: list[Path] = []
    for day in range(-(-steps[-1] // UPLOADS_A_DAY)):
        number = min(UPLOADS_A_DAY, steps[-1] - len(files))
        files += write_queue_files(
            DAY + np.timedelta64(day, "D"), 1, directory / "all", stations=stations(asked), uploads=number
        )
    costs = []
    for number in steps:
        # A day's worth takes half a minute and more: once.
        spent = [archived(files[:number], directory) for _ in range(asked.runs if number < UPLOADS_A_DAY else 1)]
        costs.append(statistics.median(one.seconds for one in spent))
        peak = max(one.peak_bytes for one in spent)
        what = f"archive-run, {number:,} queue files of 100 HiSPARC events"
        yield Figure(f"scale-{number}", f"{what}: a file", "ms", costs[-1] / number * 1000)
        yield Figure(f"scale-{number}-memory", f"{what}: peak memory", "MB", peak / 1e6, MOST_MEGABYTES)
    slopes = [(more - less) / (b - a) for (a, less), (b, more) in pairwise(zip(steps, costs, strict=True))]
    for (few, many), slope in zip(pairwise(steps), slopes, strict=True):
        work = f"each file more, from {few:,} to {many:,}"
        yield Figure(f"scale-slope-{many}", work, "ms", slope * 1000, round(slopes[0] * 1000 * MOST_GROWTH, 2))
    shutil.rmtree(directory)


def archived(files: list[Path], directory: Path) -> Spent:
    """What it takes to archive files by one command, into a new archive that is removed again."""
    sources, archive = directory / "sources", directory / "archive"
    sources.mkdir()
    for file in files:
        (sources / file.name).hardlink_to(file)
    spent = run([PROGRAM, sources, "--plugins", "hisparc", "--archive", archive, "--quiet"])
    if spent.exit_code:
        raise SystemExit(f"archive-run ended with exit code {spent.exit_code}")
    shutil.rmtree(sources)
    shutil.rmtree(archive)
    return spent


def memory_of_a_mission(missions: list[Mission]) -> list[Figure]:
    """Peak memory of the longest mission, and how many times that of the shortest it is."""
    first, last = missions[0], missions[-1]
    days = f"{last.days} days of CRIS and SIS by one command"
    peak, growth = last.spent.peak_bytes / 1e6, last.spent.peak_bytes / first.spent.peak_bytes
    return [
        Figure("mission-memory", f"{days}: peak memory", "MB", peak, MOST_MEGABYTES),
        Figure("mission-growth", f"{days}: memory, beside {first.days} days", "times", growth, MOST_GROWTH),
    ]
