"""Coverage: how many records there are in each hour, day, month or year, from the counts of the catalogue."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue_rows import HOURS
from dayfile.archive.description import Total
from dayfile.archive.keys import order_totals
from dayfile.archive.tallies import sum_days, sum_hours
from dayfile.errors import UsageError
from dayfile.messages import suggest

__all__ = ["Period", "check_period", "sum_coverage"]

Period = Literal["hour", "day", "month", "year"]
PERIOD_UNITS = {"hour": "h", "day": "D", "month": "M", "year": "Y"}
"""The periods, as NumPy calls them."""
SUM_FIELDS = [("records", np.int64), ("hours", np.int64)]


def check_period(by: str) -> None:
    """Raise a UsageError for what is not a :data:`Period`."""
    if by not in get_args(Period):
        raise UsageError(f"coverage cannot be given by {by!r}{suggest(by, get_args(Period))}")


def sum_coverage(
    connection: sqlite3.Connection,
    totals: Sequence[Total],
    start: np.datetime64,
    stop: np.datetime64,
    *,
    by: Period,
    per_key: bool,
    day_begins: int = 0,
) -> npt.NDArray[np.void]:
    """Sum the records of some keys by period.

    Parameters
    ----------
    connection : sqlite3.Connection
        To a catalogue in which they are counted.
    totals : sequence of Total
        The keys.
    start, stop : numpy.datetime64
        From the period that holds ``start`` to the one before which, or in which, ``stop`` is.
    by : {'hour', 'day', 'month', 'year'}
        The periods.
    per_key : bool
        Whether to sum each key by itself.
    day_begins : int
        Hours after midnight at which days begin.

    Returns
    -------
    structured array, shape (n,)
        As :meth:`dayfile.Archive.coverage` returns it.
    """
    shift = np.timedelta64(day_begins, "h")
    periods = list_periods(start, stop, by) if by == "hour" else list_periods(start - shift, stop - shift, by)
    totals = order_totals(totals) if per_key else list(totals)
    places = {total.series: place for place, total in enumerate(totals)} if per_key else {0: 0}
    sums = np.zeros((len(places), len(periods)), SUM_FIELDS)
    if len(periods) and totals:
        series = [total.series for total in totals]
        fill = fill_hours if by == "hour" else fill_periods
        counted = periods - shift if by == "hour" else periods  # the catalogue has hours from the start of the day
        fill(sums, connection, series, places, counted, per_key=per_key)
    return tabulate(totals if per_key else [], periods, sums)


def list_periods(start: np.datetime64, stop: np.datetime64, by: Period) -> npt.NDArray[np.datetime64]:
    """List the periods that have a part between two times; they are in the unit of the period."""
    unit = f"datetime64[{PERIOD_UNITS[by]}]"
    first, end = start.astype(unit), stop.astype(unit)
    periods: npt.NDArray[np.datetime64] = np.arange(first, end if end == stop else end + 1, dtype=unit)
    return periods


def fill_periods(
    sums: npt.NDArray[np.void],
    connection: sqlite3.Connection,
    series: list[int],
    places: dict[int, int],
    periods: npt.NDArray[np.datetime64],
    *,
    per_key: bool,
) -> None:
    """Fill in what days, months or years have; ``sums`` has a row for each key and a column for each period."""
    days = str(periods[0].astype("datetime64[D]")), str((periods[-1] + 1).astype("datetime64[D]"))
    letters = len(str(periods[0]))  # the beginning of an ISO date
    rows = sum_days(connection, series, *days, letters=letters, per_key=per_key)
    if rows:
        who, names, records, hours = zip(*rows, strict=True)
        which = (np.array(names, periods.dtype) - periods[0]).astype(np.int64)
        row = [places[each] for each in who]
        sums["records"][row, which], sums["hours"][row, which] = records, hours


def fill_hours(
    sums: npt.NDArray[np.void],
    connection: sqlite3.Connection,
    series: list[int],
    places: dict[int, int],
    periods: npt.NDArray[np.datetime64],
    *,
    per_key: bool,
) -> None:
    """Fill in what hours have: the rows of the catalogue are days of 24 hours, of which those asked for are cut out."""
    first, end = periods[0].astype("datetime64[D]"), periods[-1].astype("datetime64[D]") + 1
    rows = sum_hours(connection, series, str(first), str(end), per_key=per_key)
    if rows:
        days = (np.array([row[1] for row in rows], "datetime64[D]") - first).astype(np.int64)
        counts = np.zeros((len(places), int((end - first).astype(np.int64)), HOURS), np.int64)
        counts[[places[row[0]] for row in rows], days] = np.array([row[4:] for row in rows])
        skip = int((periods[0] - first).astype("timedelta64[h]").astype(np.int64))
        sums["records"] = counts.reshape(len(places), -1)[:, skip : skip + len(periods)]
        sums["hours"] = sums["records"] > 0


def tabulate(
    totals: Sequence[Total], periods: npt.NDArray[np.datetime64], sums: npt.NDArray[np.void]
) -> npt.NDArray[np.void]:
    """Make the table of periods, keys and sums; without keys the periods alone."""
    names = totals[0].key if totals else ()
    columns = {name: np.array([total.key[name] for total in totals]) for name in names}
    dtype = [("time", "datetime64[ns]"), *((name, column.dtype) for name, column in columns.items()), *SUM_FIELDS]
    table = np.zeros(sums.shape, dtype)
    table["time"] = periods
    for name, column in columns.items():
        table[name] = column[:, None]
    for name, _ in SUM_FIELDS:
        table[name] = sums[name]
    return table.ravel()
