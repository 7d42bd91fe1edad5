"""Frames of the sample formats: rejected ones and gaps are at the places that their descriptions state."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dayfile.framing.ccsds import make_packets
from dayfile.framing.checksums import Check
from dayfile.framing.reader import Head
from dayfile.framing.shapes import Shape
from dayfile.framing.sized import Sized
from dayfile.framing.synced import Synced, find_sync_order
from dayfile.model.batch import Source
from dayfile.stages.sums import Sum
from plain_frames import Words, find, find_gaps

RECEIVER = Shape(
    Sum.parse("length + 8"),
    b"\xb5\x62",
    Words(np.dtype([("class", "u1"), ("id", "u1"), ("length", "<u2")])),
    Check("fletcher8", 2, -2, -2, "little"),
)
HOUSE = Shape(
    Sum.parse("length"),
    b"\x55\xaa",
    Words(np.dtype([("version", "u1"), ("length", "u1")])),
    Check("crc16-ccitt-false", 2, -2, -2, "little"),
)
BY_TYPE = ("length 24 does", "time after 2030", "size is not that of the struct", "time: ", "length: ")
"""Reasons of the stages that follow: the frame is good."""


@pytest.fixture(scope="module")
def formats(samples):
    return samples / "formats"


def read_expected(formats, kind, name):
    expected = json.loads((formats / kind / "expected.json").read_text())
    return (formats / kind / name).read_bytes(), expected["files"][name]


def check_found(found, content, expected):
    """Compare with what is expected: rejected frames, the number of good ones, and all that no good frame has."""
    rejected = [each for each in expected["rejected"] if not each["reason"].startswith(BY_TYPE)]
    assert [each[:2] for each in found.rejected] == [(each["offset"], each["length"]) for each in rejected]
    good = sum(expected["records"].values()) + sum(expected.get("whole but not described", {}).values())
    good += len(expected["rejected"]) - len(rejected) + len(expected.get("not plausible (after 2030)", []))
    assert len(found.frames) == good
    if "skipped" in expected:
        assert find_gaps(found.frames, [], len(content)) == [
            (each["offset"], each["length"]) for each in expected["skipped"]
        ]


@pytest.mark.parametrize("size", [2**20, 1000])
@pytest.mark.parametrize("name", ["gnss-mixed.ubx", "gnss-nav.ubx", "gnss-damaged.ubx"])
def test_a_log_of_a_satellite_receiver(formats, name, size):
    content, expected = read_expected(formats, "ubx", name)
    check_found(find(Synced(RECEIVER), content, size), content, expected)


@pytest.mark.parametrize("size", [2**20, 50])
@pytest.mark.parametrize("name", ["house_20240501.hk", "house_again.hk", "house_damaged.hk"])
def test_housekeeping_of_three_versions(formats, name, size):
    content, expected = read_expected(formats, "slots", name)
    check_found(find(Synced(HOUSE), content, size), content, expected)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("ccsds_hs", "hs_apid035.tlm"),
        ("ccsds_hs", "hs_mixed.tlm"),
        ("ccsds_hs", "hs_damaged.tlm"),
        ("ccsds_cds", "J01_G011_LZ_2021-04-09T00-00-00Z.dat"),
        ("ccsds_cds", "J01_G011_damaged.dat"),
    ],
)
def test_packets_of_satellites(formats, kind, name):
    content, expected = read_expected(formats, kind, name)
    for size in (2**20, 1000):
        check_found(find(make_packets(), content, size), content, expected)


@pytest.mark.parametrize("name", ["crate.le.bin", "crate.be.bin", "crate_damaged.be.bin"])
def test_structs_of_either_byte_order(formats, name):
    content, expected = read_expected(formats, "counts_h", name)
    order = find_sync_order(np.frombuffer(content, np.uint8), {"big": b"MUTL", "little": b"LTUM"})
    assert order == {"l": "little", "b": "big"}[name.split(".")[1][0]]
    fields = Words(np.dtype([("type", "u2"), ("size", "u2"), ("crate", "u2")]).newbyteorder(order[0].upper()))
    shape = Shape(Sum.parse("size"), content[:4], fields)
    found = find(Synced(shape), content, 1000)
    if "damaged" not in name:
        check_found(found, content, expected)
        return
    # The wrong size is wrong for its type only: a good frame here, and the 20 bytes behind it are between.
    assert (6576, 300) in found.frames
    assert found.rejected == [(16492, 100, "incomplete")]
    assert found.between == [(1688, 320), (6876, 20)]


@pytest.mark.parametrize("name", ["allsky_20240501T235930.imgf", "allsky_cut.imgf"])
def test_frames_of_an_imager_behind_a_head(formats, name):
    content, expected = read_expected(formats, "imager", name)
    fields = Words(np.dtype([("magic", "S4"), ("version", "<u2"), ("size", "<u2")]))
    head = Head(Sum.parse("size"), fields).measure(Source(Path(name), name, content), {})
    assert (head.start, head.length, head.reason) == (0, 32, "")
    shape = Shape(Sum.parse("16 + 2 * width * height"))
    found = find(Sized(shape), content, known={"width": 128, "height": 128}, offset=32)
    assert [each[:2] for each in found.rejected] == [(each["offset"], each["length"]) for each in expected["rejected"]]
    assert len(found.frames) == expected["records"]["frame"]
