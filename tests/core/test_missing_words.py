"""The layout word ``missing``: which values it may name, for which fields."""

from __future__ import annotations

import pytest

from dayfile import Instrument, LayoutError

LAYOUT = """\
instrument: muon
title: Muon telescope
clock: {epoch: 1970-01-01T00:00:00}
path: "muon/{year}/{month:02}/{day:02}.h5"
blobs: {node: /blobs}
types:
  hits:
    code: Hit
    title: Hits
    store: append
    time: second
    missing: [-1, 65535]
    fields:
      - {name: number, type: uint32, counter: true}
      - {name: second, type: uint32}
      - {name: height, type: int16}
      - {name: width, type: uint16}
      - {name: energy, type: float32, missing: [-999.5]}
      - {name: depth, type: int16, missing: []}
      - {name: good, type: bool}
      - {name: label, type: char, shape: [4]}
      - {name: trace, type: int32, blob: base64}
"""


def test_a_type_declares_missing_values_for_the_numbers_that_can_hold_them():
    (hits,) = Instrument(LAYOUT, "muon.yaml").data_types()
    assert {field.name: field.missing for field in hits.fields} == {
        **dict.fromkeys(["number", "second", "good", "label", "trace", "depth"], ()),
        "height": (-1,),
        "width": (65535,),
        "energy": (-999.5,),
    }


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("second, type: uint32", r"muon\.yaml:15:\d+: types\.hits\.fields\[1\]\.missing\[0\]: a time is never missing"),
        ("number, type: uint32, counter: true", "number is a counter, which has no missing values"),
        ("good, type: bool", "good is bool, which has no missing values"),
        ("trace, type: int32, blob: base64", "trace is a blob field, which has no missing values"),
        ("width, type: uint16", "-1 does not fit width; uint16 goes from 0 to 65535"),
    ],
)
def test_a_value_that_cannot_be_missing_is_refused_at_its_place(field, message):
    layout = LAYOUT.replace(f"{{name: {field}}}", f"{{name: {field}, missing: [-1]}}")
    with pytest.raises(LayoutError, match=message):
        Instrument(layout, "muon.yaml").layout  # noqa: B018 - compiles it


@pytest.mark.parametrize("value", ["true", ".nan", "text", "1.5"])
def test_what_is_no_number_of_the_field_is_refused(value):
    layout = LAYOUT.replace("{name: height, type: int16}", f"{{name: height, type: int16, missing: [{value}]}}")
    with pytest.raises(LayoutError, match="missing"):
        Instrument(layout, "muon.yaml").layout  # noqa: B018 - compiles it
