"""What an archive has: data types, keys, days, coverage and gaps, from its catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue_rows import Publication
from dayfile.archive.counting import count_day_file
from dayfile.archive.coverage import Period, check_period, sum_coverage
from dayfile.archive.description import Description, Key, Total
from dayfile.archive.gaps import HOUR, Duration, find_gaps, parse_length
from dayfile.archive.keys import choose_totals, order_totals
from dayfile.archive.question import KeyValues
from dayfile.archive.reading import Reader
from dayfile.archive.tallies import list_totals, sum_days, sum_hours
from dayfile.errors import TimeError, UsageError
from dayfile.model.instants import Time, as_utc

if TYPE_CHECKING:
    import sqlite3

__all__ = ["Inventory"]

ALL_DAYS = "0000-01-01", "9999-12-31"
"""Before and after all days of a catalogue."""


class Inventory(Reader):
    """An archive to read from, and to ask what it has; the catalogue answers without opening day files."""

    def describe(self, data_type: str) -> Description:
        """Describe a data type: its fields with their types, units and meanings, its keys, days and records.

        The newest day file says what the fields are, so no plugin is needed.

        Parameters
        ----------
        data_type : str
            Name of the type, ``muon.hits``.

        Returns
        -------
        Description
            Its text is a table of the fields; ``data_type`` and the other attributes have all of it.

        Raises
        ------
        UsageError
            The archive has no such type.
        StorageError
            No day file of the type can be read.

        Examples
        --------
        ``print(open_archive("archive").describe("muon.hits"))``
        """
        found = self.finder.find_newest(data_type)
        for name, days, records, first, last in self.catalogue.sum_types():
            if name == data_type:
                return Description(found, tuple(self.keys(data_type)), days, records, first, last)
        raise UsageError(f"the archive holds no {data_type!r}", where=self.root.path)

    def keys(self, data_type: str) -> list[Key]:
        """Return the keys of a data type that have records: the values of the placeholders in its node's path.

        Parameters
        ----------
        data_type : str
            As for :meth:`describe`.

        Returns
        -------
        list of dict
            In order, each with the values by name, as :meth:`read` takes them: ``{"station": 501}``. For a type without
            keys one empty dict, if it has records.

        Raises
        ------
        UsageError
            As for :meth:`describe`.

        Examples
        --------
        ``counts = {key["station"]: len(archive.read("muon.hits", **key)) for key in archive.keys("muon.hits")}``
        """
        return [total.key for total in self.totals(data_type)]

    def totals(self, data_type: str) -> list[Total]:
        """Return what there is of each key of a data type.

        Parameters
        ----------
        data_type : str
            As for :meth:`describe`.

        Returns
        -------
        list of Total
            The keys in order, each with its days, records, first and last time.

        Raises
        ------
        UsageError
            As for :meth:`describe`.

        Examples
        --------
        ``{total.key["station"]: total.last for total in open_archive("archive").totals("muon.hits")}``
        """
        with self._counted(data_type) as connection:
            return order_totals(list_totals(connection, data_type))

    def days(self, data_type: str, **keys: KeyValues) -> npt.NDArray[np.datetime64]:
        """Return the days on which there are records of a data type.

        Parameters
        ----------
        data_type : str
            Name of the type.
        **keys : str or int, or a list of them
            Only of records with these keys, such as ``station=501``.

        Returns
        -------
        array of datetime64[D], shape (n,)
            In order; the days are those of the day files, in UTC.

        Raises
        ------
        UsageError
            The archive has no such type, or the type no such key; the message names those there are.

        Examples
        --------
        ``open_archive("archive").days("muon.hits", station=501)``
        """
        if not keys:
            self.finder.check_type(data_type)
            return np.array(self.catalogue.list_days(data_type), "datetime64[D]")
        with self._counted(data_type) as connection:
            series = [total.series for total in choose_totals(data_type, list_totals(connection, data_type), keys)]
            rows = sum_days(connection, series, *ALL_DAYS, letters=10, per_key=False)
        return np.array(sorted(day for _, day, _, _ in rows), "datetime64[D]")

    def coverage(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        by: Period = "day",
        per_key: bool = False,
        **keys: KeyValues,
    ) -> npt.NDArray[np.void]:
        """Count the records of a data type in each hour, day, month or year.

        Parameters
        ----------
        data_type : str
            Name of the type.
        start, stop : str, datetime, numpy.datetime64, int or float, optional
            As for :meth:`read`; without one, from the first or to the last record. Periods are counted whole: the first
            is the one with ``start``, the last the one that ends at ``stop`` or has it inside.
        by : {'day', 'hour', 'month', 'year'}
            The periods, in UTC.
        per_key : bool
            Whether to count each key by itself.
        **keys : str or int, or a list of them
            Only records with these keys, such as ``station=501``.

        Returns
        -------
        structured array, shape (n,)
            A row for each period, also for those without records; with ``per_key`` for each key and period, key after
            key. ``pandas.DataFrame`` takes it as it is. The fields:

            - ``time``, datetime64[ns]: where the period begins, UTC.
            - With ``per_key``: the keys by name.
            - ``records``, int64: number of records. A record counts where its time is, whatever its end; one in a leap
              second counts in the hour before.
            - ``hours``, int64: number of hours that have at least one record (of any of the keys): of a day 0 to 24.

        Raises
        ------
        UsageError
            The archive has no such type, the type no such key, or ``by`` is no period.
        TimeError
            A time cannot be understood, or ``stop`` is before ``start``.

        Examples
        --------
        The days of a year on which a station sent something in every hour:

        ``year = open_archive("archive").coverage("muon.hits", "2024-01-01", "2025-01-01", station=501)``
        ``year["time"][year["hours"] == 24]``
        """
        check_period(by)
        day_begins = self.finder.find_newest(data_type).clock.day_begins
        with self._counted(data_type) as connection:
            totals = choose_totals(data_type, list_totals(connection, data_type), keys)
            begin, end = self._find_bounds(data_type, totals, start, stop)
            if stop is None:  # the last record may end on a day of which there are no records
                newest = next(self.catalogue.find_newest(data_type))
                after = end + np.timedelta64(1, "ns")  # the period of the last record, though it begins with it
                end = max(begin, min(after, np.datetime64(newest.day, "h") + 24 + day_begins))
            return sum_coverage(connection, totals, begin, end, by=by, per_key=per_key, day_begins=day_begins)

    def gaps(
        self,
        data_type: str,
        start: Time | None = None,
        stop: Time | None = None,
        *,
        longer_than: Duration | None = None,
        **keys: KeyValues,
    ) -> npt.NDArray[np.void]:
        """Find the gaps of a data type: spans in which no record begins.

        The catalogue knows the number of records in each UTC hour, and the first and last time of each day. So what is
        returned is certain, but at most precise to the hour: each gap is really there, and may be up to an hour longer
        at either side, unless that side is the first or last record of a day. A gap that touches two hours and fills
        none is not seen. So every gap that is two hours longer than ``longer_than`` is found, and shorter ones depend
        on where they are. Read the records themselves where seconds matter.

        Parameters
        ----------
        data_type : str
            As for :meth:`coverage`.
        start, stop : str, datetime, numpy.datetime64, int or float, optional
            As for :meth:`read`: where to look. Silence after ``start`` and before ``stop`` is a gap as well. Without
            one, from the first or to the last record.
        longer_than : str, timedelta or numpy.timedelta64, optional
            Leave out what is shorter: ``"90 min"``, ``"2 h"``, ``"1 d"``. At least an hour; if not given, an hour, or
            two periods where these are longer.
        **keys : str or int, or a list of them
            As for :meth:`coverage`: a gap is where none of them has records.

        Returns
        -------
        structured array, shape (n,)
            With the fields ``start`` and ``stop``, datetime64[ns], UTC, in order.

        Raises
        ------
        UsageError, TimeError
            As for :meth:`coverage`; or ``longer_than`` is no length, or less than an hour.

        Examples
        --------
        ``gaps = open_archive("archive").gaps("muon.hits", "2024-05-01", "2024-06-01", longer_than="2 h", station=501)``
        ``(gaps["stop"] - gaps["start"]).max()``
        """
        newest = self.finder.find_newest(data_type)
        usual = np.timedelta64(max(3600, 2 * newest.period), "s")
        least = usual if longer_than is None else parse_length(longer_than)
        if least < HOUR:
            raise UsageError(
                f"the catalogue counts by the hour, so gaps of {longer_than} cannot be found in it; read the records"
            )
        with self._counted(data_type) as connection:
            totals = choose_totals(data_type, list_totals(connection, data_type), keys)
            begin, end = self._find_bounds(data_type, totals, start, stop)
            # An interval of any day before may reach into these.
            since = ALL_DAYS[0] if newest.end else str(begin.astype("datetime64[D]") - 1)
            series = [total.series for total in totals]
            until = str(end.astype("datetime64[D]") + 1)
            days = sum_hours(connection, series, since, until, per_key=False)
            return find_gaps(days, begin, end, least, newest.clock.day_begins)

    @contextmanager
    def _counted(self, data_type: str) -> Iterator[sqlite3.Connection]:
        """Open the catalogue for questions about keys and hours of a type; UsageError if there is no such type."""
        self.finder.check_type(data_type)

        def count(path: str, day: str) -> Publication:
            return count_day_file(self.root, path, day, self.finder.find_type)

        with self.catalogue.open_counted(data_type, count) as connection:
            yield connection

    def _find_bounds(
        self, data_type: str, totals: list[Total], start: Time | None, stop: Time | None
    ) -> tuple[np.datetime64, np.datetime64]:
        """Find the times, datetime64[ns], from which and to which to look; to the last record includes it."""
        begin = self._as_utc(data_type, start) if start is not None else min((t.first for t in totals), default=None)
        end = self._as_utc(data_type, stop) if stop is not None else max((t.last for t in totals), default=None)
        if begin is None or end is None:  # no records, and no time that says where there are none
            begin = end = begin or end or np.datetime64(0, "ns")
        if end < begin and not (start is None or stop is None):
            raise TimeError(f"{stop} is before {start}")
        return begin, max(begin, end)

    def _as_utc(self, data_type: str, time: Any) -> np.datetime64:  # noqa: ANN401 - a Time
        """Convert a time, or a number of the type's clock, to datetime64[ns]."""
        if isinstance(time, int | float | np.integer | np.floating):
            clock = self.finder.find_newest(data_type).clock
            time = clock.to_datetime64(np.array([clock.number(time)]))[0]
        utc: np.datetime64 = as_utc(time).astype("datetime64[ns]")
        return utc
