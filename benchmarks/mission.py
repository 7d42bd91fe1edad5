"""A mission: days of CRIS and SIS with a record in every slot, archived by one command; and what 25 years would take.

Every periodic type of both instruments comes as a struct stream a day. Times and counts of the spacecraft's clock are
those of its frames, so cycles drift against midnight and a day has 337 or 338 of them; all other bytes are random.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.command import Spent, run
from dayfile.instrument import Instrument
from dayfile.model.datatype import DataType
from dayfile_cris import instrument as cris
from dayfile_cris.simulation import SPACECRAFT_CLOCK
from dayfile_sis import instrument as sis

__all__ = ["HEADER", "Mission", "missions", "refuse_without_room"]

FIRST_DAY = np.datetime64("1997-12-01")
YEARS, DAYS_OF_YEARS = 25, 9131
STEPS = (2, 8)
"""Days that are archived before all of them are, to see whether memory grows."""
PERIODIC = [(instrument, kind) for instrument in (cris, sis) for kind in instrument.layout.types if kind.period]
HEADER = (
    f"{'CRIS and SIS':<12} {'records':>11} {'MB':>7} {'s':>6} {'CPU s':>6} {'records/s':>10} {'MB/s':>6}"
    f" {'peak MB':>8}  {YEARS} years"
)


@dataclass(frozen=True)
class Mission:
    """So many days, archived into a new archive by one command.

    Parameters
    ----------
    days, records : int
        How many.
    source_bytes, archive_bytes : int
        Of the structs, and of the archive on disk.
    spent : Spent
        What the command took.
    """

    days: int
    records: int
    source_bytes: int
    archive_bytes: int
    spent: Spent

    @property
    def hours_of_years(self) -> float:
        """What 25 years would take at this rate."""
        return self.spent.seconds / self.days * DAYS_OF_YEARS / 3600

    @property
    def bytes_of_years(self) -> float:
        """How large the archive of 25 years would be."""
        return self.archive_bytes / self.days * DAYS_OF_YEARS

    def line(self) -> str:
        """The mission as a row of text, below HEADER."""
        seconds, megabytes = self.spent.seconds, self.source_bytes / 1e6
        return (
            f"{self.days:>7} days {self.records:>12,} {megabytes:>7,.0f} {seconds:>6.1f} {self.spent.cpu_seconds:>6.1f}"
            f" {self.records / seconds:>10,.0f} {megabytes / seconds:>6.1f} {self.spent.peak_bytes / 1e6:>8.0f}"
            f"  {self.hours_of_years:.1f} h, {self.bytes_of_years / 1e9:,.0f} GB"
        )

    def as_json(self) -> dict[str, object]:
        """The mission as plain data."""
        return {
            **asdict(self),
            "records_per_second": self.records / self.spent.seconds,
            "bytes_per_second": self.source_bytes / self.spent.seconds,
            "hours_of_25_years": self.hours_of_years,
            "bytes_of_25_years": self.bytes_of_years,
        }


def refuse_without_room(directory: Path, days: int) -> None:
    """SystemExit if the disk has no room for the sources of so many days, their archive, and a tenth more."""
    needed = 2.2 * days * sum(-(-86400 // kind.period) * source.struct(kind).itemsize for source, kind in PERIODIC)
    free = shutil.disk_usage(directory).free
    if needed > free:
        message = (
            f"a mission of {days} days needs {needed / 1e9:.1f} GB in {directory}, where {free / 1e9:.1f} GB are free"
        )
        raise SystemExit(f"{message}; ask for fewer with --days, or set TMPDIR to a directory on another disk")


def missions(directory: Path, days: int) -> Iterator[Mission]:
    """Archive the first days, more of them, and all, each time by one command into a new archive.

    Parameters
    ----------
    directory : Path
        Where sources and archives go; the archives are removed.
    days : int
        How many in the end.
    """
    sources = directory / "sources"
    records: Counter[str] = Counter()
    made = 0
    for step in [*(few for few in STEPS if few < days), days]:
        for number in range(made, step):
            records.update(write_day(sources, FIRST_DAY + number))
        made = step
        yield archived(sources, directory, step, records)


def write_day(directory: Path, day: np.datetime64) -> dict[str, int]:
    """Write the struct streams of a day into a directory of its own, one type after the other; records by type."""
    below = directory / str(day)
    below.mkdir(parents=True)
    written = {}
    for instrument, kind in PERIODIC:
        structs = full_day(instrument, kind, day)
        structs.tofile(below / f"{kind.code}.be.bin")
        written[kind.name] = len(structs)
    return written


def full_day(instrument: Instrument, kind: DataType, day: np.datetime64) -> npt.NDArray[Any]:
    """Structs of a type, big-endian, for all frames of a day in which it comes; shape (n,)."""
    frames = SPACECRAFT_CLOCK.list_frames(kind.clock, day)
    frames = frames[frames % kind.period == 0]
    dtype = instrument.struct(kind, "big")
    rng = np.random.default_rng([int(frames[0]), *kind.code.encode()])
    structs = np.frombuffer(bytearray(rng.bytes(len(frames) * dtype.itemsize)), dtype)
    for name, values in SPACECRAFT_CLOCK.stamp(kind, frames).items():
        structs[name] = values
    return structs


def archived(sources: Path, directory: Path, days: int, records: Counter[str]) -> Mission:
    """Archive all sources by one command, and see that it took every record."""
    archive, report = directory / "archive", directory / "report.json"
    program = Path(sys.executable).with_name("archive-run")
    spent = run([program, sources, "--plugins", "cris,sis", "--archive", archive, "--report", report, "--quiet"])
    if spent.exit_code:
        raise SystemExit(f"archive-run ended with exit code {spent.exit_code}")
    told = json.loads(report.read_text())
    expected = {
        name: {"written": count, "identical": 0, "overlap": 0, "rejected": 0} for name, count in records.items()
    }
    if told["records"] != expected or told["sources"]["archived"] != days * len(PERIODIC):
        raise SystemExit(f"the run did not archive everything: {told['sources']}, {told['records']}")
    mission = Mission(days, records.total(), size_of(sources), size_of(archive), spent)
    shutil.rmtree(archive)
    return mission


def size_of(directory: Path) -> int:
    """Bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
