"""Plugins: whatever one of them does wrong is named in the report and harms no other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from dayfile import hookimpl, open_archive
from dayfile.errors import SourceError
from dayfile.layouts.instrument import Instrument
from dayfile.model.batch import Batch, Blobs, Rejected

SAND = """\
instrument: sand
title: Sand counter
clock: {epoch: 1996-01-01T00:00:00}
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


@pytest.fixture
def good(archive, muon):
    """Two sources of the muon telescope, which must be archived whatever else goes on."""
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", [{"second": muon.start}])))
    archive.drop("MuonHit.le.bin", muon.stream("hits", muon.records("hits", [{"second": muon.start + 1}]), "little"))
    return archive


def assert_unharmed(report, archive):
    assert report.records["muon.hits"]["written"] == 2
    assert report.sources["archived"] >= 2
    assert len(open_archive(archive.root.path).read("muon.hits")) == 2
    assert archive.files(archive.root.incoming) == archive.files(archive.root.accepted) == []


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


def wrong_layout(muon):
    return Instrument(SAND.replace(" int32", " imt32"), "broken.yaml")


BROKEN = {
    "misspelt hook": (lambda _: MisspeltHook(), "decod"),
    "argument that no hook has": (lambda _: UnknownArgument(), "sourze"),
    "data type that is none": (lambda _: NoDataType(), "data_types answered str, not a DataType"),
    "data types that are no list": (lambda _: NoList(), "TypeError"),
    "data types that raise": (lambda _: RaisingTypes(), "calibration"),
    "settings that are no model": (lambda _: NoSettings(), "settings must answer a subclass of pydantic.BaseModel"),
    "data type of another plugin": (TypesOfAnother, "the data type muon.hits is plugin muon's already"),
    "one data type twice": (SameTypeTwice, "broken.hits"),
    "wrong layout": (wrong_layout, "broken.yaml:13:64: types.grains.fields[1].type: 'imt32' is not a type"),
}


