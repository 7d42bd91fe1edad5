"""Round bins of time and of values."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

__all__ = ["cut_time", "cut_values", "name_length"]

A_SECOND, A_MINUTE, AN_HOUR, A_DAY = 1, 60, 3600, 86400
LENGTHS = (
    *(1, 2, 5, 10, 15, 30),
    *(A_MINUTE * number for number in (1, 2, 5, 10, 15, 30)),
    *(AN_HOUR * number for number in (1, 2, 3, 6, 12)),
    *(A_DAY * number for number in (1, 2, 5, 10, 30, 60, 90, 365)),
)
"""Lengths of bins of time, in seconds, that people know."""


def cut_time(first: np.datetime64, last: np.datetime64, most: int) -> tuple[npt.NDArray[np.datetime64], np.timedelta64]:
    """Cut a span into at most ``most`` bins of a round length, and one more.

    Returns
    -------
    (array of datetime64[ns], timedelta64[ns])
        The edges, and the length of a bin. The last edge is after ``last``.

    Examples
    --------
    >>> edges, length = cut_time(np.datetime64("2024-05-01T00:03"), np.datetime64("2024-05-01T02:50"), 10)
    >>> length.astype("timedelta64[m]"), len(edges), str(edges[0].astype("datetime64[m]"))
    (np.timedelta64(30,'m'), 7, '2024-05-01T00:00')
    """
    begin, end = (int(time.astype("datetime64[ns]").astype(np.int64)) for time in (first, last))
    seconds = (end - begin) / 1e9
    length = next((each for each in LENGTHS if each * most >= seconds), None)
    nanoseconds = (LENGTHS[-1] * math.ceil(seconds / LENGTHS[-1] / most) if length is None else length) * 10**9
    start = begin // nanoseconds * nanoseconds
    number = (end - start) // nanoseconds + 1
    edges = (start + np.arange(number + 1) * nanoseconds).astype("datetime64[ns]")
    return edges, np.timedelta64(nanoseconds, "ns")


def name_length(length: np.timedelta64) -> str:
    """Name a length of time.

    Examples
    --------
    >>> name_length(np.timedelta64(90 * 60, "s")), name_length(np.timedelta64(2, "D"))
    ('90 min', '2 d')
    """
    seconds = int(length.astype("timedelta64[s]").astype(int))
    units = ((A_DAY, "d"), (AN_HOUR, "h"), (A_MINUTE, "min"), (A_SECOND, "s"))
    size, unit = next(each for each in units if seconds % each[0] == 0)
    return f"{seconds // size} {unit}"


def cut_values(low: float, high: float, most: int, *, whole: bool) -> npt.NDArray[np.float64]:
    """Cut a range of values into at most ``most`` bins of width 1, 2 or 5 times a power of ten, and one more.

    Parameters
    ----------
    low, high : float
        The range; it is inside the bins.
    most : int
        Number of bins.
    whole : bool
        Values are integers: no bin is narrower than 1, and each of them has as many integers.

    Examples
    --------
    >>> cut_values(3, 47, 5, whole=True).tolist()
    [0.0, 10.0, 20.0, 30.0, 40.0, 50.0]
    """
    least = max((high - low) / most, 1.0 if whole else 0.0) or 1.0
    power = 10.0 ** math.floor(math.log10(least))
    width = next(step * power for step in (1, 2, 5, 10) if step * power >= least * (1 - 1e-9))
    start = math.floor(low / width)
    number = math.floor(high / width) - start + 1
    return np.asarray((start + np.arange(number + 1)) * width, np.float64)
