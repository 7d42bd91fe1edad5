"""What the boards measured is what the archive has."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

import dayfile
import waveforms
from dayfile import Rejected, Remark, Source
from dayfile.testing import PluginContract

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"
EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))["files"]
FILES = [name for name in EXPECTED if (SAMPLES / name).exists()]


@pytest.fixture(params=FILES)
def name(request):
    return request.param


@pytest.fixture
def archive(tmp_path):
    return dayfile.create_archive(tmp_path / "archive")


def decode(name, content):
    types = {each.name: each for each in waveforms.instrument.data_types()}
    return list(waveforms.instrument.decode(Source(Path(name), name, content), types))


def test_the_records_and_their_times_are_those_of_the_file(archive, name):
    report = archive.ingest(SAMPLES / name, plugins=["waveforms"])
    assert report.exit_code == (3 if EXPECTED[name]["rejected"] else 0)
    for code, count in EXPECTED[name]["records"].items():
        records = archive.read(f"waveforms.{code}")
        assert len(records) == count
        assert str(records.times[0]) == EXPECTED[name]["times"][code]["first"]
        assert str(records.times[-1]) == EXPECTED[name]["times"][code]["last"]


def test_what_is_no_event_is_rejected_with_its_bytes(name):
    content = (SAMPLES / name).read_bytes()
    rejected = [each for each in decode(name, content) if isinstance(each, Rejected)]
    head = EXPECTED[name]["first event at"]
    found = [(each.offset, len(each.content) - head, each.reason) for each in rejected]
    assert found == [(each["offset"], each["length"], each["reason"]) for each in EXPECTED[name]["rejected"]]
    for each in rejected:
        at = each.offset
        assert each.content == content[:head] + content[at : at + len(each.content) - head]


def test_events_are_what_the_bytes_say(archive, name):
    archive.ingest(SAMPLES / name, plugins=["waveforms"])
    boards = len(archive.keys("waveforms.event"))
    for said in EXPECTED[name]["values"]:
        raw, board = said["raw"], said["board"]
        columns = [number - 1 for number in raw["channels"]]
        widths = archive.read("waveforms.widths", board=board)
        if said["type"] == "widths":
            first = [name for name in raw if name.startswith("width[")]
            np.testing.assert_array_equal(widths["width"][0, columns, :4], raw[first[0]])
            continue
        events = archive.read("waveforms.event", board=board)
        row = said["record"] // boards
        one = events[row : row + 1]
        assert str(one.times[0]) == said["time"]
        assert one["serial"][0] == raw["serial"]
        assert (one["range_centre"][0], one["trigger_cell"][0]) == (raw["range_centre"], raw["trigger_cell"])
        assert one["scaler"][0, columns].tolist() == raw["scaler"]
        waves = one.samples("waveform")[0]
        assert [channel for channel in range(4) if waves[channel] is not None] == columns
        samples = [waves[channel] for channel in columns]
        assert [each[:4].tolist() for each in samples] == raw["waveform[:4]"]
        assert [int(each.sum()) for each in samples] == raw["waveform sum"]
        physical = said["physical"]
        for number, channel in enumerate(raw["channels"]):
            voltages = waveforms.volts(one, channel)
            times = waveforms.nanoseconds(one, widths["width"][0, channel - 1])
            assert voltages[0, :4] == pytest.approx(physical["volt[:4]"][number], rel=1e-9)
            assert voltages.min() == pytest.approx(physical["minimum of volt"][number], rel=1e-9)
            assert times[0, :4] == pytest.approx(physical["nanoseconds[:4]"][number], rel=1e-9)
            assert times[0, -1] == pytest.approx(physical["nanoseconds of the last cell"][number], rel=1e-9)


def test_events_that_the_file_lacks_are_remarked():
    name, head = "run_0018.dat", EXPECTED["run_0018.dat"]["first event at"]
    content = (SAMPLES / name).read_bytes()
    size = (len(content) - head) // 16
    items = decode(name, content[: head + 3 * size] + content[head + 5 * size :])
    (remark,) = [each for each in items if isinstance(each, Remark)]
    assert remark.text == "the serial numbers jump to 6: events are missing from the file"
    assert not [each for each in decode(name, content) if isinstance(each, Remark)]


class TestContract(PluginContract):
    """The rules for all plugins."""

    plugin = "waveforms"
    sources = (SAMPLES / "run_0018.dat",)

    def grow(self, source):
        head = EXPECTED["run_0018.dat"]["first event at"]
        return itertools.chain([source.content[:head]], itertools.repeat(source.content[head:]))
