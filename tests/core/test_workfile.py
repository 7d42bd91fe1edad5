"""Work files: a day file changes in one step, after it was read back, or not at all."""

from __future__ import annotations

import os

import numpy as np
import pytest
import tables

from archives import find_defects, read_checksums, read_ledger
from dayfile import Instrument, Source, hookimpl, open_archive
from dayfile.archive.survey import survey
from dayfile.archive.workfile import WorkFile
from dayfile.errors import HeldError, StorageError
from running import run_python


def source(tmp_path, content=b"abc", name="upload_17"):
    return Source(tmp_path / name, name, content)


def hits(muon, *seconds):
    return muon.batch("hits", muon.records("hits", [{"second": muon.start + second} for second in seconds]))


def seconds_of(path, muon):
    with tables.open_file(path) as file:
        return (file.get_node("/hits").read()["second"] - muon.start).tolist()


@pytest.fixture
def published(muon, work_file):
    """A published day file with one record."""
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 1))
    work.publish()
    return work.published


def test_nothing_stands_at_the_published_path_before_it_is_published(muon, work_file):
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 1))
    work.close()
    assert not work.published.exists()
    work.publish()
    assert seconds_of(work.published, muon) == [1]
    assert not work.path.exists()


def test_a_published_file_is_replaced_and_never_written_to(muon, work_file, published):
    before, content = published.stat(), published.read_bytes()
    with published.open("rb") as held:
        work = work_file(muon.day)
        work.write(muon.hits, hits(muon, 2))
        work.close()
        assert published.read_bytes() == content
        assert (published.stat().st_ino, published.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
        work.publish()
        assert published.stat().st_ino != before.st_ino
        assert held.read() == content
    assert seconds_of(published, muon) == [1, 2]


def test_a_reader_that_has_the_file_open_goes_on_reading_what_it_opened(muon, work_file, published):
    with tables.open_file(published) as file:
        for second in (2, 3):
            work = work_file(muon.day)
            work.write(muon.hits, hits(muon, second))
            work.publish()
        assert (file.get_node("/hits").read()["second"] - muon.start).tolist() == [1]
    assert seconds_of(published, muon) == [1, 2, 3]


def test_a_published_file_that_nobody_may_write_to_can_be_published_again(muon, work_file, published):
    published.chmod(0o444)
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 2))
    work.publish()
    assert seconds_of(published, muon) == [1, 2]


def lose_rows(path):
    with tables.open_file(path, "a") as file:
        file.get_node("/hits").truncate(1)


def lose_bytes(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 2000)


def zero_a_page(path):
    """What a write that never reached the disk leaves: the rows' page as zeros."""
    content = path.read_bytes()
    with tables.open_file(path) as file:
        needle = file.get_node("/hits").read(1, 2).tobytes()
    place = content.index(needle)
    with path.open("r+b") as file:
        file.seek(place)
        file.write(bytes(len(needle)))


def be_gone(path):
    path.unlink()


@pytest.mark.parametrize("damage", [lose_rows, lose_bytes, zero_a_page, be_gone])
def test_a_lost_write_is_noticed_and_the_old_file_stays(muon, work_file, published, damage):
    content = published.read_bytes()
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 2, 3))
    work.close()
    damage(work.path)
    with pytest.raises(StorageError, match="is the disk full"):
        work.publish()
    assert published.read_bytes() == content


def test_damage_to_rows_of_an_earlier_run_is_noticed_too(muon, work_file, published):
    work = work_file(muon.day)
    work.write(muon.runs, muon.batch("runs", muon.records("runs", [{"first": muon.start, "last": muon.start}])))
    work.close()
    with tables.open_file(work.path, "a") as file:
        file.get_node("/hits").modify_column(0, 1, column=np.array([5]), colname="second")
    with pytest.raises(StorageError, match="/hits does not hold what was written"):
        work.publish()


def test_a_file_that_cannot_be_put_in_place_leaves_the_old_one(muon, work_file):
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 1))
    (work.published / "in the way").mkdir(parents=True)
    with pytest.raises(HeldError, match="put in place, replaced or changed"):
        work.publish()
    assert (work.published / "in the way").is_dir()


def test_a_directory_that_cannot_be_made_is_told(muon, tmp_path):
    (tmp_path / "1997").write_text("a file")
    work = WorkFile(tmp_path / "1997" / "10" / "day.h5", tmp_path / "work.h5", muon.day)
    work.write(muon.hits, hits(muon, 1))
    with pytest.raises(StorageError, match="could not make the directory"):
        work.publish()


