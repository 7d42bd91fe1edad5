"""For which times a record is valid.

A record of a periodic type is valid for a period from its time on. A record with an end stamp is valid up to and with
that. Any other record is valid at its time.

A range of times includes the record that is valid at its start, though it began before, and excludes the one that is
valid at its stop, unless it is the one at the start. So consecutive ranges give every record once, except a record that
is longer than a range.

Times are int64 of nanoseconds, as :meth:`dayfile.model.clock.Clock.to_nanoseconds` gives them. With a type whose
records begin at their tick (:attr:`dayfile.model.times.Timing.begins`), a bound that is a whole tick is compared with
whole ticks, as if records had no fractions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.datatype import DataType
from dayfile.model.leap_seconds import SECOND

__all__ = ["ALWAYS", "NEVER", "find_begins", "find_end_seconds", "find_inside", "find_valid_at", "find_valid_between"]

ALWAYS, NEVER = np.iinfo(np.int64).min, np.iinfo(np.int64).max
"""A start, and a stop, that bound nothing."""


def find_end_seconds(records: npt.NDArray[Any], data_type: DataType) -> npt.NDArray[Any]:
    """Return the last tick of the clock at which each record is valid.

    Parameters
    ----------
    records : structured array, shape (n,)
        With the time field of the data type, and the field of the end stamp if it has one.
    data_type : DataType
        What they are.

    Returns
    -------
    array of int64, or float64 where the stamps are floats, shape (n,)
    """
    clock, timing = data_type.clock, data_type.timing
    stamps = (timing.end or timing.time).count(records, clock)
    numbers = stamps.astype(np.float64 if stamps.dtype.kind == "f" else np.int64)
    return numbers - min(1, clock.ticks) + data_type.period * clock.ticks if data_type.period else numbers


def find_begins(records: npt.NDArray[Any], data_type: DataType, bound: int) -> npt.NDArray[np.int64]:
    """Return when records begin, to be compared with a bound; nanoseconds, shape (n,)."""
    if is_compared_by_tick(data_type, bound):
        return data_type.clock.to_nanoseconds(data_type.count(records))
    return data_type.find_begins(records)


def is_compared_by_tick(data_type: DataType, bound: int) -> bool:
    """Return whether a bound is compared with the whole ticks of records."""
    clock = data_type.clock
    return data_type.timing.begins == "tick" and (bound - clock.origin) % clock.tick == 0


def find_valid_at(records: npt.NDArray[Any], data_type: DataType, moment: int) -> npt.NDArray[np.bool_]:
    """Find the records that are valid at a time in nanoseconds, shape (n,)."""
    begins, end = find_begins(records, data_type, moment), data_type.timing.end
    began: npt.NDArray[np.bool_] = begins <= moment
    if data_type.period:
        return began & (begins > moment - data_type.period * SECOND)
    if end is None:
        ends = begins
    elif is_compared_by_tick(data_type, moment):
        ends = data_type.clock.to_nanoseconds(end.count(records, data_type.clock))
    else:
        ends = end.find(records, data_type.clock)
    return began & (ends >= moment)


def find_valid_between(records: npt.NDArray[Any], data_type: DataType, start: int, stop: int) -> npt.NDArray[np.bool_]:
    """Find the records that belong to the time from a start to a stop.

    Parameters
    ----------
    records : structured array, shape (n,)
        In any order.
    data_type : DataType
        What they are.
    start, stop : int
        Times in nanoseconds; ``ALWAYS`` and ``NEVER`` for no bound.

    Returns
    -------
    array of bool, shape (n,)
        True for what is valid at ``start``, and for what begins after it, up to ``stop``, and is not valid at
        ``stop``.

    Examples
    --------
    Records of 256 s that begin at 0, 256 and 512, asked for from 300 to 600:

    >>> from dayfile import Clock, DataType, Field, Node, Placement
    >>> clock = Clock(np.datetime64("1970-01-01T00:00:00"))
    >>> fields = (Field("second", "uint32"),)
    >>> slots = DataType(
    ...     "moon", "dust", "Dust", "", fields, clock, "second", Placement("slots", "", Node("/dust")), period=256
    ... )
    >>> records = np.array([(0,), (256,), (512,)], slots.dtype)
    >>> find_valid_between(records, slots, 300 * SECOND, 600 * SECOND)
    array([False,  True, False])
    """
    if stop < start:
        return np.zeros(len(records), bool)
    found = np.ones(len(records), bool)
    if stop != NEVER:
        found = (find_begins(records, data_type, stop) <= stop) & ~find_valid_at(records, data_type, stop)
    if start == ALWAYS:
        return found
    found &= find_begins(records, data_type, start) > start
    return found | find_valid_at(records, data_type, start)


def find_inside(records: npt.NDArray[Any], data_type: DataType, start: int, stop: int) -> npt.NDArray[np.bool_]:
    """Find the records that begin from a start on and before a stop, shape (n,).

    Parameters
    ----------
    records : structured array, shape (n,)
        In any order.
    data_type : DataType
        What they are.
    start, stop : int
        Times in nanoseconds; ``ALWAYS`` and ``NEVER`` for no bound.
    """
    found = np.ones(len(records), bool)
    if start != ALWAYS:
        found &= find_begins(records, data_type, start) >= start
    if stop != NEVER:
        found &= find_begins(records, data_type, stop) < stop
    return found
