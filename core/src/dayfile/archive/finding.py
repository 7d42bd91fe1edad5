"""Find the day files and tables that have records of a type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from dayfile.archive.alone import reading_alone
from dayfile.archive.catalogue_rows import CatalogueRow
from dayfile.archive.opening import REMEDY, open_to_read
from dayfile.archive.outlines import REMEMBERED, Outlines
from dayfile.archive.question import KeyValue, Question, WantsKeys, parse_keys
from dayfile.errors import StorageError, UnknownStoreError, UsageError
from dayfile.messages import suggest
from dayfile.model.clock import FIRST_DAY, LAST_DAY, Clock
from dayfile.model.datatype import DataType
from dayfile.model.forms import take_meanings
from dayfile.model.places import LEDGER

if TYPE_CHECKING:
    from dayfile.hdf5.placed import ReadableRows
    from dayfile.hdf5.readonly import OpenFile
    from dayfile.hdf5.rows import Table

__all__ = ["ALLOWANCE", "Finder", "Listing", "UnreadableTypeError", "to_utc"]

ALLOWANCE = np.timedelta64(5, "s")
"""How far whole times may be outside the first and last time that the catalogue has of a file: older ones have whole
seconds there, to which nanoseconds of up to 4.3 s are added, and UTC has no leap seconds."""


class UnreadableTypeError(StorageError):
    """No day file of a data type can be read, so that nothing says what its records are."""


class Listing(Protocol):
    """What lists the day files of types: the catalogue."""

    def list_types(self) -> list[str]:
        """List the names of the data types, in order."""
        ...

    def find_between(
        self, data_type: str, first: np.datetime64, last: np.datetime64, wanted: WantsKeys | None = None
    ) -> list[CatalogueRow]:
        """Find the rows of a data type that have records between two times, both included, by day.

        With ``wanted``, their ``records`` are those of wanted keys alone, zero where that is not known.
        """
        ...

    def find_nearest(self, data_type: str, first: np.datetime64, last: np.datetime64) -> list[str]:
        """Find the last day with records before a time and the first one with records since another, ISO in order."""
        ...

    def find_newest(self, data_type: str) -> Iterator[CatalogueRow]:
        """Yield the rows of a data type, those of the newest days first."""
        ...

    def list_keys(self, data_type: str) -> list[dict[str, KeyValue]] | None:
        """List the keys of a data type that have records; None if they are not known."""
        ...


class Finder:
    """Finds the day files and tables that have records of a type.

    Parameters
    ----------
    directory : Path
        The directory that paths of day files are below.
    listing : Listing
        Lists the day files.
    data_types : iterable of DataType, optional
        Possible data types of tables that do not declare theirs; those of the installed plugins if not given.
    outlines : Outlines
        What is remembered of day files.
    """

    def __init__(
        self,
        directory: Path,
        listing: Listing,
        data_types: Iterable[DataType] | None = None,
        outlines: Outlines = REMEMBERED,
    ) -> None:
        self.directory = directory
        self.listing = listing
        self.outlines = outlines
        self._types: dict[str, DataType] = {}
        self._recognised = None if data_types is None else list(data_types)

    def types(self) -> list[str]:
        """Return the names of the data types that have records."""
        return self.listing.list_types()

    def check_type(self, name: str) -> None:
        """Raise a UsageError for a data type of which there is nothing."""
        types = self.types()
        if name not in types:
            hint = suggest(name, types) or ", nor anything else yet"
            raise UsageError(f"the archive holds no {name!r}{hint}", where=self.directory)

    def find_newest(self, name: str) -> DataType:
        """Find the data type of a name, as its newest day file declares it: its clock and period hold for all.

        Raises
        ------
        UnreadableTypeError
            None of its day files can be read; that is what is wrong with the oldest.
        """
        if name in self._types:
            return self._types[name]
        from dayfile.hdf5.groups import find_leaves

        self.check_type(name)
        problem = StorageError(f"the day files of {name} do not hold it", where=self.directory)
        for row in self.listing.find_newest(name):
            try:
                with reading_alone(), open_to_read(self.directory / row.path) as file:
                    for data_type, table in self.open_tables(file, find_leaves(file, without=LEDGER)):
                        if data_type is not None and data_type.name == name:
                            is_declared = "timing" in table.attributes(("timing",))
                            self._types[name] = data_type if is_declared else self._with_timing(data_type)
                            return self._types[name]
            except StorageError as error:  # an older one will do as well
                problem = error
        raise UnreadableTypeError(problem.message, where=problem.where) from problem

    def _with_timing(self, data_type: DataType) -> DataType:
        """Return a data type with the timing of its plugin, as its day files are too old to declare one."""
        declared = {each.name: each for each in self._recognisable()}.get(data_type.name, data_type)
        return take_meanings(data_type, declared)

    def list_files(self, question: Question) -> list[tuple[CatalogueRow, bool]]:
        """List the day files that may have records of the time of a question, and whether all of theirs are."""
        clock = question.data_type.clock
        period = np.timedelta64(question.data_type.period, "s") + ALLOWANCE
        begin, end = to_utc(clock, question.first) - period, to_utc(clock, question.last) + ALLOWANCE
        files = []
        wanted = question.wants if question.keys else None
        for row in self.listing.find_between(question.data_type.name, begin, end, wanted):
            if row.first is None or row.last is None:
                continue
            # In most files all records are within the time, and need not be compared one by one.
            inside = begin + 2 * period < row.first and row.last < end - period - 2 * ALLOWANCE
            files.append((row, question.first < question.last and bool(inside)))
        return files

    def list_keys(self, data_type: DataType) -> Iterator[dict[str, KeyValue]]:
        """List the keys of a type: as the listing has them, or of all tables, newest day files first."""
        from dayfile.hdf5.groups import find_leaves

        listed = self.listing.list_keys(data_type.name)
        if listed is not None:
            yield from listed
            return
        for row in self.listing.find_newest(data_type.name):
            with suppress(StorageError), reading_alone(), open_to_read(self.directory / row.path) as file:
                found = [parse_keys(data_type, path) for path in find_leaves(file, without=LEDGER)]
                yield from (keys for keys in found if keys)

    def find_nearest(self, question: Question) -> tuple[np.datetime64, ...]:
        """Find the last day with records before the time of a question, and the first one after."""
        clock = question.data_type.clock
        begin, end = to_utc(clock, question.first), to_utc(clock, question.last)
        days = self.listing.find_nearest(question.data_type.name, begin, end)
        return tuple(np.datetime64(day, "D") for day in days)

    def open_rows(
        self, row: CatalogueRow, wanted: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[DataType, ReadableRows]]:
        """Yield the rows of each wanted table of a type in a day file, which is open meanwhile, with its data type.

        Raises
        ------
        StorageError
            It cannot be read, or is the file of another day.
        """
        path = self.directory / row.path
        with self.outlines.open(path, row.data_type, wanted) as known:
            if known is not None:
                yield from known
                return
        with open_to_read(path) as file:
            check_day(file, row, path)
            outline = self.outlines.begin(path, file)
            paths = outline.list_paths(row.data_type, wanted)
            outline.tables.update(dict.fromkeys(paths))
            for data_type, table in self.open_tables(file, paths):
                is_of_type = data_type is not None and data_type.name == row.data_type
                if data_type is None or any(data_type is known for known in self._recognised or ()):
                    del outline.tables[table.path]  # it does not declare what it is
                else:
                    outline.tables[table.path] = data_type, table.placed if is_of_type else None
                if data_type is not None and is_of_type:
                    yield data_type, table
            self.outlines.keep(path, outline)

    def open_tables(self, file: OpenFile, paths: Iterable[str]) -> Iterator[tuple[DataType | None, Table]]:
        """Yield each table at some paths of an open day file, open while it is yielded, with its data type if known."""
        from dayfile.hdf5.rows import open_if_table

        for path in paths:
            table = open_if_table(file, path)
            if table is None:
                continue
            with closing(table):
                yield self.find_type(table), table

    def has_unknown_tables(self, row: CatalogueRow) -> bool:
        """Return whether a day file has tables of which neither the file nor a plugin says what they are."""
        from dayfile.hdf5.groups import find_leaves

        with open_to_read(self.directory / row.path) as file:
            found = self.open_tables(file, find_leaves(file, without=LEDGER))
            return any(data_type is None for data_type, _ in found)

    def find_type(self, table: Table) -> DataType | None:
        """Find the data type of a table: by its attributes, or, in a foreign file, by its path."""
        from dayfile.stores.declarations import make_type_finder, recall_data_type

        try:
            declared = recall_data_type(table)
        except UnknownStoreError:  # a plugin offers it
            self._recognisable()
            declared = recall_data_type(table)
        return make_type_finder(self._recognisable())(table) if declared is None else declared

    def _recognisable(self) -> list[DataType]:
        """Return the data types to recognise tables by; plugins are loaded only for tables that declare nothing."""
        if self._recognised is None:
            from dayfile import discovery

            self._recognised = list(discovery.load().data_types.values()) if discovery.installed() else []
        return self._recognised


def check_day(file: OpenFile, row: CatalogueRow, path: Path) -> None:
    """Raise a StorageError for an open day file that says that it is of another day than the catalogue."""
    from dayfile.stores.ledger import read_declared_day

    day = read_declared_day(file)
    if row.day and day and day != row.day:
        message = f"is the day file of {day}, and not of {row.day} as the catalogue has it; {REMEDY}"
        raise StorageError(message, where=path)


def to_utc(clock: Clock, moment: int) -> np.datetime64:
    """Convert a time in nanoseconds to UTC, datetime64[us], within the years of a clock."""
    first, last = (clock.find_midnight(day) for day in (FIRST_DAY, LAST_DAY))
    return np.datetime64(clock.to_utc(np.array([min(max(moment, first), last)]))[0], "us")
