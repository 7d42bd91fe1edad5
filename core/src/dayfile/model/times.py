"""How the time of a record is made of its fields.

The *count* of a record decides its day and its slot: a value of the type's clock. Its *whole time* is what times,
ranges and the order of records are made of: the count with its fraction, in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from dayfile.model.clock import LAST_DAY, Clock
from dayfile.model.leap_seconds import SECOND

__all__ = [
    "PER_SECOND",
    "TIME_WORDS",
    "Calendar",
    "Count",
    "Timing",
    "WholeTime",
]

PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": SECOND}
"""How many of a unit of fractions make a second."""
NO_DATE = np.iinfo(np.int64).min
"""The count of fields that are no date: outside the bounds of every clock."""


class WholeTime(Protocol):
    """A way in which fields make a time."""

    @property
    def field_names(self) -> tuple[str, ...]:
        """Return the names of the fields, the one of the count first."""
        ...

    @property
    def count_names(self) -> tuple[str, ...]:
        """Return the names of the fields of which the count is made."""
        ...

    def count(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[Any]:
        """Return the clock values that decide days and slots, shape (n,); not ``defined`` where fields make no time."""
        ...

    def is_in_order(self, records: npt.NDArray[Any]) -> bool:
        """Return whether records are seen at once to be in order of time; False if they have to be looked at."""
        ...

    def find(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[np.int64]:
        """Return the whole times in nanoseconds, as the clock's :meth:`Clock.to_nanoseconds` does, shape (n,)."""
        ...


TIME_WORDS = ("time", "times", "utc")
"""What people call the times of records where no field has such a name."""


