"""Questions to large catalogues: archives of 200,000 day files, and of 100 stations over 20 years, that need no files.

The catalogues are written by the archive's own code from made-up counts; only the newest day file is a real one, which
says what the records of a type are. Each question is timed beside the same one to a small archive.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from array import array
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

import dayfile
from benchmarks.archiving import archive
from benchmarks.measuring import Figure, Round, Side, measured, timed
from benchmarks.mission import PERIODIC, full_day
from benchmarks.uploads import queue_file
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.catalogue_rows import CatalogueRow, KeyCount, Publication
from dayfile.engine.executors import run_serial
from dayfile_hisparc.simulation import simulate_events

__all__ = ["ask_large_catalogues"]

DAYFILE = Path(sys.executable).with_name("dayfile")
SPACE, ROOFS = "cris.summary", "hisparc.events"
LAST_DAY = np.datetime64("2021-12-31")
MOST_LIST, MOST_READ, MOST_COVERAGE = 0.3, 10.0, 0.1
TOGETHER = 200


def ask_large_catalogues(asked: Round) -> Iterator[Figure]:
    """Two small archives, and the same ones with catalogues as large as a mission and a network have them."""
    directory = asked.place("catalogue")
    names = {
        "mission": [f"{SPACE.partition('.')[0]}.type{number:02}" for number in range(21)],
        "network": [f"{ROOFS.partition('.')[0]}.{name}" for name in ("singles", "weather")],
    }
    makers: dict[str, tuple[str, Callable[[Path], None]]] = {
        "mission": (SPACE, make_space_archive),
        "network": (ROOFS, make_roof_archive),
    }
    for name, (data_type, make) in makers.items():
        small, large = directory / name / "small", directory / name / "large"
        small.parent.mkdir()
        make(small)
        make(large)
        keys = [f'{{"cluster": "city", "station": {station}}}' for station in range(101, 101 + asked.size(100, 3))]
        days = asked.size(9_100 if name == "mission" else 7_300, 40)
        rows = fill(
            Catalogue(large / "catalogue.db"), [data_type, *names[name]], keys if name == "network" else ["{}"], days
        )
        size = (large / "catalogue.db").stat().st_size
        yield Figure(
            f"catalogue-{name}", f"catalogue of {days:,} days, {rows:,} counts of keys: its size", "MB", size / 1e6
        )
        yield from ask(name, asked, data_type, small, large)


def make_space_archive(path: Path) -> None:
    """An archive with the last day of a type with a record a second."""
    instrument, kind = next((instrument, kind) for instrument, kind in PERIODIC if kind.name == SPACE)
    source = path.parent / f"{kind.code}.be.bin"
    day = full_day(instrument, kind, LAST_DAY)
    day.tofile(source)
    archive(run_serial, [kind.instrument], [source], path, len(day))


def make_roof_archive(path: Path) -> None:
    """An archive with the last day of one station."""
    found = simulate_events(LAST_DAY, 1, 501, detectors=2)
    events = list(islice((event for event in found if event["header"]["eventtype_uploadcode"] == "CIC"), 2000))
    source = path.parent / "upload"
    source.write_bytes(queue_file(501, events))
    archive(run_serial, ["hisparc"], [source], path, len(events))


def fill(catalogue: Catalogue, types: list[str], keys: list[str], days: int) -> int:
    """Enter day files that do not exist, of the days before the last one; the number of counts that were entered."""
    rows = 0
    hours = array("q", range(1000, 1024))
    one_file = len(keys) > 1  # all types of a day share it
    waiting: dict[str, Publication] = {}
    for number, day in enumerate(LAST_DAY - np.arange(days, 0, -1)):
        first, last = day.astype("datetime64[ns]"), (day + 1).astype("datetime64[ns]") - np.timedelta64(1, "ns")
        counts = tuple(KeyCount(key, sum(hours), first, last, hours) for key in keys)
        found: dict[str, list[CatalogueRow]] = {}
        for name in types:
            path = f"{day}.h5" if one_file else f"{name}/{day}.h5"
            row = CatalogueRow(path, name, str(day), len(keys) * sum(hours), first, last, counts)
            found.setdefault(path, []).append(row)
            rows += len(counts)
        waiting |= {path: Publication(each, None) for path, each in found.items()}
        if number % TOGETHER == TOGETHER - 1:
            catalogue.record(waiting)
            waiting = {}
    catalogue.record(waiting)
    return rows


def ask(name: str, asked: Round, data_type: str, small: Path, large: Path) -> Iterator[Figure]:
    """Ask a large archive and a small one the same."""
    station = {"station": 103} if name == "network" else {}
    filled, empty = (LAST_DAY.astype("datetime64[m]") + minutes for minutes in (20, 30 * 60))
    year = str(LAST_DAY - 365), str(LAST_DAY)

    def question(path: Path, put: Callable[[dayfile.Archive], object]) -> Callable[[], float]:
        return timed(lambda: put(dayfile.open_archive(path)))

    def more(put: Callable[[dayfile.Archive], object]) -> float:
        ours, few = measured(asked.runs, Side("", 1, question(large, put)), Side("", 1, question(small, put)))
        return statistics.median(a - b for a, b in zip(ours.seconds, few.seconds, strict=True))

    def alone(put: Callable[[dayfile.Archive], object]) -> float:
        (ours,) = measured(asked.runs, Side("", 1, question(large, put)))
        return statistics.median(ours.seconds)

    def listed(*words: str) -> Callable[[], float]:
        return timed(lambda: subprocess.run([DAYFILE, "ls", *words], capture_output=True, check=True))

    of = f"{name}: "
    for words in ((), ("--by", "station")) if station else ((),):
        ours, few = measured(
            asked.runs,
            Side("", 1, listed("-a", str(large), *words)),
            Side("", 1, listed("-a", str(small), *words)),
        )
        value = statistics.median(a - b for a, b in zip(ours.seconds, few.seconds, strict=True))
        what = " ".join(("dayfile ls", *words))
        yield Figure(
            f"catalogue-{name}-ls{'-by' if words else ''}", f"{of}{what}, beyond a small archive", "s", value, MOST_LIST
        )
    for row, hour, what in (("hour", filled, "an hour"), ("nothing", empty, "an hour without records")):
        value = 1000 * more(lambda opened, hour=hour: opened.read(data_type, hour, hour + 60))
        yield Figure(f"catalogue-{name}-{row}", f"{of}read {what}, beyond a small archive", "ms", value, MOST_READ)
    value = alone(lambda opened: opened.coverage(data_type, *year))
    yield Figure(f"catalogue-{name}-coverage", f"{of}coverage of a year by day", "s", value, MOST_COVERAGE)
    value = alone(lambda opened: opened.coverage(data_type, *year, by="hour"))
    yield Figure(f"catalogue-{name}-coverage-hours", f"{of}coverage of a year by hour", "s", value, MOST_COVERAGE)
    value = alone(lambda opened: opened.gaps(data_type, *year, **station))
    yield Figure(f"catalogue-{name}-gaps", f"{of}gaps of a year", "s", value, MOST_COVERAGE)
    if station:
        value = alone(lambda opened: opened.coverage(data_type, *year, **station))
        yield Figure(
            f"catalogue-{name}-coverage-one", f"{of}coverage of a year of one station", "s", value, MOST_COVERAGE
        )
        value = alone(lambda opened: opened.coverage(data_type, *year, per_key=True))
        yield Figure(
            f"catalogue-{name}-coverage-each", f"{of}coverage of a year of each station", "s", value, MOST_COVERAGE
        )
