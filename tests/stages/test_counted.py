"""Elements that were not sent hold the default of their field."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np

from dayfile import Batch, Instrument, Source

LAYOUT = """
instrument: pulses
title: Pulses
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: big, alignment: packed}
match: {name: "*.bin"}
frames:
  fields: [{name: length, type: uint8}]
  size: length + 1
path: "pulses/{year}{month:02}{day:02}.h5"
types:
  pulse:
    code: pulse
    title: Pulses
    store: append
    time: second
    fields:
      - {name: second, type: uint32}
      - {name: samples, type: uint8}
      - {name: pulse, type: int16, shape: [4], count: samples, default: -32768, missing: [-32768]}
      - {name: raw, type: int16, shape: [4], count: samples}
      - {name: tube, shape: [2], count: samples - 1, fields: [{name: charge, type: uint16, default: 65535}]}
"""


def test_elements_that_were_not_sent_hold_the_default():
    body = struct.pack(">IB2h2hH", 1714521600, 2, 5, -6, 7, 8, 9)
    source = Source(Path("a.bin"), "a.bin", bytes([len(body)]) + body)
    (batch,) = Instrument(LAYOUT, "pulses.yaml").decode(source)
    assert isinstance(batch, Batch)
    (record,) = batch.records
    np.testing.assert_array_equal(record["pulse"], [5, -6, -32768, -32768])
    np.testing.assert_array_equal(record["raw"], [7, 8, 0, 0])
    np.testing.assert_array_equal(record["tube_charge"], [9, 65535])
