"""The time of the first record of another type in the same file, for what is given once in a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from dayfile.stages.base import Columns, Wrong
from dayfile.timing.digits import Int64

__all__ = ["FIRST_TIME", "NO_TIME", "FirstTime"]

FIRST_TIME = "first time"
"""Name of the value that has the time; no name in a layout has a blank."""
NO_TIME = np.iinfo(np.int64).min


@dataclass(frozen=True)
class FirstTime:
    """Times that are those of the first record of a type.

    Parameters
    ----------
    type : str
        The type.

    Examples
    --------
    >>> FirstTime("events").make({FIRST_TIME: np.array([NO_TIME])}, 1)[1].reasons
    {0: 'no time: no record of events tells it'}
    """

    type: str
    names: ClassVar[tuple[str, ...]] = (FIRST_TIME,)

    def make(self, columns: Columns, count: int) -> tuple[Int64, Wrong]:
        """Make the times of n records."""
        times = np.broadcast_to(columns[FIRST_TIME], (count,)).astype(np.int64)
        wrong = Wrong.none(count)
        wrong.add(times == NO_TIME, f"no time: no record of {self.type} tells it")
        return np.where(wrong.rows, 0, times), wrong

    def take_apart(self, times: Int64) -> Columns:  # noqa: ARG002 - of the protocol
        """Return nothing: the time is in another record."""
        return {}