def test_a_workshop_that_is_gone_is_told(muon, tmp_path):
    work = WorkFile(tmp_path / "day.h5", tmp_path / "workshop" / "work.h5", muon.day)
    with pytest.raises(StorageError, match="could not write"):
        work.write(muon.hits, hits(muon, 1))


@pytest.mark.parametrize("content", [b"", b"no HDF5 at all", None], ids=["empty", "text", "cut"])
def test_a_published_file_that_cannot_be_opened_is_named_and_left_alone(muon, work_file, published, content):
    published.write_bytes(published.read_bytes()[:500] if content is None else content)
    there = published.read_bytes()
    with pytest.raises(StorageError, match=r"day\.h5: is damaged: cannot be read"):
        work_file(muon.day)
    assert published.read_bytes() == there


def test_a_work_file_that_was_closed_in_between_gives_the_same_bytes_of_records(school, work_file):
    files = []
    for name, closing in (("open.h5", False), ("closed.h5", True)):
        work = work_file(school.day, name)
        for second in range(5):
            work.begin()
            work.write(school.events, school.make_events([(second, 1.5, b"x", b"%d" % second, None)] * 2))
            if closing:
                work.close()
        files.append([(found.path, found.rows, found.checksum) for found in work.publish()[0]])
    assert files[0] == files[1]
    assert {path: rows for path, rows, _ in files[0]} == {"/school/station_7/events": 5, "/school/station_7/blobs": 5}


def test_closing_twice_and_before_any_write_does_nothing(muon, work_file):
    work = work_file(muon.day)
    work.close()
    assert not work.changed
    work.write(muon.hits, hits(muon, 1))
    work.close()
    content = work.path.read_bytes()
    work.close()
    assert work.path.read_bytes() == content
    assert work.changed


def test_what_publish_tells_is_what_the_file_holds(muon, work_file):
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 7, 3, 5))
    (told,), _ = work.publish()
    assert (told.path, told.rows, told.records, told.data_type.name) == ("/hits", 3, 3, "muon.hits")
    assert str(told.first).startswith("1997-10-31T00:00:03")
    assert str(told.last).startswith("1997-10-31T00:00:07")


def test_a_file_without_a_ledger_is_taken_up(muon, work_file, published):
    with tables.open_file(published, "a") as file:
        file.remove_node("/dayfile_ledger", recursive=True)
    work = work_file(muon.day)
    assert work.write(muon.hits, hits(muon, 1, 2)).tolist() == [3, 0]
    work.publish()
    assert seconds_of(published, muon) == [1, 2]
    assert set(read_checksums(published)) == {"/hits"}


def test_a_file_made_by_others_keeps_what_is_in_it(muon, work_file, published):
    published.unlink()
    with tables.open_file(published, "w", title="by others") as file:
        file.create_array("/", "calibration", np.arange(3))
        blobs = file.create_vlarray("/", "notes", tables.VLStringAtom())
        blobs.append(b"a note")
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 2))
    work.publish()
    with tables.open_file(published) as file:
        assert file.title == "by others"
        assert file.root.calibration.read().tolist() == [0, 1, 2]
        assert file.root.notes.read() == [b"a note"]
    assert seconds_of(published, muon) == [2]


def test_the_ledger_knows_the_sources_of_the_file(muon, work_file, tmp_path):
    one, other = source(tmp_path), source(tmp_path, b"x" * 70, "n\u00e4me " + "\u00e4" * 100)
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 1, 2))
    assert work.find_name(one) is None
    work.enter(one, 2)
    assert work.find_name(one) == "upload_17"
    work.publish()
    again = work_file(muon.day)
    assert again.find_name(one) == "upload_17"
    assert again.find_name(other) is None
    again.write(muon.hits, hits(muon, 3))
    again.enter(other, 1)
    again.publish()
    entries = {entry.sha256: entry for entry in read_ledger(again.published)}
    assert {entry.sha256: (entry.size, entry.records) for entry in entries.values()} == {
        one.sha256: (3, 2),
        other.sha256: (70, 1),
    }
    assert entries[one.sha256].name == "upload_17"
    assert other.name.startswith(entries[other.sha256].name)
    assert len(entries[other.sha256].name.encode()) in {159, 160}


