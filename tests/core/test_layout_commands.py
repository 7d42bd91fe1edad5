"""Layouts on the command line, and as plugins without a package."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dayfile
from dayfile.errors import LayoutError, UsageError

LAYOUT = """\
instrument: sand
title: Sand
clock: {epoch: 2000-01-01}
structs: {byte_order: big}
sources: [struct_streams]
path: "sand/{year}/{month:02}/{day:02}.h5"
types:
  grains:
    code: Grain
    title: Grains
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: weight, type: float32, unit: mg}
"""


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A layout file in the working directory."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "sand.yaml"
    path.write_text(LAYOUT)
    return path


# ---- as a plugin


def test_a_layout_file_archives_without_a_package(layout, command_here):
    grains = np.zeros(3, [("second", ">u4"), ("weight", ">f4")])
    grains["second"] = [1, 2, 3]
    (layout.parent / "Grain.be.bin").write_bytes(grains.tobytes())
    done = command_here("archive-run", "--plugins", "./sand.yaml", "Grain.be.bin")
    assert done.code == 0, done.err
    assert len(dayfile.open_archive("archive").read("sand.grains")) == 3


@pytest.mark.parametrize("named", [str, lambda path: path], ids=["text", "path"])
def test_programs_name_layout_files_as_plugins(layout, named):
    archive = dayfile.create_archive("archive", plugins=[named(layout)])
    grains = np.zeros(2, archive.plugins.data_types["sand.grains"].dtype)
    grains["second"] = [5, 6]
    archive.put("sand.grains", grains)
    with archive.putting() as put:
        put("sand.grains", np.array([(7, 0.5)], grains.dtype))
    assert archive.read("sand.grains")["second"].tolist() == [5, 6, 7]


def test_a_mistake_of_a_layout_file_stops_the_command_at_its_place(layout, command_here):
    layout.write_text(LAYOUT.replace("title: Sand", "titel: Sand").replace("time: second", "time: secnd"))
    done = command_here("archive-run", "--plugins", "sand.yaml")
    assert done.code == 2
    assert done.err.startswith("dayfile: sand.yaml:2:1: titel: unknown key 'titel'; did you mean 'title'?")
    assert "(1 further mistake; 'dayfile layout check' lists all)" in done.err
    with pytest.raises(LayoutError, match=r"sand\.yaml:2:1: titel"):
        dayfile.create_archive("other", plugins=[layout])


def test_two_layouts_of_one_instrument_are_refused_with_both_names(layout):
    (layout.parent / "again.yml").write_text(LAYOUT)
    with pytest.raises(UsageError, match=r"again.yml: this and sand.yaml are both layouts of the instrument 'sand'"):
        dayfile.create_archive("archive", plugins=["sand.yaml", "again.yml"])


def test_one_layout_named_twice_is_one_plugin(layout):
    assert dayfile.create_archive("archive", plugins=["sand.yaml", "./sand.yaml"]).plugins.names == ["sand"]


def test_a_layout_with_the_name_of_an_installed_plugin_is_refused(layout):
    layout.write_text(LAYOUT.replace("sand", "cris"))
    with pytest.raises(UsageError, match=r"sand.yaml: the plugin 'cris' of dayfile-cris \S+ is installed"):
        dayfile.create_archive("archive", plugins=["sand.yaml"])


def test_a_layout_file_that_does_not_exist_is_named(layout):
    with pytest.raises(UsageError, match=r"mud.yaml: the layout cannot be read \(No such file or directory\)"):
        dayfile.create_archive("archive", plugins=["mud.yaml"])


# ---- dayfile layout


def test_a_layout_without_a_mistake_passes(layout, command_here):
    done = command_here("dayfile", "layout", "check", "sand.yaml", archive=None)
    assert (done.code, done.out) == (0, "sand.yaml: no mistake in sand, 1 data type\n")


def test_every_file_is_checked_also_behind_one_that_cannot_be_read(layout, command_here):
    (layout.parent / "latin.yaml").write_bytes("title: Größe".encode("latin-1"))
    done = command_here("dayfile", "layout", "check", "gone.yaml", "latin.yaml", "sand.yaml", archive=None)
    assert done.code == 2
    first, second, third = done.out.splitlines()
    assert first == "gone.yaml: cannot be read (No such file or directory)"
    assert "this is not text in UTF-8" in second
    assert third.startswith("sand.yaml: no mistake")


def test_mistakes_are_json_for_programs(layout, command_here):
    layout.write_text(LAYOUT.replace("title: Sand", "titel: Sand").replace("time: second", "time: secnd"))
    done = command_here("dayfile", "layout", "check", "--json", "sand.yaml", archive=None)
    assert [each["where"] for each in json.loads(done.out)] == ["sand.yaml:2:1", "sand.yaml:12:11"]


def test_words_are_found_by_their_path_and_by_themselves(command_here):
    done = command_here("dayfile", "layout", "words", "clock.unit", archive=None)
    assert "what one tick is" in done.out
    assert "d or s or ms or us or ns; default s" in done.out
    done = command_here("dayfile", "layout", "words", "missing", archive=None)
    assert {"types.missing", "frames.head.fields.missing"} <= set(done.out.splitlines())


def test_every_word_of_the_vocabulary_can_be_looked_up_and_has_a_meaning(command_here):
    from dayfile.formats.registry import CORE_FORMATS
    from dayfile.layouts.glossary import list_entries
    from dayfile.layouts.vocabulary import extend_vocabulary

    entries = list(list_entries(extend_vocabulary(CORE_FORMATS)))
    assert len(entries) > 100
    assert [entry.name for entry in entries if not entry.meaning] == []


def test_an_unknown_word_is_refused_with_the_one_that_was_meant(command_here):
    done = command_here("dayfile", "layout", "words", "perriod", archive=None)
    assert (done.code, done.err) == (2, "dayfile: layouts have no word 'perriod'; did you mean 'period'?\n")


def find_schemas(part, *, names=False):
    """Every mapping of a JSON Schema that is a schema itself."""
    if isinstance(part, dict):
        if not names:
            yield part
        for key, each in part.items():
            yield from find_schemas(each, names=not names and key in ("properties", "$defs", "patternProperties"))
    if isinstance(part, list):
        for each in part:
            yield from find_schemas(each)


def test_the_schema_has_the_words_of_the_file_for_editors(command_here):
    schema = json.loads(command_here("dayfile", "layout", "schema", archive=None).out)
    assert schema["$schema"] == "http://json-schema.org/draft-07/schema#"
    assert {"instrument", "types", "structs"} <= schema["properties"].keys()
    assert "from" in schema["$defs"]["ValidWords"]["properties"]  # and not the name in Python
    found = list(find_schemas(schema))
    # Words of newer drafts, and forms of dates that YAML writes without a time zone.
    assert not [each for each in found if {"prefixItems", "oneOf", "format", "discriminator"} & each.keys()]
    targets = {each["$ref"] for each in found if "$ref" in each}
    assert {target.removeprefix("#/$defs/") for target in targets} <= schema["$defs"].keys()


# ---- dayfile layout diff


@pytest.fixture
def diff(layout, command_here):
    """Compare the layout with one in which something is replaced: exit code and differences."""

    def compare(*changes):
        text = LAYOUT
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (layout.parent / "new.yaml").write_text(text)
        done = command_here("dayfile", "layout", "diff", "--json", "sand.yaml", "new.yaml", archive=None)
        return done.code, {each["what"]: each for each in json.loads(done.out)}

    return compare


LAST = "      - {name: weight, type: float32, unit: mg}\n"
LATER = "    later:\n      - {since: 2020-01-01, code: Grain2, fields: [{name: size, type: uint8}]}\n"
TAKEN = {
    "nothing": [],
    "a title": [("title: Grains", "title: Grains of sand")],
    "a unit": [("unit: mg", "unit: g")],
    "a field under later": [(LAST, LAST + LATER), ("title: Sand", "version: 2\ntitle: Sand")],
}
NOT_TAKEN = {
    "a field without later": ("grains.size", [(LAST, LAST + "      - {name: size, type: uint8}\n")]),
    "a field in front": ("grains.size", [(LAST, "      - {name: size, type: uint8}\n" + LAST)]),
    "a field removed": ("grains.weight", [(LAST, "")]),
    "a type of a field": ("grains.weight", [("float32", "float64")]),
    "an order of fields": (
        "grains",
        [("      - {name: second, type: uint32, unit: s}\n" + LAST, LAST + "      - {name: second, type: uint32}\n")],
    ),
    "a path": ("grains", [("{month:02}/{day:02}", "{month:02}-{day:02}")]),
    "an epoch": ("grains", [("2000-01-01", "2001-01-01")]),
    "a code": ("grains", [("code: Grain", "code: Corn")]),
    "a type removed": ("grains", [("  grains:", "  corns:")]),
}


@pytest.mark.parametrize("changes", TAKEN.values(), ids=TAKEN)
def test_what_day_files_can_take_is_no_problem(diff, changes):
    code, found = diff(*changes)
    assert code == 0, found
    assert not [each for each in found.values() if each["problem"]]


@pytest.mark.parametrize(("what", "changes"), NOT_TAKEN.values(), ids=NOT_TAKEN)
def test_what_day_files_cannot_take_is_a_problem(diff, what, changes):
    code, found = diff(*changes)
    assert code == 1
    assert found[what]["problem"]


def test_changes_of_times_are_shown_in_words_of_the_layout(diff):
    later = "      - {name: milli, type: uint16}\n"
    _, found = diff(
        (
            "time: second",
            "time: {field: second, fraction: milli, unit: ms}\n    valid: {from: 2001-01-01, days_ahead: 1}",
        ),
        (LAST, LAST + later),
    )
    assert found["grains"]["message"] in (
        "time: second becomes {field: second, fraction: milli, unit: ms}",
        "plausible times: none becomes {from: 2001-01-01, days_ahead: 1.0}",
    )
    _, found = diff(("2000-01-01", "2001-01-01T12:00:00"))
    assert found["grains"]["message"] == ("clock: {epoch: 2000-01-01T00:00:00} becomes {epoch: 2001-01-01T12:00:00}")


@pytest.mark.parametrize("name", ["a field without later", "a field in front", "a field removed", "a type of a field"])
def test_what_diff_calls_a_problem_is_refused_by_a_day_file(layout, name):
    archive = dayfile.create_archive("archive", plugins=[layout])
    old = archive.plugins.data_types["sand.grains"].dtype
    archive.put("sand.grains", np.array([(5, 0.5)], old))
    text = LAYOUT
    for before, after in NOT_TAKEN[name][1]:
        text = text.replace(before, after)
    layout.write_text(text)
    archive = dayfile.open_archive("archive", plugins=[layout])
    records = np.zeros(1, archive.plugins.data_types["sand.grains"].dtype)
    records["second"] = 6
    with pytest.raises(dayfile.errors.DayfileError, match="other fields"):
        archive.put("sand.grains", records)


def test_what_diff_calls_no_problem_is_taken_by_a_day_file(layout):
    archive = dayfile.create_archive("archive", plugins=[layout])
    archive.put("sand.grains", np.array([(5, 0.5)], archive.plugins.data_types["sand.grains"].dtype))
    layout.write_text(LAYOUT.replace(LAST, LAST + LATER))
    archive = dayfile.open_archive("archive", plugins=[layout])
    archive.put("sand.grains", np.array([(6, 0.5, 9)], archive.plugins.data_types["sand.grains"].dtype))
    assert archive.read("sand.grains")["size"].tolist() == [0, 9]
