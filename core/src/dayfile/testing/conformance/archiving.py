"""Rules about archiving: records come back as they were decoded, from the day files of their days, in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.api import Archive
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.checking import check_archive
from dayfile.archive.records import Records
from dayfile.messages import plural
from dayfile.model.batch import Source
from dayfile.model.datatype import DataType
from dayfile.model.status import Status
from dayfile.model.times import Count
from dayfile.testing.conformance.rows import Row
from dayfile.testing.conformance.subject import Archived, InapplicableError, Subject

__all__ = [
    "find_encoding_problems",
    "find_midnight_problems",
    "find_order_problems",
    "find_put_problems",
    "find_reading_problems",
]


def find_reading_problems(subject: Subject) -> Iterator[str]:
    """Records that are read from an archive are those that were decoded, and the report adds up."""
    archived = subject.archived
    yield from archived.list_troubles()
    yield from (f"{defect.path}: {defect.message}" for defect in check_archive(archived.archive.root, deep=True))
    decoded: dict[str, Counter[Row]] = {}
    for answer in subject.answers:
        for batch in answer.batches:
            decoded.setdefault(subject.classify(batch).name, Counter()).update(subject.list_rows(batch))
    for name, rows in decoded.items():
        counts = archived.reports[0].records.get(name, {})
        if sum(counts.values()) != rows.total():
            yield f"{name}: {plural(rows.total(), 'record')} decoded, and the report counts {sum(counts.values()):,}"
    yield from compare_rows(decoded, archived.rows, "decoded", "read from the archive")


def find_order_problems(subject: Subject) -> Iterator[str]:
    """The same sources in another order, again and again, in several runs, give the same archive."""
    samples, half = list(subject.samples), len(subject.samples) // 2
    runs = (samples[half:][::-1], samples[::-1] + samples[:1], samples)
    again = subject.archive("any-order", *runs)
    yield from again.list_troubles()
    yield from compare_rows(subject.archived.rows, again.rows, "in one order", "in another order, again and again")
    if subject.archived.day_files != again.day_files:
        other = sorted(set(subject.archived.day_files) ^ set(again.day_files))
        yield f"in another order there are other day files: {', '.join(other)}"


def find_put_problems(subject: Subject) -> Iterator[str]:
    """Records that were read can be put into another archive, and are the same there."""
    other = subject.create_archive("put")
    with other.putting() as put:
        for name in subject.archived.archive.types():
            refused = 0
            for records in split_records(subject.archived.archive.read(name)):
                refused += int((put(name, records) == Status.REJECTED).sum())
            if refused:
                yield f"{name}: {plural(refused, 'record')} that can be read have no time when they are put"
    yield from compare_rows(
        subject.archived.rows, Archived(other, []).rows, "read", "put into another archive and read"
    )


def split_records(records: Records) -> Iterator[Records]:
    """Split records into those of each key, as they are put."""
    if not records.keys:
        yield records
        return
    keys = list(zip(*(values.tolist() for values in records.keys.values()), strict=True))
    for each in dict.fromkeys(keys):
        yield records[np.array([key == each for key in keys])]


def compare_rows(
    first: dict[str, Counter[Row]], second: dict[str, Counter[Row]], before: str, after: str
) -> Iterator[str]:
    """Compare records by data type; the same record several times is one."""
    for name in sorted(first.keys() | second.keys()):
        lost = set(first.get(name, ())) - set(second.get(name, ()))
        new = set(second.get(name, ())) - set(first.get(name, ()))
        if lost or new:
            total = plural(len(set(first.get(name, ()))), "record")
            yield f"{name}: of {total} {before}, {len(lost):,} are not those {after}, where {len(new):,} are different"


def find_midnight_problems(subject: Subject) -> Iterator[str]:
    """Records around midnight are in the day files of their days, and so are all of the samples."""
    archive = subject.archived.archive
    made = subject.create_archive("midnight")
    expected: Counter[tuple[str, str]] = Counter()
    with made.putting() as put:
        for name in archive.types():
            records = archive.read(name)[:2]
            moved = move_to_midnight(records.array, records.data_type)
            if moved is None or len(records) < 2:
                continue
            keys = {key: values[0] for key, values in records.keys.items()}
            blobs = {each: records.all_blobs(each) for each in records.data_type.blob_fields}
            statuses = put(name, moved, blobs=blobs or None, **keys)
            data_type = subject.plugins.data_types[name]
            for day in data_type.clock.days(data_type.count(moved))[statuses != Status.REJECTED]:
                expected[name, subject.plugins.locate_file(data_type, day)] += 1
    yield from compare_places(expected, made, "put at midnight")
    natural: Counter[tuple[str, str]] = Counter()
    for name in archive.types():
        records = archive.read(name)
        data_type = subject.plugins.data_types.get(name, records.data_type)
        days, counts = np.unique(data_type.clock.days(data_type.count(records.array)), return_counts=True)
        for day, count in zip(days, counts.tolist(), strict=True):
            natural[name, subject.plugins.locate_file(data_type, day)] += count
    yield from compare_places(natural, archive, "of the samples")


def compare_places(expected: Counter[tuple[str, str]], archive: Archive, what: str) -> Iterator[str]:
    """Compare the day files in which records should be with those that the catalogue lists."""
    found = {(row.data_type, row.path): row.records for row in Catalogue(archive.root.catalogue).rows()}
    for name, path in sorted(expected.keys() | found.keys()):
        wanted, there = expected[name, path], found.get((name, path), 0)
        if wanted != there:
            yield f"{name}: {path} should have {plural(wanted, 'record')} {what}, and has {there:,}"


def move_to_midnight(records: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any] | None:
    """Move two records to the last tick of a day and the first of the next; None if their time is not a count."""
    stamp, clock = data_type.timing.time, data_type.clock
    if not isinstance(stamp, Count) or len(records) < 2:
        return None
    moved = records.copy()
    midnight = clock.day_start(clock.days(data_type.count(records[:1]))[0] + 1)
    ticks = np.array([midnight - 1, midnight])
    for each in data_type.timing.stamps:
        if isinstance(each, Count):
            moved[each.field] = ticks
            if each.fraction:
                moved[each.fraction] = 0
            if each.whole:
                moved[each.whole] = clock.to_nanoseconds(ticks) - clock.origin
    return moved


def find_encoding_problems(subject: Subject) -> Iterator[str]:
    """A source that ``encode`` makes of records decodes to the same records, and these make the same source."""
    encoded = 0
    for sample, answer in zip(subject.samples, subject.answers, strict=True):
        for batch in answer.batches:
            data_type = subject.classify(batch)
            if data_type.placement.node.keys or data_type.blob_fields:
                continue
            form = next(form for form in data_type.forms if form.dtype == batch.records.dtype)
            made = subject.plugins.encode_own(form, batch.records)
            if made is None:
                continue
            encoded += 1
            yield from compare_encoded(subject, f"{sample.name}, {data_type.name}", form, batch.records, made)
    if not encoded:
        raise InapplicableError("the plugin encodes none of its types")


def compare_encoded(
    subject: Subject, what: str, form: DataType, records: npt.NDArray[Any], made: tuple[str, bytes]
) -> Iterator[str]:
    """Compare records with what a source that was made of them decodes to."""
    answer = subject.decode(Source(subject.directory / made[0], *made))
    if not answer.claimed:
        yield f"{what}: encoded as {made[0]!r}, which decode does not recognise"
        return
    if answer.failure or answer.rejected:
        reason = answer.failure.message if answer.failure else answer.rejected[0].reason
        yield f"{what}: encoded as {made[0]!r}, which does not decode: {reason}"
        return
    found = [batch.records for batch in answer.batches if batch.records.dtype == records.dtype]
    back = np.concatenate(found) if found else records[:0]
    if back.tobytes() != records.tobytes():
        yield f"{what}: encoded as {made[0]!r}, which decodes to other records"
        return
    again = subject.plugins.encode_own(form, back)
    if again is None or again[0] != made[0] or again[1] != made[1]:
        yield f"{what}: the records that {made[0]!r} decodes to are encoded as other bytes"
