"""The benchmarks run, and both sides of each do the same work. No time is asserted."""

from __future__ import annotations

import json
import os
import shutil
import struct
from pathlib import Path

import pytest
from benchmarks.measuring import Measured
from benchmarks.putting import compiled

from running import run_command, run_python

ROOT = Path(__file__).parents[2]


def benchmarks(*words, **variables):
    return run_python("-m", "benchmarks", *words, cwd=ROOT, environment=variables)


NAMES = (
    *("uploads-100", "uploads-1", "list-2000", "put-day", "decode", "read-days", "read-events", "level1"),
    *("columns",),
    *("receive-100", "receive-1", "start", "catalogue", "scale", "mission"),
)


def test_a_small_round_measures_every_row_and_writes_it_down(tmp_path):
    figures = tmp_path / "figures.json"
    done = benchmarks("--small", "--runs", 1, "--peers", tmp_path / "none", "--json", figures, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = json.loads(figures.read_text())
    assert "cores" in told["machine"]
    lines = {line.split(" ")[0]: line for line in done.stdout.splitlines()}
    for row in told["rows"]:
        line = lines[row["row"]]
        assert row["work"] in line
        assert row["unit"] in line
        if "value" in row:
            assert row["value"] != 0
            continue
        assert len(row["ours"]["seconds"]) == 1
        assert row["ours"]["rate"] > 0
        for other in (row[kind] for kind in ("peer", "floor") if kind in row):
            assert other["name"] in line
            if other["seconds"]:
                assert other["ratio"] == pytest.approx(row["ours"]["rate"] / other["rate"])
            else:
                assert other["ratio"] is None
                assert "not installed" in line
    for name in NAMES:
        assert any(row["row"].startswith(name) for row in told["rows"]), name
    assert sum("not installed" in line for line in lines.values()) >= 4
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_only_what_was_asked_for_is_measured(tmp_path):
    figures = tmp_path / "figures.json"
    done = benchmarks("--small", "--runs", 2, "--only", "start,list-2000", "--json", figures)
    assert done.returncode == 0, done.stderr
    names = {row["row"].removesuffix("-two") for row in json.loads(figures.read_text())["rows"]}
    assert names == {"start", "list-2000"}


def test_a_row_that_there_is_not_is_refused_with_those_that_there_are():
    done = benchmarks("--only", "uploads-99")
    assert done.returncode == 2
    assert all(name in done.stderr for name in ("'uploads-99'", *NAMES))


def test_a_ratio_is_the_median_of_neighbouring_runs_whatever_the_amounts():
    ours, theirs = Measured("ours", 100, [1.0, 2.0, 4.0]), Measured("theirs", 50, [2.0, 3.0, 4.0])
    assert ours.rate == 50
    assert ours.ratio(theirs) == 2 * 1.5


@pytest.mark.skipif(not shutil.which("cc"), reason="needs a C compiler")
def test_the_plain_puts_give_the_statuses_of_the_archives_of_1998(tmp_path):
    program = compiled(tmp_path)
    start, slot = 57_801_601, 5
    same_slot = [struct.pack(">IQ", start + slot * 16, content) for content in (1, 1, 2, 3)]
    (tmp_path / "stream").write_bytes(b"".join(same_slot))
    line = f"{tmp_path}/stream {tmp_path}/day 12 16 0\n"
    told = run_command(program, start, input=line, check=True)
    assert told.stdout.split() == ["1", "1", "1", "1"]
    day = (tmp_path / "day").read_bytes()
    assert len(day) == 32 + 12 * 5400
    assert day.replace(b"\0", b"") == b"\xff" * 12
    assert day.index(b"\xff") == 32 + 12 * slot
    assert (tmp_path / "day.overlap").read_bytes() == b"".join(same_slot[index] for index in (0, 2, 3))


def test_a_mission_fills_every_slot_and_tells_what_it_took(tmp_path):
    figures = tmp_path / "figures.json"
    done = benchmarks("--only", "mission", "--days", 2, "--json", figures, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    (mission,) = json.loads(figures.read_text())["mission"]
    a_second, a_cycle = 6 * 86400 + 86400 // 16 + 86400 // 32, 8 * 86400 / 256
    assert mission["records"] == 2 * (a_second + a_cycle)
    assert 81e6 < mission["source_bytes"] / 2 < 82e6
    assert mission["archive_bytes"] > mission["source_bytes"] * 0.98
    spent = mission["spent"]
    assert 0 < spent["cpu_seconds"] < (os.cpu_count() + 1) * spent["seconds"]
    assert 50e6 < spent["peak_bytes"] < 2e9
    assert mission["hours_of_25_years"] == pytest.approx(spent["seconds"] / 2 * 9131 / 3600)
    assert f"2 days    {mission['records']:,}" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["figures.json"]


def test_a_mission_for_which_the_disk_has_no_room_is_refused_before_anything_is_measured(tmp_path):
    done = benchmarks("--days", 10**9, TMPDIR=str(tmp_path))
    assert done.returncode == 1
    assert "ask for fewer with --days, or set TMPDIR" in done.stderr
    assert not done.stdout
    assert not list(tmp_path.iterdir())


def test_the_peak_memory_of_a_command_is_its_own_and_not_that_of_who_started_it(tmp_path):
    code = (
        "import json, sys; from dataclasses import asdict; from benchmarks.command import run\n"
        "held = b'x' * 300_000_000\n"
        "print(json.dumps([asdict(run([sys.executable, '-c', text])) for text in sys.argv[1:]]))"
    )
    words = ["pass", "held = b'x' * 100_000_000", "import time; time.sleep(0.5); raise SystemExit(3)"]
    done = run_python("-c", code, *words, cwd=ROOT, check=True)
    small, large, slow = json.loads(done.stdout)
    assert small["peak_bytes"] < 50e6
    assert 100e6 < large["peak_bytes"] < 150e6
    assert [small["exit_code"], slow["exit_code"]] == [0, 3]
    assert slow["seconds"] > 0.5 > slow["cpu_seconds"]
