"""Putting records: a status for each, in order, and whatever was put stands in the day file of its time."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import pytest
import tables

from archives import find_defects, list_entries, read_ledger, rebuild_day
from dayfile import Instrument, Source, Status, create_archive, open_archive
from dayfile.errors import ArchiveLockedError, HeldError, UsageError
from running import list_open_files, run_script

WRITTEN, CONFLICT, IN_CONFLICT, IDENTICAL, REJECTED = Status
RATES, NEXT_RATES = (f"muon/1997/{month}/muon.1997.{month}.{day}.rat.h5" for month, day in (("10", "31"), ("11", "01")))


@pytest.fixture
def opened(installed, muon, school, tmp_path):
    """An archive, with the muon telescope and the roofs installed."""
    installed(muon=muon.layout, school=school.layout)
    return create_archive(tmp_path / "archive")


def rates(muon, *rows):
    """Rates from (second of the day, temperature)."""
    return muon.records("rates", [{"second": muon.start + second, "temperature": value} for second, value in rows])


def found(archive, muon, name="muon.rates"):
    records = archive.read(name)
    seconds = records["second"].astype(np.int64) - muon.start
    return list(zip(seconds.tolist(), records["temperature"].tolist(), strict=True))


def ledger(archive, path):
    """Sources of a day file: name, size, records and SHA-256 of each."""
    entries = read_ledger(archive.root.path / path)
    return [(entry.name, entry.size, entry.records, entry.sha256) for entry in entries]


MOST_OPEN = 8
"""Day files that are open at once."""


def everything(archive):
    """Every file of an archive but for its locks."""
    return {
        path: path.read_bytes()
        for path in archive.root.path.rglob("*")
        if path.is_file() and not path.name.endswith("lock")
    }


# ---- Statuses, and where records go


def test_statuses_come_in_the_order_of_the_records_also_of_one_slot(opened, muon):
    records = rates(muon, (600, 1), (0, 1), (5, 2), (0, 1), (600, 1), (300, 9), (7, 3))
    statuses = opened.put("muon.rates", records)
    assert statuses.dtype == np.uint8
    assert statuses.tolist() == [WRITTEN, WRITTEN, CONFLICT, IN_CONFLICT, IDENTICAL, WRITTEN, IN_CONFLICT]
    assert found(opened, muon) == [(0, 1), (5, 2), (7, 3), (300, 9), (600, 1)]
    assert find_defects(opened.root) == []


def test_records_of_both_sides_of_midnight_go_to_their_own_days(opened, muon):
    statuses = opened.put("muon.rates", rates(muon, (86400, 2), (86399, 1), (86400, 3), (86399, 1), (0, 5)))
    assert statuses.tolist() == [WRITTEN, WRITTEN, CONFLICT, IDENTICAL, WRITTEN]
    assert [path for path in opened.root.list_day_files() if "rat" in path] == [RATES, NEXT_RATES]
    assert [entry[2] for path in (RATES, NEXT_RATES) for entry in ledger(opened, path)] == [3, 2]
    with tables.open_file(opened.root.path / RATES) as file:
        assert np.flatnonzero(file.root.rates.col("second")).tolist() == [0, 337]
    assert found(opened, muon) == [(0, 5), (86399, 1), (86400, 2), (86400, 3)]


def test_types_without_slots_know_what_they_hold(opened, muon):
    hits = muon.records("hits", [{"second": muon.start, "energy": value} for value in (1, 2, 1)])
    assert opened.put("muon.hits", hits).tolist() == [WRITTEN, WRITTEN, IDENTICAL]
    runs = muon.records("runs", [{"first": muon.start, "last": muon.start + end} for end in (10, 20, 10)])
    assert opened.put("muon.runs", runs).tolist() == [WRITTEN, WRITTEN, IDENTICAL]
    assert opened.put("muon.runs", runs[::-1]).tolist() == [IDENTICAL] * 3


def test_what_was_put_is_read_at_once_and_by_others(opened, muon):
    opened.put("muon.rates", rates(muon, (0, 1)))
    assert found(opened, muon) == found(open_archive(opened.root.path), muon) == [(0, 1)]
    opened.put("muon.rates", rates(muon, (300, 2)))
    assert found(opened, muon) == [(0, 1), (300, 2)]


def test_records_that_were_put_are_identical_to_those_of_a_source_and_the_other_way_round(opened, archive, muon):
    assert opened.root.path == archive.root.path
    records = rates(muon, (0, 1), (300, 2))
    opened.put("muon.rates", records[:1])
    archive.drop("MuonRates.le.bin", muon.stream("rates", records, "little"))
    told = archive.run().records["muon.rates"]
    assert (told["written"], told["identical"]) == (1, 1)
    assert opened.put("muon.rates", records).tolist() == [IDENTICAL] * 2


def test_what_is_put_again_changes_no_day_file(opened, muon):
    records = rates(muon, (0, 1), (0, 2), (300, 1))
    opened.put("muon.rates", records)
    before = (opened.root.path / RATES).read_bytes()
    assert opened.put("muon.rates", records).tolist() == [IN_CONFLICT, IN_CONFLICT, IDENTICAL]
    assert (opened.root.path / RATES).read_bytes() == before


def test_no_records_have_no_statuses_and_make_no_day_file(opened, muon):
    assert opened.put("muon.rates", rates(muon)).shape == (0,)
    assert list(opened.root.list_day_files()) == []


def test_settings_of_the_archive_hold_for_what_is_put(opened, muon):
    (opened.root.path / "archive.yaml").write_text("on_conflict: replace\n")
    assert opened.put("muon.rates", rates(muon, (0, 1), (0, 2))).tolist() == [WRITTEN, CONFLICT]
    with tables.open_file(opened.root.path / RATES) as file:
        assert file.root.rates[0]["temperature"] == 2


# ---- Records without a time


def test_a_record_without_a_time_is_kept_in_quarantine_and_costs_the_others_nothing(opened, muon):
    records = rates(muon, (0, 1), (300, 2), (600, 3))
    records["second"][1] = 0xFFFFFFFF
    assert opened.put("muon.rates", records).tolist() == [WRITTEN, REJECTED, WRITTEN]
    assert found(opened, muon) == [(0, 1), (600, 3)]
    (entry,) = list_entries(opened.root)
    assert entry.reason["records"] == [1]
    assert entry.reason["message"].endswith("no time: second is 4294967295, a mark for no time; so there is no day")
    assert (entry.content.name, entry.content.read_bytes()) == ("MuonRates.be.bin", muon.stream("rates", records[1:2]))
    assert [entry[2] for entry in ledger(opened, RATES)] == [2]


def test_a_record_without_an_end_stamp_is_kept_in_quarantine_too(opened, muon):
    runs = muon.records("runs", [{"first": muon.start}, {"first": muon.start, "last": muon.start}])
    assert opened.put("muon.runs", runs).tolist() == [REJECTED, WRITTEN]
    assert len(opened.read("muon.runs")) == len(list_entries(opened.root)) == 1


def test_records_that_all_lack_a_time_make_no_day_file(opened, muon):
    assert opened.put("muon.rates", muon.records("rates", [{}, {}])).tolist() == [REJECTED] * 2
    assert list(opened.root.list_day_files()) == []
    assert [entry.reason["records"] for entry in list_entries(opened.root)] == [[0, 1]]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        ([0, 0], "second is 0.0, a mark for no time"),
        ([1e12], "second is 1000000000000.0, not in the years 1900 to 2261"),
        ([np.nan, 0], "second is 0.0, a mark for no time, or nan, not in the years 1900 to 2261"),
    ],
)
def test_the_reason_tells_why_a_time_is_none(muon, seconds, words):
    layout = muon.layout.replace("{name: second, type: uint32", "{name: second, type: float64").replace("size: 28", "")
    instrument = Instrument(layout, "muon.yaml")
    records = np.zeros(len(seconds), instrument.layout.by_code()["MuonHit"].dtype)
    records["second"] = seconds
    (rejected,) = instrument.batches(instrument.layout.by_code()["MuonHit"], records)
    assert rejected.reason == f"no time: {words}; so there is no day"


# ---- What is taken for records


@pytest.mark.parametrize("order", ["big", "little"])
def test_aligned_structs_of_any_byte_order_are_records(opened, muon, order):
    records = muon.records("rates", [{"second": muon.start, "counts": [1, 2, 65535], "temperature": -0.5}])
    records["label"] = b"a\0b"
    structs = np.frombuffer(muon.stream("rates", records, order), muon.instrument.struct(muon.rates, order))
    assert opened.put("muon.rates", structs).tolist() == [WRITTEN]
    assert opened.read("muon.rates").array.tobytes() == records.tobytes()


def test_one_struct_is_a_record(opened, muon):
    records = rates(muon, (0, 1), (300, 2))
    assert opened.put("muon.rates", records[0]).tolist() == [WRITTEN]
    assert opened.put("muon.rates", list(records)).tolist() == [IDENTICAL, WRITTEN]


def test_wider_types_are_taken_where_the_values_fit_and_further_fields_are_left_out(opened, muon):
    form = [("more", "U3"), ("label", "S3"), ("temperature", "f8"), ("counts", "i8", 3), ("second", "f8"),
            ("quality", "i4")]  # fmt: skip
    wide = np.array(
        [("x", b"ab", 1.5, [0, 1, 65535], muon.start, 255), ("", b"", np.nan, [0] * 3, muon.start, 0)], form
    )
    assert opened.put("muon.rates", wide).tolist() == [WRITTEN, CONFLICT]
    record = opened.read("muon.rates").array[0]
    assert record.tolist()[:2] == (255, muon.start)
    assert (record["counts"].tolist(), record["temperature"], record["label"]) == ([0, 1, 65535], 1.5, b"ab")


def test_records_that_were_read_from_one_archive_are_put_into_another(opened, muon, tmp_path):
    opened.put("muon.rates", rates(muon, (0, 1), (0, 2), (300, 3), (86400, 4)))
    other = create_archive(tmp_path / "other")
    assert other.put("muon.rates", opened.read("muon.rates")).tolist() == [WRITTEN, CONFLICT, WRITTEN, WRITTEN]
    assert found(other, muon) == found(opened, muon)


def changed(array, name, form, value):
    """Records with one field of another type."""
    wrong = np.zeros(
        len(array), [(field, form if field == name else array.dtype[field]) for field in array.dtype.names]
    )
    for field in array.dtype.names:
        wrong[field] = value if field == name else array[field]
    return wrong


WRONG_VALUES = [
    ("counts", ("i4", 3), [1, 70000, 3], "counts of record 0 does not fit uint16"),
    ("counts", ("i4", 3), -1, "counts of record 0 does not fit uint16"),
    ("counts", ("f8", 3), 1.5, "counts of record 0 does not fit uint16"),
    ("counts", ("f8", 3), np.nan, "counts of record 0 does not fit uint16"),
    ("counts", ("u2", 4), 1, r"counts has the shape \(4,\), and must have \(3,\)"),
    ("temperature", "f8", 0.1, "temperature of record 0 does not fit float32"),
    ("temperature", "f8", 1e300, "temperature of record 0 does not fit float32"),
    ("second", "i8", -1, "second of record 0 does not fit uint32"),
    ("second", "M8[s]", np.datetime64("1997-10-31"), "second of record 0 does not fit uint32"),
    ("label", "S9", b"too long!", r"label of record 0 does not fit \|S7"),
]


@pytest.mark.parametrize(("name", "form", "value", "message"), WRONG_VALUES)
def test_values_that_would_change_are_refused_and_nothing_is_put(opened, muon, name, form, value, message):
    before = everything(opened)
    with pytest.raises(UsageError, match=f"muon.rates: {message}"):
        opened.put("muon.rates", changed(rates(muon, (0, 1), (300, 2)), name, form, value))
    assert everything(opened) == before


def test_the_first_record_that_does_not_fit_is_named(opened, muon):
    records = changed(rates(muon, (0, 1), (300, 2), (600, 3)), "quality", "i4", [255, 256, 257])
    with pytest.raises(UsageError, match="quality of record 1 does not fit uint8"):
        opened.put("muon.rates", records)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (np.zeros(2, [("second", "u4"), ("counts", "u2", 3)]), "they lack quality, temperature, label"),
        ([1, 2, 3], "they lack quality, second, counts, temperature, label"),
        (None, "they lack quality"),
        ({"second": [1]}, r"must be a structured array, or records that were read, not a dict; fill in np\.zeros\(n"),
        (pd.DataFrame({"second": [1]}), "not a DataFrame; fill in"),
        (np.zeros((1, 2), [("second", "u4")]), "they lack quality"),
    ],
)
def test_what_are_no_records_of_the_type_is_refused(opened, muon, records, message):
    with pytest.raises(UsageError, match=message):
        opened.put("muon.rates", records)
    assert list(opened.root.list_day_files()) == []


def test_a_table_of_records_is_refused(opened, muon):
    with pytest.raises(UsageError, match=r"their shape is \(1, 2\)"):
        opened.put("muon.rates", rates(muon, (0, 1), (300, 2)).reshape(1, 2))


@pytest.mark.parametrize(("name", "form", "value"), [("label", "U7", "\u00e9"), ("quality", "O", None), ("", "", "")])
def test_what_numpy_cannot_convert_is_refused_with_a_message(opened, muon, name, form, value):
    records = changed(rates(muon, (0, 1)), name, form, value) if name else [(1, [2, 3])]
    with pytest.raises(UsageError):
        opened.put("muon.rates", records)


def test_a_type_that_no_plugin_has_is_refused_with_the_one_that_was_meant(opened, muon):
    with pytest.raises(
        UsageError, match=r"no installed plugin has the data type 'muon\.rats'; did you mean 'muon\.rates'"
    ):
        opened.put("muon.rats", rates(muon, (0, 1)))


# ---- Several puts


def test_a_series_of_puts_gives_what_one_put_gives(opened, muon, tmp_path):
    records = rates(muon, (0, 1), (5, 2), (0, 1), (300, 3), (86400, 4), (300, 3))
    other = create_archive(tmp_path / "other")
    with other.putting() as put:
        statuses = [put("muon.rates", record).tolist() for record in records]
        assert list(other.root.list_day_files()) == []
    assert np.concatenate(statuses).tolist() == opened.put("muon.rates", records).tolist()
    for path in (RATES, NEXT_RATES):
        assert ledger(other, path) == ledger(opened, path)
        with tables.open_file(opened.root.path / path) as one, tables.open_file(other.root.path / path) as two:
            assert one.root.rates[:].tobytes() == two.root.rates[:].tobytes()


def test_a_program_can_fill_its_array_again_for_the_next_put(opened, muon):
    (opened.root.path / "archive.yaml").write_text("sources.keep: always\n")
    buffer = rates(muon, (0, 0))
    with opened.putting() as put:
        for second in (0, 300, 600):
            buffer["second"], buffer["temperature"] = muon.start + second, second
            put("muon.rates", buffer)
            assert buffer.flags.writeable
    (opened.root.path / RATES).unlink()
    assert rebuild_day(opened.root, opened.plugins, opened.settings, RATES).exit_code == 0
    assert found(opened, muon) == [(0, 0), (300, 300), (600, 600)]


def test_what_was_put_before_an_exception_is_published(opened, muon):
    with pytest.raises(ZeroDivisionError), opened.putting() as put:
        put("muon.rates", rates(muon, (0, 1)))
        put("muon.hits", muon.records("hits", [{"second": muon.start}]))
        raise ZeroDivisionError
    assert found(opened, muon) == [(0, 1)]
    assert len(opened.read("muon.hits")) == 1
    assert find_defects(opened.root) == []
    assert opened.put("muon.rates", rates(muon, (300, 1))).tolist() == [WRITTEN]


def test_a_refused_put_costs_the_series_nothing(opened, muon):
    with opened.putting() as put:
        put("muon.rates", rates(muon, (0, 1)))
        with pytest.raises(UsageError):
            put("muon.rates", changed(rates(muon, (300, 1)), "quality", "i4", 256))
        put("muon.rates", rates(muon, (600, 1)))
    assert found(opened, muon) == [(0, 1), (600, 1)]
    assert [entry[2] for entry in ledger(opened, RATES)] == [2]


def test_much_is_published_meanwhile(opened, muon):
    with opened.putting(publish_bytes=3 * muon.rates.dtype.itemsize - 1) as put:
        put("muon.rates", rates(muon, (0, 1), (300, 2)))
        assert list(opened.root.list_day_files()) == []
        put("muon.rates", rates(muon, (600, 3)))
        assert found(opened, muon) == [(0, 1), (300, 2), (600, 3)]
        put("muon.rates", rates(muon, (900, 4)))
    assert [entry[2] for entry in ledger(opened, RATES)] == [3, 1]


def test_many_days_need_no_more_open_files_than_a_run(opened, muon):
    records = rates(muon, *((86400 * day, day) for day in range(MOST_OPEN + 6)))
    with opened.putting() as put:
        assert put("muon.rates", records).tolist() == [WRITTEN] * len(records)
        assert len(list_open_files(opened.root.workshop)) <= MOST_OPEN < len(list(opened.root.workshop.iterdir()))
    assert len(opened.read("muon.rates")) == len(records)


def test_a_put_that_fails_for_one_of_its_days_changes_no_other(opened, muon):
    opened.put("muon.rates", rates(muon, (86400, 1)))
    (opened.root.path / NEXT_RATES).write_bytes(b"damaged")
    with pytest.raises(HeldError, match="is damaged: cannot be read"):
        opened.put("muon.rates", rates(muon, (0, 1), (86700, 1)))
    assert not (opened.root.path / RATES).exists()


# ---- What else tells of a put


def test_the_ledger_tells_the_put_as_a_source_that_decodes_to_its_records(opened, muon):
    records = rates(muon, (0, 1), (300, 2))
    opened.put("muon.rates", records)
    content = muon.stream("rates", records)
    assert ledger(opened, RATES) == [("MuonRates.be.bin", len(content), 2, hashlib.sha256(content).hexdigest())]
    (batch,) = muon.instrument.decode(Source(opened.root.path, "MuonRates.be.bin", content))
    assert batch.records.tobytes() == records.tobytes()


def test_records_that_were_put_come_back_from_kept_sources(opened, muon):
    (opened.root.path / "archive.yaml").write_text("sources.keep: always\n")
    with opened.putting() as put:
        put("muon.rates", rates(muon, (0, 1), (86400, 2), (0, 3)))
        put("muon.rates", rates(muon, (300, 4)))
        put("muon.rates", muon.records("rates", [{}]))
    opened.put("muon.rates", rates(muon, (600, 5)))
    before = found(opened, muon)
    for path in (RATES, NEXT_RATES):
        (opened.root.path / path).unlink()
        report = rebuild_day(opened.root, opened.plugins, opened.settings, path)
        assert (report.exit_code, report.day_files) == (0, [path])
    assert found(opened, muon) == before
    assert find_defects(opened.root) == []


def test_an_archive_that_another_process_works_on_is_locked(opened, muon):
    hold = "import sys\nfrom dayfile import open_archive\n"
    hold += "with open_archive(sys.argv[1], plugins={}).putting():\n"
    hold += "    print('held', flush=True)\n    sys.stdin.read()"
    with run_script(hold, opened.root.path) as other:
        with pytest.raises(ArchiveLockedError, match=f"process {other.pid} on"):
            opened.put("muon.rates", rates(muon, (0, 1)))
        assert json.loads(opened.root.holder.read_text())["process"] == other.pid
    assert opened.put("muon.rates", rates(muon, (0, 1))).tolist() == [WRITTEN]


def test_a_series_within_a_series_is_refused_and_costs_the_outer_one_nothing(opened, muon):
    with opened.putting() as put:
        put("muon.rates", rates(muon, (0, 1)))
        with pytest.raises(ArchiveLockedError):
            opened.put("muon.rates", rates(muon, (300, 2)))
        put("muon.rates", rates(muon, (600, 3)))
    assert found(opened, muon) == [(0, 1), (600, 3)]


def test_an_archive_is_made_once_and_not_out_of_a_file(opened, muon, tmp_path):
    opened.put("muon.rates", rates(muon, (0, 1)))
    assert found(create_archive(str(opened.root.path)), muon) == [(0, 1)]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UsageError, match="this is a file; an archive is a directory"):
        create_archive(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"
