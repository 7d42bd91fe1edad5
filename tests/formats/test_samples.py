"""Layouts without Python read samples of real detectors as their makers say."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.formats.expected import decode, flatten, read_expected

from dayfile import Source
from dayfile.formats.compressed import unfold

SAMPLES = Path(os.environ.get("DAYFILE_SAMPLES", "")) / "formats"
LAYOUTS = {
    "slots": "house.yaml",
    "ccsds_cds": "jpss.yaml",
    "ccsds_hs": "hs.yaml",
    "imager": "imager.yaml",
    "counts_h": "crate.yaml",
    "cosmicwatch": "cosmicwatch.yaml",
    "ubx": "ubx.yaml",
    "slowcontrol": "station.yaml",
}
NAMES = {
    "ccsds_hs": {"sequence count": "sequence_count"},
    "counts_h": {"time.seconds": "seconds", "time.nanoseconds": "nanoseconds"},
    "slowcontrol": {"env.temp": "temp", "env.hum": "hum", "env.press": "press"},
}
LEFT_OUT = {"version", "type", "secondary header", "apid", "sequence flags", "length", "size", "notused", "crate"}
"""Values of frames that the layouts do not keep with each record."""

if not SAMPLES.is_dir():
    pytest.skip("no samples: set DAYFILE_SAMPLES", allow_module_level=True)

CASES = [
    pytest.param(folder, name, id=f"{folder}/{name}")
    for folder in LAYOUTS
    for name in read_expected(SAMPLES / folder)["files"]
]


def find_layout(folder: str, name: str) -> str:
    return "slow.yaml" if name.endswith(".kv") else LAYOUTS[folder]


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_records_and_times_of_each_type_are_found(folder: str, name: str) -> None:
    expected = read_expected(SAMPLES / folder)["files"][name]
    decoded = decode(find_layout(folder, name), SAMPLES / folder / name)
    due = dict(expected["records"])
    found = {code: count for code, count in decoded.count().items() if code in due or not code.startswith("NAV")}
    for implausible in expected.get("rejected", []):
        if "time after" in implausible["reason"]:
            due["house"] += 1  # set aside later, when it is compared with 'valid'
    due = {code: count + len(expected.get("not plausible (after 2030)", [])) for code, count in due.items()}
    assert found == due
    for code, times in expected["times"].items():
        if due[code] == expected["records"][code]:
            found_times = decoded.times(code)
            assert str(found_times.min()) == times["first"]
            assert str(found_times.max()) == times["last"]


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_what_is_no_record_is_rejected_at_its_offset(folder: str, name: str) -> None:
    expected = read_expected(SAMPLES / folder)["files"][name]
    decoded = decode(find_layout(folder, name), SAMPLES / folder / name)
    due = [(each["offset"], each["length"]) for each in expected["rejected"] if "time after" not in each["reason"]]
    assert sorted(each.offset for each in decoded.rejected) == [offset for offset, _ in due]
    bytes_of_source = unfold(Source.read(SAMPLES / folder / name), 2**30).content
    for rejected, (offset, length) in zip(sorted(decoded.rejected, key=lambda each: each.offset), due, strict=True):
        assert rejected.content.endswith(bytes_of_source[offset : offset + length])


@pytest.mark.parametrize(("folder", "name"), CASES)
def test_values_are_what_the_bytes_say(folder: str, name: str) -> None:
    expected = read_expected(SAMPLES / folder)["files"][name]
    decoded = decode(find_layout(folder, name), SAMPLES / folder / name)
    for said in expected["values"]:
        data_type, record, keys = decoded.merged(said["type"])[said["record"]]
        for path, value in flatten(said["raw"]):
            field = NAMES.get(folder, {}).get(path, path.removeprefix("status_"))
            if path in LEFT_OUT or "[" in path or (folder == "slots" and path == "mode"):
                continue
            check(record, field, value, data_type, keys)


def check(record: np.void, field: str, value: Any, data_type: Any, keys: Any) -> None:
    if field in keys:
        assert str(keys[field]) == str(value)
        return
    if isinstance(value, list) and value and isinstance(value[0], dict | list) and "pmt" in field:
        for layer, tubes in enumerate(value):
            for tube, values in enumerate(tubes):
                for name, one in values.items():
                    assert record[f"pmt_{name}"][layer, tube] == one
        return
    if field not in (record.dtype.names or ()):
        assert field in {"satellites", "channels", "t"} or " " in field, field
        return
    found = record[field]
    if value is None:
        assert found == b"" or math.isnan(found)
    elif isinstance(value, str) and found.dtype.kind != "S":
        assert found.tobytes().hex() == value
    elif isinstance(value, str):
        assert found.decode() == value
    elif isinstance(value, list) and (not value or isinstance(value[0], str)):
        assert [each.decode() for each in found.tolist() if each] == value
    else:
        np.testing.assert_array_equal(found, value)
