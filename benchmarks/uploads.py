"""Uploads of HiSPARC stations into day files: ours, a row-at-a-time writer, and what cannot be left out.

The events are those of simulated stations: 36 of 100 are showers, with traces of two or four detectors, the others
singles, and now and then a configuration, weather or an error.
"""

from __future__ import annotations

import os
import pickle
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pybase64

from benchmarks import rowwise
from benchmarks.archiving import Runner, by_runner, ours
from benchmarks.measuring import Round, Row, Side, measured
from dayfile.engine.executors import run_serial
from dayfile_hisparc.simulation import simulate_events, write_queue_files

__all__ = ["DAY", "queue_file", "stations", "uploads_of_one", "uploads_of_one_hundred", "uploads_of_two_thousand"]

DAY = np.datetime64("2024-05-10")
FLOOR_AIM = 0.4
VALUE_BYTES = 4

Event = dict[str, Any]


def stations(asked: Round) -> dict[int, int]:
    """Twenty stations, by number, and how many detectors each has: seven have four, the others two."""
    return {501 + number: 2 if number % 3 else 4 for number in range(asked.size(20, 2))}


def uploads_of_one_hundred(asked: Round, runners: Mapping[str, Runner]) -> list[Row]:
    """Queue files of 100 events, 20 stations."""
    directory = asked.place("uploads-100")
    files = write_queue_files(DAY, 1, directory / "files", stations=stations(asked), uploads=asked.size(5000, 5))
    work = "HiSPARC uploads of 100 events, 20 stations"
    return compared(asked, "uploads-100", work, files, asked.size(500, 3), 100, runners, (6, 10))


def uploads_of_one(asked: Round, runners: Mapping[str, Runner]) -> list[Row]:
    """Queue files of one event, 20 stations."""
    directory = asked.place("uploads-1")
    files = write_uploads(directory / "files", stations(asked), asked.size(20_000, 20), 1)
    work = "HiSPARC uploads of one event, 20 stations"
    return compared(asked, "uploads-1", work, files, asked.size(4000, 10), 1, runners, (20, 20))


def uploads_of_two_thousand(asked: Round) -> list[Row]:
    """One queue file of showers with four traces; by one process, as one source cannot be shared."""
    directory, number = asked.place("list-2000"), asked.size(2000, 50)
    showers = (event for event in simulate_events(DAY, 1, 501) if event["header"]["eventtype_uploadcode"] == "CIC")
    path = directory / "list"
    path.write_bytes(queue_file(501, list(islice(showers, number))))
    work = f"one list of {number:,} HiSPARC showers with four traces"
    return compared(asked, "list-2000", work, [path], 1, number, {"": run_serial}, (6,))


def write_uploads(directory: Path, detectors: Mapping[int, int], number: int, events: int) -> list[Path]:
    """Write queue files of so many events each, the stations in turn."""
    directory.mkdir()
    streams = {station: simulate_events(DAY, 1, station, detectors=detectors[station]) for station in detectors}
    paths = []
    for upload in range(number):
        station = list(detectors)[upload % len(detectors)]
        paths.append(directory / f"{upload:06d}")
        paths[-1].write_bytes(queue_file(station, list(islice(streams[station], events))))
    return paths


def queue_file(station: int, events: list[Event]) -> bytes:
    """The pickle that a receiver keeps."""
    return pickle.dumps({"station_id": station, "cluster": "Amsterdam", "event_list": events}, protocol=2)


def compared(
    asked: Round,
    name: str,
    work: str,
    files: Sequence[Path],
    few: int,
    events: int,
    runners: Mapping[str, Runner],
    aims: tuple[float, ...],
) -> list[Row]:
    """A row for each runner, beside the same peer and floor; the peer gets only so few of the files.

    Before the peer is timed it gets one upload of each station: its rate is that of a day file that has its tables.
    The aims are those of the runners.
    """
    directory = files[0].parent.parent if len(files) > 1 else files[0].parent
    total = len(files) * events
    first = len(stations(asked)) if few < len(files) else 0
    before, timed = files[:first], files[first : first + few]
    *own, peer, floor = measured(
        asked.runs,
        *(ours(runner, ["hisparc"], files, directory, total) for runner in runners.values()),
        Side("PyTables row at a time", few * events, lambda: seconds_row_by_row(before, timed, directory)),
        Side("permitted-name unpickling, base64, write, fsync", total, lambda: seconds_of_floor(files, directory)),
    )
    row = Row(name, work, "events/s", own[0], peer, 0, floor, FLOOR_AIM)
    return [replace(row, peer_aim=aim) for row, aim in zip(by_runner(row, runners, own), aims, strict=True)]


def seconds_row_by_row(before: Sequence[Path], files: Sequence[Path], directory: Path) -> float:
    """Seconds of the row-at-a-time writer for files, after those before; it forces nothing to disk."""
    place = Path(tempfile.mkdtemp(dir=directory))
    rowwise.write_uploads(list(before), place)
    start = time.perf_counter()
    rowwise.write_uploads(list(files), place)
    seconds = time.perf_counter() - start
    shutil.rmtree(place)
    return seconds


class PermittedOnly(pickle.Unpickler):
    """Reads what uploads are made of, and calls nothing else."""

    PERMITTED: ClassVar = {("datetime", "datetime"), ("_codecs", "encode")}

    def find_class(self, module: str, name: str, /) -> Any:  # noqa: ANN401 - as its parent
        """The permitted names."""
        if (module, name) not in self.PERMITTED:
            raise pickle.UnpicklingError(f"{module}.{name} is not permitted")
        return super().find_class(module, name)


def seconds_of_floor(files: Sequence[Path], directory: Path) -> float:
    """Seconds to read uploads, decode their traces, and force to disk as many bytes as their values have."""
    path = directory / "floor"
    start = time.perf_counter()
    with path.open("wb") as out:
        for file in files:
            with file.open("rb") as stream:
                upload = PermittedOnly(stream).load()
            out.writelines(payload(upload["event_list"]))
        out.flush()
        os.fsync(out.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds


def payload(events: Sequence[Event]) -> Iterator[bytes]:
    """The traces as bytes, and for all other values of an event as many bytes as they would have."""
    for event in events:
        values = event["datalist"]
        yield bytes(VALUE_BYTES * len(values))
        for item in values:
            if item["data_uploadcode"].startswith("TR") and isinstance(item["data"], str):
                yield pybase64.b64decode(item["data"])
