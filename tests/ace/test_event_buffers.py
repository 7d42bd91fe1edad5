"""The events inside event cycles: each found where it is, none made up, and what cannot be split is told."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import tables
from hypothesis import given
from hypothesis import strategies as st

import dayfile
from dayfile import Source
from dayfile.errors import UsageError
from dayfile.formats.struct_dtypes import to_structs
from dayfile.model.packed import HeaderField, Packed, unpack
from dayfile.testing.telemetry import sample_event_buffers
from dayfile_cris import instrument as cris
from dayfile_cris.events import events as events_of_cris
from dayfile_sis import instrument as sis
from dayfile_sis.events import events as events_of_sis

SECOND = 57_801_601  # 1997-10-31
BOTH = pytest.mark.parametrize("name", ["cris", "sis"])
INSTRUMENTS = {"cris": cris, "sis": sis}
OPENED_BY = {"cris": events_of_cris, "sis": events_of_sis}
CODES = {"cris": "L1CrisEventCycle", "sis": "L1SisEventCycle"}
LONGEST = {"cris": 162, "sis": 109}


def packed(longest):
    """The buffers of both instruments, with events of another length."""
    header = (HeaderField("age", "uint8"), HeaderField("minor_frame", "uint8"))
    return Packed("EventBuffer", "NumberEvents", longest, continued="ContinuationFlag", header=header)


def in_first_byte(events):
    return events[:, 0]


def in_second_byte(events):
    return events[:, 1]


def cycles(name, buffers, numbers, seconds=None):
    """Records of event cycles 256 s apart, or at the seconds given."""
    made = np.zeros(len(numbers), INSTRUMENTS[name].layout.by_code()[CODES[name]].dtype)
    made["Second1996"] = SECOND + 256 * np.arange(len(made)) if seconds is None else seconds
    made["ClockCycle"] = made["Second1996"] - 52_069_705
    made["NumberEvents"] = numbers
    made["EventBuffer"] = buffers
    return made


def random_cycles(name, number, mean):
    """Cycles full of events whose first byte is their length."""
    rng = np.random.default_rng(1)
    dtype = INSTRUMENTS[name].layout.by_code()[CODES[name]].dtype
    size = dtype["EventBuffer"].shape[0]
    numbers = rng.poisson(mean, number)
    buffers, _ = sample_event_buffers(numbers, size, rng, lengths=(3, LONGEST[name]), ages=4)
    return cycles(name, buffers, numbers)


def decoded(name, path):
    """The event cycles of a Level 1 file."""
    [batch] = [b for b in INSTRUMENTS[name].decode(Source.read(path)) if b.code == CODES[name]]
    return batch.records


@pytest.fixture(scope="module", params=["cris", "sis"])
def simulated(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("sample")
    INSTRUMENTS[request.param].simulate(day=np.datetime64("1997-10-31"), seed=1, directory=directory)
    [path] = directory.glob("*.hdf")
    return request.param, decoded(request.param, path)


def check_against_buffers(opened, records):
    """Rows of whole events, put one behind the other again, are the buffers."""
    assert len(opened) == records["NumberEvents"].sum()
    assert not opened["unsplit"].any()
    for number, record in enumerate(records):
        rows = opened[opened["record"] == number]
        assert rows["number"].tolist() == list(range(record["NumberEvents"]))
        assert set(rows["Second1996"].tolist()) <= {record["Second1996"]}
        buffer = b"".join(
            bytes([row["age"], row["minor_frame"]]) + row["event"][: row["size"]].tobytes() for row in rows
        )
        assert record["EventBuffer"].tobytes() == buffer.ljust(len(record["EventBuffer"]), b"\0")


def test_every_event_of_a_simulated_day_is_found(simulated):
    name, records = simulated
    opened = OPENED_BY[name](records, in_first_byte)
    assert len(opened) > 900
    check_against_buffers(opened, records)
    by_age = np.zeros(records["NumberNormalEventBytes"].shape, int)
    np.add.at(by_age, (opened["record"], opened["age"]), opened["size"])
    assert np.array_equal(by_age, records["NumberNormalEventBytes"])


@BOTH
def test_every_event_of_the_sample_day_is_found(samples, name):
    records = decoded(name, samples / "ace" / f"ace_l1_{name}_1997304.hdf")
    opened = OPENED_BY[name](records, in_second_byte)
    assert len(opened) > 900
    check_against_buffers(opened, records)


def test_without_lengths_the_first_event_of_each_buffer_is_found_and_the_others_are_counted(simulated):
    name, records = simulated
    opened = OPENED_BY[name](records)
    with_events = records[records["NumberEvents"] > 0]
    assert opened["Second1996"].tolist() == with_events["Second1996"].tolist()
    assert set(opened["size"].tolist()) == {-1}
    assert set(opened["number"].tolist()) == {0}
    assert np.array_equal(opened["unsplit"], with_events["NumberEvents"] - 1)
    assert np.array_equal(opened["age"], with_events["EventBuffer"][:, 0])
    assert np.array_equal(opened["minor_frame"], with_events["EventBuffer"][:, 1])
    assert np.array_equal(opened["event"], with_events["EventBuffer"][:, 2 : 2 + LONGEST[name]])


@BOTH
def test_the_longest_event_is_the_layout_s(name):
    opened = OPENED_BY[name](cycles(name, 1, [1]))
    assert opened["event"].shape == (1, LONGEST[name])
    assert opened.dtype.names == (
        "ClockCycle", "Second1996", "microsecond", "record", "number", "age", "minor_frame", "offset", "size",
        "unsplit", "event",
    )  # fmt: skip


def continued_cycle():
    """Five events of one cycle in two structs, the second struct first; and one event of a cycle before it."""
    flagged = [0, 10, 2, 101, 0, 20, 2, 102, 0, 30, 2, 103]
    rest = [1, 40, 2, 104, 1, 50, 2, 105]
    before = [0, 60, 2, 99]
    buffers = np.zeros((3, 17_000), np.uint8)
    for row, events in enumerate((rest, before, flagged)):
        buffers[row, : len(events)] = events
    made = cycles("cris", buffers, [2, 1, 3], seconds=[SECOND + 256, SECOND, SECOND + 256])
    made["ContinuationFlag"] = [0, 0, 1]
    return made


def test_a_continued_cycle_is_numbered_through_the_struct_with_the_flag_first():
    opened = events_of_cris(continued_cycle(), in_first_byte)
    assert opened["event"][:, 1].tolist() == [101, 102, 103, 104, 105, 99]
    assert opened["number"].tolist() == [0, 1, 2, 3, 4, 0]
    assert opened["record"].tolist() == [2, 2, 2, 0, 0, 1]


def test_a_continued_cycle_is_whole_when_it_comes_from_an_archive(archive_run, tmp_path):
    structs = to_structs(continued_cycle(), cris.struct(cris.layout.by_code()[CODES["cris"]], "big"))
    (tmp_path / "L1CrisEventCycle.be.bin").write_bytes(structs.tobytes())
    done = archive_run("L1CrisEventCycle.be.bin", "--plugins", "cris", "--archive", "archive")
    assert done.returncode == 0, done.stderr
    records = dayfile.open_archive(tmp_path / "archive").read("cris.events")
    opened = events_of_cris(records, in_first_byte)
    assert opened["event"][:, 1].tolist() == [99, 101, 102, 103, 104, 105]
    assert opened["number"].tolist() == [0, 0, 1, 2, 3, 4]
    assert (np.diff(records.times[opened["record"]]) / np.timedelta64(1, "s")).tolist() == [256, 0, 0, 0, 0]


def test_events_are_unpacked_from_a_day_file_alone_and_by_the_plugin_where_it_declares_nothing(
    archive_run, tmp_path, monkeypatch
):
    structs = to_structs(continued_cycle(), cris.struct(cris.layout.by_code()[CODES["cris"]], "big"))
    (tmp_path / "L1CrisEventCycle.be.bin").write_bytes(structs.tobytes())
    assert archive_run("L1CrisEventCycle.be.bin", "--plugins", "cris", "--archive", "archive").returncode == 0
    alone = dayfile.open_archive(tmp_path / "archive").read("cris.events")
    with monkeypatch.context() as patched:
        patched.setattr("dayfile.discovery.load", None)
        rows = alone.unpack("EventBuffer", length=in_first_byte)
    assert np.array_equal(rows, events_of_cris(alone, in_first_byte))

    [path] = (tmp_path / "archive" / "cris").rglob("*.h5")
    with tables.open_file(path, "a") as file:  # as an earlier version wrote it
        for table in (file.root.events, file.root.events_overlap):
            del table.attrs.packed, table.attrs.declaration_sha256
    before = dayfile.open_archive(tmp_path / "archive").read("cris.events")
    assert before.data_type.packed is None
    assert np.array_equal(before.unpack("EventBuffer", length=in_first_byte), rows)
    assert np.array_equal(events_of_cris(before, in_first_byte), rows)


def test_two_structs_of_one_time_without_the_flag_do_not_continue_one_another():
    rivals = continued_cycle()
    rivals["ContinuationFlag"] = 0
    assert events_of_cris(rivals, in_first_byte)["number"].tolist() == [0, 1, 0, 1, 2, 0]


def test_numbering_goes_on_behind_events_that_could_not_be_split():
    opened = events_of_cris(continued_cycle())
    assert opened["number"].tolist() == [0, 3, 0]
    assert opened["unsplit"].tolist() == [2, 1, 0]


@BOTH
@pytest.mark.parametrize("wrong", [0, 163, 255])
def test_an_impossible_length_costs_what_comes_behind_it_in_its_struct_and_nothing_else(name, wrong):
    records = random_cycles(name, number=5, mean=12)
    whole = OPENED_BY[name](records, in_first_byte)
    damaged = np.flatnonzero((whole["record"] == 2) & (whole["number"] == 4))[0]
    records["EventBuffer"][2, whole["offset"][damaged]] = wrong
    opened = OPENED_BY[name](records, in_first_byte)
    last = opened[damaged]
    assert (last["record"], last["number"], last["size"]) == (2, 4, -1)
    assert last["unsplit"] == records["NumberEvents"][2] - 5
    assert last["event"].tolist() == records["EventBuffer"][2, last["offset"] :][: LONGEST[name]].tolist()
    others = (whole["record"] != 2) | (whole["number"] < 4)
    assert np.array_equal(np.delete(opened, damaged), whole[others])


def test_a_length_that_runs_over_the_end_of_the_buffer_is_not_known():
    records = cycles("cris", 0, [170])
    records["EventBuffer"][:, 2::100] = 98
    assert events_of_cris(records, in_first_byte)["size"].tolist() == [98] * 170
    records["EventBuffer"][:, 16_902] = 99
    opened = events_of_cris(records, in_first_byte)
    assert opened["size"].tolist() == [98] * 169 + [-1]
    assert opened["event"][-1].tolist() == [99] + [0] * 161


def test_more_events_than_the_buffer_holds_are_told():
    records = cycles("cris", 0, [65_535, 1])
    records["EventBuffer"][:, 2::3] = 1  # events of one byte, up to the end
    opened = events_of_cris(records, in_first_byte)
    assert np.bincount(opened["record"]).tolist() == [5666, 1]
    assert opened["offset"][5665] == 16_997
    assert opened["unsplit"].nonzero()[0].tolist() == [5665]
    assert opened["unsplit"][5665] == 65_535 - 5666


def test_no_cycles_and_cycles_without_events_give_no_rows():
    for records in (cycles("sis", 0, []), cycles("sis", 0, [0, 0])):
        assert len(events_of_sis(records)) == len(events_of_sis(records, in_first_byte)) == 0


def test_lengths_of_one_byte_do_not_wrap():
    records = random_cycles("cris", number=3, mean=90)
    assert in_first_byte(records["EventBuffer"]).dtype == np.uint8
    check_against_buffers(events_of_cris(records, in_first_byte), records)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (len, "int64 of shape ()"),
        (lambda events: events[:, :1], "uint8 of shape (1, 1)"),
        (lambda events: events[:, 0] / 1, "float64 of shape (1,)"),
    ],
)
def test_a_function_that_does_not_tell_lengths_is_refused(answer, told):
    with pytest.raises(UsageError) as caught:
        events_of_cris(cycles("cris", 0, [1]), answer)
    assert told in str(caught.value)
    assert "1 integer;" in str(caught.value)


def test_records_of_another_type_are_refused():
    with pytest.raises(UsageError, match="no NumberEvents and no EventBuffer and no ContinuationFlag"):
        events_of_cris(np.zeros(1, cris.layout.by_code()["L1CrisHskp"].dtype))


def test_event_cycles_of_the_other_instrument_are_refused():
    of_sis = dayfile.Records(sis.layout.by_code()["L1SisEventCycle"], cycles("sis", 0, [1]))
    with pytest.raises(UsageError, match=r"sis\.events is another instrument's"):
        events_of_cris(of_sis)


def test_a_buffer_without_room_for_the_longest_event_is_refused():
    with pytest.raises(UsageError, match="17000"):
        unpack(cycles("cris", 0, [1]), packed(16_999))


@BOTH
def test_buffers_are_not_copied(name):
    records = random_cycles(name, number=338, mean=10)
    tracemalloc.start()
    opened = OPENED_BY[name](records, in_first_byte)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * opened.nbytes < records.nbytes


MADE_UP = np.dtype(
    [
        ("second", ">u4"),
        ("NumberEvents", ">u2"),
        ("spent", "u1", (2,)),
        ("EventBuffer", "u1", (30,)),
        ("ContinuationFlag", "u1"),
        ("part", "<i8"),
    ]
)
ANY_CYCLE = st.tuples(
    st.integers(0, 2),
    st.integers(0, 12) | st.just(65_535),
    st.just((7, 7)),
    st.lists(st.integers(0, 9), min_size=30, max_size=30),
    st.sampled_from([0, 0, 1, 255]),
    st.sampled_from([0, 0, 0, 1]),
)
ANY_CYCLES = st.lists(ANY_CYCLE, max_size=6).map(lambda rows: np.array(rows, MADE_UP))


def one_by_one(records, longest, length):
    """What the module promises, a byte at a time."""
    rows = []
    cycles_in_order = list(dict.fromkeys((int(r["second"]), int(r["part"])) for r in records))
    for cycle in cycles_in_order:
        mine = [i for i, r in enumerate(records) if (int(r["second"]), int(r["part"])) == cycle]
        number, goes_on = 0, False
        for i in sorted(mine, key=lambda i: records[i]["ContinuationFlag"] == 0):
            buffer, left = records[i]["EventBuffer"].tolist(), int(records[i]["NumberEvents"])
            number = number if goes_on else 0
            goes_on, following = bool(records[i]["ContinuationFlag"]), number + left
            place = 0
            while left and place + 2 < len(buffer):
                age, frame, *rest = buffer[place:]
                event = rest[:longest] + [0] * (longest - len(rest))
                size = length(event)
                left -= 1
                known = 0 < size <= min(longest, len(rest))
                size = size if known else -1
                event = event[:size] + [0] * (longest - size) if known else event
                rows.append([*cycle, i, number, age, frame, place + 2, size, 0, event])
                if not known:
                    break
                number, place = number + 1, place + 2 + size
            if rows and rows[-1][2] == i:
                rows[-1][8] = left
            number = following
    return rows


@given(records=ANY_CYCLES, longest=st.integers(1, 28), steps=st.sampled_from([1, 3, 40]), known=st.booleans())
def test_any_cycles_are_opened_as_one_by_one(records, longest, steps, known):
    lengths = (lambda events: events[:, 0].astype(int) * steps - 2) if known else None
    opened = unpack(records, packed(longest), lengths)
    plain = one_by_one(records, longest, lambda event: event[0] * steps - 2 if known else -1)
    assert [[*row.tolist()[:-1], row["event"].tolist()] for row in opened] == plain
    assert len(opened) + opened["unsplit"].sum() == records["NumberEvents"].sum()
