"""Rates: how many records there are, over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.handover.columns import RecordTable
from dayfile.messages import plural
from dayfile.plots.base import Plot
from dayfile.plots.bins import cut_time, name_length
from dayfile.plots.curves import find_longest_step, split_by_key
from dayfile.plots.figures import COLOURS, show_utc

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Rates"]

RATE_BINS = 120
"""Bins of time, about, in a picture."""
LEAST_PART = 0.25
"""Part of the first and last bin that must be between the first and last record, so that it is drawn."""


class Rates(Plot):
    """Numbers of records over time, of each key."""

    name = "rates"

    def draw(self, figure: Figure, records: RecordTable, fields: Sequence[str], *, log: bool) -> None:
        """Draw the number of records in each bin of time; where a key has a gap, nothing is drawn."""
        if fields:
            raise UsageError("rates are numbers of records, not values of fields; the kind for those is series")
        times = np.sort(records.times)
        groups = list(split_by_key(records))
        if len(groups) > len(COLOURS):
            most = len(COLOURS)
            raise UsageError(
                f"{plural(len(groups), 'key')} give as many curves, and a picture can show {most} clearly; "
                f"choose up to {most} of them"
            )
        edges, length = cut_time(times[0], times[-1], RATE_BINS)
        axes = figure.add_subplot()
        for (label, rows), colour in zip(groups, COLOURS, strict=False):
            counts = count_by_bin(np.sort(records.times[rows]), edges, times[0], times[-1], records.data_type.period)
            axes.stairs(counts, edges.astype("datetime64[us]"), color=colour, label=label, linewidth=1.2, baseline=None)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylabel(f"records per {name_length(length).removeprefix('1 ')}")
        if log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        if len(groups) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        show_utc(axes, times[0], times[-1])


def count_by_bin(
    times: npt.NDArray[np.datetime64],
    edges: npt.NDArray[np.datetime64],
    first: np.datetime64,
    last: np.datetime64,
    period: int,
) -> npt.NDArray[np.float64]:
    """Count records by bin; NaN in gaps. A bin of which only a part is between first and last is scaled up.

    Parameters
    ----------
    times : array of datetime64[ns], shape (n,)
        Times of the records of a key, in order.
    edges : array of datetime64[ns], shape (bins + 1,)
        Edges of the bins.
    first, last : numpy.datetime64
        The first and last time of all keys.
    period : int
        Seconds between records; 0 if they come at any time.
    """
    counts = np.diff(np.searchsorted(times, edges)).astype(float)
    length = (edges[1] - edges[0]).astype(np.int64)
    seen = np.minimum(edges[1:], last) - np.maximum(edges[:-1], first)
    part = seen.astype("timedelta64[ns]").astype(np.int64) / length
    counts = np.where(part < LEAST_PART, np.nan, counts / np.maximum(part, LEAST_PART)) if len(counts) > 1 else counts
    longest = find_longest_step(times, period)
    around = np.concatenate([[first], times, [last]])
    before = np.flatnonzero(np.diff(around) > longest)
    for begin, end in zip(around[before], around[before + 1], strict=True):
        counts[(edges[:-1] >= begin) & (edges[1:] <= end)] = np.nan
    return counts
