"""A table belongs to one data type, and what a write hook answers is what the day file holds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tables

from archives import find_defects, reindex
from dayfile import Instrument, hookimpl, open_archive
from dayfile.errors import LossError, PluginError, UsageError

SECOND = 57801601  # 1997-10-31 by the muon telescope's clock
COUNTER = """\
instrument: NAME
title: A counter
clock: {epoch: 1996-01-01T00:00:00, leap_seconds: counted}
structs: {byte_order: little, alignment: packed}
sources: [struct_streams]
path: "shared/{year}.{month:02}.{day:02}.h5"
node: NODE
types:
  a:
    code: CODE
    title: Counts
    store: append
    time: second
    fields: [{name: second, type: uint32}, {name: x, type: TYPE}]
"""


def counter(name, node="/{type}", kind="uint16", plugin=Instrument):
    words = {"NAME": name, "CODE": name.upper(), "NODE": node, "TYPE": kind}
    text = COUNTER
    for word, value in words.items():
        text = text.replace(word, value)
    return plugin(text, f"{name}.yaml")


def stream(values, kind="<u2"):
    array = np.zeros(len(values), [("second", "<u4"), ("x", kind)])
    array["second"] = SECOND + np.arange(len(values))
    array["x"] = values
    return array.tobytes()


@pytest.mark.parametrize(
    ("node", "other", "meet"),
    [
        ("/{type}", "/{type}", True),
        ("/counters/{type}", "/counters/{type}", True),
        ("/site_{site}/{type}", "/site_{place}/{type}", True),
        ("/site_{site}/{type}", "/site_7/{type}", True),
        ("/site_7/{type}", "/site_{site}/{type}", True),
        ("/{type}", "/{type}/below", True),
        ("/one/{type}", "/two/{type}", False),
        ("/site_{site}/{type}", "/place_{place}/{type}", False),
        ("/{site}_one/{type}", "/{site}_two/{type}", False),
    ],
)
def test_types_that_could_share_a_table_are_refused_when_they_are_loaded(plugins_of, node, other, meet):
    loaded = plugins_of(one=counter("one", node), two=counter("two", other, "float32"))
    assert (list(loaded.data_types) == ["one.a"]) is meet
    if meet:
        (failure,) = loaded.failures
        assert failure.plugin == "two"
        assert "with one.a of plugin one" in failure.message


def test_the_overlap_table_of_slots_is_no_place_for_another_type(plugins_of, muon):
    slots = muon.layout
    append = COUNTER.replace("NODE", "/{type}_overlap").replace("NAME", "other").replace("CODE", "O")
    append = append.replace("TYPE", "uint16").replace("  a:", "  rates:")
    append = append.replace(
        "shared/{year}.{month:02}.{day:02}.h5", "muon/{year}/{month:02}/muon.{year}.{month:02}.{day:02}.rat.h5"
    )
    loaded = plugins_of(muon=Instrument(slots, "muon.yaml"), other=Instrument(append, "other.yaml"))
    assert [failure.plugin for failure in loaded.failures] == ["other"]


class Borrower(Instrument):
    """Puts its records into the day files of another plugin."""

    @hookimpl
    def locate_file(self, data_type, day):
        return f"shared/{day.item():%Y.%m.%d}.h5" if data_type.instrument == "two" else None


def borrowing(plugins_of, kind="uint16"):
    two = counter("two", kind=kind, plugin=Borrower)
    two._text = two._text.replace('"shared/', '"own/')
    return plugins_of(one=counter("one"), two=two)


@pytest.mark.parametrize("kind", ["uint16", "float32"])
def test_records_never_go_into_the_table_of_another_type(archive, plugins_of, kind):
    loaded = borrowing(plugins_of, kind)
    archive.drop("ONE.le.bin", stream([100, 101]))
    assert archive.run(plugins=loaded).exit_code == 0
    archive.drop("TWO.le.bin", stream([900, 901], np.dtype(kind).str))
    report = archive.run(plugins=loaded)
    assert (report.exit_code, report.sources["quarantined"]) == (3, 1)
    assert "/a is the table of one.a" in report.quarantine[0].message
    assert archive.set_aside(report.quarantine[0])[1] == stream([900, 901], np.dtype(kind).str)
    assert open_archive(archive.root.path).read("one.a")["x"].tolist() == [100, 101]


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_nor_do_they_where_both_come_in_one_run(archive, plugins_of, engine):
    loaded = borrowing(plugins_of)
    archive.drop("ONE.le.bin", stream([100, 101]))
    archive.drop("TWO.le.bin", stream([900, 901]))
    report = archive.run(plugins=loaded, workers=None if engine == "serial" else 2)
    assert (report.sources["archived"], report.sources["quarantined"]) == (1, 1)
    opened = open_archive(archive.root.path)
    (name,) = opened.types()
    assert opened.read(name)["x"].tolist() == ([100, 101] if name == "one.a" else [900, 901])


def test_a_table_whose_type_and_place_disagree_is_reported(archive, plugins_of):
    loaded = plugins_of(one=counter("one"), two=counter("two", "/two/{type}"))
    archive.drop("ONE.le.bin", stream([100, 101]))
    archive.run(plugins=loaded)
    reindex(archive.root, loaded, trust=True)
    assert find_defects(archive.root, plugins=loaded) == []
    with tables.open_file(archive.root.path / "shared/1997.10.31.h5", "a") as file:
        file.root.a.attrs.data_type = "two.a"
    with pytest.raises(LossError, match=r"/a says that it is a table of two\.a, whose tables are at /two/a"):
        reindex(archive.root, loaded)
    assert any(
        "is not the file that was published" in problem.message
        for problem in find_defects(archive.root, deep=False, plugins=loaded)
    )
    done = reindex(archive.root, loaded, trust=True)
    assert any("/a says that it is a table of two.a" in problem for problem in done.problems)
    problems = [problem.message for problem in find_defects(archive.root, deep=False, plugins=loaded)]
    assert any("/a says that it is a table of two.a" in problem for problem in problems)


def test_contending_records_do_not_go_into_the_table_of_another_type(archive, muon, plugins_of):
    """By locate_file a table of another type is where the overlap table of slots would be."""

    class Neighbour(Instrument):
        @hookimpl
        def locate_file(self, data_type, day):
            return f"muon/{day.item():%Y/%m}/muon.{day.item():%Y.%m.%d}.rat.h5"

    text = COUNTER.replace("NODE", "/rates_overlap").replace("NAME", "other").replace("CODE", "OTHER")
    loaded = plugins_of(other=Neighbour(text.replace("TYPE", "uint16"), "other.yaml"), muon=muon.instrument)
    assert not loaded.failures
    archive.drop("OTHER.le.bin", stream([900, 901]))
    assert archive.run(plugins=loaded).exit_code == 0
    rows = [{"second": muon.start + second, "quality": quality} for second, quality in ((0, 1), (0, 2))]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    report = archive.run(plugins=loaded)
    assert (report.exit_code, report.sources["quarantined"]) == (3, 1)
    assert open_archive(archive.root.path).read("other.a")["x"].tolist() == [900, 901]


def test_a_table_below_another_one_costs_its_own_source_only(archive, hits, muon, plugins_of):
    class Below(Instrument):
        @hookimpl
        def locate_file(self, data_type, day):
            return f"muon/{day.item():%Y/%m}/muon.{day.item():%Y.%m.%d}.hit.h5"

    text = COUNTER.replace("NODE", "/hits/{type}").replace("NAME", "other").replace("CODE", "OTHER")
    loaded = plugins_of(other=Below(text.replace("TYPE", "uint16"), "other.yaml"), muon=muon.instrument)
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run(plugins=loaded)
    archive.drop("OTHER.le.bin", stream([900, 901]))
    archive.drop("MuonHit.be.bin", hits(2))
    report = archive.run(plugins=loaded)
    assert (report.sources["archived"], report.sources["quarantined"]) == (1, 1)
    assert "would be below /hits" in report.quarantine[0].message
    assert archive.seconds() == [1, 2]


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_types_whose_links_lead_to_one_file_stop_a_run_before_anything_is_written(
    archive, plugins_of, tmp_path, engine
):
    one, two = counter("one"), counter("two")
    one._text, two._text = (each._text.replace('"shared/', f'"{name}/') for each, name in ((one, "a"), (two, "b")))
    (tmp_path / "both").mkdir()
    for name in ("a", "b"):
        (archive.root.path / name).symlink_to(tmp_path / "both")
    archive.drop("ONE.le.bin", stream([100, 101]))
    archive.drop("TWO.le.bin", stream([900, 901]))
    with pytest.raises(UsageError, match="are one file"):
        archive.run(plugins=plugins_of(one=one, two=two))
    assert sorted(path.name for path in archive.root.incoming.iterdir()) == ["ONE.le.bin", "TWO.le.bin"]


@pytest.mark.parametrize("hook", ["classify", "write"])
def test_no_hook_changes_records_in_place(archive, hits, muon, plugins_of, hook):
    """Whoever is asked about a batch could otherwise change what another plugin, or the day file, gets."""

    class Classifies:
        extends = ("muon",)

        @hookimpl
        def classify(self, batch):
            batch.records["second"] += 1

    class Writes:
        extends = ("muon",)

        @hookimpl
        def write(self, batch):
            batch.records["second"] += 1

    extender = {"classify": Classifies, "write": Writes}[hook]()
    archive.drop("MuonHit.be.bin", hits(1, 2))
    report = archive.run(plugins=plugins_of(muon=muon.instrument, extender=extender))
    assert (report.exit_code, report.sources["quarantined"]) == (3, 1)
    assert "read-only" in report.quarantine[0].message


# ---- what a write hook answers


class Writer(Instrument):
    """A plugin with a write hook of its own."""

    answer = None

    @hookimpl
    def write(self, work_file, data_type, batch):
        return type(self).answer(work_file, data_type, batch) if data_type.instrument == "liar" else None


def nothing(work_file, data_type, batch):
    return np.zeros(len(batch), np.uint8)


def identical(work_file, data_type, batch):
    return np.full(len(batch), 3, np.uint8)


def in_conflict(work_file, data_type, batch):
    return np.full(len(batch), 2, np.uint8)


def half(work_file, data_type, batch):
    work_file.write(data_type, batch.select(np.arange(len(batch)) % 2 == 0))
    return np.zeros(len(batch), np.uint8)


def half_twice(work_file, data_type, batch):
    for _ in range(2):
        work_file.write(data_type, batch.select(np.arange(len(batch)) % 2 == 0))
    return np.zeros(len(batch), np.uint8)


def half_twice_with_the_statuses_it_got(work_file, data_type, batch):
    some = batch.select(np.arange(len(batch)) % 2 == 0)
    return np.concatenate([work_file.write(data_type, some), work_file.write(data_type, some)])


@pytest.mark.parametrize(
    "answer", [nothing, identical, in_conflict, half, half_twice, half_twice_with_the_statuses_it_got]
)
def test_a_source_is_not_released_where_write_answers_what_the_day_file_does_not_hold(
    archive, hits, muon, plugins_of, answer
):
    liar = counter("liar", plugin=type("Liar", (Writer,), {"answer": staticmethod(answer)}))
    content = stream([1, 2, 3, 4])
    archive.drop("LIAR.le.bin", content)
    archive.drop("MuonHit.be.bin", hits(0, 1))
    report = archive.run(plugins=plugins_of(liar=liar, muon=muon.instrument))
    assert (report.exit_code, report.sources["archived"], report.sources["quarantined"]) == (3, 1, 1)
    assert archive.set_aside(report.quarantine[0]) == ("LIAR.le.bin", content)
    assert "eturn the statuses of WorkFile.write" in report.quarantine[0].message
    assert archive.seconds() == [0, 1]


def test_nor_are_records_that_are_put(archive, plugins_of):
    liar = counter("liar", plugin=type("Liar", (Writer,), {"answer": staticmethod(nothing)}))
    opened = open_archive(archive.root.path, plugins=plugins_of(liar=liar))
    with pytest.raises(PluginError, match=r"eturn the statuses of WorkFile\.write"):
        opened.put("liar.a", np.frombuffer(stream([1, 2]), [("second", "<u4"), ("x", "<u2")]))


def test_a_write_hook_may_change_records_and_answer_what_the_work_file_gave(archive, plugins_of):
    def doubled(work_file, data_type, batch):
        records = batch.records.copy()
        records["x"] *= 2
        return work_file.write(data_type, replace(batch, records=records))

    writer = counter("liar", plugin=type("Doubler", (Writer,), {"answer": staticmethod(doubled)}))
    archive.drop("LIAR.le.bin", stream([1, 2, 3]))
    assert archive.run(plugins=plugins_of(liar=writer)).exit_code == 0
    assert open_archive(archive.root.path).read("liar.a")["x"].tolist() == [2, 4, 6]
