"""Values as stations send them → columns of a table.

The rules are those of the datastore this plugin replaces, which assigned each value to a NumPy cell: a float is cut
towards zero in an integer column, an integer too wide wraps as two's complement (station software sends -999 and -1 as
unsigned numbers), digits in a text convert, None is NaN in a float column and False in a boolean one; None, NaN or
other text in an integer column cannot be stored. A whole column is converted at once where its values are of one
number type, value by value otherwise; both ways give the same cells.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dayfile import Field

__all__ = ["cell", "column", "fill"]

INT64 = np.iinfo(np.int64)
# Floats that int64 holds: from here on, wrapping goes by Python's integers.
SAFE_FLOAT = 2.0**62


def fill(target: npt.NDArray[Any], values: Sequence[object], field: Field) -> dict[int, str]:
    """Store the values that were sent for one field of many events.

    Parameters
    ----------
    target : array, shape (n,)
        The cells, a view into the records; changed in place.
    values : sequence, length n
        One value for each event.
    field : Field
        What the cells are.

    Returns
    -------
    dict of int to str
        For each value that cannot be stored, its place and the reason.
    """
    whole = column(values, target.dtype)
    if whole is not None:
        target[...] = whole
        return {}
    problems = {}
    for place, value in enumerate(values):
        try:
            target[place] = cell(value, target.dtype)
        except (TypeError, ValueError, OverflowError):
            problems[place] = f"{kind(value)} for {field.name} ({field.type})"
    return problems


def column(values: Sequence[object], dtype: np.dtype[Any]) -> npt.NDArray[Any] | None:
    """All values as one array of ``dtype``, shape (n,); None where they need to be looked at one by one."""
    try:
        # It takes nothing but integers and booleans, in half the time that looking at them first and NumPy take.
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


def cell(value: object, dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 - what NumPy makes of the value
    """One value as a NumPy scalar of ``dtype``: the plain form of the rules.

    Raises
    ------
    TypeError, ValueError, OverflowError
        The value cannot be stored.

    Examples
    --------
    >>> cell(64537, np.dtype("i2")), cell(3.7, np.dtype("i2")), cell("12", np.dtype("u1"))
    (np.int16(-999), np.int16(3), np.uint8(12))
    """
    if isinstance(value, bytes | bytearray | list | tuple | dict):
        raise TypeError(kind(value))
    if dtype.kind in "iu":
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(kind(value))
        if value is None:
            raise TypeError(kind(value))
        number = int(value)  # type: ignore[call-overload]  # a TypeError is the answer for what it does not take
        bits = dtype.itemsize * 8
        return np.array(number % 2**bits, f"u{dtype.itemsize}").astype(dtype)[()]
    place = np.zeros((), dtype)
    with np.errstate(over="ignore"):
        place[()] = value
    return place[()]


def kind(value: object) -> str:
    """What a value is, for messages; never the value, which may be long or private."""
    if isinstance(value, float):
        return "NaN" if math.isnan(value) else "an infinite number" if math.isinf(value) else "a number"
    names = {str: "a text that is no number", bytes: "bytes", type(None): "None", int: "an integer"}
    return names.get(type(value), f"a {type(value).__name__}")
