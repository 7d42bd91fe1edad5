"""Answer questions: read the records that are asked for, at once or in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.alone import reading_alone
from dayfile.archive.catalogue_rows import CatalogueRow
from dayfile.archive.finding import ALLOWANCE, Finder, to_utc
from dayfile.archive.gathering import READ_BYTES, Arena, Part, join_parts, read_table
from dayfile.archive.opening import name_trouble
from dayfile.archive.question import KeyValue, Question, parse_keys
from dayfile.archive.records import Records
from dayfile.errors import UsageError
from dayfile.messages import list_some, plural_of
from dayfile.model.datatype import DataType
from dayfile.model.forms import narrow, take_meanings
from dayfile.model.validity import ALWAYS, NEVER

__all__ = ["READ_BYTES", "WINDOW_BYTES", "DayReader", "answer", "answer_in_pieces", "find_bounds", "read_window"]

WINDOW_BYTES = 64 * 2**20
"""Bytes of records, about, that :meth:`Reader.iter` reads at once to put them in order, if its pieces are smaller."""


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
    parts: list[Part] = []
    # The number of records that are asked for is unknown; if all are read, they need the memory anyway.
    chosen = question.keys or question.where is not None
    arena = Arena(0 if chosen else sum(row.records for row, _ in files) * form.dtype.itemsize)
    seen: list[dict[str, KeyValue]] = []
    earlier, data_type = newest, take_meanings(newest, newest)
    with reading_alone():
        for row, all_in_time in files:
            path = finder.directory / row.path
            for declared, table in finder.open_tables(row, question.wants_path):
                if declared is not earlier:  # as it is in most files
                    earlier, data_type = declared, take_meanings(declared, newest)
                keys = parse_keys(data_type, table.path) or {}
                if not question.wants(keys):
                    continue
                seen.append(keys)
                with name_trouble(path):
                    part = read_table(
                        table, data_type, question, keys, path, arena, read_bytes, all_in_time=all_in_time
                    )
                if len(part.rows.array):
                    parts.append(part)
    check_key_values(finder, question, seen)
    records = join_parts(form, parts, arena, all_fields=all_fields or question.physical)
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
    files = [row for row, _ in finder.list_files(question)]
    form = question.data_type if question.stored_names is None else narrow(question.data_type, question.stored_names)
    most = max(rows, window_bytes // max(1, form.dtype.itemsize))
    waiting: list[Records] = []
    for start, stop in pairwise(find_bounds(question, files, most)):
        records = read_window(finder, question, files, (start, stop), read_bytes)
        if not len(records):
            continue
        waiting.append(records)
        del records  # while pieces are taken, they are there only once
        if sum(map(len, waiting)) < rows:
            continue
        joined = Records.concatenate(waiting)
        waiting.clear()
        whole = len(joined) - len(joined) % rows
        yield from (joined[first : first + rows] for first in range(0, whole, rows))
        waiting = [joined[whole:]]
    if any(map(len, waiting)):
        yield Records.concatenate(waiting)


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

    def choose(rows: npt.NDArray[Any], form: DataType) -> npt.NDArray[np.bool_]:
        begins = form.find_begins(rows)
        return question.choice(rows, form) & (begins >= start) & (begins < stop)

    return read_files(
        finder, replace(question, choice=choose), [(row, False) for row in near], read_bytes, all_fields=True
    )


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
