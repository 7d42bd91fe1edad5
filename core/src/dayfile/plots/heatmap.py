"""Heat maps: the values of many elements, or of many keys, over time, by colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.messages import plural
from dayfile.plots.bins import name_length
from dayfile.plots.curves import Panel, name_axis
from dayfile.plots.figures import COLOURS, write_note
from dayfile.plots.reduction import Reduced, TimeMeans
from dayfile.plots.survey import KeyTexts

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

__all__ = ["MOST_ELEMENT_ROWS", "draw_heat_map", "is_heat_map"]

MAP = "viridis"
"""Colours whose lightness grows with the values, so that people see them apart who see colours differently."""
MOST_ELEMENT_ROWS = 256
"""Rows of a heat map; of more elements, neighbours share a row."""
MOST_NAMES = 16
"""Keys that are named at the axis."""


def is_heat_map(panel: Panel) -> bool:
    """Return whether a panel has more curves than lines can show apart."""
    return len(panel.curves) > len(COLOURS)


def draw_heat_map(
    axes: Axes,
    panel: Panel,
    found: Mapping[tuple[int, KeyTexts], Reduced],
    longest: Mapping[KeyTexts, np.timedelta64],
    *,
    log: bool,
) -> None:
    """Draw a row for each element, or each key: the mean of each bin of time is a colour, and gaps are empty.

    Raises
    ------
    UsageError
        There are both several elements and several keys.
    """
    check_elements_or_keys(panel)
    parts = dict.fromkeys((curve.chosen, curve.key) for curve in panel.curves)
    means = {part: reduced for part in parts if isinstance(reduced := found[part], TimeMeans)}
    edges, step = next((each.edges, each.step) for each in means.values())
    image = np.concatenate([hold_means(each, longest[part[1]]) for part, each in means.items()], axis=1).T
    limits = np.append(np.arange(len(image)) * step, len(panel.curves)) - 0.5
    mesh = axes.pcolormesh(
        edges.astype("datetime64[us]"), limits, image, cmap=MAP, norm=choose_norm(image, log=log), rasterized=True
    )
    axes.grid(visible=False)
    axes.figure.colorbar(mesh, ax=axes, pad=0.01, label=name_axis(panel))
    name_rows(axes, panel)
    together = f" and {plural(step, 'element')}" if step > 1 else ""
    outside = panel.describe_outside(sum(each.outside for each in means.values()))
    note = "; ".join([f"colour: mean of {name_length(edges[1] - edges[0])}{together}", *outside])
    axes.set_ylim(-0.5, len(panel.curves) - 0.5)
    write_note(axes, note)


def check_elements_or_keys(panel: Panel) -> None:
    """Check that the rows of a heat map differ in one thing."""
    keys = {curve.key for curve in panel.curves}
    elements = {(curve.chosen, curve.column) for curve in panel.curves}
    if min(len(keys), len(elements)) > 1:
        name = panel.field_names[0]
        raise UsageError(
            f"{name} gives {plural(len(panel.curves), 'curve')}: {plural(len(elements), 'element')} of "
            f"{plural(len(keys), 'key')}; choose a key, or one element, such as {name}[0]"
        )


def hold_means(bins: TimeMeans, longest: np.timedelta64) -> npt.NDArray[np.float64]:
    """Return the means of bins, each held until the next record where there is no gap, shape (bins, rows)."""
    means = bins.means
    full = np.flatnonzero(bins.counts.any(axis=1))
    held = np.full_like(means, np.nan)
    if not len(full):
        return held
    steps, gaps = np.diff(full), bins.find_gaps(full, longest)
    usual = int(np.median(steps[~gaps])) if (~gaps).any() else 1
    lengths = np.append(np.where(gaps, np.minimum(steps, usual), steps), min(usual, len(means) - full[-1]))
    for start, length in zip(full, lengths, strict=True):
        held[start : start + length] = means[start]
    return held


def choose_norm(image: npt.NDArray[np.float64], *, log: bool) -> Normalize | None:
    """Choose how values become colours; for a logarithmic scale, zero and below have the lowest colour."""
    from matplotlib.colors import LogNorm

    positive = image[image > 0]
    if not log or not len(positive):
        return None
    return LogNorm(float(positive.min()), float(positive.max()), clip=True)


def name_rows(axes: Axes, panel: Panel) -> None:
    """Name the rows of a heat map: numbers of elements, or keys."""
    from matplotlib.ticker import MaxNLocator

    curves = panel.curves
    if len({curve.key for curve in curves}) == 1:
        shape = curves[0].field.array_shape
        axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_ylabel("element" if len(shape) == 1 else f"element of {' by '.join(map(str, shape))}")
        return
    step = -(-len(curves) // MOST_NAMES)
    axes.set_yticks(range(0, len(curves), step), [curve.owner for curve in curves[::step]])
