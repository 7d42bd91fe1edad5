"""Histograms: how often values occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural
from dayfile.plots.base import Pieces, Plot
from dayfile.plots.bins import cut_values
from dayfile.plots.curves import Panel, choose_elements, group_by_panel, list_curves
from dayfile.plots.figures import COLOURS, write_note
from dayfile.plots.reduction import Reduced, reduce_pieces
from dayfile.plots.survey import Elements, KeyTexts, survey_pieces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Histogram"]

HISTOGRAM_BINS = 100
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
HISTOGRAM_HEIGHT = 2.6


class Histogram(Plot):
    """How often values occur."""

    name = "histogram"

    def draw(self, figure: Figure, pieces: Pieces, fields: Sequence[str], *, log: bool) -> None:
        """Draw a histogram of each field; those of one unit in one panel."""
        chosen = choose_elements(pieces.data_type, fields)
        survey = survey_pieces(pieces, chosen)
        panels = group_by_panel(list_curves(pieces, chosen, survey), survey, far=False)
        for panel in panels:
            check_panel(panel)
        edges = cut_panels(pieces, chosen, panels)
        panel_of = {curve.chosen: number for number, panel in enumerate(panels) for curve in panel.curves}

        def make(number: int, _: KeyTexts) -> ValueBins:
            return ValueBins(edges[panel_of[number]], len(chosen[number].places))

        found = reduce_pieces(pieces, chosen, make)
        figure.set_figheight(max(figure.get_figheight(), HISTOGRAM_HEIGHT * len(panels) + 0.6))
        for axes, panel in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
            draw_histogram_panel(axes, panel, found, log=log)


class Range:
    """The least and the greatest of the values between two limits."""

    def __init__(self, low: float, high: float) -> None:
        self.low, self.high = low, high
        self.least, self.greatest = np.inf, -np.inf

    def add(self, times: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64]) -> None:  # noqa: ARG002
        """Add the values of further records."""
        inside = values[np.isfinite(values) & (values >= self.low) & (values <= self.high)]
        self.least = min(self.least, inside.min(initial=np.inf))
        self.greatest = max(self.greatest, inside.max(initial=-np.inf))


class ValueBins:
    """Numbers of values in bins.

    Parameters
    ----------
    edges : array of float64, shape (bins + 1,)
        Edges of the bins.
    elements : int
        Number of elements.
    """

    def __init__(self, edges: npt.NDArray[np.float64], elements: int) -> None:
        self.edges = edges
        self.outside = 0
        self.counts = np.zeros((elements, len(edges) - 1), np.int64)

    def add(self, times: npt.NDArray[np.datetime64], values: npt.NDArray[np.float64]) -> None:  # noqa: ARG002
        """Add the values of further records."""
        for element, column in enumerate(values.T):
            finite = column[np.isfinite(column)]
            self.counts[element] += np.histogram(finite, self.edges)[0]
            self.outside += int(((finite < self.edges[0]) | (finite >= self.edges[-1])).sum())


def check_panel(panel: Panel) -> None:
    """Check that there are values, and that the curves can be distinguished."""
    name = panel.field_names[0]
    if len(panel.curves) > len(COLOURS):
        raise UsageError(
            f"{name} gives {plural(len(panel.curves), 'curve')}, and a histogram can show {len(COLOURS)} clearly; "
            f"choose elements, such as {name}[0], or a key"
        )
    if panel.least > panel.greatest:
        raise UsageError(f"all values of {name} are missing")


def cut_panels(pieces: Pieces, chosen: Sequence[Elements], panels: Sequence[Panel]) -> list[npt.NDArray[np.float64]]:
    """Cut the range of the values that are drawn of each panel into bins."""
    ranges = [Range(panel.low, panel.high) for panel in panels]
    if any(panel.least < panel.low or panel.greatest > panel.high for panel in panels):
        range_of = {curve.chosen: each for panel, each in zip(panels, ranges, strict=True) for curve in panel.curves}
        reduce_pieces(pieces, chosen, lambda number, _: range_of[number])
    else:  # nothing is far away, so all values are drawn
        for panel, each in zip(panels, ranges, strict=True):
            each.least, each.greatest = panel.least, panel.greatest
    return [
        cut_values(
            each.least, each.greatest, HISTOGRAM_BINS, whole=all(c.field.base.kind in "iub" for c in panel.curves)
        )
        for panel, each in zip(panels, ranges, strict=True)
    ]


def draw_histogram_panel(axes: Axes, panel: Panel, found: dict[tuple[int, KeyTexts], Reduced], *, log: bool) -> None:
    """Draw the histograms of some curves, in the same bins."""
    parts = {(curve.chosen, curve.key): found[curve.chosen, curve.key] for curve in panel.curves}
    bins = {part: reduced for part, reduced in parts.items() if isinstance(reduced, ValueBins)}
    edges = next(iter(bins.values())).edges
    for number, curve in enumerate(panel.curves):
        counts = bins[curve.chosen, curve.key].counts[curve.column]
        style: dict[str, Any] = {"color": COLOURS[number], "linestyle": DASHES[number], "linewidth": 1.3}
        axes.stairs(counts, edges, label=curve.label, baseline=None if log else 0, **style)
    axes.set_xlabel(" ".join(filter(None, (", ".join(panel.field_names), panel.unit))))
    unit = panel.curves[0].field.unit
    axes.set_ylabel(f"values per {edges[1] - edges[0]:g} {unit}".rstrip().removesuffix(" per 1"))
    if log:
        axes.set_yscale("log")
    write_note(axes, "\n".join(panel.describe_outside(sum(each.outside for each in bins.values()))))
    if not panel.has_one_name:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
