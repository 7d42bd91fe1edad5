"""The clock of a data type: how its time field counts, and which day a record belongs to."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dayfile.errors import TimeError
from dayfile.model.instants import Time, read_instant
from dayfile.model.leap_seconds import FIRST_COUNTED, NANOSECONDS_A_DAY, SECOND, find_midnight, find_tai, find_utc

__all__ = ["FIRST_DAY", "LAST_DAY", "SECONDS_A_DAY", "Clock", "Scale", "Unit"]

Unit = Literal["d", "s", "ms", "us", "ns"]
Scale = Literal["utc", "tai", "gps", "tt"]

SECONDS_A_DAY = 86400
TICKS = {"d": NANOSECONDS_A_DAY, "s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
"""Nanoseconds of one tick."""
BEHIND_TAI = {"utc": 0, "tai": 0, "gps": 19_000_000_000, "tt": -32_184_000_000}
"""Nanoseconds that a scale is behind TAI: GPS time by 19 s since 1980-01-06, terrestrial time by -32.184 s (IAU 1991).
UTC differs by leap seconds instead."""
# Times outside these years are not times of an instrument; datetime64[ns] itself ends in 2262.
FIRST_DAY = np.datetime64("1900-01-01", "D")
LAST_DAY = np.datetime64("2261-12-31", "D")


@dataclass(frozen=True)
class Clock:
    """A count of ticks since an epoch.

    Inside, a time is an int64 of nanoseconds since 1970, in Unix time if the clock ignores leap seconds and in TAI if
    it counts them; see :mod:`dayfile.model.leap_seconds`.

    Parameters
    ----------
    epoch : numpy.datetime64
        Date and time of tick 0 in the scale, down to the nanosecond; see :meth:`problem`.
    unit : {'d', 's', 'ms', 'us', 'ns'}
        What one tick is; ``d`` is 86,400 s.
    leap_seconds : {'ignored', 'counted'}
        Of a clock in UTC. ``ignored``: every day has 86,400 s (Unix time). ``counted``: the clock runs on through leap
        seconds, so the day of one has 86,401 s.
    undefined : tuple of int
        Values that mean "no time": records that carry them are rejected.
    scale : {'utc', 'tai', 'gps', 'tt'}
        The time scale of the epoch. Clocks in any but UTC run on through leap seconds.
    day_begins : int
        Hours after midnight, 0 to 23, at which the day of a record begins: with 12, a night has one day.

    Examples
    --------
    Of a clock that counts leap seconds from 1996 on, second 57,801,601 is the first of 1997-10-31:

    >>> clock = Clock(np.datetime64("1996-01-01T00:00:00"), leap_seconds="counted")
    >>> clock.day_start(np.datetime64("1997-10-31"))
    57801601
    >>> clock.days(np.array([57801600, 57801601]))
    array(['1997-10-30', '1997-10-31'], dtype='datetime64[D]')

    The first second of 2017 by GPS time, which is 18 s ahead of UTC then:

    >>> Clock(np.datetime64("1980-01-06T00:00:00"), scale="gps").to_datetime64([1167264018])
    array(['2017-01-01T00:00:00.000000000'], dtype='datetime64[ns]')
    """

    epoch: np.datetime64
    unit: Unit = "s"
    leap_seconds: Literal["ignored", "counted"] = "ignored"
    undefined: tuple[int, ...] = ()
    scale: Scale = "utc"
    day_begins: int = 0

    def problem(self) -> str:
        """Return why this clock cannot give times; empty if it can.

        UTC and TAI differed by fractions of a second before 1972, so that no whole leap seconds can be counted from
        there.
        """
        if self.scale == "utc" and self.leap_seconds == "counted" and self.epoch < FIRST_COUNTED:
            return (
                "leap seconds are counted from 1972-01-01 on: choose an epoch after that, and add the seconds up to it "
                "to the times when they are decoded; or give the epoch in TAI, with 'scale: tai'"
            )
        return ""

    @property
    def runs_on(self) -> bool:
        """Return whether the clock runs on through leap seconds."""
        return self.scale != "utc" or self.leap_seconds == "counted"

    @property
    def tick(self) -> int:
        """Return the nanoseconds of one tick."""
        return TICKS[self.unit]

    @property
    def ticks(self) -> int | float:
        """Return the number of ticks per second."""
        return SECOND // self.tick if self.tick <= SECOND else SECOND / self.tick

    @cached_property
    def origin(self) -> int:
        """Return the time of tick 0, in nanoseconds."""
        since_1970 = int(self.epoch.astype("datetime64[ns]").astype(np.int64))
        if self.scale == "utc":
            return self.from_utc(since_1970)
        return since_1970 + BEHIND_TAI[self.scale]

    def from_utc(self, nanoseconds: int) -> int:
        """Return the time at which UTC reads so, in nanoseconds; both since 1970."""
        if not self.runs_on:
            return nanoseconds
        day, rest = divmod(nanoseconds, NANOSECONDS_A_DAY)
        return find_midnight(day) + rest

    def to_nanoseconds(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Return the times of clock values, in nanoseconds, of the same shape.

        Values of floats are rounded to the microsecond, except where a tick is that short. Values that are not
        :meth:`defined` give the times nearest to them that are.
        """
        array = np.asarray(values)
        return self._scale(array, np.rint) if array.dtype.kind == "f" else self._multiply(array)

    def _multiply(self, array: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the times of integers."""
        if array.dtype.itemsize > 4 or self.tick > SECOND:
            first, last = map(math.ceil, self.bounds)
            array = np.clip(array, first, last)
        return array.astype(np.int64) * self.tick + self.origin

    def _scale(self, array: npt.NDArray[Any], whole: np.ufunc) -> npt.NDArray[np.int64]:
        """Return the times of floats, in whole microseconds where a tick is longer than that."""
        first, last = self.bounds
        with np.errstate(invalid="ignore"):
            array = np.clip(np.nan_to_num(array.astype(np.float64), nan=first), first, last)
        step = 1_000 if self.tick > 1_000 else 1
        counts: npt.NDArray[np.int64] = whole(array * (self.tick // step)).astype(np.int64)
        return counts * step + self.origin

    def to_utc(self, nanoseconds: npt.NDArray[np.int64]) -> npt.NDArray[np.datetime64]:
        """Return UTC, datetime64[ns], of times in nanoseconds; in a leap second, the last nanosecond before it."""
        utc = find_utc(nanoseconds) if self.runs_on else nanoseconds
        return utc.astype("datetime64[ns]")

    def to_tai(self, nanoseconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return TAI, in nanoseconds since 1970, of times in nanoseconds."""
        return nanoseconds if self.runs_on else find_tai(nanoseconds)

    def in_leap_second(self, nanoseconds: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Find the times, in nanoseconds, that are in a leap second; none if the clock ignores them."""
        if not self.runs_on:
            return np.zeros(nanoseconds.shape, bool)
        utc = find_utc(nanoseconds)
        # Only times in a leap second have the Unix time of the nanosecond before.
        found: npt.NDArray[np.bool_] = find_utc(nanoseconds - 1) == utc
        return found

    def days(self, values: npt.ArrayLike) -> npt.NDArray[np.datetime64]:
        """Return the day of each clock value: in UTC, and from the hour on at which days begin.

        Parameters
        ----------
        values : array of int or float, shape (n,)
            Clock values; they must be :meth:`defined`.

        Returns
        -------
        numpy.ndarray of datetime64[D], shape (n,)
            A leap second 23:59:60 belongs to the day it ends.
        """
        array = np.asarray(values)
        # Rounded up, the last part of a day would be in the next.
        times = self._scale(array, np.floor) if array.dtype.kind == "f" else self._multiply(array)
        return self.date_of(self.to_utc(times))

    def date_of(self, times: npt.NDArray[np.datetime64]) -> npt.NDArray[np.datetime64]:
        """Return the days to which times in UTC belong, datetime64[D], of the same shape."""
        dates: npt.NDArray[np.datetime64] = (times - np.timedelta64(self.day_begins, "h")).astype("datetime64[D]")
        return dates

    def find_midnight(self, day: np.datetime64) -> int:
        """Return the time at which a UTC day begins, in nanoseconds."""
        number = int(day.astype("datetime64[D]").astype(np.int64))
        return find_midnight(number) if self.runs_on else number * NANOSECONDS_A_DAY

    def find_day_start(self, day: np.datetime64) -> int:
        """Return the time at which a day begins, in nanoseconds."""
        return self.find_midnight(day) + self.day_begins * 3600 * SECOND

    def day_start(self, day: np.datetime64) -> int | float:
        """Return the clock value at which a day begins."""
        return self._count(self.find_day_start(day))

    def _count(self, nanoseconds: int) -> int | float:
        """Return the clock value of a time: an integer if it is whole."""
        ticks, rest = divmod(nanoseconds - self.origin, self.tick)
        return ticks + rest / self.tick if rest else ticks

    def day_length(self, day: np.datetime64) -> int:
        """Return the seconds of a day: 86,400, or 86,401 where it has a counted leap second."""
        return (self.find_day_start(day + np.timedelta64(1, "D")) - self.find_day_start(day)) // SECOND

    @cached_property
    def bounds(self) -> tuple[int | float, int | float]:
        """Return the half-open range of valid clock values (years 1900 to 2261)."""
        return self._count(self.find_midnight(FIRST_DAY)), self._count(self.find_midnight(LAST_DAY))

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
        """Return UTC, datetime64[ns], of clock values; one in a leap second is the last nanosecond before it."""
        return self.to_utc(self.to_nanoseconds(values))

    def read(self, time: Time) -> int:
        """Return a time in nanoseconds.

        Parameters
        ----------
        time : str, datetime, date, numpy.datetime64, int or float
            ISO text and naive datetimes are UTC; numbers are clock values. ``23:59:60`` of a leap second is the second
            after ``23:59:59``; a clock that ignores leap seconds gives the midnight that follows.

        Raises
        ------
        TimeError
            The text is not an ISO date or time, or the number is not finite.

        Examples
        --------
        >>> Clock(np.datetime64("1970-01-01T00:00:00")).read("2017-02-26T07:26:04.5")
        1488093964500000000
        """
        refuse_other_kinds(time)
        if isinstance(time, int | float | np.integer | np.floating):
            if not math.isfinite(time):
                raise TimeError(f"{time} is not a time")
            return int(self.to_nanoseconds(np.clip(np.asarray(time), *self.bounds)))
        moment, leap = read_instant(time)
        day = moment.astype("datetime64[D]")
        if not FIRST_DAY <= day < LAST_DAY:
            return self.find_midnight(FIRST_DAY if day < FIRST_DAY else LAST_DAY)
        within = int((moment - day).astype("timedelta64[ns]").astype(np.int64))
        return self.find_midnight(day) + within + leap * SECOND

    def number(self, time: Time) -> int | float:
        """Return the clock value of a time, as :meth:`read` takes it; numbers are returned as they are.

        Raises
        ------
        TimeError
            The text is not an ISO date or time, or the number is not finite.

        Examples
        --------
        >>> Clock(np.datetime64("1970-01-01T00:00:00")).number("2017-02-26T07:26:04")
        1488093964
        """
        refuse_other_kinds(time)
        if isinstance(time, int | float | np.integer | np.floating):
            if not math.isfinite(time):
                raise TimeError(f"{time} is not a time")
            return time if isinstance(time, int | float) else time.item()
        return self._count(self.read(time))


def refuse_other_kinds(time: object) -> None:
    """Raise a TimeError for a difference of times, which is an integer to NumPy, and for a truth value."""
    if isinstance(time, np.timedelta64):
        raise TimeError(f"{time!r} is not a time but a difference of times")
    if isinstance(time, bool | np.bool_):
        raise TimeError(f"{time!r} is not a time but a truth value")
