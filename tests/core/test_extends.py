"""A plugin that changes what another one does says so, and is asked before it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from archives import make_plugins
from dayfile import Instrument, hookimpl, open_archive

DAY = 86400


def reasons(archive):
    return [json.loads(path.read_text()) for path in sorted(archive.root.quarantine.glob("*/reason.json"))]


SAND = """\
instrument: sand
title: Sand counter
clock: {epoch: 1996-01-01T00:00:00, leap_seconds: counted}
structs: {byte_order: big}
sources: [struct_streams]
path: "sand/{year}_{month}_{day}.h5"
types:
  grains:
    code: Grain
    title: Grains
    store: append
    time: second
    fields: [{name: second, type: uint32}, {name: grain, type: int32}]
"""


def grains(muon, *seconds):
    return np.array([(muon.start + second, 7) for second in seconds], [("second", ">u4"), ("grain", ">i4")]).tobytes()


@pytest.mark.parametrize("hook", ["classify", "locate_file", "write"])
def test_a_plugin_that_extends_another_harms_only_that_one_and_is_blamed_once(
    archive, hits, muon, plugins_of, offender, hook, manners
):
    changer = offender(manners, hook, extends=["muon"])
    loaded = plugins_of(changer=changer, muon=muon.instrument, sand=Instrument(SAND, "sand.yaml"))
    archive.drop("MuonHit.be.bin", hits(0, DAY, 2 * DAY))
    archive.drop("MuonHit.le.bin", hits(5, order="little"))
    archive.drop("Grain.be.bin", grains(muon, 1, 2))
    report = archive.run(plugins=loaded)
    assert report.exit_code == 3
    assert report.sources == {"archived": 1, "already": 0, "quarantined": 2, "held": 0, "left": 0}
    assert len(open_archive(archive.root.path).read("sand.grains")) == 2
    for reason in reasons(archive):
        assert (reason["plugin"], reason["error"]) == ("changer", "PluginError")
        assert reason["message"].count("plugin changer: ") == reason["message"].count(hook) == 1
        assert reason.get("traceback", "").count("Traceback (most recent call last)") <= 1
        assert reason.get("traceback", "").count("RuntimeError: boom") <= 1


def test_a_plugin_is_asked_before_those_that_it_extends_and_they_before_builtin(archive, hits, muon, plugins_of):
    asked = []

    def asking(name, **other):
        def locate_file(self, data_type, day):
            asked.append(name)

        return type("Asked", (), {"locate_file": hookimpl(locate_file), **other})()

    class Asked(Instrument):
        @hookimpl
        def locate_file(self, data_type, day):
            asked.append("muon")

    loaded = plugins_of(
        stranger=asking("stranger"),
        muon=Asked(muon.layout, "muon.yaml"),
        first=asking("first", extends=["muon"]),
        second=asking("second", extends=("sand", "muon")),
        sand=Instrument(SAND, "sand.yaml"),
    )
    archive.drop("MuonHit.be.bin", hits(0))
    assert archive.run(plugins=loaded).exit_code == 0
    assert asked == ["first", "second", "muon"]
    assert archive.files(archive.root.path / "muon") == ["1997/10/muon.1997.10.31.hit.h5"]


def test_a_plugin_may_give_batches_of_those_that_it_extends_a_data_type_of_its_own(archive, hits, muon, plugins_of):
    class Changer(Instrument):
        extends = ("muon",)

        @hookimpl
        def classify(self, batch, data_types):
            assert set(data_types) == {"muon.rates", "muon.hits", "muon.runs", "roof.hits"}
            return "roof.hits" if batch.code == "MuonHit" else None

    text = muon.layout.replace("instrument: muon", "instrument: roof").replace('"muon/', '"roof/')
    text = text[: text.index("  rates:")] + text[text.index("  hits:") : text.index("  runs:")]
    loaded = plugins_of(muon=muon.instrument, roof=Changer(text, "roof.yaml"))
    assert loaded.failures == []
    archive.drop("MuonHit.be.bin", hits(0, 1))
    assert archive.run(plugins=loaded).exit_code == 0
    assert open_archive(archive.root.path).types() == ["roof.hits"]


class Reader:
    """Reads another form of the muon telescope's records."""

    def __init__(self, muon):
        self.muon = muon

    @hookimpl
    def decode(self, source):
        rows = [{"second": self.muon.start}]
        return [self.muon.batch("hits", self.muon.records("hits", rows))] if source.name == "hits.txt" else None


