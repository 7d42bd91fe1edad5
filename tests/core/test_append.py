"""The append store: every record once, in order of arrival, however it comes and however often."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import make_work_file
from dayfile import Status
from dayfile.errors import SourceError

WRITTEN, IDENTICAL = Status.WRITTEN, Status.IDENTICAL
EVENTS, BLOBS = "/school/station_7/events", "/school/station_7/blobs"

# Few values, so that records meet: equal ones, and ones that differ in a blob only, or in what follows a NUL.
traces = st.sampled_from([None, b"", b"\0", b"a", b"b"])
events = st.tuples(
    st.sampled_from([0, 1, 86399]), st.sampled_from([1.0, -0.0, 0.0]), st.sampled_from([b"x", b"x\0y"]), traces, traces
)
any_events = st.lists(events, min_size=1, max_size=25)
any_cuts = st.sets(st.integers(1, 24), max_size=5)
any_reopenings = st.sets(st.integers(0, 5), max_size=3)


def key(event):
    """What makes two events the same record: every byte (0.0 and -0.0 are equal to Python)."""
    second, height, label, *blobs = event
    return second, str(height), label, tuple(blobs)


def stored(path):
    """Events of a day file, in the form they were made from, and their numbers."""
    with tables.open_file(path) as file:
        rows = file.get_node(EVENTS).read()
        blobs = file.get_node(BLOBS).read()
    raw = rows["label"].copy().view("V4")
    texts = [bytes(text).rstrip(b"\0") for text in raw.tolist()]
    found = [
        (int(row["timestamp"] - 1488067200), float(row["height"]), text, *(blobs[i] if i >= 0 else None for i in cells))
        for row, text, cells in zip(rows, texts, rows["traces"].tolist(), strict=True)
    ]
    return found, rows["event_id"].tolist()


def write_in_parts(work, school, many, cuts, reopenings):
    """Statuses of events, written in parts, some of them after closing the file in between."""
    statuses = []
    edges = [0, *sorted(cut for cut in cuts if cut < len(many)), len(many)]
    for number, (first, last) in enumerate(pairwise(edges)):
        work.begin()
        statuses += work.write(school.events, school.make_events(many[first:last])).tolist()
        if number in reopenings:
            work.close()
    work.close()
    return statuses


@settings(max_examples=80, deadline=None)
@given(many=any_events, cuts=any_cuts, reopenings=any_reopenings)
def test_each_record_is_stored_once_in_any_split_and_repetition(school, many, cuts, reopenings):
    keys = [key(event) for event in many]
    with tempfile.TemporaryDirectory() as directory:
        work = make_work_file(Path(directory), school.day)
        statuses = write_in_parts(work, school, many, cuts, reopenings)
        found, numbers = stored(work.path)
    assert statuses == [WRITTEN if keys.index(one) == place else IDENTICAL for place, one in enumerate(keys)]
    assert sorted(map(repr, map(key, found))) == sorted(map(repr, set(keys)))
    assert numbers == list(range(1, len(found) + 1))


@settings(max_examples=50, deadline=None)
@given(many=any_events, order=st.randoms())
def test_any_order_gives_the_same_set_of_records(school, many, order):
    shuffled = list(many)
    order.shuffle(shuffled)
    held = []
    with tempfile.TemporaryDirectory() as directory:
        for name, rows in (("one", many), ("other", shuffled)):
            work = make_work_file(Path(directory), school.day, name)
            write_in_parts(work, school, rows, set(), set())
            held.append({key(event) for event in stored(work.path)[0]})
    assert held[0] == held[1]


def write(work, school, *many):
    work.begin()
    return work.write(school.events, school.make_events(list(many))).tolist()


def test_the_same_records_in_a_second_run_are_identical_and_change_nothing(school, work_file):
    many = [(5, 1.5, b"x", b"trace", None), (6, 1.5, b"y", None, b"other")]
    first = work_file(school.day)
    assert write(first, school, *many) == [WRITTEN, WRITTEN]
    first.publish()
    second = work_file(school.day)
    assert write(second, school, *many, *many) == [IDENTICAL] * 4
    second.publish()
    assert stored(second.published) == (many, [1, 2])


def test_numbering_goes_on_in_a_second_run(school, work_file):
    for second in range(3):
        work = work_file(school.day)
        write(work, school, (second, 1, b"x", b"%d" % second, None), (second, 2, b"x", None, None))
        work.publish()
    found, numbers = stored(work.published)
    assert numbers == [1, 2, 3, 4, 5, 6]
    assert [event[3] for event in found] == [b"0", None, b"1", None, b"2", None]


def test_a_number_that_was_sent_tells_no_records_apart(school, work_file):
    work = work_file(school.day)
    batch = school.make_events([(5, 1.5, b"x", None, None)] * 2)
    batch.records["event_id"] = [41, 42]
    work.begin()
    assert work.write(school.events, batch).tolist() == [WRITTEN, IDENTICAL]
    work.publish()
    assert stored(work.published)[1] == [1]


def test_equal_rows_with_other_blobs_are_other_records(school, work_file):
    work = work_file(school.day)
    row = (5, 1.5, b"x")
    statuses = write(work, school, (*row, b"a", None), (*row, b"b", None), (*row, None, b"a"), (*row, b"a", None))
    assert statuses == [WRITTEN, WRITTEN, WRITTEN, IDENTICAL]
    assert write(work, school, (*row, b"b", None), (*row, b"b", b""), (*row, None, None)) == [
        IDENTICAL,
        WRITTEN,
        WRITTEN,
    ]
    work.publish()
    assert len(stored(work.published)[0]) == 5


@pytest.mark.parametrize("cuts", [set(), {1}, {3}], ids=str)
def test_rows_stand_in_order_of_arrival_in_any_split(school, work_file, cuts):
    many = [
        (1, 1.0, b"x", b"a", None),
        (5, 1.0, b"x", b"a", None),
        (5, 1.0, b"x", b"b", None),
        (9, 1.0, b"x", b"a", None),
    ]
    work = work_file(school.day)
    write_in_parts(work, school, many, cuts, set())
    assert stored(work.path)[0] == many


def test_records_of_two_stations_do_not_meet(school, work_file):
    work = work_file(school.day)
    work.begin()
    for station in (7, 8):
        batch = school.make_events([(5, 1.5, b"x", b"a", None)], station=station)
        assert work.write(school.events, batch).tolist() == [WRITTEN]
    work.publish()
    with tables.open_file(work.published) as file:
        assert [file.get_node(f"/school/station_{station}/events").nrows for station in (7, 8)] == [1, 1]
        assert file.get_node("/school/station_8")._v_title == "Station 8"


def test_bytes_after_a_nul_and_payloads_of_nans_tell_records_apart_and_survive(muon, work_file):
    records = muon.records("hits", [{"second": muon.start, "label": b"a\0b"}] * 4)
    records["label"][1] = b"a\0c"
    records["energy"][2:] = np.array([0x7FF8000000000001, 0x7FF8000000000002], np.uint64).view(np.float64)
    work = work_file(muon.day)
    assert work.write(muon.hits, muon.batch("hits", records)).tolist() == [WRITTEN] * 4
    work.close()
    assert work.write(muon.hits, muon.batch("hits", records)).tolist() == [IDENTICAL] * 4
    work.publish()
    with tables.open_file(work.published) as file:
        assert file.get_node("/hits").read().tobytes() == records.tobytes()


def test_intervals_are_stored_once_and_overlapping_ones_side_by_side(muon, work_file):
    rows = [{"first": muon.start + first, "last": muon.start + last} for first, last in ((0, 10), (5, 15), (0, 10))]
    work = work_file(muon.day)
    assert work.write(muon.runs, muon.batch("runs", muon.records("runs", rows))).tolist() == [0, 0, IDENTICAL]
    work.publish()
    with tables.open_file(work.published) as file:
        assert file.get_node("/runs").nrows == 2


def test_more_rows_than_one_reading_takes_are_all_recognised(muon, work_file):
    records = np.zeros(150_000, muon.hits.dtype)
    records["second"] = muon.start + np.arange(len(records)) // 2
    records["channel"] = np.arange(len(records)) % 2
    first = work_file(muon.day)
    assert not first.write(muon.hits, muon.batch("hits", records)).any()
    first.publish()
    second = work_file(muon.day)
    again = records[::7]
    assert (second.write(muon.hits, muon.batch("hits", again)) == IDENTICAL).all()
    second.close()
    with tables.open_file(second.path) as file:
        assert file.get_node("/hits").nrows == len(records)


def test_keep_duplicates_stores_every_record_that_is_sent(school, work_file):
    work = work_file(school.day, keep_duplicates=True)
    many = [(5, 1.5, b"x", b"trace", None)] * 3
    assert write(work, school, *many) == [WRITTEN] * 3
    work.publish()
    assert stored(work.published) == (many, [1, 2, 3])


@pytest.mark.parametrize("station", ["", "a/b", "..", ".", "a\nb"])
def test_a_key_that_cannot_name_a_group_is_refused(school, work_file, station):
    work = work_file(school.day)
    with pytest.raises(SourceError, match="cannot name a group"):
        work.write(school.events, school.make_events([(5, 1.5, b"x", None, None)], station=station))


@pytest.mark.parametrize("path", ["/school/station_{station}/events", "/school/titled/events"])
def test_a_key_that_the_source_does_not_tell_is_named(school, work_file, path):
    batch = replace(school.make_events([(5, 1.5, b"x", None, None)]), keys={})
    placement = school.events.placement
    data_type = replace(school.events, placement=replace(placement, node=replace(placement.node, path=path)))
    with pytest.raises(SourceError, match="does not say the station"):
        work_file(school.day).write(data_type, batch)
