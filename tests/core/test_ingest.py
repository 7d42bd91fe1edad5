"""Archiving from programs: paths and bytes are archived as by a run, and the report says what became of them."""

from __future__ import annotations

import datetime as dt
import pickle
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

from archives import find_defects, list_entries
from dayfile import create_archive, open_archive
from dayfile.errors import ArchiveLockedError, UsageError

WRITTEN, IDENTICAL = 0, 3


@pytest.fixture
def opened(muon, school, tmp_path):
    return create_archive(tmp_path / "archive", plugins={"muon": muon.instrument, "school": school.instrument})


@pytest.fixture
def hisparc_plugin():
    return pytest.importorskip("dayfile_hisparc").instrument


def hits(muon, *seconds):
    return muon.records("hits", [{"second": muon.start + second, "energy": second} for second in seconds])


def seconds_of(archive, muon):
    return (archive.read("muon.hits")["second"].astype(np.int64) - muon.start).tolist()


def test_paths_and_named_bytes_are_archived_in_their_order_and_reported(opened, muon, tmp_path):
    path = tmp_path / "MuonHit.be.bin"
    path.write_bytes(muon.stream("hits", hits(muon, 5)))
    directory = tmp_path / "more"
    directory.mkdir()
    (directory / "MuonHit.le.bin").write_bytes(muon.stream("hits", hits(muon, 7), "little"))
    named = ("MuonHit.be.bin", muon.stream("hits", hits(muon, 9, 5)))
    report = opened.ingest([path, named, str(directory)])
    assert report.records["muon.hits"] == {"written": 3, "identical": 1, "overlap": 0, "rejected": 0}
    assert (report.sources["archived"], report.exit_code) == (3, 0)
    assert report.day_files == ["muon/1997/10/muon.1997.10.31.hit.h5"]
    assert opened.read("muon.hits").array["energy"].tolist() == [5, 7, 9]
    assert path.exists()  # read in place
    assert [*opened.root.accepted.iterdir(), *opened.root.incoming.iterdir(), *opened.root.workshop.glob("*/*")] == []
    assert find_defects(opened.root) == []


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_one_source_needs_no_list(opened, muon, tmp_path, wrap):
    content = muon.stream("hits", hits(muon, 1))
    assert opened.ingest(("MuonHit.be.bin", wrap(content))).sources["archived"] == 1
    (tmp_path / "MuonHit.be.bin").write_bytes(content)
    assert opened.ingest(tmp_path / "MuonHit.be.bin").sources["already"] == 1
    assert opened.ingest(str(tmp_path / "MuonHit.be.bin")).sources["already"] == 1
    assert opened.ingest([]).sources["archived"] == 0


def test_what_cannot_be_archived_is_in_quarantine_and_in_the_report(opened, muon):
    good, bad = muon.stream("hits", hits(muon, 1)), muon.stream("hits", hits(muon, 2))[:-1]
    report = opened.ingest([("MuonHit.be.bin", good), ("MuonHit.be.bin", bad), b"what is this"])
    assert (report.sources["archived"], report.sources["quarantined"], report.exit_code) == (1, 2, 3)
    assert "is not a whole number of" in report.quarantine[0].reason
    contents = {entry.content.read_bytes() for entry in list_entries(opened.root)}
    assert contents == {bad, b"what is this"}
    assert seconds_of(opened, muon) == [1]


def test_a_source_that_is_too_large_is_reported_and_costs_the_others_nothing(muon, tmp_path):
    content = muon.stream("hits", hits(muon, 1))
    settings = {"sources.largest": len(content)}
    opened = create_archive(tmp_path / "archive", plugins={"muon": muon.instrument}, settings=settings)
    report = opened.ingest([("MuonHit.be.bin", content * 2), ("MuonHit.be.bin", content)])
    assert (report.sources["archived"], report.exit_code) == (1, 3)
    assert "MuonHit.be.bin: more than" in report.failures[0].message


def test_only_what_is_given_is_taken(opened, muon):
    waits = opened.root.incoming / "MuonHit.be.bin"
    waits.write_bytes(muon.stream("hits", hits(muon, 1)))
    assert opened.ingest(("MuonHit.be.bin", muon.stream("hits", hits(muon, 2)))).sources["archived"] == 1
    assert waits.exists()
    assert seconds_of(opened, muon) == [2]


NO_SOURCES = [3, [3], [("a", 3)], None, ("a/b", b""), (".a", b"x"), ("", b"x"), ("a" * 300, b"x"), [{"a": b"x"}]]


@pytest.mark.parametrize("given", NO_SOURCES)
def test_what_is_no_source_is_refused_and_nothing_is_done(opened, given):
    with pytest.raises(UsageError, match=r"a source is a path, bytes, or|name"):
        opened.ingest(given)
    assert list(opened.root.list_day_files()) == []


@pytest.mark.parametrize("given", ["", [b"x", ""]])
def test_an_empty_text_is_not_the_current_directory(opened, muon, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "MuonHit.be.bin").write_bytes(muon.stream("hits", hits(muon, 1)))
    with pytest.raises(UsageError, match="an empty text is not the path of a source"):
        opened.ingest(given)
    assert opened.types() == []


def test_the_lines_of_an_open_file_are_no_sources(opened, tmp_path):
    (tmp_path / "text").write_bytes(b"one\ntwo\n")
    with (tmp_path / "text").open("rb") as file, pytest.raises(UsageError, match=r"not BufferedReader"):
        opened.ingest(file)
    assert list_entries(opened.root) == []


