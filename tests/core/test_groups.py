"""Records of many sources are written together: what becomes of each source is what becomes of it by itself."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from dayfile import Instrument, hookimpl, open_archive
from dayfile.engine.decoding import find_appended
from dayfile.engine.pieces import Piece, merge_batches
from dayfile.engine.writing import split_into_rounds
from dayfile.errors import PluginError
from dayfile.model.batch import SOURCE_STEP, Source

texts = st.none() | st.binary(max_size=6)
events = st.lists(
    st.tuples(st.integers(0, 999), st.floats(0, 9, width=32), st.just("a"), texts, texts), min_size=1, max_size=4
)


def told(batch):
    """Each record of a batch: what it holds, with its blobs in place of their indexes, and its number."""
    found = []
    for record, number in zip(batch.records, batch.numbers.tolist(), strict=True):
        cells = {
            name: [batch.blobs.values[index] if index >= 0 else None for index in np.ravel(record[name]).tolist()]
            if name in BLOBS
            else record[name].tolist()
            for name in batch.records.dtype.names
        }
        found.append((cells, number))
    return found


BLOBS = ("traces", "message")


@settings_of_hypothesis(deadline=None)
@given(rows=st.lists(events, min_size=1, max_size=6), steps=st.data())
def test_joined_batches_hold_each_record_with_its_blobs_and_number(school, rows, steps):
    places = np.cumsum([steps.draw(st.integers(1, 3)) for _ in rows]).tolist()
    batches = [school.make_events(each, None, 7) for each in rows]
    batch = merge_batches(batches, places, ["traces"])
    expected = [
        (cells, number + place * SOURCE_STEP)
        for each, place in zip(batches, places, strict=True)
        for cells, number in told(each)
    ]
    assert told(batch) == expected
    lengths = [len(each) for each in batches]
    owners = np.concatenate([each.blobs.owners + sum(lengths[:n]) for n, each in enumerate(batches)])
    assert batch.blobs.owners.tolist() == owners.tolist()
    piece = Piece("school", "school.events", "a.h5", school.day, batch, np.repeat(places, lengths))
    assert piece.counts == dict(zip(places, lengths, strict=True))
    for each, place in zip(batches, places, strict=True):
        part = piece.select([place], ["traces"])
        assert [cells for cells, _ in told(part.batch)] == [cells for cells, _ in told(each)]
        assert set(part.sources.tolist()) == {place}
    assert piece.select(places, ["traces"]) is piece


def test_numbers_stay_whole_whatever_integers_a_plugin_gives(school):
    batches = [school.make_events([(1, 2.0, "a", None, None)] * 2, np.arange(2), 7) for _ in range(2)]
    odd = [replace(batch, numbers=batch.numbers.astype(np.uint64)) for batch in batches]
    for few in (1, 2):
        batch = merge_batches(odd[:few], [5, 6][:few], ["traces"])
        assert batch.numbers.dtype == np.int64
        assert batch.numbers.tolist() == [place * SOURCE_STEP + n for place in [5, 6][:few] for n in range(2)]


def test_an_index_of_a_blob_of_another_source_is_refused(school):
    """Put together, it would be that of a blob which is there."""
    good, bad = (school.make_events([(1, 2.0, "a", b"x", b"y")], None, 7) for _ in range(2))
    bad.records["traces"][0, 0] = 2
    with pytest.raises(PluginError, match="point in traces to blobs that the batch does not have"):
        merge_batches([bad, good], [0, 1], ["traces"])


def test_no_source_is_in_a_round_twice():
    sources = [Source(None, "x", content) for content in (b"a", b"b", b"a", b"c", b"a", b"b")]
    assert list(split_into_rounds(sources)) == [[0, 1, 3], [2, 5], [4]]
    assert list(split_into_rounds([])) == []


def test_records_of_slots_and_codes_of_several_kinds_stay_by_themselves(muon, school):
    types = {**muon.types, **{f"school.{name}": each for name, each in school.types.items()}}
    assert find_appended(types.values()) == {
        ("muon", "MuonHit"): (),
        ("muon", "MuonRun"): (),
        ("school", "EVT"): ("traces",),
        ("school", "ERR"): ("message",),
    }


class Paper(Instrument):
    """School detectors that upload JSON; the indexes of blobs can be anything."""

    def __init__(self, school):
        super().__init__(school.layout, "school.yaml")
        self.school = school
        self.writes = []

    @hookimpl
    def decode(self, source):
        if not source.name.endswith(".paper"):
            return None
        told = json.loads(source.content)
        batch = self.school.make_events(
            [(second, 1.0, "a", b"%d" % second, None) for second in told["seconds"]], None, 7
        )
        batch.records["traces"][:, 0] += told.get("off", 0)
        return [batch]

    @hookimpl(tryfirst=True)
    def write(self, work_file, data_type, batch):
        self.writes.append(len(batch))
        if (batch.records["timestamp"] - self.school.start == 13).any():
            raise RuntimeError("there is no second 13")


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_source_that_fails_costs_the_others_of_its_group_nothing(archive, school, plugins_of, size):
    for number in range(10):
        told = {"seconds": [13, 500] if number == 4 else [20 * number, 20 * number + 1], "off": 3 if number == 7 else 0}
        archive.drop(f"{number}.paper", json.dumps(told).encode())
    archive.drop("again.paper", json.dumps({"seconds": [0, 1], "off": 0}).encode())
    paper = Paper(school)
    report = archive.run(plugins=plugins_of(school=paper), tuning={"group_sources": size})
    assert {entry.source for entry in report.quarantine} == {"4.paper", "7.paper"}
    assert "there is no second 13" in report.quarantine[0].reason
    assert "blobs that the batch does not have" in report.quarantine[1].reason
    assert report.sources == {"archived": 8, "already": 1, "quarantined": 2, "held": 0, "left": 0}
    records = open_archive(archive.root.path).read("school.events")
    seconds = sorted(20 * number + more for number in range(10) if number not in {4, 7} for more in (0, 1))
    assert (records["timestamp"] - school.start).tolist() == seconds
    assert [values[0] for values in records.all_blobs("traces").tolist()] == [b"%d" % second for second in seconds]


def test_records_of_a_group_are_written_together(archive, school, plugins_of):
    for number in range(10):
        archive.drop(f"{number}.paper", json.dumps({"seconds": [20 * number]}).encode())
    paper = Paper(school)
    archive.run(plugins=plugins_of(school=paper))
    assert paper.writes == [10]


def test_of_a_group_the_last_record_for_a_slot_replaces_those_before_it(archive, muon):
    for number in range(5):
        rates = muon.records("rates", [{"second": muon.start + number % 2, "temperature": number}])
        archive.drop("MuonRates.be.bin", muon.stream("rates", rates), str(number))
    report = archive.run(on_conflict="replace")
    assert report.records["muon.rates"] == {"written": 1, "identical": 0, "overlap": 4, "rejected": 0}
    (path,) = report.day_files
    with tables.open_file(archive.root.path / path) as file:
        assert file.get_node("/rates")[0]["temperature"] == 4
        assert file.get_node("/rates_overlap").read()["temperature"].tolist() == [0, 1, 2, 3]
