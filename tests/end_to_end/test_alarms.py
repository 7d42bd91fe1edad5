"""The page about state, metrics and logs, and the alarms on it, fit the program."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
import yaml

import dayfile
from dayfile.state.attention import CONCERNS
from dayfile.state.metrics import METRICS
from running import find_program, run_command

CHECKOUT = Path(__file__).parents[2]
ALARMS = CHECKOUT / "docs" / "alarms.yaml"
PAGE = (CHECKOUT / "docs" / "status.md").read_text(encoding="utf-8")
NAMES = {f"dayfile_{name}{'_total' if kind == 'counter' else ''}" for name, (kind, _) in METRICS.items()}


def test_each_metric_in_an_alarm_exists():
    rules = [rule for group in yaml.safe_load(ALARMS.read_text())["groups"] for rule in group["rules"]]
    assert len(rules) > 5
    for rule in rules:
        named = set(re.findall(r"\bdayfile_\w+", rule["expr"]))
        assert named <= NAMES, rule["alert"]
        assert named or "up{" in rule["expr"]
        assert rule["annotations"]["summary"]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool comes with Prometheus")
def test_prometheus_takes_the_alarms():
    done = run_command("promtool", "check", "rules", ALARMS)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_concern_is_found_by_the_code_that_looks_for_it():
    source = (Path(dayfile.__file__).parent / "state" / "attention.py").read_text(encoding="utf-8")
    assert [name for name in CONCERNS if source.count(f'"{name}"') < 2] == []


def test_each_event_of_the_log_is_on_the_page():
    sources = [path.read_text(encoding="utf-8") for path in Path(dayfile.__file__).parent.rglob("*.py")]
    logged = {event for source in sources for event in re.findall(r'"event": "(\w+)"', source)}
    table = PAGE.split("| `event` |")[1].split("A traceback")[0]
    assert logged == {"watching", "stopped", "took", "published", "serving", "status_port", "upload", "request"}
    assert all(f"`{event}`" in table for event in logged)


def test_the_line_of_the_crontab_says_something_only_if_something_needs_attention(tmp_path):
    (line,) = re.findall(r"^\*/10 \* \* \* \* (.*)$", PAGE, re.MULTILINE)
    assert "%" not in line, "in a crontab it is a line feed"
    run_command("dayfile", "init", tmp_path / "archive", check=True)
    line = line.replace("/data/archive", str(tmp_path / "archive"))
    line = line.replace("/opt/dayfile/bin/dayfile", str(find_program("dayfile")))
    assert run_command("sh", "-c", line).stdout == ""
    run_command("dayfile", "simulate", "cris", "--day", "1997-10-31", "--out", tmp_path / "archive" / "incoming")
    (tmp_path / "archive" / "incoming" / "unknown").write_bytes(b"?")
    run_command("archive-run", "-a", tmp_path / "archive", "--set", "watch.settle=0")
    assert "went to quarantine today" in run_command("sh", "-c", line).stdout
