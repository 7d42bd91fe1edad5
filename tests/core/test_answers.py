"""What plugins answer: whatever is wrong with it is named in the report and harms nobody else."""

from __future__ import annotations

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from dayfile import Batch, Blobs, Instrument, Rejected, Remark, hookimpl, open_archive
from dayfile.errors import SourceError

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


def exiting(decoder):
    sys.exit("no calibration for this day")


def raising_half_way(decoder):
    yield decoder.batch()
    raise ZeroDivisionError("no calibration for this day")


def refusing(decoder):
    raise SourceError("not what it claims to be", where="junk, byte 12")


def refusing_at_a_number_of_numpy(decoder):
    raise SourceError("not what it claims to be", where="junk", offset=np.int64(12))


def other_dtype(decoder):
    return [decoder.batch(records=np.zeros(2, [("second", "<u8"), ("grain", "<i4")]))]


def other_byte_order(decoder):
    batch = decoder.batch()
    return [replace(batch, records=batch.records.astype([("second", ">u4"), ("grain", ">i4")]))]


JUNK = {
    "raises": (raising, "plugin sand failed: ZeroDivisionError: no calibration for this day"),
    "ends the program": (exiting, "plugin sand failed: SystemExit: no calibration for this day"),
    "raises half way": (raising_half_way, "plugin sand failed: ZeroDivisionError: no calibration for this day"),
    "refuses": (refusing, "junk, byte 12: not what it claims to be"),
    "refuses with an offset of NumPy": (refusing_at_a_number_of_numpy, "junk, byte 12: not what it claims to be"),
    "a number": (lambda _: 5, "plugin sand failed: TypeError"),
    "a list of texts": (lambda _: ["record"], "plugin sand: decode returned str, not Batch or Rejected"),
    "a list of None": (lambda _: [None], "plugin sand: decode returned NoneType, not Batch or Rejected"),
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
    "a key that is a list": (lambda decoder: [decoder.batch(keys={"station": [7]})], "plugin sand: decode returned"),
    "a code that is a list": (lambda decoder: [decoder.batch(code=["Grain"])], "plugin sand: decode returned"),
    "no instrument": (lambda decoder: [decoder.batch(instrument=None)], "plugin sand: decode returned"),
    "a code that no type has": (lambda decoder: [decoder.batch(code="Gravel")], "no data type has the code 'Gravel'"),
    "rejected without bytes": (lambda decoder: [decoder.rejected(content=None)], "plugin sand"),
    "rejected with text": (lambda decoder: [decoder.rejected(content="x")], "plugin sand"),
    "rejected without a name": (lambda decoder: [decoder.rejected(name=None)], "plugin sand"),
    "rejected with one number": (lambda decoder: [decoder.rejected(numbers=3)], "plugin sand"),
    "rejected with numbers of NumPy": (lambda decoder: [decoder.rejected(numbers=tuple(np.arange(2)))], "plugin sand"),
    "rejected with an offset of NumPy": (lambda decoder: [decoder.rejected(offset=np.int64(12))], "plugin sand"),
}


@pytest.mark.parametrize(("answer", "words"), JUNK.values(), ids=JUNK)
def test_junk_from_decode_is_named_and_the_source_is_kept_whole(good, muon, plugins_of, answer, words):
    good.drop("junk", b"what the broken plugin claims")
    plugins = plugins_of(sand=Decoder(answer), muon=muon.instrument)
    report = good.run(plugins=plugins)
    good.assert_unharmed(report)
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
    good.assert_unharmed(report)
    (entry,) = report.quarantine
    assert "plugin sand" in entry.reason
    assert "plugin muon" not in entry.reason


