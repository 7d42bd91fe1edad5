"""A day of CRIS and SIS with a record in every slot: ours, puts of struct after struct, and a copy of the bytes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.archiving import Runner, by_runner, ours
from benchmarks.measuring import Round, Row, Side, absent, measured
from benchmarks.mission import FIRST_DAY, PERIODIC, full_day

__all__ = ["put_a_day"]

SOURCE = Path(__file__).with_name("put.c")
PEER = "C, struct by struct"
NO_COMPILER = absent(f"{PEER} (no C compiler)")
PEER_AIM, FLOOR_AIM = 20, 0.3
BLOCK = 2**20


def put_a_day(asked: Round, runners: Mapping[str, Runner]) -> list[Row]:
    """All periodic structs of a day from struct streams."""
    directory = asked.place("put-day")
    files, total = [], 0
    for instrument, kind in PERIODIC[: asked.size(len(PERIODIC), 2)]:
        structs = full_day(instrument, kind, FIRST_DAY)
        files.append(directory / f"{kind.code}.be.bin")
        structs.tofile(files[-1])
        total += len(structs)
    program = compiled(directory)
    sides = [ours(runner, ["cris", "sis"], files, directory, total) for runner in runners.values()]
    sides.append(Side("one sequential read and write, fsync", total, lambda: seconds_to_copy(files, directory)))
    if program:
        sides.append(Side(PEER, total, lambda: seconds_to_put(program, files, directory, total)))
    *own, floor, peer = measured(asked.runs, *sides) if program else (*measured(asked.runs, *sides), NO_COMPILER)
    work = f"a day of CRIS and SIS, {sum(file.stat().st_size for file in files) / 1e6:.0f} MB of structs"
    row = Row("put-day", work, "structs/s", own[0], peer, PEER_AIM, floor, FLOOR_AIM)
    return by_runner(row, runners, own)


def compiled(directory: Path) -> Path | None:
    """The peer's program; None without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    program = directory / "put"
    subprocess.run([compiler, "-O2", "-Wall", "-o", program, SOURCE], check=True)
    return program


def seconds_to_put(program: Path, files: Sequence[Path], directory: Path, total: int) -> float:
    """Seconds of the peer; SystemExit if a struct met another one in its slot."""
    place = Path(tempfile.mkdtemp(dir=directory))
    lines = []
    for file, (instrument, kind) in zip(files, PERIODIC, strict=False):
        struct = instrument.struct(kind, "big")
        offset = dict(struct.fields or {})[kind.time][1]
        lines.append(f"{file} {place / kind.code} {struct.itemsize} {kind.period} {offset}\n")
    day_start = PERIODIC[0][1].clock.day_start(FIRST_DAY)
    start = time.perf_counter()
    done = subprocess.run([program, str(day_start)], input="".join(lines), capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    if done.stdout.split() != [str(total), "0", "0", "0"]:
        raise SystemExit(f"{PEER}: of {total} structs so many had status 0, 1, 2, 3: {done.stdout}")
    shutil.rmtree(place)
    return seconds


def seconds_to_copy(files: Sequence[Path], directory: Path) -> float:
    """Seconds to read files and write one of the same bytes, on disk."""
    path = directory / "copy"
    start = time.perf_counter()
    with path.open("wb") as out:
        for file in files:
            with file.open("rb") as stream:
                shutil.copyfileobj(stream, out, BLOCK)
        out.flush()
        os.fsync(out.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return seconds
