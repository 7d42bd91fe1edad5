"""The intervals store: records with a start and an end stamp. Written as the append store does; read by validity."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["touching"]


def touching(starts: npt.NDArray[Any], ends: npt.NDArray[Any], first: float, last: float) -> npt.NDArray[np.bool_]:
    """Which intervals hold any time from ``first`` up to, not including, ``last``.

    Parameters
    ----------
    starts, ends : array, shape (n,)
        Stamps of the records; the end stamp is the last second at which a record is valid.
    first, last : float
        Clock values.

    Returns
    -------
    array of bool, shape (n,)

    Examples
    --------
    >>> touching(np.array([0, 50, 90]), np.array([40, 80, 120]), 60, 90)
    array([False,  True, False])
    """
    return (starts < last) & (ends >= first)
