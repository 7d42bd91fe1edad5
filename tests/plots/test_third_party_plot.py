"""A kind of plot from a plugin, for data types of others: to add one takes one module, as here."""

from __future__ import annotations

import numpy as np
import pytest

from archives import make_plugins
from dayfile import Instrument, create_archive, hookimpl
from dayfile.errors import LayoutError, PluginError
from dayfile.plots.base import Plot
from instruments import LAYOUT


class Dial(Plot):
    """The last value as the hand of a dial."""

    name = "dial"

    def serves(self, data_type):
        return any(field.name == "energy" for field in data_type.fields)

    def draw(self, figure, pieces, fields, *, log):
        *_, records = pieces
        axes = figure.add_subplot(projection="polar")
        axes.set_title(f"{records['energy'][-1]:g} GeV, {','.join(fields)}, {log}")


class Dials:
    """The plugin that offers it."""

    def __init__(self, *offered):
        self.offered = offered

    @hookimpl
    def plots(self):
        return self.offered


DEFAULT = LAYOUT.replace("    title: Single muons\n", "    title: Single muons\n    plot: {kind: dial, y: [energy]}\n")


@pytest.fixture
def hits(tmp_path, install):
    """Read hits of the muon telescope, with plugins that offer plots."""

    def read(*offered, layout=DEFAULT):
        plugins = make_plugins(muon=Instrument(layout, "muon.yaml"), dials=Dials(*offered))
        install(plugins)
        archive = create_archive(tmp_path / "archive", plugins=plugins)
        dtype = plugins.data_types["muon.hits"].dtype
        archive.put("muon.hits", np.array([(57801601, 2.5, 1, b"a")], dtype))
        return archive.read("muon.hits")

    return read


def test_a_plot_of_another_plugin_is_the_default_that_a_layout_names(hits):
    assert hits(Dial()).plot().axes[0].get_title(loc="left") == "2.5 GeV, energy, False"


def test_a_plot_can_be_given_as_an_object(hits):
    assert hits().plot(Dial(), log=True).axes[0].get_title(loc="left") == "2.5 GeV, energy, True"


def test_a_plot_that_fails_is_the_failure_of_its_plugin(hits):
    class Broken(Dial):
        def draw(self, figure, pieces, fields, *, log):
            raise KeyError("hand")

    with pytest.raises(PluginError, match="plugin dials: plots failed: KeyError: 'hand'"):
        hits(Broken()).plot()


@pytest.mark.parametrize("offered", [Dial, 17, "dial"])
def test_what_is_no_plot_is_left_out_and_named(hits, offered):
    with pytest.raises(Exception, match=r"no plot 'dial'.*plugin dials: plots must return a list of"):
        hits(offered).plot()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("{y: [enrgy]}", r"types.hits.plot.y\[0\]: 'enrgy' is not a field; did you mean 'energy'?"),
        ("{y: [label]}", "label is char; only numbers can be drawn"),
        ("{y: ['energy[0]']}", r"energy\[0\] is not an element of energy, whose shape is \[\]"),
        ("{z: [energy]}", "unknown key 'z'"),
        ("", "plot"),
    ],
)
def test_a_wrong_default_plot_is_an_error_of_the_layout(words, message):
    layout = LAYOUT.replace("    title: Single muons\n", f"    title: Single muons\n    plot: {words}\n")
    with pytest.raises(LayoutError, match=message):
        Instrument(layout, "muon.yaml").layout  # noqa: B018 - compiles it
