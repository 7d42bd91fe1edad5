"""``dayfile selftest``: put a load on a scratch archive, kill and restart it many times, then count the records.

The result shows whether every accepted record is in a published day file exactly once.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tables
from pydantic import BaseModel

from dayfile.api import open_archive
from dayfile.archive.checking import check_archive
from dayfile.archive.directories import list_files
from dayfile.archive.quarantine import Quarantine
from dayfile.archive.root import Root
from dayfile.engine.executors import run_serial
from dayfile.engine.processes import run_processes
from dayfile.engine.watch import run_watch
from dayfile.formats.struct_dtypes import to_structs
from dayfile.hookspecs import hookimpl
from dayfile.instrument import Instrument
from dayfile.model.batch import Batch, Blobs, Rejected, Remark, Source
from dayfile.plugins import Plugins
from dayfile.renamed import keep_old_names
from dayfile.settings import CoreSettings, Settings
from dayfile.testing.faults import STEP_KINDS, Fault, inject

__all__ = ["Outcome", "Probe", "count_records", "make_load", "run_load", "selftest"]

__getattr__ = keep_old_names(__name__, {"load": "make_load", "work": "run_load"})
LAYOUT = """
instrument: probe
title: Invented records, one type for each store
clock: {epoch: 2020-01-01T00:00:00, unit: s, leap_seconds: ignored}
structs: {byte_order: big, alignment: natural}
sources: [struct_streams]
path: "probe/{year}/{month:02}/{suffix}.{year}.{month:02}.{day:02}.h5"
blobs: {node: /blobs, title: texts}
types:
  notes:
    code: Note
    title: Records with a text
    store: append
    time: second
    fields:
      - {name: number, type: uint32, counter: true}
      - {name: second, type: uint32, unit: s}
      - {name: id, type: uint64}
      - {name: text, type: int32, blob: latin-1, default: -1}
  rates:
    code: Rate
    title: Records with a slot
    store: slots
    period: 16
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: id, type: uint64}
  runs:
    code: Run
    title: Records with a start and an end
    store: intervals
    time: first
    end: last
    fields:
      - {name: first, type: uint32, unit: s}
      - {name: last, type: uint32, unit: s}
      - {name: id, type: uint64}
