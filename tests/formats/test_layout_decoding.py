"""What the words of a layout promise beyond its samples: heads, lines that depend on others, gaps, zones, samples."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
from tests.formats.expected import LAYOUTS

from dayfile import Batch, Instrument, Rejected, Remark, Source, create_archive, open_archive
from running import call_command

SAMPLES = Path(os.environ.get("DAYFILE_SAMPLES", "")) / "formats"
SCOPE = """
instrument: scope
title: Digitizer of a test
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: little, alignment: packed}
match: {name: "*.scope", magic: "text: SCOP"}
frames:
  head: {type: setup, fields: [{skip: 4}, {name: board, type: uint16}, {name: gain, type: float32}]}
  fields: [{name: samples, type: uint16}, {name: second, type: uint32}]
  size: 6 + 2 * samples
path: "scope/{year}{month:02}{day:02}.h5"
node: "/{type}"
blobs: {node: /blobs}
types:
  setup:
    code: Setup
    title: Setup of a file
    store: append
    time: {first: event}
    fields:
      - {name: board, type: uint16, from: board}
      - {name: gain, type: float32, from: gain}
  event:
    code: Event
    title: Events
    store: append
    time: second
    fields:
      - {name: second, type: uint32, from: second}
      - {name: wave, type: int32, blob: {type: int16}, count: samples}
      - {name: gain, type: float32, from: gain}
"""
LOG = """
instrument: logger
title: Logger of a test
clock: {epoch: 1970-01-01T00:00:00}
match: {name: "*.log"}
frames: {lines: {separator: ",", columns: header}}
carry:
  site: {line: "# site {site}"}
path: "logger/{year}{month:02}{day:02}.h5"
node: "/{site}/{type}"
titles: [site]
types:
  reading:
    code: Reading
    title: Readings
    store: append
    time: {text: "{when}", zone: required}
    fields: [{name: value, type: int32}]
"""


def run(directory: Path, plugins: object, *words: object):
    """Archive sources by layouts, in the archive of a test."""
    return call_command("archive-run", "-a", directory / "archive", "--plugins", plugins, *words)


def make_scope(*events: tuple[int, list[int]]) -> bytes:
    head = b"SCOP" + np.array(7, "<u2").tobytes() + np.array(0.5, "<f4").tobytes()
    frames = (
        np.array(len(wave), "<u2").tobytes() + np.array(second, "<u4").tobytes() + np.array(wave, "<i2").tobytes()
        for second, wave in events
    )
    return head + b"".join(frames)


def decode(text: str, name: str, content: bytes) -> list[Batch | Rejected | Remark]:
    instrument = Instrument(text, "layout.yaml")
    list(instrument.data_types())
    return list(instrument.decode(Source(Path(name), name, content)) or [])


def find(items: list[Batch | Rejected | Remark], code: str) -> Batch:
    (found,) = [item for item in items if isinstance(item, Batch) and item.code == code]
    return found


def test_the_head_of_a_file_is_a_record_at_the_time_of_the_first_event():
    items = decode(SCOPE, "a.scope", make_scope((1714608000, [1, -2, 3]), (1714608060, [])))
    setup = find(items, "Setup").records
    assert setup["board"].tolist() == [7]
    assert setup["time"].astype("datetime64[ns]").astype("datetime64[s]").astype(str).tolist() == [
        "2024-05-02T00:00:00"
    ]
    assert find(items, "Event").records["gain"].tolist() == [0.5, 0.5]


def test_the_head_of_a_file_without_an_event_is_rejected_with_its_bytes():
    (rejected,) = decode(SCOPE, "a.scope", make_scope())
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.content) == ("no time: no record of event tells it", make_scope())


def test_samples_come_back_as_arrays(tmp_path):
    source = tmp_path / "a.scope"
    source.write_bytes(make_scope((1714608000, [1, -2, 3]), (1714608060, []), (1714608061, [30000])))
    layout = tmp_path / "scope.yaml"
    layout.write_text(SCOPE)
    assert run(tmp_path, layout, source).code == 0
    records = open_archive(tmp_path / "archive").read("scope.event")
    waves = records.samples("wave")
    assert [wave.tolist() for wave in waves] == [[1, -2, 3], [], [30000]]
    assert waves[0].dtype == np.dtype("<i2")


def test_a_rejected_line_has_the_lines_that_it_depends_on(tmp_path):
    content = b"# site north\nwhen,value\n2024-07-01T12:00:00,1\n# site south\n2024-07-01T12:00:01,x\n"
    layout = LOG.replace(", zone: required", "")
    (rejected,) = [item for item in decode(layout, "a.log", content) if isinstance(item, Rejected)]
    assert rejected.content == b"when,value\n# site south\n2024-07-01T12:00:01,x"
    again = decode(layout, "a.log", rejected.content.replace(b",x", b",2"))
    assert find(again, "Reading").keys == {"site": "south"}


def test_a_line_without_the_key_of_its_table_is_rejected():
    layout = LOG.replace(", zone: required", "")
    (rejected,) = decode(layout, "a.log", b"when,value\n2024-07-01T12:00:00,1\n")
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "nothing tells site, the key of its table"


def test_a_zone_that_is_left_to_the_settings_is_required(tmp_path):
    layout, source = tmp_path / "logger.yaml", tmp_path / "a.log"
    layout.write_text(LOG)
    source.write_bytes(b"# site north\nwhen,value\n2024-07-01T12:00:00,1\n")
    assert "--set logger.zone=Europe/Amsterdam" in run(tmp_path, layout, source).err
    assert run(tmp_path, layout, "--set", "logger.zone=Europe/Amsterdam", source).code == 0
    assert open_archive(tmp_path / "archive").read("logger.reading").times.astype(str).tolist() == [
        "2024-07-01T10:00:00.000000000"
    ]


def test_a_source_that_two_layouts_take_is_reported_with_both_names(tmp_path):
    for name in ("scope", "other"):
        (tmp_path / f"{name}.yaml").write_text(
            SCOPE.replace("scope\n", f"{name}\n", 1).replace("scope/{year}", f"{name}/{{year}}")
        )
    source = tmp_path / "a.scope"
    source.write_bytes(make_scope((1714608000, [1])))
    plugins = f"{tmp_path / 'scope.yaml'},{tmp_path / 'other.yaml'}"
    said = run(tmp_path, plugins, source).err
    assert "the layout of scope takes this source, too" in said
    assert "plugin other" in said


def test_a_compressed_source_is_decoded_as_what_it_was(tmp_path):
    plain = decode(SCOPE, "a.scope", make_scope((1714608000, [1, 2])))
    layout, source = tmp_path / "scope.yaml", tmp_path / "a.scope.gz"
    layout.write_text(SCOPE)
    source.write_bytes(gzip.compress(make_scope((1714608000, [1, 2]))))
    assert run(tmp_path, layout, source).code == 0
    assert len(open_archive(tmp_path / "archive").read("scope.event")) == len(find(plain, "Event"))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no samples: set DAYFILE_SAMPLES")
def test_packets_that_are_missing_are_told_of():
    # One of APID 35 is eight bytes too short: it is rejected, and not missing.
    text = (LAYOUTS / "hs.yaml").read_text()
    content = (SAMPLES / "ccsds_hs" / "hs_damaged.tlm").read_bytes()
    remarks = [item.text for item in decode(text, "hs_damaged.tlm", content) if isinstance(item, Remark)]
    assert remarks == [
        "1 packet of APID 130 is missing, the first before byte 19412",
        "1 packet of APID 251 is missing, the first before byte 19251",
        "1 packet of APID 895 is missing, the first before byte 19132",
    ]


PLAIN = """
instrument: rates
title: Rates of a test
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: big, alignment: packed}
match: {name: "*.rates"}
frames:
  sync: AA 55
  fields: [{name: kind, type: uint8}, {name: length, type: uint8}]
  size: length
  checksum: {kind: crc32}
