"""Plugins: one that cannot be taken in is named and harms no other; several take their parts of one source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pydantic import BaseModel

from archives import load_plugins
from dayfile import Field, Instrument, hookimpl, open_archive
from dayfile.errors import SourceError

# ---- What is wrong when a plugin is taken in


class MisspeltHook:
    @hookimpl
    def decod(self, source):
        return None


class UnknownArgument:
    @hookimpl
    def decode(self, sourze):
        return None


class NoDataType:
    @hookimpl
    def data_types(self):
        return ["muon.hits"]


class NoList:
    @hookimpl
    def data_types(self):
        return 5


class RaisingTypes:
    @hookimpl
    def data_types(self):
        raise KeyError("calibration")


class NoSettings:
    @hookimpl
    def settings(self):
        return {"threshold": 5}


class TypesOfAnother:
    def __init__(self, muon):
        self.muon = muon

    @hookimpl
    def data_types(self):
        return [self.muon.hits]


class SameTypeTwice:
    def __init__(self, muon):
        self.muon = muon

    @hookimpl
    def data_types(self):
        hit = replace(self.muon.hits, instrument="broken")
        return [hit, replace(hit, code="Other")]


class OddType:
    """A data type that was made in Python, with what there is not."""

    def __init__(self, muon, **changes):
        self.told = replace(muon.hits, instrument="broken", **changes)

    @hookimpl
    def data_types(self):
        return [self.told]


def odd_field(muon):
    return OddType(muon, fields=(*muon.hits.fields, Field("flux", "float65")))


def wrong_layout(muon):
    return Instrument(muon.layout.replace(" int16", " imt16"), "broken.yaml")


BROKEN = {
    "misspelt hook": (lambda _: MisspeltHook(), "decod"),
    "argument that no hook has": (lambda _: UnknownArgument(), "sourze"),
    "data type that is none": (lambda _: NoDataType(), "data_types returned str, not a DataType"),
    "data types that are no list": (lambda _: NoList(), "TypeError"),
    "data types that raise": (lambda _: RaisingTypes(), "calibration"),
    "settings that are no model": (lambda _: NoSettings(), "settings must return a subclass of pydantic.BaseModel"),
    "data type of another plugin": (TypesOfAnother, "the data type muon.hits is plugin muon's already"),
    "one data type twice": (SameTypeTwice, "broken.hits"),
    "store that there is not": (
        lambda muon: OddType(muon, placement=replace(muon.hits.placement, store="apend")),
        "the data type broken.hits has the store 'apend'; did you mean 'append'?",
    ),
    "type of a field that there is not": (
        odd_field,
        "the field flux of broken.hits has the type 'float65'; did you mean",
    ),
    "time that is no field": (
        lambda muon: OddType(muon, time="secnd"),
        "the time 'secnd' of broken.hits is not a field; did you mean 'second'?",
    ),
    "wrong layout": (wrong_layout, ": types.hits.fields[2].type: 'imt16' is not a type"),
}


@pytest.mark.parametrize(("make", "words"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("first", [True, False], ids=["before the others", "after the others"])
def test_a_plugin_that_cannot_be_taken_in_is_named_and_harms_no_other(good, muon, plugins_of, make, words, first):
    sand = Instrument(muon.layout.replace("muon", "sand").replace("Muon", "Sand"), "sand.yaml")
    broken = make(muon)
    if first and make is not TypesOfAnother:
        plugins = plugins_of(broken=broken, muon=muon.instrument, sand=sand)
    else:
        plugins = plugins_of(muon=muon.instrument, broken=broken, sand=sand)
    (failure,) = plugins.failures
    assert failure.plugin == "broken"
    assert words in failure.message + failure.trace
    assert "broken" in failure.message
    assert plugins.names == ["muon", "sand"]
    assert sorted(plugins.data_types) == [
        f"{name}.{kind}" for name in ("muon", "sand") for kind in ("hits", "rates", "runs")
    ]
    assert set(plugins.settings_models) == {"muon", "sand"}
    report = good.run(plugins=plugins)
    good.assert_unharmed(report)
    assert report.failures == [failure]
    assert report.exit_code == 3


def test_of_a_plugin_that_was_refused_no_hook_is_called(good, muon, plugins_of):
    called = []

    class Broken(NoDataType):
        @hookimpl
        def decode(self, source):
            called.append(source.name)

        @hookimpl
        def classify(self, batch):
            called.append(batch.code)

        @hookimpl
        def write(self, data_type):
            called.append(data_type.name)

    good.assert_unharmed(good.run(plugins=plugins_of(broken=Broken(), muon=muon.instrument)))
    assert called == []


def test_settings_are_handed_to_the_plugin_they_belong_to(archive, muon, plugins_of):
    class Model(BaseModel):
        threshold: int = 5

    told = {}

    class Asked:
        def __init__(self, name):
            self.name = name

        @hookimpl
        def settings(self):
            return Model

        @hookimpl
        def decode(self, source, settings):
            told[self.name] = settings.threshold

    archive.drop("x", b"x")
    archive.run(plugins=plugins_of(one=Asked("one"), two=Asked("two")), one__threshold=7)
    assert told == {"one": 7, "two": 5}


# ---- Two plugins and one source


class Half:
    """Takes the lines of a source that begin with its letter."""

    def __init__(self, letter, instrument, name, make):
        self.letter, self.instrument, self.name, self.make = letter, instrument, name, make

    @hookimpl
    def data_types(self):
        return [self.instrument.types[self.name]]

    @hookimpl
    def decode(self, source):
        lines = source.content.decode().splitlines()
        mine = [place for place, line in enumerate(lines) if line.startswith(self.letter)]
        if not mine:
            return None
        if any("bad" in lines[place] for place in mine):
            raise SourceError("a line is bad", where=source.name)
        return [self.make([int(lines[place][1:]) for place in mine], mine)]


@pytest.fixture
def halves(muon, school, plugins_of):
    def hits(seconds, places):
        rows = [{"second": muon.start + second} for second in seconds]
        return replace(muon.batch("hits", muon.records("hits", rows)), numbers=np.array(places))

    def errors(seconds, places):
        return school.make_errors([(second, b"x") for second in seconds], places)

    def only():
        return Half("m", muon, "hits", hits)

    def make():
        return plugins_of(muon=only(), school=Half("s", school, "errors", errors))

    make.muon = only
    return make


def test_two_plugins_take_their_parts_of_one_source(archive, halves):
    archive.drop("mixed", b"m1\ns2\nm3\n")
    report = archive.run(plugins=halves())
    assert {name: counts["written"] for name, counts in report.records.items()} == {"muon.hits": 2, "school.errors": 1}
    assert report.sources == {"archived": 1, "already": 0, "quarantined": 0, "held": 0, "left": 0}
    assert len(report.day_files) == 2
    archive.drop("mixed", b"m1\ns2\nm3\n")
    assert archive.run(plugins=halves()).sources["already"] == 1


def test_the_part_of_one_plugin_is_archived_though_the_other_cannot_read_its_own(archive, halves):
    archive.drop("mixed", b"m1\ns bad\n")
    report = archive.run(plugins=halves())
    assert report.records["muon.hits"]["written"] == 1
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1, "held": 0, "left": 0}
    (entry,) = report.quarantine
    assert "mixed: a line is bad" in entry.reason
    assert (archive.root.path / entry.entry / "mixed").read_bytes() == b"m1\ns bad\n"
    assert len(open_archive(archive.root.path).read("muon.hits")) == 1


def test_a_part_that_a_plugin_missed_is_taken_when_it_is_there(archive, muon, halves, plugins_of):
    """A run without the second plugin must not make the source known as archived for it."""
    content = b"m1\ns2\n"
    archive.drop("mixed", content)
    archive.run(plugins=plugins_of(muon=halves.muon()))
    archive.drop("mixed", content)
    report = archive.run(plugins=halves())
    assert report.records["school.errors"]["written"] == 1
    assert report.sources["archived"] == 1


# ---- what a plugin must not do to others, and functions that nobody would ask


def test_settings_without_a_default_stop_no_run(good, muon, plugins_of):
    class Model(BaseModel):
        threshold: int

    class Demanding:
        @hookimpl
        def settings(self):
            return Model

    loaded = plugins_of(badx=Demanding(), muon=muon.instrument)
    assert "settings without a default would stop every run" in loaded.failures[0].message
    good.assert_unharmed(good.run(plugins=loaded))


def test_a_plugin_cannot_take_the_place_of_builtin(good, muon, plugins_of, offender):
    loaded = plugins_of(builtin=offender("raises", "classify"), muon=muon.instrument)
    assert [failure.message for failure in loaded.failures] == ["plugin builtin: its name is taken"]
    good.assert_unharmed(good.run(plugins=loaded))


def test_a_plugin_cannot_wrap_the_hooks_of_others(good, muon, plugins_of):
    class Wrapping:
        @hookimpl(wrapper=True)
        def classify(self):
            yield
            raise RuntimeError("boom")

    loaded = plugins_of(badx=Wrapping(), muon=muon.instrument)
    assert "its classify wraps that of other plugins" in loaded.failures[0].message
    good.assert_unharmed(good.run(plugins=loaded))


def test_what_a_subclass_of_instrument_overrides_needs_no_mark(archive, muon, plugins_of):
    class Mixed:
        def simulate(self, directory):
            (directory / "x").write_text("x")
            return [directory / "x"]

    class Unmarked(Mixed, Instrument):
        def decode(self, source):
            rows = [{"second": muon.start}]
            return [muon.batch("hits", muon.records("hits", rows))] if source.name == "x.txt" else None

        @staticmethod
        def locate_file(data_type):
            return f"muon/{data_type.type}.h5"

    loaded = plugins_of(muon=Unmarked(muon.layout, "muon.yaml"))
    archive.drop("x.txt", b"x")
    assert archive.run(plugins=loaded).exit_code == 0
    assert archive.files(archive.root.path / "muon") == ["hits.h5"]
    assert loaded.simulate("muon", np.datetime64("2024-05-01"), 1, archive.path) == [archive.path / "x"]


def test_the_arguments_of_what_it_overrides_are_checked(muon, plugins_of):
    class Misspelt(Instrument):
        def decode(self, sourze):
            return None

    (failure,) = plugins_of(muon=Misspelt(muon.layout, "muon.yaml")).failures
    assert "sourze" in failure.message


def test_a_function_that_would_never_be_asked_is_refused(muon, plugins_of):
    class Unmarked:
        def decode(self, source):
            return None

    loaded = plugins_of(badx=Unmarked(), muon=muon.instrument)
    assert loaded.names == ["muon"]
    assert "its function decode lacks the mark @hookimpl" in loaded.failures[0].message


def test_two_packages_with_a_plugin_of_one_name_are_both_named_and_neither_is_used(installed, muon):
    sites = [installed(muon=muon.layout), installed(muon=muon.layout)]
    loaded = load_plugins("muon")
    assert loaded.names == []
    (failure,) = loaded.failures
    assert all(f"muon_{site.name} 1.0" in failure.message.replace("-", "_") for site in sites)
