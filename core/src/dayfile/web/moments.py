"""Times of HAPI: those that a request names, and those of records as text."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dayfile.model.clock import SECONDS_A_DAY, Clock
from dayfile.model.datatype import DataType
from dayfile.model.leap_seconds import NANOSECONDS_A_DAY, SECOND
from dayfile.model.times import Count

__all__ = ["Moment", "choose_digits", "format_hapi_time", "format_records_times", "measure_time", "parse_moment"]

PATTERN = re.compile(
    r"(?P<year>\d{4})"
    r"(?:-(?:(?P<ordinal>\d{3})|(?P<month>\d{2})(?:-(?P<day>\d{2}))?)"
    r"(?:T(?P<hour>\d{2})(?::(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.(?P<fraction>\d{1,30}))?)?)?)?)?"
    r"Z?",
    re.ASCII,
)
"""``yyyy-mm-ddThh:mm:ss.sssZ`` or ``yyyy-dddThh:mm:ss.sssZ``, of which elements may be left out from the end."""
TEN = 10
DATE_CHARACTERS, SECOND_CHARACTERS = 11, 8
"""Of ``1997-10-31T`` and of ``12:00:00``."""
POINT = DATE_CHARACTERS + SECOND_CHARACTERS
"""The place of the point."""
PAIRS = np.array([b"%02d" % number for number in range(100)]).view(np.uint16)
FOURS = np.array([b"%04d" % number for number in range(10_000)]).view(np.uint32)
"""Two and four digits, as they are in memory."""
LEAST_DIGITS_WITH_LEAP_SECONDS = 3
"""A time in a leap second is shown as the last moment before it, which whole seconds cannot tell from the second."""


@dataclass(frozen=True, order=True)
class Moment:
    """A time in UTC.

    Parameters
    ----------
    day : datetime.date
        The day.
    nanoseconds : int
        Since it began; from 86,400 s on in a leap second.
    """

    day: dt.date
    nanoseconds: int = 0

    @classmethod
    def after(cls, day: dt.date) -> Moment:
        """Return the end of a day."""
        return cls(day + dt.timedelta(days=1))

    @property
    def time(self) -> np.datetime64:
        """Return it as NumPy has it, which knows no leap seconds: one is as long after the day begins as it is."""
        return np.datetime64(self.day, "ns") + np.timedelta64(self.nanoseconds, "ns")

    @property
    def text(self) -> str:
        """Return ISO text with all digits, as archives are asked with."""
        leap = self.nanoseconds >= NANOSECONDS_A_DAY
        seconds, fraction = divmod(self.nanoseconds - leap * SECOND, SECOND)
        clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{60 if leap else seconds % 60:02}"
        return f"{self.day.isoformat()}T{clock}.{fraction:09}Z"


def parse_moment(text: str) -> Moment:
    """Parse a time of a request.

    What is finer than a nanosecond is rounded up: that keeps ``start <= time < stop`` for times of whole nanoseconds.

    Raises
    ------
    ValueError
        It is not one.

    Examples
    --------
    >>> parse_moment("1997-304T12:00Z").text
    '1997-10-31T12:00:00.000000000Z'
    >>> parse_moment("1997Z") < parse_moment("1997-10-31T24:00") == parse_moment("1997-11-01")
    True
    """
    match = PATTERN.fullmatch(text)
    if match is None:
        raise ValueError("not a time of HAPI")
    part = {name: int(value or 0) for name, value in match.groupdict().items() if name != "fraction"}
    if match["ordinal"]:
        day = dt.date(part["year"], 1, 1) + dt.timedelta(days=part["ordinal"] - 1)
        if not 1 <= part["ordinal"] <= 365 + calendar.isleap(part["year"]):
            raise ValueError("no such day of the year")
    else:
        day = dt.date(part["year"], part["month"] if match["month"] else 1, part["day"] if match["day"] else 1)
    digits = match["fraction"] or ""
    nanoseconds = int(digits[:9].ljust(9, "0")) + (digits[9:].strip("0") != "")
    hour, minute, second = part["hour"], part["minute"], part["second"]
    leap = (hour, minute, second) == (23, 59, 60)
    midnight = hour == 24 and not (minute or second or nanoseconds)
    if not ((hour < 24 and minute < 60 and second < 60) or leap or midnight):
        raise ValueError("no such time of day")
    return carry(day, ((hour * 60 + minute) * 60 + second) * SECOND + nanoseconds, leap=leap)


def carry(day: dt.date, nanoseconds: int, *, leap: bool) -> Moment:
    """Make a time of which the nanoseconds may be a whole day: the next midnight, unless they are a leap second's."""
    length = NANOSECONDS_A_DAY + leap * SECOND
    if nanoseconds < length:
        return Moment(day, nanoseconds)
    try:
        return Moment(day + dt.timedelta(days=1), nanoseconds - length)
    except OverflowError as error:
        raise ValueError("after the last year") from error


