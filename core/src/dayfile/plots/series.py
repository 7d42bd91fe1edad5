"""Values over time: a line for each field, element and key, broken where records are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.handover.columns import RecordTable
from dayfile.messages import plural
from dayfile.plots.base import Plot
from dayfile.plots.bins import cut_time, name_length
from dayfile.plots.curves import Curve, choose_fields, find_limits, find_longest_step, group_by_panel, list_curves
from dayfile.plots.figures import COLOURS, show_utc, write_note

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Series", "break_line", "draw_broken"]

MOST_POINTS = 1500
"""Points of all curves of a panel; with more, means are drawn, and the range around them as a shade."""
SERIES_BINS = 300
SERIES_HEIGHT = 1.9


class Series(Plot):
    """Values over time."""

    name = "series"

    def draw(self, figure: Figure, records: RecordTable, fields: Sequence[str], *, log: bool) -> None:
        """Draw fields over time, those of one unit in one panel."""
        panels = group_by_panel(list_curves(records, choose_fields(records.data_type, fields)))
        figure.set_figheight(max(figure.get_figheight(), SERIES_HEIGHT * len(panels) + 0.6))
        axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
        for each, curves in zip(axes, panels, strict=True):
            draw_series_panel(each, curves, records.data_type.period, log=log)
        times = records.times
        show_utc(axes[-1], times.min(), times.max())


def draw_series_panel(axes: Axes, curves: Sequence[Curve], period: int, *, log: bool) -> None:
    """Draw the curves of a panel; values far from all others are left out, and a note says so."""
    together = np.concatenate([curve.values[np.isfinite(curve.values)] for curve in curves])
    low, high = find_limits(together) if len(together) and not log else (-np.inf, np.inf)
    binned = len(together) > MOST_POINTS
    for curve, colour in zip(curves, COLOURS, strict=False):
        inside = (curve.values >= low) & (curve.values <= high)
        draw = draw_binned if binned else draw_points
        draw(axes, curve, inside, colour, find_longest_step(curve.times, period))
    outside = int(((together < low) | (together > high)).sum())
    notes = ["line: mean; shade: least to greatest"] if binned else []
    if outside:
        notes.append(f"{plural(outside, 'value')} outside not drawn; all: {together.min():g} to {together.max():g}")
    axes.set_ylabel(name_axis(curves))
    if log and len(together) and together.min() > 0:
        axes.set_yscale("log")
    elif log:
        axes.set_yscale("symlog", linthresh=1)
    write_note(axes, "\n".join(notes))
    if len(curves) > 1 or curves[0].label != curves[0].field.name:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def name_axis(curves: Sequence[Curve]) -> str:
    """Name the axis of some curves: by the field if they have one, and by the unit."""
    names = list(dict.fromkeys(curve.field.name for curve in curves))
    unit = curves[0].field.unit
    return " ".join(filter(None, (names[0] if len(names) == 1 else "", f"[{unit}]" if unit else "")))


def draw_points(axes: Axes, curve: Curve, inside: npt.NDArray[np.bool_], colour: str, longest: np.timedelta64) -> None:
    """Draw each of the values that are inside the range of the panel; the line is broken at the others."""
    draw_broken(axes, curve.times, np.where(inside, curve.values, np.nan), longest, colour, curve.label)


def draw_binned(axes: Axes, curve: Curve, inside: npt.NDArray[np.bool_], colour: str, longest: np.timedelta64) -> None:
    """Draw the means of bins of the values that are inside the range of the panel, and the range of each bin."""
    times, values = curve.times[inside], curve.values[inside]
    if not len(times):
        return
    edges, width = cut_time(times[0], times[-1], SERIES_BINS)
    starts = np.searchsorted(times, edges)
    full = np.flatnonzero(np.diff(starts))
    first = starts[:-1][full]
    means = np.add.reduceat(values, first) / np.diff(starts)[full]
    centres = (edges[:-1] + width // 2)[full]
    longest = max(longest, width + width // 2)
    least, greatest = np.minimum.reduceat(values, first), np.maximum.reduceat(values, first)
    at, low, high = break_line(centres, longest, least, greatest)
    axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    draw_broken(axes, centres, means, longest, colour, f"{curve.label}, {name_length(width)}")


def draw_broken(
    axes: Axes,
    times: npt.NDArray[np.datetime64],
    values: npt.NDArray[np.floating],
    longest: np.timedelta64,
    colour: str,
    label: str,
) -> None:
    """Draw a line that is broken at gaps; a point between two gaps is drawn as a dot."""
    at, broken = break_line(times, longest, values)
    axes.plot(at, broken, color=colour, label=label)
    drawn = np.concatenate([[False], ~np.isnan(broken), [False]])
    alone = drawn[1:-1] & ~drawn[:-2] & ~drawn[2:]
    axes.plot(at[alone], broken[alone], ".", color=colour, markersize=3)


def break_line(
    times: npt.NDArray[np.datetime64], longest: np.timedelta64, *several: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[Any], ...]:
    """Break lines where the step between two points is longer than a gap may be, by a NaN in the middle.

    Returns
    -------
    tuple of array
        The times, and each of the arrays of values.

    Examples
    --------
    >>> times = np.array(["2024-05-01", "2024-05-02", "2024-05-05"], "datetime64[ns]")
    >>> break_line(times, np.timedelta64(1, "D"), np.array([3.0, 4.0, 5.0]))[1].tolist()
    [3.0, 4.0, nan, 5.0]
    """
    after = np.flatnonzero(np.diff(times) > longest) + 1
    middle = times[after - 1] + (times[after] - times[after - 1]) // 2
    return np.insert(times, after, middle), *(np.insert(values, after, np.nan) for values in several)
