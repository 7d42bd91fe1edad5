"""For which times a record is valid.

A record of a periodic type is valid for a period from its time on: its last second is ``time - 1 + period``. A record
with an end stamp is valid up to and with that. Any other record is valid at its time.

A range of times includes the record that is valid at its start, though it began before, and excludes the one that is
valid at its stop, unless it is the one at the start. So consecutive ranges give every record once, except a record that
is longer than a range.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile.model.datatype import DataType

__all__ = ["find_end_seconds", "find_valid_at", "find_valid_between"]


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
    stamps = records[data_type.end or data_type.time]
    numbers = stamps.astype(np.float64 if stamps.dtype.kind == "f" else np.int64)
    return numbers - 1 + data_type.period * data_type.clock.ticks if data_type.period else numbers


def find_valid_at(records: npt.NDArray[Any], data_type: DataType, moment: float) -> npt.NDArray[np.bool_]:
    """Find the records that are valid at a value of their clock, shape (n,)."""
    began = records[data_type.time] <= moment
    # Of a periodic type all of the last second counts, also the part behind a whole number.
    lasts = find_end_seconds(records, data_type)
    holds: npt.NDArray[np.bool_] = began & ((lasts + 1 > moment) if data_type.period else (lasts >= moment))
    return holds


def find_valid_between(
    records: npt.NDArray[Any], data_type: DataType, start: float, stop: float
) -> npt.NDArray[np.bool_]:
    """Find the records that belong to the time from a start to a stop.

    Parameters
    ----------
    records : structured array, shape (n,)
        In any order.
    data_type : DataType
        What they are.
    start, stop : float
        Values of their clock; infinite for no bound.

    Returns
    -------
    array of bool, shape (n,)
        True for what is valid at ``start``, and for what begins after it, up to ``stop``, and is not valid at
        ``stop``.

    Examples
    --------
    Records of 256 s that begin at 0, 256 and 512, asked for from 300 to 600:

    >>> from dayfile import Clock, DataType, Field, Node, Placement
    >>> clock = Clock(np.datetime64("1996-01-01T00:00:00"))
    >>> fields = (Field("second", "uint32"),)
    >>> slots = DataType(
    ...     "moon", "dust", "Dust", "", fields, clock, "second", Placement("slots", "", Node("/dust")), period=256
    ... )
    >>> records = np.array([(0,), (256,), (512,)], slots.dtype)
    >>> find_valid_between(records, slots, 300, 600)
    array([False,  True, False])
    """
    if stop < start:
        return np.zeros(len(records), bool)
    times = records[data_type.time]
    later: npt.NDArray[np.bool_] = (times > start) & (times <= stop) & ~find_valid_at(records, data_type, stop)
    return find_valid_at(records, data_type, start) | later
