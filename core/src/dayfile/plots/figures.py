"""Figures: how all pictures look, and how they become files that are the same each time."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dayfile.errors import StorageError, UsageError
from dayfile.handover.columns import import_extra

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "FORMATS",
    "check_suffix",
    "draw_in_style",
    "make_figure",
    "save_figure",
    "show_utc",
    "write_note",
]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Colours of lines that colour-blind people can distinguish (Okabe and Ito), without the yellow one."""
FORMATS = ("png", "svg", "pdf")
STYLE: dict[str, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "font.size": 9,
    "font.family": "DejaVu Sans",  # which matplotlib brings, so that pictures are the same everywhere
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.1,
    "lines.solid_capstyle": "butt",
    "svg.hashsalt": "dayfile",
    "timezone": "UTC",
}
SAME_EACH_TIME: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
"""Metadata of files; None leaves out what would differ each time, or with the version of matplotlib."""


@contextmanager
def draw_in_style() -> Iterator[None]:
    """Draw and save in the same way, whatever the user has set for matplotlib.

    Raises
    ------
    MissingExtraError
        matplotlib is not installed.
    """
    matplotlib = import_extra("matplotlib", "a plot", "plot")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        yield


def make_figure(width: float = 8.0, height: float = 3.6) -> Figure:
    """Make an empty figure of a size in inches; notebooks show it as a picture."""
    from dayfile.plots.picture import Picture

    return Picture(figsize=(width, height), layout="constrained")


def show_utc(axes: Axes, first: np.datetime64, last: np.datetime64) -> None:
    """Make the horizontal axis one of UTC times, and name the days of the first and last of them."""
    from matplotlib import dates

    locator: Any = dates.AutoDateLocator(minticks=4, maxticks=9)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator, show_offset=False))  # type: ignore[no-untyped-call]
    days = dict.fromkeys(str(time.astype("datetime64[D]")) for time in (first, last))
    axes.set_xlabel(f"time (UTC), {' to '.join(days)}")


def write_note(axes: Axes, text: str) -> None:
    """Write a small note at the upper right of a panel, with room for it; nothing for an empty text."""
    if not text:
        return
    if axes.get_yscale() == "linear":
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + (high - low) * 0.06 * (1 + text.count("\n")))
    axes.annotate(text, (1, 0.99), xycoords="axes fraction", ha="right", va="top", fontsize=7.5, color="#444444")


def check_suffix(path: Path) -> str:
    """Return the format that the suffix of a path names.

    Raises
    ------
    UsageError
        It is not one of :data:`FORMATS`.

    Examples
    --------
    >>> check_suffix(Path("rates.PNG"))
    'png'
    """
    form = path.suffix.lower().removeprefix(".")
    if form not in FORMATS:
        raise UsageError(f"a picture is a .png, .svg or .pdf file, not {path.name!r}")
    return form


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure to a file, in the format of its suffix; the same figure gives the same bytes.

    Raises
    ------
    UsageError
        The suffix is not that of a picture.
    StorageError
        The file could not be written.
    """
    form, content = check_suffix(path), io.BytesIO()
    with draw_in_style():
        figure.savefig(content, format=form, metadata=SAME_EACH_TIME[form])
    try:
        path.write_bytes(content.getvalue())
    except OSError as error:
        raise StorageError(f"could not write the picture: {error.strerror or error}", where=path) from error
