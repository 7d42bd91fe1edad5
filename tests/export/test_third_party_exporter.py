"""An exporter from a plugin, for data types of others: to add one takes one module, as here."""

from __future__ import annotations

import numpy as np
import pytest

from archives import make_plugins
from dayfile import Instrument, create_archive, hookimpl
from dayfile.errors import PluginError, UsageError
from dayfile.export.base import Exporter, RangeExporter

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
        path = directory / f"{day.data_type.name}.{day.date}.csv"
        path.write_bytes(content)
        return [path]


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


class Others:
    """A plugin that offers others."""

    def __init__(self, *offered):
        self.offered = offered

    @hookimpl
    def exporters(self):
        return self.offered


def loaded_with(**more):
    return make_plugins(**{"tables": Tables(), "paper": Instrument(LAYOUT, "paper.yaml"), **more})


@pytest.fixture
def archive(tmp_path):
    loaded = loaded_with()
    archive = create_archive(tmp_path / "archive", plugins=loaded)
    archive.put("paper.readings", np.array([(START, 5), (START + 60, -7)], loaded.data_types["paper.readings"].dtype))
    return archive


@pytest.fixture
def export(archive, install, command):
    """Run ``dayfile export`` with these plugins installed."""

    def call(loaded, *words, name="paper.readings"):
        install(loaded)
        return command("dayfile", "export", name, *words)

    return call


def test_the_command_writes_a_day_of_another_plugins_type(export, tmp_path):
    done = export(loaded_with(), "--day", DAY, "--out", tmp_path / "out", "--format", "table")
    assert done.code == 0, done.err
    path = tmp_path / "out" / "paper.readings.2024-05-01.csv"
    assert path.read_text() == f"second,value\n{START},5\n{START + 60},-7\n"
    assert str(path) in done.out


def test_the_command_writes_a_range_by_the_suffix_of_the_file(export, tmp_path):
    path = tmp_path / "all.times"
    done = export(loaded_with(), "--to", "2024-05-01T00:01", "-o", path)
    assert done.code == 0, done.err
    assert path.read_text() == "2024-05-01T00:00:00\n"
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".all")] == []


def test_a_file_that_could_not_be_written_is_left_as_it_was(export, tmp_path):
    class Failing(Times):
        def write(self, selection, path):
            path.write_text("half")
            raise RuntimeError("boom")

    path = tmp_path / "out.times"
    path.write_text("before")
    done = export(loaded_with(tables=Others(Failing())), "-o", path)
    assert done.code == PluginError.exit_code
    assert "plugin tables: write failed: RuntimeError: boom" in done.err
    assert path.read_text() == "before"
    assert list(tmp_path.glob(".out*")) == []


def test_a_name_that_nobody_offers_is_answered_with_those_there_are(export, tmp_path):
    done = export(loaded_with(), "--day", DAY, "--out", tmp_path / "out", "--format", "cvs")
    assert done.code == UsageError.exit_code
    assert "no format 'cvs'; its formats are: cdf, csv, jsonl, netcdf, parquet, table, times" in done.err


def test_an_exporter_that_does_not_serve_a_type_is_not_offered_for_it(archive, export, tmp_path):
    archive.put(
        "paper.notes", np.array([(START, [b"dial stuck"] * 3)], archive.plugins.data_types["paper.notes"].dtype)
    )
    words = ["--day", DAY, "--out", tmp_path / "out", "--format", "table"]
    assert export(loaded_with(), *words).code == 0
    done = export(loaded_with(), *words, name="paper.notes")
    assert done.code == UsageError.exit_code
    assert "its formats are: cdf, csv, jsonl, netcdf, parquet, times" in done.err


def test_of_two_with_one_name_that_of_the_types_own_plugin_counts(export, tmp_path):
    class Shouting(Times):
        def write(self, selection, path):
            path.write_text("OURS")

    class Own(Instrument):
        @hookimpl
        def exporters(self):
            return [Shouting()]

    path = tmp_path / "out.times"
    assert export(loaded_with(paper=Own(LAYOUT, "paper.yaml")), "-o", path).code == 0
    assert path.read_text() == "OURS"


@pytest.mark.parametrize("answer", [17, "csv", [Table], [object()]], ids=["a number", "a text", "a class", "an object"])
def test_what_is_no_exporter_is_a_failure_of_its_plugin_and_the_others_are_offered(export, tmp_path, answer):
    bad = type("Bad", (), {"exporters": hookimpl(lambda self: answer)})()  # noqa: ARG005 - a method
    loaded = loaded_with(bad=bad)
    assert export(loaded, "--day", DAY, "--out", tmp_path / "out", "--format", "table").code == 0
    (failure,) = loaded.failures
    assert (failure.plugin, failure.error) == ("bad", "PluginError")
    assert "exporters must return a list of dayfile.export.base.Exporter, RangeExporter" in failure.message


def test_an_exporter_that_fails_is_named_by_its_plugin(export, tmp_path):
    class Broken(Table):
        def export(self, day, directory):
            raise RuntimeError("boom")

    words = ["--day", DAY, "--out", tmp_path / "out", "--format", "table"]
    done = export(loaded_with(tables=Others(Broken())), *words)
    assert done.code == PluginError.exit_code
    assert "plugin tables: export failed: RuntimeError: boom" in done.err
