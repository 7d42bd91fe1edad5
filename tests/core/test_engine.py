"""Runs: every byte that comes in is archived, known already, or set aside with a reason, and the report adds up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tables

from dayfile import open_archive, settings
from dayfile.archive.catalogue import Catalogue
from dayfile.archive.root import Root
from dayfile.engine import executors, intake
from dayfile.engine.day_files import OPEN_FILES
from dayfile.engine.executors import run_serial
from dayfile.engine.intake import given_files, visible_files
from dayfile.engine.report import Report
from dayfile.errors import ArchiveLockedError, StorageError, UsageError
from dayfile.plugins import Failure
from dayfile.stores.ledger import Ledger

HITS, NEXT_HITS = (f"muon/1997/{month}/muon.1997.{month}.{day}.hit.h5" for month, day in (("10", "31"), ("11", "01")))
RATES = "muon/1997/10/muon.1997.10.31.rat.h5"


@pytest.fixture
def hits(muon):
    """Content of a source of single muons at these seconds of the day."""

    def make(*seconds, order="big"):
        rows = [{"second": muon.start + second} for second in seconds]
        return muon.stream("hits", muon.records("hits", rows), order)

    return make


def seconds_of(archive, muon, name="muon.hits"):
    return (open_archive(archive.root.path).read(name)["second"].astype(np.int64) - muon.start).tolist()


def counts(report, name="muon.hits"):
    return {word: number for word, number in report.records[name].items() if number}


def quarantined(archive, entry):
    """Name and content of what an entry of the report holds."""
    (path,) = (path for path in (archive.root.path / entry.entry).iterdir() if path.name != "reason.json")
    return path.name, path.read_bytes()


# ---- Where sources come from


def test_sources_are_taken_from_incoming_and_removed_once_they_are_published(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2))
    archive.drop("MuonHit.le.bin", hits(3, order="little"))
    report = archive.run()
    assert report.sources == {"archived": 2, "already": 0, "quarantined": 0}
    assert counts(report) == {"written": 3}
    assert report.day_files == [HITS]
    assert report.exit_code == 0
    assert seconds_of(archive, muon) == [1, 2, 3]
    assert archive.files(archive.root.incoming) == archive.files(archive.root.accepted) == []
    assert archive.files(archive.root.workshop) == []


def test_sources_that_are_given_stay_where_they_lie(archive, muon, hits, tmp_path):
    source = tmp_path / "MuonHit.be.bin"
    source.write_bytes(hits(1))
    before = source.stat()
    assert archive.run(source).sources["archived"] == 1
    assert seconds_of(archive, muon) == [1]
    assert (source.stat().st_ino, source.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_sources_given_and_sources_that_arrived_are_taken_by_one_run(archive, muon, hits, tmp_path):
    given = tmp_path / "given" / "deeper"
    given.mkdir(parents=True)
    (given / "MuonHit.be.bin").write_bytes(hits(1))
    archive.drop("MuonHit.be.bin", hits(2))
    archive.drop("MuonHit.be.bin", hits(3), below="station 7")
    assert archive.run(tmp_path / "given").sources["archived"] == 3
    assert seconds_of(archive, muon) == [1, 2, 3]


def test_hidden_files_are_left_alone(archive, hits, tmp_path):
    archive.drop(".MuonHit.be.bin", hits(1))
    archive.drop("MuonHit.be.bin", hits(2), below=".unfinished")
    given = tmp_path / "given"
    given.mkdir()
    (given / ".MuonHit.be.bin").write_bytes(hits(3))
    report = archive.run(given)
    assert sum(report.sources.values()) == 0
    assert archive.files(archive.root.incoming) == [".MuonHit.be.bin", ".unfinished/MuonHit.be.bin"]
    assert (given / ".MuonHit.be.bin").exists()


def test_files_of_a_directory_come_by_path_and_directories_in_it_too(tmp_path):
    for name in ("b/x", "a", "c/d/y", ".hidden", "c/.z/w"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert [str(path.relative_to(tmp_path)) for path in visible_files(tmp_path)] == ["a", "b/x", "c/d/y"]
    assert given_files([tmp_path / "c", tmp_path / "a", tmp_path / ".hidden"]) == [
        tmp_path / "c/d/y",
        tmp_path / "a",
        tmp_path / ".hidden",
    ]


def test_a_given_path_that_does_not_exist_stops_the_run_before_anything_is_taken(archive, hits, tmp_path):
    archive.drop("MuonHit.be.bin", hits(1))
    with pytest.raises(UsageError, match="gone: there is no such file or directory"):
        archive.run(tmp_path / "gone")
    assert archive.files(archive.root.incoming) == ["MuonHit.be.bin"]


def test_what_is_no_file_is_left_alone(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    os.mkfifo(archive.root.incoming / "pipe")
    loop = archive.root.incoming / "loop"
    loop.symlink_to(loop)
    assert archive.run().sources["archived"] == 1
    assert seconds_of(archive, muon) == [1]
    assert sorted(path.name for path in archive.root.incoming.iterdir()) == ["loop", "pipe"]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that exists and cannot be read")
def test_a_source_that_cannot_be_read_is_told_and_costs_no_other(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    report = archive.run("/proc/self/mem")
    (failure,) = report.failures
    assert "/proc/self/mem: cannot be read" in failure.message
    assert (report.sources["archived"], report.exit_code) == (1, 3)
    assert seconds_of(archive, muon) == [1]


def test_a_file_that_is_still_growing_waits_for_the_next_run(archive, hits):
    path = archive.drop("MuonHit.be.bin", hits(1))
    os.utime(path, (time.time() + 3600, time.time() + 3600))
    writer = subprocess.Popen(
        [sys.executable, "-c", GROWING, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        writer.stdout.readline()
        report = archive.run(watch__settle=0.3)
    finally:
        writer.communicate("\n", timeout=20)
    assert sum(report.sources.values()) == 0
    assert report.growing == ["incoming/MuonHit.be.bin"]
    assert report.exit_code == 0
    assert path.exists()


GROWING = """
import select, sys, time
with open(sys.argv[1], "ab") as file:
    print("writing", flush=True)
    while not select.select([sys.stdin], [], [], 0.02)[0]:
        file.write(b"x")
        file.flush()
