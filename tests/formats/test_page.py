"""Every example in the tables of the page on formats is a word that layouts know."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from dayfile import Instrument

PAGE = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")
BASE = """
instrument: mast
title: Mast
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: little, alignment: packed}
match: {name: "{file_day}.bin"}
frames:
  fields: [{name: kind, type: uint8}, {name: length, type: uint8}]
  size: length + 6
path: "mast/{year}/mast_{year}{month:02}{day:02}.h5"
blobs: {node: /samples}
types:
  wind:
    code: wind
    title: Wind
    store: append
    time: second
    fields: [{name: second, type: uint32}]
"""
FILLED = {
    "fields: […]": "fields: [{name: gain, type: uint32}, {skip: 28}]",
    "{big: …, little: …}": "{big: 4D, little: 4E}",
}


def read_table(section, *, columns):
    """Cells of the rows of the first table of a section that has so many columns."""
    text = re.split(rf"\n##+ {section}\n", PAGE)[1]
    text = re.split(r"\n##+ ", text)[0]
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:] if len(row) == columns]


def examples(cell):
    """What stands between backticks, as YAML."""
    for text in re.findall(r"`([^`]+)`", cell):
        for short, full in FILLED.items():
            text = text.replace(short, full)  # noqa: PLW2901
        yield text, yaml.safe_load(text)


def read_words(section):
    word = ""
    for name, cell, _ in read_table(section, columns=3):
        word = name.strip("`") or word
        for text, value in examples(cell):
            yield pytest.param(word, value, id=f"{word}: {text}")


def compile_layout(change):
    words = yaml.safe_load(BASE)
    change(words)
    return Instrument(yaml.safe_dump(words, sort_keys=False), "mast.yaml").layout


@pytest.mark.parametrize(("word", "value"), list(read_words("match")))
def test_the_examples_of_match(word, value):
    assert compile_layout(lambda words: words.update(match={word: value})).plan is not None


@pytest.mark.parametrize(
    ("word", "value"),
    [each for each in read_words("frames") if each.values[0] not in ("lines", "fields", "call", "inside")],
)
def test_the_examples_of_frames(word, value):
    def change(words):
        frames = words["frames"]
        if word in ("ccsds", "fortran"):
            del frames["size"]
        if word == "ccsds":
            del frames["fields"]
        frames[word] = value

    assert compile_layout(change).plan is not None


@pytest.mark.parametrize(("word", "value"), list(read_words("Lines of text")))
def test_the_examples_of_lines(word, value):
    def change(words):
        words["frames"] = {"lines": {"columns": ["second", "..."], word: value}}

    assert compile_layout(change).plan.lines is not None


FIELDS = [(text, value) for row in read_table("fields", columns=2) for text, value in examples(row[0])]


@pytest.mark.parametrize("entry", [pytest.param(value, id=text) for text, value in FIELDS])
def test_the_examples_of_fields(entry):
    def change(words):
        types, wind = words["types"], words["types"]["wind"]
        names = [each for each in ("n", "drops") if entry.get("name") != each and each in str(entry.get("count", ""))]
        wind["fields"] += [{"name": name, "type": "uint8"} for name in names]
        if entry == {"first": "low"}:
            wind["fields"].append({"type": "uint8", "bits": [{"name": "a", "bits": 2}], **entry})
            return
        filled = {**entry, "fields": [{"name": "x", "type": "uint8"}]} if "fields" in entry else entry
        wind["fields"].append(filled)
        if entry.get("from") == "gain":
            words["frames"]["head"] = {"fields": [{"name": "gain", "type": "float32"}]}
        if "rows" in entry:
            types["satellites"] = {
                **{word: wind[word] for word in ("store", "time")},
                "code": "satellites",
                "title": "Satellites",
                "fields": [{"name": "second", "type": "uint32"}],
            }

    assert compile_layout(change).plan is not None


TIMES = [(text, value) for row in read_table("time", columns=2) for text, value in examples(row[0])]


@pytest.mark.parametrize("form", [pytest.param(value, id=text) for text, value in TIMES])
def test_the_examples_of_time(form):
    def change(words):
        wind = words["types"]["wind"]
        wind["time"] = form
        parts = [
            *form.get("plus", {}),
            *(form[word] for word in form if word in ("year", "month", "day", "hour", "minute", "second")),
        ]
        wind["fields"] = [{"name": name, "type": "uint16"} for name in parts]
        wind["fields"] += [
            {"name": name, "type": "char", "shape": [10]} for name in re.findall(r"{(\w+)}", form.get("text", ""))
        ]

    assert compile_layout(change).types[0].time == "time"
