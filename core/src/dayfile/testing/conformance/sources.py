"""Rules about decoding good sources: they are recognised, whole, and the same in any way in which they are given."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

from dayfile.engine.reading import LargeSource, State
from dayfile.messages import list_some, plural
from dayfile.model.batch import Source
from dayfile.plugins import Failure
from dayfile.testing.conformance.rows import compute_fingerprint
from dayfile.testing.conformance.subject import Response, Subject

__all__ = [
    "find_block_problems",
    "find_claimed_foreign_sources",
    "find_repetition_problems",
    "find_unaccounted_records",
    "find_unrecognised_samples",
    "open_in_blocks",
]

MOST_BLOCKS = 150
MOST_IN_BLOCKS = 8
FOREIGN = {
    "picture.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "page.html": b"<!doctype html><title>Not found</title>\n",
    "letter.txt": b"Dear all,\nthe detector is off on Monday.\n",
    "table.csv": b"name;town\nAda;London\nGrace;New York\n",
    "points.json": b'{"points": [[1, 2], [3, 4]]}\n',
    "program": b"\x7fELF\x02\x01\x01" + bytes(200),
    "archive.zip": b"PK\x03\x04" + bytes(100),
    "day.h5": b"\x89HDF\r\n\x1a\n" + bytes(2000),
    "noise.dat": Random(1).randbytes(5000),  # noqa: S311 - not a secret
    "zeros.dat": bytes(4096),
    "one byte": b"x",
    "notes.pdf": b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n",
}
"""Files that are of no instrument, by name."""


def find_unrecognised_samples(subject: Subject) -> Iterator[str]:
    """Each sample is recognised and decoded without trouble, and together they have records of all types."""
    seen: set[str] = set()
    for sample, answer in zip(subject.samples, subject.answers, strict=True):
        if not answer.claimed:
            yield f"{sample.name}: decode returned None"
        elif answer.failure:
            yield f"{sample.name}: {answer.failure.message}"
        elif answer.rejected:
            yield f"{sample.name}: rejected: {answer.rejected[0].reason}; samples have to be good"
        seen.update(subject.classify(batch).name for batch in answer.batches)
    missing = [name for name in subject.data_types or subject.own_types if name not in seen]
    if missing:
        yield (
            f"no sample has records of {list_some(missing)}: add samples, or name the types that they have in "
            f"data_types of the test"
        )


def find_claimed_foreign_sources(subject: Subject) -> Iterator[str]:
    """The plugin returns None for files that are not its own."""
    for name, content in FOREIGN.items():
        source = Source(subject.directory / name, name, content)
        answer = subject.decode(source)
        if answer.trouble:
            yield f"{name}, a file of no instrument: {answer.trouble}"
        elif answer.claimed:
            yield f"{name}, a file of no instrument, was claimed; decode must return None for it"


def find_unaccounted_records(subject: Subject) -> Iterator[str]:
    """Each record of a sample is archived or rejected, once: numbered 0, 1, 2 and so on, or as many as are known."""
    for sample, answer in zip(subject.samples, subject.answers, strict=True):
        by_code: dict[str, list[int]] = {}
        for batch in answer.batches:
            numbers = batch.numbers.tolist()
            if numbers != sorted(numbers):
                yield f"{sample.name}: the numbers of a batch of {batch.code} do not ascend"
            by_code.setdefault(batch.code, []).extend(numbers)
        for item in answer.rejected:
            both = set(by_code.get(item.code, ())) & set(item.numbers)
            if both:
                yield f"{sample.name}: record {min(both)} of {item.code} is in a batch and rejected"
            by_code.setdefault(item.code, []).extend(item.numbers)
        wanted, found = subject.counts.get(sample.name), answer.count_records()
        if wanted is not None and wanted != found:
            yield f"{sample.name} has {plural(wanted, 'record')}, and {found:,} are archived or rejected"
        elif wanted is None and not is_complete(by_code):
            yield from (
                f"{sample.name}: {plural(len(gaps), 'record')} of {code} neither archived nor rejected: "
                f"{list_some(map(str, gaps), most=5)}"
                for code, numbers in by_code.items()
                if (gaps := find_missing_numbers(set(numbers)))
            )


def is_complete(by_code: dict[str, list[int]]) -> bool:
    """Return whether numbers have no gap: those of all codes together, or those of each."""
    return not find_missing_numbers({number for numbers in by_code.values() for number in numbers})


def find_missing_numbers(numbers: set[int]) -> list[int]:
    """Find the numbers that are missing below the greatest one."""
    return [] if not numbers or len(numbers) == max(numbers) + 1 else sorted(set(range(max(numbers))) - numbers)


def find_repetition_problems(subject: Subject) -> Iterator[str]:
    """A source gives the same items again, whatever else was decoded, in another directory and time zone."""
    first = [list(map(compute_fingerprint, answer.items)) for answer in subject.answers]
    with elsewhere(subject.directory):
        for sample, found in reversed(list(zip(subject.samples, first, strict=True))):
            again = subject.decode(sample)
            if list(map(compute_fingerprint, again.items)) != found:
                yield f"{sample.name}: decoded again, after others and in another directory and time zone, it differs"
    for sample, answer, found in zip(subject.samples, subject.answers, first, strict=True):
        if list(map(compute_fingerprint, answer.items)) != found:
            yield f"{sample.name}: its records changed when other sources were decoded: do not use an array again"


@contextmanager
def elsewhere(directory: Path) -> Iterator[None]:
    """Work in another directory, and in a time zone that is far from UTC."""
    here, zone = Path.cwd(), os.environ.get("TZ")
    os.chdir(directory)
    os.environ["TZ"] = "Pacific/Kiritimati"
    time.tzset()
    try:
        yield
    finally:
        os.chdir(here)
        del os.environ["TZ"]
        if zone is not None:
            os.environ["TZ"] = zone
        time.tzset()


def find_block_problems(subject: Subject) -> Iterator[str]:
    """A source that is read in blocks, of whatever size, gives the records that it gives as a whole."""
    for sample in subject.choose(MOST_IN_BLOCKS):
        cut = replace(sample, content=sample.content[: sample.size * 2 // 3])
        for source in (sample, cut):
            whole = subject.summarise(subject.decode(source))
            sizes = {max(1, source.size // MOST_BLOCKS), source.size // 7 + 1, 4099, source.size - 1 or 1}
            for size in sorted(sizes):
                in_blocks = open_in_blocks(source, size, subject.directory / "in-blocks")
                answer, changed = decode_watching(subject, in_blocks)
                found = subject.summarise(answer)
                if changed:
                    yield f"{sample.name}: a batch changed when the next block was decoded: do not use an array again"
                elif found != whole:
                    differ = [key for key in sorted(found.keys() | whole.keys()) if found.get(key) != whole.get(key)]
                    what = "" if source is sample else ", of which the end was cut off,"
                    yield f"{sample.name}{what} in blocks of {plural(size, 'byte')}: other {list_some(differ, most=3)}"


def decode_watching(subject: Subject, source: Source) -> tuple[Response, bool]:
    """Decode a source; return the answer, and whether a batch was changed after it had been returned."""
    answer = subject.decode(source)
    before: list[str] = []
    for name, given in subject.plugins.decode(source, subject.settings, in_blocks=True):
        if name == subject.name and not isinstance(given, Failure) and answer.failure is None:
            before = list(map(compute_fingerprint, given))
    after = list(map(compute_fingerprint, answer.items))
    return answer, bool(before) and before != after


def open_in_blocks(source: Source, block_bytes: int, directory: Path) -> LargeSource:
    """Write a source to a file, and open it as a large one that is read in blocks."""
    directory.mkdir(exist_ok=True)
    path = directory / Path(source.name).name
    path.write_bytes(source.content)
    return LargeSource(path, source.arrived, State.of(path.stat()), source.sha256, block_bytes)
