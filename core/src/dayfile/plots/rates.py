"""Rates: how many records there are, over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural
from dayfile.plots.base import Pieces, Plot
from dayfile.plots.bins import cut_time, name_length
from dayfile.plots.curves import find_longest_step
from dayfile.plots.figures import COLOURS, show_utc
from dayfile.plots.survey import KeyTexts, Survey, label_keys, split_by_key, survey_pieces

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

    def draw(self, figure: Figure, pieces: Pieces, fields: Sequence[str], *, log: bool) -> None:
        """Draw the number of records in each bin of time; where a key has a gap, nothing is drawn."""
        if fields:
            raise UsageError("rates are numbers of records, not values of fields; the kind for those is series")
        survey = survey_pieces(pieces)
        labels = label_keys(pieces.data_type, list(pieces.keys), survey.tracks)
        if len(labels) > len(COLOURS):
            most = len(COLOURS)
            raise UsageError(
                f"{plural(len(labels), 'key')} give as many curves, and a picture can show {most} clearly; "
                f"choose up to {most} of them"
            )
        found = count_rates(pieces, survey)
        edges, length = cut_time(survey.first, survey.last, RATE_BINS)
        axes = figure.add_subplot()
        for (key, label), colour in zip(labels.items(), COLOURS, strict=False):
            rates = found[key].find_rates()
            axes.stairs(rates, edges.astype("datetime64[us]"), color=colour, label=label, linewidth=1.2, baseline=None)
        axes.set_xlim(edges[0], edges[-1])
        axes.set_ylabel(f"records per {name_length(length).removeprefix('1 ')}")
        if log:
            axes.set_yscale("log")
        else:
            axes.set_ylim(bottom=0)
        if len(labels) > 1:
            axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
        show_utc(axes, survey.first, survey.last)


def count_rates(pieces: Pieces, survey: Survey) -> dict[KeyTexts, Counts]:
    """Count the records of each key in bins of time."""
    edges, _ = cut_time(survey.first, survey.last, RATE_BINS)
    found = {
        key: Counts(edges, survey.first, survey.last, find_longest_step(track.steps.rows, pieces.data_type.period))
        for key, track in survey.tracks.items()
    }
    for records in pieces:
        times = records.times
        for key, rows in split_by_key(records):
            found[key].add(times[rows])
    return found


class Counts:
    """Numbers of the records of a key in bins of time, and in which of them it was silent.

    Parameters
    ----------
    edges : array of datetime64[ns], shape (bins + 1,)
        Edges of the bins.
    first, last : numpy.datetime64
        The first and last time of all keys.
    longest : numpy.timedelta64
        The longest step between records that is no gap.
    """

    def __init__(
        self, edges: npt.NDArray[np.datetime64], first: np.datetime64, last: np.datetime64, longest: np.timedelta64
    ) -> None:
        self.edges, self.first, self.last, self.longest = edges, first, last, longest
        self.before = first
        self.counts = np.zeros(len(edges) - 1, np.int64)
        self.silent = np.zeros(len(edges) - 1, bool)

    def add(self, times: npt.NDArray[np.datetime64]) -> None:
        """Add the times of further records, in order."""
        self.counts += np.diff(np.searchsorted(times, self.edges))
        self.note_gaps(np.concatenate([[self.before], times]))
        self.before = times[-1]

    def note_gaps(self, times: npt.NDArray[np.datetime64]) -> None:
        """Note the bins within gaps between records."""
        for place in np.flatnonzero(np.diff(times) > max(self.longest, self.edges[1] - self.edges[0])):
            self.silent |= (self.edges[:-1] >= times[place]) & (self.edges[1:] <= times[place + 1])

    def find_rates(self) -> npt.NDArray[np.float64]:
        """Return the numbers: NaN in gaps; the first and last bin by the part of them that was looked at."""
        self.note_gaps(np.array([self.before, self.last]))
        length = (self.edges[1] - self.edges[0]).astype(np.int64)
        seen = np.minimum(self.edges[1:], self.last) - np.maximum(self.edges[:-1], self.first)
        part = seen.astype("timedelta64[ns]").astype(np.int64) / length
        rates = self.counts.astype(float)
        if len(rates) > 1:
            rates = np.where(part < LEAST_PART, np.nan, rates / np.maximum(part, LEAST_PART))
        rates[self.silent & (self.counts == 0)] = np.nan
        return rates
