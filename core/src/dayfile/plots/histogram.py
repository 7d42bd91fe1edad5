"""Histograms: how often values occur."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dayfile.errors import UsageError
from dayfile.handover.columns import RecordTable
from dayfile.messages import plural
from dayfile.plots.base import Plot
from dayfile.plots.bins import cut_values
from dayfile.plots.curves import Curve, choose_fields, find_limits, group_by_panel, list_curves
from dayfile.plots.figures import COLOURS, write_note

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

    def draw(self, figure: Figure, records: RecordTable, fields: Sequence[str], *, log: bool) -> None:
        """Draw a histogram of each field; those of one unit in one panel."""
        panels = group_by_panel(list_curves(records, choose_fields(records.data_type, fields)))
        figure.set_figheight(max(figure.get_figheight(), HISTOGRAM_HEIGHT * len(panels) + 0.6))
        for axes, curves in zip(figure.subplots(len(panels), squeeze=False)[:, 0], panels, strict=True):
            draw_histogram_panel(axes, curves, log=log)


def draw_histogram_panel(axes: Axes, curves: Sequence[Curve], *, log: bool) -> None:
    """Draw the histograms of some curves, in the same bins."""
    values = [curve.values[np.isfinite(curve.values)] for curve in curves]
    together = np.concatenate(values)
    if not len(together):
        raise UsageError(f"all values of {curves[0].field.name} are missing")
    low, high = find_limits(together)
    whole = all(curve.field.base.kind in "iub" for curve in curves)
    edges = cut_values(low, high, HISTOGRAM_BINS, whole=whole)
    for number, (curve, mine) in enumerate(zip(curves, values, strict=True)):
        counts = np.histogram(mine, edges)[0]
        style: dict[str, Any] = {"color": COLOURS[number], "linestyle": DASHES[number], "linewidth": 1.3}
        axes.stairs(counts, edges, label=curve.label, baseline=None if log else 0, **style)
    unit = curves[0].field.unit
    names = list(dict.fromkeys(curve.field.name for curve in curves))
    axes.set_xlabel(" ".join(filter(None, (", ".join(names), f"[{unit}]" if unit else ""))))
    axes.set_ylabel(f"values per {edges[1] - edges[0]:g} {unit}".rstrip().removesuffix(" per 1"))
    if log:
        axes.set_yscale("log")
    outside = int(((together < edges[0]) | (together >= edges[-1])).sum())
    if outside:
        write_note(axes, f"{plural(outside, 'value')} outside not drawn; all: {together.min():g} to {together.max():g}")
    if len(curves) > 1 or curves[0].label != curves[0].field.name:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
