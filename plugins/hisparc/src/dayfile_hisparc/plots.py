"""The plot of HiSPARC: the traces of an event, which are blobs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from dayfile.errors import UsageError
from dayfile.plots.base import Pieces, Plot
from dayfile.plots.traces import draw_traces
from dayfile_hisparc.traces import NANOSECONDS_A_SAMPLE, read_traces

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dayfile import DataType

__all__ = ["EventTraces"]


class EventTraces(Plot):
    """The traces of the first event, one of each detector."""

    name: ClassVar[str] = "traces"  # type: ignore[misc]  # the same for all

    def serves(self, data_type: DataType) -> bool:
        """Return whether it is the type of events."""
        return data_type.name == "hisparc.events"

    def draw(self, figure: Figure, pieces: Pieces, fields: Sequence[str], *, log: bool) -> None:
        """Draw the ADC counts of each detector that has a trace, over the time since the first sample."""
        if fields:
            raise UsageError("traces of hisparc.events are drawn of all detectors; leave out the fields")
        records = next(iter(pieces))
        try:
            traces = read_traces(records, 0)
        except ValueError as error:
            raise UsageError(f"the first event has a trace that cannot be drawn: {error}") from error
        found = {f"detector {number}": trace for number, trace in enumerate(traces, 1) if trace is not None}
        event = records[0]
        if not found:
            raise UsageError(f"the event of {event.time} has no traces; choose another one, by a time or a condition")
        draw_traces(
            figure, found, along="time in the trace [ns]", value="ADC count", step=NANOSECONDS_A_SAMPLE, log=log
        )
        figure.axes[0].set_title(f"hisparc.events, station {event['station']}: event of {event.time} UTC")
