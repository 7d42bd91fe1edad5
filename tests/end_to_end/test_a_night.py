"""A night at the archive: 2,000 good uploads among 40 bad sources, a plugin that fails and a damaged day file."""

from __future__ import annotations

import datetime as dt
import json
import os
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest

import dayfile

GOOD, STATIONS = 2000, range(501, 521)
SECOND = 57801611  # of 1997-10-31, by the clock of ACE
RATES = "L1CrisHighPriorityRate.be.bin"
OFFENDER = """
from dayfile import hookimpl

class Offender:
    @hookimpl
    def decode(self, source):
        if source.name.startswith("offend"):
            raise ZeroDivisionError("no calibration")

    @hookimpl
    def classify(self, batch):
        raise ZeroDivisionError("classify of everybody")

    @hookimpl
    def locate_file(self, data_type, day):
        raise SystemExit("locate_file of everybody")

    @hookimpl
    def write(self, work_file, data_type, batch):
        return "all well"

instrument = Offender()
"""


def event(second=0, nanoseconds=0, day=dt.datetime(2024, 5, 1), kind="CIC", **values):
    header = {"eventtype_uploadcode": kind, "datetime": day + dt.timedelta(seconds=second), "nanoseconds": nanoseconds}
    return {"header": header, "datalist": [{"data_uploadcode": code, "data": data} for code, data in values.items()]}


def upload(*events, station=501):
    return pickle.dumps({"station_id": station, "cluster": "Amsterdam", "event_list": list(events)}, 2)


def rates(*seconds):
    return b"".join(struct.pack(">IIIIIBBxx", second, second, 0, n, 7, 0, 0) for n, second in enumerate(seconds))


def bomb():
    """An upload of some 100 kB that unfolds to a gigabyte."""
    shared = [{"data_uploadcode": f"TR{n}", "data": "QUJD" * 75_000} for n in range(1, 5)]
    return upload(*({"header": event(nanoseconds=n)["header"], "datalist": shared} for n in range(1200)))


BAD = {
    **{f"empty{n}": b"" for n in range(3)},
    **{f"junk{n}": b"no pickle, nor anything else %d" % n for n in range(5)},
    **{f"cut{n}": upload(event(n))[: 40 + n] for n in range(5)},
    **{f"hostile{n}": b"cos\nsystem\n(S'touch /tmp/owned%d'\ntR." % n for n in range(3)},
    **{f"offend{n}": b"whatever %d" % n for n in range(3)},
    "bomb": bomb(),
    **{f"old{n}": upload(event(day=dt.datetime(2003, 1, 1 + n), PH1=1)) for n in range(3)},
    **{f"kind{n}": upload(event(kind="XYZ", nanoseconds=n)) for n in range(3)},
    "short/" + RATES: rates(SECOND)[:20],
    "mission/" + RATES: rates(5, 4294967290),
    "damaged.hdf": b"\x0e\x03\x13\x01" + b"\xff" * 200,
}
"""Each of them goes to quarantine, by the name under which it arrives."""
HELD = {
    "late0": upload(event(5, day=dt.datetime(2024, 4, 1), PH1=1)),
    "late1": upload(event(6, day=dt.datetime(2024, 4, 1), PH1=2)),
}
"""Of the day whose day file is damaged."""
REMARKED = {f"new{n}": upload(event(n, 777, QQ1=f"value {n}", PH1=n), station=600) for n in range(9)}
"""Archived, with one remark in common."""


@pytest.fixture
def night(plain_command, tmp_path, monkeypatch):
    """An archive in the evening, whose incoming/ holds all that comes in the night."""
    site = tmp_path / "site"
    (site / "offender-1.0.dist-info").mkdir(parents=True)
    (site / "offender.py").write_text(OFFENDER)
    (site / "offender-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: offender\nVersion: 1.0\n")
    entry = "[dayfile.plugins]\noffender = offender:instrument\n"
    (site / "offender-1.0.dist-info/entry_points.txt").write_text(entry)
    monkeypatch.setenv("PYTHONPATH", str(site))
    Path("before").write_bytes(upload(*(event(n, day=dt.datetime(2024, 4, 1), PH1=n) for n in range(9))))
    assert plain_command("archive-run", "before", "--plugins", "hisparc").code == 0
    os.truncate("archive/2024/4/2024_4_1.h5", 5000)
    incoming = Path("archive/incoming")
    for name, content in (BAD | HELD | REMARKED).items():
        (incoming / name).parent.mkdir(exist_ok=True)
        (incoming / name).write_bytes(content)
    with (incoming / "huge").open("wb") as file:
        file.truncate(5 * 2**30)
    (incoming / "link").symlink_to("/etc/hostname")
    (incoming / "unreadable").write_bytes(b"secret")
    (incoming / "unreadable").chmod(0)
    (incoming / "closed").mkdir()
    (incoming / "closed").chmod(0)
    for number in range(GOOD):
        content = upload(event(number % 80000, number, PH1=number % 1000), station=STATIONS[number % len(STATIONS)])
        (incoming / f"up{number:04}").write_bytes(content)
    return plain_command


@pytest.mark.parametrize(
    "engine", [("--engine", "serial"), ("--engine", "processes", "--workers", "2")], ids=["serial", "processes"]
)
def test_every_good_record_is_archived_and_every_bad_thing_is_named_once(night, engine):
    names = "hisparc,cris,sis,offender"
    done = night("archive-run", "--plugins", names, *engine, "--report", "report.json", "--quiet")
    assert done.code == 3
    found = dayfile.open_archive("archive").read("hisparc.events", "2024-05-01", "2024-05-02")
    good = found.array[np.isin(found["station"], list(STATIONS))]
    assert sorted(good["nanoseconds"].tolist()) == list(range(GOOD))
    assert sorted(found.array[found["station"] == 600]["pulseheights"][:, 0].tolist()) == list(range(9))

    report = json.loads(Path("report.json").read_text())
    held = [*HELD, "link", "unreadable", "closed"]
    assert report["sources"] == {
        "archived": GOOD + len(REMARKED),
        "already": 0,
        "quarantined": len(BAD) + 1,
        "held": len(held),
        "left": 0,
    }
    written = report["records"]["hisparc.events"]["written"]
    assert written == GOOD + len(REMARKED) == len(found)

    lines = [line for line in done.err.splitlines() if line.startswith("dayfile: ")]
    once = [name for name in [*BAD, *held, "huge"] if "/" not in name]
    named = {name: sum(bool(re.match(rf"dayfile: (incoming/)?{name}[:,]", line)) for line in lines) for name in once}
    assert named == dict.fromkeys(once, 1)
    assert sum("QQ" in line for line in lines) == 1

    quarantined = [json.loads(path.read_text()) for path in Path("archive/quarantine").glob("[!.]*/reason.json")]
    assert len(quarantined) == len(BAD) + 1 + 1, "one for each bad source, the huge one, and the remarks"
    assert sorted(path.name for path in Path("archive/accepted").rglob("*") if path.is_file()) == sorted(HELD)

    again = night("archive-run", "--plugins", names, *engine, "--quiet")
    assert again.code == 3, "what is held is held still"
    assert sum(name in again.err for name in HELD) == len(HELD)
    assert len(dayfile.open_archive("archive").read("hisparc.events", "2024-05-01", "2024-05-02")) == written
