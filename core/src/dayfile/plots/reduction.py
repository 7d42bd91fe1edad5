"""What remains of values over time when they are reduced to what a picture can show, piece after piece."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from dayfile.handover.columns import RecordTable
from dayfile.plots.survey import Elements, KeyTexts, split_by_key, take_values

__all__ = ["Points", "Reduced", "TimeBins", "TimeMeans", "reduce_pieces"]


class Reduced(Protocol):
    """Values of some elements of one key, of which enough is kept for a picture."""

    def add(self, times: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64]) -> None:
        """Add the values of further records, shape (n, elements), in time order."""
        ...


def reduce_pieces(
    pieces: Iterable[RecordTable], chosen: Sequence[Elements], make: Callable[[int, KeyTexts], Reduced]
) -> dict[tuple[int, KeyTexts], Reduced]:
    """Reduce the values of some elements.

    Parameters
    ----------
    pieces : iterable of RecordTable
        The records.
    chosen : sequence of Elements
        What is drawn of them.
    make : callable
        Returns what keeps the values of elements, by their index, and of a key.

    Returns
    -------
    dict of (int, KeyTexts) to Reduced
        What was kept, by index of the elements and key.
    """
    found: dict[tuple[int, KeyTexts], Reduced] = {}
    for records in pieces:
        times, groups = records.times, list(split_by_key(records))
        for number, each in enumerate(chosen):
            values = take_values(records, each)
            for key, rows in groups:
                if (number, key) not in found:
                    found[number, key] = make(number, key)
                found[number, key].add(times[rows], values[rows])
    return found


class Points:
    """All values, NaN for those that are missing or not between two limits."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.outside = 0
        self.parts: list[tuple[npt.NDArray[np.datetime64], npt.NDArray[np.float64]]] = []

    def add(self, times: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64]) -> None:
        """Add the values of further records."""
        outside = (values < self.low) | (values > self.high)
        self.outside += int((outside & np.isfinite(values)).sum())
        self.parts.append((times, np.where(outside | ~np.isfinite(values), np.nan, values)))

    @property
    def times(self) -> npt.NDArray[np.datetime64]:
        """Return the time of each record, shape (n,)."""
        return np.concatenate([times for times, _ in self.parts])

    @property
    def values(self) -> npt.NDArray[np.float64]:
        """Return the values, shape (n, elements)."""
        return np.concatenate([values for _, values in self.parts])


class TimeMeans:
    """Means in bins of time, of the values between two limits.

    Parameters
    ----------
    edges : array of datetime64[ns], shape (bins + 1,)
        Edges of the bins.
    elements : int
        Number of elements.
    low, high : float
        The limits.
    step : int
        Neighbouring elements of which one mean is taken.
    """

    def __init__(
        self, edges: npt.NDArray[np.datetime64], elements: int, low: float, high: float, *, step: int = 1
    ) -> None:
        self.edges, self.low, self.high, self.step = edges, low, high, step
        self.outside = 0
        self.columns = np.arange(0, elements, step)
        self.counts = np.zeros((len(edges) - 1, len(self.columns)), np.int64)
        self.sums = np.zeros(self.counts.shape)
        self.firsts = np.full(len(edges) - 1, np.iinfo(np.int64).max).astype("datetime64[ns]")
        self.lasts = np.full(len(edges) - 1, np.iinfo(np.int64).min + 1).astype("datetime64[ns]")

    def add(self, times: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64]) -> None:
        """Add the values of further records."""
        finite = np.isfinite(values)
        inside = finite & (values >= self.low) & (values <= self.high)
        self.outside += int(finite.sum()) - int(inside.sum())
        some = inside.any(axis=1)
        times, values, inside = times[some], values[some], inside[some]
        if not len(times):
            return
        starts = np.searchsorted(times, self.edges)
        full = np.flatnonzero(np.diff(starts))
        first = starts[:-1][full]
        self.firsts[full] = np.minimum(self.firsts[full], times[first])
        self.lasts[full] = np.maximum(self.lasts[full], times[starts[1:][full] - 1])
        self.add_bins(full, first, values, inside)

    def add_bins(
        self,
        full: npt.NDArray[np.intp],
        first: npt.NDArray[np.intp],
        values: npt.NDArray[np.float64],
        inside: npt.NDArray[np.bool_],
    ) -> None:
        """Add the values that are inside to full bins, each from its first row up to that of the next one."""
        counts = np.add.reduceat(inside, first, dtype=np.int64)
        sums = np.add.reduceat(np.where(inside, values, 0), first)
        self.counts[full] += np.add.reduceat(counts, self.columns, axis=1)
        self.sums[full] += np.add.reduceat(sums, self.columns, axis=1)

    @property
    def means(self) -> npt.NDArray[np.float64]:
        """Return the means, shape (bins, elements / step), NaN where there are no values."""
        empty = np.full(self.sums.shape, np.nan)
        means: npt.NDArray[np.float64] = np.divide(self.sums, self.counts, out=empty, where=self.counts > 0)
        return means

    def find_gaps(self, full: npt.NDArray[np.intp], longest: np.timedelta64) -> npt.NDArray[np.bool_]:
        """Find the gaps after each of some bins: no record for longer than a step may be, and an empty bin at least.

        Parameters
        ----------
        full : array of int, shape (n,)
            Bins that have values, in order.
        longest : numpy.timedelta64
            The longest step between records that is no gap.

        Returns
        -------
        array of bool, shape (n - 1,)
        """
        steps = self.firsts[full[1:]] - self.lasts[full[:-1]]
        gaps: npt.NDArray[np.bool_] = (steps > longest) & (np.diff(full) > 1)
        return gaps


class TimeBins(TimeMeans):
    """Means in bins of time, and the least and the greatest value of each bin."""

    def __init__(self, edges: npt.NDArray[np.datetime64], elements: int, low: float, high: float) -> None:
        super().__init__(edges, elements, low, high)
        self.least = np.full(self.counts.shape, np.inf)
        self.greatest = np.full(self.counts.shape, -np.inf)

    def add_bins(
        self,
        full: npt.NDArray[np.intp],
        first: npt.NDArray[np.intp],
        values: npt.NDArray[np.float64],
        inside: npt.NDArray[np.bool_],
    ) -> None:
        """Add values to bins."""
        super().add_bins(full, first, values, inside)
        least = np.minimum.reduceat(np.where(inside, values, np.inf), first)
        greatest = np.maximum.reduceat(np.where(inside, values, -np.inf), first)
        self.least[full] = np.minimum(self.least[full], least)
        self.greatest[full] = np.maximum(self.greatest[full], greatest)
