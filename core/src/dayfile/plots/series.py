"""Values over time: a line for each field, element and key, broken where records are missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dayfile.plots.base import Pieces, Plot
from dayfile.plots.bins import cut_time, name_length
from dayfile.plots.curves import (
    Curve,
    Panel,
    choose_elements,
    find_longest_step,
    group_by_panel,
    list_curves,
    name_axis,
)
from dayfile.plots.figures import COLOURS, show_utc, write_note
from dayfile.plots.heatmap import MOST_ELEMENT_ROWS, draw_heat_map, is_heat_map
from dayfile.plots.reduction import Points, Reduced, TimeBins, TimeMeans, reduce_pieces
from dayfile.plots.survey import Elements, KeyTexts, Survey, survey_pieces

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Series"]

MOST_POINTS = 1500
"""Points of all curves of a panel; with more, means are drawn, and the range around them as a shade."""
SERIES_BINS = 300
SERIES_HEIGHT, HEAT_HEIGHT = 1.9, 2.8


class Series(Plot):
    """Values over time."""

    name = "series"

    def draw(self, figure: Figure, pieces: Pieces, fields: Sequence[str], *, log: bool) -> None:
        """Draw fields over time, those of one unit in one panel; more elements than lines can show as a heat map."""
        chosen = choose_elements(pieces.data_type, fields)
        survey = survey_pieces(pieces, chosen)
        panels = group_by_panel(list_curves(pieces, chosen, survey), survey, far=log)
        found = reduce_panels(pieces, chosen, survey, panels)
        heights = [HEAT_HEIGHT if is_heat_map(panel) else SERIES_HEIGHT for panel in panels]
        figure.set_figheight(max(figure.get_figheight(), sum(heights) + 0.6))
        axes = figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        period = pieces.data_type.period
        longest = {key: find_longest_step(track.steps.rows, period) for key, track in survey.tracks.items()}
        for each, panel in zip(axes, panels, strict=True):
            draw = draw_heat_map if is_heat_map(panel) else draw_series_panel
            draw(each, panel, found, longest, log=log)
        show_utc(axes[-1], survey.first, survey.last)


def reduce_panels(
    pieces: Pieces, chosen: Sequence[Elements], survey: Survey, panels: Sequence[Panel]
) -> dict[tuple[int, KeyTexts], Reduced]:
    """Reduce the values of panels to points, if they are few, or to bins of time."""
    panel_of = {curve.chosen: panel for panel in panels for curve in panel.curves}
    edges, _ = cut_time(survey.first, survey.last, SERIES_BINS)

    def make(number: int, _: KeyTexts) -> Reduced:
        panel = panel_of[number]
        points = sum(survey.tracks[curve.key].records for curve in panel.curves)
        elements = len(chosen[number].places)
        if is_heat_map(panel):
            return TimeMeans(edges, elements, panel.low, panel.high, step=-(-elements // MOST_ELEMENT_ROWS))
        if points <= MOST_POINTS:
            return Points(panel.low, panel.high)
        return TimeBins(edges, elements, panel.low, panel.high)

    return reduce_pieces(pieces, chosen, make)


def draw_series_panel(
    axes: Axes,
    panel: Panel,
    found: Mapping[tuple[int, KeyTexts], Reduced],
    longest: Mapping[KeyTexts, np.timedelta64],
    *,
    log: bool,
) -> None:
    """Draw the curves of a panel; values far from all others are left out, and a note says so."""
    notes: list[str] = []
    for curve, colour in zip(panel.curves, COLOURS, strict=False):
        reduced = found[curve.chosen, curve.key]
        if isinstance(reduced, TimeBins):
            notes = ["line: mean; shade: least to greatest"]
            draw_binned(axes, curve, reduced, colour, longest[curve.key])
        elif isinstance(reduced, Points):
            draw_points(axes, curve, reduced, colour, longest[curve.key])
    parts = [found[part] for part in dict.fromkeys((curve.chosen, curve.key) for curve in panel.curves)]
    outside = sum(part.outside for part in parts if isinstance(part, Points | TimeBins))
    axes.set_ylabel(name_axis(panel))
    if log and panel.least > 0:
        axes.set_yscale("log")
    elif log:
        axes.set_yscale("symlog", linthresh=1)
    write_note(axes, "\n".join(notes + panel.describe_outside(outside)))
    if not panel.has_one_name:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))


def draw_points(axes: Axes, curve: Curve, points: Points, colour: str, longest: np.timedelta64) -> None:
    """Draw each of the values; the line is broken at those that are missing."""
    times = points.times
    draw_broken(axes, times, points.values[:, curve.column], np.diff(times) > longest, colour, curve.label)


def draw_binned(axes: Axes, curve: Curve, bins: TimeBins, colour: str, longest: np.timedelta64) -> None:
    """Draw the means of bins of time, and the range of each bin."""
    full = np.flatnonzero(bins.counts[:, curve.column])
    width = bins.edges[1] - bins.edges[0]
    centres = (bins.edges[:-1] + width // 2)[full]
    gaps = bins.find_gaps(full, longest)
    least, greatest = bins.least[full, curve.column], bins.greatest[full, curve.column]
    at, low, high = break_line(centres, gaps, least, greatest)
    axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
    label = f"{curve.label}, {name_length(width)}"
    draw_broken(axes, centres, bins.means[full, curve.column], gaps, colour, label)


def draw_broken(
    axes: Axes,
    times: npt.NDArray[np.datetime64],
    values: npt.NDArray[np.floating],
    gaps: npt.NDArray[np.bool_],
    colour: str,
    label: str,
) -> None:
    """Draw a line that is broken at gaps; a point between two gaps is drawn as a dot."""
    at, broken = break_line(times, gaps, values)
    axes.plot(at, broken, color=colour, label=label)
    drawn = np.concatenate([[False], ~np.isnan(broken), [False]])
    alone = drawn[1:-1] & ~drawn[:-2] & ~drawn[2:]
    axes.plot(at[alone], broken[alone], ".", color=colour, markersize=3)


def break_line(
    times: npt.NDArray[np.datetime64], gaps: npt.NDArray[np.bool_], *several: npt.NDArray[np.floating]
) -> list[npt.NDArray[np.generic]]:
    """Break lines at gaps, by a NaN in the middle.

    Parameters
    ----------
    times : array of datetime64[ns], shape (n,)
        The times of the points.
    gaps : array of bool, shape (n - 1,)
        Whether there is a gap after each point.
    *several : array of float, shape (n,)
        Values of the points.

    Returns
    -------
    list of array
        The times, and each of the arrays of values.

    Examples
    --------
    >>> times = np.array(["2024-05-01", "2024-05-02", "2024-05-05"], "datetime64[ns]")
    >>> break_line(times, np.array([False, True]), np.array([3.0, 4.0, 5.0]))[1].tolist()
    [3.0, 4.0, nan, 5.0]
    """
    after = np.flatnonzero(gaps) + 1
    middle = times[after - 1] + (times[after] - times[after - 1]) // 2
    return [np.insert(times, after, middle), *(np.insert(values, after, np.nan) for values in several)]
