"""Structs and bit fields are read as dissect.cstruct reads them by the same declaration in C."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import Instrument
from two_engines import decode

declarations = pytest.importorskip("dissect.cstruct")

LAYOUT = """\
instrument: any
title: Any
clock: {{epoch: 1970-01-01T00:00:00}}
structs: {{byte_order: {order}, alignment: natural}}
match: {{name: "*.bin"}}
frames: {{size: 40}}
path: "any/{{year}}{{month:02}}{{day:02}}.h5"
types:
  t:
    code: T
    title: T
    store: append
    time: second
    fields:
      - {{name: second, type: uint32}}
      - {{name: a, type: uint8}}
      - {{name: b, type: int16, shape: [3]}}
      - {{type: uint32, bits: [{{name: c, bits: 3}}, {{name: d, bits: 12}}, {{name: e, bits: 17}}]}}
      - {{name: f, type: float64}}
      - {{name: g, shape: [2], fields: [{{name: h, type: uint8}}, {{name: i, type: uint32}}]}}
"""
DECLARED = """
struct inner { uint8 h; uint32 i; };
struct record {
    uint32 second; uint8 a; int16 b[3]; uint32 c : 3; uint32 d : 12; uint32 e : 17; double f; inner g[2];
};
"""


@pytest.mark.parametrize("order", ["big", "little"])
@settings(max_examples=50)
@given(content=st.binary(min_size=40, max_size=40))
def test_structs_are_those_of_cstruct(order, content):
    struct = declarations.cstruct(endian=">" if order == "big" else "<").load(DECLARED, align=True).record
    assert struct.size == 40
    records, _, _ = decode(Instrument(LAYOUT.format(order=order), "any.yaml"), "a.bin", content)
    theirs = struct(content)
    for _, _, ours in records.get("t", []):
        assert [ours[name] for name in "acde"] == [getattr(theirs, name) for name in "acde"]
        assert ours["b"] == list(theirs.b)
        assert ours["f"] == (theirs.f if theirs.f == theirs.f else "nan")
        assert ours["g_h"] == [one.h for one in theirs.g]
        assert ours["g_i"] == [one.i for one in theirs.g]
