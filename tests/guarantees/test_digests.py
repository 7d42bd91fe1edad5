"""Loss and change of day files after they were published: found, named, and never hidden by what comes next."""

from __future__ import annotations

import datetime as dt
import pickle
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest
import tables

import dayfile
from archives import load_plugins
from dayfile import open_archive
from dayfile.errors import HeldError

DAY_FILE, NEXT_DAY = "2024/5/2024_5_1.h5", "2024/5/2024_5_2.h5"
EVENTS = "/hisparc/cluster_amsterdam/station_501/events"


def upload(number, day=1, first=0, station=501):
    """An upload of some events of a day of May 2024, each with a pulse height of its own."""
    events = [
        {
            "header": {"eventtype_uploadcode": "CIC", "datetime": dt.datetime(2024, 5, day, 12), "nanoseconds": 10 * n},
            "datalist": [{"data_uploadcode": "PH1", "data": n}],
        }
        for n in range(first, first + number)
    ]
    return pickle.dumps({"station_id": station, "cluster": "Amsterdam", "event_list": events}, 2)


@pytest.fixture
def archive(command, tmp_path):
    """An archive of two days, of which the first was published twice; and an older copy of that one."""
    for number, content in enumerate((upload(5), upload(5, 2), upload(5, 1, 10), upload(5, 1, 20), upload(5, 2, 20))):
        Path(f"up{number}").write_bytes(content)
    assert command("archive-run", "up0", "up1").code == 0
    shutil.copy(Path("archive", DAY_FILE), tmp_path / "older.h5")
    assert command("archive-run", "up2").code == 0
    assert command("dayfile", "check", "--deep").code == 0
    return tmp_path / "archive"


def events(*span):
    return len(dayfile.open_archive("archive").read("hisparc.events", *span))


def roll_back(archive):
    shutil.copy(archive.parent / "older.h5", archive / DAY_FILE)


def test_an_older_copy_of_a_day_file_is_never_taken_for_the_one_that_was_published(archive, command):
    roll_back(archive)
    checked = command("dayfile", "check")
    assert (checked.code, DAY_FILE in checked.err) == (3, True)
    refused = command("dayfile", "reindex")
    assert refused.code == 3
    assert f"{DAY_FILE} has 5 records, and the catalogue lists 10" in refused.err
    done = command("archive-run", "up3", "up4")
    assert done.code == 3
    assert "0 quarantined, 1 held" in done.out
    assert f"up3: held: {DAY_FILE} is not the file that was published" in done.err
    assert events("2024-05-02", "2024-05-03") == 10, "other days go on"
    assert command("dayfile", "check").code == 3, "the loss is still reported"
    shutil.copy(archive.parent / "older.h5", archive / "2024/5/older.bak")
    assert command("dayfile", "reindex", "--force").code == 0
    assert (command("dayfile", "check").code, events("2024-05-01", "2024-05-02")) == (0, 5)
    assert command("archive-run", "up3").code == 0
    assert events("2024-05-01", "2024-05-02") == 10


@pytest.mark.parametrize("engine", [("--engine", "serial"), ("--engine", "processes", "--workers", "2")])
def test_held_sources_stay_in_accepted_and_are_archived_once_the_right_file_is_back(archive, command, engine):
    shutil.copy(archive / DAY_FILE, archive.parent / "right.h5")
    roll_back(archive)
    for number in (3, 4):
        Path(f"up{number}").rename(archive / "incoming" / f"up{number}")
    done = command("archive-run", *engine)
    assert (done.code, "1 archived" in done.out, "1 held" in done.out) == (3, True, True)
    assert [path.name for path in (archive / "accepted").iterdir()] == ["up3"]
    assert command("archive-run", *engine).code == 3, "each run tries again, and says so"
    shutil.copy(archive.parent / "right.h5", archive / DAY_FILE)
    assert command("archive-run", *engine).code == 0
    assert events("2024-05-01", "2024-05-02") == 15
    assert list((archive / "accepted").iterdir()) == []