@pytest.mark.parametrize(("make", "words"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("first", [True, False], ids=["before the others", "after the others"])
def test_a_plugin_that_cannot_be_taken_in_is_named_and_harms_no_other(good, muon, plugins_of, make, words, first):
    sand = Instrument(SAND, "sand.yaml")
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
    assert sorted(plugins.data_types) == ["muon.hits", "muon.rates", "muon.runs", "sand.grains"]
    assert set(plugins.settings_models) == {"muon", "sand"}
    report = good.run(plugins=plugins)
    assert_unharmed(report, good)
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

    assert_unharmed(good.run(plugins=plugins_of(broken=Broken(), muon=muon.instrument)), good)
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


# ---- What is wrong with the answers of a plugin that was taken in


class Decoder:
    """A plugin with the sand counter's type that answers for every source named junk."""

    def __init__(self, answer):
        self.layout = Instrument(SAND, "sand.yaml").layout
        self.grains = self.layout.types[0]
        self.answer = answer

    @hookimpl
    def data_types(self):
        return [self.grains]

    @hookimpl
    def decode(self, source):
        return self.answer(self) if source.name == "junk" else None

    def batch(self, **other):
        records = np.zeros(2, self.grains.dtype)
        records["second"] = 57801601 + np.arange(2)
        return Batch(**{"instrument": "sand", "code": "Grain", "records": records, "numbers": np.arange(2), **other})

    def rejected(self, **other):
        words = {"instrument": "sand", "code": "Grain", "reason": "bad", "error": "RecordError", "numbers": (0,)}
        return Rejected(**{**words, "name": "junk", "content": b"x", **other})


def raising(decoder):
    raise ZeroDivisionError("no calibration for this day")


def raising_half_way(decoder):
    yield decoder.batch()
    raise ZeroDivisionError("no calibration for this day")


def refusing(decoder):
    raise SourceError("not what it claims to be", where="junk, byte 12")


def other_dtype(decoder):
    return [decoder.batch(records=np.zeros(2, [("second", "<u8"), ("grain", "<i4")]))]


def other_byte_order(decoder):
    batch = decoder.batch()
    return [replace(batch, records=batch.records.astype([("second", ">u4"), ("grain", ">i4")]))]


JUNK = {
    "raises": (raising, "plugin sand failed: ZeroDivisionError: no calibration for this day"),
    "raises half way": (raising_half_way, "plugin sand failed: ZeroDivisionError: no calibration for this day"),
    "refuses": (refusing, "junk, byte 12: not what it claims to be"),
    "a number": (lambda _: 5, "plugin sand failed: TypeError"),
    "a list of texts": (lambda _: ["record"], "plugin sand: decode gave str, not Batch or Rejected"),
    "a list of None": (lambda _: [None], "plugin sand: decode gave NoneType, not Batch or Rejected"),
    "a batch alone": (lambda decoder: decoder.batch(), "plugin sand failed: TypeError"),
    "another dtype": (other_dtype, "plugin sand: the records of code Grain have another dtype than sand.grains"),
    "another byte order": (other_byte_order, "plugin sand: the records of code Grain have another dtype"),
    "records that are a list": (lambda decoder: [decoder.batch(records=[(1, 2)])], "plugin sand"),
    "records that are None": (lambda decoder: [decoder.batch(records=None)], "plugin sand"),
    "records of two dimensions": (
        lambda decoder: [decoder.batch(records=np.ones((2, 2), decoder.grains.dtype))],
        "plugin sand",
    ),
    "a single record": (lambda decoder: [decoder.batch(records=np.ones((), decoder.grains.dtype))], "plugin sand"),
    "too few numbers": (lambda decoder: [decoder.batch(numbers=np.arange(1))], "plugin sand"),
    "numbers that are None": (lambda decoder: [decoder.batch(numbers=None)], "plugin sand"),
    "keys that are a list": (lambda decoder: [decoder.batch(keys=["station"])], "plugin sand"),
    "a key that is a list": (lambda decoder: [decoder.batch(keys={"station": [7]})], "plugin sand: decode gave"),
    "a code that is a list": (lambda decoder: [decoder.batch(code=["Grain"])], "plugin sand: decode gave"),
    "no instrument": (lambda decoder: [decoder.batch(instrument=None)], "plugin sand: decode gave"),
    "a code that no type has": (lambda decoder: [decoder.batch(code="Gravel")], "no data type has the code 'Gravel'"),
    "rejected without bytes": (lambda decoder: [decoder.rejected(content=None)], "plugin sand"),
    "rejected with text": (lambda decoder: [decoder.rejected(content="x")], "plugin sand"),
    "rejected without a name": (lambda decoder: [decoder.rejected(name=None)], "plugin sand"),
    "rejected with one number": (lambda decoder: [decoder.rejected(numbers=3)], "plugin sand"),
    "rejected with numbers of NumPy": (lambda decoder: [decoder.rejected(numbers=tuple(np.arange(2)))], "plugin sand"),
}


@pytest.mark.parametrize(("answer", "words"), JUNK.values(), ids=JUNK)
def test_junk_from_decode_is_named_and_the_source_is_kept_whole(good, muon, plugins_of, answer, words):
    good.drop("junk", b"what the broken plugin claims")
    plugins = plugins_of(sand=Decoder(answer), muon=muon.instrument)
    report = good.run(plugins=plugins)
    assert_unharmed(report, good)
    (entry,) = report.quarantine
    assert (entry.source, entry.records) == ("junk", None)
    assert words in entry.reason
    assert (good.root.path / entry.entry / "junk").read_bytes() == b"what the broken plugin claims"
    reason = json.loads((good.root.path / entry.entry / "reason.json").read_text())
    assert words in reason["message"]
    assert report.exit_code == 3


def test_a_batch_under_the_name_of_another_instrument_is_blamed_on_the_plugin_that_made_it(good, muon, plugins_of):
    good.drop("junk", b"junk")
    broken = Decoder(lambda self: [self.batch(instrument="muon")])
    report = good.run(plugins=plugins_of(sand=broken, muon=muon.instrument))
    assert_unharmed(report, good)
    (entry,) = report.quarantine
    assert "plugin sand" in entry.reason
    assert "plugin muon" not in entry.reason


def test_rejected_records_stay_in_quarantine_whatever_name_a_plugin_gives_them(good, muon, plugins_of):
    names = ["../../../climbed", "/tmp/climbed", "..", ".", "", "reason.json", "a/b"]  # noqa: S108 - refused, not made
    good.drop("junk", b"junk")
    broken = Decoder(lambda self: [self.rejected(name=name, content=name.encode() + b"!") for name in names])
    report = good.run(plugins=plugins_of(sand=broken, muon=muon.instrument))
    assert_unharmed(report, good)
    kept = {path.read_bytes() for path in good.root.quarantine.glob("*/*")}
    assert {name.encode() + b"!" for name in names} <= kept
    assert not list(good.path.rglob("climbed")) or all(
        good.root.quarantine in path.parents for path in good.path.rglob("climbed")
    )


def test_a_traceback_is_kept_with_the_source(good, muon, plugins_of):
    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(sand=Decoder(raising), muon=muon.instrument))
    reason = json.loads((good.root.path / report.quarantine[0].entry / "reason.json").read_text())
    assert (reason["plugin"], reason["version"], reason["error"]) == ("sand", "1.0", "ZeroDivisionError")
    assert "in raising" in reason["traceback"]


def test_a_source_that_failed_in_part_is_archived_whole_when_the_plugin_is_mended(archive, plugins_of):
    """What was written before the failure must not make the source known as archived."""

    def two_kinds(code):
        def answer(decoder):
            records = np.zeros(1, decoder.grains.dtype)
            records["second"] = 57801609
            return [decoder.batch(), decoder.batch(code=code, records=records, numbers=np.array([2]))]

        return plugins_of(sand=Decoder(answer))

    archive.drop("junk", b"junk")
    report = archive.run(plugins=two_kinds("Gravel"))
    assert (report.records["sand.grains"]["written"], report.sources["quarantined"]) == (2, 1)
    archive.drop("junk", b"junk")
    report = archive.run(plugins=two_kinds("Grain"))
    assert (report.sources["archived"], report.sources["already"]) == (1, 0)
    assert open_archive(archive.root.path).read("sand.grains")["second"].tolist() == [57801601, 57801602, 57801609]


# A wrong blob shows only when it is stored: that must not cost the run, nor the records of others in the file.
BLOBS = {
    "index beyond the blobs": {"traces": 9},
    "blob that is a text": {"blobs": Blobs(["text"], np.array([0]))},
    "blob that is None": {"blobs": Blobs([None], np.array([0]))},
    "owner that is no record": {"blobs": Blobs([b"x"], np.array([7]))},
    "fewer owners than blobs": {"blobs": Blobs([b"x", b"y"], np.array([0]))},
}


@pytest.mark.parametrize("wrong", BLOBS.values(), ids=BLOBS)
def test_wrong_blobs_are_named_and_cost_nobody_else_a_record(good, muon, school, plugins_of, wrong):
    class Broken:
        @hookimpl
        def data_types(self):
            return school.types.values()

        @hookimpl
        def decode(self, source):
            if source.name not in {"junk", "right"}:
                return None
            batch = school.make_events([(len(source.name), 1, b"", b"blob", None)])
            if source.name == "right":
                return [batch]
            records = batch.records.copy()
            records["traces"][0, 0] = wrong.get("traces", 0)
            return [replace(batch, records=records, blobs=wrong.get("blobs", batch.blobs))]

    good.drop("junk", b"junk")
    good.drop("right", b"right")
    report = good.run(plugins=plugins_of(broken=Broken(), muon=muon.instrument))
    assert_unharmed(report, good)
    assert report.records["school.events"]["written"] == 1
    assert [entry.source for entry in report.quarantine] == ["junk"]


class Writer(Decoder):
    """Answers the write hook for its own type."""

    def __init__(self, answer):
        super().__init__(lambda self: [self.batch()])
        self.written = answer

    @hookimpl
    def write(self, work_file, data_type, batch):
        return self.written(work_file, data_type, batch) if data_type.name == "sand.grains" else None


@pytest.mark.parametrize(
    "answer",
    [
        lambda *_: "all written",
        lambda *_: 0,
        lambda *_: [0, 0],
        lambda *_: np.zeros(3, np.uint8),
        lambda *_: np.array([0, 4], np.uint8),
        lambda *_: np.array([0, -1]),
        lambda *_: np.array([0.5, 0]),
        lambda *_: np.array([np.nan, 0]),
        lambda *_: np.zeros((2, 1), np.uint8),
    ],
    ids=["text", "number", "list", "one too many", "4", "negative", "fraction", "not a number", "two dimensions"],
)
def test_nonsense_from_write_is_named_and_the_source_is_kept(good, muon, plugins_of, answer):
    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(sand=Writer(answer), muon=muon.instrument))
    assert_unharmed(report, good)
    (entry,) = report.quarantine
    assert "write of sand.grains must answer a status 0 to 3 for each of 2 records" in entry.reason
    assert (good.root.path / entry.entry / "junk").read_bytes() == b"junk"