@dataclass(frozen=True)
class Count:
    """A field that counts ticks of the clock, perhaps with a second one for the fraction.

    Parameters
    ----------
    field : str
        Name of the field that counts.
    fraction : str
        Name of the field that is added to it, or empty. Values that the clock has as ``undefined`` add
        nothing.
    per_second : int
        How many units of the fraction make a second.
    whole : str
        Name of a field that has the whole time already, in nanoseconds since the epoch, or empty. A
        record with 0 there, or a time outside the years of a clock, has none.

    Examples
    --------
    >>> clock = Clock(np.datetime64("1970-01-01T00:00:00"))
    >>> records = np.array([(5, 250), (6, 0)], [("second", "<u4"), ("milli", "<u2")])
    >>> Count("second", "milli", per_second=1_000).find(records, clock)
    array([5250000000, 6000000000])
    """

    field: str
    fraction: str = ""
    per_second: int = SECOND
    whole: str = ""

    @property
    def field_names(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        return tuple(name for name in (self.field, self.fraction, self.whole) if name)

    @property
    def count_names(self) -> tuple[str, ...]:
        """Return the name of the field that counts."""
        return (self.field,)

    def count(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[Any]:  # noqa: ARG002
        """Return the values of the field that counts."""
        values: npt.NDArray[Any] = records[self.field]
        return values

    def is_in_order(self, records: npt.NDArray[Any]) -> bool:
        """Return whether the counts increase, and no fraction makes a tick of a second or less longer."""
        counts = np.ascontiguousarray(records[self.field])  # which is compared in half the time
        if self.whole or counts.dtype.kind == "f" or not (counts[1:] > counts[:-1]).all():
            return False
        if not self.fraction or not len(records):
            return True
        fractions = np.ascontiguousarray(records[self.fraction])
        return fractions.dtype.kind == "u" and int(fractions.max()) < self.per_second

    def find(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[np.int64]:
        """Return the whole times in nanoseconds."""
        times = clock.to_nanoseconds(records[self.field])
        if self.fraction:
            times = times + find_fractions(records[self.fraction], self.per_second, clock)
        if self.whole:
            wholes = records[self.whole]
            there = (wholes > 0) & (wholes < clock.find_midnight(LAST_DAY) - clock.origin)
            times = np.where(there, wholes.astype(np.int64) + clock.origin, times)
        return times

    def contradicts(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[np.bool_]:
        """Find the records whose whole time is not that of count and fraction, shape (n,).

        A fraction that is too long for its field, and wrapped around, is no contradiction. Without an integer for the
        fraction, nothing can be compared.

        Examples
        --------
        >>> clock = Clock(np.datetime64("1970-01-01T00:00:00"))
        >>> form = [("second", "<u4"), ("nano", "<u4"), ("both", "<u8")]
        >>> records = np.array([(5, 3, 5_000_000_003), (5, 3, 0), (5, 3, 1)], form)
        >>> Count("second", "nano", whole="both").contradicts(records, clock)
        array([False, False,  True])
        """
        if not (self.whole and self.fraction and records[self.fraction].dtype.kind in "iu"):
            return np.zeros(records.shape, bool)
        fractions, wholes, unit = records[self.fraction], records[self.whole], SECOND // self.per_second
        made = (
            clock.to_nanoseconds(records[self.field]) - clock.origin + find_fractions(fractions, self.per_second, clock)
        )
        length = min(unit << 8 * fractions.dtype.itemsize, 2**62)
        found: npt.NDArray[np.bool_] = (wholes != 0) & ((wholes.astype(np.int64) - made) % length >= unit)
        return found & ~clock.marked(fractions)


@dataclass(frozen=True)
class Calendar:
    """Fields that hold the parts of a date, and of the time of its day; in UTC.

    Parameters
    ----------
    year, month, day : str
        Names of fields; month and day count from 1.
    hour, minute, second : str
        Names of fields; empty for parts that the records do not have, which are 0. A second may be 60 in a leap second.
    fraction : str
        Name of the field that is added, or empty.
    per_second : int
        How many units of the fraction make a second.

    Examples
    --------
    >>> clock = Clock(np.datetime64("1970-01-01T00:00:00"))
    >>> records = np.array([(2024, 5, 1), (2024, 13, 1)], [("year", "<u2"), ("month", "u1"), ("day", "u1")])
    >>> clock.defined(Calendar("year", "month", "day").count(records, clock))
    array([ True, False])
    """

    year: str
    month: str
    day: str
    hour: str = ""
    minute: str = ""
    second: str = ""
    fraction: str = ""
    per_second: int = SECOND

    @property
    def field_names(self) -> tuple[str, ...]:
        """Return the names of the fields."""
        return (*self.count_names, self.fraction) if self.fraction else self.count_names

    @property
    def count_names(self) -> tuple[str, ...]:
        """Return the names of the fields of date and time, without the fraction."""
        return tuple(name for name in (self.year, self.month, self.day, self.hour, self.minute, self.second) if name)

    def count(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[Any]:
        """Return clock values of the date and time without the fraction, int64 or float64."""
        zeros = np.zeros(records.shape, np.int64)
        year, month, day, hour, minute, second = (
            records[name].astype(np.int64) if name else zeros
            for name in (self.year, self.month, self.day, self.hour, self.minute, self.second)
        )
        good = (year >= 1900) & (year < 2262) & (month >= 1) & (month <= 12) & (day >= 1)
        good &= (hour >= 0) & (hour < 24) & (minute >= 0) & (minute < 60) & (second >= 0) & (second <= 60)
        months = np.where(good, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
        days = months.astype("datetime64[D]") + np.where(good, day - 1, 0).astype("timedelta64[D]")
        good &= days.astype("datetime64[M]") == months  # no 30 February
        unique, inverse = np.unique(days, return_inverse=True)
        clock = replace(clock, day_begins=0)  # of a date in a record
        starts = np.array([clock.day_start(each) for each in unique])[inverse.reshape(days.shape)]
        lengths = np.array([clock.day_length(each) for each in unique])[inverse.reshape(days.shape)]
        seconds = hour * 3600 + minute * 60 + second
        good &= (second < 60) | (seconds <= lengths - (1 if clock.runs_on else 0)) & (hour == 23) & (minute == 59)
        counts = starts + seconds * clock.ticks
        return np.where(good, counts, NO_DATE)

    def is_in_order(self, records: npt.NDArray[Any]) -> bool:  # noqa: ARG002
        """Return False: dates have to be looked at."""
        return False

    def find(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[np.int64]:
        """Return the whole times in nanoseconds."""
        times = clock.to_nanoseconds(self.count(records, clock))
        return times + find_fractions(records[self.fraction], self.per_second, clock) if self.fraction else times


def find_fractions(values: npt.NDArray[Any], per_second: int, clock: Clock) -> npt.NDArray[np.int64]:
    """Return nanoseconds of fractions of a second, 0 for those that the clock has as undefined."""
    if values.dtype.kind == "f":
        finite = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        nanoseconds = np.rint(finite * (SECOND / per_second)).astype(np.int64)
    else:
        step, rest = divmod(SECOND, per_second)
        counts = values.astype(np.int64)
        nanoseconds = counts * SECOND // per_second if rest else counts * step
    return np.where(clock.marked(values), 0, nanoseconds) if clock.undefined else nanoseconds


@dataclass(frozen=True)
class Timing:
    """From when to when a record is valid, by its fields.

    Parameters
    ----------
    time : Count or Calendar
        When it begins.
    end : Count or Calendar, optional
        Its last moment, for a type that has an end stamp.
    begins : {'moment', 'tick'}
        ``tick``: with a bound that is a whole tick of the clock, a record begins at the start of its own tick; the
        fraction matters only where the bound has one.
    """

    time: Count | Calendar
    end: Count | Calendar | None = None
    begins: Literal["moment", "tick"] = "moment"

    @property
    def is_composed(self) -> bool:
        """Return whether more than one field makes a time, or ``begins`` says something."""
        single = all(isinstance(stamp, Count) and len(stamp.field_names) == 1 for stamp in self.stamps)
        return not single or self.begins != "moment"

    def contradicts(self, records: npt.NDArray[Any], clock: Clock) -> npt.NDArray[np.bool_]:
        """Find the records that have two times for one, shape (n,); see :meth:`Count.contradicts`."""
        each = [stamp.contradicts(records, clock) for stamp in self.stamps if isinstance(stamp, Count)]
        return np.any(each, axis=0) if each else np.zeros(records.shape, bool)

    def describe_contradictions(self, records: npt.NDArray[Any], clock: Clock) -> list[str]:
        """Describe an example of each contradiction."""
        found = []
        for stamp in self.stamps:
            if isinstance(stamp, Count) and (wrong := records[stamp.contradicts(records, clock)]).size:
                made = f"{stamp.field} {wrong[stamp.field][0]} and {stamp.fraction} {wrong[stamp.fraction][0]}"
                found.append(f"{stamp.whole} is {wrong[stamp.whole][0]}, which contradicts {made}")
        return found

    @property
    def stamps(self) -> tuple[Count | Calendar, ...]:
        """Return ``time``, and ``end`` if there is one."""
        return (self.time, self.end) if self.end else (self.time,)

    @property
    def field_names(self) -> tuple[str, ...]:
        """Return the names of all fields that times are made of."""
        return tuple(name for stamp in self.stamps for name in stamp.field_names)
