"""From when to when times of a data type are plausible: the word ``valid`` of a layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.clock import SECONDS_A_DAY, Clock

__all__ = ["Plausible"]

LATEST = 8e9
"""Seconds since 1970, in 2223: before the end of all clocks, and beyond every arrival."""


@dataclass(frozen=True)
class Plausible:
    """Bounds of plausible times; what is outside goes to quarantine.

    Parameters
    ----------
    since : numpy.datetime64, optional
        The first plausible time, UTC.
    days_ahead : float, optional
        How many days after the arrival of its source a time may be.
    until : numpy.datetime64, optional
        The first time that is not plausible any more, UTC.

    Examples
    --------
    >>> mission = Plausible(np.datetime64("1997-08-25"), days_ahead=1)
    >>> clock = Clock(np.datetime64("1996-01-01T00:00:00"))
    >>> seconds = np.array([5, 60_000_000, 4294967290], "<u4")
    >>> mission.outside({"second": seconds}, clock, mission.last(clock, 1.8e9))
    array([ True, False,  True])
    """

    since: np.datetime64 | None = None
    days_ahead: float | None = None
    until: np.datetime64 | None = None

    def first(self, clock: Clock) -> float:
        """Return the first plausible value of a clock; minus infinity without a bound."""
        return -np.inf if self.since is None else clock.number(self.since)

    def end(self, clock: Clock) -> float:
        """Return the first value of a clock that is not plausible any more; infinity without a bound."""
        return np.inf if self.until is None else clock.number(self.until)

    def last(self, clock: Clock, arrived: float) -> float:
        """Return the last plausible value of a clock, for a source that arrived at these seconds since 1970."""
        if self.days_ahead is None:
            return np.inf
        seconds = max(-LATEST, min(arrived + self.days_ahead * SECONDS_A_DAY, LATEST))
        return clock.number(np.datetime64(round(seconds * 1e6), "us"))

    def outside(
        self, stamps: Mapping[str, npt.NDArray[Any]], clock: Clock, last: float | npt.NDArray[Any]
    ) -> npt.NDArray[np.bool_]:
        """Find the records with a time that is not plausible, shape (n,).

        Parameters
        ----------
        stamps : dict of str to array, shape (n,)
            Clock values by the name of their field. For a record without a time the result means nothing.
        clock : Clock
            How these count.
        last : int or float, or array of shape (n,)
            From :meth:`last`; one for each record where they came with several sources.
        """
        first, end = self.first(clock), self.end(clock)
        with np.errstate(invalid="ignore"):
            each = [(values < first) | (values >= end) | (values > last) for values in stamps.values()]
        found: npt.NDArray[np.bool_] = np.any(each, axis=0)
        return found

    def why(self, stamps: Mapping[str, npt.NDArray[Any]], clock: Clock, arrived: float) -> str:
        """Say what is wrong with times of one source that are :meth:`outside`, with an example of each kind.

        Examples
        --------
        >>> seconds = np.array([5, 4294967290], "<u4")
        >>> clock = Clock(np.datetime64("1996-01-01T00:00:00"))
        >>> Plausible(np.datetime64("1997-08-25")).why({"second": seconds[:1]}, clock, 1.8e9)
        'implausible time: second is 1996-01-01T00:00:05 (5), before 1997-08-25 (valid: from)'
        >>> Plausible(days_ahead=1).why({"second": seconds[1:]}, clock, 1.8e9)
        'implausible time: second is 2132-02-07T06:28:10 (4294967290), more than 1 day after its source arrived on 2027-01-15T08:00:00 (valid: days_ahead)'
        >>> Plausible(until=np.datetime64("2012-03-01")).why({"second": seconds[1:]}, clock, 1.8e9)
        'implausible time: second is 2132-02-07T06:28:10 (4294967290), not before 2012-03-01 (valid: to)'
        """  # noqa: E501 - a message is one line
        first, end, last = self.first(clock), self.end(clock), self.last(clock, arrived)
        reasons = []
        for stamp, values in stamps.items():
            days = f"{self.days_ahead or 0:g} day{'' if self.days_ahead == 1 else 's'}"
            ahead = f"more than {days} after its source arrived on {np.datetime64(int(arrived), 's')}"
            for these, bound in (
                (values < first, f"before {self.since} (valid: from)"),
                (values >= end, f"not before {self.until} (valid: to)"),
                ((values > last) & (values < end), f"{ahead} (valid: days_ahead)"),
            ):
                example = values[these][:1]
                texts = [f"{format_time(clock.to_datetime64(value))} ({value})" for value in example]
                reasons += [f"{stamp} is {text}, {bound}" for text in texts]
        return f"implausible time: {'; '.join(reasons)}"


def format_time(time: npt.NDArray[np.datetime64]) -> str:
    """Format a time in nanoseconds as ISO text, with a fraction of a second only where it is not zero."""
    return str(time).rstrip("0").rstrip(".")
