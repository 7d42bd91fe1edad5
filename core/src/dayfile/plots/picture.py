"""The figure that notebooks show as it is, without a call of pyplot."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from dayfile.plots.figures import draw_in_style

__all__ = ["Picture"]


class Picture(Figure):
    """A figure of matplotlib that is drawn without a window."""

    def _repr_png_(self) -> bytes:
        """Show the figure, as notebooks do."""
        content = io.BytesIO()
        with draw_in_style():
            FigureCanvasAgg(self).print_png(content)  # type: ignore[no-untyped-call]
        return content.getvalue()