def test_a_write_that_raises_is_named_and_the_source_is_kept(good, muon, plugins_of):
    good.drop("junk", b"junk")
    broken = Writer(lambda *_: 1 / 0)
    report = good.run(plugins=plugins_of(sand=broken, muon=muon.instrument))
    assert_unharmed(report, good)
    assert "ZeroDivisionError" in report.quarantine[0].reason


def test_a_write_of_ones_own_is_used(archive, muon, plugins_of):
    def twice(work_file, data_type, batch):
        work_file.write(data_type, batch)
        return work_file.write(data_type, batch)

    archive.drop("junk", b"junk")
    report = archive.run(plugins=plugins_of(sand=Writer(twice)))
    assert report.records["sand.grains"]["identical"] == 2
    assert len(open_archive(archive.root.path).read("sand.grains")) == 2


@pytest.mark.parametrize(
    "path",
    ["", "/etc/day.h5", "../day.h5", "sand/../../day.h5", "incoming/day.h5", "quarantine/x.h5", ".lock", "catalogue.db",
     "archive.yaml", 5, None.__class__, "a\0b.h5"],
    ids=repr,
)  # fmt: skip
def test_a_path_that_is_none_for_a_day_file_is_refused(good, muon, plugins_of, path):
    class Broken(Decoder):
        @hookimpl
        def locate_file(self, data_type):
            return path if data_type.name == "sand.grains" else None

    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(broken=Broken(lambda self: [self.batch()]), muon=muon.instrument))
    assert_unharmed(report, good)
    assert [entry.source for entry in report.quarantine] == ["junk"]
    assert report.day_files == ["muon/1997/10/muon.1997.10.31.hit.h5"]