def test_keys_may_be_integers_of_numpy(tmp_path, hisparc_plugin):
    archive = create_archive(tmp_path / "archive", plugins=["hisparc"])
    event = {"datetime": dt.datetime(2024, 5, 1), "nanoseconds": 0, "eventtype_uploadcode": "CIC"}
    content = pickle.dumps([{"header": event, "datalist": []}])
    given = {"station": np.int64(501), "cluster": np.str_("Amsterdam")}
    assert archive.ingest(content, **given).records["hisparc.events"]["written"] == 1
    assert archive.ingest(content, station=501, cluster="Amsterdam").sources["already"] == 1
    with pytest.raises(UsageError, match=r"the key station must be a text or a whole number, not b'5'"):
        archive.ingest(content, station=b"5")


def test_files_with_keys_are_read_one_after_the_other(tmp_path, hisparc_plugin):
    archive = create_archive(tmp_path / "archive", plugins=["hisparc"])
    (tmp_path / "sources").mkdir()
    for number in range(30):
        (tmp_path / "sources" / str(number)).write_bytes(bytes([number]) * 2**20)
    tracemalloc.start()
    archive.ingest(tmp_path / "sources", station=501)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 15 * 2**20


def test_a_path_that_does_not_exist_is_refused_and_nothing_is_archived(opened, muon):
    with pytest.raises(UsageError, match="nowhere: no such file or directory"):
        opened.ingest([("MuonHit.be.bin", muon.stream("hits", hits(muon, 2))), "nowhere"])
    assert list(opened.root.list_day_files()) == []


def test_other_plugins_can_decode_for_one_call(opened, muon, school):
    content = muon.stream("hits", hits(muon, 2))
    report = opened.ingest(("MuonHit.be.bin", content), plugins={"school": school.instrument})
    assert report.sources["quarantined"] == 1
    assert opened.ingest(("MuonHit.be.bin", content), plugins={"muon": muon.instrument}).sources["archived"] == 1


def test_settings_of_plugins_that_are_left_out_hold_no_call_up(muon, hisparc_plugin, tmp_path):
    opened = create_archive(
        tmp_path / "archive",
        plugins={"muon": muon.instrument, "hisparc": hisparc_plugin},
        settings={"hisparc.cutoff_year": 2016},
    )
    content = muon.stream("hits", hits(muon, 2))
    assert opened.ingest(("MuonHit.be.bin", content), plugins={"muon": muon.instrument}).sources["archived"] == 1


def test_bytes_are_accepted_before_anything_of_them_is_archived(opened, muon, tmp_path):
    """The decoder sees the source where the next run finds it, if this one is killed."""
    seen = []

    class Looking(type(muon.instrument)):
        def decode(self, source):
            seen.append((source.path.parent.name, source.path.read_bytes()))
            return super().decode(source)

    content = muon.stream("hits", hits(muon, 2))
    opened.ingest(("MuonHit.be.bin", content), plugins={"muon": Looking(muon.layout, "muon.yaml")})
    assert seen == [("accepted", content)]
    assert seconds_of(opened, muon) == [2]


# ---- An archive that another run holds

HOLD = """
import sys
from dayfile import open_archive
with open_archive(sys.argv[1], plugins={}).putting():
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def held(opened):
    """Another process that holds the archive until its input ends."""
    command = [sys.executable, "-c", HOLD, str(opened.root.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        yield other
        other.stdin.close()


def test_a_program_that_waits_goes_on_once_the_other_run_has_ended(opened, held, muon):
    timer = threading.Timer(0.3, held.stdin.close)
    timer.start()
    assert opened.put("muon.hits", hits(muon, 1), wait=60).tolist() == [WRITTEN]
    timer.join()
    assert opened.ingest(("MuonHit.be.bin", muon.stream("hits", hits(muon, 2))), wait=60).sources["archived"] == 1
    assert seconds_of(opened, muon) == [1, 2]


def test_after_the_wait_the_other_run_is_named(opened, held, muon):
    for call in (lambda: opened.put("muon.hits", hits(muon, 1), wait=0.2), lambda: opened.ingest([], wait=0.2)):
        with pytest.raises(ArchiveLockedError, match=rf"process {held.pid} on .* is working on .*, also after 0\.2 s"):
            call()
    with pytest.raises(ArchiveLockedError, match=r"working on this archive$"):
        opened.put("muon.hits", hits(muon, 1))


@pytest.mark.parametrize("wait", [-1, float("nan"), "3", None, True])
def test_a_wait_that_is_no_number_of_seconds_is_refused(opened, muon, wait):
    with pytest.raises(UsageError, match="wait must be a number of seconds, from 0 on"):
        opened.put("muon.hits", hits(muon, 1), wait=wait)


def test_several_programs_that_put_at_once_all_succeed_if_they_wait(muon, tmp_path):
    create_archive(tmp_path / "archive")
    results = []

    def put(second):
        opened = open_archive(tmp_path / "archive", plugins={"muon": muon.instrument})
        results.append(opened.put("muon.hits", hits(muon, second), wait=60).tolist())

    threads = [threading.Thread(target=put, args=(second,)) for second in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[WRITTEN]] * 4
    assert seconds_of(open_archive(tmp_path / "archive"), muon) == [0, 1, 2, 3]


def test_what_is_left_is_said_with_the_reason(tmp_path, caplog):
    opened = create_archive(tmp_path / "archive", plugins=["hisparc"])  # others are installed, and may know it
    report = opened.ingest(("rubbish", b"rubbish"), station=5, cluster="amsterdam")
    assert report.left == ["rubbish.parcel"]
    (line,) = [record.message for record in caplog.records]
    assert line.startswith("1 source not recognised by the plugins of this run, left in place: rubbish.parcel")
