"""Times made in the plainest way: by whole numbers and Python's own dates, one record after the other."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal, InvalidOperation
from fractions import Fraction

SECOND = 10**9
UNITS = {"w": 604800 * SECOND, "d": 86400 * SECOND, "h": 3600 * SECOND, "min": 60 * SECOND, "s": SECOND}
UNITS |= {"ms": 10**6, "us": 1000, "ns": 1}
LEAPS = """1972-07 1973-01 1974-01 1975-01 1976-01 1977-01 1978-01 1979-01 1980-01 1981-07 1982-07 1983-07 1985-07
1988-01 1990-01 1991-01 1992-07 1993-07 1994-07 1996-01 1997-07 1999-01 2006-01 2009-01 2012-07 2015-07 2017-01"""
AHEAD_OF_TAI = {"tai": 0, "gps": 19 * SECOND, "tt": -32184 * 10**6}
"""What is added to a time in a scale to have TAI."""


class LostError(Exception):
    """A record cannot be read, or has no time."""


def since_1970(moment):
    """Nanoseconds since 1970 of a date, as a datetime or a text."""
    if isinstance(moment, str):
        moment = dt.datetime.fromisoformat(moment)
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return (moment - dt.datetime(1970, 1, 1)) // dt.timedelta(microseconds=1) * 1000


STEPS = [since_1970(f"{month}-01") for month in LEAPS.split()]


def to_tai(utc):
    return utc + (10 + sum(utc >= step for step in STEPS)) * SECOND


def to_utc(tai):
    """UTC of TAI; within a leap second the last nanosecond before its end."""
    ahead = 10
    for number, step in enumerate(STEPS):
        if tai >= step + (number + 11) * SECOND:
            ahead = number + 11
        elif tai >= step + (number + 10) * SECOND:
            return step - 1
    return tai - ahead * SECOND


def length_of(unit):
    """Nanoseconds of a unit."""
    if unit in UNITS:
        return Fraction(UNITS[unit])
    return Fraction(SECOND, int(re.fullmatch(r"1\s*/\s*(\d+) s", unit)[1]))


def read_number(value):
    if isinstance(value, bytes | str):
        text = value.decode() if isinstance(value, bytes) else value
        try:
            return Fraction(Decimal(text.strip()))
        except (InvalidOperation, ValueError, OverflowError) as error:
            raise LostError("no number") from error
    return Fraction(value)


def add_parts(plus, scope, epoch):
    """The nanoseconds of the parts of a sum."""
    total = 0
    for name, words in plus.items():
        said = words if isinstance(words, dict) else {"unit": words}
        if name not in scope:
            raise LostError("nothing tells it")
        value, unit = read_number(scope[name]), length_of(said["unit"])
        least, below = said.get("least"), said.get("below")
        if "modulo" in said:
            least, below = least or 0, min(below or said["modulo"], said["modulo"])
        if (least is not None and value < least) or (below is not None and value >= below):
            raise LostError("impossible")
        if "modulo" in said:
            first = (since_1970(said["since"]) - epoch) // unit
            value = first + (value - first) % said["modulo"]
        total += value * unit // 1
    return total


def make_time(layout, words, scope, stored):
    """Make the time of a record, in nanoseconds since 1970 in UTC; None if stored fields have it."""
    del layout
    said = words["time"]
    if isinstance(said, str) or "field" in said:
        return None
    if "epoch" in said:
        epoch = since_1970(said["epoch"])
        total = epoch + add_parts(said["plus"], scope, epoch)
        scale = said.get("scale", "utc")
        if scale != "utc":
            total = to_utc(total + AHEAD_OF_TAI[scale])
        elif said.get("leap_seconds") == "counted":
            total = to_utc(to_tai(epoch) + total - epoch)
    elif "text" in said:
        total = read_text(said, scope)
    else:
        parts = [said.get(part) for part in ("year", "month", "day", "hour", "minute", "second")]
        if all(part in stored for part in parts if part) and not said.keys() & {"plus", "scale", "zone", "day_of_year"}:
            return None
        total = read_date(parts, scope) + add_parts(said.get("plus", {}), scope, 0)
    if not since_1970("1678-01-01") <= total < since_1970("2262-01-01"):
        raise LostError("outside of the years of times")
    return total


def check_stored_time(clock, words, record):
    """Refuse a stored time that is a mark for no time, or in no year that a time can be in."""
    said = words["time"]
    name = said if isinstance(said, str) else said.get("field")
    if name is None:
        return
    moment = since_1970(clock["epoch"]) + record[name] * UNITS[clock.get("unit", "s")]
    outside = not since_1970("1900-01-01") <= moment < since_1970("2262-01-01")
    if outside or record[name] in clock.get("undefined", ()):
        raise LostError("no time")


def read_date(parts, scope):
    """A date and time of day in parts."""
    try:
        year, month, day, *clock = (int(read_number(scope[part])) if part else 0 for part in parts)
        return since_1970(dt.datetime(year, month, day, *clock))
    except (KeyError, ValueError, OverflowError) as error:
        raise LostError("no date") from error


def read_text(said, scope):
    """A time as text."""
    names = re.findall(r"\{(\w+)\}", said["text"])
    if any(name not in scope for name in names):
        raise LostError("nothing tells it")
    texts = {name: scope[name].decode() if isinstance(scope[name], bytes) else scope[name] for name in names}
    text = said["text"].format(**texts)
    try:
        return since_1970(dt.datetime.strptime(text, said["form"]) if "form" in said else text)
    except ValueError as error:
        raise LostError("no time") from error