@pytest.mark.parametrize("runs", [[(0, 86400)], [(0,), (86400,)]], ids=["in one run", "in two runs"])
def test_a_second_day_in_a_day_file_is_refused_before_its_records_mix(archive, muon, plugins_of, runs):
    layout = muon.layout.replace("{year}/{month:02}/muon.{year}.{month:02}.{day:02}.", "{year}.")
    for seconds in runs:
        rows = [{"second": muon.start + second} for second in seconds]
        archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
        report = archive.run(plugins=plugins_of(muon=Instrument(layout, "muon.yaml")))
    (entry,) = report.quarantine
    words = "plugin muon: locate_file puts 1997-11-01 into muon/1997.rat.h5, which is the day file of 1997-10-31"
    assert entry.reason == words
    assert (archive.root.path / entry.entry / "MuonRates.be.bin").exists()
    assert open_archive(archive.root.path).read("muon.rates")["second"].tolist() == [muon.start]


@pytest.mark.parametrize("answer", ["gravel", "muon", 5, b"sand.grains", ["sand.grains"]], ids=repr)
def test_nonsense_from_classify_is_named_and_the_source_is_kept(good, muon, plugins_of, answer):
    class Broken(Decoder):
        @hookimpl
        def classify(self, batch):
            return answer if batch.instrument == "sand" else None

    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(broken=Broken(lambda self: [self.batch()]), muon=muon.instrument))
    assert_unharmed(report, good)
    assert [entry.source for entry in report.quarantine] == ["junk"]


