"""Quarantine: what cannot be archived is kept whole with the reason, and can be sent through again or thrown away."""

from __future__ import annotations

import datetime as dt
import hashlib
import importlib.metadata
import json
import os
import pickle
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dayfile
from archives import put_in_quarantine
from dayfile import create_archive, open_archive
from dayfile.testing.faults import Fault, inject
from dayfile_cris import instrument as cris
from instruments import make_stream
from running import Done

HSKP = cris.layout.by_code()["L1CrisHskp"]
STRUCT = cris.struct(HSKP)
START = 57801601  # second of the spacecraft's clock at the beginning of 1997-10-31
STREAM = "L1CrisHskp.be.bin"


def stream(*seconds, order="big"):
    """A struct stream of housekeeping records; one without a time where the second is None."""
    records = np.zeros(len(seconds), HSKP.dtype)
    records["Second1996"] = [0 if second is None else START + second for second in seconds]
    records["ClockCycle"] = np.arange(1, len(seconds) + 1)
    return make_stream(cris, HSKP, records, order)


def event(second, *, year=2024, code="SIN", values=(("MAS_CH1_LOW", 7),)):
    """An event as a station sends it."""
    moment = dt.datetime(year, 5, 1) + dt.timedelta(seconds=second)
    header = {"eventtype_uploadcode": code, "datetime": moment, "nanoseconds": 0}
    return {"header": header, "datalist": [{"data_uploadcode": name, "data": value} for name, value in values]}


def upload(*events):
    """A queue file: it tells the station."""
    return pickle.dumps({"station_id": 501, "cluster": "Amsterdam", "event_list": list(events)}, 2)


@pytest.fixture
def run(command):
    """The commands of the entry points, called in this process; the archive is the default one."""
    return partial(command, archive=None)


@dataclass(frozen=True)
class Box:
    """The quarantine of ``archive``: give sources to a run, look at its entries.

    Parameters
    ----------
    directory : Path
        Where the archive is.
    run : callable
        The fixture of this name.
    """

    directory: Path
    run: Callable[..., Done]

    @property
    def root(self) -> Path:
        """The directory of the archive."""
        return self.directory / "archive"

    def give(self, sources: Mapping[str, bytes], *arguments: object) -> Done:
        """Run once, with sources of these names and bytes."""
        given = self.directory / "given"
        shutil.rmtree(given, ignore_errors=True)
        given.mkdir()
        for name, content in sources.items():
            (given / name).write_bytes(content)
        return self.run("archive-run", given, *arguments)

    def entries(self) -> dict[str, tuple[dict[str, Any], dict[str, bytes]]]:
        """Return the name of each entry, with its reason and the names and bytes of what it keeps."""
        found = {}
        for path in sorted((self.root / "quarantine").iterdir()):
            kept = {file.name: file.read_bytes() for file in path.iterdir()}
            found[path.name] = (json.loads(kept.pop("reason.json")), kept)
        return found

    def only(self) -> tuple[str, dict[str, Any], dict[str, bytes]]:
        """Return the name of the only entry, its reason, and the names and bytes of what it keeps."""
        ((name, (reason, kept)),) = self.entries().items()
        return name, reason, kept


@pytest.fixture
def box(tmp_path, run):
    return Box(tmp_path, run)


def records(tmp_path, data_type):
    return dayfile.open_archive(tmp_path / "archive").read(data_type)


# ---- The reason


def test_the_reason_of_a_whole_source_tells_who_refused_it_why_where_and_when(box):
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    content = stream(1, 2)[:-5]
    assert box.give({STREAM: content}).code == 3
    name, reason, kept = box.only()
    assert kept == {STREAM: content}
    assert reason["plugin"] == "cris"
    assert reason["version"] == importlib.metadata.version("dayfile-cris")
    assert reason["error"] == "SourceError"
    assert f"byte {STRUCT.itemsize}: {len(content):,} bytes is not a whole number" in reason["message"]
    assert (reason["records"], reason["offset"]) == (None, STRUCT.itemsize)
    assert reason["source"] == STREAM
    assert reason["sha256"] == reason["source_sha256"] == hashlib.sha256(content).hexdigest()
    assert before <= dt.datetime.fromisoformat(reason["time"]) <= dt.datetime.now(dt.UTC)
    assert name.startswith(reason["time"][:10])


