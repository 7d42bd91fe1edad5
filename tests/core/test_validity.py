"""For which times a record is valid, and what an archive gives for a time, by a search over all records."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import find_defects, reindex
from dayfile import Instrument, create_archive, open_archive
from dayfile.errors import TimeError
from dayfile.model.validity import ALWAYS, NEVER, find_end_seconds, find_valid_at, find_valid_between

DAYS = 3


def last_second(data_type, record):
    """endSecond as the library of 1998 has it; a record without period or end stamp is valid at its own second."""
    if data_type.period:
        return int(record[data_type.time]) - 1 + data_type.period
    return int(record[data_type.end or data_type.time])


def by_hand(data_type, record, start, stop):
    """Whether some second from start to stop sees the record, and not the last of them unless the first does too."""
    first, last = int(record[data_type.time]), last_second(data_type, record)
    seen = first <= stop and last >= start and start <= stop
    at_start, at_stop = (first <= second <= last for second in (start, stop))
    return seen and (at_start or not at_stop)


def valid_at(records, data_type, moment):
    """Whether each record is valid at a value of its clock."""
    return find_valid_at(records, data_type, data_type.clock.read(moment))


def valid_between(records, data_type, start, stop):
    """Whether each record belongs to a range of values of its clock; infinite ones bound nothing."""
    first = data_type.clock.read(start) if math.isfinite(start) else ALWAYS
    last = data_type.clock.read(stop) if math.isfinite(stop) else NEVER
    return find_valid_between(records, data_type, first, last)


# ---- Without an archive: any records, any seconds


@pytest.fixture(scope="module")
def narrow(muon):
    """The types of the muon telescope, with a period short enough for every second to matter."""
    types = Instrument(muon.layout.replace("period: 256", "period: 4"), "muon.yaml").layout.types
    return {data_type.type: data_type for data_type in types}


seconds = st.integers(1, 30)
spans = st.lists(st.tuples(seconds, st.integers(0, 12)), max_size=12)


def made(data_type, many):
    records = np.zeros(len(many), data_type.dtype)
    for row, (second, length) in enumerate(many):
        records[data_type.time][row] = second
        if data_type.end:
            records[data_type.end][row] = second + length
    return records


@pytest.mark.parametrize("name", ["rates", "hits", "runs"])
@settings(max_examples=150, deadline=None)
@given(many=spans, start=st.integers(-2, 45), stop=st.integers(-2, 45))
def test_any_records_and_seconds_give_what_a_look_at_each_gives(narrow, name, many, start, stop):
    data_type = narrow[name]
    records = made(data_type, many)
    assert find_end_seconds(records, data_type).tolist() == [last_second(data_type, record) for record in records]
    expected = [by_hand(data_type, record, start, stop) for record in records]
    assert valid_between(records, data_type, start, stop).tolist() == expected
    at = [int(record[data_type.time]) <= start <= last_second(data_type, record) for record in records]
    assert valid_at(records, data_type, start).tolist() == at
    assert valid_between(records, data_type, start, start).tolist() == at


@pytest.mark.parametrize("name", ["rates", "hits"])
@settings(max_examples=60, deadline=None)
@given(many=spans, first=st.integers(-4, 30), steps=st.lists(st.integers(4, 12), max_size=6))
def test_ranges_that_follow_one_another_give_every_record_once(narrow, name, many, first, steps):
    records = made(narrow[name], many)
    bounds = [-math.inf, *np.cumsum([first, *steps]).tolist(), math.inf]
    times = [valid_between(records, narrow[name], *pair).astype(int) for pair in itertools.pairwise(bounds)]
    assert sum(times).tolist() == [1] * len(many)


def test_a_record_that_ends_before_it_begins_is_in_the_range_of_its_time_all_the_same(narrow):
    runs = narrow["runs"]
    record = np.array([(10, 4, 0)], runs.dtype)
    assert not valid_at(record, runs, 10).any()
    assert not valid_at(record, runs, 5).any()
    assert [bool(valid_between(record, runs, *span)[0]) for span in ((9, 10), (10, 11), (4, 9), (0, 99))] == [
        True, False, False, True,
    ]  # fmt: skip


def test_without_bounds_every_record_counts(narrow):
    for data_type in narrow.values():
        records = made(data_type, [(1, 0), (30, 12)])
        assert valid_between(records, data_type, -math.inf, math.inf).all()


def test_the_last_second_of_a_period_counts_whole(narrow):
    record = made(narrow["rates"], [(10, 0)])
    assert find_end_seconds(record, narrow["rates"]).tolist() == [13]
    held = [bool(valid_at(record, narrow["rates"], moment)[0]) for moment in (9.9, 10, 13, 13.9, 14)]
    assert held == [False, True, True, True, False]


def test_the_end_second_of_the_last_time_there_is_does_not_run_over(narrow):
    record = made(narrow["rates"], [(0xFFFFFFFE, 0)])
    assert find_end_seconds(record, narrow["rates"]).tolist() == [0xFFFFFFFE + 3]


def test_ticks_of_a_clock_are_counted_and_stamps_may_be_fractions(muon):
    layout = muon.layout.replace("unit: s, leap", "unit: ms, leap").replace(
        "type: uint32, unit: s, doc", "type: float64, doc"
    )
    rates = Instrument(layout.replace("    size: 28\n", ""), "muon.yaml").layout.types[0]
    records = np.zeros(1, rates.dtype)
    records["second"] = 1000.5
    assert find_end_seconds(records, rates).tolist() == [1000.5 - 1 + 256_000]
    assert [bool(valid_at(records, rates, moment)[0]) for moment in (1000.4, 1000.5, 257_000.4, 257_000.5)] == [
        False, True, True, False,
    ]  # fmt: skip


# ---- From an archive: day files, overlap, midnights


@pytest.fixture(scope="module")
def full(muon, plugins_of, tmp_path_factory):
    """An archive of three days with records of each store that contend, overlap and reach over midnight."""
    plugins = plugins_of(muon=muon.instrument)
    archive = create_archive(tmp_path_factory.mktemp("full") / "archive", plugins=plugins)
    chance = np.random.default_rng(5)
    seconds = np.sort(chance.integers(0, DAYS * 86400, 900)) + muon.start
    near = [day * 86400 + second + muon.start for day in range(DAYS + 1) for second in (-256, -255, -1, 0, 1)]
    rates = np.zeros(len(seconds) + len(near), muon.rates.dtype)
    rates["second"] = [*seconds, *near]
    rates["counts"][:, 0] = np.arange(len(rates)) % 65536
    hits = np.zeros(300, muon.hits.dtype)
    hits["second"] = chance.choice(rates["second"], 300)
    hits["energy"] = np.arange(300)
    runs = np.zeros(200, muon.runs.dtype)
    runs["first"] = chance.choice(rates["second"], 200)
    runs["last"] = runs["first"] + chance.choice([0, 1, 255, 5000, 86400, 200_000], 200)
    runs["gain"] = np.arange(200)
    put = {}
    for name, records in (("rates", rates), ("hits", hits), ("runs", runs)):
        statuses = archive.put(f"muon.{name}", records)
        put[name] = records[statuses != 3]
    assert (archive.read("muon.rates")["second"].size, len(put["hits"])) == (len(rates), 300)
    return archive, put


def assert_found(archive, data_type, records, all_records, start, stop):
    expected = [record for record in all_records if by_hand(data_type, record, start, stop)]
    assert sorted(record.tobytes() for record in records.array) == sorted(record.tobytes() for record in expected)
    assert (np.diff(records.array[data_type.time].astype(np.int64)) >= 0).all()
    assert records.end_seconds.tolist() == [last_second(data_type, record) for record in records.array]


edges = st.one_of(
    st.integers(-300, DAYS * 86400 + 300),
    st.builds(lambda day, by: day * 86400 + by, st.integers(0, DAYS), st.integers(-2, 2)),
)


@settings(max_examples=40, deadline=None)
@given(name=st.sampled_from(["rates", "hits", "runs"]), start=edges, length=st.one_of(st.integers(0, 600), edges))
def test_any_range_gives_what_a_search_over_all_records_gives(full, muon, name, start, length):
    archive, put = full
    start, stop = muon.start + start, muon.start + start + length
    if stop < start:
        with pytest.raises(TimeError, match="the range is reversed"):
            archive.read(f"muon.{name}", start, stop)
        return
    records = archive.read(f"muon.{name}", start, stop)
    assert_found(archive, muon.types[name], records, put[name], start, stop)


@settings(max_examples=30, deadline=None)
@given(name=st.sampled_from(["rates", "runs"]), second=edges)
def test_any_second_gives_what_a_search_over_all_records_gives(full, muon, name, second):
    archive, put = full
    records = archive.at(f"muon.{name}", muon.start + second)
    assert_found(archive, muon.types[name], records, put[name], muon.start + second, muon.start + second)


@pytest.mark.parametrize("name", ["rates", "hits", "runs"])
def test_a_day_goes_from_second_zero_to_that_of_the_next(full, muon, name):
    archive, put = full
    for day in range(-1, DAYS + 1):
        start = muon.start + day * 86400
        told = [archive.read_day(f"muon.{name}", form) for form in (str(muon.day + day), muon.day + day, 670 + day)]
        for records in told:
            assert_found(archive, muon.types[name], records, put[name], start, start + 86400)


def test_the_record_at_second_zero_of_a_day_is_usually_the_last_of_the_day_before(installed, muon, tmp_path):
    installed(muon=muon.layout)
    archive = create_archive(tmp_path / "archive")
    midnight = muon.start + 86400
    records = muon.records("rates", [{"second": midnight + second} for second in (-260, -4, 252, 508)])
    archive.put("muon.rates", records)
    assert (archive.read_day("muon.rates", "1997-11-01")["second"] - midnight + 4).tolist() == [0, 256, 512]
    before = archive.read_day("muon.rates", "1997-10-31")["second"].astype(np.int64) - midnight
    assert before.tolist() == [-260]
    assert archive.at("muon.rates", "1997-11-01")["second"].tolist() == [midnight - 4]


def test_records_that_contended_among_them_do_not_change_what_the_type_is(full, muon):
    told = full[0].read("muon.rates").data_type
    assert (told.placement.store, told.title) == (muon.rates.placement.store, muon.rates.title)


# ---- Records that stand elsewhere than their times say


@pytest.mark.parametrize("told", ["by reindex", "as it was"])
def test_a_record_outside_its_slot_is_found(installed, muon, tmp_path, told):
    installed(muon=muon.layout)
    archive = create_archive(tmp_path / "archive")
    rows = [{"second": muon.start + second, "temperature": second} for second in (0, 10 * 256, 20 * 256, 300 * 256)]
    archive.put("muon.rates", muon.records("rates", rows))
    (path,) = archive.root.path.rglob("*.h5")
    edited = tmp_path / "edited.h5"
    edited.write_bytes(path.read_bytes())
    with tables.open_file(edited, "a") as file:
        table = file.root.rates
        slots = table.read()
        slots[[337, 11, 0, 5]] = slots[[0, 10, 20, 300]]
        slots[[10, 20, 300]] = np.zeros(1, slots.dtype)
        table[:] = slots
    edited.replace(path)
    if told == "by reindex":
        assert reindex(archive.root).day_files == 1
    for second in (0, 10 * 256, 20 * 256, 300 * 256):
        for moment in (second, second + 100, second + 255):
            assert archive.at("muon.rates", muon.start + moment)["temperature"].tolist() == [second]
        assert len(archive.at("muon.rates", muon.start + second + 256)) == 0
    assert archive.read("muon.rates")["temperature"].tolist() == [row["temperature"] for row in rows]
    start, stop = muon.start + 2600, muon.start + 5200
    assert archive.read("muon.rates", start, stop)["temperature"].tolist() == [2560]
    assert any(
        "holds a record of another time" in problem.message for problem in find_defects(archive.root, deep=False)
    )


def test_a_record_in_the_file_of_another_day_is_found(installed, muon, tmp_path):
    installed(muon=muon.layout)
    archive = create_archive(tmp_path / "archive")
    archive.put("muon.rates", muon.records("rates", [{"second": muon.start + 86300}]))
    (path,) = archive.root.path.rglob("*.h5")
    with tables.open_file(path, "a") as file:
        slots = file.root.rates.read()
        slots["second"][337] = muon.start + 86400 + 128
        file.root.rates[:] = slots
    reindex(archive.root)
    assert len(open_archive(archive.root.path).read_day("muon.rates", "1997-10-31")) == 0
    assert len(open_archive(archive.root.path).read_day("muon.rates", "1997-11-01")) == 1
    assert len(open_archive(archive.root.path).at("muon.rates", muon.start + 86400 + 128 + 255)) == 1
