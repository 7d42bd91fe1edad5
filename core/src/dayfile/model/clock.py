"""The clock of a data type: how its time field counts, and which day a record belongs to."""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.errors import TimeError

__all__ = ["Clock", "Time", "as_utc", "parse_day"]

Time = str | int | float | np.integer[Any] | np.floating[Any] | dt.datetime | dt.date | np.datetime64
"""What is accepted where a time is asked for: ISO text, a datetime, ``numpy.datetime64``, or a number of the clock."""

SECONDS_A_DAY = 86400
ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)([T ](?P<clock>\d\d:\d\d(:\d\d(\.\d{1,9})?)?))?"
    r"(Z|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?"
)
TICKS = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}
# Times outside these years are not times of an instrument; datetime64[ns] itself ends in 2262.
FIRST_DAY = np.datetime64("1900-01-01", "D")
FIRST_COUNTED = np.datetime64("1972-01-01", "D")
LAST_DAY = np.datetime64("2261-12-31", "D")


@cache
def read_leap_seconds() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read from pyerfa's table the days (since 1970) from which a value of TAI - UTC holds, and the values in seconds.

    The table begins in 1972: before, UTC had no whole leap seconds.
    """
    import erfa

    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]
    days = [np.datetime64(f"{row['year']:04d}-{row['month']:02d}-01", "D").astype(np.int64) for row in table]
    return np.array(days, np.int64), np.array([round(float(row["tai_utc"])) for row in table], np.int64)


@dataclass(frozen=True)
class Clock:
    """A count of ticks since an epoch.

    Parameters
    ----------
    epoch : numpy.datetime64
        UTC date and time of tick 0, to the second; see :meth:`problem`.
    unit : {'s', 'ms', 'us', 'ns'}
        What one tick is.
    leap_seconds : {'ignored', 'counted'}
        ``ignored``: every day has 86,400 s (Unix time). ``counted``: the clock runs on through leap seconds, so the
        day of one has 86,401 s.
    undefined : tuple of int
        Values that mean "no time": records that carry them are rejected.

    Examples
    --------
    Of a clock that counts leap seconds from 1996 on, second 57,801,601 is the first of 1997-10-31:

    >>> clock = Clock(np.datetime64("1996-01-01T00:00:00"), leap_seconds="counted")
    >>> clock.day_start(np.datetime64("1997-10-31"))
    57801601
    >>> clock.days(np.array([57801600, 57801601]))
    array(['1997-10-30', '1997-10-31'], dtype='datetime64[D]')
    """

    epoch: np.datetime64
    unit: Literal["s", "ms", "us", "ns"] = "s"
    leap_seconds: Literal["ignored", "counted"] = "ignored"
    undefined: tuple[int, ...] = ()

    def problem(self) -> str:
        """Return why this clock cannot give times; empty if it can.

        UTC and TAI differed by fractions of a second before 1972, so that no whole leap seconds can be counted from
        there: an epoch of TAI in 1958 or 1970 would be 10 s off.
        """
        if self.epoch != self.epoch.astype("datetime64[s]"):
            return "an epoch is a whole second: choose one, and add the fraction to the times when they are decoded"
        if self.leap_seconds == "counted" and self.epoch < FIRST_COUNTED:
            return (
                "leap seconds are counted from 1972-01-01 on: choose an epoch after that, and add the seconds up to it "
                "to the times when they are decoded"
            )
        return ""

    @property
    def ticks(self) -> int:
        """Return the number of ticks per second."""
        return TICKS[self.unit]

    def _steps(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the clock seconds at which the number of leap seconds since the epoch changes, and the new number."""
        days, offsets = read_leap_seconds()
        epoch = int(self.epoch.astype("datetime64[s]").astype(np.int64))
        # Before 1972 UTC had no leap seconds: the count of 1972 holds.
        since = offsets - offsets[max(int(np.searchsorted(days, epoch // SECONDS_A_DAY, side="right")) - 1, 0)]
        starts = days * SECONDS_A_DAY - epoch + since
        starts[0] = np.iinfo(np.int64).min
        return starts, since

    def seconds_since_1970(self, values: npt.ArrayLike) -> npt.NDArray[Any]:
        """Return the Unix time (UTC seconds since 1970) of clock values; float64 for float input, else int64."""
        array = np.asarray(values)
        seconds = array / self.ticks if array.dtype.kind == "f" else array.astype(np.int64) // self.ticks
        if self.leap_seconds == "counted":
            starts, since = self._steps()
            step = np.searchsorted(starts, np.floor(seconds).astype(np.int64), side="right") - 1
            seconds = seconds - since[step]
        utc: npt.NDArray[Any] = seconds + self.epoch.astype("datetime64[s]").astype(np.int64)
        return utc

    def days(self, values: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
        """Return the UTC day of each clock value.

        Parameters
        ----------
        values : array of int or float, shape (n,)
            Clock values; they must be :meth:`defined`.

        Returns
        -------
        numpy.ndarray of datetime64[D], shape (n,)
            A leap second 23:59:60 belongs to the day it ends.
        """
        days: npt.NDArray[np.int64] = np.floor_divide(self.seconds_since_1970(values), SECONDS_A_DAY).astype(np.int64)
        if self.leap_seconds == "counted":
            # During 23:59:60 the subtraction above yields the next midnight: such a value is before the start of the
            # day it was assigned.
            array = np.asarray(values)
            unique, inverse = np.unique(days, return_inverse=True)
            starts = np.array([self.day_start(np.datetime64(int(day), "D")) for day in unique])
            days = days - (array < starts[inverse.reshape(array.shape)])
        found: npt.NDArray[np.datetime64] = days.astype("datetime64[D]")
        return found

    def day_start(self, day: np.datetime64) -> int:
        """Return the clock value of the first tick of a UTC day."""
        number = int(day.astype("datetime64[D]").astype(np.int64))
        seconds = number * SECONDS_A_DAY - int(self.epoch.astype("datetime64[s]").astype(np.int64))
        if self.leap_seconds == "counted":
            days, _ = read_leap_seconds()
            _, since = self._steps()
            seconds += int(since[max(int(np.searchsorted(days, number, side="right")) - 1, 0)])
        return seconds * self.ticks

    def day_length(self, day: np.datetime64) -> int:
        """Return the seconds of a UTC day: 86,400, or 86,401 where a counted leap second ends it."""
        day = day.astype("datetime64[D]")
        return (self.day_start(day + np.timedelta64(1, "D")) - self.day_start(day)) // self.ticks

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """Return the half-open range of valid clock values (years 1900 to 2261)."""
        return self.day_start(FIRST_DAY), self.day_start(LAST_DAY)

    def defined(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Find the clock values that are times: finite, not one of ``undefined``, between the years 1900 and 2261."""
        array = np.asarray(values)
        first, last = self.bounds
        with np.errstate(invalid="ignore"):
            good: npt.NDArray[np.bool_] = (array >= first) & (array < last)
        return good & ~self.marked(array)

    def marked(self, values: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Find the clock values that are one of ``undefined``."""
        array = np.asarray(values)
        marked = np.zeros(array.shape, bool)
        for value in self.undefined:
            marked |= array == value
        return marked

    def to_datetime64(self, values: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
        """Return UTC times, datetime64[ns], of the same shape; a leap second shows as the midnight that follows it."""
        array = np.asarray(values)
        if array.dtype.kind == "f":
            nanoseconds = np.round(self.seconds_since_1970(array) * 1e6).astype(np.int64) * 1000
        else:
            rest = array.astype(np.int64) % self.ticks * (TICKS["ns"] // self.ticks)
            nanoseconds = self.seconds_since_1970(array) * TICKS["ns"] + rest
        return nanoseconds.astype("datetime64[ns]")

    def number(self, time: Time) -> int | float:
        """Return the clock value of a time.

        Parameters
        ----------
        time : str, datetime, date, numpy.datetime64, int or float
            ISO text and naive datetimes are UTC; numbers are clock values already and are returned as they are.

        Raises
        ------
        TimeError
            The text is not an ISO date or time, or the number is not finite.

        Examples
        --------
        >>> Clock(np.datetime64("1970-01-01T00:00:00")).number("2017-02-26T07:26:04")
        1488093964
        """
        if isinstance(time, int | float | np.integer | np.floating):
            if not math.isfinite(time):
                raise TimeError(f"{time} is not a time")
            return time if isinstance(time, int | float) else time.item()
        moment = as_utc(time)
        day = moment.astype("datetime64[D]")
        within = int((moment - day).astype("timedelta64[ns]").astype(np.int64))
        per_tick = TICKS["ns"] // self.ticks
        start = self.day_start(day)
        return start + within // per_tick if within % per_tick == 0 else start + within / per_tick


def as_utc(time: str | dt.datetime | dt.date | np.datetime64) -> np.datetime64:
    """Convert a time to datetime64, UTC, in days or finer; ISO text without an offset and naive datetimes are UTC.

    Raises
    ------
    TimeError
        It is not a time.

    Examples
    --------
    >>> as_utc("2017-02-26T08:00+01:00")
    np.datetime64('2017-02-26T07:00')
    """
    try:
        if isinstance(time, dt.datetime) and time.tzinfo is not None:
            time = time.astimezone(dt.UTC).replace(tzinfo=None)
        moment = parse_iso(time) if isinstance(time, str) else np.datetime64(time)
    except (ValueError, TypeError, OverflowError) as error:
        message = f"{time!r} is not a time; write an ISO date or time such as 1997-10-31 or 1997-10-31T12:00:00"
        raise TimeError(message) from error
    if np.isnat(moment):
        raise TimeError("NaT is not a time")
    return moment if moment.dtype != "datetime64[Y]" else moment.astype("datetime64[D]")


def parse_iso(text: str) -> np.datetime64:
    """Parse ISO text to a time, shifted to UTC; ValueError if it is not one."""
    match = ISO.fullmatch(text)
    if match is None:
        raise ValueError(text)
    moment = np.datetime64(f"{match['date']}T{match['clock']}" if match["clock"] else match["date"])
    if moment.astype("datetime64[D]") != np.datetime64(match["date"]):
        raise ValueError(text)  # out of the range of nanoseconds, where NumPy wraps
    if match["hours"]:
        sign = -1 if match["sign"] == "-" else 1
        moment = moment - sign * np.timedelta64(60 * int(match["hours"]) + int(match["minutes"] or 0), "m")
    return moment


def parse_day(text: str) -> np.datetime64:
    """Parse ISO text to a day, datetime64[D].

    Raises
    ------
    TimeError
        The text is not an ISO date.

    Examples
    --------
    >>> parse_day("1997-10-31")
    np.datetime64('1997-10-31')
    """
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise TimeError(f"{text!r} is not a day; write an ISO date such as 1997-10-31") from error
    return np.datetime64(day, "D")
