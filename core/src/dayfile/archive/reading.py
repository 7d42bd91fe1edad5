"""Read records of a type from an archive's day files: at a time, between two times, or of a day."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from dayfile.archive.answering import WINDOW_BYTES, answer, answer_in_pieces
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.finding import Finder
from dayfile.archive.gathering import READ_BYTES
from dayfile.archive.question import KeyValues, Missing, Question, ask
from dayfile.archive.records import Records
from dayfile.archive.root import Root
from dayfile.errors import TimeError, UsageError
from dayfile.model.datatype import DataType
from dayfile.model.instants import Time, as_utc, parse_day
from dayfile.model.validity import ALWAYS, NEVER, find_inside, find_valid_at, find_valid_between

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["ROWS", "Reader", "ask_range"]

TIME_OF_DAY = re.compile(":|now")
"""What a text has that is a moment, not a day, month or year."""
ROWS = 100_000
"""Records of a piece of :meth:`Reader.iter`."""


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
    window_bytes : int
        Bytes of records, about, that :meth:`iter` reads at once to put them in order, if a piece has fewer.
    """

    def __init__(
        self,
        root: Root,
        data_types: Iterable[DataType] | None = None,
        *,
        read_bytes: int = READ_BYTES,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.root = root
        self.catalogue = Catalogue.of(root)
        self.read_bytes = read_bytes
        self.window_bytes = window_bytes
        self.finder = Finder(root.path, self.catalogue, data_types)

    def types(self) -> list[str]:
        """Return the names of the data types that have records."""
        return self.finder.types()

    def read(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        fields: str | Iterable[str] | None = None,
        where: str | None = None,
        inside: bool = False,
        missing: Missing = "keep",
        physical: bool = False,
        **keys: KeyValues,
    ) -> Records:
        """Read the records of the time from ``start`` to ``stop``.

        The record that is valid at ``start`` is included, though it began before; the one that is valid at ``stop`` is
        not, unless it is the same. See :mod:`dayfile.model.validity` for how long a record is valid; one without period
        or end stamp is valid at its time only.

        Parameters
        ----------
        data_type : str
            Name of the type, ``muon.hits``.
        start, stop : str, datetime, pandas.Timestamp, astropy.time.Time, numpy.datetime64, int or float, optional
            ISO text (``2024``, ``2024-05``, ``2024-05-01``, ``2024-05-01T12:00``), ``now``, ``today`` or ``yesterday``,
            a time, or a number of the type's own clock; without one, from the first or to the last record.
        fields : list of str, optional
            Only these fields; times and keys are there all the same. The blobs of a field are there if it is.
        where : str, optional
            Only records for which this holds: ``pulseheight[0] > 500 and not quality.BAD_CLOCK``; see
            :mod:`dayfile.model.conditions`. It may name fields that are not among ``fields``.
        inside : bool
            Only records that begin in the range: start <= time < stop.
        missing : {'keep', 'nan'}
            What ``where`` compares, and the records hold, for values that mean "not measured". ``keep``: the values as
            they are stored. ``nan``: NaN, so that no comparison but ``!=`` holds; fields that have such values become
            floats. Tables of other libraries, made by ``to_pandas`` and the like, have NaN or null in any case.
        physical : bool
            Whether records have physical values, as the layout declares them, in place of stored ones: float64 with NaN
            for what is missing, and texts for values that have names. ``where`` compares these too; see
            :meth:`dayfile.Records.to_physical`.
        **keys : str or int, or a list of them
            Only records with these keys, such as ``station=501`` or ``station=[501, 502]``.

        Returns
        -------
        Records
            In time order, with the records that contended for a slot. A field that did not exist at the time of a
            record holds its default. Without any, ``nearest`` has the days nearest to the range that have records.

        Raises
        ------
        UsageError
            The archive has no such type, or the type no such key, field or flag, or no record has such a key; the
            message says what there is.
        TimeError
            A time cannot be understood, or ``start`` is after ``stop``, or both are the same day, month or year.
        StorageError
            A day file cannot be read, or holds fewer records than the catalogue lists in it.

        Examples
        --------
        ``open_archive("archive").read("muon.hits", "2024-05-01", "2024-05-02", where="energy > 5")``
        """
        question = ask_range(
            self.finder,
            data_type,
            start,
            stop,
            keys,
            fields=fields,
            where=where,
            inside=inside,
            missing=missing,
            physical=physical,
        )
        return answer(self.finder, question, self.read_bytes)

    def iter(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        rows: int = ROWS,
        fields: str | Iterable[str] | None = None,
        where: str | None = None,
        inside: bool = False,
        missing: Missing = "keep",
        physical: bool = False,
        **keys: KeyValues,
    ) -> Iterator[Records]:
        """Read a range that may be larger than the memory, in pieces: together they are what :meth:`read` returns.

        Memory is needed for the records of a part of the range, not for all of it: those of a day or of 64 MB,
        whichever is less, or of a piece if that is more.

        Parameters
        ----------
        data_type, start, stop, fields, where, inside, missing, physical, **keys
            As for :meth:`read`.
        rows : int
            Records of each piece; the last one has fewer.

        Yields
        ------
        Records
            The next piece, in time order. All pieces have the same fields, those of the newest day file.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`read`; before the first piece is asked for.

        Examples
        --------
        ``sum(len(piece) for piece in open_archive("archive").iter("muon.hits", "2024", "2025"))``
        """
        if isinstance(rows, bool) or not isinstance(rows, int | np.integer) or rows < 1:
            raise UsageError(f"rows={rows!r}: a piece has at least 1 record")
        question = ask_range(
            self.finder,
            data_type,
            start,
            stop,
            keys,
            fields=fields,
            where=where,
            inside=inside,
            missing=missing,
            physical=physical,
        )
        return answer_in_pieces(self.finder, question, rows, self.read_bytes, self.window_bytes)

    def at(self, data_type: str, second: Time, **keys: KeyValues) -> Records:
        """Read the records that are valid at one time: usually one or none.

        Parameters
        ----------
        data_type : str
            Name of the type.
        second : str, datetime, numpy.datetime64, int or float
            A time, or a number of the type's own clock.
        **keys : str or int, or a list of them
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
        newest = self.finder.find_newest(data_type)
        moment = newest.clock.read(second)
        question = ask(newest, moment, moment, partial(find_valid_at, moment=moment), keys)
        return answer(self.finder, question, self.read_bytes)

    def read_day(self, data_type: str, day: str | dt.date | np.datetime64 | int, **keys: KeyValues) -> Records:
        """Read the records of one day: from the one valid at its second zero to before that of the next day.

        Days begin at midnight UTC, or where the layout says that they do (``day_begins``).

        Parameters
        ----------
        data_type : str
            Name of the type.
        day : str, date, numpy.datetime64 or int
            ISO text, a date, or the number of the day in the type's own clock, 1 for the day of its epoch.
        **keys : str or int, or a list of them
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
        newest = self.finder.find_newest(data_type)
        clock = newest.clock
        if isinstance(day, int | np.integer):
            try:
                date = clock.epoch.astype("datetime64[D]") + np.timedelta64(int(day) - 1, "D")
            except OverflowError as error:
                raise TimeError(f"{day} is not the number of a day") from error
        else:
            date = parse_day(day) if isinstance(day, str) else as_utc(day).astype("datetime64[D]")
        first, last = clock.find_day_start(date), clock.find_day_start(date + np.timedelta64(1, "D"))
        question = ask(newest, first, last, partial(find_valid_between, start=first, stop=last), keys)
        return answer(self.finder, question, self.read_bytes)


def ask_range(
    finder: Finder,
    data_type: str,
    start: Time | None,
    stop: Time | None,
    keys: Mapping[str, KeyValues],
    *,
    fields: str | Iterable[str] | None = None,
    where: str | None = None,
    inside: bool = False,
    missing: Missing = "keep",
    physical: bool = False,
) -> Question:
    """Make a question of what is asked of a range of times; see :meth:`Reader.read`."""
    newest = finder.find_newest(data_type)
    first = ALWAYS if start is None else newest.clock.read(start)
    last = NEVER if stop is None else newest.clock.read(stop)
    if last < first:
        raise TimeError(f"the range is reversed: its start, {start}, is after its stop, {stop}")
    if isinstance(start, str) and start == stop and TIME_OF_DAY.search(start) is None:
        raise TimeError(
            f"the range from {start} to {stop} is empty: as a stop, a day, month or year means its beginning"
        )
    choice = partial(find_inside if inside else find_valid_between, start=first, stop=last)
    return ask(newest, first, last, choice, keys, fields=fields, where=where, missing=missing, physical=physical)
