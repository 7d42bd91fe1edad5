"""Records whose times are read at once, and whose fields are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.alone import reading_alone
from dayfile.archive.answering import READ_BYTES, answer, read_files, read_window
from dayfile.archive.catalogue_rows import CatalogueRow
from dayfile.archive.finding import Finder
from dayfile.archive.opening import open_to_read
from dayfile.archive.question import Question, WantsKeys
from dayfile.archive.records import Records
from dayfile.errors import StorageError, UsageError
from dayfile.model.clock import FIRST_DAY, LAST_DAY
from dayfile.model.places import LEDGER

__all__ = ["LazyRecords", "find_in_file"]


class LazyRecords:
    """The records that a question asks for, with the fields left in the day files. It can be pickled.

    Parameters
    ----------
    finder : Finder
        Where the records are.
    question : Question
        Which records are asked for.
    """

    def __init__(self, finder: Finder, question: Question) -> None:
        self.finder = finder
        self.question = question
        self.files = finder.list_files(question)
        self.index: Records = read_files(finder, replace(question, fields=()), self.files, READ_BYTES)
        """The records without fields: their times and keys."""
        self.nanoseconds = self.index.nanoseconds

    def read_field(self, name: str, start: int, stop: int) -> Records:
        """Read one field of the records from a start up to, not including, a stop; by index, in time order.

        Raises
        ------
        StorageError
            Other records are there than when the times were read.
        """
        question = replace(self.question, fields=(name,))
        if start >= stop:
            return answer(self.finder, replace(question, choice=take_none), READ_BYTES)
        first, last = self.nanoseconds[start], self.nanoseconds[stop - 1]
        files = [row for row, _ in self.files]
        found = read_window(self.finder, question, files, (int(first), int(last) + 1), READ_BYTES)
        before = start - int(np.searchsorted(self.nanoseconds, first))
        found = found[before : before + stop - start]
        self.check_same(found, self.index[start:stop])
        return found

    def check_same(self, found: Records, expected: Records) -> None:
        """Raise a StorageError if records are not those whose times were read: values would get other times."""
        same = np.array_equal(found.nanoseconds, expected.nanoseconds) and all(
            np.array_equal(found.keys[name], column) for name, column in expected.keys.items()
        )
        if not same:
            message = f"records of {self.question.data_type.name} were added or replaced since they were opened here"
            raise StorageError(f"{message}; open them again", where=self.finder.directory)


def take_none(rows: npt.NDArray[Any], _: object) -> npt.NDArray[np.bool_]:
    """Take no record."""
    return np.zeros(len(rows), bool)


class FileListing:
    """Lists one day file, as a catalogue does that knows no times."""

    def __init__(self) -> None:
        self.known: list[CatalogueRow] = []

    def rows(self, data_type: str | None = None) -> list[CatalogueRow]:
        """Return the rows of all types, or of one."""
        return [row for row in self.known if data_type in (None, row.data_type)]

    def list_types(self) -> list[str]:
        """List the names of the data types, in order."""
        return sorted({row.data_type for row in self.known})

    def find_between(
        self,
        data_type: str,
        first: np.datetime64,  # noqa: ARG002
        last: np.datetime64,  # noqa: ARG002
        wanted: WantsKeys | None = None,
    ) -> list[CatalogueRow]:
        """Return the rows of a data type, which may have records of any time, and of any number of wanted keys."""
        return self.rows(data_type) if wanted is None else [replace(row, records=0) for row in self.rows(data_type)]

    def find_nearest(self, data_type: str, first: np.datetime64, last: np.datetime64) -> list[str]:  # noqa: ARG002
        """Return nothing: the days are not known."""
        return []

    def find_newest(self, data_type: str) -> Iterator[CatalogueRow]:
        """Yield the rows of a data type."""
        yield from self.rows(data_type)

    def list_keys(self, data_type: str) -> None:
        """Return None: the keys are not known."""


def find_in_file(path: Path) -> Finder:
    """Make a finder for the records in one day file.

    Raises
    ------
    UsageError
        No table in it has a data type that is known.
    DayFileError
        It cannot be read.
    """
    from dayfile.hdf5.groups import find_leaves
    from dayfile.stores.registry import find_store

    listing = FileListing()
    finder = Finder(path.parent, listing)
    counts: dict[str, int] = {}
    with reading_alone(), open_to_read(path) as file:
        for data_type, table in finder.open_tables(file, find_leaves(file, without=LEDGER)):
            if data_type is not None:
                rows = 0 if find_store(data_type.placement.store).sparse else table.nrows  # slots may be empty
                counts[data_type.name] = counts.get(data_type.name, 0) + rows
    if not counts:
        raise UsageError("no table of this file has a data type that is known", where=path)
    for name, count in counts.items():
        listing.known.append(CatalogueRow(path.name, name, "", count, FIRST_DAY, LAST_DAY))
    return finder
