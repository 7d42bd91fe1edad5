"""The time of records, of their columns: what a clock shows, or a sum from an epoch, as nanoseconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from dayfile.model.clock import FIRST_DAY, LAST_DAY, Clock
from dayfile.model.leap_seconds import find_tai, find_utc
from dayfile.stages.base import Columns, Wrong
from dayfile.timing.calendar import Shown, pass_leap_seconds
from dayfile.timing.digits import Int64
from dayfile.timing.parts import OUTSIDE, Addend, add_parts, take_parts
from dayfile.timing.zones import Zone

__all__ = ["MADE_CLOCK", "Making", "Moments", "Start"]

MADE_CLOCK = Clock(np.datetime64("1970-01-01T00:00:00", "s"), "ns")
"""The clock of times that are made: UTC, with leap seconds ignored."""
FIRST, LAST = (int(day.astype("datetime64[ns]").astype(np.int64)) for day in (FIRST_DAY, LAST_DAY))


class Making(Protocol):
    """A way in which columns make the times of records."""

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns that it needs."""
        ...

    def make(self, columns: Columns, count: int) -> tuple[Int64, Wrong]:
        """Make the times of n records.

        Parameters
        ----------
        columns : dict of str to array of shape (n,) or ()
            PartValues by name: numbers, or texts.
        count : int
            How many records there are.

        Returns
        -------
        times : array of int64, shape (n,)
            Clock values of ``MADE_CLOCK``, 0 for records that are wrong.
        wrong : Wrong
            The records without a time, and why.
        """
        ...

    def take_apart(self, times: Int64) -> Columns:
        """Return columns, shape (n,), of which ``make`` makes these times."""
        ...


class Start(Protocol):
    """What times begin with, before parts are added: what a clock shows."""

    @property
    def is_moment(self) -> bool:
        """Return whether parts that are added are elapsed time; otherwise they belong to what the clock shows."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns."""
        ...

    def read(self, columns: Columns, count: int, wrong: Wrong) -> Shown:
        """Read what the clock shows in n rows."""
        ...

    def write(self, times: Int64) -> tuple[Columns, Int64]:
        """Write what a clock shows, in columns; return the nanoseconds that they cannot hold, too."""
        ...


@dataclass(frozen=True)
class Moments:
    """Times of what a clock shows, of parts, or of both.

    Parameters
    ----------
    start : Start, optional
        What the clock shows; without it, times are sums of parts alone.
    parts : sequence of Addend
        What is added.
    origin : int
        Where counting begins, in nanoseconds since 1970: in TAI for clocks that run on through leap seconds.
    runs_on : bool
        Whether the clock runs on through leap seconds.
    zone : Zone, optional
        Where the clock is on the wall; UTC without it.

    Examples
    --------
    Seconds of GPS time:

    >>> gps = Clock(np.datetime64("1980-01-06T00:00:00"), scale="gps")
    >>> made, _ = Moments(None, [Addend("t")], gps.origin, runs_on=True).make({"t": np.array([1167264018])}, 1)
    >>> made.astype("datetime64[ns]").astype("datetime64[s]")
    array(['2017-01-01T00:00:00'], dtype='datetime64[s]')
    """

    start: Start | None
    parts: Sequence[Addend] = ()
    origin: int = 0
    runs_on: bool = False
    zone: Zone | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns, each once."""
        first = self.start.names if self.start else ()
        return tuple(dict.fromkeys((*first, *(part.name for part in self.parts))))

    @property
    def needs_zone(self) -> bool:
        """Return whether the settings must say the zone."""
        return self.zone is not None and not self.zone.name

    def in_zone(self, name: str) -> Moments:
        """Return these times in the zone of the settings, if the layout requires one there."""
        return replace(self, zone=replace(self.zone, name=name)) if self.zone and not self.zone.name else self

    def make(self, columns: Columns, count: int) -> tuple[Int64, Wrong]:
        """Make the times of n records."""
        wrong = Wrong.none(count)
        shown = self.start.read(columns, count, wrong) if self.start else None
        if shown is None:
            times = self._settle(add_parts(self.parts, self.origin, columns, count, wrong), None, wrong)
        elif self.start is not None and self.start.is_moment:
            times = self._settle(shown.times + self.origin, shown, wrong)
            if self.parts:
                times = add_parts(self.parts, times, columns, count, wrong)
        else:
            base = shown.times + self.origin
            times = self._settle(add_parts(self.parts, base, columns, count, wrong), shown, wrong)
        if count and (times.min() < FIRST or times.max() >= LAST):
            wrong.add((times < FIRST) | (times >= LAST), OUTSIDE)
        return np.where(wrong.rows, 0, times) if wrong.rows.any() else times, wrong

    def _settle(self, times: Int64, shown: Shown | None, wrong: Wrong) -> Int64:
        """Return UTC of what the clock shows, with the parts that belong to that."""
        if shown is not None and shown.leaps is not None:
            whole = shown.times + self.origin
            utc = np.where(shown.leaps, self._convert(whole, shown, Wrong.none(len(times))), 0)
            times = pass_leap_seconds(times, whole, shown.leaps, utc, wrong)
        return self._convert(times, shown, wrong)

    def _convert(self, times: Int64, shown: Shown | None, wrong: Wrong) -> Int64:
        """Return UTC of times in the clock's zone or scale; where a row says its offset, by that."""
        ahead = shown.ahead if shown else None
        explicit = shown.explicit if shown else None
        if ahead is not None and explicit is not None and explicit.all():
            return times - ahead
        if self.zone:
            unsure = Wrong.none(len(times))
            converted = self.zone.to_utc(times, unsure)
            wrong.add(unsure.rows if explicit is None else unsure.rows & ~explicit, unsure.reasons.__getitem__)
        else:
            converted = find_utc(times) if self.runs_on else times
        return converted if ahead is None or explicit is None else np.where(explicit, times - ahead, converted)

    def take_apart(self, times: Int64) -> Columns:
        """Return columns, shape (n,), of which ``make`` makes these times, as exactly as the columns can hold them."""
        if self.zone:
            times = self.zone.to_wall(times)
        elif self.runs_on:
            times = find_tai(times)
        if self.start is None:
            return take_parts(self.parts, subtract(times, self.origin))
        columns, rest = self.start.write(times - self.origin)
        return columns | take_parts(self.parts, rest)


def subtract(times: Int64, origin: int) -> Int64:
    """Return times since an origin; an array of Python's integers where int64 cannot hold them."""
    within = not times.size or int(times.max()) - origin < 2**63
    return times - origin if within else times.astype(object) - origin
