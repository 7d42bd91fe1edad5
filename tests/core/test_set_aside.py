"""What cannot be archived is set aside whole, with a reason, costs nothing else, and can be given again."""

from __future__ import annotations

import json
import os

import pytest

from dayfile import open_archive


def test_an_empty_file_is_set_aside(archive):
    archive.drop("MuonHit.be.bin", b"")
    report = archive.run()
    (entry,) = report.quarantine
    assert (entry.source, entry.records, entry.reason) == ("MuonHit.be.bin", None, "the file is empty")
    assert archive.set_aside(entry) == ("MuonHit.be.bin", b"")
    assert report.exit_code == 3


@pytest.mark.parametrize(
    "name", ["notes.txt", "Unheard.be.bin", "MuonHit.bin", "reason.json", "1", "x" * 255, "\u00e4 \u2192"]
)
def test_a_file_that_no_plugin_claims_is_set_aside_whole(archive, muon, hits, name):
    archive.drop(name, b"of nobody")
    archive.drop("MuonHit.be.bin", hits(1))
    report = archive.run()
    assert report.sources == {"archived": 1, "already": 0, "quarantined": 1, "held": 0, "left": 0}
    (entry,) = report.quarantine
    assert "no plugin of this run recognises it (asked: muon)" in entry.reason
    kept = {path.read_bytes() for path in (archive.root.path / entry.entry).iterdir()}
    assert b"of nobody" in kept
    assert archive.seconds() == [1]
    assert archive.files(archive.root.accepted) == []


def test_a_name_that_is_no_unicode_stops_no_run(archive, hits, tmp_path):
    name = os.fsdecode(b"upload \xff\xfe")
    archive.drop(name, b"of nobody")
    archive.drop("MuonHit.be.bin", hits(1))
    report = archive.run()
    assert report.sources == {"archived": 1, "already": 0, "quarantined": 1, "held": 0, "left": 0}
    assert archive.set_aside(report.quarantine[0])[1] == b"of nobody"
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["sources"]["archived"] == 1


def test_a_source_that_was_cut_is_set_aside_whole_and_costs_no_other(archive, hits):
    archive.drop("MuonHit.be.bin", hits(1, 2)[:-1])
    archive.drop("MuonHit.le.bin", hits(3, order="little"))
    report = archive.run()
    (entry,) = report.quarantine
    assert entry.reason.startswith("MuonHit.be.bin, byte 24: 47 bytes is not a whole number of 24-byte structs")
    assert archive.set_aside(entry) == ("MuonHit.be.bin", hits(1, 2)[:-1])
    assert archive.seconds() == [3]


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
    assert archive.counts(report) == {"written": 2, "rejected": 1}
    assert open_archive(archive.root.path).read("muon.hits")["channel"].tolist() == [1, 3]
    (entry,) = report.quarantine
    assert (entry.source, entry.records) == (f"MuonHit.{order[0]}e.bin", 1)
    assert archive.set_aside(entry) == ("MuonHit.be.bin", muon.stream("hits", records[1:2]))
    reason = json.loads((archive.root.path / entry.entry / "reason.json").read_text())
    assert (reason["code"], reason["records"], reason["error"]) == ("MuonHit", [1], "RecordError")
    assert "second" in reason["message"]
    assert report.exit_code == 3


def test_a_record_without_an_end_is_set_aside_too(archive, muon):
    rows = [{"first": muon.start, "last": 0}, {"first": 0, "last": muon.start}]
    archive.drop("MuonRun.be.bin", muon.stream("runs", muon.records("runs", rows)))
    report = archive.run()
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1, "held": 0, "left": 0}
    assert archive.counts(report, "muon.runs") == {"rejected": 2}
    assert "first is 0, a mark for no time, or last is 0, a mark for no time" in report.quarantine[0].reason


def test_what_was_set_aside_is_recognised_when_it_is_given_again(archive, muon):
    rows = [{"second": muon.start}, {"second": 0, "channel": 2}]
    archive.drop("MuonHit.le.bin", muon.stream("hits", muon.records("hits", rows), "little"))
    (entry,) = archive.run().quarantine
    name, _ = archive.set_aside(entry)
    report = archive.run(archive.root.path / entry.entry / name)
    assert report.sources == {"archived": 0, "already": 0, "quarantined": 1, "held": 0, "left": 0}
    assert "no time" in report.quarantine[0].reason
    assert len(list(archive.root.quarantine.iterdir())) == 1


def test_what_was_set_aside_is_archived_once_it_was_mended(archive, muon):
    rows = [{"second": muon.start}, {"second": 0, "channel": 2}]
    archive.drop("MuonHit.be.bin", muon.stream("hits", muon.records("hits", rows)))
    (entry,) = archive.run().quarantine
    name, content = archive.set_aside(entry)
    archive.drop(name, (muon.start + 9).to_bytes(4, "big") + content[4:])
    assert archive.counts(archive.run()) == {"written": 1}
    assert archive.seconds() == [0, 9]


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
    name, kept = archive.set_aside(entry)
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
    assert archive.set_aside(again) == ("notes.txt", b"of nobody")
