"""Tables are closed before their file, whatever happens; and files of other programs are taken up like our own."""

from __future__ import annotations

import gc
from contextlib import closing
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import tables

from dayfile import Batch, Instrument, Status, open_archive
from dayfile.archive import answering
from dayfile.archive.checking import check_day_file
from dayfile.archive.records import Place, read_blobs
from dayfile.archive.survey import open_leaves, read_summaries, survey, verify
from dayfile.archive.workfile import WorkFile
from dayfile.errors import LayoutError, StorageError
from dayfile.hdf5.rows import open_table
from dayfile.stores.checksums import hash_rows, sum_hashes
from dayfile.stores.declarations import make_type_finder

WRITTEN, CONFLICT, IDENTICAL = Status.WRITTEN, Status.CONFLICT, Status.IDENTICAL


@pytest.fixture(autouse=True)
def nothing_left_open(left_open):
    pass


def can_be_replaced(path):
    """Whether nobody of this process has a file open: HDF5 refuses to make one that is."""
    content = path.read_bytes()
    tables.open_file(path, "w").close()
    path.write_bytes(content)
    return not any(tables.file._open_files.handlers)


def hits(muon, *seconds):
    return muon.batch("hits", muon.records("hits", [{"second": muon.start + second} for second in seconds]))


def rates(muon, *rows):
    made = [{"second": muon.start + second, "temperature": value} for second, value in rows]
    return muon.batch("rates", muon.records("rates", made))


def events(school, *seconds):
    return school.make_events([(second, 1.5, b"x", b"blob %d" % second, None) for second in seconds])


def write_all(work, muon, school, number):
    """Something for tables of each kind: slots with an overlap, rows, rows with blobs."""
    work.begin()
    work.write(muon.hits, hits(muon, number, number + 1))
    work.write(muon.rates, rates(muon, (300 * number, 1), (300 * number, 2), (300 * number + 9000, 3)))
    work.write(school.events, replace(events(school, number), instrument="school"))


# ---- Closing


@pytest.mark.parametrize("end", ["close", "abandon", "publish"])
def test_after_a_work_file_is_done_with_nothing_is_open(muon, school, work_file, end):
    for number in range(3):
        work = work_file(muon.day)
        write_all(work, muon, school, number)
        work.flush()
        write_all(work, muon, school, number + 10)
        getattr(work, end)()
        assert can_be_replaced(work.published if end == "publish" else work.path)
        assert work.handle is None
        work.abandon()


def test_a_work_file_that_is_closed_in_between_is_opened_anew_and_closed_again(muon, school, work_file):
    work = work_file(muon.day)
    for number in range(4):
        write_all(work, muon, school, number)
        work.close()
        assert can_be_replaced(work.path)
    work.publish()
    with tables.open_file(work.published) as file:
        assert file.root.hits.nrows == file.root.hits.attrs.NROWS == 5
        assert file.root.rates_overlap.nrows == file.root.rates_overlap.attrs.NROWS == 8
        assert file.root.rates.nrows == file.root.rates.attrs.NROWS == 338


def test_a_table_that_is_refused_is_closed(muon, work_file):
    work = work_file(muon.day)
    work.published.parent.mkdir()
    with tables.open_file(work.published, "w") as file:
        file.create_table("/", "hits", {"other": tables.Int32Col()})
    work = work_file(muon.day)
    with pytest.raises(LayoutError):
        work.write(muon.hits, hits(muon, 1))
    work.abandon()
    assert can_be_replaced(work.path)
    assert can_be_replaced(work.published)


def test_what_reads_a_day_file_leaves_nothing_open(muon, school, work_file):
    work = work_file(muon.day)
    write_all(work, muon, school, 1)
    path = work.published
    work.publish()
    for read in (read_summaries, lambda path: check_day_file(path, "day.h5", deep=True), lambda path: verify(path, {})):
        read(path)
        assert can_be_replaced(path)


def test_reading_that_is_broken_off_leaves_nothing_open(muon, school, work_file):
    work = work_file(muon.day)
    write_all(work, muon, school, 1)
    work.publish()
    for stop in range(5):
        with tables.open_file(work.published) as file:
            nodes = open_leaves(file)
            for _ in range(stop):
                next(nodes)
            del nodes
            gc.collect()
        assert can_be_replaced(work.published)


