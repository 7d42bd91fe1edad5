"""Measure what dayfile does beside what others do, and beside what cannot be left out; print one table.

Every number is the median of several runs, ours and the others' in turn. "Ours" is the durable whole wherever something
is archived: decoded, written, read back and compared, forced to disk, published. Each benchmark has a process of its
own, so that what those before it have left in memory slows none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks import (
    catalogue,
    columns,
    decoding,
    framing,
    level1,
    lines,
    mission,
    putting,
    reading,
    receiving,
    scale,
    uploads,
)
from benchmarks.archiving import runners
from benchmarks.measuring import HEADER, Figure, Round, Row, machine

MISSION = "mission"
Benchmark = Callable[[Round], Iterable[Row | Figure]]


def benchmarks(options: argparse.Namespace) -> Mapping[str, Benchmark]:
    """All but the mission, by the name that ``--only`` takes.

    Those that leave many files to be removed come last: for some minutes ext4 takes longer to make new ones then.
    """
    ways = runners()
    return {
        "list-2000": uploads.uploads_of_two_thousand,
        "put-day": lambda asked: putting.put_a_day(asked, ways),
        "decode": lambda asked: decoding.decode(asked, options.peers),
        "fields": decoding.decode_fields,
        "frames": framing.find_frames,
        "read-days": reading.read_days,
        "read-events": reading.read_events,
        "columns": lambda asked: columns.read_columns(asked, options.peers),
        "level1": level1.read_level1,
        "lines": lines.read_lines_of_numbers,
        "start": scale.start_up,
        "catalogue": catalogue.ask_large_catalogues,
        "receive-1": receiving.receive_one,
        "receive-100": receiving.receive_one_hundred,
        "uploads-100": lambda asked: uploads.uploads_of_one_hundred(asked, ways),
        "uploads-1": lambda asked: uploads.uploads_of_one(asked, ways),
        "scale": lambda asked: scale.more_and_more_sources(asked, options.sources),
    }


def rows_of(benchmark: Benchmark, asked: Round) -> Iterator[Row | Figure]:
    """The rows of a benchmark as they are measured, in a process that is forked for it; SystemExit if it fails."""
    context = get_context("fork")
    receiving, sending = context.Pipe(duplex=False)

    def send(end: Connection) -> None:
        for row in benchmark(asked):
            end.send(row)

    process = context.Process(target=send, args=(sending,))
    process.start()
    sending.close()
    try:
        while True:
            yield receiving.recv()
    except EOFError:
        process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


def told() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="counted runs of each side")
    parser.add_argument("--only", default="", metavar="NAME[,NAME]", help="only these")
    parser.add_argument("--small", action="store_true", help="little work each, to see that everything runs")
    parser.add_argument("--days", type=int, metavar="N", help="days of the mission, 180 MB each; 0 to leave it out")
    parser.add_argument(
        "--sources", type=int, metavar="N", help="most queue files; 100,000 take 14 GB and half an hour"
    )
    parser.add_argument("--peers", type=Path, metavar="PYTHON", help="Python of an environment with other parsers")
    options = parser.parse_args()
    options.names = [*benchmarks(options), MISSION]
    options.only = options.only.split(",") if options.only else options.names
    for name in options.only:
        if name not in options.names:
            parser.error(f"there is no benchmark {name!r}; there are {', '.join(options.names)}")
    options.days = (1 if options.small else 31) if options.days is None else options.days
    options.sources = (20 if options.small else 10_000) if options.sources is None else options.sources
    options.peers = options.peers or Path("build/peers/bin/python")
    return options


def main() -> None:
    """Run the benchmarks."""
    options = told()
    flying = MISSION in options.only and options.days > 0
    rows: list[Row | Figure] = []
    missions: list[mission.Mission] = []

    def show(row: Row | Figure) -> None:
        print(row.line(), flush=True)
        rows.append(row)

    with tempfile.TemporaryDirectory(prefix="dayfile-bench-") as directory:
        asked = Round(Path(directory), options.runs, options.small)
        if flying:
            mission.refuse_without_room(asked.directory, options.days)
        print(f"{machine()}\n{HEADER}", flush=True)
        for name, benchmark in benchmarks(options).items():
            if name in options.only:
                for row in rows_of(benchmark, asked):
                    show(row)
                shutil.rmtree(asked.directory / name, ignore_errors=True)
        if flying:
            missions = list(mission.missions(asked.directory, options.days))
            for figure in scale.memory_of_a_mission(missions):
                show(figure)
            print("\n".join(["", mission.HEADER, *(done.line() for done in missions)]))
    if options.json:
        figures = {
            "machine": machine(),
            "rows": [row.as_json() for row in rows],
            "mission": [done.as_json() for done in missions],
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