def test_records_are_not_put_into_a_day_file_that_is_not_the_one_published(command, tmp_path):
    opened = dayfile.create_archive("archive")
    (kind,) = [kind for kind in load("cris") if kind.name == "cris.hskp"]
    records = np.zeros(2, kind.dtype)
    records["Second1996"] = 57801601 + 256 * np.arange(2)
    opened.put("cris.hskp", records[:1])
    path = tmp_path / "archive/cris/1997/10/cris.1997.10.31.hsk.h5"
    older = path.read_bytes()
    opened.put("cris.hskp", records[1:])
    path.write_bytes(older)
    with pytest.raises(HeldError, match=r"cris\.1997\.10\.31\.hsk\.h5 is not the file that was published"):
        opened.put("cris.hskp", records)
    assert path.read_bytes() == older


@pytest.mark.parametrize("before", [False, True], ids=["put back", "replaced"])
def test_a_day_file_that_is_put_in_place_while_records_are_added_is_not_overwritten(command, tmp_path, before):
    opened = dayfile.create_archive("archive")
    (kind,) = [kind for kind in load("cris") if kind.name == "cris.hskp"]
    records = np.zeros(3, kind.dtype)
    records["Second1996"] = 57801601 + 256 * np.arange(3)
    opened.put("cris.hskp", records[:1])
    path = tmp_path / "archive/cris/1997/10/cris.1997.10.31.hsk.h5"
    content = path.read_bytes()
    if not before:
        path.unlink()
    with pytest.raises(HeldError, match="put in place, replaced or changed"), opened.putting() as put:
        put("cris.hskp", records[1:2])
        path.with_suffix(".new").write_bytes(content)
        path.with_suffix(".new").rename(path)
    assert path.read_bytes() == content
    assert len(opened.read("cris.hskp")) == 1


def load(name):
    return load_plugins(name).data_types.values()


def unit(path):
    content = path.read_bytes()
    place = content.index(b'"unit":"', content.index(b'"pulseheights"')) + len(b'"unit":"')
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


def foreign_table(path):
    with tables.open_file(path, "a") as file:
        file.create_table("/", "foreign", {"x": tables.Int32Col()}).append([(1,), (2,)])


def ledger(path):
    with tables.open_file(path, "a") as file:
        file.remove_node("/dayfile_ledger", recursive=True)


def source_in_the_ledger(path):
    with tables.open_file(path, "a") as file:
        file.root.dayfile_ledger.sources.remove_rows(0, 1)


def junk_behind_the_end(path):
    with path.open("ab") as file:
        file.write(b"junk")


def other_day(path):
    other = path.with_name("2024_5_2.h5")
    mine, others = path.read_bytes(), other.read_bytes()
    path.write_bytes(others)
    other.write_bytes(mine)


CHANGES = [unit, foreign_table, ledger, source_in_the_ledger, junk_behind_the_end, other_day]


@pytest.mark.parametrize("reindexed", [False, True])
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changes_in_a_day_file_is_found(archive, command, change, reindexed):
    change(archive / DAY_FILE)
    if reindexed:
        command("dayfile", "reindex")
    checked = command("dayfile", "check", "--deep")
    assert (checked.code, DAY_FILE in checked.err) == (3, True)


def test_a_flipped_bit_is_found_although_the_times_of_the_file_are_as_they_were(archive, command):
    path = archive / DAY_FILE
    content = bytearray(path.read_bytes())
    with tables.open_file(path) as file:
        start = file.get_node(EVENTS).read()["pulseheights"].tobytes()
    content[content.index(start[:8])] ^= 1
    before = path.stat()
    digest = open_archive(archive).catalogue.digest(DAY_FILE)
    path.write_bytes(content)
    with sqlite3.connect(archive / "catalogue.db") as catalogue:
        now = path.stat()
        catalogue.execute(
            "UPDATE digests SET mtime = ?, ctime = ? WHERE path = ?", (now.st_mtime_ns, now.st_ctime_ns, DAY_FILE)
        )
    assert digest.size == before.st_size == now.st_size
    assert command("dayfile", "check", "--deep").code == 3


