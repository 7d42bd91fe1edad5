"""An exporter from a plugin, for data types of others: to add one takes one module, as here."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from dayfile import Instrument, create_archive, hookimpl, open_archive
from dayfile import discovery as plugin_loader
from dayfile.archive.day_tables import read_day
from dayfile.archive.exporting import select_records
from dayfile.archive.root import Root
from dayfile.cli import app
from dayfile.errors import PluginError, UsageError
from dayfile.export.base import Day, Exporter, RangeExporter
from dayfile.export.files import write_file
from dayfile.plugins import Plugins

LAYOUT = """\
instrument: paper
title: Readings that somebody writes down
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: big}
sources: [struct_streams]
path: "paper/{year}{month:02}{day:02}.h5"
types:
  readings:
    code: Reading
    title: Readings of a dial
    store: append
    time: second
    fields: [{name: second, type: uint32}, {name: value, type: int16}]
  notes:
    code: Note
    title: What was noted
    store: append
    time: second
    fields: [{name: second, type: uint32}, {name: texts, type: char, shape: [3, 20]}]
"""
DAY = np.datetime64("2024-05-01")
START = 1_714_521_600


class Table(Exporter):
    """A day as comma-separated values, with the names of the fields on the first line."""

    name = "table"

    def serves(self, data_type):
        return all(not field.shape for field in data_type.fields)

    def export(self, day, directory):
        names = day.tables.rows.dtype.names
        lines = [",".join(names), *(",".join(map(str, row.item())) for row in day.tables.rows)]
        content = "".join(f"{line}\n" for line in lines).encode()
        return [write_file(directory / f"{day.data_type.name}.{day.date}.csv", content)]


class Times(RangeExporter):
    """The times of a range, a line each."""

    name = "times"
    suffix = ".times"

    def write(self, selection, path):
        with path.open("w") as file:
            for records in selection.read():
                file.writelines(f"{time}\n" for time in records.times.astype("M8[s]"))


class Tables:
    """The plugin that offers it."""

    @hookimpl
    def exporters(self):
        return [Table(), Times()]


def loaded_with(**more):
    loaded = Plugins.make_empty()
    offered = {"tables": Tables(), "paper": Instrument(LAYOUT, "paper.yaml"), **more}
    loaded.add_all({name: (plugin, "") for name, plugin in offered.items()})
    assert loaded.failures == []
    return loaded


@pytest.fixture
def archive(tmp_path):
    loaded = loaded_with()
    archive = create_archive(tmp_path / "archive", plugins=loaded)
    archive.put("paper.readings", np.array([(START, 5), (START + 60, -7)], loaded.data_types["paper.readings"].dtype))
    return Root(tmp_path / "archive")


def export(archive, monkeypatch, loaded, *words):
    monkeypatch.setattr(plugin_loader, "load", lambda _names=None: loaded)
    place = ["--archive", str(archive.path), "--day", str(DAY), "--out", str(archive.path.parent / "out")]
    return CliRunner().invoke(app, ["export", "paper.readings", *place, *words])


def test_the_command_writes_a_day_of_another_plugins_type(archive, monkeypatch):
    done = export(archive, monkeypatch, loaded_with(), "--format", "table")
    assert done.exit_code == 0, done.output
    path = archive.path.parent / "out" / "paper.readings.2024-05-01.csv"
    assert path.read_text() == f"second,value\n{START},5\n{START + 60},-7\n"
    assert str(path) in done.output


def test_the_command_writes_a_range_by_the_suffix_of_the_file(archive, monkeypatch):
    monkeypatch.setattr(plugin_loader, "load", lambda _names=None: loaded_with())
    path = archive.path.parent / "all.times"
    words = ["export", "paper.readings", "--archive", str(archive.path), "--to", "2024-05-01T00:01", "-o", str(path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert path.read_text() == "2024-05-01T00:00:00\n"
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".all")] == []


def test_a_file_that_could_not_be_written_is_left_as_it_was(archive, tmp_path):
    class Failing(Times):
        def write(self, selection, path):
            path.write_text("half")
            raise RuntimeError("boom")

    path = tmp_path / "out.times"
    path.write_text("before")
    selection = select_records(open_archive(archive.path), "paper.readings")
    with pytest.raises(PluginError, match="plugin tables: write failed: RuntimeError: boom"):
        loaded_with().export_range("tables", Failing(), selection, path)
    assert path.read_text() == "before"
    assert list(tmp_path.glob(".out*")) == []


def test_a_name_that_nobody_offers_is_answered_with_those_there_are(archive, monkeypatch):
    done = export(archive, monkeypatch, loaded_with(), "--format", "cvs")
    assert isinstance(done.exception, UsageError)
    assert "no format 'cvs'; its formats are: cdf, csv, jsonl, netcdf, parquet, table, times" in str(done.exception)


def test_an_exporter_that_does_not_serve_a_type_is_not_offered_for_it():
    loaded = loaded_with()
    assert "table" in loaded.exporters(loaded.data_types["paper.readings"])
    assert "table" not in loaded.exporters(loaded.data_types["paper.notes"])


def test_of_two_with_one_name_that_of_the_types_own_plugin_counts():
    class Own(Instrument):
        @hookimpl
        def exporters(self):
            return [Table(), Times()]

    loaded = Plugins.make_empty()
    loaded.add_all({"tables": (Tables(), ""), "paper": (Own(LAYOUT, "paper.yaml"), "")})
    assert loaded.exporters(loaded.data_types["paper.readings"])["table"][0] == "paper"


@pytest.mark.parametrize("answer", [17, "csv", [Table], [object()]], ids=["a number", "a text", "a class", "an object"])
def test_what_is_no_exporter_is_a_failure_of_its_plugin_and_the_others_are_offered(answer):
    bad = type("Bad", (), {"exporters": hookimpl(lambda self: answer)})()  # noqa: ARG005 - a method
    loaded = loaded_with(bad=bad)
    assert "table" in loaded.exporters(loaded.data_types["paper.readings"])
    (failure,) = loaded.failures
    assert (failure.plugin, failure.error) == ("bad", "PluginError")
    assert "exporters must return a list of dayfile.export.base.Exporter, RangeExporter" in failure.message


def test_an_exporter_that_fails_is_named_by_its_plugin(archive, tmp_path):
    class Broken(Table):
        def export(self, day, directory):
            raise RuntimeError("boom")

    loaded = loaded_with()
    data_type = loaded.data_types["paper.readings"]
    day = Day(data_type, DAY, read_day(archive, "paper.readings", DAY))
    with pytest.raises(PluginError, match="plugin tables: export failed: RuntimeError: boom"):
        loaded.export("tables", Broken(), day, tmp_path)
