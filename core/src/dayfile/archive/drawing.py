"""Drawing records by a kind of plot: the method of Records for that, and how its plot is found."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np

from dayfile.archive.question import KeyValues, list_several
from dayfile.errors import UsageError
from dayfile.messages import plural, plural_of, suggest
from dayfile.model.plot_default import PlotDefault, split_element
from dayfile.plots.base import Pieces, Plot
from dayfile.plots.figures import draw_in_style, make_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dayfile.archive.records import Records
    from dayfile.handover.columns import RecordTable
    from dayfile.model.datatype import DataType
    from dayfile.plugins import Plugins

__all__ = [
    "Drawn",
    "count_drawn_rows",
    "describe_nothing",
    "draw_pieces",
    "find_plot",
    "load_plugins",
    "name_with_keys",
]

DRAWN_ROWS, DRAWN_BYTES = 50_000, 2**20
"""Records that are reduced at once, and their bytes: while they are, each value needs some dozens of bytes."""

PLOTS_OF_VALUES = {"series", "histogram"}
"""Plots that draw the fields which a layout names for any kind of plot; others draw those that it names for them."""


class Drawn:
    """Records that can be drawn."""

    def plot(
        self: RecordTable,
        kind: str | Plot | None = None,
        *,
        fields: str | Iterable[str] | None = None,
        log: bool | None = None,
    ) -> Figure:
        """Draw the records.

        Parameters
        ----------
        kind : {'series', 'rates', 'histogram', 'traces'}, str or Plot, optional
            Values over time, numbers of records over time, how often values occur, the arrays of the first record; or a
            plot that a plugin offers, by its name, or as an object. If not given, what the layout of the installed
            plugin says; else ``series`` for periodic types and with ``fields``, ``rates`` for others.
        fields : list of str, optional
            Fields or elements to draw, ``"hp"`` or ``"hp[0]"``. If not given, those that the layout names, else the
            first that look like measurements.
        log : bool, optional
            Whether the axis of values, or of counts, is logarithmic.

        Returns
        -------
        matplotlib.figure.Figure
            Notebooks show it; ``savefig`` writes it to a file. It has no window.

        Raises
        ------
        UsageError
            There are no records, or no such plot or field, or more curves than can be distinguished.
        PluginError
            The plugin of the plot failed.
        MissingExtraError
            matplotlib is not installed.

        Examples
        --------
        ``open_archive("archive").read("muon.rates", "2024-05").plot(fields=["counts"]).savefig("counts.png")``
        """
        if not len(self):
            raise UsageError(describe_nothing(self.data_type, self.nearest))
        given = cast("Records", self)
        order = np.argsort(given.nanoseconds, kind="stable")
        records = given if (np.diff(order) == 1).all() else given[order]

        def read() -> Iterator[Records]:
            rows = count_drawn_rows(self.data_type)
            return (records[start : start + rows] for start in range(0, len(records), rows))

        return draw_pieces(Pieces(self.data_type, read), kind, fields=fields, log=log)


def count_drawn_rows(data_type: DataType) -> int:
    """Return how many records are reduced at once."""
    return min(DRAWN_ROWS, max(1, DRAWN_BYTES // max(1, data_type.dtype.itemsize)))


def draw_pieces(
    pieces: Pieces, kind: str | Plot | None, *, fields: str | Iterable[str] | None, log: bool | None
) -> Figure:
    """Draw records, at least one, by a kind of plot; see :meth:`Drawn.plot`."""
    data_type = pieces.data_type
    with draw_in_style():
        plugins = load_plugins()
        declared = plugins.data_types.get(data_type.name, data_type).plot or PlotDefault()
        default = data_type.plot or declared
        wanted = [fields] if isinstance(fields, str) else list(fields or ())
        owner, plot = find_plot(plugins, data_type, kind or choose_kind(data_type, default, wanted))
        there = {field.name for field in data_type.fields}
        takes = plot.name in PLOTS_OF_VALUES or plot.name == default.kind != "rates"
        usual = [y for y in default.y if takes and split_element(y)[0] in there]
        figure = make_figure()
        plugins.draw(owner, plot, figure, pieces, wanted or usual, log=default.log if log is None else log)
        if not any(axes.get_title(loc) for axes in figure.axes for loc in ("left", "center", "right")):
            figure.axes[0].set_title(describe_pieces(pieces))
    return figure


def load_plugins() -> Plugins:
    """Load the installed plugins, to draw with what they offer; without any, the core's own."""
    from dayfile import discovery
    from dayfile.plugins import Plugins

    return discovery.load() if discovery.installed() else Plugins.make_empty()


def choose_kind(data_type: DataType, default: PlotDefault, fields: list[str]) -> str:
    """Choose a kind of plot where nobody asked for one."""
    from dayfile.plots.curves import guess_fields

    if fields and default.kind == "rates":  # which has no fields
        return "series"
    chosen = fields or default.y or (data_type.period and guess_fields(data_type))
    return default.kind or ("series" if chosen else "rates")


def find_plot(plugins: Plugins, data_type: DataType, kind: str | Plot) -> tuple[str, Plot]:
    """Find a plot by its name, with the plugin that offers it.

    Raises
    ------
    UsageError
        No plot of this data type has the name.
    """
    from dayfile.registration import BUILTIN

    if not isinstance(kind, str):
        return BUILTIN, kind
    known = plugins.plots(data_type)
    if kind not in known:
        failed = "".join(f"; {failure.message}" for failure in plugins.failures)
        raise UsageError(f"{data_type.name} has no plot {kind!r}{suggest(kind, known)}{failed}")
    return known[kind]


def describe_pieces(pieces: Pieces) -> str:
    """Describe records that were read in one line: type, key if they have one, title."""
    data_type = pieces.data_type
    main = data_type.placement.node.main_key
    single = {
        name: next(iter(values))
        for name, values in pieces.keys.items()
        if len(values) == 1 and (name == main or main not in pieces.keys)
    }
    return f"{name_with_keys(data_type.name, single)}: {data_type.title}"


def name_with_keys(data_type: str, keys: Mapping[str, KeyValues]) -> str:
    """Name a data type and keys: ``muon.hits, station 501``, or ``muon.hits, stations 501, 502``."""
    parts = [data_type]
    for name, given in keys.items():
        values = list_several(given)
        parts.append(f"{name if len(values) == 1 else plural_of(name)} {', '.join(map(str, values))}")
    return ", ".join(parts)


def describe_nothing(data_type: DataType, nearest: Sequence[np.datetime64]) -> str:
    """Say that there are no records to draw, and name the nearest days that have some, if any are known."""
    days = ", ".join(map(str, np.array(nearest, "datetime64[D]")))
    there = f"; nearest {plural(len(nearest), 'day').partition(' ')[2]}: {days}" if days else ""
    return f"there are no records of {data_type.name} to draw{there}"