def test_rejected_records_stay_in_quarantine_whatever_name_a_plugin_gives_them(good, muon, plugins_of):
    names = ["../../../climbed", "/tmp/climbed", "..", ".", "", "reason.json", "a/b"]  # noqa: S108 - refused, not made
    good.drop("junk", b"junk")
    broken = Decoder(lambda self: [self.rejected(name=name, content=name.encode() + b"!") for name in names])
    report = good.run(plugins=plugins_of(sand=broken, muon=muon.instrument))
    good.assert_unharmed(report)
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
    "owners that are a list": {"blobs": Blobs([b"x"], [0])},
    "owners that are fractions": {"blobs": Blobs([b"x"], np.zeros(1))},
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
    good.assert_unharmed(report)
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
    good.assert_unharmed(report)
    (entry,) = report.quarantine
    assert "write of sand.grains must return a status 0 to 3 for each of 2 records" in entry.reason
    assert (good.root.path / entry.entry / "junk").read_bytes() == b"junk"


def test_a_write_that_raises_is_named_and_the_source_is_kept(good, muon, plugins_of):
    good.drop("junk", b"junk")
    broken = Writer(lambda *_: 1 / 0)
    report = good.run(plugins=plugins_of(sand=broken, muon=muon.instrument))
    good.assert_unharmed(report)
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
    good.assert_unharmed(report)
    assert [entry.source for entry in report.quarantine] == ["junk"]
    assert report.day_files == ["muon/1997/10/muon.1997.10.31.hit.h5"]


class Yearly(Instrument):
    """Puts all days of a year into one file, which no path of a layout can."""

    @hookimpl
    def locate_file(self, data_type, day):
        return f"muon/{day.item().year}.{data_type.placement.suffix}.h5"


@pytest.mark.parametrize("runs", [[(0, 86400)], [(0,), (86400,)]], ids=["in one run", "in two runs"])
def test_a_second_day_in_a_day_file_is_refused_before_its_records_mix(archive, muon, plugins_of, runs):
    for seconds in runs:
        rows = [{"second": muon.start + second} for second in seconds]
        archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
        report = archive.run(plugins=plugins_of(muon=Yearly(muon.layout, "muon.yaml")))
    (entry,) = report.quarantine
    words = "plugin muon: locate_file puts 1997-11-01 into muon/1997.rat.h5, which is the day file of 1997-10-31"
    assert entry.reason == words
    assert (archive.root.path / entry.entry / "MuonRates.be.bin").exists()
    assert open_archive(archive.root.path).read("muon.rates")["second"].tolist() == [muon.start]


def test_the_day_that_a_day_file_holds_counts_and_not_the_one_that_was_asked_for_first(archive, muon, plugins_of):
    day = 86400
    for seconds in [(day,), (0, day + 3600)]:
        for number, second in enumerate(seconds):
            rows = muon.records("rates", [{"second": muon.start + second}])
            archive.drop("MuonRates.be.bin", muon.stream("rates", rows), below=str(number))
        report = archive.run(plugins=plugins_of(muon=Yearly(muon.layout, "muon.yaml")))
    (entry,) = report.quarantine
    assert entry.reason.endswith("puts 1997-10-31 into muon/1997.rat.h5, which is the day file of 1997-11-01")
    seconds = open_archive(archive.root.path).read("muon.rates")["second"] - muon.start
    assert seconds.tolist() == [day, day + 3600]


@pytest.mark.parametrize("answer", ["gravel", "muon", 5, b"sand.grains", ["sand.grains"]], ids=repr)
def test_nonsense_from_classify_is_named_and_the_source_is_kept(good, muon, plugins_of, answer):
    class Broken(Decoder):
        @hookimpl
        def classify(self, batch):
            return answer if batch.instrument == "sand" else None

    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(broken=Broken(lambda self: [self.batch()]), muon=muon.instrument))
    good.assert_unharmed(report)
    assert [entry.source for entry in report.quarantine] == ["junk"]


def exit_at_sand(subject):
    return sys.exit("enough") if subject.instrument == "sand" else None


ENDING = {
    "classify": lambda batch: exit_at_sand(subject=batch),
    "locate_file": lambda data_type: exit_at_sand(subject=data_type),
    "write": lambda batch: exit_at_sand(subject=batch),
}


