"""The benchmarks run, and both sides of each do the same work."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_benchmarks_measure_both_sides_of_every_row_and_write_them_down(tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "--runs", "1", "--uploads", "5", "--json", figures]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(figures.read_text())
    assert "cores" in told["machine"]
    assert len(told["rows"]) == 2
    for row in told["rows"]:
        assert len(row["ours"]) == len(row["theirs"]) == 1
        assert row["ratio"] > 0
        assert row["work"] in done.stdout
