"""Runs: again and again, over many days, with a report that adds up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tables

from archives import get_root, list_catalogue, read_ledger, run_archive
from dayfile import create_archive, hookimpl, open_archive
from dayfile.errors import StorageError, UsageError
from running import list_open_files

HITS, NEXT_HITS = (f"muon/1997/{month}/muon.1997.{month}.{day}.hit.h5" for month, day in (("10", "31"), ("11", "01")))
RATES = "muon/1997/10/muon.1997.10.31.rat.h5"


# ---- Again


def test_a_second_run_over_the_same_sources_changes_no_day_file(archive, hits, tmp_path):
    source = tmp_path / "MuonHit.be.bin"
    source.write_bytes(hits(1, 2))
    archive.run(source)
    before = (archive.root.path / HITS).stat()
    report = archive.run(source)
    assert report.sources == {"archived": 0, "already": 1, "quarantined": 0, "held": 0, "left": 0}
    assert (report.day_files, report.records, report.exit_code) == ([], {}, 0)
    after = (archive.root.path / HITS).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_same_source_twice_in_one_run_is_archived_once(archive, hits, tmp_path):
    source = tmp_path / "MuonHit.be.bin"
    source.write_bytes(hits(1))
    archive.drop("MuonHit.be.bin", hits(1))
    assert archive.run(source, source).sources == {"archived": 1, "already": 2, "quarantined": 0, "held": 0, "left": 0}
    assert archive.seconds() == [1]


def test_the_same_records_from_another_source_are_identical(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2))
    archive.run()
    archive.drop("MuonHit.le.bin", hits(2, 1, 3, order="little"))
    report = archive.run()
    assert report.sources["archived"] == 1
    assert archive.counts(report) == {"written": 1, "identical": 2}
    assert archive.seconds() == [1, 2, 3]


def test_duplicates_are_kept_if_the_settings_say_so(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 1))
    archive.run(duplicates="keep")
    archive.drop("MuonHit.le.bin", hits(1, order="little"))
    archive.run(duplicates="keep")
    assert archive.seconds() == [1, 1, 1]


def test_sources_in_any_order_give_the_same_records(muon, hits, tmp_path):
    found = []
    for number, order in enumerate(([1, 2, 3], [3, 1, 2])):
        sources = [tmp_path / str(name) / "MuonHit.be.bin" for name in order]
        for name, source in zip(order, sources, strict=True):
            source.parent.mkdir(exist_ok=True)
            source.write_bytes(hits(name, name + 1, 90000 + name))
        other = create_archive(tmp_path / f"archive {number}", plugins={"muon": muon.instrument})
        other.ingest(sources)
        found.append(other.read("muon.hits").array.tolist())
    assert found[0] == found[1]
    assert len(found[0]) == 7


# ---- Days


def test_records_on_both_sides_of_midnight_go_to_the_files_of_their_days(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(86398, 86399, 86400, 86401))
    report = archive.run()
    assert report.day_files == [HITS, NEXT_HITS]
    assert report.sources["archived"] == 1
    found = {}
    for path in report.day_files:
        with tables.open_file(archive.root.path / path) as file:
            found[path] = (file.get_node("/hits").read()["second"] - muon.start).tolist()
        (entry,) = read_ledger(archive.root.path / path)
        assert (entry.name, entry.records) == ("MuonHit.be.bin", 2)
    assert found == {HITS: [86398, 86399], NEXT_HITS: [86400, 86401]}


def test_a_day_file_that_was_lost_is_written_again_and_the_other_left_alone(archive, hits):
    archive.drop("MuonHit.be.bin", hits(86399, 86400))
    archive.run()
    (archive.root.path / NEXT_HITS).unlink()
    archive.drop("MuonHit.be.bin", hits(86399, 86400))
    report = archive.run()
    assert report.day_files == [NEXT_HITS]
    assert (report.sources["archived"], archive.counts(report)) == (1, {"written": 1})
    assert archive.seconds() == [86399, 86400]


def test_the_last_slot_of_a_day_takes_nothing_of_the_next(archive, muon):
    """Slot 337 of 256 s reaches 128 s past midnight."""
    rows = [{"second": muon.start + second} for second in (86399, 86400, 86527)]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    report = archive.run()
    assert archive.counts(report, "muon.rates") == {"written": 2, "overlap": 1}
    assert len(report.day_files) == 2
    with tables.open_file(archive.root.path / RATES) as file:
        assert np.flatnonzero(file.get_node("/rates").read()["second"]).tolist() == [337]


MOST_OPEN = 8
"""Day files that a run has open at once."""


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files as Linux lists them")
def test_of_many_days_only_some_files_are_open_and_all_are_published(archive, hits):
    opened = []

    def count_open_files(*_):
        opened.append(list_open_files(archive.root.workshop))

    for day in range(30):
        archive.drop("MuonHit.be.bin", hits(day * 86400), f"{day:02}")
    archive.drop("MuonHit.be.bin", hits(*(day * 86400 + 1 for day in range(30))), "all")
    report = archive.run(progress=count_open_files)
    assert 2 < max(map(len, opened)) <= MOST_OPEN
    assert len(report.day_files) == 30
    assert archive.counts(report) == {"written": 60}
    assert len(open_archive(archive.root.path).read("muon.hits")) == 60


def test_of_many_days_those_not_written_for_long_are_published_before_the_end(archive, hits):
    waiting = []

    def count_waiting(*_):
        waiting.append(len(list(archive.root.workshop.iterdir())))

    for day in range(40):
        archive.drop("MuonHit.be.bin", hits(day * 86400), f"{day:02}")
    archive.drop("MuonHit.be.bin", hits(86400, 5 * 86400 + 1), "late")
    report = archive.run(progress=count_waiting, tuning={"group_sources": 1, "most_waiting": 12})
    assert MOST_OPEN < max(waiting) <= 13
    assert len(report.day_files) == 40
    assert archive.counts(report) == {"written": 41, "identical": 1}
    assert len(open_archive(archive.root.path).read("muon.hits")) == 41
    assert list(archive.root.accepted.iterdir()) == []


def test_the_catalogue_tells_what_the_day_files_hold(archive, muon):
    rows = [{"second": muon.start + second, "temperature": value} for second, value in ((0, 1), (0, 2), (600, 3))]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    runs = [{"first": muon.start + 5, "last": muon.start + 90000}]
    archive.drop("MuonRun.be.bin", muon.stream("runs", muon.records("runs", runs)))
    archive.run()
    rates, run = list_catalogue(archive.root)
    assert (rates.path, rates.data_type, rates.day, rates.records) == (RATES, "muon.rates", "1997-10-31", 3)
    assert str(rates.first).startswith("1997-10-31T00:00:00")
    assert str(rates.last).startswith("1997-10-31T00:10:00")
    assert (run.data_type, str(run.last)[:19]) == ("muon.runs", "1997-11-01T01:00:00")
    assert list_catalogue(archive.root, "muon.hits") == []


# ---- The report


def test_the_report_adds_up(archive, muon, hits, tmp_path):
    known = hits(1, 2)
    archive.drop("MuonHit.be.bin", known)
    archive.run()
    rows = [{"second": muon.start + second, "temperature": value} for second, value in ((0, 1), (0, 1), (0, 2), (0, 3))]
    rates = muon.stream("rates", muon.records("rates", [*rows, {"second": 0}]))
    (tmp_path / "MuonRates.be.bin").write_bytes(rates)
    archive.drop("MuonHit.be.bin", known, "a")
    archive.drop("MuonHit.be.bin", hits(2, 86400), "b")
    archive.drop("MuonHit.be.bin", b"cut", "c")
    archive.drop("notes.txt", b"of nobody")
    archive.drop("nothing", b"")
    report = archive.run(tmp_path / "MuonRates.be.bin")
    assert report.sources == {"archived": 2, "already": 1, "quarantined": 3, "held": 0, "left": 0}
    assert report.records == {
        "muon.hits": {"written": 1, "identical": 1, "overlap": 0, "rejected": 0},
        "muon.rates": {"written": 1, "identical": 1, "overlap": 2, "rejected": 1},
    }
    assert sum(report.records["muon.rates"].values()) == len(rates) // 28
    assert [entry.records for entry in report.quarantine].count(None) == report.sources["quarantined"]
    assert report.day_files == [HITS, RATES, NEXT_HITS]
    report.write(tmp_path / "report.json")
    told = json.loads((tmp_path / "report.json").read_text())
    assert told["sources"] == report.sources
    assert told["records"] == report.records
    assert [entry["source"] for entry in told["quarantine"]] == [entry.source for entry in report.quarantine]
    assert told["seconds"] >= 0


def test_progress_is_told_for_each_group_of_sources_and_while_publishing(archive, hits):
    for number in range(3):
        archive.drop("MuonHit.be.bin", hits(number), str(number))
    told = []
    archive.run(progress=lambda *words: told.append(words), tuning={"group_sources": 2})
    name = "MuonHit.be.bin"
    assert told == [(0, 3, name), (2, 3, name), (3, 3, "")]


class Broken:
    """A plugin that cannot be taken in."""

    @hookimpl
    def data_types(self):
        raise ImportError("broken")


@pytest.mark.parametrize(
    ("cut", "others", "code"),
    [(0, {}, 0), (1, {}, 3), (0, {"broken": Broken()}, 3)],
    ids=["all archived", "something set aside", "a plugin failed"],
)
def test_the_exit_code_says_whether_all_is_archived(archive, muon, hits, plugins_of, cut, others, code):
    archive.drop("MuonHit.be.bin", hits(1)[cut:])
    assert archive.run(plugins=plugins_of(muon=muon.instrument, **others)).exit_code == code


def test_a_run_without_any_source_is_a_run(archive):
    report = archive.run()
    assert (report.sources, report.records, report.day_files) == (
        {"archived": 0, "already": 0, "quarantined": 0, "held": 0, "left": 0},
        {},
        [],
    )
    assert report.exit_code == 0


def test_an_archive_is_made_where_there_is_none_and_not_in_place_of_a_file(muon, plugins_of, tmp_path):
    plugins = plugins_of(muon=muon.instrument)
    run_archive(get_root(tmp_path / "new" / "archive"), plugins)
    assert (tmp_path / "new/archive/incoming").is_dir()
    (tmp_path / "file").write_text("keep me")
    with pytest.raises(UsageError, match="this is a file; an archive is a directory"):
        run_archive(get_root(tmp_path / "file"), plugins)
    with pytest.raises(StorageError, match="could not make the directory"):
        run_archive(get_root(tmp_path / "file" / "archive"), plugins)
    assert (tmp_path / "file").read_text() == "keep me"
