"""Log files: a file a day, whoever writes it; a line for each message."""

from __future__ import annotations

import logging
import sys
import time

from dayfile.logs import FileADay, Lines


def write(handler: FileADay, text: str) -> None:
    handler.handle(logging.makeLogRecord({"msg": text, "levelno": logging.INFO}))


def test_of_several_processes_that_write_a_log_one_sets_it_aside_at_midnight_and_no_line_is_lost(tmp_path):
    handlers = [FileADay(tmp_path / "log") for _ in range(3)]
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
