"""Dates and times of day in parts: year, month, day or day of the year, hour, minute, second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from dayfile.model.leap_seconds import NANOSECONDS_A_DAY, SECOND, has_leap_second
from dayfile.stages.base import Columns, Wrong
from dayfile.timing.digits import Int64, Mask
from dayfile.timing.parts import Addend

__all__ = ["PART_BOUNDS", "Dates", "Shown", "divide_dates", "join_dates", "pass_leap_seconds"]

FIRST_OF_DATES, LAST_OF_DATES = 1900, 2261
PART_BOUNDS = {
    "year": (FIRST_OF_DATES, LAST_OF_DATES),
    "month": (1, 12),
    "day": (1, 31),
    "day_of_year": (1, 366),
    "hour": (0, 23),
    "minute": (0, 59),
    "second": (0, 60),
}
"""The least and the greatest of each part; a second is 60 in a leap second only."""
LAST_SECOND = 59


@dataclass(frozen=True)
class Shown:
    """What a clock shows.

    Parameters
    ----------
    times : array of int64, shape (n,)
        Nanoseconds since 1970-01-01T00:00:00 as the clock shows it, with second 60 as 59.
    leaps : array of bool, shape (n,), optional
        The rows whose second is 60.
    ahead : array of int64, shape (n,), optional
        Nanoseconds that the clock is ahead of UTC, where the row itself says so.
    explicit : array of bool, shape (n,), optional
        The rows that say so.
    """

    times: Int64
    leaps: Mask | None = None
    ahead: Int64 | None = None
    explicit: Mask | None = None


@dataclass(frozen=True)
class Dates:
    """Columns for the parts of a date, and of the time of its day.

    Parameters
    ----------
    parts : mapping of str to str
        Names of columns by the part that they hold, a key of ``PART_BOUNDS``: a year, with either month and day or the
        day of the year. Parts of the time of day that are left out are 0. Int64, or texts of digits; a second may
        have decimals.

    Examples
    --------
    >>> wrong = Wrong.none(2)
    >>> dates = Dates({"year": "year", "day_of_year": "doy"})
    >>> shown = dates.read({"year": np.array(["2024", "2023"]), "doy": np.array([366, 366])}, 2, wrong)
    >>> shown.times[:1].astype("datetime64[ns]").astype("datetime64[D]")
    array(['2024-12-31'], dtype='datetime64[D]')
    >>> wrong.reasons
    {1: 'day_of_year must be in 1..365, not 366'}
    """

    parts: Mapping[str, str]
    is_moment = False

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        return tuple(self.parts.values())

    def read(self, columns: Columns, count: int, wrong: Wrong) -> Shown:
        """Read what the clock shows in n rows."""
        values, rests = {}, np.zeros(count, np.int64)
        for part, name in self.parts.items():
            length = Addend(name).read(columns, count, wrong)
            if length.values.dtype.kind == "f" or length.rest is not None:
                seconds = length.nanoseconds()
                values[part], rest = seconds // SECOND, seconds % SECOND
                if part == "second":
                    rests = rest
                else:
                    wrong.add(rest != 0, f"{part} is not a whole number")
            else:
                values[part] = np.clip(length.values, -1, LAST_OF_DATES + 1).astype(np.int64)
        return join_dates(values, rests, wrong)

    def write(self, times: Int64) -> tuple[Columns, Int64]:
        """Write what a clock shows, in columns; return what is left behind the last part, too."""
        values = divide_dates(times)
        columns: Columns = {name: values[part] for part, name in self.parts.items()}
        length = next((length for part, length in PART_LENGTHS.items() if part in self.parts), NANOSECONDS_A_DAY)
        return columns, times % length


PART_LENGTHS = {"second": SECOND, "minute": 60 * SECOND, "hour": 3600 * SECOND}
"""Nanoseconds of the parts of a day, the shortest first."""


@cache
def list_months() -> tuple[Int64, Int64]:
    """List the first days of all months, numbered from 1970 on, and the lengths of the months."""
    months = np.arange(f"{FIRST_OF_DATES}-01", f"{LAST_OF_DATES + 1}-02", dtype="datetime64[M]")
    firsts = months.astype("datetime64[D]").astype(np.int64)
    return firsts, np.diff(firsts)


def join_dates(values: Mapping[str, Int64], rests: Int64, wrong: Wrong) -> Shown:
    """Join the parts of dates to times.

    Parameters
    ----------
    values : mapping of str to array of int64, shape (n,)
        Parts by their names, as in :class:`Dates`.
    rests : array of int64, shape (n,)
        Nanoseconds that are added.
    wrong : Wrong
        Where rows are noted that are no dates or times.
    """
    good = {
        part: limit_part(part, values[part], bounds, wrong) for part, bounds in PART_BOUNDS.items() if part in values
    }
    firsts, lengths = list_months()
    months = (good["year"] - FIRST_OF_DATES) * 12
    if "day_of_year" in good:
        last = firsts[months + 12] - firsts[months]
        days = firsts[months] + limit_day("day_of_year", good["day_of_year"], last, wrong) - 1
    else:
        months += good["month"] - 1
        days = firsts[months] + limit_day("day", good["day"], lengths[months], wrong) - 1
    times = days * NANOSECONDS_A_DAY + rests
    for part, length in PART_LENGTHS.items():
        if part in good:
            times += np.minimum(good[part], LAST_SECOND) * length
    leaps = good["second"] > LAST_SECOND if "second" in good else None
    return Shown(times, leaps if leaps is not None and leaps.any() else None)


def limit_part(part: str, values: Int64, bounds: tuple[int, int], wrong: Wrong) -> Int64:
    """Note values of a part that no date has as wrong, and return the least one in their place."""
    least, last = bounds
    if not values.size or (values.min() >= least and values.max() <= last):
        return values
    bad = (values < least) | (values > last)
    shown = f"{least}..{last if part != 'second' else LAST_SECOND}"
    wrong.add(bad, lambda row: f"{part} must be in {shown}, not {values[row]}")
    return np.where(bad, least, values)


def limit_day(part: str, days: Int64, lasts: Int64, wrong: Wrong) -> Int64:
    """Note days behind the end of their month or year as wrong, and return the first in their place."""
    bad = days > lasts
    if not bad.any():
        return days
    wrong.add(bad, lambda row: f"{part} must be in 1..{lasts[row]}, not {days[row]}")
    return np.where(bad, 1, days)


def divide_dates(times: Int64) -> dict[str, Int64]:
    """Divide times into the parts of their dates, and of the time of day: int64 by the names of the parts."""
    days = times.astype("datetime64[ns]").astype("datetime64[D]")
    months, years = days.astype("datetime64[M]"), days.astype("datetime64[Y]")
    within = times % NANOSECONDS_A_DAY
    return {
        "year": years.astype(np.int64) + 1970,
        "month": months.astype(np.int64) % 12 + 1,
        "day": (days - months.astype("datetime64[D]")).astype(np.int64) + 1,
        "day_of_year": (days - years.astype("datetime64[D]")).astype(np.int64) + 1,
        "hour": within // PART_LENGTHS["hour"],
        "minute": within // PART_LENGTHS["minute"] % 60,
        "second": within // SECOND % 60,
    }


def pass_leap_seconds(times: Int64, whole: Int64, leaps: Mask, utc: Int64, wrong: Wrong) -> Int64:
    """Return times whose second 60 was taken for 59 so far: in a leap second, the last nanosecond before its end.

    Parameters
    ----------
    times, whole : arrays of int64, shape (n,)
        The times with what was added to them, and without that.
    leaps : array of bool, shape (n,)
        The rows whose second is 60.
    utc : array of int64, shape (n,)
        The times in UTC, without what was added.
    wrong : Wrong
        Where rows are noted for whose second 60 no leap second is known.
    """
    found = np.zeros(leaps.shape, bool)
    for row in np.flatnonzero(leaps).tolist():
        day, of_day = divmod(int(utc[row]), NANOSECONDS_A_DAY)
        found[row] = of_day // SECOND == NANOSECONDS_A_DAY // SECOND - 1 and has_leap_second(np.datetime64(day, "D"))
    wrong.add(leaps & ~found, "second must be in 0..59, not 60: no leap second is known there")
    starts = whole - whole % SECOND
    before, within = times < starts, times < starts + SECOND
    passed = np.where(before, times + SECOND, np.where(within, starts + SECOND - 1, times))
    return np.where(leaps & found, passed, times)
