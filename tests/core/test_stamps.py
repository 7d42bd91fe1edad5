"""A time is a field that counts every tick of its clock: others are refused when the plugin is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from dayfile import Clock, DataType, Field, Instrument, LayoutError, Node, Placement, hookimpl

LAYOUT = """\
instrument: lamp
title: Lamps
clock: {{epoch: 1970-01-01T00:00:00, unit: {unit}}}
blobs: {{node: /blobs}}
path: "lamp/{{year}}_{{month}}_{{day}}.h5"
types:
  hours:
    code: Hours
    title: Hours
    store: intervals
    time: {first}
    end: {last}
    fields: [{{name: good, type: int64}}, {{name: odd, {odd}}}]
"""

REFUSED = {
    "float32": ("s", "type: float32", "counts each second for 194 days only"),
    "float32 of milliseconds": ("ms", "type: float32", "counts each millisecond for 5 hours only"),
    "float64 of nanoseconds": ("ns", "type: float64", "counts each nanosecond for 104 days only"),
    "int8": ("s", "type: int8", "counts each second for 2 minutes only"),
    "uint8": ("s", "type: uint8", "counts each second for 4 minutes only"),
    "int16": ("s", "type: int16", "counts each second for 9 hours only"),
    "uint16": ("s", "type: uint16", "counts each second for 18 hours only"),
    "uint32 of microseconds": ("us", "type: uint32", "counts each microsecond for 72 minutes only"),
    "time32 of nanoseconds": ("ns", "type: time32", "counts each nanosecond for 2.15 s only"),
    "bool": ("s", "type: bool", "is not a single number"),
    "text": ("s", "type: char, shape: [8]", "is not a single number"),
    "array": ("s", "type: int64, shape: [2]", "is not a single number"),
    "counter": ("s", "type: int64, counter: true", "is a counter"),
    "blob": ("s", "type: int32, blob: base64", "is a blob"),
}


def made(unit, words, *, time, end):
    """The same type as of the layout, made in Python."""
    told = dict(word.split(": ") for word in words.split(", "))
    shape = (int(told["shape"].strip("[]")),) if "shape" in told else ()
    odd = Field("odd", told["type"], shape, blob=told.get("blob", ""), counter="counter" in told)
    clock = Clock(np.datetime64("1970-01-01T00:00:00"), unit)
    node = Node("/hours", blobs="/blobs")
    path = "lamp/{year}_{month}_{day}.h5"
    fields = (Field("good", "int64"), odd)
    return DataType("lamp", "hours", "Hours", "", fields, clock, time, Placement("intervals", path, node), end=end)


class Made:
    def __init__(self, item):
        self.item = item

    @hookimpl
    def data_types(self):
        return [self.item]


@pytest.mark.parametrize(("first", "last"), [("odd", "good"), ("good", "odd")], ids=["time", "end"])
@pytest.mark.parametrize(("unit", "words", "message"), REFUSED.values(), ids=REFUSED)
def test_a_field_that_cannot_count_times_is_refused_when_the_plugin_is_loaded(
    plugins_of, unit, words, message, first, last
):
    text = LAYOUT.format(unit=unit, first=first, last=last, odd=words)
    with pytest.raises(LayoutError, match=message) as caught:
        _ = Instrument(text, "lamp.yaml").layout
    line = 11 if first == "odd" else 12
    assert str(caught.value).startswith(f"lamp.yaml:{line}:{text.splitlines()[line - 1].index('odd') + 1}: ")
    (failure,) = plugins_of(lamp=Made(made(unit, words, time=first, end=last))).failures
    assert failure.message.startswith("plugin lamp: the time of lamp.hours: 'odd' ")
    assert message in failure.message


GOOD = {
    "s": ("uint32", "int32", "time32", "float64", "int64"),
    "ms": ("uint32", "float64"),
    "us": ("float64", "int64"),
    "ns": ("int64", "uint64"),
}


@pytest.mark.parametrize(("unit", "form"), [(unit, form) for unit, forms in GOOD.items() for form in forms])
def test_a_field_that_counts_times_is_taken(plugins_of, unit, form):
    words = f"type: {form}"
    assert Instrument(LAYOUT.format(unit=unit, first="good", last="odd", odd=words), "lamp.yaml").layout.types
    assert plugins_of(lamp=Made(made(unit, words, time="odd", end="good"))).failures == []