path: "rates/{year}{month:02}{day:02}.h5"
types:
  rate:
    code: Rate
    title: Rates
    store: append
    when: {kind: 1}
    time: {epoch: 2000-01-01, plus: {days: d, ms: ms}}
    fields:
      - {name: days, type: uint16}
      - {name: ms, type: uint32}
      - {type: uint16, bits: [{name: valid, bits: 1}, {name: rate, bits: 15}]}
"""


def test_what_a_program_puts_is_a_source_that_the_layout_reads(tmp_path):
    layout = tmp_path / "rates.yaml"
    layout.write_text(PLAIN)
    archive = create_archive(tmp_path / "archive", plugins=[layout])
    (data_type,) = Instrument(PLAIN, "rates.yaml").data_types()
    records = np.zeros(3, data_type.dtype)
    records["days"], records["ms"], records["rate"] = 9000, [1, 2, 3], [7, 8, 32767]
    records["time"] = (np.datetime64("2000-01-01", "ns") + np.timedelta64(9000, "D")).astype(np.int64) + np.array(
        [1, 2, 3]
    ) * 10**6
    archive.put("rates.rate", records)
    assert archive.read("rates.rate").array.tobytes() == records.tobytes()
    name, content = Instrument(PLAIN, "rates.yaml").encode(data_type, records)
    assert (name, len(content)) == ("Rate.rates", 3 * 16)


def test_a_key_has_no_blanks_that_fill_up_its_text():
    fortran = """
instrument: riometer
title: Riometer of a test
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: little, alignment: packed}
match: {name: "*.dat"}
frames: {fortran: 4, head: {fields: [{skip: 4}, {name: station, type: char, shape: [8]}, {skip: 4}]}}
path: "riometer/{year}{month:02}{day:02}.h5"
node: "/{station}/{type}"
types:
  power:
    code: power
    title: Power
    store: append
    time: second
    fields: [{name: second, type: uint32}]
"""

    def make_file(station: bytes) -> bytes:
        bodies = (station.ljust(8), np.array(1714608000, "<u4").tobytes())
        markers = [np.array(len(body), "<u4").tobytes() for body in bodies]
        return b"".join(marker + body + marker for marker, body in zip(markers, bodies, strict=True))

    assert find(decode(fortran, "a.dat", make_file(b"KIRUNA")), "power").keys == {"station": "KIRUNA"}
    (rejected,) = decode(fortran, "b.dat", make_file(b""))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "nothing tells station, the key of its table"


def test_many_frames_with_one_fault_are_a_few_entries_of_the_quarantine():
    frame = bytes.fromhex("AA55 01 10 0001 00000000 0001")
    good = PLAIN.replace("  checksum: {kind: crc32}\n", "").replace("size: length", "size: length - 4")
    wrong = good.replace("plus: {days: d", "plus: {days: {unit: d, below: 1}")
    rejected = [item for item in decode(wrong, "a.rates", frame * 5000) if isinstance(item, Rejected)]
    assert len(rejected) == 101
    assert sum(len(item.numbers) for item in rejected) == 5000
    assert b"".join(item.content for item in rejected) == frame * 5000
    assert {item.reason for item in rejected} == {"days must be less than 1, not 1"}
    again = decode(good, "a.rates", rejected[-1].content)
    assert sum(len(item) for item in again if isinstance(item, Batch)) == 4900
