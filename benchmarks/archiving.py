"""What "ours" is wherever something is archived: the durable whole, into an empty archive.

Sources are decoded and written to day files, which are read back and compared, forced to disk and published.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from benchmarks.measuring import Measured, Row, Side
from dayfile.configuration import configure
from dayfile.engine.executors import run_serial
from dayfile.engine.processes import run_processes
from dayfile.engine.report import Report

__all__ = ["Runner", "archive", "by_runner", "ours", "runners"]

Runner = Callable[..., Report]
"""Archives the sources that it is given, as :func:`dayfile.engine.executors.run_serial` does."""


def runners() -> Mapping[str, Runner]:
    """The runners, by what is put behind the name of a row."""
    return {"": run_serial, "-two": partial(run_processes, workers=2)}


def archive(runner: Runner, names: Sequence[str], files: Sequence[Path], directory: Path, records: int) -> float:
    """Seconds to archive sources into an empty archive; SystemExit if not every record of them was written."""
    root, plugins, settings = configure(directory, list(names), [], None)
    root.create()
    start = time.perf_counter()
    report = runner(root, plugins, settings, files)
    seconds = time.perf_counter() - start
    written = sum(counts["written"] for counts in report.records.values())
    if report.exit_code or written != records:
        problems = [failure.message for failure in report.failures] + [entry.reason for entry in report.quarantine]
        message = f"the run did not archive everything: {written} of {records} records; "
        raise SystemExit(message + "; ".join(problems[:3]))
    return seconds


def ours(runner: Runner, names: Sequence[str], files: Sequence[Path], directory: Path, records: int) -> Side:
    """Our side: sources into an empty archive below a directory, which is removed again."""

    def seconds() -> float:
        place = Path(tempfile.mkdtemp(dir=directory))
        took = archive(runner, names, files, place / "archive", records)
        shutil.rmtree(place)
        return took

    return Side("dayfile", records, seconds)


def by_runner(row: Row, runners: Mapping[str, Runner], took: Sequence[Measured]) -> list[Row]:
    """A row for each runner, like ``row`` but for its name, its words and what it took."""
    return [
        replace(row, name=f"{row.name}{ending}", work=f"{row.work}{', two processes' if ending else ''}", ours=measured)
        for ending, measured in zip(runners, took, strict=True)
    ]