@pytest.mark.parametrize("which", ["hits", "rates"])
def test_a_reader_that_is_stopped_leaves_nothing_open(archive, muon, monkeypatch, which):
    archive.drop("MuonHit.be.bin", muon.stream("hits", hits(muon, 1, 2).records))
    archive.drop("MuonRates.be.bin", muon.stream("rates", rates(muon, (1, 1), (1, 2)).records))
    archive.run()

    def stopped(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(answering, "read_table", stopped)
        with pytest.raises(KeyboardInterrupt):
            open_archive(archive.root.path).read(f"muon.{which}")
    gc.collect()
    for path in archive.root.path.rglob("*.h5"):
        assert can_be_replaced(path)
    assert len(open_archive(archive.root.path).read(f"muon.{which}")) == 2


def test_blobs_that_are_not_there_leave_nothing_open(school, work_file, tmp_path):
    work = work_file(school.day)
    work.begin()
    work.write(school.events, events(school, 1, 2))
    work.publish()
    place = Place(work.published, "/school/station_7/blobs")
    assert read_blobs([place], [np.array([1, -1])])[0].tolist() == [b"blob 2", None]
    for asked in (place, Place(work.published, "/absent"), Place(work.published, "/school/station_7/events")):
        with pytest.raises(StorageError):
            read_blobs([asked], [np.array([2])])
        assert can_be_replaced(work.published)


# ---- Day files of other programs


def foreign(path, data_type, records, nodes=("/hits",), **more):
    """A file with plain tables of records, without attributes of ours."""
    path.parent.mkdir(exist_ok=True)
    with tables.open_file(path, "w") as file:
        for node in nodes:
            table = file.create_table("/", node[1:], records.dtype, "by others", **more)
            table.append(records)


FORMS = [{}, {"filters": tables.Filters(3, "zlib")}, {"byteorder": "big"}]


@pytest.mark.parametrize("form", FORMS, ids=["plain", "zlib", "big"])
def test_a_survey_tells_what_a_table_of_others_holds(muon, tmp_path, form):
    records = hits(muon, 5, 3, 9).records
    foreign(tmp_path / "day" / "day.h5", muon.hits, records, ("/hits", "/others"), **form)
    checksum = sum_hashes(hash_rows(records), 0)
    with tables.open_file(tmp_path / "day" / "day.h5") as file:
        unknown = survey(file)
        known = survey(file, make_type_finder(muon.types.values()))
    assert [(each.path, each.rows, each.checksum) for each in known] == [
        ("/hits", 3, checksum),
        ("/others", 3, checksum),
    ]
    assert [each.data_type for each in unknown] == [None, None]
    assert [each.data_type for each in known] == [muon.hits, None]
    assert known[0].records == 3
    assert str(known[0].first).startswith("1997-10-31T00:00:03")
    assert str(known[0].last).startswith("1997-10-31T00:00:09")


@pytest.mark.parametrize("form", FORMS, ids=["plain", "zlib", "big"])
def test_a_table_of_others_is_written_to_and_tells_what_it_is_from_then_on(muon, tmp_path, form):
    published, path = tmp_path / "day" / "day.h5", tmp_path / "work.h5"
    foreign(published, muon.hits, hits(muon, 5, 3).records, **form)
    told = make_type_finder(muon.types.values())
    for seconds, expected in (((3, 7), [IDENTICAL, WRITTEN]), ((7, 5, 8), [IDENTICAL, IDENTICAL, WRITTEN])):
        work = WorkFile(published, path, muon.day, find_type=told)
        assert work.write(muon.hits, hits(muon, *seconds)).tolist() == expected
        (summary,), _ = work.publish()
        assert can_be_replaced(published)
    assert (summary.data_type.name, summary.records) == ("muon.hits", 4)
    with tables.open_file(published) as file:
        table = file.root.hits
        assert (table.read()["second"] - muon.start).tolist() == [5, 3, 7, 8]
        assert table.nrows == table.attrs.NROWS == 4
        assert table.byteorder == form.get("byteorder", "little")
    assert check_day_file(published, "day.h5", deep=True)[1] == []


def test_slots_of_others_are_written_to(muon, tmp_path):
    published, path = tmp_path / "day" / "day.h5", tmp_path / "work.h5"
    slots = np.zeros(338, muon.rates.dtype)
    slots[[3, 300]] = rates(muon, (3 * 256, 1), (300 * 256, 1)).records
    foreign(published, muon.rates, slots, ("/rates",))
    work = WorkFile(published, path, muon.day, find_type=make_type_finder(muon.types.values()))
    sent = rates(muon, (300 * 256, 1), (3 * 256, 2), (301 * 256, 1), (4 * 256, 1))
    assert work.write(muon.rates, sent).tolist() == [IDENTICAL, CONFLICT, WRITTEN, WRITTEN]
    work.publish()
    with tables.open_file(published) as file:
        assert np.flatnonzero(file.root.rates.read()["second"]).tolist() == [3, 4, 300, 301]
        assert file.root.rates_overlap.nrows == 2


# ---- Tables that get wider, in one session and in several


WIDER = """\
    later:
      - since: 1997-10-01
        code: MuonRun_0
        fields: [{name: humidity, type: float64, default: .nan}]
      - since: 1997-10-20
        code: MuonRun_1
        fields: [{name: comment, type: char, shape: [3]}]
"""


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
@pytest.mark.parametrize("reopened", [False, True])
def test_rows_of_versions_in_any_order_are_right_in_one_session_and_in_several(muon, tmp_path, order, reopened):
    runs = next(each for each in Instrument(muon.layout + WIDER, "muon.yaml").layout.types if each.type == "runs")
    assert [len(form.fields) for form in runs.forms] == [3, 4, 5]
    work = WorkFile(tmp_path / "day.h5", tmp_path / "work.h5", muon.day)
    sent = []
    for version in order:
        records = np.zeros(50, runs.forms[version].dtype)
        records["first"] = records["last"] = muon.start + 100 * version + np.arange(50)
        for name in records.dtype.names[3:]:
            records[name] = b"abc" if name == "comment" else 7
        sent.append(records)
        batch = Batch("muon", runs.code, records, np.arange(50))
        assert (work.write(runs, batch) == WRITTEN).all()
        if reopened:
            work.close()
            assert can_be_replaced(work.path)
        assert (work.write(runs, batch) == IDENTICAL).all()
    work.publish()
    with tables.open_file(tmp_path / "day.h5") as file, closing(open_table(file, "/runs")) as table:
        expected = np.concatenate([runs.conform(records) for records in sent])
        assert table.dtype == runs.dtype
        assert table.read(0, table.nrows).tobytes() == expected.tobytes() == file.root.runs.read().tobytes()
        assert file.root.runs.attrs.NROWS == 150
    assert can_be_replaced(tmp_path / "day.h5")
