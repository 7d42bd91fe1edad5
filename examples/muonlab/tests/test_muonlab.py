"""What the telescope sent is what the archive has."""

import itertools
import struct
from pathlib import Path

import numpy as np
import pytest

import dayfile
from dayfile.testing import PluginContract

SAMPLE = Path(__file__).parents[1] / "samples" / "roof_20240501.mul"
FIRST_HIT = 8 + 3 + 13 + 3
"""Where the body of the first hit begins: behind the head and the first housekeeping."""


@pytest.fixture
def archive(tmp_path):
    return dayfile.create_archive(tmp_path / "archive")


def test_the_sample_is_archived_whole(archive):
    report = archive.ingest(SAMPLE, plugins=["muonlab"])
    assert report.exit_code == 0
    assert {name: each["written"] for name, each in report.records.items()} == {
        "muonlab.hits": 300,
        "muonlab.house": 60,
    }
    assert archive.ingest(SAMPLE, plugins=["muonlab"]).sources["already"] == 1


def test_a_hit_is_what_its_bytes_say(archive):
    archive.ingest(SAMPLE, plugins=["muonlab"])
    hits = archive.read("muonlab.hits", telescope=5)
    second, ticks, status, *charges, samples = struct.unpack_from(">IHH4HB", SAMPLE.read_bytes(), FIRST_HIT)
    first = hits[0]
    assert (first["second"], first["ticks"], first["charge"].tolist()) == (second, ticks, charges)
    assert (first["layers"], first["saturated"], first["mode"]) == (status >> 12, bool(status >> 11 & 1), 1)
    assert first["baseline"] == (status & 0x3F) - 64 * (status >> 5 & 1)
    assert hits.times[0] == np.datetime64(second * 10**9 + ticks * 10**9 // 65536, "ns")
    assert (first["pulse"][samples:] == -32768).all()


def test_physical_values_are_in_units(archive):
    archive.ingest(SAMPLE, plugins=["muonlab"])
    house = archive.read("muonlab.house")
    assert house.physical("voltage")[0] == pytest.approx(1182.0)
    assert (house.physical("thermistor") > 15).all()
    hits = archive.read("muonlab.hits")
    charge = hits.physical("charge")
    np.testing.assert_array_equal(np.isnan(charge), hits["charge"] == 65535)


def test_a_hit_that_is_cut_is_in_quarantine_and_the_others_are_archived(archive):
    report = archive.ingest(("cut.mul", SAMPLE.read_bytes()[:-10]), plugins=["muonlab"])
    assert report.records["muonlab.hits"]["written"] == 299
    assert report.exit_code == 3


class TestContract(PluginContract):
    """The rules for all plugins."""

    plugin = "muonlab"
    sources = (SAMPLE,)

    def grow(self, source):
        return itertools.chain([source.content[:8]], itertools.repeat(source.content[8:]))
