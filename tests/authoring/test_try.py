"""``dayfile try``: what would become of sources is shown, and nothing is written."""

from __future__ import annotations

import gzip
import json
import struct

import pytest

MAST = """\
instrument: mast
title: Weather mast
clock: {epoch: 1970-01-01T00:00:00}
structs: {byte_order: little, alignment: packed}
match: {name: "mast_*.bin", magic: A5 5A, size: {least: 8}}
frames:
  sync: A5 5A
  fields: [{name: kind, type: uint8}, {name: length, type: uint8}, {name: mast, type: uint8}]
  size: length + 5
  ignore: [{kind: 255}]
path: "mast/{year}/mast_{year}{month:02}{day:02}.h5"
node: "/mast_{mast}/{type}"
types:
  wind:
    code: wind
    title: Wind
    store: append
    when: {kind: 1}
    time: second
    valid: {from: 2020-01-01}
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: speed, type: uint16, physical: {scale: 0.01, unit: m/s}}
"""
BEGIN = 1714607940  # 2024-05-01T23:59
SHORT = b"\xa5\x5a\x01\x02\x01ab"
OTHER = b"\xa5\x5a\xff\x01\x01x"


def make_wind(second, speed=250, mast=1):
    return b"\xa5\x5a\x01\x06" + struct.pack("<BIH", mast, second, speed)


GOOD = b"".join(make_wind(BEGIN + 30 * n, 250 + n) for n in range(4))
BAD = GOOD + SHORT + b"noise" + OTHER + make_wind(5) + make_wind(BEGIN, mast=2)


@pytest.fixture
def mast(tmp_path):
    (tmp_path / "mast.yaml").write_text(MAST)
    return tmp_path / "mast.yaml"


@pytest.fixture
def try_bytes(mast, command_here):
    def run(content, name="mast_1.bin", *further):
        source = mast.parent / name
        source.write_bytes(content)
        return command_here("dayfile", "try", mast, source, *further, archive=None)

    return run


def test_a_good_source_is_shown_with_times_steps_days_keys_and_values_raw_and_physical(try_bytes):
    done = try_bytes(GOOD)
    assert done.code == 0
    for part in (
        "recognised",
        "mast.wind: 4 records, 2024-05-01T23:59:00 to 2024-05-02T00:00:30 UTC",
        "steps: 30 s (3 of 3)",
        "2 days: 2024-05-01 (2), 2024-05-02 (2)",
        "mast: 1 (4)",
        "bytes: 44 records; 44 in all",
    ):
        assert part in done.out
    (speed,) = [line.split() for line in done.out.splitlines() if line.strip().startswith("speed")]
    assert speed[-4:] == ["250", "253", "2.5", "2.53"]


def test_what_would_be_rejected_is_counted_with_reason_and_offset_and_every_byte_is_accounted_for(try_bytes):
    done = try_bytes(BAD, "mast_1.bin", "--json")
    (trial,) = json.loads(done.out)
    assert done.code == 3
    assert (trial["recognised"], trial["well"]) == (True, False)
    size, *_ = [each for each in trial["rejected"] if each["offsets"]]
    assert (size["code"], size["records"], size["offsets"]) == ("wind", 1, [44])
    assert any("2020" in each["text"] for each in trial["rejected"])
    assert trial["bytes"]["records"] == 55
    assert trial["bytes"]["rejected"] == len(SHORT) + len(make_wind(5))
    assert trial["bytes"]["ignored"] == len(OTHER)
    assert trial["bytes"]["between"] == len(b"noise")
    assert sum(trial["bytes"].values()) == len(BAD) == trial["size"]
    assert trial["types"]["mast.wind"]["keys"] == {"mast": {"1": 4, "2": 1}}


def test_what_does_not_fit_of_a_source_that_is_not_recognised_is_shown(try_bytes):
    done = try_bytes(b"\x00\x01 no", "wind.dat")
    assert done.code == 3
    assert "wind.dat: 5 bytes, not recognised" in done.out
    assert "- name: wind.dat does not fit mast_*.bin" in done.out
    assert "- magic: 00 01 at byte 0, not A5 5A" in done.out
    assert "- size: 5 bytes does not fit at least 8" in done.out


