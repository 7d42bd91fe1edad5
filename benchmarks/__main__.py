"""Measure and print one table: ours, the other's, and the ratio."""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks import rowwise
from benchmarks.measuring import Row, machine, measured
from dayfile import plugins
from dayfile.archive.root import Root
from dayfile.engine.executors import run_serial
from dayfile.layouts.dtypes import to_records
from dayfile.layouts.streams import read_stream
from dayfile.settings import CoreSettings, Settings
from dayfile_cris import instrument as cris
from dayfile_hisparc import HisparcSettings
from dayfile_hisparc.simulation import write_queue_files


def uploads(directory: Path, runs: int, number: int) -> Row:
    """Uploads of 100 events through the durable whole, against a row-at-a-time writer."""
    stations = {500 + number: 2 if number % 3 else 4 for number in range(20)}
    files = write_queue_files(np.datetime64("2024-05-10"), 1, directory / "uploads", stations=stations, uploads=number)
    loaded = plugins.load(["hisparc"])
    settings = Settings(CoreSettings(), {"hisparc": HisparcSettings()})
    fresh = itertools.count()

    def ours() -> None:
        archive = directory / f"archive-{next(fresh)}"
        report = run_serial(Root(archive), loaded, settings, files)
        if report.exit_code or report.sources["archived"] != number:
            raise SystemExit(f"the run did not archive everything: {report}")
        shutil.rmtree(archive)

    def theirs() -> None:
        archive = directory / f"rowwise-{next(fresh)}"
        archive.mkdir()
        rowwise.write_uploads(files, archive)
        shutil.rmtree(archive)

    row = Row("HiSPARC uploads of 100 events, 20 stations", "PyTables row at a time", number * 100, "events/s", ">= 4")
    return measured(row, ours, theirs, runs)


def decode(runs: int) -> Row:
    """A struct stream decoded by a layout, against numpy by hand."""
    data_type = cris.layout.by_code()["L1CrisHighPriorityRate"]
    struct = cris.struct(data_type)
    count = 500_000
    content = np.random.default_rng(1).integers(0, 256, count * struct.itemsize, np.uint8).tobytes()
    by_hand = np.dtype(
        {
            "names": ["ClockMinorFrame", "Second1996", "microsecond", "hp", "QualityHp"],
            "formats": [">u4", ">u4", ">u4", (">u4", (2,)), ("u1", (2,))],
            "offsets": [0, 4, 8, 12, 20],
            "itemsize": 24,
        }
    )
    packed = np.dtype([("a", "<u4"), ("b", "<u4"), ("c", "<u4"), ("d", "<u4", (2,)), ("e", "u1", (2,))])

    def ours() -> None:
        to_records(read_stream(content, struct, "stream"), data_type)

    def theirs() -> None:
        np.frombuffer(content, by_hand).astype(packed)

    row = Row("decode a struct stream by a layout", "numpy.frombuffer by hand", count, "records/s", ">= 0.9")
    return measured(row, ours, theirs, runs)


def main() -> None:
    """Run the benchmarks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each")
    parser.add_argument("--uploads", type=int, default=400, help="uploads of 100 events in a day")
    options = parser.parse_args()
    print(machine())
    print(f"{'work':<44} {'against':<34} {'ours':>12} {'theirs':>12} {'':<10} {'ratio':>6}  target")
    rows = []
    with tempfile.TemporaryDirectory(prefix="dayfile-bench-") as directory:
        work = Path(directory)
        for benchmark in (partial(uploads, work, options.runs, options.uploads), partial(decode, options.runs)):
            row = benchmark()
            print(row.line(), flush=True)
            rows.append(row.as_json())
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
