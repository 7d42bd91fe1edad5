"""Numbers as text: many at once, each as Python writes it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["format_numbers"]

KNOWN = 2**16
"""Integers below this have texts that are made once."""


def format_numbers(
    values: npt.NDArray[Any], missing: npt.NDArray[np.bool_] | None, *, empty: str, infinite: bool
) -> npt.NDArray[np.object_]:
    """Format numbers as Python's ``repr`` does, and truth values as ``true`` and ``false``.

    A float32 becomes the shortest number that means it: 13.07, not 13.069999694824219.

    Parameters
    ----------
    values : array of numbers or of bool, of any shape
        The numbers.
    missing : array of bool, same shape, or None
        Which of them are missing, besides NaN.
    empty : str
        What is written for those that are missing.
    infinite : bool
        Whether infinity is a number, and not missing.

    Returns
    -------
    array of object, same shape
        Texts.

    Examples
    --------
    >>> format_numbers(np.array([13.07, np.nan], "f4"), None, empty="null", infinite=False).tolist()
    ['13.07', 'null']
    """
    kind = values.dtype.kind
    if kind == "b":
        texts = np.where(values, "true", "false").astype(object)
    elif kind in "iu":
        texts = format_integers(values)
    else:
        plain = values.astype(str).astype(np.float64) if values.dtype == np.float32 else values
        texts = fill_with_texts(plain)
        gone = ~np.isfinite(values) if not infinite else np.isnan(values)
        missing = gone if missing is None else missing | gone
    if missing is not None and missing.any():
        texts[missing] = empty
    return texts


def format_integers(values: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    """Format integers; small ones by looking them up."""
    if values.size and int(values.min()) >= 0 and int(values.max()) < KNOWN:
        found: npt.NDArray[np.object_] = list_known()[values]
        return found
    return fill_with_texts(values)


def fill_with_texts(values: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
    """Return each number as Python writes it."""
    texts = np.empty(values.size, object)
    texts[:] = list(map(repr, values.ravel().tolist()))
    return texts.reshape(values.shape)


@cache
def list_known() -> npt.NDArray[np.object_]:
    """List the texts of small integers."""
    return np.array(list(map(str, range(KNOWN))), object)
