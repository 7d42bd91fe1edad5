"""The slots store does what the put routines of 1998 did, record by record, however the records are batched."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import make_work_file
from dayfile import Batch, Clock, Instrument, Status, open_archive

WRITTEN, CONFLICT, IN_CONFLICT, IDENTICAL, _ = Status


class Model:
    """Slots and overlap as plain bytes, one record at a time."""

    def __init__(self, size, start, period):
        self.size, self.start, self.period = size, start, period
        self.slots = {}
        self.overlap = []

    def put(self, time, record):
        slot = (time - self.start) // self.period
        held = self.slots.get(slot, bytes(self.size))
        if held == bytes(self.size):
            self.slots[slot] = record
            return WRITTEN
        if held == b"\xff" * self.size:
            self.overlap.append(record)
            return IN_CONFLICT
        if held == record:
            return IDENTICAL
        self.overlap += [held, record]
        self.slots[slot] = b"\xff" * self.size
        return CONFLICT


def content(path):
    """Slots that are not empty, by number, and the rows of overlap, as bytes."""
    with tables.open_file(path) as file:
        rows = file.get_node("/rates").read()
        slots = {slot: row.tobytes() for slot, row in enumerate(rows) if any(row.tobytes())}
        overlap = file.get_node("/rates_overlap").read() if "/rates_overlap" in file else []
        return len(rows), slots, [row.tobytes() for row in overlap]


# Few slots and few contents, so that records meet; the last slot reaches past midnight.
few = st.tuples(st.sampled_from([0, 1, 255, 256, 300, 600, 43008, 86272, 86399]), st.sampled_from([1, 2, 3]))
any_records = st.lists(few, min_size=1, max_size=30)
any_cuts = st.sets(st.integers(1, 29), max_size=6)
any_reopenings = st.sets(st.integers(0, 6), max_size=3)


def made(muon, many):
    rows = [{"second": muon.start + second, "temperature": value, "label": b"a\0b"} for second, value in many]
    return muon.records("rates", rows)


@settings(max_examples=80, deadline=None)
@given(many=any_records, cuts=any_cuts, reopenings=any_reopenings)
def test_any_split_into_batches_gives_the_statuses_slots_and_overlap_of_one_record_at_a_time(
    muon, many, cuts, reopenings
):
    records = made(muon, many)
    model = Model(muon.rates.dtype.itemsize, muon.start, 256)
    expected = [model.put(int(record["second"]), record.tobytes()) for record in records]
    with tempfile.TemporaryDirectory() as directory:
        work = make_work_file(Path(directory), muon.day)
        statuses = []
        for number, part in enumerate(np.split(records, sorted(cut for cut in cuts if cut < len(records)))):
            statuses += work.write(muon.rates, muon.batch("rates", part)).tolist()
            if number in reopenings:
                work.close()
        work.close()
        _, slots, overlap = content(work.path)
    assert statuses == expected
    assert slots == model.slots
    assert sorted(overlap) == sorted(set(model.overlap))


@settings(max_examples=50, deadline=None)
@given(many=any_records, order=st.randoms())
def test_any_order_gives_the_same_set_of_records(muon, many, order):
    shuffled = list(many)
    order.shuffle(shuffled)
    held = []
    with tempfile.TemporaryDirectory() as directory:
        for name, rows in (("one", many), ("other", shuffled)):
            work = make_work_file(Path(directory), muon.day, name)
            work.write(muon.rates, muon.batch("rates", made(muon, rows)))
            work.close()
            held.append(content(work.path))
    size = muon.rates.dtype.itemsize
    sets = [{*slots.values(), *overlap} - {b"\xff" * size} for _, slots, overlap in held]
    assert sets[0] == sets[1] == {record.tobytes() for record in made(muon, many)}


def put(work, muon, *rows):
    return work.write(muon.rates, muon.batch("rates", muon.records("rates", list(rows)))).tolist()


def test_each_status_in_its_turn(muon, work_file):
    work = work_file(muon.day)
    one, two, three = ({"second": muon.start + 5, "temperature": value} for value in (1, 2, 3))
    assert put(work, muon, one) == [WRITTEN]
    assert put(work, muon, one) == [IDENTICAL]
    assert put(work, muon, two) == [CONFLICT]
    assert put(work, muon, three) == [IN_CONFLICT]
    assert put(work, muon, one, two, three) == [IN_CONFLICT] * 3
    work.publish()
    _, slots, overlap = content(work.published)
    assert slots == {0: b"\xff" * muon.rates.dtype.itemsize}
    assert overlap == [muon.records("rates", [row]).tobytes() for row in (one, two, three)]


def test_the_overlap_has_the_old_record_before_the_new_in_the_order_of_the_batch(muon, work_file):
    work = work_file(muon.day)
    seconds = [600, 5, 300]
    put(work, muon, *({"second": muon.start + second, "temperature": 1} for second in seconds))
    put(work, muon, *({"second": muon.start + second, "temperature": 2} for second in seconds))
    work.publish()
    with tables.open_file(work.published) as file:
        rows = file.get_node("/rates_overlap").read()
    assert (rows["second"] - muon.start).tolist() == [600, 600, 5, 5, 300, 300]
    assert rows["temperature"].tolist() == [1, 2] * 3


def test_without_a_conflict_there_is_no_overlap_table(muon, work_file):
    work = work_file(muon.day)
    put(work, muon, {"second": muon.start}, {"second": muon.start})
    work.publish()
    with tables.open_file(work.published) as file:
        assert "/rates_overlap" not in file


def test_a_conflict_of_an_earlier_run_is_still_one(muon, work_file):
    rows = [{"second": muon.start, "temperature": value} for value in (1, 2, 3)]
    first = work_file(muon.day)
    assert put(first, muon, *rows[:2]) == [WRITTEN, CONFLICT]
    first.publish()
    second = work_file(muon.day)
    assert put(second, muon, *rows) == [IN_CONFLICT] * 3
    second.publish()
    assert content(second.published)[2] == [muon.records("rates", [row]).tobytes() for row in rows]


def test_bytes_after_a_nul_tell_texts_apart_and_survive(muon, work_file):
    work = work_file(muon.day)
    records = muon.records("rates", [{"second": muon.start}, {"second": muon.start}, {"second": muon.start + 256}])
    for row, text in enumerate((b"ab\0\0x\0y", b"ab\0\0z\0y", b"\0\0\0\0\0\0w")):
        records["label"][row] = text
    assert work.write(muon.rates, muon.batch("rates", records)).tolist() == [WRITTEN, CONFLICT, WRITTEN]
    work.publish()
    _, slots, overlap = content(work.published)
    assert overlap == [records[0].tobytes(), records[1].tobytes()]
    assert slots[1] == records[2].tobytes()
    assert slots[1].endswith(b"\0\0\0\0\0\0w")


def test_payloads_of_nans_tell_records_apart_and_survive(muon, work_file):
    work = work_file(muon.day)
    records = muon.records("rates", [{"second": muon.start}] * 3)
    records["temperature"] = np.array([0x7FC00001, 0x7FC00001, 0x7F800001], np.uint32).view(np.float32)
    assert work.write(muon.rates, muon.batch("rates", records)).tolist() == [WRITTEN, IDENTICAL, CONFLICT]
    work.publish()
    assert content(work.published)[2] == [records[0].tobytes(), records[2].tobytes()]


def test_negative_zero_is_another_record_than_zero(muon, work_file):
    work = work_file(muon.day)
    rows = [{"second": muon.start, "temperature": value} for value in (0.0, -0.0)]
    assert put(work, muon, *rows) == [WRITTEN, CONFLICT]


@pytest.mark.parametrize(
    ("period", "day", "slots"),
    [(256, "1997-10-31", 338), (1, "1998-12-31", 86401), (32, "1998-12-31", 2701), (86400, "1997-10-31", 1)],
)
def test_a_day_has_as_many_slots_as_periods_begin_in_it(muon, work_file, period, day, slots):
    layout = Instrument(muon.layout.replace("period: 256", f"period: {period}"), "muon.yaml").layout
    rates, moment = layout.types[0], np.datetime64(day)
    start, end = rates.clock.day_start(moment), rates.clock.day_start(moment + 1)
    work = work_file(moment)
    last = muon.records("rates", [{"second": start}, {"second": end - 1, "temperature": 1}])
    work.write(rates, muon.batch("rates", last))
    work.publish()
    rows, held, _ = content(work.published)
    assert rows == slots
    assert set(held) == {0, slots - 1}


def test_slots_follow_the_ticks_of_the_clock_and_fractions_of_the_time(muon, work_file):
    text = muon.layout.replace("unit: s, leap", "unit: ms, leap").replace(
        "type: uint32, unit: s, doc", "type: float64, doc"
    )
    rates = Instrument(text.replace("    size: 28\n", ""), "muon.yaml").layout.types[0]
    assert rates.clock == Clock(rates.clock.epoch, "ms", "counted", (0, 0xFFFFFFFF))
    work = work_file(muon.day)
    records = np.zeros(4, rates.dtype)
    records["second"] = np.array([0, 255.9999, 256, 511.5]) * 1000 + muon.start * 1000
    statuses = work.write(rates, Batch("muon", "MuonRates", records, np.arange(4)))
    assert statuses.tolist() == [WRITTEN, CONFLICT, WRITTEN, CONFLICT]
    work.publish()
    assert set(content(work.published)[1]) == {0, 1}


def test_only_touched_chunks_of_a_day_are_stored(muon, work_file):
    layout = Instrument(muon.layout.replace("period: 256", "period: 1"), "muon.yaml").layout
    work = work_file(muon.day)
    rows = [{"second": muon.start + second} for second in (*range(60), 86399)]
    work.write(layout.types[0], muon.batch("rates", muon.records("rates", rows)))
    work.publish()
    assert work.published.stat().st_size < 200_000 < 86400 * layout.types[0].dtype.itemsize


# What is stored as nothing cannot be found again: a store that takes it must not say "written" and lose it.
@pytest.mark.parametrize("byte", [0x00, 0xFF])
def test_a_record_that_looks_like_an_empty_slot_or_a_conflict_is_not_lost(muon, work_file, byte):
    text = muon.layout.replace("1996-01-01T00:00:00", "1997-10-31T00:00:00").replace(", undefined: [0, 0xFFFFFFFF]", "")
    rates = Instrument(text, "muon.yaml").layout.types[0]
    records = np.frombuffer(bytes([byte]) * rates.dtype.itemsize, rates.dtype)
    assert rates.clock.defined(records["second"]).all()
    day = rates.clock.days(records["second"])[0]
    work = work_file(day)
    work.write(rates, muon.batch("rates", records))
    work.publish()
    _, _, overlap = content(work.published)
    assert overlap == [records.tobytes()]


# ---- Which of the records that contend for a slot it keeps


class ContentionModel(Model):
    """A model that keeps records as it is told, one at a time, and no record twice in the overlap."""

    def contend(self, mode, time, record):
        slot = (time - self.start) // self.period
        held = self.slots.get(slot)
        taken, known = held == b"\xff" * self.size, record in self.overlap
        if held == record or (held is None and not known):
            return self.put(time, record)
        if known and not (taken and mode != "replace"):
            return IDENTICAL
        if mode == "keep" or (mode == "overlap" and taken):
            self.overlap += [record] * (not known)
            return IN_CONFLICT if taken else CONFLICT
        if mode == "overlap":
            self.overlap += [one for one in (held, record) if one not in self.overlap]
            self.slots[slot] = b"\xff" * self.size
            return CONFLICT
        self.overlap += [held] * (not taken and held not in self.overlap)
        self.slots[slot] = record
        return CONFLICT

    def give_way(self, mode, time, record):
        """What becomes of a record that gave way before it came."""
        held = self.slots.get((time - self.start) // self.period)
        if mode == "overlap" or held == record:
            return self.contend(mode, time, record)
        taken, known = held == b"\xff" * self.size, record in self.overlap
        self.overlap += [record] * (not known)
        return IN_CONFLICT if taken else IDENTICAL if known else CONFLICT


any_modes = st.lists(st.tuples(st.sampled_from(["overlap", "replace", "keep"]), st.booleans()), min_size=1, max_size=4)


@settings(max_examples=120, deadline=None)
@given(many=any_records, cuts=any_cuts, modes=any_modes)
def test_whatever_a_slot_keeps_every_record_is_there_and_again_changes_nothing(muon, many, cuts, modes):
    records = made(muon, many)
    model = ContentionModel(muon.rates.dtype.itemsize, muon.start, 256)
    parts = np.split(records, sorted(cut for cut in cuts if cut < len(records)))
    statuses, expected = [], []
    with tempfile.TemporaryDirectory() as directory:
        for number, part in enumerate(parts):
            mode, gave_way = modes[number % len(modes)]
            work = make_work_file(Path(directory), muon.day, on_conflict=mode)
            put_one = model.give_way if gave_way else model.contend
            expected += [put_one(mode, int(record["second"]), record.tobytes()) for record in part]
            statuses += work.write(muon.rates, replace(muon.batch("rates", part), gave_way=gave_way)).tolist()
            work.publish()
        held = content(work.published)
        for mode in ("overlap", "replace", "keep"):
            work = make_work_file(Path(directory), muon.day, on_conflict=mode)
            again = work.write(muon.rates, muon.batch("rates", records))
            assert set(again.tolist()) <= {IN_CONFLICT, IDENTICAL}
            work.publish()
            assert content(work.published) == held
    _, slots, overlap = held
    assert statuses == expected
    assert slots == model.slots
    assert sorted(overlap) == sorted(model.overlap)
    conflict = b"\xff" * muon.rates.dtype.itemsize
    assert {*slots.values(), *overlap} - {conflict} == {record.tobytes() for record in records}


@pytest.mark.parametrize(("mode", "kept", "aside"), [("replace", 3, [1, 2]), ("keep", 1, [2, 3])])
def test_a_slot_keeps_the_new_or_the_old_record_and_the_others_go_to_overlap(muon, work_file, mode, kept, aside):
    rows = [{"second": muon.start + 5, "temperature": value} for value in (1, 2, 3)]
    records = muon.records("rates", rows)
    for expected in ([WRITTEN, CONFLICT, CONFLICT], [IDENTICAL] * 3):
        work = work_file(muon.day, on_conflict=mode)
        assert work.write(muon.rates, muon.batch("rates", records)).tolist() == expected
        work.publish()
        _, slots, overlap = content(work.published)
        assert slots == {0: records[kept - 1].tobytes()}
        assert overlap == [records[value - 1].tobytes() for value in aside]


@pytest.mark.parametrize(("mode", "status"), [("replace", CONFLICT), ("keep", IN_CONFLICT), ("overlap", IN_CONFLICT)])
def test_a_slot_in_conflict_is_taken_only_by_a_record_that_replaces(muon, work_file, mode, status):
    first = work_file(muon.day)
    old = [{"second": muon.start, "temperature": value} for value in (1, 2)]
    put(first, muon, *old)
    first.publish()
    work = work_file(muon.day, on_conflict=mode)
    assert put(work, muon, {"second": muon.start, "temperature": 3}) == [status]
    assert put(work, muon, *old) == [IDENTICAL if mode == "replace" else IN_CONFLICT] * 2
    work.publish()
    new = muon.records("rates", [{"second": muon.start, "temperature": 3}]).tobytes()
    _, slots, overlap = content(first.published)
    assert slots == {0: new if mode == "replace" else b"\xff" * len(new)}
    assert len(overlap) == (2 if mode == "replace" else 3)


@pytest.mark.parametrize("mode", ["overlap", "replace", "keep"])
def test_the_same_sources_again_leave_every_byte_and_every_record_is_read(archive, muon, mode):
    sources = {}
    for name, order, values in (("MuonRates.be.bin", "big", (1, 2)), ("MuonRates.le.bin", "little", (3, 1))):
        rows = [{"second": muon.start + second, "temperature": value} for second in (0, 300) for value in values]
        sources[name] = muon.stream("rates", muon.records("rates", rows), order)
    for name, source in sources.items():
        archive.drop(name, source)
        archive.run(on_conflict=mode)
    (path,) = archive.root.path.rglob("*.h5")
    before = path.read_bytes()
    for name, source in reversed(sources.items()):
        archive.drop(name, source)
    assert archive.run(on_conflict=mode).sources["already"] == 2
    assert path.read_bytes() == before
    records = open_archive(archive.root.path).read("muon.rates")
    assert sorted(records["temperature"].tolist()) == [1, 1, 2, 2, 3, 3]
    _, slots, overlap = content(path)
    assert len(overlap) == (6 if mode == "overlap" else 4)
    winners = {np.frombuffer(row, muon.rates.dtype)["temperature"][0] for row in slots.values()}
    assert mode == "overlap" or winners == {3 if mode == "replace" else 1}