def test_the_reason_of_single_records_tells_which_they_were_and_where_they_lay(box):
    content = stream(1, None, 300, None, order="little")
    assert box.give({"L1CrisHskp.le.bin": content}).code == 3
    _, reason, kept = box.only()
    assert kept == {STREAM: make_stream(cris, HSKP, with_cycles(2, 4))}
    assert (reason["plugin"], reason["version"]) == ("cris", importlib.metadata.version("dayfile-cris"))
    assert (reason["error"], reason["code"]) == ("RecordError", "L1CrisHskp")
    assert "no time" in reason["message"]
    assert (reason["records"], reason["offset"]) == ([1, 3], STRUCT.itemsize)
    assert reason["source"] == "L1CrisHskp.le.bin"
    assert reason["source_sha256"] == hashlib.sha256(content).hexdigest()
    assert reason["sha256"] == hashlib.sha256(kept[STREAM]).hexdigest()
    assert "time" in reason


def with_cycles(*cycles):
    """Records without a time, as the second and fourth of a stream are."""
    found = np.zeros(len(cycles), HSKP.dtype)
    found["ClockCycle"] = cycles
    return found


def test_each_reason_for_which_records_of_an_upload_are_refused_has_an_entry_of_its_own(box):
    box.give({"upload_17": upload(event(1), event(2, year=2012), event(3, code="XYZ"), event(4, year=2013))})
    told = {tuple(reason["records"]): reason for reason, _ in box.entries().values()}
    assert told.keys() == {(1, 3), (2,)}
    assert "dated before 2020, the cutoff year (hisparc.cutoff_year)" in told[1, 3]["message"]
    assert "unknown event type 'XYZ'" in told[2,]["message"]
    assert {(reason["source"], reason["plugin"], reason["error"]) for reason in told.values()} == {
        ("upload_17", "hisparc", "RecordError")
    }


# ---- ls and show


def test_ls_tells_each_entry_in_a_line_and_as_json_and_show_tells_one_whole(box, run):
    box.give({"letter.txt": b"Dear archive", STREAM: stream(1, None)})
    listed = run("dayfile", "quarantine", "ls", "--each")
    entries = box.entries()
    assert listed.code == 0
    for name, (reason, _) in entries.items():
        (line,) = (line for line in listed.out.splitlines() if line.startswith(name))
        assert f"{reason['source']}: " in line
        assert re.sub(f"^{reason['source']}[:,] ", "", reason["message"]) in line
        assert reason["plugin"] in line
    assert "1 record of L1CrisHskp.be.bin" in listed.out
    assert listed.out.splitlines()[-1] == "2 entries"
    as_json = json.loads(run("dayfile", "quarantine", "ls", "--json").out)
    assert as_json == [{"entry": name, **reason} for name, (reason, _) in entries.items()]
    for name, (reason, kept) in entries.items():
        for asked in (name, name.rpartition("-")[2]):
            shown = run("dayfile", "quarantine", "show", asked)
            text, path = shown.out.rstrip().rsplit("\n", 1)
            assert (shown.code, json.loads(text)) == (0, reason)
            assert {(box.root.parent / path).name: (box.root.parent / path).read_bytes()} == kept


def test_the_installed_command_lists_what_is_set_aside(box, archive_run):
    box.give({"letter.txt": b"Dear archive"})
    name, reason, _ = box.only()
    done = archive_run("quarantine", "ls", "--archive", "archive", command="dayfile")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert re.fullmatch(r"1 entry  dayfile  12 B  \d+ s old", lines[0])
    short = name.rpartition("-")[2][:4]
    assert lines[1] == f"    {short}: letter.txt"
    assert " ".join(line.strip() for line in lines[2:-3]) == reason["message"]
    assert lines[-3:] == [
        *(f"        dayfile quarantine show {short}", f"        dayfile quarantine requeue {short}", "1 entry")
    ]


