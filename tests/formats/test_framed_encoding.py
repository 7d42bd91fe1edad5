"""A source that is made of records decodes to them; where no such source can be made, records are kept as a parcel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dayfile
from dayfile import Instrument, Source

LAYOUT = """
instrument: mast
title: Mast
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: big, alignment: packed}
match: {magic: A5}
frames:
  sync: A5
  fields: [{name: kind, type: uint8}, {name: length, type: uint8}]
  size: length + 3
path: "mast/{year}{month:02}{day:02}.h5"
types:
  wind:
    code: wind
    title: Wind
    store: append
    when: {kind: 1}
    time: second
    fields:
      - {name: second, type: uint32}
      - {name: speed, type: uint16}
  sky:
    code: sky
    title: Sky
    store: append
    when: {kind: 2}
    time: second
    fields:
      - {name: second, type: uint32}
      - {name: clouds, type: uint8}
      - {rows: cloud, count: clouds}
  cloud:
    code: cloud
    title: Clouds
    store: append
    time: second
    fields:
      - {name: second, type: uint32}
      - {name: height, type: uint16}
"""
NAMED = LAYOUT.replace("match: {magic: A5}", 'match: {name: "{day}.mast"}')
SAMPLES = "{name: speed, type: int32, blob: {type: int16}, count: 2}"
SAMPLED = LAYOUT.replace("{name: speed, type: uint16}", SAMPLES).replace("path:", "blobs: {node: /blobs}\npath:")
HEADED = LAYOUT.replace("match: {magic: A5}", "match: {magic: 4D}").replace("  sync:", "  head: {size: 2}\n  sync:")


def make_wind(instrument):
    wind = next(each for each in instrument.data_types() if each.type == "wind")
    records = np.zeros(3, wind.dtype)
    records["second"] = 1714521600 + np.arange(3)
    records["speed"] = [5, 6, 0xA5A5]
    return wind, records


def test_a_source_of_records_decodes_to_them():
    mast = Instrument(LAYOUT, "mast.yaml")
    wind, records = make_wind(mast)
    name, content = mast.encode(wind, records)
    (batch,) = mast.decode(Source(Path(name), name, content))
    np.testing.assert_array_equal(batch.records, records)


@pytest.mark.parametrize("layout", [NAMED, HEADED], ids=["name", "head"])
def test_records_whose_source_would_not_be_recognised_are_kept_so_that_a_rebuild_has_them(layout, tmp_path):
    mast = Instrument(layout, "mast.yaml")
    wind, records = make_wind(mast)
    assert mast.encode(wind, records) is None
    archive = dayfile.create_archive(tmp_path / "archive", plugins={"mast": mast}, settings={"sources.keep": "always"})
    assert archive.put("mast.wind", records).tolist() == [0, 0, 0]
    (kept,) = [path for path in (tmp_path / "archive" / "sources").rglob("*") if path.is_file()]
    other = dayfile.create_archive(tmp_path / "other", plugins={"mast": mast})
    assert other.ingest(kept).records["mast.wind"]["written"] == 3


def test_records_with_rows_of_another_type_can_be_put(tmp_path):
    mast = Instrument(LAYOUT, "mast.yaml")
    sky = next(each for each in mast.data_types() if each.type == "sky")
    records = np.zeros(1, sky.dtype)
    records["second"] = 1714521600
    archive = dayfile.create_archive(tmp_path / "archive", plugins={"mast": mast})
    assert archive.put("mast.sky", records).tolist() == [0]


def test_records_with_samples_are_no_source_of_frames():
    mast = Instrument(SAMPLED, "mast.yaml")
    content = bytes.fromhex("A5 01 08 663185C0 0001 0002")
    (batch,) = mast.decode(Source(Path("a"), "a", content))
    assert list(batch.blobs.values) == [content[-4:]]
    wind = next(each for each in mast.data_types() if each.type == "wind")
    assert mast.encode(wind, batch.records) is None