"""


# ---- accepted/


def test_what_an_earlier_run_had_accepted_is_taken_up_again(archive, muon, hits):
    (archive.root.accepted / "MuonHit.be.bin").write_bytes(hits(1))
    (archive.root.accepted / "1").mkdir()
    (archive.root.accepted / "1" / "MuonHit.be.bin").write_bytes(hits(2))
    assert archive.run().sources["archived"] == 2
    assert seconds_of(archive, muon) == [1, 2]
    assert list(archive.root.accepted.iterdir()) == []


def test_what_was_accepted_and_published_already_is_released(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    (archive.root.accepted / "MuonHit.be.bin").write_bytes(hits(1))
    assert archive.run().sources == {"archived": 0, "already": 1, "quarantined": 0}
    assert archive.files(archive.root.accepted) == []
    assert seconds_of(archive, muon) == [1]


def test_a_name_that_is_taken_in_accepted_costs_neither_source(archive, muon, hits):
    (archive.root.accepted / "MuonHit.be.bin").write_bytes(hits(1))
    for number, below in enumerate(("", "a", "b", "c/d")):
        archive.drop("MuonHit.be.bin", hits(number + 2), below)
    assert archive.run().sources["archived"] == 5
    assert seconds_of(archive, muon) == [1, 2, 3, 4, 5]
    assert list(archive.root.accepted.iterdir()) == []


def test_a_source_with_the_name_of_a_numbered_directory_stops_no_run(archive, muon, hits):
    archive.drop("1", b"of nobody")
    archive.drop("MuonHit.be.bin", hits(1), "a")
    archive.drop("MuonHit.be.bin", hits(2), "b")
    assert archive.run().sources == {"archived": 2, "already": 0, "quarantined": 1}
    assert seconds_of(archive, muon) == [1, 2]
    assert archive.files(archive.root.accepted) == []


def test_a_disk_that_takes_no_more_leaves_the_source_and_the_next_run_archives_it(archive, muon, python):
    """Every file of the process is limited, as a full disk limits it."""
    content = muon.stream("hits", records_with_noise(muon, 20_000))
    archive.drop("MuonHit.be.bin", content)
    (archive.path / "muon.yaml").write_text(muon.layout)
    done = python("-c", FULL_DISK, archive.path)
    assert done.returncode == StorageError.exit_code, done.stderr
    assert [path.read_bytes() for path in archive.root.accepted.iterdir()] == [content]
    assert not (archive.root.path / HITS).exists()
    report = archive.run()
    assert counts(report) == {"written": 20_000}


def records_with_noise(muon, number):
    records = np.zeros(number, muon.hits.dtype)
    records["second"] = muon.start + np.arange(number) % 86400
    records["energy"] = np.random.default_rng(1).random(number)
    return records


FULL_DISK = """
import os, resource, sys
from pathlib import Path
import pluggy
from dayfile import hookspecs, settings
from dayfile.archive.root import Root
from dayfile.builtin import Builtin
from dayfile.engine.executors import run_serial
from dayfile.errors import DayfileError
from dayfile.layouts.instrument import Instrument
from dayfile.plugins import Plugins

