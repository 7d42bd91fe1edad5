"""Answer questions: read the records that are asked for, at once or in pieces."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.alone import reading_alone
from dayfile.archive.catalogue_rows import CatalogueRow
from dayfile.archive.finding import ALLOWANCE, Finder, to_utc
from dayfile.archive.gathering import READ_BYTES, Arena, Part, join_parts, read_table
from dayfile.archive.opening import REMEDY, name_trouble
from dayfile.archive.question import Choice, KeyValue, Question, parse_keys
from dayfile.archive.records import Records
from dayfile.errors import StorageError, UsageError
from dayfile.messages import list_some, plural, plural_of
from dayfile.model.datatype import DataType
from dayfile.model.forms import narrow, take_meanings
from dayfile.model.validity import ALWAYS, NEVER

__all__ = [
    "READ_BYTES",
    "WINDOW_BYTES",
    "DayReader",
    "answer",
    "answer_in_pieces",
    "find_bounds",
    "read_files",
    "read_window",
]

WINDOW_BYTES = 64 * 2**20
"""Bytes of records, about, that :meth:`Reader.iter` reads at once to put them in order, if its pieces are smaller."""
FEW = 64
"""Records of which times are compared at once."""


def answer(finder: Finder, question: Question, read_bytes: int) -> Records:
    """Read the records that a question asks for, reading tables in blocks of ``read_bytes``."""
    return read_files(finder, question, finder.list_files(question), read_bytes)


def read_files(
    finder: Finder,
    question: Question,
    files: list[tuple[CatalogueRow, bool]],
    read_bytes: int,
    *,
    all_fields: bool = False,
) -> Records:
    """Read the records that a question asks for from these day files.

    With each comes whether all of its records are in the time asked for. With ``all_fields``, the answer has the fields
    of the newest form even if no table has them, so that several answers can be joined.
    """
    newest = question.data_type
    names = question.stored_names
    form = newest if names is None else narrow(newest, names)
    # The number of records that are asked for is unknown; if all are read, they need the memory anyway.
    chosen = question.keys or question.where is not None
    arena = Arena(0 if chosen else sum(row.records for row, _ in files) * form.dtype.itemsize)
    reader = FileReader(finder, question, arena, read_bytes)
    with reading_alone():
        for row, all_in_time in files:
            reader.read(row, all_in_time=all_in_time)
    check_key_values(finder, question, reader.seen)
    records = join_parts(form, reader.parts, arena, all_fields=all_fields or question.physical)
    if names is not None:
        known = newest.dtype.names or ()
        records = replace(records, left_out=tuple(name for name in known if name not in names))
    if question.physical:
        records = records.to_physical()
    if question.missing == "nan":
        records = records.mark_missing()
    if question.fields is not None:
        records = records.select(question.fields)
    if not len(records) and not chosen:
        records = replace(records, nearest=finder.find_nearest(question))
    return records


class FileReader:
    """Reads the records that a question asks for from one day file after the other.

    Parameters
    ----------
    finder : Finder
        Where they are.
    question : Question
        Which are asked for.
    arena : Arena
        Where they are read to.
    read_bytes : int
        Bytes of the blocks in which tables are read.
    """

    def __init__(self, finder: Finder, question: Question, arena: Arena, read_bytes: int) -> None:
        self.finder = finder
        self.question = question
        self.arena = arena
        self.read_bytes = read_bytes
        self.parts: list[Part] = []
        self.seen: list[dict[str, KeyValue]] = []
        """The keys of the tables that were read."""
        newest = question.data_type
        self._earlier, self._meant = newest, take_meanings(newest, newest)

    def read(self, row: CatalogueRow, *, all_in_time: bool) -> None:
        """Read from one day file; ``all_in_time`` if all of its records are in the time that is asked for.

        Raises
        ------
        StorageError
            It cannot be read, or holds fewer records than the catalogue lists: an answer without them would look whole.
        """
        wants_path = self.question.wants_path
        held = self._read_tables(row, wants_path, all_in_time=all_in_time)
        if held < row.records and self.question.keys:  # paths of an older layout may look like other keys
            held += self._read_tables(row, lambda path: not wants_path(path), all_in_time=all_in_time)
        if held < row.records:
            raise StorageError(self._describe_lost(row, held), where=self.finder.directory / row.path)

    def _read_tables(self, row: CatalogueRow, wants_path: Callable[[str], bool], *, all_in_time: bool) -> int:
        """Read from the tables at some paths; the number of records in those of wanted keys."""
        path, held = self.finder.directory / row.path, 0
        for declared, table in self.finder.open_rows(row, wants_path):
            if declared is not self._earlier:  # as it is in most files
                self._earlier, self._meant = declared, take_meanings(declared, self.question.data_type)
            keys = parse_keys(self._meant, table.path) or {}
            if not self.question.wants(keys):
                continue
            self.seen.append(keys)
            with name_trouble(path):
                part = read_table(
                    *(table, self._meant, self.question, keys, path, self.arena, self.read_bytes),
                    all_in_time=all_in_time,
                )
            held += part.held
            if len(part.rows.array):
                self.parts.append(part)
        return held

    def _describe_lost(self, row: CatalogueRow, held: int) -> str:
        """Say that records are missing, and what to do."""
        there = f"holds {plural(held, 'record')} of {row.data_type}, and {row.records:,} by the catalogue"
        if self.finder.has_unknown_tables(row):
            return f"{there}; the plugin that knows its tables is not installed here"
        return f"{there}; {REMEDY}, or accept the loss with: dayfile reindex --force"


def check_key_values(finder: Finder, question: Question, seen: list[dict[str, KeyValue]]) -> None:
    """Raise a UsageError for values of keys that no record of the archive has.

    Day files outside the range are looked into only if those within it do not have all values.
    """
    missing = {
        (name, value)
        for name, values in question.keys.items()
        for value in set(values) - {str(keys.get(name)) for keys in seen}
    }
    if not missing:
        return
    known: dict[str, dict[KeyValue, None]] = {name: {} for name in question.keys}
    for keys in finder.list_keys(question.data_type):
        missing -= {(name, str(value)) for name, value in keys.items()}
        if not missing:
            return
        for name, values in known.items():
            values[keys[name]] = None
    name, value = min(missing)
    there = sorted(known[name], key=lambda each: (isinstance(each, str), each))
    raise UsageError(f"no {name} {value}; {plural_of(name)}: {list_some(map(str, there))}")


def answer_in_pieces(
    finder: Finder, question: Question, rows: int, read_bytes: int, window_bytes: int
) -> Iterator[Records]:
    """Yield the records of a question in pieces of ``rows`` records; the last may have fewer."""
    form = question.data_type if question.stored_names is None else narrow(question.data_type, question.stored_names)
    most = max(rows, window_bytes // max(1, form.dtype.itemsize))
    waiting: list[Records] = []
    for records in filter(len, read_in_order(finder, question, most, read_bytes)):
        start = rows - sum(map(len, waiting)) if waiting else 0
        if start > len(records):
            waiting.append(records)
            continue
        if waiting:
            yield Records.concatenate([*waiting, records[:start]])
        stop = len(records) - (len(records) - start) % rows
        yield from (records[first : first + rows] for first in range(start, stop, rows))
        waiting = [records[stop:]] if stop < len(records) else []
        del records  # the next are read without them
    if waiting:
        yield Records.concatenate(waiting)


def read_in_order(finder: Finder, question: Question, most: int, read_bytes: int) -> Iterator[Records]:
    """Yield the records of a question in time order, about ``most`` at once; a day file with fewer is read once.

    Whole times of a day file may reach into those of the next: what may come after one of these waits for it.
    """
    held: Records | None = None
    for files, window, safe in plan_reading(finder, question, most):
        part = question if window is None else replace(question, choice=choose_within(question, *window))
        records = read_files(finder, part, files, read_bytes, all_fields=True)
        if held is not None and len(held):
            last = find_begin(held, -1)
            if not len(records):
                records = held
            elif last < safe and last <= find_begin(records, 0):
                yield held
            else:
                records = merge_records(held, records)
        count = count_before(records, safe)
        held, records = records[count:], records[:count]
        yield records
        del records  # while it is taken on, it is there only once
    if held is not None:
        yield held


Step = tuple[list[tuple[CatalogueRow, bool]], tuple[int, int] | None, int]
"""Day files to read, the part of their time if they are large, and before what time no later step has a record."""


def plan_reading(finder: Finder, question: Question, most: int) -> Iterator[Step]:
    """Yield what to read one after the other: the day files of a day, or parts of them."""
    clock = question.data_type.clock
    days: dict[str, list[tuple[CatalogueRow, bool]]] = {}
    for row, all_in_time in finder.list_files(question):
        days.setdefault(row.day, []).append((row, all_in_time))
    ordered = sorted(days)
    later = NEVER
    ends: list[int] = []
    for day in reversed(ordered):
        ends.append(later)
        firsts = [row.first for row, _ in days[day] if row.first is not None]
        later = min([later, *(clock.read(first - ALLOWANCE) for first in firsts)])
    for day, end in zip(ordered, reversed(ends), strict=True):
        files = days[day]
        bounds = find_bounds(question, [row for row, _ in files], most)
        for start, stop in pairwise(bounds):
            whole = (start, stop) == (ALWAYS, NEVER)
            chosen = [(row, all_in_time and whole) for row, all_in_time in files]
            yield chosen, None if whole else (start, stop), min(stop, end)


def choose_within(question: Question, start: int, stop: int) -> Choice:
    """Return what chooses the records of a question that begin from a start on and before a stop."""

    def choose(rows: npt.NDArray[Any], form: DataType) -> npt.NDArray[np.bool_]:
        begins = form.find_begins(rows)
        return question.choice(rows, form) & (begins >= start) & (begins < stop)

    return choose


def find_begin(records: Records, row: int) -> int:
    """Return the whole time of one record, in nanoseconds of its clock."""
    return int(records[[row]].nanoseconds[0])


def count_before(records: Records, moment: int) -> int:
    """Count the records, in order, that begin before a time: mostly all but a few."""
    last = records[-FEW:].nanoseconds
    others = len(records) - len(last)
    if others and last[0] >= moment:
        return bisect_left(range(others), moment, key=partial(find_begin, records))
    return others + int(np.searchsorted(last, moment))


def merge_records(earlier: Records, later: Records) -> Records:
    """Merge records that overlap in time; of the same time, the earlier ones come first."""
    both = Records.concatenate([earlier, later])
    return both[np.argsort(both.nanoseconds, kind="stable")]


def find_bounds(question: Question, files: list[CatalogueRow], most: int) -> list[int]:
    """Find times between which there are, about, at most ``most`` records: days, or parts of one."""
    counts: dict[str, int] = {}
    for row in files:
        counts[row.day] = counts.get(row.day, 0) + row.records
    bounds = []
    for day, count in sorted(counts.items()):
        start, stop = (question.data_type.clock.find_day_start(np.datetime64(day, "D") + each) for each in (0, 1))
        parts = -(-count // most) or 1
        bounds += [start + (stop - start) * part // parts for part in range(parts)]
    return [ALWAYS, *bounds[1:], NEVER]


def read_window(
    finder: Finder, question: Question, files: list[CatalogueRow], window: tuple[int, int], read_bytes: int
) -> Records:
    """Read the records of a question that begin from a start on and before a stop."""
    start, stop = window
    clock = question.data_type.clock
    begin, end = to_utc(clock, start) - ALLOWANCE, to_utc(clock, stop) + ALLOWANCE
    near = [row for row in files if row.first is not None and row.first <= end]
    near = [row for row in near if row.last is not None and row.last >= begin]
    part = replace(question, choice=choose_within(question, start, stop))
    return read_files(finder, part, [(row, False) for row in near], read_bytes, all_fields=True)


class DayReader:
    """Reads the records of a question day by day; together they are all of them. It can be pickled.

    Parameters
    ----------
    finder : Finder
        Where the records are.
    question : Question
        Which records are asked for.
    read_bytes : int
        Bytes of the blocks in which tables are read.
    """

    def __init__(self, finder: Finder, question: Question, read_bytes: int) -> None:
        self.finder = finder
        self.question = question
        self.read_bytes = read_bytes
        self.files = [row for row, _ in finder.list_files(question)]
        self.bounds = find_bounds(question, self.files, NEVER)

    @property
    def divisions(self) -> list[np.datetime64]:
        """Return a time before all records, the starts of the days between, and a time after all records."""
        clock = self.question.data_type.clock
        firsts = [row.first for row in self.files if row.first is not None] or [to_utc(clock, self.question.first)]
        lasts = [row.last for row in self.files if row.last is not None] or [firsts[0]]
        midnights = clock.to_utc(np.array(self.bounds[1:-1], np.int64))
        return [min(firsts) - ALLOWANCE, *midnights, max(lasts) + ALLOWANCE]

    def read(self, number: int) -> Records:
        """Read the records of one day."""
        window = self.bounds[number], self.bounds[number + 1]
        return read_window(self.finder, self.question, self.files, window, self.read_bytes)
