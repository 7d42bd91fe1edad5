"""Which rows hold a record: days with gaps, and times that look like empty slots."""

from __future__ import annotations

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import make_plugins, run_archive
from dayfile import Instrument, open_archive
from dayfile.archive.gathering import keep_rows
from dayfile.archive.reading import Reader
from instruments import make_stream

STRETCHES = st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=40)
LAYOUT = """\
instrument: muon
title: Muon telescope on the roof
clock: {epoch: 1970-01-01T00:00:00, unit: s, undefined: [%s]}
path: "muon/{year}/{month:02}/{day:02}.{suffix}.h5"
sources: [struct_streams]
types:
  rates:
    code: MuonRates
    title: Rates
    store: slots
    period: 256
    time: {field: second, fraction: nano, unit: ns, whole: both}
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: nano, type: uint32, unit: ns}
      - {name: both, type: uint64, unit: ns}
      - {name: counts, type: uint16}
      - {name: more, type: uint16}
"""
ASKED = [{}, {"fields": ["counts"]}, {"fields": ["second", "counts"]}, {"physical": True}, {"where": "counts > 0"}]


def archive_rates(archive, instrument, seconds):
    """Archive a record for each second, with counts from 7 on."""
    plugins = make_plugins(muon=instrument)
    (data_type,) = plugins.data_types.values()
    records = np.zeros(len(seconds), data_type.dtype)
    records["second"], records["counts"] = seconds, 7 + np.arange(len(seconds))
    archive.drop("MuonRates.le.bin", make_stream(instrument, data_type, records, "little"))
    report = run_archive(archive.root, plugins)
    assert report.records["muon.rates"]["written"] == len(seconds)
    return data_type


def test_the_time_of_one_record_is_that_of_the_record_among_others():
    data_type = Instrument(LAYOUT % "0", "muon.yaml").layout.types[0]
    records = np.array([(57801600, 5, 0, 1, 1), (57801601, 0, 0, 1, 1)], data_type.dtype)
    assert data_type.find_begins(records[0]) == data_type.find_begins(records)[0]
    assert data_type.timed(records[0])


def check_counts(opened, number):
    """Check that all records are found, whatever is asked."""
    for asked in ASKED:
        assert sorted(opened.read("muon.rates", **asked)["counts"]) == list(range(7, 7 + number)), asked
        assert sum(map(len, opened.iter("muon.rates", rows=1, **asked))) == number, asked


@settings(max_examples=200, deadline=None)
@given(STRETCHES, st.sampled_from([1, 4, 12, 25]), st.booleans())
def test_rows_that_are_taken_are_those_of_a_plain_loop(stretches, itemsize, in_place):
    taken = np.repeat(*np.array(stretches, int).reshape(-1, 2).T).astype(bool)
    rows = np.random.default_rng(len(taken)).integers(0, 256, len(taken) * itemsize).astype(np.uint8)
    rows = rows.view(np.dtype((np.void, itemsize)))
    expected = [row.tobytes() for row, is_taken in zip(rows, taken, strict=True) if is_taken]
    out = rows[: len(expected)] if in_place else np.zeros(len(expected), rows.dtype)
    keep_rows(rows, taken, out)
    assert [row.tobytes() for row in out] == expected


def test_a_day_that_misses_hours_is_read_whole(archive, muon):
    slots = np.setdiff1d(np.arange(337), [*range(20), 100, *range(200, 260)])
    rows = [{"second": muon.start + 256 * int(slot) + 5, "quality": int(slot) % 200} for slot in slots]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    archive.run()
    assert archive.seconds("muon.rates") == (256 * slots + 5).tolist()


@pytest.mark.parametrize(("undefined", "seconds"), [("0", [2**32 - 1, 2**32 - 257]), ("0xFFFFFFFF", [0, 256])])
def test_a_time_of_bytes_like_those_of_an_empty_slot_is_read(archive, undefined, seconds):
    archive_rates(archive, Instrument(LAYOUT % undefined, "muon.yaml"), seconds)
    check_counts(open_archive(archive.root.path), len(seconds))


@pytest.mark.parametrize("undefined", ["0", "0, 0xFFFFFFFF"])
def test_a_table_without_the_newest_field_that_declares_nothing_is_read(archive, undefined):
    instrument = Instrument(LAYOUT % undefined, "muon.yaml")
    data_type = archive_rates(archive, instrument, [57801600, 57801856])
    (path,) = archive.root.path.glob("muon/**/*.h5")
    with tables.open_file(path, "r+") as file:
        node = data_type.placement.node.path
        rows = file.get_node(node).read()
        older = np.zeros(len(rows), [(name, rows.dtype[name]) for name in rows.dtype.names[:-1]])
        for name in older.dtype.names:
            older[name] = rows[name]
        file.remove_node(node)
        file.create_table("/", node.strip("/"), obj=older)
    check_counts(Reader(archive.root, [data_type]), 2)
