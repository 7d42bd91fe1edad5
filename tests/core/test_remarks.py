"""Remarks cost little: one entry in quarantine for a plugin, cause, key and day, with a count."""

from __future__ import annotations

import datetime as dt
import json
import pickle
from pathlib import Path

import pytest

import dayfile

ENGINES = [("--engine", "serial"), ("--engine", "processes", "--workers", "2")]


def upload(number, station=501, codes=("QQ1",), events=1):
    found = [
        {
            "header": {
                "eventtype_uploadcode": "CIC",
                "datetime": dt.datetime(2024, 5, 1, 12),
                "nanoseconds": 1000 * number + event,
            },
            "datalist": [
                {"data_uploadcode": "PH1", "data": number},
                *({"data_uploadcode": code, "data": f"value {number}"} for code in codes),
            ],
        }
        for event in range(events)
    ]
    return pickle.dumps({"station_id": station, "cluster": "Amsterdam", "event_list": found}, 2)


def entries():
    return sorted(path for path in Path("archive/quarantine").iterdir() if not path.name.startswith("."))


def values(entry):
    lines = [json.loads(line) for line in (entry / "values.jsonl").read_text().splitlines()]
    return [line for line in lines if "sha256" not in line]


@pytest.mark.parametrize("engine", ENGINES, ids=["serial", "processes"])
def test_remarks_of_a_cause_a_key_and_a_day_are_one_entry_with_all_values(command, engine):
    Path("given").mkdir()
    for number in range(40):
        Path(f"given/up{number:02}").write_bytes(upload(number, station=501 + number % 2))
    done = command("archive-run", "given", *engine)
    assert (done.code, len([line for line in done.err.splitlines() if "QQ" in line])) == (3, 2)
    assert len(dayfile.open_archive("archive").read("hisparc.events")) == 40
    first, second = entries()
    assert sorted([*values(first), *values(second)], key=lambda line: line["nanoseconds"]) == [
        {"timestamp": 1714564800, "nanoseconds": 1000 * number, "QQ1": f"value {number}"} for number in range(40)
    ]
    reason = json.loads((first / "reason.json").read_text())
    assert (reason["count"], reason["source"], reason["plugin"]) == (20, "20 sources", "hisparc")
    assert "20 records of 20 sources" in command("dayfile", "quarantine", "ls").out


def test_a_later_run_of_the_day_adds_to_the_entry_and_the_same_source_adds_nothing(command):
    Path("up0").write_bytes(upload(0, events=3))
    Path("up1").write_bytes(upload(1, events=2))
    assert command("archive-run", "up0").code == 3
    assert command("archive-run", "up0", "up1").code == 3
    (entry,) = entries()
    assert len(values(entry)) == json.loads((entry / "reason.json").read_text())["count"] == 5
    assert command("archive-run", "up0", "up1").code == 0, "nothing new is in quarantine"
    assert len(values(entry)) == 5


def test_many_unknown_codes_of_one_upload_are_few_entries(command):
    Path("up").write_bytes(upload(1, codes=[f"X{number}Y1" for number in range(500)]))
    assert command("archive-run", "up").code == 3
    assert len(entries()) <= 21


def test_there_is_nothing_to_send_again(command):
    Path("up").write_bytes(upload(1))
    command("archive-run", "up")
    (entry,) = entries()
    done = command("dayfile", "quarantine", "requeue", entry.name)
    assert (done.code, "its records" in done.err or "that are archived" in done.err) == (2, True)
    assert command("dayfile", "quarantine", "requeue", "--all").code == 0
    assert entries() == [entry]
    assert command("dayfile", "quarantine", "drop", entry.name).code == 0
    assert entries() == []