def test_a_day_file_tells_its_data_types_without_the_plugin(muon, work_file):
    work = work_file(muon.day)
    for name in ("rates", "hits"):
        work.write(muon.types[name], muon.batch(name, muon.records(name, [{"second": muon.start}])))
    work.publish()
    with tables.open_file(work.published) as file:
        told = {found.data_type.type: found.data_type for found in survey(file)}
    for name, data_type in told.items():
        meant = muon.types[name]
        assert data_type.dtype == meant.dtype
        assert data_type.clock == meant.clock
        assert (data_type.placement.store, data_type.time, data_type.period) == (
            meant.placement.store,
            meant.time,
            meant.period,
        )
        assert [(field.unit, field.doc) for field in data_type.fields] == [
            (field.unit, field.doc) for field in meant.fields
        ]


def test_the_copy_of_a_large_published_file_is_complete(muon, work_file):
    records = np.zeros(200_000, muon.hits.dtype)
    records["second"] = muon.start + np.arange(len(records)) % 86400
    records["energy"] = np.random.default_rng(1).random(len(records))
    work = work_file(muon.day)
    work.write(muon.hits, muon.batch("hits", records))
    work.publish()
    again = work_file(muon.day)
    again.write(muon.hits, hits(muon, 1))
    again.publish()
    with tables.open_file(again.published) as file:
        assert file.get_node("/hits").read(0, len(records)).tobytes() == records.tobytes()


def test_other_names_of_the_published_file_keep_the_old_content(muon, work_file, published):
    beside = published.with_name("backup.h5")
    os.link(published, beside)
    work = work_file(muon.day)
    work.write(muon.hits, hits(muon, 2))
    work.publish()
    assert seconds_of(beside, muon) == [1]


# Python ignores the signal, so a write beyond the limit fails as one to a full disk does. The interpreter ends at once:
# HDF5 cannot close a file that it cannot write.
FULL_DISK = """
import os, resource, sys
from pathlib import Path
import numpy as np
from dayfile.archive.workfile import WorkFile
from dayfile.errors import StorageError
from dayfile import Instrument
from dayfile import Batch

directory = Path(sys.argv[1])
hits = Instrument((directory / "muon.yaml").read_text(), "muon.yaml").layout.types[1]
records = np.zeros(100_000, hits.dtype)
records["second"] = 57801601
records["energy"] = np.arange(len(records))
work = WorkFile(directory / "published" / "day.h5", directory / "workshop" / "day.h5", np.datetime64("1997-10-31"))
limit = (directory / "published" / "day.h5").stat().st_size + int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    for part in np.split(records, 10):
        work.write(hits, Batch("muon", "MuonHit", part, np.arange(len(part))))
        work.flush()
    work.publish()
except StorageError as error:
    print(error, flush=True)
    os._exit(error.exit_code)
"""


@pytest.mark.parametrize("room", [0, 50_000, 1_000_000])
def test_a_disk_that_takes_no_more_is_noticed_and_the_old_file_stays(muon, published, tmp_path, room):
    content = published.read_bytes()
    (tmp_path / "muon.yaml").write_text(muon.layout)
    done = run_python("-c", FULL_DISK, tmp_path, room)
    assert done.returncode == StorageError.exit_code, done.stderr
    assert "File too large" in done.stdout
    assert published.read_bytes() == content


@pytest.mark.parametrize("station", ["Zürich", "a → b", "\u00a0", "站"])
def test_a_key_of_any_letters_names_a_table_that_is_kept_and_read(archive, school, plugins_of, station):
    """A cluster's name is part of its tables' paths, and may be any text."""

    class Letters(Instrument):
        @hookimpl
        def decode(self, source):
            events = [(second, 1.0, "a", b"x%d" % second, None) for second in (1, 2)]
            return [school.make_events(events, None, station)]

    plugins = plugins_of(school=Letters(school.layout, "school.yaml"))
    archive.drop("one", b"one")
    if not station.isprintable():
        assert [entry.source for entry in archive.run(plugins=plugins).quarantine] == ["one"]
        return
    for name in ("one", "two"):  # the second run opens what the first has published
        archive.drop(name, name.encode())
        assert archive.run(plugins=plugins).exit_code == 0
    assert find_defects(archive.root) == []
    records = open_archive(archive.root.path).read("school.events", station=station)
    assert records["station"].tolist() == [station] * 2
    assert records.all_blobs("traces")[:, 0].tolist() == [b"x1", b"x2"]