def test_a_plugin_may_name_the_type_of_a_batch_that_has_another_code(archive, plugins_of):
    class Own(Decoder):
        @hookimpl
        def classify(self, batch):
            return "sand.grains" if batch.code == "Gravel" else None

    archive.drop("junk", b"junk")
    report = archive.run(plugins=plugins_of(sand=Own(lambda self: [self.batch(code="Gravel")])))
    assert report.records["sand.grains"]["written"] == 2


def test_records_without_a_time_that_decode_let_through_are_refused(good, muon, plugins_of):
    class Broken:
        @hookimpl
        def decode(self, source):
            if source.name == "junk":
                return [muon.batch("hits", muon.records("hits", [{"second": 0}, {"second": muon.start}]))]
            return None

    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(broken=Broken(), muon=muon.instrument))
    assert_unharmed(report, good)
    assert "records of muon.hits have no time in second; decode must reject them" in report.quarantine[0].reason


def test_a_source_that_a_plugin_claims_and_makes_nothing_of_is_kept(archive, plugins_of):
    archive.drop("junk", b"bytes that became no record")
    report = archive.run(plugins=plugins_of(sand=Decoder(lambda _: [])))
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1}
    assert (archive.root.path / report.quarantine[0].entry / "junk").read_bytes() == b"bytes that became no record"


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

    def make():
        return plugins_of(
            muon=Half("m", muon, "hits", hits),
            school=Half("s", school, "errors", errors),
        )

    return make


def test_two_plugins_take_their_parts_of_one_source(archive, halves):
    archive.drop("mixed", b"m1\ns2\nm3\n")
    report = archive.run(plugins=halves())
    assert {name: counts["written"] for name, counts in report.records.items()} == {"muon.hits": 2, "school.errors": 1}
    assert report.sources == {"archived": 1, "already": 0, "quarantined": 0}
    assert len(report.day_files) == 2
    archive.drop("mixed", b"m1\ns2\nm3\n")
    assert archive.run(plugins=halves()).sources["already"] == 1


def test_the_part_of_one_plugin_is_archived_though_the_other_cannot_read_its_own(archive, halves):
    archive.drop("mixed", b"m1\ns bad\n")
    report = archive.run(plugins=halves())
    assert report.records["muon.hits"]["written"] == 1
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1}
    (entry,) = report.quarantine
    assert "mixed: a line is bad" in entry.reason
    assert (archive.root.path / entry.entry / "mixed").read_bytes() == b"m1\ns bad\n"
    assert len(open_archive(archive.root.path).read("muon.hits")) == 1


def test_a_part_that_a_plugin_missed_is_taken_when_it_is_there(archive, muon, halves, plugins_of):
    """A run without the second plugin must not make the source known as archived for it."""
    content = b"m1\ns2\n"
    archive.drop("mixed", content)
    only = halves()
    archive.run(plugins=plugins_of(muon=only.manager.get_plugin("muon")))
    archive.drop("mixed", content)
    report = archive.run(plugins=halves())
    assert report.records["school.errors"]["written"] == 1
    assert report.sources["archived"] == 1


# ---- Entry points: real distributions, in a process of their own


@pytest.fixture
def distribution(tmp_path, muon):
    """Make an importable directory of a distribution: ``distribution(name, code)`` for an entry point of that name."""
    directory = tmp_path / "site"

    def make(name, code, target="plugin"):
        package = directory / f"sample_{name}"
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(code)
        (package / "muon.yaml").write_text(muon.layout)
        (package / "sand.yaml").write_text(SAND)
        about = directory / f"sample_{name}-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: sample-{name}\nVersion: 1.2\n")
        (about / "entry_points.txt").write_text(f"[dayfile.plugins]\n{name} = sample_{name}:{target}\n")
        return directory

    return make


LAYOUT_PLUGIN = """\
from dayfile import Instrument
plugin = Instrument.from_package(__name__, "{}.yaml")
"""


SETTINGS_PLUGIN = """\
from dayfile import hookimpl
from pydantic import BaseModel

class Model(BaseModel):
    threshold: int = 1

class Sand:
    @hookimpl
    def settings(self):
        return Model

plugin = Sand()
"""


