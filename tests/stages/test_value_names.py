"""Names in a layout that mean nothing, or no number, are reported with their place, before anything is read."""

from __future__ import annotations

import pytest

from dayfile import Instrument
from dayfile.errors import LayoutError
from two_engines import decode

LAYOUT = """\
instrument: any
title: Any
clock: {{epoch: 1970-01-01T00:00:00}}
structs: {{byte_order: big, alignment: packed}}
match: {{name: "any_{{day}}.bin"}}
carry: {{w: {{of: [t]}}}}
frames: {frames}
path: "any/{{year}}{{month:02}}{{day:02}}.h5"
types:
  t:
    code: T
    title: T
    store: append
    time: second
    when: {when}
    fields: [{{name: second, type: uint32}}, {{name: w, type: uint8}}, {{name: a, type: uint8, shape: [2]}}, {entry}]
  r:
    code: R
    title: R
    store: append
    time: second
    fields: [{{name: second, type: uint32, from: second}}, {{name: x, type: uint8}}{more}]
"""
FRAMES = "{fields: [{name: kind, type: uint8}, {name: length, type: uint8}], size: length}"


def write(frames=FRAMES, when="{kind: 1}", entry="{rows: r, count: w}", more=""):
    return LAYOUT.format(frames=frames, when=when, entry=entry, more=more)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"entry": "{name: v, type: uint8, shape: [4], count: ww}"}, "fields[3].count: 'ww' is not known here"),
        ({"entry": "{name: v, type: uint8, shape: [4], count: a}"}, "fields[3].count: 'a' is an array, not a number"),
        ({"entry": "{name: v, type: uint8, from: wx}"}, "fields[3].from: no value has the name 'wx'"),
        ({"entry": "{skip: later}"}, "fields[3].skip: 'later' is not known here"),
        ({"when": "{knid: 1}"}, "when.knid: 'knid' is not known before the type of a frame is; did you mean 'kind'?"),
        ({"when": "{second: 1}"}, "when.second: 'second' is not known before the type of a frame is"),
        ({"frames": "{size: day}"}, "frames.size: 'day' is text, not a number; in 'match', write {day:4} for 4 digits"),
        (
            {"frames": "{fields: [{name: kind, type: uint8, shape: [2]}], size: 9}"},
            "when.kind: 'kind' is an array; a condition is on a number or a text",
        ),
        (
            {"entry": "{rows: r, count: 1}, {rows: r, count: 1}"},
            "fields[4].rows: 'r' has records of this type already; name another type",
        ),
        (
            {"entry": "{name: g, fields: [{rows: r, count: 1}]}"},
            "rows: a group in a group cannot have records of its own; put 'rows' outside",
        ),
        (
            {"entry": "{rows: r, count: 1}", "more": ", {rows: r, count: 1}"},
            "rows: a group in a group cannot have records of its own; put 'rows' outside",
        ),
    ],
)
def test_a_name_that_means_nothing_is_reported_with_its_place(words, said):
    with pytest.raises(LayoutError) as caught:
        Instrument(write(**words), "any.yaml").data_types()
    assert said in str(caught.value)
    assert str(caught.value).startswith("any.yaml:")


def test_a_false_count_of_elements_without_bytes_is_rejected_at_once():
    entry = "{name: n, type: uint32}, {rows: r, count: n}"
    text = write(entry=entry).replace("{name: x, type: uint8}", "{name: x, type: uint8, from: w}")
    instrument = Instrument(text, "any.yaml")
    content = bytes([1, 13, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
    records, rejected, _ = decode(instrument, "any_1.bin", content)
    assert records == {}
    assert [each.reason for each in rejected] == ["r: 4,294,967,295 elements, not 0 to 0"]
