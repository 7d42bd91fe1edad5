"""A format from a plugin: a word of its own in a layout, and all the way from a source to a read.

To add a format takes one module, as here; the layout that names it is another plugin's.
"""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import Field

from archives import list_entries, make_plugins, run_archive
from dayfile import Batch, Instrument, LayoutError, Remark, create_archive, hookimpl, open_archive
from dayfile.errors import SourceError
from dayfile.formats.base import Format, Words


class LineWords(Words):
    """Text with a record on each line, its values in the order of the fields."""

    separator: str = Field(min_length=1, max_length=1, description="stands between two values")
    suffix: str = Field("txt", description="end of the file names")


class Lines(Format):
    """Files ``<code>.txt`` with a record on each line."""

    name = "lines"
    section = "lines"
    words = LineWords

    def check(self, layout, document):
        words = layout.find_section(LineWords)
        if words is not None and words.separator.isdigit():
            document.fail(("lines", "separator"), f"{words.separator!r} may be part of a value")

    def recognise(self, source, layout):
        return source.name.endswith(f".{layout.find_section(LineWords).suffix}")

    def decode(self, source, layout):
        data_type = layout.known.get(source.name.partition(".")[0])
        if data_type is None:
            return None
        separator = layout.find_section(LineWords).separator
        rows = [tuple(line.split(separator)) for line in source.content.decode("ascii").splitlines()]
        try:
            records = np.array(rows, data_type.dtype)
        except (ValueError, TypeError) as error:
            raise SourceError(f"a line is not a record: {error}", where=source.name) from error
        return [
            Batch(data_type.instrument, data_type.code, records, np.arange(len(records))),
            Remark(data_type.instrument, data_type.code, "typed by hand", tuple(range(len(records)))),
        ]

    def encode(self, data_type, records, layout):
        words = layout.find_section(LineWords)
        lines = (words.separator.join(map(str, record.item())) for record in records)
        return f"{data_type.code}.{words.suffix}", "".join(f"{line}\n" for line in lines).encode("ascii")


class Typewriter:
    """The plugin that offers the format, and nothing else."""

    @hookimpl
    def formats(self):
        return [Lines()]


LAYOUT = """\
instrument: paper
title: Readings that somebody writes down
clock: {epoch: 1970-01-01T00:00:00}
sources: [lines]
lines: {separator: ";"}
path: "paper/{year}{month:02}{day:02}.h5"
types:
  readings:
    code: Reading
    title: Readings of a dial
    store: append
    time: second
    fields: [{name: second, type: uint32}, {name: value, type: int16}]
"""
DAY = 1_714_521_600
"""2024-05-01, seconds since 1970."""


def plugins_with(layout=LAYOUT, **more):
    """The instrument, and after it the plugin of its format: the order does not matter."""
    return make_plugins(paper=Instrument(layout, "paper.yaml"), typewriter=Typewriter(), **more)


@pytest.fixture
def archive(tmp_path):
    return create_archive(tmp_path / "archive").root


def test_a_source_of_the_format_is_archived_and_read(archive):
    (archive.incoming / "Reading.txt").write_text(f"{DAY};5\n{DAY + 60};-7\n")
    loaded = plugins_with()
    assert loaded.failures == []
    report = run_archive(archive, loaded)
    assert (report.exit_code, report.sources["archived"]) == (0, 1)
    assert report.remarks == {"paper: typed by hand": 2}
    assert open_archive(archive.path).read("paper.readings")["value"].tolist() == [5, -7]


def test_records_that_are_put_are_encoded_and_decoded_again(archive):
    loaded = plugins_with()
    opened = open_archive(archive.path, plugins=loaded, settings={"sources.keep": "always"})
    opened.put("paper.readings", np.array([(DAY, 5)], loaded.data_types["paper.readings"].dtype))
    (kept,) = (path for path in archive.sources.rglob("*") if path.is_file())
    assert (kept.name, kept.read_text()) == ("Reading.txt", f"{DAY};5\n")
    (archive.incoming / "Reading.txt").write_bytes(kept.read_bytes())
    assert run_archive(archive, loaded).sources["already"] == 1


def test_a_source_that_the_format_cannot_read_goes_to_quarantine_whole(archive):
    (archive.incoming / "Reading.txt").write_text(f"{DAY};5\n{DAY};x\n")
    assert run_archive(archive, plugins_with()).exit_code == 3
    (entry,) = list_entries(archive)
    assert "a line is not a record" in entry.reason["message"]


@pytest.mark.parametrize(
    ("old", "new", "place", "message"),
    [
        ("separator:", "seperator:", "5:9", "unknown key 'seperator'; did you mean 'separator'?"),
        ('separator: ";"', "separator: ';;'", "5:20", "lines.separator"),
        ('separator: ";"', 'separator: "7"', "5:20", "'7' may be part of a value"),
        ('{separator: ";"}', "{suffix: dat}", "5:8", "'separator' is missing"),
        ("[lines]", "[line]", "4:11", "sources[0]: 'line' must be 'struct_streams', 'flat_files', 'hdf4' or 'lines'"),
    ],
)
def test_a_wrong_word_of_the_format_is_reported_with_its_place(old, new, place, message):
    (failure,) = plugins_with(LAYOUT.replace(old, new)).failures
    assert failure.message.startswith(f"paper.yaml:{place}: ")
    assert message in failure.message


def test_without_the_plugin_the_format_is_unknown():
    with pytest.raises(LayoutError, match=r"paper\.yaml:4:11: sources\[0\]: 'lines' must be"):
        Instrument(LAYOUT, "paper.yaml").layout  # noqa: B018 - compiles it


class NoWords(Format):
    name = "bare"
    section = "bare"


class TakesTitle(Lines):
    name, section = "titles", "title"


class SameName(Lines):
    name = "hdf4"


class SameSection(Lines):
    name, section = "others", "structs"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (17, "formats must return a list of"),
        ([Lines], "formats must return a list of"),
        ([NoWords()], "must have both words and a section for them, or neither"),
        ([TakesTitle()], "the section title of the format titles is a word of all layouts"),
        ([SameName()], "the format hdf4 is plugin builtin's already"),
        ([SameSection()], "the section structs of the format others is a word of all layouts"),
    ],
    ids=["a number", "a class", "no words", "a section of all", "a name that is taken", "a section that is taken"],
)
def test_a_format_that_cannot_be_is_the_failure_of_its_plugin_alone(answer, message):
    bad = type("Bad", (), {"formats": hookimpl(lambda self: answer)})()  # noqa: ARG005 - a method
    loaded = plugins_with(bad=bad)
    (failure,) = loaded.failures
    assert failure.plugin == "bad"
    assert message in failure.message
    assert loaded.names == ["paper", "typewriter"]
    assert sorted(loaded.formats) == ["flat_files", "hdf4", "lines", "struct_streams"]