directory = Path(sys.argv[1])
manager = pluggy.PluginManager("dayfile")
manager.add_hookspecs(hookspecs)
plugins = Plugins(manager)
manager.register(Builtin(plugins.data_types), "builtin")
plugins.add("muon", Instrument((directory / "muon.yaml").read_text(), "muon.yaml"))
chosen = settings.resolve(plugins.settings_models, settings.from_command_line(["watch.settle=0"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    run_serial(Root(directory / "archive"), plugins, chosen)
except DayfileError as error:
    print(error, file=sys.stderr, flush=True)
    os._exit(error.exit_code)
"""


# ---- Again


def test_a_second_run_over_the_same_sources_changes_no_day_file(archive, hits, tmp_path):
    source = tmp_path / "MuonHit.be.bin"
    source.write_bytes(hits(1, 2))
    archive.run(source)
    before = (archive.root.path / HITS).stat()
    report = archive.run(source)
    assert report.sources == {"archived": 0, "already": 1, "quarantined": 0}
    assert (report.day_files, report.records, report.exit_code) == ([], {}, 0)
    after = (archive.root.path / HITS).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_same_source_twice_in_one_run_is_archived_once(archive, muon, hits, tmp_path):
    source = tmp_path / "MuonHit.be.bin"
    source.write_bytes(hits(1))
    archive.drop("MuonHit.be.bin", hits(1))
    assert archive.run(source, source).sources == {"archived": 1, "already": 2, "quarantined": 0}
    assert seconds_of(archive, muon) == [1]


def test_the_same_records_from_another_source_are_identical(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2))
    archive.run()
    archive.drop("MuonHit.le.bin", hits(2, 1, 3, order="little"))
    report = archive.run()
    assert report.sources["archived"] == 1
    assert counts(report) == {"written": 1, "identical": 2}
    assert seconds_of(archive, muon) == [1, 2, 3]


def test_duplicates_are_kept_if_the_settings_say_so(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1, 1))
    archive.run(duplicates="keep")
    archive.drop("MuonHit.le.bin", hits(1, order="little"))
    archive.run(duplicates="keep")
    assert seconds_of(archive, muon) == [1, 1, 1]


def test_sources_in_any_order_give_the_same_records(archive, muon, hits, tmp_path, plugins_of):
    found = []
    for number, order in enumerate(([1, 2, 3], [3, 1, 2])):
        sources = [tmp_path / str(name) / "MuonHit.be.bin" for name in order]
        for name, source in zip(order, sources, strict=True):
            source.parent.mkdir(exist_ok=True)
            source.write_bytes(hits(name, name + 1, 90000 + name))
        root = Root(tmp_path / f"archive {number}")
        plugins = plugins_of(muon=muon.instrument)
        run_serial(root, plugins, settings.resolve(plugins.settings_models), sources)
        found.append(open_archive(root.path).read("muon.hits").array.tolist())
    assert found[0] == found[1]
    assert len(found[0]) == 7


# ---- What cannot be archived


def test_an_empty_file_is_set_aside(archive):
    archive.drop("MuonHit.be.bin", b"")
    report = archive.run()
    (entry,) = report.quarantine
    assert (entry.source, entry.records, entry.reason) == ("MuonHit.be.bin", None, "the file is empty")
    assert quarantined(archive, entry) == ("MuonHit.be.bin", b"")
    assert report.exit_code == 3


@pytest.mark.parametrize(
    "name", ["notes.txt", "Unheard.be.bin", "MuonHit.bin", "reason.json", "1", "x" * 255, "\u00e4 \u2192"]
)
def test_a_file_that_no_plugin_claims_is_set_aside_whole(archive, muon, hits, name):
    archive.drop(name, b"of nobody")
    archive.drop("MuonHit.be.bin", hits(1))
    report = archive.run()
    assert report.sources == {"archived": 1, "already": 0, "quarantined": 1}
    (entry,) = report.quarantine
    assert "no plugin of this run recognises it (asked: muon)" in entry.reason
    kept = {path.read_bytes() for path in (archive.root.path / entry.entry).iterdir()}
    assert b"of nobody" in kept
    assert seconds_of(archive, muon) == [1]
    assert archive.files(archive.root.accepted) == []


def test_a_name_that_is_no_unicode_stops_no_run(archive, muon, hits, tmp_path):
    name = os.fsdecode(b"upload \xff\xfe")
    archive.drop(name, b"of nobody")
    archive.drop("MuonHit.be.bin", hits(1))
    report = archive.run()
    assert report.sources == {"archived": 1, "already": 0, "quarantined": 1}
    assert quarantined(archive, report.quarantine[0])[1] == b"of nobody"
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["sources"]["archived"] == 1


def test_a_source_that_was_cut_is_set_aside_whole_and_costs_no_other(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2)[:-1])
    archive.drop("MuonHit.le.bin", hits(3, order="little"))
    report = archive.run()
    (entry,) = report.quarantine
    assert entry.reason.startswith("MuonHit.be.bin, byte 24: the length 47 is no multiple of the struct's 24 bytes")
    assert quarantined(archive, entry) == ("MuonHit.be.bin", hits(1, 2)[:-1])
    assert seconds_of(archive, muon) == [3]


@pytest.mark.parametrize("second", [0, 0xFFFFFFFF])
@pytest.mark.parametrize("order", ["big", "little"])
def test_records_without_a_time_are_set_aside_and_the_others_archived(archive, muon, second, order):
    rows = [
        {"second": muon.start, "channel": 1},
        {"second": second, "channel": 2},
        {"second": muon.start, "channel": 3},
    ]
    records = muon.records("hits", rows)
    archive.drop(f"MuonHit.{order[0]}e.bin", muon.stream("hits", records, order))
    report = archive.run()
    assert report.sources["archived"] == 1
    assert counts(report) == {"written": 2, "rejected": 1}
    assert open_archive(archive.root.path).read("muon.hits")["channel"].tolist() == [1, 3]
    (entry,) = report.quarantine
    assert (entry.source, entry.records) == (f"MuonHit.{order[0]}e.bin", 1)
    assert quarantined(archive, entry) == ("MuonHit.be.bin", muon.stream("hits", records[1:2]))
    reason = json.loads((archive.root.path / entry.entry / "reason.json").read_text())
    assert (reason["code"], reason["records"], reason["error"]) == ("MuonHit", [1], "RecordError")
    assert "second" in reason["message"]
    assert report.exit_code == 3


def test_a_record_without_an_end_is_set_aside_too(archive, muon):
    rows = [{"first": muon.start, "last": 0}, {"first": 0, "last": muon.start}]
    archive.drop("MuonRun.be.bin", muon.stream("runs", muon.records("runs", rows)))
    report = archive.run()
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1}
    assert counts(report, "muon.runs") == {"rejected": 2}
    assert "first and last" in report.quarantine[0].reason


def test_what_was_set_aside_is_recognised_when_it_is_given_again(archive, muon):
    rows = [{"second": muon.start}, {"second": 0, "channel": 2}]
    archive.drop("MuonHit.le.bin", muon.stream("hits", muon.records("hits", rows), "little"))
    (entry,) = archive.run().quarantine
    name, _ = quarantined(archive, entry)
    report = archive.run(archive.root.path / entry.entry / name)
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1}
    assert "no time" in report.quarantine[0].reason
    assert len(list(archive.root.quarantine.iterdir())) == 1


def test_what_was_set_aside_is_archived_once_it_was_mended(archive, muon):
    rows = [{"second": muon.start}, {"second": 0, "channel": 2}]
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", rows)))
    (entry,) = archive.run().quarantine
    name, content = quarantined(archive, entry)
    archive.drop(name, (muon.start + 9).to_bytes(4, "big") + content[4:])
    assert counts(archive.run()) == {"written": 1}
    assert seconds_of(archive, muon) == [0, 9]


def test_the_same_bytes_are_set_aside_once(archive):
    for _ in range(2):
        archive.drop("notes.txt", b"of nobody")
        archive.drop("notes.txt", b"of nobody", "again")
        report = archive.run()
        assert report.sources["quarantined"] == 2
        assert len({entry.entry for entry in report.quarantine}) == 1
    assert len(list(archive.root.quarantine.iterdir())) == 1


def test_rejected_records_are_kept_also_when_the_rest_of_the_source_is_known(archive, muon):
    """Somebody emptied the quarantine and sends the source again."""
    content = muon.stream("hits", muon.records("hits", [{"second": muon.start}, {"second": 0, "channel": 2}]))
    archive.drop("MuonHit.be.bin", content)
    (entry,) = archive.run().quarantine
    name, kept = quarantined(archive, entry)
    for path in (archive.root.path / entry.entry).iterdir():
        path.unlink()
    (archive.root.path / entry.entry).rmdir()
    archive.drop("MuonHit.be.bin", content)
    archive.run()
    assert kept in {path.read_bytes() for path in archive.root.quarantine.rglob(name)}


def test_bytes_that_come_back_to_an_entry_without_them_are_kept(archive):
    """A requeue that was cut short had moved the bytes to incoming and left the reason behind."""
    archive.drop("notes.txt", b"of nobody")
    (entry,) = archive.run().quarantine
    archive.root.path.joinpath(entry.entry, "notes.txt").rename(archive.root.incoming / "notes.txt")
    (again,) = archive.run().quarantine
    assert quarantined(archive, again) == ("notes.txt", b"of nobody")


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
            (entry,) = Ledger.read(file).sources.values()
            assert (entry.name, entry.records) == ("MuonHit.be.bin", 2)
    assert found == {HITS: [86398, 86399], NEXT_HITS: [86400, 86401]}


def test_a_day_file_that_was_lost_is_written_again_and_the_other_left_alone(archive, muon, hits):
    archive.drop("MuonHit.be.bin", hits(86399, 86400))
    archive.run()
    (archive.root.path / NEXT_HITS).unlink()
    archive.drop("MuonHit.be.bin", hits(86399, 86400))
    report = archive.run()
    assert report.day_files == [NEXT_HITS]
    assert (report.sources["archived"], counts(report)) == (1, {"written": 1})
    assert seconds_of(archive, muon) == [86399, 86400]


def test_the_last_slot_of_a_day_takes_nothing_of_the_next(archive, muon):
    """Slot 337 of 256 s reaches 128 s past midnight."""
    rows = [{"second": muon.start + second} for second in (86399, 86400, 86527)]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    report = archive.run()
    assert counts(report, "muon.rates") == {"written": 2, "overlap": 1}
    assert len(report.day_files) == 2
    with tables.open_file(archive.root.path / RATES) as file:
        assert np.flatnonzero(file.get_node("/rates").read()["second"]).tolist() == [337]


OPEN = Path("/proc/self/fd")


@pytest.mark.skipif(not OPEN.is_dir(), reason="counts open files as Linux tells them")
def test_of_many_days_only_some_files_are_open_and_all_are_published(archive, muon, hits, plugins_of):
    opened = []

    def count_open_files(*_):
        opened.append(sum("workshop" in str(path.resolve()) for path in OPEN.iterdir()))

    for day in range(30):
        archive.drop("MuonHit.be.bin", hits(day * 86400), f"{day:02}")
    archive.drop("MuonHit.be.bin", hits(*(day * 86400 + 1 for day in range(30))), "all")
    plugins = plugins_of(muon=muon.instrument)
    chosen = settings.resolve(plugins.settings_models, settings.from_command_line(["watch.settle=0"]))
    report = run_serial(archive.root, plugins, chosen, (), count_open_files)
    assert 2 < max(opened) <= OPEN_FILES
    assert len(report.day_files) == 30
    assert counts(report) == {"written": 60}
    assert len(open_archive(archive.root.path).read("muon.hits")) == 60


def test_of_many_days_those_not_written_for_long_are_published_before_the_end(
    archive, muon, hits, plugins_of, monkeypatch
):
    monkeypatch.setattr(executors, "MOST_WAITING", 12)
    monkeypatch.setattr(intake, "GROUP_SOURCES", 1)
    waiting = []

    def count_waiting(*_):
        waiting.append(len(list(archive.root.workshop.iterdir())))

    for day in range(40):
        archive.drop("MuonHit.be.bin", hits(day * 86400), f"{day:02}")
    archive.drop("MuonHit.be.bin", hits(86400, 5 * 86400 + 1), "late")
    plugins = plugins_of(muon=muon.instrument)
    chosen = settings.resolve(plugins.settings_models, settings.from_command_line(["watch.settle=0"]))
    report = run_serial(archive.root, plugins, chosen, (), count_waiting)
    assert OPEN_FILES < max(waiting) <= 13
    assert len(report.day_files) == 40
    assert counts(report) == {"written": 41, "identical": 1}
    assert len(open_archive(archive.root.path).read("muon.hits")) == 41
    assert list(archive.root.accepted.iterdir()) == []


def test_the_catalogue_tells_what_the_day_files_hold(archive, muon):
    rows = [{"second": muon.start + second, "temperature": value} for second, value in ((0, 1), (0, 2), (600, 3))]
    archive.drop("MuonRates.be.bin", muon.stream("rates", muon.records("rates", rows)))
    runs = [{"first": muon.start + 5, "last": muon.start + 90000}]
    archive.drop("MuonRun.be.bin", muon.stream("runs", muon.records("runs", runs)))
    archive.run()
    rates, run = Catalogue(archive.root.catalogue).rows()
    assert (rates.path, rates.data_type, rates.day, rates.records) == (RATES, "muon.rates", "1997-10-31", 3)
    assert str(rates.first).startswith("1997-10-31T00:00:00")
    assert str(rates.last).startswith("1997-10-31T00:10:00")
    assert (run.data_type, str(run.last)[:19]) == ("muon.runs", "1997-11-01T01:00:00")
    assert Catalogue(archive.root.catalogue).rows("muon.hits") == []


# ---- The lock

HOLDER = """
import sys
from pathlib import Path
from dayfile.archive.root import Root
with Root(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(archive):
    """A second process that holds the lock of the archive."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(archive.root.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_process_is_told_who_holds_the_archive_and_changes_nothing(archive, hits, holder):
    archive.drop("MuonHit.be.bin", hits(1))
    (archive.root.workshop / "of the other").write_text("")
    with pytest.raises(ArchiveLockedError, match=f"process {holder.pid} on .* is working on this archive") as caught:
        archive.run()
    assert caught.value.exit_code == 5
    assert archive.files(archive.root.incoming) == ["MuonHit.be.bin"]
    assert archive.files(archive.root.workshop) == ["of the other"]


def test_the_lock_of_a_killed_process_holds_nobody_up(archive, muon, hits, holder):
    archive.drop("MuonHit.be.bin", hits(1))
    (archive.root.workshop / "left behind").mkdir()
    (archive.root.workshop / "left behind" / "day.h5").write_text("half a file")
    holder.kill()
    holder.wait()
    report = archive.run()
    assert report.recovered
    assert seconds_of(archive, muon) == [1]
    assert list(archive.root.workshop.iterdir()) == []
    assert not archive.run().recovered


def test_reading_goes_on_while_a_run_holds_the_archive(archive, muon, hits, tmp_path):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.run()
    with Root(archive.root.path).locked():
        assert seconds_of(archive, muon) == [1]


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
    assert report.sources == {"archived": 2, "already": 1, "quarantined": 3}
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


def test_progress_is_told_for_each_group_of_sources_and_while_publishing(archive, muon, hits, plugins_of, monkeypatch):
    monkeypatch.setattr(intake, "GROUP_SOURCES", 2)
    for number in range(3):
        archive.drop("MuonHit.be.bin", hits(number), str(number))
    plugins = plugins_of(muon=muon.instrument)
    told = []
    chosen = settings.resolve(plugins.settings_models, settings.from_command_line(["watch.settle=0"]))
    run_serial(archive.root, plugins, chosen, (), lambda *words: told.append(words))
    name = "MuonHit.be.bin"
    assert told == [(0, 3, name), (2, 3, name), (3, 3, "")]


@pytest.mark.parametrize(
    ("fill", "code"),
    [
        (lambda _: None, 0),
        (lambda report: report.quarantine.append(object()), 3),
        (lambda report: report.failures.append(Failure("muon", "broken", "ImportError")), 3),
    ],
    ids=["all archived", "something set aside", "a plugin failed"],
)
def test_the_exit_code_says_whether_all_is_archived(fill, code):
    report = Report()
    fill(report)
    assert report.exit_code == code


def test_a_run_without_any_source_is_a_run(archive):
    report = archive.run()
    assert (report.sources, report.records, report.day_files) == (
        {"archived": 0, "already": 0, "quarantined": 0},
        {},
        [],
    )
    assert report.exit_code == 0


def test_an_archive_is_made_where_there_is_none_and_not_in_place_of_a_file(muon, plugins_of, tmp_path):
    plugins = plugins_of(muon=muon.instrument)
    chosen = settings.resolve(plugins.settings_models)
    run_serial(Root(tmp_path / "new" / "archive"), plugins, chosen)
    assert (tmp_path / "new/archive/incoming").is_dir()
    (tmp_path / "file").write_text("keep me")
    with pytest.raises(UsageError, match="this is a file; an archive is a directory"):
        run_serial(Root(tmp_path / "file"), plugins, chosen)
    with pytest.raises(StorageError, match="could not make the directory"):
        run_serial(Root(tmp_path / "file" / "archive"), plugins, chosen)
    assert (tmp_path / "file").read_text() == "keep me"


# ---- The command, in a process of its own


ENTRY_POINT = "[dayfile.plugins]\nmuon = muon_of_the_test:plugin\n"


@pytest.fixture
def archive_run(archive, muon, python):
    """``archive-run`` with the muon telescope installed."""
    site = archive.path / "site"
    (site / "muon_of_the_test-1.0.dist-info").mkdir(parents=True)
    (site / "muon_of_the_test-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: x\nVersion: 1.0\n")
    (site / "muon_of_the_test-1.0.dist-info" / "entry_points.txt").write_text(ENTRY_POINT)
    (site / "muon_of_the_test.py").write_text(
        f"from dayfile import Instrument\nplugin = Instrument({muon.layout!r}, 'muon.yaml')\n"
    )

    def run(*arguments, root=archive.root.path):
        code = "from dayfile.cli import archive_run; archive_run()"
        options = ("--plugins", "muon", "--set", "watch.settle=0", "--archive", root)
        return python("-c", code, *options, *arguments, paths=[site], cwd=archive.path)

    return run


def test_the_command_ends_with_0_when_all_is_archived(archive, archive_run, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    done = archive_run()
    assert done.returncode == 0, done.stderr
    assert seconds_of(archive, muon) == [1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.bin"], "gone.bin: there is no such file or directory"),
        (["--set", "publish.afer=5"], "did you mean 'publish.after'?"),
        (["--set", "publish.after=soon"], "--set publish.after: publish.after cannot be 'soon'"),
    ],
    ids=["missing source", "unknown setting", "wrong value"],
)
def test_the_command_ends_with_2_on_wrong_usage(archive_run, arguments, words):
    done = archive_run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_ends_with_3_when_something_was_set_aside(archive, archive_run, muon, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    archive.drop("notes.txt", b"of nobody")
    done = archive_run()
    assert done.returncode == 3
    assert "notes.txt: no plugin of this run recognises it" in done.stderr
    assert seconds_of(archive, muon) == [1]


def test_the_command_ends_with_4_when_it_cannot_write(archive_run, tmp_path):
    (tmp_path / "file").write_text("")
    done = archive_run(root=tmp_path / "file" / "archive")
    assert done.returncode == 4
    assert "could not make the directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_ends_with_5_when_another_run_holds_the_archive(archive_run, holder):
    done = archive_run()
    assert done.returncode == 5
    assert f"process {holder.pid}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_file_is_written_below_the_given_path(archive, archive_run, hits):
    archive.drop("MuonHit.be.bin", hits(1))
    assert archive_run("--report", "report.json", "--quiet").stdout == ""
    assert json.loads(Path(archive.path / "report.json").read_text())["sources"]["archived"] == 1
