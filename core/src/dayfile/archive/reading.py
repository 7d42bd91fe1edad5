"""Read records of a type from an archive's day files: at a time, between two times, or of a day."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import TYPE_CHECKING

import numpy as np

from dayfile.archive.catalogue import Catalogue
from dayfile.archive.catalogue_rows import CatalogueRow
from dayfile.archive.gathering import (
    READ_BYTES,
    Arena,
    Choice,
    Part,
    join_parts,
    list_key_names,
    read_table,
    take_timing,
)
from dayfile.archive.opening import name_trouble, open_day_file
from dayfile.archive.records import Place, Records
from dayfile.archive.root import Root
from dayfile.errors import StorageError, TimeError, UnknownStoreError, UsageError
from dayfile.messages import suggest
from dayfile.model.clock import FIRST_DAY, LAST_DAY, Clock
from dayfile.model.datatype import DataType
from dayfile.model.instants import Time, as_utc, parse_day
from dayfile.model.places import LEDGER
from dayfile.model.validity import ALWAYS, NEVER, find_valid_at, find_valid_between

if TYPE_CHECKING:
    import datetime as dt

    from dayfile.hdf5.rows import Table

__all__ = ["Reader"]

ALLOWANCE = np.timedelta64(5, "s")
"""How far whole times may be outside the first and last time that the catalogue has of a file: older ones have whole
seconds there, to which nanoseconds of up to 4.3 s are added, and UTC has no leap seconds."""


class Reader:
    """An archive to read from.

    Parameters
    ----------
    root : Root
        Its directory.
    data_types : iterable of DataType, optional
        Possible data types of tables that do not declare theirs; those of the installed plugins if not given.
    read_bytes : int
        Bytes of the blocks in which tables are read.
    """

    def __init__(
        self, root: Root, data_types: Iterable[DataType] | None = None, *, read_bytes: int = READ_BYTES
    ) -> None:
        self.root = root
        self.catalogue = Catalogue.of(root)
        self.read_bytes = read_bytes
        self._types: dict[str, DataType] = {}
        self._recognised = None if data_types is None else list(data_types)

    def types(self) -> list[str]:
        """Return the names of the data types that have records."""
        return self.catalogue.list_types()

    def read(self, data_type: str, start: Time | None = None, stop: Time | None = None, **keys: str | int) -> Records:
        """Read the records of the time from ``start`` to ``stop``.

        The record that is valid at ``start`` is included, though it began before; the one that is valid at ``stop`` is
        not, unless it is the same. See :mod:`dayfile.model.validity` for how long a record is valid; one without period
        or end stamp is valid at its time only.

        Parameters
        ----------
        data_type : str
            Name of the type, ``muon.hits``.
        start, stop : str, datetime, numpy.datetime64, int or float, optional
            ISO text, a time, or a number of the type's own clock; without one, from the first or to the last record.
        **keys : str or int
            Only records with these keys, such as ``station=501``.

        Returns
        -------
        Records
            In time order, with the records that contended for a slot. A field that did not exist at the time of a
            record holds its default.

        Raises
        ------
        UsageError
            The archive has no such type, or the type no such key; the message names those there are.
        TimeError
            A time cannot be understood.

        Examples
        --------
        ``open_archive("archive").read("muon.hits", "2024-05-01", "2024-05-02")``
        """
        newest = self._find_newest(data_type)
        first = ALWAYS if start is None else newest.clock.read(start)
        last = NEVER if stop is None else newest.clock.read(stop)
        return self._read(newest, first, last, lambda rows, form: find_valid_between(rows, form, first, last), keys)

    def at(self, data_type: str, second: Time, **keys: str | int) -> Records:
        """Read the records that are valid at one time: usually one or none.

        Parameters
        ----------
        data_type : str
            Name of the type.
        second : str, datetime, numpy.datetime64, int or float
            A time, or a number of the type's own clock.
        **keys : str or int
            As for :meth:`read`.

        Returns
        -------
        Records
            Several where validities overlap, as those of records that contended for a slot.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`read`.

        Examples
        --------
        ``open_archive("archive").at("muon.hits", 1714521600)``
        """
        newest = self._find_newest(data_type)
        moment = newest.clock.read(second)
        return self._read(newest, moment, moment, lambda rows, form: find_valid_at(rows, form, moment), keys)

    def read_day(self, data_type: str, day: str | dt.date | np.datetime64 | int, **keys: str | int) -> Records:
        """Read the records of one UTC day: from the one valid at its second zero to before that of the next day.

        Parameters
        ----------
        data_type : str
            Name of the type.
        day : str, date, numpy.datetime64 or int
            ISO text, a date, or the number of the day in the type's own clock, 1 for the day of its epoch.
        **keys : str or int
            As for :meth:`read`.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`read`.

        Examples
        --------
        Two ways to name a day, the second as a number with 1970-01-01 as day 1:

        ``open_archive("archive").read_day("muon.hits", "2024-05-01")``
        ``open_archive("archive").read_day("muon.hits", 19845)``
        """
        newest = self._find_newest(data_type)
        clock = newest.clock
        if isinstance(day, int | np.integer):
            try:
                date = clock.epoch.astype("datetime64[D]") + np.timedelta64(int(day) - 1, "D")
            except OverflowError as error:
                raise TimeError(f"{day} is not the number of a day") from error
        else:
            date = parse_day(day) if isinstance(day, str) else as_utc(day).astype("datetime64[D]")
        first, last = clock.find_midnight(date), clock.find_midnight(date + np.timedelta64(1, "D"))
        return self._read(newest, first, last, lambda rows, form: find_valid_between(rows, form, first, last), keys)

    def _check_type(self, name: str) -> None:
        """Raise a UsageError for a data type of which the archive has nothing."""
        types = self.types()
        if name not in types:
            hint = suggest(name, types) or ", nor anything else yet"
            raise UsageError(f"the archive holds no {name!r}{hint}", where=self.root.path)

    def _find_newest(self, name: str) -> DataType:
        """Find the data type of a name, as its newest day file declares it: its clock and period hold for all."""
        if name in self._types:
            return self._types[name]
        self._check_type(name)
        problem = StorageError(f"the day files of {name} do not hold it", where=self.root.path)
        for row in self.catalogue.find_newest(name):
            try:
                for data_type, table in self._tables(row):
                    is_declared = "timing" in table.attributes(("timing",))
                    self._types[name] = data_type if is_declared else self._with_timing(data_type)
                    return self._types[name]
            except StorageError as error:  # an older one will do as well
                problem = error
        raise problem

    def _with_timing(self, data_type: DataType) -> DataType:
        """Return a data type with the timing of its plugin, as its day files are too old to declare one."""
        declared = {each.name: each for each in self._recognisable()}.get(data_type.name, data_type)
        return take_timing(data_type, declared)

    def _read(self, newest: DataType, first: int, last: int, choice: Choice, keys: Mapping[str, str | int]) -> Records:
        """Read the records that a choice takes, from the day files that may have some between first and last."""
        names = list_key_names(newest)
        for name in keys.keys() - set(names):
            raise UsageError(f"{newest.name} has no key {name!r}; its keys are: {', '.join(names) or 'none'}")
        period = np.timedelta64(newest.period, "s") + ALLOWANCE
        begin, end = to_utc(newest.clock, first) - period, to_utc(newest.clock, last) + ALLOWANCE
        found = self.catalogue.find_between(newest.name, begin, end)
        asked = [(row, row.first, row.last) for row in found if row.first is not None and row.last is not None]
        parts: list[Part] = []
        # The number of records with certain keys is unknown; if all records are read, they need the memory anyway.
        arena = Arena(0 if keys else sum(row.records for row, *_ in asked) * newest.dtype.itemsize)
        for row, earliest, latest in asked:
            # In most files all records are within the time, and need not be compared one by one.
            inside = first < last and begin + 2 * period < earliest and latest < end - period - 2 * ALLOWANCE
            for declared, table in self._tables(row, lambda path: not has_other_keys(newest, path, keys)):
                data_type = take_timing(declared, newest)
                there = parse_keys(data_type, table.path) or {}
                if any(str(there.get(name)) != str(value) for name, value in keys.items()):
                    continue
                with name_trouble(self.root.path / row.path):
                    rows = read_table(table, data_type, None if inside else choice, arena, self.read_bytes)
                if len(rows.array):
                    place = Place(self.root.path / row.path, data_type.placement.node.blobs.format(**there))
                    parts.append(Part(data_type, rows, there, place))
        if keys and not parts:
            self.catalogue.check_keys(newest.name, keys)
        return join_parts(newest, parts, arena)

    def _tables(
        self, row: CatalogueRow, wanted: Callable[[str], bool] | None = None
    ) -> Iterator[tuple[DataType, Table]]:
        """Yield each wanted table of a type in a day file, open while it is yielded, with its data type."""
        from dayfile.hdf5.groups import find_leaves
        from dayfile.hdf5.rows import open_if_table

        with open_day_file(self.root.path / row.path) as file:
            for node in filter(wanted, find_leaves(file.root, without=LEDGER)):
                table = open_if_table(file, node)
                if table is None:
                    continue
                with closing(table):
                    data_type = self.find_type(table)
                    if data_type is not None and data_type.name == row.data_type:
                        yield data_type, table

    def find_type(self, table: Table) -> DataType | None:
        """Find the data type of a table: by its attributes, or, in a foreign file, by its path."""
        from dayfile.stores.declarations import make_type_finder, read_data_type

        try:
            declared = read_data_type(table)
        except UnknownStoreError:  # a plugin offers it
            self._recognisable()
            declared = read_data_type(table)
        return make_type_finder(self._recognisable())(table) if declared is None else declared

    def _recognisable(self) -> list[DataType]:
        """Return the data types to recognise tables by; plugins are loaded only for tables that declare nothing."""
        if self._recognised is None:
            from dayfile import discovery

            self._recognised = list(discovery.load().data_types.values()) if discovery.installed() else []
        return self._recognised


def to_utc(clock: Clock, moment: int) -> np.datetime64:
    """Convert a time in nanoseconds to UTC, datetime64[us], within the years of a clock."""
    first, last = (clock.find_midnight(day) for day in (FIRST_DAY, LAST_DAY))
    return np.datetime64(clock.to_utc(np.array([min(max(moment, first), last)]))[0], "us")


def parse_keys(data_type: DataType, path: str) -> dict[str, str | int] | None:
    """Parse the keys of the records in a table from its path; None if tables of the type are not at such paths."""
    from dayfile.stores.nodes import match_keys, parse_key

    texts = match_keys(data_type.placement.node.path, path)
    return None if texts is None else {name: parse_key(text) for name, text in texts.items()}


def has_other_keys(data_type: DataType, path: str, keys: Mapping[str, str | int]) -> bool:
    """Return whether the table at a path is one of the type, with other keys."""
    there = parse_keys(data_type, path)
    return there is not None and any(str(there[name]) != str(value) for name, value in keys.items())
