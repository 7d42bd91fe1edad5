"""Drawing records by a kind of plot: the method of Records for that, and how its plot is found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from dayfile.errors import UsageError
from dayfile.handover.columns import RecordTable
from dayfile.messages import plural, suggest
from dayfile.model.plot_default import PlotDefault, split_element
from dayfile.plots.base import Plot
from dayfile.plots.figures import draw_in_style, make_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from dayfile.model.datatype import DataType
    from dayfile.plugins import Plugins

__all__ = ["Drawn", "find_plot", "load_plugins", "name_with_keys"]

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
            raise UsageError(f"there are no records of {self.data_type.name} to draw{name_nearest(self)}")
        with draw_in_style():
            plugins = load_plugins()
            declared = plugins.data_types.get(self.data_type.name, self.data_type).plot or PlotDefault()
            default = self.data_type.plot or declared
            wanted = [fields] if isinstance(fields, str) else list(fields or ())
            owner, plot = find_plot(plugins, self.data_type, kind or choose_kind(self.data_type, default, wanted))
            stored = {field.name for field in self.data_type.fields}
            draws_named = plot.name in PLOTS_OF_VALUES or plot.name == default.kind != "rates"
            usual = [y for y in default.y if draws_named and split_element(y)[0] in stored]
            figure = make_figure()
            plugins.draw(owner, plot, figure, self, wanted or usual, log=default.log if log is None else log)
            if not any(axes.get_title(loc) for axes in figure.axes for loc in ("left", "center", "right")):
                figure.axes[0].set_title(describe_records(self))
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


def describe_records(records: RecordTable) -> str:
    """Describe records in one line: type, key if they have one, title."""
    keys = {name: set(column.tolist()) for name, column in records.keys.items()}
    main = records.data_type.placement.node.main_key
    single = {name: each.pop() for name, each in keys.items() if len(each) == 1 and (name == main or main not in keys)}
    title = records.data_type.title
    return f"{name_with_keys(records.data_type.name, single)}: {title}"


def name_with_keys(data_type: str, keys: dict[str, str | int]) -> str:
    """Name a data type and keys: ``muon.hits, station 501``."""
    return ", ".join([data_type, *(f"{name} {value}" for name, value in keys.items())])


def name_nearest(records: RecordTable) -> str:
    """Name the nearest days that have records, if any are known."""
    days = ", ".join(map(str, np.array(records.nearest, "datetime64[D]")))
    return f"; nearest {plural(len(records.nearest), 'day').partition(' ')[2]}: {days}" if days else ""