def test_ls_groups_by_cause_with_plugin_size_ages_and_the_commands_that_help(box, run):
    """A cause is what messages have in common; an entry of long ago and a number in it make no other."""
    box.give({f"letter_{number:04}.txt": b"Dear archive %04d" % number for number in range(200)})
    for number in (3, 100, 101):
        box.give({STREAM: b"x" * number})
    oldest = next(name for name, (reason, _) in box.entries().items() if reason["plugin"] == "dayfile")
    reason = json.loads((box.root / "quarantine" / oldest / "reason.json").read_text())
    reason["time"] = (dt.datetime.now(dt.UTC) - dt.timedelta(days=2, hours=1)).isoformat()
    (box.root / "quarantine" / oldest / "reason.json").write_text(json.dumps(reason))
    lines = run("dayfile", "quarantine", "ls").out.splitlines()
    assert lines[-1] == "203 entries; --each lists them"
    facts = [line for line in lines[:-1] if not line.startswith(" ")]
    assert len(facts) == 2
    assert any(re.fullmatch(r"3 entries  cris  204 B  (\d+ s to )?\d+ s old", line) for line in facts)
    assert any(re.fullmatch(r"200 entries  dayfile  3.4 kB  2 days to \d+ s old", line) for line in facts)
    assert "        dayfile quarantine requeue --all" in lines
    assert any(re.fullmatch(r" {8}dayfile quarantine requeue( [0-9a-f]{4,}){3}", line) for line in lines)
    assert " and 194 more" in "".join(lines)
    assert max(map(len, lines)) <= 80
    each = run("dayfile", "quarantine", "ls", "--each").out.splitlines()
    assert {line[:23] for line in each[:-1]} == box.entries().keys()


def test_ls_names_the_commands_that_a_message_names_each_in_a_line(box, run):
    box.give({"old": upload(event(1, year=2016))})
    lines = run("dayfile", "quarantine", "ls").out.splitlines()
    assert lines[-3:-1] == [
        *("        dayfile quarantine requeue --all", "        archive-run --set hisparc.cutoff_year=2016")
    ]
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize(
    ("since", "listed"), [("2 d", 1), ("90min", 1), ("2999-01-01", 0), ("2000", 2), ("yesterday", 1), ("4 d", 2)]
)
def test_ls_lists_what_was_made_since_a_time_or_in_the_last_hours(box, run, since, listed):
    box.give({"a.txt": b"first", "b.txt": b"second"})
    path = box.root / "quarantine" / next(iter(box.entries())) / "reason.json"
    before = (dt.datetime.now(dt.UTC) - dt.timedelta(days=3)).isoformat()
    path.write_text(json.dumps({**json.loads(path.read_text()), "time": before}))
    assert len(json.loads(run("dayfile", "quarantine", "ls", "--json", "--since", since).out)) == listed
    assert run("dayfile", "quarantine", "ls", "--since", "soon").code == 2


def test_the_digits_that_ls_prints_name_an_entry_for_every_command(box, run):
    """Also digits that look like the year with which all names begin."""
    box.give({f"{number}.txt": b"%d" % number for number in range(60)})
    names = list(box.entries())
    odd = box.root / "quarantine" / names[0]
    odd.rename(odd.with_name(f"{names[0][:11]}2026{names[0][15:]}"))
    listing = [run("dayfile", "quarantine", "ls", "--since", "1 d").out]
    assert re.search(r"\b2026\b", run("dayfile", "quarantine", "show", "2026").out)
    for short in re.findall(r"[0-9a-f]{4,12}(?=[,: ])", listing[0].splitlines()[1])[:6]:
        assert run("dayfile", "quarantine", "drop", short).code == 0
    assert len(box.entries()) == 54


def test_one_entry_that_cannot_be_read_hides_no_other(box, run):
    box.give({"a.txt": b"first", "b.txt": b"second"})
    broken, whole = box.entries()
    (box.root / "quarantine" / broken / "reason.json").write_text("{")
    listed = run("dayfile", "quarantine", "ls")
    for name in (broken, whole):
        assert re.search(rf"\b{name[11:15]}\w*: ", listed.out)


# ---- requeue


