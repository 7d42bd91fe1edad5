"""Blobs: kept byte for byte, in the order in which they were sent, whichever table refers to them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tables
from hypothesis import given
from hypothesis import strategies as st

from dayfile import Batch, Blobs
from dayfile.hdf5.vlen import open_vlen_array
from dayfile.stores.blobs import BlobArray

EVENTS, ERRORS, BLOBS = (f"/school/station_7/{name}" for name in ("events", "errors", "blobs"))


def read(path, *nodes):
    with tables.open_file(path) as file:
        return [file.get_node(node).read() for node in nodes]


def test_blobs_of_two_tables_stand_in_the_order_in_which_they_were_sent(school, work_file):
    work = work_file(school.day)
    work.begin()
    work.write(school.events, school.make_events([(1, 1, b"", b"0a", b"0b"), (2, 1, b"", b"2", None)], numbers=[0, 2]))
    work.write(school.errors, school.make_errors([(1, b"1"), (2, b"3")], numbers=[1, 3]))
    work.begin()
    work.write(school.errors, school.make_errors([(3, b"5")], numbers=[1]))
    work.write(school.events, school.make_events([(3, 1, b"", b"4", None)], numbers=[0]))
    work.publish()
    events, errors, blobs = read(work.published, EVENTS, ERRORS, BLOBS)
    assert blobs == [b"0a", b"0b", b"1", b"2", b"3", b"4", b"5"]
    assert events["traces"].tolist() == [[0, 1], [3, -1], [5, -1]]
    assert errors["message"].tolist() == [2, 4, 6]


def test_the_order_holds_when_a_record_in_between_is_there_already(school, work_file):
    work = work_file(school.day)
    work.begin()
    work.write(school.errors, school.make_errors([(9, b"first")], numbers=[0]))
    work.begin()
    work.write(school.events, school.make_events([(1, 1, b"", b"0", None), (2, 1, b"", b"3", None)], numbers=[0, 3]))
    work.write(school.errors, school.make_errors([(9, b"first"), (1, b"2")], numbers=[1, 2]))
    work.publish()
    assert read(work.published, BLOBS) == [[b"first", b"0", b"2", b"3"]]


def test_blobs_of_a_second_run_come_after_those_of_the_first(school, work_file):
    for second, blob in enumerate((b"z", b"a", b"m")):
        work = work_file(school.day)
        work.begin()
        work.write(school.events, school.make_events([(second, 1, b"", None, blob)]))
        work.publish()
    events, blobs = read(work.published, EVENTS, BLOBS)
    assert blobs == [b"z", b"a", b"m"]
    assert events["traces"].tolist() == [[-1, 0], [-1, 1], [-1, 2]]


def test_an_empty_blob_is_kept_and_is_not_the_same_as_none(school, work_file):
    work = work_file(school.day)
    work.begin()
    rows = [(5, 1, b"", b"", None), (5, 1, b"", None, None), (5, 1, b"", None, b"")]
    assert work.write(school.events, school.make_events(rows)).tolist() == [0, 0, 0]
    assert work.write(school.events, school.make_events(rows)).tolist() == [3, 3, 3]
    work.publish()
    events, blobs = read(work.published, EVENTS, BLOBS)
    assert blobs == [b"", b""]
    assert sorted(events["traces"].tolist()) == [[-1, -1], [-1, 1], [0, -1]]


def sent_twice(school):
    """A record that sent its trace twice: the field refers to the second one only."""
    batch = school.make_events([(5, 1, b"", b"replaced", None), (6, 1, b"", b"last", None)])
    records = batch.records.copy()
    records["traces"] = [[1, -1], [2, -1]]
    blobs = Blobs([b"replaced", b"valid", b"last"], np.array([0, 0, 1]))
    return replace(batch, records=records, blobs=blobs)


def test_a_blob_that_was_sent_twice_by_one_record_stays_though_nothing_refers_to_it(school, work_file):
    work = work_file(school.day)
    work.begin()
    work.write(school.events, sent_twice(school))
    work.publish()
    events, blobs = read(work.published, EVENTS, BLOBS)
    assert blobs == [b"replaced", b"valid", b"last"]
    assert events["traces"].tolist() == [[1, -1], [2, -1]]


def test_a_record_with_a_blob_sent_twice_is_recognised_when_it_comes_again(school, work_file):
    for expected in ([0, 0], [3, 3]):
        work = work_file(school.day)
        work.begin()
        assert work.write(school.events, sent_twice(school)).tolist() == expected
        work.publish()
    assert read(work.published, BLOBS) == [[b"replaced", b"valid", b"last"]]


def test_more_than_waits_in_memory_is_stored_in_order_with_the_right_indexes(school, work_file):
    work = work_file(school.day)
    big = [bytes([65 + number]) * 5_000_000 for number in range(3)]
    for number, blob in enumerate(big):
        work.begin()
        work.write(school.events, school.make_events([(number, 1, b"", blob, b"small %d" % number)]))
    work.publish()
    events, blobs = read(work.published, EVENTS, BLOBS)
    assert events["traces"].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert blobs == [value for number, blob in enumerate(big) for value in (blob, b"small %d" % number)]


@given(st.lists(st.tuples(st.integers(0, 5), st.binary(max_size=3)), max_size=20), st.sets(st.integers(0, 19)))
def test_values_are_stored_by_key_and_known_by_number_across_flushes(sent, flushes):
    with tables.open_file("blobs.h5", "w", driver="H5FD_CORE", driver_core_backing_store=0) as file:
        file.create_vlarray("/", "blobs", tables.VLStringAtom())
        blobs = BlobArray(open_vlen_array(file, "/blobs"))
        expected, waiting, numbers = [], [], []
        for place, (key, value) in enumerate(sent):
            numbers.append(blobs.add([value], np.array([key])))
            waiting.append((key, value))
            if place in flushes or place == len(sent) - 1:
                blobs.flush()
                expected += [value for _, value in sorted(waiting, key=lambda pair: pair[0])]
                waiting = []
        assert blobs.array.read(0, blobs.rows) == expected
        places = blobs.indexes(np.array(numbers, np.int64)).tolist()
        assert [expected[place] for place in places] == [value for _, value in sent]
        assert blobs.indexes(np.array([-1])).tolist() == [-1]
        blobs.array.close()


chosen_and_blobs = st.lists(st.tuples(st.booleans(), st.lists(st.binary(max_size=2), max_size=3)), max_size=8)


@given(chosen_and_blobs)
def test_selecting_records_takes_their_blobs_along_and_no_others(rows):
    """Each record refers to its last blob; those before it were sent too."""
    records = np.zeros(len(rows), [("number", "<i8"), ("blob", "<i4")])
    values, owners = [], []
    for index, (_, blobs) in enumerate(rows):
        values += blobs
        owners += [index] * len(blobs)
        records[index] = (index, len(values) - 1 if blobs else -1)
    chosen = np.array([take for take, _ in rows], bool)
    batch = Batch("x", "X", records, np.arange(len(rows)) * 10, {}, Blobs(values, np.array(owners, np.int64)))
    part = batch.select(chosen, ["blob"])
    kept = [(index, blobs) for index, (take, blobs) in enumerate(rows) if take]
    assert part.records["number"].tolist() == [index for index, _ in kept]
    assert part.numbers.tolist() == [index * 10 for index, _ in kept]
    assert list(part.blobs.values) == [blob for _, blobs in kept for blob in blobs]
    assert part.blobs.owners.tolist() == [place for place, (_, blobs) in enumerate(kept) for _ in blobs]
    told = [part.blobs.values[cell] if cell >= 0 else None for cell in part.records["blob"].tolist()]
    assert told == [blobs[-1] if blobs else None for _, blobs in kept]
    assert batch.records["number"].tolist() == list(range(len(rows)))
