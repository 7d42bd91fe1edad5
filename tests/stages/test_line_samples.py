"""Sources of lines as loggers wrote them: what is read, and which lines are none, at the places where they are."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from dayfile.lines.carried_lines import CarriedLine
from dayfile.lines.line_reader import LineReader
from dayfile.lines.lines import LineForm
from dayfile.lines.numbers import TextColumn, parse_one_by_one

CLOCK = re.compile(r"\d\d:\d\d:\d\d\.\d{6}")
EVENTS = LineForm(("date", "time", "event", "ardn_time", "adc", "sipm", "deadtime", "temp"))
EVENT = [
    TextColumn("event", "uint32"),
    TextColumn("ardn_time", "uint32"),
    TextColumn("adc", "float64"),
    TextColumn("sipm", "float64"),
    TextColumn("deadtime", "uint32"),
    TextColumn("temp", "float64"),
    TextColumn("date", "char", (10,)),
    TextColumn("time", "char", (15,)),
]
KEYS = LineForm(("time", "key", "value", "unit", "status"))
NUMBER = [
    TextColumn("key", "char", (24,)),
    TextColumn("value", "float64"),
    TextColumn("unit", "char", (8,)),
    TextColumn("status", "char", (8,)),
]
STATE = [TextColumn("value", "char", (8,))]
READING = [
    TextColumn("t", "char", (24,), required=True),
    TextColumn("station", "char", (8,)),
    TextColumn("seq", "uint32"),
    TextColumn("env.temp", "float64"),
    TextColumn("env.hum", "uint8"),
    TextColumn("env.press", "float64"),
    TextColumn("hv", "float64", (2,)),
    TextColumn("flags", "char", (2, 8)),
    TextColumn("ok", "bool"),
    TextColumn("note", "char", (800,), encoding="utf-8"),
]


def read_sample(samples, file, form, carry=()):
    """A sample as lines, and what has to come out."""
    directory = samples / "formats" / file.split("/")[0]
    expected = json.loads((directory / "expected.json").read_text())["files"][file.split("/")[1]]
    content = np.fromfile(samples / "formats" / file, np.uint8)
    return LineReader(form, carry).read(content, last=True), expected


def list_wrong(block, wrong):
    """Where the lines are that are wrong: offset and length."""
    frames = block.lines.frames
    return [(int(frames.starts[row]), int(frames.lengths[row])) for row in np.flatnonzero(wrong)]


def list_rejected(expected):
    return [(each["offset"], each["length"]) for each in expected["rejected"]]


def check_values(block, values, rows, expected):
    """Check the values that are given for some of the good rows."""
    places = np.flatnonzero(rows)
    for each in expected:
        row = places[each["record"]]
        assert (block.lines.numbers[row], block.lines.frames.starts[row]) == (each["line"], each["offset"])
        for name, raw in each["raw"].items():
            value = values[name][row].tolist()
            texts = [one.decode() for one in (value if isinstance(value, list) else [value]) if isinstance(one, bytes)]
            if raw is None:
                assert texts == [""] or np.isnan(value)
            elif texts:
                assert [one for one in texts if one] == (raw if isinstance(raw, list) else [raw])
            else:
                assert value == raw


@pytest.mark.parametrize("parse", [None, parse_one_by_one], ids=["quick", "plain"])
@pytest.mark.parametrize("file", ["CW_Destroyer_2018-01-02.txt", "CW_Kestrel_damaged.txt"])
def test_events_between_blanks_with_the_name_of_their_device(samples, file, parse):
    carry = [CarriedLine.parse("Device ID: {device}")]
    block, expected = read_sample(samples, f"cosmicwatch/{file}", EVENTS, carry)
    values, wrong = block.parts.read(EVENT, parse)
    no_time = block.parts.texts("time").choose(lambda text: not CLOCK.fullmatch(text))
    rows = ~(wrong.rows | no_time)
    assert list_wrong(block, ~rows) == list_rejected(expected)
    assert rows.sum() == expected["records"]["event"]
    check_values(block, values, rows, expected["values"])
    devices = {text for text, good in zip(block.lines.carried["device"], rows, strict=True) if good}
    assert devices == {expected["values"][0]["device"].encode()}


@pytest.mark.parametrize("parse", [None, parse_one_by_one], ids=["quick", "plain"])
@pytest.mark.parametrize("file", ["slow_20240501.kv", "slow_damaged.kv"])
def test_lines_whose_key_says_what_their_value_is(samples, file, parse):
    block, expected = read_sample(samples, f"slowcontrol/{file}", KEYS)
    keys = block.parts.texts("key")
    is_state = keys.choose(lambda key: key == "door.state")
    is_number = keys.choose(lambda key: key.startswith(("hv.", "env.")))
    bad = ~(is_state | is_number) | block.parts.texts("time").choose(lambda time: ":61:" in time)
    of_type = {}
    for name, chosen, columns in (("number", is_number, NUMBER), ("text", is_state, STATE)):
        rows = np.flatnonzero(chosen)
        found, wrong = block.parts.select(rows).read(columns, parse)
        bad[rows[wrong.rows]] = True
        of_type[name] = {part: np.zeros(len(keys), values.dtype) for part, values in found.items()}
        for part, values in found.items():
            of_type[name][part][rows] = values
    assert list_wrong(block, bad) == list_rejected(expected)
    for name, chosen in (("number", is_number), ("text", is_state)):
        assert (chosen & ~bad).sum() == expected["records"][name]
        given = [each for each in expected["values"] if each["type"] == name]
        raw = [{**each, "raw": {part: each["raw"][part] for part in of_type[name]}} for each in given]
        check_values(block, of_type[name], chosen & ~bad, raw)


@pytest.mark.parametrize("parse", [None, parse_one_by_one], ids=["quick", "plain"])
@pytest.mark.parametrize("file", ["station_20240502.jsonl", "station_damaged.jsonl"])
def test_objects_with_objects_and_lists_in_them(samples, file, parse):
    block, expected = read_sample(samples, f"slowcontrol/{file}", LineForm(form="json"))
    values, wrong = block.parts.read(READING, parse)
    assert list_wrong(block, wrong.rows) == list_rejected(expected)
    assert (~wrong.rows).sum() == expected["records"]["reading"]
    check_values(block, values, ~wrong.rows, expected["values"])
