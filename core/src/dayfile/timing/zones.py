"""Time zones: UTC of what a clock on the wall shows, and back."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from dayfile.errors import SettingsError
from dayfile.messages import suggest
from dayfile.model.leap_seconds import SECOND
from dayfile.stages.base import Wrong
from dayfile.timing.digits import Int64

__all__ = ["Repeated", "Zone", "find_zone_problem"]

Repeated = Literal["first", "second", "reject"]
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Zone:
    """A time zone of the tz database.

    Parameters
    ----------
    name : str
        Such as ``Europe/Amsterdam``; empty until the settings say which one it is.
    repeated : {'first', 'second', 'reject'}
        Which time is meant when clocks have been put back and an hour comes twice.
    setting : str
        The setting that has the name, if ``name`` is empty.

    Examples
    --------
    >>> zone = Zone("Europe/Amsterdam", "second")
    >>> shown = np.array(["2024-10-27T02:30", "2024-03-31T02:30"], "datetime64[ns]").astype(np.int64)
    >>> wrong = Wrong.none(2)
    >>> zone.to_utc(shown, wrong)[:1].astype("datetime64[ns]").astype("datetime64[m]")
    array(['2024-10-27T01:30'], dtype='datetime64[m]')
    >>> wrong.reasons
    {1: '2024-03-31T02:30:00 does not exist in Europe/Amsterdam: the clocks were put forward'}
    """

    name: str
    repeated: Repeated = "first"
    setting: str = ""

    def to_utc(self, shown: Int64, wrong: Wrong) -> Int64:
        """Return UTC of what a clock shows, both in nanoseconds since 1970; what it never shows is wrong."""
        steps, before, after = self._find_steps(shown)
        lows, highs = steps + np.minimum(before, after), steps + np.maximum(before, after)
        low, high = (np.searchsorted(each, shown, side="right") for each in (lows, highs))
        offsets = np.append(before[:1], after)
        odd = low != high
        if odd.any():
            forward = odd & (offsets[low] > offsets[high])
            wrong.add(forward, lambda row: f"{self._show(shown[row])}: the clocks were put forward")
            if self.repeated == "reject":
                back = odd & ~forward
                wrong.add(back, lambda row: f"{self._show(shown[row], 'comes twice')}: the clocks were put back")
        return shown - offsets[low if self.repeated == "second" else high]

    def to_wall(self, utc: Int64) -> Int64:
        """Return what a clock in the zone shows, both in nanoseconds since 1970."""
        steps, before, after = self._find_steps(utc)
        return utc + np.append(before[:1], after)[np.searchsorted(steps, utc, side="right")]

    def _show(self, shown: Any, what: str = "does not exist") -> str:  # noqa: ANN401 - a number of an array
        moment = np.datetime64(int(shown), "ns").astype("datetime64[s]")
        return f"{moment} {what} in {self.name}"

    def _find_steps(self, times: Int64) -> tuple[Int64, Int64, Int64]:
        """Find when the offset changes around these times, with the offsets before and after; nanoseconds.

        There is always one step at least, which may change nothing.
        """
        if not self.name:
            raise SettingsError(
                f"the layout requires a time zone: set {self.setting or 'zone'}, such as Europe/Amsterdam"
            )
        if not times.size:
            times = np.zeros(1, np.int64)
        first, last = (
            int(np.datetime64(int(each), "ns").astype("datetime64[Y]").astype(np.int64)) + 1970
            for each in (times.min(), times.max())
        )
        found = [step for year in range(first - 1, last + 2) for step in find_changes(self.name, year)]
        if not found:
            offset = find_offset(zoneinfo.ZoneInfo(self.name), start_year(first))
            found = [(start_year(first - 1), offset, offset)]
        steps, before, after = np.array(found, np.int64).T * SECOND
        return steps, before, after


def find_zone_problem(name: str) -> str:
    """Return why a name is not one of a time zone; empty if it is.

    Examples
    --------
    >>> find_zone_problem("Europe/Amsterdm")
    "'Europe/Amsterdm' is not a time zone; did you mean 'Europe/Amsterdam'?"
    """
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return f"{name!r} is not a time zone{suggest(name, sorted(zoneinfo.available_timezones()))}"
    return ""


def start_year(year: int) -> int:
    """Return when a year begins, in seconds since 1970."""
    return int(np.datetime64(f"{min(max(year, 1), 9999):04d}-01-01", "s").astype(np.int64))


def find_offset(zone: zoneinfo.ZoneInfo, second: int) -> int:
    """Return the seconds that a zone is ahead of UTC at a second since 1970."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=second)
    offset = moment.astimezone(zone).utcoffset()
    return round(offset.total_seconds()) if offset is not None else 0


@cache
def find_changes(name: str, year: int) -> tuple[tuple[int, int, int], ...]:
    """Find when a zone changes its offset in a UTC year: the second since 1970, and the offsets before and after.

    The offset is looked at once a day, and each change searched for between two days.
    """
    zone, found = zoneinfo.ZoneInfo(name), []
    begin, end = start_year(year), start_year(year + 1)
    before = find_offset(zone, begin - 1)
    for day in range(begin - 1, end - 1, DAY_SECONDS):
        after = find_offset(zone, day + DAY_SECONDS)
        if after != before:
            low, high = day, day + DAY_SECONDS
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if find_offset(zone, middle) == before else (low, middle)
            found.append((high, before, after))
            before = after
    return tuple(found)
