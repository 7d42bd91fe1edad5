"""Traces of one record: arrays, such as the samples of a converter, element after element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dayfile.errors import UsageError
from dayfile.handover.columns import iterate_columns
from dayfile.handover.markup import show_time
from dayfile.plots.base import Pieces, Plot
from dayfile.plots.figures import COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dayfile.model.datatype import DataType

__all__ = ["Traces", "draw_traces"]

SHORTEST = 16
"""Fewest elements of an array that is drawn as a trace without being chosen."""


class Traces(Plot):
    """The arrays of the first record, each as a line along its elements."""

    name = "traces"

    def serves(self, data_type: DataType) -> bool:
        """Return whether the type has arrays of numbers."""
        return any(field.array_shape and field.base.kind in "iuf" and not field.blob for field in data_type.fields)

    def draw(self, figure: Figure, pieces: Pieces, fields: Sequence[str], *, log: bool) -> None:
        """Draw the arrays of the first record: of those that were chosen, or of all long ones."""
        records = next(iter(pieces))[:1]
        columns = {column.name: column for column in iterate_columns(records, blobs=False) if column.field}
        arrays = {name: column for name, column in columns.items() if column.values.ndim > 1}
        names = [name for name in fields if name in arrays]
        names = names or [name for name, each in arrays.items() if each.values.shape[-1] >= SHORTEST]
        if not names:
            raise UsageError(f"no field of {records.data_type.name} is an array of samples; choose with fields")
        name = names[0]
        values = columns[name].fill_with_nan()[0].astype(float)
        rows = values.reshape(-1, values.shape[-1])
        places = list(np.ndindex(values.shape[:-1]))
        labels = [f"{name}[{','.join(map(str, place))}]" if place else name for place in places]
        unit = columns[name].unit
        traces = dict(zip(labels, rows, strict=True))
        draw_traces(figure, traces, along="element", value=f"{name} [{unit}]" if unit else name, log=log)
        figure.axes[0].set_title(f"{records.data_type.name}: record of {show_time(records.times[0])} UTC")


def draw_traces(
    figure: Figure,
    traces: Mapping[str, npt.NDArray[Any]],
    *,
    along: str,
    value: str,
    step: float = 1.0,
    log: bool = False,
) -> None:
    """Draw traces into one panel.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        An empty figure.
    traces : mapping of str to array, shape (samples,)
        By label, such as the name of a detector.
    along, value : str
        Names of the axes, with units.
    step : float
        From one sample to the next, in the unit of the axis.
    log : bool
        Whether the axis of values is logarithmic.

    Raises
    ------
    UsageError
        There are more traces than can be distinguished, or none.
    """
    if not 1 <= len(traces) <= len(COLOURS):
        raise UsageError(f"{len(traces)} traces cannot be drawn; a picture shows 1 to {len(COLOURS)}")
    axes = figure.add_subplot(xlabel=along, ylabel=value)
    for (label, samples), colour in zip(traces.items(), COLOURS, strict=False):
        axes.plot(np.arange(len(samples)) * step, samples, color=colour, label=label)
    if log:
        axes.set_yscale("log")
    if len(traces) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