@pytest.fixture
def command(python, tmp_path):
    """Run ``dayfile`` or ``archive-run`` with the sample distributions installed."""

    def run(name, *arguments):
        code = f"from dayfile.cli import {name}; {name}()"
        return python("-c", code, *arguments, paths=[tmp_path / "site"], cwd=tmp_path)

    return run


def test_installed_plugins_are_listed_with_what_failed_and_why(distribution, command):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", "raise ImportError('no module named calibration')")
    distribution("mud", LAYOUT_PLUGIN.format("mud"))
    distribution("gone", "", target="missing")
    done = command("main", "plugins", "--json")
    listed = {entry["name"]: entry for entry in json.loads(done.stdout)}
    assert listed["muon"]["types"] == ["muon.rates", "muon.hits", "muon.runs"]
    assert (listed["muon"]["version"], listed["muon"]["failed"]) == ("1.2", None)
    assert "plugin sand failed: ImportError: no module named calibration" in listed["sand"]["failed"]
    assert "sample_sand" in listed["sand"]["traceback"]
    assert "FileNotFoundError" in listed["mud"]["failed"]
    assert "AttributeError" in listed["gone"]["failed"]
    assert done.returncode == 3


def test_a_plugin_that_cannot_be_imported_stops_no_other(distribution, command, archive, muon, tmp_path):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", "import calibration_that_nobody_has")
    sent = tmp_path / "MuonHit.be.bin"
    sent.write_bytes(muon.stream("hits", muon.records("hits", [{"second": muon.start}])))
    report = tmp_path / "report.json"
    done = command("archive_run", "--plugins", "sand,muon", "--archive", archive.root.path, "--report", report, sent)
    assert done.returncode == 3, done.stderr
    assert "plugin sand failed: ModuleNotFoundError" in done.stderr
    assert "Traceback" in done.stderr
    told = json.loads(report.read_text())
    assert told["records"]["muon.hits"]["written"] == 1
    assert [failure["plugin"] for failure in told["failures"]] == ["sand"]
    assert sent.exists()


def test_a_plugin_that_ends_python_when_it_is_imported_stops_no_other(distribution, command):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("script", "import sys\nsys.exit('this is a script')")
    done = command("main", "plugins", "--json")
    listed = {entry["name"]: entry for entry in json.loads(done.stdout or "[]")}
    assert listed["muon"]["types"] == ["muon.rates", "muon.hits", "muon.runs"]
    assert "this is a script" in listed["script"]["failed"]


def test_plugins_that_were_not_asked_for_are_not_imported(distribution, command, archive, muon, tmp_path):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", f"open({str(tmp_path / 'imported')!r}, 'w')")
    done = command("archive_run", "--plugins", "muon", "--archive", archive.root.path)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "imported").exists()


def test_settings_of_a_plugin_that_this_run_leaves_out_are_no_mistake(distribution, command, archive):
    """``archive.yaml`` serves all runs of an archive, also those that select plugins."""
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    distribution("sand", SETTINGS_PLUGIN)
    archive.root.settings.write_text("sand: {threshold: 5}\n")
    done = command("archive_run", "--plugins", "muon", "--archive", archive.root.path)
    assert done.returncode == 0, done.stderr


def test_an_unknown_plugin_is_refused_with_the_one_that_was_meant(distribution, command, archive):
    distribution("muon", LAYOUT_PLUGIN.format("muon"))
    done = command("archive_run", "--plugins", "moun", "--archive", archive.root.path)
    assert done.returncode == 2
    assert "no plugin 'moun' is installed; did you mean 'muon'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_no_plugin_and_no_heavy_library(distribution, python, tmp_path):
    distribution("muon", f"open({str(tmp_path / 'imported')!r}, 'w')")
    code = (
        "import sys; from dayfile.cli import main; sys.argv = ['dayfile', '--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'tables', 'pandas', 'xarray', 'h5py'} & set(sys.modules)))"
    )
    done = python("-c", code, paths=[tmp_path / "site"])
    assert done.stdout.splitlines()[-1] == "[]"
    assert not Path(tmp_path / "imported").exists()