"""
# Largest number of steps of each kind in a round; shares of rounds that are killed at a named step, and that watch.
MOST_KILLS = {"write": 30, "fsync": 40, "rename": 15, "copy": 6, "open": 20, "unlink": 4}
NAMED, WATCHING = 0.6, 0.3
# Shortly before midnight at the end of 2020-05-10, so that some sources have records of two days.
EVENING = int((np.datetime64("2020-05-10T23:50:00") - np.datetime64("2020-01-01T00:00:00")) / np.timedelta64(1, "s"))


class Probe(Instrument):
    """An instrument with a type for each store; sources of its append type are lines of JSON, with texts as blobs."""

    def __init__(self) -> None:
        super().__init__(LAYOUT, "probe.yaml")

    @hookimpl
    def decode(self, source: Source, settings: BaseModel | None = None) -> Iterable[Batch | Rejected | Remark] | None:
        """Decode notes from ``*.notes``, the other types from struct streams."""
        if not source.name.endswith(".notes"):
            return super().decode(source, settings)
        notes = [json.loads(line) for line in source.content.splitlines()]
        data_type = self.layout.by_code()["Note"]
        records = np.zeros(len(notes), data_type.dtype)
        records["second"] = [note["second"] for note in notes]
        records["id"] = [note["id"] for note in notes]
        records["text"] = numbers = np.arange(len(notes))
        blobs = Blobs([note["text"].encode("latin-1") for note in notes], numbers)
        return [Batch("probe", "Note", records, numbers, blobs=blobs)]


@dataclass
class Outcome:
    """The result of a selftest.

    Attributes
    ----------
    kills : Counter of str
        How often the process was killed, by the kind of step, or ``random moment``.
    accepted : int
        Number of records in sources that were put into ``incoming/``.
    missing, doubled : int
        Number of records that are not in the archive, or more than once.
    problems : list of str
        Findings of ``check --deep``, and entries of the quarantine.
    seconds : float
        Duration.
    """

    kills: Counter[str] = field(default_factory=Counter)
    accepted: int = 0
    missing: int = 0
    doubled: int = 0
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def good(self) -> bool:
        """Whether every record is there exactly once."""
        return not (self.missing or self.doubled or self.problems)

    def format_lines(self) -> Iterator[str]:
        """Format the outcome as a table."""
        yield f"{'killed at':<20}{'times':>8}"
        for kind, times in sorted(self.kills.items()):
            yield f"{kind:<20}{times:>8}"
        yield f"{'records accepted':<20}{self.accepted:>8}"
        yield f"{'exactly once':<20}{self.accepted - self.missing - self.doubled:>8}"
        yield f"{'missing':<20}{self.missing:>8}"
        yield f"{'more than once':<20}{self.doubled:>8}"
        yield f"{'other problems':<20}{len(self.problems):>8}"
        yield from self.problems
        yield f"{self.seconds:.1f} s"


def make_load(directory: Path, number: int) -> list[str]:
    """Put the sources of one round into ``incoming/``, by rename; return the identities of their records.

    Each round has notes, rates and runs: the first two rounds before midnight, two on both sides of it, and all later
    ones after it. Every second round has the times of the round before with other identities, so that they contend for
    slots.
    """
    probe = Probe()
    second = EVENING + 16 * 20 * (number % 4 // 2) + 16 * 40 * (number // 4 % 40)
    ids = np.uint64(number * 1000) + np.arange(20, dtype=np.uint64)
    seconds = (second + 16 * np.arange(20)).astype(np.uint32)
    sources: dict[str, bytes] = {}
    notes = [{"second": int(s), "id": int(i), "text": f"note {i}"} for s, i in zip(seconds, ids, strict=True)]
    sources[f"{number}.notes"] = "\n".join(json.dumps(note) for note in notes).encode()
    for code, columns in {
        "Rate": {"second": seconds, "id": ids + np.uint64(100)},
        "Run": {"first": seconds, "last": seconds + 8, "id": ids + np.uint64(200)},
    }.items():
        data_type = probe.layout.by_code()[code]
        records = np.zeros(20, data_type.dtype)
        for name, values in columns.items():
            records[name] = values
        sources[f"{code}.be.bin"] = to_structs(records, probe.struct(data_type)).tobytes()
    for name, content in sources.items():
        making = directory / f".{number}-{name}"
        making.write_bytes(content)
        target = directory / "incoming" / str(number) / name
        target.parent.mkdir(exist_ok=True, parents=True)
        making.rename(target)
    return [str(i) for i in (*ids, *(ids + np.uint64(100)), *(ids + np.uint64(200)))]


def make_settings(*, settle: float = 0.0) -> Settings:
    """Make the settings of a selftest, in which nothing waits."""
    core = CoreSettings(publish_after=0.02, publish_growth=0.5, watch_rescan=0.02, watch_settle=settle)
    return Settings(core, {"probe": make_plugins().settings_models["probe"]()})


def make_plugins() -> Plugins:
    """Make the plugins of a selftest."""
    found = Plugins.make_empty()
    found.add("probe", Probe())
    return found


def run_load(directory: Path, *, watch: bool = False, fault: str | None = None, workers: int | None = None) -> None:
    """Run once on the scratch archive, in a process that will be killed; as a watch, or with workers, if so asked."""
    run = run_watch if watch else run_serial if workers is None else partial(run_processes, workers=workers)
    with inject(Fault.parse(fault)) if fault else nullcontext():
        run(Root(directory), make_plugins(), make_settings())


def count_records(directory: Path) -> Counter[str]:
    """Count how often each record is in the published day files, by identity; notes only with their own text."""
    archive = open_archive(directory)
    found: Counter[str] = Counter()
    for name in archive.types():
        if name != "probe.notes":
            found.update(str(i) for i in archive.read(name)["id"])
    for path in archive.root.list_day_files():
        if "notes" not in Path(path).name:
            continue
        with tables.open_file(directory / path) as file:
            rows: Any = file.root.notes.read()
            for i, text in zip(rows["id"], rows["text"], strict=True):
                found.update([str(i)] if file.root.blobs[text] == f"note {i}".encode() else [])
    return found


def selftest(directory: Path, kills: int, seed: int = 1) -> Outcome:
    """Load, kill, restart; then finish and count.

    Parameters
    ----------
    directory : Path
        Scratch directory; emptied first.
    kills : int
        Number of kills.
    seed : int
        Seed for the choice of steps and moments.

    Returns
    -------
    Outcome
        The result.
    """
    started = time.monotonic()
    shutil.rmtree(directory, ignore_errors=True)
    Root(directory).create()
    chance = random.Random(seed)  # noqa: S311 - not a secret
    outcome = Outcome()
    expected: list[str] = []
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dayfile.testing.selftest"])
    number = 0
    while outcome.kills.total() < kills:
        expected += make_load(directory, number)
        number += 1
        kind = chance.choice(STEP_KINDS)
        fault = f"{kind}:{chance.randint(1, MOST_KILLS[kind])}:kill" if chance.random() < NAMED else None
        watch = chance.random() < WATCHING
        # Of the rounds that are killed at a random moment and do not watch, every second one has workers.
        workers = 2 if fault is None and not watch and number % 2 else None
        kwargs = {"watch": watch, "fault": fault, "workers": workers}
        process = context.Process(target=run_load, args=(directory,), kwargs=kwargs)
        process.start()
        process.join(chance.uniform(0.0, 0.12) if fault is None else 0.5)
        if process.is_alive():
            process.kill()
            fault = None
        process.join()
        if process.exitcode == -signal.SIGKILL:
            outcome.kills["random moment" if fault is None else kind] += 1
        elif process.exitcode != 0:
            outcome.problems.append(f"round {number} ended with exit code {process.exitcode}")
            break
    last = context.Process(target=run_load, args=(directory,))
    last.start()
    last.join()
    counted = count_records(directory)
    outcome.accepted = len(expected)
    outcome.missing = sum(counted[i] == 0 for i in expected)
    outcome.doubled = sum(counted[i] > 1 for i in expected)
    root = Root(directory)
    outcome.problems += [f"{problem.path}: {problem.message}" for problem in check_archive(root, deep=True)]
    outcome.problems += [f"{entry.name}: {entry.reason['message']}" for entry in Quarantine(root).entries()]
    outcome.problems += [f"{file.path}: left behind" for file in list_files(root.accepted, wanted=lambda _: True) or ()]
    outcome.seconds = time.monotonic() - started
    return outcome
