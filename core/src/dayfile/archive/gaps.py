"""Gaps: spans without records, found from the counts by hour and the first and last times of the catalogue."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.archive.catalogue_rows import HOURS
from dayfile.errors import UsageError

__all__ = ["HOUR", "Duration", "find_gaps", "parse_length"]

Duration = str | dt.timedelta | np.timedelta64
"""What is accepted where a length of time is asked for: ``"90 min"``, or a difference of two times."""

HOUR = np.timedelta64(3_600_000_000_000, "ns")
GAP_DTYPE = np.dtype([("start", "datetime64[ns]"), ("stop", "datetime64[ns]")])
LENGTH_UNITS = {"s": "s", "min": "m", "h": "h", "d": "D"}
LENGTH = re.compile(rf"(\d+) ?({'|'.join(LENGTH_UNITS)})")


def parse_length(length: Duration) -> np.timedelta64:
    """Parse a length of time, timedelta64[ns].

    Raises
    ------
    UsageError
        It is not one.

    Examples
    --------
    >>> parse_length("90 min").astype("timedelta64[s]")
    np.timedelta64(5400,'s')
    """
    if isinstance(length, str):
        match = LENGTH.fullmatch(length.strip())
        if match is None:
            raise UsageError(f"{length!r} is not a length of time; write a number and s, min, h or d, such as 90 min")
        length = np.timedelta64(int(match[1]), LENGTH_UNITS[match[2]])  # type: ignore[call-overload]  # one of four
    return np.timedelta64(length, "ns")


def find_gaps(
    days: Sequence[tuple[Any, ...]],
    start: np.datetime64,
    stop: np.datetime64,
    longer_than: np.timedelta64,
    day_begins: int = 0,
) -> npt.NDArray[np.void]:
    """Find the spans between two times in which no record is, as far as counts by hour show it.

    Parameters
    ----------
    days : sequence of tuple
        Of each day, in order: anything, ISO date, first time, last time (ns since 1970), and 24 numbers of records.
    start, stop : numpy.datetime64
        Where to look.
    longer_than : numpy.timedelta64
        Shorter gaps are left out.
    day_begins : int
        Hours after midnight at which days begin, and the first of the 24 hours.

    Returns
    -------
    structured array, shape (n,)
        With the fields ``start`` and ``stop``, datetime64[ns], in order.

    Examples
    --------
    >>> noon = ("", "2024-05-01", 1714564800 * 10**9, 1714566600 * 10**9, *[0] * 12, 7, *[0] * 11)
    >>> gaps = find_gaps([noon], np.datetime64("2024-05-01"), np.datetime64("2024-05-02"), HOUR)
    >>> gaps["start"].astype("datetime64[m]").tolist()[1].isoformat()
    '2024-05-01T12:30:00'
    """
    start, stop = start.astype("datetime64[ns]"), stop.astype("datetime64[ns]")
    begins, ends = find_spans(days, day_begins)
    ends = np.maximum.accumulate(np.concatenate([[start], np.maximum(ends, start)]))
    begins = np.concatenate([np.minimum(begins, stop), [stop]])
    found = np.zeros(len(ends), GAP_DTYPE)
    found["start"], found["stop"] = ends, begins
    gaps: npt.NDArray[np.void] = found[begins - ends >= np.maximum(longer_than, np.timedelta64(1, "ns"))]
    return gaps


def find_spans(
    days: Sequence[tuple[Any, ...]], day_begins: int
) -> tuple[npt.NDArray[np.datetime64], npt.NDArray[np.datetime64]]:
    """Find the spans that may be full of records: hours with some, the first and last of a day cut to their times.

    Returns
    -------
    (array of datetime64[ns], array of datetime64[ns])
        Where each span begins and ends, in order; those of neighbouring hours touch.
    """
    if not days:
        return np.zeros(0, "datetime64[ns]"), np.zeros(0, "datetime64[ns]")
    dates = np.array([day[1] for day in days], "datetime64[ns]")
    firsts, lasts = (np.array([day[place] for day in days], "datetime64[ns]") for place in (2, 3))
    held = np.array([day[4:] for day in days]) > 0
    begins = (dates[:, None] + np.arange(day_begins, day_begins + HOURS) * HOUR).astype("datetime64[ns]")
    ends = (begins + HOUR).astype("datetime64[ns]")
    which = np.arange(len(days))
    begins[which, held.argmax(1)] = firsts
    ends[which, HOURS - 1 - held[:, ::-1].argmax(1)] = lasts
    return begins[held], ends[held]
