"""Leap seconds: TAI - UTC, from pyerfa's table.

Two scales are used inside. In **Unix time** every day has 86,400 s, and a leap second is not distinguished from the
second after it. In **TAI** every second counts. Both are written as int64 nanoseconds since 1970-01-01T00:00:00 of the
scale. Before 1972 UTC had no whole leap seconds; the 10 s of 1972 are used for earlier times.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["FIRST_COUNTED", "SECOND", "find_midnight", "find_tai", "find_utc", "has_leap_second"]

SECOND = 1_000_000_000
NANOSECONDS_A_DAY = 86_400 * SECOND
FIRST_COUNTED = np.datetime64("1972-01-01", "D")
"""Before this day UTC and TAI differed by fractions of a second."""


@cache
def read_leap_seconds() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Read the days (since 1970) from which a value of TAI - UTC holds, and the values in seconds."""
    import erfa

    table = erfa.leap_seconds.get()
    table = table[table["year"] >= 1972]
    days = [np.datetime64(f"{row['year']:04d}-{row['month']:02d}-01", "D").astype(np.int64) for row in table]
    return np.array(days, np.int64), np.array([round(float(row["tai_utc"])) for row in table], np.int64)


@cache
def find_steps() -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return TAI from which each offset holds, the offsets, and the last Unix time before the next; nanoseconds."""
    days, seconds = read_leap_seconds()
    starts = (days * 86_400 + seconds) * SECOND
    starts[0] = np.iinfo(np.int64).min
    lasts = np.append(days[1:] * NANOSECONDS_A_DAY - 1, np.iinfo(np.int64).max)
    return starts, seconds * SECOND, lasts


def find_midnight(day: int) -> int:
    """Return the TAI at which a UTC day (its number since 1970) begins, in nanoseconds."""
    days, seconds = read_leap_seconds()
    step = max(int(np.searchsorted(days, day, side="right")) - 1, 0)
    return day * NANOSECONDS_A_DAY + int(seconds[step]) * SECOND


def find_utc(tai: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the Unix time of TAI, both in nanoseconds; a time in a leap second is the last nanosecond before it."""
    starts, offsets, lasts = find_steps()
    tai = np.asarray(tai)
    # Mostly all times are between the same two leap seconds, and none has to be looked up.
    first, last = np.searchsorted(starts, [tai.min(), tai.max()] if tai.size else [0, 0], side="right") - 1
    step = first if first == last else np.searchsorted(starts, tai, side="right") - 1
    utc: npt.NDArray[np.int64] = np.minimum(tai - offsets[step], lasts[step])
    return utc


def find_tai(unix: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the TAI of Unix times, both in nanoseconds; a leap second has no Unix time."""
    days, seconds = read_leap_seconds()
    step = np.maximum(np.searchsorted(days, unix // NANOSECONDS_A_DAY, side="right") - 1, 0)
    tai: npt.NDArray[np.int64] = unix + seconds[step] * SECOND
    return tai


def has_leap_second(day: np.datetime64) -> bool:
    """Return whether a UTC day ends with a leap second.

    Examples
    --------
    >>> has_leap_second(np.datetime64("2016-12-31")), has_leap_second(np.datetime64("2017-12-31"))
    (True, False)
    """
    number = int(day.astype("datetime64[D]").astype(np.int64))
    return (
        number >= int(FIRST_COUNTED.astype(np.int64))
        and find_midnight(number + 1) - find_midnight(number) > NANOSECONDS_A_DAY
    )