def test_events_before_the_cutoff_year_are_archived_when_the_setting_was_mended_and_they_are_requeued(
    tmp_path, box, run
):
    done = box.give({"upload_17": upload(event(1, year=2017), event(2), event(3, year=2016), event(4, year=1999))})
    assert done.code == 3
    name, reason, _ = box.only()
    first, second = reason["message"].partition(": ")[2].split(", then ")
    assert (first, second) == ("dayfile quarantine requeue --all", "archive-run --set hisparc.cutoff_year=2016")
    assert second in done.err
    done = run(*first.split())
    assert (done.code, done.out) == (0, f"{name} -> incoming/upload_17\n")
    assert box.entries() == {}
    done = run(*second.split(), "--report", "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["records"]["hisparc.singles"]["written"] == 2
    _, reason, _ = box.only()
    assert "--set" not in reason["message"]  # 1999 is what electronics without GPS report
    found = records(tmp_path, "hisparc.singles")
    assert [str(time)[:19] for time in found.times] == [
        "2016-05-01T00:00:03",
        "2017-05-01T00:00:01",
        "2024-05-01T00:00:02",
    ]
    assert set(found["station"]) == {501}


def test_what_is_requeued_without_being_mended_comes_back(box, run):
    box.give({"upload_17": upload(event(1, year=2016))})
    _, reason, kept = box.only()
    run("dayfile", "quarantine", "requeue", "--all")
    assert run("archive-run").code == 3
    _, again, kept_again = box.only()
    assert kept_again == kept
    assert again["message"] == reason["message"]


def test_a_bare_upload_is_archived_when_its_station_was_set_and_it_is_requeued(tmp_path, box, run):
    content = pickle.dumps([event(1), event(2)], 0)
    assert box.give({"bare": content}).code == 3
    _, reason, kept = box.only()
    assert "archive-run --set hisparc.station=NUMBER --set hisparc.cluster=NAME" in reason["message"]
    assert kept == {"bare": content}
    assert run("dayfile", "quarantine", "requeue", "--all").code == 0
    (box.root / "archive.yaml").write_text("hisparc: {station: 502, cluster: Leiden}\n")
    done = run("archive-run")
    assert (done.code, done.err) == (0, "")
    found = records(tmp_path, "hisparc.singles")
    assert (found["station"].tolist(), set(found["cluster"])) == ([502, 502], {"leiden"})
    assert not list((box.root / "incoming").iterdir())


LAYOUT = """\
instrument: muon
title: Muon telescope
clock: {epoch: 1996-01-01T00:00:00, unit: s}
structs: {byte_order: big, alignment: natural}
sources: [struct_streams]
path: "muon/{year}/muon.{year}.{month:02}.{day:02}.h5"
types:
  hits:
    code: MuonHit
    title: Hits
    store: append
    time: second
    fields:
      - {name: second, type: uint32, unit: s}
      - {name: energy, type: uint32}
"""


def test_sources_are_archived_when_the_layout_was_mended_and_they_are_requeued(tmp_path, archive_run, monkeypatch):
    """The layout lacks a field at first, so that no record has the length of a struct."""
    site = tmp_path / "site"
    (site / "muon-1.dist-info").mkdir(parents=True)
    (site / "muon-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: muon\nVersion: 1\n")
    (site / "muon-1.dist-info" / "entry_points.txt").write_text("[dayfile.plugins]\nmuon = muon_roof:plugin\n")
    code = "from pathlib import Path\nfrom dayfile import Instrument\n"
    code += "plugin = Instrument(Path(__file__).with_name('muon.yaml').read_text(), 'muon.yaml')\n"
    (site / "muon_roof.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    (site / "muon.yaml").write_text(LAYOUT)
    (tmp_path / "MuonHit.be.bin").write_bytes(np.arange(1, 10, dtype=">u4").tobytes())
    options = ("--archive", "archive", "--plugins", "muon", "--set", "watch.settle=0")
    assert archive_run("MuonHit.be.bin", *options).returncode == 3
    (site / "muon.yaml").write_text(LAYOUT + "      - {name: channel, type: uint32}\n")
    assert archive_run("quarantine", "requeue", "--all", "--archive", "archive", command="dayfile").returncode == 0
    done = archive_run(*options)
    assert done.returncode == 0, done.stderr
    assert records(tmp_path, "muon.hits").array.tolist() == [(1, 2, 3), (4, 5, 6), (7, 8, 9)]


def test_requeued_sources_with_one_name_do_not_replace_each_other(tmp_path, box, run):
    contents = [pickle.dumps([event(second)], 2) for second in (1, 2, 3)]
    for content in contents:
        box.give({"bare": content})
    (box.root / "incoming" / "bare").write_bytes(pickle.dumps([event(4)], 2))
    assert run("dayfile", "quarantine", "requeue", "--all").code == 0
    done = run("archive-run", "--set", "hisparc.station=502", "--set", "hisparc.cluster=Leiden")
    assert done.code == 0, done.err
    assert records(tmp_path, "hisparc.singles")["timestamp"].tolist() == [
        1714521600 + second for second in (1, 2, 3, 4)
    ]


def test_a_requeue_that_was_cut_short_loses_nothing_when_the_source_is_bad_still(box, run):
    """The bytes are back in incoming/, and the rest of the entry is still there: nobody else keeps them."""
    box.give({"letter.txt": b"Dear archive"})
    with inject(Fault("unlink", 1, "fail")):
        assert run("dayfile", "quarantine", "requeue", "--all").code == 4
    assert (box.root / "incoming" / "letter.txt").read_bytes() == b"Dear archive"
    assert run("archive-run").code == 3
    kept = [path.read_bytes() for path in box.root.rglob("letter.txt")]
    assert kept == [b"Dear archive"]


@pytest.mark.parametrize("gone", [["reason.json"], ["letter.txt"], ["reason.json", "letter.txt"]], ids=" ".join)
def test_a_drop_that_was_cut_short_loses_nothing_when_the_source_comes_again(box, gone):
    box.give({"letter.txt": b"Dear archive"})
    name, _, _ = box.only()
    for file in gone:
        (box.root / "quarantine" / name / file).unlink()
    assert box.give({"letter.txt": b"Dear archive"}).code == 3
    assert box.only()[2] == {"letter.txt": b"Dear archive"}


# ---- drop


def test_drop_throws_away_what_is_named_and_nothing_else(box, run):
    box.give({"a.txt": b"first", "b.txt": b"second", "c.txt": b"third"})
    first, second, third = box.entries()
    done = run("dayfile", "quarantine", "drop", first, third.rpartition("-")[2])
    assert (done.code, done.out) == (0, f"{first} dropped\n{third} dropped\n")
    assert list(box.entries()) == [second]
    assert run("dayfile", "quarantine", "drop", "--all").code == 0
    assert box.entries() == {}
    assert run("dayfile", "quarantine", "ls").out == "0 entries\n"


@pytest.mark.parametrize("word", ["requeue", "drop"])
def test_entries_are_named_or_all_are_meant(box, run, word):
    box.give({"letter.txt": b"Dear archive"})
    name, _, _ = box.only()
    for arguments in ((), (name, "--all")):
        done = run("dayfile", "quarantine", word, *arguments)
        assert done.code == 2
        assert "name the entries, or say --all" in done.err
    assert list(box.entries()) == [name]


@pytest.mark.parametrize("word", ["show", "requeue", "drop"])
def test_unknown_and_ambiguous_names_are_refused_and_nothing_is_done(box, run, word):
    box.give({"a.txt": b"first", "b.txt": b"second"})
    first, _ = box.entries()
    short = first.rpartition("-")[2]
    shutil.copytree(box.root / "quarantine" / first, box.root / "quarantine" / f"1999-12-31-{short}")
    before = box.entries()
    names = {
        "nonsense": "no entry is called 'nonsense'",
        short: f"more than one entry is called '{short}'",
        short[:6]: f"more than one entry is called '{short[:6]}'",
        "": "no entry is called ''",
        "..": "no entry is called '..'",
        "../incoming": "no entry is called",
        str(box.root / "quarantine" / first): "no entry is called",
        "*": "no entry is called '*'",
    }
    for name, words in names.items():
        # One of the names is good: all or nothing.
        good = () if word == "show" else (first,)
        done = run("dayfile", "quarantine", word, *good, name)
        assert done.code == 2, name
        assert words in done.err
        assert (f"{first}, 1999" in done.err or f"{short}, {first}" in done.err) == (name in {short, short[:6]})
        assert "dayfile quarantine ls" in done.err
    assert box.entries() == before
    assert not list((box.root / "incoming").iterdir())


# ---- Kept once


def test_the_same_bad_source_twice_is_kept_once_and_told_each_time(box):
    """On the same day, and on another."""
    for day in range(3):
        done = box.give({"letter.txt": b"Dear archive", STREAM: stream(1, None)})
        assert "letter.txt: no plugin of this run recognises it" in done.err
        assert done.code == 3
        assert len(box.entries()) == 2
        for name in box.entries() if day == 1 else ():
            (box.root / "quarantine" / name).rename(box.root / "quarantine" / f"2000-01-01-{name.rpartition('-')[2]}")


def test_sources_that_differ_in_name_or_content_are_all_kept(box):
    """Name and content together are the same bytes in three of them."""
    sources = {"tar": b"s", "star": b"", "sta": b"r", "notes": b"s"}
    box.give(sources)
    kept = [content for _, content in box.entries().values()]
    assert sorted(name for (name,) in kept) == sorted(sources)
    assert {name: content for entry in kept for name, content in entry.items()} == sources


# ---- Hostile names

HOSTILE = {
    "reason.json": "source",
    "a..": "a..",
    "-rf": "-rf",
    "$(touch pwned)": "$(touch pwned)",
    "a\nb": "a\nb",
    "\x1b[2J": "\x1b[2J",
    "x" * 255: "source",
    "~root": "~root",
    "C:\\evil": "C:\\evil",
}


def test_sources_with_hostile_names_stay_inside_and_keep_their_bytes(tmp_path, box, run):
    sources = {name: f"of nobody {number}".encode() for number, name in enumerate(HOSTILE)}
    assert box.give(sources).code == 3
    entries = box.entries()
    told = {reason["source"]: kept for reason, kept in entries.values()}
    assert told == {name: {HOSTILE[name]: content} for name, content in sources.items()}
    assert all(name[:2] == "20" and name.isascii() for name in entries)
    assert run("dayfile", "quarantine", "ls").code == 0
    assert run("dayfile", "quarantine", "requeue", "--all").code == 0
    assert run("archive-run").code == 3
    kept = sorted(content for _, kept in box.entries().values() for content in kept.values())
    assert kept == sorted(sources.values())
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "given"}
    assert {path.name for path in box.root.iterdir() if not path.name.startswith(".")} == {
        *("incoming", "accepted", "quarantine", "workshop", "archive.json")
    }


def test_a_listing_has_one_line_an_entry_whatever_the_names_are(box, run):
    box.give({"a\n2026-01-01-000000000000  b": b"of nobody", "\x1b[2J": b"of nobody either"})
    listed = run("dayfile", "quarantine", "ls", "--each").out
    assert len(listed.splitlines()) == 3
    assert "\x1b" not in listed


def test_a_name_that_is_no_unicode_stops_no_command(tmp_path, archive_run, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8:strict")  # what a terminal of a UTF-8 locale takes
    create_archive(tmp_path / "archive")
    (tmp_path / "archive" / "incoming" / os.fsdecode(b"\xff\xfe")).write_bytes(b"of nobody")
    done = archive_run("--archive", "archive", "--set", "watch.settle=0")
    assert done.returncode == 3, done.stderr
    for command in (["ls"], ["show", next((tmp_path / "archive" / "quarantine").iterdir()).name], ["requeue", "--all"]):
        done = archive_run("quarantine", *command, "--archive", "archive", command="dayfile")
        assert done.returncode == 0, done.stderr
    assert [path.name for path in (tmp_path / "archive" / "incoming").iterdir()] == [os.fsdecode(b"\xff\xfe")]


def test_a_hidden_file_that_was_given_is_taken_again_when_it_is_requeued(tmp_path, box, run):
    (tmp_path / ".upload").write_bytes(pickle.dumps([event(1)], 2))
    assert run("archive-run", ".upload").code == 3
    run("dayfile", "quarantine", "requeue", "--all")
    assert run("archive-run", "--set", "hisparc.station=502", "--set", "hisparc.cluster=Leiden").code == 0
    assert len(records(tmp_path, "hisparc.singles")) == 1


def test_names_inside_a_source_cannot_leave_the_archive(tmp_path, box):
    """The cluster of an upload names a group in the day file; it cannot be a path."""
    for number, cluster in enumerate(("../../evil", "a/b", "..", "", "a\nb")):
        box.give({f"upload_{number}": pickle.dumps({"station_id": 1, "cluster": cluster, "event_list": [event(1)]})})
    assert len(box.entries()) == 5
    assert not list(box.root.rglob("*.h5"))
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "given"}


def test_an_entry_is_found_by_any_beginning_that_no_other_has(tmp_path, command):
    for number in range(3):
        (tmp_path / STREAM).write_bytes(b"cut off %d" % number)
        command("archive-run", STREAM, "--plugins", "cris")
    listed = json.loads(command("dayfile", "quarantine", "ls", "--json").out)
    name = listed[0]["entry"]
    short = name[11:]
    for word in (name, short, short[:8], name[:-1]):
        done = command("dayfile", "quarantine", "show", word)
        assert done.code == 0, word
        assert name in done.out
    for word, problem in ((name[:10], "more than one entry is called"), ("zz", "no entry is called"), ("", "no entry")):
        done = command("dayfile", "quarantine", "show", word)
        assert (done.code, problem in done.err) == (2, True), done.err


def test_the_list_names_each_source_once(tmp_path, command):
    (tmp_path / STREAM).write_bytes(b"cut off")
    command("archive-run", STREAM, "--plugins", "cris")
    for option in ([], ["--each"], ["--all"]):
        assert command("dayfile", "quarantine", "ls", *option).out.count(STREAM) == 1


def test_the_old_reason_stays_known_when_a_requeued_source_comes_back_for_another_one(box, run):
    """A pickle that the receiver refused is a bare file once it is requeued, and says nothing of its station."""
    create_archive(box.root)
    refused = {"source": "upload of station 501", "plugin": "hisparc", "error": "SourceError"}
    refused["message"] = "upload of station 501: it names os.system"
    put_in_quarantine(open_archive(box.root).root, "upload-501", b"of no plugin", refused)
    for _ in range(2):
        assert run("dayfile", "quarantine", "requeue", "--all").code == 0
        assert run("archive-run").code == 3
        name, reason, kept = box.only()
        assert kept == {"upload-501": b"of no plugin"}
        assert reason["message"].startswith("no plugin of this run recognises it")
        assert [each["message"] for each in reason["earlier"]] == [refused["message"]]
        assert {reason["earlier"][0][part] for part in ("plugin", "error")} == {"hisparc", "SourceError"}
        for words in (("ls",), ("ls", "--each"), ("show", name)):
            assert "it names os.system" in " ".join(run("dayfile", "quarantine", *words).out.split())


def test_a_requeued_source_that_was_archived_leaves_no_reason_behind_for_good(box, run):
    box.give({"upload_17": upload(event(1, year=2016))})
    run("dayfile", "quarantine", "requeue", "--all")
    (known,) = (box.root / ".requeued").iterdir()
    os.utime(known, (0, 0))
    assert run("archive-run", "--set", "hisparc.cutoff_year=2016").code == 0
    assert not list((box.root / ".requeued").iterdir())


def test_what_a_killed_process_left_hidden_in_the_quarantine_is_gone_when_a_run_starts(box, run):
    box.give({"letter.txt": b"Dear archive"})
    kept = box.entries()
    for name in (".gone-2026-01-01-0123456789ab", ".0123456789ab"):
        (box.root / "quarantine" / name).mkdir()
        (box.root / "quarantine" / name / "letter.txt").write_bytes(b"Dear archive")
    assert run("archive-run").code == 0
    assert box.entries() == kept


def test_values_that_are_kept_for_a_day_go_on_after_a_process_was_killed_while_it_kept_some(box, run):
    def strange(second):
        return upload(event(second, values=(("XXX", 7),)))

    box.give({"upload_1": strange(1)})
    name, _, _ = box.only()
    (box.root / "quarantine" / name / ".reason.json").write_text("{")
    box.give({"upload_2": strange(2)})
    _, reason, kept = box.only()
    assert (reason["count"], list(kept)) == (2, ["values.jsonl"])