@pytest.mark.parametrize("hook", ENDING)
def test_a_hook_that_would_end_the_program_is_named_and_the_source_is_kept(good, muon, plugins_of, hook):
    decoder = Decoder(lambda self: [self.batch()])
    setattr(decoder, hook, hookimpl(ENDING[hook]))
    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(broken=decoder, muon=muon.instrument))
    good.assert_unharmed(report)
    (entry,) = report.quarantine
    assert entry.reason == f"plugin broken: {hook} failed: SystemExit: enough"


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
        extends = ("muon",)

        @hookimpl
        def decode(self, source):
            if source.name == "junk":
                return [muon.batch("hits", muon.records("hits", [{"second": 0}, {"second": muon.start}]))]
            return None

    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(broken=Broken(), muon=muon.instrument))
    good.assert_unharmed(report)
    assert "records of muon.hits have no time in second; decode must reject them" in report.quarantine[0].reason


def test_intervals_without_an_end_that_decode_let_through_are_refused(good, muon, plugins_of):
    class Broken:
        extends = ("muon",)

        @hookimpl
        def decode(self, source):
            rows = [{"first": muon.start, "last": 0}]
            return [muon.batch("runs", muon.records("runs", rows))] if source.name == "junk" else None

    good.drop("junk", b"junk")
    report = good.run(plugins=plugins_of(broken=Broken(), muon=muon.instrument))
    good.assert_unharmed(report)
    assert "records of muon.runs have no time in last; decode must reject them" in report.quarantine[0].reason


def test_a_source_that_a_plugin_claims_and_makes_nothing_of_is_kept(archive, plugins_of):
    archive.drop("junk", b"bytes that became no record")
    report = archive.run(plugins=plugins_of(sand=Decoder(lambda _: [])))
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1, "held": 0, "left": 0}
    assert (archive.root.path / report.quarantine[0].entry / "junk").read_bytes() == b"bytes that became no record"


def test_a_decode_that_yields_is_told_that_it_cannot_answer_none(archive, plugins_of):
    class Yielding(Decoder):
        @hookimpl
        def decode(self, source):
            if source.name == "mine":
                yield self.batch()

    archive.drop("junk", b"a source of others")
    report = archive.run(plugins=plugins_of(sand=Yielding(None)))
    assert "a generator cannot: return a list" in report.quarantine[0].reason


# ---- Sources without records


def test_decode_that_claims_a_source_without_an_answer_is_told_of_remark(good, muon, plugins_of):
    good.drop("junk", b"# a header and no events\n")
    report = good.run(plugins=plugins_of(sand=Decoder(lambda _: []), muon=muon.instrument))
    (entry,) = report.quarantine
    assert "plugin sand: decode claimed the source but returned no batches" in entry.reason
    assert "or a Remark if the source is legitimately empty" in entry.reason


def remark_on(decoder):
    return [Remark("sand", "Grain", "no grains in this hour", ())]


@pytest.mark.parametrize("content", [b"# a header and no events\n", b""], ids=["header", "no byte"])
def test_a_source_that_its_plugin_calls_empty_is_no_fault(good, muon, plugins_of, content):
    good.drop("junk", content)
    report = good.run(plugins=plugins_of(sand=Decoder(remark_on), muon=muon.instrument))
    assert (report.exit_code, report.sources["archived"], report.quarantine) == (0, 3, [])
    assert good.files(good.root.accepted) == []


@pytest.mark.parametrize("answer", [raising, lambda _: [], lambda _: None, lambda decoder: [decoder.rejected()]])
def test_a_source_without_a_byte_is_a_fault_unless_a_plugin_has_a_remark_on_it(good, muon, plugins_of, answer):
    good.drop("junk", b"")
    report = good.run(plugins=plugins_of(sand=Decoder(answer), muon=muon.instrument))
    (entry,) = report.quarantine
    assert (entry.source, entry.reason, report.exit_code) == ("junk", "the file is empty", 3)