def test_records_of_another_plugins_data_type_need_extends(archive, muon, plugins_of):
    archive.drop("hits.txt", b"one")
    report = archive.run(plugins=plugins_of(reader=Reader(muon), muon=muon.instrument))
    assert report.sources["quarantined"] == 1
    (reason,) = reasons(archive)
    assert reason["plugin"] == "reader"
    assert "it is that of muon.hits of plugin muon" in reason["message"]
    assert "extends = ['muon']" in reason["message"]
    extending = type("Extending", (Reader,), {"extends": ["muon"]})(muon)
    archive.drop("hits.txt", b"one")
    assert archive.run(plugins=plugins_of(reader=extending, muon=muon.instrument)).exit_code == 0
    assert archive.seconds() == [0]


def test_a_plugin_with_the_codes_of_another_takes_none_of_its_batches(archive, hits, muon, plugins_of):
    class Thief:
        @hookimpl
        def data_types(self):
            placement = replace(muon.hits.placement, path="stolen/{year}_{month}_{day}.h5")
            return [replace(muon.hits, type="stolen", placement=placement)]

    loaded = plugins_of(badx=Thief(), muon=muon.instrument)
    assert loaded.failures == []
    archive.drop("MuonHit.be.bin", hits(0, 1))
    assert archive.run(plugins=loaded).exit_code == 0
    assert archive.seconds() == [0, 1]


@pytest.mark.parametrize(
    ("extends", "words"),
    [
        ("muon", "extends must be a list of names of plugins, not 'muon'"),
        (17, "extends must be a list of names of plugins, not 17"),
        ([17], "extends must be a list of names of plugins, not [17]"),
        (["badx"], "extends names the plugin itself"),
        (["builtin"], "extends names the plugin 'builtin', which is not installed; one of badx, muon"),
        (["moun"], "extends names the plugin 'moun', which is not installed; did you mean 'muon'?"),
    ],
)
def test_what_a_plugin_extends_is_checked_when_it_is_loaded(muon, offender, extends, words):
    loaded = make_plugins()
    loaded.add("badx", offender("raises", "classify", extends=extends), installed=["badx", "muon"])
    loaded.add("muon", muon.instrument, installed=["badx", "muon"])
    assert loaded.names == ["muon"]
    assert [failure.message for failure in loaded.failures] == [f"plugin badx: {words}"]


@pytest.mark.parametrize(
    ("version", "remedy"), [(2, "install a newer dayfile"), ("1", "install another version of the plugin")]
)
def test_a_plugin_made_for_another_version_of_the_hooks_says_so_and_harms_no_other(
    archive, hits, muon, plugins_of, version, remedy
):
    class Later(Instrument):
        hook_version = version

    loaded = plugins_of(sand=Later(SAND, "sand.yaml"), muon=muon.instrument)
    assert loaded.names == ["muon"]
    assert [failure.message for failure in loaded.failures] == [
        f"plugin sand: it was made for version {version!r} of the hooks, and this dayfile has version 1: {remedy}"
    ]
    archive.drop("MuonHit.be.bin", hits(0))
    assert archive.run(plugins=loaded).sources["archived"] == 1


def test_a_plugin_made_for_this_version_of_the_hooks_loads(plugins_of):
    class Present(Instrument):
        hook_version = 1

    assert plugins_of(sand=Present(SAND, "sand.yaml")).names == ["sand"]