def test_a_compressed_source_is_tried_as_its_content(try_bytes):
    done = try_bytes(gzip.compress(GOOD), "mast_1.bin.gz", "--json")
    (trial,) = json.loads(done.out)
    assert (done.code, trial["size"], trial["types"]["mast.wind"]["records"]) == (0, 44, 4)
    assert try_bytes(gzip.compress(GOOD)[:-9], "mast_1.bin.gz").code == 3


def test_one_of_several_sources_that_fails_decides_the_exit_code_and_the_others_are_shown(try_bytes, mast):
    (mast.parent / "other.txt").write_text("hello")
    done = try_bytes(GOOD, "mast_1.bin", mast.parent / "other.txt")
    assert done.code == 3
    assert "4 records" in done.out
    assert "other.txt: 5 bytes, not recognised" in done.out


def test_nothing_is_written(try_bytes, mast):
    try_bytes(BAD)
    assert sorted(path.name for path in mast.parent.iterdir()) == ["mast.yaml", "mast_1.bin"]


def test_mistakes_of_the_layout_and_files_that_are_missing_are_said_in_one_line_each(mast, command_here):
    done = command_here("dayfile", "try", mast, mast.parent / "none.bin", archive=None)
    assert (done.code, "none.bin" in done.err, "Traceback" in done.err) == (2, True, False)
    mast.write_text(MAST.replace("uint16", "unit16").replace("    title: Wind\n", ""))
    done = command_here("dayfile", "try", mast, mast, archive=None)
    assert (done.code, "mast.yaml:" in done.err, "uint16" in done.err, "1 further mistake" in done.err) == (
        2,
        *[True] * 3,
    )


@pytest.mark.parametrize("columns", [80, 200])
def test_no_line_is_wider_than_the_screen(try_bytes, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = [line for line in try_bytes(GOOD).out.splitlines() if line.startswith("  ")]
    assert max(map(len, lines)) <= columns


def test_a_source_of_more_new_days_than_a_run_archives_fails_and_may_be_let_pass(try_bytes):
    days = b"".join(make_wind(BEGIN + 86400 * n) for n in range(401))
    done = try_bytes(days)
    assert done.code == 3
    assert "401 days of mast.wind" in done.out
    assert "raise run.most_new_days" in done.out
    assert try_bytes(days, "mast_1.bin", "--set", "run.most_new_days=401").code == 0


def test_rejects_that_are_put_together_count_all_their_bytes(try_bytes):
    done = try_bytes(GOOD + 200 * SHORT, "mast_1.bin", "--json")
    (trial,) = json.loads(done.out)
    assert trial["bytes"]["rejected"] == 200 * len(SHORT)
    assert trial["bytes"]["records"] == len(GOOD)


def test_a_remark_on_several_places_says_how_many_they_are(try_bytes):
    done = try_bytes(GOOD + b"noise" + GOOD + b"no" + GOOD)
    assert "remark: 2 places, such as: 5 bytes from 44 on are of no frame" in done.out
    assert "remark: 5 bytes from 44 on" in try_bytes(GOOD + b"noise" + GOOD).out


def test_a_frame_with_a_wrong_checksum_is_of_the_only_type_if_there_are_no_conditions(mast, command_here):
    layout = mast.read_text().replace("    when: {kind: 1}\n", "").replace("  ignore: [{kind: 255}]\n", "")
    mast.write_text(layout.replace("length + 5", "length + 6\n  checksum: {kind: sum8}"))
    source = mast.parent / "mast_1.bin"
    source.write_bytes(make_wind(BEGIN) + b"?")
    done = command_here("dayfile", "try", mast, source, archive=None)
    assert "rejected: 1 record of wind: wrong checksum (at byte 0)" in done.out


def test_where_no_checksum_is_right_it_is_said_what_to_check(mast, command_here):
    mast.write_text(mast.read_text().replace("length + 5", "length + 6\n  checksum: {kind: sum8}"))
    source = mast.parent / "mast_1.bin"
    source.write_bytes(make_wind(BEGIN) + b"?")
    done = command_here("dayfile", "try", mast, source, archive=None)
    assert "no checksum is right: check size, byte_order" in done.out


def test_an_array_is_shown_by_its_first_elements_with_their_number_apart(mast, try_bytes):
    mast.write_text(MAST.replace("physical: {scale: 0.01, unit: m/s}", "shape: [6]"))
    record = b"\xa5\x5a\x01\x10\x01" + struct.pack("<I6H", BEGIN, 233, 214, 204, 198, 5, 9)
    assert "[233 214 204 198 …] (6)" in try_bytes(record).out
