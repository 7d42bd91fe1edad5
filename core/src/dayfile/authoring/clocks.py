"""The clocks by which the times of a sample may count."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from dayfile.model.clock import Clock

__all__ = ["GPS_EPOCH", "GPS_WEEK", "JULIAN_EPOCH", "TIME_SIZES", "CountedClock", "list_counted_clocks"]

TIME_SIZES = {"uint32": 4, "uint64": 8, "int32": 4, "int64": 8, "float64": 8}
"""Types that times have, and their bytes."""
GPS_EPOCH = "1980-01-06"
EPOCHS = {"1970-01-01": "utc", "2000-01-01": "utc", GPS_EPOCH: "gps"}
"""From when on clocks count, and their time scales."""
CLOCK_UNITS = {4: ("s",), 8: ("s", "ms", "us", "ns")}
FLOAT_UNITS = ("s", "ms")
JULIAN_EPOCH = "1858-11-17"
JULIAN_CLOCK = (JULIAN_EPOCH, "utc", "d")
"""Modified Julian dates."""
EARLIEST = np.datetime64("1995-01-01T00:00:00")
"""Instruments whose samples somebody has measured after this."""
YOUNGEST = np.timedelta64(365, "D")
"""A clock that began to count less than this before is a counter."""
GPS_WEEK = 604_800_000
"""Milliseconds of a week."""


@dataclass(frozen=True)
class CountedClock:
    """A clock with the values that are plausible times.

    Parameters
    ----------
    epoch : str
        The date from which it counts.
    scale, unit : str
        Time scale and unit.
    latest : datetime64
        The time of the latest plausible value.
    given : bool
        Whether somebody says so; then it may have begun to count with the sample.
    week : bool
        Whether it counts within a week of GPS, whose number is in another field.
    """

    epoch: str
    scale: str
    unit: str
    latest: np.datetime64
    given: bool = False
    week: bool = False

    @property
    def words(self) -> str:
        """What people call it."""
        if self.week:
            return "ms of the GPS week"
        return f"{self.unit} since {self.epoch}{' (GPS time)' if self.scale == 'gps' else ''}"

    @cached_property
    def clock(self) -> Clock:
        """The clock itself."""
        return Clock(np.datetime64(f"{self.epoch}T00:00:00"), unit=self.unit, scale=self.scale)  # type: ignore[arg-type]

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The half-open range of plausible values."""
        if self.week:
            return 1000, GPS_WEEK
        begin = np.datetime64(f"{self.epoch}T00:00:00")
        first = begin if self.given else max(EARLIEST, begin + YOUNGEST)
        return self.clock.number(first), self.clock.number(self.latest)

    def rate_chance(self, kind: str) -> float:
        """Return how many bits of a number are fixed by being plausible: the fewer values are, the more it says."""
        first, last = self.bounds
        if kind == "float64":
            return 11 - math.log2(max(math.log2(last / max(first, 1.0)), 2.0**-6))
        return 8 * TIME_SIZES[kind] - math.log2(last - first)


def list_counted_clocks(kind: str, latest: np.datetime64, epoch: str | None = None) -> list[CountedClock]:
    """List the clocks that numbers of a type are tried with; with an epoch, only those that count from there."""
    units = FLOAT_UNITS if kind == "float64" else CLOCK_UNITS[TIME_SIZES[kind]]
    known = [(date, scale, unit) for date, scale in EPOCHS.items() for unit in units]
    known += [JULIAN_CLOCK] if kind == "float64" else []
    if epoch is None:
        return [CountedClock(*words, latest) for words in known]
    few = [words for words in known if words[0] == epoch] or [(epoch, "utc", unit) for unit in (*units, "d")]
    return [CountedClock(*words, latest, given=True) for words in few]
