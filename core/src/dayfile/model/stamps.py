"""Which fields can hold a time: a single number that counts every tick of its clock for long enough, or whole parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dayfile.model.clock import SECONDS_A_DAY, Clock
from dayfile.model.field import STORED_TYPES, Field
from dayfile.model.times import Calendar, Count

__all__ = ["find_stamp_problem"]

LEAST_DAYS = {"i": (1, "a day"), "u": (1, "a day"), "f": (366, "a year")}
"""Days from the epoch for which a time must count every tick, by kind of number. An integer ends, so it must hold one
day: uint16 ends after 18 hours. A float goes on in steps that nobody notices: float32 counts today's seconds since 1970
in steps of 128, float64 today's nanoseconds in steps of 256."""
PARTS_OF_DATES = "the parts of a date and time must be integers, and its fraction alone may be a float"
UNITS = {"d": "second", "s": "second", "ms": "millisecond", "us": "microsecond", "ns": "nanosecond"}


def find_stamp_problem(stamp: Count | Calendar, fields: Mapping[str, Field], clock: Clock) -> str:
    """Return why fields cannot hold the times of a clock; empty if they can.

    Parameters
    ----------
    stamp : Count or Calendar
        How a time is made of the fields.
    fields : mapping of str to Field
        All fields of the data type, by name.
    clock : Clock
        The clock of the data type.

    Examples
    --------
    >>> seconds = Clock(np.datetime64("1970-01-01T00:00:00"))
    >>> find_stamp_problem(Count("t"), {"t": Field("t", "uint32")}, seconds)
    ''
    >>> find_stamp_problem(Count("t"), {"t": Field("t", "float32")}, seconds)
    "'t' is float32, which counts each second for 194 days only, and a time must for a year: make the time {epoch: …, \
plus: {t: s}} if frames have the field, else use int64 or float64"
    """
    for name in stamp.field_names:
        field = fields[name]
        if field.shape or field.type in {"char", "bool"}:
            return f"{name!r} is not a single number, as a time must be"
        if field.counter or field.blob:
            word = "counter" if field.counter else "blob"
            return f"{name!r} is a {word}, whose values the archive sets; a time must be the instrument's"
        if np.dtype(STORED_TYPES[field.type]).kind == "f" and name not in (stamp.fraction, getattr(stamp, "field", "")):
            return f"{name!r} is {field.type}; {PARTS_OF_DATES}"
    if isinstance(stamp, Calendar):
        return ""
    if stamp.whole and fields[stamp.whole].type not in {"int64", "uint64"}:
        return f"{stamp.whole!r} is {fields[stamp.whole].type}; nanoseconds since the epoch need int64 or uint64"
    return find_count_problem(fields[stamp.field], clock)


def find_count_problem(field: Field, clock: Clock) -> str:
    """Return why a field cannot count the ticks of a clock; empty if it can."""
    form = np.dtype(STORED_TYPES[field.type])
    if clock.unit == "d" and form.kind != "f":
        return "" if form.itemsize > 1 else f"{field.name!r} is {field.type}, which counts 255 days at most"
    least, words = LEAST_DAYS[form.kind]
    days = find_last_exact(form) / max(clock.ticks, 1) / SECONDS_A_DAY
    if days >= least:
        return ""
    counts = f"{field.name!r} is {field.type}, which counts each {UNITS[clock.unit]} for {format_duration(days)} only"
    made = f"{{epoch: …, plus: {{{field.name}: {clock.unit}}}}}"
    wider = f"int64{' or float64' if clock.unit != 'ns' else ''}"
    return f"{counts}, and a time must for {words}: make the time {made} if frames have the field, else use {wider}"


def find_last_exact(form: np.dtype[Any]) -> int:
    """Return the last whole number up to which a type holds every one."""
    if form.kind == "f":
        return int(2 ** (np.finfo(form).nmant + 1))
    return int(np.iinfo(form).max)


def format_duration(days: float) -> str:
    """Format a duration, in a unit that suits it."""
    for length, unit in ((1.0, "days"), (1 / 24, "hours"), (1 / 1440, "minutes")):
        if days >= 2 * length:
            return f"{days / length:.0f} {unit}"
    return f"{days * SECONDS_A_DAY:.3g} s"
