"""Reading from an archive: days of one type, and events with their traces."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import numpy as np
import tables

from benchmarks.archiving import archive
from benchmarks.measuring import Round, Row, Side, measured, timed
from benchmarks.mission import FIRST_DAY, PERIODIC, full_day
from benchmarks.uploads import DAY, queue_file, stations
from dayfile import Records, open_archive
from dayfile.archive.outlines import KNOWN_AFTER
from dayfile.engine.executors import run_serial
from dayfile_hisparc.simulation import simulate_events

__all__ = ["read_days", "read_events", "wait_until_known"]

TYPE = "cris.summary"
FIELD = "traces"
SHOWERS_A_STATION = 5000


def read_days(asked: Round) -> list[Row]:
    """Thirty days of a type with a record a second."""
    directory, days = asked.place("read-days"), asked.size(30, 2)
    instrument, kind = next((instrument, kind) for instrument, kind in PERIODIC if kind.name == TYPE)
    files = []
    for day in FIRST_DAY + np.arange(days):
        files.append(directory / str(day) / f"{kind.code}.be.bin")
        files[-1].parent.mkdir()
        full_day(instrument, kind, day).tofile(files[-1])
    size = sum(file.stat().st_size for file in files)
    total = size // instrument.struct(kind, "big").itemsize
    archive(run_serial, [kind.instrument], files, directory / "archive", total)
    opened = open_archive(directory / "archive")
    records = opened.read(TYPE)
    records.array.tofile(directory / "flat")
    del records
    wait_until_known()
    ours, floor = measured(
        asked.runs,
        Side("dayfile", total, timed(lambda: opened.read(TYPE))),
        Side("numpy.fromfile of the same bytes", total, timed(lambda: np.fromfile(directory / "flat", kind.dtype))),
    )
    work = f"read {days} days of {TYPE}, {total:,} records"
    return [Row("read-days", work, "records/s", ours, floor=floor, floor_aim=0.4)]


def wait_until_known() -> None:
    """Wait until day files are known by their times, as those of earlier days are; see :class:`Outlines`."""
    time.sleep(KNOWN_AFTER / 1e9)


def read_events(asked: Round) -> list[Row]:
    """Showers of twenty stations, with all their traces."""
    directory, number = asked.place("read-events"), asked.size(SHOWERS_A_STATION, 10)
    files = []
    for station in stations(asked):
        events = simulate_events(DAY, 1, station, detectors=4)
        showers = (event for event in events if event["header"]["eventtype_uploadcode"] == "CIC")
        files.append(directory / str(station))
        files[-1].write_bytes(queue_file(station, list(islice(showers, number))))
    total = number * len(files)
    archive(run_serial, ["hisparc"], files, directory / "archive", total)
    for file in files:
        file.unlink()
    opened = open_archive(directory / "archive")
    (path,) = (directory / "archive").rglob("*.h5")

    def ours() -> None:
        if traces_of(opened.read("hisparc.events")) != total * 4:
            raise SystemExit("reading gave another number of traces than there are")

    took, peer = measured(
        asked.runs,
        Side("dayfile", total, timed(ours)),
        Side("PyTables, row by row, blob by blob", total, timed(lambda: read_row_by_row(path))),
    )
    return [Row("read-events", f"read {total:,} HiSPARC showers and their traces", "events/s", took, peer, 3)]


def traces_of(records: Records) -> int:
    """Read all traces, and count them."""
    return sum(map(len, records.all_blobs(FIELD)))


def read_row_by_row(path: Path) -> int:
    """Read all showers of a day file and their traces, and count these."""
    count = 0
    with tables.open_file(path, "r") as file:
        for table in file.walk_nodes("/hisparc", "Table"):
            blobs = table._v_parent.blobs
            for row in table:
                fields = row.fetch_all_fields()
                traces = [blobs[index] for index in fields[FIELD] if index >= 0]
                count += len(traces)
    return count
