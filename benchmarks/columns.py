"""Columns, tables and hours of thirty simulated days: beside DuckDB and polars on Parquet files of the same records.

The days are those of ``dayfile simulate``, in day files that are not sealed; the Parquet files are one a day too,
compressed by zstd.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benchmarks.decoding import installed
from benchmarks.measuring import Measured, Round, Row, Side, absent, measured, timed
from benchmarks.reading import wait_until_known
from dayfile import Archive, open_archive
from dayfile.model.instants import as_utc

__all__ = ["read_columns"]

COLUMNS = {
    "cris.summary": "ClockMinorFrame",
    "cris.high_priority_rates": "ClockMinorFrame",
    "cris.hskp": "ClockCycle",
}
"""The column of each type that is read alone."""
TIME = "Second1996"
FIRST = np.datetime64("1998-10-01")
HOUR = np.timedelta64(1, "h")
DUCKDB_COLUMN, POLARS_TABLE, DUCKDB_HOUR = 0.33, 0.67, 2
"""How many times the rate of the others we want to reach."""


def read_columns(asked: Round, programs: Path) -> Iterator[Row]:
    """Three rows a type; ``programs`` is the Python of the environment that DuckDB and polars are installed in."""
    directory, days = asked.place("columns"), asked.size(30, 2)
    opened = make_archive(directory, days)
    there = {name: installed(programs, name) for name in ("duckdb", "polars")}
    for name in COLUMNS:
        for day in FIRST + np.arange(days):
            path = directory / "parquet" / name / f"{day}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, opened.read(name, str(day), str(day + 1), inside=True).array)
    if all(there.values()):
        subprocess.run([programs, Path(__file__).with_name("parquet.py"), "write", directory / "parquet"], check=True)
    wait_until_known()
    for name, column in COLUMNS.items():
        yield from compare(
            asked, opened, name, column, directory / "parquet" / name, programs if all(there.values()) else None
        )


def make_archive(directory: Path, days: int) -> Archive:
    """Make an archive of simulated days."""
    for day in FIRST + np.arange(days):
        run("dayfile", "simulate", "cris", "--day", day, "--out", directory / "sources" / str(day))
    run("archive-run", directory / "sources", "--plugins", "cris", "--archive", directory / "archive", "--quiet")
    return open_archive(directory / "archive")


def run(program: str, *words: object) -> None:
    """Run a command of ours."""
    subprocess.run([Path(sys.executable).with_name(program), *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def compare(
    asked: Round, opened: Archive, name: str, column: str, parquet: Path, programs: Path | None
) -> Iterator[Row]:
    """Compare what we take with what others take, for a column, all columns and an hour of a type."""
    pattern = f"{parquet}/*.parquet"
    whole = opened.read(name, inside=True)
    start = FIRST + HOUR
    within = opened.read(name, start, start + HOUR, inside=True)
    short = name.partition(".")[2].partition("_")[0]

    def row(
        ending: str,
        kind: str,
        amount: int,
        ours: Callable[[], object],
        peer: str,
        aim: float,
        words: list[object],
        expected: float,
    ) -> Row:
        sides = [Side("dayfile", amount, timed(ours))]
        if programs is not None:
            sides.append(Side(peer, amount, lambda: ask(programs, words, expected)))
        took, *others = measured(asked.runs, *sides)
        theirs: Measured = others[0] if others else absent(peer)
        return Row(f"columns-{short}{ending}", f"{name}, {amount:,} records: {kind}", "records/s", took, theirs, aim)

    yield row(
        "", f"mean of {column}", len(whole), lambda: np.mean(opened.read(name, fields=[column])[column]),
        "DuckDB on Parquet", DUCKDB_COLUMN, ["mean", pattern, column], float(whole[column].mean()),
    )  # fmt: skip
    yield row(
        "-all", "all columns", len(whole), lambda: opened.read(name),
        "polars on Parquet", POLARS_TABLE, ["everything", pattern], len(whole),
    )  # fmt: skip
    seconds = [
        int((as_utc(each) - np.datetime64("1996-01-01")) // np.timedelta64(1, "s")) for each in (start, start + HOUR)
    ]
    yield row(
        "-hour", "all columns of an hour", len(within), lambda: opened.read(name, start, start + HOUR),
        "DuckDB on Parquet", DUCKDB_HOUR, ["hour", pattern, TIME, *seconds], len(within),
    )  # fmt: skip


def ask(programs: Path, words: list[object], expected: float) -> float:
    """Ask the others, and return the seconds that they took; SystemExit if they read something else."""
    command = [programs, Path(__file__).with_name("parquet.py"), *map(str, words)]
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    if not np.isclose(answer["found"], expected, rtol=1e-12):
        raise SystemExit(f"{words[0]} of {words[1]} is {answer['found']} there, and {expected} here")
    return float(answer["seconds"])
