"""Both engines find the same records, keys, times and rejects in samples of real detectors, good and damaged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dayfile import Instrument
from random_layouts import CHANGES, damage
from two_engines import compare

SAMPLES = Path(os.environ.get("DAYFILE_SAMPLES", "")) / "formats"
LAYOUTS = Path(__file__).parent / "layouts"
SOURCES = {
    "slots/house_20240501.hk": "house",
    "slots/house_damaged.hk": "house",
    "ccsds_cds/J01_G011_damaged.dat": "jpss",
    "ccsds_hs/hs_damaged.tlm": "hs",
    "counts_h/crate_damaged.be.bin": "crate",
    "counts_h/crate.le.bin": "crate",
    "imager/allsky_cut.imgf": "imager",
    "ubx/gnss-damaged.ubx": "ubx",
    "ubx/gnss-mixed.ubx": "ubx",
}

if not SAMPLES.is_dir():
    pytest.skip("no samples: set DAYFILE_SAMPLES", allow_module_level=True)


@pytest.mark.parametrize("source", SOURCES)
def test_samples_give_the_same_in_both_engines_whatever_the_blocks(source):
    path = SAMPLES / source
    text = (LAYOUTS / f"{SOURCES[source]}.yaml").read_text()
    plain = compare(text, path.name, path.read_bytes(), sizes=(2**19, 1000))
    assert plain.records


@pytest.mark.parametrize("layout", sorted(set(SOURCES.values())))
@settings(max_examples=15)
@given(data=st.data())
def test_damaged_samples_give_the_same_in_both_engines(layout, data):
    path = SAMPLES / next(source for source, name in SOURCES.items() if name == layout)
    first = {"imager": 36, "ubx": 2, "house": 2, "crate": 4, "hs": 2, "jpss": 2}[layout]
    content = path.read_bytes()[: 40_000 if layout == "imager" else 4000]
    content = damage(content, data.draw(CHANGES), first)
    text = (LAYOUTS / f"{layout}.yaml").read_text()
    compare(text, path.name, content, (2**19, data.draw(st.integers(1, 3000))), Instrument(text, layout))