@pytest.mark.parametrize("engine", [("--engine", "serial"), ("--engine", "processes", "--workers", "2")])
def test_a_day_file_whose_bits_flipped_unseen_holds_its_own_sources_and_no_others(archive, command, engine):
    """Its times are those of the publication, so that only reading it back shows it."""
    path = archive / DAY_FILE
    with tables.open_file(path) as file:
        row = file.get_node(EVENTS).read()[:1].tobytes()
    content = path.read_bytes()
    path.write_bytes(content.replace(row, row[:-1] + bytes([row[-1] ^ 1])))
    with sqlite3.connect(archive / "catalogue.db") as catalogue:
        now = path.stat()
        catalogue.execute(
            "UPDATE digests SET mtime = ?, ctime = ? WHERE path = ?", (now.st_mtime_ns, now.st_ctime_ns, DAY_FILE)
        )
    for number in (3, 4):
        Path(f"up{number}").rename(archive / "incoming" / f"up{number}")
    done = command("archive-run", *engine, "--report", "report.json")
    assert (done.code, "1 archived" in done.out, "1 held" in done.out) == (3, True, True)
    assert DAY_FILE in done.err
    assert "disk full" not in done.err
    assert events("2024-05-02", "2024-05-03") == 10
    assert [path.name for path in (archive / "accepted").iterdir()] == ["up3"]
    import json

    report = json.loads(Path("report.json").read_text())
    assert report["records"]["hisparc.events"]["written"] == 5, "what is in no day file is not counted as written"
    path.write_bytes(content)
    assert command("archive-run", *engine).code == 0
    assert events("2024-05-01", "2024-05-02") == 15


def test_a_lost_day_is_refused_by_reindex_and_reported_until_it_is_accepted(archive, command):
    (archive / DAY_FILE).unlink()
    refused = command("dayfile", "reindex")
    assert (refused.code, f"{DAY_FILE} is missing" in refused.err) == (3, True)
    assert command("dayfile", "check").code == 3
    assert command("dayfile", "reindex", "--force").code == 0
    assert (command("dayfile", "check").code, events()) == (0, 5)


def test_a_day_file_that_was_started_anew_does_not_hide_the_loss(archive, command):
    (archive / DAY_FILE).unlink()
    done = command("archive-run", "up3")
    assert (done.code, "the catalogue lists 10 records but the file is missing" in done.err) == (0, True)
    for _ in range(2):
        checked = command("dayfile", "check")
        assert (checked.code, "10 records of hisparc.events were in this day file" in checked.err) == (3, True)
        assert command("dayfile", "reindex").code == 0
    assert command("archive-run", "up0").code == 0
    assert command("dayfile", "check").code == 3
    assert command("dayfile", "reindex", "--force").code == 0
    assert command("dayfile", "check").code == 0


def test_a_rebuild_ends_the_loss(command, tmp_path):
    Path("up0").write_bytes(upload(5))
    Path("up1").write_bytes(upload(5, 1, 10))
    assert command("archive-run", "up0", "--set", "sources.keep=always").code == 0
    Path("archive", DAY_FILE).unlink()
    assert command("archive-run", "up1", "--set", "sources.keep=always").code == 0
    assert command("dayfile", "check").code == 3
    assert command("dayfile", "rebuild", DAY_FILE).code == 0
    assert (command("dayfile", "check", "--deep").code, events()) == (0, 10)


def test_an_archive_that_was_copied_or_moved_is_as_good_as_before(archive, command):
    shutil.copytree(archive, "copy", copy_function=shutil.copy)
    archive.rename("moved")
    for name in ("copy", "moved"):
        checked = command("dayfile", "check", archive=name)
        assert (checked.code, "0 without a digest" in checked.out) == (0, True)
        assert command("archive-run", "up3", archive=name).code == 0


