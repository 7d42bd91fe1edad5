"""Times as people write them: ISO text, words, dates and datetimes, also those of pandas and astropy."""

from __future__ import annotations

import datetime as dt
import re
import sys
from typing import Any

import numpy as np

from dayfile.errors import TimeError
from dayfile.model.leap_seconds import has_leap_second

__all__ = ["Time", "as_utc", "parse_day", "read_instant"]

Time = str | int | float | np.integer[Any] | np.floating[Any] | dt.datetime | dt.date | np.datetime64
"""What is accepted where a time is asked for: ISO text (a month or a year too), ``now``, ``today``, ``yesterday``, a
datetime, ``pandas.Timestamp``, ``astropy.time.Time``, ``numpy.datetime64``, or a number of the clock."""

ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)([T ](?P<clock>\d\d:\d\d(:\d\d(\.\d{1,9})?)?))?"
    r"(Z|(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?)?"
)
MONTH_OR_YEAR = re.compile(r"\d{4}(-\d\d)?")
DAYS_AGO = {"today": 0, "yesterday": 1}
"""Words for days, and how many days before the current one they are."""
LEAP_TEXT = re.compile(r"(\d\d:\d\d):60(?=\D|$)")
FINER = ("ps", "fs", "as")
"""Units of NumPy in which it cannot count days."""
NANOSECOND = np.timedelta64(1, "ns")


def as_utc(time: str | dt.datetime | dt.date | np.datetime64) -> np.datetime64:
    """Convert a time to datetime64, UTC, in days or finer; ISO text without an offset and naive datetimes are UTC.

    A time in a leap second, ``23:59:60``, is the last nanosecond before it.

    Raises
    ------
    TimeError
        It is not a time.

    Examples
    --------
    >>> as_utc("2017-02-26T08:00+01:00")
    np.datetime64('2017-02-26T07:00')
    >>> as_utc("2016-12-31T23:59:60")
    np.datetime64('2016-12-31T23:59:59.999999999')
    """
    moment, leap = read_instant(time)
    if not leap:
        return moment
    midnight: np.datetime64 = moment.astype("datetime64[D]") + np.timedelta64(1, "D")
    return np.datetime64(midnight - NANOSECOND)


def read_instant(time: str | dt.datetime | dt.date | np.datetime64) -> tuple[np.datetime64, bool]:
    """Convert a time to datetime64, UTC, and return whether it is in a leap second: one second after that, then.

    Raises
    ------
    TimeError
        It is not a time.

    Examples
    --------
    >>> read_instant("2016-12-31T23:59:60.5")
    (np.datetime64('2016-12-31T23:59:59.500'), True)
    >>> read_instant("1997-10")
    (np.datetime64('1997-10-01'), False)
    """
    leap = False
    try:
        time = convert_foreign(time)
        if isinstance(time, dt.datetime) and time.tzinfo is not None:
            time = time.astimezone(dt.UTC).replace(tzinfo=None)
        if isinstance(time, str):
            text = LEAP_TEXT.sub(r"\1:59", time)
            moment, leap = parse_iso(text), text != time
        else:
            moment = np.datetime64(time)
            if np.datetime_data(moment.dtype)[0] in FINER:
                moment = moment.astype("datetime64[ns]")
    except (ValueError, TypeError, OverflowError) as error:
        message = (
            f"{time!r} is not a time; write an ISO date or time such as 1997-10-31 or 1997-10-31T12:00:00, a month "
            "(1997-10), a year (1997), now, today or yesterday"
        )
        raise TimeError(message) from error
    if np.isnat(moment):
        raise TimeError("NaT is not a time")
    if leap:
        day = moment.astype("datetime64[D]")
        if moment.astype("datetime64[s]") != day + np.timedelta64(86_399, "s") or not has_leap_second(day):
            raise TimeError(f"{time!r} is not a time: no leap second is known there")
    return moment.astype("datetime64[D]") if moment.dtype in ("datetime64[Y]", "datetime64[M]") else moment, leap


def convert_foreign(time: Any) -> Any:  # noqa: ANN401 - whatever was given as a time
    """Convert times of pandas and astropy, which have nanoseconds and leap seconds that a datetime has not.

    Raises
    ------
    TimeError
        An astropy time is an array of several.
    """
    if hasattr(time, "to_datetime64"):
        return time.to_datetime64()  # of pandas: UTC if it has a time zone
    astropy = sys.modules.get("astropy.time")
    if astropy is not None and isinstance(time, astropy.Time):
        if not time.isscalar:
            raise TimeError(f"{time!r} is not a time but an array of {time.size}; give one of them")
        utc = time.utc.copy(format="isot")
        utc.precision = 9
        return str(utc.value)
    return time


def parse_iso(text: str) -> np.datetime64:
    """Parse ISO text, or a word such as ``now``, to a time, shifted to UTC; ValueError if it is not one."""
    if text == "now":
        return np.datetime64(dt.datetime.now(dt.UTC).replace(tzinfo=None), "us")
    if text in DAYS_AGO:
        return find_day_ago(DAYS_AGO[text])
    if MONTH_OR_YEAR.fullmatch(text):
        return np.datetime64(text)
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


def find_day_ago(days: int) -> np.datetime64:
    """Return the UTC day a number of days before the current one, datetime64[D]."""
    return np.datetime64(dt.datetime.now(dt.UTC).date(), "D") - days


def parse_day(text: str) -> np.datetime64:
    """Parse ISO text, ``today`` or ``yesterday`` to a day, datetime64[D].

    Raises
    ------
    TimeError
        The text is not an ISO date.

    Examples
    --------
    >>> parse_day("1997-10-31")
    np.datetime64('1997-10-31')
    """
    if text in DAYS_AGO:
        return find_day_ago(DAYS_AGO[text])
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise TimeError(f"{text!r} is not a day; write an ISO date such as 1997-10-31") from error
    return np.datetime64(day, "D")
