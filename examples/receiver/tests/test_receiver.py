"""What the receiver sent is what the archive has."""

import itertools
from pathlib import Path

import numpy as np
import pytest

import dayfile
from dayfile.testing import PluginContract

SAMPLE = Path(__file__).parents[1] / "samples" / "gnss-mixed.ubx"
MESSAGES = {
    "nav_sol": 39, "nav_pvt": 39, "nav_svinfo": 39, "nav_sat": 28, "nav_status": 32, "nav_posecef": 26,
    "nav_posllh": 21, "nav_dop": 17, "nav_velecef": 12, "nav_velned": 9, "nav_timegps": 8, "nav_timeutc": 1,
}  # fmt: skip


@pytest.fixture
def archive(tmp_path):
    return dayfile.create_archive(tmp_path / "archive")


def test_all_messages_of_the_sample_are_archived(archive):
    report = archive.ingest(SAMPLE, plugins=["receiver"])
    assert report.exit_code == 0
    written = {name.removeprefix("receiver."): each["written"] for name, each in report.records.items()}
    assert {name: written[name] for name in MESSAGES} == MESSAGES
    assert written["satellites"] == archive.read("receiver.nav_sat")["numSvs"].sum()


def test_positions_are_in_degrees_and_metres(archive):
    archive.ingest(SAMPLE, plugins=["receiver"])
    places = archive.read("receiver.nav_pvt")
    assert places.physical("lat").mean() == pytest.approx(53.45, abs=0.01)
    assert places.physical("lon").mean() == pytest.approx(-2.24, abs=0.01)
    assert set(places.physical("fixType")) == {"3D"}


def test_messages_without_a_week_have_that_of_the_first_message_that_says_it(archive):
    archive.ingest(SAMPLE, plugins=["receiver"])
    assert archive.read("receiver.nav_status").times[0] == np.datetime64("2020-10-23T11:33:15")


def test_a_message_whose_checksum_is_wrong_is_in_quarantine_and_the_others_are_archived(archive):
    content = bytearray(SAMPLE.read_bytes())
    content[content.index(b"\xb5\x62\x01\x07") + 30] ^= 1
    report = archive.ingest(("log.ubx", bytes(content)), plugins=["receiver"])
    assert report.records["receiver.nav_pvt"]["written"] == MESSAGES["nav_pvt"] - 1
    assert report.exit_code == 3


class TestContract(PluginContract):
    """The rules for all plugins."""

    plugin = "receiver"
    sources = (SAMPLE,)

    def grow(self, source):
        return itertools.repeat(source.content)