def test_a_catalogue_of_the_first_form_says_how_many_files_have_no_digest(archive, command, make_first_form):
    make_first_form(archive / "catalogue.db")
    with sqlite3.connect(archive / "catalogue.db") as catalogue:  # as it was before there were digests
        catalogue.execute("DROP TABLE digests")
        catalogue.execute("DROP TABLE losses")
    assert events() == 15
    checked = command("dayfile", "check", "--deep")
    assert (checked.code, "2 without a digest" in checked.out) == (0, True)
    assert command("archive-run", "up3").code == 0
    assert "1 without a digest" in command("dayfile", "check").out
    assert command("dayfile", "reindex").code == 0
    assert "1 without a digest" in command("dayfile", "check").out, "a plain reindex trusts nothing"
    assert command("dayfile", "reindex", "--force").code == 0
    assert "0 without a digest" in command("dayfile", "check").out


def test_a_plain_reindex_never_renews_a_digest(archive, command):
    before = open_archive(archive).catalogue.digests()
    with tables.open_file(archive / DAY_FILE, "a") as file:
        table = file.get_node(EVENTS)
        table.modify_column(0, 1, colname="event_rate", column=[9.0])
    assert command("dayfile", "reindex").code == 0
    assert open_archive(archive).catalogue.digests() == before
    assert command("dayfile", "check").code == 3


def test_what_a_killed_run_had_published_is_recorded_and_an_older_copy_is_not(archive, command):
    catalogue = open_archive(archive).catalogue
    known = catalogue.digest(DAY_FILE)
    roll_back(archive)
    catalogue.announce({DAY_FILE: np.datetime64("2024-05-01")})
    done = command("archive-run", "up3")
    assert (done.code, "1 held" in done.out) == (3, True)
    assert catalogue.digest(DAY_FILE) == known


def test_a_file_that_is_taken_as_it_is_agrees_with_itself_and_takes_records_again(archive, command):
    """Its ledger has the checksums of what was published."""
    with tables.open_file(archive / DAY_FILE, "a") as file:
        table = file.get_node(EVENTS)
        table.modify_column(0, 1, colname="event_rate", column=[9.0])
        table.append(table.read(0, 2))
    assert command("dayfile", "check").code == 3
    assert command("dayfile", "reindex", "--force").code == 0
    assert command("dayfile", "check", "--deep").code == 0
    assert command("archive-run", "up3").code == 0
    assert command("dayfile", "check", "--deep").code == 0
    assert events("2024-05-01", "2024-05-02") == 17


def test_a_file_that_lost_a_table_and_is_taken_as_it_is_takes_records_again(archive, command):
    Path("other").write_bytes(upload(3, station=502))
    assert command("archive-run", "other").code == 0
    with tables.open_file(archive / DAY_FILE, "a") as file:
        file.remove_node(EVENTS.replace("501", "502"))
    assert command("dayfile", "reindex", "--force").code == 0
    assert command("archive-run", "up3").code == 0
    assert command("dayfile", "check", "--deep").code == 0
    assert events("2024-05-01", "2024-05-02") == 15


def test_adopt_takes_the_day_files_as_they_are(archive, command):
    roll_back(archive)
    assert command("dayfile", "adopt", "archive", archive=None).code == 0
    assert (command("dayfile", "check", "--deep").code, events()) == (0, 10)


@pytest.mark.parametrize("word", [b'"float32"', b'"timestamp"', b'"append"', b'"epoch"', b'"hisparc.events"'])
def test_a_table_whose_attributes_are_damaged_ends_in_a_message(archive, command, word):
    path = archive / DAY_FILE
    content = path.read_bytes()
    if word not in content:
        word = word.strip(b'"')
    for changed in (word.replace(word[1:2], b"\x07", 1), word[:-1] + b"\xff"):
        path.write_bytes(content.replace(word, changed))
        shown = command("dayfile", "show", "hisparc.events")
        assert shown.code in (0, 4)
        assert command("dayfile", "check", "--deep").code == 3
