"""Convert values as stations send them to columns of a table.

The rules are those of the datastore that this plugin replaces, which assigned each value to a NumPy cell: a float is
truncated towards zero in an integer column, an integer that is too wide wraps as two's complement (station software
sends
-999 and -1 as unsigned numbers), digits in a text are converted, None is NaN in a float column and False in a boolean
one; None, NaN or other text in an integer column cannot be stored. A column whose values have one number type is
converted at once, other columns value by value; both ways give the same cells.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile import Field

__all__ = ["convert_column", "convert_value", "fill_cells"]

# Floats that int64 holds: larger ones are wrapped with Python's integers.
SAFE_FLOAT = 2.0**62


def fill_cells(target: npt.NDArray[Any], values: Sequence[object], field: Field) -> dict[int, str]:
    """Fill cells with the values that were sent for one field of many events.

    Parameters
    ----------
    target : array, shape (n,)
        The cells, a view into the records; changed in place.
    values : sequence, length n
        One value for each event.
    field : Field
        The field of the cells.

    Returns
    -------
    dict of int to str
        For each value that cannot be stored, its index and the reason.
    """
    whole = convert_column(values, target.dtype)
    if whole is not None:
        target[...] = whole
        return {}
    problems = {}
    for place, value in enumerate(values):
        try:
            target[place] = convert_value(value, target.dtype)
        except (TypeError, ValueError, OverflowError):
            problems[place] = f"{describe_kind(value)} for {field.name} ({field.type})"
    return problems


def convert_column(values: Sequence[object], dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    """Convert all values to an array of ``dtype``, shape (n,); None if they must be converted one by one."""
    try:
        # It accepts only integers and booleans, in half the time that NumPy takes after a check of the types.
        return np.asarray(array("q", values)).astype(dtype)  # type: ignore[type-var]  # a TypeError for all others
    except OverflowError:
        return None
    except TypeError:
        types = set(map(type, values))
    if types == {float}:
        numbers = np.array(values, np.float64)
        if dtype.kind not in "iu":
            with np.errstate(over="ignore"):
                return numbers.astype(dtype)
        if bool((np.abs(numbers) < SAFE_FLOAT).all()):  # false for NaN too
            return numbers.astype(np.int64).astype(dtype)
    return None


def convert_value(value: object, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - what NumPy makes of the value
    """Convert one value to a NumPy scalar of ``dtype``: the plain form of the rules.

    Raises
    ------
    TypeError, ValueError, OverflowError
        The value cannot be stored.

    Examples
    --------
    >>> convert_value(64537, np.dtype("i2")), convert_value(3.7, np.dtype("i2")), convert_value("12", np.dtype("u1"))
    (np.int16(-999), np.int16(3), np.uint8(12))
    """
    if isinstance(value, bytes | bytearray | list | tuple | dict):
        raise TypeError(describe_kind(value))
    if dtype.kind in "iu":
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(describe_kind(value))
        if value is None:
            raise TypeError(describe_kind(value))
        number = int(value)  # type: ignore[call-overload]  # raises TypeError for anything else
        bits = dtype.itemsize * 8
        return np.array(number % 2**bits, f"u{dtype.itemsize}").astype(dtype)[()]
    place = np.zeros((), dtype)
    with np.errstate(over="ignore"):
        place[()] = value
    return place[()]


def describe_kind(value: object) -> str:
    """Describe the kind of a value, for messages; never the value itself, which may be long or private."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else "an infinite number" if math.isinf(value) else "a number"
    names = {str: "a text that is not a number", bytes: "bytes", type(None): "None", int: "an integer"}
    return names.get(type(value), f"a {type(value).__name__}")