def choose_digits(data_type: DataType) -> int:
    """Return how many digits of a second the times of a type have: 0, 3, 6 or 9.

    Examples
    --------
    A field of seconds with one of microseconds gives 6; ``format_hapi_time`` writes as many.
    """
    stamp, clock = data_type.timing.time, data_type.clock
    steps = [clock.tick]
    if isinstance(stamp, Count):
        if stamp.whole:
            steps.append(1)
        if data_type.field(stamp.field).base.kind == "f":
            steps.append(1_000 if clock.tick > 1_000 else 1)
    if stamp.fraction:
        kind = data_type.field(stamp.fraction).base.kind
        steps.append(1 if kind == "f" else SECOND // stamp.per_second)
    steps.append(clock.origin)  # an epoch may have a fraction
    digits = next((count for count in (0, 3, 6) if not any(step % TEN ** (9 - count) for step in steps)), 9)
    return max(digits, LEAST_DIGITS_WITH_LEAP_SECONDS) if clock.runs_on else digits


def measure_time(digits: int) -> int:
    """Return the characters of a time with that many digits of a second."""
    return DATE_CHARACTERS + SECOND_CHARACTERS + (1 + digits if digits else 0) + 1


def format_hapi_time(time: np.datetime64, digits: int, *, after: bool = False) -> str:
    """Format a UTC time, cut to a number of digits; with ``after``, the next that can be written.

    Examples
    --------
    >>> format_hapi_time(np.datetime64("1997-10-31T23:59:59.5"), 0, after=True)
    '1997-11-01T00:00:00Z'
    """
    step = TEN ** (9 - digits)
    nanoseconds = (int(time.astype("datetime64[ns]").astype(np.int64)) // step + after) * step
    return str(format_utc_times(np.array([nanoseconds]), digits)[0], "ascii")


def format_records_times(nanoseconds: npt.NDArray[np.int64], clock: Clock, digits: int) -> npt.NDArray[np.bytes_]:
    """Format whole times of records, in nanoseconds of their clock, as ISO text of one length, shape (n,)."""
    return format_utc_times(clock.to_utc(nanoseconds).astype(np.int64), digits)


def format_utc_times(utc: npt.NDArray[np.int64], digits: int) -> npt.NDArray[np.bytes_]:
    """Format nanoseconds since 1970 as ISO text, cut to a number of digits; quickest if they are in order."""
    days = utc // NANOSECONDS_A_DAY
    text = repeat_midnights(days, digits)
    within = utc - days * NANOSECONDS_A_DAY
    seconds = within // SECOND
    text[:, DATE_CHARACTERS:POINT].view(np.uint64)[:, 0] = list_clocks().take(seconds)
    if digits:
        fractions = ((within - seconds * SECOND) // TEN ** (9 - digits)).astype(np.int32)
        write_digits(text[:, POINT + 1 : -1], fractions)
    return text.reshape(-1).view(f"S{text.shape[1]}")


def repeat_midnights(days: npt.NDArray[np.int64], digits: int) -> npt.NDArray[np.uint8]:
    """Return the characters of the midnights at which days begin, numbered since 1970, shape (n, characters)."""
    changes = np.flatnonzero(days[1:] != days[:-1]) + 1
    text = bytearray()
    for start, stop in pairwise([0, *changes.tolist(), len(days)] if len(days) else []):
        day = days[start].astype("datetime64[D]")
        text += f"{day}T00:00:00{'.' if digits else ''}{'0' * digits}Z".encode() * (stop - start)
    return np.frombuffer(text, np.uint8).reshape(len(days), measure_time(digits))


@cache
def list_clocks() -> npt.NDArray[np.uint64]:
    """Return ``12:00:00`` for each second of a day, the eight characters as they are in memory."""
    seconds = np.arange(SECONDS_A_DAY, dtype=np.int32)
    text = np.full((SECONDS_A_DAY, SECOND_CHARACTERS), ord(":"), np.uint8)
    for column, values in ((0, seconds // 3600), (3, seconds // 60 % 60), (6, seconds % 60)):
        write_digits(text[:, column : column + 2], values)
    return text.reshape(-1).view(np.uint64)


def write_digits(columns: npt.NDArray[np.uint8], values: npt.NDArray[np.int32]) -> None:
    """Write numbers as digits into columns of characters, shape (n, digits): four or two at a time, from the last."""
    stop = columns.shape[1]
    for width, texts in ((4, FOURS), (2, PAIRS)):
        while stop >= width:
            higher = values // len(texts)
            columns[:, stop - width : stop].view(texts.dtype)[:, 0] = texts.take(values - higher * len(texts))
            values, stop = higher, stop - width
    if stop:
        columns[:, 0] = values + ord("0")
