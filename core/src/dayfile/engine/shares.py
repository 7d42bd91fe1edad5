"""The results of writing a group of sources, by day file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dayfile.plugins import Failure

__all__ = ["Setback", "Share", "Written"]


@dataclass
class Share:
    """The result of writing a group of sources into one day file; sources by their place in the group.

    Parameters
    ----------
    records : dict of int to int
        Number of records of each source that belong to it.
    known : set of int
        Sources that it had already, for which nothing was done.
    failures : dict of int to list of Failure
        Why records of a source could not be written.
    held : str
        Why the day file cannot be written now; empty if it can.
    """

    records: dict[int, int] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    failures: dict[int, list[Failure]] = field(default_factory=dict)
    held: str = ""

    def fail(self, place: int, failure: Failure) -> None:
        """Note that records of a source could not be written."""
        self.failures.setdefault(place, []).append(failure)


@dataclass(frozen=True)
class Setback:
    """A work file that was given up because the published day file that it was copied from is damaged.

    Parameters
    ----------
    reason : str
        What is wrong, and what to do.
    statuses : list of (str, array)
        As in :class:`Written`: the statuses of records that were counted and are now in no day file.
    """

    reason: str
    statuses: list[tuple[str, npt.NDArray[np.uint8]]]


@dataclass
class Written:
    """The result of writing a group of sources.

    Parameters
    ----------
    shares : dict of str to Share
        The result for each day file.
    statuses : list of (str, array)
        Name of the data type and a status for each record, of each piece that was written.
    setbacks : dict of str to Setback
        Day files that were given up, with what earlier groups wrote to them.
    arrivals : dict of (str, str) to float
        When the last source with records of each data type and key arrived, seconds since 1970.
    """

    shares: dict[str, Share] = field(default_factory=dict)
    statuses: list[tuple[str, npt.NDArray[np.uint8]]] = field(default_factory=list)
    setbacks: dict[str, Setback] = field(default_factory=dict)
    arrivals: dict[tuple[str, str], float] = field(default_factory=dict)

    def note_arrival(self, data_type: str, key: str, arrived: float) -> None:
        """Note when a source with records of a data type and key arrived."""
        self.arrivals[data_type, key] = max(arrived, self.arrivals.get((data_type, key), arrived))

    def add(self, other: Written) -> None:
        """Add the result for other day files."""
        self.shares |= other.shares
        self.statuses += other.statuses
        self.setbacks |= other.setbacks
        for (data_type, key), arrived in other.arrivals.items():
            self.note_arrival(data_type, key, arrived)
