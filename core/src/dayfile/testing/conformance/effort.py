"""Rules about memory and time: a large source needs little memory, and sources are decoded quickly."""

from __future__ import annotations

import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dayfile.engine.reading import LargeSource, State
from dayfile.engine.tuning import Tuning
from dayfile.model.batch import Batch, Source
from dayfile.plugins import Failure
from dayfile.testing.conformance.subject import InapplicableError, Subject

__all__ = ["LEAST_SPEED", "MB", "Grow", "find_memory_problems", "find_speed_problems", "measure_speed"]

Grow = Callable[[Source], Iterable[bytes] | None]
"""Returns the bytes of a source like a sample, without an end, in parts at which it may end; None if it cannot grow."""
MB = 1_000_000
LEAST_SPEED = 5.0
"""MB of input that a plugin should decode a second."""
MARGIN = 2
"""How many times slower than that it may look, as other programs may be at work too."""
SPEED_TRIES = 3
LEAST_SECONDS = 0.2
"""Time for which the speed is measured at least; samples may be small."""
GROWN_BYTES = MB


def find_memory_problems(subject: Subject, grow: Grow, large_bytes: int, memory_bytes: int) -> Iterator[str]:
    """A large source is decoded in bounded memory, whatever its size."""
    grown = grow_sample(subject, grow, large_bytes)
    if grown is None:
        raise InapplicableError("no sample can grow")
    sample, path = grown
    try:
        records, trouble, used = measure_memory(subject, path, sample.arrived)
    finally:
        path.unlink()
    if trouble:
        yield f"{sample.name}, made {large_bytes / MB:,.0f} MB long: {trouble}"
    elif not records:
        yield f"{sample.name}, made {large_bytes / MB:,.0f} MB long, gives no record"
    if used > memory_bytes:
        yield (
            f"{sample.name}, made {large_bytes / MB:,.0f} MB long, took {used / MB:,.0f} MB of memory, more than "
            f"{memory_bytes / MB:,.0f}: return Blocks, and read the source with source.blocks()"
        )


def grow_sample(subject: Subject, grow: Grow, size: int) -> tuple[Source, Path] | None:
    """Write a source of at least ``size`` bytes, made of the first sample that can grow; None if none can."""
    for sample in subject.samples:
        parts = grow(sample)
        if parts is None:
            continue
        directory = subject.directory / "grown"
        directory.mkdir(exist_ok=True)
        path = directory / sample.name
        with path.open("wb") as file:
            for part in parts:
                file.write(part)
                if not part or file.tell() >= size:
                    break
        return sample, path
    return None


def measure_memory(subject: Subject, path: Path, arrived: float) -> tuple[int, str, int]:
    """Decode a source block by block in a child process.

    Returns
    -------
    (int, str, int)
        Number of records, what went wrong, and the bytes by which the process grew at most.
    """
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # about threads, of which the child uses none
        child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            before = find_peak()
            records, trouble = decode_large(subject, path, arrived)
            answer = [records, trouble, find_peak() - before]
        except BaseException as error:  # noqa: BLE001 - the child must not go on with the tests
            answer = [0, repr(error), 0]
        os.write(writer, json.dumps(answer).encode()[:60_000])
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        text = file.read()
    os.waitpid(child, 0)
    records, trouble, used = json.loads(text or '[0, "the process that decoded it was killed", 0]')
    return records, trouble, used


def find_peak() -> int:
    """Find the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def decode_large(subject: Subject, path: Path, arrived: float) -> tuple[int, str]:
    """Decode a source as a run does, and keep nothing of it; return the number of records and what went wrong."""
    source = LargeSource(path, arrived, State.of(path.stat()), "0" * 64, Tuning().block_bytes)
    records = 0
    for _, answer in subject.plugins.decode(source, subject.settings, in_blocks=True):
        if isinstance(answer, Failure):
            return records, answer.message
        for item in answer:
            records += len(item) if isinstance(item, Batch) else 0
    return records, ""


def measure_speed(subject: Subject, grow: Grow) -> float:
    """Measure how many MB of input are decoded in a second of the processor's time; the best of a few tries."""
    grown = grow_sample(subject, grow, GROWN_BYTES)
    sources = list(subject.samples) if grown is None else [Source(grown[1], grown[0].name, grown[1].read_bytes())]
    best = 0.0
    for _ in range(SPEED_TRIES):
        best = max(best, measure_once(subject, sources))
        if best >= LEAST_SPEED:
            break
    return best


def measure_once(subject: Subject, sources: list[Source]) -> float:
    """Decode sources for some time; return MB a second."""
    size, began = 0, time.process_time()
    while (seconds := time.process_time() - began) < LEAST_SECONDS:
        for source in sources:
            size += source.size
            subject.decode(source)
    return size / MB / seconds


def find_speed_problems(speed: float) -> Iterator[str]:
    """A plugin decodes at least 5 MB a second, with a margin for machines that are busy."""
    if speed < LEAST_SPEED / MARGIN:
        yield (
            f"{speed:.1f} MB a second are decoded, and should be {LEAST_SPEED:.0f}: work on whole arrays, or say in "
            f"slow_because why it cannot be quicker"
        )
