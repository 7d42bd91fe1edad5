"""The archive of CRIS and SIS gives what the put and get routines of 1998 gave."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st

from archives import find_defects, load_plugins, rebuild_day, reindex
from dayfile import Status, create_archive
from dayfile.testing.telemetry import write_sources
from dayfile_cris import instrument as cris
from dayfile_sis import instrument as sis
from instruments import make_stream

WRITTEN, CONFLICT, IN_CONFLICT, IDENTICAL, _ = Status
TYPES = {t.name: t for i in (cris, sis) for t in i.layout.types}
INSTRUMENTS = {"cris": cris, "sis": sis}
DAY, START = "1997-10-31", 57801601
# The 1096th day since 1996, of 86,401 s; the leap second before it, in June 1997, was before the launch.
LEAP_DAY, LEAP_START = "1998-12-31", 1095 * 86400 + 1
# How long a record is valid, where that does not depend on its end stamp.
PERIODS = {"command_echo": 1, "dac_offset0": 256, "dac_offset1": 256, "events": 256, "hskp": 256,
           "low_priority_rates": 256, "subset": 1, "summary": 1}  # fmt: skip
HIGH_PRIORITY = {"cris": 16, "sis": 32}


@pytest.fixture(autouse=True)
def no_base_directories(monkeypatch):
    for name in ("CRIS", "SIS"):
        monkeypatch.delenv(f"L1_{name}_DATA_BASE_DIRECTORY", raising=False)


@pytest.fixture
def archive(tmp_path):
    return create_archive(tmp_path / "archive")


@pytest.fixture(scope="module")
def loaded():
    """Plugins, for tests that make many archives."""
    return load_plugins("cris", "sis")


def made(name, seconds, marks=1, last=0, form=None):
    """Records of a type at seconds since 1996, told apart by marks in a field that has nothing to do with time."""
    data_type = form or TYPES[name]
    records = np.zeros(len(seconds), data_type.dtype)
    records[data_type.time] = seconds
    if data_type.end:
        records[data_type.end] = records[data_type.time] + np.asarray(last)
    first = next(field.name for field in data_type.fields if field.name not in {data_type.time, data_type.end})
    records[first] = marks
    return records


def seconds_of(records, start=START):
    return (records[records.data_type.time].astype(np.int64) - start).tolist()


def slots_of(archive, data_type, day=DAY):
    """Numbers of the slots that are not empty, and of all."""
    (row,) = (row for row in archive.catalogue.rows(data_type) if row.day == day)
    with tables.open_file(archive.root.path / row.path) as file:
        rows = file.get_node(TYPES[data_type].placement.node.path).read()
    return np.flatnonzero(rows.view(np.uint8).reshape(len(rows), -1).any(axis=1)).tolist(), len(rows)


# ---- Any records, against the rules of the put routines one by one


class Library:
    """The put routine for one struct: a file a day, of slots and of overlap, as plain bytes."""

    def __init__(self, size, period):
        self.size, self.period = size, period
        self.files = {}

    def put(self, second, struct):
        # The leap second at the end of 1998 counts; it belongs to that day. One more was before the launch.
        day = (second - 1) // 86400 if second < LEAP_START + 86400 else max((second - 2) // 86400, 1095)
        start = day * 86400 + 1 + (day >= 1096)
        slots, overlap = self.files.setdefault(day, ({}, []))
        slot = (second - start) // self.period
        held = slots.get(slot, bytes(self.size))
        if held == bytes(self.size):
            slots[slot] = struct
            return WRITTEN
        if held == b"\xff" * self.size:
            overlap.append(struct)
            return IN_CONFLICT
        if held == struct:
            return IDENTICAL
        overlap += [held, struct]
        slots[slot] = b"\xff" * self.size
        return CONFLICT


def stored(archive, name):
    """What the day files hold: slots and overlap as bytes, by day since 1996."""
    held = {}
    for row in archive.catalogue.rows(name):
        with tables.open_file(archive.root.path / row.path) as file:
            path = TYPES[name].placement.node.path
            rows = file.get_node(path).read()
            overlap = file.get_node(f"{path}_overlap").read() if f"{path}_overlap" in file else []
            slots = {slot: rows[slot].tobytes() for slot in slots_of(archive, name, row.day)[0]}
        day = int((np.datetime64(row.day) - np.datetime64("1996-01-01")).astype(int))
        held[day] = slots, [struct.tobytes() for struct in overlap]
    return held


midnights = st.sampled_from([START, START + 86400, LEAP_START, LEAP_START + 86401])
near_midnight = st.builds(
    lambda day, by: day + by, midnights, st.sampled_from([-257, -256, -33, -32, -1, 0, 1, 16, 31])
)
some_puts = st.lists(st.lists(st.tuples(near_midnight, st.integers(1, 3)), max_size=8), min_size=1, max_size=4)


@settings(max_examples=12, deadline=None)
@given(
    name=st.sampled_from(["cris.high_priority_rates", "sis.high_priority_rates", "cris.summary"]),
    puts=some_puts,
    together=st.booleans(),
)
def test_any_records_in_any_split_have_the_statuses_and_slots_of_a_put_of_each(loaded, name, puts, together):
    data_type = TYPES[name]
    model = Library(data_type.dtype.itemsize, data_type.period)
    batches = [made(name, [second for second, _ in many], [mark for _, mark in many]) for many in puts]
    expected = [[model.put(int(one["Second1996"]), one.tobytes()) for one in batch] for batch in batches]
    with tempfile.TemporaryDirectory() as directory:
        archive = create_archive(Path(directory) / "archive", plugins=loaded)
        if together:
            with archive.putting() as put:
                statuses = [put(name, batch).tolist() for batch in batches]
        else:
            statuses = [archive.put(name, batch).tolist() for batch in batches]
        assert statuses == expected
        held = stored(archive, name)
        assert {day: slots for day, (slots, _) in held.items()} == {
            day: slots for day, (slots, _) in model.files.items()
        }
        for day, (_, overlap) in model.files.items():
            assert sorted(held[day][1]) == sorted(set(overlap))
        distinct = {one.tobytes() for batch in batches for one in batch}
        if distinct:
            assert sorted(one.tobytes() for one in archive.read(name).array) == sorted(distinct)


# ---- Every type


@pytest.fixture(scope="module")
def every(loaded, tmp_path_factory):
    """An archive with two records of each type, the records, and the statuses of putting them twice."""
    archive = create_archive(tmp_path_factory.mktemp("every") / "archive", plugins=loaded)
    sent = {name: made(name, [START + 600, START + 86399], last=70) for name in TYPES}
    with archive.putting() as put:
        first = {name: put(name, records).tolist() for name, records in sent.items()}
    with archive.putting() as put:
        structs = {name: INSTRUMENTS[TYPES[name].instrument].struct(TYPES[name]) for name in TYPES}
        again = {name: put(name, sent[name].astype(structs[name])).tolist() for name in TYPES}
    return archive, sent, (first, again)


def test_structs_of_each_type_can_be_put(every):
    archive, _, (first, again) = every
    assert first == {name: [WRITTEN, WRITTEN] for name in TYPES}
    assert again == {name: [IDENTICAL, IDENTICAL] for name in TYPES}
    assert archive.types() == sorted(TYPES)
    assert find_defects(archive.root) == []


@pytest.mark.parametrize("name", TYPES)
def test_each_type_is_valid_as_long_as_it_should_be(every, name):
    archive, sent, _ = every
    data_type, (instrument, short) = TYPES[name], name.split(".")
    told = archive.read(name)
    assert told.array.tobytes() == sent[name].tobytes()
    period = HIGH_PRIORITY[instrument] if short == "high_priority_rates" else PERIODS.get(short)
    length = 70 if period is None else period - 1
    assert (told.end_seconds - told[data_type.time].astype(np.int64)).tolist() == [length] * 2
    last = START + 600 + length
    found = [len(archive.at(name, second)) for second in (START + 599, START + 600, last, last + 1)]
    assert found == [0, 1, 1, 0]
    assert seconds_of(archive.read_day(name, "1997-11-01")) == ([86399] if length else [])
    if period is not None:
        assert slots_of(archive, name) == ([600 // period, 86399 // period], -(-86400 // period))


def test_the_struct_valid_at_the_start_is_given_though_it_began_before(archive):
    # The sample program asks from 54518401, the start of day 632, and is given 54518397 first.
    stamps = [54518397 + 32 * number for number in range(-3, 5)]
    archive.put("sis.high_priority_rates", made("sis.high_priority_rates", stamps))
    day = archive.read("sis.high_priority_rates", 54518401, 54518401 + 64)
    assert day["Second1996"].tolist() == [54518397, 54518429]
    assert archive.read_day("sis.high_priority_rates", 632)["Second1996"].tolist() == stamps[3:]
    assert archive.read_day("sis.high_priority_rates", 631)["Second1996"].tolist() == stamps[:3]
    same = archive.read("sis.high_priority_rates", 54518397, 54518397 + 31)
    assert same["Second1996"].tolist() == [54518397]


def test_ranges_that_reuse_the_stop_give_each_struct_once_and_others_lose_some(archive):
    archive.put("cris.hskp", made("cris.hskp", START + 256 * np.arange(338)))
    stops = [START + 5000 * number for number in range(17)]
    read = [seconds_of(archive.read("cris.hskp", *pair)) for pair in itertools.pairwise(stops)]
    assert list(itertools.chain(*read)) == [
        256 * number for number in range(338) if 256 * number + 256 <= stops[-1] - START
    ]


# ---- Records that drift against their slots


@pytest.mark.parametrize("step", [255, 256, 257])
def test_records_that_drift_over_the_edges_of_slots_are_all_found(archive, step):
    seconds = 100 + step * np.arange(3 * 86400 // step)
    records = made("sis.hskp", START + seconds, np.arange(len(seconds)) + 1)
    statuses = archive.put("sis.hskp", records)
    slots = seconds // 86400 * 338 + seconds % 86400 // 256
    shared = len(slots) - len(np.unique(slots))
    assert statuses.tolist().count(CONFLICT) == shared
    assert (shared > 0) == (step == 255)
    assert len(slots_of(archive, "sis.hskp")[0]) == len(np.unique(slots[seconds < 86400]))
    assert archive.read("sis.hskp").array.tobytes() == records.tobytes()
    for second in (*seconds[[0, 1, 300, 337, 338]].tolist(), 86399, 86400, int(seconds[-1])):
        valid = seconds[(seconds <= second) & (second < seconds + 256)].tolist()
        assert seconds_of(archive.at("sis.hskp", START + second)) == valid
    assert find_defects(archive.root) == []


def test_two_structs_of_a_continued_cycle_are_both_there(archive):
    cycles = made("cris.events", [START + 512] * 2 + [START + 768])
    cycles["ContinuationFlag"][0] = 1
    cycles["NumberEvents"] = [7, 3, 1]
    assert archive.put("cris.events", cycles).tolist() == [WRITTEN, CONFLICT, WRITTEN]
    for _ in range(2):
        assert archive.at("cris.events", START + 700)["NumberEvents"].tolist() == [7, 3]
        assert archive.read("cris.events", START + 512, START + 768)["ContinuationFlag"].tolist() == [1, 0]
        assert archive.put("cris.events", cycles[:2]).tolist() == [IN_CONFLICT] * 2


@pytest.mark.parametrize("step", [256, 512])
def test_dac_offsets_are_kept_whether_they_come_each_cycle_or_every_second(archive, step):
    seconds = START + step * np.arange(1, 60)
    for name, by in (("sis.dac_offset0", 0), ("sis.dac_offset1", -256)):
        records = made(name, seconds + by, np.arange(59) + 1)
        assert not archive.put(name, records).any()
        assert archive.read(name).array.tobytes() == records.tobytes()
        assert seconds_of(archive.at(name, START + step * 7 + by + 255)) == [step * 7 + by]
        assert len(archive.at(name, START + step * 7 + by + 256)) == (step == 256)


def test_nothing_is_valid_in_a_gap(archive):
    seconds = START + 256 * np.array([0, 1, 5, 6])
    archive.put("sis.hskp", made("sis.hskp", seconds))
    assert seconds_of(archive.at("sis.hskp", START + 511)) == [256]
    assert len(archive.at("sis.hskp", START + 512)) == len(archive.at("sis.hskp", START + 1279)) == 0
    assert len(archive.read("sis.hskp", START + 512, START + 1279)) == 0
    assert seconds_of(archive.read("sis.hskp", START + 511, START + 1281)) == [256]
    assert seconds_of(archive.read("sis.hskp", START + 512, START + 1536)) == [1280]


def test_the_part_of_the_last_slot_behind_midnight_is_not_used(archive):
    # The 338th slot covers seconds 86,272 to 86,528.
    records = made("cris.low_priority_rates", START + np.array([86272, 86400, 86527]), [1, 2, 3])
    assert archive.put("cris.low_priority_rates", records).tolist() == [WRITTEN, WRITTEN, CONFLICT]
    assert slots_of(archive, "cris.low_priority_rates") == ([337], 338)
    assert slots_of(archive, "cris.low_priority_rates", "1997-11-01") == ([0], 338)
    assert seconds_of(archive.read_day("cris.low_priority_rates", DAY)) == [], "valid at the next second zero"
    assert seconds_of(archive.read_day("cris.low_priority_rates", "1997-11-01")) == [86272, 86400, 86527]


def test_every_second_of_a_day_with_a_leap_second_has_its_record(archive):
    name = "sis.summary"
    seconds = LEAP_START + np.arange(-1, 86402)
    assert not archive.put(name, made(name, seconds)).any()
    assert slots_of(archive, name, LEAP_DAY) == (list(range(86401)), 86401)
    day = archive.read_day(name, 1096)
    assert seconds_of(day, LEAP_START) == list(range(86401))
    assert day.array.tobytes() == archive.read_day(name, LEAP_DAY).array.tobytes()
    assert seconds_of(archive.read_day(name, "1999-01-01"), LEAP_START) == [86401]
    assert seconds_of(archive.at(name, LEAP_START + 86400), LEAP_START) == [86400]
    assert archive.put("cris.hskp", made("cris.hskp", [LEAP_START + 86400])).tolist() == [WRITTEN]
    assert slots_of(archive, "cris.hskp", LEAP_DAY) == ([337], 338)


def test_a_fraction_of_a_leap_second_is_found_in_it_and_from_the_next_day(archive):
    # In UTC 23:59:60.5 shows as 00:00:00.5, which is later than the second after it.
    name = "cris.browse_parameters"
    archive.put(name, made(name, [LEAP_START + 86400.5], last=0.7))
    found = [len(archive.at(name, LEAP_START + 86400 + second)) for second in (0.4, 0.5, 0.9, 1.0, 1.1, 1.3)]
    assert found == [0, 1, 1, 1, 1, 0]
    assert len(archive.read_day(name, "1999-01-01")) == 1


@pytest.mark.parametrize("name", ["cris.command_table", "sis.browse_parameters", "cris.diagnostic_events"])
def test_structs_with_end_stamps_are_stepped_back_to_over_midnight(archive, name):
    records = made(name, START + np.array([0, 50_000, 300_000]), [1, 2, 3], [60_000, 100_000, 10])
    assert not archive.put(name, records).any()
    for second, found in ((0, [0]), (55_000, [0, 50_000]), (60_001, [50_000]), (86_400, [50_000]), (150_000, [50_000]),
                          (150_001, []), (200_000, []), (300_010, [300_000]), (300_011, [])):  # fmt: skip
        assert seconds_of(archive.at(name, START + second)) == found
    assert seconds_of(archive.read_day(name, "1997-11-01")) == [50_000]
    assert seconds_of(archive.read(name, START + 60_000, START + 86_400)) == [0, 50_000]
    assert seconds_of(archive.read(name, START + 60_001, START + 300_000)) == [50_000]


# ---- Versions of BrowseSis, and base directories


BROWSE = TYPES["sis.browse_parameters"]
BROWSE_SIZES = {"BrowseSis": 152, "BrowseSis_0": 216, "BrowseSis_1": 232}
VERSIONS = dict(
    zip(("1998-12-01", "1998-12-02", "2001-11-14"), zip(BROWSE_SIZES, BROWSE.forms, strict=True), strict=True)
)


def run(archive, *files):
    return archive.ingest(files, plugins=["sis"])


@pytest.mark.parametrize("told", ["by its time", "by its own name", "by the fields of an HDF4 file"])
def test_a_browse_struct_is_read_in_the_version_that_it_is_of(archive, tmp_path, told):
    sent = []
    for day, (code, form) in VERSIONS.items():
        records = made(BROWSE.name, [BROWSE.clock.number(day), BROWSE.clock.number(day) + 86390], [1, 2], 9, form)
        records[form.fields[-1].name] = 5
        assert sis.struct(form, "big").itemsize == BROWSE_SIZES[code]
        directory = tmp_path / day
        directory.mkdir()
        if "HDF4" in told:
            source = directory / "browse.hdf"
            write_sources(sis, directory, {}, source.name, {"BrowseSis": records})
        else:
            source = directory / f"{'BrowseSis' if 'time' in told else code}.be.bin"
            source.write_bytes(make_stream(sis, form, records, "big"))
        report = run(archive, source)
        assert (report.records[BROWSE.name]["written"], report.exit_code) == (2, 0)
        read = archive.read(BROWSE.name, day, np.datetime64(day) + 1)
        assert (read.array.dtype, read.array.tobytes()) == (form.dtype, records.tobytes())
        sent.append(BROWSE.conform(records))
    everything = archive.read(BROWSE.name)
    for name in BROWSE.dtype.names:
        np.testing.assert_array_equal(everything[name], np.concatenate(sent)[name])
    assert np.isnan(everything["RateT4"]).tolist() == [True] * 4 + [False] * 2
    assert np.isnan(everything["CounterRtsw0"]).all(axis=1).tolist() == [True, True] + [False] * 4
    assert find_defects(archive.root) == []


def test_a_browse_struct_without_a_time_costs_the_others_of_its_stream_nothing(archive, tmp_path):
    records = made(BROWSE.name, START + 100 * np.arange(4), [1, 2, 3, 4], 50, BROWSE.forms[0])
    records["bin_start"][0] = 0
    source = tmp_path / "BrowseSis.be.bin"
    source.write_bytes(make_stream(sis, BROWSE.forms[0], records, "big"))
    counts = run(archive, source).records[BROWSE.name]
    assert (counts["written"], counts["rejected"]) == (3, 1)


def test_a_browse_struct_of_an_older_version_than_its_time_comes_back_from_its_kept_source(archive):
    (archive.root.path / "archive.yaml").write_text("sources.keep: always\n")
    start = BROWSE.clock.number("2000-01-01")
    records = made(BROWSE.name, start + 100 * np.arange(27), np.arange(27), 50, BROWSE.forms[0])
    assert not archive.put(BROWSE.name, records).any()
    (path,) = archive.root.list_day_files()
    (archive.root.path / path).unlink()
    rebuild_day(archive.root, archive.plugins, archive.settings, path)
    assert BROWSE.forms[0].conform(archive.read(BROWSE.name).array).tobytes() == records.tobytes()


def test_day_files_of_each_instrument_lie_below_its_base_directory(archive, tmp_path, monkeypatch):
    for name in ("CRIS", "SIS"):
        monkeypatch.setenv(f"L1_{name}_DATA_BASE_DIRECTORY", str(tmp_path / "data" / name.lower()))
    for name in ("cris.hskp", "sis.hskp"):
        archive.put(name, made(name, [START]))
        assert len(archive.read(name)) == 1
    files = sorted(path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*.h5"))
    assert files == ["cris/1997/10/cris.1997.10.31.hsk.h5", "sis/1997/10/sis.1997.10.31.hsk.h5"]
    assert find_defects(archive.root) == []
    assert reindex(archive.root).day_files == 2
