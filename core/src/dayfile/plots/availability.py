"""Pictures of what an archive has: a calendar of its days or months, and a bar with gaps for each key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural
from dayfile.plots.figures import COLOURS, draw_in_style, make_figure, show_utc

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_calendar", "draw_gaps"]

MOST_BARS = 120
NONE_COLOUR = "#ffffff"
SHADES = ("#fdb863", "#92c5de", "#4393c3", "#053061")
"""Shades, from few hours to all of them: orange stands out, and the blues differ in lightness."""
STEPS = (0.0, 0.5, 0.9, 1.0)
"""The share of hours with records from which each shade is used; the last is for all hours."""
ROW_HEIGHT = 0.21


def draw_calendar(table: npt.NDArray[np.void], title: str, *, by: str = "day") -> Figure:
    """Draw a calendar: a row for each month with a cell for each day, or a row for each year with one for each month.

    Parameters
    ----------
    table : structured array, shape (n,)
        As :meth:`dayfile.Archive.coverage` returns it for days or months.
    title : str
        What it is about.
    by : {'day', 'month'}
        What a cell is.

    Raises
    ------
    UsageError
        There are no days, or more rows than fit into a picture.
    """
    if by not in ("day", "month"):
        raise UsageError(f"a calendar is drawn by day or by month, not by {by}")
    row_unit, cell_unit = ("M", "D") if by == "day" else ("Y", "M")
    cells = table["time"].astype(f"datetime64[{cell_unit}]")
    rows = cells.astype(f"datetime64[{row_unit}]")
    if not len(rows):
        raise UsageError("there are no days to draw")
    first, last = rows.min(), rows.max()
    number = int((last - first).astype(int)) + 1
    if number > MOST_BARS:
        hint = ", or draw it by month" if by == "day" else ""
        raise UsageError(f"{plural(number, 'row')} do not fit into a picture; choose a shorter range{hint}")
    hours = ((cells + 1).astype("datetime64[h]") - cells.astype("datetime64[h]")).astype(int)
    places = (cells - rows.astype(cells.dtype)).astype(int), (rows - first).astype(int)
    with draw_in_style():
        figure = make_figure(8.0, ROW_HEIGHT * number + 1.25)
        axes = figure.add_subplot()
        draw_cells(axes, places, table["hours"] / hours)
        names = np.arange(first, last + 1)
        sums = np.bincount(places[1], table["records"], number).astype(int)
        held = np.bincount(places[1], table["records"] > 0, number).astype(int)
        finish_calendar(axes, names, 31 if by == "day" else 12, [*zip(held, sums, strict=True)], by)
        axes.set_title(title)
    return figure


def draw_cells(axes: Axes, places: tuple[npt.NDArray[Any], npt.NDArray[Any]], parts: npt.NDArray[Any]) -> None:
    """Draw the cells, each in the shade of the part of its hours that have records."""
    shades = np.searchsorted(STEPS[1:], parts, side="right")
    for colour, chosen in (
        (NONE_COLOUR, parts == 0),
        *((shade, (shades == number) & (parts > 0)) for number, shade in enumerate(SHADES)),
    ):
        axes.bar(
            places[0][chosen] + 1,
            np.full(int(chosen.sum()), 0.84),
            0.84,
            places[1][chosen] - 0.42,
            color=colour,
            edgecolor="#999999" if colour == NONE_COLOUR else colour,
            linewidth=0.5,
        )


def finish_calendar(
    axes: Axes, names: npt.NDArray[np.datetime64], columns: int, sums: Sequence[tuple[int, int]], by: str
) -> None:
    """Write rows, columns, sums and legend of a calendar."""
    from matplotlib.patches import Patch

    axes.set_xlim(0.4, columns + 0.6)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_yticks(range(len(names)), [str(name) for name in names])
    axes.set_xticks((1, 8, 15, 22, 29) if by == "day" else range(1, 13))
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    for row, (held, records) in enumerate(sums):
        text = f"{plural(int(held), by)}, {plural(int(records), 'record')}"
        axes.annotate(text, (1, row), xycoords=("axes fraction", "data"), xytext=(6, 0), textcoords="offset points",
                      va="center", fontsize=7.5, color="#444444")  # fmt: skip
    bounds = ("no records", "less than half of the hours", "half or more", "90 % or more", "all hours")
    patches = [
        Patch(facecolor=NONE_COLOUR, edgecolor="#999999", linewidth=0.5),
        *(Patch(color=each) for each in SHADES),
    ]
    axes.figure.legend(patches, bounds, loc="outside lower left", ncols=5, fontsize=8, handlelength=1, handleheight=1)


def draw_gaps(
    gaps: Mapping[str, npt.NDArray[np.void]], start: np.datetime64, stop: np.datetime64, title: str
) -> Figure:
    """Draw a bar for each key, which is empty where the key has a gap.

    Parameters
    ----------
    gaps : mapping of str to structured array, shape (n,)
        As :meth:`dayfile.Archive.gaps` returns them, by the name of the key.
    start, stop : numpy.datetime64
        From when to when they were looked for.
    title : str
        What it is about.

    Raises
    ------
    UsageError
        There is no time between ``start`` and ``stop``, or there are more keys than fit into a picture.
    """
    if stop <= start:
        raise UsageError("nothing to draw: stop is not after start")
    if len(gaps) > MOST_BARS:
        raise UsageError(f"{plural(len(gaps), 'key')} do not fit into a picture; choose some of them")
    with draw_in_style():
        figure = make_figure(8.0, 0.26 * len(gaps) + 1.1)
        axes = figure.add_subplot(xlim=(start, stop), ylim=(len(gaps) - 0.5, -0.5))
        for row, found in enumerate(gaps.values()):
            begins, ends = np.append(start, found["stop"]), np.append(found["start"], stop)
            axes.barh(np.full(len(begins), row), ends - begins, 0.7, begins, color=COLOURS[0], linewidth=0)
            silent = (found["stop"] - found["start"]).sum() if len(found) else np.timedelta64(0, "ns")
            part = silent / (stop - start)
            axes.annotate(f"{plural(len(found), 'gap')}, {part:.1%}", (1, row), xycoords=("axes fraction", "data"),
                          xytext=(6, 0), textcoords="offset points", va="center", fontsize=7.5)  # fmt: skip
        axes.set_yticks(range(len(gaps)), list(gaps))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(visible=False, axis="y")
        show_utc(axes, start, stop)
        axes.set_title(f"{title}: blue where there are records, empty in gaps")
    return figure
