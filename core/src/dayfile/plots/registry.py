"""The plots of the core."""

from __future__ import annotations

from dayfile.plots.base import Plot
from dayfile.plots.histogram import Histogram
from dayfile.plots.rates import Rates
from dayfile.plots.series import Series
from dayfile.plots.traces import Traces

__all__ = ["CORE_PLOTS"]

CORE_PLOTS: tuple[Plot, ...] = (Series(), Rates(), Histogram(), Traces())
"""The plots that ``builtin`` offers."""
