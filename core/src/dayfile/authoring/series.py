"""Numbers that are at the same distance from one to the next in a sample, and grow as times do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dayfile.authoring.clocks import TIME_SIZES, CountedClock

__all__ = ["LONGEST_HEAD", "LONGEST_RECORD", "FieldSeries", "find_record_lengths", "find_series"]

LONGEST_RECORD = 4096
LONGEST_HEAD = 1024
"""Bytes in front of the first record, at most."""
COMPARED = 2**17
"""Bytes that are compared with those behind them."""
MOST_LENGTHS = 16
"""Distances at which bytes are alike most often."""
FIRST_ROWS = 64
"""Records by which series are found."""
LEAST_MOVING = 0.05
"""Share of the steps that must be forward."""


@dataclass(frozen=True)
class FieldSeries:
    """Numbers in a sample.

    Parameters
    ----------
    length : int
        Bytes from one to the next.
    start : int
        Bytes in front of the first, less than the length.
    kind : str
        Type.
    order : {"little", "big"}
        Byte order.
    """

    length: int
    start: int
    kind: str
    order: str

    def view(self, content: bytes) -> npt.NDArray[np.generic]:
        """View the numbers in the sample."""
        form = np.dtype(self.kind).newbyteorder("<" if self.order == "little" else ">")
        count = max(0, (len(content) - self.start - form.itemsize) // self.length + 1)
        return np.ndarray((count,), form, content, self.start, (self.length,))


def find_record_lengths(content: bytes, fewest: int) -> list[int]:
    """Find the lengths that records can have, the shortest first.

    Bytes that are alike in all records, such as the first ones of a time, are alike at the distance of a record. The
    distances where most bytes are alike count, and those that divide them.

    Parameters
    ----------
    content : bytes
        The sample.
    fewest : int
        Records that it must have at least.
    """
    middle = max(0, len(content) - COMPARED) // 2
    part = np.frombuffer(content, np.uint8)[middle : middle + COMPARED]
    distances = np.arange(4, min(LONGEST_RECORD, len(content) // fewest) + 1)
    if not distances.size:
        return []
    alike = np.array([np.count_nonzero(part[each:] == part[:-each]) / (len(part) - each) for each in distances])
    best = distances[np.argsort(-alike, kind="stable")[:MOST_LENGTHS]]
    divides = (best[:, np.newaxis] % distances == 0).any(axis=0)
    return [int(each) for each in distances[divides]]


def find_series(
    content: bytes,
    length: int,
    kind: str,
    clocks: Sequence[CountedClock],
    orders: Sequence[str],
    least: float,
    skip: int = LONGEST_HEAD,
) -> Iterator[tuple[FieldSeries, list[CountedClock]]]:
    """Find the series at a distance that grow, with the clocks by which they are plausible times.

    Parameters
    ----------
    content : bytes
        The sample.
    length : int
        The distance.
    kind : str
        Type of the numbers.
    clocks : sequence of CountedClock
        Clocks that are tried.
    orders : sequence of str
        Byte orders that are tried.
    least : float
        Share of the steps that must not go back.
    skip : int
        Bytes at the begin that are not looked at.
    """
    count = (len(content) - length - TIME_SIZES[kind]) // length + 1
    if count < 2:
        return
    first = min(-(-skip // length), count // 4)
    shape = min(FIRST_ROWS, count - first), length
    for order in orders:
        form = np.dtype(kind).newbyteorder("<" if order == "little" else ">")
        rows = np.ndarray(shape, form, content, first * length, (length, 1)).astype(kind)
        grows = ((rows[1:] >= rows[:-1]).mean(0) >= least) & ((rows[1:] > rows[:-1]).mean(0) >= LEAST_MOVING)
        starts = np.flatnonzero(grows)
        middle = np.sort(rows[:, starts], axis=0)[len(rows) // 2]
        fits = [(middle >= each.bounds[0]) & (middle < each.bounds[1]) for each in clocks]
        for column in np.flatnonzero(np.any(fits, axis=0)):
            fitting = [clock for clock, some in zip(clocks, fits, strict=True) if some[column]]
            yield FieldSeries(length, int(starts[column]), kind, order), fitting
