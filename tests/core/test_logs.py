"""Log files: a file a day, whoever writes it; a line for each message."""

from __future__ import annotations

import logging
import sys
import time

from dayfile.logs import ALIKE, CountingHandler, FileADay, Lines


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
