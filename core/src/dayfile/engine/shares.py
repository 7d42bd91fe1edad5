"""What became of the records of a group of sources, by day file."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dayfile.plugins import Failure

__all__ = ["Setback", "Share", "Written"]


@dataclass
class Share:
    """What became of the records of a group of sources in one day file; sources by their place in the group.

    Parameters
    ----------
    records : dict of int to int
        How many of each source belong to it.
    known : set of int
        Sources that it had already, so that nothing was done.
    failures : dict of int to list of Failure
        Why some could not be written.
    held : str
        Why the day file can take nothing now; empty if it can.
    """

    records: dict[int, int] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)
    failures: dict[int, list[Failure]] = field(default_factory=dict)
    held: str = ""

    def fail(self, place: int, failure: Failure) -> None:
        """Put down that records of a source could not be written."""
        self.failures.setdefault(place, []).append(failure)


@dataclass(frozen=True)
class Setback:
    """A day file in the making that was given up, as the published one that it began from turned out to be damaged.

    Parameters
    ----------
    reason : str
        What is wrong, and what to do.
    statuses : list of (str, array)
        As in :class:`Written`: what had been counted of records that are in no day file now.
    """

    reason: str
    statuses: list[tuple[str, npt.NDArray[np.uint8]]]


@dataclass
class Written:
    """What became of the records of a group of sources.

    Parameters
    ----------
    shares : dict of str to Share
        By day file.
    statuses : list of (str, array)
        Name of the data type, and a status per record, of each piece that was written.
    setbacks : dict of str to Setback
        Day files that were given up meanwhile, with what earlier groups wrote to them.
    """

    shares: dict[str, Share] = field(default_factory=dict)
    statuses: list[tuple[str, npt.NDArray[np.uint8]]] = field(default_factory=list)
    setbacks: dict[str, Setback] = field(default_factory=dict)
