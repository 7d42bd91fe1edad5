"""A day of CRIS and SIS Level 1 records, as HDF4 and as streams, against the checksums that came with it."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

import dayfile
from dayfile_cris import instrument as cris
from dayfile_sis import instrument as sis
from instruments import make_stream

TYPES = {t.code: (i, t) for i in (cris, sis) for t in i.layout.types}


def stream(archive, code: str) -> bytes:
    """Big-endian, naturally aligned bytes of all records of a type, in time order."""
    instrument, data_type = TYPES[code]
    records = archive.read(data_type.name)
    return make_stream(instrument, records.data_type, records.array, "big")


@pytest.fixture(scope="module")
def manifest(samples):
    return json.loads((samples / "ace" / "manifest.json").read_text())


def test_every_record_of_the_day_comes_out_as_it_went_in(samples, manifest, archive_run, tmp_path):
    files = sorted((samples / "ace").glob("*.hdf"))
    done = archive_run(*files, "--plugins", "cris,sis", "--archive", "C", "--report", "report.json")
    assert done.returncode == 0, done.stderr
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["sources"] == {"archived": 3, "already": 0, "quarantined": 0, "held": 0, "left": 0}
    archive = dayfile.open_archive(tmp_path / "C")
    for told in (manifest["files"][path.name] for path in files):
        for code, facts in told.items():
            _, data_type = TYPES[code]
            counts = report["records"][data_type.name]
            assert counts == {"written": facts["records"], "identical": 0, "overlap": 0, "rejected": 0}
            assert hashlib.sha256(stream(archive, code)).hexdigest() == facts["sha256_big_endian_stream"], code

    before = {path: path.read_bytes() for path in (tmp_path / "C").rglob("*.h5")}
    again = archive_run(*files, "--plugins", "cris,sis", "--archive", "C", "--report", "report.json")
    assert again.returncode == 0
    assert json.loads((tmp_path / "report.json").read_text())["sources"]["already"] == 3
    assert before == {path: path.read_bytes() for path in (tmp_path / "C").rglob("*.h5")}

    records = {code: stream(archive, code) for code in TYPES}
    streams = archive_run(samples / "ace" / "streams", "--plugins", "cris,sis", "--archive", "C", "--report", "r.json")
    assert streams.returncode == 0, streams.stderr
    for counts in json.loads((tmp_path / "r.json").read_text())["records"].values():
        assert counts["identical"] > 0
        assert (counts["written"], counts["overlap"], counts["rejected"]) == (0, 0, 0)
    assert records == {code: stream(archive, code) for code in TYPES}


def test_both_byte_orders_give_the_same_records(samples, manifest, archive_run, tmp_path):
    for order in ("be", "le"):
        file = samples / "ace" / "streams" / f"L1CrisHighPriorityRate.{order}.bin"
        assert archive_run(file, "--plugins", "cris", "--archive", order).returncode == 0
    big, little = (dayfile.open_archive(tmp_path / order).read("cris.high_priority_rates") for order in ("be", "le"))
    assert len(big) == 5308
    np.testing.assert_array_equal(big.array, little.array)
