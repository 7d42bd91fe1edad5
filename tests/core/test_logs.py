"""Log files: a file a day, whoever writes it; a line for each message."""

from __future__ import annotations

import io
import json
import logging
import sys
import time

import pytest

from dayfile.cli.progress import show_progress, show_watch
from dayfile.logs import ALIKE, CountingHandler, FileADay, JsonLines, Lines, StandardError, log_as
from dayfile.settings import CoreSettings
from dayfile.state.processes import ProcessId
from dayfile.state.records import EngineState
from running import run_command


def write(handler: FileADay, text: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))


def test_of_several_processes_that_write_a_log_one_sets_it_aside_at_midnight_and_no_line_is_lost(tmp_path):
    handlers = [FileADay(tmp_path / "log", 14) for _ in range(3)]
    for number, handler in enumerate(handlers):
        write(handler, f"before {number}")
    midnight = int(time.time()) - 1
    for number, handler in enumerate(handlers):
        handler.rolloverAt = midnight
        write(handler, f"after {number}")
    write(handlers[0], "last")
    for handler in handlers:
        handler.close()
        assert handler.rolloverAt > time.time()
    (aside,) = tmp_path.glob("log.*")
    assert aside.read_text().split("\n") == ["before 0", "before 1", "before 2", ""]
    assert (tmp_path / "log").read_text().split("\n") == ["after 0", "after 1", "after 2", "last", ""]


def test_a_name_with_line_feeds_makes_one_line_of_the_log_and_a_traceback_its_own():
    try:
        int("none")
    except ValueError:
        record = logging.makeLogRecord({"msg": "%s", "args": ("a\nb\udcff\x1b[0m",), "exc_info": sys.exc_info()})
    line, *trace = Lines().format(record).split("\n")
    assert line.endswith(r": a\nb\udcff\x1b[0m")
    assert trace[0] == "Traceback (most recent call last):"


class Written(logging.Handler):
    """Keeps the lines that are written."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def counted(monkeypatch) -> tuple[Written, logging.Logger, list[float]]:
    """What a handler writes, the logger to log with, and a clock to set."""
    clock = [1000.0]
    monkeypatch.setattr("dayfile.logs.time.monotonic", lambda: clock[0])
    written = Written()
    logger = logging.Logger("counted")  # noqa: LOG001 - one that no other test has
    logger.addHandler(CountingHandler(written, ALIKE))
    return written, logger, clock


def test_a_line_that_repeats_is_written_once_a_minute_and_counted(monkeypatch):
    written, logger, clock = counted(monkeypatch)
    for _ in range(5000):
        logger.warning("no descriptor for %s", "port 8000")
    assert written.lines == ["no descriptor for port 8000"]
    clock[0] += 61
    logger.warning("something else")
    assert written.lines[1:] == ["no descriptor for port 8000 (4999 times more)", "something else"]
    logger.warning("no descriptor for %s", "port 8000")
    assert written.lines[3:] == ["no descriptor for port 8000"]


def test_lines_of_a_kind_are_written_a_hundred_times_a_minute_and_counted_at_the_end(monkeypatch):
    written, logger, _ = counted(monkeypatch)
    for number in range(100_000):
        logger.warning("%d: refused", number)
    logger.error("another kind")
    assert written.lines == [*(f"{number}: refused" for number in range(100)), "another kind"]
    logger.handlers[0].close()
    assert written.lines[101:] == ["100: refused (and 99900 more lines of this kind)"]


def test_lines_that_are_not_alike_are_all_written(monkeypatch):
    written, logger, _ = counted(monkeypatch)
    for number in range(2000):
        logger.warning(f"message {number}")  # noqa: G004
    assert len(written.lines) == 2000


def test_what_goes_well_is_always_written(monkeypatch):
    written, logger, _ = counted(monkeypatch)
    for _ in range(500):
        logger.info("took %s", "1 source")
    assert written.lines == ["took 1 source"] * 500


def test_a_json_line_is_one_object_with_its_fields_and_traceback_in_utc():
    try:
        int("none")
    except ValueError:
        record = logging.makeLogRecord({"msg": "a\nb", "exc_info": sys.exc_info(), "fields": {"event": "took"}})
    record.created = 1795982894.25
    line = JsonLines().format(record)
    found = json.loads(line)
    assert "\n" not in line
    assert (found["time"], found["message"], found["event"]) == ("2026-11-29T20:08:14.250Z", "a\nb", "took")
    assert found["traceback"].startswith("Traceback (most recent call last):")


@pytest.mark.parametrize(
    ("settings", "default", "lines"), [({}, "info", 2), ({}, "warning", 1), ({"log_level": "info"}, "warning", 2)]
)
def test_a_watch_and_a_server_log_what_goes_well_and_others_if_the_settings_say_so(tmp_path, settings, default, lines):
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    try:
        log_as("run", CoreSettings(log_file=tmp_path / "log", **settings), default)
        logging.getLogger("dayfile.test").info("published")
        logging.getLogger("dayfile.test").warning("held")
    finally:
        for handler in [handler for handler in root.handlers if handler not in before]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
    assert len((tmp_path / "log").read_text().splitlines()) == lines


class Terminal(io.StringIO):
    """A terminal that keeps what it was sent."""

    def isatty(self) -> bool:
        return True


CLEARED = "\r\x1b[2K"
"""What returns to the beginning of a line and clears it."""


@pytest.mark.parametrize("shown", ["bar", "line"])
def test_a_warning_does_not_tear_what_a_terminal_shows_at_its_bottom(monkeypatch, tmp_path, shown):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    logger = logging.Logger("torn")  # noqa: LOG001 - one that no other test has
    logger.addHandler(StandardError())
    state = EngineState(ProcessId(1, "here"), "1.0", "watch", 0, 0)
    with show_progress() if shown == "bar" else show_watch(tmp_path) as show:
        for number in range(3):
            if shown == "bar":
                show(number, 3, "source")
            else:
                show[0](state)
            logger.warning("a path/%s that is much longer than the terminal is wide %d", "x" * 200, number)
    logger.warning("after")
    before, *lines = terminal.getvalue().split("a path/")
    assert len(lines) == 3
    for text in (before, *lines[:2]):
        assert text.rpartition("\n")[2].strip(" ").endswith(CLEARED), "it begins on a line that is not cleared"
    assert all(
        line.startswith(f"{'x' * 200} that is much longer than the terminal is wide {number}\n")
        for number, line in enumerate(lines)
    )
    assert terminal.getvalue().endswith("after\n")
    assert sys.stderr is terminal


@pytest.mark.parametrize("command", [["archive-run", "--watch"], ["archive-run", "absent.bin"], ["dayfile", "serve"]])
def test_what_ends_a_command_is_an_object_too_where_the_log_has_objects(tmp_path, command):
    run_command("dayfile", "init", tmp_path / "archive", check=True)
    settings = {"log.format": "json", "watch.settle": "0"}
    options = [word for pair in settings.items() for word in ("--set", "=".join(pair))]
    (tmp_path / "archive" / "incoming").rename(tmp_path / "archive" / "other")
    (tmp_path / "archive" / "incoming").write_text("no directory")
    done = run_command(*command, "-a", tmp_path / "archive", *options, cwd=tmp_path)
    assert done.returncode not in {0, 1}
    objects = [json.loads(line) for line in done.stderr.splitlines()]
    assert objects[-1]["level"] == "critical"
    assert not objects[-1]["message"].startswith("dayfile: ")
